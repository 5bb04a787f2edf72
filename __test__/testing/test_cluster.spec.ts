/**
 * TestCluster: real processes that are there, do as told, and are gone afterwards.
 */

import { fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  ActorNotFoundError,
  type DistributedCluster,
  LibeamError,
  loggerConfig,
  TransportError,
  ZeroMQTransport,
} from "libeam";
import { NodeAgent, type NodePorts, TestCluster, type TestClusterConfig } from "libeam/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { loaderFlags } from "../../lib/testing/type_script.js";
import { COMPILED_FLAGS, compiled } from "../support/compiled.js";
import { makeSystem } from "../support/system.js";
import { rejection, thrown } from "../support/time.js";

const HUNG_AFTER_MS = 120_000;
const PATIENCE_MS = 30_000;
const pathOf = (path: string) => fileURLToPath(new URL(`../support/${path}`, import.meta.url));
const BANK = pathOf("modules/bank.ts");
const clusters: TestCluster[] = [];

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(async () => {
  await Promise.all(clusters.splice(0).map((cluster) => cluster.teardown()));
});

async function create(config?: TestClusterConfig): Promise<TestCluster> {
  const cluster = await TestCluster.create(config);
  clusters.push(cluster);
  return cluster;
}

/** Resolves when a node's membership does not have another one any more. */
async function left(cluster: DistributedCluster, nodeId: string): Promise<void> {
  while (cluster.getMembers().includes(nodeId)) await once(cluster, "member_leave");
}

/** A ping is answered, as soon as the nodes have found each other again if they had missed each other. */
async function works(ping: () => Promise<unknown>): Promise<void> {
  await vi.waitFor(async () => expect(await ping()).toBe("pong"), PATIENCE_MS);
}

/** A ping does not get through; the nodes may have missed each other already. */
async function fails(ping: () => Promise<unknown>): Promise<void> {
  expect(["TRANSPORT_ERROR", "NODE_DOWN", "PEER_NOT_FOUND", "ACTOR_NOT_FOUND"]).toContain(
    (await rejection(ping())).code,
  );
}

function isListening({ rpc }: NodePorts): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(rpc, "127.0.0.1");
    const settle = (listens: boolean) => {
      socket.destroy();
      resolve(listens);
    };
    socket.once("connect", () => settle(true)).once("error", () => settle(false));
  });
}

