/**
 * Placement: local and round-robin, with and without roles, with clusters that know roles and such that do not.
 */

import { describe, expect, it } from "vitest";
import { NoRoleMatchError } from "../../lib/errors.js";
import type { Cluster } from "../../lib/kernel/collaborators.js";
import { PlacementEngine, type PlacementStrategy } from "../../lib/stdlib/placement.js";

const ROLES: Record<string, string[]> = { web: ["n1", "n3"], db: ["n2"] };

function clusterOf(members: string[], knowsRoles = true): Cluster {
  const cluster: Cluster = { nodeId: "n1", getMembers: () => members };
  if (knowsRoles) cluster.getMembersByRole = (role) => (ROLES[role] ?? []).filter((id) => members.includes(id));
  return cluster;
}

function choices(engine: PlacementEngine, count: number, role?: string): string[] {
  return Array.from({ length: count }, () => engine.selectNode("round-robin", role));
}

describe("local", () => {
  it("is this node, also with a role it has", () => {
    const engine = new PlacementEngine(clusterOf(["n2", "n1"]));
    expect(engine.selectNode("local")).toBe("n1");
    expect(engine.selectNode("local", "web")).toBe("n1");
  });

  it("refuses a role that this node lacks", () => {
    const engine = new PlacementEngine(clusterOf(["n1", "n2"]));
    const refused = () => engine.selectNode("local", "db");
    expect(refused).toThrow(NoRoleMatchError);
    expect(refused).toThrow('Local node "n1" does not have role "db"');
  });
});

describe("round-robin", () => {
  it("starts at the first member and wraps", () => {
    const engine = new PlacementEngine(clusterOf(["n1", "n2", "n3"]));
    expect(choices(engine, 5)).toEqual(["n1", "n2", "n3", "n1", "n2"]);
  });

  it("counts per role and separately without one", () => {
    const engine = new PlacementEngine(clusterOf(["n1", "n2", "n3"]));
    expect(choices(engine, 1)).toEqual(["n1"]);
    expect(choices(engine, 3, "web")).toEqual(["n1", "n3", "n1"]);
    expect(choices(engine, 2, "db")).toEqual(["n2", "n2"]);
    expect(choices(engine, 2)).toEqual(["n2", "n3"]);
  });

  it("refuses a role that no member has, and moves no counter", () => {
    const members = ["n2"];
    const engine = new PlacementEngine(clusterOf(members));
    const refused = () => engine.selectNode("round-robin", "web");
    expect(refused).toThrow(NoRoleMatchError);
    expect(refused).toThrow('No nodes in the cluster have role "web"');
    members.push("n1", "n3");
    expect(choices(engine, 2, "web")).toEqual(["n1", "n3"]);
  });

  it("chooses among the members of the moment", () => {
    const members = ["n1", "n2", "n3"];
    const engine = new PlacementEngine(clusterOf(members));
    choices(engine, 2);
    members.pop();
    expect(choices(engine, 2)).toEqual(["n1", "n2"]);
  });

  it("stays on this node while the cluster has no members", () => {
    expect(choices(new PlacementEngine(clusterOf([])), 2)).toEqual(["n1", "n1"]);
  });
});

describe("a cluster that knows no roles", () => {
  it("ignores them", () => {
    const engine = new PlacementEngine(clusterOf(["n1", "n2"], false));
    expect(engine.selectNode("local", "nonsense")).toBe("n1");
    expect(choices(engine, 3, "nonsense")).toEqual(["n1", "n2", "n1"]);
  });
});

describe("an unknown strategy", () => {
  it("is refused by name", () => {
    const engine = new PlacementEngine(clusterOf(["n1"]));
    expect(() => engine.selectNode("random" as PlacementStrategy)).toThrow("Unknown placement strategy: random");
  });
});
