/**
 * Children on other nodes: the rules of supervision do not stop at a node (docs/design/remote_children.md).
 */

import {
  Actor,
  ActorClassNotRegisteredError,
  ActorNotFoundError,
  type ActorRef,
  type ChildSupervisionOptions,
  createActor,
  DynamicSupervisor,
  InvalidArgumentError,
  NameAlreadyRegisteredError,
  NodeDownError,
  type SpawnOptions,
  TelemetryEvents,
  telemetry,
} from "libeam";
import { afterEach, describe, expect, it, vi } from "vitest";
import { crashNode, type HandmadeNode, loggedByNodes, makeNodes, nodesEmpty } from "../support/handmade_nodes.js";
import { makeProbe, type Probe, watchFor } from "../support/probe.js";
import { gate, rejection, turns } from "../support/time.js";

/** What the children of a test do, as `verb:name@node`. */
let life: Probe<string>;

const Child = createActor("Child", (ctx, self, name: string) => {
  const note = (verb: string) => life.push(`${verb}:${name}@${ctx.system.id}`);
  note("init");
  let count = 0;
  return self
    .onCall("add", (n: number) => {
      count += n;
      return count;
    })
    .onCall("where", () => ctx.system.id)
    .onCall("id", () => ctx.self.id.id)
    .onCall("parent", () => ctx.parent)
    .onCast("crash", (error: unknown = new Error(`${name} is broken`)) => {
      throw error;
    })
    .onCast("add", (n: number) => {
      count += n;
    })
    .onCall("leave", () => ctx.exit())
    .preRestart((error) => note(error === undefined ? "preRestart" : `preRestart(${(error as Error).message})`))
    .postRestart(() => note("postRestart"))
    .onTerminate(() => note("terminate"));
});

const Parent = createActor("Parent", (ctx, self, supervision: Partial<ChildSupervisionOptions> = {}) => {
  let downs = 0;
  return self
    .childSupervision(supervision)
    .onCall("spawn", (name: string, options: SpawnOptions = {}) =>
      ctx.spawn(Child, { strategy: "round-robin", ...options, args: [name] }),
    )
    .onCall("spawnOf", (definition: any, options: SpawnOptions) => ctx.spawn(definition, options))
    .onCall("children", () => ctx.getChildren())
    .onCall("stopChild", (ref: ActorRef) => ctx.stopChild(ref))
    .onCall("watch", (ref: ActorRef) => void ctx.watch(ref))
    .onCall("link", (ref: ActorRef) => void ctx.link(ref))
    .onCall("downs", () => downs)
    .onCall("ping", () => "pong")
    .onInfo("down", () => void downs++)
    .onCast("crash", () => {
      throw new Error("the parent is broken");
    });
});

type Tree = { nodes: HandmadeNode[]; parent: any; spawn: (name: string, options?: SpawnOptions) => Promise<any> };

/** A parent on node `home`, and nodes on which its children are spawned in turn. */
async function tree(supervision: Partial<ChildSupervisionOptions> = {}, away = ["a", "b"]): Promise<Tree> {
  life = makeProbe<string>();
  const roles = Object.fromEntries(away.map((id) => [id, ["worker"]]));
  const nodes = await makeNodes(["home", ...away], {
    actors: [Child, Parent],
    roles,
    supervision: { strategy: "Stop" },
  });
  const parent = (nodes[0] as HandmadeNode).system.spawn(Parent, { args: [supervision] }) as any;
  const spawn = async (name: string, options: SpawnOptions = {}) => {
    const child = await parent.call("spawn", name, { role: "worker", ...options });
    await child.call("add", 0);
    return child;
  };
  return { nodes, parent, spawn };
}

const systemOf = (nodes: HandmadeNode[], id: string) => nodes.find((node) => node.id === id)!.system;
const liveOn = (nodes: HandmadeNode[], id: string) => systemOf(nodes, id).getActors().length;

afterEach(() => telemetry.reset());

