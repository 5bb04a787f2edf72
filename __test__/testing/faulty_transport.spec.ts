/**
 * FaultyTransport over an in-memory one: what a cut stops, and what it lets through.
 */

import { InMemoryTransport, type Transport, TransportError } from "libeam";
import { FaultyTransport } from "libeam/testing";
import { describe, expect, it } from "vitest";
import { gate, rejection, thrown, turns } from "../support/time.js";

/** Node a behind cuts, nodes b and c without, all knowing each other. */
function trio() {
  const [inner, b, c] = ["a", "b", "c"].map((id) => new InMemoryTransport(id)) as [
    InMemoryTransport,
    InMemoryTransport,
    InMemoryTransport,
  ];
  for (const one of [inner, b, c]) for (const other of [inner, b, c]) one.setPeer(other.getNodeId(), other);
  return { a: new FaultyTransport(inner), b, c };
}

describe("a cut", () => {
  it("refuses requests and messages to the node, and to no other", async () => {
    const { a, b, c } = trio();
    const heard: unknown[] = [];
    for (const node of [b, c]) {
      node.onRequest((message) => message);
      node.onMessage((message) => heard.push([node.getNodeId(), message]));
    }
    a.partition("b");
    for (const attempt of [a.request("b", 1, 1_000), a.send("b", 1)]) {
      const error = await rejection(attempt);
      expect(error).toBeInstanceOf(TransportError);
      expect(error.message).toBe("Network partition: cannot reach b");
      expect(error.context).toEqual({ nodeId: "b" });
    }
    expect(await a.request("c", 2, 1_000)).toBe(2);
    await a.send("c", 3);
    await turns();
    expect(heard).toEqual([["c", 3]]);
  });

  it("leaves the node out of publications", async () => {
    const { a, b, c } = trio();
    const heard: unknown[] = [];
    for (const node of [b, c]) await node.subscribe("news", (news) => heard.push([node.getNodeId(), news]));
    a.partition("b");
    await a.publish("news", 1);
    a.heal("b");
    await a.publish("news", 2);
    await turns();
    expect(heard).toEqual([
      ["c", 1],
      ["b", 2],
      ["c", 2],
    ]);
  });

  it("loses the answer to a request that was under way", async () => {
    const { a, b } = trio();
    const [fine, failing] = [gate<string>(), gate()];
    b.onRequest((message) => (message === "fine" ? fine.promise : failing.promise));
    const requests = [a.request("b", "fine", 5_000), a.request("b", "failing", 5_000)];
    await turns();
    a.partition("b");
    fine.open("answer");
    failing.fail(new RangeError("no"));
    for (const request of requests) expect((await rejection(request)).code).toBe("TRANSPORT_ERROR");
  });

  it("is one-way: what the other node sends arrives and is answered", async () => {
    const { a, b } = trio();
    const heard: unknown[] = [];
    a.onRequest((message) => message + 1);
    a.onMessage((message) => heard.push(message));
    await a.subscribe("news", (news) => heard.push(news));
    a.partition("b");
    expect(await b.request("a", 1, 1_000)).toBe(2);
    await b.send("a", "message");
    await b.publish("news", "publication");
    await turns();
    expect(heard).toEqual(["message", "publication"]);
  });

  it("can be asked for, and healed for one node or for all", async () => {
    const { a, b } = trio();
    b.onRequest((message) => message);
    a.partition("b", "c");
    a.partition("b");
    expect([a.isPartitioned("b"), a.isPartitioned("x"), a.getPartitionedPeers()]).toEqual([true, false, ["b", "c"]]);
    a.heal("b");
    expect(a.getPartitionedPeers()).toEqual(["c"]);
    expect(await a.request("b", 1, 1_000)).toBe(1);
    a.healAll();
    a.heal();
    expect(a.getPartitionedPeers()).toEqual([]);
  });
});

describe("what it wraps", () => {
  it("does everything else", async () => {
    const { a } = trio();
    expect(a.getNodeId()).toBe("a");
    a.updatePeers([["b", "tcp://127.0.0.1:1"]]);
    await a.connect();
    await a.disconnect();
    expect((await rejection(a.request("b", 1, 1_000))).message).toBe("Transport disconnected");
  });

  it("publishes to one node only if the inner transport can, and not across a cut", async () => {
    const sent: unknown[] = [];
    const inner = Object.assign(new InMemoryTransport("a"), {
      publishTo: async (...args: unknown[]) => void sent.push(args),
    });
    const able = new FaultyTransport(inner);
    await able.publishTo?.("b", "news", 1);
    able.partition("b");
    expect((await rejection(able.publishTo?.("b", "news", 2) as Promise<void>)).code).toBe("TRANSPORT_ERROR");
    expect(sent).toEqual([["b", "news", 1]]);
  });

  it("leaves out of a publication whom it is told to, beside those that it is cut off from", async () => {
    const left: unknown[] = [];
    const inner = Object.assign(new InMemoryTransport("a"), {
      publish: async (_topic: string, _message: unknown, except?: ReadonlySet<string>) =>
        void left.push([...(except ?? [])]),
    });
    const able: Transport = new FaultyTransport(inner);
    await able.publish("news", 1, new Set(["c"]));
    (able as FaultyTransport).partition("b");
    await able.publish("news", 2, new Set(["c"]));
    await able.publish("news", 3);
    expect(left).toEqual([["c"], ["b", "c"], ["b"]]);
  });

  it("must be a transport, and nodes must have names", () => {
    for (const bad of [undefined, null, {}, 5]) {
      expect(thrown(() => new FaultyTransport(bad as never)).code).toBe("INVALID_ARGUMENT");
    }
    expect(thrown(() => trio().a.partition("")).code).toBe("INVALID_ARGUMENT");
  });
});
