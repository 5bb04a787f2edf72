/**
 * The rules of docs/STYLE.md that a machine can check. Each rule is one test, and its failure lists the offenders as
 * `file:line what`. Rules look at every file that git tracks or would track; a rule whose files do not exist holds.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { functionsOf, type ImportLine, importsOf, maskRust, maskTypeScript } from "../scripts/tidy/scan.ts";

const SOURCE_LINES_MAX = 1_000;
const TEST_LINES_MAX = 1_500;
const EXAMPLE_LINES_MAX = 120;
const README_LINES_MAX = 300;
const FUNCTION_LINES_MAX = 70;
const BINDING_SHARE_MAX = 0.15;
/** Below this many lines of Rust the binding's share says nothing yet. */
const BINDING_SHARE_FROM_LINES = 3_000;

const repository = fileURLToPath(new URL("..", import.meta.url));

interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  path: string;
  text: string;
  /** The text without what is inside comments and literals; the same as `text` for what is not code. */
  code: string;
  lines: number;
}

function read(path: string): SourceFile {
  const text = readFileSync(join(repository, path), "utf8");
  const code = /\.m?[jt]s$/.test(path) ? maskTypeScript(text) : path.endsWith(".rs") ? maskRust(text) : text;
  return { path, text, code, lines: text.replace(/\n$/, "").split("\n").length };
}