describe("a child on another node", () => {
  it("is among the children of its parent, and knows it", async () => {
    const { nodes, parent, spawn } = await tree();
    const child = await spawn("x");
    expect(child.id.systemId).toBe("a");
    expect(await child.call("where")).toBe("a");
    expect(await parent.call("children")).toEqual([child]);
    expect((await parent.call("children"))[0]).toBe(child);
    const above = await child.call("parent");
    expect(above.id.id).toBe(parent.id.id);
    expect(await above.call("ping")).toBe("pong");
    expect(
      systemOf(nodes, "home")
        .getActors()
        .map(({ className }) => className),
    ).toEqual(["Parent"]);
    expect(systemOf(nodes, "home").getActors()[0]?.childCount).toBe(1);
    expect(
      systemOf(nodes, "a")
        .getActors()
        .map(({ className }) => className),
    ).toEqual(["Child"]);
  });

  it("has a ref that works at once, in the order of what is sent", async () => {
    const { parent } = await tree();
    const child = await parent.call("spawn", "x", { role: "worker" });
    for (let n = 0; n < 100; n++) child.cast("add", 1);
    expect(await child.call("add", 0)).toBe(100);
  });

  it("is a child like any other when the strategy chooses the parent's node", async () => {
    const { nodes, spawn } = await tree();
    const child = await spawn("x", { role: undefined, strategy: { node: "home" } });
    expect(await child.call("where")).toBe("home");
    expect(systemOf(nodes, "home").getActors().length).toBe(2);
  });

  it("may be of a class, with a name and a bounded mailbox", async () => {
    class Named extends Actor {
      override handleCall(message: string) {
        return [message, this.context.parent?.id.systemId, this.self.id.name];
      }
    }
    const { nodes, parent } = await tree();
    for (const { system } of nodes) system.registerActorClass(Named);
    const options = { strategy: { node: "b" }, name: "the one", mailbox: { maxSize: 5 } };
    const ref = await parent.call("spawnOf", Named, options);
    expect(await ref.call("hello")).toEqual(["hello", "home", "the one"]);
    expect((await systemOf(nodes, "a").getActorByName("the one"))?.id.systemId).toBe("b");
  });

  it("ends with its parent, before it, with its terminate", async () => {
    const { nodes, parent, spawn } = await tree();
    await spawn("x");
    await spawn("y");
    await systemOf(nodes, "home").stop(parent);
    expect(life.events).toEqual(["init:x@a", "init:y@b", "terminate:x@a", "terminate:y@b"]);
    await nodesEmpty(nodes);
  });

  it("can be stopped by its parent, and the stop waits for it", async () => {
    const { nodes, parent, spawn } = await tree();
    const child = await spawn("x");
    await parent.call("stopChild", child);
    expect(life.events.at(-1)).toBe("terminate:x@a");
    expect(await parent.call("children")).toEqual([]);
    expect(liveOn(nodes, "a")).toBe(0);
    expect(await rejection(child.call("add", 1))).toBeInstanceOf(ActorNotFoundError);
  });

  it("can be stopped from a third node, and its parent does not start it again", async () => {
    const { nodes, parent, spawn } = await tree();
    const child = await spawn("x");
    const third = systemOf(nodes, "b");
    await third.stop(third.getRef(child.id));
    await vi.waitFor(async () => expect(await parent.call("children")).toEqual([]));
    expect(life.events).toEqual(["init:x@a", "terminate:x@a"]);
  });

  it("is started again where it is, on its parent's node only, without its siblings", async () => {
    const { nodes, parent, spawn } = await tree({ strategy: "one-for-all", maxRestarts: 0 });
    const child = await spawn("x");
    await spawn("y");
    await child.call("add", 3);
    const before = await child.call("id");
    for (const id of ["a", "b"]) {
      const system = systemOf(nodes, id);
      expect(await rejection(system.restart(system.getRef(child.id)))).toBeInstanceOf(InvalidArgumentError);
    }
    life.clear();
    for (let n = 0; n < 2; n++) {
      const again = await systemOf(nodes, "home").restart(child);
      expect(again?.id.id).toBe(await child.call("id"));
      expect(again?.id.id).not.toBe(before);
      expect(life.events.splice(0)).toEqual(["preRestart:x@a", "terminate:x@a", "init:x@a", "postRestart:x@a"]);
    }
    expect([await child.call("add", 1), liveOn(nodes, "b")]).toEqual([1, 1]);
    await parent.call("stopChild", child);
    expect(await systemOf(nodes, "home").restart(child)).toBeNull();
  });

  it("may leave by itself, or be killed; neither is followed by a restart", async () => {
    const { nodes, parent, spawn } = await tree();
    const [x, y] = [await spawn("x"), await spawn("y")];
    const downs = watchFor(systemOf(nodes, "home"), x, y);
    await x.call("leave").catch(() => {});
    expect((await downs.next()).reason).toEqual({ type: "normal" });
    systemOf(nodes, "home").sendExit(parent, y, "kill");
    expect((await downs.next()).reason).toEqual({ type: "killed" });
    expect(await parent.call("children")).toEqual([]);
    expect(life.events.filter((event) => event.startsWith("init"))).toHaveLength(2);
  });
});

