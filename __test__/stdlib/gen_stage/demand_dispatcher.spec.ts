/**
 * The demand dispatcher: each event to one consumer, the one that waits for most.
 */

import { describe, expect, it } from "vitest";
import { collect, countUp, eventually, range, silent, sorted } from "../../support/stages.js";
import { makeSystem } from "../../support/system.js";
import { gate, turns } from "../../support/time.js";

describe("the demand dispatcher", () => {
  it("gives both of two consumers events, and no event twice", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 1000 });
    const both = [collect(system, () => turns(1)), collect(system, () => turns(1))];
    for (const { consumer } of both) await consumer.subscribe(producer, { maxDemand: 10 });
    await eventually(() => both[0].seen.events.length + both[1].seen.events.length === 1000);
    expect(sorted(both.flatMap(({ seen }) => seen.events))).toEqual(range(0, 1000));
    for (const { seen } of both) expect(seen.events.length).toBeGreaterThan(100);
  });

  it("is the default, and can be named", async () => {
    const system = makeSystem();
    for (const options of [{}, { dispatcher: { type: "demand" } as const }]) {
      const { producer } = countUp(system, { end: 10, ...options });
      const both = [collect(system), collect(system)];
      for (const { consumer } of both) await consumer.subscribe(producer, { maxDemand: 10 });
      await eventually(() => both[0].seen.events.length + both[1].seen.events.length >= 10);
      await turns();
      expect(sorted(both.flatMap(({ seen }) => seen.events))).toEqual(range(0, 10));
    }
  });

  it("sends to the consumer with the highest demand first", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const consumers = [3, 10, 5].map((maxDemand) => ({ maxDemand, ...collect(system, () => gate().promise) }));
    for (const { consumer, maxDemand } of consumers) {
      await consumer.subscribe(producer, { maxDemand, minDemand: 0 });
    }
    await eventually(async () => (await producer.getDemand()) === 18);
    producer.emit([1]); // Demands are 3, 10, 5, and then 3, 9, 5 and so on.
    producer.emit([2, 3, 4]);
    producer.emit([5]);
    await consumers[1].seen.atLeast(1);
    expect((await producer.stats()).downstream.map(({ pending }) => pending)).toEqual([3, 5, 5]);
    producer.emit([6, 7, 8, 9, 10]);
    producer.emit([11, 12, 13]);
    await eventually(async () => (await producer.stats()).dispatched === 13);
    expect((await producer.stats()).downstream.map(({ pending }) => pending)).toEqual([3, 0, 2]);
  });

  it("gives events to the first subscriber among equals", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const both = [collect(system), collect(system)];
    for (const { consumer } of both) await consumer.subscribe(producer, { maxDemand: 4, minDemand: 0 });
    await eventually(async () => (await producer.getDemand()) === 8);
    producer.emit([1]);
    expect(await both[0].seen.next()).toBe(1);
    producer.emit([2]);
    expect(await both[1].seen.next()).toBe(2);
  });

  it("splits one batch over consumers when one alone did not ask for so many", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const doors = [gate(), gate()];
    const both = doors.map((door) => collect(system, () => door.promise));
    for (const { consumer } of both) await consumer.subscribe(producer, { maxDemand: 4, minDemand: 0 });
    await eventually(async () => (await producer.getDemand()) === 8);
    producer.emit(range(0, 10));
    for (const { seen } of both) await seen.atLeast(4);
    expect(both.map(({ seen }) => seen.events)).toEqual([range(0, 4), range(4, 8)]);
    expect((await producer.stats()).buffered).toBe(2);
    for (const door of doors) door.open();
  });

  it("does not wait for a slow consumer", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 500 });
    const door = gate();
    const slow = collect(system, () => door.promise);
    const fast = collect(system);
    await slow.consumer.subscribe(producer, { maxDemand: 5, minDemand: 0 });
    await slow.seen.atLeast(5);
    await fast.consumer.subscribe(producer, { maxDemand: 5 });
    await fast.seen.atLeast(495);
    expect(slow.seen.events).toHaveLength(5);
    door.open();
  });

  it("lets one consumer subscribe twice, with demand for each", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const { consumer, seen } = collect(system);
    const a = await consumer.subscribe(producer, { maxDemand: 2, minDemand: 0 });
    const b = await consumer.subscribe(producer, { maxDemand: 3, minDemand: 0 });
    expect(a.tag).not.toBe(b.tag);
    await eventually(async () => (await producer.getDemand()) === 5);
    producer.emit(range(0, 5));
    await seen.atLeast(5);
    expect(sorted(seen.events)).toEqual(range(0, 5));
  });
});
