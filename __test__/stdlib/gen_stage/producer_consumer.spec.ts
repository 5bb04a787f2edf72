/**
 * Producer-consumers: transformation, order, and above all that they ask for no more than they are asked for.
 */

import {
  ActorRef,
  InvalidArgumentError,
  InvalidOptionError,
  ProducerConsumer,
  type ProducerOptions,
  type System,
  TelemetryEvents,
  telemetry,
} from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, range, silent } from "../../support/stages.js";
import { leakFree, makeSystem } from "../../support/system.js";
import { gate, thrown, turns } from "../../support/time.js";

afterEach(() => telemetry.reset());

/** Passes events on as they are, and keeps the chunks that it got. */
function relay(system: System, options?: ProducerOptions, handle: () => unknown = () => {}) {
  const chunks = makeProbe<number[]>();
  const stage = ProducerConsumer.start<null, number, number>(
    system,
    {
      handleEvents: async (events, _from, state) => {
        chunks.push(events);
        await handle();
        return [events, state];
      },
    },
    options,
  );
  return { stage, chunks };
}

const mapTo = (system: System, map: (n: number) => number[], options?: ProducerOptions) =>
  ProducerConsumer.start<null, number, number>(
    system,
    { handleEvents: (events, _from, state) => [events.flatMap(map), state] },
    options,
  );

