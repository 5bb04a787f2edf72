/**
 * When a cluster counts as formed, and waiting for that, with clusters of every kind.
 */

import {
  type Cluster,
  createSystem,
  InvalidArgumentError,
  InvalidOptionError,
  isClusterReady,
  LocalCluster,
  SystemShuttingDownError,
  TimeoutError,
  waitForCluster,
} from "libeam";
import { describe, expect, it } from "vitest";
import { HandmadeCluster } from "../support/handmade_nodes.js";
import { gossipOf, nodeConfig, startNode } from "../support/loopback_nodes.js";
import { runScript } from "../support/run_script.js";
import { makeSystem } from "../support/system.js";
import { rejection, stateOf, thrown, turns } from "../support/time.js";

describe("a list of members is ready", () => {
  it.each([
    [["a"], {}, true],
    [["a"], { minMembers: 1 }, true],
    [["a"], { minMembers: 2 }, false],
    [["a", "b"], { minMembers: 2, nodes: ["b"] }, true],
    [["a", "b"], { minMembers: 3, nodes: ["b"] }, false],
    [["a", "b"], { minMembers: 2, nodes: ["c"] }, false],
    [["a"], { nodes: [] }, true],
  ])("%j with %j: %s", (members, options, ready) => {
    expect(isClusterReady(members, options)).toBe(ready);
  });

  it("is looked at only if it is one, with conditions that are some", () => {
    for (const members of [undefined, null, "abc", 5, {}] as never[]) {
      expect(
        thrown(() => isClusterReady(members)),
        String(members),
      ).toBeInstanceOf(InvalidArgumentError);
    }
    for (const options of [null, 7, [], { nodes: "b" }, { minMembers: "2" }, { minMembers: Number.NaN }] as never[]) {
      expect(
        thrown(() => isClusterReady(["a"], options)),
        String(options),
      ).toBeInstanceOf(InvalidOptionError);
    }
  });
});

describe("waiting", () => {
  const make = (members = ["a"]) => new HandmadeCluster("a", members, {});

  it("ends at once if there is nothing to wait for", async () => {
    await waitForCluster(make(["a", "b"]));
    await waitForCluster(make(), { minMembers: 1 });
    await waitForCluster(make(["a", "b"]), { nodes: ["b"], timeout: 0 });
  });

  it("wants another node unless told otherwise, and goes on when one leaves meanwhile", async () => {
    const cluster = make();
    const [any, three, named] = [
      waitForCluster(cluster),
      waitForCluster(cluster, { minMembers: 3 }),
      waitForCluster(cluster, { nodes: ["c"], minMembers: 2 }),
    ];
    expect(cluster.listenerCount("member_join")).toBe(3);
    cluster.join("b");
    await any;
    cluster.leave("b");
    cluster.join("d");
    await turns();
    expect([await stateOf(three), await stateOf(named)]).toEqual(["pending", "pending"]);
    cluster.join("c");
    await Promise.all([three, named]);
    expect(cluster.listenerCount("member_join")).toBe(0);
  });

  it("gives up in time, and listens no more", async () => {
    const cluster = make();
    const error = await rejection(waitForCluster(cluster, { timeout: 10 }));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.context).toEqual({ operation: "waitForCluster", timeoutMs: 10 });
    expect(cluster.listenerCount("member_join")).toBe(0);
  });

  it("looks again and again at a cluster that tells nothing", async () => {
    const members = ["a"];
    const cluster: Cluster = { nodeId: "a", getMembers: () => members };
    const wait = waitForCluster(cluster, { timeout: Number.POSITIVE_INFINITY });
    members.push("b");
    await wait;
    expect(await rejection(waitForCluster(cluster, { minMembers: 3, timeout: 10 }))).toBeInstanceOf(TimeoutError);
  });

  it("fails at once for more than a cluster of one can have", async () => {
    const cluster = new LocalCluster("a");
    await waitForCluster(cluster);
    await waitForCluster(cluster, { nodes: ["a"], minMembers: 1 });
    for (const options of [{ minMembers: 2 }, { nodes: ["b"] }]) {
      const error = await rejection(waitForCluster(cluster, options));
      expect(error).toBeInstanceOf(TimeoutError);
      expect(error.context.timeoutMs).toBe(30_000);
    }
    const system = makeSystem({ nodeId: "a" });
    await system.waitForCluster();
    expect(await rejection(system.waitForCluster({ minMembers: 2 }))).toBeInstanceOf(TimeoutError);
  });

  it("refuses what is no cluster and no option", async () => {
    expect(await rejection(waitForCluster({} as never))).toBeInstanceOf(InvalidArgumentError);
    for (const options of [{ timeout: -1 }, { nodes: "b" }, { minMembers: "2" }, 7, null] as never[]) {
      expect(await rejection(waitForCluster(make(), options)), String(options)).toBeInstanceOf(InvalidOptionError);
    }
  });
});

