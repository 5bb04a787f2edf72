// Builds the addon and puts it where index.js looks for it: into native/, for this machine's platform and processor.
//
//   node scripts/build-native.mjs [--debug] [--target <rust target>] [--cpu <level>] [--out <file>]
//
// A level is what rustc takes as `target-cpu`; with --target and without --cpu the addon runs on any processor. The loader
// knows x86-64-v3 only: what is built for another one needs --out.
//
// Cargo alone decides what is fresh. The library is copied beside its destination and renamed over it: a process
// that has the old file loaded keeps it, where a copy in place would change the code under its feet.

import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { findCargo, RUST_MISSING } from "./cargo.mjs";
import { hostLevel, nativeFile, root } from "./native-file.mjs";

const { values: options } = parseArgs({
  options: { debug: { type: "boolean" }, target: { type: "string" }, cpu: { type: "string" }, out: { type: "string" } },
});
const cpu = options.cpu ?? (options.target ? undefined : hostLevel());

/** Runs cargo and gives the path of the shared library that it built or found fresh. */
async function buildLibrary(cargo) {
  const args = ["build", "--package", "libeam", "--lib", "--message-format=json-render-diagnostics"];
  if (!options.debug) args.push("--release");
  if (options.target) args.push("--target", options.target);
  if (process.env.CI) args.push("--locked");

  const flags = [process.env.RUSTFLAGS, cpu && `-Ctarget-cpu=${cpu}`].filter(Boolean).join(" ");
  const env = { ...process.env, ...(flags ? { RUSTFLAGS: flags } : {}) };
  const child = spawn(cargo, args, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] });
  const exit = new Promise((done) => child.on("close", done));
  let library;
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("{")) continue;
    const message = JSON.parse(line);
    if (message.reason === "compiler-artifact" && message.target.name === "libeam") {
      library = message.filenames.find((file) => /\.(so|dylib|dll)$/.test(file)) ?? library;
    }
  }
  const code = await exit;
  if (code !== 0) {
    console.error(`libeam: cargo ended with code ${code}; no addon was written.`);
    process.exit(1);
  }
  if (!library) {
    console.error("libeam: cargo built no shared library; the root package must be a cdylib.");
    process.exit(1);
  }
  return library;
}

const cargo = findCargo();
if (!cargo) {
  console.error(RUST_MISSING);
  process.exit(1);
}
const library = await buildLibrary(cargo);
const destination = resolve(root, options.out ?? nativeFile(cpu));
const temporary = `${destination}.${process.pid}.tmp`;
mkdirSync(dirname(destination), { recursive: true });
try {
  copyFileSync(library, temporary);
  renameSync(temporary, destination);
} finally {
  rmSync(temporary, { force: true });
}
console.log(`native: ${relative(root, destination)}`);
