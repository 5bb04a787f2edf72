/**
 * Pipelines: what their steps make of events, and how everything ends when one part of a run does.
 */

import { getEventListeners } from "node:events";
import { createReadStream, readFileSync } from "node:fs";
import { Readable, Writable } from "node:stream";
import { pipeline as pipe } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import {
  ActorNotFoundError,
  CallAbortedError,
  createActor,
  InvalidArgumentError,
  InvalidOptionError,
  type Pipeline,
  Producer,
  ProducerConsumer,
  pipeline,
  StageError,
} from "libeam";
import { afterEach, describe, expect, expectTypeOf, it, vi } from "vitest";
import { makeProbe } from "../../support/probe.js";
import { countUp, eventually, range, sorted } from "../../support/stages.js";
import { empty, leakFree, loggedErrors, makeSystem } from "../../support/system.js";
import { gate, rejection, stateOf, thrown, turn, turns } from "../../support/time.js";
import { refuseWarnings } from "../../support/warnings.js";

const thisFile = fileURLToPath(import.meta.url);
refuseWarnings();
afterEach(() => void vi.useRealTimers());

/** Runs a pipeline and gives what its sink got. */
async function results<T>(described: Pipeline<T>): Promise<T[]> {
  const events: T[] = [];
  await described.run((event) => {
    events.push(event);
  });
  return events;
}

/** A writable stream that keeps what it gets. */
function keeping(events: unknown[], wait: (event: any) => unknown = () => {}): Writable {
  return new Writable({
    objectMode: true,
    highWaterMark: 2,
    write(event, _encoding, callback) {
      events.push(event);
      const written = async (): Promise<unknown> => wait(event);
      written().then(() => callback(), callback);
    },
  });
}

describe("the functions of a pipeline", () => {
  it("map, filter and make many of one, in order", async () => {
    const system = makeSystem();
    const described = pipeline(system, range(0, 2_000), { maxDemand: 50 })
      .map((n) => n + 1)
      .filter((n) => n % 2 === 0)
      .flatMap((n) => (n % 3 === 0 ? [] : [n, -n]))
      .map(String);
    expectTypeOf(described).toEqualTypeOf<Pipeline<string>>();
    const expected = range(1, 2_001)
      .filter((n) => n % 2 === 0 && n % 3 !== 0)
      .flatMap((n) => [String(n), String(-n)]);
    expect(await results(described)).toEqual(expected);
    expect(await results(described)).toEqual(expected);
    await empty(system);
  });

  it("may be asynchronous, one event at a time", async () => {
    const system = makeSystem();
    let inside = 0;
    const slowly = async (n: number): Promise<number> => {
      expect(++inside).toBe(1);
      await turns(n % 3);
      inside--;
      return n;
    };
    const described = pipeline(system, range(0, 60), { maxDemand: 7 })
      .map(slowly)
      .filter(async (n) => (await slowly(n)) % 2 === 0)
      .flatMap(async (n) => [await slowly(n), n + 1])
      .flatMap(async function* (n) {
        yield await slowly(n);
        yield n;
      })
      .flatMap((n) => new Set([n]))
      .map((n) => (n % 4 === 0 ? Promise.resolve(n) : n));
    expectTypeOf(described).toEqualTypeOf<Pipeline<number>>();
    expect(await results(described)).toEqual(range(0, 60).flatMap((n) => [n, n]));
    await empty(system);
  });

  it("narrow types and keep nothing that is falsy", async () => {
    const system = makeSystem();
    const words = pipeline(system, [1, "a", 2, "b"]).filter((word): word is string => typeof word === "string");
    expectTypeOf(words).toEqualTypeOf<Pipeline<string>>();
    expect(await results(words)).toEqual(["a", "b"]);
    expect(await results(pipeline(system, [0, 1, 2]).filter((n) => n))).toEqual([1, 2]);
  });

  it("get what an iterable holds as it is, whatever is asynchronous", async () => {
    const system = makeSystem();
    const promises = [1, 2, 3].map((n) => Promise.resolve(n));
    const seen: unknown[] = [];
    const described = pipeline(system, [0])
      .flatMap(() => promises)
      .filter(async (event) => seen.push(event));
    await results(described);
    expect(seen).toEqual(promises);
    for (const event of seen) expect(event).toBeInstanceOf(Promise);
    await empty(system);
  });

  it("close the iterator of a flatMap when one of them fails, at the first of its events or later", async () => {
    const system = makeSystem();
    for (const at of [1, 2]) {
      for (const later of [false, true]) {
        let closed = 0;
        function* events(): Generator<number> {
          try {
            for (let n = 1; ; n++) yield n;
          } finally {
            closed++;
            // biome-ignore lint/correctness/noUnsafeFinally: the first error is the one to be told
            throw new Error("of the end");
          }
        }
        const fail = (n: number): number | Promise<number> => {
          if (n < at) return later ? Promise.resolve(n) : n;
          const error = new Error("of the function");
          if (later) return Promise.reject(error);
          throw error;
        };
        const run = pipeline(system, [0])
          .flatMap(events)
          .map(fail)
          .run(() => {});
        expect((await rejection(run)).message).toBe("of the function");
        expect(closed, `event ${at}, ${later ? "later" : "at once"}`).toBe(1);
      }
    }
    await empty(system);
  });

  it("can be none at all", async () => {
    const system = makeSystem();
    expect(await results(pipeline(system, [1, 2, 3]))).toEqual([1, 2, 3]);
    expect(await results(pipeline(system, new Set<number>()))).toEqual([]);
    await empty(system);
  });

  it("describe, and a description can be continued in several ways", async () => {
    const system = makeSystem();
    const base = pipeline(system, [1, 2, 3]).map((n) => 2 * n);
    const [more, texts] = [base.map((n) => n + 1), base.map((n) => `${n}`)];
    expect(system.system.getActors()).toEqual([]);
    expect(await Promise.all([results(base), results(more), results(texts)])).toEqual([
      [2, 4, 6],
      [3, 5, 7],
      ["2", "4", "6"],
    ]);
    await empty(system);
  });

  it("are checked when they are given", () => {
    const system = makeSystem();
    const described = pipeline(system, [1]);
    for (const make of [
      () => described.map(undefined as any),
      () => described.filter(1 as any),
      () => described.flatMap("x" as any),
      () => described.batch(0),
      () => described.batch(1.5),
      () => described.batch(1, -1),
      () => described.batch(1, Number.NaN),
      () => described.partition("key" as any, 2),
      () => described.partition((n) => n, 0),
      () => described.partition((n) => n, 1e9),
      () => pipeline(system, 5 as any),
      () => pipeline(system, undefined as any),
    ]) {
      expect(thrown(make)).toBeInstanceOf(InvalidArgumentError);
    }
    expect(thrown(() => pipeline(system, [], { maxDemand: 0 }))).toBeInstanceOf(InvalidOptionError);
    expect(thrown(() => pipeline(system, [], { maxDemand: 2, minDemand: 2 }))).toBeInstanceOf(InvalidOptionError);
    expect(thrown(() => pipeline(system, [], 1 as any))).toBeInstanceOf(InvalidOptionError);
  });
});

