/**
 * Values on their way between nodes: what arrives is what was sent.
 */

import { runInNewContext } from "node:vm";
import { ActorId, ActorRef, createActor, LibeamError, MailboxFullError, TimeoutError, TransportError } from "libeam";
import { isNativeAccelerationEnabled } from "msgpackr";
import { describe, expect, it } from "vitest";
import { Codec } from "../../lib/cluster/codec.js";
import { Dice } from "../support/dice.js";
import { printedSeed } from "../support/seed.js";
import { makeSystem } from "../support/system.js";
import { thrown } from "../support/time.js";

const codec = new Codec();
const roundTrip = <T>(value: T): T => codec.decode(codec.encode(value));

// Elsewhere there may be no native part, which is as good.
if (process.platform === "linux" && process.arch === "x64") {
  it("strings are read by the native part of msgpackr, unless that is turned off", () => {
    expect(isNativeAccelerationEnabled).toBe(process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED === undefined);
  });
}

describe("values", () => {
  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["booleans", [true, false]],
    ["numbers", [0, 1, -1, 1.5, 2 ** 40, Number.MAX_SAFE_INTEGER, Number.NaN, Number.POSITIVE_INFINITY]],
    ["big integers", [0n, -1n, 2n ** 63n, 2n ** 200n]],
    ["strings", ["", "text", "日本", "\u0000", "a".repeat(70_000)]],
    ["objects", { a: 1, nested: { b: [1, { c: 2 }] }, u: undefined }],
    [
      "maps and sets",
      new Map<unknown, unknown>([
        [1, new Set(["x"])],
        ["k", new Map([[{ a: 1 }, 2]])],
      ]),
    ],
    ["dates", new Date(1_234_567_890_123)],
    ["regular expressions", /a+b/gi],
    ["typed arrays", [new Uint8Array([1, 2]), new Float64Array([1.5]), new Int32Array([-1]), new BigInt64Array([5n])]],
    ["buffers", Buffer.from("bytes")],
  ])("%s", (_name, value) => {
    expect(roundTrip(value)).toEqual(value);
  });

  it("keep cycles and repeated references", () => {
    const shared = { n: 1 };
    const value: any = { a: shared, b: shared, list: [shared] };
    value.self = value;
    const read = roundTrip(value);
    expect(read.self).toBe(read);
    expect(read.a).toBe(read.b);
    expect(read.list[0]).toBe(read.a);
  });

  it("keep cycles and repetitions of arrays that hold nothing else", () => {
    const twice = [1];
    const [a, b] = roundTrip([twice, twice]);
    expect([a, a === b]).toEqual([[1], true]);
    const within = roundTrip([[[twice, 2, twice]]])[0][0];
    expect(within[0]).toBe(within[2]);
    const itself: unknown[] = [1];
    itself.push(itself);
    const read = roundTrip(itself);
    expect(read[1]).toBe(read);
    const [inner, outer]: unknown[][] = [[2], [1]];
    outer!.push(inner);
    inner!.push(outer);
    expect((roundTrip(outer) as any)[1][1][0]).toBe(1);
    const nested = Array.from({ length: 50 }).reduce((value) => [value, -1], [0]);
    expect(roundTrip(nested)).toEqual(nested);
    expect(roundTrip(["m", ["method", [1, -0]]])).toEqual(["m", ["method", [1, -0]]]);
  });

  it("keep negative zero, wherever it is", () => {
    const shared = { zero: -0 };
    const error = new LibeamError("below", "BELOW_ZERO", { at: -0 }, { cause: [-0] });
    const value: any = {
      own: -0,
      list: [0, -0],
      map: new Map([["k", { v: -0 }]]),
      set: new Set([[-0]]),
      floats: new Float64Array([-0]),
      again: [shared, shared],
      error,
      named: Object.assign(new Error("x"), { name: "Named", code: -0 }),
      date: new Date(5),
      pattern: /-0/g,
      bytes: Buffer.from("x"),
      ["__proto__"]: -0,
    };
    value.self = value;
    const read = roundTrip(value);
    expect([read.own, read.list, read.floats[0]]).toEqual([-0, [0, -0], -0]);
    expect(read.map).toEqual(value.map);
    expect([...read.set]).toEqual([[-0]]);
    expect(read.again).toEqual([{ zero: -0 }, { zero: -0 }]);
    expect(read.again[0]).toBe(read.again[1]);
    expect(read.self).toBe(read);
    expect([read.error.context, read.error.cause, read.error.stack]).toEqual([{ at: -0 }, [-0], error.stack]);
    expect(read.error).toBeInstanceOf(LibeamError);
    expect([read.named.name, read.named.code]).toEqual(["Named", -0]);
    expect([read.date, read.pattern, read.bytes]).toEqual([value.date, value.pattern, value.bytes]);
    expect(Object.is(roundTrip(-0), -0)).toBe(true);
    expect(Object.is(value.list[1], -0), "the sender keeps its own").toBe(true);
  });

  it("keep the byte order mark of texts, wherever they are", () => {
    const [short, ascii, other] = ["\ufeffabc", `\ufeff${"x".repeat(70)}`, `\ufeff\ufeff${"é".repeat(70)}`];
    for (const text of [short, ascii, other]) expect(roundTrip(text)).toBe(text);
    expect(roundTrip(["m", ["method", [ascii]]])).toEqual(["m", ["method", [ascii]]]);
    const read = roundTrip({ map: new Map([[other, new Set([ascii])]]), error: new RangeError(ascii) });
    expect([...read.map]).toEqual([[other, new Set([ascii])]]);
    expect(read.error.message).toBe(ascii);
  });

  it("keep lone surrogates of texts, wherever they are", () => {
    const [half, other] = ["🙂".slice(0, 1), `caf\u00e9 ${"🙂".slice(1)}`];
    for (const text of [half, other, `${"x".repeat(100)}${half}`, "🙂"]) expect(roundTrip(text)).toBe(text);
    expect(roundTrip(["m", ["method", [half]]])).toEqual(["m", ["method", [half]]]);
    const read = roundTrip({ map: new Map([[half, new Set([other])]]), error: new RangeError(half) });
    expect([...read.map]).toEqual([[half, new Set([other])]]);
    expect(read.error.message).toBe(half);
  });

  it("are searched for what needs a substitute in time that grows with their size, cycles or not", () => {
    let node: any = {};
    const first = node;
    for (let depth = 0; depth < 500; depth++) node = { a: node, b: node, c: [node, node] };
    first.end = node;
    first.zero = -0;
    const read = roundTrip(node);
    expect(read.a).toBe(read.b);
    let [deepest, depth] = [read, 0];
    for (; deepest.zero === undefined; depth++) deepest = deepest.a;
    expect([depth, deepest.zero, deepest.end === read]).toEqual([500, -0, true]);
  });

  it("do not confuse fields with prototypes", () => {
    const read = roundTrip(JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}'));
    expect(({} as any).polluted).toBeUndefined();
    expect(read.polluted).toBeUndefined();
  });

  it("keep a field that is named like the prototype, as JSON does", () => {
    const value = JSON.parse('{"a": 1, "__proto__": {"polluted": true}, "z": {"__proto__": 2}}');
    value.self = value;
    const read = roundTrip({ value, again: value });
    expect(Object.keys(read.value)).toEqual(["a", "__proto__", "z", "self"]);
    expect(Object.getOwnPropertyDescriptor(read.value, "__proto__")?.value).toEqual({ polluted: true });
    expect(Object.entries(read.value.z)).toEqual([["__proto__", 2]]);
    expect([read.value.self === read.value, read.again === read.value]).toEqual([true, true]);
    expect(Object.getPrototypeOf(read.value)).toBe(Object.prototype);
    expect(({} as any).polluted).toBeUndefined();
  });

  it("of classes that extend Map, Set and Array come as what these extend", () => {
    class Tags extends Map<unknown, unknown> {}
    class Ids extends Set<unknown> {}
    class Row extends Array<unknown> {}
    const tags = new Tags([["k", { v: 1 }]]);
    tags.set("self", tags);
    const read = roundTrip<any>({ tags, again: tags, ids: new Ids([1]), row: Row.from([1, 2]) });
    expect(read.tags).toBeInstanceOf(Map);
    expect(read.tags.get("k")).toEqual({ v: 1 });
    expect([read.tags.get("self") === read.tags, read.again === read.tags]).toEqual([true, true]);
    expect([read.ids, read.row]).toEqual([new Set([1]), [1, 2]]);
  });

  it.each<[string, unknown]>([
    [
      "new Map([[1, { zero: -0 }], [new Map(), 2]])",
      new Map<unknown, unknown>([
        [1, { zero: -0 }],
        [new Map(), 2],
      ]),
    ],
    ["new Set([1, new Set()])", new Set([1, new Set()])],
    ["new Date(5)", new Date(5)],
    ["/a+/giu", /a+/giu],
    ["new Uint8Array([1, 255])", new Uint8Array([1, 255])],
    ["new Float64Array([-0, 1.5]).subarray(1)", new Float64Array([1.5])],
    ["new BigInt64Array([-5n])", new BigInt64Array([-5n])],
    ["new DataView(new Uint8Array([1, 2, 3]).buffer, 1)", new DataView(new Uint8Array([2, 3]).buffer)],
    ["new Uint8Array([1, 2]).buffer", new Uint8Array([1, 2]).buffer],
    ["({ list: [{ n: 1 }], nothing: undefined })", { list: [{ n: 1 }], nothing: undefined }],
    ["new Number(3)", Object(3)],
  ])("of another realm come as those of this one: %s", (source, own) => {
    const foreign = runInNewContext(source);
    expect(roundTrip(foreign)).toStrictEqual(own);
    expect(roundTrip({ a: [foreign], b: foreign })).toStrictEqual({ a: [own], b: own });
    const { a, b } = roundTrip({ a: foreign, b: foreign });
    expect(a).toBe(b);
    // Beside something that has the message copied anyway.
    expect(roundTrip([-0, foreign])).toStrictEqual([-0, own]);
  });

  it("of classes that extend views of bytes come as what these extend", () => {
    class Samples extends Float32Array {}
    class Packet extends Uint8Array {}
    const samples = new Samples([1.5, -0]);
    const read = roundTrip<any>({ samples, again: samples, packet: new Packet([1, 2]).subarray(1) });
    expect(read).toStrictEqual({
      samples: new Float32Array([1.5, -0]),
      again: new Float32Array([1.5, -0]),
      packet: new Uint8Array([2]),
    });
    expect(read.samples).toBe(read.again);
  });

  it("of another realm keep cycles", () => {
    const map = runInNewContext("const map = new Map(); map.set('self', map)");
    const back = roundTrip(map);
    expect(back).toBeInstanceOf(Map);
    expect(back.get("self")).toBe(back);
  });

  it("that wrap a primitive are kept", () => {
    const wrappers = [new Number(1), new Number(-0), new String("text"), new Boolean(false), Object(5n)];
    const read = roundTrip({ wrappers, again: wrappers[0] });
    expect(read.wrappers.map((each) => typeof each)).toEqual(wrappers.map(() => "object"));
    expect(read.wrappers).toStrictEqual(wrappers);
    expect(read.again).toBe(read.wrappers[0]);
    expect(() => codec.encode([Object(Symbol("s"))])).toThrow(TransportError);
  });

  it("that cannot be sent are refused by name", () => {
    for (const value of [{ fn: () => 1 }, [() => 1], ["cast", [Symbol("s")]]]) {
      const error = thrown(() => codec.encode(value));
      expect(error).toBeInstanceOf(TransportError);
      expect(error.message).toMatch(/cannot be sent/);
    }
  });
});

