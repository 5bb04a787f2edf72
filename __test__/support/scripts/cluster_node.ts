/**
 * A node for specs of endurance: a whole system with a worker, a slow actor and a witness. It tells its parent what
 * membership tells, does what it is asked and answers. It ends with its parent.
 */

import { readdirSync } from "node:fs";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import {
  type ActorRef,
  createActor,
  createSystem,
  type DownMessage,
  type ExitMessage,
  loggerConfig,
  TelemetryEvents,
  telemetry,
} from "../../../lib/index.ts";
import type { CallEnd, CallOrder, ClusterNodeConfig, ClusterNodeReport, NodeFacts } from "../nodes.ts";

/** What the slow actor does for each cast takes so long at least. */
const SLOW_MS = 1;
const SLOW_MAILBOX_MAX = 1_000;

loggerConfig.configure({ level: "none" });
process.on("message", obey);
process.on("disconnect", () => void system.shutdown({ timeout: 500 }));
const resources = () => process.getActiveResourcesInfo().sort();
const resourcesBefore = resources();
const {
  nodeId,
  seedNodes,
  gossip = "fast",
  roles = [nodeId],
}: ClusterNodeConfig = JSON.parse(process.argv[2] as string);
const system = await createSystem({
  type: "distributed",
  nodeId,
  port: 0,
  bindAddress: "127.0.0.1",
  cookie: "a cookie for the specs of endurance",
  gossip,
  seedNodes,
  roles,
});

const tell = (report: ClusterNodeReport) => process.send?.(report);
system.cluster.on("member_join", (about: string) => tell({ event: "join", about }));
system.cluster.on("member_leave", (about: string) => tell({ event: "leave", about }));

const deadLetters: Record<string, number> = {};
telemetry.attach("dead letters", [TelemetryEvents.actor.deadLetter], (_event, _measurements, { reason }) => {
  deadLetters[reason] = (deadLetters[reason] ?? 0) + 1;
});

// Actors.

/** Casts of a flood that have come: how many, and whether each was behind the one before it. */
class Arrivals {
  casts = 0;
  inOrder = true;
  #last = -1; // Not for the parent.

  note(n: number): void {
    this.inOrder &&= n > this.#last;
    this.#last = n;
    this.casts++;
  }
}

const worker = new Arrivals();
const slow = new Arrivals();

const Worker = createActor("Worker", (_ctx, self) =>
  self
    .onCall("where", () => nodeId)
    .onCall("echo", (value: unknown) => value)
    .onCall("casts", () => worker.casts)
    .onCall("stuck", () => new Promise<void>(() => {}))
    .onCast("flood", (n: number, _bytes: Uint8Array) => worker.note(n)),
);
const Slow = createActor("Slow", (_ctx, self) =>
  self.onCast("flood", async (n: number, _bytes: Uint8Array) => {
    slow.note(n);
    await pause(SLOW_MS);
  }),
);
system.register(Worker);
system.spawn(Worker, { name: `worker@${nodeId}` });
system.spawn(Slow, { name: `slow@${nodeId}`, mailbox: { maxSize: SLOW_MAILBOX_MAX } });

const heard: string[] = [];
const Witness = createActor("Witness", (ctx, self, target: ActorRef) => {
  ctx.setTrapExit(true);
  ctx.watch(target);
  ctx.link(target);
  let expected = 2;
  const hear = (kind: string, { reason }: DownMessage | ExitMessage) => {
    const what = `${kind} ${target.id.name} ${reason.type}`;
    heard.push(what);
    tell({ event: "heard", about: what });
    if (--expected === 0) ctx.exit();
  };
  return self.onInfo("down", (message) => hear("down", message)).onInfo("exit", (message) => hear("exit", message));
});

/** The other side of a round. */
const Victim = createActor("Victim", (_ctx, self) =>
  self
    .onCall("ping", () => "pong")
    .onCast("crash", () => {
      throw new Error("told to crash");
    }),
);
system.register(Victim);

/** Has an actor on another node die in one of three ways; tells when it has heard so. */
const Killer = createActor("Killer", (ctx, self, role: string, over: () => void) => {
  let expected = 0;
  ctx.setTrapExit(true);
  const hear = () => {
    if (--expected === 0) over();
  };
  return self
    .onCall("kill", async (n: number) => {
      const options = n % 2 === 0 ? {} : { name: `victim-${n}` };
      const victim = system.spawn(Victim, { role, strategy: "round-robin", ...options });
      ctx.watch(victim);
      ctx.link(victim);
      await victim.call("ping");
      expected = 2;
      if (n % 3 === 0) ctx.exit(victim, "kill");
      // A signal with a reason leads to a restart, which breaks the link and keeps the watch.
      else if (n % 3 === 1) ctx.exit(victim, { code: "ROUND" });
      if (n % 3 !== 0) void system.stop(victim);
    })
    .onInfo("down", hear)
    .onInfo("exit", hear);
});

