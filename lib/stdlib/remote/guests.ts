/**
 * Guests: actors of this node whose parent is on another one. See docs/design/remote_children.md.
 *
 * A guest is a child of a hidden keeper that restarts always and at once, so that it goes down as in any restart and
 * keeps its name, mailbox and watchers. Its next `init` waits for the parent's node:
 *
 *   starting ── init ends ──▶ alive ── crash, halt ──▶ going down ──▶ waiting ── revive ──▶ starting
 *
 * From anywhere `dismiss` ends it, with the reason that the parent's node has decided on. A guest MUST NOT start again
 * without `revive`. A guest ends by itself when it is stopped or killed here, and its parent's node is told (`ended`).
 * When the parent's node is lost, or does not know the guest, it is stopped.
 *
 * Owner: the guests by the id that the parent's node gave them. What decides is there.
 */

import { ActorNotFoundError, NodeDownError } from "../../errors.js";
import { ActorId } from "../../kernel/actor_id.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { ActorCell, Definition } from "../../kernel/cell.js";
import { crash } from "../../kernel/crash.js";
import type { TerminationReason } from "../../kernel/info.js";
import { resumeInit, stop } from "../../kernel/lifecycle.js";
import { type ChildSupervisionOptions, DEFAULT_CHILD_SUPERVISION } from "../../kernel/options.js";
import { isThenable } from "../../kernel/outcome.js";
import { crashReason, endAs } from "../../kernel/signals.js";
import { Actor } from "../actor.js";
import type { SpawnOptions } from "../spawn_options.js";
import type { Peers } from "./peers.js";
import { Adopted, type RemoteRequest, type Verdict } from "./protocol.js";

/** What guests need of their node. */
export interface GuestHost {
  readonly id: string;
  readonly peers: Peers;
  /** Whether the node shuts down. */
  isStopping(): boolean;
  /** Actors of the node. */
  countActors(): number;
  /** The definition that other nodes know by a name. @throws ActorClassNotRegisteredError, SystemShuttingDownError */
  registered(className: string): Definition;
  spawnHidden(actor: typeof GuestKeeper, args: unknown[]): ActorCell;
  spawnUnder(parent: ActorCell, definition: Definition, options: SpawnOptions): ActorCell;
  refTo(id: ActorId): ActorRef;
  /** Makes a guest known by the id that its parent's node gave it. */
  alias(id: string, cell: ActorCell): void;
}

const RESTART_AT_ONCE: ChildSupervisionOptions = {
  ...DEFAULT_CHILD_SUPERVISION,
  maxRestarts: Number.POSITIVE_INFINITY,
  backoff: { initialMs: 0, maxMs: 0, jitter: 0 },
};
const LEAVE_DEAD: ChildSupervisionOptions = { ...DEFAULT_CHILD_SUPERVISION, strategy: "Stop" };
/** How long `preRestart` and `terminate` of a crashed guest wait for the parent's node, in milliseconds. */
const VERDICT_MS = 2_000;

/** Takes a guest down that has not failed: its siblings are restarted. */
class Halted extends Error {}
/** Refuses an `init` that will not run. */
class Dismissed extends Error {}

/** The parent of all guests of a node. */
export class GuestKeeper extends Actor {
  private leaving = false;

  override childSupervision(): ChildSupervisionOptions {
    return this.leaving ? LEAVE_DEAD : RESTART_AT_ONCE;
  }

  /** Ends a guest for that reason; it is not started again. */
  letGo(cell: ActorCell, reason: TerminationReason): void {
    this.leaving = true;
    endAs(cell, reason);
    this.leaving = false;
  }
}

/** One guest: how it comes to life, and what its parent's node is told of it. */
class Guest implements Definition {
  readonly className: string;
  readonly takesMethods: boolean;
  cell!: ActorCell;
  /** Why the parent's node ends it. */
  ending: TerminationReason | undefined;
  /** Lets a waiting `init` go on, or refuses it. */
  private wait: { resolve: () => void; reject: (error: Error) => void } | undefined;
  /** How often it has been started. */
  private life = 0;
  /** A revival came before the guest was down. */
  private revived = false;
  /** A revival was let through; the next life is about to begin. */
  private resuming = false;
  private goingDown = false;
  private failedInit: { error: unknown } | undefined;
  private verdict: Promise<boolean> = Promise.resolve(true);
  private outcome: (failure?: { error: unknown }) => void = ignore;
  private downWaiters: (() => void)[] = [];
  private goneWaiters: (() => void)[] = [];

