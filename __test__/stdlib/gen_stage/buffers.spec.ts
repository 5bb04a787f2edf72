/**
 * Bounds: what the buffers of a producer hold, what they drop, and that a flood kills nobody.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Producer, ProducerConsumer, TelemetryEvents, telemetry } from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, range, silent } from "../../support/stages.js";
import { logged, loggedErrors, makeSystem } from "../../support/system.js";
import { gate, turn, turns } from "../../support/time.js";

afterEach(() => telemetry.reset());

/** Overflows that telemetry tells. */
function overflows() {
  const seen = makeProbe<Record<string, number>>();
  telemetry.attach("spec", [TelemetryEvents.genStage.bufferOverflow], (_name, numbers) => seen.push(numbers));
  return seen;
}

describe("the buffer of a producer", () => {
  it("holds 10,000 events by default and keeps the newest", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    producer.emit(range(0, 10_000));
    expect(await producer.stats()).toMatchObject({ buffered: 10_000, dropped: 0 });
    producer.emit(range(10_000, 10_005));
    expect(await producer.stats()).toMatchObject({ buffered: 10_000, dropped: 5 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 20_000 });
    expect(await seen.take(10_000)).toEqual(range(5, 10_005));
  });

  it.each([
    ["last", [5, 6, 7]],
    ["first", [0, 1, 2]],
  ] as const)("with bufferKeep %s keeps the %s", async (bufferKeep, kept) => {
    const system = makeSystem();
    const { producer } = silent(system, { bufferSize: 3, bufferKeep });
    for (let n = 0; n < 8; n++) producer.emit([n]);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer);
    expect(await seen.take(3)).toEqual(kept);
    expect((await producer.stats()).dropped).toBe(5);
  });

  it("counts each overflow in stats, telemetry and the log", async () => {
    const system = makeSystem();
    const seen = overflows();
    const { producer } = silent(system, { bufferSize: 4 });
    producer.emit(range(0, 6));
    producer.emit(range(6, 7));
    producer.emit(range(7, 107));
    expect((await producer.stats()).dropped).toBe(103);
    expect(seen.events).toEqual([
      { dropped_count: 2, buffer_size: 4 },
      { dropped_count: 1, buffer_size: 4 },
      { dropped_count: 100, buffer_size: 4 },
    ]);
    const warnings = logged().filter(({ level }) => level === "warn");
    expect(warnings).toHaveLength(3);
    expect(warnings[0].context.actorId).toBe(producer.getRef().id.id);
  });

  it("of size 0 holds nothing", async () => {
    const system = makeSystem();
    const { producer } = silent(system, { bufferSize: 0 });
    producer.emit([1, 2]);
    expect(await producer.stats()).toMatchObject({ buffered: 0, dropped: 2 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 3, minDemand: 0 });
    await eventually(async () => (await producer.getDemand()) === 3);
    producer.emit([3, 4, 5, 6]);
    expect(await seen.take(3)).toEqual([3, 4, 5]);
    expect((await producer.stats()).dropped).toBe(3);
  });

  it("may be unbounded", async () => {
    const { producer } = silent(makeSystem(), { bufferSize: Infinity });
    producer.emit(range(0, 100_000));
    expect(await producer.stats()).toMatchObject({ buffered: 100_000, dropped: 0 });
  });

  it("drops nothing of what has demand", async () => {
    const system = makeSystem();
    const { producer } = silent(system, { bufferSize: 2 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 100, minDemand: 0 });
    await eventually(async () => (await producer.getDemand()) === 100);
    producer.emit(range(0, 102));
    await seen.atLeast(102);
    expect(seen.events).toEqual(range(0, 102));
    expect((await producer.stats()).dropped).toBe(0);
  });

  it.each(["first", "last"] as const)("counts exactly what it drops when events came back (keep %s)", async (keep) => {
    const system = makeSystem();
    const { producer } = silent(system, { bufferSize: 2, bufferKeep: keep });
    const door = gate();
    const { consumer, seen } = collect(system, () => door.promise);
    const subscription = await consumer.subscribe(producer, { maxDemand: 10, minDemand: 9 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 10));
    await seen.atLeast(1);
    consumer.cancel(subscription);
    expect(await producer.stats()).toMatchObject({ buffered: 9, dropped: 0 });
    producer.emit(range(10, 30));
    const { buffered, dropped } = await producer.stats();
    expect(buffered + dropped).toBe(29);
    const next = collect(system);
    await next.consumer.subscribe(producer);
    expect(await next.seen.take(buffered)).toEqual(keep === "first" ? range(1, 10) : [28, 29]);
    door.open();
  });
});

