/**
 * Stand-ins: actors of this node that are, in the tree of their parent, the children that live on other nodes. See
 * docs/design/remote_children.md.
 *
 * A stand-in handles no messages. The core stops it, counts its crashes and starts it again as it does with any child,
 * and each of these is passed on to the node of the guest:
 *
 *   none ── init: adopt ──▶ starting ──▶ alive ── crashed, halt ──▶ down ── init: revive ──▶ starting
 *
 * `none` is also what is left when the guest has ended or its node is lost; the next `init` places it anew. A stand-in
 * that ends has its guest dismissed, and waits for that as long as any stop may take.
 *
 * Owner: where each guest is, and what it was last heard to do. Failure of the other node is a crash of the stand-in.
 */

import { LibeamError, NodeDownError, SystemShuttingDownError } from "../../errors.js";
import { ActorId, givenActorId } from "../../kernel/actor_id.js";
import { ActorRef, TypedActorRef } from "../../kernel/actor_ref.js";
import type { ActorCell, Behaviour, Definition } from "../../kernel/cell.js";
import { crash } from "../../kernel/crash.js";
import type { TerminationReason } from "../../kernel/info.js";
import type { Kernel } from "../../kernel/kernel.js";
import { stop } from "../../kernel/lifecycle.js";
import type { MailboxConfig } from "../../kernel/options.js";
import {
  DECISION_ESCALATE,
  DECISION_GIVE_UP,
  DECISION_RESTART,
  DECISION_STOP,
  FLAG_STOPPING,
} from "../../kernel/protocol.js";
import { type Remote, RemoteCell } from "../../kernel/remote_cell.js";
import { crashReason, endAs, exit } from "../../kernel/signals.js";
import { type CallTerms, rejected } from "../../kernel/slots.js";
import type { PlacementStrategy, PlacementSubject } from "../placement.js";
import { callHere, castHere } from "./calls.js";
import type { Loads } from "./loads.js";
import type { Peers } from "./peers.js";
import { type Adopted, addressOf, type RemoteRequest, type Verdict } from "./protocol.js";

/** What a remote child is spawned with. */
export interface RemoteChildSpec {
  /** Under which name other nodes know the definition. */
  className: string;
  takesMethods: boolean;
  name: string | undefined;
  mailbox: MailboxConfig | undefined;
  strategy: PlacementStrategy;
  role: string | undefined;
}

/** What stand-ins need of their node. */
export interface StandInHost {
  readonly id: string;
  readonly kernel: Kernel;
  readonly peers: Peers;
  readonly loads: Loads;
  /** @throws NoRoleMatchError, PlacementError */
  selectNode(strategy: PlacementStrategy, role: string | undefined, subject: PlacementSubject): string;
  spawnUnder(parent: ActorCell, definition: Definition, options: { args: unknown[] }): ActorCell;
  /** Carries messages to an actor of another node. */
  carrierOf(id: ActorId): Remote;
  /** An actor of this node, if that is where the guest has gone. */
  localOf(id: string): ActorCell | undefined;
  /** What calls to an actor are told that could not be spawned. */
  spawnFailed(node: string, id: string, error: unknown): void;
}

/** Former ids of one child that are remembered. */
const FORMER_IDS_MAX = 16;

/** Where a guest is. */
interface Place {
  node: string;
  /** Its name between the two nodes, and its first public id. */
  as: string;
  /** Public id of its incarnation. */
  id: string;
  /** How often the guest has been started there. */
  life: number;
  /** The connection was lost while a guest was on its way there. */
  uncertain: boolean;
  /** The node has been lost since. */
  lost: boolean;
}

type State = "none" | "starting" | "alive" | "down";

/** One remote child on the node of its parent. */
export class StandIn implements Definition, Remote {
  readonly className: string;
  readonly takesMethods: boolean;
  /** What refs to the child point at. */
  readonly remoteCell: RemoteCell;
  state: State = "none";
  place: Place;
  /** Ids of before, which refs may still have. */
  readonly formerIds: string[] = [];
  cell!: ActorCell;
  /** What the core has decided about its last crash. */
  decision = DECISION_RESTART;
  /** Id of the incarnation before this one. */
  previousId: string;
  /** The start under way. */
  starting: Promise<unknown> | undefined;
  private everStarted = false;
  /** Since when its name is its own, by this node's clock; see `findPlace`. */
  private namedSince = Date.now();
  private placed = true;
  private avoid: string | undefined;
  /** An error with which it ends. */
  private failure: { error: unknown } | undefined;
  private restarting = false;

