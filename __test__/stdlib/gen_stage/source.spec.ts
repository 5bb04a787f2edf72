/**
 * Producer.from: what it reads, how much, and how source and stage end each other.
 */

import { EventEmitter, getEventListeners, on, once } from "node:events";
import { createReadStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { CallAbortedError, InvalidArgumentError, InvalidOptionError, Producer, StageError } from "libeam";
import { describe, expect, it } from "vitest";
import { gone, makeProbe } from "../../support/probe.js";
import { collect, eventually, range } from "../../support/stages.js";
import { empty, leakFree, logged, loggedErrors, makeSystem } from "../../support/system.js";
import { gate, rejection, thrown, turn, turns } from "../../support/time.js";

const thisFile = fileURLToPath(import.meta.url);

async function* later<T>(events: Iterable<T>): AsyncGenerator<T> {
  for (const event of events) {
    await turn();
    yield event;
  }
}

async function* atOnce<T>(events: Iterable<T>): AsyncGenerator<T> {
  yield* events;
}

function* each<T>(events: Iterable<T>): Generator<T> {
  yield* events;
}

function webStream<T>(events: Iterable<T>): ReadableStream<T> {
  const iterator = events[Symbol.iterator]();
  return new ReadableStream<T>({
    pull(controller) {
      const { done, value } = iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

/** Every kind of source of the same events. */
const kinds: [string, (events: number[]) => any][] = [
  ["an array", (events) => events],
  ["a set", (events) => new Set(events)],
  ["a generator", each],
  ["an async generator", atOnce],
  ["a slow async generator", later],
  ["a web stream", webStream],
  ["a Node stream", (events) => Readable.from(events)],
];

describe("Producer.from", () => {
  it.each(kinds)("gives all of %s in order, and is done", async (_kind, make) => {
    const system = makeSystem();
    const producer = Producer.from<number>(system, make(range(0, 2_500)));
    const { consumer, seen, ends } = collect(system);
    const end = gone(system, producer.getRef());
    await consumer.subscribe(producer, { maxDemand: 100 });
    expect((await ends.next()).reason).toEqual({ type: "done" });
    expect(seen.events).toEqual(range(0, 2_500));
    expect(await end).toEqual({ type: "normal" });
    await consumer.stop();
    await eventually(() => system.system.getActors().length === 1); // the watcher
    expect(loggedErrors()).toEqual([]);
  });

  it.each(kinds)("ends at once with %s that is empty", async (_kind, make) => {
    const system = makeSystem();
    const { consumer, ends } = collect(system);
    await consumer.subscribe(Producer.from(system, make([])), { cancel: "permanent" });
    expect((await ends.next()).reason).toEqual({ type: "done" });
    await empty(system);
  });

  it("gives the chunks of a file", async () => {
    const system = makeSystem();
    const chunks: Buffer[] = [];
    const producer = Producer.from<Buffer>(system, createReadStream(thisFile, { highWaterMark: 100 }));
    for await (const batch of producer.batches({ maxDemand: 3 })) chunks.push(...batch);
    expect(chunks.length).toBeGreaterThan(10);
    expect(Buffer.concat(chunks)).toEqual(readFileSync(thisFile));
    await empty(system);
  });

  it("loses nothing of a source that does not wait: lines of a file, before anybody has asked for them", async () => {
    const system = makeSystem();
    const lines = createInterface({ input: createReadStream(thisFile) });
    const closed = once(lines, "close");
    const producer = Producer.from<string>(system, lines);
    await closed;
    const { consumer, seen, ends } = collect<string>(system);
    await consumer.subscribe(producer, { maxDemand: 10 });
    await ends.next();
    expect(seen.events).toEqual(readFileSync(thisFile, "utf8").trimEnd().split("\n"));
  });

  it("tells an iterator that cannot be made when it is asked for events", async () => {
    const system = makeSystem();
    const broken = {
      [Symbol.asyncIterator](): AsyncIterator<number> {
        throw new Error("no iterator today");
      },
    };
    const producer = Producer.from<number>(system, broken);
    const { consumer, ends } = collect(system);
    await consumer.subscribe(producer);
    expect((await ends.next()).reason).toMatchObject({ type: "error", error: { message: "no iterator today" } });
  });

  it("spreads events as its options say", async () => {
    const system = makeSystem();
    const producer = Producer.from(system, range(0, 10), {
      dispatcher: { type: "partition", partitions: 2 },
      demand: "accumulate",
    });
    const lanes = [collect(system), collect(system)];
    for (const [partition, { consumer }] of lanes.entries()) await consumer.subscribe(producer, { partition });
    expect((await producer.stats()).dispatched).toBe(0);
    producer.demand("forward");
    for (const { ends } of lanes) await ends.next();
    expect(lanes.map(({ seen }) => seen.events)).toEqual([
      [0, 2, 4, 6, 8],
      [1, 3, 5, 7, 9],
    ]);
  });

  it("refuses what cannot be read, and touches nothing", async () => {
    const system = makeSystem();
    for (const source of [undefined, null, 1, {}, () => 1]) {
      const error = thrown(() => Producer.from(system, source as any));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error.message).toMatch(/^Invalid source: expected an iterable, an async iterable or a readable stream/);
    }
    const locked = webStream([1]);
    locked.getReader();
    expect(thrown(() => Producer.from(system, locked))).toBeInstanceOf(InvalidArgumentError);
    expect(thrown(() => Producer.from(system, [], { bufferSize: -1 }))).toBeInstanceOf(InvalidOptionError);
    expect(thrown(() => Producer.from(system, [], { signal: 1 as any }))).toBeInstanceOf(InvalidArgumentError);
    const aborted = thrown(() => Producer.from(system, [], { signal: AbortSignal.abort("no") }));
    expect(aborted).toBeInstanceOf(CallAbortedError);
    expect(aborted.cause).toBe("no");
    await empty(system);
  });

  it("takes spawn options, and lets go of everything if it cannot be spawned", async () => {
    const system = makeSystem();
    const producer = Producer.from(system, [1], {}, { name: "source" });
    expect(producer.getRef().id.name).toBe("source");
    const stream = webStream([1]);
    expect(thrown(() => Producer.from(system, stream, {}, { name: "source" })).code).toBe("NAME_ALREADY_REGISTERED");
    expect(stream.locked).toBe(false);
    await producer.stop();
    await empty(system);
  });
});

/** Sources of 0, 1, 2 … that count how many they gave. */
const counting: [string, (given: { count: number }) => any][] = [
  [
    "an iterable",
    function* (given) {
      for (;;) yield given.count++;
    },
  ],
  [
    "an async iterable",
    async function* (given) {
      for (;;) yield given.count++;
    },
  ],
  [
    "a web stream",
    (given) => new ReadableStream({ pull: (controller) => controller.enqueue(given.count++) }, { highWaterMark: 0 }),
  ],
  [
    "a Node stream",
    (given) =>
      new Readable({
        objectMode: true,
        highWaterMark: 1,
        read() {
          this.push(given.count++);
        },
      }),
  ],
];

describe("back-pressure", () => {
  it.each(counting)("reads no more of %s than is asked for", async (kind, make) => {
    const system = makeSystem();
    const given = { count: 0 };
    const ahead = kind === "a Node stream" ? 2 : 0; // Its own buffer.
    const producer = Producer.from<number>(system, make(given));
    await turns();
    expect(given.count).toBe(0);
    const doors = [gate(), gate()];
    let chunk = 0;
    const { consumer, seen } = collect(system, () => doors[chunk++]?.promise ?? gate().promise);
    await consumer.subscribe(producer, { maxDemand: 10, minDemand: 6 });
    await seen.atLeast(1);
    await eventually(() => given.count >= 10);
    await turns(20);
    expect(given.count).toBeLessThanOrEqual(10 + ahead);
    const first = seen.events.length;
    doors[0].open();
    await seen.atLeast(first + 1);
    await turns(20);
    expect(given.count).toBeLessThanOrEqual(10 + first + ahead);
    expect(seen.events).toEqual(range(0, seen.events.length));
    void consumer.stop();
    await producer.stop();
  });

  it("hands over what came in one turn as one batch, and a met demand at once", async () => {
    const system = makeSystem();
    const producer = Producer.from(system, atOnce(range(0, 100)));
    const { consumer, chunks, ends } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 40, minDemand: 0 });
    await ends.next();
    expect(chunks.events.map(({ length }) => length)).toEqual([40, 40, 20]);
  });

  it("gives the event loop its turns, however much is there and asked for", async () => {
    const system = makeSystem();
    let read = 0;
    async function* endless(): AsyncGenerator<number> {
      for (;;) yield read++;
    }
    const { consumer, seen } = collect(system);
    await consumer.subscribe(Producer.from(system, endless()), { maxDemand: 1_000_000 });
    await seen.atLeast(1);
    for (let i = 0; i < 5; i++) {
      const before = read;
      await turn();
      expect(read - before).toBeLessThan(5_000);
    }
  });

  it("does not wait for a demand to be met", async () => {
    const system = makeSystem();
    const door = gate();
    async function* slow(): AsyncGenerator<number> {
      yield 1;
      yield 2;
      await door.promise;
      yield 3;
    }
    const { consumer, chunks, ends } = collect(system);
    await consumer.subscribe(Producer.from(system, slow()));
    expect(await chunks.next()).toEqual([1, 2]);
    door.open();
    expect(await chunks.next()).toEqual([3]);
    await ends.next();
  });

  it("gives what a Node stream holds in one batch", async () => {
    const system = makeSystem();
    const stream = new Readable({ objectMode: true, highWaterMark: 100, read() {} });
    for (const n of range(0, 50)) stream.push(n);
    const { consumer, chunks } = collect(system);
    await consumer.subscribe(Producer.from<number>(system, stream));
    expect(await chunks.next()).toEqual(range(0, 50));
    stream.push(50);
    expect(await chunks.next()).toEqual([50]);
  });

  it("keeps the order when demand and data cross", async () => {
    const system = makeSystem();
    const producer = Producer.from<number>(system, Readable.from(later(range(0, 300))));
    const { consumer, seen, ends } = collect(system, () => turn());
    await consumer.subscribe(producer, { maxDemand: 3, minDemand: 2 });
    await ends.next();
    expect(seen.events).toEqual(range(0, 300));
  });
});

describe("while the source lets it wait, the stage", () => {
  it("answers at once, and its stop ends the iterator", async () => {
    const system = makeSystem();
    const door = gate<IteratorResult<number>>();
    let returned = 0;
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => door.promise,
        return: async () => {
          returned++;
          return { done: true, value: undefined };
        },
      }),
    };
    const producer = Producer.from(system, source);
    const { consumer } = collect(system);
    await consumer.subscribe(producer, { cancel: "permanent" });
    await eventually(async () => (await producer.stats()).demand === 1_000);
    await producer.stop();
    expect(returned).toBe(1);
    door.fail(new Error("late")); // Would be an unhandled rejection.
    await empty(system);
    expect(loggedErrors()).toEqual([]);
  });

  it("does not wait for a generator that never goes on", async () => {
    const system = makeSystem();
    async function* stuck(): AsyncGenerator<number> {
      await gate().promise;
      yield 1;
    }
    const producer = Producer.from(system, stuck());
    const { consumer } = collect(system);
    await consumer.subscribe(producer);
    await eventually(async () => (await producer.stats()).demand === 1_000);
    await producer.stop();
    await consumer.stop();
    await empty(system);
  });

  it("reports a late failure of return() and goes on", async () => {
    const system = makeSystem();
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => {}),
        return: () => Promise.reject(new Error("not now")),
      }),
    };
    const producer = Producer.from(system, source);
    const { consumer } = collect(system);
    await consumer.subscribe(producer);
    await eventually(async () => (await producer.stats()).demand === 1_000);
    await producer.stop();
    await eventually(() => logged().some(({ message }) => message === "A source could not be closed"));
  });
});

