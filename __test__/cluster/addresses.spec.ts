/**
 * Addresses of nodes: which ones a node may give, and what it costs the others when one gives nonsense.
 */

import { networkInterfaces } from "node:os";
import {
  DistributedCluster,
  GossipProtocol,
  GossipUDP,
  InvalidOptionError,
  KeyringAuthenticator,
  type LogEntry,
  loggerConfig,
  PeerNotFoundError,
} from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Worker } from "../support/actors.js";
import { COOKIE, found, gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeTransport } from "../support/loopback_transports.js";
import { makeProbe } from "../support/probe.js";
import { rejection } from "../support/time.js";

let entries: LogEntry[] = [];
beforeEach(() => {
  entries = [];
  loggerConfig.configure({ level: "warn", handler: (entry) => entries.push(entry) });
});
afterEach(() => {
  loggerConfig.configure({ level: "none" });
  vi.unstubAllEnvs();
});

const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));
const NONE = ["localhost", "node-1.example.com", "", "127.0.0.1:5000", "[127.0.0.1]", "fe80::1%eth0", "999.1.1.1"];

describe("an advertised address", () => {
  it.each([...NONE, 7, null])("is refused if it is %j", async (advertiseAddress) => {
    const error = await rejection(startNode("a", [], { advertiseAddress: advertiseAddress as never }));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error.context).toMatchObject({ option: "advertiseAddress", expected: "an IP address" });
  });

  it("is the default one if LIBEAM_ADVERTISE_ADDRESS is empty, which counts as absent", async () => {
    vi.stubEnv("LIBEAM_ADVERTISE_ADDRESS", "");
    expect(gossipOf(await startNode("a"))).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it.each(NONE.filter((address) => address !== ""))("is refused if LIBEAM_ADVERTISE_ADDRESS is %j", async (address) => {
    vi.stubEnv("LIBEAM_ADVERTISE_ADDRESS", address);
    const error = await rejection(startNode("a"));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error.context).toMatchObject({ option: "LIBEAM_ADVERTISE_ADDRESS", expected: "an IP address" });
  });

  it.each(["0.0.0.0", "::", "[::0]"])(
    "is refused if it is %j, where everybody reaches only themselves",
    async (address) => {
      vi.stubEnv("LIBEAM_ADVERTISE_ADDRESS", address);
      for (const [option, more] of [
        ["advertiseAddress", { advertiseAddress: address }],
        ["LIBEAM_ADVERTISE_ADDRESS", {}],
      ] as const) {
        const error = await rejection(startNode("a", [], more));
        expect(error).toBeInstanceOf(InvalidOptionError);
        expect(error.context).toMatchObject({ option, expected: "an IP address that leads to this node" });
      }
    },
  );

  it("comes from the option first", async () => {
    vi.stubEnv("LIBEAM_ADVERTISE_ADDRESS", "localhost");
    const node = await startNode("a", [], { advertiseAddress: "127.0.0.1" });
    expect(node.cluster.getPeerState("a")?.address).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
  });

  it.runIf(HAS_IPV6).each(["::1", "[::1]"])("may be one of IPv6, as %s", async (address) => {
    const more = { bindAddress: address, advertiseAddress: address };
    const a = await startNode("a", [], more);
    expect(a.cluster.getPeerState("a")?.address).toMatch(/^tcp:\/\/\[::1\]:\d+$/);
    expect(gossipOf(a)).toMatch(/^\[::1\]:\d+$/);
    const b = await startNode("b", [gossipOf(a)], more);
    await b.waitForCluster({ nodes: ["a"] });
    const life = makeProbe<string>();
    b.spawn(Worker, { name: "worker", args: ["b", life.push] });
    expect(await (await found(a, "worker")).call("id")).toBeTypeOf("string");
  });
});

describe("a node that announces nonsense", () => {
  it.each(["tcp://localhost:5000", "tcp://:5000", "tcp://::1:5000", ""])("hurts no other: %j", async (address) => {
    const a = await startNode("a");
    const udp = new GossipUDP({ address: "127.0.0.1", port: 0 });
    const options = { preset: "fast" as const, seedNodes: [gossipOf(a)] };
    const auth = new KeyringAuthenticator(COOKIE);
    const bad = new DistributedCluster(new GossipProtocol("bad", address, "127.0.0.1:0", udp, options, auth));
    await bad.start();
    try {
      await a.waitForCluster({ nodes: ["bad"] });
      const toldOf = entries.filter(({ context }) => context.peer === "bad");
      const message = "A node cannot be reached: its address is none";
      expect(toldOf.map(({ level, message, context }) => [level, message, context.address])).toEqual([
        ["warn", message, address.replace("tcp://", "")],
      ]);
      expect(entries.filter(({ level }) => level === "error")).toEqual([]);
      const ref = a.system.getRef({ systemId: "bad", id: "actor" } as never);
      expect(await rejection(ref.call("anything"))).toBeInstanceOf(PeerNotFoundError);
      const c = await startNode("c", [gossipOf(a)]);
      await Promise.all([a.waitForCluster({ nodes: ["c"] }), c.waitForCluster({ nodes: ["a", "bad"] })]);
      c.spawn(Worker, { name: "worker", args: ["c", () => {}] });
      expect(await (await found(a, "worker")).call("id")).toBeTypeOf("string");
    } finally {
      await bad.stop();
    }
  });

  it("among others is passed over by a transport, before it listens and after", async () => {
    const [near, far] = [makeTransport("near"), makeTransport("far")];
    far.onRequest((message) => message);
    await far.connect();
    near.updatePeers([
      ["early", "tcp://localhost:1"],
      ["far", `tcp://${far.address}`],
    ]);
    await near.connect();
    far.updatePeers([
      ["late", "nowhere"],
      ["near", `tcp://${near.address}`],
    ]);
    expect(await near.request("far", "hello", 10_000)).toBe("hello");
    expect(await rejection(near.request("early", 1, 10_000))).toBeInstanceOf(PeerNotFoundError);
    expect(await rejection(far.send("late", 1))).toBeInstanceOf(PeerNotFoundError);
    expect(entries.map(({ context }) => context.peer)).toEqual(["early", "late"]);
  });

  it("is refused what waited for its address", async () => {
    const [near, far] = [makeTransport("near"), makeTransport("far")];
    await Promise.all([near.connect(), far.connect()]);
    const heard = makeProbe<unknown>();
    near.onMessage(heard.push);
    far.updatePeers([["near", `tcp://${near.address}`]]);
    await far.send("near", "hello");
    await heard.next();
    const waiting = rejection(near.request("far", 1, Number.POSITIVE_INFINITY));
    near.updatePeers([["far", "tcp://far:1"]]);
    expect(await waiting).toBeInstanceOf(PeerNotFoundError);
  });
});
