/**
 * Placement: every strategy, with and without roles, with clusters that know roles and such that do not.
 */

import { describe, expect, it } from "vitest";
import { NoRoleMatchError, PlacementError } from "../../lib/errors.js";
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
    expect(() => engine.selectNode("nearest" as PlacementStrategy)).toThrow("Unknown placement strategy: nearest");
  });
});

describe("least-loaded", () => {
  const loads: Record<string, number> = { n1: 5, n2: 3, n3: 3 };
  const source = {
    followed: [] as string[],
    follow: (nodes: readonly string[]) => void source.followed.push(...nodes),
  };
  const engineOf = (members: string[]) =>
    new PlacementEngine(clusterOf(members), { ...source, loadOf: (node) => loads[node] ?? 0 });

  it("takes the node with the fewest actors, and equals in turn", () => {
    const engine = engineOf(["n1", "n2", "n3"]);
    const chosen = new Set(Array.from({ length: 6 }, () => engine.selectNode("least-loaded")));
    expect([...chosen].sort()).toEqual(["n2", "n3"]);
    expect(new Set(source.followed)).toEqual(new Set(["n1", "n2", "n3"]));
  });

  it("chooses among those with the role", () => {
    expect(engineOf(["n1", "n2", "n3"]).selectNode("least-loaded", "web")).toBe("n3");
  });

  it("goes round when nothing is known of loads", () => {
    const engine = new PlacementEngine(clusterOf(["n1", "n2"]));
    expect(Array.from({ length: 4 }, () => engine.selectNode("least-loaded"))).toEqual(["n1", "n2", "n1", "n2"]);
  });
});

describe("random", () => {
  it("takes members with the role only, and all of them sooner or later", () => {
    const engine = new PlacementEngine(clusterOf(["n1", "n2", "n3"]));
    const seen = new Set(Array.from({ length: 200 }, () => engine.selectNode("random", "web")));
    expect([...seen].sort()).toEqual(["n1", "n3"]);
  });
});

describe("a node by its id", () => {
  const engine = new PlacementEngine(clusterOf(["n1", "n2"]));

  it("is that node", () => {
    expect(engine.selectNode({ node: "n2" })).toBe("n2");
    expect(engine.selectNode({ node: "n1" }, "web")).toBe("n1");
  });

  it("must be a member and have the role", () => {
    expect(() => engine.selectNode({ node: "n9" })).toThrow('Node "n9" is not a member of the cluster');
    expect(() => engine.selectNode({ node: "n2" }, "web")).toThrow('Node "n2" does not have role "web"');
    for (const node of [undefined, 7, null]) {
      expect(() => engine.selectNode({ node } as never)).toThrow("Unknown placement strategy");
    }
  });
});

describe("a function", () => {
  const engine = new PlacementEngine(clusterOf(["n1", "n2", "n3"]));

  it("is given the members with the role, and what is placed", () => {
    let given: unknown;
    const choose: PlacementStrategy = (members, { loadOf: _, ...context }) => {
      given = [members, context];
      return members.at(-1) as string;
    };
    expect(engine.selectNode(choose, "web", { className: "Counter", name: "c" })).toBe("n3");
    expect(given).toEqual([["n1", "n3"], { nodeId: "n1", role: "web", className: "Counter", name: "c" }]);
  });

  it("that throws or names a stranger is refused", () => {
    const cause = new RangeError("no idea");
    const failing = () => {
      throw cause;
    };
    try {
      engine.selectNode(failing);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(PlacementError);
      expect((error as Error).cause).toBe(cause);
    }
    expect(() => engine.selectNode(() => "n9")).toThrow(PlacementError);
    expect(() => engine.selectNode(() => "n2", "web")).toThrow('named "n2"');
    expect(() => engine.selectNode((() => undefined) as never)).toThrow(PlacementError);
  });
});

describe("a node to be avoided", () => {
  it.each(["round-robin", "least-loaded", "random"] as const)(
    "is chosen by %s only if there is no other",
    (strategy) => {
      const engine = new PlacementEngine(clusterOf(["n1", "n2"]));
      for (let i = 0; i < 10; i++) expect(engine.selectNode(strategy, undefined, { avoid: "n2" })).toBe("n1");
      expect(engine.selectNode(strategy, "db", { avoid: "n2" })).toBe("n2");
    },
  );
});