describe("a node that ends", () => {
  const nobody = { nodes: ["nobody"], timeout: Number.POSITIVE_INFINITY };

  it("refuses at once who waits for its cluster, and who wants to", async () => {
    const node = await startNode("a");
    const listeners = node.cluster.listenerCount("member_join");
    const waits = [
      node.waitForCluster(nobody),
      node.cluster.waitForMembers(nobody),
      waitForCluster(node.cluster, nobody),
    ];
    const ends = waits.map((wait) => rejection(wait));
    expect(node.cluster.listenerCount("member_join")).toBe(listeners + 3);
    const shutdown = node.shutdown();
    for (const end of ends) expect(await Promise.race([end, shutdown])).toBeInstanceOf(SystemShuttingDownError);
    expect(await rejection(node.waitForCluster({ minMembers: 1 }))).toBeInstanceOf(SystemShuttingDownError);
    await shutdown;
    expect(await rejection(node.waitForCluster(nobody))).toBeInstanceOf(SystemShuttingDownError);
  });

  it.each(["leave", "stop"] as const)("by hand does so with its %s", async (end) => {
    const { cluster } = await startNode("a");
    const wait = rejection(waitForCluster(cluster, nobody));
    await cluster[end]();
    const error = await wait;
    expect(error).toBeInstanceOf(SystemShuttingDownError);
    expect(error.message).toBe("Cannot wait for the cluster: system is shutting down");
    expect([cluster.listenerCount("closing"), cluster.isClosing()]).toEqual([0, true]);
  });

  it("because another one has its id is not waited for in its own start", async () => {
    const seed = await startNode("seed");
    const first = rejection(startNode("twin", [gossipOf(seed)], { ready: nobody }));
    await seed.waitForCluster({ nodes: ["twin"] });
    await startNode("twin", [gossipOf(seed)]);
    expect(await first).toBeInstanceOf(SystemShuttingDownError);
  });

  it("lets its process end", async () => {
    const { code, lines, errors } = await runScript("waiting_exit", [JSON.stringify(nodeConfig("a", []))]);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(lines).toEqual(Array(3).fill("SystemShuttingDownError"));
  });
});

it("a node whose cluster is not ready in time does not stay behind", async () => {
  const config = {
    type: "distributed",
    port: 0,
    bindAddress: "127.0.0.1",
    seedNodes: [],
    cookie: "a cookie for one",
  } as const;
  const error = await rejection(createSystem({ ...config, seedNodes: [], ready: { minMembers: 2, timeout: 20 } }));
  expect(error).toBeInstanceOf(TimeoutError);
  const alone = await createSystem({ ...config, seedNodes: [], roles: ["web"], ready: { minMembers: 1 } });
  expect(alone.cluster.getMembersByRole("web")).toEqual([alone.nodeId]);
  expect(alone.cluster.getMembersByRole("db")).toEqual([]);
  await alone.shutdown();
});
