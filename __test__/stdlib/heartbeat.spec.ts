/**
 * HeartbeatManager over a cluster and a transport of the program's own, in virtual time; and with a cluster that finds out
 * by itself.
 */

import { EventEmitter } from "node:events";
import {
  ActorSystem,
  type Cluster,
  DEFAULT_HEARTBEAT_CONFIG,
  HeartbeatManager,
  type HeartbeatPing,
  InMemoryTransport,
  InvalidArgumentError,
  InvalidOptionError,
  LocalRegistry,
} from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { thrown } from "../support/time.js";

const CONFIG = { intervalMs: 1_000, staggerPings: false };

/** Members that come and go as the spec says. */
class Members extends EventEmitter implements Cluster {
  readonly nodeId = "n1";
  detectsFailures = false;
  suspects: string[] = [];

  constructor(private readonly members: string[]) {
    super();
  }

  getMembers(): string[] {
    return this.members;
  }

  getSuspects(): string[] {
    return this.suspects;
  }
}

/** Counts questions; who is silent does not answer. */
class Asked extends InMemoryTransport {
  readonly sent: { to: string; ping: HeartbeatPing; timeoutMs: number; at: number }[] = [];
  readonly silent = new Set<string>();

  override async request(to: string, message: any, timeoutMs: number): Promise<any> {
    this.sent.push({ to, ping: { ...message }, timeoutMs, at: Date.now() });
    if (this.silent.has(to)) return new Promise(() => {});
    if (to === "refuses") throw new Error("not connected");
    return Object.assign(message, { type: "heartbeat:pong", responderId: to });
  }

  to(node: string): number {
    return this.sent.filter(({ to }) => to === node).length;
  }
}

