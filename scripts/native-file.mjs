// Where a locally built addon lives. The name says the platform, so that a folder shared between machines
// (a container's bind mount, a synced disk) never hands one machine the addon of another.

import { fileURLToPath } from "node:url";
import { addonFiles, hasX64V3, X64_V3 } from "../processor.js";

/** The repository's root folder. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`: the platform part of the addon's file name. */
export function hostTriple() {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform === "win32") return `${base}-msvc`;
  if (process.platform !== "linux") return base;
  return process.report.getReport().header.glibcVersionRuntime ? `${base}-gnu` : `${base}-musl`;
}

/** The instructions that this machine's addon is built for: a level that rustc knows, or undefined for any processor. */
export function hostLevel() {
  return hasX64V3(process) ? X64_V3 : undefined;
}

/** Path of this platform's addon for a level of instructions, relative to the root. */
export function nativeFile(level) {
  return `native/${addonFiles(hostTriple(), level === X64_V3)[0]}`;
}
