/**
 * Deadlines of what waits for other nodes, against a clock that the test moves.
 */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Deadline, Deadlines } from "../../lib/stdlib/remote/deadlines.js";
import { Dice } from "../support/dice.js";
import { printedSeed } from "../support/seed.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** On the clock that the test moves. */
const makeDeadlines = (): Deadlines => new Deadlines({ now: () => performance.now() });
const never = { expired: () => expect.unreachable() };

test("expire in time, never early, and not at all once they are taken back", () => {
  const seed = printedSeed();
  const dice = new Dice(seed);
  const deadlines = makeDeadlines();
  const expired = new Map<number, number>();
  const due = new Map<number, number>();
  const held: { number: number; deadline: Deadline | undefined }[] = [];
  for (let number = 0; number < 2_000; number++) {
    const patience = dice.pick([1, 2.5, 20, 100, 5_000]);
    due.set(number, performance.now() + patience);
    const owner = { expired: () => void expired.set(number, performance.now()) };
    held.push({ number, deadline: deadlines.add(patience, owner) });
    if (dice.chance(0.5)) {
      const { number: taken, deadline } = dice.pick(held);
      deadlines.remove(deadline);
      if (!expired.has(taken)) due.delete(taken);
    }
    if (dice.chance(0.2)) vi.advanceTimersByTime(dice.pick([1, 3, 30]));
  }
  vi.advanceTimersByTime(10_000);
  expect([...expired.keys()].sort()).toEqual([...due.keys()].sort());
  for (const [number, at] of expired) {
    expect(at - (due.get(number) as number)).toBeGreaterThanOrEqual(0);
    expect(at - (due.get(number) as number)).toBeLessThanOrEqual(2);
  }
  expect(vi.getTimerCount()).toBe(0);
});

test("never expire with patience without end", () => {
  expect(makeDeadlines().add(Number.POSITIVE_INFINITY, never)).toBeUndefined();
  expect(vi.getTimerCount()).toBe(0);
});

test("keep no timer for each of many different patiences", () => {
  const deadlines = makeDeadlines();
  for (let ms = 1; ms <= 1_000; ms++) deadlines.remove(deadlines.add(100_000 + ms, never));
  expect(vi.getTimerCount()).toBeLessThanOrEqual(64);
});
