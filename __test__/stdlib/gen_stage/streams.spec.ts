/**
 * Ways out of a stage: batches(), toReadable(), toNodeStream() and IterableConsumer. Everything that a reader leaves
 * goes back to the producer, and failures go both ways.
 */

import { getEventListeners } from "node:events";
import { createReadStream, readFileSync } from "node:fs";
import { Readable, Transform, Writable } from "node:stream";
import { pipeline as pipe } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import {
  ActorNotFoundError,
  CallAbortedError,
  InvalidArgumentError,
  InvalidOptionError,
  IterableConsumer,
  Producer,
  ProducerConsumer,
  StageError,
} from "libeam";
import { describe, expect, expectTypeOf, it } from "vitest";
import { makeProbe } from "../../support/probe.js";
import { countUp, eventually, range, silent } from "../../support/stages.js";
import { empty, leakFree, loggedErrors, makeSystem } from "../../support/system.js";
import { gate, rejection, stateOf, thrown, turn, turns } from "../../support/time.js";
import { refuseWarnings } from "../../support/warnings.js";

const thisFile = fileURLToPath(import.meta.url);
refuseWarnings();

/** All events of batches. */
async function all<T>(batches: AsyncIterable<T[]>): Promise<T[]> {
  const events: T[] = [];
  for await (const batch of batches) events.push(...batch);
  return events;
}

/** Gives 0 to 2 and then fails. */
async function* failing(error: Error): AsyncGenerator<number> {
  yield* [0, 1, 2];
  throw error;
}

/** A writable stream that keeps what it gets, and may take its time. */
function keeping<T>(events: T[], wait: (event: T) => unknown = () => {}, highWaterMark = 1): Writable {
  return new Writable({
    objectMode: true,
    highWaterMark,
    write(event, _encoding, callback) {
      events.push(event);
      const written = async (): Promise<unknown> => wait(event);
      written().then(() => callback(), callback);
    },
  });
}