describe("errors", () => {
  it("of libeam come back as what they were", () => {
    const cause = new TypeError("inner");
    const read = roundTrip(new LibeamError("outer", "SOME_CODE", { a: 1 }, { cause }));
    expect(read).toBeInstanceOf(LibeamError);
    expect(read).toMatchObject({ name: "LibeamError", message: "outer", code: "SOME_CODE", context: { a: 1 } });
    expect(read.cause).toBeInstanceOf(TypeError);
    for (const error of [new TimeoutError("call", 5), new MailboxFullError("a1")]) {
      const back = roundTrip(error);
      expect(back).toBeInstanceOf(error.constructor as any);
      expect([back.name, back.message, back.code, back.context]).toEqual([
        error.name,
        error.message,
        error.code,
        error.context,
      ]);
    }
  });

  it("of the language keep their class, and all keep the stack of where they were thrown", () => {
    const error = new RangeError("too far");
    const read = roundTrip(error);
    expect(read).toBeInstanceOf(RangeError);
    expect(read.stack).toBe(error.stack);
    expect(Object.keys(read)).toEqual([]);
  });

  it("of unknown classes are errors with that name", () => {
    class OutOfStock extends Error {
      override name = "OutOfStock";
      code = "NO_APPLES";
    }
    const read: any = roundTrip(new OutOfStock("no apples"));
    expect(read).toBeInstanceOf(Error);
    expect([read.name, read.message, read.code]).toEqual(["OutOfStock", "no apples", "NO_APPLES"]);
  });

  it("of another realm are errors here, with all that they hold", () => {
    const source = `Object.assign(new TypeError("outer", { cause: new RangeError("inner") }), { code: "E", context: { at: -0 } })`;
    const foreign = runInNewContext(source);
    for (const back of [
      roundTrip(foreign),
      roundTrip([foreign, foreign])[1],
      roundTrip({ zero: -0, foreign }).foreign,
    ]) {
      expect(back).toBeInstanceOf(TypeError);
      expect([back.message, back.code, back.context, back.stack]).toEqual(["outer", "E", { at: -0 }, foreign.stack]);
      expect(back.cause).toBeInstanceOf(RangeError);
      expect(back.cause.message).toBe("inner");
    }
    const many = roundTrip(runInNewContext(`new AggregateError([new RangeError("one"), 2], "many")`));
    expect(many).toBeInstanceOf(AggregateError);
    expect(many.errors).toEqual([new RangeError("one"), 2]);
    const cyclic = roundTrip(runInNewContext(`const error = new Error("cyclic"); error.cause = error`));
    expect(cyclic).toBeInstanceOf(Error);
    expect(cyclic.cause).toBe(cyclic);
  });

  it("of several errors bring them", () => {
    class Failures extends AggregateError {
      override name = "Failures";
    }
    const first = new RangeError("first");
    const read: any = roundTrip(new AggregateError([first, "second", -0], "all", { cause: first }));
    expect(read).toBeInstanceOf(AggregateError);
    expect([read.name, read.message, Object.keys(read)]).toEqual(["AggregateError", "all", []]);
    expect(read.errors).toEqual([first, "second", -0]);
    expect([read.errors[0] instanceof RangeError, read.errors[0] === read.cause]).toEqual([true, true]);
    const named: any = roundTrip(new Failures([first]));
    expect(named).toBeInstanceOf(AggregateError);
    expect([named.name, named.errors]).toEqual(["Failures", [first]]);
    const other = Object.assign(new Error("invalid"), { errors: [1] });
    expect(roundTrip<any>(other).errors).toBeUndefined();
  });

  it("keep cycles: their own, of several, and through what they hold", () => {
    const itself = new Error("itself");
    itself.cause = itself;
    const inner = new TypeError("inner");
    const outer = new LibeamError("outer", "CODE", undefined, { cause: inner });
    inner.cause = new RangeError("middle", { cause: outer });
    const held: any = Object.assign(new Error("held"), { name: "Held", code: "H", context: { seen: new Map() } });
    held.context.error = held;
    held.context.seen.set("list", [held]);
    const among: any = new AggregateError([itself], "among");
    among.errors.push(among);

    const read: any = roundTrip({ itself, outer, held, among });
    expect([read.itself.message, read.itself.stack]).toEqual(["itself", itself.stack]);
    expect(read.itself.cause).toBe(read.itself);
    expect(Object.keys(read.itself)).toEqual([]);
    expect(read.outer).toBeInstanceOf(LibeamError);
    expect(read.outer.code).toBe("CODE");
    expect(read.outer.cause).toBeInstanceOf(TypeError);
    expect(read.outer.cause.cause).toBeInstanceOf(RangeError);
    expect(read.outer.cause.cause.cause).toBe(read.outer);
    expect([read.held.name, read.held.code, Object.keys(read.held)]).toEqual(["Held", "H", ["code", "context"]]);
    expect(read.held.context.error).toBe(read.held);
    expect(read.held.context.seen.get("list")[0]).toBe(read.held);
    expect([read.among.errors[0] === read.itself, read.among.errors[1] === read.among]).toEqual([true, true]);
    expect(itself.cause, "the sender keeps its own").toBe(itself);
    for (const error of [itself, outer, held, among])
      expect(roundTrip<any>([false, error])[1].message).toBe(error.message);
  });

  it("keep cycles that begin elsewhere, deep within much else", () => {
    const error: any = new Error("deep");
    const holder: any = { list: [], error };
    for (let at = 0; at < 500; at++) holder.list.push({ at });
    error.context = { holder, shared: holder.list[7] };
    const read = roundTrip<any>(holder);
    expect(read.list).toHaveLength(500);
    expect(read.error).toBeInstanceOf(Error);
    expect(read.error.context.holder).toBe(read);
    expect(read.error.context.shared).toBe(read.list[7]);
    const again = roundTrip<any>(error);
    expect(again.context.holder.error).toBe(again);
    expect(again.context.shared).toBe(again.context.holder.list[7]);
  });

  it("with a form for JSON keep theirs, and what is in them", () => {
    const error: any = Object.assign(new Error("request"), { code: -0, toJSON: () => ({ message: "for JSON" }) });
    error.cause = error;
    const read: any = roundTrip(error);
    expect([read.message, read.code, read.cause === read]).toEqual(["request", -0, true]);
  });
});