describe("sources", () => {
  it("are all that Producer.from reads", async () => {
    const system = makeSystem();
    async function* numbers(): AsyncGenerator<number> {
      yield* [1, 2, 3];
    }
    const web = new ReadableStream<number>({
      start(controller) {
        for (const n of [1, 2, 3]) controller.enqueue(n);
        controller.close();
      },
    });
    for (const source of [[1, 2, 3], new Set([1, 2, 3]), numbers(), web, Readable.from([1, 2, 3])]) {
      expect(await results(pipeline<number>(system, source).map((n) => -n))).toEqual([-1, -2, -3]);
    }
    const text = await results(pipeline<string>(system, createReadStream(thisFile, "utf8")));
    expect(text.join("")).toBe(readFileSync(thisFile, "utf8"));
    await empty(system);
  });

  it("may be stages, which a run leaves as they are", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const doubler = ProducerConsumer.start<null, number, number>(system, {
      handleEvents: (events, _from, state) => [events.map((n) => 2 * n), state],
    });
    await doubler.subscribe(producer);
    const from: Pipeline<number>[] = [pipeline(system, doubler), pipeline(system, producer)];
    expectTypeOf(pipeline(system, doubler.getRef())).toEqualTypeOf<Pipeline<any>>();
    for (const described of [...from, pipeline(system, producer.getRef())]) {
      const seen: number[] = [];
      for await (const event of described.partition((n) => n, 3).map((n) => n)) {
        seen.push(event);
        if (seen.length === 20) break;
      }
      expect(seen).toHaveLength(20);
    }
    await eventually(async () => (await producer.stats()).downstream.length === 1);
    expect(system.system.getActors()).toHaveLength(2);
    await leakFree(system, "monitors");
    await producer.stop();
    expect(await rejection(pipeline(system, producer).run(() => {}))).toBeInstanceOf(ActorNotFoundError);
    expect(await rejection(results(pipeline(system, producer).partition((n) => n, 2)))).toBeInstanceOf(
      ActorNotFoundError,
    );
  });

  it("that end in an orderly way end the run", async () => {
    const system = makeSystem();
    const { producer } = countUp(system);
    const seen: number[] = [];
    const run = pipeline(system, producer, { maxDemand: 4 })
      .map((n) => n)
      .batch(3)
      .run((batch) => {
        seen.push(...batch);
        if (seen.length === 9) void producer.stop();
      });
    await run;
    expect(seen).toEqual(range(0, seen.length));
    await empty(system);
  });
});

