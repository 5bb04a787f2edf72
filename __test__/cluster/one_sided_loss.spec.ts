/**
 * One node gives another one up, which goes on in the same life and has lost nobody: both end what was between them, once.
 * When both have lost each other nothing ends that was made since.
 */

import { type ActorRef, type ChildSupervisionOptions, createActor, NodeDownError } from "libeam";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type HandmadeNode, loggedByNodes, makeNodes, nodesEmpty } from "../support/handmade_nodes.js";
import { makeProbe, type Probe } from "../support/probe.js";
import { type Gate, gate, rejection, stateOf, turns } from "../support/time.js";

/** What the watchers of a test hear, as `watcher: message reason`. */
let heard: Probe<string>;
/** Where children begin. */
let born: Probe<string>;
/** Until it opens, calls of `hold` have no answer. */
let held: Gate<string>;

beforeEach(() => {
  heard = makeProbe();
  born = makeProbe();
  held = gate();
});

const Target = createActor("Target", (ctx, self) => {
  born.push(ctx.system.id);
  return self
    .onCall("ping", () => "pong")
    .onCall("hold", () => held.promise)
    .onCall("leave", () => ctx.exit());
});

const Watcher = createActor("Watcher", (ctx, self, label: string) => {
  ctx.setTrapExit(true);
  return self
    .onCall("watch", (ref: ActorRef) => void ctx.watch(ref))
    .onCall("link", (ref: ActorRef) => void ctx.link(ref))
    .onCall("ask", (ref: ActorRef) => (ref as any).call("ping"))
    .onInfo("down", ({ reason }) => heard.push(`${label}: down ${reason.type}`))
    .onInfo("exit", ({ reason }) => heard.push(`${label}: exit ${reason.type}`));
});

const Parent = createActor("Parent", (ctx, self, supervision: Partial<ChildSupervisionOptions> = {}) =>
  self.childSupervision(supervision).onCall("spawn", (node: string) => void ctx.spawn(Target, { strategy: { node } })),
);

interface Side {
  node: HandmadeNode;
  target: ActorRef;
  watcher: any;
  /** The target of the other side. */
  other: any;
}

async function sides(ids = ["a", "b"]): Promise<[Side, Side]> {
  const nodes = (await makeNodes(ids, { actors: [Target, Parent] })).slice(0, 2);
  const made = nodes.map((node) => ({
    node,
    target: node.system.spawn(Target),
    watcher: node.system.spawn(Watcher, { args: [node.id] }),
  }));
  const [a, b] = made as [(typeof made)[0], (typeof made)[0]];
  return [
    { ...a, other: a.node.system.getRef(b.target.id) },
    { ...b, other: b.node.system.getRef(a.target.id) },
  ];
}

/** Has the watchers of both sides watch the other side's target and link to it. */
async function tie(...all: Side[]): Promise<void> {
  for (const { watcher, other } of all) {
    await watcher.call("watch", other);
    await watcher.call("link", other);
  }
  await turns();
}

/** What the parts that serve other nodes keep about watches, links and requests. */
function kept({ system }: HandmadeNode): Record<string, number> {
  const { relations, peers, calls } = (system as any).remote;
  const { shadows, ends, observed } = relations;
  const served = new Set([...calls.served.values()].flat().filter((of) => of !== undefined));
  const maps = { shadows, ends, observed, pending: peers.pending, waiting: calls.waiting, served };
  return Object.fromEntries(Object.entries<{ size: number }>(maps).map(([name, { size }]) => [name, size]));
}

const NOTHING = { shadows: 0, ends: 0, observed: 0, pending: 0, waiting: 0, served: 0 };
const ALL_ENDED = ["a: down killed", "a: exit error", "b: down killed", "b: exit error"];

/** `a` gives `b` up and sees it again; `b` sees nothing of that. */
async function giveUp(a: Side, b: Side): Promise<void> {
  a.node.cluster.leave(b.node.id);
  await turns();
  a.node.cluster.join(b.node.id);
}