describe("a crash of a child on another node", () => {
  it("is followed by a restart on its node; refs, name, watchers and waiting messages stay", async () => {
    const { nodes, parent, spawn } = await tree();
    const child = await spawn("x", { name: "worker" });
    const b = systemOf(nodes, "b");
    const elsewhere = watchFor(b, b.getRef(child.id));
    await parent.call("watch", child);
    await turns();
    const before = await child.call("id");
    child.cast("add", 5);
    child.cast("crash");
    child.cast("add", 7);
    expect(await child.call("add", 1)).toBe(8);
    expect(life.events).toEqual([
      "init:x@a",
      "preRestart(x is broken):x@a",
      "terminate:x@a",
      "init:x@a",
      "postRestart:x@a",
    ]);
    const after = await child.call("id");
    expect(after).not.toBe(before);
    expect((await parent.call("children"))[0].id.id).toBe(after);
    expect((await b.getActorByName("worker"))?.id.id).toBe(after);
    await turns();
    expect([elsewhere.events, await parent.call("downs")]).toEqual([[], 0]);
  });

  it("counts within the window of the parent's options; past it the child is gone", async () => {
    const { nodes, parent, spawn } = await tree({ maxRestarts: 2, periodMs: 60_000 });
    const child = await spawn("x");
    const downs = watchFor(systemOf(nodes, "home"), child);
    const others = watchFor(systemOf(nodes, "b"), systemOf(nodes, "b").getRef(child.id));
    await turns();
    for (let n = 0; n < 3; n++) child.cast("crash");
    expect((await downs.next()).reason).toEqual({ type: "killed" });
    expect((await others.next()).reason).toEqual({ type: "killed" });
    expect(life.events.filter((event) => event.startsWith("init"))).toHaveLength(3);
    expect(await parent.call("children")).toEqual([]);
    expect(await rejection(child.call("add", 1))).toBeInstanceOf(ActorNotFoundError);
  });

  it.each([
    ["with Stop", { strategy: "Stop" }, "exit"],
    ["past the limit", { maxRestarts: 0 }, "killed"],
  ] as const)("%s waits for its handler, and then tells its end", async (_, supervision, type) => {
    const { nodes, parent } = await tree(supervision);
    const door = gate<string>();
    const Busy = createActor("Busy", (ctx, self) =>
      self.onCall("work", () => door.promise).onCall("id", () => ctx.self.id),
    );
    systemOf(nodes, "a").registerActorClass(Busy);
    const child = await parent.call("spawnOf", Busy, { strategy: { node: "a" } });
    await child.call("id");
    const downs = watchFor(systemOf(nodes, "home"), child);
    await turns();
    const work = child.call("work");
    systemOf(nodes, "home").sendExit(parent, child, "go away");
    await turns();
    door.open("done");
    expect(await work).toBe("done");
    expect((await downs.next()).reason.type).toBe(type);
  });

  it("is followed by the back-off of the parent's options, and messages wait for its end", async () => {
    const { spawn } = await tree({ backoff: { initialMs: 60, jitter: 0 } });
    const child = await spawn("x");
    child.cast("crash");
    const start = performance.now();
    expect(await child.call("add", 3)).toBe(3);
    expect(performance.now() - start).toBeGreaterThan(55);
  });

  it("with Stop ends it with its error, without preRestart", async () => {
    const { nodes, spawn } = await tree({ strategy: "Stop" });
    const child = await spawn("x");
    const [here, there] = [watchFor(systemOf(nodes, "home"), child), watchFor(systemOf(nodes, "a"), child)];
    await turns();
    child.cast("crash", new RangeError("too far"));
    const error = { name: "RangeError", message: "too far" };
    expect((await here.next()).reason).toMatchObject({ type: "error", error });
    expect((await there.next()).reason).toMatchObject({ type: "error", error });
    expect(life.events).toEqual(["init:x@a", "terminate:x@a"]);
  });

  it("with Escalate crashes the parent with the same error, and takes its other children along", async () => {
    const { nodes, parent, spawn } = await tree({ strategy: "Escalate" });
    const child = await spawn("x");
    await spawn("y");
    const downs = watchFor(systemOf(nodes, "home"), parent);
    child.cast("crash", new RangeError("too far"));
    expect((await downs.next()).reason).toMatchObject({ type: "error", error: { message: "too far" } });
    expect(life.events.filter((event) => event.startsWith("terminate")).sort()).toEqual([
      "terminate:x@a",
      "terminate:y@b",
    ]);
    await nodesEmpty(nodes.slice(1));
  });

  it.each([
    ["one-for-one", ["y@b"]],
    ["one-for-all", ["x@a", "y@b", "local@home", "z@a"]],
    ["rest-for-one", ["y@b", "local@home", "z@a"]],
  ] as const)("with %s restarts %j, in order", async (strategy, restarted) => {
    const { parent, spawn } = await tree({ strategy });
    const [, y] = [await spawn("x"), await spawn("y")];
    await spawn("local", { role: undefined, strategy: "local" });
    await spawn("z");
    expect(life.events).toEqual(["init:x@a", "init:y@b", "init:local@home", "init:z@a"]);
    life.clear();
    y.cast("crash");
    await life.find((event) => event === `postRestart:${restarted.at(-1)}`);
    const of = (verb: string) =>
      life.events.filter((each) => each.startsWith(`${verb}:`)).map((each) => each.slice(verb.length + 1));
    expect(of("init")).toEqual(restarted);
    // The crashed one terminates where it is; the others in reverse order.
    expect(of("terminate").filter((each) => each !== "y@b")).toEqual(
      restarted.filter((each) => each !== "y@b").reverse(),
    );
    expect(of("terminate")).toContain("y@b");
    expect(of("preRestart")).toEqual(of("terminate").filter((each) => each !== "y@b"));
    expect(await parent.call("children")).toHaveLength(4);
  });

  it("of a sibling on this node takes those on other nodes along", async () => {
    const { spawn } = await tree({ strategy: "one-for-all" });
    const far = await spawn("far");
    const near = await spawn("near", { role: undefined, strategy: "local" });
    far.cast("add", 5);
    await far.call("add", 0);
    near.cast("crash");
    await life.find((event) => event === "postRestart:near@home");
    expect(await far.call("add", 1)).toBe(1);
  });

  it("may be caused by a link or an exit signal", async () => {
    const { nodes, parent, spawn } = await tree();
    const child = await spawn("x");
    systemOf(nodes, "home").sendExit(parent, child, "go away");
    await life.find((event) => event === "postRestart:x@a");
    expect(life.events[1]).toBe("preRestart(Exit signal: go away):x@a");
  });

  it("breaks a link with the parent's node, as any crash does", async () => {
    const { nodes, parent, spawn } = await tree();
    const child = await spawn("x");
    const downs = watchFor(systemOf(nodes, "home"), parent);
    await parent.call("link", child);
    await turns();
    child.cast("crash");
    expect((await downs.next()).reason).toMatchObject({ type: "error" });
  });

  it("is told to telemetry on the parent's node, and logged", async () => {
    const { spawn } = await tree();
    const child = await spawn("x");
    const told: any[] = [];
    const { crash, restart } = TelemetryEvents.supervisor;
    telemetry.attach(
      "spec",
      [crash, restart],
      (event, _measurements, metadata) => void told.push([event.at(-1), metadata]),
    );
    const before = await child.call("id");
    child.cast("crash");
    await life.find((event) => event === "postRestart:x@a");
    await vi.waitFor(() => expect(told).toHaveLength(2));
    expect(told[0]).toEqual(["crash", { actor_id: expect.any(String), error: "x is broken", strategy: "one-for-one" }]);
    expect(told[1][0]).toBe("restart");
    expect(told[1][1]).toMatchObject({ new_actor_id: await child.call("id"), attempt: 1 });
    expect(told[1][1].actor_id).not.toBe(before === told[1][1].new_actor_id);
    expect(loggedByNodes().filter(({ message }) => message === "Actor crashed").length).toBeGreaterThan(0);
  });
});

