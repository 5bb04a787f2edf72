/**
 * Between nodes: sentences D1 to D13 of docs/SEMANTICS.md, over in-memory transports. D6 and D14 to D19 need sockets:
 * __test__/cluster/blocked.spec.ts (D6, D16), strangers.spec.ts (D14, D15), partitions.spec.ts (D17), distributed.spec.ts (D18),
 * unsendable.spec.ts (D19).
 */

import {
  ActorClassNotRegisteredError,
  type ActorSystem,
  createActor,
  type InMemoryTransport,
  NameAlreadyRegisteredError,
  NodeDownError,
  type PlacementStrategy,
  type SpawnOptions,
  type System,
} from "libeam";
import { describe, expect, it, vi } from "vitest";
import { crashNode, type HandmadeNode, makeNodes } from "../support/handmade_nodes.js";
import { gossipOf, startNode } from "../support/loopback_nodes.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { nodeTimer, rejection, turns } from "../support/time.js";

const Noter = (seen: unknown[]) =>
  createActor((_ctx, self) =>
    self
      .onCast("note", (value: unknown) => void seen.push(value))
      .onCall("stuck", () => new Promise<void>(() => {}))
      .onCall("count", () => seen.length),
  );

function pair(): [System, System] {
  const [one, two] = [makeSystem({ nodeId: "one" }), makeSystem({ nodeId: "two" })];
  (one.transport as InMemoryTransport).setPeer("two", two.transport as InMemoryTransport);
  (two.transport as InMemoryTransport).setPeer("one", one.transport as InMemoryTransport);
  return [one, two];
}

describe("two nodes", () => {
  it("D1: messages arrive at most once and in order", async () => {
    const [one, two] = pair();
    const seen: number[] = [];
    const ref = one.system.getRef(two.spawn(Noter(seen)).id) as any;
    for (let n = 0; n < 1_000; n++) ref.cast("note", n);
    expect(await ref.call("count")).toBe(1_000);
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
  });

  it("D2: a node that is lost takes its calls, watches and links along", async () => {
    const [one, two] = pair();
    const ref = one.system.getRef(two.spawn(Noter([])).id) as any;
    const exits = makeProbe<string>();
    const Linked = createActor((ctx, self) => {
      ctx.setTrapExit(true);
      ctx.link(ref);
      return self.onInfo("exit", ({ reason }) => exits.push(reason.type));
    });
    one.spawn(Linked);
    const [call, down] = [ref.call("stuck"), gone(one, ref)];
    await turns();
    one.system.handleNodeFailure("two");
    expect(await rejection(call)).toBeInstanceOf(NodeDownError);
    expect(await down).toEqual({ type: "killed" });
    expect(await exits.next()).toBe("error");
  });

  it("D3: a watch that comes too late gives normal", async () => {
    const [one, two] = pair();
    const target = two.spawn(Noter([]));
    const ref = one.system.getRef(target.id);
    await two.stop(target);
    expect(await gone(one, ref)).toEqual({ type: "normal" });
  });

  it("D5: a ref works before the other node has answered", async () => {
    const [one, two] = pair();
    const seen: unknown[] = [];
    const Known = Noter(seen);
    two.register(Known, "Known");
    one.register(Known, "Known");
    vi.spyOn(one.cluster, "getMembers").mockReturnValue(["two"]);
    const ref = one.spawn(Known, { strategy: "round-robin" });
    expect(ref.id.systemId).toBe("two");
    ref.cast("note", "at once");
    expect(await ref.call("count")).toBe(1);
  });
});

describe("a name", () => {
  it("D4: that two nodes have given stays with the older registration", async () => {
    const a = await startNode("a");
    const older = a.spawn(Noter([]), { name: "leader" });
    const { now } = Date;
    Date.now = () => now() + 1_000;
    const b = await startNode("b", [gossipOf(a)]);
    const younger = b.spawn(Noter([]), { name: "leader" });
    Date.now = now;
    expect(await gone(b, younger)).toEqual({ type: "normal" });
    expect(await older.call("count")).toBe(0);
    await vi.waitFor(async () => expect((await b.getActorByName("leader"))?.id.systemId).toBe("a"));
  });
});

