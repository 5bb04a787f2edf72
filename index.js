/**
 * Loads the native addon. Only lib/kernel/native.ts imports this file.
 *
 * Places, in this order; the first one that works is the binding:
 *   1. the file that LIBEAM_NATIVE_PATH names, from the current folder on if it is relative. When it is set, nothing else is
 *      tried: whoever points at one file does not want to be handed another.
 *   2. the package @libeam/<platform>, which npm installs beside this one. Its version MUST be this package's: the two
 *      halves share memory layouts.
 *   3. the folder native/, in which a build from source leaves its addon in a clone.
 *
 * In 2 and 3 there may be a further file for newer processors, which is tried first on such a machine (processor.js).
 *
 * When none works, the error lists each place with its own reason and ends with the command that repairs it.
 *
 * A bundler that puts this file into a bundle takes it away from 2 and 3, and leaves out the addon. What is in a bundle
 * loads 1 only; its error says how to leave libeam out of the bundle.
 */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { addonFiles, hasX64V3 } from "./processor.js";

/** The platforms that a binary is published for: the suffix of the package's name and of the file's. */
export const PLATFORMS = Object.freeze([
  "darwin-arm64",
  "darwin-x64",
  "linux-arm64-gnu",
  "linux-arm64-musl",
  "linux-x64-gnu",
  "linux-x64-musl",
  "win32-arm64-msvc",
  "win32-x64-msvc",
]);

/** This file; undefined in a bundle of CommonJS. */
const URL_HERE = import.meta.url;
const ROOT = URL_HERE === undefined ? undefined : dirname(fileURLToPath(URL_HERE));
/** The other files of this package are where this one is. */
const IN_PACKAGE = ROOT !== undefined && existsSync(join(ROOT, "processor.js"));

/**
 * The C library of a Linux process: "gnu", "musl", or undefined where the runtime keeps no diagnostic report.
 */
function libcOf(report) {
  try {
    const { header } = report.getReport();
    return header.glibcVersionRuntime ? "gnu" : "musl";
  } catch {
    return undefined;
  }
}

/**
 * The platform names to try for a machine, most likely first. More than one only on a Linux whose C library is
 * not known: the wrong one refuses to load and does no harm.
 */
export function platformNames({ platform, arch, report }) {
  const base = `${platform}-${arch}`;
  if (platform === "win32") return [`${base}-msvc`];
  if (platform !== "linux") return [base];
  const libc = libcOf(report);
  return libc ? [`${base}-${libc}`] : [`${base}-gnu`, `${base}-musl`];
}

/** The first line of an error's message; the "Require stack" that follows it helps nobody here. */
function reasonOf(error) {
  return String(error?.message ?? error).split("\n", 1)[0];
}

/** What the reader should type, as lines. */
function remedy({ names, platform, arch, inClone, inPackage, version, path }) {
  if (!inPackage && !path) {
    return [
      "libeam was put into a bundle, and its addon cannot be in one. Leave the package out of it and install it beside it:",
      '  --external:libeam (esbuild), externals: { libeam: "module libeam" } (webpack), external: ["libeam"] (Rollup)',
      "or set LIBEAM_NATIVE_PATH to the file of the addon.",
    ];
  }
  if (path) return ["Set LIBEAM_NATIVE_PATH to a file that exists and was built for this machine, or unset it."];
  if (inClone) return ["Build it (needs Rust 1.93 or newer, https://rustup.rs):", "  npm run build:native"];
  if (!names.some((name) => PLATFORMS.includes(name))) {
    return [
      `No binary is published for ${names[0]}; there is one for ${PLATFORMS.join(", ")}.`,
      "Build it in a clone of the repository with `npm install` and set LIBEAM_NATIVE_PATH to the file it leaves.",
    ];
  }
  const libc = platform === "linux" ? ` --libc=${names[0].endsWith("musl") ? "musl" : "glibc"}` : "";
  const lines = [
    "Install it again on this machine, optional dependencies included:",
    `  npm install --include=optional --os=${platform} --cpu=${arch}${libc} libeam@${version}`,
  ];
  if (globalThis.Deno) lines.push("Deno also needs --allow-ffi, --allow-read, --allow-env and --allow-sys.");
  return lines;
}

/** Whether a folder is one of the repository. */
function isClone(root) {
  return root !== undefined && existsSync(join(root, "Cargo.toml"));
}

/** Requires a file of the platform's package, after a look at its version. */
function requireFrom(require, name, file, version) {
  const found = require(`${name}/package.json`).version;
  if (found !== version) throw new Error(`version ${found} is installed, and libeam ${version} needs the same one`);
  return require(`${name}/${file}`);
}

/** The places for machines of these names: packages first, then what was built here. */
function placesOf({ names, runsV3, version, require, root }) {
  const addons = names.flatMap((name) => addonFiles(name, runsV3).map((file) => ({ name: `@libeam/${name}`, file })));
  return [
    ...addons.map(({ name, file }) => ({
      place: `${name}/${file}`,
      load: () => requireFrom(require, name, file, version),
    })),
    ...addons.map(({ file }) => {
      const place = join(root, "native", file);
      return { place, load: () => require(place) };
    }),
  ];
}

/**
 * Loads the binding. The arguments are what it asks the process for; a test passes its own.
 *
 * @throws Error with the code `NATIVE_ADDON_NOT_LOADED` when no place holds an addon that loads.
 */
export function loadNative({
  platform = process.platform,
  arch = process.arch,
  env = process.env,
  report = process.report,
  require = createRequire(URL_HERE ?? resolve("package.json")),
  root = ROOT,
  cpuinfo,
} = {}) {
  const names = platformNames({ platform, arch, report });
  const version = IN_PACKAGE ? createRequire(URL_HERE)("./package.json").version : undefined;
  const path = env.LIBEAM_NATIVE_PATH;
  const places = [];
  if (path) {
    const file = isAbsolute(path) ? path : resolve(path);
    places.push({ place: `LIBEAM_NATIVE_PATH=${path}`, load: () => require(file) });
  } else if (IN_PACKAGE) {
    places.push(...placesOf({ names, runsV3: hasX64V3({ platform, arch, cpuinfo }), version, require, root }));
  }

  const failures = [];
  for (const { place, load } of places) {
    try {
      return load();
    } catch (error) {
      failures.push({ place, error });
    }
  }

  const runtime = `${platform}-${arch}, ${process.release?.name ?? "node"} ${process.version}`;
  const message = [
    `libeam could not load its native addon for ${names.join(" or ")} (${runtime}).`,
    ...(failures.length === 0 ? [] : ["Tried:"]),
    ...failures.map(({ place, error }) => `  ${place}: ${reasonOf(error)}`),
    ...remedy({ names, platform, arch, inClone: isClone(root), inPackage: IN_PACKAGE, version, path }),
  ].join("\n");
  const error = new Error(message, { cause: failures.at(-1)?.error });
  error.code = "NATIVE_ADDON_NOT_LOADED";
  throw error;
}

export default loadNative();
