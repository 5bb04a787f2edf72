/**
 * One suite in a process of its own. Forked by run.ts with the suite's name and SuiteOptions as JSON; sends one
 * SuiteResult. Run directly, it prints the rows, which is the way to profile one suite:
 *
 *   node --cpu-prof --cpu-prof-dir=profiles --expose-gc target/benchmark/suite_process.js calls
 */
import { type ElixirScript, elixirVersion, startElixir } from "./elixir.js";
import { sinkValue, WorkLostError } from "./harness.js";
import { resultTable } from "./report.js";
import type { Row, SuiteContext, SuiteOptions } from "./suite.js";
import { suites } from "./suites.js";

export interface SuiteResult {
  rows: Row[];
  /** Set if the suite failed; no rows are reported then. */
  failure?: string;
  /** True if the failure was work that was not completed. */
  lost?: boolean;
}

/** What the parent sends: suite options, and whether Elixir is to take part. */
export interface SuiteRequest extends SuiteOptions {
  elixir: boolean;
}

async function run(name: string, request: SuiteRequest): Promise<SuiteResult> {
  const suite = suites.find((one) => one.name === name);
  if (!suite) return { rows: [], failure: `there is no suite ${name}` };
  const started = new Map<ElixirScript, ReturnType<typeof startElixir>>();
  const context: SuiteContext = {
    ...request,
    peers: async (script) => {
      if (!request.elixir) return [];
      const elixir = started.get(script) ?? startElixir(script);
      started.set(script, elixir);
      return (await elixir).peers;
    },
  };
  try {
    return { rows: await suite.run(context) };
  } catch (error) {
    return { rows: [], failure: String((error as Error)?.stack ?? error), lost: error instanceof WorkLostError };
  } finally {
    for (const elixir of started.values()) await elixir.then((running) => running.close()).catch(() => {});
  }
}

const [name = "calls", json] = process.argv.slice(2);
const standalone: SuiteRequest = { warmup: 3, rounds: 15, quick: false, elixir: elixirVersion() !== undefined };
const result = await run(name, json ? JSON.parse(json) : standalone);

if (process.send) {
  process.send(result, () => process.exit(0));
} else {
  console.log(result.failure ?? resultTable(result.rows));
  console.log(`(sink ${sinkValue()})`);
  process.exit(result.failure ? 1 : 0);
}