// What the parent asks for.

/** Sizes of the maps and sets of an object. */
function sizesOf(name: string, object: object): Record<string, number> {
  const sizes = Object.entries(object)
    .filter(([, value]) => value instanceof Map || value instanceof Set)
    .map(([field, { size }]) => [`${name}.${field}`, size]);
  return Object.fromEntries(sizes);
}

async function found(name: string): Promise<any> {
  for (;;) {
    const ref = await system.getActorByName(name);
    if (ref !== null) return ref;
    await pause(10);
  }
}

async function makeCall({
  name,
  method,
  args = [],
  timeoutMs = Number.POSITIVE_INFINITY,
}: CallOrder): Promise<CallEnd> {
  try {
    const ref = await found(name);
    return { value: await ref.call(method, ...args, { timeout: timeoutMs }) };
  } catch (error) {
    return { code: (error as { code: string }).code };
  }
}

async function facts(): Promise<NodeFacts> {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const internals = system as unknown as { system: { remote: object; _counters(): Record<string, number> } };
  return {
    members: system.cluster.getMembers().sort(),
    heard,
    deadLetters,
    worker,
    slow,
    counters: internals.system._counters(),
    remote: { ...sizesOf("remote", internals.system.remote), ...sizesOf("transport", system.transport) },
    names: (await system.registry.getNodeActors?.(nodeId))?.sort() ?? [],
    descriptors: process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0,
    resources: resources(),
    heapBytes: heapUsed,
    rssBytes: rss,
    rssPeakBytes: process.resourceUsage().maxRSS * 1_024,
  };
}

let loading = false;

async function load(name: string): Promise<void> {
  const ref = await found(name);
  loading = true;
  const bytes = new Uint8Array(1_024);
  for (let n = 0; loading; n++) {
    for (let i = 0; i < 50; i++) ref.cast("flood", n, bytes);
    void ref.call("where");
    await turn();
  }
}

const verbs: Record<string, (...args: any[]) => unknown> = {
  facts,
  load: (name: string) => void load(name),
  call: makeCall,
  formed: (nodes: string[], timeout: number) => system.waitForCluster({ nodes, timeout }),
  lookup: async (name: string) => (await system.getActorByName(name))?.id.systemId ?? null,
  stopActor: async (name: string) => system.stop(await found(name)),
  async block(ms: number) {
    await new Promise<void>((resolve) => process.send?.({ event: "blocking", about: nodeId }, () => resolve()));
    const end = performance.now() + ms;
    while (performance.now() < end); // The event loop stands still.
  },
  async witness(name: string) {
    const target = await found(name);
    system.spawn(Witness, { args: [target] });
    await target.call("where"); // Comes behind the watch and the link.
  },
  async flood(name: string, casts: number, length: number) {
    const target = await found(name);
    const bytes = new Uint8Array(length);
    for (let n = 0; n < casts; n++) target.cast("flood", n, bytes);
  },
  async rounds(role: string, count: number) {
    let over = () => {};
    const killer = system.spawn(Killer, { args: [role, () => over()] });
    for (let n = 0; n < count; n++) {
      const ended = new Promise<void>((resolve) => {
        over = resolve;
      });
      await killer.call("kill", n);
      await ended;
    }
    await system.stop(killer);
  },
  async shutdown(timeout: number) {
    const start = performance.now();
    await system.shutdown({ timeout });
    loading = false;
    await turn();
    const left = resources();
    for (const resource of resourcesBefore) if (left.includes(resource)) left.splice(left.indexOf(resource), 1);
    return { ms: performance.now() - start, left };
  },
};

async function obey({ order, verb, args }: { order: number; verb: string; args: unknown[] }): Promise<void> {
  let reply: object;
  try {
    reply = { order, answer: await verbs[verb]?.(...args) };
  } catch (error) {
    reply = { order, error: String((error as Error).stack) };
  }
  process.send?.(reply, () => {
    if (verb === "shutdown") process.disconnect();
  });
}

if (!process.connected) process.exit();
tell({ event: "ready", about: system.cluster.getPeerState(nodeId)?.gossipAddress as string });