describe("batches()", () => {
  it("gives all events, within maxDemand, and ends when the producer is done", async () => {
    const system = makeSystem();
    const producer = Producer.from(system, range(0, 1_000));
    const sizes: number[] = [];
    const events: number[] = [];
    for await (const batch of producer.batches({ maxDemand: 100 })) {
      expectTypeOf(batch).toEqualTypeOf<number[]>();
      sizes.push(batch.length);
      events.push(...batch);
    }
    expect(events).toEqual(range(0, 1_000));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
    await empty(system);
  });

  it("is there on producer-consumers too", async () => {
    const system = makeSystem();
    const doubler = ProducerConsumer.start<null, number, number>(system, {
      handleEvents: (events, _from, state) => [events.map((n) => 2 * n), state],
    });
    await doubler.subscribe(Producer.from(system, range(0, 10)));
    expect(await all(doubler.batches())).toEqual(range(0, 10).map((n) => 2 * n));
    await empty(system);
  });

  it("asks for no more while the body runs, and break gives back what it has not read", async () => {
    const system = makeSystem();
    const { producer, demands } = countUp(system);
    for await (const batch of producer.batches({ maxDemand: 10, minDemand: 6 })) {
      expect(batch).toEqual([0, 1, 2, 3]);
      await turns(20);
      expect(demands.events).toEqual([10]);
      break;
    }
    expect(system.system.getActors()).toHaveLength(1);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect(await producer.stats()).toMatchObject({ buffered: 6, demand: 0 });
    for await (const [first] of producer.batches({ maxDemand: 10 })) {
      expect(first).toBe(4);
      break;
    }
    await leakFree(system);
  });

  it("subscribes anew with each iteration, not before the first read, and side by side", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { dispatcher: { type: "broadcast" } });
    const batches = producer.batches({ maxDemand: 3, minDemand: 0 });
    const [one, two] = [batches[Symbol.asyncIterator](), batches[Symbol.asyncIterator]()];
    await turns();
    expect((await producer.stats()).downstream).toEqual([]);
    const reads = await Promise.all([one.next(), two.next()]);
    expect(reads).toEqual([
      { done: false, value: [0, 1, 2] },
      { done: false, value: [0, 1, 2] },
    ]);
    await Promise.all([one.return?.(), two.return?.()]);
    await leakFree(system);
  });

  it("ends when the producer is stopped", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const events = all(producer.batches());
    await eventually(async () => (await producer.getDemand()) > 0);
    producer.emit([1, 2]);
    await producer.stats();
    await producer.stop();
    expect(await events).toEqual([1, 2]);
    await empty(system);
  });

  it("throws what the producer ends with, behind its events", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const error = new Error("broken");
    const events: number[] = [];
    const read = async (producer: Producer<number>): Promise<void> => {
      for await (const batch of producer.batches()) events.push(...batch);
    };
    expect(await rejection(read(Producer.from(system, failing(error))))).toBe(error);
    expect(events).toEqual([0, 1, 2]);
    for (const [reason, message] of [
      ["kill", "A producer ended abnormally (killed)"],
      ["because", 'A producer ended abnormally (exit "because")'],
    ]) {
      const { producer } = silent(system);
      const reading = rejection(read(producer));
      await eventually(async () => (await producer.getDemand()) > 0);
      system.system.sendExit(null, producer.getRef(), reason);
      expect(await reading).toBeInstanceOf(StageError);
      expect((await reading).message).toBe(message);
    }
    const { producer } = silent(system);
    const reading = rejection(read(producer));
    await eventually(async () => (await producer.getDemand()) > 0);
    system.system.sendExit(null, producer.getRef(), error);
    expect(await reading).toBe(error);
    await empty(system);
  });

  it("goes on when the producer is restarted", async () => {
    const system = makeSystem();
    let calls = 0;
    const producer = Producer.start<null, number>(system, {
      init: () => null,
      handleDemand: (_demand, state) => {
        calls++;
        if (calls === 1) throw new Error("once");
        return calls === 2 ? [[1], state] : [[2], state, "done"];
      },
    });
    const iterator = producer.batches({ maxDemand: 1 })[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toEqual([1]);
    expect((await iterator.next()).value).toEqual([2]);
    expect((await iterator.next()).done).toBe(true);
    expect((await iterator.next()).done).toBe(true);
    await empty(system);
  });

  it("throws what a failing subscription throws", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const partitioned = silent(system, { dispatcher: { type: "partition", partitions: 2 } }).producer;
    await producer.stop();
    expect(await rejection(all(producer.batches()))).toBeInstanceOf(ActorNotFoundError);
    expect((await rejection(all(partitioned.batches()))).code).toBe("SUBSCRIPTION");
    for (const options of [{ maxDemand: 0 }, { signal: 1 }] as any[]) {
      expect(thrown(() => partitioned.batches(options)).code).toMatch(/^INVALID_/);
      expect(thrown(() => partitioned.toReadable(options)).code).toMatch(/^INVALID_/);
      expect(thrown(() => partitioned.toNodeStream(options)).code).toMatch(/^INVALID_/);
    }
    await partitioned.stop();
    const closing = makeSystem();
    const last = countUp(closing).producer;
    await closing.shutdown();
    expect((await rejection(all(last.batches()))).code).toBe("SYSTEM_SHUTTING_DOWN");
    await empty(system);
  });

  it("serves reads that overlap in their order, and return() ends those that wait", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const iterator = producer.batches({ maxDemand: 2, minDemand: 1 })[Symbol.asyncIterator]();
    const reads = [iterator.next(), iterator.next(), iterator.next()];
    await eventually(async () => (await producer.getDemand()) > 0);
    producer.emit([1, 2]);
    expect(await Promise.all(reads.slice(0, 2))).toEqual([
      { done: false, value: [1] },
      { done: false, value: [2] },
    ]);
    expect(await stateOf(reads[2])).toBe("pending");
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await reads[2]).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await leakFree(system);
    expect(system.system.getActors()).toHaveLength(1);
  });

  it("that is returned before its first read starts nothing", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const iterator = producer.batches()[Symbol.asyncIterator]();
    await iterator.return?.();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(system.system.getActors()).toHaveLength(1);
  });

  it.each([
    ["before the first read", 0],
    ["while it waits", 1],
    ["while the body runs", 2],
  ])("throws when its signal aborts %s", async (_when, stage) => {
    const system = makeSystem();
    const { producer } = silent(system);
    const controller = new AbortController();
    const { signal } = controller;
    const iterator = producer.batches({ signal })[Symbol.asyncIterator]();
    if (stage === 0) controller.abort("enough");
    let read = iterator.next();
    if (stage > 0) await eventually(async () => (await producer.getDemand()) > 0);
    if (stage === 1) controller.abort("enough");
    if (stage === 2) {
      producer.emit([1]);
      expect((await read).value).toEqual([1]);
      controller.abort("enough");
      read = iterator.next();
    }
    const error = await rejection(read);
    expect(error).toBeInstanceOf(CallAbortedError);
    expect(error.cause).toBe("enough");
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await eventually(() => system.system.getActors().length === 1);
    await leakFree(system);
  });

  it("leaves no listener on a signal that many share", async () => {
    const system = makeSystem();
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i++) await all(Producer.from(system, [i], { signal }).batches({ signal }));
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await empty(system);
  });
});

