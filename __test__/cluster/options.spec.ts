/**
 * Settings of a node: what cannot be used is refused by name, before anything is heard of the node.
 */

import {
  type DistributedConfig,
  GossipProtocol,
  GossipUDP,
  InvalidArgumentError,
  InvalidCookieError,
  InvalidOptionError,
  type LogEntry,
  loggerConfig,
} from "libeam";
import { beforeEach, expect, it } from "vitest";
import { startNode } from "../support/loopback_nodes.js";
import { rejection, thrown } from "../support/time.js";

beforeEach(() => loggerConfig.configure({ level: "none" }));

it.each([
  ["roles", { roles: "worker" }],
  ["roles", { roles: [1] }],
  ["roles", { roles: 5 }],
  ["roles", { roles: null }],
  ["ports", { ports: null }],
  ["ports", { ports: 5000 }],
  ["ports.rpc", { ports: { rpc: "0", gossip: 0 } }],
  ["ports.gossip", { ports: { rpc: 0 } }],
  ["port", { port: "0" }],
  ["port", { port: -1 }],
  ["port", { port: 70_000 }],
  ["bindAddress", { bindAddress: "localhost" }],
  ["bindAddress", { bindAddress: null }],
  ["salt", { salt: 5 }],
  ["gossip", { gossip: 5 }],
  ["gossip", { gossip: null }],
  ["preset", { gossip: "slow" }],
  ["seedNodes", { seedNodes: "127.0.0.1:5002" }],
  ["seedNodes", { seedNodes: undefined }],
  ["gossip", { gossip: null }],
  ["gossip", { gossip: 5 }],
  ["gossip", { gossip: [] }],
])("%s cannot be as in %j", async (option, more) => {
  const error = await rejection(startNode("a", [], more as unknown as Partial<DistributedConfig>));
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect(error.context.option).toBe(option);
});

it.each([12_345_678_901_234_568, null, {}, "short", ""])("the cookie cannot be %j", async (cookie) => {
  expect(await rejection(startNode("a", [], { cookie: cookie as never }))).toBeInstanceOf(InvalidCookieError);
});

it.each([
  "",
  "garbage",
  "tcp://127.0.0.1:5002",
  "127.0.0.1",
  "127.0.0.1:",
  "127.0.0.1:0",
  "127.0.0.1:70000",
  "127.0.0.1:5002/",
  "node one:5002",
  ":5002",
  "dns::5002",
  "[::1]",
  "[node]:5002",
  5002,
])("a seed cannot be %j", async (seed) => {
  const error = await rejection(startNode("a", [seed as never]));
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect(error.context.option).toBe("seedNodes");
});

it("a node's id is at most 255 bytes long, which is what the packets of nodes have room for", async () => {
  const nodeId = "é".repeat(128);
  expect(await rejection(startNode(nodeId))).toBeInstanceOf(InvalidArgumentError);
  expect(thrown(() => new GossipProtocol(nodeId, "", "127.0.0.1:0", new GossipUDP(0)))).toBeInstanceOf(
    InvalidArgumentError,
  );
  await startNode("é".repeat(127));
});

it("a fact that nobody has published is none, whatever its name", async () => {
  const node = await startNode("a");
  for (const key of ["toString", "constructor", "__proto__"]) {
    expect(node.cluster.getMetadata("a", key)).toBeUndefined();
    node.cluster.setMetadata(key, "published");
    expect(node.cluster.getMetadata("a", key)).toBe("published");
  }
});

it("a weak cookie is warned about once", async () => {
  const entries: LogEntry[] = [];
  loggerConfig.configure({ level: "warn", handler: (entry) => entries.push(entry) });
  await startNode("a", [], { cookie: "a weak one, no doubt" });
  expect(entries.map(({ context }) => context.component)).toEqual(["cookie"]);
});

it("seeds may be names and addresses of both kinds", () => {
  const seedNodes = [
    "127.0.0.1:5002",
    "[::1]:5002",
    "::1:5002",
    "localhost:1",
    "dns:node_1.example.com:65535",
    "ä.example:5002",
  ];
  expect(() => new GossipProtocol("a", "", "127.0.0.1:0", new GossipUDP(0), { seedNodes })).not.toThrow();
});

it("a shutdown whose options are refused has not begun", async () => {
  const node = await startNode("a");
  expect(await rejection(node.shutdown({ timeout: -1 }))).toBeInstanceOf(InvalidOptionError);
  expect(node.system.isRunning()).toBe(true);
  await node.waitForCluster({ minMembers: 1 });
  await node.shutdown();
  expect(node.system.isRunning()).toBe(false);
});
