/**
 * Dispatchers of one's own: what they are told, what they decide, and what their mistakes do.
 */

import { type Dispatcher, type DispatchTarget, Producer } from "libeam";
import { describe, expect, it } from "vitest";
import { gone, makeProbe } from "../../support/probe.js";
import { collect, eventually, range, silent } from "../../support/stages.js";
import { loggedErrors, makeSystem } from "../../support/system.js";
import { gate, rejection, turns } from "../../support/time.js";

/** One consumer after the other, one event each. */
class RoundRobin implements Dispatcher<number> {
  readonly told = makeProbe<string>();
  targets: DispatchTarget<number>[] = [];

  subscribe(target: DispatchTarget<number>): void {
    this.told.push(`subscribe ${target.pending} ${target.partition}`);
    this.targets.push(target);
  }

  cancel(target: DispatchTarget<number>, undelivered: readonly number[]): readonly number[] {
    this.told.push(`cancel ${undelivered.join()}`);
    this.targets = this.targets.filter((other) => other !== target);
    return undelivered;
  }

  demand(): number {
    const least = Math.min(...this.targets.map(({ pending }) => pending));
    return this.targets.length === 0 ? 0 : least * this.targets.length;
  }

  dispatch(events: readonly number[]): readonly number[] {
    const count = Math.min(this.demand(), events.length);
    for (const [at, target] of this.targets.entries()) {
      target.send(events.slice(0, count).filter((_, index) => index % this.targets.length === at));
    }
    return events.slice(count);
  }

  asked(target: DispatchTarget<number>): void {
    this.told.push(`asked ${target.pending}`);
  }
}

const custom = (dispatcher: Dispatcher) => ({ dispatcher: { type: "custom", dispatcher } }) as const;

