/**
 * Names and groups: sentences N1 to N8 of docs/SEMANTICS.md.
 */

import { createActor, NameAlreadyRegisteredError } from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { Worker } from "../support/actors.js";
import { gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeSystem } from "../support/system.js";
import { gate, thrown, turns } from "../support/time.js";
import { type WiredNode, Wires } from "../support/wires.js";

const quiet = (): void => {};

describe("a name", () => {
  it("N1: belongs to its actor from spawn until it is gone", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { name: "only", args: ["a", quiet] });
    const second = (): unknown => system.spawn(Worker, { name: "only", args: ["b", quiet] });
    expect(thrown(second)).toBeInstanceOf(NameAlreadyRegisteredError);
    expect((await system.getActorByName("only"))?.id.id).toBe(ref.id.id);

    const door = gate();
    const busy = ref.call("wait", door.promise);
    const stopped = system.stop(ref);
    expect(thrown(second)).toBeInstanceOf(NameAlreadyRegisteredError);
    door.open();
    await Promise.all([busy, stopped]);
    expect(await system.getActorByName("only")).toBeNull();
    expect(second()).toBeDefined();
  });

  it("N1: stays with it over a restart, also while that waits", async () => {
    const system = makeSystem({ supervision: { backoff: { initialMs: 30, jitter: 0 } } });
    const ref = system.spawn(Worker, { name: "only", args: ["a", quiet] });
    ref.cast("crash");
    const answer = ref.call("id");
    // Backing off: nobody answers, and still nobody else gets the name.
    expect(thrown(() => system.spawn(Worker, { name: "only", args: ["b", quiet] }))).toBeInstanceOf(
      NameAlreadyRegisteredError,
    );
    expect(await system.getActorByName("only")).not.toBeNull();
    const id = await answer;
    expect(id).not.toBe(ref.id.id);
    expect((await system.getActorByName("only"))?.id.id).toBe(id);
    expect(thrown(() => system.spawn(Worker, { name: "only", args: ["b", quiet] })).code).toBe(
      "NAME_ALREADY_REGISTERED",
    );
  });
});

describe("a name that is registered at its home", () => {
  it("N8: goes to one of those who ask, and the others are refused and go on", async () => {
    const a = await startNode("a");
    const b = await startNode("b", [gossipOf(a)]);
    await Promise.all([a, b].map((node) => node.waitForCluster({ nodes: ["a", "b"] })));
    for (let n = 0; n < 10; n++) {
      const refs = [a, b].map((node) => node.spawn(Worker, { args: ["w", quiet] }));
      const asked = [a, b].map((node, i) => node.registerName(`name-${n}`, refs[i], { consistency: "home" }));
      const results = await Promise.allSettled(asked);
      expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      const refused = results.find(({ status }) => status === "rejected") as PromiseRejectedResult;
      expect(refused.reason).toBeInstanceOf(NameAlreadyRegisteredError);
      expect(await Promise.all(refs.map((ref) => ref.call("id")))).toEqual(refs.map(({ id }) => id.id));
    }
  });
});

describe("a group", () => {
  it("N2: lists its members in the order in which they joined, each once", async () => {
    const system = makeSystem();
    const [a, b, c] = ["a", "b", "c"].map((label) => system.spawn(Worker, { args: [label, quiet] }));
    for (const ref of [c, a, c, b, a]) system.joinGroup("group", ref);
    expect(system.getGroup("group")).toEqual([c, a, b]);
    system.leaveGroup("group", c);
    system.joinGroup("group", c);
    expect(system.getGroup("group")).toEqual([a, b, c]);
    a.cast("crash");
    await a.call("id");
    expect(system.getGroup("group").map(({ id }) => id.id)).toEqual([await a.call("id"), b.id.id, c.id.id]);
  });
});

