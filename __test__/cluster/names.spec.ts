/**
 * Names across nodes: tables of their owners, copies everywhere, one winner per name.
 */

import { EventEmitter } from "node:events";
import { InMemoryTransport, InvalidArgumentError, NodeDownError, TelemetryEvents, telemetry } from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NameHomes } from "../../lib/cluster/name_homes.js";
import { DistributedRegistry, RegistrySync } from "../../lib/cluster/names.js";
import type { NameConflict } from "../../lib/kernel/collaborators.js";
import { Dice } from "../support/dice.js";
import { printedSeed } from "../support/seed.js";
import { rejection, turns } from "../support/time.js";

interface TestNode {
  id: string;
  transport: InMemoryTransport;
  members: EventEmitter & { getMembers(): string[] };
  sync: RegistrySync;
  registry: DistributedRegistry;
  conflicts: NameConflict[];
}

/** How far clocks of nodes are behind when they hear something, in milliseconds; with fake dates only. */
const behindMs = new Map<string, number>();

function makeNode(id: string): TestNode {
  const transport = new InMemoryTransport(id);
  const subscribe = transport.subscribe.bind(transport);
  transport.subscribe = (topic, handler) => subscribe(topic, (message) => atItsTime(id, () => handler(message)));
  const ids = [id];
  const members = Object.assign(new EventEmitter(), { getMembers: () => ids });
  members.on("member_join", (node: string) => ids.push(node));
  members.on("member_leave", (node: string) => ids.splice(ids.indexOf(node), 1));
  const sync = new RegistrySync(id, transport, members);
  const conflicts: NameConflict[] = [];
  sync.on("conflict", (conflict) => conflicts.push(conflict));
  return { id, transport, members, sync, registry: new DistributedRegistry(id, sync), conflicts };
}

