/**
 * What a demo is given on its command line: names of files, and SEED in the environment. What cannot be used ends the process
 * with one sentence and exit code 2.
 */

import { accessSync, constants, statSync } from "node:fs";

const SEED_MAX = 1_000_000;

/** The files that are named, all of them readable; those of `fallback` if none is. */
export function filesOr(fallback: () => string[], named = process.argv.slice(2)): string[] {
  for (const file of named) {
    try {
      accessSync(file, constants.R_OK);
    } catch (error) {
      refuse(`cannot read "${file}": ${(error as Error).message}`);
    }
    if (statSync(file).isDirectory()) refuse(`"${file}" is a folder; name the files in it`);
  }
  return named.length > 0 ? named : fallback();
}

/** SEED, or a new seed. */
export function seedGiven(): number {
  const { SEED } = process.env;
  if (SEED === undefined) return Date.now() % SEED_MAX;
  if (!/^\d{1,9}$/.test(SEED)) refuse(`SEED is "${SEED}"; it has to be a whole number of at most nine digits`);
  return Number(SEED);
}

function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}
