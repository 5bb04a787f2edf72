/**
 * The partition dispatcher: a hash decides which consumer gets an event; one consumer for each partition.
 */

import { type Producer, type ProducerOptions, SubscriptionError, type System } from "libeam";
import { describe, expect, it } from "vitest";
import { collect, countUp, eventually, range, silent } from "../../support/stages.js";
import { leakFree, logged, loggedErrors, makeSystem } from "../../support/system.js";
import { gate, rejection, turns } from "../../support/time.js";

const split = (partitions: number, hash?: (event: any) => any): ProducerOptions => ({
  dispatcher: { type: "partition", partitions, ...(hash === undefined ? {} : { hash }) },
});

/** A producer of anything, emitted by hand, and a collector for each partition. */
async function spread(system: System, partitions: number, hash?: (event: any) => any) {
  const { producer } = silent(system, { ...split(partitions, hash), demand: "accumulate" });
  const all = [];
  for (let partition = 0; partition < partitions; partition++) {
    const collector = collect<any>(system);
    await collector.consumer.subscribe(producer, { partition });
    all.push(collector);
  }
  await eventually(async () => (await producer.getDemand()) === 1000 * partitions);
  producer.demand("forward");
  return { producer: producer as Producer<any>, all };
}

describe("the partition dispatcher", () => {
  it("routes by hash, in order within each partition", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { ...split(4, (n) => n % 4), end: 400 });
    const all = range(0, 4).map(() => collect(system));
    for (const [partition, { consumer }] of all.entries()) {
      await consumer.subscribe(producer.getRef(), { maxDemand: 10, partition });
    }
    for (const [partition, { seen }] of all.entries()) {
      expect(await seen.take(100)).toEqual(range(0, 100).map((n) => 4 * n + partition));
    }
    await leakFree(system, "monitors");
  });

  it("discards an event whose hash is null, without an error", async () => {
    const system = makeSystem();
    const { producer, all } = await spread(system, 2, (n) => (n < 0 ? null : n));
    producer.emit([0, -1, 1, -2]);
    expect(await all[0].seen.next()).toBe(0);
    expect(await all[1].seen.next()).toBe(1);
    expect(await producer.stats()).toMatchObject({ dispatched: 2, buffered: 0, dropped: 0 });
    expect(loggedErrors()).toEqual([]);
  });

  it("asks for more when events were discarded: they served no demand", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { ...split(1, (n) => (n % 10 === 9 ? 0 : null)), end: 1000 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 10, partition: 0 });
    expect(await seen.take(100)).toEqual(range(0, 100).map((n) => 10 * n + 9));
  });

  it("asks for more when events wait for a consumer of their partition: they served no demand", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { ...split(2), end: 1000 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 0, partition: 0 });
    expect(await seen.take(500)).toEqual(range(0, 500).map((n) => 2 * n));
  });

  it("does not block the event loop when every event is discarded", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { ...split(1, () => null), bufferSize: 10 });
    const { consumer } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 10, partition: 0 });
    await turns(50);
    await producer.stop();
    expect(system.system.getActors()).toHaveLength(1);
  });

  it("refuses a partition that is taken, and frees it when its consumer goes", async () => {
    const system = makeSystem();
    const { producer } = silent(system, split(2));
    const [a, b] = [collect(system), collect(system)];
    const subscription = await a.consumer.subscribe(producer, { partition: 1 });
    const error = await rejection(b.consumer.subscribe(producer, { partition: 1 }));
    expect(error).toBeInstanceOf(SubscriptionError);
    expect(error.message).toMatch(/taken/);
    expect((await b.consumer.stats()).upstream).toEqual([]);
    await b.consumer.subscribe(producer, { partition: 0 });
    a.consumer.cancel(subscription);
    await b.consumer.subscribe(producer, { partition: 1 });
    expect((await producer.stats()).downstream).toHaveLength(2);
  });

  it("requires the partition option", async () => {
    const system = makeSystem();
    const { producer } = silent(system, split(2));
    const error = await rejection(collect(system).consumer.subscribe(producer));
    expect(error).toBeInstanceOf(SubscriptionError);
    expect(error.message).toBe("PartitionDispatcher requires a 'partition' option on subscribe");
    await leakFree(system);
  });

  it.each([2, -1, 0.5, Number.NaN, Infinity, "2", "x", "", " ", "length", null, false, [], {}])(
    "refuses partition %j of two",
    async (partition) => {
      const system = makeSystem();
      const { producer } = silent(system, split(2));
      const { consumer } = collect(system);
      const error = await rejection(consumer.subscribe(producer, { partition: partition as any }));
      expect(error.message).toMatch(/partition/i);
      expect((await producer.stats()).downstream).toEqual([]);
      expect((await consumer.stats()).upstream).toEqual([]);
    },
  );

  it("names the partition that it refuses", async () => {
    const system = makeSystem();
    const { producer } = silent(system, split(2));
    const error = await rejection(collect(system).consumer.subscribe(producer, { partition: 7 }));
    expect(error).toBeInstanceOf(SubscriptionError);
    expect(error.message).toMatch(/^Invalid partition 7/);
  });

  it("accepts the index as a string", async () => {
    const system = makeSystem();
    const { producer } = silent(system, split(2));
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { partition: "1" });
    producer.emit([1]);
    expect(await seen.next()).toBe(1);
  });

  it("buffers the events of a partition without a consumer, per partition, and the others flow", async () => {
    const system = makeSystem();
    const { producer } = silent(system, split(2));
    const even = collect(system);
    await even.consumer.subscribe(producer, { partition: 0 });
    await eventually(async () => (await producer.getDemand()) === 1000);
    producer.emit(range(0, 100));
    await even.seen.atLeast(50);
    expect(await producer.stats()).toMatchObject({ buffered: 50, dispatched: 50 });
    const odd = collect(system);
    await odd.consumer.subscribe(producer, { partition: 1 });
    expect(await odd.seen.take(50)).toEqual(range(0, 50).map((n) => 2 * n + 1));
    expect((await producer.stats()).buffered).toBe(0);
  });

  it("does not overwhelm a slow partition: its events wait in the producer, within the demand of all", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, split(2));
    const door = gate();
    const [slow, fast] = [collect(system, () => door.promise), collect(system)];
    await slow.consumer.subscribe(producer, { maxDemand: 10, minDemand: 0, partition: 0 });
    await fast.consumer.subscribe(producer, { maxDemand: 10, minDemand: 0, partition: 1 });
    await slow.seen.atLeast(1);
    await turns(100);
    expect(slow.seen.events.length).toBeLessThanOrEqual(10);
    expect((await producer.stats()).buffered).toBeLessThanOrEqual(20);
    door.open();
    await slow.seen.atLeast(100);
    expect(slow.seen.events.slice(0, 100)).toEqual(range(0, 100).map((n) => 2 * n));
  });
});