describe("a node that takes no new actors", () => {
  it("is not asked twice for a child, also if its news has not come", async () => {
    const { nodes, parent } = await tree({ maxRestarts: 1 });
    const { system, transport } = nodes[1] as HandmadeNode;
    const send = transport.send.bind(transport);
    vi.spyOn(transport, "send").mockImplementation(async (node, message) => {
      if (message.body?.kind !== "closed") await send(node, message);
    });
    await system.drain();
    const preferred = (members: readonly string[]) => (members.includes("a") ? "a" : "b");
    const child = await parent.call("spawn", "x", { strategy: preferred, role: "worker" });
    await life.find((event) => event === "init:x@b");
    expect(await child.call("where")).toBe("b");
  });
});

describe("a node that is lost", () => {
  it("crashes the children that were there, which are placed again by the same strategy; refs follow", async () => {
    const { nodes, parent, spawn } = await tree();
    const child = await spawn("x");
    const oldId = child.id;
    await parent.call("watch", child);
    child.cast("add", 5);
    await child.call("add", 0);
    await crashNode(nodes, "a");
    await life.find((event) => event === "init:x@b");
    expect(await child.call("where")).toBe("b");
    expect(await systemOf(nodes, "home").getRef(oldId).call({ method: "where", args: [] })).toBe("b");
    expect(await child.call("add", 1)).toBe(1);
    const [again] = await parent.call("children");
    expect([again.id.systemId, await parent.call("downs")]).toEqual(["b", 0]);
    expect(again.id.id).not.toBe(oldId.id);
    const crashes = loggedByNodes().filter(({ message }) => message === "Actor crashed");
    expect(crashes.at(-1)?.error).toBeInstanceOf(NodeDownError);
  });

  it("rejects the calls that wait there", async () => {
    const door = gate();
    const Slow = createActor("Slow", (_ctx, self) => self.onCall("wait", () => door.promise));
    const { nodes, parent } = await tree();
    for (const { system } of nodes) system.registerActorClass(Slow);
    const slow = await parent.call("spawnOf", Slow, { strategy: "round-robin", role: "worker" });
    const call = slow.call("wait", { timeout: 60_000 });
    await turns();
    await crashNode(nodes, slow.id.systemId);
    expect(["NODE_DOWN", "TRANSPORT_ERROR"]).toContain((await rejection(call)).code);
    door.open();
  });

  it("ends the child if the strategy says so", async () => {
    const { nodes, parent, spawn } = await tree({ strategy: "Stop" });
    const downs = watchFor(systemOf(nodes, "home"), await spawn("x"));
    await crashNode(nodes, "a");
    const { reason } = await downs.next();
    expect(reason).toMatchObject({ type: "error", error: { code: "NODE_DOWN" } });
    expect(await parent.call("children")).toEqual([]);
  });

  it("takes siblings along if the strategy says so", async () => {
    const { nodes, spawn } = await tree({ strategy: "one-for-all" });
    await spawn("x");
    await spawn("y");
    await crashNode(nodes, "a");
    await life.find((event) => event === "postRestart:y@b");
    expect(life.events.filter((event) => event.endsWith("@b"))).toEqual([
      "init:y@b",
      "preRestart:y@b",
      "terminate:y@b",
      "init:x@b",
      "init:y@b",
      "postRestart:y@b",
    ]);
  });

  it("is tried again by { node } and given up past the limit", async () => {
    const { nodes, parent, spawn } = await tree({ maxRestarts: 2, periodMs: 60_000 });
    const child = await spawn("x", { strategy: { node: "a" } });
    const downs = watchFor(systemOf(nodes, "home"), child);
    await crashNode(nodes, "a");
    expect((await downs.next()).reason).toEqual({ type: "killed" });
    expect(await parent.call("children")).toEqual([]);
  });

  it("leaves its children to the parent's own node if there is no other, and they go on under the same rules", async () => {
    const { nodes, parent, spawn } = await tree({}, ["a"]);
    const child = await spawn("x", {
      role: undefined,
      strategy: (members) => members.find((id) => id !== "home") ?? "home",
    });
    await crashNode(nodes, "a");
    await life.find((event) => event === "init:x@home");
    expect(await child.call("add", 2)).toBe(2);
    expect((await child.call("parent")).id.id).toBe(parent.id.id);
    const home = systemOf(nodes, "home");
    expect(
      home
        .getActors()
        .map(({ className }) => className)
        .sort(),
    ).toEqual(["Child", "Parent"]);
    child.cast("crash");
    expect(await child.call("add", 3)).toBe(3);
    expect(await home.getRef(child.id).call({ method: "where", args: [] })).toBe("home");
    await parent.call("link", child);
    await home.stop(parent);
    expect(life.events.at(-1)).toBe("terminate:x@home");
    await nodesEmpty(nodes.slice(0, 1));
  });

  it("with the parent on it ends the children, wherever they are", async () => {
    const { nodes, spawn } = await tree();
    await spawn("x");
    await spawn("y");
    await crashNode(nodes, "home");
    await life.find((event) => event === "terminate:x@a");
    await life.find((event) => event === "terminate:y@b");
    await nodesEmpty(nodes.slice(1));
  });

  it("and was not, gives up what is not accounted for when it is back", async () => {
    const { nodes, spawn } = await tree();
    await spawn("x");
    const home = nodes[0] as HandmadeNode;
    home.cluster.leave("a"); // Only the parent's node thinks so.
    await life.find((event) => event === "init:x@b");
    expect(liveOn(nodes, "a")).toBe(1);
    home.cluster.join("a");
    await life.find((event) => event === "terminate:x@a");
    expect([liveOn(nodes, "a"), liveOn(nodes, "b")]).toEqual([0, 1]);
  });

  it("in the eyes of the children's node only, is told, and the children are placed again", async () => {
    const { nodes, spawn } = await tree();
    const child = await spawn("x");
    nodes[1]?.cluster.leave("home");
    await life.find((event) => event === "init:x@b");
    expect(life.events).toEqual(["init:x@a", "terminate:x@a", "init:x@b"]);
    expect(await child.call("where")).toBe("b");
  });

  it("in the eyes of the children's node only, is told when they meet again", async () => {
    const { nodes, spawn } = await tree();
    const child = await spawn("x");
    const [home, a] = nodes as [HandmadeNode, HandmadeNode];
    const request = vi.spyOn(a.transport, "request").mockRejectedValue(new Error("no way"));
    a.cluster.leave("home");
    await life.find((event) => event === "terminate:x@a");
    request.mockRestore();
    expect(home.system.getActors()[0]?.childCount).toBe(1);
    a.cluster.join("home");
    await life.find((event) => event === "init:x@b");
    expect(await child.call("where")).toBe("b");
  });

  it("and was not, is told so by the next thing that its guest reports", async () => {
    const { nodes, spawn } = await tree();
    const child = await spawn("x");
    const there = systemOf(nodes, "a").getRef(child.id);
    (nodes[0] as HandmadeNode).cluster.leave("a");
    await life.find((event) => event === "init:x@b");
    there.cast({ method: "crash", args: [] });
    await vi.waitFor(() => expect(liveOn(nodes, "a")).toBe(0));
    expect(life.events.filter((event) => event === "init:x@a")).toHaveLength(1);
  });

  it("by a shutdown is left by its children in good order, and they are placed again", async () => {
    const { nodes, parent, spawn } = await tree();
    const child = await spawn("x");
    await systemOf(nodes, "a").shutdown();
    await life.find((event) => event === "init:x@b");
    expect(life.events).toEqual(["init:x@a", "terminate:x@a", "init:x@b"]);
    expect(await child.call("where")).toBe("b");
    expect(await parent.call("children")).toHaveLength(1);
  });

  it("by a shutdown of the parent's node ends the children first", async () => {
    const { nodes, spawn } = await tree();
    await spawn("x");
    await systemOf(nodes, "home").shutdown();
    expect(life.events).toEqual(["init:x@a", "terminate:x@a"]);
    await nodesEmpty(nodes.slice(1));
  });
});