describe("a TestCluster", () => {
  it(
    "has nodes in processes of their own, which an agent each speaks for",
    async () => {
      const cluster = await create({ actorModules: [BANK], nodeIdPrefix: "bank" });
      const { controllerId, nodes, system } = cluster;
      expect(system.cluster.getMembers().sort()).toEqual(["bank-1", "bank-2", controllerId].sort());
      expect(nodes.map(({ nodeId }) => nodeId)).toEqual(["bank-1", "bank-2"]);
      expect(cluster.node("bank-2")).toBe(nodes[1]);
      expect(thrown(() => cluster.node("bank-3")).message).toBe("Node not found: bank-3");
      const [{ agent, ports }] = nodes;
      expect(await isListening(ports)).toBe(true);
      expect(await agent.call("ping")).toBe("pong");
      expect(await agent.call({ method: "getNodeInfo", args: [] })).toMatchObject({ nodeId: "bank-1", actorCount: 1 });

      const id = await agent.call("spawn", "Account", { name: "savings", args: [5] });
      await agent.call("spawn", "Echo", { name: "echo" });
      expect(await agent.call("getActorIds")).toContain(id);
      expect(await agent.call("callActor", "savings", "deposit", 2)).toBe(7);
      expect(await agent.call("callActor", "savings", { method: "balance", args: [] }, 1_000)).toBe(7);
      expect(await agent.call("callActor", "echo", { any: "thing" })).toEqual({ any: "thing" });
      await agent.call("castActor", "savings", "set", 1);
      const savings = await vi.waitFor(async () => {
        const ref = await system.getActorByName("savings");
        expect(ref).not.toBeNull();
        return ref;
      }, PATIENCE_MS);
      expect(await savings?.call({ method: "where", args: [] })).toBe("bank-1");
      expect(await savings?.call({ method: "balance", args: [] })).toBe(1);
      const pids = await Promise.all(
        nodes.map(
          async (node) =>
            (await node.agent.call("spawn", "Account", { name: node.nodeId })) && node.callActor(node.nodeId, "pid"),
        ),
      );
      expect(new Set([...pids, process.pid]).size).toBe(3);

      // Whatever an actor throws, its node goes on.
      const error = await rejection(nodes[0].callActor("bank-1", "fail"));
      expect(error).toMatchObject({ name: "RangeError", message: "no funds" });
      expect(error.cause).toBeInstanceOf(TransportError);
      expect(await nodes[0].callActor("bank-1", "pid")).toBe(pids[0]);

      expect(await agent.call("stopActor", "savings")).toBe(true);
      expect(await agent.call("stopActor", "savings")).toBe(false);
      const unknown = await rejection(agent.call("callActor", "savings", "balance"));
      expect(unknown).toBeInstanceOf(ActorNotFoundError);
      expect(unknown.message).toBe("Actor not found: savings");
      expect((await rejection(agent.call("spawn", "Nothing"))).message).toBe("Actor class not registered: Nothing");

      // What fails without fault injection.
      const off = "Fault injection not enabled. Create cluster with faultInjection: true";
      expect(thrown(() => cluster.partitionController("bank-1")).message).toBe(off);
      expect(thrown(() => cluster.healController()).message).toBe(off);
      expect((await rejection(nodes[0].partition("bank-2"))).message).toBe(off);
      expect((await rejection(nodes[0].heal())).message).toBe(off);

      await Promise.all([cluster.teardown(), cluster.teardown()]);
      await cluster.teardown();
      expect(await Promise.all(nodes.map((node) => isListening(node.ports)))).toEqual([false, false]);
      for (const pid of pids) expect(thrown(() => process.kill(pid, 0)).code).toBe("ESRCH");
      expect((await rejection(nodes[0].callActor("echo", 1))).code).toBe("NODE_NOT_RUNNING");
    },
    HUNG_AFTER_MS,
  );

  it(
    "loses nodes that are killed, that are told to end, and that end themselves",
    async () => {
      const cluster = await create({ size: 3, faultInjection: true });
      const [killed, ended, ending] = cluster.nodes;
      const members = cluster.system.cluster as DistributedCluster;
      killed.kill();
      await left(members, killed.nodeId);
      expect((await rejection(killed.callActor("x", "y"))).code).toBe("NODE_NOT_RUNNING");
      expect((await rejection(killed.partition(ended.nodeId))).code).toBe("NODE_NOT_RUNNING");
      await cluster.partitionController(killed.nodeId); // There is nobody to tell at the other end.
      await ended.shutdown();
      await left(members, ended.nodeId);
      await ending.agent.call("shutdown");
      await left(members, ending.nodeId);
      expect(members.getMembers()).toEqual([cluster.controllerId]);
    },
    HUNG_AFTER_MS,
  );

  it(
    "ends with its scope, also with a node that is stopped",
    async () => {
      let ports: NodePorts;
      {
        await using cluster = await TestCluster.create({ size: 1 });
        ports = cluster.nodes[0].ports;
        cluster.nodes[0].kill("SIGSTOP");
      }
      expect(await isListening(ports)).toBe(false);
    },
    HUNG_AFTER_MS,
  );

  it(
    "ends with its parent, however that ends",
    async () => {
      const parent = fork(compiled("__test__/support/scripts/test_cluster_parent.ts"), { execArgv: COMPILED_FLAGS });
      const [ports] = (await once(parent, "message")) as [NodePorts[]];
      expect(await Promise.all(ports.map(isListening))).toEqual([true, true]);
      parent.kill("SIGKILL");
      await expect.poll(() => Promise.all(ports.map(isListening)), { timeout: PATIENCE_MS }).toEqual([false, false]);
    },
    HUNG_AFTER_MS,
  );
});

