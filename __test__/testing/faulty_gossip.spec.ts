/**
 * FaultyGossipUDP: nodes that are cut off from each other miss each other, and find each other again.
 */

import { GossipProtocol, GossipUDP, loggerConfig, type PeerState } from "libeam";
import { FaultyGossipUDP } from "libeam/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeProbe, type Probe } from "../support/probe.js";
import { thrown } from "../support/time.js";

const HUNG_AFTER_MS = 60_000;
const HELD_UP_MS = 500;
const running: GossipProtocol[] = [];

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(async () => {
  await Promise.all(running.splice(0).map((gossip) => gossip.stop()));
});

interface TestNode {
  udp: FaultyGossipUDP;
  gossip: GossipProtocol;
  news: Probe<string>;
}

async function node(id: string, seedNodes: string[], before?: (udp: FaultyGossipUDP) => void): Promise<TestNode> {
  const udp = new FaultyGossipUDP(new GossipUDP({ address: "127.0.0.1", port: 0 }));
  before?.(udp);
  const gossip = new GossipProtocol(id, "tcp://127.0.0.1:1", "127.0.0.1:0", udp, { preset: "fast", seedNodes });
  const news = makeProbe<string>();
  gossip.on("member_join", ({ id: peer }: PeerState) => news.push(`join ${peer}`));
  gossip.on("member_leave", ({ id: peer }: PeerState) => news.push(`leave ${peer}`));
  running.push(gossip);
  await gossip.start();
  return { udp, gossip, news };
}

const addressOf = ({ gossip }: TestNode) => gossip.getPeerState(gossip.getNodeId())?.gossipAddress as string;

describe("a cut in gossip", () => {
  it(
    "makes both nodes miss each other, whichever end makes it, until it is healed",
    async () => {
      const a = await node("a", []);
      const b = await node("b", [addressOf(a)]);
      await Promise.all([a.news.find((what) => what === "join b"), b.news.find((what) => what === "join a")]);
      a.udp.partition("b", addressOf(b));
      expect(a.udp.isPartitioned("b")).toBe(true);
      await Promise.all([a.news.find((what) => what === "leave b"), b.news.find((what) => what === "leave a")]);
      a.news.clear();
      b.news.clear();
      a.udp.heal("b", addressOf(b));
      // Lost nodes are looked for every ten seconds; a probe waits as long.
      await expect.poll(() => [a.news.events, b.news.events], { timeout: 30_000 }).toEqual([["join b"], ["join a"]]);
      expect(a.udp.isPartitioned("b")).toBe(false);
    },
    HUNG_AFTER_MS,
  );

  it("that was made before the start holds from the start, and ends with all others", async () => {
    const a = await node("a", []);
    const [c, address] = [await node("c", [addressOf(a)]), addressOf(a)];
    // This thread may be held up when the sockets have opened: the cut must not depend on it.
    const opened = vi.spyOn(GossipUDP.prototype, "_opened").mockImplementationOnce(function (this: GossipUDP, native) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HELD_UP_MS);
      opened.mockRestore();
      this._opened(native);
    });
    const b = await node("b", [address], (udp) => udp.partition("a", address));
    await Promise.all([c.news.find((what) => what === "join a"), a.news.find((what) => what === "join c")]);
    expect([a.news.events, b.news.events]).toEqual([["join c"], []]);
    b.udp.healAll();
    await Promise.all([b.news.find((what) => what === "join a"), a.news.find((what) => what === "join b")]);
  });

  it("needs sockets, a name and an address", () => {
    for (const bad of [undefined, {}, 5]) {
      expect(thrown(() => new FaultyGossipUDP(bad as never)).code).toBe("INVALID_ARGUMENT");
    }
    const udp = new FaultyGossipUDP(new GossipUDP(0));
    for (const bad of ["", "host", "host:1", "127.0.0.1", "127.0.0.1:99999"]) {
      expect(thrown(() => udp.partition("a", bad)).code).toBe("INVALID_ARGUMENT");
    }
    expect(thrown(() => udp.partition("", "127.0.0.1:1")).code).toBe("INVALID_ARGUMENT");
    expect(thrown(() => new GossipProtocol("a", "", "", {} as never)).code).toBe("INVALID_ARGUMENT");
  });
});
