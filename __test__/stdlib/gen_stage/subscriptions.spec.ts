/**
 * Subscriptions: who can subscribe to what and how, and what each side does when the other one ends.
 */

import {
  CallAbortedError,
  type CancelMode,
  Consumer,
  createActor,
  InvalidArgumentError,
  InvalidOptionError,
  Producer,
  ProducerConsumer,
  SubscriptionError,
} from "libeam";
import { describe, expect, it, vi } from "vitest";
import { Echo } from "../../support/actors.js";
import { gone, makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, range, silent } from "../../support/stages.js";
import { leakFree, makeSystem } from "../../support/system.js";
import { gate, rejection, turns } from "../../support/time.js";

const MODES: CancelMode[] = ["permanent", "transient", "temporary"];

/** A producer that ends as told when it is told, and a consumer that has subscribed with a mode. */
async function pair(cancel: CancelMode | undefined, kind: "consumer" | "producer-consumer" = "consumer") {
  const system = makeSystem({ supervision: { strategy: "Stop" } });
  let end: "done" | Error | undefined;
  const producer = Producer.start<null, number>(system, {
    init: () => null,
    handleDemand: () => {
      if (end instanceof Error) throw end;
      return end === "done" ? [[], null, "done"] : [[], null];
    },
  });
  const stage =
    kind === "consumer"
      ? Consumer.start(system, { handleEvents: () => null })
      : ProducerConsumer.start(system, { handleEvents: (events, _from, state) => [events, state] });
  const options = cancel === undefined ? {} : { cancel };
  await stage.subscribe(producer, { maxDemand: 10, ...options });
  /** Has the producer's next demand end it. */
  const finish = async (how: "done" | Error): Promise<void> => {
    end = how;
    const nudge = collect(system);
    await nudge.consumer.subscribe(producer, { maxDemand: 3 });
  };
  const reason = gone(system, stage.getRef());
  const alive = async (): Promise<boolean> => {
    await turns(10);
    const { upstream } = await stage.stats();
    expect(upstream).toEqual([]);
    return true;
  };
  return { system, producer, stage, finish, reason, alive };
}

/** How many listeners a signal has from now on. */
function spyOnListeners(signal: AbortSignal): () => number {
  const add = vi.spyOn(signal, "addEventListener");
  const remove = vi.spyOn(signal, "removeEventListener");
  return () => add.mock.calls.length - remove.mock.calls.length;
}

describe.each(["consumer", "producer-consumer"] as const)("when the producer ends, a %s", (kind) => {
  it("that is permanent stops with it, whatever the reason", async () => {
    for (const how of ["done", "stop", "crash"] as const) {
      if (how === "done" && kind === "producer-consumer") continue; // It passes the end on; see there.
      const { producer, finish, reason } = await pair("permanent", kind);
      if (how === "stop") await producer.stop();
      else await finish(how === "done" ? how : new Error("boom"));
      expect((await reason).type).toBe(how === "crash" ? "exit" : "normal");
    }
  });

  it("that is permanent ends with the error of a crashed producer", async () => {
    const { finish, reason } = await pair("permanent", kind);
    await finish(new Error("broken pipe"));
    expect(await reason).toMatchObject({ type: "exit", reason: { message: "broken pipe" } });
  });

  it("that is transient stops after a crash and goes on after an orderly end", async () => {
    const crashed = await pair("transient", kind);
    await crashed.finish(new Error("boom"));
    expect((await crashed.reason).type).toBe("exit");
    const stopped = await pair("transient", kind);
    await stopped.producer.stop();
    await eventually(async () => (await stopped.stage.stats()).upstream.length === 0);
    expect(await stopped.alive()).toBe(true);
  });

  it.each(["temporary", undefined] as const)("that is %s goes on whatever the reason", async (cancel) => {
    for (const how of ["stop", "crash"] as const) {
      const { producer, finish, alive, stage } = await pair(cancel, kind);
      if (how === "stop") await producer.stop();
      else await finish(new Error("boom"));
      await eventually(async () => (await stage.stats()).upstream.length === 0);
      expect(await alive()).toBe(true);
    }
  });
});

