/**
 * The sources as JavaScript, for the processes and threads that specs start: node loads them in a third of the CPU time that
 * it takes with a TypeScript loader.
 *
 * lib/ and __test__/support/ are compiled together, to .compiled/<hash of all that goes in>/. So a folder is never stale:
 * whoever starts a process after a change compiles anew, and a run without a change, or without processes, compiles nothing.
 * A folder is complete when it appears: compilers that run at the same time write to folders of their own, and one of them
 * gets the name. "libeam" means lib/ in there, too. Types are not checked here. A folder that nobody has used for two hours
 * is removed.
 *
 * Importing this module compiles, so that no event loop stands still in the middle of a test.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What a process that runs compiled sources is started with: its stacks name the sources and their lines. */
export const COMPILED_FLAGS = ["--enable-source-maps"];

/** Longer than a spec file takes, which uses what it found at its start. */
const UNUSED_MS = 2 * 3_600_000;
const SOURCES = ["lib", "__test__/support"];
const repository = fileURLToPath(new URL("../..", import.meta.url));
const typescript = join(repository, "node_modules", "typescript");
const folders = join(repository, ".compiled");

/** Written beside the JavaScript. The addon's loader stays where it is: it looks for the addon in its own folder. */
const FILES = {
  "index.js": 'export * from "../../index.js";\nexport { default } from "../../index.js";\n',
  "package.json": JSON.stringify({
    name: "libeam",
    type: "module",
    exports: { ".": "./lib/index.js", "./testing": "./lib/testing/index.js" },
  }),
  "tsconfig.json": JSON.stringify({
    extends: "../../tsconfig.json",
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      noResolve: true,
      declaration: false,
      inlineSources: false,
      types: [],
      rootDir: "../..",
      outDir: ".",
    },
    include: SOURCES.map((folder) => `../../${folder}`),
  }),
};

/** Names what the sources, the compiler and its settings make. */
function hashOfInput(): string {
  const hash = createHash("sha256").update(JSON.stringify(FILES));
  const sources = SOURCES.flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(folder, file)),
  );
  for (const file of [...sources.sort(), "tsconfig.json", join(typescript, "package.json")]) {
    const text = readFileSync(file.startsWith(typescript) ? file : join(repository, file));
    hash.update(`\0${file}\0${text.length}\0`).update(text);
  }
  return hash.digest("hex").slice(0, 16);
}

function compile(folder: string): void {
  const own = mkdtempSync(join(folders, "new-"));
  try {
    for (const [file, text] of Object.entries(FILES)) writeFileSync(join(own, file), text);
    const args = [join(typescript, "bin", "tsc"), "-p", own, "--pretty", "false"];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`tsc could not compile the sources:\n${stdout}${stderr}`);
    renameSync(own, folder);
  } catch (error) {
    rmSync(own, { recursive: true, force: true });
    // Race: another process compiled the same sources and was faster.
    if (!existsSync(folder)) throw error;
  }
}

function removeUnused(now: number): void {
  for (const name of readdirSync(folders)) {
    const folder = join(folders, name);
    const used = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? now;
    if (used < now - UNUSED_MS) rmSync(folder, { recursive: true, force: true });
  }
}

function compiledFolder(): string {
  const folder = join(folders, hashOfInput());
  const now = Date.now();
  mkdirSync(folders, { recursive: true });
  if (!existsSync(folder)) {
    compile(folder);
    removeUnused(now);
  }
  utimesSync(folder, now / 1_000, now / 1_000);
  return folder;
}

/** The folder; as a package, it is libeam. */
export const COMPILED = compiledFolder();

/** The path of the JavaScript of a source: of `lib/index.ts`, for instance. */
export function compiled(source: string): string {
  return join(COMPILED, source.replace(/\.ts$/, ".js"));
}
