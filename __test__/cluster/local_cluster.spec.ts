/**
 * LocalCluster: one member, every role, always healthy.
 */

import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { LocalCluster } from "../../lib/cluster/local_cluster.js";
import { InvalidArgumentError } from "../../lib/errors.js";
import type { Cluster } from "../../lib/kernel/collaborators.js";
import { HealthAggregator } from "../../lib/stdlib/health.js";
import { PlacementEngine } from "../../lib/stdlib/placement.js";

describe("LocalCluster", () => {
  const cluster = new LocalCluster("n1");

  it("has this node as its only member, alive, with any role", () => {
    expect(cluster.nodeId).toBe("n1");
    expect(cluster.getMembers()).toEqual(["n1"]);
    expect(cluster.getLivePeers()).toEqual([{ id: "n1", status: "alive" }]);
    expect(cluster.getMembersByRole("anything")).toEqual(["n1"]);
  });

  it("gives out lists that its users may change", () => {
    cluster.getMembers().push("n2");
    cluster.getMembersByRole("x").length = 0;
    expect([cluster.getMembers(), cluster.getMembersByRole("x")]).toEqual([["n1"], ["n1"]]);
  });

  it("is an event emitter and a Cluster", () => {
    const asCluster: Cluster = cluster;
    const listener = () => {};
    expect(asCluster.on?.("member_join", listener)).toBe(cluster);
    expect(cluster).toBeInstanceOf(EventEmitter);
    expect(cluster.listenerCount("member_join")).toBe(1);
    asCluster.removeListener?.("member_join", listener);
    expect(cluster.listenerCount("member_join")).toBe(0);
  });

  it("makes placement ignore roles", () => {
    const engine = new PlacementEngine(cluster);
    expect([engine.selectNode("local", "web"), engine.selectNode("round-robin", "web")]).toEqual(["n1", "n1"]);
  });

  it("is healthy", async () => {
    const health = new HealthAggregator("n1");
    health.register("cluster", cluster);
    const report = await health.getHealth();
    expect(report.components[0]).toMatchObject({ name: "LocalCluster", status: "healthy" });
  });

  it("needs a node id", () => {
    expect(() => new LocalCluster("")).toThrow(InvalidArgumentError);
  });
});
