/**
 * Names of children on other nodes: a child that was placed anew has the name by right, also if the one before it still
 * lives where nobody has heard of that yet.
 */

import {
  type ActorRef,
  ActorSystem,
  createActor,
  DistributedRegistry,
  FaultyTransport,
  InMemoryTransport,
  loggerConfig,
  type PlacementFunction,
  RegistrySync,
} from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HandmadeCluster } from "../support/handmade_nodes.js";
import { turns } from "../support/time.js";

const IDS = ["home", "first", "second"];
const systems: ActorSystem[] = [];

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(async () => {
  await Promise.all(systems.splice(0).map((system) => system.shutdown({ timeout: 200, drainMailboxes: false })));
});

const Child = createActor("Child", (ctx, self) => self.onCall("where", () => ctx.self.id.systemId));

/** Nodes whose names are exchanged. */
async function startNodes() {
  const nodes = IDS.map((id) => {
    const cluster = new HandmadeCluster(id, [...IDS], {});
    const inner = new InMemoryTransport(id);
    return { id, cluster, inner, transport: new FaultyTransport(inner) };
  });
  for (const { inner } of nodes)
    for (const other of nodes) if (other.inner !== inner) inner.setPeer(other.id, other.inner);
  const made = [];
  for (const node of nodes) {
    const registry = new DistributedRegistry(node.id, new RegistrySync(node.id, node.transport, node.cluster));
    const system = new ActorSystem(node.cluster, node.transport, registry, { maxRestarts: 1_000 });
    system.registerActorClass(Child);
    systems.push(system);
    await registry.connect();
    await system.start();
    made.push({ ...node, registry, system });
  }
  await turns();
  return made as [(typeof made)[0], (typeof made)[0], (typeof made)[0]];
}

/** Puts a named child on the node "first", or "second" when that is gone. */
function spawnChild(system: ActorSystem): Promise<ActorRef> {
  const strategy: PlacementFunction = (members) => members.find((id) => id !== "home") as string;
  const Parent = createActor((ctx, self) => {
    const child = ctx.spawn(Child, { name: "the child", strategy });
    return self.onCall("child", () => child);
  });
  return system.spawn(Parent).call("child") as Promise<ActorRef>;
}

describe("D8: a named child that was placed anew", () => {
  it.each([
    ["its parent's node meets the one of before last", ["second", "home"], true],
    ["its parent's node meets the one of before first", ["home", "second"], true],
    ["its own node was given up by the one of before, and has not noticed", ["second", "home"], false],
  ])("keeps its name when %s", async (_order, meeting, isMutual) => {
    const [home, first, second] = await startNodes();
    const child = (await spawnChild(home.system)) as any;
    expect(await child.call("where")).toBe("first");
    const others = { home, second };
    // The others give the node up, which has not given up its child's parent.
    first.transport.partition("home", "second");
    for (const { transport } of [home, second]) transport.partition("first");
    first.cluster.leave("second");
    if (isMutual) second.cluster.leave("first");
    home.cluster.leave("first");
    await vi.waitFor(async () => expect(await child.call("where")).toBe("second"));
    for (const id of meeting as ("home" | "second")[]) {
      first.transport.heal(id);
      others[id].transport.heal("first");
      if (id === "home" || isMutual) others[id].cluster.join("first");
      if (id === "second") first.cluster.join("second");
      await turns();
    }
    await vi.waitFor(() => expect(first.system.getActors()).toEqual([]));
    await turns();
    expect(second.system.getActors().map(({ name }) => name)).toEqual(["the child"]);
    expect(await child.call("where")).toBe("second");
    for (const { system } of [home, first, second]) {
      await vi.waitFor(async () => {
        const found = (await system.getActorByName("the child")) as any;
        expect(await found.call("where")).toBe("second");
      });
    }
  });
});