describe("the default hash", () => {
  it("of numbers is the remainder", async () => {
    const { producer, all } = await spread(makeSystem(), 3);
    producer.emit([0, 1, 2, 3, 4, 5, 1_000_000_000_001]);
    expect(await all[0].seen.take(2)).toEqual([0, 3]);
    expect(await all[1].seen.take(2)).toEqual([1, 4]);
    expect(await all[2].seen.take(3)).toEqual([2, 5, 1_000_000_000_001]);
  });

  it("of negative numbers and fractions is one of the partitions", async () => {
    const { producer, all } = await spread(makeSystem(), 3);
    producer.emit([-1, -2, -3, 0.5, 1.9]);
    await eventually(() => all.reduce((sum, { seen }) => sum + seen.events.length, 0) === 5);
    expect((await producer.stats()).discarded).toBe(0);
  });

  it("of strings is djb2: equal strings stay together", async () => {
    const { producer, all } = await spread(makeSystem(), 4);
    const words = ["a", "b", "c", "d", "a", "b", "c", "d"];
    producer.emit(words);
    // djb2 of one letter is 5381 * 33 + its code; "a" gives 177670, which is 2 modulo 4.
    await eventually(() => all.reduce((sum, { seen }) => sum + seen.events.length, 0) === 8);
    expect(all.map(({ seen }) => seen.events)).toEqual([
      ["c", "c"],
      ["d", "d"],
      ["a", "a"],
      ["b", "b"],
    ]);
  });

  it("of objects is that of their key", async () => {
    const { producer, all } = await spread(makeSystem(), 4);
    const events = [{ key: 1 }, { key: "a" }, { key: 5 }, { key: 2, other: 1 }];
    producer.emit(events);
    expect(await all[1].seen.take(2)).toEqual([{ key: 1 }, { key: 5 }]);
    expect(await all[2].seen.take(2)).toEqual([{ key: "a" }, { key: 2, other: 1 }]);
  });

  it.each([
    null,
    undefined,
    true,
    12n,
    Symbol("x"),
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    { key: Number.NaN },
    {},
    Object.create(null),
    {
      toString() {
        throw new Error("no text");
      },
    },
    { key: Symbol("y") },
    [],
    () => 1,
  ])("of something else is one of the partitions, always the same (%#)", async (event) => {
    const { producer, all } = await spread(makeSystem(), 2);
    producer.emit([event, event, 0, 1]);
    await Promise.all(all.map(({ seen }, at) => seen.find((other) => other === at)));
    expect(await producer.stats()).toMatchObject({ discarded: 0, dispatched: 4 });
    expect((await producer.stats()).downstream.map(({ events }) => events).sort()).toEqual([1, 3]);
    expect(loggedErrors()).toEqual([]);
  });
});

