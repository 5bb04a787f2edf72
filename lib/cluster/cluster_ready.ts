/**
 * When a cluster counts as formed, and waiting for that.
 *
 * A wait looks at the members at once and then whenever one joins, with one listener that goes with the wait. A cluster
 * that tells nothing (no `on`) is looked at every POLL_MS; a cluster of one never changes, so waiting for more fails at once.
 * So does a wait for the cluster of a node that ends, whenever it began.
 */

import { InvalidArgumentError, InvalidOptionError, SystemShuttingDownError, TimeoutError } from "../errors.js";
import type { Cluster } from "../kernel/collaborators.js";
import type { AllOf, OptionNames } from "../kernel/options.js";
import { assertCluster, assertOptions, assertTimeoutMs } from "../kernel/validate.js";
import { LocalCluster } from "./local_cluster.js";

/** Conditions; all of them have to hold. */
export interface WaitForClusterOptions {
  /** Live nodes at least, this one included. */
  minMembers?: number | undefined;
  /** Ids of nodes that must be there. */
  nodes?: string[] | undefined;
  /** Milliseconds; default 30,000. */
  timeout?: number | undefined;
}

const NAMES: OptionNames<WaitForClusterOptions> = { minMembers: true, nodes: true, timeout: true };

/** How long is waited for a cluster, in milliseconds. */
export const WAIT_FOR_CLUSTER_MS = 30_000;

/** Members that are waited for when nothing else is said. */
const MEMBERS_MIN = 2;
/** How often a cluster without events is looked at, in milliseconds. */
const POLL_MS = 50;

/** Whether a list of members meets all conditions. @throws InvalidArgumentError, InvalidOptionError */
export function isClusterReady(members: string[], options: Omit<WaitForClusterOptions, "timeout"> = {}): boolean {
  if (!Array.isArray(members)) throw new InvalidArgumentError("members", "an array of node ids", members);
  assertOptions("isClusterReady options", options, NAMES);
  const { minMembers = 0, nodes = [] } = options as WaitForClusterOptions;
  assertConditions(minMembers, nodes);
  return members.length >= minMembers && nodes.every((node) => members.includes(node));
}

/**
 * Waits until enough nodes, and all named ones, are members. Without options: this node and another one.
 *
 * @throws TimeoutError (TIMEOUT), whose context has `timeoutMs`; SystemShuttingDownError, InvalidOptionError,
 * InvalidArgumentError
 */
export async function waitForCluster(cluster: Cluster, options: WaitForClusterOptions = {}): Promise<void> {
  assertCluster(cluster);
  const { nodes, timeout, minMembers } = checked(options, cluster);
  const ended = () => new SystemShuttingDownError("wait for the cluster");
  if (cluster.isClosing?.()) throw ended();
  const ready = () => isClusterReady(cluster.getMembers(), { minMembers, nodes });
  if (ready()) return;
  if (cluster instanceof LocalCluster) throw new TimeoutError("waitForCluster", timeout);
  let end = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (ready()) resolve();
      };
      const close = () => reject(ended());
      const late = () => reject(new TimeoutError("waitForCluster", timeout));
      const timer = Number.isFinite(timeout) ? setTimeout(late, timeout) : undefined;
      const poll = cluster.on === undefined ? setInterval(look, POLL_MS) : undefined;
      cluster.on?.("member_join", look);
      cluster.on?.("closing", close);
      end = () => {
        clearTimeout(timer);
        clearInterval(poll);
        cluster.removeListener?.("member_join", look);
        cluster.removeListener?.("closing", close);
      };
    });
  } finally {
    end();
  }
}

/** Refuses what no wait could begin with. @throws InvalidOptionError */
export function assertWaitOptions(what: string, options: unknown): asserts options is WaitForClusterOptions {
  assertOptions(what, options, NAMES);
  const { minMembers = 0, nodes = [], timeout = WAIT_FOR_CLUSTER_MS } = options as WaitForClusterOptions;
  assertTimeoutMs("timeout", timeout);
  assertConditions(minMembers, nodes);
}

function checked(options: WaitForClusterOptions, cluster: Cluster): AllOf<WaitForClusterOptions> {
  assertWaitOptions("waitForCluster options", options);
  const { nodes = [], timeout = WAIT_FOR_CLUSTER_MS } = options;
  const membersMin = options.nodes !== undefined || cluster instanceof LocalCluster ? 0 : MEMBERS_MIN;
  const { minMembers = membersMin } = options;
  return { nodes, timeout, minMembers };
}

function assertConditions(minMembers: unknown, nodes: unknown): void {
  if (!Array.isArray(nodes)) throw new InvalidOptionError("nodes", nodes, "an array of node ids");
  if (typeof minMembers !== "number" || Number.isNaN(minMembers)) {
    throw new InvalidOptionError("minMembers", minMembers, "a number of nodes");
  }
}