describe("a group across nodes", () => {
  let wires = new Wires();
  afterEach(() => wires.end());

  async function nodes(): Promise<[WiredNode, WiredNode, WiredNode]> {
    wires = new Wires();
    return (await wires.startAll(["a", "b", "c"])) as [WiredNode, WiredNode, WiredNode];
  }

  const Noter = createActor((_ctx, self, note: (what: unknown) => void) =>
    self.onCast("note", note).onCall("count", () => {}),
  );
  const join = ({ system }: WiredNode, note: (what: unknown) => void = quiet): any => {
    const ref = system.spawn(Noter, { args: [note] });
    system.joinGroup("group", ref);
    return ref;
  };
  const idsOf = ({ system }: WiredNode) => system.getGroup("group").map(({ id }) => id.id);

  it("N3: lists the members on other nodes behind one's own, by node, in joining order", async () => {
    const [a, b, c] = await nodes();
    const [c1, b1, a1, b2] = [c, b, a, b].map((node) => join(node).id.id);
    expect(idsOf(b)).toEqual([b1, b2]);
    await turns();
    expect(idsOf(b)).toEqual([b1, b2, a1, c1]);
    expect(idsOf(a)).toEqual([a1, b1, b2, c1]);
  });

  it("N4: gets a broadcast by one message per node, in the sender's order, for the members of that moment", async () => {
    const [a, b] = await nodes();
    const heard: unknown[] = [];
    const [first, second] = [join(b, (what) => heard.push(what)), join(b, (what) => heard.push(what))];
    await turns();
    const ref = a.system.getRef(first.id) as any;
    wires.carried.length = 0;
    wires.held = true;
    ref.cast("note", "before");
    a.system.broadcast("group", { method: "note", args: ["all"] });
    ref.cast("note", "after");
    expect(wires.carried.map(({ to }) => to)).toEqual(["b", "b", "b"]);
    await b.system.stop(second);
    wires.held = false;
    wires.flow();
    await ref.call("count");
    expect(heard).toEqual(["before", "all", "after"]);
  });

  it("N5: is changed for an actor by the actor's node", async () => {
    const [a, b, c] = await nodes();
    const there = a.system.getRef(b.system.spawn(Noter, { args: [quiet] }).id);
    a.system.joinGroup("group", there);
    expect(idsOf(a)).toEqual([]);
    await turns();
    for (const node of [a, b, c]) expect(idsOf(node)).toEqual([there.id.id]);
    c.system.leaveGroup("group", there);
    await turns();
    for (const node of [a, b, c]) expect(idsOf(node)).toEqual([]);
  });

  it("N6: loses the members on a node with the node, and its next life begins with none", async () => {
    const [a, b] = await nodes();
    const mine = join(a).id.id;
    join(b);
    await turns();
    expect(idsOf(a)).toHaveLength(2);
    await wires.kill("b");
    wires.announce("member_leave", "b");
    expect(idsOf(a)).toEqual([mine]);
    const again = await wires.start("b");
    wires.announce("member_join", "b");
    await turns();
    expect(idsOf(a)).toEqual([mine]);
    const theirs = join(again).id.id;
    await turns();
    expect(idsOf(a)).toEqual([mine, theirs]);
  });

  it("N7: is the same for all when a partition has ended, noticed or not", async () => {
    const [a, b, c] = await nodes();
    const [a1, b1, c1] = [a, b, c].map((node) => join(node));
    await turns();
    for (const other of ["b", "c"]) wires.cut("a", other);
    b.cluster.emit("member_leave", "a");
    await a.system.stop(a1);
    await c.system.stop(c1);
    const a2 = join(a);
    expect(idsOf(c)).toContain(a1.id.id);
    wires.heal();
    b.cluster.emit("member_join", "a");
    for (const { groups } of [a, b, c]) groups._exchange();
    await turns();
    expect([a, b, c].map(idsOf)).toEqual([
      [a2.id.id, b1.id.id],
      [b1.id.id, a2.id.id],
      [a2.id.id, b1.id.id],
    ]);
  });
});
