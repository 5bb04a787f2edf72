/**
 * What this machine's processor can do. Linux on x86-64 has two addons: one for any processor, and one for those of the level
 * x86-64-v3 (AVX2; most since 2013), with which calls between nodes take a tenth less time: the compiler then puts the vector
 * code of the ciphers in place where it otherwise calls it instruction by instruction.
 *
 * Used by the loader (index.js) and by the build (scripts/build-native.mjs).
 */

import { closeSync, openSync, readSync } from "node:fs";

/** The level, as compilers call it. */
export const X64_V3 = "x86-64-v3";

/** What Linux calls the features of the level (x86-64 psABI, "micro-architecture levels"). */
const FEATURES = [
  ...["cx16", "lahf_lm", "popcnt", "pni", "ssse3", "sse4_1", "sse4_2"],
  ...["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"],
];
/** As much as describes the first processor; with many of them the file is long. */
const CPUINFO_BYTES = 16_384;

/** The beginning of /proc/cpuinfo, or nothing where it cannot be read. */
function readCpuinfo() {
  let file;
  try {
    file = openSync("/proc/cpuinfo", "r");
    const bytes = Buffer.alloc(CPUINFO_BYTES);
    return bytes.toString("latin1", 0, readSync(file, bytes));
  } catch {
    return "";
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Whether a machine is known to run what was built for `X64_V3`. */
export function hasX64V3({ platform, arch, cpuinfo = readCpuinfo }) {
  if (platform !== "linux" || arch !== "x64") return false;
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo())?.[1].trim().split(/\s+/));
  return FEATURES.every((feature) => flags.has(feature));
}

/** The files that may hold the addon for a platform, the quickest that this machine can run first. */
export function addonFiles(platformName, runsV3) {
  const file = `libeam.${platformName}.node`;
  return runsV3 ? [`libeam.${platformName}-v3.node`, file] : [file];
}
