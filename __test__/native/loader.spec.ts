/**
 * index.js, the loader of the addon: which places it tries for which machine, and what it says when none works.
 * Also that the binary packages in npm/ agree with the loader and with the root package.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import native, { loadNative, type NativeBinding, PLATFORMS, platformNames } from "../../index.js";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

const glibc = { getReport: () => ({ header: { glibcVersionRuntime: "2.36" } }) };
const musl = { getReport: () => ({ header: {} }) };

/** What Linux says of a processor with AVX2, and of one without. */
const newer = () => `processor\t: 0
flags\t\t: fpu pni ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt xsave avx f16c lahf_lm abm bmi1 avx2 bmi2
bogomips\t: 1
`;
const older = () => newer().replace(" avx2", "");

/** A `require` that knows the given modules and records what it was asked for. */
function fakeRequire(modules: Record<string, unknown>) {
  const asked: string[] = [];
  const require = (id: string) => {
    asked.push(id);
    if (id in modules) return modules[id];
    throw new Error(`Cannot find module '${id}'\nRequire stack:\n- somewhere`);
  };
  return { asked, require };
}

/** Loads with arguments that must fail, and gives the error. */
function failure(options: Parameters<typeof loadNative>[0]): Error & { code?: string } {
  try {
    loadNative(options);
  } catch (error) {
    return error as Error;
  }
  throw new Error("loadNative was expected to fail");
}

describe("the platform's name", () => {
  test.each([
    ["linux", "x64", glibc, ["linux-x64-gnu"]],
    ["linux", "arm64", musl, ["linux-arm64-musl"]],
    ["linux", "x64", undefined, ["linux-x64-gnu", "linux-x64-musl"]],
    ["darwin", "arm64", undefined, ["darwin-arm64"]],
    ["win32", "x64", undefined, ["win32-x64-msvc"]],
  ])("%s %s", (platform, arch, report, names) => {
    expect(platformNames({ platform, arch, report })).toEqual(names);
  });

  test("a report that throws counts as none", () => {
    const report = {
      getReport() {
        throw new Error("not permitted");
      },
    };
    expect(platformNames({ platform: "linux", arch: "x64", report })).toHaveLength(2);
  });
});

