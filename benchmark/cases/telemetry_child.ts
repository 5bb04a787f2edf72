/**
 * A process that makes sequential calls in one telemetry situation. Forked by telemetry.ts with a Situation; for each
 * message it receives it runs one round of that many calls and sends back a Timed. Ends when the channel is closed.
 *
 * `never`     nobody has listened in this process, ever
 * `listening` a handler is attached to the stop event of handle_call and must receive one event per call
 * `after`     a handler was attached, observed a round of calls, and was detached
 */
import { counts } from "../counts.js";
import { sink, type Timed } from "../harness.js";
import { createSystem, TelemetryEvents, telemetry } from "../libeam.js";
import { Counter } from "./actors.js";

export type Situation = "never" | "listening" | "after";

const listener = "benchmark";
const counter = createSystem().spawn(Counter, { args: [0] });
const situation = process.argv[2] as Situation;
/** Events received since the round began. */
let events = 0;

function attach(): void {
  telemetry.attach(listener, [[...TelemetryEvents.actor.handleCall, "stop"]], (_event, measurements) => {
    events++;
    sink(measurements.duration_ms ?? 0);
  });
}

async function round(ops: number): Promise<Timed> {
  events = 0;
  const started = process.hrtime.bigint();
  for (let i = 0; i < ops; i++) sink(await counter.call("increment"));
  const elapsedNs = Number(process.hrtime.bigint() - started);
  const observed = events;
  const counted = await counter.call("take");
  return { completed: situation === "listening" ? Math.min(observed, counted) : counted, elapsedNs };
}

if (situation !== "never") attach();
if (situation === "after") {
  await round(counts.calls);
  telemetry.detach(listener);
}

process.on("message", (ops: number) => {
  void round(ops).then((result) => process.send?.(result));
});
process.once("disconnect", () => process.exit(0));
