/**
 * Groups across nodes: members of all, one message per node, order, ends of actors and nodes, and a random history
 * against a model. Over in-memory wires, over ZeroMQ, and with processes that are killed.
 */

import {
  type ActorRef,
  type ActorSystem,
  createActor,
  type DistributedSystem,
  InvalidArgumentError,
  loggerConfig,
  telemetry,
} from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Dice } from "../support/dice.js";
import { forkNode, gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeProbe } from "../support/probe.js";
import { printedSeed } from "../support/seed.js";
import { thrown, turns } from "../support/time.js";
import { type WiredNode, Wires } from "../support/wires.js";

const wired: Wires[] = [];

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(async () => {
  await Promise.all(wired.splice(0).map((wires) => wires.end()));
});

function makeWires(dice?: Dice): Wires {
  const wires = new Wires(dice);
  wired.push(wires);
  return wires;
}

async function three(): Promise<{ wires: Wires; a: WiredNode; b: WiredNode; c: WiredNode }> {
  const wires = makeWires();
  const [a, b, c] = (await wires.startAll(["a", "b", "c"])) as [WiredNode, WiredNode, WiredNode];
  return { wires, a, b, c };
}

/** Members and what they are told, in order. */
const Member = createActor("Member", (ctx, self, note: (what: unknown) => void = () => {}) =>
  self
    .onCast("note", note)
    .onCast("crash", () => {
      throw new Error("crashed on purpose");
    })
    .onCast("leave", () => ctx.exit("normal"))
    .onCall("id", () => ctx.self.id.id),
);

const spawn = (system: ActorSystem, note?: (what: unknown) => void): any => system.spawn(Member, { args: [note] });
const idsOf = (system: ActorSystem, group = "all") => system.getGroup(group).map(({ id }) => id.id);

describe("a group with members on three nodes", () => {
  it("is the same for all: one's own members first, then the others by node, in joining order", async () => {
    const { a, b, c } = await three();
    const [a1, a2, b1, b2, c1] = [a, a, b, b, c].map(({ system }) => spawn(system));
    for (const [{ system }, ref] of [
      [c, c1],
      [b, b2],
      [a, a2],
      [b, b1],
      [a, a1],
      [b, b2],
    ] as [WiredNode, ActorRef][]) {
      system.joinGroup("all", ref);
      await turns();
    }
    const order = (refs: ActorRef[]) => refs.map(({ id }) => id.id);
    expect(idsOf(a.system)).toEqual(order([a2, a1, b2, b1, c1]));
    expect(idsOf(b.system)).toEqual(order([b2, b1, a2, a1, c1]));
    expect(idsOf(c.system)).toEqual(order([c1, a2, a1, b2, b1]));
    expect(a.groups.getGroups()).toEqual(["all"]);
    expect(a.groups.getMembers("all").map(({ nodeId }) => nodeId)).toEqual(["a", "a", "b", "b", "c"]);
  });

  it("gives refs that work, the same ones as long as nothing changes", async () => {
    const { a, b } = await three();
    const member = b.system.spawn(Member, { name: "named" });
    b.system.joinGroup("all", member);
    await turns();
    const [ref] = a.system.getGroup("all") as any[];
    expect(await ref.call("id")).toBe(member.id.id);
    expect([ref.id.systemId, ref.id.name]).toEqual(["b", "named"]);
    expect(a.system.getGroup("all")[0]).toBe(ref);
  });

  it("loses a member that leaves, is stopped, ends by itself or crashes for good", async () => {
    const { a, b } = await three();
    const members = [0, 1, 2, 3, 4].map(() => spawn(b.system));
    for (const ref of members) for (const group of ["all", "other"]) b.system.joinGroup(group, ref);
    await turns();
    expect(a.system.getGroup("all")).toHaveLength(5);
    b.system.leaveGroup("all", members[0]);
    await b.system.stop(members[1]);
    members[2].cast("leave");
    for (let crash = 0; crash < 4; crash++) members[3].cast("crash");
    await vi.waitFor(() => expect(idsOf(a.system)).toEqual([members[4].id.id]));
    expect(idsOf(a.system, "other")).toEqual([members[0].id.id, members[4].id.id]);
  });

  it("keeps a restarted member in its place, under its new id", async () => {
    const { a, b } = await three();
    const members = [0, 1].map(() => spawn(b.system));
    for (const ref of members) b.system.joinGroup("all", ref);
    members[0].cast("crash");
    const id = await members[0].call("id");
    expect(id).not.toBe(members[0].id.id);
    await turns();
    expect(idsOf(a.system)).toEqual([id, members[1].id.id]);
    expect(await (a.system.getGroup("all")[0] as any).call("id")).toBe(id);
  });

  it("forgets an actor whose start failed after it had joined", async () => {
    const { a, b } = await three();
    const Failing = createActor((ctx) => {
      ctx.system.joinGroup("all", ctx.self);
      throw new Error("no start");
    });
    expect(thrown(() => b.system.spawn(Failing)).message).toBe("no start");
    await turns();
    for (const { system, groups } of [a, b]) {
      expect(system.getGroup("all")).toEqual([]);
      expect(groups.getGroups()).toEqual([]);
    }
  });

  it("is joined and left for an actor of another node by that node", async () => {
    const { a, b, c } = await three();
    b.system.registerActorClass(Member);
    const there = b.system.getRef(spawn(c.system).id);
    b.system.joinGroup("all", there);
    b.system.joinGroup("all", there);
    await turns();
    for (const { system } of [a, b, c]) expect(idsOf(system)).toEqual([there.id.id]);
    expect(c.system._counters().memberships).toBe(1);
    a.system.leaveGroup("all", there);
    await turns();
    for (const { system } of [a, b, c]) expect(idsOf(system)).toEqual([]);
    expect(thrown(() => b.system.joinGroup("", there))).toBeInstanceOf(InvalidArgumentError);
    expect(thrown(() => b.system.joinGroup("all", {} as ActorRef))).toBeInstanceOf(InvalidArgumentError);
  });

  it("takes an actor that was spawned from elsewhere, before its node has answered", async () => {
    const { a, b } = await three();
    b.system.registerActorClass(Member);
    vi.spyOn(a.cluster as never as { getMembers(): string[] }, "getMembers").mockReturnValue(["b"]);
    const ref = a.system.spawn(Member, { strategy: "round-robin" });
    a.system.joinGroup("all", ref);
    await turns();
    const [member] = a.system.getGroup("all") as any[];
    expect(idsOf(b.system)).toEqual([member.id.id]);
    expect(await member.call("id")).toBe(await ref.call("id"));
  });
});

