/**
 * Spawning on other nodes: where the strategies put actors, and what becomes of a spawn that does not succeed.
 */

import {
  type ActorLocation,
  type ActorRef,
  ActorSystem,
  createActor,
  LibeamError,
  type LocalConfig,
  NodeDownError,
  NoRoleMatchError,
  PlacementError,
  type PlacementStrategy,
} from "libeam";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  crashNode,
  type HandmadeCluster,
  type HandmadeNode,
  makeNodes,
  nodesEmpty,
} from "../support/handmade_nodes.js";
import { CopyingTransport, SharedNames, Switchboard, silentCluster } from "../support/handwritten.js";
import { makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { gate, rejection, thrown, turns } from "../support/time.js";

const Worker = createActor("Worker", (ctx, self, start = 0) => {
  let count = start;
  return self
    .onCall("add", (n: number) => {
      count += n;
      return count;
    })
    .onCall("where", () => ctx.system.id)
    .onCast("crash", () => {
      throw new Error("broken");
    });
});

const ROLES = { a: ["worker"], b: ["worker", "gpu"], home: ["web"] };

async function nodesWith(...actors: any[]) {
  const nodes = await makeNodes(["home", "a", "b"], { roles: ROLES, actors: [Worker, ...actors] });
  return { nodes, home: nodes[0]?.system as ActorSystem };
}

const places = (refs: ActorRef[]) => refs.map(({ id }) => id.systemId);
const spawnMany = (system: ActorSystem, count: number, strategy: PlacementStrategy, role?: string) =>
  Array.from({ length: count }, () => system.spawn(Worker, { strategy, ...(role === undefined ? {} : { role }) }));

describe("a strategy", () => {
  it("round-robin goes from node to node, with a role among those that have it", async () => {
    const { home } = await nodesWith();
    expect(places(spawnMany(home, 4, "round-robin"))).toEqual(["home", "a", "b", "home"]);
    expect(places(spawnMany(home, 3, "round-robin", "worker"))).toEqual(["a", "b", "a"]);
  });

  it("random stays among the members with the role, and the actors are there", async () => {
    const { nodes, home } = await nodesWith();
    const refs = spawnMany(home, 60, "random", "worker") as any[];
    expect(new Set(places(refs))).toEqual(new Set(["a", "b"]));
    expect(await Promise.all(refs.map((ref) => ref.call("where")))).toEqual(places(refs));
    expect(nodes.map(({ system }) => system.getActors().length).reduce((sum, n) => sum + n)).toBe(60);
  });

  it("a node by its id is that node, this one included", async () => {
    const { home } = await nodesWith();
    expect(await home.spawn(Worker, { strategy: { node: "b" } }).call("where")).toBe("b");
    expect(await home.spawn(Worker, { strategy: { node: "home" } }).call("where")).toBe("home");
    expect(thrown(() => home.spawn(Worker, { strategy: { node: "z" } }))).toBeInstanceOf(PlacementError);
    expect(thrown(() => home.spawn(Worker, { strategy: { node: "a" }, role: "gpu" }))).toBeInstanceOf(PlacementError);
  });

  it("a function is given the members and what is spawned", async () => {
    const { home } = await nodesWith();
    const asked: any[] = [];
    const byName: PlacementStrategy = (members, { name, className, role, nodeId, loadOf }) => {
      asked.push({ members, name, className, role, nodeId, load: loadOf(nodeId) });
      return members[(name?.length ?? 0) % members.length] as string;
    };
    const refs = ["x", "xy"].map((name) => home.spawn(Worker, { strategy: byName, role: "worker", name }));
    expect(places(refs)).toEqual(["b", "a"]);
    expect(asked[0]).toEqual({
      members: ["a", "b"],
      name: "x",
      className: "Worker",
      role: "worker",
      nodeId: "home",
      load: 0,
    });
    const failing = () => {
      throw new Error("no idea");
    };
    expect(thrown(() => home.spawn(Worker, { strategy: failing })).cause.message).toBe("no idea");
    expect(thrown(() => home.spawn(Worker, { strategy: () => "home", role: "worker" }))).toBeInstanceOf(PlacementError);
    expect(home.getActors()).toEqual([]);
  });

  it("refuses roles that nobody has and strategies that do not exist, and nothing is spawned", async () => {
    const { nodes, home } = await nodesWith();
    for (const strategy of ["round-robin", "least-loaded", "random", () => "a"] as PlacementStrategy[]) {
      expect(thrown(() => home.spawn(Worker, { strategy, role: "nobody" }))).toBeInstanceOf(NoRoleMatchError);
    }
    expect(thrown(() => home.spawn(Worker, { role: "worker" }))).toBeInstanceOf(NoRoleMatchError);
    for (const strategy of ["nearest", 7, {}, null] as never[]) {
      expect(thrown(() => home.spawn(Worker, { strategy }))).toBeInstanceOf(LibeamError);
    }
    expect(nodes.flatMap(({ system }) => system.getActors())).toEqual([]);
  });

  it("leaves out who takes no new actors, as long as others do", async () => {
    const { nodes, home } = await nodesWith();
    const [, a, b] = nodes as [HandmadeNode, HandmadeNode, HandmadeNode];
    const choices: PlacementStrategy[] = ["round-robin", "least-loaded", "random", (members) => members[0] as string];
    const placesOf = (strategy: PlacementStrategy) => new Set(places(spawnMany(home, 20, strategy, "worker")));
    await a.system.drain();
    await turns();
    for (const strategy of choices) expect([strategy, placesOf(strategy)]).toEqual([strategy, new Set(["b"])]);
    for (const { cluster } of [home, a.system])
      (cluster as HandmadeCluster).leave(cluster.nodeId === "a" ? "home" : "a");
    for (const { cluster } of [home, a.system])
      (cluster as HandmadeCluster).join(cluster.nodeId === "a" ? "home" : "a");
    await turns();
    expect(placesOf("random")).toEqual(new Set(["b"]));
    const refused = home.spawn(Worker, { strategy: { node: "a" } });
    expect((await rejection(refused.call("where"))).code).toBe("SYSTEM_SHUTTING_DOWN");
    await b.system.drain();
    await turns();
    expect(placesOf("random")).toEqual(new Set(["a", "b"])); // Nobody is left, and each says so.
    a.system.undrain();
    await turns();
    expect(placesOf("round-robin")).toEqual(new Set(["a"]));
    expect(await home.spawn(Worker, { strategy: "random", role: "worker" }).call("where")).toBe("a");
    void a.system.shutdown();
    b.system.undrain();
    await turns();
    expect(placesOf("least-loaded")).toEqual(new Set(["b"]));
  });

  it("chooses among those that are there", async () => {
    const { nodes, home } = await nodesWith();
    await crashNode(nodes, "a");
    expect(places(spawnMany(home, 4, "round-robin", "worker"))).toEqual(["b", "b", "b", "b"]);
  });
});

describe("least-loaded", () => {
  const count = ({ system }: HandmadeNode) => system.getActors().length;

  it("evens out, in one burst as well", async () => {
    const { nodes, home } = await nodesWith();
    const [, a, b] = nodes as [HandmadeNode, HandmadeNode, HandmadeNode];
    for (let n = 0; n < 40; n++) a.system.spawn(Worker);
    home.spawn(Worker, { strategy: "least-loaded", role: "worker" }); // Now the others are followed.
    await vi.waitFor(() => {
      const asked: number[] = [];
      home.spawn(Worker, {
        strategy: (_members, { loadOf }) => {
          asked.push(loadOf("a"), loadOf("b"));
          return "home";
        },
      });
      expect(asked[0]).toBeGreaterThanOrEqual(40);
    });
    const refs = spawnMany(home, 39, "least-loaded", "worker") as any[];
    await Promise.all(refs.map((ref) => ref.call("add", 1)));
    expect(Math.abs(count(a) - count(b))).toBeLessThanOrEqual(4);
    expect(count(b)).toBeGreaterThanOrEqual(36);
  });

  it("hears of what others spawn and stop there", async () => {
    const { nodes, home } = await nodesWith();
    const [, a, b] = nodes as [HandmadeNode, HandmadeNode, HandmadeNode];
    spawnMany(home, 2, "least-loaded", "worker");
    const extra = Array.from({ length: 20 }, () => a.system.spawn(Worker));
    const next = (): string => home.spawn(Worker, { strategy: "least-loaded", role: "worker" }).id.systemId;
    await vi.waitFor(() => expect([next(), next(), next()]).toEqual(["b", "b", "b"]), 5_000);
    await Promise.all(extra.map((ref) => a.system.stop(ref)));
    for (let n = 0; n < 60; n++) b.system.spawn(Worker);
    await vi.waitFor(() => expect([next(), next(), next()]).toEqual(["a", "a", "a"]), 5_000);
  });

  it("asks and tells nobody when nobody places by load, and stops when those who do are gone", async () => {
    const { nodes, home } = await nodesWith();
    const [, a] = nodes as [HandmadeNode, HandmadeNode, HandmadeNode];
    const sent = vi.spyOn(a.transport, "send");
    spawnMany(home, 6, "round-robin");
    expect(sent).not.toHaveBeenCalled();
    spawnMany(home, 1, "least-loaded");
    await vi.waitFor(() => expect(sent).toHaveBeenCalledTimes(1));
    expect(sent.mock.calls[0]?.[1].body).toMatchObject({ kind: "load" });
  });
});

describe("a spawn on another node that does not succeed", () => {
  it("because init throws there rejects calls with its class, code, cause and stack", async () => {
    class OutOfStock extends RangeError {
      override readonly name = "OutOfStock";
      readonly code = "OUT_OF_STOCK";
    }
    const Failing = createActor("Failing", () => {
      throw new OutOfStock("nothing left", { cause: new Error("sold") });
    });
    const { nodes, home } = await nodesWith(Failing);
    const ref = home.spawn(Failing, { strategy: { node: "a" } });
    const error = await rejection(ref.call("anything"));
    expect(error).toBeInstanceOf(RangeError);
    expect([error.name, error.code, error.message, error.cause.message]).toEqual([
      "OutOfStock",
      "OUT_OF_STOCK",
      "nothing left",
      "sold",
    ]);
    expect(error.stack).toContain("placement.spec");
    expect(nodes.flatMap(({ system }) => system.getActors())).toEqual([]);
  });

  it("because the node does not know the class rejects its first call already", async () => {
    const Unknown = createActor("Unknown", (_ctx, self) => self.onCall("x", () => 1));
    const { home } = await nodesWith();
    const ref = home.spawn(Unknown, { strategy: { node: "a" } });
    expect((await rejection(ref.call("x"))).code).toBe("ACTOR_CLASS_NOT_REGISTERED");
    expect(() => ref.cast({ method: "x", args: [] })).not.toThrow();
  });

  it("because the name is taken there, or the node drains, says so", async () => {
    const { nodes, home } = await nodesWith();
    const a = nodes[1]?.system as ActorSystem;
    const owner = a.spawn(Worker, { name: "taken" });
    const taken = home.spawn(Worker, { strategy: { node: "a" }, name: "taken" });
    expect((await rejection(taken.call("add", 1))).code).toBe("NAME_ALREADY_REGISTERED");
    expect(a.getActors()).toHaveLength(1);
    expect(await owner.call("add", 1)).toBe(1);
    await a.drain();
    const refused = home.spawn(Worker, { strategy: { node: "a" } });
    expect((await rejection(refused.call("add", 1))).code).toBe("SYSTEM_SHUTTING_DOWN");
  });

  it("because the node ends meanwhile rejects with NodeDownError", async () => {
    const { nodes, home } = await nodesWith();
    const ref = home.spawn(Worker, { strategy: { node: "a" } });
    void nodes[1]?.transport.disconnect(); // Before the spawn has arrived.
    await crashNode(nodes, "a");
    expect(await rejection(ref.call("add", 1))).toBeInstanceOf(NodeDownError);
    expect(await home.spawn(Worker, { strategy: "round-robin", role: "worker" }).call("where")).toBe("b");
  });
});

describe("a ref to an actor that was spawned from another node", () => {
  it("means the same actor on its own node, and everywhere", async () => {
    const { nodes, home } = await nodesWith();
    const ref = home.spawn(Worker, { strategy: { node: "a" }, args: [5] });
    await ref.call("add", 1);
    for (const { system } of nodes) expect(await system.getRef(ref.id).call({ method: "add", args: [0] })).toBe(6);
  });
});

describe("with a transport, a cluster and a registry of one's own", () => {
  const systems: ActorSystem[] = [];
  afterEach(async () => {
    await Promise.all(systems.splice(0).map((system) => system.shutdown({ timeout: 200, drainMailboxes: false })));
  });

  const Boss = createActor("Boss", (ctx, self) =>
    self
      .childSupervision({ strategy: "one-for-one" })
      .onCall("hire", (node: string) => ctx.spawn(Worker, { strategy: { node }, args: [10] }).id)
      .onCall("children", () => ctx.getChildren().map(({ id }) => id.systemId)),
  );

  async function wire() {
    makeSystem({} as LocalConfig); // Its log is captured for this test.
    const [board, names] = [new Switchboard(), new Map<string, ActorLocation>()];
    const members = ["one", "two"];
    const [one, two] = members.map((id) => {
      const system = new ActorSystem(
        silentCluster(id, members),
        new CopyingTransport(id, board),
        new SharedNames(names),
      );
      system.registerActorClasses([Worker, Boss]);
      systems.push(system);
      return system;
    }) as [ActorSystem, ActorSystem];
    await Promise.all([one.start(), two.start()]);
    return { one, two, board };
  }

  it("actors are spawned, named, called and watched", async () => {
    const { one, two } = await wire();
    const ref = one.spawn(Worker, { strategy: "round-robin", role: "ignored" });
    const far = one.spawn(Worker, { strategy: "round-robin", name: "far" });
    expect(places([ref, far])).toEqual(["one", "two"]);
    expect(await far.call("add", 1)).toBe(1);
    expect(await (await one.getActorByName("far"))?.call({ method: "add", args: [1] })).toBe(2);
    const downs = makeProbe<any>();
    one.spawn(
      createActor((ctx, self) => {
        ctx.watch(far);
        return self.onInfo("down", downs.push);
      }),
    );
    await far.call("add", 1);
    await two.stop(two.getRef(far.id));
    expect((await downs.next()).reason).toEqual({ type: "normal" });
  });

  it("children on other nodes are restarted, placed again, and end with their parent", async () => {
    const { one, two } = await wire();
    const boss = one.spawn(Boss);
    const child = one.getRef(await boss.call("hire", "two")) as any;
    expect(await child.call({ method: "add", args: [1] })).toBe(11);
    child.cast({ method: "crash", args: [] });
    expect(await child.call({ method: "add", args: [2] })).toBe(12);
    await one.stop(boss);
    expect(two.getActors()).toEqual([]);
    const other = one.spawn(Boss);
    const again = one.getRef(await other.call("hire", "two")) as any;
    await again.call({ method: "add", args: [1] });
    two.handleNodeFailure("one"); // Told by hand, since the cluster tells nothing.
    await vi.waitFor(() => expect(two.getActors()).toEqual([]));
    await vi.waitFor(async () => expect(await other.call("children")).toEqual(["two"]));
    await vi.waitFor(async () => expect(await again.call({ method: "add", args: [1] })).toBe(11));
  });

  it("an answer that never comes is waited for as long as the call says, and not longer", async () => {
    const door = gate();
    const Stuck = createActor("Stuck", (_ctx, self) => self.onCall("wait", () => door.promise));
    const { one, two } = await wire();
    two.registerActorClass(Stuck);
    one.registerActorClass(Stuck);
    const stuck = one.spawn(Stuck, { strategy: { node: "two" } });
    expect(await rejection(stuck.call("wait", { timeout: 20 }))).toBeInstanceOf(Error);
    door.open();
  });
});

it("nothing is left of remote spawns", async () => {
  const { nodes, home } = await nodesWith();
  const refs = spawnMany(home, 30, "random") as any[];
  await Promise.all(refs.map((ref) => ref.call("add", 1)));
  await Promise.all(refs.map((ref) => home.stop(ref)));
  await nodesEmpty(nodes);
});
