/**
 * Process groups: named sets of actors.
 */

import {
  ActorSystem,
  createActor,
  InMemoryTransport,
  InvalidArgumentError,
  LocalCluster,
  LocalRegistry,
  ProcessGroupManager,
} from "libeam";
import { describe, expect, it } from "vitest";
import { Worker } from "../support/actors.js";
import { makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { thrown } from "../support/time.js";

const quiet = (): void => {};

function members(count: number) {
  const system = makeSystem();
  const life = makeProbe<string>();
  const refs = Array.from({ length: count }, (_, n) => system.spawn(Worker, { args: [`${n}`, life.push] }));
  life.clear();
  return { system, refs, life };
}

describe("groups", () => {
  it("have their members at once, and give them up at once", () => {
    const { system, refs } = members(3);
    expect(system.getGroup("none")).toEqual([]);
    for (const ref of refs) system.joinGroup("all", ref);
    expect(system.getGroup("all")).toEqual(refs);
    expect(system.getGroup("all")[0].id.systemId).toBe(system.nodeId);
    system.leaveGroup("all", refs[1]);
    expect(system.getGroup("all")).toEqual([refs[0], refs[2]]);
    system.leaveGroup("all", refs[1]);
    system.leaveGroup("other", refs[0]);
    expect(system.system._counters().memberships).toBe(2);
  });

  it("are independent of each other", async () => {
    const { system, refs } = members(2);
    for (const group of ["a", "b", "c"]) for (const ref of refs) system.joinGroup(group, ref);
    system.leaveGroup("b", refs[0]);
    expect(["a", "b", "c"].map((group) => system.getGroup(group).length)).toEqual([2, 1, 2]);
    await system.stop(refs[1]);
    expect(["a", "b", "c"].map((group) => system.getGroup(group))).toEqual([[refs[0]], [], [refs[0]]]);
    expect(system.system._counters().memberships).toBe(2);
  });

  it("get a broadcast to each member once, in order", async () => {
    const { system, refs, life } = members(3);
    for (const ref of [refs[2], refs[0], refs[1], refs[0]]) system.joinGroup("all", ref);
    system.broadcast("all", { method: "note", args: ["hi"] });
    expect(life.events).toEqual([]);
    expect(await life.atLeast(3)).toEqual(["2:hi", "0:hi", "1:hi"]);
    system.broadcast("none", { method: "note", args: ["hi"] });
    await refs[0].call("id");
    expect(life.events).toHaveLength(3);
  });

  it("keep a restarted member, under its new id and in its place", async () => {
    const { system, refs, life } = members(2);
    for (const ref of refs) system.joinGroup("all", ref);
    refs[0].cast("crash");
    const id = await refs[0].call("id");
    expect(system.getGroup("all").map((ref) => ref.id.id)).toEqual([id, refs[1].id.id]);
    life.clear();
    system.broadcast("all", { method: "note", args: ["hi"] });
    expect(await life.atLeast(2)).toEqual(["0:hi", "1:hi"]);
  });

  it("keep a member that waits for its restart, and lose one that is given up", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1, backoff: { initialMs: 15, jitter: 0 } } });
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    system.joinGroup("all", ref);
    ref.cast("crash");
    await life.find((event) => event === "terminate:w");
    expect(system.getGroup("all")).toHaveLength(1);
    system.broadcast("all", { method: "note", args: ["waits"] });
    await life.find((event) => event === "w:waits");
    ref.cast("crash");
    await life.find((_event) => life.events.filter((event) => event === "terminate:w").length === 2);
    expect(system.getGroup("all")).toEqual([]);
  });

  it("do not take an actor that is gone, nor one of another system", async () => {
    const { system, refs } = members(1);
    const other = makeSystem();
    other.joinGroup("all", refs[0]);
    expect(other.getGroup("all")).toEqual([]);
    await system.stop(refs[0]);
    system.joinGroup("all", refs[0]);
    expect(system.getGroup("all")).toEqual([]);
  });

  it("can be joined by the actor itself, from its factory on", async () => {
    const system = makeSystem();
    const ref = system.spawn(createActor((ctx) => ctx.system.joinGroup("mine", ctx.self)));
    expect(system.getGroup("mine")).toEqual([ref]);
  });

  it("have names of one to 255 characters", () => {
    const { system, refs } = members(1);
    for (const group of ["", "x".repeat(256), 1, undefined]) {
      expect(thrown(() => system.joinGroup(group as string, refs[0]))).toBeInstanceOf(InvalidArgumentError);
    }
    system.joinGroup("grüße 🎉", refs[0]);
    expect(system.getGroup("grüße 🎉")).toEqual([refs[0]]);
  });

  it("hold many members and many groups", () => {
    const { system, refs } = members(500);
    for (const [n, ref] of refs.entries()) for (const group of ["all", `g${n % 10}`]) system.joinGroup(group, ref);
    expect(system.getGroup("all")).toEqual(refs);
    expect(system.getGroup("g3")).toEqual(refs.filter((_, n) => n % 10 === 3));
    for (const ref of refs) system.leaveGroup("all", ref);
    expect(system.getGroup("all")).toEqual([]);
    expect(system.system._counters().memberships).toBe(500);
  });
});

describe("a system without a manager", () => {
  it("ignores groups", () => {
    const cluster = new LocalCluster("alone");
    const system = new ActorSystem(cluster, new InMemoryTransport("alone"), new LocalRegistry());
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    system.joinGroup("all", ref);
    expect(system.getGroup("all")).toEqual([]);
    system.broadcast("all", {});
    system.leaveGroup("all", ref);
    return system.shutdown();
  });
});

describe("a manager", () => {
  const make = (): ProcessGroupManager =>
    new ProcessGroupManager("n1", new InMemoryTransport("n1"), new LocalCluster("n1"));

  it("works on its own", async () => {
    const manager = make();
    await manager.connect();
    const [a, b] = ["a", "b"].map((actorId) => ({ nodeId: "n1", actorId }));
    manager.join("g", b);
    manager.join("g", a);
    manager.join("g", b);
    manager.join("h", a);
    expect(manager.getMembers("g")).toEqual([b, a]);
    expect(manager.getGroups()).toEqual(["g", "h"]);
    manager.leave("g", "b");
    manager.leave("g", "unknown");
    expect(manager.getMembers("g")).toEqual([a]);
    manager.leaveAll("a");
    expect(manager.getGroups()).toEqual([]);
    await manager.disconnect();
  });

  it("shows the members of the system that it is given to", async () => {
    const manager = make();
    const system = new ActorSystem(
      new LocalCluster("n1"),
      new InMemoryTransport("n1"),
      new LocalRegistry(),
      undefined,
      undefined,
      undefined,
      undefined,
      manager,
    );
    const ref = system.spawn(Worker, { name: "w", args: ["w", quiet] });
    system.joinGroup("g", ref);
    expect(manager.getMembers("g")).toEqual([{ nodeId: "n1", actorId: ref.id.id, name: "w" }]);
    manager.leave("g", ref.id.id);
    expect(system.getGroup("g")).toEqual([]);
    manager.join("g", { nodeId: "n1", actorId: ref.id.id });
    expect(system.getGroup("g")).toEqual([ref]);
    await system.shutdown();
  });
});
