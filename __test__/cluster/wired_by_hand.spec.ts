/**
 * Nodes whose parts a program puts together by itself.
 */

import { EventEmitter } from "node:events";
import {
  ActorSystem,
  CookieAuthenticator,
  DistributedCluster,
  DistributedRegistry,
  GOSSIP_PROTOCOL_VERSION,
  type GossipConfig,
  GossipProtocol,
  GossipUDP,
  type GossipUDPConfig,
  InMemoryTransport,
  InvalidArgumentError,
  LocalCluster,
  LocalRegistry,
  type LogEntry,
  loggerConfig,
  type PeerState,
  ProcessGroupManager,
  RegistrySync,
  TelemetryEvents,
  telemetry,
} from "libeam";
import { allocatePorts } from "libeam/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeProbe } from "../support/probe.js";
import { runScript } from "../support/run_script.js";
import { gate, rejection, thrown } from "../support/time.js";

const gossips: GossipProtocol[] = [];

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(async () => {
  await Promise.all(gossips.splice(0).map((gossip) => gossip.stop()));
});

afterEach(() => telemetry.reset());

const LOOPBACK = { address: "127.0.0.1", port: 0 } as const;

function makeGossip(nodeId = "a", seedNodes: string[] = [], port = 0): GossipProtocol {
  const udp = new GossipUDP({ address: "127.0.0.1", port });
  const options = { preset: "fast" as const, seedNodes };
  const gossip = new GossipProtocol(nodeId, `tcp://${nodeId}:1`, `127.0.0.1:${port}`, udp, options);
  gossips.push(gossip);
  return gossip;
}