describe("the order of places", () => {
  const machine = { platform: "linux", arch: "x64", report: glibc, env: {}, cpuinfo: older };
  const binding = { name: "binding" } as unknown as NativeBinding;
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "libeam-loader-"));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  test("the platform's package comes first", () => {
    const { require, asked } = fakeRequire({
      "@libeam/linux-x64-gnu/package.json": { version: manifest.version },
      "@libeam/linux-x64-gnu/libeam.linux-x64-gnu.node": binding,
    });
    expect(loadNative({ ...machine, require, root })).toBe(binding);
    expect(asked).toEqual(["@libeam/linux-x64-gnu/package.json", "@libeam/linux-x64-gnu/libeam.linux-x64-gnu.node"]);
  });

  test("what was built for newer processors comes before the rest of its place, where the processor is one", () => {
    const folder = "@libeam/linux-x64-gnu";
    const modules = {
      [`${folder}/package.json`]: { version: manifest.version },
      [`${folder}/libeam.linux-x64-gnu-v3.node`]: { name: "v3" },
      [`${folder}/libeam.linux-x64-gnu.node`]: { name: "any" },
    };
    const loaded = (options: object) =>
      loadNative({ ...machine, require: fakeRequire(modules).require, root, ...options });
    expect(loaded({ cpuinfo: newer })).toEqual({ name: "v3" });
    for (const cpuinfo of [older, () => ""]) expect(loaded({ cpuinfo })).toEqual({ name: "any" });

    const local = { [join(root, "native", "libeam.linux-x64-gnu-v3.node")]: binding };
    expect(loadNative({ ...machine, cpuinfo: newer, require: fakeRequire(local).require, root })).toBe(binding);
    const { require, asked } = fakeRequire(local);
    failure({ ...machine, require, root });
    expect(asked.filter((id) => id.includes("v3"))).toEqual([]);
  });

  test("what was built for any processor is taken where there is nothing else", () => {
    const { require } = fakeRequire({ [join(root, "native", "libeam.linux-x64-gnu.node")]: binding });
    expect(loadNative({ ...machine, cpuinfo: newer, require, root })).toBe(binding);
  });

  test("a package of another version is passed over", () => {
    const { require } = fakeRequire({
      "@libeam/linux-x64-gnu/package.json": { version: "0.0.1" },
      "@libeam/linux-x64-gnu/libeam.linux-x64-gnu.node": { name: "stale" },
      [join(root, "native", "libeam.linux-x64-gnu.node")]: binding,
    });
    expect(loadNative({ ...machine, require, root })).toBe(binding);
  });

  test("the local build comes second", () => {
    const { require } = fakeRequire({ [join(root, "native", "libeam.linux-x64-gnu.node")]: binding });
    expect(loadNative({ ...machine, require, root })).toBe(binding);
  });

  test("LIBEAM_NATIVE_PATH replaces all others", () => {
    mkdirSync(join(root, "elsewhere"));
    const file = join(root, "elsewhere", "addon.cjs");
    writeFileSync(file, "module.exports = { name: 'by path' };\n");
    const require = createRequire(import.meta.url);
    expect(loadNative({ ...machine, env: { LIBEAM_NATIVE_PATH: file }, require, root })).toEqual({ name: "by path" });

    // A relative one is looked for where the program runs, not in a folder of this package.
    const relative = fakeRequire({ [resolve("build/addon.node")]: binding });
    expect(loadNative({ ...machine, env: { LIBEAM_NATIVE_PATH: "build/addon.node" }, require: relative.require })).toBe(
      binding,
    );

    const fake = fakeRequire({});
    failure({ ...machine, env: { LIBEAM_NATIVE_PATH: "/nowhere.node" }, require: fake.require, root });
    expect(fake.asked).toEqual(["/nowhere.node"]);
  });
});

describe("the error", () => {
  const nothing = fakeRequire({}).require;
  const root = join(tmpdir(), "libeam-no-such-folder");

  test("has a code, names the platform, each place with its reason, and the command", () => {
    const machine = { platform: "linux", arch: "x64", report: musl, env: {}, cpuinfo: older };
    const error = failure({ ...machine, require: nothing, root });
    expect(error.code).toBe("NATIVE_ADDON_NOT_LOADED");
    expect(error.cause).toBeInstanceOf(Error);
    const file = join(root, "native", "libeam.linux-x64-musl.node");
    const lines = error.message.split("\n");
    expect(lines[0]).toBe(
      `libeam could not load its native addon for linux-x64-musl (linux-x64, node ${process.version}).`,
    );
    expect(lines.slice(1)).toEqual([
      "Tried:",
      "  @libeam/linux-x64-musl/libeam.linux-x64-musl.node: Cannot find module '@libeam/linux-x64-musl/package.json'",
      `  ${file}: Cannot find module '${file}'`,
      "Install it again on this machine, optional dependencies included:",
      `  npm install --include=optional --os=linux --cpu=x64 --libc=musl libeam@${manifest.version}`,
    ]);
  });

  test("says which versions do not fit together", () => {
    const { require } = fakeRequire({ "@libeam/darwin-arm64/package.json": { version: "0.0.1" } });
    const error = failure({ platform: "darwin", arch: "arm64", env: {}, require, root });
    expect(error.message).toContain(
      `@libeam/darwin-arm64/libeam.darwin-arm64.node: version 0.0.1 is installed, and libeam ${manifest.version} needs the same one`,
    );
  });

  test("tells someone in a clone to build", () => {
    const error = failure({
      platform: "linux",
      arch: "x64",
      report: glibc,
      env: {},
      require: nothing,
      root: repository,
    });
    expect(error.message).toMatch(/\n {2}npm run build:native$/);
  });

  test("says so when there is no binary for the platform", () => {
    const error = failure({ platform: "aix", arch: "ppc64", env: {}, require: nothing, root });
    expect(error.message).toContain("No binary is published for aix-ppc64");
    for (const name of PLATFORMS) expect(error.message).toContain(name);
  });

  test("points at LIBEAM_NATIVE_PATH when that was the cause", () => {
    const env = { LIBEAM_NATIVE_PATH: "/nowhere.node" };
    const error = failure({ platform: "linux", arch: "x64", report: glibc, env, require: nothing, root });
    expect(error.message).toContain("LIBEAM_NATIVE_PATH=/nowhere.node: Cannot find module");
    expect(error.message).toMatch(/Set LIBEAM_NATIVE_PATH to a file that exists.*$/);
  });
});