describe("stopping the producer", () => {
  it("waits for the cleanup of a generator", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    async function* careful(): AsyncGenerator<number> {
      try {
        for (let n = 0; ; n++) yield n;
      } finally {
        await turns();
        life.push("cleaned up");
      }
    }
    const producer = Producer.from(system, careful());
    const { consumer, seen } = collect(system, () => gate().promise);
    await consumer.subscribe(producer, { maxDemand: 2 });
    await seen.atLeast(1);
    await producer.stop();
    expect(life.events).toEqual(["cleaned up"]);
    system.system.sendExit(null, consumer.getRef(), "kill");
    await empty(system);
  });

  it.each([["before"], ["after"]])("closes every kind of source, %s the first event", async (when) => {
    const system = makeSystem();
    const closed: string[] = [];
    const note = (what: string) => (): any => {
      closed.push(what);
      return { done: true, value: undefined };
    };
    const node = new Readable({
      objectMode: true,
      read() {
        this.push(1);
      },
      destroy(_error, callback) {
        note("node")();
        callback(null);
      },
    });
    const next = { done: false, value: 1 };
    const sources: any[] = [
      { [Symbol.iterator]: () => ({ next: () => next, return: note("sync") }) },
      { [Symbol.asyncIterator]: () => ({ next: async () => next, return: async () => note("async")() }) },
      new ReadableStream({ pull: (controller) => controller.enqueue(1), cancel: note("web") }),
      node,
    ];
    for (const source of sources) {
      const producer = Producer.from(system, source);
      const { consumer, seen } = collect(system);
      if (when === "after") {
        await consumer.subscribe(producer, { maxDemand: 1 });
        await seen.atLeast(1);
      }
      await producer.stop();
      await consumer.stop();
    }
    expect(closed).toEqual(["sync", "async", "web", "node"]);
    expect(node.listenerCount("end") + node.listenerCount("readable")).toBe(0);
    expect(sources[2].locked).toBe(false);
    await eventually(() => node.listenerCount("error") === 0);
    await empty(system);
  });

  it("takes the listeners of an event iterator away", async () => {
    const system = makeSystem();
    const emitter = new EventEmitter();
    const producer = Producer.from<number[]>(system, on(emitter, "data"));
    const { consumer, seen } = collect<number[]>(system);
    await consumer.subscribe(producer);
    emitter.emit("data", 7);
    expect(await seen.next()).toEqual([7]);
    await producer.stop();
    expect(emitter.listenerCount("data")).toBe(0);
  });

  it("by its signal is an orderly stop, and leaves no listener", async () => {
    const system = makeSystem();
    const controller = new AbortController();
    const { signal } = controller;
    const stream = new Readable({ objectMode: true, read() {} });
    const aborted = Producer.from(system, stream, { signal });
    const finished = Producer.from(system, [1], { signal });
    expect(getEventListeners(signal, "abort")).toHaveLength(1); // One for all.
    const { consumer, ends } = collect(system);
    await consumer.subscribe(finished);
    await ends.next();
    const other = new AbortController();
    await consumer.subscribe(Producer.from(system, [1], { signal: other.signal }));
    await ends.next();
    await eventually(() => getEventListeners(other.signal, "abort").length === 0);
    await consumer.subscribe(aborted);
    controller.abort();
    expect((await ends.next()).reason).toEqual({ type: "normal" });
    expect(stream.destroyed).toBe(true);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    await consumer.stop();
    await empty(system);
  });
});

