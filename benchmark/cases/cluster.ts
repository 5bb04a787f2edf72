/**
 * Two nodes in two processes on this machine, encrypted: what a call and a cast to an actor of the other node cost.
 *
 * Every call echoes its payload, and its answer is looked at. A round of casts ends when the other node has said that it
 * handled all of them, each once and in order. A round of events starts a producer on the other node and a consumer here,
 * and ends when the consumer has handled the last one. The Elixir side does the same between two BEAMs: once as they are usually
 * started, which is without encryption, and once over TLS.
 *
 * Figures are nanoseconds per operation; "CPU" is the processor time of both processes, all their threads included.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DistributedSystem } from "libeam";
import { Consumer, createSystem } from "libeam";
import { counts } from "../counts.js";
import { clusterScript, clusterTlsScript } from "../elixir.js";
import { type Case, quantile, sink } from "../harness.js";
import { compare, type Row, type Suite } from "../suite.js";
import type { Numbered, SinkRef } from "./cluster_node.js";

const cookie = "a cookie of the benchmark's own";
const windows = [4, 64, 512];
const payloads = [
  { label: "64 B", key: "64", text: "x".repeat(64) },
  { label: "1 KB", key: "1k", text: "x".repeat(1_024) },
];

/** `window` clients, each with one call under way at a time. */
async function echoes(ref: SinkRef, ops: number, window: number, payload: string): Promise<number> {
  const share = Math.floor(ops / window);
  let answered = 0;
  const client = async (): Promise<void> => {
    for (let i = 0; i < share; i++) if ((await ref.call("echo", payload)).length === payload.length) answered++;
  };
  await Promise.all(Array.from({ length: window }, client));
  return answered;
}

/** Operations that every client gets an equal share of. */
function evenly(ops: number, window: number): number {
  return Math.floor(ops / window) * window;
}

function calls(ref: SinkRef): Case[] {
  return payloads.flatMap(({ label, key, text }) => [
    {
      key: `remote_call_1_${key}`,
      name: `sequential call, ${label}`,
      opsPerRound: counts.remote_sequential,
      elixir: [`remote_call_1_${key}`],
      run: (ops: number) => echoes(ref, ops, 1, text),
    },
    ...windows.map((window) => ({
      key: `remote_call_${window}_${key}`,
      name: `${window} in flight, ${label}`,
      opsPerRound: evenly(counts.remote_calls, window),
      elixir: [`remote_call_${window}_${key}`],
      run: (ops: number) => echoes(ref, ops, window, text),
    })),
  ]);
}

function casts(ref: SinkRef): Case[] {
  return payloads.map(({ label, key, text }) => ({
    key: `remote_cast_${key}`,
    name: `cast, ${label}, all handled in order`,
    opsPerRound: counts.remote_casts,
    elixir: [`remote_cast_${key}`],
    run: async (ops: number) => {
      for (let i = 0; i < ops; i++) ref.cast("take", i, text);
      return ref.call("taken", { timeout: 60_000 });
    },
  }));
}

/** A producer of the other node, a consumer of this one. */
function stages(system: DistributedSystem, ref: SinkRef): Case[] {
  return payloads.map(({ label, key, text }) => ({
    key: `remote_stage_${key}`,
    name: `event, ${label}, producer there, consumer here`,
    opsPerRound: counts.remote_casts,
    run: async (ops: number) => {
      let next = 0;
      let ended = (): void => {};
      const end = new Promise<void>((resolve) => {
        ended = resolve;
      });
      const consumer = Consumer.start(system, {
        handleEvents: (events: Numbered[]) => {
          for (const { number } of events) if (number === next) next++;
        },
        handleCancel: ended,
      });
      await consumer.subscribe(await ref.call("produce", ops, text), { cancel: "temporary" });
      await end;
      await consumer.stop();
      return next;
    },
  }));
}

/** The time of the fastest `fraction` of the calls, each of which is timed. */
function latency(ref: SinkRef, window: number, fraction: number): Case {
  const text = payloads[0]!.text;
  return {
    key: `remote_latency_${window}_p${fraction * 100}`,
    name: `${window === 1 ? "sequential call" : `${window} in flight`}, 64 B, p${fraction * 100}`,
    opsPerRound: evenly(counts.remote_sequential, window),
    run: async (ops) => {
      const times: number[] = [];
      const client = async (): Promise<void> => {
        for (let i = 0; i < ops / window; i++) {
          const start = performance.now();
          sink((await ref.call("echo", text)).length);
          times.push((performance.now() - start) * 1e6);
        }
      };
      await Promise.all(Array.from({ length: window }, client));
      return { completed: times.length, elapsedNs: quantile(times, fraction) * ops };
    },
  };
}

/** The same against an Elixir side that encrypts, too. */
function overTls(cases: readonly Case[]): Case[] {
  return cases.map((one) => ({ ...one, key: `${one.key}_tls`, name: `${one.name}; Elixir over TLS` }));
}

function cpuNs(usage: NodeJS.CpuUsage): number {
  return (usage.user + usage.system) * 1_000;
}

/** Processor time of both processes. */
async function cpuOfBoth(ref: SinkRef): Promise<number> {
  return cpuNs(await ref.call("cpu")) + cpuNs(process.cpuUsage());
}

function processorTime(ref: SinkRef): Case[] {
  const timed = (key: string, name: string, of: Case): Case => ({
    key,
    name,
    opsPerRound: of.opsPerRound,
    run: async (ops) => {
      const before = await cpuOfBoth(ref);
      const completed = (await of.run(ops)) as number;
      return { completed, elapsedNs: (await cpuOfBoth(ref)) - before };
    },
  });
  return [
    timed("remote_cpu_call", "CPU per call, 64 in flight, 64 B", calls(ref)[2]!),
    timed("remote_cpu_cast", "CPU per cast, 64 B", casts(ref)[0]!),
  ];
}

function startNode(seed: string): ChildProcess {
  const file = fileURLToPath(new URL("cluster_node.js", import.meta.url));
  return fork(file, [seed, cookie], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
}

/** Waits for a name to arrive from the other node. */
async function named(system: DistributedSystem, name: string): Promise<SinkRef> {
  for (;;) {
    const ref = await system.getActorByName(name);
    if (ref !== null) return ref as SinkRef;
    await wait(10);
  }
}

async function run(context: Parameters<Suite["run"]>[0]): Promise<Row[]> {
  const system = await createSystem({
    type: "distributed",
    nodeId: "near",
    port: 0,
    bindAddress: "127.0.0.1",
    seedNodes: [],
    cookie,
  });
  const seed = system.cluster.getPeerState("near")?.gossipAddress as string;
  const child = startNode(seed);
  try {
    await once(child, "message");
    const ref = await named(system, "sink");
    const cases = [
      ...calls(ref),
      latency(ref, 1, 0.5),
      latency(ref, 1, 0.99),
      latency(ref, 64, 0.5),
      latency(ref, 64, 0.99),
      ...casts(ref),
      ...stages(system, ref),
      ...processorTime(ref),
    ];
    const rows = await compare("cluster", cases, context, clusterScript);
    const encrypted = overTls([...calls(ref), ...casts(ref)]);
    return context.elixir ? [...rows, ...(await compare("cluster", encrypted, context, clusterTlsScript))] : rows;
  } finally {
    const ended = once(child, "exit");
    child.disconnect();
    await ended;
    await system.shutdown();
  }
}

export const cluster: Suite = { name: "cluster", title: "Two nodes, encrypted", run };