describe("refs", () => {
  it("work where they arrive", async () => {
    const system = makeSystem({ nodeId: "here" });
    const Counter = createActor((_ctx, self) => self.onCall("get", () => 42));
    const ref = system.spawn(Counter);
    const receiving = new Codec((id) => system.system.getRef(id));
    const { who } = receiving.decode(codec.encode({ who: ref })) as { who: any };
    expect(who).toBeInstanceOf(ActorRef);
    expect(who.id).toEqual(ref.id);
    expect(await who.call("get")).toBe(42);
  });

  it("are ids where nobody makes refs", () => {
    const system = makeSystem();
    const ref = system.spawn(
      createActor(() => {}),
      { name: "named" },
    );
    expect(roundTrip({ ref: ref as unknown })).toEqual({ ref: new ActorId(ref.id.systemId, ref.id.id, "named") });
  });
});

it("bytes that make no sense are refused and nothing else", () => {
  const seed = printedSeed();
  const dice = new Dice(seed);
  const good = codec.encode({ a: [1, "two", new Map([[1, { b: new Date() }]])], e: new RangeError("x") });
  for (let round = 0; round < 2_000; round++) {
    const bytes =
      round % 2 === 0 ? Uint8Array.from(good) : Uint8Array.from({ length: dice.below(60) }, () => dice.below(256));
    if (bytes.length > 0) bytes[dice.below(bytes.length)] = dice.below(256);
    try {
      codec.decode(bytes);
    } catch (error) {
      expect(error, `LIBEAM_SEED=${seed}`).toBeInstanceOf(TransportError);
    }
  }
  expect(roundTrip({ still: "works" })).toEqual({ still: "works" });
});

it("a made-up message fills in nothing but errors and objects that came with it", () => {
  const kept = new ActorId("a", "b");
  const receiving = new Codec(() => kept as any);
  const { system } = makeSystem();
  const ref = system.spawn(createActor(() => {}));
  const content = [["id", "mine"]];
  const knot = (shells: unknown[], contents: unknown) =>
    Buffer.concat([Buffer.from([0xd4, 76, 0]), codec.encode([shells, shells, contents])]);
  expect(receiving.decode(knot([{}], [content]))).toEqual([{ id: "mine" }]);
  expect(receiving.decode(knot([ref, "text", null, 1], [content, content, content, content]))[0]).toBe(kept);
  expect(kept).toEqual(new ActorId("a", "b"));
  for (const contents of [[], [1], [{ a: 1 }], [[1]], null]) {
    expect(() => receiving.decode(knot([{}], contents))).toThrow(TransportError);
  }
  for (const shells of [1, null, {}]) expect(() => receiving.decode(knot(shells as any, []))).toThrow(TransportError);
});