  constructor(
    private readonly inner: Definition,
    /** Node of the parent. */
    readonly node: string,
    /** Id that the parent's node has given it. */
    readonly as: string,
    readonly parentElsewhere: ActorRef,
    private readonly keeper: GuestKeeper,
    private readonly host: GuestHost,
    readonly nameSince: number | undefined,
  ) {
    this.className = inner.className;
    this.takesMethods = inner.takesMethods;
  }

  // What the runtime asks of a definition.

  start(cell: ActorCell, args: readonly unknown[]): unknown {
    this.cell = cell;
    this.goingDown = false;
    if (this.life === 0 || this.revived) {
      this.revived = false;
      return this.begin(cell, args);
    }
    const { epoch } = cell;
    return new Promise<void>((resolve, reject) => {
      this.wait = { resolve, reject };
      for (const wake of this.downWaiters.splice(0)) wake();
      if (isFailure(this.ending)) queueMicrotask(() => this.leave());
    }).then(() => {
      if (cell.epoch !== epoch) throw new Dismissed();
      return resumeInit(cell, () => this.begin(cell, args));
    });
  }

  private begin(cell: ActorCell, args: readonly unknown[]): unknown {
    let result: unknown;
    this.resuming = false;
    this.life++;
    try {
      result = this.inner.start(cell, args);
    } catch (error) {
      this.initEnded({ error });
      throw error;
    }
    if (!isThenable(result)) this.initEnded(undefined);
    else {
      Promise.resolve(result).then(
        () => this.initEnded(undefined),
        (error) => this.initEnded({ error }),
      );
    }
    return result;
  }

  private initEnded(failure: { error: unknown } | undefined): void {
    this.failedInit = failure;
    this.outcome(failure);
  }

  terminates(cell: ActorCell): boolean {
    return this.wait === undefined && this.inner.terminates(cell);
  }

  childSupervision(cell: ActorCell): ChildSupervisionOptions | undefined {
    return this.inner.childSupervision(cell);
  }

  async preRestart(cell: ActorCell, error: unknown): Promise<void> {
    if (error instanceof Halted) await this.inner.preRestart(cell, undefined);
    else if (await this.verdict) await this.inner.preRestart(cell, error);
  }

  postRestart(cell: ActorCell, error: unknown): unknown {
    return this.inner.postRestart(cell, error instanceof Halted ? undefined : error);
  }

  makeRef(cell: ActorCell): ActorRef {
    return this.inner.makeRef(cell);
  }

  // What the parent's node asks.

  /** What comes of the `init` under way, or of the next one. */
  whenStarted(): Promise<Adopted> {
    return new Promise((resolve) => {
      this.outcome = (failure) => {
        this.outcome = ignore;
        resolve(this.report(failure));
      };
    });
  }

  private report(failure: { error: unknown } | undefined): Adopted {
    return new Adopted(this.cell.ref.id.id, this.life, this.host.countActors(), failure);
  }

  revive(): Promise<Adopted> {
    if (this.wait === undefined && !this.goingDown && !this.resuming) return Promise.resolve(this.report(undefined)); // It lives.
    const started = this.whenStarted();
    const { wait } = this;
    this.wait = undefined;
    if (wait === undefined) this.revived = true;
    else {
      this.resuming = true;
      wait.resolve();
    }
    return started;
  }

  halt(): Promise<void> {
    if (this.wait !== undefined || this.cell.dead) return Promise.resolve();
    const down = new Promise<void>((resolve) => this.downWaiters.push(resolve));
    crash(this.cell, new Halted("a sibling crashed"));
    return down;
  }

