/**
 * Where things are: the benchmark runs compiled, from target/benchmark/, so what is no script of its own is found from
 * the root of the package.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const manifest = pathToFileURL(createRequire(import.meta.url).resolve("libeam/package.json"));

/** Version of the package. */
export const version: string = JSON.parse(readFileSync(manifest, "utf8")).version;
/** The sources of the benchmark, with the Elixir side, the counts and the results. */
export const sources = new URL("benchmark/", manifest);
