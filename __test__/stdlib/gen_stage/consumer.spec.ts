/**
 * Consumers: when they ask, how events are handed over, and what stopping and cancelling do.
 */

import { ActorRef, Consumer, InvalidArgumentError, SubscriptionRef } from "libeam";
import { describe, expect, it } from "vitest";
import { makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, onlyDownstream, range, silent, sorted } from "../../support/stages.js";
import { leakFree, makeSystem } from "../../support/system.js";
import { gate, thrown, turns } from "../../support/time.js";

describe("a consumer", () => {
  it("starts synchronously and has a ref", async () => {
    const system = makeSystem();
    const { consumer } = collect(system);
    expect(consumer).toBeInstanceOf(Consumer);
    expect(consumer.getRef()).toBeInstanceOf(ActorRef);
    await consumer.stop();
    expect(system.system.getActors()).toEqual([]);
  });

  it("gets its subscription's ref with the events, and its state from call to call", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 6 });
    const calls = makeProbe<{ events: number[]; from: SubscriptionRef; sum: number }>();
    const consumer = Consumer.start<number, number>(
      system,
      {
        init: (start: number) => start,
        handleEvents: (events, from, sum) => {
          calls.push({ events, from, sum });
          return events.reduce((a, b) => a + b, sum);
        },
      },
      {},
      100,
    );
    const subscription = await consumer.subscribe(producer, { maxDemand: 2, minDemand: 0 });
    expect(subscription).toBeInstanceOf(SubscriptionRef);
    expect(subscription.producerRef.id.id).toBe(producer.getRef().id.id);
    await calls.take(3);
    expect(calls.events.map(({ events, sum }) => ({ events, sum }))).toEqual([
      { events: [0, 1], sum: 100 },
      { events: [2, 3], sum: 101 },
      { events: [4, 5], sum: 106 },
    ]);
    for (const { from } of calls.events) expect(from.tag).toBe(subscription.tag);
  });

  it("has maxDemand 1000 and asks again at 750 by default", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { consumer, chunks } = collect(system);
    await consumer.subscribe(producer.getRef());
    expect(await demands.next()).toBe(1000);
    producer.emit(range(0, 249));
    await chunks.next();
    expect(await producer.getDemand()).toBe(751);
    expect(demands.events).toEqual([1000]);
    producer.emit([249]);
    await chunks.next();
    expect(await demands.next()).toBe(250);
    expect(await producer.getDemand()).toBe(1000);
  });

  it.each([
    [1, 0],
    [2, 1],
    [10, 7],
    [100, 75],
  ])("with maxDemand %i asks again at %i by default", async (maxDemand, minDemand) => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand });
    expect(await demands.next()).toBe(maxDemand);
    for (let n = 1; n < maxDemand - minDemand; n++) producer.emit([n]);
    await seen.atLeast(maxDemand - minDemand - 1);
    expect(await producer.getDemand()).toBe(minDemand + 1);
    expect(demands.events).toHaveLength(1);
    producer.emit([0]);
    expect(await demands.next()).toBe(maxDemand - minDemand);
  });

  it("never gets a chunk larger than maxDemand - minDemand, whatever came at once", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 300 });
    const { consumer, chunks, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 6 });
    await seen.atLeast(300);
    expect(Math.max(...chunks.events.map(({ length }) => length))).toBe(4);
    expect(seen.events).toEqual(range(0, 300));
  });

  it("never has more than maxDemand events asked for and not handed over", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const most: number[] = [];
    let handed = 0;
    const { consumer, seen } = collect(system, async (events) => {
      most.push((await producer.stats()).dispatched - handed);
      handed += events.length;
    });
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 7 });
    await seen.atLeast(200);
    expect(most.every((inFlight) => inFlight <= 10)).toBe(true);
    expect(Math.max(...most)).toBeGreaterThan(3);
  });

  it("gets more than maxDemand events in all, because it asks again", async () => {
    const system = makeSystem();
    const { producer, demands } = countUp(system);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 5 });
    await seen.atLeast(500);
    expect(demands.events[0]).toBe(5);
    expect(demands.events.every((demand) => demand <= 5)).toBe(true);
  });

  it("takes events of several producers, each in its order", async () => {
    const system = makeSystem();
    const sources = [0, 1000, 2000].map(() => countUp(system, { end: 100 }).producer);
    const by = new Map<string, number[]>();
    const { consumer, seen } = collect(system, (events, from) => {
      by.set(from.tag, [...(by.get(from.tag) ?? []), ...events]);
    });
    const subscriptions = [];
    for (const [at, source] of sources.entries()) {
      subscriptions.push(await consumer.subscribe(source, { maxDemand: 3 + at }));
    }
    await seen.atLeast(300);
    expect(by.size).toBe(3);
    for (const { tag } of subscriptions) expect(by.get(tag)).toEqual(range(0, 100));
    expect((await consumer.stats()).upstream.map(({ maxDemand }) => maxDemand)).toEqual([3, 4, 5]);
  });

  it("counts what it handled and what it waits for", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 12 });
    const { consumer, seen } = collect(system);
    const { tag } = await consumer.subscribe(producer, { maxDemand: 10, minDemand: 5 });
    await seen.atLeast(12);
    const stats = await consumer.stats();
    expect(stats).toMatchObject({ received: 12, downstream: [], dispatched: 0, demand: 0 });
    expect(stats.upstream).toMatchObject([{ tag, maxDemand: 10 }]);
    expect(stats.upstream[0].stage.id.id).toBe(producer.getRef().id.id);
    const { pending } = stats.upstream[0];
    expect(pending).toBeGreaterThan(5);
    expect(pending).toBeLessThanOrEqual(10);
    expect((await onlyDownstream(producer)).pending).toBe(pending);
  });

  it("refuses callbacks without handleEvents", () => {
    const system = makeSystem();
    for (const wrong of [null, undefined, {}, { handleEvents: 1 }, "x"]) {
      expect(thrown(() => Consumer.start(system, wrong as any))).toBeInstanceOf(InvalidArgumentError);
    }
    expect(system.system.getActors()).toEqual([]);
  });

  it.each(["init", "handleCancel", "terminate"])("refuses a %s that is no function", (name) => {
    const system = makeSystem();
    const error = thrown(() => Consumer.start(system, { handleEvents: () => {}, [name]: 5 } as any));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error.message).toBe(`Invalid Consumer ${name}: expected a function, got 5`);
    expect(system.system.getActors()).toEqual([]);
  });

  it("serves no calls of others", async () => {
    const { consumer } = collect(makeSystem());
    await expect(consumer.getRef().call("hello")).rejects.toMatchObject({ code: "UNKNOWN_CALL_METHOD" });
  });

  it("is not disturbed by casts that it does not understand", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 10 });
    const { consumer, seen } = collect(system);
    for (const ref of [consumer.getRef(), producer.getRef()]) {
      for (const wrong of [null, undefined, 5, "ask", {}, { kind: "ask" }, { kind: "ask", tag: "x", count: 5 }, []]) {
        ref.cast(wrong);
      }
    }
    await consumer.subscribe(producer, { maxDemand: 3 });
    expect(await seen.take(10)).toEqual(range(0, 10));
  });
});