/** Sources of 0, 1 and 2 that fail then. */
const failing: [string, (error: Error) => any][] = [
  [
    "an iterable",
    function* (error) {
      yield* [0, 1, 2];
      throw error;
    },
  ],
  [
    "an async iterable",
    async function* (error) {
      yield* [0, 1, 2];
      throw error;
    },
  ],
  [
    "a web stream",
    (error) => {
      let n = 0;
      return new ReadableStream({
        pull: (controller) => (n < 3 ? controller.enqueue(n++) : controller.error(error)),
      });
    },
  ],
  [
    "a Node stream",
    (error) => {
      let n = 0;
      return new Readable({
        objectMode: true,
        highWaterMark: 1,
        read() {
          if (n < 3) this.push(n++);
          else this.destroy(error);
        },
      });
    },
  ],
];

describe("an error", () => {
  it.each(failing)("of %s ends the producer with it, behind the events, and for good", async (_kind, make) => {
    const system = makeSystem();
    const error = new Error("the disk is on fire");
    const producer = Producer.from<number>(system, make(error));
    const end = gone(system, producer.getRef());
    const { consumer, seen, ends } = collect(system);
    await consumer.subscribe(producer, { maxDemand: 5 });
    const { reason } = await ends.next();
    expect(reason).toEqual({ type: "error", error });
    expect((reason as any).error).toBe(error);
    expect(seen.events).toEqual([0, 1, 2]);
    expect(await end).toEqual({ type: "error", error });
    expect(logged().map(({ message, error }) => [message, error?.message])).toEqual([
      ["Actor crashed", "the disk is on fire"],
    ]);
    await consumer.stop();
    await leakFree(system);
  });

  it.each([["transient"], ["permanent"]] as const)("takes %s consumers with it", async (cancel) => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const error = new Error("no more");
    const producer = Producer.from<number>(system, failing[1][1](error));
    const { consumer, seen } = collect(system);
    const end = gone(system, consumer.getRef());
    await consumer.subscribe(producer, { cancel });
    expect(await end).toEqual({ type: "exit", reason: error });
    expect(seen.events).toEqual([0, 1, 2]);
  });

  it("waits until all that was read is with its consumers", async () => {
    const system = makeSystem();
    const error = new Error("end of tape");
    const producer = Producer.from<number>(system, failing[0][1](error), {
      dispatcher: { type: "partition", partitions: 2, hash: () => 0 },
    });
    const lanes = [collect(system), collect(system)];
    await lanes[0].consumer.subscribe(producer, { partition: 0, maxDemand: 1 });
    await lanes[1].consumer.subscribe(producer, { partition: 1, maxDemand: 10 });
    for (const { ends } of lanes) expect((await ends.next()).reason).toEqual({ type: "error", error });
    expect(lanes[0].seen.events).toEqual([0, 1, 2]);
  });

  it("that comes while nobody asks waits for who asks", async () => {
    const system = makeSystem();
    const producer = Producer.from(system, createReadStream(`${thisFile}.missing`));
    const stream = new Readable({ read() {} });
    const closed = Producer.from(system, stream);
    stream.destroy();
    await eventually(() => stream.closed);
    await turns();
    const { consumer, ends } = collect(system);
    await consumer.subscribe(producer);
    expect((await ends.next()).reason).toMatchObject({ type: "error", error: { code: "ENOENT" } });
    await consumer.subscribe(closed);
    const { reason }: any = await ends.next();
    expect(reason.error).toBeInstanceOf(StageError);
    expect(reason.error.message).toBe("The stream that a producer reads was closed before its end");
    expect(stream.eventNames()).toEqual([]);
  });

  it.each([
    ["ended", async (stream: Readable) => stream.push(null), { type: "done" }],
    [
      "failed",
      async (stream: Readable) => stream.destroy(new Error("old")),
      { type: "error", error: new Error("old") },
    ],
  ] as const)("or end of a Node stream that has %s already is found", async (_how, finish, reason) => {
    const system = makeSystem();
    const stream = new Readable({ read() {} }).on("error", () => {});
    await finish(stream);
    stream.resume();
    await eventually(() => stream.closed);
    const { consumer, ends } = collect(system);
    await consumer.subscribe(Producer.from(system, stream));
    expect((await ends.next()).reason).toEqual(reason);
  });

  it("of an iterator that breaks its contract is one of the source", async () => {
    const system = makeSystem();
    const broken = { [Symbol.asyncIterator]: () => ({ next: async () => undefined }) };
    const error = await rejection(
      Producer.from(system, broken as any)
        .batches()
        [Symbol.asyncIterator]()
        .next(),
    );
    expect(error).toBeInstanceOf(TypeError);
    const unopenable = {
      [Symbol.iterator]: () => {
        throw new Error("closed today");
      },
    };
    const closed = await rejection(
      Producer.from(system, unopenable as any)
        .batches()
        [Symbol.asyncIterator]()
        .next(),
    );
    expect(closed.message).toBe("closed today");
    await empty(system);
  });
});
