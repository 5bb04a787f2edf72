/**
 * Stages: sentences G1 to G9 of docs/SEMANTICS.md.
 */

import { type ActorRef, Consumer, createActor, Producer, ProducerConsumer } from "libeam";
import { describe, expect, it, vi } from "vitest";
import { gone, makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { gate, turns } from "../support/time.js";

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

/** Sends an exit signal with a reason. */
function kill(system: ReturnType<typeof makeSystem>, target: ActorRef, reason: unknown): void {
  system.spawn(createActor((ctx) => ctx.exit(target, reason)));
}

/** A producer of the whole numbers below `end`; done afterwards if it is finite. */
function numbers(system: ReturnType<typeof makeSystem>, end = Number.POSITIVE_INFINITY) {
  return Producer.start(system, {
    init: () => 0,
    handleDemand: (demand, next: number) => {
      const events = range(next, Math.min(demand, end - next));
      const after = next + events.length;
      return after === end ? [events, after, "done"] : [events, after];
    },
  });
}

describe("demand", () => {
  it("G1: a consumer is sent no more than it has asked for, and asks for no more than maxDemand", async () => {
    const system = makeSystem();
    const producer = numbers(system);
    const door = gate();
    const sizes: number[] = [];
    const consumer = Consumer.start(system, {
      handleEvents: async (events) => {
        sizes.push(events.length);
        await door.promise;
      },
    });
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 5 });
    await vi.waitFor(() => expect(sizes).toEqual([5]));
    await turns();
    expect(await producer.stats()).toMatchObject({ dispatched: 10, demand: 0, buffered: 0 });
    door.open();
    await vi.waitFor(async () => expect((await producer.stats()).dispatched).toBeGreaterThan(50));
    expect(Math.max(...sizes)).toBe(5);
  });

  it("G6: a producer-consumer without demand asks for nothing, and with demand for something", async () => {
    const system = makeSystem();
    const producer = numbers(system);
    const middle = ProducerConsumer.start(system, { handleEvents: (events, _from, state) => [events, state] });
    await middle.subscribe(producer, { maxDemand: 100 });
    await turns(20);
    expect(await producer.stats()).toMatchObject({ demand: 0, dispatched: 0 });
    const seen = makeProbe<number>();
    const consumer = Consumer.start(system, { handleEvents: (events: number[]) => events.forEach(seen.push) });
    await consumer.subscribe(middle, { maxDemand: 4 });
    expect(await seen.take(4)).toEqual([0, 1, 2, 3]);
  });
});

describe("delivery", () => {
  it("G2: in order, in portions of maxDemand - minDemand", async () => {
    const system = makeSystem();
    const portions: number[][] = [];
    const consumer = Consumer.start(system, { handleEvents: (events) => void portions.push(events) });
    await consumer.subscribe(numbers(system, 100), { maxDemand: 20, minDemand: 13 });
    await vi.waitFor(() => expect(portions.flat()).toEqual(range(0, 100)));
    expect(Math.max(...portions.map((portion) => portion.length))).toBe(7);
  });

  it("G3, G4: a crash costs its portion and the state, and nothing is handed over twice", async () => {
    const system = makeSystem();
    const seen: number[] = [];
    const states: number[] = [];
    const consumer = Consumer.start(system, {
      init: () => 0,
      handleEvents: (events: number[], _from, portions: number) => {
        states.push(portions);
        if (events.includes(12)) throw new Error("twelve");
        seen.push(...events);
        return portions + 1;
      },
    });
    const { tag } = await consumer.subscribe(numbers(system, 100), { maxDemand: 10, minDemand: 5 });
    await vi.waitFor(() => expect(seen.at(-1)).toBe(99));
    expect(seen).toEqual(range(0, 100).filter((n) => n < 10 || n > 14));
    expect(states.slice(0, 5)).toEqual([0, 1, 2, 0, 1]);
    await vi.waitFor(async () => expect((await consumer.stats()).upstream).toEqual([]));
    expect(tag).toBeTypeOf("string");
  });

  it("G5: what a consumer has not handed over goes to the others", async () => {
    const system = makeSystem();
    const producer = numbers(system, 50);
    const door = gate();
    const seen = makeProbe<number>();
    const slow = Consumer.start(system, { handleEvents: () => door.promise });
    const subscription = await slow.subscribe(producer, { maxDemand: 20, minDemand: 10 });
    await vi.waitFor(async () => expect((await producer.stats()).dispatched).toBe(20));
    const other = Consumer.start(system, { handleEvents: (events: number[]) => events.forEach(seen.push) });
    await other.subscribe(producer, { maxDemand: 30 });
    expect(slow.cancel(subscription)).toBe(true);
    const rest = await seen.take(40);
    door.open();
    expect(rest.sort((a, b) => a - b)).toEqual(range(10, 40));
  });
});

describe("limits and ends", () => {
  it("G7: a full buffer drops as bufferKeep says, and counts", async () => {
    const system = makeSystem();
    for (const [bufferKeep, kept] of [
      ["first", range(0, 5)],
      ["last", range(15, 5)],
    ] as const) {
      const producer = Producer.start<null, number>(
        system,
        { init: () => null, handleDemand: (_demand, state) => [[], state] },
        { bufferSize: 5, bufferKeep },
      );
      producer.emit(range(0, 20));
      expect(await producer.stats()).toMatchObject({ buffered: 5, dropped: 15 });
      const seen = makeProbe<number>();
      const consumer = Consumer.start(system, { handleEvents: (events: number[]) => events.forEach(seen.push) });
      await consumer.subscribe(producer);
      expect(await seen.take(5)).toEqual(kept);
    }
  });

  it("G8: a producer that is done ends behind its last event", async () => {
    const system = makeSystem();
    const producer = numbers(system, 30);
    const told = makeProbe<string>();
    const consumer = Consumer.start(system, {
      handleEvents: (events: number[]) => told.push(`to ${events.at(-1)}`),
      handleCancel: ({ type }) => told.push(type),
    });
    const end = gone(system, producer.getRef());
    await consumer.subscribe(producer, { maxDemand: 30, minDemand: 20 });
    expect(await told.take(4)).toEqual(["to 9", "to 19", "to 29", "done"]);
    expect(await end).toEqual({ type: "normal" });
  });

  it("G9: permanent follows every end, transient a failure, temporary none", async () => {
    const ends = { orderly: "normal", failure: new Error("no more") } as const;
    const outcomes: Record<string, string> = {};
    for (const [end, reason] of Object.entries(ends)) {
      for (const cancel of ["permanent", "transient", "temporary"] as const) {
        const system = makeSystem({ supervision: { strategy: "Stop" } });
        const producer = numbers(system);
        const consumer = Consumer.start(system, { handleEvents: async () => {} });
        await consumer.subscribe(producer, { cancel, maxDemand: 1 });
        const over = gone(system, consumer.getRef());
        if (reason === "normal") await producer.stop();
        else kill(system, producer.getRef(), reason);
        await vi.waitFor(async () =>
          expect((await consumer.stats().catch(() => ({ upstream: [] }))).upstream).toEqual([]),
        );
        const alive = await Promise.race([
          over.then(() => false),
          consumer.stats().then(
            () => true,
            () => false,
          ),
        ]);
        outcomes[`${cancel} after ${end}`] = alive ? "goes on" : "ends";
      }
    }
    expect(outcomes).toEqual({
      "permanent after orderly": "ends",
      "transient after orderly": "goes on",
      "temporary after orderly": "goes on",
      "permanent after failure": "ends",
      "transient after failure": "ends",
      "temporary after failure": "goes on",
    });
  });
});