  constructor(
    private readonly host: StandInHost,
    private readonly family: StandIns,
    private readonly parent: ActorCell,
    private readonly spec: RemoteChildSpec,
    node: string,
  ) {
    this.className = spec.className;
    this.takesMethods = spec.takesMethods;
    this.place = this.newPlace(node);
    this.previousId = this.place.id;
    this.remoteCell = new RemoteCell(host.kernel, this.id, this, spec.className);
  }

  /** Public id of the child now. */
  get id(): ActorId {
    return new ActorId(this.place.node, this.place.id, this.spec.name);
  }

  /** Id of the parent, which is on this node. */
  get parentId(): string {
    return this.parent.ref.id.id;
  }

  private newPlace(node: string): Place {
    const as = givenActorId(this.takesMethods);
    return { node, as, id: as, life: 0, uncertain: false, lost: false };
  }

  // What the runtime asks of a definition.

  start(cell: ActorCell, args: readonly unknown[]): Promise<void> {
    this.cell = cell;
    cell.behaviour = new StandInBehaviour(this);
    this.restarting = false;
    this.failure = undefined;
    const starting = this.state === "down" ? this.revive() : this.adopt(args);
    this.state = "starting";
    this.starting = starting;
    const over = (): void => {
      if (this.starting === starting) this.starting = undefined;
    };
    starting.then(over, over);
    return starting;
  }

  private async adopt(args: readonly unknown[]): Promise<void> {
    const instead = this.findPlace();
    const { place, spec } = this;
    const { name, mailbox, className } = spec;
    const request: RemoteRequest = {
      kind: "adopt",
      as: place.as,
      className,
      args,
      parent: addressOf(this.parent.ref.id),
      ...(name === undefined ? {} : { name, nameSince: this.namedSince }),
      ...(mailbox === undefined ? {} : { mailbox }),
      ...(instead === undefined ? {} : { instead }),
    };
    await this.settle(place, this.host.loads.placed(place.node, this.host.peers.order(place.node, request)));
    this.everStarted = true;
  }

  /** Places the child, anew if it has a place already; gives what is left of it at that node. */
  private findPlace(): string | undefined {
    if (this.placed) {
      this.placed = false;
      return undefined;
    }
    const { strategy, role, className, name } = this.spec;
    const before = this.place;
    const node = this.host.selectNode(strategy, role, { className, name, avoid: this.avoid });
    this.avoid = undefined;
    this.place = this.newPlace(node);
    // What is left at the place of before may still have the name where nobody has told it to end. That name is this one's.
    this.namedSince--;
    this.family.moved(this, before);
    this.cell.renewRef();
    if (before.node === node) return before.as;
    this.family.abandon(before);
    return undefined;
  }

  private async revive(): Promise<void> {
    const { place } = this;
    const { peers } = this.host;
    await this.settle(place, peers.order(place.node, { kind: "revive", child: place.as }));
    this.cell.renewRef();
  }

  /** Sees a start through. */
  private async settle(place: Place, answer: Promise<Adopted>): Promise<void> {
    let adopted: Adopted;
    try {
      adopted = await answer;
      if (place.lost) throw new NodeDownError(place.node); // The answer was on its way through promises.
    } catch (error) {
      if (this.place === place) this.state = "none";
      if (error instanceof SystemShuttingDownError) this.avoid = place.node;
      place.uncertain = error instanceof NodeDownError && !place.lost;
      if (!this.everStarted) this.host.spawnFailed(place.node, place.as, error);
      throw error;
    }
    if (this.place !== place) return; // It was given up meanwhile, and has begun again elsewhere.
    this.previousId = place.id;
    place.life = adopted.life;
    this.family.renamed(this, adopted.id);
    this.state = adopted.failure === undefined ? "alive" : "down";
    if (adopted.failure !== undefined) throw adopted.failure.error;
  }

  terminates(): boolean {
    return true;
  }

  childSupervision(): undefined {
    return undefined;
  }

  preRestart(): void {
    this.restarting = true;
  }

  postRestart(): void {}

  makeRef(): ActorRef {
    const owner = { _cellOf: () => this.remoteCell };
    return this.takesMethods ? new TypedActorRef(this.id, owner) : new ActorRef(this.id, owner);
  }

  /** Passes the end of an incarnation on. */
  async terminate(): Promise<void> {
    const { place, state, restarting } = this;
    this.restarting = false;
    if (restarting && (state === "none" || state === "down")) return;
    if (!restarting) {
      const dismissed = this.dismiss();
      if (state !== "none") await dismissed;
      return;
    }
    await this.host.peers.insist(place.node, { kind: "halt", child: place.as }).then(
      () => this.halted(place, "down"),
      () => this.halted(place, "none"),
    );
  }

  private halted(place: Place, state: State): void {
    if (this.place === place && this.state !== "none") this.state = state;
  }