describe("fault injection", () => {
  it(
    "cuts the controller off and lets it back",
    async () => {
      const cluster = await create({ faultInjection: true });
      const [one, two] = cluster.nodes;
      const agent = `agent@${cluster.controllerId}`;
      cluster.system.spawn(NodeAgent, { name: agent, args: [cluster.system] });
      for (const node of [one, two]) await works(() => node.callActor(agent, "ping"));

      const cut = cluster.partitionController(one.nodeId);
      const error = await rejection(one.agent.call("ping"));
      expect(error).toBeInstanceOf(TransportError);
      expect(error.message).toBe(`Network partition: cannot reach ${one.nodeId}`);
      expect(await two.agent.call("ping")).toBe("pong");
      await cut;
      await fails(() => one.callActor(agent, "ping")); // The other end is cut off as well, and can be asked nevertheless.
      await cluster.partitionController(two.nodeId);
      await fails(() => two.callActor(agent, "ping"));
      await cluster.healController();
      for (const node of [one, two]) {
        await works(() => node.agent.call("ping"));
        await works(() => node.callActor(agent, "ping"));
      }

      // Towards the controller a node's own cut is one-way.
      await one.partition(cluster.controllerId);
      expect(await one.agent.call("ping")).toBe("pong");
      await fails(() => one.callActor(agent, "ping"));
      await one.heal();
      await works(() => one.callActor(agent, "ping"));

      // Between others it is made at both ends.
      await one.partition(two.nodeId);
      await fails(() => one.callActor(`agent@${two.nodeId}`, "ping"));
      await fails(() => two.callActor(`agent@${one.nodeId}`, "ping"));
      await two.heal(one.nodeId);
      await works(() => one.callActor(`agent@${two.nodeId}`, "ping"));
      await works(() => two.callActor(`agent@${one.nodeId}`, "ping"));
      for (const attempt of [one.partition("nobody"), one.heal("nobody")]) {
        expect((await rejection(attempt)).message).toBe("Node not found: nobody");
      }
      expect(thrown(() => cluster.partitionController("nobody")).message).toBe("Node not found: nobody");
    },
    HUNG_AFTER_MS,
  );
});

describe("a TestCluster that cannot be made", () => {
  it.each([
    { size: -1 },
    { size: 1.5 },
    { size: 1_000 },
    { timeout: -1 },
    { actorModules: "one" },
    { cookie: "short" },
  ])("because of %j says so", async (config) => {
    expect(await rejection(TestCluster.create(config as TestClusterConfig))).toBeInstanceOf(LibeamError);
  });

  it(
    "because a module fails, says which node and why, and leaves nothing behind",
    async () => {
      const url = new URL("data:text/javascript,throw new RangeError('no such bank')");
      const error = await rejection(TestCluster.create({ size: 1, actorModules: [BANK, url] }));
      expect(error).toMatchObject({
        code: "NODE_START_FAILED",
        context: { nodeId: "test-node-1", code: "ACTOR_MODULE" },
        message: `Test node test-node-1 could not be started: module ${url} cannot be imported: no such bank`,
      });
      expect(error.cause.stack).toContain("RangeError");
    },
    HUNG_AFTER_MS,
  );

  it("because there can be no further process leaves nothing behind", async () => {
    const { execPath } = process;
    const transports = vi.spyOn(ZeroMQTransport.prototype, "connect").mock.contexts as ZeroMQTransport[];
    process.execPath = "no\0path"; // Refused before there is a process.
    try {
      expect(await rejection(TestCluster.create({ size: 1 }))).toMatchObject({ code: "NODE_START_FAILED" });
    } finally {
      process.execPath = execPath;
      vi.restoreAllMocks();
    }
    expect(transports.map(({ address }) => address)).toEqual([undefined]);
  });
});

describe("TypeScript modules", () => {
  const [js, ts] = ["file:///nowhere/a.js", "file:///nowhere/a.ts"];

  it("need a loader, JavaScript none", () => {
    expect(loaderFlags(js, [js])).toEqual([]);
    expect(loaderFlags(js, [pathToFileURL(BANK).href])[1]).toContain("tsx");
    expect(loaderFlags(ts, [])).toEqual(["--import", expect.stringContaining("tsx")]);
  });

  it("are refused where there is no loader", () => {
    const program = "file:///nowhere/package.json";
    expect(thrown(() => loaderFlags(ts, [], program)).message).toContain("tsx");
    if (!(process.features as { typescript?: unknown }).typescript) {
      expect(thrown(() => loaderFlags(js, [ts], program)).code).toBe("INVALID_OPTION");
    }
  });
});

describe("NodeAgent", () => {
  it("works on any system", async () => {
    const system = makeSystem();
    const agent = system.spawn(NodeAgent, { args: [system] });
    const { Account } = await import("../support/modules/bank.js");
    expect(await agent.call("registerActor", "Bank", Account)).toBeUndefined();
    await agent.call("spawn", "Bank", { name: "savings", args: [1] });
    expect(await agent.call("callActor", "savings", "deposit", 1)).toBe(2);
    expect(await agent.call("shutdown")).toBeUndefined();
    await vi.waitFor(() => expect(system.system.isRunning()).toBe(false));
  });
});
