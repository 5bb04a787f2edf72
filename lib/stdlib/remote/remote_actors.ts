/**
 * Actors of other nodes, both ways: what this node does to them, and what others do to the actors of this node.
 *
 * One object per system. It owns the calls that wait for another node, the shadows and link ends (shadows.ts), the ids
 * that other nodes have given to actors spawned here, and who watches what from elsewhere. Everything that belongs to a
 * node goes when the node does (`nodeLost`).
 *
 * Failure: a call rejects with TransportError if the transport refuses it, NodeDownError if the node is lost while it
 * waits, TimeoutError at its timeout, CallAbortedError at its signal, or with what the other node answered. A cast that
 * cannot be sent is a dead letter. Nothing here throws into the user's code or rejects unheard.
 */

import { ActorNotFoundError, LibeamError, NodeDownError, TransportError } from "../../errors.js";
import { ActorId, randomActorId } from "../../kernel/actor_id.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { ActorCell, Definition } from "../../kernel/cell.js";
import type { Transport } from "../../kernel/collaborators.js";
import { crash } from "../../kernel/crash.js";
import type { DownMessage, TerminationReason, WatchRef } from "../../kernel/info.js";
import type { Kernel } from "../../kernel/kernel.js";
import { stop } from "../../kernel/lifecycle.js";
import { createLogger, type Logger } from "../../kernel/logger.js";
import { type Remote, RemoteCell } from "../../kernel/remote_cell.js";
import { exit, link } from "../../kernel/signals.js";
import { type CallTerms, rejected } from "../../kernel/slots.js";
import { assertName } from "../../kernel/validate.js";
import type { SpawnOptions } from "../actor_system.js";
import { type HeartbeatPong, isHeartbeatPing, pongOf } from "../heartbeat.js";
import { RemoteCalls } from "./calls.js";
import {
  type Address,
  CALL,
  CANCEL,
  CAST,
  type Envelope,
  isEnvelope,
  isMarked,
  isReply,
  type RemoteMessage,
  type RemoteRequest,
  type Reply,
} from "./protocol.js";
import { LinkEnd, Observer, Shadow, ShadowKeeper } from "./shadows.js";

/** What remote actors need of their system. */
export interface RemoteHost {
  readonly id: string;
  readonly transport: Transport;
  readonly kernel: Kernel;
  /** Makes an actor that nobody sees. */
  spawnHidden(actor: typeof Observer | typeof ShadowKeeper, args: unknown[]): ActorCell;
  /** Makes an actor on behalf of another node. */
  spawnRegistered(className: string, options: SpawnOptions): ActorCell;
  cellById(id: string): ActorCell | undefined;
  cellByName(name: string): ActorCell | undefined;
  /** Groups of this node. */
  readonly groups: {
    join(group: string, cell: ActorCell): void;
    leave(group: string, cell: ActorCell): void;
    broadcast(group: string, message: any): void;
  };
}

/** How long another node may take to confirm a watch, a spawn or a stop, in milliseconds. */
const OPERATION_MS = 5_000;
/** Failed spawns whose errors are remembered; calls to older ones are told that there is no such actor. */
const FAILED_SPAWNS_MAX = 1_000;

/** See the module's header. */
export class RemoteActors {
  private readonly log: Logger;
  private readonly calls: RemoteCalls;
  /** Shadows by node and id of the actor that they stand for. */
  private readonly shadows = new Map<string, { node: string; cell: ActorCell }>();
  /** Link ends by the name of the link. */
  private readonly ends = new Map<string, { node: string; cell: ActorCell; links: number }>();
  /** Watches of other nodes, by node and id of the watched actor. */
  private readonly observed = new Map<string, { node: string; id: string; watchRef: WatchRef }>();
  /** Actors spawned from elsewhere, by the id that they were given there. */
  private readonly aliases = new Map<string, ActorCell>();
  private readonly aliasOf = new WeakMap<ActorCell, string>();
  /** Spawns on other nodes that have failed, by the id of the actor that would have been. */
  private readonly failedSpawns = new Map<string, unknown>();
  private keeper: ActorCell | undefined;
  private observer: ActorCell | undefined;