describe("an IterableConsumer", () => {
  it("reads several producers until all have ended", async () => {
    const system = makeSystem();
    const consumer = IterableConsumer.start<number>(system);
    await consumer.subscribe(Producer.from(system, range(0, 100)), { maxDemand: 10 });
    await consumer.subscribe(Producer.from(system, range(100, 200)), { maxDemand: 10 });
    const events = await all(consumer);
    expect(events.filter((n) => n < 100)).toEqual(range(0, 100));
    expect(events.filter((n) => n >= 100)).toEqual(range(100, 200));
    await empty(system);
  });

  it("ends with its last subscription", async () => {
    const system = makeSystem();
    const [one, two] = [silent(system).producer, silent(system).producer];
    await using consumer = IterableConsumer.start<number>(system);
    const subscriptions = [await consumer.subscribe(one), await consumer.subscribe(two)];
    expect((await consumer.stats()).upstream).toHaveLength(2);
    const events = all(consumer);
    expect(consumer.cancel(subscriptions[0])).toBe(true);
    expect(consumer.cancel(subscriptions[0])).toBe(false);
    await turns();
    expect(await stateOf(events)).toBe("pending");
    consumer.cancel(subscriptions[1]);
    expect(await events).toEqual([]);
    await eventually(() => system.system.getActors().length === 2);
  });

  it("throws as soon as one producer fails, and gives the events of the others back", async () => {
    const system = makeSystem();
    const error = new Error("one of two");
    const { producer } = countUp(system);
    const consumer = IterableConsumer.start<number>(system);
    await consumer.subscribe(producer, { maxDemand: 4 });
    await consumer.subscribe(Producer.from(system, failing(error)));
    const events: number[] = [];
    const reading = (async () => {
      for await (const batch of consumer) events.push(...batch);
    })();
    expect(await rejection(reading)).toBe(error);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    for await (const [next] of producer.batches()) {
      const seen = events.filter((n) => n > 2);
      expect(next).toBe(Math.max(2, ...seen) + 1);
      break;
    }
    await leakFree(system);
  });

  it("can subscribe and answers while nobody reads", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const consumer = IterableConsumer.start<number>(system);
    await consumer.subscribe(producer, { maxDemand: 4 });
    await eventually(async () => (await producer.stats()).dispatched === 4);
    const controller = new AbortController();
    await consumer.subscribe(producer, { maxDemand: 4, signal: controller.signal });
    await eventually(async () => (await producer.stats()).dispatched === 8);
    expect(await consumer.stats()).toMatchObject({ received: 0, upstream: [{ pending: 4 }, { pending: 4 }] });
    controller.abort();
    await eventually(async () => (await producer.stats()).downstream.length === 1);
    await system.stop(consumer.getRef());
    expect(await all(consumer)).toEqual([]);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect((await producer.stats()).buffered).toBe(8);
    await leakFree(system);
  });

  it("can be stopped while its reader is busy, and aborted by a signal", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const controller = new AbortController();
    const stopped = IterableConsumer.start<number>(system, {}, { name: "reader" });
    const aborted = IterableConsumer.start<number>(system, { signal: controller.signal });
    expect(stopped.getRef().id.name).toBe("reader");
    for (const consumer of [stopped, aborted]) await consumer.subscribe(producer, { maxDemand: 8 });
    const iterators = [stopped[Symbol.asyncIterator](), aborted[Symbol.asyncIterator]()];
    for (const iterator of iterators) expect((await iterator.next()).done).toBe(false);
    await stopped.stop();
    expect(await iterators[0].next()).toEqual({ done: true, value: undefined });
    controller.abort();
    expect(await rejection(iterators[1].next())).toBeInstanceOf(CallAbortedError);
    await eventually(() => system.system.getActors().length === 1);
    expect(thrown(() => IterableConsumer.start(system, { signal: {} as any }))).toBeInstanceOf(InvalidArgumentError);
    await leakFree(system);
  });
});

