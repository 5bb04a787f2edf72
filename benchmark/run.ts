/**
 * The benchmark: `npm run bench -- [suites…] [--quick] [--rounds N] [--no-elixir] [--write] [--profile]`.
 *
 *   suites        names of suites.ts; all of them if none is given
 *   --quick       few rounds: a look, not a result
 *   --rounds N    samples per case (15)
 *   --no-elixir   leaves the Elixir side out even if it is installed
 *   --write       writes results.md for a partial or quick run too; a full run always writes it
 *   --profile     explains where the time of one call goes, instead (profile.ts)
 *
 * It measures the built package: `npm run build` first. scripts/bench.mjs compiles it and runs it. Every suite runs in its own
 * process, one after the other.
 * Exit code 0 also when targets are missed; 1 when a suite failed or lost work; 2 when it was asked for nonsense.
 */
import { fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { elixirVersion } from "./elixir.js";
import { sources } from "./places.js";
import { profile } from "./profile.js";
import { machine, resultTable, toMarkdown, verdictTable } from "./report.js";
import type { Suite } from "./suite.js";
import type { SuiteRequest, SuiteResult } from "./suite_process.js";
import { suites } from "./suites.js";
import { judgeAll } from "./targets.js";

const suiteTimeoutMs = 20 * 60_000;
const child = fileURLToPath(new URL("suite_process.js", import.meta.url));
const resultsFile = new URL("results.md", sources);

interface Options {
  selected: readonly Suite[];
  request: Omit<SuiteRequest, "elixir">;
  elixir: boolean;
  write: boolean;
  profile: boolean;
}

function refuse(message: string): never {
  console.error(`${message}\nsuites: ${suites.map((suite) => suite.name).join(" ")}`);
  process.exit(2);
}

function parse(argv: readonly string[]): Options {
  const names: string[] = [];
  const flags = new Set<string>();
  let rounds: number | undefined;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === "--rounds") rounds = Number(argv[++i]);
    else if (["--quick", "--no-elixir", "--write", "--profile"].includes(word)) flags.add(word);
    else if (suites.some((suite) => suite.name === word)) names.push(word);
    else refuse(`unknown argument: ${word}`);
  }
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) refuse("--rounds takes a positive number");
  const quick = flags.has("--quick");
  return {
    selected: names.length ? suites.filter((suite) => names.includes(suite.name)) : suites,
    request: { quick, warmup: quick ? 2 : 3, rounds: rounds ?? (quick ? 5 : 15) },
    elixir: !flags.has("--no-elixir"),
    write: flags.has("--write") || (!names.length && !quick && rounds === undefined),
    profile: flags.has("--profile"),
  };
}

function runSuite(suite: Suite, request: SuiteRequest): Promise<SuiteResult> {
  return new Promise((resolve) => {
    const running = fork(child, [suite.name, JSON.stringify(request)]);
    let result: SuiteResult | undefined;
    const timer = setTimeout(() => running.kill("SIGKILL"), suiteTimeoutMs);
    running.once("message", (message) => {
      result = message as SuiteResult;
    });
    running.once("exit", (code, signal) => {
      clearTimeout(timer);
      const failure = `the process ended without a result (${signal ?? `exit code ${code}`})`;
      resolve(result ?? { rows: [], failure, lost: true });
    });
  });
}

async function runAll(options: Options): Promise<number> {
  const elixir = options.elixir ? elixirVersion() : undefined;
  const facts = machine(elixir ?? (options.elixir ? "not on the PATH, comparison skipped" : "left out on request"));
  console.log(facts.map(([what, value]) => `${what}: ${value}`).join("\n"));
  const rows: SuiteResult["rows"] = [];
  const failures: string[] = [];
  for (const suite of options.selected) {
    const started = Date.now();
    const result = await runSuite(suite, { ...options.request, elixir: elixir !== undefined });
    rows.push(...result.rows);
    console.log(`\n${suite.title} (${suite.name}, ${Math.round((Date.now() - started) / 1000)} s)\n`);
    if (result.failure) {
      failures.push(`${suite.name}: ${result.lost ? "WORK LOST: " : ""}${result.failure}`);
      console.error(failures.at(-1));
    } else console.log(resultTable(result.rows));
  }
  const verdicts = judgeAll(rows);
  const missed = verdicts.filter(({ outcome }) => outcome === "MISS").length;
  console.log(`\nTargets measured in this run: ${verdicts.length}, missed: ${missed}\n\n${verdictTable(verdicts)}`);
  if (options.write) {
    const command = `npm run bench${process.argv
      .slice(2)
      .map((word, i) => `${i ? "" : " --"} ${word}`)
      .join("")}`;
    writeFileSync(resultsFile, toMarkdown({ command, machine: facts, rows, verdicts, failures }));
    console.log("\nwritten: benchmark/results.md");
  }
  if (failures.length) console.error(`\n${failures.length} suite(s) failed; see above`);
  return failures.length ? 1 : 0;
}

const options = parse(process.argv.slice(2));
if (options.profile) await profile(options.request);
else process.exitCode = await runAll(options);
