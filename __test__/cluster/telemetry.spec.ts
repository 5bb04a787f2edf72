/**
 * What the nodes of a cluster tell operators: telemetry of membership and connections, and health.
 */

import {
  Actor,
  type ActorRef,
  type DistributedConfig,
  type DistributedSystem,
  type LogEntry,
  loggerConfig,
  NullAuthenticator,
  TelemetryEvents,
  TransportError,
  telemetry,
} from "libeam";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeProbe, type Probe } from "../support/probe.js";
import { rejection } from "../support/time.js";

interface Told {
  name: string;
  numbers: Record<string, number>;
  facts: Record<string, any>;
}

let told: Probe<Told>;

beforeEach(() => {
  loggerConfig.configure({ level: "none" });
  told = makeProbe();
  const names = [TelemetryEvents.cluster, TelemetryEvents.transport].flatMap((group) => Object.values(group));
  telemetry.attach("spec", names, (name, numbers, facts) => {
    told.push({ name: name.slice(1).join("."), numbers, facts });
  });
});

afterEach(() => telemetry.reset());

const start = (nodeId: string, seed?: DistributedSystem, more?: Partial<DistributedConfig>) =>
  startNode(nodeId, seed === undefined ? [] : [gossipOf(seed)], more);

/** The first event of a name that one node tells of another. */
const heard = (name: string, node: string, peer: string) =>
  told.find(({ name: its, facts }) => its === name && facts.node_id === node && facts.peer_id === peer);

class Echo extends Actor {
  override handleCall(message: any) {
    return message;
  }
}

it("members that come, change and say goodbye, and their connections", async () => {
  const a = await start("a");
  expect(a.cluster.getHealth()).toEqual({
    name: "Cluster",
    status: "healthy",
    message: "Single node cluster",
    details: { peerCount: 1, peers: ["a"], suspects: [], loops: {}, rejectedPackets: 0 },
  });
  const b = await start("b", a, { roles: ["worker"] });
  const join = await heard("cluster.join", "a", "b");
  const { address } = b.cluster.getPeerState("b") ?? {};
  expect([join.numbers, join.facts]).toEqual([
    { members: 2 },
    { node_id: "a", peer_id: "b", address, roles: ["worker"] },
  ]);
  await Promise.all([heard("transport.connect", "a", "b"), heard("transport.connect", "b", "a")]);
  expect(a.transport.getHealth()).toEqual({
    name: "Transport",
    status: "healthy",
    message: "Connected to 1 peer(s)",
    details: { address: a.transport.address, encrypted: true, connected: ["b"], disconnected: [] },
  });
  expect(a.cluster.getHealth()).toMatchObject({ status: "healthy", message: "Connected to 1 peer(s)" });
  b.cluster.setMetadata("zone", "north");
  expect((await heard("cluster.update", "a", "b")).facts).toMatchObject({
    roles: ["worker"],
    metadata: { zone: "north" },
    loop: "ok",
  });
  await b.shutdown();
  expect((await heard("cluster.leave", "a", "b")).facts).toEqual({ node_id: "a", peer_id: "b", reason: "left" });
  await heard("transport.disconnect", "a", "b");
  expect(a.transport.getHealth()).toMatchObject({ status: "healthy", details: { connected: [], disconnected: [] } });
  expect(b.transport.getHealth()).toMatchObject({ status: "unhealthy", message: "Transport is not listening" });
  expect(b.cluster.getHealth()).toMatchObject({ status: "degraded", message: "Leaving the cluster" });
});

it("strangers: packets and connections that are not let in", async () => {
  const a = await start("a");
  const stranger = await start("stranger", a, { cookie: "quite another cookie, same length" });
  const { numbers, facts } = await told.find(({ name, facts }) => name === "cluster.reject" && facts.node_id === "a");
  expect(numbers.packets).toBeGreaterThan(0);
  expect(facts).toEqual({ node_id: "a" });
  expect(a.cluster.getHealth().details?.rejectedPackets).toBeGreaterThan(0);
  stranger.transport.updatePeers([["a", `tcp://${a.transport.address}`]]);
  const refused = await told.find(({ name, facts }) => name === "transport.refuse" && facts.node_id === "a");
  expect(refused.facts).toEqual({ node_id: "a", peer_id: expect.any(String), reason: expect.any(String) });
  expect(stranger.transport.getHealth()).toMatchObject({ status: "degraded", details: { disconnected: ["a"] } });
});

it.each([
  ["another cookie", { cookie: "quite another cookie, same length" }],
  ["another salt", { salt: "quite another salt" }],
  ["no cookie", { cookie: undefined, auth: new NullAuthenticator() }],
])("a node with %s, in the logs of both sides, once", async (_what, more) => {
  const entries = makeProbe<LogEntry>();
  loggerConfig.configure({ level: "warn", handler: entries.push });
  const a = await start("a");
  const other = await start("other", a, more as Partial<DistributedConfig>);
  const logged = (node: string) => entries.find(({ context }) => context.nodeId === node && "peer" in context);
  expect(await logged("a")).toMatchObject({
    message: expect.stringMatching(/^Gossip of another node is not let in: it has another cookie or salt/),
    context: { component: "GossipProtocol", peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) },
  });
  expect(await logged("other")).toMatchObject({
    message: expect.stringMatching(
      /^A node does not answer when this one wants to join: perhaps it has another cookie/,
    ),
    context: { component: "GossipProtocol", peer: gossipOf(a) },
  });
  const rejected = a.cluster.rejectedPackets;
  await vi.waitFor(() => expect(a.cluster.rejectedPackets).toBeGreaterThan(rejected + 2), 10_000);
  expect(entries.events.filter(({ context }) => "peer" in context)).toHaveLength(2);
  expect(other.cluster.getMembers()).toEqual(["other"]);
});

it("messages that are not sent", async () => {
  const a = await start("a");
  const b = await start("b", a);
  b.spawn(Echo, { name: "echo" });
  let echo: ActorRef | null = null;
  await vi.waitFor(async () => {
    echo = await a.getActorByName("echo");
    expect(echo).not.toBeNull();
  }, 5_000);
  const big = Buffer.alloc(17 * 1024 * 1024);
  expect(await rejection((echo as unknown as ActorRef).call(big))).toBeInstanceOf(TransportError);
  const { numbers, facts } = await heard("transport.drop", "a", "b");
  expect(numbers.bytes).toBeGreaterThan(big.length);
  expect(facts).toEqual({ node_id: "a", peer_id: "b", reason: "too_big" });
});

it("a second process with the id of this one", async () => {
  const a = await start("a");
  await start("twin", a);
  await heard("cluster.join", "a", "twin");
  const { now } = Date;
  Date.now = () => now() + 1_000; // The life of the second one is later.
  await start("twin", a);
  Date.now = now;
  await told.find(({ name, facts }) => name === "cluster.superseded" && facts.node_id === "twin");
});
