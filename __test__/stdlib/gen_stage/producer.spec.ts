/**
 * Producers: when they are asked for events, what becomes of too few and too many, and how they end.
 */

import { ActorRef, InvalidArgumentError, InvalidOptionError, Producer } from "libeam";
import { describe, expect, it } from "vitest";
import { gone, makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, onlyDownstream, range, silent } from "../../support/stages.js";
import { leakFree, makeSystem } from "../../support/system.js";
import { gate, rejection, thrown, turns } from "../../support/time.js";

describe("a producer", () => {
  it("starts synchronously and has a ref that others can subscribe to", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    expect(producer).toBeInstanceOf(Producer);
    expect(producer.getRef()).toBeInstanceOf(ActorRef);
    expect(system.system.getActors()).toHaveLength(1);
    await producer.stop();
    expect(system.system.getActors()).toHaveLength(0);
  });

  it("delivers 0 to 9 in order with maxDemand 10", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 10 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer.getRef(), { maxDemand: 10 });
    expect(await seen.take(10)).toEqual(range(0, 10));
    await turns();
    expect(seen.events).toHaveLength(10);
    await leakFree(system, "monitors");
  });

  it("may use the array of an emit again, whether its events are buffered or sent", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const { consumer, seen } = collect(system);
    const scratch: number[] = [];
    const emit = (from: number, end: number): void => {
      scratch.splice(0, scratch.length, ...range(from, end));
      producer.emit(scratch);
    };
    emit(0, 3);
    await producer.stats();
    emit(3, 5);
    emit(5, 9);
    await consumer.subscribe(producer, { maxDemand: 100 });
    await producer.stats();
    emit(9, 12);
    scratch.length = 0;
    expect(await seen.take(12)).toEqual(range(0, 12));
  });

  it("is asked for nothing while nobody has subscribed", async () => {
    const system = makeSystem();
    const { producer, demands } = countUp(system);
    await producer.stats();
    await turns();
    expect(demands.events).toEqual([]);
  });

  it("is asked for maxDemand first, in a later turn than the subscription", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { consumer } = collect(system);
    await consumer.subscribe(producer.getRef(), { maxDemand: 37 });
    expect(demands.events).toEqual([]);
    expect(await demands.next()).toBe(37);
    expect(await onlyDownstream(producer)).toMatchObject({ pending: 37, maxDemand: 37 });
  });

  it("is asked for what is lacking, not for what an earlier call still owes", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const [a, b] = [collect(system), collect(system)];
    await a.consumer.subscribe(producer.getRef(), { maxDemand: 10, minDemand: 0 });
    await demands.next();
    await b.consumer.subscribe(producer.getRef(), { maxDemand: 4 });
    expect(await demands.next()).toBe(4);
    expect(await producer.getDemand()).toBe(14);
    producer.emit([1, 2, 3]);
    expect(await producer.getDemand()).toBe(11);
    expect(demands.events).toEqual([10, 4]);
  });

  it("may give nothing; the demand stays and is counted", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer.getRef(), { maxDemand: 10 });
    await demands.atLeast(1);
    await turns();
    expect(demands.events.length).toBeGreaterThan(0);
    expect(seen.events).toEqual([]);
    expect(await producer.getDemand()).toBe(10);
  });

  it("that gave too few pays the rest with emit()", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer.getRef(), { maxDemand: 4, minDemand: 0 });
    await demands.next();
    producer.emit([1, 2]);
    producer.emit([3, 4]);
    expect(await seen.take(4)).toEqual([1, 2, 3, 4]);
    expect(await demands.next()).toBe(4);
    await leakFree(system, "monitors");
  });

  it("that gave too many buffers the surplus and delivers it later, before it is asked again", async () => {
    const system = makeSystem();
    const asked = makeProbe<number>();
    const producer = Producer.start(system, {
      init: () => 0,
      handleDemand: (demand, from) => {
        asked.push(demand);
        return [range(from, from + 3 * demand), from + 3 * demand];
      },
    });
    const door = gate();
    const { consumer, seen } = collect(system, () => door.promise);
    await consumer.subscribe(producer, { maxDemand: 4, minDemand: 0 });
    await seen.atLeast(4);
    expect(await producer.stats()).toMatchObject({ buffered: 8, demand: 0, dispatched: 4 });
    expect(asked.events).toEqual([4]);
    door.open();
    await seen.atLeast(12);
    expect(seen.events.slice(0, 12)).toEqual(range(0, 12));
  });

  it("never sends more than its consumers asked for in all", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const doors = [gate(), gate()];
    const both = doors.map((door) => collect(system, () => door.promise));
    await both[0].consumer.subscribe(producer, { maxDemand: 3, minDemand: 0 });
    await both[1].consumer.subscribe(producer, { maxDemand: 5, minDemand: 0 });
    await eventually(async () => (await producer.getDemand()) === 8);
    producer.emit(range(0, 100));
    await eventually(() => both[0].seen.events.length + both[1].seen.events.length === 8);
    await turns();
    expect(both.map(({ seen }) => seen.events.length)).toEqual([3, 5]);
    expect(await producer.stats()).toMatchObject({ dispatched: 8, buffered: 92, demand: 0, dropped: 0 });
    for (const door of doors) door.open();
  });

  it("buffers what it emits without demand, in order", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    for (let n = 0; n < 10; n++) producer.emit([n]);
    expect((await producer.stats()).buffered).toBe(10);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 20, minDemand: 0 });
    expect(await seen.take(10)).toEqual(range(0, 10));
    expect(await demands.next()).toBe(10);
  });

  it("passes the arguments behind its options to init, which may be asynchronous", async () => {
    const system = makeSystem();
    const producer = Producer.start(
      system,
      {
        init: async (a: number, b: number) => {
          await turns(2);
          return a + b;
        },
        handleDemand: (_demand, state) => [[state], state + 1],
      },
      {},
      {},
      40,
      2,
    );
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 1 });
    expect(await seen.take(2)).toEqual([42, 43]);
  });

  it("runs terminate with its last state when it stops, and refuses everything afterwards", async () => {
    const system = makeSystem();
    const last = makeProbe<number>();
    const producer = Producer.start<number, number>(system, {
      init: () => 0,
      handleDemand: (demand, from) => [[], from + demand],
      terminate: last.push,
    });
    const { consumer } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 7 });
    await eventually(async () => (await producer.getDemand()) === 7);
    await producer.stop();
    expect(last.events).toEqual([7]);
    expect((await rejection(producer.stats())).code).toBe("ACTOR_NOT_FOUND");
    expect((await rejection(consumer.subscribe(producer))).code).toBe("ACTOR_NOT_FOUND");
    expect(() => producer.emit([1])).not.toThrow();
    expect(() => producer.demand("forward")).not.toThrow();
  });

  it("is stopped by await using", async () => {
    const system = makeSystem();
    let end: Promise<unknown>;
    {
      await using producer = countUp(system).producer;
      end = gone(system, producer.getRef());
    }
    await end;
  });

  it("can have a name", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { spawn: { name: "numbers" } });
    const { consumer, seen } = collect(system);
    const found = await system.getActorByName("numbers");
    expect(found?.id.id).toBe(producer.getRef().id.id);
    await consumer.subscribe(found as ActorRef, { maxDemand: 2 });
    expect(await seen.take(2)).toEqual([0, 1]);
  });
});

