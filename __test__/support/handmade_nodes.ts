/**
 * Several systems in one process, wired by hand over in-memory transports, with a membership that specs control. They are
 * shut down after each test; nothing is logged.
 */

import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, vi } from "vitest";
import {
  type ActorClass,
  type ActorDefinition,
  ActorSystem,
  type Cluster,
  InMemoryTransport,
  LocalRegistry,
  type LogEntry,
  loggerConfig,
  type SupervisionOptions,
} from "../../lib/index.js";

const systems: ActorSystem[] = [];
let entries: LogEntry[] = [];

beforeEach(() => {
  entries = [];
  loggerConfig.configure({ level: "info", handler: (entry) => entries.push(entry) });
});
afterEach(async () => {
  await Promise.all(systems.splice(0).map((system) => system.shutdown({ timeout: 200, drainMailboxes: false })));
});

/** What was logged during this test. */
export function loggedByNodes(): readonly LogEntry[] {
  return entries;
}

/** Membership of one node as a user would write it. */
export class HandmadeCluster extends EventEmitter implements Cluster {
  constructor(
    readonly nodeId: string,
    readonly members: string[],
    private readonly roles: Record<string, string[]>,
  ) {
    super();
  }

  getMembers(): string[] {
    return [...this.members];
  }

  getMembersByRole(role: string): string[] {
    return this.members.filter((id) => this.roles[id]?.includes(role));
  }

  leave(id: string): void {
    const at = this.members.indexOf(id);
    if (at < 0) return;
    this.members.splice(at, 1);
    this.emit("member_leave", id);
  }

  join(id: string): void {
    this.members.push(id);
    this.emit("member_join", id);
  }
}

/** One node. */
export interface HandmadeNode {
  id: string;
  system: ActorSystem;
  cluster: HandmadeCluster;
  transport: InMemoryTransport;
}

/** How nodes are made. */
export interface NodesOptions {
  roles?: Record<string, string[]>;
  /** Known to every node. */
  actors?: (ActorClass | ActorDefinition)[];
  supervision?: Partial<SupervisionOptions>;
}

/** Starts nodes that all know each other. */
export async function makeNodes(ids: string[], options: NodesOptions = {}): Promise<HandmadeNode[]> {
  const { roles = {}, actors = [], supervision } = options;
  const registry = new LocalRegistry();
  const nodes = ids.map((id) => {
    const cluster = new HandmadeCluster(id, [...ids], roles);
    const transport = new InMemoryTransport(id);
    return { id, cluster, transport, system: new ActorSystem(cluster, transport, registry, supervision) };
  });
  for (const { transport } of nodes) {
    for (const other of nodes) if (other.transport !== transport) transport.setPeer(other.id, other.transport);
  }
  for (const { system } of nodes) {
    systems.push(system);
    system.registerActorClasses(actors);
    await system.start();
  }
  return nodes;
}

/** A node is gone without a word: nothing goes in or out, and the others notice. */
export async function crashNode(nodes: HandmadeNode[], id: string): Promise<void> {
  await nodes.find((node) => node.id === id)?.transport.disconnect();
  for (const node of nodes) if (node.id !== id) node.cluster.leave(id);
}

/** Waits until nodes have no actor left and hold nothing. */
export async function nodesEmpty(nodes: HandmadeNode[]): Promise<void> {
  for (const { id, system } of nodes) {
    await vi.waitFor(() => {
      const held = Object.entries(system._counters()).filter(([, number]) => number !== 0);
      expect(Object.fromEntries(held), `held by ${id}`).toEqual({});
    });
  }
}
