/**
 * A process that makes sequential calls before and after somebody listens to telemetry. Forked by telemetry.ts with a
 * Situation; sends one TelemetryReport and ends.
 *
 * `never` nobody listens in between, or ever
 * `once`  in between a handler is attached to the stop event of handle_call, must receive one event per call, and is
 *         detached
 */

import { createSystem, TelemetryEvents, telemetry } from "libeam";
import { counts } from "../counts.js";
import { awaitResolved } from "../floor.js";
import { sink, WorkLostError } from "../harness.js";
import { Counter } from "./actors.js";

export type Situation = "never" | "once";

/** Samples of rounds, one each. */
export interface Rounds {
  /** Nanoseconds per call. */
  ns: number[];
  /** The same in units of the await floor, taken around the round. */
  toFloor: number[];
}

export interface TelemetryReport {
  before: Rounds;
  /** Nanoseconds per call while the handler was attached; empty if there was none. */
  listening: number[];
  after: Rounds;
}

/** Rounds of each part, after as many for warming up: many short ones, because their median is what counts. */
const ROUNDS = 30;
/** Calls of a round. */
const CALLS = counts.calls / 2;

const listener = "benchmark";
const counter = createSystem().spawn(Counter, { args: [0] });
/** Events received since the round began. */
let events = 0;

async function calls(): Promise<number> {
  const started = process.hrtime.bigint();
  for (let i = 0; i < CALLS; i++) sink(await counter.call("increment"));
  const elapsed = Number(process.hrtime.bigint() - started);
  const counted = await counter.call("take");
  if (counted !== CALLS) throw new WorkLostError("telemetry", counted, CALLS);
  return elapsed / CALLS;
}

async function floor(): Promise<number> {
  const started = process.hrtime.bigint();
  await awaitResolved.run(CALLS);
  return Number(process.hrtime.bigint() - started) / CALLS;
}

async function measure(): Promise<Rounds> {
  const rounds: Rounds = { ns: [], toFloor: [] };
  for (let round = -ROUNDS; round < ROUNDS; round++) {
    const around = await floor();
    const ns = await calls();
    if (round < 0) continue;
    rounds.ns.push(ns);
    rounds.toFloor.push((2 * ns) / (around + (await floor())));
  }
  return rounds;
}

async function listen(): Promise<number[]> {
  telemetry.attach(listener, [[...TelemetryEvents.actor.handleCall, "stop"]], (_event, measurements) => {
    events++;
    sink(measurements.duration_ms ?? 0);
  });
  const samples: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    events = 0;
    samples.push(await calls());
    if (events < CALLS) throw new WorkLostError("telemetry, events", events, CALLS);
  }
  telemetry.detach(listener);
  return samples;
}

/** As in any program, there is more than one method: else the optimiser makes code for the one, and only before. */
async function callBoth(): Promise<void> {
  for (let i = 0; i < CALLS; i++) sink(await counter.call(i % 2 === 0 ? "increment" : "get"));
  await counter.call("take");
}

await callBoth();
const before = await measure();
const listening = process.argv[2] === "once" ? await listen() : [];
const report: TelemetryReport = { before, listening, after: await measure() };
process.send?.(report, () => process.exit(0));
