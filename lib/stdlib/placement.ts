/**
 * Placement: on which node a new actor is spawned.
 *
 * `local` is this node. `round-robin` walks the members in the order that the cluster gives, with one counter per role
 * and one for spawns without a role; a counter starts at the first member and outlives changes of membership.
 * `least-loaded` takes the node with the fewest actors, as far as this one knows (loads.ts), in turn among equals.
 * `random` and `{ node }` say it themselves. A function is given the members and names one of them.
 *
 * Every strategy but `local` chooses among the members that have the role. A cluster that knows no roles is asked for
 * all members instead. A node that is to be avoided, because an actor has just been lost with it, is chosen only if
 * there is no other one, and one that has said that it takes no new actors, because it drains or shuts down, only if none
 * does. A strategy that names a node means it all the same.
 *
 * Owner: an engine holds its counters and nothing else. Only roles that a member has get one, so their number is
 * bounded by the roles of the cluster, except with a cluster that ignores roles, where one counter serves them all.
 */

import { LibeamError, NoRoleMatchError, PlacementError } from "../errors.js";
import type { Cluster } from "../kernel/collaborators.js";
import { assertCluster } from "../kernel/validate.js";

/** What a placement function may know. */
export interface PlacementContext {
  /** Id of this node. */
  readonly nodeId: string;
  /** The role that was asked for. */
  readonly role: string | undefined;
  /** Class or definition of the new actor. */
  readonly className: string | undefined;
  /** Its name. */
  readonly name: string | undefined;
  /** Actors of a node, as far as this node knows; 0 until it has told. */
  loadOf(node: string): number;
}

/** Names one of the members, which are those with the role. */
export type PlacementFunction = (members: readonly string[], context: PlacementContext) => string;

/**
 * "local" spawns on this node, "round-robin" on the members in turn, "least-loaded" on the one with the fewest actors,
 * "random" on any, `{ node }` on that one, a function on the one that it names.
 */
export type PlacementStrategy =
  | "local"
  | "round-robin"
  | "least-loaded"
  | "random"
  | { node: string }
  | PlacementFunction;

/** How many actors nodes have. */
export interface LoadSource {
  /** Has these nodes tell from now on. */
  follow(nodes: readonly string[]): void;
  /** Actors of a node, as far as is known. */
  loadOf(node: string): number;
  /** Whether a node has said that it takes no new actors. */
  isClosed?(node: string): boolean;
}

/** What is placed. */
export interface PlacementSubject {
  className?: string | undefined;
  name?: string | undefined;
  /** Not this node, if there is another one. */
  avoid?: string | undefined;
}

const NO_LOADS: LoadSource = { follow() {}, loadOf: () => 0 };

/** Chooses nodes for new actors. */
export class PlacementEngine {
  readonly #cluster: Cluster;
  readonly #loads: LoadSource;
  /** Position of the next choice per role; the key `undefined` is for spawns without one. */
  readonly #next = new Map<string | undefined, number>();
  /** Where the search among equally loaded nodes begins. */
  #turn = 0;

  /** @param loads without it all nodes count as equally loaded. @throws InvalidArgumentError for what is no cluster */
  constructor(cluster: Cluster, loads: LoadSource = NO_LOADS) {
    assertCluster(cluster);
    this.#cluster = cluster;
    this.#loads = loads;
  }

  /**
   * The id of the node for the next actor.
   *
   * @throws NoRoleMatchError NO_ROLE_MATCH if this node (local) or every node lacks the role; PlacementError PLACEMENT if
   *   the node is no member, lacks the role, or the function throws or names a stranger; LibeamError
   *   UNKNOWN_PLACEMENT_STRATEGY for any other strategy. No counter moves then.
   */
  selectNode(strategy: PlacementStrategy, role?: string, subject: PlacementSubject = {}): string {
    if (strategy === "local") return this.#selectLocal(role);
    if (typeof strategy === "function") return this.#ask(strategy, role, subject);
    if (isNamed(strategy)) return this.#selectNamed(strategy.node, role);
    switch (strategy) {
      case "round-robin":
        return this.#selectNext(role, subject.avoid);
      case "least-loaded":
        return this.#selectIdle(this.#candidates(role, subject.avoid));
      case "random": {
        const candidates = this.#candidates(role, subject.avoid);
        return candidates[Math.floor(Math.random() * candidates.length)] as string;
      }
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

  #selectNext(role: string | undefined, avoid: string | undefined): string {
    const candidates = this.#candidates(role, avoid);
    const key = this.#holdersOf(role) === undefined ? undefined : role;
    const position = this.#next.get(key) ?? 0;
    this.#next.set(key, position + 1);
    return candidates[position % candidates.length] as string;
  }

  #selectIdle(candidates: readonly string[]): string {
    this.#loads.follow(candidates);
    const from = this.#turn++;
    let best = candidates[from % candidates.length] as string;
    let least = this.#loads.loadOf(best);
    for (let i = 1; i < candidates.length; i++) {
      const node = candidates[(from + i) % candidates.length] as string;
      const load = this.#loads.loadOf(node);
      if (load < least) [best, least] = [node, load];
    }
    return best;
  }

  #selectNamed(node: string, role: string | undefined): string {
    const { nodeId } = this.#cluster;
    if (node !== nodeId && !this.#cluster.getMembers().includes(node)) {
      throw new PlacementError(`Node ${quoted(node)} is not a member of the cluster`, { node });
    }
    const holders = this.#holdersOf(role);
    if (holders !== undefined && !holders.includes(node)) {
      throw new PlacementError(`Node ${quoted(node)} does not have role ${quoted(role)}`, { node, role });
    }
    return node;
  }

  #ask(choose: PlacementFunction, role: string | undefined, { className, name, avoid }: PlacementSubject): string {
    const candidates = this.#candidates(role, avoid);
    this.#loads.follow(candidates);
    const loadOf = (node: string): number => this.#loads.loadOf(node);
    let node: unknown;
    try {
      node = choose([...candidates], { nodeId: this.#cluster.nodeId, role, className, name, loadOf });
    } catch (error) {
      throw new PlacementError("The placement function failed", { role }, error);
    }
    if (typeof node === "string" && candidates.includes(node)) return node;
    throw new PlacementError(
      `The placement function named ${quoted(node)}, which is none of the members it was given`,
      {
        node: quoted(node),
      },
    );
  }

  /** Where an actor may go; at least one node. */
  #candidates(role: string | undefined, avoid: string | undefined): readonly string[] {
    const holders = this.#holdersOf(role);
    if (role !== undefined && holders?.length === 0) throw new NoRoleMatchError(role);
    const all = holders ?? this.#cluster.getMembers();
    // A cluster without members, not even this node, is starting or leaving: this node is still here.
    if (all.length === 0) return [this.#cluster.nodeId];
    const open = orAll(all, (node) => this.#loads.isClosed?.(node) !== true);
    return avoid === undefined ? open : orAll(open, (node) => node !== avoid);
  }

  /** Members with the role; undefined if none is asked for or the cluster ignores roles. */
  #holdersOf(role: string | undefined): string[] | undefined {
    return role === undefined ? undefined : this.#cluster.getMembersByRole?.(role);
  }
}

/** Those that fit, or all if none does. */
function orAll(nodes: readonly string[], fits: (node: string) => boolean): readonly string[] {
  const fitting = nodes.filter(fits);
  return fitting.length === 0 ? nodes : fitting;
}

function isNamed(strategy: unknown): strategy is { node: string } {
  return strategy !== null && typeof strategy === "object" && typeof (strategy as { node?: unknown }).node === "string";
}

function quoted(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