describe("batch()", () => {
  it("makes groups, and a last one of what is left", async () => {
    const system = makeSystem();
    const described = pipeline(system, range(0, 10)).batch(4);
    expectTypeOf(described).toEqualTypeOf<Pipeline<number[]>>();
    expect(await results(described)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect(
      await results(
        pipeline(system, range(0, 8))
          .batch(4)
          .map((group) => group.length),
      ),
    ).toEqual([4, 4]);
    expect(await results(pipeline(system, [] as number[]).batch(4, 10))).toEqual([]);
    expect(await results(pipeline(system, range(0, 7)).batch(2).batch(2))).toEqual([
      [
        [0, 1],
        [2, 3],
      ],
      [[4, 5], [6]],
    ]);
    await empty(system);
  });

  it.each([
    [3, 10],
    [1, 1],
    [1, 7],
    [1_000, 4],
  ])("works with a maxDemand of %d and groups of %d", async (maxDemand, size) => {
    const system = makeSystem();
    const groups = await results(pipeline(system, range(0, 100), { maxDemand }).batch(size));
    expect(groups.flat()).toEqual(range(0, 100));
    expect(groups.slice(0, -1).every(({ length }) => length === size)).toBe(true);
  });

  it("gives what there is when the time is up, counted from the first event of a group", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const system = makeSystem();
    const stream = new Readable({ objectMode: true, read() {} });
    const groups: number[][] = [];
    const run = pipeline<number>(system, stream)
      .batch(3, 50)
      .run((group) => groups.push(group));
    const timers = (count: number) => eventually(() => vi.getTimerCount() === count);
    const group = async (...events: number[]): Promise<void> => {
      await eventually(() => groups.length > 0);
      expect(groups.splice(0)).toEqual([events]);
    };
    const put = (...events: number[]): void => {
      for (const event of events) stream.push(event);
    };
    put(1, 2);
    await timers(1);
    vi.advanceTimersByTime(49);
    await turns(10);
    expect(groups).toEqual([]);
    vi.advanceTimersByTime(1);
    await group(1, 2);
    put(3, 4, 5, 6);
    await group(3, 4, 5);
    await timers(1);
    vi.advanceTimersByTime(50);
    await group(6);
    put(7);
    await timers(1);
    put(8, 9);
    await group(7, 8, 9);
    expect(vi.getTimerCount()).toBe(0);
    put(10);
    await timers(1);
    stream.push(null);
    await run;
    expect(groups).toEqual([[10]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no timer when it is broken off", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const system = makeSystem();
    const stream = new Readable({ objectMode: true, read() {} });
    stream.push(1);
    const iterator = pipeline<number>(system, stream).batch(3, 50)[Symbol.asyncIterator]();
    const next = iterator.next();
    await eventually(() => vi.getTimerCount() === 1);
    await iterator.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(vi.getTimerCount()).toBe(0);
    expect(stream.destroyed).toBe(true);
  });
});

describe("partition()", () => {
  it("keeps the order of each key and loses nothing", async () => {
    const system = makeSystem();
    const events = range(0, 600).map((n) => ({ key: `k${n % 7}`, n }));
    const seen = await results(
      pipeline(system, events, { maxDemand: 11 })
        .partition(({ key }) => key, 4)
        .map(async (event) => {
          await turns(event.n % 2);
          return event;
        })
        .filter(({ n }) => n % 5 !== 0)
        .batch(3)
        .flatMap((group) => [...group]),
    );
    const expected = events.filter(({ n }) => n % 5 !== 0);
    expect(sorted(seen.map(({ n }) => n))).toEqual(expected.map(({ n }) => n));
    for (const key of new Set(events.map(({ key }) => key))) {
      const of = (all: typeof events) => all.filter((event) => event.key === key).map(({ n }) => n);
      expect(of(seen)).toEqual(of(expected));
    }
    await empty(system);
  });

  it("has lanes work side by side, each with its own sink", async () => {
    const system = makeSystem();
    const inside = new Set<number>();
    const doors = range(0, 3).map(() => gate());
    const run = pipeline(system, range(0, 9))
      .partition((n) => n, 3)
      .run(async (n) => {
        const lane = n % 3;
        expect(inside.has(lane)).toBe(false);
        inside.add(lane);
        await doors[lane].promise;
        inside.delete(lane);
      });
    await eventually(() => inside.size === 3);
    for (const door of doors) door.open();
    await run;
    await empty(system);
  });

  it("may follow anything, itself included", async () => {
    const system = makeSystem();
    const described = pipeline(system, range(0, 200), { maxDemand: 10 })
      .map((n) => n)
      .partition((n) => n, 3)
      .partition((n) => String(n), 2)
      .map((n) => n + 1)
      .partition((n) => n % 2 === 0, 5)
      .batch(2)
      .partition(() => undefined, 1)
      .flatMap((group) => [...group]);
    expect(sorted(await results(described))).toEqual(range(1, 201));
    await empty(system);
  });

  it("spreads keys of all types", async () => {
    const system = makeSystem();
    const keys = [1, -1, 1.5, Number.NaN, Infinity, 2n ** 70n, "text", "", true, null, undefined];
    const seen = await results(pipeline(system, keys).partition((key) => key, 3));
    expect(new Set(seen)).toEqual(new Set(keys));
  });

  it("fails the run when the key cannot be told", async () => {
    const system = makeSystem();
    const error = new Error("no key");
    const key = (n: number): number => {
      if (n === 5) throw error;
      return n;
    };
    expect(
      await rejection(
        pipeline(system, range(0, 10))
          .partition(key, 2)
          .run(() => {}),
      ),
    ).toBe(error);
    expect(
      await rejection(
        pipeline(system, range(0, 10)).map(Number).partition(key, 2).toReadable().pipeTo(new WritableStream()),
      ),
    ).toBe(error);
    await empty(system);
  });
});

describe("back-pressure", () => {
  it("reaches from a stalled sink to the source", async () => {
    const system = makeSystem();
    let pulled = 0;
    function* numbers(): Generator<number> {
      for (;;) yield pulled++;
    }
    const controller = new AbortController();
    const doors = range(0, 30).map(() => gate());
    let handled = 0;
    const run = rejection(
      pipeline(system, numbers(), { maxDemand: 4 })
        .map((n) => n)
        .batch(2)
        .flatMap((group) => [...group])
        .run(
          async (n) => {
            await doors[n]?.promise;
            handled = n + 1;
          },
          { signal: controller.signal },
        ),
    );
    for (const door of doors) {
      await turns(20);
      // The source, the map, the batch, the flatMap and the sink have at most four each.
      expect(pulled - handled).toBeLessThanOrEqual(4 * 5);
      door.open();
      await eventually(() => handled > doors.indexOf(door));
    }
    controller.abort();
    await run;
    await empty(system);
  });

  it("does not depend on how much a filter lets through", async () => {
    const system = makeSystem();
    const described = pipeline(system, range(0, 5_000), { maxDemand: 2 }).filter((n) => n % 1_000 === 999);
    expect(await results(described)).toEqual([999, 1_999, 2_999, 3_999, 4_999]);
  });
});

describe("a failing function", () => {
  it.each([
    ["map", (described: Pipeline<number>, fail: (n: number) => any) => described.map(fail)],
    ["an asynchronous map", (described, fail) => described.map(async (n) => fail(n))],
    ["filter", (described, fail) => described.filter((n) => fail(n) >= 0)],
    ["an asynchronous filter", (described, fail) => described.filter(async (n) => fail(n) >= 0)],
    ["flatMap", (described, fail) => described.flatMap((n) => [fail(n)])],
    [
      "a generator",
      (described, fail) =>
        described.flatMap(function* (n) {
          yield fail(n);
        }),
    ],
    [
      "an asynchronous generator",
      (described, fail) =>
        described.flatMap(async function* (n) {
          yield fail(n);
        }),
    ],
  ] as [string, (described: Pipeline<number>, fail: (n: number) => any) => Pipeline<any>][])(
    "(%s) ends the run with its error, behind the events before",
    async (_what, apply) => {
      const system = makeSystem();
      const error = new Error("seven");
      const calls: number[] = [];
      const fail = (n: number): number => {
        calls.push(n);
        if (n === 7) throw error;
        return n;
      };
      for (const further of [
        (all: Pipeline<any>) => all,
        (all: Pipeline<any>) => all.batch(1).flatMap((n) => [...n]),
      ]) {
        calls.length = 0;
        const seen: number[] = [];
        const described = further(apply(pipeline(system, range(0, 100), { maxDemand: 5 }), fail));
        expect(await rejection(described.run((n) => seen.push(n)))).toBe(error);
        expect(seen).toEqual(range(0, 7));
        expect(calls).toEqual(range(0, 8));
      }
      await empty(system);
      expect(loggedErrors()).toEqual(["Actor crashed", "Actor crashed"]);
    },
  );

  it("ends all lanes", async () => {
    const system = makeSystem();
    const error = new Error("one lane");
    const described = pipeline(system, countForever(), { maxDemand: 5 })
      .partition((n) => n, 3)
      .map((n) => {
        if (n === 100) throw error;
        return n;
      });
    expect(await rejection(described.run(() => turn()))).toBe(error);
    await empty(system);
  });

  it("ends a reading, whichever way it is read", async () => {
    const system = makeSystem();
    const error = new Error("three");
    const described = pipeline(system, range(0, 10)).map((n) => {
      if (n === 3) throw error;
      return n;
    });
    const seen: number[][] = [[], [], [], []];
    const readers = [
      async () => {
        for await (const n of described) seen[0].push(n);
      },
      async () => {
        for await (const batch of described.batches()) seen[1].push(...batch);
      },
      () => described.toReadable().pipeTo(new WritableStream({ write: (n) => void seen[2].push(n) })),
      () => pipe(described.toNodeStream(), keeping(seen[3])),
    ];
    for (const read of readers) expect(await rejection(read())).toBe(error);
    expect(seen).toEqual([range(0, 3), range(0, 3), range(0, 3), range(0, 3)]);
    await empty(system);
  });
});

function* countForever(): Generator<number> {
  for (let n = 0; ; n++) yield n;
}

describe("a run", () => {
  it("calls its sink one event at a time, and resolves when all are handled and all stages are gone", async () => {
    const system = makeSystem();
    const seen: number[] = [];
    let inside = 0;
    const run = pipeline(system, range(0, 50), { maxDemand: 8 }).run(async (n) => {
      expect(++inside).toBe(1);
      await turn();
      inside--;
      seen.push(n);
    });
    expect(await stateOf(run)).toBe("pending");
    await run;
    expect(seen).toEqual(range(0, 50));
    expect(system.system.getActors()).toEqual([]);
    await leakFree(system);
  });

  it("writes to a Node stream, waits for it and ends it", async () => {
    const system = makeSystem();
    const written: number[] = [];
    const writable = keeping(written, () => turn());
    await pipeline(system, range(0, 40))
      .partition((n) => n, 3)
      .map((n) => n)
      .run(writable);
    expect(sorted(written)).toEqual(range(0, 40));
    expect(writable.writableFinished).toBe(true);
    await eventually(() => writable.closed);
    expect(writable.eventNames()).toEqual([]);
    await empty(system);
  });

  it("writes to a web stream, waits for it and closes it", async () => {
    const system = makeSystem();
    const written: number[] = [];
    let closed = false;
    const sink = new WritableStream<number>({
      write: async (n) => {
        await turn();
        written.push(n);
      },
      close: () => {
        closed = true;
      },
    });
    await pipeline(system, range(0, 40)).run(sink);
    expect(written).toEqual(range(0, 40));
    expect([closed, sink.locked]).toEqual([true, false]);
    await empty(system);
  });

  it("holds the source back for a stream that is full", async () => {
    const system = makeSystem();
    let pulled = 0;
    function* numbers(): Generator<number> {
      while (pulled < 100) yield pulled++;
    }
    const doors = range(0, 10).map(() => gate());
    const written: number[] = [];
    const run = pipeline(system, numbers(), { maxDemand: 3 }).run(keeping(written, (n) => doors[n]?.promise));
    for (const [n, door] of doors.entries()) {
      await eventually(() => written.length === n + 1);
      await turns(10);
      expect(pulled).toBeLessThanOrEqual(n + 1 + 2 + 3);
      door.open();
    }
    await run;
    expect(written).toEqual(range(0, 100));
  });

  it("rejects when its sink fails, destroys it and the source, and stops everything", async () => {
    const system = makeSystem();
    const error = new Error("sink");
    const failAt = (at: number) => (n: unknown) => {
      if (n === at) throw error;
    };
    const sinks: (() => any)[] = [
      () => failAt(5),
      () => async (n: number) => failAt(5)(n),
      () => keeping([], failAt(5)),
      () => new WritableStream({ write: failAt(5) }),
    ];
    for (const make of sinks) {
      const source = Readable.from(range(0, 100));
      const sink = make();
      expect(
        await rejection(
          pipeline<number>(system, source)
            .map((n) => n)
            .run(sink),
        ),
      ).toBe(error);
      expect(source.destroyed).toBe(true);
      if (sink instanceof Writable) await eventually(() => sink.closed && sink.eventNames().length === 0);
      expect(system.system.getActors()).toEqual([]);
    }
    await empty(system);
    expect(loggedErrors()).toEqual([]);
  });

  it("rejects when its stream fails, or closes, while nothing is written", async () => {
    const system = makeSystem();
    const error = new Error("unplugged");
    for (const how of [error, undefined]) {
      const sink = keeping([]);
      const run = rejection(pipeline(system, countUp(system, { end: 0 }).producer).run(sink));
      await turns();
      sink.destroy(how);
      if (how === error) expect(await run).toBe(error);
      else expect((await run).message).toBe("The stream that a run writes to was closed before its end");
    }
    const gone = keeping([]).end();
    expect(await rejection(pipeline(system, [1]).run(gone))).toBeInstanceOf(StageError);
    const broken = keeping([]);
    broken.on("error", () => {}).destroy(error);
    await eventually(() => broken.closed);
    expect(await rejection(pipeline(system, [1]).run(broken))).toBe(error);
    const unwritable = new Writable({ write: (_chunk, _encoding, callback) => callback() });
    expect((await rejection(pipeline(system, [{}]).run(unwritable))).code).toBe("ERR_INVALID_ARG_TYPE");
    const cannotEnd = new Writable({ final: (callback) => callback(error), write: (_c, _e, callback) => callback() });
    expect(await rejection(pipeline(system, ["x"]).run(cannotEnd))).toBe(error);
    const cannotClose = new WritableStream({
      close: () => {
        throw error;
      },
    });
    expect(await rejection(pipeline(system, ["x"]).run(cannotClose))).toBe(error);
  });

  it("rejects when the source fails, and aborts the sink with the error", async () => {
    const system = makeSystem();
    const missing = (): Readable => createReadStream(`${thisFile}.missing`);
    const node = keeping([]);
    expect((await rejection(pipeline(system, missing()).run(node))).code).toBe("ENOENT");
    expect((node.errored as any).code).toBe("ENOENT");
    const aborted = makeProbe<any>();
    const web = new WritableStream({ abort: aborted.push });
    expect(
      (
        await rejection(
          pipeline(system, missing())
            .map((n) => n)
            .run(web),
        )
      ).code,
    ).toBe("ENOENT");
    expect((await aborted.next()).code).toBe("ENOENT");
    await empty(system);
  });

  it("can be aborted at any time, and does not wait for what hangs", async () => {
    const system = makeSystem();
    const makers: ((signal: AbortSignal, hang: () => Promise<never>) => Promise<void>)[] = [
      (signal, hang) => pipeline(system, countForever()).run(hang, { signal }),
      (signal, hang) =>
        pipeline(system, countForever())
          .map(hang)
          .run(() => {}, { signal }),
      (signal, hang) => pipeline(system, countForever()).run(keeping([], hang), { signal }),
      (signal, hang) =>
        pipeline<number>(system, { [Symbol.asyncIterator]: () => ({ next: hang }) })
          .partition((n) => n, 2)
          .run(() => {}, { signal }),
      (signal, hang) => pipeline(system, countForever()).run(new WritableStream({ write: hang }), { signal }),
    ];
    for (const make of makers) {
      const controller = new AbortController();
      const reached = gate();
      const run = make(controller.signal, () => {
        reached.open();
        return gate<never>().promise;
      });
      await reached.promise;
      controller.abort("enough");
      const error = await rejection(run);
      expect(error).toBeInstanceOf(CallAbortedError);
      expect(error.cause).toBe("enough");
      expect(system.system.getActors()).toEqual([]);
      expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    }
    const aborted = AbortSignal.abort("before");
    expect(await rejection(pipeline(system, [1]).run(() => {}, { signal: aborted }))).toBeInstanceOf(CallAbortedError);
    await empty(system);
    expect(loggedErrors()).toEqual([]);
  });

  it("calls no function after it has failed", async () => {
    const system = makeSystem();
    const door = gate();
    const calls: number[] = [];
    const controller = new AbortController();
    const run = rejection(
      pipeline(system, range(0, 10))
        .map(async (n) => {
          calls.push(n);
          await door.promise;
          return n;
        })
        .run(() => {}, { signal: controller.signal }),
    );
    await eventually(() => calls.length === 1);
    controller.abort();
    await run;
    door.open();
    await turns(20);
    expect(calls).toEqual([0]);
  });

  it.each<[string, (described: Pipeline<number>, values: () => any, fn: (n: any) => any) => Pipeline<any>]>([
    ["what flatMap gave goes through another function", (described, values, fn) => described.flatMap(values).map(fn)],
    ["flatMap is still giving", (described, values) => described.flatMap(values)],
    [
      "flatMap gives more by flatMap",
      (described, values, fn) => described.flatMap(values).flatMap(async (n) => [fn(n)]),
    ],
  ])("calls no function and reads nothing after it was aborted while %s", async (_what, apply) => {
    const system = makeSystem();
    for (const kind of ["a generator", "an asynchronous generator"]) {
      const controller = new AbortController();
      let [given, calls, closed] = [0, 0, 0];
      const give = (): number => {
        if (++given === 5) controller.abort();
        return given;
      };
      function* endless(): Generator<Promise<number> | number> {
        try {
          for (;;) yield give();
        } finally {
          closed++;
        }
      }
      async function* endlessLater(): AsyncGenerator<number> {
        try {
          for (; ; await turn()) yield give();
        } finally {
          closed++;
        }
      }
      const fn = async (n: number): Promise<number> => {
        calls++;
        await turn();
        return n;
      };
      const sync = kind === "a generator";
      // A generator that gives for ever, with nothing asynchronous behind it, is the user's own endless loop.
      if (sync && _what === "flatMap is still giving") continue;
      const described = apply(pipeline(system, [1]), sync ? endless : endlessLater, fn);
      const error = await rejection(described.run(() => {}, { signal: controller.signal }));
      expect(error).toBeInstanceOf(CallAbortedError);
      await eventually(() => closed === 1);
      const before = [given, calls];
      await turns(20);
      expect([given, calls], kind).toEqual(before);
      expect(given, kind).toBe(5);
      expect(calls, kind).toBeLessThanOrEqual(5);
    }
    await empty(system);
  });

  it("calls no further function for the events behind the one that aborted it", async () => {
    const system = makeSystem();
    const controller = new AbortController();
    const calls: string[] = [];
    const run = pipeline(system, range(0, 10))
      .map((n) => {
        calls.push(`first ${n}`);
        if (n === 2) controller.abort();
        return n;
      })
      .map((n) => calls.push(`second ${n}`))
      .run(() => {}, { signal: controller.signal });
    expect(await rejection(run)).toBeInstanceOf(CallAbortedError);
    expect(calls).toEqual(["first 0", "second 0", "first 1", "second 1", "first 2"]);
  });

  it("rejects when somebody else stops its stages", async () => {
    const system = makeSystem();
    const reached = gate();
    const run = pipeline(system, countForever()).run(async () => {
      reached.open();
      await turn();
    });
    const stopped = rejection(run);
    await reached.promise;
    await system.shutdown({ drainMailboxes: false });
    expect((await stopped).message).toBe("The stages of a pipeline were stopped before everything was handled");
    expect((await rejection(pipeline(system, [1]).run(() => {}))).code).toBe("SYSTEM_SHUTTING_DOWN");
  });

  it("rejects when its stages are stopped while all lanes are busy", async () => {
    const system = makeSystem();
    const doors = [gate(), gate()];
    let busy = 0;
    const stopped = rejection(
      pipeline(system, countForever(), { maxDemand: 4 })
        .partition((n) => n, 2)
        .map(async (n) => {
          busy++;
          await doors[n % 2].promise;
          return n;
        })
        .run(() => {}),
    );
    await eventually(() => busy === 2);
    const end = system.shutdown({ drainMailboxes: false });
    for (const door of doors) {
      await turns(20);
      door.open();
    }
    expect((await stopped).message).toBe("The stages of a pipeline were stopped before everything was handled");
    await end;
  });

  it("rejects for what is no sink", async () => {
    const system = makeSystem();
    for (const sink of [undefined, 1, {}]) {
      expect(await rejection(pipeline(system, [1]).run(sink as any))).toBeInstanceOf(InvalidArgumentError);
    }
    const locked = new WritableStream();
    locked.getWriter();
    expect(await rejection(pipeline(system, [1]).run(locked))).toBeInstanceOf(InvalidArgumentError);
    expect(await rejection(pipeline(system, [1]).run(() => {}, { signal: 1 as any }))).toBeInstanceOf(
      InvalidArgumentError,
    );
    await empty(system);
  });

  it("of many with one signal leaves no listener and gives no warning", async () => {
    const system = makeSystem();
    const { signal } = new AbortController();
    await Promise.all(range(0, 30).map((n) => pipeline(system, range(0, n)).run(() => {}, { signal })));
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await empty(system);
  });
});

describe("a reading of a pipeline", () => {
  it("gives the events of all lanes, and ends everything with its end", async () => {
    const system = makeSystem();
    const described = pipeline(system, range(0, 100), { maxDemand: 6 })
      .partition((n) => n, 3)
      .map((n) => n);
    const seen: number[][] = [[], [], []];
    for await (const n of described) seen[0].push(n);
    for await (const n of described.toReadable()) seen[1].push(n);
    for await (const n of described.toNodeStream()) seen[2].push(n);
    for (const events of seen) expect(sorted(events)).toEqual(range(0, 100));
    await empty(system);
  });

  it("stops all stages and closes the source when it is left", async () => {
    const system = makeSystem();
    const leave: ((described: Pipeline<number>) => Promise<unknown>)[] = [
      async (described) => {
        for await (const _ of described) break;
      },
      async (described) => {
        for await (const _ of described.toReadable()) break;
      },
      async (described) => {
        for await (const _ of described.toNodeStream()) break;
      },
      async (described) => {
        const iterator = described[Symbol.asyncIterator]();
        const reads = [iterator.next(), iterator.next()];
        expect(await Promise.all(reads)).toEqual([
          { done: false, value: 0 },
          { done: false, value: 1 },
        ]);
        await iterator.return?.();
        expect(await iterator.next()).toEqual({ done: true, value: undefined });
      },
      (described) =>
        rejection(
          pipe(
            described.toNodeStream(),
            keeping([], () => Promise.reject(new Error("no"))),
          ),
        ),
    ];
    for (const each of leave) {
      let closed = false;
      async function* source(): AsyncGenerator<number> {
        try {
          yield* countForever();
        } finally {
          closed = true;
        }
      }
      await each(pipeline(system, source(), { maxDemand: 3 }).map(async (n) => n));
      await eventually(() => closed);
    }
    await empty(system);
  });

  it("fails when its signal aborts", async () => {
    const system = makeSystem();
    const read: ((described: Pipeline<number>, signal: AbortSignal) => Promise<unknown>)[] = [
      async (described, signal) => {
        for await (const _ of described.batches({ signal }));
      },
      (described, signal) => described.toReadable({ signal }).pipeTo(new WritableStream()),
      (described, signal) => pipe(described.toNodeStream({ signal }), keeping([])),
    ];
    for (const each of read) {
      const controller = new AbortController();
      let count = 0;
      const described = pipeline(system, countForever(), { maxDemand: 5 }).map(async (n) => {
        if (++count === 20) controller.abort("enough");
        return n;
      });
      const error = await rejection(each(described, controller.signal));
      expect(error).toBeInstanceOf(CallAbortedError);
      expect(error.cause).toBe("enough");
    }
    expect(thrown(() => pipeline(system, [1]).toReadable({ signal: 1 as any }))).toBeInstanceOf(InvalidArgumentError);
    await empty(system);
  });

  it.each<[string, (described: Pipeline<number>, step: () => Promise<void>) => Promise<unknown>]>([
    [
      "an iteration",
      async (described, step) => {
        for await (const _ of described) await step();
      },
    ],
    [
      "batches",
      async (described, step) => {
        for await (const _ of described.batches()) await step();
      },
    ],
    ["a web stream", (described, step) => described.toReadable().pipeTo(new WritableStream({ write: step }))],
    ["a Node stream", (described, step) => pipe(described.toNodeStream(), keeping([], step))],
  ])("fails when somebody else stops its stages: %s", async (_what, read) => {
    for (const lanes of [1, 2]) {
      const system = makeSystem();
      const reached = gate();
      const door = gate();
      const described = pipeline(system, countForever(), { maxDemand: 4 })
        .map((n) => n)
        .partition((n) => n, lanes)
        .map((n) => n);
      const failed = rejection(
        read(described, () => {
          reached.open();
          return door.promise;
        }),
      );
      await reached.promise;
      const end = system.shutdown();
      await empty(system);
      door.open();
      expect((await failed).message).toBe("The stages of a pipeline were stopped before everything was handled");
      await end;
    }
  });

  it("ends with the actor that reads it, which is no end of the events", async () => {
    const system = makeSystem();
    const ends: unknown[] = [];
    const Reader = createActor((ctx, self) =>
      self.onCast("read", () => {
        const read = async (): Promise<void> => {
          for await (const _ of pipeline(ctx, countForever()).map((n) => n)) ctx.exit();
        };
        void read().then(
          () => ends.push("the end"),
          (error) => ends.push(error.code),
        );
      }),
    );
    system.spawn(Reader).cast("read");
    await eventually(() => ends.length === 1);
    expect(ends).toEqual(["STAGE"]);
    await empty(system);
  });

  it("can be the source of another pipeline", async () => {
    const system = makeSystem();
    const inner = pipeline(system, range(0, 30)).map((n) => n + 1);
    expect(await results(pipeline(system, inner).map((n) => -n))).toEqual(range(1, 31).map((n) => -n));
    expect(await results(pipeline(system, Producer.from(system, inner)))).toEqual(range(1, 31));
    await empty(system);
  });
});
