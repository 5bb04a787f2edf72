/**
 * A TestCluster with a witness on every node (modules/witness.ts), the controller's included, and cuts between groups of
 * nodes. Importing this module ends, after each test, the clusters that the test has made.
 */

import "./compiled_workers.js";

import { afterEach, expect, vi } from "vitest";
import type { TypedActorRef } from "../../lib/index.js";
import { TestCluster, type TestClusterConfig } from "../../lib/testing/index.js";
import { compiled } from "./compiled.js";
import { Named, Witness } from "./modules/witness.js";

const MODULE = compiled("__test__/support/modules/witness.ts");
/** How long to wait for what no event tells, before a test fails. */
const PATIENCE_MS = 60_000;
const FOREVER = { timeout: Number.POSITIVE_INFINITY };
const clusters = new Set<Witnesses>();

afterEach(async () => {
  await Promise.all([...clusters].map(({ cluster }) => cluster.teardown()));
  clusters.clear();
});

/** See the module's header. */
export class Witnesses {
  /** Ids of all nodes, the controller first. */
  readonly ids: string[];

  private constructor(readonly cluster: TestCluster) {
    this.ids = [cluster.controllerId, ...cluster.nodes.map(({ nodeId }) => nodeId)];
  }

  /** A cluster of so many nodes, the controller included. */
  static async start(count: number, config: TestClusterConfig = {}): Promise<Witnesses> {
    const cluster = await TestCluster.create({
      nodeIdPrefix: "n",
      size: count - 1,
      actorModules: [MODULE],
      faultInjection: true,
      ...config,
    });
    const witnesses = new Witnesses(cluster);
    clusters.add(witnesses);
    cluster.system.register(Named, "Named");
    for (const name of [`witness@${cluster.controllerId}`, `caller@${cluster.controllerId}`]) {
      cluster.system.spawn(Witness, { name });
    }
    for (const { agent, nodeId } of cluster.nodes) {
      await agent.call("spawn", "Witness", { name: `witness@${nodeId}` });
      await agent.call("spawn", "Witness", { name: `caller@${nodeId}` });
    }
    return witnesses;
  }

  /** Calls an actor of a node from within its process, whoever is cut off from it. */
  async ask(nodeId: string, method: string, args: unknown[], actor: "witness" | "caller" = "witness"): Promise<any> {
    const name = `${actor}@${nodeId}`;
    if (nodeId !== this.cluster.controllerId) {
      return this.cluster.node(nodeId).callActor(name, method, ...args, FOREVER);
    }
    const ref = await this.cluster.system.getActorByName(name);
    return (ref as TypedActorRef).call(method, ...args, FOREVER);
  }

  /** Asks several nodes the same; the answers by node. */
  async askAll(nodeIds: string[], method: string, ...args: unknown[]): Promise<Record<string, any>> {
    const answers = await Promise.all(nodeIds.map(async (id) => [id, await this.ask(id, method, args)] as const));
    return Object.fromEntries(answers);
  }

  /** Waits until nodes see exactly these members. */
  async see(nodeIds: string[], members: string[] = nodeIds): Promise<void> {
    await this.askAll(nodeIds, "sees", members);
  }

  /** Cuts every node of one side off from every node of the other. */
  async cut(left: string[], right: string[]): Promise<void> {
    await this.between(left, right, "partition");
  }

  /** Ends that. */
  async heal(left: string[], right: string[]): Promise<void> {
    await this.between(left, right, "heal");
  }

  private async between(left: string[], right: string[], what: "partition" | "heal"): Promise<void> {
    const { cluster } = this;
    const cuts = left.map((id) => {
      if (id === cluster.controllerId) return cluster[`${what}Controller`](...right);
      return cluster.node(id)[what](...right);
    });
    await Promise.all(cuts);
  }

  /** Waits until all these nodes give the same answer about names, for which `holds`; gives it. */
  async agree(
    nodeIds: string[],
    names: string[],
    holds: (owners: Record<string, string | null>) => boolean = () => true,
  ): Promise<Record<string, string | null>> {
    let first: Record<string, string | null> = {};
    await vi.waitFor(
      async () => {
        const answers = Object.values(await this.askAll(nodeIds, "who", names));
        first = answers[0];
        for (const answer of answers) expect(answer).toEqual(first);
        expect(holds(first), JSON.stringify(first).slice(0, 500)).toBe(true);
      },
      { timeout: PATIENCE_MS, interval: 100 },
    );
    return first;
  }

  /** Waits until a node can give a ref by name, and has it held. */
  async hold(nodeId: string, name: string, as = name, actor: "witness" | "caller" = "witness"): Promise<void> {
    await vi.waitFor(async () => expect(await this.ask(nodeId, "hold", [name, as], actor)).toBe(true), PATIENCE_MS);
  }
}
