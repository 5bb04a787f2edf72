/**
 * What telemetry costs a sequential call: nobody has ever listened, somebody listens, nobody listens any more.
 *
 * A process cannot go back to never having been observed, so each situation has processes of its own
 * (telemetry_child.ts), and they take turns round by round like any other cases. Two processes that run the same
 * code can differ by some percent, as the optimiser decides differently: each situation takes its rounds from several,
 * and a second group that never listened shows how far apart equal things are on this machine.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { counts } from "../counts.js";
import { type Case, type Timed, WorkLostError } from "../harness.js";
import { compare, type Suite } from "../suite.js";
import type { Situation } from "./telemetry_child.js";

const child = fileURLToPath(new URL("telemetry_child.ts", import.meta.url));
/** More rounds than usual: the differences looked for are a few percent. */
const moreRounds = 4;
/** Processes per situation. */
const processes = 2;

function ask(running: ChildProcess, ops: number): Promise<Timed> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new WorkLostError("telemetry", 0, ops));
    running.once("exit", ended);
    running.once("message", (result) => {
      running.off("exit", ended);
      resolve(result as Timed);
    });
    running.send(ops);
  });
}

interface Situated {
  running: ChildProcess[];
  one: Case;
}

function inOwnProcesses(situation: Situation, key: string, name: string): Situated {
  const running = Array.from({ length: processes }, () => fork(child, [situation]));
  let turn = 0;
  const run = (ops: number) => ask(running[turn++ % processes]!, ops);
  return { running, one: { key, name, opsPerRound: counts.calls, run } };
}

export const telemetry: Suite = {
  name: "telemetry",
  title: "Telemetry",
  async run(context) {
    const situations = [
      inOwnProcesses("never", "telemetry_never", "call, never listened to"),
      inOwnProcesses("never", "telemetry_control", "the same again (the difference is noise)"),
      inOwnProcesses("listening", "telemetry_on", "call, a handler on handle_call stop"),
      inOwnProcesses("after", "telemetry_off", "call, after the handler was detached"),
    ];
    try {
      const more = { ...context, rounds: moreRounds * context.rounds, warmup: processes * context.warmup };
      return await compare(
        "telemetry",
        situations.map(({ one }) => one),
        more,
      );
    } finally {
      for (const one of situations.flatMap(({ running }) => running)) if (one.connected) one.disconnect();
    }
  },
};
