/**
 * The TypeScript in README.md and docs/ is part of the contract.
 *
 * Each fenced block marked ts or typescript is written to .snippets/ as a module of its own and type-checked against
 * lib/, all in one run of tsc, whose JavaScript is what is executed. A comment on the line before the fence changes what happens to a block:
 *
 *   <!-- snippet: run -->           it is also executed and must exit with 0
 *   <!-- snippet: skip <reason> --> it is left alone; the reason is mandatory
 *
 * A block keeps its line numbers: line 80 of README.md is line 80 of its module, so an error points at the document.
 */

import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { COMPILED, COMPILED_FLAGS } from "../support/compiled.js";

const CHECK_TIMEOUT_MS = 60_000;
const RUN_TIMEOUT_MS = 60_000;

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../..", import.meta.url));
const output = join(repository, ".snippets");
/** Where a snippet's JavaScript is, as tsc keeps the folders of all that it compiles. */
const built = join("built", ".snippets");

interface Snippet {
  /** `README.md:80`, the line of the first line of code. */
  name: string;
  /** The module's file name in .snippets/. */
  file: string;
  mode: "check" | "run" | "skip";
  /** Why it is skipped. */
  reason: string;
  source: string;
}

/** README.md and every Markdown file below docs/, relative to the repository. */
function documents(): string[] {
  const below = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return below(path);
      return entry.name.endsWith(".md") ? [relative(repository, path)] : [];
    });
  const readme = readdirSync(repository).filter((file) => file === "README.md");
  return [...readme, ...below(join(repository, "docs"))].sort();
}

/** The blocks of one document. */
function snippetsOf(document: string, text: string): Snippet[] {
  const found: Snippet[] = [];
  const lines = text.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const fence = /^(\s*)(`{3,}|~{3,})(\w*)/.exec(lines[at]);
    if (!fence) continue;
    const [, indent, ticks, language] = fence;
    const end = lines.findIndex((line, index) => index > at && line.trim() === ticks);
    if (end < 0) throw new Error(`${document}:${at + 1}: the fence is never closed`);
    if (language === "ts" || language === "typescript") {
      const marker = /^\s*<!-- snippet: (\w+) ?(.*?) ?-->\s*$/.exec(lines[at - 1] ?? "");
      const code = lines.slice(at + 1, end).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
      found.push({
        name: `${document.split(sep).join("/")}:${at + 2}`,
        file: `${document.replace(/[^a-zA-Z0-9]+/g, "-")}-${at + 2}.ts`,
        mode: modeOf(marker?.[1], `${document}:${at}`),
        reason: marker?.[2] ?? "",
        source: `${"\n".repeat(at + 1)}${code.join("\n")}\nexport {};\n`,
      });
    }
    at = end;
  }
  return found;
}

function modeOf(word: string | undefined, where: string): Snippet["mode"] {
  if (word === undefined) return "check";
  if (word === "run" || word === "skip") return word;
  throw new Error(`${where}: unknown snippet mode "${word}"; it is run or skip`);
}

const snippets = documents().flatMap((document) =>
  snippetsOf(document, readFileSync(join(repository, document), "utf8")),
);
const checked = snippets.filter(({ mode }) => mode !== "skip");
const executed = snippets.filter(({ mode }) => mode === "run");
/** What tsc says about the snippets, line by line. */
let errors: string[] = [];

beforeAll(async () => {
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output);
  for (const { file, source } of checked) writeFileSync(join(output, file), source);
  const config = {
    extends: "../tsconfig.json",
    compilerOptions: {
      noUnusedLocals: false,
      noEmit: false,
      declaration: false,
      rootDir: "..",
      outDir: "built",
      paths: { libeam: ["../lib/index.ts"], "libeam/testing": ["../lib/testing/index.ts"] },
    },
    include: ["*.ts"],
  };
  writeFileSync(join(output, "tsconfig.json"), JSON.stringify(config));
  writeFileSync(join(output, "package.json"), JSON.stringify({ type: "module" }));
  mkdirSync(join(output, "node_modules"));
  symlinkSync(COMPILED, join(output, "node_modules", "libeam"), "junction");
  const tsc = join(repository, "node_modules", "typescript", "bin", "tsc");
  errors = await run(process.execPath, [tsc, "-p", output, "--pretty", "false"], { cwd: output }).then(
    () => [],
    ({ stdout }: { stdout: string }) => stdout.trim().split("\n"),
  );
}, CHECK_TIMEOUT_MS);

test("every skipped snippet says why", () => {
  expect(snippets.filter(({ mode, reason }) => mode === "skip" && reason === "").map(({ name }) => name)).toEqual([]);
});

describe.runIf(checked.length > 0)("type check", () => {
  test(`${checked.length} snippets`, () => {
    const named = errors.map((line) => {
      const snippet = checked.find(({ file }) => line.startsWith(`${file}(`));
      if (!snippet) return line;
      const document = snippet.name.slice(0, snippet.name.lastIndexOf(":"));
      return line.replace(/^.*?\((\d+),(\d+)\)/, `${document}:$1:$2`);
    });
    expect(named).toEqual([]);
  });
});

describe.runIf(executed.length > 0)("run", () => {
  test.each(executed.map(({ name, file }) => [name, file]))(
    "%s",
    async (_name, file) => {
      // A non-zero exit code or the time limit rejects, with both outputs in the error.
      await run(process.execPath, [...COMPILED_FLAGS, join(output, built, file.replace(/ts$/, "js"))], {
        cwd: repository,
        timeout: RUN_TIMEOUT_MS,
      });
    },
    RUN_TIMEOUT_MS + 5_000,
  );
});
