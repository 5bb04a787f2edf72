/**
 * The class-based API: extend {@link Actor} and override what the actor needs.
 *
 * An actor object is one incarnation. Its links to the runtime are `self` (set before `init`) and `context`.
 */

import { LibeamError } from "../errors.js";
import type { ActorRef } from "../kernel/actor_ref.js";
import { ActorRef as Ref } from "../kernel/actor_ref.js";
import type { ActorCell, Behaviour, Definition } from "../kernel/cell.js";
import { childrenOf, countChildrenOf } from "../kernel/children.js";
import type { InfoMessage, LinkRef, TimerRef, WatchRef } from "../kernel/info.js";
import { type InitContinue, stop } from "../kernel/lifecycle.js";
import { type ChildSupervisionOptions, DEFAULT_CHILD_SUPERVISION } from "../kernel/options.js";
import { exit, link, setTrapExit, unlink, unwatch, watch } from "../kernel/signals.js";
import { clearStash, stash, UNSTASH_ALL, unstash } from "../kernel/stash.js";
import { cancelAllTimers, cancelTimer, setIdleTimeout, startTimer } from "../kernel/timers.js";
import { cellOf } from "../kernel/validate.js";
import { ClassContext, systemOf } from "./context.js";
import type { ActorDefinition, DefinitionArgs, DefinitionRef } from "./create_actor.js";
import type { SpawnOptions } from "./spawn_options.js";

/** State that an actor can take to another node. */
export interface Migratable {
  /** The state, as a value that can be sent to another node. */
  getState(): any;
  /** Takes the state over, after `init`. */
  setState(state: any): void;
}

/** Whether an actor can hand over its state. */
export function isMigratable(actor: unknown): actor is Actor & Migratable {
  const candidate = actor as Partial<Migratable> | null | undefined;
  return typeof candidate?.getState === "function" && typeof candidate.setState === "function";
}

/** What an actor object acts on. */
function ownCell(actor: Actor): ActorCell {
  const { self } = actor;
  if (self === undefined) throw notStarted(actor);
  return self._cell.asOf(self._incarnation);
}

function notStarted({ constructor: { name } }: Actor): LibeamError {
  const message = `${name} has no actor behind it yet; constructors and fields come too early, so move what needs one into init()`;
  return new LibeamError(message, "NOT_STARTED", { className: name });
}

/**
 * Base class of class-based actors.
 *
 * @example
 * class Counter extends Actor {
 *   private count = 0;
 *   handleCall(message: { type: "increment" }) {
 *     return ++this.count;
 *   }
 * }
 */
export abstract class Actor<TCast = any, TCall = any, TReply = any> implements Behaviour {
  /** Ref to this actor. */
  declare self: ActorRef<TCast, TCall, TReply>;
  /** Runs before `terminate` when a crash leads to a restart. */
  preRestart?(error: unknown): unknown;
  /** Runs after `init` of the incarnation that follows a crash. */
  postRestart?(error: unknown): unknown;

  /** Parent, children, system and what else belongs to this actor. */
  get context(): ClassContext {
    return new ClassContext(ownCell(this));
  }

  /** How crashed children are treated; asked for when a child crashes. */
  childSupervision(): ChildSupervisionOptions {
    return DEFAULT_CHILD_SUPERVISION;
  }

  /** Starts the actor with the arguments of `spawn`. May return `{ continue: data }` to have `handleContinue` run. */
  init(..._args: any[]): void | InitContinue | Promise<void | InitContinue> {}

  /** Deferred part of `init`; messages are served meanwhile. */
  handleContinue(_data: any): void | Promise<void> {}

  /** Runs when the actor stops, and before it is started again. */
  terminate(): void | Promise<void> {}

  /** Answers a call with its return value. What it throws rejects the caller and does not crash the actor. */
  handleCall(_message: TCall): TReply | Promise<TReply> {
    throw new LibeamError("handleCall not implemented", "NOT_IMPLEMENTED");
  }

  /** Handles a cast, and the messages of timers. What it throws crashes the actor. */
  handleCast(_message: TCast): void | Promise<void> {
    throw new LibeamError("handleCast not implemented", "NOT_IMPLEMENTED");
  }

  /** Handles messages of the system: down, exit, timeout, moved. What it throws crashes the actor. */
  handleInfo(_message: InfoMessage): void | Promise<void> {}

  /** Has `handleInfo` told once when the actor ends. */
  protected watch(ref: ActorRef): WatchRef {
    return watch(ownCell(this), ref);
  }

  /** Ends a watch. */
  protected unwatch(watchRef: WatchRef): void {
    unwatch(ownCell(this), watchRef);
  }

  /**
   * Links two lives: the abnormal end of one takes the other down.
   *
   * @throws ActorNotFoundError for an actor that has ended, or waits for its next incarnation; of another node it breaks the
   * link as soon as that node has said so.
   */
  protected link(ref: ActorRef): LinkRef {
    return link(ownCell(this), ref);
  }

  /** Ends a link. */
  protected unlink(linkRef: LinkRef): void {
    unlink(ownCell(this), linkRef);
  }

  /** Turns exit signals into `exit` messages, or not. */
  protected setTrapExit(trap: boolean): void {
    setTrapExit(ownCell(this), trap);
  }

  /** Whether exit signals become messages. */
  protected isTrapExit(): boolean {
    return ownCell(this).extra?.trapExit ?? false;
  }