describe("in a bundle", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "libeam-bundle-"));
    writeFileSync(join(folder, "package.json"), '{ "name": "a-program", "version": "7.0.0" }');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  /** Puts the loader into one file, as bundlers do, and runs it. */
  function run(file: string, change: (source: string) => string, env: Record<string, string> = {}) {
    const source = (name: string) => readFileSync(join(repository, name), "utf8");
    const processor = source("processor.js");
    const loader = source("index.js").replace(/^import .* from "\.\/processor\.js";$/m, "");
    const bundle = `${processor.replace(/^export /gm, "")}\n${loader}\nconsole.log(typeof loadNative().createKernel);`;
    writeFileSync(join(folder, file), change(bundle));
    const { stdout, stderr } = spawnSync(process.execPath, [file], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, LIBEAM_NATIVE_PATH: "", ...env },
    });
    return { stdout, stderr };
  }

  const asModule = (source: string) => source;
  /** What esbuild makes of a module's URL where it is none any more. */
  const withoutUrl = (source: string) => source.replaceAll("import.meta", "({})");

  test.each([
    ["a module", asModule],
    ["CommonJS, which has no URL", withoutUrl],
  ])("(%s) the error says how to leave the package out, and a given file is loaded", (_what, change) => {
    const { stderr } = run("bundle.mjs", change);
    expect(stderr).toContain("NATIVE_ADDON_NOT_LOADED");
    expect(stderr).toContain("libeam was put into a bundle");
    expect(stderr).toContain("--external:libeam");
    expect(stderr).toContain("LIBEAM_NATIVE_PATH");

    const addons = join(repository, "native");
    const addon = join(addons, readdirSync(addons).find((name) => name.endsWith(".node")) as string);
    expect(run("bundle.mjs", change, { LIBEAM_NATIVE_PATH: addon }).stdout).toBe("function\n");
  });
});

describe("the binary packages", () => {
  const folders = readdirSync(join(repository, "npm"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

  test("are the ones that the loader knows", () => {
    expect(folders.sort()).toEqual([...PLATFORMS].sort());
  });

  test.each(folders)("%s agrees with the root package", (name) => {
    const { libc, ...published } = JSON.parse(readFileSync(join(repository, "npm", name, "package.json"), "utf8"));
    const [os, cpu, abi] = name.split("-");
    expect(published).toMatchObject({
      name: `@libeam/${name}`,
      version: manifest.version,
      license: manifest.license,
      engines: manifest.engines,
      main: `libeam.${name}.node`,
      files: [`libeam.${name}.node`, ...(name.startsWith("linux-x64") ? [`libeam.${name}-v3.node`] : [])],
      os: [os],
      cpu: [cpu],
    });
    expect(libc).toEqual(os === "linux" ? [abi === "gnu" ? "glibc" : "musl"] : undefined);
  });

  test("share their version with the Rust workspace", () => {
    const cargo = readFileSync(join(repository, "Cargo.toml"), "utf8");
    expect(cargo).toMatch(new RegExp(`\\[workspace\\.package\\]\\nversion = "${manifest.version}"`));
  });
});

test("the addon of this machine is loaded", () => {
  expect(native).toBeTypeOf("object");
});
