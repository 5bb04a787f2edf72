/**
 * The seeds of random tests. LIBEAM_SEED=<seed> in the environment plays a run again.
 */

import { randomInt } from "node:crypto";

const SEED_MAX = 2 ** 30;

/** LIBEAM_SEED, or a new seed; it is printed, and whoever needs several counts on from it. */
export function printedSeed(): number {
  const seed = Number(process.env.LIBEAM_SEED ?? randomInt(SEED_MAX));
  if (!Number.isSafeInteger(seed)) throw new Error(`LIBEAM_SEED is no whole number: ${process.env.LIBEAM_SEED}`);
  console.log(`LIBEAM_SEED=${seed}`);
  return seed;
}
