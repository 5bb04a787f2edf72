/**
 * What a suite is, and how the usual suite (a list of cases and the await floor) becomes rows of the table.
 *
 * Every suite runs in a process of its own (suite_process.ts), so that `npm run bench -- calls` and the full run
 * measure the same thing. Rows are plain data: they travel to the parent over IPC.
 */
import { type ElixirScript, genServerScript } from "./elixir.js";
import { awaitResolved } from "./floor.js";
import { type Case, interleave, type Measured, type Peer, ratio, type Stats, summarize } from "./harness.js";

export type Unit = "ns" | "B" | "ms" | "%";

/** One line of the result table. */
export interface Row {
  suite: string;
  /** Stable name for targets, unique over all suites. */
  key: string;
  name: string;
  unit: Unit;
  stats: Stats;
  /** Ratio to `await` of a resolved promise in the same rotation. */
  floorRatio?: number;
  /** The faster of the Elixir configurations and ways that do this work. */
  elixir?: { label: string; stats: Stats };
}

export interface SuiteOptions {
  warmup: number;
  rounds: number;
  /** Few rounds, for a quick look; nothing else changes. */
  quick: boolean;
}

export interface SuiteContext extends SuiteOptions {
  /** Elixir takes part. */
  elixir: boolean;
  /** Starts a script of the Elixir side on first use; empty if there is no Elixir. */
  peers(script: ElixirScript): Promise<readonly Peer[]>;
}

export interface Suite {
  name: string;
  title: string;
  run(context: SuiteContext): Promise<Row[]>;
}

/** Interleaves the cases with the await floor and with a script of the Elixir side, and makes rows of them. */
export async function compare(
  suite: string,
  cases: readonly Case[],
  context: SuiteContext,
  script: ElixirScript | "none" = genServerScript,
): Promise<Row[]> {
  const peers = script !== "none" && cases.some((one) => one.elixir) ? await context.peers(script) : [];
  const { warmup, rounds } = context;
  const [floor, ...measured] = await interleave([awaitResolved, ...cases], { warmup, rounds, peers });
  const floorStats = summarize(floor!.samples);
  return cases.map((one, index) => toRow(suite, one, measured[index]!, floorStats));
}

function toRow(suite: string, one: Case, measured: Measured, floorStats: Stats): Row {
  const stats = summarize(measured.samples);
  const row: Row = { suite, key: one.key, name: one.name, unit: "ns", stats, floorRatio: ratio(stats, floorStats) };
  const elixir = fastest(measured.peers);
  return elixir ? { ...row, elixir } : row;
}

/** The peer with the lowest median: libeam is compared with Elixir at its best. */
export function fastest(peers: Measured["peers"]): Row["elixir"] {
  return peers
    .map(({ label, samples }) => ({ label, stats: summarize(samples) }))
    .sort((a, b) => a.stats.median - b.stats.median)[0];
}
