/**
 * Types of combined refs: the methods of all, each with its own arguments and its own result.
 */

import { type ActorRefFrom, combineRefs, createActor, type System } from "libeam";
import { describe, expectTypeOf, test } from "vitest";

const Log = createActor((_ctx, self) =>
  self.onCast("log", (_line: string, _level?: number) => {}).onCall("lines", () => 3),
);
const Metrics = createActor((_ctx, self) =>
  self.onCast("count", (_name: string) => {}).onCall("value", async (name: string) => ({ name, value: 1 })),
);
const Silent = createActor((_ctx, self) => self.onCall("hush", () => true));

declare const system: System;

describe("combineRefs", () => {
  const handle = combineRefs(system.spawn(Log), system.spawn(Metrics), system.spawn(Silent));

  test("has the calls of all actors", () => {
    expectTypeOf(handle.call("lines")).resolves.toEqualTypeOf<number>();
    expectTypeOf(handle.call("value", "requests")).resolves.toEqualTypeOf<{ name: string; value: number }>();
    expectTypeOf(handle.call("hush")).resolves.toEqualTypeOf<boolean>();
  });

  test("has the casts of all actors", () => {
    expectTypeOf(handle.cast("log", "hello", 1)).toEqualTypeOf<void>();
    handle.cast("log", "hello");
    handle.cast("count", "requests");
  });

  test("refuses what no actor has", () => {
    // @ts-expect-error no such method
    handle.call("line");
    // @ts-expect-error that is a cast
    handle.call("log", "hello");
    // @ts-expect-error the name is missing
    handle.call("value");
    // @ts-expect-error a name is a string
    handle.cast("count", 1);
  });

  test("takes refs of functional actors only", () => {
    expectTypeOf(handle.refs[0]).toExtend<
      ActorRefFrom<typeof Log> | ActorRefFrom<typeof Metrics> | ActorRefFrom<typeof Silent>
    >();
    // @ts-expect-error not a ref
    combineRefs("log");
  });
});
