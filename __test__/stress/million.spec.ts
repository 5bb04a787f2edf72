/**
 * A million actors alive at once, each of which answers, and none of which is left.
 */

import { Actor, type ActorRef, createSystem } from "libeam";
import { expect, it } from "vitest";

const ACTORS = 1_000_000;
/** Calls and stops under way at once. */
const WAVE = 10_000;

class Tiny extends Actor {
  private value = 0;

  override init(value: number): void {
    this.value = value;
  }

  override handleCall(add: number): number {
    this.value += add;
    return this.value;
  }
}

it(`${ACTORS} actors live, answer and stop`, { timeout: 60_000 }, async () => {
  const system = createSystem();
  const refs: ActorRef[] = [];
  for (let n = 0; n < ACTORS; n++) refs.push(system.spawn(Tiny, { args: [n] }));
  expect(system.system.getHealth().details).toMatchObject({ actorCount: ACTORS });

  let right = 0;
  for (let from = 0; from < ACTORS; from += WAVE) {
    const answers = await Promise.all(refs.slice(from, from + WAVE).map((ref) => ref.call(1)));
    for (const [at, answer] of answers.entries()) if (answer === from + at + 1) right++;
  }
  expect(right).toBe(ACTORS);

  for (let from = 0; from < ACTORS; from += WAVE) {
    await Promise.all(refs.slice(from, from + WAVE).map((ref) => system.stop(ref)));
  }
  const held = Object.entries(system.system._counters()).filter(([, number]) => number !== 0);
  expect(held).toEqual([]);
  await system.shutdown();
});
