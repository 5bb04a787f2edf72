/**
 * The demo's text: which files, which lines, and what a word is. Nothing here knows actors.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** How often each word was seen. */
export type Totals = Map<string, number>;

/** Some lines, under a number by which they can be asked for again. */
export interface Batch {
  id: number;
  lines: string[];
}

const PROJECT = ["../..", "../../node_modules/typescript", "../../node_modules/@typescript"];
const SKIPPED = new Set(["target", "dist", "native", "node_modules", ".git"]);

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : filesBelow(path);
    return entry.isFile() && /\.(ts|md)$/.test(entry.name) ? [path] : [];
  });
}

/** The text of the project, and of the compiler that it was installed with. */
export function projectFiles(): string[] {
  return PROJECT.flatMap((folder) => filesBelow(fileURLToPath(new URL(folder, import.meta.url))));
}

/** The lines of files, in batches. */
export function readBatches(files: string[], linesPerBatch: number): Batch[] {
  const lines = files.flatMap((file) => readFileSync(file, "utf8").split("\n"));
  const count = Math.ceil(lines.length / linesPerBatch);
  return Array.from({ length: count }, (_, id) => {
    return { id, lines: lines.slice(id * linesPerBatch, (id + 1) * linesPerBatch) };
  });
}

/** Adds to the total of one word. */
export function add(totals: Totals, word: string, count: number): void {
  totals.set(word, (totals.get(word) ?? 0) + count);
}

/** Counts the words of some lines. */
export function countWords(totals: Totals, lines: string[]): void {
  for (const line of lines) {
    for (const word of line.toLowerCase().match(/\p{L}+/gu) ?? []) add(totals, word, 1);
  }
}

/** Whether two counts agree in every word. */
export function areEqual(a: Totals, b: Totals): boolean {
  return a.size === b.size && [...a].every(([word, count]) => b.get(word) === count);
}