function make(members: string[], config: object = CONFIG) {
  const cluster = new Members(["n1", ...members]);
  const transport = new Asked("n1");
  const manager = new HeartbeatManager("n1", transport, cluster, config);
  const failed: string[] = [];
  manager.on("node_failed", (id) => failed.push(id));
  return { cluster, transport, manager, failed };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a manager that asks", () => {
  it("asks every other node at once and then once per interval", async () => {
    const { transport, manager } = make(["n2", "n3"]);
    await manager.start();
    expect(transport.sent.map(({ to, timeoutMs }) => [to, timeoutMs])).toEqual([
      ["n2", 2_000],
      ["n3", 2_000],
    ]);
    expect(transport.sent[0]?.ping).toEqual({ type: "heartbeat:ping", timestamp: Date.now(), senderId: "n1" });
    await manager.start();
    await vi.advanceTimersByTimeAsync(3_000);
    expect([transport.to("n1"), transport.to("n2"), transport.to("n3")]).toEqual([0, 4, 4]);
    expect(manager.getTrackedPeers()).toEqual(["n2", "n3"]);
    expect(manager.getPeerState("n2")).toEqual({
      nodeId: "n2",
      missedCount: 0,
      pendingPing: false,
      lastPongAt: Date.now(),
    });
    await manager.stop();
    await vi.advanceTimersByTimeAsync(3_000);
    expect([transport.to("n2"), manager.isRunning(), manager.getTrackedPeers()]).toEqual([4, false, []]);
  });

  it("spreads its questions over the interval", async () => {
    const { transport, manager } = make(["n2", "n3", "n4", "n5"], { staggerPings: true });
    const start = Date.now();
    await manager.start();
    expect(transport.sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(999);
    expect(transport.sent.map(({ to, at }) => [to, at - start])).toEqual([
      ["n2", 0],
      ["n3", 250],
      ["n4", 500],
      ["n5", 750],
    ]);
    await manager.stop();
  });

  it.each(["n2", "refuses"])("tells once of a node that has not answered for three rounds: %s", async (node) => {
    const { transport, manager, failed } = make([node, "n3"]);
    transport.silent.add("n2");
    await manager.start();
    await vi.advanceTimersByTimeAsync(2_999);
    expect(manager.getPeerState(node)).toMatchObject({ missedCount: 2, pendingPing: true });
    expect(failed).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect([failed, manager.getPeerState(node)]).toEqual([[node], undefined]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([failed, transport.to(node)]).toEqual([[node], 3]);
    await manager.stop();
  });

  it("forgives a node that answers", async () => {
    const { transport, manager, failed } = make(["n2"], { ...CONFIG, maxMissedHeartbeats: 4 });
    transport.silent.add("n2");
    await manager.start();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(manager.getPeerState("n2")).toMatchObject({ missedCount: 2, pendingPing: true });
    transport.silent.clear();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(manager.getPeerState("n2")).toMatchObject({ missedCount: 0, pendingPing: false });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(failed).toEqual([]);
    await manager.stop();
  });

  it("follows the cluster, and a goodbye is no failure", async () => {
    const { cluster, transport, manager, failed } = make([]);
    await manager.start();
    cluster.emit("member_join", "n2");
    cluster.emit("member_join", { id: "n3" });
    cluster.emit("member_join", "n1");
    expect(manager.getTrackedPeers()).toEqual(["n2", "n3"]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect([transport.to("n2"), transport.to("n3")]).toEqual([1, 1]);
    cluster.emit("member_leave", { id: "n2", status: "leaving" });
    cluster.emit("member_leave", "n3");
    await vi.advanceTimersByTimeAsync(10_000);
    expect([manager.getTrackedPeers(), failed, transport.sent.length]).toEqual([[], [], 2]);
    await manager.stop();
    expect(cluster.eventNames()).toEqual([]);
  });

  it("does nothing if it is not enabled, and has the defaults that are written down", async () => {
    const { transport, manager } = make(["n2"], { enabled: false });
    await manager.start();
    expect([manager.isRunning(), transport.sent]).toEqual([false, []]);
    const defaults = { enabled: true, intervalMs: 1_000, timeoutMs: 2_000, maxMissedHeartbeats: 3, staggerPings: true };
    expect(DEFAULT_HEARTBEAT_CONFIG).toEqual(defaults);
  });

  it("answers with the time of the question", () => {
    const { manager } = make([]);
    const ping: HeartbeatPing = { type: "heartbeat:ping", timestamp: 42, senderId: "n2" };
    expect(manager.handlePing(ping)).toEqual({ type: "heartbeat:pong", timestamp: 42, responderId: "n1" });
  });

  it("takes its defaults for what is there and undefined", async () => {
    const absent = { enabled: undefined, intervalMs: undefined, timeoutMs: undefined } as never;
    const manager = new HeartbeatManager("n1", new Asked("n1"), new Members(["n1", "n2"]), absent);
    await manager.start();
    expect(manager.isRunning()).toBe(true);
    await manager.stop();
  });

  it("refuses what it cannot work with", () => {
    for (const config of [{ intervalMs: 0 }, { timeoutMs: Number.NaN }, { maxMissedHeartbeats: -1 }]) {
      expect(thrown(() => make([], config))).toBeInstanceOf(InvalidOptionError);
    }
    const transport = new InMemoryTransport("n1");
    expect(thrown(() => new HeartbeatManager("n1", transport, null as never))).toBeInstanceOf(InvalidArgumentError);
    expect(thrown(() => new HeartbeatManager("", transport, new Members([])))).toBeInstanceOf(InvalidArgumentError);
  });
});

it("with a cluster that finds out by itself nobody is asked, and its verdicts are passed on", async () => {
  const { cluster, transport, manager, failed } = make(["n2", "n3"]);
  cluster.detectsFailures = true;
  cluster.suspects = ["n3"];
  await manager.start();
  await vi.advanceTimersByTimeAsync(10_000);
  expect([transport.sent, manager.getTrackedPeers(), vi.getTimerCount()]).toEqual([[], ["n2", "n3"], 0]);
  expect(manager.getPeerState("n2")).toEqual({ nodeId: "n2", missedCount: 0, pendingPing: false });
  expect(manager.getPeerState("n3")).toEqual({ nodeId: "n3", missedCount: 1, pendingPing: true });
  cluster.emit("node_failed", "n3");
  expect(failed).toEqual(["n3"]);
  await manager.stop();
  cluster.emit("node_failed", "n2");
  expect([failed, cluster.eventNames()]).toEqual([["n3"], []]);
});

it("a system that is given a heartbeat asks, answers, and gives calls to a failed node up", async () => {
  const [a, b] = [new Asked("n1"), new InMemoryTransport("n2")];
  b.setPeer("n1", a);
  const asks = new ActorSystem(new Members(["n1", "n2"]), a, new LocalRegistry(), undefined, CONFIG);
  const failure = vi.spyOn(asks, "handleNodeFailure");
  await asks.start();
  expect(a.to("n2")).toBe(1);
  expect(await b.request("n1", { type: "heartbeat:ping", timestamp: 7, senderId: "n2" }, 1_000)).toEqual({
    type: "heartbeat:pong",
    timestamp: 7,
    responderId: "n1",
  });
  a.silent.add("n2");
  await vi.advanceTimersByTimeAsync(4_000);
  expect(failure).toHaveBeenCalledWith("n2");
  vi.useRealTimers();
  await asks.shutdown();
});