describe("a broadcast", () => {
  it("is one message for each node with members, whatever their number, and none for the others", async () => {
    const { wires, a, b, c } = await three();
    const heard = makeProbe<string>();
    for (const [{ system, id }, count] of [
      [a, 2],
      [b, 50],
    ] as [WiredNode, number][]) {
      for (let n = 0; n < count; n++)
        system.joinGroup(
          "all",
          spawn(system, () => heard.push(id)),
        );
    }
    c.system.joinGroup("another", spawn(c.system));
    await turns();
    wires.carried.length = 0;
    for (let n = 0; n < 3; n++) a.system.broadcast("all", { method: "note", args: [n] });
    const events = await heard.atLeast(156);
    await turns();
    expect(heard.events).toHaveLength(156);
    expect(events.filter((id) => id === "a")).toHaveLength(6);
    expect(wires.carried.map(({ to, message: { body } }) => [to, body.kind])).toEqual([
      ["b", "broadcast"],
      ["b", "broadcast"],
      ["b", "broadcast"],
    ]);
  });

  it("arrives in the order of its sender's other messages", async () => {
    const { a, b } = await three();
    const heard = makeProbe<number>();
    const member = spawn(b.system, heard.push as (what: unknown) => void);
    b.system.joinGroup("all", member);
    await turns();
    const ref = a.system.getRef(member.id) as any;
    for (let n = 0; n < 1_000; n += 2) {
      a.system.broadcast("all", { method: "note", args: [n] });
      ref.cast("note", n + 1);
    }
    expect(await heard.atLeast(1_000)).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
  });

  it("reaches those who are members where it arrives", async () => {
    const { wires, a, b } = await three();
    const heard = makeProbe<string>();
    const [early, late] = ["early", "late"].map((name) => spawn(b.system, () => heard.push(name)));
    b.system.joinGroup("all", early);
    await turns();
    wires.held = true;
    a.system.broadcast("all", { method: "note", args: [] });
    b.system.leaveGroup("all", early);
    b.system.joinGroup("all", late);
    wires.held = false;
    wires.flow();
    await heard.atLeast(1);
    await Promise.all([early.call("id"), late.call("id")]);
    expect(heard.events).toEqual(["late"]);
  });

  it("that cannot be sent is a dead letter and harms nobody", async () => {
    const { a, b } = await three();
    const heard = makeProbe<unknown>();
    a.system.joinGroup("all", spawn(a.system, heard.push));
    b.system.joinGroup("all", spawn(b.system));
    await turns();
    const letters = makeProbe<any>();
    telemetry.attach("spec", [["libeam", "actor", "dead_letter"]], (_name, _numbers, facts) => letters.push(facts));
    vi.spyOn(a.transport, "send").mockRejectedValue(new Error("no way"));
    a.system.broadcast("all", { method: "note", args: [1] });
    expect(await letters.next()).toMatchObject({ message_type: "cast", reason: "not_sent" });
    telemetry.detach("spec");
    expect(await heard.next()).toBe(1);
  });
});