  /** Sends an exit signal: `"normal"` stops only oneself, `"kill"` cannot be trapped, anything else is a reason. */
  protected exit(ref: ActorRef, reason: any = "normal"): void {
    exit(ownCell(this), cellOf(ref), reason);
  }

  /** Has `handleInfo` told when no message came for that long; 0 disables. */
  protected setIdleTimeout(timeoutMs: number): void {
    setIdleTimeout(ownCell(this), timeoutMs);
  }

  /** The idle timeout in milliseconds; 0 is none. */
  protected getIdleTimeout(): number {
    return ownCell(this).extra?.idleTimeoutMs ?? 0;
  }

  /**
   * Defers the message that is being handled: the one whose handler calls this. What goes on beside the handlers (a callback,
   * `handleContinue` after an `await`) has no message of its own, and defers the one whose handler's promise is pending, if
   * any.
   */
  protected stash(): void {
    stash(ownCell(this));
  }

  /** Puts the oldest stashed message back in front of the mailbox. */
  protected unstash(): void {
    unstash(ownCell(this), 1);
  }

  /** Puts all stashed messages back in front of the mailbox, in their order. */
  protected unstashAll(): void {
    unstash(ownCell(this), UNSTASH_ALL);
  }

  /** Discards the stash: casts vanish, calls are rejected. */
  protected clearStash(): void {
    clearStash(ownCell(this));
  }

  /** Spawns a child. Throws what its synchronous `init` throws. */
  protected spawn<D extends ActorClass | ActorDefinition<any, any, any>>(
    definition: D,
    options?: SpawnOptions<DefinitionArgs<D>>,
  ): DefinitionRef<D> {
    const cell = ownCell(this);
    return systemOf(cell)._spawnChild(cell, definition, options);
  }

  /** Stops a child, or any other actor, and everything below it. */
  protected stopChild(ref: ActorRef): Promise<void> {
    return stop(cellOf(ref), ownCell(this));
  }

  /** The children in the order in which they were spawned. */
  protected getChildren(): ActorRef[] {
    return childrenOf(ownCell(this));
  }

  /** How many children there are. */
  protected countChildren(): number {
    return countChildrenOf(ownCell(this));
  }

  /** Sends a message to oneself after `delayMs` milliseconds. */
  protected sendAfter(message: TCast, delayMs: number): TimerRef;
  /** Casts a message to another actor, of whichever node, after `delayMs` milliseconds. */
  protected sendAfter(message: any, delayMs: number, to: ActorRef): TimerRef;
  protected sendAfter(message: any, delayMs: number, to?: ActorRef): TimerRef {
    return startTimer(ownCell(this), message, { delayMs, isInterval: false, to });
  }

  /** Sends a message to oneself every `intervalMs` milliseconds. */
  protected sendInterval(message: TCast, intervalMs: number): TimerRef;
  /** Casts a message to another actor, of whichever node, every `intervalMs` milliseconds. */
  protected sendInterval(message: any, intervalMs: number, to: ActorRef): TimerRef;
  protected sendInterval(message: any, intervalMs: number, to?: ActorRef): TimerRef {
    return startTimer(ownCell(this), message, { delayMs: intervalMs, isInterval: true, to });
  }

  /** Cancels a timer; false if there was nothing left to cancel. */
  protected cancelTimer(timerRef: TimerRef): boolean {
    return cancelTimer(ownCell(this), timerRef);
  }

  /** Cancels all timers of this actor. */
  protected cancelAllTimers(): void {
    cancelAllTimers(ownCell(this));
  }
}

/** A class that extends Actor. */
export type ActorClass = new (...args: any[]) => Actor;

/** How the runtime brings actors of one class to life. */
class ClassDefinition implements Definition {
  readonly className: string;
  readonly takesMethods = false;
  private readonly hasTerminate: boolean;

  constructor(private readonly actorClass: ActorClass) {
    this.className = actorClass.name;
    const { prototype } = actorClass;
    this.hasTerminate = prototype.terminate !== Actor.prototype.terminate || prototype.preRestart !== undefined;
  }

  start(cell: ActorCell, args: readonly unknown[]): unknown {
    const actor = new this.actorClass();
    actor.self = cell.ref;
    cell.behaviour = actor;
    return actor.init(...args);
  }

  terminates({ behaviour }: ActorCell): boolean {
    if (this.hasTerminate || behaviour === null) return this.hasTerminate;
    return Object.hasOwn(behaviour, "terminate") || (behaviour as Actor).preRestart !== undefined;
  }

  preRestart(cell: ActorCell, error: unknown): unknown {
    return (cell.behaviour as Actor | null)?.preRestart?.(error);
  }

  postRestart(cell: ActorCell, error: unknown): unknown {
    return (cell.behaviour as Actor | null)?.postRestart?.(error);
  }

  childSupervision(cell: ActorCell): ChildSupervisionOptions | undefined {
    return (cell.behaviour as Actor | null)?.childSupervision();
  }

  makeRef(cell: ActorCell): ActorRef {
    return new Ref(cell, cell.incarnation);
  }
}

const definitions = new WeakMap<ActorClass, ClassDefinition>();

/** The definition behind a class; one per class. */
export function definitionOfClass(actorClass: ActorClass): Definition {
  let definition = definitions.get(actorClass);
  if (definition === undefined) {
    definition = new ClassDefinition(actorClass);
    definitions.set(actorClass, definition);
  }
  return definition;
}
