/**
 * Names across nodes: tables of their owners, copies everywhere, one winner per name.
 */

import { EventEmitter } from "node:events";
import { InMemoryTransport } from "libeam";
import { describe, expect, it } from "vitest";
import { DistributedRegistry, type NameConflict, RegistrySync } from "../../lib/cluster/names.js";
import { Dice } from "../support/dice.js";
import { rejection, turns } from "../support/time.js";

interface TestNode {
  id: string;
  transport: InMemoryTransport;
  members: EventEmitter;
  sync: RegistrySync;
  registry: DistributedRegistry;
  conflicts: NameConflict[];
}

function makeNode(id: string): TestNode {
  const transport = new InMemoryTransport(id);
  const members = new EventEmitter();
  const sync = new RegistrySync(id, transport, members);
  const conflicts: NameConflict[] = [];
  sync.on("conflict", (conflict) => conflicts.push(conflict));
  return { id, transport, members, sync, registry: new DistributedRegistry(id, sync), conflicts };
}

/** Makes two nodes see each other, as membership would. */
function introduce(a: TestNode, b: TestNode): void {
  a.transport.setPeer(b.id, b.transport);
  b.transport.setPeer(a.id, a.transport);
  a.members.emit("member_join", b.id);
  b.members.emit("member_join", a.id);
}

async function cluster(ids: string[]): Promise<TestNode[]> {
  const nodes = ids.map(makeNode);
  await Promise.all(nodes.map(({ registry }) => registry.connect()));
  for (const [at, node] of nodes.entries()) for (const other of nodes.slice(at + 1)) introduce(node, other);
  await turns();
  return nodes;
}

describe("names", () => {
  it("are known everywhere, and free everywhere when they are given back", async () => {
    const [a, b, c] = (await cluster(["a", "b", "c"])) as [TestNode, TestNode, TestNode];
    await b.registry.register("printer", "b", "actor-1");
    await turns();
    for (const { registry } of [a, b, c]) {
      expect(await registry.lookup("printer")).toEqual({ nodeId: "b", actorId: "actor-1" });
    }
    expect(await a.registry.getNodeActors("b")).toEqual(["printer"]);
    await b.registry.unregister("printer");
    await turns();
    for (const { registry } of [a, b, c]) expect(await registry.lookup("printer")).toBeNull();
  });

  it("are known to who joins late, and gone with the node that had them", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    for (let i = 0; i < 100; i++) await a.registry.register(`name-${i}`, "a", `actor-${i}`);
    await turns();
    const late = makeNode("late");
    await late.registry.connect();
    introduce(a, late);
    introduce(b, late);
    await turns();
    expect((await late.registry.getNodeActors("a")).length).toBe(100);
    late.members.emit("member_leave", "a");
    expect(await late.registry.lookup("name-7")).toBeNull();
  });

  it("of a node that only seemed to be gone come back with it", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    await a.registry.register("printer", "a", "1");
    await turns();
    b.members.emit("member_leave", "a"); // Node a was stopped for a while and has missed nobody.
    expect(await b.registry.lookup("printer")).toBeNull();
    b.members.emit("member_join", "a");
    await turns();
    expect(await b.registry.lookup("printer")).toEqual({ nodeId: "a", actorId: "1" });
  });

  it("of a node that missed a change are asked for again", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    await a.registry.register("first", "a", "1");
    await turns();
    const { publish } = a.transport;
    a.transport.publish = async () => {}; // Lost on the way.
    await a.registry.register("second", "a", "2");
    a.transport.publish = publish;
    await a.registry.register("third", "a", "3");
    await turns();
    expect(await b.registry.getNodeActors("a")).toEqual(["first", "second", "third"]);
  });

  it("of another node cannot be registered here", async () => {
    const [a] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    expect((await rejection(a.registry.register("x", "b", "1"))).code).toBe("TRANSPORT_ERROR");
  });
});

describe("one name on two nodes", () => {
  it("stays with the older registration, and the loser's node is told", async () => {
    const [a, b] = [makeNode("a"), makeNode("b")];
    await Promise.all([a.registry.connect(), b.registry.connect()]);
    await b.registry.register("leader", "b", "older");
    const { now } = Date;
    Date.now = () => now() + 1_000;
    await a.registry.register("leader", "a", "younger");
    Date.now = now;
    introduce(a, b); // The partition heals.
    await turns();
    for (const { registry } of [a, b]) {
      expect(await registry.lookup("leader")).toEqual({ nodeId: "b", actorId: "older" });
    }
    expect(a.conflicts).toEqual([{ name: "leader", actorId: "younger", winner: "b" }]);
    expect(b.conflicts).toEqual([]);
  });

  it("has exactly one winner everywhere, from five nodes that race for a thousand names", async () => {
    const seed = Number(process.env.LIBEAM_SEED ?? Date.now() % 1_000_000);
    const dice = new Dice(seed);
    const nodes = await cluster(["a", "b", "c", "d", "e"]);
    const names = Array.from({ length: 1_000 }, (_, i) => `name-${i}`);
    for (const name of names) {
      for (const node of nodes) if (dice.chance(0.7)) void node.registry.register(name, node.id, `${node.id}:${name}`);
      if (dice.chance(0.05)) await turns(1);
    }
    await turns(20);
    for (const name of names) {
      const seen = new Set<string>();
      for (const { registry } of nodes) seen.add(JSON.stringify(await registry.lookup(name)));
      expect([...seen], `LIBEAM_SEED=${seed}: ${name}`).toHaveLength(1);
    }
    const held = nodes.flatMap(({ sync, id }) => sync.namesOf(id));
    expect(new Set(held).size, `LIBEAM_SEED=${seed}: a name is held twice`).toBe(held.length);
  });
});