describe("the queues of partitions", () => {
  it("are bounded each on its own, and what they drop is counted", async () => {
    const system = makeSystem();
    const seen = overflows();
    const { producer } = silent(system, { bufferSize: 10, dispatcher: { type: "partition", partitions: 3 } });
    const zero = collect(system);
    await zero.consumer.subscribe(producer, { maxDemand: 1000, minDemand: 0, partition: 0 });
    await eventually(async () => (await producer.getDemand()) === 1000);
    producer.emit(range(0, 300));
    await zero.seen.atLeast(100);
    expect(await producer.stats()).toMatchObject({ buffered: 20, dropped: 180, dispatched: 100 });
    expect(seen.events).toEqual([
      { dropped_count: 90, buffer_size: 10 },
      { dropped_count: 90, buffer_size: 10 },
    ]);
    const one = collect(system);
    await one.consumer.subscribe(producer, { partition: 1 });
    expect(await one.seen.take(10)).toEqual(range(90, 100).map((n) => 3 * n + 1));
  });

  it("keep the oldest with bufferKeep first", async () => {
    const system = makeSystem();
    const { producer } = silent(system, {
      bufferSize: 3,
      bufferKeep: "first",
      dispatcher: { type: "partition", partitions: 2 },
    });
    await collect(system).consumer.subscribe(producer, { partition: 0 });
    await eventually(async () => (await producer.getDemand()) === 1000);
    producer.emit(range(0, 20));
    const one = collect(system);
    await one.consumer.subscribe(producer, { partition: 1 });
    expect(await one.seen.take(3)).toEqual([1, 3, 5]);
  });

  it("do not grow behind a slow consumer, whatever the skew", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, {
      bufferSize: 50,
      dispatcher: { type: "partition", partitions: 2, hash: (n) => (n % 100 === 99 ? 1 : 0) },
    });
    const door = gate();
    const slow = collect(system, () => door.promise);
    const fast = collect(system);
    await slow.consumer.subscribe(producer, { maxDemand: 20, partition: 0 });
    await fast.consumer.subscribe(producer, { maxDemand: 20, partition: 1 });
    await slow.seen.atLeast(1);
    await turns(200);
    const { buffered, dropped } = await producer.stats();
    expect(buffered).toBeLessThanOrEqual(90);
    expect(dropped).toBe(0);
    door.open();
    await slow.seen.atLeast(500);
    expect(slow.seen.events.slice(0, 500)).toEqual(
      range(0, 600)
        .filter((n) => n % 100 !== 99)
        .slice(0, 500),
    );
  });
});

describe("a million events in one batch", () => {
  const MILLION = 1_000_000;

  it.each([
    ["demand", { type: "demand" }],
    ["broadcast", { type: "broadcast" }],
    ["partition", { type: "partition", partitions: 1 }],
  ] as const)("of handleDemand crash nobody and all arrive: %s", async (_name, dispatcher) => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    let given = false;
    const producer = Producer.start<null, number>(
      system,
      {
        init: () => null,
        handleDemand: (_demand, state) => {
          if (given) return [[], state];
          given = true;
          return [range(0, MILLION), state];
        },
      },
      { dispatcher, bufferSize: Infinity },
    );
    let next = 0;
    let wrong = 0;
    const { consumer } = collect(system, () => {}, undefined, {
      handleEvents: (events: number[]) => {
        for (const n of events) if (n !== next++) wrong++;
      },
    });
    await consumer.subscribe(producer, { partition: 0 });
    await eventually(() => next === MILLION);
    expect(wrong).toBe(0);
    expect(loggedErrors()).toEqual([]);
  });

  it("for a full buffer crash nobody and are counted", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const { producer } = silent(system);
    producer.emit(range(0, MILLION));
    expect(await producer.stats()).toMatchObject({ buffered: 10_000, dropped: 990_000 });
  });

  it("for a partition without a consumer crash nobody and are counted", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const { producer } = silent(system, { dispatcher: { type: "partition", partitions: 2, hash: () => 1 } });
    const { consumer } = collect(system);
    await consumer.subscribe(producer, { partition: 0, maxDemand: MILLION });
    await eventually(async () => (await producer.getDemand()) === MILLION);
    producer.emit(range(0, MILLION));
    expect(await producer.stats()).toMatchObject({ buffered: 10_000, dropped: 990_000, demand: MILLION });
  });

  it("of a producer-consumer crash nobody and all arrive", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const { producer } = countUp(system, { end: 1 });
    const stage = ProducerConsumer.start<null, number, number>(system, {
      handleEvents: (_events, _from, state) => [range(0, MILLION), state],
    });
    let count = 0;
    const { consumer } = collect(system, () => {}, undefined, {
      handleEvents: (events: number[]) => {
        count += events.length;
      },
    });
    await stage.subscribe(producer);
    await consumer.subscribe(stage);
    await eventually(() => count === MILLION);
    expect((await stage.stats()).dropped).toBe(0);
  });
});

describe("a million events through three stages", () => {
  it("with maxDemand 1000 all arrive in order, and the heap stays bounded", { timeout: 60_000 }, async () => {
    const EVENTS = 1_000_000;
    setFlagsFromString("--expose_gc");
    const collectGarbage: () => void = runInNewContext("gc");
    const system = makeSystem();
    const producer = Producer.start<number, { n: number }>(system, {
      init: () => 0,
      handleDemand: (demand, from) => {
        const to = Math.min(EVENTS, from + demand);
        return [range(from, to).map((n) => ({ n })), to];
      },
    });
    const stage = ProducerConsumer.start<null, { n: number }, { n: number }>(system, {
      handleEvents: (events, _from, state) => [events.map(({ n }) => ({ n: n + 1 })), state],
    });
    let next = 1;
    let wrong = 0;
    const { consumer } = collect<{ n: number }>(system, () => {}, undefined, {
      handleEvents: (events: { n: number }[]) => {
        for (const { n } of events) if (n !== next++) wrong++;
      },
    });
    await stage.subscribe(producer, { maxDemand: 1000 });
    await consumer.subscribe(stage, { maxDemand: 1000 });
    await eventually(() => next > 10_000);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    let most = 0;
    for (let quarter = 1; quarter <= 4; quarter++) {
      while (next <= (EVENTS * quarter) / 4) await turn();
      collectGarbage();
      most = Math.max(most, process.memoryUsage().heapUsed - before);
    }
    expect(next).toBe(EVENTS + 1);
    expect(wrong).toBe(0);
    expect(most).toBeLessThan(20 * 1024 * 1024);
    expect(await stage.stats()).toMatchObject({ buffered: 0, dropped: 0, received: EVENTS });
  });
});
