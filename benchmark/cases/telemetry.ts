/**
 * What telemetry costs a sequential call: nobody has ever listened, somebody listens, nobody listens any more.
 *
 * A process cannot go back to never having been observed, and two processes that run the same code differ by more than
 * the few percent looked for, as the optimiser decides differently. So each process is compared with itself: rounds
 * before anybody listened, then rounds after (telemetry_child.ts), in units of the await floor. Processes in which nobody
 * ever listened do the same and show how much calls change by themselves meanwhile. Both kinds take turns.
 */
import { summarize } from "../harness.js";
import { reportOf } from "../own_process.js";
import type { Row, Suite } from "../suite.js";
import type { Situation, TelemetryReport } from "./telemetry_child.js";

const child = new URL("telemetry_child.js", import.meta.url);
/** Processes of each kind per round of the other suites. */
const PROCESSES_PER_ROUND = 0.6;

function inOwnProcess(situation: Situation): Promise<TelemetryReport> {
  return reportOf(child, situation);
}

/** By how many percent the calls after cost more than those before. */
function cost({ before, after }: TelemetryReport): number {
  return 100 * (summarize(after.toFloor).median / summarize(before.toFloor).median - 1);
}

export const telemetry: Suite = {
  name: "telemetry",
  title: "Telemetry",
  async run({ rounds }) {
    const reports: Record<Situation, TelemetryReport[]> = { never: [], once: [] };
    for (let process = 0; process < Math.ceil(rounds * PROCESSES_PER_ROUND); process++) {
      reports.never.push(await inOwnProcess("never"));
      reports.once.push(await inOwnProcess("once"));
    }
    const { never, once } = reports;
    const row = (key: string, name: string, unit: Row["unit"], samples: number[]): Row => {
      return { suite: "telemetry", key: `telemetry_${key}`, name, unit, stats: summarize(samples) };
    };
    const all = [...never, ...once];
    return [
      row(
        "never",
        "call, never listened to",
        "ns",
        all.flatMap(({ before }) => before.ns),
      ),
      row(
        "on",
        "call, a handler on handle_call stop",
        "ns",
        once.flatMap(({ listening }) => listening),
      ),
      row(
        "off",
        "call, after the handler was detached",
        "ns",
        once.flatMap(({ after }) => after.ns),
      ),
      row("cost", "more than before, in the same process", "%", once.map(cost)),
      row("drift", "the same where nobody ever listened", "%", never.map(cost)),
    ];
  },
};