describe("a bad result of the hash", () => {
  const throwing = (error: unknown) => () => {
    throw error;
  };
  const bad: [string, () => unknown][] = [
    ["out of range", () => 2],
    ["far out of range", () => 2 ** 53],
    ["NaN", () => Number.NaN],
    ["negative", () => -1],
    ["infinite", () => Infinity],
    ["a fraction", () => 0.5],
    ["undefined", () => undefined],
    ["a string", () => "0"],
    ["a bigint", () => 0n],
    ["a symbol", () => Symbol("0")],
    ["a promise", () => Promise.resolve(0)],
    ["an object", () => ({})],
    ["an object that cannot be printed", () => Object.create(null)],
    ["a thrown error", throwing(new Error("hash failed"))],
    ["a thrown string", throwing("hash failed")],
    ["a thrown undefined", throwing(undefined)],
    ["a thrown object that cannot be printed", throwing(Object.create(null))],
  ];

  it.each(bad)("%s: discards that event with an error log, and the producer lives", async (_name, result) => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const { producer, all } = await spread(system, 2, (n) => (n === 13 ? result() : n % 2));
    producer.emit([0, 13, 1]);
    expect(await all[0].seen.next()).toBe(0);
    expect(await all[1].seen.next()).toBe(1);
    producer.emit([2]);
    expect(await all[0].seen.next()).toBe(2);
    expect(await producer.stats()).toMatchObject({ discarded: 1, dispatched: 3, buffered: 0 });
    const errors = logged().filter(({ level }) => level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0].message).toContain("discarded");
    expect(errors[0].error).toBeInstanceOf(Error);
    expect(errors[0].context.actorId).toBe(producer.getRef().id.id);
  });

  it("does not stall the producer, however many there are", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const { producer } = countUp(system, { ...split(1, (n) => (n % 5 === 0 ? 0 : 99)), end: 500 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 7, partition: 0 });
    expect(await seen.take(100)).toEqual(range(0, 100).map((n) => 5 * n));
    expect((await producer.stats()).discarded).toBeGreaterThanOrEqual(396);
  });
});

describe("partitions of a producer that is done", () => {
  it("get everything before the end, each its own", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { ...split(2), end: 100, done: true, demand: "accumulate" });
    const both = [collect(system), collect(system)];
    for (const [partition, { consumer }] of both.entries()) {
      await consumer.subscribe(producer, { maxDemand: 5 + partition, partition });
    }
    producer.demand("forward");
    for (const [partition, { ends, seen }] of both.entries()) {
      expect((await ends.next()).reason).toEqual({ type: "done" });
      expect(seen.events).toEqual(range(0, 50).map((n) => 2 * n + partition));
    }
  });
});