describe("a producer-consumer", () => {
  it("starts synchronously, has a ref, and stops", async () => {
    const system = makeSystem();
    const stage = mapTo(system, (n) => [n]);
    expect(stage).toBeInstanceOf(ProducerConsumer);
    expect(stage.getRef()).toBeInstanceOf(ActorRef);
    await stage.stop();
    expect(system.system.getActors()).toEqual([]);
  });

  it("transforms in order, with state (the pipeline of three stages of the README)", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 200 });
    const multiplier = ProducerConsumer.start<number, number, number>(system, {
      init: () => 10,
      handleEvents: (events, _from, factor) => [events.map((event) => event * factor), factor],
    });
    const { consumer, seen } = collect(system);
    await multiplier.subscribe(producer.getRef(), { maxDemand: 50 });
    await consumer.subscribe(multiplier.getRef(), { maxDemand: 50 });
    expect(await seen.take(200)).toEqual(range(0, 200).map((n) => 10 * n));
    expect(await multiplier.stats()).toMatchObject({ received: 200, dispatched: 200, buffered: 0, dropped: 0 });
    await leakFree(system, "monitors");
  });

  it("makes fewer events out of many (N to M): what is filtered is asked for again", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 1000 });
    const stage = mapTo(system, (n) => (n % 100 === 99 ? [n] : []));
    const { consumer, seen } = collect(system);
    await stage.subscribe(producer, { maxDemand: 7 });
    await consumer.subscribe(stage, { maxDemand: 3 });
    expect(await seen.take(10)).toEqual([99, 199, 299, 399, 499, 599, 699, 799, 899, 999]);
  });

  it("makes many events out of few: the surplus waits and nothing is lost", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 50 });
    const stage = mapTo(system, (n) => range(n * 20, n * 20 + 20));
    const { consumer, chunks, seen } = collect(system);
    await stage.subscribe(producer, { maxDemand: 10 });
    await consumer.subscribe(stage, { maxDemand: 6, minDemand: 2 });
    expect(await seen.take(1000)).toEqual(range(0, 1000));
    expect(Math.max(...chunks.events.map(({ length }) => length))).toBe(4);
    expect((await stage.stats()).dropped).toBe(0);
  });

  it("asks its producer for nothing without a consumer, and does nothing at all", async () => {
    const system = makeSystem();
    const { producer, demands } = countUp(system);
    const { stage, chunks } = relay(system);
    await stage.subscribe(producer, { maxDemand: 100 });
    await leakFree(system, "monitors"); // The timer of the first demand has fired.
    const reads = async () =>
      [await producer.stats(), await stage.stats()].map(({ upstream, downstream, ...rest }) => ({
        ...rest,
        pending: [...upstream, ...downstream].map(({ pending }) => pending),
      }));
    const idle = { demand: 0, buffered: 0, dispatched: 0, dropped: 0, discarded: 0, received: 0, pending: [0] };
    expect(await reads()).toEqual([idle, idle]);
    const before = system.system._counters();
    await turns(500);
    expect(system.system._counters()).toEqual(before);
    expect(await reads()).toEqual([idle, idle]);
    expect(demands.events).toEqual([]);
    expect(chunks.events).toEqual([]);
    await leakFree(system, "monitors");
  });

  it("uses no CPU without a consumer: no message flows", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const { stage } = relay(system);
    await stage.subscribe(producer);
    await leakFree(system, "monitors"); // The timer of the first demand has fired.
    await turns();
    const messages = makeProbe<readonly string[]>();
    const { handleCall, handleCast } = TelemetryEvents.actor;
    telemetry.attach(
      "spec",
      [
        [...handleCast, "start"],
        [...handleCall, "start"],
      ],
      messages.push,
    );
    await turns(500);
    expect(messages.events).toEqual([]);
    await producer.stats();
    expect(messages.events).toHaveLength(1);
  });

  it("asks for a whole portion as soon as its consumers lack something, which its buffer has room for", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { stage } = relay(system, { bufferSize: 20 });
    await stage.subscribe(producer, { maxDemand: 100 });
    const { consumer } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 7 });
    expect(await demands.next()).toBe(27);
    await turns();
    expect(await producer.getDemand()).toBe(27);
  });

  it("handles whole portions, however little its consumers ask for at a time", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 1000 });
    const chunks: number[] = [];
    const sums = ProducerConsumer.start<number, number, number>(system, {
      init: () => 0,
      handleEvents: (events, _from, sum) => {
        chunks.push(events.length);
        const total = events.reduce((a, b) => a + b, sum);
        return [[total], total];
      },
    });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(sums, { maxDemand: 1 });
    await sums.subscribe(producer, { maxDemand: 100, minDemand: 50 });
    await eventually(() => seen.events.at(-1) === (1000 * 999) / 2);
    expect(chunks).toEqual(Array(20).fill(50));
  });

  it("without a buffer asks for no more than its consumers lack", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { stage } = relay(system, { bufferSize: 0 });
    await stage.subscribe(producer, { maxDemand: 100 });
    const { consumer } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 7 });
    expect(await demands.next()).toBe(7);
    const second = collect(system);
    await second.consumer.subscribe(stage, { maxDemand: 5 });
    expect(await demands.next()).toBe(5);
    await turns();
    expect(await producer.getDemand()).toBe(12);
    expect(await stage.getDemand()).toBe(12);
  });

  it("asks for no more than maxDemand, whatever its consumers lack", async () => {
    const system = makeSystem();
    const { producer, demands } = silent(system);
    const { stage } = relay(system);
    await stage.subscribe(producer, { maxDemand: 3 });
    const { consumer } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 50 });
    expect(await demands.next()).toBe(3);
    await turns();
    expect(await producer.getDemand()).toBe(3);
  });

  it("stops asking when its consumer stops, and does not run its handler for nobody", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const { stage, chunks } = relay(system);
    await stage.subscribe(producer, { maxDemand: 10 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 10 });
    await seen.atLeast(100);
    await consumer.stop();
    await eventually(async () => (await stage.stats()).downstream.length === 0);
    await stage.stats();
    const handled = chunks.events.length;
    const before = (await producer.stats()).dispatched;
    await turns(100);
    expect(chunks.events.length).toBe(handled);
    expect((await producer.stats()).dispatched).toBe(before);
    expect((await producer.stats()).downstream[0].pending).toBeLessThanOrEqual(10);
  });

  it("holds back the whole chain when the last consumer is slow", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const [a, b] = [relay(system).stage, relay(system).stage];
    const door = gate();
    const { consumer, seen } = collect(system, () => door.promise);
    await a.subscribe(producer, { maxDemand: 10 });
    await b.subscribe(a, { maxDemand: 10 });
    await consumer.subscribe(b, { maxDemand: 10 });
    await seen.atLeast(1);
    await turns(200);
    expect((await producer.stats()).dispatched).toBeLessThanOrEqual(30);
    door.open();
    await seen.atLeast(1000);
    expect(seen.events.slice(0, 1000)).toEqual(range(0, 1000));
  });

  it("hands at most maxDemand - minDemand events to its handler", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 300 });
    const { stage, chunks } = relay(system);
    await stage.subscribe(producer, { maxDemand: 20, minDemand: 15 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 100 });
    await seen.atLeast(300);
    expect(Math.max(...chunks.events.map(({ length }) => length))).toBeLessThanOrEqual(5);
    expect(seen.events).toEqual(range(0, 300));
  });

  it("takes from several producers; one that has nothing does not hold the others back", async () => {
    const system = makeSystem();
    const [idle, busy] = [silent(system).producer, countUp(system, { end: 500 }).producer];
    const { stage } = relay(system);
    await stage.subscribe(idle, { maxDemand: 10 });
    await stage.subscribe(busy, { maxDemand: 10 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 10 });
    expect(await seen.take(500)).toEqual(range(0, 500));
  });

  it("can have a bounded buffer, which drops what handleEvents made too much", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 1 });
    const stage = mapTo(system, () => range(0, 100), { bufferSize: 10, bufferKeep: "first" });
    await stage.subscribe(producer);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 5 });
    expect(await seen.take(15)).toEqual(range(0, 15));
    expect((await stage.stats()).dropped).toBe(85);
  });

  it("can broadcast and partition what it makes", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 20 });
    const spread = mapTo(system, (n) => [n], { dispatcher: { type: "partition", partitions: 2 } });
    await spread.subscribe(producer, { maxDemand: 4 });
    const even = mapTo(system, (n) => [n], { dispatcher: { type: "broadcast" }, demand: "accumulate" });
    await even.subscribe(spread, { partition: 0, maxDemand: 4 });
    const odd = collect(system);
    await odd.consumer.subscribe(spread, { partition: 1, maxDemand: 4 });
    const both = [collect(system), collect(system)];
    for (const { consumer } of both) await consumer.subscribe(even, { maxDemand: 3 });
    even.demand("forward");
    const evens = range(0, 10).map((n) => 2 * n);
    for (const { seen } of both) expect(await seen.take(10)).toEqual(evens);
    expect(await odd.seen.take(10)).toEqual(evens.map((n) => n + 1));
  });

  it("in accumulate mode asks for nothing until forward", async () => {
    const system = makeSystem();
    const { producer, demands } = countUp(system, { end: 10 });
    const stage = mapTo(system, (n) => [n], { demand: "accumulate" });
    await stage.subscribe(producer);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage);
    await eventually(async () => (await stage.getDemand()) === 1000);
    await turns();
    expect(demands.events).toEqual([]);
    stage.demand("forward");
    expect(await seen.take(10)).toEqual(range(0, 10));
    expect(thrown(() => stage.demand("sometimes" as any))).toBeInstanceOf(InvalidOptionError);
  });

  it("refuses callbacks without handleEvents and wrong options", () => {
    const system = makeSystem();
    expect(thrown(() => ProducerConsumer.start(system, {} as any))).toBeInstanceOf(InvalidArgumentError);
    const wrong = { bufferSize: -2 };
    expect(thrown(() => mapTo(system, (n) => [n], wrong))).toBeInstanceOf(InvalidOptionError);
    expect(system.system.getActors()).toEqual([]);
  });

  it("gets the arguments of init behind the spawn options", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 3 });
    const stage = ProducerConsumer.start<number, number, number>(
      system,
      {
        init: (a: number, b: number) => a * b,
        handleEvents: (events, _from, add) => [events.map((event) => event + add), add],
      },
      {},
      { name: "adder" },
      6,
      7,
    );
    await stage.subscribe(producer);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage);
    expect(await seen.take(3)).toEqual([42, 43, 44]);
    expect((await system.getActorByName("adder"))?.id.id).toBe(stage.getRef().id.id);
  });
});

