/**
 * Placement: on which node a new actor is spawned.
 *
 * `local` is this node. `round-robin` walks the members in the order that the cluster gives, with one counter per role
 * and one for spawns without a role; a counter starts at the first member and outlives changes of membership. A
 * cluster that knows no roles is asked for all members instead.
 *
 * Owner: an engine holds its counters and nothing else. Only roles that a member has get one, so their number is
 * bounded by the roles of the cluster, except with a cluster that ignores roles, where one counter serves them all.
 */

import { LibeamError, NoRoleMatchError } from "../errors.js";
import type { Cluster } from "../kernel/collaborators.js";

/** "local" spawns on this node, "round-robin" on the members in turn. */
export type PlacementStrategy = "local" | "round-robin";

/** Chooses nodes for new actors. */
export class PlacementEngine {
  readonly #cluster: Cluster;
  /** Position of the next choice per role; the key `undefined` is for spawns without one. */
  readonly #next = new Map<string | undefined, number>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * The id of the node for the next actor.
   *
   * @throws NoRoleMatchError NO_ROLE_MATCH if this node (local) or every node (round-robin) lacks the role;
   *   LibeamError UNKNOWN_PLACEMENT_STRATEGY for any other strategy. No counter moves then.
   */
  selectNode(strategy: PlacementStrategy, role?: string): string {
    switch (strategy) {
      case "local":
        return this.#selectLocal(role);
      case "round-robin":
        return this.#selectNext(role);
      default: {
        const message = `Unknown placement strategy: ${String(strategy)}`;
        throw new LibeamError(message, "UNKNOWN_PLACEMENT_STRATEGY", { strategy: String(strategy) });
      }
    }
  }

  #selectLocal(role: string | undefined): string {
    const { nodeId } = this.#cluster;
    const holders = this.#holdersOf(role);
    if (role !== undefined && holders !== undefined && !holders.includes(nodeId)) {
      throw new NoRoleMatchError(role, nodeId);
    }
    return nodeId;
  }

  #selectNext(role: string | undefined): string {
    const holders = this.#holdersOf(role);
    const candidates = holders ?? this.#cluster.getMembers();
    if (role !== undefined && holders?.length === 0) throw new NoRoleMatchError(role);
    // A cluster without members, not even this node, is starting or leaving: this node is still here.
    if (candidates.length === 0) return this.#cluster.nodeId;
    const key = holders === undefined ? undefined : role;
    const position = this.#next.get(key) ?? 0;
    this.#next.set(key, position + 1);
    return candidates[position % candidates.length] as string;
  }

  /** Members with the role; undefined if none is asked for or the cluster ignores roles. */
  #holdersOf(role: string | undefined): string[] | undefined {
    return role === undefined ? undefined : this.#cluster.getMembersByRole?.(role);
  }
}
