/**
 * Actors of other nodes, both ways: what this node does to them, and what others do to the actors of this node.
 *
 * One object per system. It owns the calls that wait for another node and the ids that other nodes have given to actors
 * spawned here, and joins what owns the rest: watches and links (relations.ts), children there (stand_ins.ts) and from
 * there (guests.ts), loads (loads.ts). Everything that belongs to a node goes when the node does (`nodeLost`), or when
 * that node says that it had lost this one (losses.ts).
 *
 * Failure: a call rejects with TransportError if the transport refuses it, NodeDownError if the node is lost while it
 * waits, TimeoutError at its timeout, CallAbortedError at its signal, or with what the other node answered. A cast that
 * cannot be sent is a dead letter. Nothing here throws into the user's code or rejects unheard.
 */

import { ActorNotFoundError, LibeamError, NodeDownError, PeerNotFoundError, TransportError } from "../../errors.js";
import { ActorId, givenActorId, isGivenId } from "../../kernel/actor_id.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { ActorCell, Definition } from "../../kernel/cell.js";
import type { Transport } from "../../kernel/collaborators.js";
import type { TerminationReason } from "../../kernel/info.js";
import type { DeadLetterType, Kernel } from "../../kernel/kernel.js";
import { stop } from "../../kernel/lifecycle.js";
import { createLogger, type Logger } from "../../kernel/logger.js";
import { DECISION_IGNORED } from "../../kernel/protocol.js";
import { type Remote, RemoteCell } from "../../kernel/remote_cell.js";
import { exit } from "../../kernel/signals.js";
import { type CallTerms, rejected } from "../../kernel/slots.js";
import { assertName } from "../../kernel/validate.js";
import { type HeartbeatPong, isHeartbeatPing, pongOf } from "../heartbeat.js";
import type { PlacementEngine } from "../placement.js";
import type { SpawnOptions } from "../spawn_options.js";
import { RemoteCalls } from "./calls.js";
import { type GuestKeeper, Guests } from "./guests.js";
import { Loads } from "./loads.js";
import { Losses, microsSinceEpoch } from "./losses.js";
import { Peers } from "./peers.js";
import { plainReply } from "./plain_errors.js";
import {
  type Address,
  addressOf,
  CALL,
  CANCEL,
  CAST,
  type Envelope,
  isEnvelope,
  isMarked,
  type RemoteMessage,
  type RemoteRequest,
  type Reply,
  type Spawned,
} from "./protocol.js";
import { Relations } from "./relations.js";
import type { Observer, ShadowKeeper } from "./shadows.js";
import { type RemoteChildSpec, type StandIn, StandIns } from "./stand_ins.js";

/** What remote actors need of their system. */
export interface RemoteHost {
  readonly id: string;
  readonly transport: Transport;
  readonly kernel: Kernel;
  readonly placement: () => PlacementEngine;
  /** Nodes of the cluster. */
  members(): readonly string[];
  /** Whether a node is in the cluster. */
  isMember(node: string): boolean;
  /** Whether the system shuts down. */
  isStopping(): boolean;
  /** Makes an actor that nobody sees. */
  spawnHidden(actor: typeof Observer | typeof ShadowKeeper | typeof GuestKeeper, args: unknown[]): ActorCell;
  /** Makes an actor, a root or a child, of any definition. */
  spawnUnder(parent: ActorCell | null, definition: Definition, options: SpawnOptions): ActorCell;
  /** The definition that other nodes know by a name. @throws ActorClassNotRegisteredError, SystemShuttingDownError */
  registered(className: string): Definition;
  refTo(id: ActorId): ActorRef;
  cellById(id: string): ActorCell | undefined;
  cellByName(name: string): ActorCell | undefined;
  /** Groups of this node. */
  readonly groups: {
    join(group: string, cell: ActorCell): void;
    leave(group: string, cell: ActorCell): void;
    broadcastHere(group: string, message: any): void;
  };
}

/** Failed spawns whose errors are remembered; calls to older ones are told that there is no such actor. */
const FAILED_SPAWNS_MAX = 1_000;

/** See the module's header. */
export class RemoteActors {
  private readonly log: Logger;
  private readonly calls: RemoteCalls;
  /** Actors spawned from elsewhere, by the id that they were given there. */
  private readonly aliases = new Map<string, ActorCell>();
  private readonly aliasOf = new WeakMap<ActorCell, string>();
  /** Spawns on other nodes that have failed, by the id of the actor that would have been. */
  private readonly failedSpawns = new Map<string, { node: string; error: unknown }>();
  private readonly peers: Peers;
  private readonly losses = new Losses(microsSinceEpoch());
  /** How many actors the nodes have. */
  readonly loads: Loads;
  private readonly standIns: StandIns;
  private readonly guests: Guests;
  private readonly relations: Relations;