describe("nodes that come and go", () => {
  it("a node that joins late sees all members, and is seen", async () => {
    const { wires, a, b } = await three();
    for (let n = 0; n < 100; n++) a.system.joinGroup(`g${n % 10}`, spawn(a.system));
    b.system.joinGroup("g3", spawn(b.system));
    const late = await wires.start("late");
    late.system.joinGroup("g3", spawn(late.system));
    wires.announce("member_join", "late");
    await turns();
    expect(late.system.getGroup("g3")).toHaveLength(12);
    expect(late.groups.getGroups().sort()).toEqual(Array.from({ length: 10 }, (_, n) => `g${n}`));
    expect(a.system.getGroup("g3")).toHaveLength(12);
  });

  it("a node that is lost takes its members along, and no broadcast goes there", async () => {
    const { wires, a, b } = await three();
    for (const { system } of [a, b]) system.joinGroup("all", spawn(system));
    await turns();
    await wires.kill("b");
    wires.announce("member_leave", "b");
    expect(a.system.getGroup("all").map(({ id }) => id.systemId)).toEqual(["a"]);
    wires.carried.length = 0;
    a.system.broadcast("all", { method: "note", args: [] });
    expect(wires.carried).toEqual([]);
  });

  it("a system that is told of the loss by hand drops its members too", async () => {
    const { a, b } = await three();
    b.system.joinGroup("all", spawn(b.system));
    await turns();
    a.system.handleNodeFailure("b");
    expect(a.system.getGroup("all")).toEqual([]);
  });

  it("a node that starts again has the members of its new life only, seen or not", async () => {
    for (const seen of [true, false]) {
      const { wires, a, b } = await three();
      b.system.joinGroup("all", spawn(b.system));
      await turns();
      await wires.kill("b");
      if (seen) wires.announce("member_leave", "b");
      const again = await wires.start("b");
      if (seen) wires.announce("member_join", "b");
      await turns();
      expect(a.system.getGroup("all")).toEqual([]);
      const member = spawn(again.system);
      again.system.joinGroup("all", member);
      await turns();
      expect(idsOf(a.system)).toEqual([member.id.id]);
    }
  });

  it("a partition hides the members of the other side, and its end brings those of now back", async () => {
    const { wires, a, b, c } = await three();
    const members = [a, b, c].map(({ system }) => spawn(system));
    for (const [n, { system }] of [a, b, c].entries()) system.joinGroup("all", members[n]);
    await turns();
    wires.cut("a", "b");
    wires.cut("a", "c");
    a.cluster.emit("member_leave", "b");
    a.cluster.emit("member_leave", "c");
    for (const { cluster } of [b, c]) cluster.emit("member_leave", "a");
    expect(idsOf(a.system)).toEqual([members[0].id.id]);
    await c.system.stop(members[2]);
    const another = spawn(a.system);
    a.system.joinGroup("all", another);
    await turns();
    expect(idsOf(b.system)).toEqual([members[1].id.id]);
    wires.heal();
    wires.announce("member_join", "a");
    await turns();
    expect(idsOf(a.system)).toEqual([members[0].id.id, another.id.id, members[1].id.id]);
    expect(idsOf(c.system)).toEqual([members[0].id.id, another.id.id, members[1].id.id]);
  });
});