describe("a child on another node that cannot start", () => {
  it("because its class is not registered there counts as crashed, and calls are told why", async () => {
    const Unknown = createActor("Unknown", (_ctx, self) => self.onCall("x", () => 1));
    const { nodes, parent } = await tree({ maxRestarts: 1, periodMs: 60_000 });
    const child = await parent.call("spawnOf", Unknown, { strategy: { node: "a" } });
    const downs = watchFor(systemOf(nodes, "home"), child);
    expect(await rejection(child.call("x"))).toBeInstanceOf(ActorClassNotRegisteredError);
    expect((await downs.next()).reason).toEqual({ type: "killed" });
    expect(await rejection(child.call("x"))).toBeInstanceOf(ActorClassNotRegisteredError);
    expect(await parent.call("children")).toEqual([]);
  });

  it("because its name is taken there counts as crashed, and leaves the one that has the name alone", async () => {
    const { nodes, parent } = await tree({ maxRestarts: 2, periodMs: 60_000 });
    const [home, away] = [systemOf(nodes, "home"), systemOf(nodes, "a")];
    const owner = away.spawn(Child, { name: "taken", args: ["owner"] });
    const ownerDowns = watchFor(away, owner);
    const child = await parent.call("spawn", "child", { strategy: { node: "a" }, name: "taken" });
    const downs = watchFor(home, child);
    child.cast("add", 100);
    expect(await rejection(child.call("add", 1))).toBeInstanceOf(NameAlreadyRegisteredError);
    home.sendExit(null, child, "over");
    expect((await downs.next()).reason).toEqual({ type: "killed" });
    expect(await rejection(child.call("add", 1))).toBeInstanceOf(NameAlreadyRegisteredError);
    await home.stop(child);
    await home.stop(parent);
    expect([await owner.call("add", 1), ownerDowns.events]).toEqual([1, []]);
  });

  it("because its name is taken there gets it when it is free", async () => {
    const { nodes, parent } = await tree({ maxRestarts: 1_000, periodMs: 1_000 });
    const away = systemOf(nodes, "a");
    const owner = away.spawn(Child, { name: "taken", args: ["owner"] });
    const child = await parent.call("spawn", "child", { strategy: { node: "a" }, name: "taken" });
    expect(await rejection(child.call("add", 1))).toBeInstanceOf(NameAlreadyRegisteredError);
    await away.stop(owner);
    await vi.waitFor(async () => expect(await child.call("add", 0)).toBe(0));
    expect(await ((await away.getActorByName("taken")) as any).call("add", 5)).toBe(5);
    expect(await child.call("add", 1)).toBe(6);
  });

  it("because its init throws is tried again, with the error of that node in the log", async () => {
    let attempts = 0;
    const Reluctant = createActor("Reluctant", (_ctx, self) => {
      if (++attempts < 3) throw new RangeError(`attempt ${attempts}`, { cause: "a cause" });
      return self.onCall("attempts", () => attempts);
    });
    const { nodes, parent } = await tree();
    for (const { system } of nodes) system.registerActorClass(Reluctant);
    const child = await parent.call("spawnOf", Reluctant, { strategy: { node: "a" } });
    await vi.waitFor(async () => expect(await child.call("attempts")).toBe(3));
    const errors = loggedByNodes()
      .filter(({ message }) => message === "Actor crashed")
      .map(({ error }) => error);
    expect(errors.map((error) => [error?.message, error?.cause])).toEqual([
      ["attempt 1", "a cause"],
      ["attempt 2", "a cause"],
    ]);
    expect(errors[0]).toBeInstanceOf(RangeError);
  });

  it("because its asynchronous init rejects is tried again on its node, and messages wait", async () => {
    let attempts = 0;
    const Reluctant = createActor("Reluctant", async (_ctx, self) => {
      await turns(1);
      if (++attempts < 3) throw new Error(`attempt ${attempts}`);
      return self.onCall("attempts", () => attempts);
    });
    const { nodes, parent } = await tree();
    for (const { system } of nodes) system.registerActorClass(Reluctant);
    const child = await parent.call("spawnOf", Reluctant, { strategy: "round-robin", role: "worker" });
    expect(await child.call("attempts")).toBe(3);
    expect([liveOn(nodes, "a"), liveOn(nodes, "b")]).toEqual([1, 0]);
    await systemOf(nodes, "home").stop(parent);
    await nodesEmpty(nodes);
  });

  it("because it takes for ever does not keep its parent from ending", async () => {
    const Endless = createActor("Endless", () => new Promise<void>(() => {}));
    const { nodes, parent } = await tree();
    for (const { system } of nodes) system.registerActorClass(Endless);
    await parent.call("spawnOf", Endless, { strategy: { node: "a" } });
    await vi.waitFor(() => expect(liveOn(nodes, "a")).toBe(1));
    systemOf(nodes, "home").sendExit(parent, parent, "kill");
    await nodesEmpty(nodes);
  });

  it("because its node has ended meanwhile is placed elsewhere", async () => {
    const door = gate();
    const Slow = createActor("Slow", async (ctx, self) => {
      if (ctx.system.id === "a") await door.promise;
      return self.onCall("where", () => ctx.system.id);
    });
    const { nodes, parent } = await tree();
    for (const { system } of nodes) system.registerActorClass(Slow);
    const child = await parent.call("spawnOf", Slow, { strategy: "round-robin", role: "worker" });
    await vi.waitFor(() => expect(liveOn(nodes, "a")).toBe(1));
    await crashNode(nodes, "a");
    await vi.waitFor(async () => expect(await child.call("where")).toBe("b"));
    door.open();
  });

  it("because no node has the role is refused at once", async () => {
    const { parent } = await tree();
    expect((await rejection(parent.call("spawn", "x", { role: "nobody" }))).code).toBe("NO_ROLE_MATCH");
    expect((await rejection(parent.call("spawn", "x", { strategy: { node: "z" } }))).code).toBe("PLACEMENT");
    expect(await parent.call("children")).toEqual([]);
  });
});

