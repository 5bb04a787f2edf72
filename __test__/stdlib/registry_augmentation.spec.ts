/**
 * Names that a program has added to ActorRegistry: the types of getActorByName promise a ref, and the run time gives it.
 * The types themselves are tested in __test__/types/registry.test-d.ts.
 */

import { Actor, createActor, createSystem, type System } from "libeam";
import { afterEach, beforeEach, expect, test } from "vitest";

const Clock = createActor("Clock", (_ctx, self, start: number) => {
  let time = start;
  return self
    .onCall("time", () => time)
    .onCall("forward", (hours: number) => {
      time += hours;
      return time;
    })
    .onCast("crash", () => {
      throw new Error("broken spring");
    });
});

class Notes extends Actor<{ type: "write"; line: string }, { type: "read" }, string[]> {
  private readonly lines: string[] = [];

  override handleCast({ line }: { type: "write"; line: string }): void {
    this.lines.push(line);
  }

  override handleCall(): string[] {
    return this.lines;
  }
}

declare module "libeam" {
  interface ActorRegistry {
    "augmented.clock": typeof Clock;
    "augmented.notes": typeof Notes;
  }
}

let system: System;

beforeEach(() => {
  system = createSystem({ nodeId: "augmented" });
});

afterEach(() => system.shutdown());

test("an augmented name gives a ref that answers to its methods", async () => {
  const spawned = system.spawn(Clock, { name: "augmented.clock", args: [10] });
  const found = await system.getActorByName("augmented.clock");
  const hours: number | undefined = await found?.call("forward", 2);
  expect(hours).toBe(12);
  expect(await spawned.call("time")).toBe(12);
  expect(found?.id).toEqual(spawned.id);
});

test("the name of a class gives a ref that takes its messages", async () => {
  system.spawn(Notes, { name: "augmented.notes" });
  const notes = await system.getActorByName("augmented.notes");
  notes?.cast({ type: "write", line: "hello" });
  const lines: string[] | undefined = await notes?.call({ type: "read" });
  expect(lines).toEqual(["hello"]);
});

test("an actor finds an augmented name through its context", async () => {
  const Reader = createActor((ctx, self) =>
    self.onCall("read", async () => {
      const clock = await ctx.getActorByName("augmented.clock");
      return clock === null ? "no clock" : clock.call("time");
    }),
  );
  const reader = system.spawn(Reader);
  expect(await reader.call("read")).toBe("no clock");
  system.spawn(Clock, { name: "augmented.clock", args: [7] });
  expect(await reader.call("read")).toBe(7);
});

test("an augmented name is found after a restart, and not after the end", async () => {
  const clock = system.spawn(Clock, { name: "augmented.clock", args: [1] });
  await clock.call("forward", 5);
  clock.cast("crash");
  expect(await clock.call("time")).toBe(1);
  expect(await (await system.getActorByName("augmented.clock"))?.call("time")).toBe(1);
  await system.stop(clock);
  expect(await system.getActorByName("augmented.clock")).toBeNull();
});

test("a declared name without an actor gives null", async () => {
  expect(await system.getActorByName("augmented.clock")).toBeNull();
});