function atItsTime(id: string, act: () => void): void {
  const behind = behindMs.get(id);
  const now = Date.now();
  if (behind !== undefined) vi.setSystemTime(now - behind);
  act();
  if (behind !== undefined) vi.setSystemTime(now);
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

  it("of a node that was thought dead come back with it, though it saw nobody join", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    await b.registry.register("printer", "b", "actor-1");
    await turns();
    a.members.emit("member_leave", "b");
    expect(await a.registry.lookup("printer")).toBeNull();
    a.members.emit("member_join", "b");
    await turns();
    expect(await a.registry.lookup("printer")).toEqual({ nodeId: "b", actorId: "actor-1" });
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
    const told: unknown[] = [];
    telemetry.attach("spec", [TelemetryEvents.cluster.nameConflict], (_name, _numbers, facts) => told.push(facts));
    introduce(a, b); // The partition heals.
    await turns();
    telemetry.reset();
    expect(told).toEqual([{ node_id: "a", name: "leader", actor_id: "younger", winner: "b" }]);
    for (const { registry } of [a, b]) {
      expect(await registry.lookup("leader")).toEqual({ nodeId: "b", actorId: "older" });
    }
    expect(a.conflicts).toEqual([{ name: "leader", actorId: "younger", winner: "b" }]);
    expect(b.conflicts).toEqual([]);
  });

  it("has exactly one winner everywhere, from five nodes that race for a thousand names", async () => {
    const seed = printedSeed();
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

describe("names of a node that was given up and did not notice", () => {
  type Three = [TestNode, TestNode, TestNode];
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  });
  afterEach(() => {
    vi.useRealTimers();
    behindMs.clear();
  });

  /** Node b has two names; the others give it up, and c takes one of them. */
  async function taken(): Promise<Three> {
    const [a, b, c] = (await cluster(["a", "b", "c"])) as Three;
    await b.registry.register("taken", "b", "b1");
    await b.registry.register("free", "b", "b2");
    await turns();
    for (const node of [a, c]) node.members.emit("member_leave", "b");
    vi.advanceTimersByTime(5_000);
    await c.registry.register("taken", "c", "c1");
    await turns();
    vi.advanceTimersByTime(5_000);
    return [a, b, c];
  }

  async function owners(name: string, nodes: TestNode[]): Promise<(string | undefined)[]> {
    return Promise.all(nodes.map(async ({ registry }) => (await registry.lookup(name))?.nodeId));
  }

  const isNews = (message: any) => message.kind === "lost";

  it("stay with those who took them meanwhile; the others come back", async () => {
    const nodes = await taken();
    const [a, b, c] = nodes;
    for (const node of [a, c]) node.members.emit("member_join", "b");
    await turns();
    expect(await owners("taken", nodes)).toEqual(["c", "c", "c"]);
    expect(await owners("free", nodes)).toEqual(["b", "b", "b"]);
    expect(b.conflicts).toEqual([{ name: "taken", actorId: "b1", winner: "c" }]);
    expect([a.conflicts, c.conflicts]).toEqual([[], []]);
    expect(b.sync.namesOf("b")).toEqual(["free"]);
  });

  it("stay with those who took them also if its clock has stood still with the node", async () => {
    const nodes = await taken();
    const [a, b, c] = nodes;
    behindMs.set("b", 10_000);
    for (const node of [a, c]) node.members.emit("member_join", "b");
    await turns();
    expect(await owners("taken", nodes)).toEqual(["c", "c", "c"]);
    expect(await owners("free", nodes)).toEqual(["b", "b", "b"]);
    expect([a.conflicts, b.conflicts.length, c.conflicts]).toEqual([[], 1, []]);
  });

  it("win nothing while the node does not know it yet", async () => {
    const nodes = await taken();
    const [a, b, c] = nodes;
    const unheard = new Set<string>();
    for (const node of [a, c]) {
      const { publishTo } = node.transport;
      node.transport.publishTo = async (to, topic, message) => {
        if (isNews(message)) unheard.add(node.id);
        else await publishTo.call(node.transport, to, topic, message);
      };
      node.members.emit("member_join", "b");
    }
    await b.registry.register("later", "b", "b3");
    await turns();
    expect([...unheard]).toEqual(["a", "c"]);
    expect(await owners("taken", [a, c])).toEqual(["c", "c"]);
    expect(await owners("later", [a, c])).toEqual([undefined, undefined]);
    for (const { transport } of [a, c]) Reflect.deleteProperty(transport, "publishTo"); // Back to the prototype's.
    await vi.waitFor(async () => expect(await owners("later", nodes)).toEqual(["b", "b", "b"]), 10_000);
    expect(await owners("taken", nodes)).toEqual(["c", "c", "c"]);
    expect([a.conflicts, b.conflicts.length, c.conflicts]).toEqual([[], 1, []]);
  });

  it("are registered anew once: late and repeated news change nothing", async () => {
    const nodes = await taken();
    const [a, b, c] = nodes;
    const news: any[] = [];
    await b.transport.subscribe("libeam.names", (message) => {
      if (isNews(message)) news.push(message);
    });
    for (const node of [a, c]) node.members.emit("member_join", "b");
    await turns();
    expect([...new Set(news.map(({ from }) => from))]).toEqual(["a", "c"]);
    const answers: any[] = [];
    await a.transport.subscribe("libeam.names", (message) => {
      if (message.kind === "heard" && message.to === "a") answers.push(message.version);
    });
    for (let i = 0; i < 3; i++) await a.transport.publishTo("b", "libeam.names", news[0]);
    await turns();
    expect(answers).toHaveLength(3);
    expect(new Set(answers).size).toBe(1); // The table has not changed.
    expect(b.conflicts).toHaveLength(1);
  });

  it("of both sides of a partition stay with the older registration", async () => {
    const nodes = await taken();
    const [a, b, c] = nodes;
    for (const node of [a, c]) b.members.emit("member_leave", node.id);
    for (const node of [a, c]) node.members.emit("member_join", "b");
    await turns();
    for (const node of [a, c]) b.members.emit("member_join", node.id);
    await vi.waitFor(async () => expect(await owners("taken", nodes)).toEqual(["b", "b", "b"]), 10_000);
    expect(c.conflicts).toEqual([{ name: "taken", actorId: "c1", winner: "b" }]);
    expect([a.conflicts, b.conflicts]).toEqual([[], []]);
    expect(await owners("free", nodes)).toEqual(["b", "b", "b"]);
  });

  it("of its next life are taken without a question", async () => {
    const [a, b] = await taken();
    await b.registry.disconnect();
    const next = makeNode("b");
    await next.registry.connect();
    a.transport.setPeer("b", next.transport);
    next.transport.setPeer("a", a.transport);
    a.members.emit("member_join", "b");
    await next.registry.register("new", "b", "b4");
    await turns();
    expect(await owners("new", [a])).toEqual(["b"]);
    expect(await owners("free", [a])).toEqual([undefined]);
  });
});