  constructor(private readonly host: RemoteHost) {
    this.log = createLogger("RemoteActors", host.id);
    this.calls = new RemoteCalls(host, (id, name) => this.find(id, name));
  }

  /** The cell of an actor of another node. */
  cellOf(id: ActorId): ActorCell {
    return new RemoteCell(this.host.kernel, id, new RemoteActor(this, id));
  }

  /** Serves what the transport brings. */
  attach(): void {
    const { transport } = this.host;
    transport.onRequest?.((message) => this.answer(message));
    transport.onMessage?.((message) => this.receive(message));
  }

  // What this node does to the actors of others.

  /** @internal */
  call(id: ActorId, method: string | undefined, value: any, terms: CallTerms): Promise<any> {
    const failed = this.failedSpawns.get(id.id);
    return failed === undefined ? this.calls.call(id, method, value, terms) : rejected(failed);
  }

  /** @internal */
  cast(id: ActorId, method: string | undefined, value: any): void {
    this.calls.cast(id, method, value);
  }

  /** Has the node of an actor change a group. */
  changeGroup(change: "join" | "leave", group: string, id: ActorId): void {
    assertName("group", group);
    this.send(id.systemId, { kind: change, group, to: addressOf(id) });
  }

  /** Casts to the members that a group has on another node. */
  broadcast(node: string, group: string, value: any): void {
    this.send(node, { kind: "broadcast", group, value }, () => {
      this.host.kernel.deadLetter(undefined, "cast", "not_sent");
    });
  }

  /** @internal */
  async stop(id: ActorId): Promise<void> {
    await this.request(id.systemId, { kind: "stop", to: addressOf(id) }, OPERATION_MS).catch(ignore);
  }

  /** @internal */
  exit(id: ActorId, sender: ActorRef | undefined, reason: unknown): void {
    const from = sender === undefined ? {} : { from: addressOf(sender.id) };
    this.send(id.systemId, { kind: "exit", to: addressOf(id), reason, ...from });
  }

  /** Spawns on another node; the ref works at once. */
  spawn(node: string, definition: Definition, className: string, options: SpawnOptions = {}): ActorRef {
    const id = new ActorId(node, randomActorId(definition.takesMethods), options.name);
    const { args = [], name, mailbox } = options;
    const optional = { ...(name === undefined ? {} : { name }), ...(mailbox === undefined ? {} : { mailbox }) };
    this.request(node, { kind: "spawn", as: id.id, className, args, ...optional }, OPERATION_MS).catch((error) => {
      this.failedSpawns.set(id.id, error);
      for (const oldest of this.failedSpawns.keys()) {
        if (this.failedSpawns.size <= FAILED_SPAWNS_MAX) break;
        this.failedSpawns.delete(oldest);
      }
      this.log.error(`An actor could not be spawned on node ${node}`, error, { className });
    });
    return this.cellOf(id).ref;
  }

  /** @internal */
  shadow(id: ActorId): ActorCell {
    const key = keyOf(id.systemId, id.id);
    const known = this.shadows.get(key);
    if (known !== undefined && !known.cell.dead) return known.cell;
    const cell = this.shadowKeeper().keep(Shadow)._cell;
    this.shadows.set(key, { node: id.systemId, cell });
    this.request(id.systemId, { kind: "watch", to: addressOf(id) }, OPERATION_MS).then(
      (alive) => alive || this.endShadow(key, { type: "normal" }),
      () => this.endShadow(key, { type: "killed" }),
    );
    return cell;
  }

  private endShadow(key: string, reason: TerminationReason): void {
    const known = this.shadows.get(key);
    if (known === undefined) return;
    this.shadows.delete(key);
    endFor(known.cell, reason);
    this.tidy();
  }

  /** @internal */
  linkEnd(id: ActorId, local: ActorRef): ActorCell {
    const name = linkName(local.id, id);
    const known = this.ends.get(name);
    if (known !== undefined && !known.cell.dead) {
      known.links++;
      return known.cell;
    }
    const cell = this.makeEnd(name, id.systemId);
    this.send(id.systemId, { kind: "link", link: name, to: addressOf(id) }, () =>
      this.sever(name, { type: "error", error: new NodeDownError(id.systemId) }),
    );
    return cell;
  }

