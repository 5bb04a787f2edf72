/**
 * Values between nodes in two processes: what comes back from an actor there is what was sent, by kind.
 */

import {
  ActorRef,
  createActor,
  createSystem,
  type DistributedCluster,
  LibeamError,
  loggerConfig,
  MailboxFullError,
  type System,
} from "libeam";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { GuardedNode } from "../support/guarded.js";

const COOKIE = "a cookie for values on their way";
let here: System;
let there: GuardedNode;
let echo: any;

beforeAll(async () => {
  loggerConfig.configure({ level: "none" });
  const settings = { cookie: COOKIE, port: 0, bindAddress: "127.0.0.1" };
  here = await createSystem({ ...settings, type: "distributed", nodeId: "here", seedNodes: [] });
  const gossip = (here.cluster as DistributedCluster).getPeerState("here")?.gossipAddress as string;
  there = new GuardedNode({ ...settings, nodeId: "there", seedNodes: [gossip] });
  await there.ready();
  await vi.waitFor(async () => {
    echo = await here.getActorByName("worker@there");
    expect(echo).not.toBeNull();
  }, 30_000);
}, 60_000);

afterAll(async () => {
  await there.end();
  await here.shutdown({ timeout: 0 });
});

const sent = <T>(value: T): Promise<T> => echo.call("echo", value);

describe("values come back from another process as they were sent", () => {
  it.each<[string, unknown]>([
    ["undefined", undefined],
    ["null, booleans, strings", [null, true, false, "", "text", "日本", "\u0000", "a".repeat(70_000)]],
    ["numbers", [0, -0, 1.5, -1, 2 ** 40, Number.MIN_VALUE, Number.NaN, Number.POSITIVE_INFINITY, -Number.MAX_VALUE]],
    ["negative zero", -0],
    ["not a number", Number.NaN],
    ["big integers", [0n, -1n, 2n ** 63n, -(2n ** 200n)]],
    ["fields that are undefined", { a: undefined, b: [undefined] }],
    [
      "maps",
      new Map<unknown, unknown>([
        [1, new Map([[{ k: 1 }, -0]])],
        ["s", undefined],
      ]),
    ],
    ["sets", new Set<unknown>([1, "1", new Set([2n]), { a: new Set() }])],
    ["dates", [new Date(0), new Date(-1), new Date(1_234_567_890_123)]],
    ["regular expressions", [/a+b/, /ü\/x/giu]],
    [
      "typed arrays",
      [
        new Uint8Array([1, 255]),
        new Int8Array([-1]),
        new Uint16Array([65_535]),
        new Int32Array([-1]),
        new Float32Array([1.5]),
        new Float64Array([-0, Number.NaN]),
        new BigInt64Array([-5n]),
        new BigUint64Array([2n ** 64n - 1n]),
      ],
    ],
    ["buffers", Buffer.from("bytes")],
    ["nesting", Array.from({ length: 200 }).reduce<unknown>((inner, _, depth) => ({ depth, inner: [inner] }), "end")],
  ])("%s", async (_name, value) => {
    expect(await sent(value)).toStrictEqual(value);
  });

  it("cycles and repeated references", async () => {
    const shared = { n: 1 };
    const value: any = { list: [shared, shared], map: new Map([["shared", shared]]), set: new Set() };
    value.self = value;
    value.set.add(value);
    const back = await sent(value);
    expect(back.self).toBe(back);
    expect(back.set.has(back)).toBe(true);
    expect(back.list[0]).toBe(back.list[1]);
    expect(back.map.get("shared")).toBe(back.list[0]);
    expect(back.list[0]).not.toBe(shared);
  });

  it("errors with class, code, context, cause and stack", async () => {
    class OutOfStock extends Error {
      override name = "OutOfStock";
      code = "NO_APPLES";
    }
    const cause = new RangeError("inner", { cause: new OutOfStock("innermost") });
    const outer = new LibeamError("outer", "SOME_CODE", { at: -0 }, { cause });
    const [back, full]: any[] = await sent([outer, new MailboxFullError("a1")]);
    expect(back).toBeInstanceOf(LibeamError);
    expect([back.message, back.code, back.context, back.stack]).toEqual([
      "outer",
      "SOME_CODE",
      { at: -0 },
      outer.stack,
    ]);
    expect(back.cause).toBeInstanceOf(RangeError);
    expect(back.cause.message).toBe("inner");
    expect(back.cause.cause).toMatchObject({ name: "OutOfStock", message: "innermost", code: "NO_APPLES" });
    expect(full).toBeInstanceOf(MailboxFullError);
  });

  it("refs, which work there and here", async () => {
    const Local = createActor((_ctx, self) => self.onCall("echo", (value: unknown) => `here: ${value}`));
    const ref = here.spawn(Local);
    const { back, list } = await sent({ back: ref, list: [ref, echo] });
    expect(back).toBeInstanceOf(ActorRef);
    expect(back.id).toEqual(ref.id);
    expect(list[0]).toBe(back);
    expect(await back.call("echo", 1)).toBe("here: 1");
    expect(await list[1].call("echo", 2)).toBe(2);
    expect(await echo.call("ask", ref, 3)).toBe("here: 3");
  });
});
