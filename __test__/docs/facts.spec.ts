/**
 * What documents and messages say of the repository: each sentence of docs/SEMANTICS.md has a test that names it, the code
 * map of docs/ARCHITECTURE.md names what is there, and the Rust that is needed is the same everywhere.
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { TelemetryEvents } from "../../lib/index.js";

const repository = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, repository), "utf8");

function filesOf(...patterns: string[]): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "--", ...patterns];
  return execFileSync("git", args, { cwd: fileURLToPath(repository), encoding: "utf8" })
    .trim()
    .split("\n");
}

/** All that a pattern's first group has matched. */
function found(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, first]) => first as string);
}

describe("docs/SEMANTICS.md", () => {
  const sentences = found(read("docs/SEMANTICS.md"), /^- \*\*([A-Z]\d+)\*\* /gm);
  const titles = filesOf("__test__/semantics/*.spec.ts", "__test__/cluster/*.spec.ts")
    .flatMap((path) => found(read(path), /["`]((?:[A-Z]\d+(?:, )?)+): /g))
    .flatMap((names) => names.split(", "));

  test("numbers the sentences of each letter from 1", () => {
    const numbers = new Map<string, number[]>();
    for (const [letter, ...digits] of sentences) {
      numbers.set(letter as string, [...(numbers.get(letter as string) ?? []), Number(digits.join(""))]);
    }
    expect(numbers.size).toBeGreaterThan(10);
    for (const [letter, all] of numbers) expect(all, letter).toEqual(all.map((_, i) => i + 1));
  });

  test("has a test for each sentence, and no test names another one", () => {
    expect([...new Set(titles)].sort()).toEqual([...sentences].sort());
  });
});

describe("the code map of docs/ARCHITECTURE.md", () => {
  const text = read("docs/ARCHITECTURE.md");
  const map = text.slice(text.indexOf("## Code map"), text.indexOf("## Invariants"));
  const names = map
    .split("\n")
    .flatMap((line) => (line.startsWith("|") ? found(line.split("|")[1] as string, /`([^`]+)`/g) : []));
  const files = filesOf("lib/*.ts", "crates/*/src/*.rs", "src/*.rs").filter((path) => !/\/(mod|lib)\.rs$/.test(path));

  test("names each file, or the folder that it is in", () => {
    const isNamed = (path: string): boolean =>
      names.includes(basename(path)) ||
      names.some((name) => path.endsWith(`/${name}`) || path === name) ||
      names.some((name) => name.endsWith("/") && !name.includes("stdlib/") && `${dirname(path)}/`.endsWith(`/${name}`));
    expect(files.filter((path) => !isNamed(path))).toEqual([]);
  });

  test("names nothing that is not there", () => {
    const paths = filesOf("lib", "crates", "src").map((path) => `/${path}`);
    expect(names.filter((name) => !paths.some((path) => path.includes(`/${name}`)))).toEqual([]);
  });
});

test("docs/guides/observing.md has each event that may be observed, and no other one", () => {
  const ends = ["start", "stop", "exception"];
  const named = found(read("docs/guides/observing.md"), /^\| `([a-z_]+\.[a-z_.]+)`/gm);
  const events = named.map((name) => (ends.includes(name.split(".")[2] ?? "") ? name.replace(/\.[a-z]+$/, "") : name));
  const catalogue = Object.values(TelemetryEvents).flatMap((group) => Object.values<readonly string[]>(group));
  expect([...new Set(events)].sort()).toEqual(catalogue.map(([, ...rest]) => rest.join(".")).sort());
});

test("whoever names the Rust that a build needs names the one of Cargo.toml", () => {
  const needed = found(read("Cargo.toml"), /^rust-version = "(.+)"$/gm);
  for (const path of ["README.md", "CONTRIBUTING.md", "index.js", "scripts/cargo.mjs"]) {
    expect(found(read(path), /Rust (\d+\.\d+)/g), path).toEqual(needed);
  }
});
