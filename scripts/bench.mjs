// Compiles benchmark/ to target/benchmark/ and runs it there with the arguments given: plain JavaScript in a process that
// has loaded nothing else, which is how the package is used. A loader that compiles on the way leaves a heap full of holes,
// and actors that are spawned into it are up to a fifth slower.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./native-file.mjs";

/** Runs Node in the root folder and gives its exit code. */
function node(...args) {
  return spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status ?? 1;
}

const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
for (const [file, remedy] of [
  [tsc, "npm install"],
  [join(root, "dist", "index.js"), "npm run build"],
]) {
  if (existsSync(file)) continue;
  console.error(`libeam: the benchmark measures the built package, and ${file} is missing. Run: ${remedy}`);
  process.exit(2);
}
rmSync(join(root, "target", "benchmark"), { recursive: true, force: true });
const compiled = node(tsc, "-p", "benchmark");
process.exitCode = compiled || node("--expose-gc", "target/benchmark/run.js", ...process.argv.slice(2));