describe("toReadable()", () => {
  it("gives all events and closes", async () => {
    const system = makeSystem();
    const stream = Producer.from(system, range(0, 300)).toReadable({ maxDemand: 7 });
    expect(stream).toBeInstanceOf(ReadableStream);
    const events: number[] = [];
    for await (const event of stream) events.push(event);
    expect(events).toEqual(range(0, 300));
    await empty(system);
  });

  it("pipes through other streams", async () => {
    const system = makeSystem();
    const double = new TransformStream<number, number>({ transform: (n, out) => out.enqueue(2 * n) });
    const events: number[] = [];
    const sink = new WritableStream<number>({ write: (n) => void events.push(n) });
    await Producer.from(system, range(0, 50)).toReadable().pipeThrough(double).pipeTo(sink);
    expect(events).toEqual(range(0, 50).map((n) => 2 * n));
    await empty(system);
  });

  it.each([0, 1, 5])(
    "holds at most maxDemand and its highWaterMark of %d when nobody reads on",
    async (highWaterMark) => {
      const system = makeSystem();
      const { producer } = countUp(system);
      const reader = producer.toReadable({ maxDemand: 10, highWaterMark }).getReader();
      for (let read = 1; read <= 30; read++) {
        expect(await reader.read()).toEqual({ done: false, value: read - 1 });
        await turns(3);
        expect((await producer.stats()).dispatched).toBeLessThanOrEqual(read + highWaterMark + 10);
      }
      await reader.cancel();
      await eventually(async () => (await producer.stats()).downstream.length === 0);
      expect(system.system.getActors()).toHaveLength(1);
      await leakFree(system);
    },
  );

  it("that nobody reads does not subscribe", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const stream = producer.toReadable();
    await turns();
    expect((await producer.stats()).downstream).toEqual([]);
    await stream.cancel();
    expect(system.system.getActors()).toHaveLength(1);
  });

  it("can be cancelled while a read waits", async () => {
    const system = makeSystem();
    const { producer } = silent(system);
    const reader = producer.toReadable().getReader();
    const read = reader.read();
    await eventually(async () => (await producer.getDemand()) > 0);
    await reader.cancel();
    expect(await read).toEqual({ done: true, value: undefined });
    await eventually(() => system.system.getActors().length === 1);
    await leakFree(system);
  });

  it("fails as the producer does, behind its events", async () => {
    const system = makeSystem();
    const error = new Error("upstream");
    const events: number[] = [];
    const sink = new WritableStream<number>({ write: (n) => void events.push(n) });
    expect(await rejection(Producer.from(system, failing(error)).toReadable().pipeTo(sink))).toBe(error);
    expect(events).toEqual([0, 1, 2]);
    await empty(system);
  });

  it("cancels upstream when what it is piped to fails", async () => {
    const system = makeSystem();
    const error = new Error("downstream");
    const source = new Readable({ objectMode: true, read() {} });
    const producer = Producer.from<number>(system, source);
    for (const n of range(0, 3)) source.push(n);
    const sink = new WritableStream<number>({
      write: (n) => {
        if (n === 1) throw error;
      },
    });
    expect(await rejection(producer.toReadable().pipeTo(sink))).toBe(error);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    await producer.stop();
    expect(source.destroyed).toBe(true);
    await empty(system);
  });

  it.each([["waits"], ["is stalled"], ["has not begun"]])("fails when its signal aborts while it %s", async (when) => {
    const system = makeSystem();
    const { producer } = silent(system);
    const controller = new AbortController();
    const { signal } = controller;
    const reader = producer.toReadable({ signal }).getReader();
    const read = when === "has not begun" ? undefined : reader.read();
    if (read !== undefined) await eventually(async () => (await producer.getDemand()) > 0);
    if (when === "is stalled") {
      producer.emit([1, 2, 3]);
      expect((await read)?.value).toBe(1);
    }
    controller.abort("stop it");
    const error = await rejection(when === "waits" ? (read as Promise<unknown>) : reader.read());
    expect(error).toBeInstanceOf(CallAbortedError);
    expect(error.cause).toBe("stop it");
    await eventually(() => system.system.getActors().length === 1);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(await rejection(producer.toReadable({ signal }).getReader().read())).toBeInstanceOf(CallAbortedError);
    await leakFree(system);
  });

  it("leaves no listener on its signal, whichever way it ends", async () => {
    const system = makeSystem();
    const { signal } = new AbortController();
    for await (const _ of Producer.from(system, [1]).toReadable({ signal }));
    for await (const _ of Producer.from(system, [1]).toReadable({ signal })) break;
    await rejection(
      Producer.from(system, failing(new Error("x")))
        .toReadable({ signal })
        .pipeTo(new WritableStream()),
    );
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await empty(system);
  });
});

