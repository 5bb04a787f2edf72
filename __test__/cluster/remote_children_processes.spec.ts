/**
 * Children in other processes: what supervision promises when a process is killed, ends, or takes the parent along.
 */

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { pathToFileURL } from "node:url";
import { type DistributedSystem, loggerConfig, NodeDownError } from "libeam";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { Boss, Hand } from "../support/actors_of_modules/crew.js";
import { compiled } from "../support/compiled.js";
import { forkNode, gossipOf, startNode } from "../support/loopback_nodes.js";
import { watchFor } from "../support/probe.js";
import { rejection } from "../support/time.js";

const sources = [new URL("../support/actors_of_modules/crew.ts", import.meta.url)];
const actors = [pathToFileURL(compiled("__test__/support/actors_of_modules/crew.ts")).href];
let home: DistributedSystem;

beforeEach(async () => {
  loggerConfig.configure({ level: "none" });
  home = await startNode("home", [], { actors: sources });
});

/** Nodes in processes of their own, which all are workers. */
async function workers(...ids: string[]): Promise<ChildProcess[]> {
  const more = { actors, roles: ["worker"], ready: { nodes: ["home"] } };
  const nodes = await Promise.all(ids.map((nodeId) => forkNode(nodeId, [gossipOf(home)], more)));
  await home.waitForCluster({ nodes: ids });
  return nodes.map(({ child }) => child);
}

const WORKER = { strategy: "round-robin", role: "worker" } as const;

describe("children in other processes", () => {
  it("are restarted where they are, and placed on another node when theirs is killed", async () => {
    const [first] = await workers("w1", "w2");
    const boss = home.spawn(Boss);
    const hired = [await boss.call("hire", "x", WORKER), await boss.call("hire", "y", WORKER)] as any[];
    const [x, y] = hired.sort((a, b) => a.id.systemId.localeCompare(b.id.systemId));
    expect(await x.call("about")).toMatchObject({ node: "w1", parent: "home" });
    expect(await y.call("about")).toMatchObject({ node: "w2", parent: "home" });
    x.cast("crash");
    expect(await x.call("add", 3)).toBe(3);
    first?.kill("SIGKILL");
    await vi.waitFor(async () => expect((await x.call("about")).node).toBe("w2"), 10_000);
    expect(await x.call("add", 1)).toBe(1);
    expect(await y.call("about")).toMatchObject({ node: "w2" });
    expect(await boss.call("crew")).toHaveLength(2);
  });

  it("are placed on another node when theirs says goodbye", async () => {
    const [first] = (await workers("w1", "w2")) as [ChildProcess, ChildProcess];
    const boss = home.spawn(Boss);
    const x = (await boss.call("hire", "x", { strategy: (nodes) => (nodes.includes("w1") ? "w1" : "w2") })) as any;
    expect((await x.call("about")).node).toBe("w1");
    const ended = once(first, "exit");
    first.send("shutdown");
    expect((await ended)[0]).toBe(0);
    await vi.waitFor(async () => expect((await x.call("about")).node).toBe("w2"), 10_000);
  });

  it("end with their error when the strategy is Stop and their node is killed", async () => {
    const [first] = await workers("w1");
    const boss = home.spawn(Boss, { args: [{ strategy: "Stop" }] });
    const x = (await boss.call("hire", "x", WORKER)) as any;
    await x.call("add", 1);
    const downs = watchFor(home, x);
    first?.kill("SIGKILL");
    expect((await downs.next()).reason).toMatchObject({ type: "error", error: { code: "NODE_DOWN" } });
    expect(await boss.call("crew")).toEqual([]);
  });

  it("tell the error of their crash across processes", async () => {
    await workers("w1");
    const boss = home.spawn(Boss, { args: [{ strategy: "Stop" }] });
    const x = (await boss.call("hire", "x", WORKER)) as any;
    await x.call("add", 1);
    const downs = watchFor(home, x);
    x.cast("crash");
    const { reason } = (await downs.next()) as any;
    expect(reason.error).toBeInstanceOf(RangeError);
    expect([reason.error.message, reason.error.stack.includes("crew.ts")]).toEqual(["x fell", true]);
  });

  it.each(["Stop", "Escalate"] as const)("end with a reason of their own when the strategy is %s", async (strategy) => {
    await workers("w1");
    const boss = home.spawn(Boss, { args: [{ strategy }] });
    const x = (await boss.call("hire", "x", WORKER)) as any;
    const downs = watchFor(home, x);
    await x.call("add", 1);
    x.cast("leave", { code: 7 });
    expect((await downs.next()).reason).toEqual({ type: "exit", reason: { code: 7 } });
  });

  it("end here when the process of their parent is killed", async () => {
    const [first] = await workers("w1");
    const boss = home.spawn(Boss, { strategy: { node: "w1" } });
    const x = (await boss.call("hire", "x", { strategy: { node: "home" } })) as any;
    expect(await x.call("about")).toEqual({ name: "x", node: "home", parent: "w1" });
    expect(home.system.getActors()).toHaveLength(1);
    first?.kill("SIGKILL");
    await vi.waitFor(() => expect(home.system.getActors()).toEqual([]), 10_000);
  });
});

describe("spawns in other processes", () => {
  it("are spread by load", async () => {
    await workers("w1", "w2");
    const strategy = { strategy: "least-loaded", role: "worker" } as const;
    const hands = Array.from({ length: 40 }, () => home.spawn(Hand, { ...strategy, args: ["x"] })) as any[];
    const nodes = (await Promise.all(hands.map((hand) => hand.call("about")))).map(({ node }) => node);
    const onFirst = nodes.filter((node) => node === "w1").length;
    expect(Math.abs(onFirst - 20)).toBeLessThanOrEqual(5);
  });

  it("reject with NodeDownError when the node is killed before it answers", async () => {
    const [first] = await workers("w1");
    first?.kill("SIGSTOP");
    const hand = home.spawn(Hand, { ...WORKER, args: ["x"] });
    const call = hand.call("add", 1, { timeout: 60_000 });
    first?.kill("SIGKILL");
    await rejection(call);
    await vi.waitFor(async () => expect(await rejection(hand.call("add", 1))).toBeInstanceOf(NodeDownError), 10_000);
  });
});