  constructor(private readonly host: RemoteHost) {
    this.log = createLogger("RemoteActors", host.id);
    this.calls = new RemoteCalls(
      host,
      (id, name) => this.find(id, name),
      (id, error) => this.whyNot(id, error),
      (node) => this.peers.hasRoom(node),
    );
    const { id, kernel } = host;
    const { losses } = this;
    const perform = (from: string, request: RemoteRequest): unknown => this.perform(from, request);
    const isMember = (node: string): boolean => host.isMember(node);
    const peers = new Peers(id, host.transport, (node) => losses.tagFor(node), perform, isMember);
    const countActors = (): number => kernel.countActors();
    const loads = new Loads(id, peers, countActors, () => host.members());
    this.peers = peers;
    this.loads = loads;
    this.relations = new Relations({
      id,
      peers,
      spawnHidden: (actor, args) => host.spawnHidden(actor, args),
      find: ({ id: of, name }) => this.find(of, name),
      refTo: (of) => host.refTo(of),
    });
    this.standIns = new StandIns({
      id,
      kernel,
      peers,
      loads,
      selectNode: (strategy, role, subject) => host.placement().selectNode(strategy, role, subject),
      spawnUnder: (parent, definition, options) => host.spawnUnder(parent, definition, options),
      carrierOf: (of) => new RemoteActor(this, this.relations, of),
      localOf: (as) => this.aliases.get(as),
      spawnFailed: (node, as, error) => this.spawnFailed(node, as, error),
    });
    this.guests = new Guests({
      id,
      peers,
      countActors,
      isStopping: () => host.isStopping(),
      registered: (className) => host.registered(className),
      spawnHidden: (actor, args) => host.spawnHidden(actor, args),
      spawnUnder: (parent, definition, options) => host.spawnUnder(parent, definition, options),
      refTo: (of) => host.refTo(of),
      alias: (as, cell) => this.alias(as, cell),
    });
  }

  /** The cell of an actor of another node. */
  cellOf(id: ActorId): ActorCell {
    const child = this.standIns.find(id.id)?.remoteCell;
    return child ?? new RemoteCell(this.host.kernel, id, new RemoteActor(this, this.relations, id));
  }

  /** An actor of this node by the id that another node gave it. */
  aliased(id: string): ActorCell | undefined {
    return this.aliases.get(id) ?? this.standIns.find(id)?.remoteCell;
  }

  /** Serves what the transport brings. */
  attach(): void {
    const { transport } = this.host;
    transport.onRequest?.((message) => this.answer(message), plainReply);
    transport.onMessage?.((message) => this.receive(message));
    for (const node of this.host.members()) if (node !== this.host.id) this.send(node, { kind: "hello", reply: true });
  }

  // What this node does to the actors of others.

  /** @internal */
  call(id: ActorId, method: string | undefined, value: any, terms: CallTerms): Promise<any> {
    const failed = this.failedSpawns.get(id.id);
    return failed === undefined ? this.calls.call(id, method, value, terms) : rejected(failed.error);
  }

  /**
   * What a caller should know: an actor that was never made is not found, and the reason is why it was not made; a node
   * without an address that was lost is down.
   */
  private whyNot(id: ActorId, error: unknown): unknown {
    const isUnknown = error instanceof PeerNotFoundError;
    const unreached = isUnknown || error instanceof ActorNotFoundError || error instanceof TransportError;
    const failed = unreached ? this.failedSpawns.get(id.id) : undefined;
    if (failed !== undefined) return failed.error;
    return isUnknown && this.losses.countOf(id.systemId) > 0 ? new NodeDownError(id.systemId, error) : error;
  }

  /** @internal */
  cast(id: ActorId, method: string | undefined, value: any): void {
    this.calls.cast(id, method, value);
  }

  /** Has the node of an actor change a group. */
  changeGroup(change: "join" | "leave", group: string, id: ActorId): void {
    assertName("group", group);
    this.tell(id.systemId, { kind: change, group, to: addressOf(id) }, change);
  }

