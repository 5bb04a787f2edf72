/**
 * The telemetry of stages: which events, with what in them.
 */

import { type EventName, type Producer, TelemetryEvents, telemetry } from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { makeProbe } from "../../support/probe.js";
import { collect, countUp, eventually, range, silent } from "../../support/stages.js";
import { makeSystem } from "../../support/system.js";

afterEach(() => telemetry.reset());

interface Told {
  name: string;
  numbers: Record<string, number>;
  data: Record<string, any>;
}

const { genStage } = TelemetryEvents;

function listen(...names: EventName[]) {
  const told = makeProbe<Told>();
  telemetry.attach("spec", names.length > 0 ? names : Object.values(genStage), (name, numbers, data) => {
    told.push({ name: name.join("."), numbers, data });
  });
  return told;
}

const idOf = (producer: Producer): string => producer.getRef().id.id;

describe("telemetry of stages", () => {
  it("has the names of the catalogue", () => {
    expect(Object.values(genStage).map((name) => name.join("."))).toEqual([
      "libeam.gen_stage.subscribe",
      "libeam.gen_stage.cancel",
      "libeam.gen_stage.dispatch",
      "libeam.gen_stage.buffer_overflow",
      "libeam.gen_stage.discard",
    ]);
  });

  it("tells a subscription, what is dispatched, and a cancellation, in order", async () => {
    const system = makeSystem();
    const told = listen();
    const { producer } = countUp(system, { end: 5 });
    const { consumer, seen } = collect(system);
    const subscription = await consumer.subscribe(producer, { maxDemand: 10 });
    await seen.atLeast(5);
    consumer.cancel(subscription);
    await told.atLeast(3);
    const producer_id = idOf(producer);
    const consumer_tag = subscription.tag;
    expect(told.events).toEqual([
      { name: "libeam.gen_stage.subscribe", numbers: {}, data: { producer_id, consumer_tag } },
      { name: "libeam.gen_stage.dispatch", numbers: { event_count: 5 }, data: { producer_id } },
      { name: "libeam.gen_stage.cancel", numbers: {}, data: { producer_id, consumer_tag, reason: "cancelled" } },
    ]);
  });

  it("tells nothing of a subscription that was refused", async () => {
    const system = makeSystem();
    const told = listen();
    const { producer } = countUp(system, { dispatcher: { type: "partition", partitions: 1 } });
    await expect(collect(system).consumer.subscribe(producer)).rejects.toThrow("partition");
    expect(told.events).toEqual([]);
  });

  it("tells how a consumer ended", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const told = listen(genStage.cancel);
    const { producer } = countUp(system, { end: 1 });
    const crashing = collect(system, () => {
      throw new Error("boom");
    });
    await crashing.consumer.subscribe(producer);
    const stopped = collect(system);
    await stopped.consumer.subscribe(producer);
    expect((await told.next()).data.reason).toBe("error");
    await stopped.consumer.stop();
    expect((await told.next()).data.reason).toBe("normal");
    expect(told.events).toHaveLength(2);
  });

  it("counts each event that goes out once, whatever the number of consumers and batches", async () => {
    const system = makeSystem();
    const told = listen(genStage.dispatch);
    const { producer } = countUp(system, { end: 1000, dispatcher: { type: "broadcast" } });
    const all = [collect(system), collect(system)];
    for (const { consumer } of all) await consumer.subscribe(producer, { maxDemand: 7 });
    for (const { seen } of all) await seen.atLeast(1000);
    expect(told.events.reduce((sum, { numbers }) => sum + numbers.event_count, 0)).toBe(1000);
    expect(told.events.every(({ numbers }) => numbers.event_count > 0)).toBe(true);
  });

  it("tells an overflow of the buffer and of a partition", async () => {
    const system = makeSystem();
    const told = listen(genStage.bufferOverflow);
    const { producer } = silent(system, { bufferSize: 2, dispatcher: { type: "partition", partitions: 2 } });
    producer.emit(range(0, 5));
    const { consumer } = collect(system);
    await consumer.subscribe(producer, { partition: 0 });
    await eventually(async () => (await producer.stats()).buffered === 1);
    producer.emit([1, 3, 5]);
    await told.atLeast(2);
    expect(told.events).toEqual([
      {
        name: "libeam.gen_stage.buffer_overflow",
        numbers: { dropped_count: 3, buffer_size: 2 },
        data: { producer_id: idOf(producer) },
      },
      {
        name: "libeam.gen_stage.buffer_overflow",
        numbers: { dropped_count: 2, buffer_size: 2 },
        data: { producer_id: idOf(producer) },
      },
    ]);
  });

  it("tells each event that was discarded, and why", async () => {
    const system = makeSystem();
    const told = listen(genStage.discard);
    const error = new Error("no hash");
    const hash = (n: number): number => {
      if (n === 1) throw error;
      return n;
    };
    const { producer } = silent(system, { dispatcher: { type: "partition", partitions: 1, hash } });
    await collect(system).consumer.subscribe(producer, { partition: 0 });
    await eventually(async () => (await producer.getDemand()) === 1000);
    producer.emit([0, 1, 7]);
    await told.atLeast(2);
    expect(told.events[0]).toEqual({
      name: "libeam.gen_stage.discard",
      numbers: { event_count: 1 },
      data: { producer_id: idOf(producer), error },
    });
    expect(told.events[1].data.error.message).toContain("7");
  });

  it("is not needed by the stages, and cannot break them", async () => {
    const system = makeSystem();
    telemetry.attach("broken", Object.values(genStage), () => {
      throw new Error("broken handler");
    });
    const { producer } = countUp(system, { end: 100, bufferSize: 1 });
    producer.emit([1, 2, 3]);
    const { consumer, seen } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 5 });
    await seen.atLeast(101);
    expect(seen.events).toEqual([3, ...range(0, 100)]);
  });
});
