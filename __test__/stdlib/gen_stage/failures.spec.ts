/**
 * Crashes of stages: what starts again, what goes on, and that nothing but the crashed chunk is lost.
 */

import { Consumer, createActor, Producer, ProducerConsumer, type ProducerOptions } from "libeam";
import { describe, expect, it } from "vitest";
import { gone, makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, range, silent, sorted } from "../../support/stages.js";
import { leakFree, loggedErrors, makeSystem } from "../../support/system.js";
import { gate, turn, turns } from "../../support/time.js";

const always = { supervision: { strategy: "Restart", maxRestarts: Infinity, periodMs: 5_000 } } as const;
const never = { supervision: { strategy: "Stop" } } as const;

describe.each(["sync", "async"] as const)("a %s crash of handleDemand", (mode) => {
  const fail = (error: Error): never | Promise<never> => {
    if (mode === "async") return turn().then(() => Promise.reject(error));
    throw error;
  };

  it("starts the producer again from init; demand and subscriptions go on", async () => {
    const system = makeSystem(always);
    const asked = makeProbe<[number, number]>();
    let inits = 0;
    const producer = Producer.start<number, number>(system, {
      init: () => 100 * inits++,
      handleDemand: (demand, from) => {
        asked.push([demand, from]);
        return asked.events.length === 1 ? fail(new Error("boom")) : [range(from, from + demand), from + demand];
      },
    });
    const { consumer, seen, ends } = collect(system);
    const { tag } = await consumer.subscribe(producer, { maxDemand: 4, minDemand: 0 });
    expect(await seen.take(8)).toEqual(range(100, 108));
    expect(asked.events.slice(0, 2)).toEqual([
      [4, 0],
      [4, 100],
    ]);
    expect((await producer.stats()).downstream).toMatchObject([{ tag, maxDemand: 4 }]);
    expect(ends.events).toEqual([]);
    expect(loggedErrors()).toHaveLength(1);
  });

  it("keeps the buffer", async () => {
    const system = makeSystem(always);
    let calls = 0;
    const producer = Producer.start<null, number>(system, {
      init: () => null,
      handleDemand: (_demand, state) => {
        calls++;
        if (calls === 1) return [range(0, 10), state];
        return calls === 2 ? fail(new Error("boom")) : [[], state];
      },
    });
    const door = gate();
    const { consumer, seen } = collect(system, () => door.promise);
    await consumer.subscribe(producer, { maxDemand: 2, minDemand: 0 });
    await seen.atLeast(2);
    door.open();
    expect(await seen.take(10)).toEqual(range(0, 10));
    await eventually(() => calls >= 3);
    const next = collect(system);
    producer.emit([10]);
    await next.consumer.subscribe(producer);
    await seen.find((n) => n === 10);
  });

  it("forgets what was owed: the demand is asked for again", async () => {
    const system = makeSystem(always);
    const asked = makeProbe<number>();
    const producer = Producer.start<null, number>(system, {
      init: () => null,
      handleDemand: (demand, state) => {
        asked.push(demand);
        return asked.events.length === 2 ? fail(new Error("boom")) : [[], state];
      },
    });
    await collect(system).consumer.subscribe(producer, { maxDemand: 5 });
    expect(await asked.next()).toBe(5);
    await collect(system).consumer.subscribe(producer, { maxDemand: 3 });
    expect(await asked.take(2)).toEqual([3, 8]);
  });

  it("ends the subscriptions when nobody restarts the producer", async () => {
    const system = makeSystem(never);
    const producer = Producer.start(system, { init: () => null, handleDemand: () => fail(new Error("boom")) });
    const { consumer, ends } = collect(system);
    await consumer.subscribe(producer);
    expect((await ends.next()).reason).toMatchObject({ type: "error", error: { message: "boom" } });
    await leakFree(system);
  });
});