  /** Has the guest ended, for the reason for which the stand-in ends. */
  async dismiss(reason: TerminationReason = this.reason()): Promise<void> {
    const { place } = this;
    if (this.state === "none" && !place.uncertain) return;
    this.state = "none";
    place.uncertain = false;
    await this.family.dismiss(place, reason);
  }

  private reason(): TerminationReason {
    if (this.decision === DECISION_GIVE_UP) return { type: "killed" };
    return this.failure === undefined ? { type: "normal" } : crashReason(this.failure.error);
  }

  // What the core and the other node say.

  /** The core has decided about a crash. */
  decided(decision: number, error: unknown): void {
    if (decision === DECISION_STOP || decision === DECISION_ESCALATE) this.failure = { error };
    this.decision = decision;
  }

  /** The guest has crashed in that life, and goes down. */
  crashed(life: number, reason: TerminationReason): Verdict {
    const { cell } = this;
    if (this.state === "none") return { restart: false, unknown: true };
    // Race: a halt may have taken it down as well, and have been followed by another life.
    if (this.state === "alive" && life === this.place.life) {
      this.state = "down";
      endAs(cell, reason);
    }
    return { restart: !cell.dead && (cell.flags & FLAG_STOPPING) === 0 };
  }

  /** The guest has ended. */
  ended(reason: TerminationReason): void {
    if (this.state === "none") return;
    this.state = "none";
    if (reason.type === "error") this.avoid = this.place.node;
    endAs(this.cell, reason);
  }

  /** The node of the guest is gone. */
  lost(): void {
    const { state, place } = this;
    this.avoid = place.node;
    this.state = "none";
    place.lost = true;
    // A start that is under way is refused, which is a crash too.
    if (state === "alive" || state === "down") crash(this.cell, new NodeDownError(place.node));
  }

  // What refs do.

  /** The guest on this node, or what carries messages to it. */
  private there(): ActorCell | Remote {
    const { node, as } = this.place;
    if (node !== this.host.id) return this.host.carrierOf(new ActorId(node, as, this.spec.name));
    return this.host.localOf(as) ?? new Nowhere(node);
  }

  call(method: string | undefined, value: any, terms: CallTerms): Promise<any> {
    const there = this.there();
    if (!isCell(there)) return there.call(method, value, terms);
    return callHere(there, method, value, terms);
  }

  cast(method: string | undefined, value: any): void {
    const there = this.there();
    if (isCell(there)) castHere(there, method, value);
    else there.cast(method, value);
  }

  stop(): Promise<void> {
    return stop(this.cell);
  }

  exit(sender: ActorRef | undefined, reason: unknown): void {
    const there = this.there();
    if (isCell(there)) exit(sender?._cell ?? null, there, reason);
    else there.exit(sender, reason);
  }

  shadow(): ActorCell {
    return this.cell;
  }

  linkEnd(local: ActorRef): ActorCell {
    const there = this.there();
    return isCell(there) ? there : there.linkEnd(local);
  }

  unlinked(end: ActorCell): void {
    const there = this.there();
    if (!isCell(there)) there.unlinked(end);
  }
}

/** A guest of this node that is not there. */
class Nowhere implements Remote {
  constructor(private readonly node: string) {}

  call(): Promise<any> {
    return rejected(new NodeDownError(this.node));
  }

  cast(): void {}

  async stop(): Promise<void> {}

  exit(): void {}

  shadow(): never {
    throw new LibeamError("A stand-in is its own shadow", "UNREACHABLE");
  }

  linkEnd(): never {
    throw new NodeDownError(this.node);
  }

  unlinked(): void {}
}

function isCell(there: ActorCell | Remote): there is ActorCell {
  return "words" in there;
}

/** What a stand-in does with what the core asks of an actor. */
class StandInBehaviour implements Behaviour {
  constructor(private readonly standIn: StandIn) {}

  handleCall(): void {}

  handleCast(): void {}

  handleInfo(): void {}

  handleContinue(): void {}

  terminate(): Promise<void> {
    return this.standIn.terminate();
  }
}

/** The remote children of a node's actors. */
export class StandIns {
  /** By the name of the guest between the nodes. */
  private readonly standIns = new Map<string, StandIn>();
  /** By public ids: those that the node gave at each place, and the current one. */
  private readonly ids = new Map<string, StandIn>();
  /** Nodes that have, or have had, guests of this one. */
  private readonly nodes = new Set<string>();

  constructor(private readonly host: StandInHost) {}

  /** Spawns a child on another node; its ref works at once. */
  spawn(parent: ActorCell, node: string, spec: RemoteChildSpec, args: readonly unknown[]): StandIn {
    const standIn = new StandIn(this.host, this, parent, spec, node);
    this.add(standIn);
    try {
      standIn.cell = this.host.spawnUnder(parent, standIn, { args: [...args] });
    } catch (error) {
      this.remove(standIn);
      throw error;
    }
    return standIn;
  }

