/**
 * Two nodes of this process, `one` and `two`, over in-memory transports of a spec's own making, with a membership that never
 * changes. Importing this module shuts them down after each test; nothing is logged.
 */

import { afterEach, beforeEach } from "vitest";
import {
  ActorSystem,
  type Cluster,
  type InMemoryTransport,
  LocalRegistry,
  loggerConfig,
  ProcessGroupManager,
  type SupervisionConfig,
} from "../../lib/index.js";

const NODES = ["one", "two"];
const systems: ActorSystem[] = [];

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(async () => {
  await Promise.all(systems.splice(0).map((system) => system.shutdown({ timeout: 100, drainMailboxes: false })));
});

export interface PairOptions {
  supervision?: SupervisionConfig | undefined;
  hasGroups?: boolean;
}

/** Membership as a user would write it. */
const clusterOf = (nodeId: string): Cluster => ({ nodeId, getMembers: () => NODES });

/** Starts both. */
export async function startPair<T extends InMemoryTransport>(
  makeTransport: (node: string) => T,
  { supervision, hasGroups = false }: PairOptions = {},
) {
  const registry = new LocalRegistry();
  const transports = NODES.map(makeTransport) as [T, T];
  transports[0].setPeer("two", transports[1]);
  transports[1].setPeer("one", transports[0]);
  const managers: ProcessGroupManager[] = [];
  const made = transports.map((transport) => {
    const node = transport.getNodeId();
    const cluster = clusterOf(node);
    const groups = hasGroups ? new ProcessGroupManager(node, transport, cluster) : undefined;
    if (groups !== undefined) managers.push(groups);
    return new ActorSystem(cluster, transport, registry, supervision, undefined, undefined, undefined, groups);
  });
  systems.push(...made);
  await Promise.all([...managers.map((groups) => groups.connect()), ...made.map((system) => system.start())]);
  const [one, two] = made as [ActorSystem, ActorSystem];
  return { one, two, transports };
}
