// Finds cargo, also when a shell was opened before rustup changed PATH.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const RUST_MISSING =
  "libeam: building from source needs Rust 1.93 or newer, and no working `cargo` was found; " +
  "install it from https://rustup.rs and run `npm install` again.";

/** The command that runs cargo, or undefined when there is none. */
export function findCargo() {
  const inHome = join(homedir(), ".cargo", "bin", process.platform === "win32" ? "cargo.exe" : "cargo");
  for (const cargo of [process.env.CARGO, "cargo", existsSync(inHome) ? inHome : undefined]) {
    if (cargo && spawnSync(cargo, ["--version"], { stdio: "ignore" }).status === 0) return cargo;
  }
  return undefined;
}