describe("a custom dispatcher", () => {
  it("decides who gets what", async () => {
    const system = makeSystem();
    const { producer } = silent(system, { ...custom(new RoundRobin()), demand: "accumulate" });
    const all = [collect(system), collect(system), collect(system)];
    for (const { consumer } of all) await consumer.subscribe(producer, { maxDemand: 10 });
    await eventually(async () => (await producer.getDemand()) === 30);
    producer.demand("forward");
    producer.emit(range(0, 9));
    for (const [at, { seen }] of all.entries()) expect(await seen.take(3)).toEqual([at, at + 3, at + 6]);
  });

  it("is told of subscriptions, demand and cancellations", async () => {
    const system = makeSystem();
    const dispatcher = new RoundRobin();
    const { producer } = silent(system, custom(dispatcher));
    const door = gate();
    const { consumer, seen } = collect(system, () => door.promise);
    const subscription = await consumer.subscribe(producer, { maxDemand: 4, minDemand: 2, partition: "gold" });
    await dispatcher.told.atLeast(2);
    producer.emit(range(0, 6));
    await seen.atLeast(2);
    consumer.cancel(subscription);
    await dispatcher.told.atLeast(3);
    expect(dispatcher.told.events).toEqual(["subscribe 0 gold", "asked 4", "cancel 2,3"]);
    expect((await producer.stats()).buffered).toBe(4);
    door.open();
  });

  it("refuses a subscription by throwing, and nothing is subscribed", async () => {
    const system = makeSystem();
    const dispatcher = new RoundRobin();
    const error = new Error("members only");
    dispatcher.subscribe = () => {
      throw error;
    };
    const { producer } = silent(system, custom(dispatcher));
    const { consumer } = collect(system);
    expect(await rejection(consumer.subscribe(producer))).toBe(error);
    expect((await producer.stats()).downstream).toEqual([]);
    expect((await consumer.stats()).upstream).toEqual([]);
    expect(system.system._counters().monitors ?? 0).toBe(0);
  });

  it("that throws while it dispatches crashes the producer, which starts again with its consumers", async () => {
    const system = makeSystem();
    const dispatcher = new RoundRobin();
    const { producer } = silent(system, custom(dispatcher));
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 10 });
    await eventually(async () => (await producer.getDemand()) === 10);
    const dispatch = dispatcher.dispatch.bind(dispatcher);
    dispatcher.dispatch = () => {
      dispatcher.dispatch = dispatch;
      throw new Error("lost my head");
    };
    producer.emit([1]);
    producer.emit([2]);
    expect(await seen.next()).toBe(2);
    expect(loggedErrors()).not.toEqual([]);
  });

  it("that sends more than was asked for is told so; the consumer gets none of it", async () => {
    const system = makeSystem();
    const dispatcher = new RoundRobin();
    const errors = makeProbe<any>();
    dispatcher.dispatch = (events) => {
      try {
        dispatcher.targets[0].send(events);
      } catch (error) {
        errors.push(error);
      }
      return [];
    };
    const { producer } = silent(system, custom(dispatcher));
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 3 });
    await eventually(async () => (await producer.getDemand()) === 3);
    producer.emit(range(0, 4));
    expect((await errors.next()).code).toBe("STAGE");
    expect(errors.events[0].message).toContain("4 events");
    await turns();
    expect(seen.events).toEqual([]);
    expect((await producer.stats()).downstream[0].pending).toBe(3);
  });

  it.each([
    ["demand", () => Number.NaN, "a whole number from 0; it gave NaN"],
    ["demand", () => -5, "a whole number from 0; it gave -5"],
    ["demand", () => 0.5, "a whole number from 0; it gave 0.5"],
    ["demand", () => undefined, "a whole number from 0; it gave undefined"],
    ["dispatch", () => 5, "the rest of the events; it gave 5"],
    ["dispatch", () => [1, 2, 3, 4], "the rest of the events; it gave [ 1, 2, 3, 4 ]"],
    ["cancel", () => 5, "events to dispatch again; it gave 5"],
  ] as [keyof Dispatcher, () => any, string][])(
    "whose %s() gives what it must not crashes the producer",
    async (...of) => {
      const [method, give, why] = of;
      const system = makeSystem({ supervision: { strategy: "Stop" } });
      const dispatcher = Object.assign(new RoundRobin(), { [method]: give });
      const { producer } = silent(system, { ...custom(dispatcher), demand: "accumulate" });
      const { consumer } = collect(system);
      const subscription = await consumer.subscribe(producer, { maxDemand: 5 });
      const end = gone(system, producer.getRef());
      producer.emit([1, 2, 3]);
      await eventually(async () => (await producer.getDemand()) === 5);
      producer.demand("forward");
      if (method === "cancel") consumer.cancel(subscription);
      expect((await end) as any).toMatchObject({ type: "error", error: { code: "STAGE" } });
      expect(((await end) as any).error.message).toBe(`${method}() of a dispatcher must give ${why}`);
    },
  );

  it("whose cancel() gives nothing has nothing to dispatch again", async () => {
    const system = makeSystem();
    const dispatcher = Object.assign(new RoundRobin(), { cancel: () => undefined as any });
    const { producer } = silent(system, { ...custom(dispatcher), demand: "accumulate" });
    const { consumer } = collect(system);
    consumer.cancel(await consumer.subscribe(producer));
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect(loggedErrors()).toEqual([]);
  });

  it("may leave out asked() and queued()", async () => {
    const system = makeSystem();
    const targets: DispatchTarget[] = [];
    const dispatcher: Dispatcher = {
      subscribe: (target) => void targets.push(target),
      cancel: (_target, undelivered) => undelivered,
      demand: () => targets[0]?.pending ?? 0,
      dispatch: (events) => {
        targets[0].send(events);
        return [];
      },
    };
    const producer = Producer.start<number, number>(
      system,
      { init: () => 0, handleDemand: (demand, n) => [range(n, n + demand), n + demand] },
      custom(dispatcher),
    );
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 5 });
    expect(await seen.take(50)).toEqual(range(0, 50));
    expect((await producer.stats()).buffered).toBe(0);
  });

  it("may give events back though it has demand; they stay in front", async () => {
    const system = makeSystem();
    const dispatcher = new RoundRobin();
    const dispatch = dispatcher.dispatch.bind(dispatcher);
    dispatcher.dispatch = (events) => [...dispatch(events.slice(0, 3)), ...events.slice(3)];
    const { producer } = silent(system, { ...custom(dispatcher), demand: "accumulate" });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 100 });
    producer.emit(range(0, 10));
    producer.emit(range(10, 20));
    await eventually(async () => (await producer.getDemand()) === 100);
    producer.demand("forward");
    expect(await seen.take(20)).toEqual(range(0, 20));
  });

  it("that drops events itself is given more: they served no demand", async () => {
    const system = makeSystem();
    const dispatcher = new RoundRobin();
    const dispatch = dispatcher.dispatch.bind(dispatcher);
    dispatcher.dispatch = (events) => {
      const rest = dispatch(events.filter((n) => n % 2 === 0));
      if (rest.length > 0) throw new Error("more than was asked for");
      return [];
    };
    const producer = Producer.start<number, number>(
      system,
      { init: () => 0, handleDemand: (demand, n) => [range(n, n + demand), n + demand] },
      custom(dispatcher),
    );
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 5 });
    expect(await seen.take(50)).toEqual(range(0, 50).map((n) => 2 * n));
  });
});
