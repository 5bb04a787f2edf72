/**
 * Which module a node's process runs, and which flags it needs to load TypeScript.
 *
 * JavaScript needs none. Otherwise tsx is used if the program, or a module that is to be loaded, has it; a Node that strips
 * types by itself does without, but for this package's own sources, which import each other as they are published.
 */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { InvalidOptionError } from "../errors.js";

const TYPE_SCRIPT = /\.[cm]?tsx?$/;

/** The module that a node's process runs; TypeScript where this package runs from its sources. */
export function workerEntry(): string {
  const built = new URL("./node_worker.js", import.meta.url);
  return existsSync(built) ? built.href : new URL("./node_worker.ts", import.meta.url).href;
}

/**
 * @param program a URL in the folder of the program; default one in the current folder.
 * @throws InvalidOptionError if nothing is there to load TypeScript with.
 */
export function loaderFlags(entry: string, modules: string[], program = currentProgram()): string[] {
  const typed = [entry, ...modules].filter((url) => TYPE_SCRIPT.test(new URL(url).pathname));
  if (typed.length === 0) return [];
  const tsx = findTsx([...typed, program]);
  if (tsx !== undefined) return ["--import", tsx];
  const strips = Boolean((process.features as { typescript?: unknown }).typescript);
  if (strips && !typed.includes(entry)) return [];
  throw new InvalidOptionError("actorModules", typed[0], "JavaScript modules, or tsx (npm install --save-dev tsx)");
}

function currentProgram(): string {
  return pathToFileURL(`${process.cwd()}/package.json`).href;
}

function findTsx(from: string[]): string | undefined {
  for (const url of from) {
    try {
      return pathToFileURL(createRequire(url).resolve("tsx")).href;
    } catch {
      // Not from there.
    }
  }
  return undefined;
}