describe("when the producer ends, a consumer", () => {
  it.each(["transient", "temporary"] as const)("that is %s goes on when the producer is done", async (cancel) => {
    const { finish, stage, alive } = await pair(cancel);
    await finish("done");
    await eventually(async () => (await stage.stats()).upstream.length === 0);
    expect(await alive()).toBe(true);
  });

  it.each([
    ["normal", "normal", MODES.slice(0, 1)],
    ["shutdown", "shutdown", MODES.slice(0, 1)],
    ["another word", "disk full", MODES.slice(0, 2)],
    ["kill", "kill", MODES.slice(0, 2)],
  ] as const)("follows an exit with the reason %s by its mode", async (_name, exit, following) => {
    for (const mode of MODES) {
      const { system, producer, stage, reason } = await pair(mode);
      const end = gone(system, producer.getRef());
      system.system.sendExit(null, producer.getRef(), exit);
      if (exit === "normal") await producer.stop(); // An exit signal of reason normal is ignored, as in OTP.
      await end;
      if (following.includes(mode)) await reason;
      else await eventually(async () => (await stage.stats()).upstream.length === 0);
      await turns(3);
      expect(system.system.getActors().some(({ className }) => className === "ConsumerActor")).toBe(
        !following.includes(mode),
      );
    }
  });

  it("handles what arrived before it is told", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const door = gate();
    const { consumer, seen, ends } = collect(system, () => door.promise);
    const subscription = await consumer.subscribe(producer, { maxDemand: 10, minDemand: 9 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 10));
    await seen.atLeast(1);
    await producer.stop();
    door.open();
    const { reason, from } = await ends.next();
    expect(reason).toEqual({ type: "normal" });
    expect(from.tag).toBe(subscription.tag);
    expect(seen.events).toEqual(range(0, 10));
    await turns();
    expect(ends.events).toHaveLength(1);
  });

  it("keeps its other subscriptions", async () => {
    const system = makeSystem();
    const [a, b] = [silent(system).producer, silent(system).producer];
    const { consumer, seen, ends } = collect(system);
    await consumer.subscribe(a);
    await consumer.subscribe(b);
    await a.stop();
    await ends.next();
    b.emit([1]);
    expect(await seen.next()).toBe(1);
    expect((await consumer.stats()).upstream).toHaveLength(1);
  });

  it("can subscribe to another producer afterwards", async () => {
    const system = makeSystem();
    const first = countUp(system, { end: 3, done: true }).producer;
    const { consumer, seen, ends } = collect(system);
    await consumer.subscribe(first);
    await ends.next();
    await consumer.subscribe(countUp(system, { end: 3 }).producer);
    expect(await seen.take(6)).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it("may handle the end asynchronously, and crash in it", async () => {
    const system = makeSystem();
    const producers = [countUp(system, { end: 2, done: true }).producer, countUp(system, { end: 4 }).producer];
    const ends = makeProbe<string>();
    const { consumer, seen } = collect(system, () => {}, undefined, {
      handleCancel: async (reason) => {
        ends.push(reason.type);
        await turns(1);
        throw new Error("in handleCancel");
      },
    });
    await consumer.subscribe(producers[0]);
    expect(await ends.next()).toBe("done");
    await consumer.subscribe(producers[1]);
    await seen.atLeast(6);
    expect(ends.events).toEqual(["done"]);
  });
});

describe("when the consumer ends, its producer", () => {
  it.each(["stop", "crash", "kill"] as const)("forgets it and takes its events back: %s", async (how) => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const { producer } = silent(system);
    const door = gate();
    const { consumer, seen } = collect(system, async () => {
      await door.promise;
      if (how === "crash") throw new Error("boom");
    });
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 9 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 5));
    await seen.atLeast(1);
    const end = gone(system, consumer.getRef());
    if (how === "stop") void consumer.stop();
    if (how === "kill") {
      system.system.sendExit(null, consumer.getRef(), "kill");
      await end; // The handler is still pending.
    }
    door.open();
    await end;
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect(await producer.stats()).toMatchObject({ buffered: 4, demand: 0 });
    expect(seen.events).toEqual([0]);
    await leakFree(system);
  });
});