describe("toNodeStream()", () => {
  it("gives all events in object mode and ends", async () => {
    const system = makeSystem();
    const stream = Producer.from(system, range(0, 300)).toNodeStream({ maxDemand: 7 });
    expect(stream).toBeInstanceOf(Readable);
    const events: number[] = [];
    await pipe(stream, keeping(events));
    expect(events).toEqual(range(0, 300));
    await empty(system);
  });

  it("carries a file from end to end", async () => {
    const system = makeSystem();
    const source = createReadStream(thisFile, { highWaterMark: 64 });
    const chunks: Buffer[] = [];
    await pipe(Producer.from(system, source).toNodeStream({ maxDemand: 4 }), keeping(chunks));
    expect(Buffer.concat(chunks)).toEqual(readFileSync(thisFile));
    await eventually(() => source.closed);
    await empty(system);
  });

  it("can be read by hand, by listener and by for await", async () => {
    const system = makeSystem();
    const byHand = Producer.from(system, range(0, 20)).toNodeStream({ maxDemand: 5, highWaterMark: 2 });
    const read: number[] = [];
    byHand.on("readable", () => {
      for (let event = byHand.read(); event !== null; event = byHand.read()) read.push(event);
    });
    await eventually(() => byHand.readableEnded);
    expect(read).toEqual(range(0, 20));
    const heard = makeProbe<number>();
    Producer.from(system, range(0, 20)).toNodeStream({ maxDemand: 5 }).on("data", heard.push);
    expect(await heard.take(20)).toEqual(range(0, 20));
    const iterated: number[] = [];
    for await (const event of Producer.from(system, range(0, 20)).toNodeStream()) iterated.push(event);
    expect(iterated).toEqual(range(0, 20));
    await empty(system);
  });

  it.each([1, 4])("holds at most maxDemand and its highWaterMark of %d when nobody reads on", async (highWaterMark) => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const doors = range(0, 30).map(() => gate());
    const written: number[] = [];
    const writable = keeping<number>(written, (n) => doors[n]?.promise, 1);
    const piped = rejection(pipe(producer.toNodeStream({ maxDemand: 10, highWaterMark }), writable));
    for (let n = 0; n < 30; n++) {
      await eventually(() => written.length === n + 1);
      await turns(3);
      const slack = 1; // What the writable holds beside the event that it writes.
      expect((await producer.stats()).dispatched).toBeLessThanOrEqual(n + 1 + slack + highWaterMark + 10);
      doors[n].open();
    }
    writable.destroy();
    await piped;
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    await leakFree(system);
  });

  it("that nobody reads does not subscribe", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const stream = producer.toNodeStream();
    await turns();
    expect((await producer.stats()).downstream).toEqual([]);
    stream.destroy();
    await eventually(() => stream.closed);
    expect(system.system.getActors()).toHaveLength(1);
  });

  it("cancels upstream when what it is piped to fails, and the rest goes to the next", async () => {
    const system = makeSystem();
    const error = new Error("disk full");
    const { producer } = countUp(system);
    const written: number[] = [];
    const writable = keeping<number>(written, (n) => {
      if (n === 3) throw error;
    });
    const stream = producer.toNodeStream({ maxDemand: 5, minDemand: 4, highWaterMark: 1 });
    expect(await rejection(pipe(stream, writable))).toBe(error);
    expect(stream.destroyed).toBe(true);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    for await (const [next] of producer.batches({ maxDemand: 5 })) {
      expect(next).toBeGreaterThan(3);
      expect(next).toBeLessThanOrEqual(3 + 4); // What the streams held is lost, no more.
      break;
    }
    await leakFree(system);
  });

  it("closes the source when the sink fails and the producer is stopped with it", async () => {
    const system = makeSystem();
    const source = createReadStream(thisFile, { highWaterMark: 16 });
    const producer = Producer.from(system, source);
    const writable = new Writable({ write: (_chunk, _encoding, callback) => callback(new Error("no")) });
    expect((await rejection(pipe(producer.toNodeStream({ maxDemand: 2 }), writable))).message).toBe("no");
    expect(source.destroyed).toBe(false);
    await producer.stop();
    expect(source.destroyed).toBe(true);
    await empty(system);
  });

  it("is destroyed with the error of the producer, behind its events", async () => {
    const system = makeSystem();
    const error = new Error("upstream");
    const written: number[] = [];
    const writable = keeping(written);
    const stream = Producer.from(system, failing(error)).toNodeStream();
    expect(await rejection(pipe(stream, writable))).toBe(error);
    expect(writable.destroyed).toBe(true);
    expect(stream.errored).toBe(error);
    await empty(system);
    const missing = Producer.from(system, createReadStream(`${thisFile}.missing`));
    expect((await rejection(pipe(missing.toNodeStream(), keeping([])))).code).toBe("ENOENT");
    await empty(system);
  });

  it("can be aborted by the pipeline and by its own signal, at any time", async () => {
    const system = makeSystem();
    for (const own of [true, false]) {
      for (const stalled of [true, false]) {
        const { producer } = countUp(system, { end: stalled ? Infinity : 3 });
        const controller = new AbortController();
        const { signal } = controller;
        const written: number[] = [];
        const writable = keeping(written, () => (stalled ? gate().promise : undefined));
        const stream = producer.toNodeStream(own ? { signal } : {});
        const piped = pipe(stream, writable, own ? {} : { signal });
        await eventually(() => written.length === (stalled ? 1 : 3));
        controller.abort("enough");
        const error = await rejection(piped);
        expect(error.cause).toBe("enough");
        expect(error.code).toBe(own ? "CALL_ABORTED" : "ABORT_ERR");
        expect(stream.destroyed && writable.destroyed).toBe(true);
        await eventually(async () => (await producer.stats()).downstream.length === 0);
        expect(getEventListeners(signal, "abort")).toEqual([]);
        await producer.stop();
      }
    }
    await empty(system);
  });

  it("with a signal that is aborted is destroyed at once", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const stream = producer.toNodeStream({ signal: AbortSignal.abort("early") });
    const failed = makeProbe<Error>();
    stream.on("error", failed.push);
    expect(await failed.next()).toBeInstanceOf(CallAbortedError);
    expect(system.system.getActors()).toHaveLength(1);
  });

  it("cannot carry null", async () => {
    const system = makeSystem();
    const written: unknown[] = [];
    const error = await rejection(
      pipe(Producer.from(system, [1, undefined, null, 2]).toNodeStream(), keeping(written)),
    );
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error.message).toBe("Invalid event: expected anything but null in a Node stream, got null");
    expect(await all(Producer.from(system, [null, null]).batches())).toEqual([null, null]);
  });

  it("leads through Node's own transforms back into a producer, with errors both ways", async () => {
    const system = makeSystem();
    const transform = (fails: number): Transform =>
      new Transform({
        objectMode: true,
        transform: (n, _encoding, callback) => (n === fails ? callback(new Error("midway")) : callback(null, n + 1)),
      });
    const through = async (count: number, fails: number): Promise<number[]> => {
      const middle = transform(fails);
      const piped = pipe(Producer.from(system, range(0, count)).toNodeStream({ maxDemand: 4 }), middle).catch(() => {});
      try {
        return await all(Producer.from<number>(system, middle).batches({ maxDemand: 4 }));
      } finally {
        await piped;
      }
    };
    expect(await through(100, -1)).toEqual(range(1, 101));
    expect((await rejection(through(100, 50))).message).toBe("midway");
    await eventually(() => system.system.getActors().length === 2); // The first producer and its keeper.
  });

  it("serves many streams of one stage without a warning", async () => {
    const system = makeSystem();
    const controller = new AbortController();
    const { signal } = controller;
    const { producer } = countUp(system, { end: 10 });
    const piped = range(0, 30).map(() => rejection(pipe(producer.toNodeStream({ signal }), keeping([]))));
    await eventually(async () => (await producer.stats()).downstream.length === 30);
    controller.abort();
    for (const error of await Promise.all(piped)) expect(error).toBeInstanceOf(CallAbortedError);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    await leakFree(system);
    expect(loggedErrors()).toEqual([]);
  });
});

describe("options", () => {
  it("are checked when the stream is made", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    expect(thrown(() => producer.batches({ maxDemand: 1.5 }))).toBeInstanceOf(InvalidOptionError);
    expect(thrown(() => producer.toReadable({ highWaterMark: -1 }))).toBeInstanceOf(RangeError);
    expect(thrown(() => producer.toNodeStream({ highWaterMark: -1 })).code).toBe("ERR_INVALID_ARG_VALUE");
    await turn();
    expect(system.system.getActors()).toHaveLength(1);
  });
});
