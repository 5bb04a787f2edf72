/**
 * The numbers libeam is to reach, checked against the rows of a run.
 *
 * A target whose rows were not measured (filtered out, or no Elixir on the machine) is left out. A missed target is
 * a finding, printed as such, and no failure of the benchmark.
 */
import { ratio } from "./harness.js";
import type { Row } from "./suite.js";

export interface Verdict {
  target: string;
  /** What was measured, formatted. */
  measured: string;
  outcome: "pass" | "MISS";
}

type Rows = ReadonlyMap<string, Row>;

interface Target {
  text: string;
  limit: number;
  /** Appended to the measured value. */
  unit: string;
  /** Smaller is better for all targets; undefined if a row is missing. */
  value(rows: Rows): number | undefined;
}

const median = (key: string) => (rows: Rows) => rows.get(key)?.stats.median;
const floorRatio = (key: string) => (rows: Rows) => rows.get(key)?.floorRatio;

function quotient(above: Row | undefined, below: Row | undefined): number | undefined {
  return above === undefined || below === undefined ? undefined : ratio(above.stats, below.stats);
}

function toFloor(text: string, key: string, limit: number): Target {
  return { text: `${text} ≤ ${limit}× await floor`, limit, unit: "×", value: floorRatio(key) };
}

function absolute(text: string, key: string, limit: number, unit: string): Target {
  return { text: `${text} ≤ ${limit.toLocaleString("en")} ${unit}`, limit, unit: ` ${unit}`, value: median(key) };
}

function rate(text: string, key: string, perSecond: number): Target {
  const limit = 1e9 / perSecond;
  return { text: `${text} ≥ ${perSecond.toLocaleString("en")}/s`, limit, unit: " ns", value: median(key) };
}

function flat(kind: "batches" | "burst", one: "1" | "listed"): Target {
  return {
    text: `cast, ${kind}: many actors ≤ 1.5× ${one === "1" ? "one actor" : "the only one in a list"}`,
    limit: 1.5,
    unit: "×",
    value: (rows) => quotient(rows.get(`cast_${kind}_many`), rows.get(`cast_${kind}_${one}`)),
  };
}

/** What a call costs more when somebody has listened, less what it would have become slower by itself. */
function telemetryCost(rows: Rows): number | undefined {
  const [cost, drift] = [median("telemetry_cost")(rows), median("telemetry_drift")(rows)];
  return cost === undefined || drift === undefined ? undefined : cost - drift;
}

/** What one more stage adds to an event: the longest pipeline less the shortest, by the stages between. */
function perHop(rows: Rows): number | undefined {
  const [short, long] = [median("stage_hops_1")(rows), median("stage_hops_3")(rows)];
  return short === undefined || long === undefined ? undefined : (long - short) / 2;
}

const targets: readonly Target[] = [
  toFloor("sequential call, functional", "call_functional", 3.5),
  toFloor("sequential call, class", "call_class", 3.5),
  toFloor("sequential call, named", "call_named", 3.5),
  toFloor("50 in flight, busy actor", "in_flight_async", 6),
  absolute("cast, 1 actor, batches", "cast_batches_1", 60, "ns"),
  absolute("cast, 1 actor, burst", "cast_burst_1", 60, "ns"),
  flat("batches", "1"),
  flat("burst", "1"),
  flat("batches", "listed"),
  flat("burst", "listed"),
  absolute("spawn + stop, functional", "spawn_stop_functional", 1_500, "ns"),
  absolute("spawn + stop, class", "spawn_stop_class", 1_500, "ns"),
  absolute("P → C, maxDemand 1,000, per event", "stage_demand_1000", 30, "ns"),
  { text: "one more hop, per event ≤ 20 ns", limit: 20, unit: " ns", value: perHop },
  ...[5, 10, 20].map((workers) =>
    absolute(`ConsumerSupervisor, maxDemand ${workers}, per job`, `stage_supervisor_${workers}`, 5_000, "ns"),
  ),
  rate("remote call, sequential, 64 B", "remote_call_1_64", 15_000),
  rate("remote call, 64 in flight, 64 B", "remote_call_64_64", 80_000),
  rate("remote call, 512 in flight, 64 B", "remote_call_512_64", 100_000),
  rate("remote cast, 64 B", "remote_cast_64", 600_000),
  ...[3, 5, 8].flatMap((size) => [
    absolute(`${size} nodes, seed first, all see all`, `membership_first_${size}`, 2_000, "ms"),
    absolute(`${size} nodes, seed last, all see all`, `membership_last_${size}`, 2_000, "ms"),
  ]),
  absolute("SIGKILL at 5 nodes, known and told everywhere", "membership_kill_5", 3_500, "ms"),
  absolute("goodbye at 5 nodes, known everywhere", "membership_leave_5", 500, "ms"),
  {
    text: "telemetry, nobody listens any more: < 3 %",
    limit: 3,
    unit: " %",
    value: telemetryCost,
  },
  absolute("timer delay under a flood, p99", "fairness_flood_timer_p99", 20, "ms"),
  absolute("other actor's call under a flood, p99", "fairness_flood_call_p99", 20, "ms"),
  absolute("idle actor, 100,000 alive", "memory_resident_100000", 500, "B"),
  absolute("idle actor, 1,000,000 alive", "memory_resident_1000000", 500, "B"),
];

function judge(target: Target, rows: Rows): Verdict | undefined {
  const value = target.value(rows);
  if (value === undefined) return undefined;
  const show = (number: number) => `${number.toLocaleString("en", { maximumFractionDigits: 2 })}${target.unit}`;
  return { target: target.text, measured: show(value), outcome: value <= target.limit ? "pass" : "MISS" };
}

/** How many times faster (or smaller) than Elixir a row is. */
export function timesFaster(row: Row): number | undefined {
  return row.elixir && ratio(row.elixir.stats, row.stats);
}

function againstElixir(rows: readonly Row[]): Verdict[] {
  return rows.flatMap((row) => {
    const times = timesFaster(row);
    if (times === undefined) return [];
    const outcome = times > 1 ? "pass" : "MISS";
    return [{ target: `better than Elixir: ${row.name}`, measured: `${times.toFixed(2)}×`, outcome }];
  });
}

/** Judges every target that was measured; those against Elixir exist for each row that has a counterpart. */
export function judgeAll(rows: readonly Row[]): Verdict[] {
  const byKey = new Map(rows.map((row) => [row.key, row]));
  const own = targets.flatMap((target) => judge(target, byKey) ?? []);
  return [...own, ...againstElixir(rows)];
}
