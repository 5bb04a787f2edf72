/**
 * When a cluster counts as formed.
 */

/** Conditions; all of them have to hold. */
export interface WaitForClusterOptions {
  /** Live nodes at least, this one included. */
  minMembers?: number;
  /** Ids of nodes that must be there. */
  nodes?: string[];
  /** Milliseconds; default 30,000. */
  timeout?: number;
}

/** How long is waited for a cluster, in milliseconds. */
export const WAIT_FOR_CLUSTER_MS = 30_000;

/** Whether a list of members meets all conditions. */
export function isClusterReady(members: string[], options: { minMembers?: number; nodes?: string[] } = {}): boolean {
  const { minMembers = 0, nodes = [] } = options;
  return members.length >= minMembers && nodes.every((node) => members.includes(node));
}
