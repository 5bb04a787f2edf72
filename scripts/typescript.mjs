// The package's own TypeScript compiler.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "./native-file.mjs";

/** Runs tsc in the root folder; tells whether it found nothing to complain about. */
export function tsc(...args) {
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  if (!existsSync(compiler)) {
    console.error("libeam: typescript is not installed; run `npm install` first.");
    process.exit(1);
  }
  return spawnSync(process.execPath, [compiler, ...args], { cwd: root, stdio: "inherit" }).status === 0;
}