  dismiss(reason: TerminationReason): Promise<void> {
    if (this.cell.dead) return Promise.resolve();
    const gone = new Promise<void>((resolve) => this.goneWaiters.push(resolve));
    this.ending = reason;
    if (!isFailure(reason) || !this.goingDown) this.leave();
    return gone;
  }

  /** Ends the guest for the reason that was given. */
  private leave(): void {
    const { cell, ending, wait } = this;
    this.keeper.letGo(cell, ending ?? { type: "normal" });
    this.wait = undefined;
    wait?.reject(new Dismissed());
  }

  // What happens here.

  /** It has crashed; `leaving` if it was on its way out already. */
  crashed(error: unknown, leaving: boolean): void {
    if (!leaving) this.goingDown = true;
    if (!leaving && this.ending === undefined && this.wait !== undefined) {
      this.skipTurn(); // A signal has met an actor between two lives.
      return;
    }
    if (leaving || this.ending !== undefined || error instanceof Halted) return;
    if (this.failedInit !== undefined && this.failedInit.error === error) return; // The parent's node has its answer.
    const child = this.as;
    const life = this.resuming ? this.life + 1 : this.life;
    const told = this.tell({ kind: "crashed", child, life, reason: crashReason(error) }) as Promise<
      Verdict | undefined
    >;
    const verdict = told.then(
      (verdict) => {
        if (typeof verdict?.restart !== "boolean" || verdict.unknown) this.orphaned();
        return verdict?.restart === true;
      },
      () => {
        this.orphaned();
        return false;
      },
    );
    this.verdict = Promise.race([verdict, patience()]);
  }

  /** Goes down and waits again: nothing has begun that could be restarted. */
  private skipTurn(): void {
    const { wait } = this;
    this.wait = undefined;
    wait?.reject(new Dismissed());
  }

  /** Nobody looks after it any more. */
  orphaned(): void {
    void this.dismiss({ type: "normal" });
  }

  /** The node of its parent is gone; if it is not, this tells it what has come of that. */
  bereaved(): void {
    const error = new NodeDownError(this.host.id);
    this.orphaned();
    this.host.peers
      .request(this.node, { kind: "ended", child: this.as, reason: { type: "error", error } })
      .catch(ignore);
  }

  /** It is gone. */
  gone(reason: TerminationReason): void {
    this.outcome({ error: new ActorNotFoundError(this.as, this.host.id) });
    for (const wake of [...this.downWaiters.splice(0), ...this.goneWaiters.splice(0)]) wake();
    if (this.ending !== undefined) return;
    const told = this.host.isStopping() ? { type: "error" as const, error: new NodeDownError(this.host.id) } : reason;
    this.tell({ kind: "ended", child: this.as, reason: told }).catch(ignore);
  }

  private tell(body: RemoteRequest): Promise<unknown> {
    return this.host.peers.insist(this.node, body);
  }
}

/** See the module's header. */
export class Guests {
  private readonly guests = new Map<string, Guest>();
  /** Guests whose predecessor is still to end, with the node of their parent. */
  private readonly expected = new Map<string, string>();
  /** Nodes whose actors have, or have had, children here. */
  private readonly parents = new Set<string>();
  private keeper: ActorCell | undefined;

  constructor(private readonly host: GuestHost) {}

  /** Spawns a guest; the answer comes when its `init` has ended. */
  async adopt(from: string, request: RemoteRequest & { kind: "adopt" }): Promise<Adopted> {
    const { as, className, args, name, mailbox, parent, instead, nameSince } = request;
    this.parents.add(from);
    const before = instead === undefined ? undefined : this.guests.get(instead);
    if (before !== undefined) {
      this.expected.set(as, from);
      await before.dismiss({ type: "normal" });
      if (!this.expected.delete(as)) throw new ActorNotFoundError(as, this.host.id); // It was given up meanwhile.
    }
    const known = this.guests.get(as);
    if (known !== undefined) return known.whenStarted();
    const inner = this.host.registered(className);
    const keeper = this.keep();
    const parentRef = this.host.refTo(new ActorId(from, parent.id, parent.name));
    const since = Number.isFinite(nameSince) ? nameSince : undefined;
    const guest = new Guest(inner, from, as, parentRef, keeper.behaviour as GuestKeeper, this.host, since);
    const started = guest.whenStarted();
    const options = { args: [...args], ...(name === undefined ? {} : { name }), ...(mailbox ? { mailbox } : {}) };
    try {
      guest.cell = this.host.spawnUnder(keeper, guest, options);
    } catch (error) {
      this.tidy();
      throw error;
    }
    this.guests.set(as, guest);
    this.host.alias(as, guest.cell);
    return started;
  }

