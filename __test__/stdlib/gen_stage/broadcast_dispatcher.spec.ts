/**
 * The broadcast dispatcher: every event to every consumer, at the pace of the slowest.
 */

import { describe, expect, it } from "vitest";
import { makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, range, silent } from "../../support/stages.js";
import { makeSystem } from "../../support/system.js";
import { gate, turns } from "../../support/time.js";

const broadcast = { dispatcher: { type: "broadcast" } } as const;

describe("the broadcast dispatcher", () => {
  it.each([2, 3])(
    "gives %i consumers that subscribe one after another the same events from the start",
    async (count) => {
      const system = makeSystem();
      const { producer } = countUp(system, { ...broadcast, end: 100 });
      const all = Array.from({ length: count }, () => collect(system));
      for (const { consumer } of all) await consumer.subscribe(producer, { maxDemand: 10 });
      for (const { seen } of all) await seen.atLeast(100);
      for (const { seen } of all) expect(seen.events).toEqual(range(0, 100));
    },
  );

  it("has the demand of the slowest: min of all", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system, { ...broadcast, demand: "accumulate" });
    const maxDemands = [7, 3, 12];
    for (const maxDemand of maxDemands) await collect(system).consumer.subscribe(producer, { maxDemand });
    await eventually(async () => (await producer.getDemand()) === 22);
    producer.demand("forward");
    expect(await demands.next()).toBe(3);
    await turns();
    expect(demands.events).toEqual([3]);
  });

  it("is throttled by one slow consumer", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, broadcast);
    const door = gate();
    const [slow, fast] = [collect(system, () => door.promise), collect(system)];
    for (const { consumer } of [slow, fast]) await consumer.subscribe(producer, { maxDemand: 10, minDemand: 0 });
    await fast.seen.atLeast(10);
    await turns(50);
    expect(fast.seen.events).toEqual(range(0, 10));
    door.open();
    await fast.seen.atLeast(50);
    await slow.seen.atLeast(50);
    expect(slow.seen.events.slice(0, 50)).toEqual(fast.seen.events.slice(0, 50));
  });

  it("behaves as the demand dispatcher does with a single consumer", async () => {
    const system = makeSystem();
    const { producer, demands } = countUp(system, { ...broadcast, end: 50 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 10 });
    expect(await seen.take(50)).toEqual(range(0, 50));
    expect(demands.events[0]).toBe(10);
  });

  it("gives a late consumer what comes after it", async () => {
    const system = makeSystem();
    const { producer } = silent(system, broadcast);
    const [early, late] = [collect(system), collect(system)];
    await early.consumer.subscribe(producer);
    await eventually(async () => (await producer.getDemand()) === 1000);
    producer.emit([1, 2]);
    await early.seen.atLeast(2);
    await late.consumer.subscribe(producer);
    await eventually(async () => (await producer.getDemand()) === 1998);
    producer.emit([3, 4]);
    expect(await late.seen.take(2)).toEqual([3, 4]);
    expect(early.seen.events).toEqual([1, 2, 3, 4]);
  });

  it("goes on for the others when one cancels", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, broadcast);
    const door = gate();
    const [stuck, free] = [collect(system, () => door.promise), collect(system)];
    const subscription = await stuck.consumer.subscribe(producer, { maxDemand: 5, minDemand: 0 });
    await free.consumer.subscribe(producer, { maxDemand: 5, minDemand: 0 });
    await free.seen.atLeast(5);
    await turns(20);
    expect(free.seen.events).toHaveLength(5);
    stuck.consumer.cancel(subscription);
    await free.seen.atLeast(100);
    expect(free.seen.events.slice(0, 100)).toEqual(range(0, 100));
    door.open();
  });

  it("gives each consumer events of its own, whatever the others do with theirs", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { ...broadcast, end: 100, demand: "accumulate" });
    const taken = makeProbe<number>();
    const greedy = collect(system, (events) => {
      while (events.length > 0) taken.push(events.shift() as number);
    });
    const other = collect(system);
    for (const { consumer } of [greedy, other]) await consumer.subscribe(producer, { maxDemand: 10, minDemand: 0 });
    producer.demand("forward");
    expect(await other.seen.take(100)).toEqual(range(0, 100));
    expect(await taken.take(100)).toEqual(range(0, 100));
    expect((await greedy.consumer.stats()).received).toBe(100);
  });

  it("has no demand without consumers, and buffers", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system, broadcast);
    producer.emit([1, 2, 3]);
    expect(await producer.stats()).toMatchObject({ buffered: 3, dispatched: 0 });
    expect(demands.events).toEqual([]);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer);
    expect(await seen.take(3)).toEqual([1, 2, 3]);
  });

  it("counts an event once per consumer that got it", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { ...broadcast, end: 10 });
    const all = [collect(system), collect(system), collect(system)];
    for (const { consumer } of all) await consumer.subscribe(producer);
    for (const { seen } of all) await seen.atLeast(10);
    expect((await producer.stats()).dispatched).toBe(30);
  });
});