describe("a child on another node", () => {
  const Child = createActor("Child", (ctx, self, told: string[]) => {
    told.push(`init@${ctx.system.id}`);
    let count = 0;
    return self
      .onCall("add", (n: number) => {
        count += n;
        return count;
      })
      .onCast("add", (n: number) => {
        count += n;
      })
      .onCast("crash", () => {
        throw new Error("broken");
      })
      .onTerminate(() => told.push(`terminate@${ctx.system.id}`));
  });
  const Parent = createActor("Parent", (ctx, self, told: string[]) =>
    self
      .childSupervision({ strategy: "one-for-one", maxRestarts: 1, periodMs: 60_000 })
      .onCall("child", (options: SpawnOptions) => ctx.spawn(Child, { ...options, args: [told] }))
      .onTerminate(() => told.push("the parent's terminate")),
  );

  async function family(strategy: PlacementStrategy = { node: "a" }) {
    const nodes = await makeNodes(["home", "a", "b"], { actors: [Child] });
    const [home, a] = nodes.map(({ system }) => system) as [ActorSystem, ActorSystem];
    const told: string[] = [];
    const parent = home.spawn(Parent, { args: [told] });
    const child = (await parent.call("child", { strategy, name: "child" })) as any;
    await child.call("add", 0);
    return { nodes, home, a, told, parent, child };
  }

  it("D7: is restarted there by the rules of its parent and stays the same actor", async () => {
    const { home, a, told, child } = await family();
    const watcher = watchFor(a, a.getRef(child.id));
    await turns();
    child.cast("crash");
    child.cast("add", 5);
    expect(await child.call("add", 1)).toBe(6);
    expect(told).toEqual(["init@a", "terminate@a", "init@a"]);
    expect(await (await home.getActorByName("child"))?.call({ method: "add", args: [0] })).toBe(6);
    expect(watcher.events).toEqual([]);
    child.cast("crash"); // One more than its parent allows.
    expect((await watcher.next()).reason).toEqual({ type: "killed" });
  });

  it("D8: is placed again when its node is lost, and counts that as a crash", async () => {
    const { nodes, home, told, child } = await family(
      (members) => [...members].filter((id) => id !== "home")[0] as string,
    );
    const downs = watchFor(home, child);
    await crashNode(nodes, "a");
    await vi.waitFor(() => expect(told).toEqual(["init@a", "init@b"]));
    expect(await child.call("add", 1)).toBe(1);
    expect(downs.events).toEqual([]);
    child.cast("crash"); // One more than its parent allows.
    expect((await downs.next()).reason).toEqual({ type: "killed" });
  });

  it("D9: ends before its parent, and with its parent's node", async () => {
    const { home, told, parent } = await family();
    await home.stop(parent);
    expect(told).toEqual(["init@a", "terminate@a", "the parent's terminate"]);
    const other = await family();
    await crashNode(other.nodes, "home");
    await vi.waitFor(() => expect(other.told).toEqual(["init@a", "terminate@a"]));
  });
});

describe("a spawn on another node", () => {
  it("D10: that fails tells its callers why", async () => {
    const Broken = createActor("Broken", () => {
      throw new RangeError("out of range");
    });
    const Unknown = createActor("Unknown", (_ctx, self) => self);
    const nodes = await makeNodes(["home", "a"], { actors: [Broken] });
    const { system } = nodes[0] as HandmadeNode;
    const failed = (definition: any) => rejection(system.spawn(definition, { strategy: { node: "a" } }).call({}));
    expect(await failed(Broken)).toBeInstanceOf(RangeError);
    expect(await failed(Unknown)).toBeInstanceOf(ActorClassNotRegisteredError);
    void nodes[1]?.transport.disconnect();
    const lost = failed(Broken);
    nodes[0]?.cluster.leave("a");
    expect(await lost).toBeInstanceOf(NodeDownError);
  });

  it("D10: for want of a free name is told so from the first call on, and nothing that is done to its ref reaches the other", async () => {
    const Named = createActor("Named", (_ctx, self, who: string) => self.onCall("who", () => who));
    const [home, away] = (await makeNodes(["home", "a"], { actors: [Named] })).map(({ system }) => system);
    const first = away!.spawn(Named, { name: "taken", args: ["first"] });
    const second = home!.spawn(Named, { name: "taken", args: ["second"], strategy: { node: "a" } }) as any;
    const downs = watchFor(home!, second);
    for (let call = 0; call < 3; call++) {
      expect(await rejection(second.call("who"))).toBeInstanceOf(NameAlreadyRegisteredError);
    }
    expect((await downs.next()).reason).toEqual({ type: "normal" });
    home!.sendExit(null, second, "kill");
    await home!.stop(second);
    expect(await first.call("who")).toBe("first");
  });

  it("D11: goes where the fewest actors are, spawns under way included", async () => {
    const Idle = createActor("Idle", (_ctx, self) => self.onCall("ping", () => "pong"));
    const nodes = await makeNodes(["home", "a", "b"], { actors: [Idle], roles: { a: ["w"], b: ["w"] } });
    const { system } = nodes[0] as HandmadeNode;
    const refs = Array.from({ length: 20 }, () => system.spawn(Idle, { strategy: "least-loaded", role: "w" }));
    await Promise.all(refs.map((ref) => ref.call("ping")));
    for (const { system } of nodes.slice(1)) expect(system.getActors()).toHaveLength(10);
  });

  it("D13: asks for names, and for nothing that the other node has not made known itself", async () => {
    const nodes = await makeNodes(["home", "a"]);
    const { system } = nodes[0] as HandmadeNode;
    const module = new URL("../support/actors_of_modules/counters.ts", import.meta.url).href;
    for (const name of [module, `${module}#counter`, "constructor", "__proto__"]) {
      const stranger = createActor(name, (_ctx, self) => self);
      const ref = system.spawn(stranger, { strategy: { node: "a" } });
      expect(await rejection(ref.call({})), name).toBeInstanceOf(ActorClassNotRegisteredError);
    }
    await nodes[1]?.system.registerActorModules([module]);
    const counter = createActor("counter", (_ctx, self) => self.onCall("where", () => ""));
    expect(await system.spawn(counter, { strategy: { node: "a" }, args: [] }).call("where")).toBe("a");
  });
});

describe("a timer", () => {
  it("D12: for an actor of another node ends with who started it", async () => {
    const [one, two] = pair();
    const seen: unknown[] = [];
    const target = one.system.getRef(two.spawn(Noter(seen)).id) as any;
    const Clock = createActor((_ctx, self) => {
      self.sendInterval({ method: "note", args: ["tick"] }, 2, target);
      return self;
    });
    const clock = one.spawn(Clock);
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(2));
    await one.stop(clock);
    const count = await target.call("count");
    await nodeTimer(20);
    expect(await target.call("count")).toBe(count);
  });
});
