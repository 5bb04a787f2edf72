/**
 * How many actors the nodes have, and which of them take no new ones, for placement.
 *
 * A node that places by load asks the others once (`follow`). From then on each of them tells it when its number of
 * actors has changed by more than a twentieth, looked at once a second. Every answer to a spawn brings the number too,
 * and spawns under way are added to it, so a burst of spawns is spread before any of them is answered. A node that has
 * not told yet counts as empty.
 *
 * A node that drains or shuts down tells so to all others (`close`), and to those that join; what it has said holds until it
 * says otherwise, or is gone.
 *
 * So a number is at most about a second older than the way here takes, or off by a twentieth. Nodes that nobody follows
 * count nothing and send nothing.
 */

import type { LoadSource } from "../placement.js";
import type { Peers } from "./peers.js";

/** How often a node that is followed looks at its number of actors, in milliseconds. */
const LOOK_MS = 1_000;
/** Change that is told, as a share of what was told last. */
const CHANGE_TOLD = 0.05;

/** What is known of a node. */
interface Load {
  actors: number;
  /** Spawns that it has not answered. */
  underWay: number;
}

/** See the module's header. */
export class Loads implements LoadSource {
  /** Nodes that this one has asked. */
  private readonly known = new Map<string, Load>();
  /** Nodes that have asked, with what they were told last. */
  private readonly followers = new Map<string, number | undefined>();
  private timer: ReturnType<typeof setInterval> | undefined;
  /** Nodes that take no new actors; this one may be among them. */
  private readonly closed = new Set<string>();

  constructor(
    private readonly id: string,
    private readonly peers: Peers,
    /** Actors of this node. */
    readonly count: () => number,
    /** Nodes of the cluster. */
    private readonly members: () => readonly string[],
  ) {}

  isClosed(node: string): boolean {
    return this.closed.has(node);
  }

  /** This node takes no new actors, or takes them again. */
  setClosed(closed: boolean): void {
    if (this.closed.has(this.id) === closed) return;
    this.saidClosed(this.id, closed);
    for (const node of this.members()) if (node !== this.id) this.sayClosed(node, closed);
  }

  private sayClosed(node: string, closed: boolean): void {
    this.peers.tell(node, { kind: "closed", closed }, ignore); // It is refused then, which says the same.
  }

  /** A node takes no new actors, or takes them again. */
  saidClosed(node: string, closed: boolean): void {
    if (closed) this.closed.add(node);
    else this.closed.delete(node);
  }

  /** A node is there. */
  joined(node: string): void {
    if (this.closed.has(this.id)) this.sayClosed(node, true);
  }

  follow(nodes: readonly string[]): void {
    for (const node of nodes) {
      if (node === this.id || this.known.has(node)) continue;
      this.known.set(node, { actors: 0, underWay: 0 });
      this.peers.send(node, { kind: "follow" }, () => this.known.delete(node));
    }
  }

  loadOf(node: string): number {
    if (node === this.id) return this.count();
    const load = this.known.get(node);
    return load === undefined ? 0 : load.actors + load.underWay;
  }

  /** Sees a spawn on another node through; its answer has the number of actors there. */
  placed<T extends { load?: number } | undefined>(node: string, answer: Promise<T>): Promise<T> {
    const load = this.known.get(node);
    if (load !== undefined) load.underWay++;
    const answered = (reply?: T): void => {
      if (load === undefined) return;
      load.underWay--;
      if (typeof reply?.load === "number") load.actors = reply.load;
    };
    answer.then(answered, () => answered());
    return answer;
  }

  /** A node has told. */
  told(node: string, actors: number): void {
    const load = this.known.get(node);
    if (load !== undefined && Number.isFinite(actors)) load.actors = actors;
  }

  /** A node wants to be told. */
  followedBy(node: string): void {
    this.followers.set(node, undefined);
    this.look();
    this.timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  private look(): void {
    const actors = this.count();
    for (const [node, told] of this.followers) {
      if (told !== undefined && Math.abs(actors - told) <= told * CHANGE_TOLD) continue;
      this.followers.set(node, actors);
      // A node that cannot be told now is told at the next look.
      this.peers.send(node, { kind: "load", actors }, () => this.untold(node));
    }
  }

  private untold(node: string): void {
    if (this.followers.has(node)) this.followers.set(node, undefined);
  }

  /** A node is gone. */
  lost(node: string): void {
    this.known.delete(node);
    this.closed.delete(node);
    this.followers.delete(node);
    if (this.followers.size === 0) this.close();
  }

  /** Tells nobody any more. */
  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }
}

function ignore(): void {}