describe("remote children", () => {
  it("may have remote children themselves, and end with the grandparent", async () => {
    const { nodes, parent } = await tree();
    const middle = await parent.call("spawnOf", Parent, { strategy: { node: "a" }, args: [{}] });
    const leaf = await middle.call("spawn", "leaf", { strategy: { node: "home" } });
    expect(await leaf.call("where")).toBe("home");
    leaf.cast("crash");
    expect(await leaf.call("add", 1)).toBe(1);
    middle.cast("crash");
    await life.find((event) => event === "terminate:leaf@home");
    expect(await middle.call("children")).toEqual([]);
    await middle.call("spawn", "second", { strategy: { node: "b" } });
    await life.find((event) => event === "init:second@b");
    await systemOf(nodes, "home").stop(parent);
    expect(life.events.at(-1)).toBe("terminate:second@b");
    await nodesEmpty(nodes);
  });

  it("are looked after by a DynamicSupervisor", async () => {
    const { nodes } = await tree();
    const home = systemOf(nodes, "home");
    const supervisor = DynamicSupervisor.start(home, { maxChildren: 2 });
    const options = { strategy: "round-robin", role: "worker" } as const;
    const [x, y] = [
      await supervisor.startChild(Child, { ...options, args: ["x"] }),
      await supervisor.startChild(Child, { ...options, args: ["y"], name: "y" }),
    ];
    expect((await rejection(supervisor.startChild(Child, { ...options, args: ["z"] }))).code).toBe("MAX_CHILDREN");
    expect(await supervisor.whichChildren()).toEqual([
      { ref: x, className: "Child" },
      { ref: y, className: "Child", name: "y" },
    ]);
    x.cast("crash");
    expect(await x.call("add", 4)).toBe(4);
    expect(await supervisor.terminateChild(y)).toBe(true);
    expect(await supervisor.terminateChild(y)).toBe(false);
    expect(await supervisor.countChildren()).toEqual({ specs: 1, active: 1 });
    await supervisor.stop();
    await nodesEmpty(nodes.slice(1));
  });

  it("can be made, looked up and stopped by hand", async () => {
    const { nodes, parent } = await tree();
    const [home, a] = [systemOf(nodes, "home"), systemOf(nodes, "a")];
    const child = (await home.spawnChildRemote(parent, Child, "a", { args: ["x"] })) as any;
    expect(life.events).toEqual(["init:x@a"]);
    const entry = { childId: await child.call("id"), childNodeId: "a", parentId: parent.id.id, childClass: "Child" };
    expect(home.getRemoteChild(child.id.id)).toEqual(entry);
    expect([a.hasRemoteParent(entry.childId), a.hasRemoteParent(child.id.id)]).toEqual([true, true]);
    expect([home.hasRemoteParent(parent.id.id), home.getRemoteChild(parent.id.id)]).toEqual([false, undefined]);
    expect([await home.stopRemoteChild(child.id.id), await home.stopRemoteChild(child.id.id)]).toEqual([true, false]);
    expect(life.events).toEqual(["init:x@a", "terminate:x@a"]);
    const Unknown = createActor("Unknown", (_ctx, self) => self);
    expect(await home.spawnChildRemote(parent, Unknown, "a")).toBeNull();
  });

  it("leave nothing behind after many lives", async () => {
    const { nodes, parent, spawn } = await tree({ maxRestarts: 1_000, periodMs: 1_000 });
    for (let n = 0; n < 50; n++) {
      const child = await spawn(`c${n}`);
      child.cast("crash");
      await child.call("add", 1);
      if (n % 2 === 0) await parent.call("stopChild", child);
      else await child.call("leave").catch(() => {});
    }
    await systemOf(nodes, "home").stop(parent);
    await nodesEmpty(nodes);
  });
});