describe("cancel()", () => {
  it("is true once for a subscription and false otherwise", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const { consumer } = collect(system);
    const other = collect(system);
    const subscription = await consumer.subscribe(producer);
    expect(other.consumer.cancel(subscription)).toBe(false);
    expect(consumer.cancel(subscription)).toBe(true);
    expect(consumer.cancel(subscription)).toBe(false);
    expect(consumer.cancel(new SubscriptionRef("nothing", producer.getRef()))).toBe(false);
    expect(consumer.cancel(undefined as any)).toBe(false);
  });

  it("stops delivery at once: nothing is handed over after it", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const { consumer, seen } = collect(system);
    const subscription = await consumer.subscribe(producer, { maxDemand: 5 });
    await seen.atLeast(20);
    consumer.cancel(subscription);
    const before = seen.events.length;
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    await turns();
    expect(seen.events.length).toBe(before);
    expect((await consumer.stats()).upstream).toEqual([]);
    await leakFree(system);
  });

  it("in the handler leaves the rest of the batch to the producer", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const { consumer, seen } = collect(system, (events: number[], from) => {
      if (events.includes(3)) consumer.cancel(from);
    });
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 9 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 10));
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect(seen.events).toEqual([0, 1, 2, 3]);
    expect((await producer.stats()).buffered).toBe(6);
    const next = collect(system);
    await next.consumer.subscribe(producer, { maxDemand: 10 });
    expect(await next.seen.take(6)).toEqual(range(4, 10));
  });

  it("of one subscription leaves the others", async () => {
    const system = makeSystem();
    const [a, b] = [silent(system).producer, silent(system).producer];
    const { consumer, seen } = collect(system);
    const first = await consumer.subscribe(a);
    await consumer.subscribe(b);
    consumer.cancel(first);
    a.emit([1]);
    b.emit([2]);
    expect(await seen.next()).toBe(2);
    expect(await a.stats()).toMatchObject({ buffered: 1, downstream: [] });
  });
});

describe("stop()", () => {
  it("leaves the producer fine, with everything that was not handed over", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 100 });
    const door = gate();
    const { consumer, seen } = collect(system, () => door.promise);
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 8 });
    await seen.atLeast(2);
    const stopped = consumer.stop();
    door.open();
    await stopped;
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    const next = collect(system);
    await next.consumer.subscribe(producer, { maxDemand: 10 });
    await eventually(() => seen.events.length + next.seen.events.length === 100);
    expect(sorted([...seen.events, ...next.seen.events])).toEqual(range(0, 100));
    await leakFree(system, "monitors");
  });

  it("runs terminate with the last state", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 3 });
    const last = makeProbe<number>();
    const consumer = Consumer.start<number, number>(system, {
      init: () => 0,
      handleEvents: (events, _from, state) => state + events.length,
      terminate: last.push,
    });
    await consumer.subscribe(producer);
    await eventually(async () => (await consumer.stats()).received === 3);
    await consumer.stop();
    expect(last.events).toEqual([3]);
  });
});