  /** Casts to the members that a group has on another node. */
  broadcast(node: string, group: string, value: any): void {
    this.send(node, { kind: "broadcast", group, value }, () => {
      this.host.kernel.deadLetter(undefined, "cast", "not_sent");
    });
  }

  /** @internal */
  async stop(id: ActorId): Promise<void> {
    await this.peers.orderInTime(id.systemId, { kind: "stop", to: addressOf(id) }).catch(ignore);
  }

  /** @internal */
  exit(id: ActorId, sender: ActorRef | undefined, reason: unknown): void {
    const from = sender === undefined ? {} : { from: addressOf(sender.id) };
    this.tell(id.systemId, { kind: "exit", to: addressOf(id), reason, ...from }, "exit");
  }

  /** Spawns on another node; the ref works at once. */
  spawn(node: string, definition: Definition, className: string, options: SpawnOptions = {}): ActorRef {
    const id = new ActorId(node, givenActorId(definition.takesMethods), options.name);
    const { args = [], name, mailbox } = options;
    const optional = { ...(name === undefined ? {} : { name }), ...(mailbox === undefined ? {} : { mailbox }) };
    const answer = this.peers.order(node, { kind: "spawn", as: id.id, className, args, ...optional });
    this.loads.placed(node, answer as Promise<Spawned>).catch((error) => {
      this.spawnFailed(node, id.id, error);
      this.log.error(`An actor could not be spawned on node ${node}`, error, { className });
    });
    return this.cellOf(id).ref;
  }

  /** Spawns a child of an actor of this node on another one. */
  spawnChild(parent: ActorCell, node: string, spec: RemoteChildSpec, args: readonly unknown[]): StandIn {
    return this.standIns.spawn(parent, node, spec, args);
  }

  /** The stand-in of a child on another node, by an id of the child. */
  childById(id: string): StandIn | undefined {
    return this.standIns.find(id);
  }

  private spawnFailed(node: string, id: string, reason: unknown): void {
    const lost = reason instanceof TransportError && !this.host.isMember(node);
    const error = lost ? new NodeDownError(node, reason) : reason;
    this.failedSpawns.set(id, { node, error });
    for (const oldest of this.failedSpawns.keys()) {
      if (this.failedSpawns.size <= FAILED_SPAWNS_MAX) break;
      this.failedSpawns.delete(oldest);
    }
  }

  /** A node is gone: nothing comes from it any more. */
  nodeLost(node: string): void {
    this.losses.lose(node);
    this.drop(node);
  }

  /** Ends whatever is between this node and another one. */
  private drop(node: string): void {
    this.calls.nodeLost(node);
    this.standIns.lost(node);
    this.peers.lost(node);
    this.guests.lost(node);
    this.loads.lost(node);
    for (const failed of this.failedSpawns.values()) {
      if (failed.node !== node || !(failed.error instanceof TransportError)) continue;
      failed.error = new NodeDownError(node, failed.error);
    }
    this.relations.lost(node);
  }

  /** A node is there. If it was lost it may live on as if nothing had happened, and is told. */
  nodeJoined(node: string): void {
    // What it has made here meanwhile is dropped there when it hears of its loss.
    if (this.losses.isOneSided(node)) this.relations.lost(node);
    this.tellOfLoss(node);
    this.standIns.joined(node);
    this.guests.joined(node);
    this.loads.joined(node);
  }

  private tellOfLoss(node: string): void {
    if (this.losses.countOf(node) === 0)
      this.send(node, { kind: "hello", reply: this.losses.lifeOf(node) === undefined });
    else this.peers.insist(node, { kind: "lost" }).catch(ignore);
  }

  /** A node has spoken: if it had lost this one, nothing is left of what was between them before. */
  private heard({ from, tag }: Envelope<unknown>): void {
    if (from === this.host.id || this.losses.hear(from, tag) !== "lost") return;
    this.log.warn(`Node ${from} had lost this node: watches, links, calls and children between them have ended`);
    this.drop(from);
    this.standIns.joined(from); // Children that were started there since are not accounted for.
    if (this.losses.countOf(from) > 0) this.tellOfLoss(from); // That was refused with the rest.
  }

  /** Whether there is something that other nodes have to know and have no room for. */
  waitsForRoom(): boolean {
    return this.peers.waitsForRoom();
  }

  /** The system has ended. */
  close(): void {
    this.peers.close();
    this.loads.close();
  }

  private send(node: string, body: RemoteMessage, onFailure: () => void = ignore): void {
    this.peers.send(node, body, onFailure);
  }