describe.each(["sync", "async"] as const)("a %s crash of handleEvents", (mode) => {
  const crash = (): never | Promise<never> => {
    if (mode === "async") return turn().then(() => Promise.reject(new Error("boom")));
    throw new Error("boom");
  };

  it("of a consumer loses that chunk and nothing else; the rest of its batch is handled", async () => {
    const system = makeSystem(always);
    const { producer } = silent(system);
    let inits = 0;
    const states = makeProbe<number>();
    const { consumer, chunks } = collect(system, () => {}, undefined, { init: () => ++inits });
    const crashing = Consumer.start<number, number>(system, {
      init: () => ++inits,
      handleEvents: (events, _from, state) => {
        states.push(state);
        chunks.push(events);
        return events.includes(5) ? crash() : state;
      },
    });
    await consumer.stop();
    await crashing.subscribe(producer, { maxDemand: 10, minDemand: 8 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 10));
    expect(await chunks.take(5)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
      [8, 9],
    ]);
    expect(states.events).toEqual([2, 2, 2, 3, 3]);
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit([10]);
    expect(await chunks.next()).toEqual([10]);
  });

  it("of a consumer keeps its subscriptions and its demand, however often", async () => {
    const system = makeSystem(always);
    const { producer } = countUp(system, { end: 300 });
    const { consumer, seen, ends } = collect(system, (events: number[]) =>
      events.some((n) => n % 7 === 0) ? crash() : undefined,
    );
    await consumer.subscribe(producer, { maxDemand: 6, minDemand: 3 });
    expect(await seen.take(300)).toEqual(range(0, 300));
    await eventually(async () => (await producer.stats()).downstream[0].pending > 3);
    expect((await producer.stats()).downstream[0].pending).toBeLessThanOrEqual(6);
    expect(ends.events).toEqual([]);
    await leakFree(system, "monitors");
  });

  it("of a producer-consumer loses that chunk and nothing else, upstream and downstream go on", async () => {
    const system = makeSystem(always);
    const { producer } = countUp(system, { end: 200 });
    const lost: number[] = [];
    const stage = ProducerConsumer.start<null, number, number>(system, {
      handleEvents: (events, _from, state) => {
        if (!events.some((n) => n % 50 === 33)) return [events, state];
        lost.push(...events);
        return crash();
      },
    });
    await stage.subscribe(producer, { maxDemand: 8, minDemand: 4 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 5 });
    await eventually(() => seen.events.length + lost.length === 200);
    expect(seen.events).toEqual(range(0, 200).filter((n) => !lost.includes(n)));
    expect(lost.length).toBeGreaterThanOrEqual(4);
    expect(lost.length).toBeLessThanOrEqual(16);
  });

  it("of a consumer that ends for good gives its undelivered events to the others (demand)", async () => {
    const system = makeSystem(never);
    const { producer } = countUp(system, { end: 100 });
    const door = gate();
    const doomed = collect(system, () => door.promise.then(crash));
    const end = gone(system, doomed.consumer.getRef());
    await doomed.consumer.subscribe(producer, { maxDemand: 20, minDemand: 17 });
    await doomed.seen.atLeast(3);
    const heir = collect(system);
    await heir.consumer.subscribe(producer, { maxDemand: 10 });
    await heir.seen.atLeast(80);
    door.open();
    expect((await end).type).toBe("error");
    await heir.seen.atLeast(97);
    expect(doomed.seen.events).toEqual([0, 1, 2]);
    expect(sorted(heir.seen.events)).toEqual(range(3, 100));
    expect(heir.seen.events.slice(-17)).toEqual(range(3, 20));
  });

  it("of a consumer that ends for good does not hold the others back (broadcast)", async () => {
    const system = makeSystem(never);
    const { producer } = countUp(system, { dispatcher: { type: "broadcast" } });
    const door = gate();
    const doomed = collect(system, () => door.promise.then(crash));
    const other = collect(system);
    await doomed.consumer.subscribe(producer, { maxDemand: 5, minDemand: 0 });
    await other.consumer.subscribe(producer, { maxDemand: 5, minDemand: 0 });
    await other.seen.atLeast(5);
    await turns(20);
    expect(other.seen.events).toHaveLength(5);
    door.open();
    await other.seen.atLeast(100);
    expect(other.seen.events.slice(0, 100)).toEqual(range(0, 100));
  });

  it("of a consumer that ends for good leaves its events to the next one of the partition", async () => {
    const system = makeSystem(never);
    const { producer } = silent(system, { dispatcher: { type: "partition", partitions: 2 } });
    const door = gate();
    const doomed = collect(system, () => door.promise.then(crash));
    const other = collect(system);
    await doomed.consumer.subscribe(producer, { maxDemand: 10, minDemand: 9, partition: 0 });
    await other.consumer.subscribe(producer, { maxDemand: 10, partition: 1 });
    await eventually(async () => (await producer.getDemand()) === 20);
    producer.emit(range(0, 20));
    await doomed.seen.atLeast(1);
    const end = gone(system, doomed.consumer.getRef());
    door.open();
    await end;
    expect(await other.seen.take(10)).toEqual(range(0, 10).map((n) => 2 * n + 1));
    const heir = collect(system);
    await heir.consumer.subscribe(producer, { maxDemand: 4, partition: 0 });
    expect(await heir.seen.take(9)).toEqual(range(1, 10).map((n) => 2 * n));
    expect(doomed.seen.events).toEqual([0]);
  });
});

