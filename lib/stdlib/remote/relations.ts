/**
 * Watches and links across nodes.
 *
 * Here the actors of this node stand for those of others (shadows.ts), so that the core's own rules decide who is told
 * what. A node watches an actor of another one once, for all its watchers, until the end of that actor. Each link has an
 * end of its own on both nodes, with one name, which the node gives it that makes the link.
 *
 * Owner: which shadow, link end and watch belongs to which node; all of a node go when it does.
 */

import { ActorNotFoundError, NodeDownError } from "../../errors.js";
import { ActorId } from "../../kernel/actor_id.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { ActorCell } from "../../kernel/cell.js";
import type { DownMessage, TerminationReason, WatchRef } from "../../kernel/info.js";
import { stop } from "../../kernel/lifecycle.js";
import { endAs, tie, unlink } from "../../kernel/signals.js";
import type { Peers } from "./peers.js";
import { type Address, addressOf, keyOf } from "./protocol.js";
import { LinkEnd, Observer, Shadow, ShadowKeeper } from "./shadows.js";

/** What relations need of their node. */
export interface RelationsHost {
  readonly id: string;
  readonly peers: Peers;
  spawnHidden(actor: typeof Observer | typeof ShadowKeeper, args: unknown[]): ActorCell;
  find(address: Address): ActorCell | undefined;
  refTo(id: ActorId): ActorRef;
}

/** See the module's header. */
export class Relations {
  /** Shadows by node and id of the actor that they stand for. */
  private readonly shadows = new Map<string, { node: string; cell: ActorCell }>();
  /** Link ends by the name of the link. */
  private readonly ends = new Map<string, { node: string; cell: ActorCell }>();
  private readonly nameOf = new WeakMap<ActorCell, string>();
  /** Links that this node has made. */
  private made = 0;
  /** Watches of other nodes, by node and id of the watched actor. */
  private readonly observed = new Map<string, { node: string; id: string; watchRef: WatchRef }>();
  private keeper: ActorCell | undefined;
  private observer: ActorCell | undefined;

  constructor(private readonly host: RelationsHost) {}

  /** An actor of this node that ends when one of another node does. */
  shadow(id: ActorId): ActorCell {
    const key = keyOf(id.systemId, id.id);
    const known = this.shadows.get(key);
    if (known !== undefined && !known.cell.dead) return known.cell;
    const cell = this.shadowKeeper().keep(Shadow)._cell;
    this.shadows.set(key, { node: id.systemId, cell });
    // As long as it takes: a blocked event loop is no end of anything.
    this.host.peers.orderInTime(id.systemId, { kind: "watch", to: addressOf(id) }).then(
      (alive) => alive || this.endShadow(key, { type: "normal" }, cell),
      () => this.endShadow(key, { type: "killed" }, cell),
    );
    return cell;
  }

  /** @param meant the only shadow that is to end; a late answer says nothing of those made after it. */
  private endShadow(key: string, reason: TerminationReason, meant?: ActorCell): void {
    const known = this.shadows.get(key);
    if (known === undefined || (meant !== undefined && known.cell !== meant)) return;
    this.shadows.delete(key);
    endAs(known.cell, reason);
    this.tidy();
  }

  /** What stands for an actor of another node in a link with one of this node. */
  linkEnd(id: ActorId, local: ActorRef): ActorCell {
    const name = `${local.id.systemId}/${local.id.id} ${keyOf(id.systemId, id.id)} ${++this.made}`;
    const cell = this.makeEnd(name, id.systemId);
    const request = { kind: "link", link: name, to: addressOf(id), from: addressOf(local.id) } as const;
    this.host.peers.tell(id.systemId, request, (error) =>
      this.sever(name, { type: "error", error: new NodeDownError(id.systemId, error) }),
    );
    return cell;
  }

  private makeEnd(name: string, node: string): ActorCell {
    const onEnd = (reason: TerminationReason): void => {
      if (!this.ends.has(name)) return;
      this.host.peers.tell(node, { kind: "severed", link: name, reason });
      this.sever(name, reason);
    };
    const { _cell: cell } = this.shadowKeeper().keep(LinkEnd, [onEnd]);
    this.ends.set(name, { node, cell });
    this.nameOf.set(cell, name);
    return cell;
  }

