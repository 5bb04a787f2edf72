/**
 * Where the time of one sequential call goes: a ladder of small loops, each adding one thing to the one before, all
 * interleaved. The differences of their medians are the breakdown; they are estimates, since the optimiser sees each
 * loop as a whole.
 *
 *   function       the handler itself, called directly
 *   promise        making the promise that carries the answer
 *   await          waiting for a promise that is already resolved
 *   sync part      `ref.call()` without awaiting it: lookup, state word, handler, promise
 *   whole call     `await ref.call()`
 */

import { createActor, createSystem } from "libeam";
import { counts } from "./counts.js";
import { awaitAsyncFunction, awaitResolved } from "./floor.js";
import { type Case, interleave, sink, sinkValue, summarize, type Timed } from "./harness.js";

/** Calls issued between two looks at the clock; the clock is then a fraction of a nanosecond per call. */
const chunk = 500;

interface CounterMessage {
  method: string;
  args: number[];
}

let state = 0;
// Two of each, chosen per operation, so that neither is inlined into the loop as a constant.
const handlers = [(message: CounterMessage) => state + message.args.length, () => ++state];

const bareLoop: Case = {
  key: "loop",
  name: "the loop itself",
  opsPerRound: counts.calls,
  run: (ops) => {
    for (let i = 0; i < ops; i++) sink(i);
    return ops;
  },
};

const plainFunction: Case = {
  key: "function",
  name: "message object and handler, called directly",
  opsPerRound: counts.calls,
  run: (ops) => {
    for (let i = 0; i < ops; i++) sink(handlers[i & 1]!({ method: "increment", args: [] }));
    return ops;
  },
};

const resolvedPromise: Case = {
  key: "promise",
  name: "the same and Promise.resolve(answer)",
  opsPerRound: counts.calls,
  run: async (ops) => {
    let last: Promise<number> | undefined;
    for (let i = 0; i < ops; i++) last = Promise.resolve(handlers[i & 1]!({ method: "increment", args: [] }));
    sink((await last) ?? 0);
    return ops;
  },
};

const awaitedPromise: Case = {
  key: "awaited",
  name: "the same, awaited",
  opsPerRound: counts.calls,
  run: async (ops) => {
    for (let i = 0; i < ops; i++) sink(await Promise.resolve(handlers[i & 1]!({ method: "increment", args: [] })));
    return ops;
  },
};

const ProfiledCounter = createActor((_ctx, self) => {
  let count = 0;
  return self.onCall("increment", () => ++count).onCall("get", () => count);
});

function viaActor(): Case[] {
  const system = createSystem();
  const counter = system.spawn(ProfiledCounter);
  const issued: Case = {
    key: "sync",
    name: "ref.call(), not awaited",
    opsPerRound: counts.calls,
    run: async (ops): Promise<Timed> => {
      const before = await counter.call("get");
      let elapsedNs = 0;
      for (let done = 0; done < ops; done += chunk) {
        const answers = new Array<Promise<number>>(chunk);
        const started = process.hrtime.bigint();
        for (let i = 0; i < chunk; i++) answers[i] = counter.call("increment");
        elapsedNs += Number(process.hrtime.bigint() - started);
        await Promise.all(answers);
      }
      return { completed: (await counter.call("get")) - before, elapsedNs };
    },
  };
  const whole: Case = {
    key: "call",
    name: "await ref.call()",
    opsPerRound: counts.calls,
    run: async (ops) => {
      const before = await counter.call("get");
      for (let i = 0; i < ops; i++) sink(await counter.call("increment"));
      return (await counter.call("get")) - before;
    },
  };
  return [issued, whole];
}

function line(name: string, ns: number, share?: number): void {
  const percent = share === undefined ? "" : `${(100 * share).toFixed(0).padStart(5)} %`;
  console.log(`${name.padEnd(62)}${ns.toFixed(1).padStart(9)} ns${percent}`);
}

function breakdown(median: (key: string) => number): void {
  const call = median("call");
  const handler = median("function") - median("loop");
  const promise = median("promise") - median("function");
  const floor = median("floor_await");
  const own = median("sync") - handler - promise;
  console.log("\nOne sequential call, taken apart\n");
  const part = (name: string, ns: number) => line(name, ns, ns / call);
  part("await of a resolved promise (the floor)", floor);
  part("message object and handler", handler);
  part("promise that carries the answer", promise);
  part("ref.call(), sync part: everything else it does", own);
  part("rest: microtask, cache misses, what the parts do not explain", call - floor - handler - promise - own);
  line("await ref.call()", call, 1);
  console.log(
    `\nThe least an API that returns promises can cost here (handler, promise, await): ${median("awaited").toFixed(1)} ns;` +
      ` await ref.call() is ${(call / median("awaited")).toFixed(2)}× that and ${(call / floor).toFixed(2)}× the floor.`,
  );
}

/** Measures the ladder and prints it, the breakdown, and how to look closer. */
export async function profile(options: { warmup: number; rounds: number }): Promise<void> {
  const own = [bareLoop, plainFunction, resolvedPromise, awaitResolved, awaitAsyncFunction, awaitedPromise];
  const cases = [...own, ...viaActor()];
  const measured = await interleave(cases, { ...options, peers: [] });
  const medians = new Map(cases.map((one, i) => [one.key, summarize(measured[i]!.samples).median]));
  console.log("\nThe ladder (medians)\n");
  for (const one of cases) line(one.name, medians.get(one.key)!);
  breakdown((key) => medians.get(key)!);
  console.log(`
To see which functions the time is in, take a V8 CPU profile of one suite and open it in a browser's developer tools
(Performance, "Load profile") or in an editor that shows .cpuprofile files:

  node --cpu-prof --cpu-prof-dir=profiles --expose-gc target/benchmark/suite_process.js calls

What the optimiser gave up on: add --trace-deopt. The Rust side: perf record -g with node --perf-basic-prof.
(sink ${sinkValue()})`);
}