  private makeEnd(name: string, node: string): ActorCell {
    const onEnd = (reason: TerminationReason): void => {
      if (!this.ends.has(name)) return;
      this.send(node, { kind: "severed", link: name, reason });
      this.sever(name, reason);
    };
    const { _cell: cell } = this.shadowKeeper().keep(LinkEnd, [onEnd]);
    this.ends.set(name, { node, cell, links: 1 });
    return cell;
  }

  /** @internal */
  unlinked(id: ActorId, local: ActorRef): ActorCell | undefined {
    const name = linkName(local.id, id);
    const end = this.ends.get(name);
    if (end === undefined) return undefined;
    if (--end.links === 0) {
      this.ends.delete(name);
      this.send(end.node, { kind: "unlink", link: name });
      setImmediate(() => void stop(end.cell)); // The link itself is undone first.
      this.tidy();
    }
    return end.cell;
  }

  private sever(name: string, reason: TerminationReason): void {
    const end = this.ends.get(name);
    if (end === undefined) return;
    this.ends.delete(name);
    endFor(end.cell, reason);
    this.tidy();
  }

  /** A node is gone: nothing comes from it any more. */
  nodeLost(node: string): void {
    this.calls.nodeLost(node);
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

  private async request(node: string, body: RemoteRequest, timeoutMs: number): Promise<any> {
    const envelope: Envelope<RemoteRequest> = { libeam: 1, from: this.host.id, body };
    const reply: Reply = await this.host.transport.request(node, envelope, timeoutMs);
    if (!isReply(reply)) throw new TransportError("A node answered with no reply", node);
    if (!reply[0]) throw reply[1];
    return reply[1];
  }

  private send(node: string, body: RemoteMessage, onFailure: () => void = ignore): void {
    const envelope: Envelope<RemoteMessage> = { libeam: 1, from: this.host.id, body };
    try {
      Promise.resolve(this.host.transport.send(node, envelope)).catch(onFailure);
    } catch {
      onFailure(); // A transport of the user's may throw where it must not.
    }
  }

  // What other nodes do to the actors of this one.

  private answer(message: unknown): Promise<Reply | HeartbeatPong> {
    if (isMarked(message) && message[1] === CALL) return this.calls.serve(message);
    return this.answerRequest(message);
  }

  private async answerRequest(message: unknown): Promise<Reply | HeartbeatPong> {
    if (isHeartbeatPing(message)) return pongOf(message, this.host.id);
    if (!isEnvelope(message))
      throw new TransportError(`This node serves actors only (got ${typeof message})`, this.host.id);
    const { from, body } = message as Envelope<RemoteRequest>;
    try {
      return [true, await this.perform(from, body)];
    } catch (error) {
      return [false, error];
    }
  }

  private perform(from: string, request: RemoteRequest): unknown {
    switch (request.kind) {
      case "spawn":
        return this.spawnFor(request);
      case "stop": {
        const cell = this.find(request.to.id, request.to.name);
        return cell === undefined ? undefined : stop(cell, null);
      }
      case "watch":
        return this.observe(from, request.to);
      default:
        throw new LibeamError("This node does not know such a request", "UNKNOWN_REQUEST");
    }
  }

  private find(id: string, name: string | undefined): ActorCell | undefined {
    const cell = this.aliases.get(id) ?? this.host.cellById(id);
    if (cell !== undefined && !cell.dead) return cell;
    return name === undefined ? undefined : this.host.cellByName(name);
  }

  private spawnFor({ as, className, args, name, mailbox }: RemoteRequest & { kind: "spawn" }): void {
    const options = {
      args: [...args],
      ...(name === undefined ? {} : { name }),
      ...(mailbox === undefined ? {} : { mailbox }),
    };
    const cell = this.host.spawnRegistered(className, options);
    this.aliases.set(as, cell);
    this.aliasOf.set(cell, as);
  }

  /** An actor of this node is gone. */
  forget(cell: ActorCell): void {
    const alias = this.aliasOf.get(cell);
    if (alias !== undefined) this.aliases.delete(alias);
  }

  private observe(from: string, to: Address): boolean {
    const cell = this.find(to.id, to.name);
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
      this.send(entry.node, { kind: "down", of: entry.id, reason });
    }
    this.tidy();
  }