describe("a stage that gets an exit signal while its handler is pending", () => {
  it("hands over nothing more in the old incarnation, and the rest in the new one", async () => {
    const system = makeSystem(always);
    const { producer } = silent(system);
    const doors = range(0, 5).map(() => gate());
    const under = makeProbe<[incarnation: number, n: number]>();
    let incarnations = 0;
    const consumer = Consumer.start<number, number>(system, {
      init: () => ++incarnations,
      handleEvents: async ([n], _from, incarnation) => {
        under.push([incarnation, n]);
        await doors[n].promise;
        return incarnation;
      },
    });
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 9 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 5));
    await under.atLeast(1);
    system.system.sendExit(null, consumer.getRef(), "why");
    await turns(10);
    for (const door of doors) door.open();
    await under.atLeast(5);
    expect(under.events).toEqual([
      [1, 0],
      [2, 1],
      [2, 2],
      [2, 3],
      [2, 4],
    ]);
  });
});

describe("a stage that is killed while its handler is pending", () => {
  it("hands over nothing more when the handler settles", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const door = gate();
    const { consumer, seen } = collect(system, () => door.promise);
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 9 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 5));
    await seen.atLeast(1);
    const end = gone(system, consumer.getRef());
    system.system.sendExit(null, consumer.getRef(), "kill");
    door.open();
    expect(await end).toEqual({ type: "killed" });
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    const handled = seen.events.length;
    expect((await producer.stats()).buffered).toBe(5 - handled);
    await turns(20);
    expect(seen.events).toEqual(range(0, handled));
  });

  it("as a producer sends nothing that it makes afterwards", async () => {
    const system = makeSystem();
    const doors = [gate(), gate()];
    const producer = Producer.start<null, number>(system, {
      init: () => null,
      handleDemand: async (demand, state) => {
        doors[0].open();
        await doors[1].promise;
        return [range(0, demand), state];
      },
    });
    const { consumer, seen, ends } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 3, minDemand: 0 });
    await doors[0].promise;
    system.system.sendExit(null, producer.getRef(), "kill");
    expect((await ends.next()).reason).toEqual({ type: "killed" });
    doors[1].open();
    await turns(20);
    expect(seen.events).toEqual([]);
  });

  it("and started again runs no handler beside the one of its new incarnation", async () => {
    const system = makeSystem({ limits: { stopTimeoutMs: 5 } });
    const { producer } = silent(system);
    const doors = range(0, 6).map(() => gate());
    const under = makeProbe<[incarnation: number, n: number]>();
    const stages = makeProbe<Consumer>();
    let incarnations = 0;
    const Sibling = createActor((_ctx, self) =>
      self.onCast("crash", () => {
        throw new Error("boom");
      }),
    );
    const Boss = createActor((ctx, self) => {
      const callbacks = {
        init: () => ++incarnations,
        handleEvents: async ([n]: number[], _from: unknown, incarnation: number) => {
          under.push([incarnation, n]);
          await doors[n].promise;
          return incarnation;
        },
      };
      stages.push(Consumer.start(ctx as any, callbacks));
      const sibling = ctx.spawn(Sibling);
      return self.childSupervision({ strategy: "one-for-all" }).onCast("crash", () => sibling.cast("crash"));
    });
    const boss = system.spawn(Boss);
    const consumer = await stages.next();
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 9 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 5));
    await under.atLeast(1);
    boss.cast("crash"); // The stage does not stop in time and is given up; its mailbox and its inlet go on.
    expect(await under.find(([incarnation]) => incarnation === 2)).toEqual([2, 1]);
    doors[0].open();
    await turns(20);
    expect(under.events).toEqual([
      [1, 0],
      [2, 1],
    ]);
    for (const door of doors) door.open();
    await under.atLeast(5);
    expect(under.events.slice(1)).toEqual(range(1, 5).map((n) => [2, n]));
  });
});