/** What groups should be: for each node of now and each group, the members in joining order. */
class Model {
  private readonly members = new Map<string, ActorRef[]>();

  at(node: string, group: string): ActorRef[] {
    const key = `${node} ${group}`;
    const known = this.members.get(key) ?? [];
    this.members.set(key, known);
    return known;
  }

  join(node: string, group: string, ref: ActorRef): void {
    if (!this.at(node, group).includes(ref)) this.at(node, group).push(ref);
  }

  leave(node: string, group: string, ref: ActorRef): void {
    const members = this.at(node, group);
    if (members.includes(ref)) members.splice(members.indexOf(ref), 1);
  }

  seenFrom(node: string, nodes: string[], group: string): string[] {
    const order = [node, ...nodes.filter((other) => other !== node).sort()];
    return order.flatMap((at) => this.at(at, group)).map(({ id }) => id.id);
  }
}

const GROUPS = ["red", "green", "blue"];
const NODES = ["n1", "n2", "n3", "n4"];

/** A random history: joins, leaves, stops, lost messages, late messages, partitions, nodes that are killed and come back. */
class History {
  readonly model = new Model();
  readonly wires: Wires;
  private readonly living = new Map<string, ActorRef[]>(NODES.map((id) => [id, []]));

  constructor(private readonly dice: Dice) {
    this.wires = makeWires(dice);
  }

  async run(steps: number): Promise<void> {
    await this.wires.startAll(NODES);
    this.wires.held = true;
    this.wires.loss = this.dice.pick([0, 0.05, 0.3]);
    for (let step = 0; step < steps; step++) {
      await this.step();
      this.wires.flow(this.dice.below(4), () => this.dice.chance(0.5));
      if (this.dice.chance(0.3)) await turns(1);
    }
  }

  private async step(): Promise<void> {
    const { dice, model } = this;
    const node = this.wires.nodes.get(dice.pick(NODES)) as WiredNode;
    const refs = this.living.get(node.id) as ActorRef[];
    const group = dice.pick(GROUPS);
    const chance = dice.next();
    if (chance < 0.3 || refs.length === 0) refs.push(spawn(node.system));
    const ref = dice.pick(refs);
    if (chance < 0.65) {
      node.system.joinGroup(group, ref);
      model.join(node.id, group, ref);
    } else if (chance < 0.8) {
      node.system.leaveGroup(group, ref);
      model.leave(node.id, group, ref);
    } else if (chance < 0.9) await this.stop(node, ref);
    else if (chance < 0.95) this.partition();
    else if (chance < 0.98) this.heal();
    else await this.restart(node.id);
  }

  private async stop({ id, system }: WiredNode, ref: ActorRef): Promise<void> {
    await system.stop(ref);
    this.living.get(id)?.splice(this.living.get(id)?.indexOf(ref) as number, 1);
    for (const group of GROUPS) this.model.leave(id, group, ref);
  }

  /** Cuts two nodes; each of them may notice, or not. */
  private partition(): void {
    const [a, b] = [this.dice.pick(NODES), this.dice.pick(NODES)];
    if (a === b) return;
    this.wires.cut(a, b);
    if (this.dice.chance(0.5)) this.wires.nodes.get(a)?.cluster.emit("member_leave", b);
    if (this.dice.chance(0.5)) this.wires.nodes.get(b)?.cluster.emit("member_leave", a);
  }

  heal(): void {
    this.wires.heal();
    for (const id of NODES) this.wires.announce("member_join", id);
  }

  /** A life ends without a word, perhaps unnoticed, and another one begins; old messages may still arrive. */
  private async restart(id: string): Promise<void> {
    await this.wires.kill(id, this.dice.chance(0.5));
    this.living.set(id, []);
    for (const group of GROUPS) this.model.at(id, group).length = 0;
    const noticed = this.dice.chance(0.5);
    if (noticed) this.wires.announce("member_leave", id);
    await this.wires.start(id);
    if (noticed) this.wires.announce("member_join", id);
  }

