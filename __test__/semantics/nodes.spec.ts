/**
 * Between nodes: sentences D1 to D5 of docs/SEMANTICS.md, over in-memory transports. D6 and D7 need
 * processes of their own: see "because its event loop is blocked stays a member" in __test__/cluster/membership.spec.ts, and
 * __test__/cluster/partitions.spec.ts.
 */

import {
  createActor,
  createSystem,
  type DistributedSystem,
  type InMemoryTransport,
  NodeDownError,
  type System,
} from "libeam";
import { afterEach, describe, expect, it, vi } from "vitest";
import { gone, makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { rejection, turns } from "../support/time.js";

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
  const nodes: DistributedSystem[] = [];
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.shutdown({ timeout: 200, drainMailboxes: false })));
  });

  it("D4: that two nodes have given stays with the older registration", async () => {
    const start = async (nodeId: string, seedNodes: string[]) => {
      const cookie = "a cookie for one name on two nodes";
      const options = { nodeId, seedNodes, cookie, port: 0, bindAddress: "127.0.0.1", gossip: "fast" } as const;
      const node = await createSystem({ type: "distributed", ...options, seedNodes: [...seedNodes] });
      nodes.push(node);
      return node;
    };
    const a = await start("a", []);
    const older = a.spawn(Noter([]), { name: "leader" });
    const { now } = Date;
    Date.now = () => now() + 1_000;
    const b = await start("b", [a.cluster.getPeerState("a")?.gossipAddress as string]);
    const younger = b.spawn(Noter([]), { name: "leader" });
    Date.now = now;
    expect(await gone(b, younger)).toEqual({ type: "normal" });
    expect(await older.call("count")).toBe(0);
    await vi.waitFor(async () => expect((await b.getActorByName("leader"))?.id.systemId).toBe("a"));
  });
});