describe("a producer that was given up and started again", () => {
  it("sends nothing that its old incarnation makes", async () => {
    const system = makeSystem({ limits: { stopTimeoutMs: 5 } });
    const door = gate();
    const producers = makeProbe<Producer<number>>();
    let calls = 0;
    const callbacks = {
      init: () => null,
      handleDemand: async (demand: number, state: null): Promise<[number[], null]> => {
        if (++calls > 1) return [range(100, 100 + demand), state];
        await door.promise;
        return [range(0, demand), state];
      },
    };
    const Sibling = createActor((_ctx, self) =>
      self.onCast("crash", () => {
        throw new Error("boom");
      }),
    );
    const Boss = createActor((ctx, self) => {
      producers.push(Producer.start<null, number>(ctx as any, callbacks));
      const sibling = ctx.spawn(Sibling);
      return self.childSupervision({ strategy: "one-for-all" }).onCast("crash", () => sibling.cast("crash"));
    });
    const boss = system.spawn(Boss);
    const producer = await producers.next();
    const { consumer, seen } = collect(system);
    const subscription = await consumer.subscribe(producer, { maxDemand: 3, minDemand: 0 });
    await eventually(() => calls === 1);
    boss.cast("crash");
    await seen.atLeast(3);
    consumer.cancel(subscription);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    const { buffered } = await producer.stats();
    door.open();
    await turns(20);
    expect((await producer.stats()).buffered).toBe(buffered);
    expect(seen.events.every((n) => n >= 100)).toBe(true);
  });
});

describe("a consumer that crashes before its first demand", () => {
  it("asks after its restart", async () => {
    const system = makeSystem(always);
    const { producer } = countUp(system, { end: 10 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 4 });
    system.system.sendExit(null, consumer.getRef(), "why");
    expect(await seen.take(10)).toEqual(range(0, 10));
  });
});

describe("a result of a callback that is none", () => {
  const wrong = [undefined, null, 5, [], [5, 0], ["abc", 0], { events: [] }];

  it.each(wrong)("of handleDemand (%j) crashes the producer with a StageError; the demand stays", async (result) => {
    const system = makeSystem(always);
    let calls = 0;
    const producer = Producer.start<number, number>(system, {
      init: () => 0,
      handleDemand: (demand, from) => (++calls === 1 ? (result as any) : [range(from, from + demand), from + demand]),
    });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 3 });
    expect(await seen.take(3)).toEqual([0, 1, 2]);
    expect(loggedErrors()).not.toEqual([]);
  });

  it.each(wrong)("of a producer-consumer's handleEvents (%j) loses that chunk only", async (result) => {
    const system = makeSystem(always);
    const { producer } = countUp(system, { end: 10 });
    let calls = 0;
    const stage = ProducerConsumer.start<null, number, number>(system, {
      handleEvents: (events, _from, state) => (++calls === 1 ? (result as any) : [events, state]),
    });
    await stage.subscribe(producer, { maxDemand: 4, minDemand: 2 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 10 });
    expect(await seen.take(8)).toEqual(range(2, 10));
  });
});

describe("terminate", () => {
  it("runs before a stage starts again, with the state of the crash", async () => {
    const system = makeSystem(always);
    const { producer } = countUp(system, { end: 3 });
    const life = makeProbe<string>();
    const consumer = Consumer.start<number, number>(system, {
      init: () => {
        life.push("init");
        return 0;
      },
      handleEvents: (events, _from, state) => {
        if (events.includes(2)) throw new Error("boom");
        return state + events.length;
      },
      terminate: (state) => life.push(`terminate ${state}`),
    });
    await consumer.subscribe(producer, { maxDemand: 1 });
    await life.atLeast(3);
    expect(life.events).toEqual(["init", "terminate 2", "init"]);
  });
});

describe("an end of both sides", () => {
  it.each([{}, { dispatcher: { type: "broadcast" } }] as ProducerOptions[])("leaves nothing (%j)", async (options) => {
    const system = makeSystem(never);
    const { producer } = countUp(system, options);
    const all = [collect(system), collect(system)];
    for (const { consumer } of all) await consumer.subscribe(producer, { maxDemand: 10 });
    await all[0].seen.atLeast(50);
    await Promise.all([producer.stop(), ...all.map(({ consumer }) => consumer.stop())]);
    expect(system.system.getActors()).toEqual([]);
    await leakFree(system);
  });
});