  /** A link is undone from here, at whose other side that cell stands. */
  unlinked(cell: ActorCell): void {
    const name = this.nameOf.get(cell) ?? "";
    const end = this.ends.get(name);
    if (end === undefined) return;
    this.ends.delete(name);
    this.host.peers.tell(end.node, { kind: "unlink", link: name });
    setImmediate(() => void stop(cell)); // The link itself is undone first.
    this.tidy();
  }

  /** The other side of a link has ended. */
  sever(name: string, reason: TerminationReason): void {
    const end = this.ends.get(name);
    if (end === undefined) return;
    this.ends.delete(name);
    endAs(end.cell, reason);
    this.tidy();
  }

  /** An actor that is watched here has ended. */
  down(node: string, id: string, reason: TerminationReason): void {
    this.endShadow(keyOf(node, id), reason);
  }

  /** Watches an actor for another node; false if there is none. */
  observe(from: string, to: Address): boolean {
    const cell = this.host.find(to);
    if (cell === undefined) return false;
    this.observer ??= this.host.spawnHidden(Observer, [(message: DownMessage) => this.observedDown(message)]);
    const key = keyOf(from, to.id);
    if (this.observed.has(key)) return true;
    const watchRef = (this.observer.behaviour as Observer).observe(cell.ref);
    this.observed.set(key, { node: from, id: to.id, watchRef });
    return true;
  }

  private observedDown({ watchRef, reason }: DownMessage): void {
    for (const [key, entry] of this.observed) {
      if (entry.watchRef !== watchRef) continue;
      this.observed.delete(key);
      this.host.peers.tell(entry.node, { kind: "down", of: entry.id, reason });
    }
    this.tidy();
  }

  /** Makes this side of a link that an actor of another node has made. */
  link(node: string, name: string, to: Address, from: Address): void {
    const cell = this.host.find(to);
    const end = this.makeEnd(name, node);
    try {
      if (cell === undefined) throw new ActorNotFoundError(to.id, this.host.id);
      tie(cell, end, this.host.refTo(new ActorId(node, from.id, from.name)));
    } catch (error) {
      this.unlink(name);
      this.host.peers.tell(node, { kind: "severed", link: name, reason: { type: "error", error } });
    }
  }

  private shadowKeeper(): ShadowKeeper {
    this.keeper ??= this.host.spawnHidden(ShadowKeeper, []);
    return this.keeper.behaviour as ShadowKeeper;
  }

  /** Undoes this side of a link that the other node has undone. */
  unlink(name: string): void {
    const end = this.ends.get(name);
    if (end === undefined) return;
    this.ends.delete(name);
    // Undone before the end goes, which would be an end of a linked actor for whoever traps exits.
    for (const { linkRef } of [...(end.cell.extra?.links.values() ?? [])]) unlink(end.cell, linkRef);
    endAs(end.cell, { type: "normal" });
    this.tidy();
  }

  /** A node is gone. */
  lost(node: string): void {
    for (const [key, shadow] of [...this.shadows]) if (shadow.node === node) this.endShadow(key, { type: "killed" });
    for (const [name, end] of [...this.ends]) {
      if (end.node === node) this.sever(name, { type: "error", error: new NodeDownError(node) });
    }
    for (const [key, { node: of, watchRef }] of [...this.observed]) {
      if (of !== node) continue;
      this.observed.delete(key);
      (this.observer?.behaviour as Observer | null)?.ignore(watchRef);
    }
    this.tidy();
  }

  /** The runtime's own actors go when they have nothing left to do. */
  private tidy(): void {
    setImmediate(() => {
      const { keeper, observer } = this;
      if (keeper !== undefined && this.shadows.size === 0 && this.ends.size === 0) {
        this.keeper = undefined;
        void stop(keeper, null);
      }
      if (observer !== undefined && this.observed.size === 0) {
        this.observer = undefined;
        void stop(observer, null);
      }
    });
  }
}
