// Compiles benchmark/ to target/benchmark/ and runs it there with the arguments given: plain JavaScript in a process that
// has loaded nothing else, which is how the package is used. A loader that compiles on the way leaves a heap full of holes,
// and actors that are spawned into it are up to a fifth slower.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./native-file.mjs";
import { tsc } from "./typescript.mjs";

const entry = join(root, "dist", "index.js");
if (!existsSync(entry)) {
  console.error(`libeam: the benchmark measures the built package, and ${entry} is missing. Run: npm run build`);
  process.exit(2);
}
rmSync(join(root, "target", "benchmark"), { recursive: true, force: true });
if (tsc("-p", "benchmark")) {
  const args = ["--expose-gc", "target/benchmark/run.js", ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status ?? 1;
} else process.exitCode = 1;