describe("a name that is reserved at its home", () => {
  const home = ({ sync }: TestNode, name: string) => sync._homes.homeOf(name);
  /** A name whose home is a node. */
  const nameAt = (node: TestNode) =>
    Array.from({ length: 1_000 }, (_, n) => `name-${n}`).find((name) => home(node, name) === node.id) as string;

  it("has one home for all, and homes are spread over the members", async () => {
    const nodes = await cluster(["a", "b", "c"]);
    const counts: Record<string, number> = { a: 0, b: 0, c: 0 };
    for (let n = 0; n < 300; n++) {
      const homes = new Set(nodes.map((node) => home(node, `name-${n}`)));
      expect(homes.size).toBe(1);
      counts[[...homes][0] as string]++;
    }
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(50);
  });

  it("moves to another home only if its own leaves", async () => {
    const [a] = (await cluster(["a", "b", "c"])) as [TestNode];
    const names = Array.from({ length: 100 }, (_, n) => `name-${n}`);
    const before = names.map((name) => home(a, name));
    a.members.emit("member_leave", "b");
    const moved = names.filter((name, n) => home(a, name) !== before[n]);
    expect(moved).toEqual(names.filter((_, n) => before[n] === "b"));
  });

  it("is held for one at a time, until it is released, confirmed, or its time is over", async () => {
    const [a, b, c] = (await cluster(["a", "b", "c"])) as [TestNode, TestNode, TestNode];
    for (const name of [a, b, c].map(nameAt)) {
      const first = await a.registry.reserveName(name, "a");
      expect(first).toMatchObject({ holder: null });
      expect(await b.registry.reserveName(name, "b")).toBeNull();
      await a.registry.releaseReservation(first?.reservationId as string);
      await turns();
      const second = await b.registry.reserveName(name, "b");
      expect(await b.registry.confirmReservation(second?.reservationId as string, "1")).toBe(true);
      expect(await b.registry.confirmReservation(second?.reservationId as string, "1")).toBe(false);
      expect(await c.registry.reserveName(name, "c", 0)).toMatchObject({ holder: { nodeId: "b", actorId: "1" } });
      const late = await c.registry.reserveName(name, "c", 0);
      expect(await c.registry.confirmReservation(late?.reservationId as string, "2")).toBe(false);
      expect(await c.registry.lookup(name)).toEqual({ nodeId: "b", actorId: "1" });
    }
  });

  it("is known at its home when it is granted next, even if who asks has not heard of it", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    const name = nameAt(a);
    const { publish } = a.transport;
    a.transport.publish = async () => {}; // What a publishes does not reach b.
    await a.registry.register(name, "a", "1");
    expect(await b.registry.lookup(name)).toBeNull();
    expect(await b.registry.reserveName(name, "b")).toMatchObject({ holder: { nodeId: "a" } });
    a.transport.publish = publish;
  });

  it("is not confirmed if another node has it", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    const reservation = await a.registry.reserveName("x", "a");
    await b.registry.register("x", "b", "1");
    await turns();
    expect(await a.registry.confirmReservation(reservation?.reservationId as string, "2")).toBe(false);
    expect([a.conflicts, b.conflicts]).toEqual([[], []]);
  });

  it("is refused when its home is lost or cannot be reached, and for bad input", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    const name = nameAt(b);
    const send = vi.spyOn(a.transport, "publishTo").mockResolvedValue();
    const waiting = a.registry.reserveName(name, "a");
    a.members.emit("member_leave", "b");
    expect(await rejection(waiting)).toBeInstanceOf(NodeDownError);
    a.members.emit("member_join", "b");
    send.mockRejectedValue(new Error("no way"));
    expect((await rejection(a.registry.reserveName(name, "a"))).message).toBe("no way");
    send.mockRestore();
    expect(await rejection(a.registry.reserveName("", "a"))).toBeInstanceOf(InvalidArgumentError);
    expect((await rejection(a.registry.reserveName("x", "a", -1))).code).toBe("INVALID_OPTION");
    expect((await rejection(a.registry.reserveName("x", "b"))).code).toBe("TRANSPORT_ERROR");
    expect(await a.registry.reserveName(name, "a")).not.toBeNull();
  });

  it("is given back when the answer comes too late", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [TestNode, TestNode];
    const name = nameAt(b);
    const waiting = a.registry.reserveName(name, "a");
    a.members.emit("member_leave", "b"); // A false alarm: b answers.
    expect(await rejection(waiting)).toBeInstanceOf(NodeDownError);
    await turns();
    expect(await b.registry.reserveName(name, "b")).not.toBeNull();
  });

  it("goes to one of five nodes that race for a thousand names, and nobody loses what it got", async () => {
    const seed = printedSeed();
    const dice = new Dice(seed);
    const nodes = await cluster(["a", "b", "c", "d", "e"]);
    const names = Array.from({ length: 1_000 }, (_, i) => `name-${i}`);
    const take = async ({ registry, id }: TestNode, name: string): Promise<number> => {
      const reservation = await registry.reserveName(name, id, 60_000);
      if (reservation === null) return 0;
      if (reservation.holder === null && (await registry.confirmReservation(reservation.reservationId, id))) return 1;
      await registry.releaseReservation(reservation.reservationId);
      return 0;
    };
    const tries = names.map(async (name) => {
      let winners = 0;
      for (let round = 0; round < 3; round++) {
        const racing = nodes.filter(() => dice.chance(0.6));
        const got = await Promise.all(racing.map((node) => take(node, name)));
        winners += got.reduce((sum, n) => sum + n, 0);
        await turns(1);
      }
      return winners;
    });
    const winners = await Promise.all(tries);
    expect(Math.max(...winners), `LIBEAM_SEED=${seed}`).toBe(1);
    expect(winners.filter((n) => n === 1).length, `LIBEAM_SEED=${seed}`).toBeGreaterThan(900);
    await turns();
    expect(nodes.flatMap(({ conflicts }) => conflicts)).toEqual([]);
    const held = nodes.flatMap(({ sync, id }) => sync.namesOf(id));
    expect(held.length).toBe(winners.filter((n) => n === 1).length);
  });

  it("is granted by the node itself while it is not connected", async () => {
    const { transport } = makeNode("a");
    const homes = new NameHomes({ nodeId: "a", transport, cluster: { getMembers: () => ["b"] }, find: () => null });
    expect(homes.homeOf("x")).toBe("a");
  });
});
