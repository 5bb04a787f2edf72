/**
 * Runs a script of support/scripts/ in a process of its own. A script prints one JSON value per line.
 */

import { spawn } from "node:child_process";
import { COMPILED_FLAGS, compiled } from "./compiled.js";

/** How a script ended. */
export interface ScriptEnd {
  /** Exit code; null if it had to be killed. */
  code: number | null;
  /** What it printed. */
  lines: any[];
  /** What it complained about. */
  errors: string;
}

/** A process that lives longer than this hangs. */
const PATIENCE_MS = 45_000;

/**
 * Runs `scripts/<name>.ts` and waits for its end.
 *
 * @param onLine is told of each line; what it returns as true kills the process.
 */
export function runScript(name: string, args: string[] = [], onLine?: (value: any) => boolean): Promise<ScriptEnd> {
  const path = compiled(`__test__/support/scripts/${name}.ts`);
  const child = spawn(process.execPath, [...COMPILED_FLAGS, path, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const lines: any[] = [];
  let errors = "";
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() as string;
    for (const part of parts) {
      const value = JSON.parse(part);
      lines.push(value);
      if (onLine?.(value) === true) child.kill("SIGKILL");
    }
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, lines, errors });
    });
  });
}