describe("a producer that is done", () => {
  it("sends everything, tells its consumers behind the last event, and ends normally", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 25, done: true });
    const { consumer, seen, ends } = collect(system);
    const end = gone(system, producer.getRef());
    const subscription = await consumer.subscribe(producer, { maxDemand: 10 });
    expect((await ends.next()).reason).toEqual({ type: "done" });
    expect(ends.events[0].from.tag).toBe(subscription.tag);
    expect(seen.events).toEqual(range(0, 25));
    expect(await end).toEqual({ type: "normal" });
    await turns();
    expect(ends.events).toHaveLength(1);
    await leakFree(system);
  });

  it("stays until its buffer has been sent", async () => {
    const system = makeSystem();
    const producer = Producer.start<null, number>(system, {
      init: () => null,
      handleDemand: () => [range(0, 50), null, "done"],
    });
    const door = gate();
    const { consumer, seen, ends } = collect(system, () => door.promise);
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 0 });
    await seen.atLeast(10);
    expect(await producer.stats()).toMatchObject({ buffered: 40 });
    expect(ends.events).toEqual([]);
    door.open();
    await ends.next();
    expect(seen.events).toEqual(range(0, 50));
  });
});

describe("accumulate mode", () => {
  it.each(["demand", "broadcast"] as const)("holds everything until forward: %s dispatcher", async (type) => {
    const system = makeSystem();
    const { producer, demands } = countUp(system, { dispatcher: { type }, demand: "accumulate" });
    const both = [collect(system), collect(system)];
    for (const { consumer } of both) await consumer.subscribe(producer, { maxDemand: 10 });
    await eventually(async () => (await producer.getDemand()) === 20);
    expect(demands.events).toEqual([]);
    expect(both.flatMap(({ seen }) => seen.events)).toEqual([]);
    producer.demand("forward");
    for (const { seen } of both) await seen.atLeast(10);
    if (type === "broadcast") for (const { seen } of both) expect(seen.events.slice(0, 10)).toEqual(range(0, 10));
  });

  it("holds events back that are emitted, and sends them in order", async () => {
    const system = makeSystem();
    const { producer } = silent(system, { demand: "accumulate" });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 10 });
    producer.emit([1, 2]);
    producer.emit([3]);
    await eventually(async () => (await producer.stats()).demand === 10);
    expect(await producer.stats()).toMatchObject({ buffered: 3, dispatched: 0 });
    producer.demand("forward");
    expect(await seen.take(3)).toEqual([1, 2, 3]);
  });

  it("can be entered again", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 10 });
    await demands.next();
    producer.demand("accumulate");
    producer.emit([1]);
    expect(await producer.stats()).toMatchObject({ buffered: 1, dispatched: 0, demand: 10 });
    producer.demand("forward");
    expect(await seen.next()).toBe(1);
  });

  it("is the mode of no other name", () => {
    const { producer } = countUp(makeSystem());
    expect(thrown(() => producer.demand("later" as any))).toBeInstanceOf(InvalidOptionError);
    expect(thrown(() => producer.demand(undefined as any))).toBeInstanceOf(InvalidOptionError);
  });
});

