/**
 * One actor is flooded with 10,000,000 casts; how long do a timer and another actor wait meanwhile?
 *
 * A million casts are queued first, in one go and off the clock. The rest is fed in small steps, one per turn of the
 * event loop, so that the mailbox stays full and the sender's own loop does not show up in the delays. Meanwhile a
 * chain of 1 ms timers notes how late each fires, and a prober casts to another actor and calls it, which takes that
 * call through a mailbox as well. Each flood gives one p50, p99 and maximum; samples are floods. The idle rows are
 * the same probes without a flood: what the machine does by itself.
 *
 * All casts must have been handled and each probe must have seen its cast, otherwise work was lost.
 */

import { createActor, createSystem } from "libeam";
import { quantile, summarize, WorkLostError } from "../harness.js";
import type { Row, Suite } from "../suite.js";
import { Counter } from "./actors.js";

const casts = 10_000_000;
/** Casts queued before the clock starts, and the most that are ever waiting. */
const backlogMax = 1_000_000;
/** Casts sent per turn; small, so that the sender is not what delays a timer. */
const step = 5_000;
const periodMs = 1;
const idleMs = 1_000;
/** A flood without progress for this long has lost its work. */
const stallMs = 10_000;

/** Delays in milliseconds. */
interface Delays {
  timer: number[];
  call: number[];
}

const Flooded = createActor((_ctx, self, count: () => void) => self.onCast("hit", () => count()));

/** Notes how late each timer of a chain fires, until the returned function is called. */
function watchTimer(delays: number[]): () => void {
  let timer: NodeJS.Timeout;
  const arm = () => {
    const due = performance.now() + periodMs;
    timer = setTimeout(() => {
      delays.push(Math.max(0, performance.now() - due));
      arm();
    }, periodMs);
  };
  arm();
  return () => clearTimeout(timer);
}

interface Probed {
  call(method: "get"): Promise<number>;
  cast(method: "increment"): void;
}

/** Casts and calls another actor about once per millisecond; `stop` resolves when the last probe is answered. */
function watchCalls(delays: number[], other: Probed): { stop(): Promise<void> } {
  let stopped = false;
  let sent = 0;
  const probe = async () => {
    while (!stopped) {
      await new Promise((resolve) => setTimeout(resolve, periodMs));
      const started = performance.now();
      other.cast("increment");
      const seen = await other.call("get");
      delays.push(performance.now() - started);
      sent++;
      if (seen !== sent) throw new WorkLostError("probe of another actor during a flood", seen, sent);
    }
  };
  const running = probe();
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}

/** Keeps the mailbox full until all casts are sent, then waits for the last to be handled. */
function feed(hit: () => void, handled: () => number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = backlogMax;
    let seen = 0;
    let seenAt = performance.now();
    const pump = () => {
      const done = handled();
      if (done === casts) return resolve();
      for (let i = 0; i < step && sent < casts && sent - done < backlogMax; i++, sent++) hit();
      const now = performance.now();
      if (done !== seen) [seen, seenAt] = [done, now];
      else if (now - seenAt > stallMs) return reject(new WorkLostError("flood", done, casts));
      setImmediate(pump);
    };
    setImmediate(pump);
  });
}

async function flood(): Promise<Delays> {
  const system = createSystem();
  let handled = 0;
  const flooded = system.spawn(Flooded, {
    args: [
      () => {
        handled++;
      },
    ],
  });
  const other = system.spawn(Counter, { args: [0] });
  const delays: Delays = { timer: [], call: [] };
  for (let i = 0; i < backlogMax; i++) flooded.cast("hit");
  const stopTimer = watchTimer(delays.timer);
  const prober = watchCalls(delays.call, other);
  await feed(
    () => flooded.cast("hit"),
    () => handled,
  );
  stopTimer();
  await prober.stop();
  await system.shutdown();
  return delays;
}

async function idle(): Promise<Delays> {
  const system = createSystem();
  const delays: Delays = { timer: [], call: [] };
  const stopTimer = watchTimer(delays.timer);
  const prober = watchCalls(delays.call, system.spawn(Counter, { args: [0] }));
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  stopTimer();
  await prober.stop();
  await system.shutdown();
  return delays;
}

const points: [key: string, fraction: number][] = [
  ["p50", 0.5],
  ["p99", 0.99],
  ["max", 1],
];

function rowsOf(prefix: string, when: string, runs: readonly Delays[]): Row[] {
  const what = { timer: "1 ms timer is late", call: "cast + call to another actor" };
  return (["timer", "call"] as const).flatMap((kind) =>
    points.map(([point, fraction]): Row => {
      const samples = runs.map((delays) => quantile(delays[kind], fraction));
      const name = `${what[kind]}, ${when}, ${point}`;
      return { suite: "fairness", key: `${prefix}_${kind}_${point}`, name, unit: "ms", stats: summarize(samples) };
    }),
  );
}

export const fairness: Suite = {
  name: "fairness",
  title: "Fairness under a flood",
  async run(context) {
    const idles: Delays[] = [];
    const floods: Delays[] = [];
    for (let round = 0; round < (context.quick ? 1 : 3); round++) {
      idles.push(await idle());
      floods.push(await flood());
    }
    const many = `${casts / 1_000_000} M casts to one actor`;
    return [...rowsOf("fairness_idle", "no load", idles), ...rowsOf("fairness_flood", many, floods)];
  },
};