const files: SourceFile[] = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
  cwd: repository,
  encoding: "utf8",
  maxBuffer: 64 * 1024 * 1024,
})
  .split("\0")
  .filter((path) => /\.(m?[jt]s|rs|md|json|toml|ya?ml|sh|html|css)$|^\.ci\//.test(path))
  .filter((path) => path !== "package-lock.json" && existsSync(join(repository, path)))
  .map(read);

const matching = (pattern: RegExp) => files.filter(({ path }) => pattern.test(path));

const rust = matching(/\.rs$/);
const lib = matching(/^lib\/.*\.ts$/);
const tests = matching(/^__test__\/.*\.ts$|^(crates\/[^/]+\/)?tests\/.*\.rs$/);
const specs = matching(/^__test__\/.*\.(spec|test|test-d)\.ts$/);
const product = matching(/^(lib|src|crates\/[^/]+\/src)\/|^(index\.js|build\.rs)$/);

/** `path:line text` for every line of a file's code that matches. */
function hits({ path, code, text }: SourceFile, pattern: RegExp): string[] {
  const original = text.split("\n");
  return code
    .split("\n")
    .flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1} ${original[at].trim()}`] : []));
}

function longerThan(among: SourceFile[], max: number): string[] {
  return among.filter(({ lines }) => lines > max).map(({ path, lines }) => `${path} has ${lines} lines`);
}

function expectNone(offenders: string[]): void {
  expect(offenders, `\n${offenders.join("\n")}\n`).toEqual([]);
}

describe("size", () => {
  test(`source files have at most ${SOURCE_LINES_MAX} lines`, () => {
    expectNone(
      longerThan([...product, ...matching(/^(scripts|benchmark|fuzz)\/.*\.(m?[jt]s|rs|sh)$/)], SOURCE_LINES_MAX),
    );
  });

  test(`test files have at most ${TEST_LINES_MAX} lines`, () => {
    expectNone(longerThan(tests, TEST_LINES_MAX));
  });

  test(`examples have at most ${EXAMPLE_LINES_MAX} lines`, () => {
    expectNone(longerThan(matching(/^examples\/.*\.ts$/), EXAMPLE_LINES_MAX));
  });

  test(`the README has at most ${README_LINES_MAX} lines`, () => {
    expectNone(longerThan(matching(/^README\.md$/), README_LINES_MAX));
  });

  test(`functions have at most ${FUNCTION_LINES_MAX} lines`, () => {
    const measured = [...product, ...matching(/^(scripts|examples|benchmark)\/.*\.m?[jt]s$/), ...rust];
    expectNone(
      [...new Set(measured)]
        .filter(({ path }) => /\.(m?[jt]s|rs)$/.test(path) && !path.endsWith(".d.ts"))
        .flatMap(({ path, code }) =>
          functionsOf(code, path.endsWith(".rs") ? "rust" : "typescript")
            .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
            .map(({ name, line, lines }) => `${path}:${line} ${name} has ${lines} lines`),
        ),
    );
  });

  test(`the binding is at most ${BINDING_SHARE_MAX * 100} % of the Rust`, () => {
    const sum = (among: SourceFile[]) => among.reduce((total, { lines }) => total + lines, 0);
    const binding = sum(matching(/^src\/.*\.rs$/));
    const all = binding + sum(matching(/^crates\/[^/]+\/src\/.*\.rs$/));
    const share = all < BINDING_SHARE_FROM_LINES ? 0 : binding / all;
    expect(share, `src/ has ${binding} of ${all} lines`).toBeLessThanOrEqual(BINDING_SHARE_MAX);
  });
});

describe("layers", () => {
  /** A folder of lib/ may import from its own layer and from those before it; files in lib/ itself are outside. */
  const LAYERS: Record<string, number> = { kernel: 0, stdlib: 1, cluster: 2 };
  const TOP_LAYER = 3;

  const modules = new Map<string, ImportLine[]>(lib.map(({ path, text, code }) => [path, importsOf(text, code)]));
  const folderOf = (path: string) => /^lib\/([^/]+)\//.exec(path)?.[1];
  const layerOf = (folder: string) => LAYERS[folder] ?? TOP_LAYER;

  /** The path that a relative import means, as a file of this repository when there is one. */
  function resolved(from: string, specifier: string): string {
    const path = posix.join(dirname(from), specifier);
    const source = path.replace(/\.js$/, ".ts");
    return modules.has(source) ? source : path;
  }

  const relativeImports = [...modules].flatMap(([from, imports]) =>
    imports
      .filter(({ specifier }) => specifier.startsWith("."))
      .map(({ specifier, typeOnly }) => ({ from, to: resolved(from, specifier), typeOnly })),
  );

  test("lib/ imports downwards: kernel, stdlib, cluster, then the rest", () => {
    expectNone(
      relativeImports.flatMap(({ from, to }) => {
        const [source, target] = [folderOf(from), folderOf(to)];
        if (!source || !target || layerOf(target) <= layerOf(source)) return [];
        return [`${from} imports ${to}`];
      }),
    );
  });

  test("nothing in lib/ imports the public entry", () => {
    const entries = relativeImports.filter(({ to }) => to === "lib/index.ts");
    const byName = [...modules].flatMap(([from, imports]) =>
      imports.filter(({ specifier }) => specifier === "libeam").map(() => `${from} imports libeam`),
    );
    expectNone([...entries.map(({ from }) => `${from} imports lib/index.ts`), ...byName]);
  });

  test("only lib/kernel/native.ts imports the addon's loader", () => {
    expectNone(
      relativeImports
        .filter(({ from, to }) => from !== "lib/kernel/native.ts" && (to === "index.js" || to.endsWith(".node")))
        .map(({ from, to }) => `${from} imports ${to}`),
    );
  });

  test("imports in lib/ say which file they mean and it exists", () => {
    expectNone(
      relativeImports
        .filter(({ to }) => !modules.has(to) && !existsSync(join(repository, to)))
        .map(({ from, to }) => `${from} imports ${to}`),
    );
  });

  test("lib/ has no import cycles", () => {
    const graph = new Map<string, string[]>();
    for (const { from, to, typeOnly } of relativeImports) {
      if (!typeOnly) graph.set(from, [...(graph.get(from) ?? []), to]);
    }
    const cycles = new Set<string>();
    const done = new Set<string>();
    const visit = (path: string, trail: string[]): void => {
      const at = trail.indexOf(path);
      if (at >= 0) {
        cycles.add([...trail.slice(at), path].join(" → "));
        return;
      }
      if (done.has(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
    expectNone([...cycles]);
  });

  test("the core uses no clock, thread, runtime or binding", () => {
    expectNone(
      matching(/^crates\/libeam-core\/src\/.*\.rs$/).flatMap((file) =>
        hits(file, /\bInstant::now\b|\bSystemTime\b|\bthread::spawn\b|\btokio\b|\bnapi(_derive)?\b/),
      ),
    );
  });

  test("the network crate does not know the binding", () => {
    expectNone(matching(/^crates\/libeam-net\/.*\.rs$/).flatMap((file) => hits(file, /\bnapi(_derive)?\b/)));
  });

  test("unsafe code lives in the core's ring and in the binding", () => {
    expectNone(
      rust
        .filter(({ path }) => !/^(src\/|crates\/libeam-core\/src\/ring[/.])/.test(path))
        .flatMap((file) => hits(file, /\bunsafe\b/)),
    );
  });
});

describe("source text", () => {
  test("every module opens with a header comment", () => {
    const bare = ({ path, text }: SourceFile) => {
      const lines = text.replace(/^#!.*\n/, "").split("\n");
      // An attribute such as #![cfg(loom)] may stand before a Rust header.
      if (path.endsWith(".rs")) {
        return !lines.find((line) => line.trim() !== "" && !line.startsWith("#!["))?.startsWith("//!");
      }
      return !/^\/(\*\*?|\/)/.test(lines.find((line) => line.trim() !== "") ?? "");
    };
    const sources = [...lib, ...rust, ...matching(/^scripts\/.*\.(mjs|ts)$/), ...specs];
    expectNone(sources.filter(bare).map(({ path }) => path));
  });

  test("specs wait for facts and not for time", () => {
    expectNone(
      specs
        .filter(({ path }) => !path.startsWith("__test__/support/"))
        .flatMap((file) => hits(file, /\b(setTimeout|setInterval|sleep|delay)\s*\(|\btimers\/promises\b/)),
    );
  });

  test("no spec is focused, skipped, unfinished or retried", () => {
    const patterns = /\.(only|skip|todo)\(|\b(fit|fdescribe|xit|xdescribe|xtest)\(|\bretry:\s*[1-9]/;
    expectNone([...specs, ...matching(/^vitest\.config\.ts$/)].flatMap((file) => hits(file, patterns)));
    expectNone(rust.flatMap((file) => hits(file, /#\[ignore\b/)));
  });

  test("nothing is left to do", () => {
    const marker = new RegExp(`\\b(${["FIX", "ME"].join("")}|${["X", "XX"].join("")})\\b`);
    const code = files.filter(({ path }) => /\.(m?[jt]s|rs|sh)$/.test(path));
    expectNone(code.flatMap((file) => hits({ ...file, code: file.text }, marker)));
    expectNone(rust.flatMap((file) => hits(file, /\b(todo|unimplemented)!/)));
  });

  test("the public surface is listed by hand", () => {
    expectNone([...lib, ...matching(/^index\.d\.ts$/)].flatMap((file) => hits(file, /\bexport\s*\*/)));
  });

  test("files and folders are named for what is in them", () => {
    const vague = /^(utils?|helpers?|types|common|manager)$/;
    expectNone(
      [...product, ...matching(/^(__test__|scripts|examples|benchmark)\//)]
        .map(({ path }) => path)
        .filter((path) => {
          const parts = path.split("/");
          const names = (parts.pop() ?? "").split(/[._-]/);
          return names.some((name) => vague.test(name)) || parts.some((part) => vague.test(part) && parts[0] === "lib");
        }),
    );
  });

  test("Rust and TypeScript files are snake_case", () => {
    expectNone(
      [...product, ...tests]
        .map(({ path }) => path)
        .filter(
          (path) => !/^[a-z0-9_]+((\.long)?\.spec|\.test-d|\.d)?\.(ts|rs|js|json|css|html)$/.test(posix.basename(path)),
        ),
    );
  });

  test("no path of one machine", () => {
    const path = /(?<![\w.)}$])\/(work|home|root|Users)\/[a-z]|\b[A-Z]:\\\\?Users\b/;
    expectNone(files.flatMap((file) => hits({ ...file, code: file.text }, path)));
  });
});