describe("cancelUpstream()", () => {
  it("is true once; what was not handled goes back to the producer", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const door = gate();
    const { stage, chunks } = relay(system, {}, () => door.promise);
    const subscription = await stage.subscribe(producer, { maxDemand: 10, minDemand: 9 });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(stage, { maxDemand: 10 });
    await eventually(async () => (await producer.getDemand()) === 10);
    producer.emit(range(0, 10));
    await chunks.atLeast(1);
    expect(stage.cancelUpstream(subscription)).toBe(true);
    expect(stage.cancelUpstream(subscription)).toBe(false);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect((await producer.stats()).buffered).toBe(9);
    door.open();
    await stage.subscribe(producer, { maxDemand: 10 });
    expect(await seen.take(10)).toEqual(range(0, 10));
  });
});

describe("the end of producers", () => {
  it("that are done goes down the chain behind the last event, and every stage ends normally", async () => {
    const system = makeSystem();
    const [a, b] = [countUp(system, { end: 30, done: true }), countUp(system, { end: 50, done: true })];
    const stage = mapTo(system, (n) => [n, n], { demand: "accumulate" });
    await stage.subscribe(a.producer, { maxDemand: 10 });
    await stage.subscribe(b.producer, { maxDemand: 10 });
    const { consumer, seen, ends } = collect(system, () => {}, undefined);
    await consumer.subscribe(stage, { maxDemand: 4 });
    stage.demand("forward");
    expect((await ends.next()).reason).toEqual({ type: "done" });
    expect(seen.events).toHaveLength(160);
    await eventually(() => system.system.getActors().length === 1);
    await leakFree(system);
  });

  it("runs handleCancel, which may make last events", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 10, done: true });
    const stage = ProducerConsumer.start<number, number, number>(system, {
      init: () => 0,
      handleEvents: (events, _from, sum) => [[], events.reduce((a, b) => a + b, sum)],
      handleCancel: (reason, _from, sum) => (reason.type === "done" ? [[sum], 0] : [[], sum]),
    });
    await stage.subscribe(producer, { maxDemand: 3 });
    const { consumer, seen, ends } = collect(system);
    await consumer.subscribe(stage);
    expect((await ends.next()).reason).toEqual({ type: "done" });
    expect(seen.events).toEqual([45]);
  });
});
