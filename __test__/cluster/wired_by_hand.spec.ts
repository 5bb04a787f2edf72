/**
 * Nodes whose parts a program puts together by itself.
 */

import { DistributedCluster, GossipProtocol, GossipUDP, loggerConfig } from "libeam";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { runScript } from "../support/run_script.js";

beforeEach(() => loggerConfig.configure({ level: "none" }));

function makeGossip(): GossipProtocol {
  return new GossipProtocol("a", "tcp://a:1", "127.0.0.1:0", new GossipUDP({ address: "127.0.0.1", port: 0 }));
}

describe("nodes that are wired by hand", () => {
  it("know each other's names without being told to, have one owner for each, send refs, and end with three steps", async () => {
    const { code, lines, errors } = await runScript("wired_by_hand");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(lines).toEqual([[1, 2], [0, 0], 1, ["two"], [true, ["one"]]]);
  });

  it("have left when each of several goodbyes is over", async () => {
    const gossip = makeGossip();
    const cluster = new DistributedCluster(gossip);
    await cluster.start();
    const first = cluster.leave();
    await cluster.leave();
    expect(gossip.address).toBeUndefined();
    await first;
    await cluster.leave();
    await cluster.stop();
    expect(cluster.isLeaving()).toBe(true);
  });

  it("need not wait for a goodbye that is cut short", async () => {
    const gossip = makeGossip();
    await gossip.start();
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    try {
      const leaving = gossip.leave();
      await gossip.stop();
      await leaving;
      expect(gossip.address).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  }, 10_000);
});