  /** What must not be lost as long as not too much of it waits. */
  private tell(node: string, body: RemoteMessage, messageType: DeadLetterType): void {
    this.peers.tell(node, body, () => this.host.kernel.deadLetter(undefined, messageType, "not_sent"));
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
    this.heard(message);
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
        return this.relations.observe(from, request.to);
      case "adopt":
        return this.guests.adopt(from, request);
      case "revive":
        return this.guests.revive(from, request.child);
      case "halt":
        return this.guests.halt(from, request.child);
      case "dismiss":
        return this.guests.dismiss(from, request.child, request.reason);
      case "crashed":
        return this.standIns.crashed(from, request.child, request.life, request.reason);
      case "ended":
        return this.standIns.ended(from, request.child, request.reason);
      case "lost":
        return undefined; // Its tag has said it.
      default:
        throw new LibeamError("This node does not know such a request", "UNKNOWN_REQUEST");
    }
  }

  private find(id: string, name: string | undefined): ActorCell | undefined {
    // Perf: in this order, because ids of this node's own making say where their actor is, and an alias has to be looked up.
    const cell = this.host.cellById(id) ?? this.aliases.get(id);
    if (cell !== undefined && !cell.dead) return cell;
    // What was spawned from elsewhere may never have got its name, which is another actor's then.
    return name === undefined || isGivenId(id) ? undefined : this.host.cellByName(name);
  }

  private spawnFor({ as, className, args, name, mailbox }: RemoteRequest & { kind: "spawn" }): Spawned {
    const options = {
      args: [...args],
      ...(name === undefined ? {} : { name }),
      ...(mailbox === undefined ? {} : { mailbox }),
    };
    this.alias(as, this.host.spawnUnder(null, this.host.registered(className), options));
    return { load: this.loads.count() };
  }

  private alias(as: string, cell: ActorCell): void {
    if (cell.dead) return;
    this.aliases.set(as, cell);
    this.aliasOf.set(cell, as);
  }

  /** An actor of this node has crashed, and the core has decided. */
  crashed(cell: ActorCell, error: unknown, decision: number): void {
    this.standIns.decided(cell, decision, error);
    this.guests.crashed(cell, error, decision === DECISION_IGNORED);
  }

  /** An actor of this node is gone. */
  forget(cell: ActorCell, reason: () => TerminationReason): void {
    const alias = this.aliasOf.get(cell);
    if (alias !== undefined) this.aliases.delete(alias);
    this.standIns.gone(cell, reason);
    this.guests.gone(cell, reason);
  }

  private receive(message: unknown): void {
    if (isMarked(message)) {
      if (message[1] === CAST) this.calls.deliver(message);
      else if (message[1] === CANCEL) this.calls.cancel(message[2], message[3]);
      return;
    }
    if (!isEnvelope(message)) return;
    const { from, body } = message as Envelope<RemoteMessage>;
    this.heard(message);
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
        this.host.groups.broadcastHere(body.group, body.value);
        return;
      case "down":
        this.relations.down(from, body.of, body.reason);
        return;
      case "link":
        this.relations.link(from, body.link, body.to, body.from);
        return;
      case "unlink":
        this.relations.unlink(body.link);
        return;
      case "severed":
        this.relations.sever(body.link, body.reason);
        return;
      case "family":
        this.guests.family(from, body.children);
        return;
      case "guests":
        this.standIns.present(from, body.children);
        return;
      case "hello":
        if (body.reply) this.send(from, { kind: "hello", reply: false });
        return;
      case "closed":
        this.loads.saidClosed(from, body.closed === true);
        return;
      case "follow":
        this.loads.followedBy(from);
        return;
      case "load":
        this.loads.told(from, body.actors);
        return;
    }
  }

  /** Exit signals of other nodes come in the name of their sender. */
  private senderOf(node: string, from: Address | undefined): ActorCell | null {
    return from === undefined ? null : this.host.refTo(new ActorId(node, from.id, from.name))._cell;
  }
}

/** What is done to one actor of another node. */
class RemoteActor implements Remote {
  constructor(
    private readonly actors: RemoteActors,
    private readonly relations: Relations,
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
    return this.relations.shadow(this.id);
  }

  linkEnd(local: ActorRef): ActorCell {
    return this.relations.linkEnd(this.id, local);
  }

  unlinked(end: ActorCell): void {
    this.relations.unlinked(end);
  }
}

function ignore(): void {}