describe("what start() refuses", () => {
  const callbacks = { init: () => 0, handleDemand: (): [number[], number] => [[], 0] };

  it.each([
    ["bufferSize", -1],
    ["bufferSize", 1.5],
    ["bufferSize", "10"],
    ["bufferSize", Number.NaN],
    ["bufferKeep", "middle"],
    ["demand", "backward"],
    ["dispatcher", { type: "random" }],
    ["dispatcher", {}],
    ["dispatcher", { type: "partition" }],
    ["dispatcher", { type: "partition", partitions: 0 }],
    ["dispatcher", { type: "partition", partitions: 2.5 }],
    ["dispatcher", { type: "partition", partitions: 1_000_000_000 }],
    ["dispatcher", { type: "partition", partitions: 2, hash: 7 }],
    ["dispatcher", { type: "custom" }],
    ["dispatcher", { type: "custom", dispatcher: { subscribe: () => {} } }],
  ])("%s: %j", (name, value) => {
    const system = makeSystem();
    const error = thrown(() => Producer.start(system, callbacks, { [name]: value } as any));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error.message).toContain(name);
    expect(system.system.getActors()).toEqual([]);
  });

  it.each([[null], [{}], [{ init: () => 0 }], [{ handleDemand: () => [[], 0] }], [{ init: 1, handleDemand: 2 }]])(
    "callbacks %j",
    (wrong) => {
      const system = makeSystem();
      expect(thrown(() => Producer.start(system, wrong as any))).toBeInstanceOf(InvalidArgumentError);
      expect(system.system.getActors()).toEqual([]);
    },
  );

  it("an init that throws; nothing is left", async () => {
    const system = makeSystem();
    const error = new Error("no");
    const init = (): never => {
      throw error;
    };
    expect(thrown(() => Producer.start(system, { ...callbacks, init }, {}, { name: "p" }))).toBe(error);
    expect(system.system.getActors()).toEqual([]);
    expect(await system.getActorByName("p")).toBeNull();
  });

  it("events that are no array, in emit()", () => {
    const { producer } = countUp(makeSystem());
    expect(thrown(() => producer.emit("abc" as any))).toBeInstanceOf(InvalidArgumentError);
  });
});
