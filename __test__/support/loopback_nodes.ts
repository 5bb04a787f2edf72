/**
 * Nodes of real clusters on this machine's loopback address: in the spec's own process, and in processes that run
 * scripts/node.ts. Importing this module ends, after each test, what the test has left running.
 */

import { type ChildProcess, fork } from "node:child_process";
import { afterEach, expect, vi } from "vitest";
import {
  type ActorRef,
  createSystem,
  type DistributedCluster,
  type DistributedConfig,
  type DistributedSystem,
  type System,
} from "../../lib/index.js";
import { COMPILED_FLAGS, compiled } from "./compiled.js";
import { makeProbe, type Probe } from "./probe.js";

/** The cookie of these clusters, unless a spec has one of its own. */
export const COOKIE = "a cookie for the specs of clusters";

const PATIENCE_MS = 10_000;
const script = compiled("__test__/support/scripts/node.ts");
const systems: DistributedSystem[] = [];
const children = new Set<ChildProcess>();

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
  await Promise.all(systems.splice(0).map((system) => system.shutdown({ timeout: 200, drainMailboxes: false })));
});

/** Settings of a node: any free port, fast gossip, the cookie. */
export function nodeConfig(nodeId: string, seedNodes: string[], more: Partial<DistributedConfig> = {}) {
  const common = { type: "distributed", port: 0, bindAddress: "127.0.0.1", cookie: COOKIE, gossip: "fast" } as const;
  return { ...common, nodeId, seedNodes, ...more } satisfies DistributedConfig;
}

/** Where the gossip of a node of this process listens. */
export function gossipOf({ cluster, nodeId }: System | DistributedSystem): string {
  return (cluster as DistributedCluster).getPeerState(nodeId)?.gossipAddress as string;
}

/** Starts a node in this process. */
export async function startNode(
  nodeId: string,
  seedNodes: string[] = [],
  more?: Partial<DistributedConfig>,
): Promise<DistributedSystem> {
  const system = await createSystem(nodeConfig(nodeId, seedNodes, more));
  systems.push(system);
  return system;
}

/** A node in a process of its own. */
export interface ForkedNode {
  readonly child: ChildProcess;
  /** What it says; with "tells", also warnings and what it sees of the others. */
  readonly told: Probe<any>;
}

/** Starts a node in a process of its own, and waits until it is ready. */
export async function forkNode(
  nodeId: string,
  seedNodes: string[],
  more?: Partial<DistributedConfig>,
  how: "quiet" | "tells" = "quiet",
): Promise<ForkedNode> {
  const config = JSON.stringify(nodeConfig(nodeId, seedNodes, more));
  const child = fork(script, [config, how], { execArgv: COMPILED_FLAGS });
  const told = makeProbe<any>();
  children.add(child);
  child.on("exit", () => children.delete(child));
  child.on("message", told.push);
  await told.find(({ gossip }) => gossip !== undefined);
  return { child, told };
}

/** A ref by name, as soon as the name has arrived. */
export async function found(system: System | DistributedSystem, name: string): Promise<any> {
  let ref: ActorRef | null = null;
  await vi.waitFor(async () => {
    ref = await system.getActorByName(name);
    expect(ref).not.toBeNull();
  }, PATIENCE_MS);
  return ref;
}
