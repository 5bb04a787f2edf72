// npm runs this after `npm install` in a clone, before `npm pack`, and for an install straight from git.
// It builds what is there to build. A published package has no Rust sources and no need of a build, and npm does
// not run `prepare` for it at all.
//
// LIBEAM_SKIP_BUILD=1 turns it off: release jobs set it, because they bring binaries that were built elsewhere.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { findCargo, RUST_MISSING } from "./cargo.mjs";
import { root } from "./native-file.mjs";

const has = (file) => existsSync(join(root, file));

/** Runs a sibling script and ends with its failure. */
function run(script) {
  const { status } = spawnSync(process.execPath, [join(root, "scripts", script)], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(1);
}

if (process.env.LIBEAM_SKIP_BUILD === "1") process.exit(0);

if (has("Cargo.toml") && has("src/lib.rs")) {
  if (!findCargo()) {
    console.error(RUST_MISSING);
    process.exit(1);
  }
  run("build-native.mjs");
}
if (has("lib/index.ts") && has("node_modules/typescript")) run("build-ts.mjs");