  private receive(message: unknown): void {
    if (isMarked(message)) {
      if (message[1] === CAST) this.calls.deliver(message);
      else if (message[1] === CANCEL) this.calls.cancel(message[2], message[3]);
      return;
    }
    if (!isEnvelope(message)) return;
    const { from, body } = message as Envelope<RemoteMessage>;
    switch (body.kind) {
      case "exit": {
        const cell = this.find(body.to.id, body.to.name);
        if (cell !== undefined) exit(this.senderOf(from, body.from), cell, body.reason);
        return;
      }
      case "join":
      case "leave": {
        const cell = this.find(body.to.id, body.to.name);
        if (cell !== undefined) this.host.groups[body.kind](body.group, cell);
        return;
      }
      case "broadcast":
        this.host.groups.broadcast(body.group, body.value);
        return;
      case "down":
        this.endShadow(keyOf(from, body.of), body.reason);
        return;
      case "link":
        this.linkFor(from, body);
        return;
      case "unlink": {
        const end = this.ends.get(body.link);
        this.ends.delete(body.link);
        if (end !== undefined) endFor(end.cell, { type: "normal" });
        this.tidy();
        return;
      }
      case "severed":
        this.sever(body.link, body.reason);
        return;
    }
  }

  /** Exit signals of other nodes come in the name of their sender. */
  private senderOf(node: string, from: Address | undefined): ActorCell | null {
    return from === undefined ? null : this.cellOf(new ActorId(node, from.id, from.name));
  }

  private linkFor(node: string, { link: name, to }: RemoteMessage & { kind: "link" }): void {
    const cell = this.find(to.id, to.name);
    if (cell === undefined) {
      this.send(node, {
        kind: "severed",
        link: name,
        reason: { type: "error", error: new ActorNotFoundError(to.id, this.host.id) },
      });
      return;
    }
    link(cell, this.makeEnd(name, node).ref);
  }

  private shadowKeeper(): ShadowKeeper {
    this.keeper ??= this.host.spawnHidden(ShadowKeeper, []);
    return this.keeper.behaviour as ShadowKeeper;
  }
}

/** What is done to one actor of another node. */
class RemoteActor implements Remote {
  constructor(
    private readonly actors: RemoteActors,
    private readonly id: ActorId,
  ) {}

  call(method: string | undefined, value: any, terms: CallTerms): Promise<any> {
    return this.actors.call(this.id, method, value, terms);
  }

  cast(method: string | undefined, value: any): void {
    this.actors.cast(this.id, method, value);
  }

  stop(): Promise<void> {
    return this.actors.stop(this.id);
  }

  exit(sender: ActorRef | undefined, reason: unknown): void {
    this.actors.exit(this.id, sender, reason);
  }

  shadow(): ActorCell {
    return this.actors.shadow(this.id);
  }

  linkEnd(local: ActorRef): ActorCell {
    return this.actors.linkEnd(this.id, local);
  }

  unlinked(local: ActorRef): ActorCell | undefined {
    return this.actors.unlinked(this.id, local);
  }
}

function ignore(): void {}

function keyOf(node: string, id: string): string {
  return `${node}\n${id}`;
}

/** The same on both sides. */
function linkName(local: ActorId, remote: ActorId): string {
  return [`${local.systemId}/${local.id}`, `${remote.systemId}/${remote.id}`].sort().join(" ");
}

function addressOf({ id, name }: ActorId): Address {
  return name === undefined ? { id } : { id, name };
}

/** Ends an actor of the runtime's own in the way in which another one has ended. */
function endFor(cell: ActorCell, reason: TerminationReason): void {
  if (cell.dead) return;
  switch (reason.type) {
    case "normal":
      void stop(cell, null);
      return;
    case "killed":
      exit(null, cell, "kill");
      return;
    case "error":
      crash(cell, reason.error);
      return;
    default:
      exit(null, cell, reason.reason);
  }
}