describe("subscribe()", () => {
  it("takes a stage as well as its ref", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 10 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer);
    expect(await seen.take(10)).toEqual(range(0, 10));
  });

  it("gives a new tag each time", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const stages = [collect(system).consumer, collect(system).consumer];
    const tags = new Set<string>();
    for (let n = 0; n < 3; n++) for (const stage of stages) tags.add((await stage.subscribe(producer)).tag);
    expect(tags.size).toBe(6);
    expect((await producer.stats()).downstream).toHaveLength(6);
  });

  it.each([
    ["an actor that answers every call", Echo],
    ["an actor that knows no such call", createActor((_ctx, self) => self.onCall("x", () => 1))],
  ])("rejects with SubscriptionError for %s", async (_name, definition) => {
    const system = makeSystem();
    const ref = system.spawn(definition as any) as any;
    const { consumer } = collect(system);
    const error = await rejection(consumer.subscribe(ref));
    expect(error).toBeInstanceOf(SubscriptionError);
    expect(error.code).toBe("SUBSCRIPTION");
    expect((await consumer.stats()).upstream).toEqual([]);
  });

  it("rejects with SubscriptionError for a stage that produces nothing", async () => {
    const system = makeSystem();
    const [a, b] = [collect(system).consumer, collect(system).consumer];
    expect(await rejection(a.subscribe(b))).toBeInstanceOf(SubscriptionError);
  });

  it.each([null, undefined, {}, "producer", 5])("rejects for %j, which is no stage", async (wrong) => {
    const { consumer } = collect(makeSystem());
    expect(await rejection(consumer.subscribe(wrong as any))).toBeInstanceOf(InvalidArgumentError);
  });

  it.each([
    [{ maxDemand: 0 }],
    [{ maxDemand: -5 }],
    [{ maxDemand: 1.5 }],
    [{ maxDemand: Number.NaN }],
    [{ maxDemand: Infinity }],
    [{ maxDemand: "10" }],
    [{ maxDemand: 10, minDemand: 10 }],
    [{ maxDemand: 10, minDemand: 11 }],
    [{ maxDemand: 10, minDemand: -1 }],
    [{ maxDemand: 10, minDemand: 0.5 }],
    [{ minDemand: 1000 }],
    [{ cancel: "never" }],
    [{ cancel: 1 }],
  ])("refuses the options %j before anything changes", async (options) => {
    const system = makeSystem();
    const { producer } = silent(system);
    const { consumer } = collect(system);
    expect(await rejection(consumer.subscribe(producer, options as any))).toBeInstanceOf(InvalidOptionError);
    expect((await producer.stats()).downstream).toEqual([]);
    await leakFree(system);
  });

  it.each([[null], ["x"], [5], [[]]])("refuses options that are none: %j", async (options) => {
    const system = makeSystem();
    const { producer } = silent(system);
    const error = await rejection(collect(system).consumer.subscribe(producer, options as any));
    expect(error.code).toMatch(/^INVALID_/);
  });

  it("rejects when the consumer is stopped, and leaves nothing at the producer", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const { consumer } = collect(system);
    await consumer.stop();
    expect((await rejection(consumer.subscribe(producer))).code).toBe("ACTOR_NOT_FOUND");
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    await leakFree(system);
  });

  it("rejects when the producer stops meanwhile", async () => {
    const system = makeSystem();
    const door = gate();
    const producer = Producer.start(system, { init: () => door.promise, handleDemand: () => [[], undefined] });
    const { consumer } = collect(system);
    const refused = rejection(consumer.subscribe(producer));
    const stopped = producer.stop();
    door.open();
    expect((await refused).code).toMatch(/ACTOR_NOT_FOUND|STOP/);
    await stopped;
    expect((await consumer.stats()).upstream).toEqual([]);
  });
});

