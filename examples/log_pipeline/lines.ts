/**
 * The text of the log pipeline: which files, their lines one by one, and the totals per key. Nothing here knows actors.
 */

import { createReadStream, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What is known of one line. */
export interface Entry {
  /** Its first word. */
  key: string;
  words: number;
  size: number;
}

/** What is known of the lines of one key. */
export interface Total {
  lines: number;
  words: number;
  size: number;
}

export type Totals = Map<string, Total>;

/** The totals of some lines. */
export interface Part {
  lines: number;
  totals: Totals;
}

const FOLDERS = ["typescript", "@typescript"].map((name) => {
  return fileURLToPath(new URL(`../../node_modules/${name}`, import.meta.url));
});

/** The largest declaration files of the compiler that the project was installed with. */
export function largestFiles(count: number): string[] {
  return FOLDERS.flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name))))
    .filter((path) => path.endsWith(".d.ts"))
    .map((path) => ({ path, size: statSync(path).size }))
    .sort((a, b) => b.size - a.size)
    .slice(0, count)
    .map(({ path }) => path);
}

/** The lines of some files. A file is read as its lines are taken. */
export async function* linesOf(files: readonly string[]): AsyncGenerator<string, void> {
  for (const file of files) yield* createInterface({ input: createReadStream(file), crlfDelay: Infinity });
}

export function parse(line: string): Entry {
  const words = line.match(/[A-Za-z]+/g) ?? [];
  return { key: words[0] ?? "", words: words.length, size: line.length };
}

export function emptyPart(): Part {
  return { lines: 0, totals: new Map() };
}

/** Adds one line to the total of its key. */
export function addEntry(part: Part, { key, words, size }: Entry): void {
  part.lines++;
  add(part.totals, key, { lines: 1, words, size });
}

/** Adds totals to totals. */
export function merge(totals: Totals, more: Totals): void {
  for (const [key, total] of more) add(totals, key, total);
}

function add(totals: Totals, key: string, { lines, words, size }: Total): void {
  const total = totals.get(key);
  if (total === undefined) totals.set(key, { lines, words, size });
  else {
    total.lines += lines;
    total.words += words;
    total.size += size;
  }
}

/** All keys together. */
export function sumOf(totals: Totals): Total {
  const all: Totals = new Map();
  for (const total of totals.values()) add(all, "", total);
  return all.get("") ?? { lines: 0, words: 0, size: 0 };
}

/** Whether two totals agree in every key. */
export function areEqual(a: Totals, b: Totals): boolean {
  return a.size === b.size && [...a].every(([key, total]) => JSON.stringify(total) === JSON.stringify(b.get(key)));
}

/** Numbers from 0 to 1 that depend on nothing but the seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