  /** The stand-in of a child by an id of it. */
  find(id: string): StandIn | undefined {
    return this.ids.get(id);
  }

  private add(standIn: StandIn): void {
    const { place } = standIn;
    this.standIns.set(place.as, standIn);
    this.ids.set(place.id, standIn);
    this.nodes.add(place.node);
  }

  private remove({ place, formerIds }: StandIn): void {
    this.standIns.delete(place.as);
    for (const id of [place.as, place.id, ...formerIds]) this.ids.delete(id);
  }

  /** @internal A child has another place; old refs to it follow. */
  moved(standIn: StandIn, { as, id }: Place): void {
    const { formerIds } = standIn;
    this.standIns.delete(as);
    if (id !== as) this.ids.delete(id);
    formerIds.push(as);
    if (formerIds.length > FORMER_IDS_MAX) this.ids.delete(formerIds.shift() as string);
    this.add(standIn);
  }

  /** @internal The incarnation of a guest has an id. */
  renamed(standIn: StandIn, id: string): void {
    const { place } = standIn;
    if (place.id !== place.as) this.ids.delete(place.id);
    place.id = id;
    this.ids.set(id, standIn);
  }

  /** @internal Has a guest ended; resolves when it has, or nothing can be done about it. */
  async dismiss({ node, as }: Place, reason: TerminationReason): Promise<void> {
    try {
      await this.host.peers.insist(node, { kind: "dismiss", child: as, reason });
    } catch {
      // Its node is gone, and the guest with it, or it will be told when it is back.
    }
  }

  /** @internal Nothing is to be left at a place. */
  abandon(place: Place): void {
    void this.dismiss(place, { type: "normal" });
  }

  /** A guest tells that it has crashed. */
  async crashed(from: string, child: string, life: number, reason: TerminationReason): Promise<Verdict> {
    const standIn = await this.settled(from, child);
    return standIn === undefined ? { restart: false, unknown: true } : standIn.crashed(life, reason);
  }

  /** A guest tells that it has ended. */
  async ended(from: string, child: string, reason: TerminationReason): Promise<void> {
    (await this.settled(from, child))?.ended(reason);
  }

  /** The stand-in of a guest, when it knows that the guest has started. */
  private async settled(from: string, child: string): Promise<StandIn | undefined> {
    const standIn = this.standIns.get(child);
    if (standIn === undefined || standIn.place.node !== from) return undefined;
    while (standIn.starting !== undefined) {
      await standIn.starting.catch(() => {});
      await new Promise((resolve) => setImmediate(resolve)); // The core is told of the start first.
    }
    return this.standIns.get(child) === standIn && !standIn.cell.dead ? standIn : undefined;
  }

  /** The core has decided about a crash; false if the actor is no stand-in. */
  decided(cell: ActorCell, decision: number, error: unknown): boolean {
    const standIn = standInOf(cell);
    standIn?.decided(decision, error);
    return standIn !== undefined;
  }

  /** An actor is gone. */
  gone(cell: ActorCell, reason: () => TerminationReason): void {
    const standIn = standInOf(cell);
    if (standIn === undefined) return;
    this.remove(standIn);
    void standIn.dismiss(reason()); // If its end has not done so: it was killed in `init`, or lost patience.
  }

  /** A node is gone. */
  lost(node: string): void {
    for (const standIn of [...this.standIns.values()]) if (standIn.place.node === node) standIn.lost();
  }

  /** A node tells which guests of this one it has; those that it lacks are lost. */
  present(node: string, children: readonly string[]): void {
    const there = new Set(children);
    for (const standIn of [...this.standIns.values()]) {
      const { place, state } = standIn;
      if (place.node === node && state !== "starting" && !there.has(place.as)) standIn.lost();
    }
  }

  /** A node is there: it is told which of its guests are accounted for. */
  joined(node: string): void {
    if (!this.nodes.has(node)) return;
    const there = [...this.standIns.values()].filter(({ place, state }) => place.node === node && state !== "none");
    this.host.peers.tell(node, { kind: "family", children: there.map(({ place }) => place.as) });
  }
}

/** What the core of this node supervises in the place of an actor: the stand-in of a child elsewhere, or the actor itself. */
export function supervisedAs(cell: ActorCell): ActorCell {
  return cell.remote instanceof StandIn ? cell.remote.cell : cell;
}

/** The stand-in behind a cell. */
export function standInOf(cell: ActorCell): StandIn | undefined {
  return cell.definition instanceof StandIn ? cell.definition : undefined;
}