describe("a loss that one side has seen", () => {
  it("gives DOWN and EXIT once on both sides, and leaves nothing behind", async () => {
    const [a, b] = await sides();
    await tie(a, b);
    a.node.cluster.leave("b");
    await heard.atLeast(2);
    await turns();
    expect([...heard.events].sort()).toEqual(ALL_ENDED.slice(0, 2)); // Its own, and b knows nothing.
    a.node.cluster.join("b");
    await heard.atLeast(4);
    await vi.waitFor(() => expect([kept(a.node), kept(b.node)]).toEqual([NOTHING, NOTHING]));
    expect([...heard.events].sort()).toEqual(ALL_ENDED);
    expect(loggedByNodes().filter(({ message }) => message.includes("had lost this node"))).toHaveLength(1);
    for (const { node, watcher, target } of [a, b])
      await Promise.all([watcher, target].map((ref) => node.system.stop(ref)));
    await nodesEmpty([a.node, b.node]);
    expect(heard.events).toHaveLength(4);
  });

  it("refuses calls under way of both, and lets later ones through", async () => {
    const [a, b] = await sides();
    const calls = [a, b].map(({ other }) => rejection(other.call("hold", { timeout: Number.POSITIVE_INFINITY })));
    await turns();
    await giveUp(a, b);
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(NodeDownError);
    held.open("too late");
    expect(await Promise.all([a.other.call("ping"), b.other.call("ping")])).toEqual(["pong", "pong"]);
    await vi.waitFor(() => expect([kept(a.node), kept(b.node)]).toEqual([NOTHING, NOTHING]));
  });

  it("leaves alone what is made after it, and what is between others", async () => {
    const [a, b] = await sides(["a", "b", "c"]);
    await tie(a, b);
    await giveUp(a, b);
    await heard.atLeast(4);
    await tie(a, b);
    await a.watcher.call("ask", a.other);
    await turns();
    expect(heard.events).toHaveLength(4);
    heard.clear();
    await b.other.call("leave").catch(() => {});
    await heard.atLeast(2);
    expect([...heard.events].sort()).toEqual(["b: down normal", "b: exit normal"]);
  });

  it("is known before anything that the other side makes since, though nobody has told it apart", async () => {
    const [a, b] = await sides();
    await tie(b);
    const { send, request } = a.node.transport;
    a.node.cluster.leave("b");
    await turns();
    const lost = vi.spyOn(a.node.transport, "request").mockRejectedValue(new Error("lost on the way"));
    a.node.cluster.join("b");
    await turns();
    lost.mockRestore();
    expect([send, request, heard.events.length]).toEqual([a.node.transport.send, a.node.transport.request, 0]);
    await a.watcher.call("watch", a.other);
    expect((await heard.atLeast(2)).sort()).toEqual(["b: down killed", "b: exit error"]);
    await turns();
    expect(kept(b.node)).toMatchObject({ shadows: 0, ends: 0, observed: 1 });
    await a.other.call("leave").catch(() => {});
    expect((await heard.atLeast(3)).at(-1)).toBe("a: down normal");
  });

  it("is news once: repeated and late words change nothing", async () => {
    const [a, b] = await sides();
    await tie(a, b);
    const sent: any[] = [];
    const request = a.node.transport.request.bind(a.node.transport);
    vi.spyOn(a.node.transport, "request").mockImplementation((node, message, timeout) => {
      sent.push(message);
      return request(node, message, timeout);
    });
    await giveUp(a, b);
    await heard.atLeast(4);
    const news = sent.filter(({ body }) => body?.kind === "lost");
    expect(news).toHaveLength(1);
    await tie(a, b);
    for (let i = 0; i < 3; i++) await a.node.transport.request("b", news[0], 1_000);
    await turns();
    expect(heard.events).toHaveLength(4);
    expect([kept(a.node), kept(b.node)]).toMatchObject([
      { shadows: 1, ends: 2, observed: 1 },
      { shadows: 1, ends: 2, observed: 1 },
    ]);
  });

  it("can happen again, to either side", async () => {
    const [a, b] = await sides();
    for (const [loser, lost] of [
      [a, b],
      [a, b],
      [b, a],
      [a, b],
    ] as const) {
      heard.clear();
      await tie(a, b);
      await giveUp(loser, lost);
      expect((await heard.atLeast(4)).sort()).toEqual(ALL_ENDED);
      await vi.waitFor(() => expect([kept(a.node), kept(b.node)]).toEqual([NOTHING, NOTHING]));
    }
  });

  it("ends children there and here, and their parents start them again once", async () => {
    const [a, b] = await sides();
    await born.atLeast(2);
    born.clear();
    for (const { node } of [a, b]) {
      const parent: any = node.system.spawn(Parent);
      await parent.call("spawn", node.id === "a" ? "b" : "a");
    }
    expect((await born.atLeast(2)).sort()).toEqual(["a", "b"]);
    const actors = () =>
      [a, b].map(({ node }) =>
        node.system
          .getActors()
          .map(({ className }) => className)
          .sort(),
      );
    const settled = actors();
    await giveUp(a, b);
    await vi.waitFor(() => {
      expect(actors()).toEqual(settled);
      expect(born.events.length).toBeGreaterThanOrEqual(4);
    });
  });

  it("leaves no child behind that was started between the loss and the news of it", async () => {
    const [a, b] = await sides();
    const parent: any = b.node.system.spawn(Parent, { args: [{ strategy: "Stop" }] });
    const children = () => a.node.system.getActors().filter(({ className }) => className === "Target").length - 1;
    await born.atLeast(2);
    a.node.cluster.leave("b");
    await parent.call("spawn", "a");
    await vi.waitFor(() => expect(children()).toBe(1));
    a.node.cluster.join("b");
    await vi.waitFor(() => expect(children()).toBe(0));
  });
});

describe("a loss that both sides have seen", () => {
  it.each([
    ["the first to lose is the first to return", ["a", "b"], ["a", "b"]],
    ["the first to lose is the last to return", ["a", "b"], ["b", "a"]],
  ])("ends nothing that was made since: %s", async (_what, losers, returning) => {
    const [a, b] = await sides();
    const side = { a: [a, "b"], b: [b, "a"] } as unknown as Record<string, [Side, string]>;
    await tie(a, b);
    for (const id of losers) {
      const [{ node }, other] = side[id] as [Side, string];
      node.cluster.leave(other);
      await turns();
    }
    expect((await heard.atLeast(4)).sort()).toEqual(ALL_ENDED);
    const waiting: Promise<unknown>[] = [];
    for (const id of returning) {
      const [one, other] = side[id] as [Side, string];
      one.node.cluster.join(other);
      await tie(one); // At once, before the other one has returned.
      waiting.push(one.other.call("hold", { timeout: Number.POSITIVE_INFINITY }));
    }
    await turns(20);
    expect(heard.events).toHaveLength(4);
    for (const call of waiting) expect(await stateOf(call)).toBe("pending");
    held.open("held");
    expect(await Promise.all(waiting)).toEqual(["held", "held"]);
    await a.node.system.stop(a.target);
    await b.node.system.stop(b.target);
    expect((await heard.atLeast(8)).slice(4).sort()).toEqual([
      "a: down normal",
      "a: exit normal",
      "b: down normal",
      "b: exit normal",
    ]);
  });
});