  /** Nothing is lost any more, and what is exchanged now and then is exchanged. */
  async calm(): Promise<void> {
    this.wires.loss = 0;
    this.wires.held = false;
    this.wires.flow();
    this.heal();
    await turns();
    for (let round = 0; round < 2; round++) {
      for (const { groups } of this.wires.nodes.values()) groups._exchange();
      await turns();
    }
  }

  views(): Record<string, string[]> {
    const views: Record<string, string[]> = {};
    for (const { id, system } of this.wires.nodes.values()) {
      for (const group of GROUPS) views[`${group} from ${id}`] = idsOf(system, group);
    }
    return views;
  }

  expected(): Record<string, string[]> {
    const views: Record<string, string[]> = {};
    for (const id of this.wires.nodes.keys()) {
      for (const group of GROUPS) views[`${group} from ${id}`] = this.model.seenFrom(id, NODES, group);
    }
    return views;
  }
}

describe("random histories", () => {
  const seed = printedSeed();

  it.each(Array.from({ length: 20 }, (_, n) => seed + n))(
    "end with the groups of a plain model: LIBEAM_SEED=%i",
    async (of) => {
      const history = new History(new Dice(of));
      await history.run(200);
      await history.calm();
      expect(history.views()).toEqual(history.expected());
    },
  );
});

describe("nodes of a real cluster", () => {
  const nodesOf = (system: DistributedSystem, group: string) => system.getGroup(group).map(({ id }) => id.systemId);
  const sees = (system: DistributedSystem, group: string, nodes: string[]) =>
    vi.waitFor(() => expect(nodesOf(system, group)).toEqual(nodes), 10_000);

  it("see each other's members, also those of before, and broadcast with one frame per node", async () => {
    const a = await startNode("a");
    const heard = makeProbe<string>();
    for (let n = 0; n < 3; n++)
      a.joinGroup(
        "all",
        spawn(a.system, (what) => heard.push(`a:${what}`)),
      );
    const [b, c] = await Promise.all([startNode("b", [gossipOf(a)]), startNode("c", [gossipOf(a)])]);
    for (const node of [b, c]) {
      for (let n = 0; n < 3; n++)
        node.joinGroup(
          "all",
          spawn(node.system, (what) => heard.push(`${node.nodeId}:${what}`)),
        );
    }
    await sees(a, "all", ["a", "a", "a", "b", "b", "b", "c", "c", "c"]);
    await sees(b, "all", ["b", "b", "b", "a", "a", "a", "c", "c", "c"]);
    const send = vi.spyOn(b.transport, "post");
    b.broadcast("all", { method: "note", args: ["hello"] });
    expect((await heard.atLeast(9)).sort()).toEqual(["a", "b", "c"].flatMap((id) => Array(3).fill(`${id}:hello`)));
    expect(send.mock.calls.map(([node]) => node).sort()).toEqual(["a", "c"]);
  });

  it("lose the members of a node that is killed, and get those of its next life", async () => {
    const home = await startNode("home");
    const { child: victim } = await forkNode("victim", [gossipOf(home)]);
    await sees(home, "workers", ["victim"]);
    const [worker] = home.getGroup("workers") as any[];
    expect(await worker.call("where")).toBe("victim");
    home.broadcast("workers", { method: "count", args: [] });
    expect(await worker.call("add", 1)).toBe(2);
    victim.kill("SIGKILL");
    await sees(home, "workers", []);
    await forkNode("victim", [gossipOf(home)]);
    await sees(home, "workers", ["victim"]);
    expect(await (home.getGroup("workers")[0] as any).call("add", 5, { timeout: 10_000 })).toBe(5);
  });

  it("see the members of a node that was stopped and goes on", async () => {
    const home = await startNode("home");
    const { child: other } = await forkNode("other", [gossipOf(home)]);
    await sees(home, "workers", ["other"]);
    other.kill("SIGSTOP");
    await sees(home, "workers", []);
    home.joinGroup("workers", spawn(home.system));
    other.kill("SIGCONT");
    await sees(home, "workers", ["home", "other"]);
    const members = () => (home.getGroup("workers")[1] as any).call("members", { timeout: 10_000 });
    await vi.waitFor(async () => expect(await members()).toEqual(["other", "home"]), 10_000);
  });
});
