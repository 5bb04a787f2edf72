/**
 * Listeners of a node's cluster are user code: what they throw costs nobody else a word of the news.
 */

import { createActor } from "libeam";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { DistributedRegistry, RegistrySync } from "../../lib/cluster/names.js";
import { InMemoryTransport, InvalidArgumentError, type LogEntry, loggerConfig } from "../../lib/index.js";
import type { NameConflict } from "../../lib/kernel/collaborators.js";
import { HeartbeatManager } from "../../lib/stdlib/heartbeat.js";
import { HandmadeCluster } from "../support/handmade_nodes.js";
import { found, gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeTransport } from "../support/loopback_transports.js";
import { makeProbe } from "../support/probe.js";
import { rejection, thrown, turns } from "../support/time.js";

/** Less than a test may take: what is lost is said at once. */
const JOIN_MS = 10_000;

let entries: LogEntry[] = [];
beforeEach(() => {
  entries = [];
  loggerConfig.configure({ level: "error", handler: (entry) => entries.push(entry) });
});
afterEach(() => loggerConfig.configure({ level: "none" }));

const failures = (): string[] => entries.map(({ message, error }) => `${message}: ${error?.message}`);
const fail = (): never => {
  throw new RangeError("a user's listener");
};

it("a listener that throws costs a node no member, no name and no other listener's news", async () => {
  const a = await startNode("a");
  const told = makeProbe<string>();
  for (const event of ["member_join", "member_leave", "member_update", "node_failed"]) {
    a.cluster.on(event, fail);
    a.cluster.on(event, (about: string | { id: string }) =>
      told.push(`${event} ${typeof about === "string" ? about : about.id}`),
    );
  }
  const seeds = [gossipOf(a)];
  const others = await Promise.all(["b", "c"].map((id) => startNode(id, seeds)));
  await a.waitForCluster({ nodes: ["b", "c"], timeout: JOIN_MS });
  const Where = createActor((_ctx, self, node: string) => self.onCall("where", () => node));
  for (const system of others) system.spawn(Where, { name: `at-${system.nodeId}`, args: [system.nodeId] });
  for (const id of ["b", "c"]) expect(await (await found(a, `at-${id}`)).call("where")).toBe(id);
  others[0]?.cluster.setMetadata("zone", "north");
  await told.find((news) => news === "member_update b");
  await others[1]?.shutdown();
  await told.find((news) => news === "member_leave c");
  expect(a.cluster.getMembers().sort()).toEqual(["a", "b"]);
  expect(failures()).toContain('A listener of "member_join" failed: a user\'s listener');
  expect(failures()).toContain('A listener of "member_leave" failed: a user\'s listener');
});

it("a subscriber that throws costs the other subscribers of its topic nothing", async () => {
  const [near, far] = [makeTransport("near"), makeTransport("far")];
  await Promise.all([near.connect(), far.connect()]);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  const told = makeProbe<string>();
  await far.subscribe("news", fail);
  await far.subscribe("news", async () => fail());
  await far.subscribe("news", told.push);
  await near.publish("news", "first");
  await near.publish("news", "second");
  expect(await told.take(2)).toEqual(["first", "second"]);
  await turns();
  expect(failures()).toEqual(Array(4).fill("A message of another node could not be handled: a user's listener"));
});

it("a listener of conflicts that throws costs the others nothing, and the name has its owner", async () => {
  const cluster = new HandmadeCluster("b", ["a", "b"], {});
  const transport = new InMemoryTransport("b");
  const sync = new RegistrySync("b", transport, cluster);
  const registry = new DistributedRegistry("b", sync);
  const conflicts: NameConflict[] = [];
  sync.on("conflict", fail);
  sync.on("conflict", (conflict) => conflicts.push(conflict));
  const other = new InMemoryTransport("a");
  other.setPeer("b", transport);
  await registry.connect();
  await registry.register("name", "b", "actor-b");
  const change = { kind: "change", owner: "a", life: 1, version: 1, key: "name", entry: { actorId: "x", since: 1 } };
  await other.publish("libeam.names", change);
  await turns();
  expect(conflicts).toEqual([{ name: "name", actorId: "actor-b", winner: "a" }]);
  expect(await registry.lookup("name")).toEqual({ nodeId: "a", actorId: "x" });
  expect(failures()).toEqual(['A listener of "conflict" failed: a user\'s listener']);
  await registry.disconnect();
});

it("a listener of failed nodes that throws costs the others nothing", async () => {
  vi.useFakeTimers();
  const cluster = new HandmadeCluster("a", ["a", "b"], {});
  const config = { staggerPings: false, intervalMs: 10, maxMissedHeartbeats: 1 };
  const heartbeats = new HeartbeatManager("a", new InMemoryTransport("a"), cluster, config);
  const failed: string[] = [];
  heartbeats.on("node_failed", fail);
  heartbeats.on("node_failed", (id) => failed.push(id));
  await heartbeats.start();
  try {
    await vi.advanceTimersByTimeAsync(20);
    expect(failed).toEqual(["b"]);
    expect(failures()).toEqual(['A listener of "node_failed" failed: a user\'s listener']);
  } finally {
    await heartbeats.stop();
    vi.useRealTimers();
  }
});

it.each([
  ["a ZeroMQTransport", makeTransport],
  ["an InMemoryTransport", (nodeId: string) => new InMemoryTransport(nodeId)],
])("%s refuses handlers that are no functions", async (_what, make) => {
  const transport = make("a");
  for (const handler of [undefined, null, 5, {}, "handler"] as any[]) {
    expect(thrown(() => transport.onRequest(handler))).toBeInstanceOf(InvalidArgumentError);
    expect(thrown(() => transport.onMessage(handler))).toBeInstanceOf(InvalidArgumentError);
    expect(await rejection(transport.subscribe("news", handler))).toBeInstanceOf(InvalidArgumentError);
  }
});