  /** Starts a guest again. @throws ActorNotFoundError */
  revive(from: string, child: string): Promise<Adopted> {
    return this.find(from, child).revive();
  }

  /** Has a guest go down. @throws ActorNotFoundError */
  halt(from: string, child: string): Promise<void> {
    return this.find(from, child).halt();
  }

  /** Ends a guest; one that is gone is ended already. */
  async dismiss(from: string, child: string, reason: TerminationReason): Promise<void> {
    const guest = this.guests.get(child);
    if (this.expected.get(child) === from) this.expected.delete(child);
    if (guest?.node === from) await guest.dismiss(reason);
  }

  private find(from: string, child: string): Guest {
    const guest = this.guests.get(child);
    if (guest === undefined || guest.node !== from) throw new ActorNotFoundError(child, this.host.id);
    return guest;
  }

  /** An actor has crashed; false if it is no guest. */
  crashed(cell: ActorCell, error: unknown, leaving: boolean): boolean {
    const guest = guestOf(cell);
    guest?.crashed(error, leaving);
    return guest !== undefined;
  }

  /** An actor is gone. */
  gone(cell: ActorCell, reason: () => TerminationReason): void {
    const guest = guestOf(cell);
    if (guest === undefined || !this.guests.delete(guest.as)) return;
    guest.gone(reason());
    this.tidy();
  }

  /** A node says which guests of its actors it accounts for. */
  family(from: string, children: readonly string[]): void {
    const known = new Set(children);
    for (const guest of [...this.guests.values()]) {
      if (guest.node === from && !known.has(guest.as)) guest.orphaned();
    }
    for (const [as, node] of [...this.expected]) if (node === from && !known.has(as)) this.expected.delete(as);
  }

  /** A node is gone, and with it the parents that were there. */
  lost(node: string): void {
    for (const guest of [...this.guests.values()]) if (guest.node === node) guest.bereaved();
    for (const [as, of] of [...this.expected]) if (of === node) this.expected.delete(as);
  }

  /** A node is there: it is told which children of its actors are. */
  joined(node: string): void {
    if (!this.parents.has(node)) return;
    const here = [...this.guests.values()].filter((guest) => guest.node === node && guest.ending === undefined);
    const children = here.map(({ as }) => as);
    this.host.peers.tell(node, { kind: "guests", children });
  }

  private keep(): ActorCell {
    this.keeper ??= this.host.spawnHidden(GuestKeeper, []);
    return this.keeper;
  }

  /** The keeper goes when it has nobody left. */
  private tidy(): void {
    setImmediate(() => {
      const { keeper } = this;
      if (keeper === undefined || this.guests.size > 0) return;
      this.keeper = undefined;
      void stop(keeper, null);
    });
  }
}

/** Whether an actor is a guest whose crash was no failure of its own. */
export function isHalt(error: unknown): boolean {
  return error instanceof Halted || error instanceof Dismissed;
}

/** Whether an actor's parent is on another node. */
export function isGuest(cell: ActorCell): boolean {
  return cell.definition instanceof Guest;
}

function guestOf(cell: ActorCell): Guest | undefined {
  return cell.definition instanceof Guest ? cell.definition : undefined;
}

/** Whether an actor that its parent's node ends in this way has crashed; with "killed" it has done so past its limit. */
function isFailure(reason: TerminationReason | undefined): boolean {
  return reason !== undefined && reason.type !== "normal";
}

function patience(): Promise<boolean> {
  return new Promise((resolve) => setTimeout(() => resolve(false), VERDICT_MS).unref());
}

function ignore(): void {}