describe("an AbortSignal", () => {
  it("that is aborted refuses the subscription", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const { consumer } = collect(system);
    const signal = AbortSignal.abort(new Error("too late"));
    expect(await rejection(consumer.subscribe(producer, { signal }))).toBeInstanceOf(CallAbortedError);
    expect((await producer.stats()).downstream).toEqual([]);
  });

  it("cancels the subscription when it aborts", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const { consumer, seen } = collect(system);
    const controller = new AbortController();
    const subscription = await consumer.subscribe(producer, { maxDemand: 5, signal: controller.signal });
    await seen.atLeast(10);
    controller.abort();
    const handled = seen.events.length;
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    await turns();
    expect(seen.events.length).toBe(handled);
    expect(consumer.cancel(subscription)).toBe(false);
  });

  it("that aborts while the subscription is made leaves none", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const { consumer, seen } = collect(system);
    const controller = new AbortController();
    const subscribed = consumer.subscribe(producer, { signal: controller.signal });
    controller.abort();
    await subscribed.catch(() => {});
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect((await consumer.stats()).upstream).toEqual([]);
    await turns();
    expect(seen.events).toEqual([]);
  });

  it("is forgotten when the subscription ends otherwise", async () => {
    const system = makeSystem();
    const removed = makeProbe<string>();
    const { signal } = new AbortController();
    const remove = signal.removeEventListener.bind(signal);
    signal.removeEventListener = (type: string, listener: any) => {
      removed.push(type);
      remove(type, listener);
    };
    const { consumer, ends } = collect(system);
    const cancelled = await consumer.subscribe(silent(system).producer, { signal });
    consumer.cancel(cancelled);
    await consumer.subscribe(countUp(system, { end: 1, done: true }).producer, { signal });
    await ends.next();
    expect(removed.events).toEqual(["abort", "abort"]);
  });

  it("is forgotten when the consumer ends, and followed again when it has only crashed", async () => {
    const system = makeSystem();
    const controller = new AbortController();
    const { signal } = controller;
    const listening = spyOnListeners(signal);
    const { producer } = silent(system);
    const crashing = collect(system, () => {
      throw new Error("crash");
    });
    await crashing.consumer.subscribe(producer, { signal });
    const stopped = collect(system);
    await stopped.consumer.subscribe(producer, { signal });
    await stopped.consumer.stop();
    expect(listening()).toBe(1);
    producer.emit([1]);
    await crashing.seen.next();
    await eventually(async () => (await crashing.consumer.stats()).received === 0);
    expect(listening()).toBe(1);
    controller.abort();
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect(listening()).toBe(0);
  });

  it("that was followed by a consumer alone is forgotten with it", async () => {
    const system = makeSystem();
    const { signal } = new AbortController();
    const listening = spyOnListeners(signal);
    for (const how of ["stop", "kill"] as const) {
      const { consumer } = collect(system);
      await consumer.subscribe(silent(system).producer, { signal });
      expect(listening()).toBe(1);
      if (how === "stop") await consumer.stop();
      else system.system.sendExit(null, consumer.getRef(), "kill");
      await eventually(() => listening() === 0);
    }
  });

  it("that aborts between two incarnations cancels the subscription", async () => {
    const system = makeSystem();
    const controller = new AbortController();
    const { producer } = silent(system);
    const crash = (): never => {
      throw new Error("crash");
    };
    const { consumer, seen } = collect(system, crash, undefined, { terminate: () => controller.abort() });
    await consumer.subscribe(producer, { maxDemand: 2, minDemand: 1, signal: controller.signal });
    producer.emit([1, 2]);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect((await consumer.stats()).upstream).toEqual([]);
    expect(seen.events).toEqual([1]);
  });

  it("must be one", async () => {
    const system = makeSystem();
    const { consumer } = collect(system);
    const error = await rejection(consumer.subscribe(silent(system).producer, { signal: {} as any }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
  });
});
