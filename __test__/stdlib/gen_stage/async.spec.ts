/**
 * Asynchronous handlers of stages: one at a time, nothing reordered, and stop() waits for the one that runs.
 */

import { Consumer, Producer, ProducerConsumer } from "libeam";
import { describe, expect, it } from "vitest";
import { makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, range, silent } from "../../support/stages.js";
import { leakFree, makeSystem } from "../../support/system.js";
import { type Gate, gate, stateOf, turn, turns } from "../../support/time.js";

describe("an async handleDemand", () => {
  it("keeps the producer busy: one call at a time, later demand is served afterwards", async () => {
    const system = makeSystem();
    const calls: { demand: number; door: Gate<number[]> }[] = [];
    const producer = Producer.start<null, number>(system, {
      init: () => null,
      handleDemand: async (demand, state) => {
        const door = gate<number[]>();
        calls.push({ demand, door });
        return [await door.promise, state];
      },
    });
    const both = [collect(system), collect(system)];
    await both[0].consumer.subscribe(producer, { maxDemand: 3, minDemand: 0 });
    await eventually(() => calls.length === 1);
    const subscribed = both[1].consumer.subscribe(producer, { maxDemand: 2, minDemand: 0 });
    await turns();
    expect(await stateOf(subscribed)).toBe("pending");
    calls[0].door.open([1, 2, 3]);
    await subscribed;
    await eventually(() => calls.length >= 2);
    await turns();
    expect(calls.map(({ demand }) => demand).slice(0, 2)).toEqual([3, 3]);
    expect(both[0].seen.events).toEqual([1, 2, 3]);
    calls[1].door.open([4, 5, 6]);
    await eventually(() => calls.length >= 3);
    expect(calls[2].demand).toBeLessThanOrEqual(5);
    expect(both.flatMap(({ seen }) => seen.events)).toHaveLength(6);
    for (const { door } of calls) door.open([]);
  });

  it("delivers in order, whatever the calls take", async () => {
    const system = makeSystem();
    const producer = Producer.start<number, number>(system, {
      init: () => 0,
      handleDemand: async (demand, from) => {
        await turns((from * 7) % 4);
        return [range(from, from + demand), from + demand];
      },
    });
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 6 });
    expect(await seen.take(300)).toEqual(range(0, 300));
  });

  it("is waited for by stop()", async () => {
    const system = makeSystem();
    const door = gate();
    const life = makeProbe<string>();
    const producer = Producer.start<string, number>(system, {
      init: () => "first",
      handleDemand: async () => {
        life.push("begin");
        await door.promise;
        life.push("end");
        return [[], "second"];
      },
      terminate: (state) => life.push(`terminate ${state}`),
    });
    await collect(system).consumer.subscribe(producer);
    await life.atLeast(1);
    const stopped = producer.stop().then(() => life.push("stopped"));
    await turns(10);
    expect(life.events).toEqual(["begin"]);
    door.open();
    await stopped;
    expect(life.events).toEqual(["begin", "end", "terminate second", "stopped"]);
  });

  it("that is done ends the stream behind its events", async () => {
    const system = makeSystem();
    const producer = Producer.start<null, number>(system, {
      init: () => null,
      handleDemand: async () => {
        await turn();
        return [range(0, 7), null, "done"];
      },
    });
    const { consumer, seen, ends } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 2 });
    expect((await ends.next()).reason).toEqual({ type: "done" });
    expect(seen.events).toEqual(range(0, 7));
    await leakFree(system);
  });
});

describe("an async handleEvents", () => {
  it("runs one chunk at a time, in order, with the state of the one before", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 200 });
    let running = 0;
    const states = makeProbe<number>();
    const seen: number[] = [];
    const consumer = Consumer.start<number, number>(system, {
      init: async () => 0,
      handleEvents: async (events, _from, state) => {
        expect(++running).toBe(1);
        await turns(state % 3);
        seen.push(...events);
        states.push(state);
        running--;
        return state + events.length;
      },
    });
    await consumer.subscribe(producer, { maxDemand: 9, minDemand: 4 });
    await eventually(() => seen.length === 200);
    expect(seen).toEqual(range(0, 200));
    expect(states.events).toEqual([...states.events].sort((a, b) => a - b));
  });

  it("takes turns with several producers and never runs two chunks at once", async () => {
    const system = makeSystem();
    const sources = range(0, 3).map(() => countUp(system, { end: 100 }).producer);
    let running = 0;
    let most = 0;
    const { consumer, seen } = collect(system, async () => {
      most = Math.max(most, ++running);
      await turn();
      running--;
    });
    for (const source of sources) await consumer.subscribe(source, { maxDemand: 5 });
    await seen.atLeast(300);
    expect(most).toBe(1);
  });

  it("of a producer-consumer reorders nothing", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 300 });
    const stage = ProducerConsumer.start<number, number, number>(system, {
      init: () => 0,
      handleEvents: async (events, _from, calls) => {
        await turns((calls * 5) % 4);
        return [events, calls + 1];
      },
    });
    await stage.subscribe(producer, { maxDemand: 11 });
    const { consumer, seen } = collect(system, () => turn());
    await consumer.subscribe(stage, { maxDemand: 7 });
    expect(await seen.take(300)).toEqual(range(0, 300));
  });

  it("is waited for by stop(), and nothing is handled afterwards", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const doors = [gate(), gate()];
    const life = makeProbe<string>();
    const consumer = Consumer.start<number, number>(system, {
      init: () => 0,
      handleEvents: async ([n], _from, state) => {
        life.push(`begin ${n}`);
        await doors[n]?.promise;
        life.push(`end ${n}`);
        return state + 1;
      },
      terminate: (state) => life.push(`terminate ${state}`),
    });
    await consumer.subscribe(producer, { maxDemand: 5, minDemand: 4 });
    await eventually(async () => (await producer.getDemand()) === 5);
    producer.emit(range(0, 5));
    await life.atLeast(1);
    const stopped = consumer.stop().then(() => life.push("stopped"));
    await turns(10);
    expect(life.events).toEqual(["begin 0"]);
    for (const door of doors) door.open();
    await stopped;
    expect(life.events).toEqual(["begin 0", "end 0", "terminate 1", "stopped"]);
    expect((await producer.stats()).buffered).toBe(4);
  });

  it("of one stage does not keep the stage from answering between two chunks", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const doors = range(0, 5).map(() => gate());
    const { consumer, seen } = collect(system, ([n]: number[]) => doors[n].promise);
    await consumer.subscribe(producer, { maxDemand: 5, minDemand: 4 });
    await eventually(async () => (await producer.getDemand()) === 5);
    producer.emit(range(0, 5));
    await seen.atLeast(1);
    const stats = consumer.stats();
    doors[0].open();
    await turns(20);
    const answered = await stateOf(stats);
    for (const door of doors) door.open();
    await stats;
    await seen.atLeast(5);
    // The call arrived behind the batch; it need not wait until all of the batch is handled.
    expect(answered).toBe("fulfilled");
  });

  it("lets a cancellation in the middle of it take the rest of the batch away", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const door = gate();
    const { consumer, seen } = collect(system, () => door.promise);
    const subscription = await consumer.subscribe(producer, { maxDemand: 5, minDemand: 4 });
    await eventually(async () => (await producer.getDemand()) === 5);
    producer.emit(range(0, 5));
    await seen.atLeast(1);
    consumer.cancel(subscription);
    await eventually(async () => (await producer.stats()).buffered === 4);
    door.open();
    await turns(10);
    expect(seen.events).toEqual([0]);
    await leakFree(system);
  });
});