describe("nodes that are wired by hand", () => {
  it("know each other's names without being told to, have one owner for each, send refs, and end with three steps", async () => {
    const { code, lines, errors } = await runScript("wired_by_hand");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(lines).toEqual([[1, 2], [0, 0], 1, ["two"], [true, ["one"]]]);
  });

  it("have left when each of several goodbyes is over", async () => {
    const gossip = makeGossip();
    const cluster = new DistributedCluster(gossip);
    await cluster.start();
    const first = cluster.leave();
    await cluster.leave();
    expect(gossip.address).toBeUndefined();
    await first;
    await cluster.leave();
    await cluster.stop();
    expect(cluster.isLeaving()).toBe(true);
  });

  it("may give the authenticator to the sockets, which seals what the protocol says", async () => {
    const entries: LogEntry[] = [];
    loggerConfig.configure({ level: "warn", handler: (entry) => entries.push(entry) });
    const sockets: GossipUDPConfig = { ...LOOPBACK, auth: new CookieAuthenticator("a cookie for the sockets") };
    const options: GossipConfig = { preset: "fast" };
    const one = new GossipProtocol("one", "", "127.0.0.1:0", new GossipUDP(sockets), options);
    expect(entries.map(({ message }) => message).filter((text) => text.includes("without authentication"))).toEqual([]);
    const refused = gate();
    telemetry.attach("refused", [TelemetryEvents.cluster.reject], (_event, _numbers, { node_id }) => {
      if (node_id === "one") refused.open();
    });
    await one.start();
    const seeded = { ...options, seedNodes: [one.address as string] };
    const two = new GossipProtocol("two", "", "127.0.0.1:0", new GossipUDP(sockets), seeded);
    const stranger = new GossipProtocol("stranger", "", "127.0.0.1:0", new GossipUDP(LOOPBACK), seeded);
    try {
      const joined = new Promise<string>((resolve) => one.on("member_join", ({ id }) => resolve(id)));
      await Promise.all([two.start(), stranger.start()]);
      expect(await joined).toBe("two");
      await refused.promise;
      expect(one.getLivePeers().map(({ id }) => id)).not.toContain("stranger");
    } finally {
      await Promise.all([one, two, stranger].map((each) => each.stop()));
    }
  });

  it("refuse sockets with an authenticator that has no keys of a cluster", () => {
    for (const auth of [null, 5, {}, { signGossip() {}, verifyGossip() {} }] as never[]) {
      expect(thrown(() => new GossipUDP({ ...LOOPBACK, auth }))).toBeInstanceOf(InvalidArgumentError);
    }
  });

  it("may say how often a goodbye is to be said, which it is until it is spread", async () => {
    const cluster = new DistributedCluster(makeGossip());
    await cluster.start();
    await cluster.leave(3, 100);
    expect(cluster.isLeaving()).toBe(true);
    const gossip = makeGossip();
    await gossip.start();
    await gossip.leave(3, 100);
    expect(gossip.address).toBeUndefined();
  });

  it("know the version of gossip messages", () => {
    expect(GOSSIP_PROTOCOL_VERSION).toBe(1);
  });

  it.each([undefined, null, 5, "cluster"])("say which of their parts is missing: %j", (none: any) => {
    const [transport, cluster] = [new InMemoryTransport("a"), new LocalCluster("a")];
    const sync = new RegistrySync("a", transport, cluster);
    const missing: Record<string, () => unknown> = {
      transport: () => new RegistrySync("a", none, cluster),
      cluster: () => new RegistrySync("a", transport, none),
      "registry sync": () => new DistributedRegistry("a", none),
      "transport of groups": () => new ProcessGroupManager("a", none, cluster),
      "cluster of groups": () => new ProcessGroupManager("a", transport, none),
    };
    for (const [what, make] of Object.entries(missing)) {
      const error = thrown(make);
      expect(error, what).toBeInstanceOf(InvalidArgumentError);
      expect(what).toContain(error.context.what);
    }
    for (const make of [RegistrySync, ProcessGroupManager]) {
      expect(thrown(() => new make(5 as any, transport, cluster))).toBeInstanceOf(InvalidArgumentError);
    }
    expect(thrown(() => new DistributedRegistry("", sync))).toBeInstanceOf(InvalidArgumentError);
  });

  it("forget those that have left, when what those have said is taken", async () => {
    const cluster = Object.assign(new EventEmitter(), { nodeId: "a", getMembers: () => ["a"] });
    const transport = Object.assign(new InMemoryTransport("a"), { removePeer: vi.fn<(node: string) => void>() });
    const system = new ActorSystem(cluster, transport, new LocalRegistry());
    cluster.emit("member_leave", "b");
    expect(transport.removePeer.mock.calls).toEqual([["b"]]);
    await system.shutdown();
  });

  it("start once, however often they are told to", async () => {
    const [{ gossip: port }] = await allocatePorts(1);
    const gossip = makeGossip("a", [], port);
    await Promise.all([gossip.start(), gossip.start()]);
    await gossip.start();
    await gossip.stop();
    await makeGossip("b", [], port).start(); // Nobody else listens there.
  });

  it("may try again when they could not start", async () => {
    const first = makeGossip();
    await first.start();
    const second = makeGossip("b", [], Number(first.address?.split(":")[1]));
    expect(await rejection(second.start())).toMatchObject({ code: "GOSSIP_START" });
    await first.stop();
    await second.start();
    expect(second.address).toBeDefined();
  });

  it("say in the same words that their name means nothing", async () => {
    const udp = new GossipUDP({ address: "127.0.0.1", port: 0 });
    const gossip = new GossipProtocol("a", "tcp://a:1", "no host:0", udp);
    const error = await rejection(gossip.start());
    expect(error).toMatchObject({ code: "GOSSIP_START", cause: { syscall: "getaddrinfo" } });
  });

  it.each(["stop", "leave"] as const)("do not start after all if they are told to %s meanwhile", async (end) => {
    const gossip = makeGossip();
    const starting = gossip.start();
    await gossip[end]();
    await starting;
    expect(gossip.address).toBeUndefined();
  });

  it.each(["stop", "leave"] as const)("begin another life when they start again after %s", async (end) => {
    const a = makeGossip("a");
    const joined = makeProbe<PeerState>();
    a.on("member_join", joined.push);
    await a.start();
    const b = makeGossip("b", [a.address as string]);
    await b.start();
    const first = await joined.next();
    await b[end]();
    await b.start();
    expect(b.isLeaving()).toBe(false);
    const second = await joined.next();
    expect([first.id, second.id]).toEqual(["b", "b"]);
    expect(second.generation).toBeGreaterThan(first.generation);
  });

  it("need not wait for a goodbye that is cut short", async () => {
    const gossip = makeGossip();
    await gossip.start();
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    try {
      const leaving = gossip.leave();
      await gossip.stop();
      await leaving;
      expect(gossip.address).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  }, 10_000);
});
