/**
 * The buffer of a producer against a plain array: random pushes, takes and puts back.
 *
 * LIBEAM_SEED=<seed> plays that seed first.
 */

import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { EventBuffer } from "../../../lib/stdlib/gen_stage/event_buffer.js";
import { Dice } from "../../support/dice.js";
import { printedSeed } from "../../support/seed.js";
import { range } from "../../support/stages.js";

const RUNS = 2_000;
const STEPS = 60;

/** What the buffer must do, in the simplest words. */
class PlainBuffer {
  events: number[] = [];

  constructor(
    readonly size: number,
    readonly keep: "first" | "last",
  ) {}

  /** What was put back has its place; of the rest as much stays as the size allows. */
  push(events: number[]): number {
    const before = this.events.length + events.length;
    if (this.keep === "first") {
      const room = Math.max(0, this.size - this.events.length);
      this.events.push(...events.slice(0, room));
    } else {
      const all = [...this.events, ...events];
      this.events = all.slice(Math.max(0, all.length - this.size));
    }
    return before - this.events.length;
  }

  take(most: number): number[] {
    return this.events.splice(0, Math.max(0, most));
  }

  unshift(events: readonly number[]): void {
    this.events.unshift(...events);
  }

  append(events: readonly number[]): void {
    this.events.push(...events);
  }
}

/** An expectation that costs nothing while it holds: there are a hundred thousand of them. */
function same(actual: number | readonly number[], expected: number | readonly number[], why: () => string): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual, why()).toEqual(expected);
}

function play(seed: number): void {
  const dice = new Dice(seed);
  const size = dice.pick([0, 1, 2, 5, 20, 1000, Number.POSITIVE_INFINITY]);
  const keep = dice.pick(["first", "last"] as const);
  const [buffer, model] = [new EventBuffer(size, keep), new PlainBuffer(size, keep)];
  const steps = [`size ${size}, keep ${keep}`];
  const why = (): string => `seed ${seed}\n${steps.join("\n")}`;
  let next = 0;
  const fresh = (): number[] => {
    const from = next;
    next += dice.below(dice.pick([2, 5, 30]));
    return range(from, next);
  };
  for (let step = 0; step < STEPS; step++) {
    const kind = dice.pick(["push", "push", "take", "take", "unshift", "append"] as const);
    const events = fresh();
    const most = dice.below(12) - 1;
    steps.push(kind === "take" ? `take ${most}` : `${kind} ${events.join()}`);
    if (kind === "push") same(buffer.push(events), model.push(events), why);
    else if (kind === "take") same(buffer.take(most), model.take(most), why);
    else {
      buffer[kind](events);
      model[kind](events);
    }
    same(buffer.length, model.events.length, why);
  }
  same(buffer.take(Number.POSITIVE_INFINITY), model.events, why);
  expect(buffer.length).toBe(0);
}

describe("EventBuffer", () => {
  it(`does what an array would do, in ${RUNS} random runs`, () => {
    const first = printedSeed();
    for (let run = 0; run < RUNS; run++) play(first + run);
  });

  it("gives an array back as it came when all of it is taken", () => {
    const buffer = new EventBuffer(100, "last");
    const events = range(0, 10);
    buffer.push(events);
    expect(buffer.take(10)).toBe(events);
  });

  it("never changes the arrays that it was given", () => {
    const buffer = new EventBuffer(5, "last");
    const events = Object.freeze(range(0, 8));
    expect(buffer.push(events)).toBe(3);
    buffer.unshift(Object.freeze([1, 2]));
    expect(buffer.take(3)).toEqual([1, 2, 3]);
    expect(buffer.push(Object.freeze([8, 9]))).toBe(1);
    expect(events).toEqual(range(0, 8));
    expect(buffer.take(100)).toEqual([5, 6, 7, 8, 9]);
  });

  it("with keep first drops only what is new when it is over its size", () => {
    const buffer = new EventBuffer(2, "first");
    buffer.unshift(range(0, 5));
    expect(buffer.push(range(5, 15))).toBe(10);
    expect(buffer.take(100)).toEqual(range(0, 5));
  });

  it("holds a million events in one array, and in a million", () => {
    const buffer = new EventBuffer(Number.POSITIVE_INFINITY, "last");
    buffer.push(range(0, 1_000_000));
    for (let n = 0; n < 1_000_000; n++) buffer.push([n]);
    expect(buffer.length).toBe(2_000_000);
    expect(buffer.take(1_500_000)).toHaveLength(1_500_000);
    expect(buffer.take(1)).toEqual([500_000]);
    expect(buffer.length).toBe(499_999);
  });
});
