/**
 * The functional API: an actor is a closure that registers handlers.
 *
 * One object per actor, {@link FunctionalActor}, is both the context (`ctx`) and the builder (`self`) that the factory
 * gets: a million of them may exist. Types keep the two roles apart. What few actors need is made on first use.
 */

import { InvalidArgumentError } from "../errors.js";
import { type ActorRef, TypedActorRef } from "../kernel/actor_ref.js";
import type { ActorCell, Behaviour, Definition, Handlers } from "../kernel/cell.js";
import { childrenOf, countChildrenOf, parentOf } from "../kernel/children.js";
import type {
  DownMessage,
  ExitMessage,
  InfoMessage,
  LinkRef,
  MovedMessage,
  TimeoutMessage,
  TimerRef,
  WatchRef,
} from "../kernel/info.js";
import { announceTraits, type InitContinue, stop } from "../kernel/lifecycle.js";
import type { ChildSupervisionOptions, OptionNames, SomeOf } from "../kernel/options.js";
import { FLAG_STARTING } from "../kernel/protocol.js";
import { exit, link, setTrapExit, unlink, unwatch, watch } from "../kernel/signals.js";
import { clearStash, stash, UNSTASH_ALL, unstash } from "../kernel/stash.js";
import { cancelAllTimers, cancelTimer, setIdleTimeout, startTimer } from "../kernel/timers.js";
import {
  assertChildSupervisionOptions,
  assertFunction,
  assertName,
  assertOptions,
  cellOf,
} from "../kernel/validate.js";
import type { ActorClass } from "./actor.js";
import type { ActorRegistry, NamedRef } from "./actor_registry.js";
import type { ActorSystem } from "./actor_system.js";
import { systemOf } from "./context.js";
import type { SpawnOptions } from "./spawn_options.js";

type AnyHandlers = Record<string, (...args: any[]) => any>;
type NoHandlers = Record<never, never>;

/** What an actor does to its surroundings. */
export interface ActorContext {
  /** Ref to this actor. */
  readonly self: ActorRef;
  /** Parent; undefined for a root. */
  readonly parent: ActorRef | undefined;
  /** The system in which the actor lives. */
  readonly system: ActorSystem;
  /** Spawns a child. Throws what its synchronous `init` throws. */
  spawn<D extends ActorClass | ActorDefinition<any, any, any>>(
    definition: D,
    options?: SpawnOptions<DefinitionArgs<D>>,
  ): DefinitionRef<D>;
  /** Stops an actor and everything below it. */
  stop(ref: ActorRef): Promise<void>;
  /** The same as `stop`, by the name that it has for children; the actor need not be one. */
  stopChild(ref: ActorRef): Promise<void>;
  /** The children in the order in which they were spawned. */
  getChildren(): ActorRef[];
  /** How many children there are. */
  countChildren(): number;
  /** Has `onInfo("down")` told once when the actor ends. */
  watch(ref: ActorRef): WatchRef;
  /** Ends a watch. */
  unwatch(watchRef: WatchRef): void;
  /**
   * Links two lives: the abnormal end of one takes the other down.
   *
   * @throws ActorNotFoundError for an actor that has ended, or waits for its next incarnation; of another node it breaks the
   * link as soon as that node has said so.
   */
  link(ref: ActorRef): LinkRef;
  /** Ends a link. */
  unlink(linkRef: LinkRef): void;
  /**
   * Stops this actor after its handler (no reason, or `"normal"`), kills it (`"kill"`: what the handler still does concerns
   * nobody), or sends it an exit signal with that reason.
   */
  exit(reason?: any): void;
  /**
   * Sends an exit signal to another actor: `"kill"` cannot be trapped, `"normal"` does nothing.
   *
   * @throws InvalidArgumentError if there is a reason and no ref; nobody is stopped then.
   */
  exit(ref: ActorRef, reason: any): void;
  /** Turns exit signals into `onInfo("exit")` messages, or not. */
  setTrapExit(trap: boolean): void;
  /** Looks a named actor up; null if there is none. */
  getActorByName<N extends keyof ActorRegistry & string>(name: N): Promise<NamedRef<N> | null>;
  getActorByName(name: string): Promise<ActorRef | null>;
  /**
   * Defers the message that is being handled: the one whose handler calls this. What goes on beside the handlers (a callback,
   * `onContinue` after an `await`) has no message of its own, and defers the one whose handler's promise is pending, if any.
   */
  stash(): void;
  /** Puts the oldest stashed message back in front of the mailbox. */
  unstash(): void;
  /** Puts all stashed messages back in front of the mailbox, in their order. */
  unstashAll(): void;
  /** Discards the stash: casts vanish, calls are rejected. */
  clearStash(): void;
  /**
   * Replaces the call, cast and info handlers by those that `define` registers, on top of a stack.
   * With `discardOld` the replaced ones are forgotten.
   */
  become(define: (self: ActorBuilder) => unknown, options?: { discardOld?: boolean | undefined }): void;
  /** Goes back to the handlers before the last `become`; does nothing if there are none. */
  unbecome(): void;
}

/** Messages by the name under which `onInfo` knows them. */
export interface InfoMessages {
  /** A watched actor has ended. */
  down: DownMessage;
  /** A linked actor has ended, or an exit signal was trapped. */
  exit: ExitMessage;
  /** No message came for the idle timeout. */
  timeout: TimeoutMessage;
  /** A watched or linked actor is on another node now. */
  moved: MovedMessage;
}

/** Registers what an actor does. Every method but the timers returns the builder. */
export interface ActorBuilder<TCalls extends object = NoHandlers, TCasts extends object = NoHandlers> {
  /** Registers a request-reply handler. What it throws rejects the caller. */
  onCall<K extends string, F extends (...args: any[]) => any>(
    name: K,
    handler: F,
  ): ActorBuilder<TCalls & { [P in K]: F }, TCasts>;
  /** Registers a fire-and-forget handler. What it throws crashes the actor. */
  onCast<K extends string, F extends (...args: any[]) => any>(
    name: K,
    handler: F,
  ): ActorBuilder<TCalls, TCasts & { [P in K]: F }>;
  /** Registers a handler for messages of the system. */
  onInfo<K extends keyof InfoMessages>(
    type: K,
    handler: (message: InfoMessages[K]) => unknown,
  ): ActorBuilder<TCalls, TCasts>;
  /** Adds something to do when the actor ends or is started again; several run in order. */
  onTerminate(handler: () => unknown): ActorBuilder<TCalls, TCasts>;
  /** Registers the deferred part of the start; runs if the factory returns `{ continue: data }`. */
  onContinue(handler: (data: any) => unknown): ActorBuilder<TCalls, TCasts>;
  /** Runs before `onTerminate` when a crash leads to a restart. */
  preRestart(handler: (error: unknown) => unknown): ActorBuilder<TCalls, TCasts>;
  /** Runs after the factory of the incarnation that follows a crash. */
  postRestart(handler: (error: unknown) => unknown): ActorBuilder<TCalls, TCasts>;
  /** Lets the actor be moved to another node. */
  migratable(state: { getState: () => any; setState: (state: any) => void }): ActorBuilder<TCalls, TCasts>;
  /** How crashed children are treated. */
  childSupervision(options: SomeOf<ChildSupervisionOptions>): ActorBuilder<TCalls, TCasts>;
  /** Has `onInfo("timeout")` told when no message came for that long; 0 disables. */
  setIdleTimeout(timeoutMs: number): ActorBuilder<TCalls, TCasts>;
  /** The idle timeout in milliseconds; 0 is none. */
  getIdleTimeout(): number;
  /** Sends a message after `delayMs` milliseconds: to oneself, or to an actor of whichever node. */
  sendAfter(message: any, delayMs: number, to?: ActorRef): TimerRef;
  /** Sends a message every `intervalMs` milliseconds: to oneself, or to an actor of whichever node. */
  sendInterval(message: any, intervalMs: number, to?: ActorRef): TimerRef;
  /** Cancels a timer; false if there was nothing left to cancel. */
  cancelTimer(timerRef: TimerRef): boolean;
  /** Cancels all timers of this actor. */
  cancelAllTimers(): void;
}

/** Handler tables stay fast objects whose prototype has nothing in it, so no method name finds a stranger. */
const HandlerTable = function HandlerTable() {} as unknown as new () => Handlers;
(HandlerTable as unknown as { prototype: object }).prototype = Object.create(null);
// Perf: the first instances teach the engine to keep three handlers inside the object ("bytes per idle actor").
for (let i = 0; i < 8; i++) Object.assign(new HandlerTable(), { a: undefined, b: undefined, c: undefined });
const NO_HANDLERS: Handlers = Object.freeze(new HandlerTable());

/** The names of the options of `become`. */
const BECOME_NAMES: OptionNames<{ discardOld?: boolean | undefined }> = { discardOld: true };

/** What few functional actors need. */
class Extras {
  infos: Handlers = new HandlerTable();
  terminators: (() => unknown)[] = [];
  continuation: ((data: any) => unknown) | undefined;
  preRestart: ((error: unknown) => unknown) | undefined;
  postRestart: ((error: unknown) => unknown) | undefined;
  migration: { getState: () => any; setState: (state: any) => void } | undefined;
  supervision: ChildSupervisionOptions | undefined;
  /** Handlers before each `become`. */
  readonly stack: { calls: Handlers; casts: Handlers; infos: Handlers }[] = [];
}

/** A functional actor: context, builder and behaviour in one. */
export class FunctionalActor implements Behaviour {
  readonly #cell: ActorCell;
  readonly #incarnation: number;
  #extras: Extras | undefined;

  constructor(cell: ActorCell) {
    this.#cell = cell;
    this.#incarnation = cell.incarnation;
  }

  /** What this incarnation acts on. */
  get #own(): ActorCell {
    return this.#cell.asOf(this.#incarnation);
  }

  #more(): Extras {
    if (this.#extras === undefined) {
      this.#extras = new Extras();
      // The cell lets go of actors without extras; this one is needed from now on, unless its time is over.
      const cell = this.#own;
      if (!cell.dead) cell.behaviour = this;
    }
    return this.#extras;
  }

  /** Something to do at the end was registered; the end of `init` says so for all that came before. */
  #announce(): void {
    const cell = this.#own;
    if ((cell.flags & FLAG_STARTING) === 0) announceTraits(cell);
  }

  get self(): ActorRef {
    return this.#cell.ref;
  }

  get parent(): ActorRef | undefined {
    return parentOf(this.#cell);
  }

  get system(): ActorSystem {
    return systemOf(this.#cell);
  }

  // The builder.

  onCall(name: string, handler: (...args: any[]) => unknown): this {
    assertMethod("onCall", name, handler);
    const cell = this.#own;
    if (cell.dead) return this;
    if (cell.calls === NO_HANDLERS) cell.calls = new HandlerTable();
    (cell.calls as Handlers)[name] = handler;
    cell.pump?.forgetHandler();
    return this;
  }

  onCast(name: string, handler: (...args: any[]) => unknown): this {
    assertMethod("onCast", name, handler);
    const cell = this.#own;
    if (cell.dead) return this;
    if (cell.casts === NO_HANDLERS) cell.casts = new HandlerTable();
    (cell.casts as Handlers)[name] = handler;
    cell.forgetBare();
    return this;
  }

  onInfo(type: string, handler: (message: any) => unknown): this {
    assertMethod("onInfo", type, handler);
    this.#more().infos[type] = handler;
    return this;
  }

  onTerminate(handler: () => unknown): this {
    assertFunction("onTerminate", handler);
    this.#more().terminators.push(handler);
    this.#announce();
    return this;
  }

  onContinue(handler: (data: any) => unknown): this {
    assertFunction("onContinue", handler);
    this.#more().continuation = handler;
    return this;
  }

  preRestart(handler: (error: unknown) => unknown): this {
    assertFunction("preRestart", handler);
    this.#more().preRestart = handler;
    this.#announce();
    return this;
  }

  postRestart(handler: (error: unknown) => unknown): this {
    assertFunction("postRestart", handler);
    this.#more().postRestart = handler;
    return this;
  }

  migratable(state: { getState: () => any; setState: (state: any) => void }): this {
    assertFunction("migratable getState", state?.getState);
    assertFunction("migratable setState", state?.setState);
    this.#more().migration = state;
    return this;
  }

  childSupervision(options: SomeOf<ChildSupervisionOptions>): this {
    assertChildSupervisionOptions("childSupervision", options);
    this.#more().supervision = options as ChildSupervisionOptions;
    return this;
  }

  setIdleTimeout(timeoutMs: number): this {
    setIdleTimeout(this.#own, timeoutMs);
    return this;
  }

  getIdleTimeout(): number {
    return this.#own.extra?.idleTimeoutMs ?? 0;
  }

  sendAfter(message: unknown, delayMs: number, to?: ActorRef): TimerRef {
    return startTimer(this.#own, message, { delayMs, isInterval: false, to });
  }

  sendInterval(message: unknown, intervalMs: number, to?: ActorRef): TimerRef {
    return startTimer(this.#own, message, { delayMs: intervalMs, isInterval: true, to });
  }

  cancelTimer(timerRef: TimerRef): boolean {
    return cancelTimer(this.#own, timerRef);
  }

  cancelAllTimers(): void {
    cancelAllTimers(this.#own);
  }

  // The context.

  spawn(definition: any, options?: SpawnOptions): any {
    return this.system._spawnChild(this.#own, definition, options);
  }

  stop(ref: ActorRef): Promise<void> {
    return stop(cellOf(ref), this.#own);
  }

  stopChild(ref: ActorRef): Promise<void> {
    return stop(cellOf(ref), this.#own);
  }

  getChildren(): ActorRef[] {
    return childrenOf(this.#own);
  }

  countChildren(): number {
    return countChildrenOf(this.#own);
  }

  watch(ref: ActorRef): WatchRef {
    return watch(this.#own, ref);
  }

  unwatch(watchRef: WatchRef): void {
    unwatch(this.#own, watchRef);
  }

  link(ref: ActorRef): LinkRef {
    return link(this.#own, ref);
  }

  unlink(linkRef: LinkRef): void {
    unlink(this.#own, linkRef);
  }

  exit(target: unknown = "normal", reason?: unknown): void {
    // With a reason beside it, the target is meant to be another actor: nobody stops because a ref is missing.
    if (reason !== undefined) exit(this.#own, cellOf(target as ActorRef), reason);
    else if (isRef(target)) exit(this.#own, target._cell, "normal");
    else if (target === "normal") void stop(this.#own);
    else exit(this.#own, this.#own, target);
  }

  setTrapExit(trap: boolean): void {
    setTrapExit(this.#own, trap);
  }

  getActorByName(name: string): Promise<any> {
    return this.system.getActorByName(name);
  }

  stash(): void {
    stash(this.#own);
  }

  unstash(): void {
    unstash(this.#own, 1);
  }

  unstashAll(): void {
    unstash(this.#own, UNSTASH_ALL);
  }

  clearStash(): void {
    clearStash(this.#own);
  }

  become(define: (self: any) => unknown, options?: { discardOld?: boolean | undefined }): void {
    assertFunction("become", define);
    if (options !== undefined) assertOptions("become options", options, BECOME_NAMES);
    const cell = this.#own;
    if (cell.dead) return;
    const extras = this.#more();
    const old = { calls: cell.calls as Handlers, casts: cell.casts as Handlers, infos: extras.infos };
    const { length: depth } = extras.stack;
    if (options?.discardOld !== true) extras.stack.push(old); // Before what the definition itself may become.
    cell.calls = NO_HANDLERS;
    cell.casts = NO_HANDLERS;
    cell.forgetBare();
    extras.infos = new HandlerTable();
    try {
      define(this);
    } catch (error) {
      extras.stack.length = Math.min(depth, extras.stack.length);
      this.#restore(old);
      throw error;
    }
  }

  unbecome(): void {
    if (this.#own.dead) return;
    const old = this.#extras?.stack.pop();
    if (old !== undefined) this.#restore(old);
  }

  #restore(handlers: { calls: Handlers; casts: Handlers; infos: Handlers }): void {
    this.#cell.calls = handlers.calls;
    this.#cell.casts = handlers.casts;
    this.#cell.forgetBare();
    this.#more().infos = handlers.infos;
  }

  // The behaviour.

  handleCall(_message: unknown): unknown {
    return undefined;
  }

  handleCast(_message: unknown): unknown {
    return undefined;
  }

  handleInfo(message: InfoMessage): unknown {
    return this.#extras?.infos[message.type]?.(message);
  }

  handleContinue(data: unknown): unknown {
    return this.#extras?.continuation?.(data);
  }

  async terminate(): Promise<void> {
    const failures: unknown[] = [];
    for (const handler of this.#extras?.terminators ?? []) {
      try {
        await handler();
      } catch (error) {
        failures.push(error); // What the others release must be released all the same.
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** @internal */
  get _extras(): Extras | undefined {
    return this.#extras;
  }
}

function isRef(value: unknown): value is ActorRef {
  return (value as ActorRef | null)?._cell !== undefined;
}

function assertMethod(what: string, name: unknown, handler: unknown): void {
  if (typeof name !== "string") throw new InvalidArgumentError(`name in ${what}`, "a string", name);
  assertFunction(`${what}("${name}")`, handler);
}

/** Phantom key under which a definition remembers its types. */
declare const TYPES: unique symbol;

/** A kind of functional actors, made by {@link createActor}. */
export interface ActorDefinition<
  TArgs extends any[] = any[],
  TCalls extends object = any,
  TCasts extends object = any,
> {
  /** Name for people and for remote spawns. */
  readonly className: string;
  /** @internal */
  readonly [TYPES]?: { args: TArgs; calls: TCalls; casts: TCasts };
}

/** The arguments that `spawn` has to be given. */
export type DefinitionArgs<D> = D extends ActorClass
  ? Parameters<InstanceType<D>["init"]>
  : D extends ActorDefinition<infer A, any, any>
    ? A
    : any[];

/** The call handlers of a definition. */
export type ExtractCalls<D> = D extends ActorDefinition<any, infer C, any> ? C : never;

/** The cast handlers of a definition. */
export type ExtractCasts<D> = D extends ActorDefinition<any, any, infer C> ? C : never;

/** The ref that `spawn` gives for a definition. */
export type ActorRefFrom<D> =
  D extends ActorDefinition<any, infer C, infer S> ? TypedActorRef<AsHandlers<C>, AsHandlers<S>> : never;

/** The ref that `spawn` gives for a definition or a class. */
export type DefinitionRef<D> = D extends ActorClass
  ? InstanceType<D>["self"]
  : D extends ActorDefinition<any, infer C, infer S>
    ? TypedActorRef<AsHandlers<C>, AsHandlers<S>>
    : ActorRef;

type AsHandlers<T> = T extends AnyHandlers ? T : AnyHandlers;

type Factory = (ctx: any, self: any, ...args: any[]) => unknown;

const factories = new WeakMap<object, Factory>();

/** How the runtime brings functional actors of one kind to life. */
class FunctionalDefinition implements Definition, ActorDefinition {
  readonly takesMethods = true;

  constructor(
    public className: string,
    /** Whether somebody chose the name. */
    private named: boolean,
    factory: Factory,
  ) {
    factories.set(this, factory);
  }

  /** @internal A definition without a name takes the one that it is registered under. */
  _registeredAs(name: string): void {
    if (this.named) return;
    this.className = name;
    this.named = true;
  }

  start(cell: ActorCell, args: readonly unknown[]): unknown {
    const actor = new FunctionalActor(cell);
    cell.behaviour = PLAIN;
    cell.calls = NO_HANDLERS;
    cell.casts = NO_HANDLERS;
    return (factories.get(this) as Factory)(actor, actor, ...args);
  }

  terminates(cell: ActorCell): boolean {
    const extras = (cell.behaviour as FunctionalActor)._extras;
    return extras !== undefined && (extras.terminators.length > 0 || extras.preRestart !== undefined);
  }

  childSupervision(cell: ActorCell): ChildSupervisionOptions | undefined {
    return (cell.behaviour as FunctionalActor | null)?._extras?.supervision;
  }

  preRestart(cell: ActorCell, error: unknown): unknown {
    return (cell.behaviour as FunctionalActor | null)?._extras?.preRestart?.(error);
  }

  postRestart(cell: ActorCell, error: unknown): unknown {
    return (cell.behaviour as FunctionalActor | null)?._extras?.postRestart?.(error);
  }

  makeRef(cell: ActorCell): ActorRef {
    return new TypedActorRef(cell, cell.incarnation);
  }
}

/** Tells a definition the name that it is registered under. */
export function nameDefinition(definition: ActorDefinition, name: string): void {
  (definition as FunctionalDefinition)._registeredAs(name);
}

/**
 * What runs the messages of all actors that registered nothing but calls and casts.
 *
 * Perf: a million actors need no object of their own for what they do not do ("bytes per idle actor").
 */
const PLAIN = new FunctionalActor({ incarnation: -1 } as ActorCell);

/** Whether a value was made by {@link createActor}. */
export function isActorDefinition(value: unknown): value is ActorDefinition & Definition {
  return value instanceof FunctionalDefinition;
}

let anonymous = 0;

/**
 * Defines a kind of actors by a factory that registers handlers. Return the builder to have the types inferred.
 *
 * @param name name for logs, telemetry and remote spawns; without one the definition gets a number.
 * @example
 * const Counter = createActor("Counter", (ctx, self, initial: number) => {
 *   let count = initial;
 *   return self.onCall("increment", () => ++count);
 * });
 */
export function createActor<TArgs extends any[], TCalls extends object, TCasts extends object>(
  factory: (
    ctx: ActorContext,
    self: ActorBuilder,
    ...args: TArgs
  ) => ActorBuilder<TCalls, TCasts> | Promise<ActorBuilder<TCalls, TCasts>>,
): ActorDefinition<TArgs, TCalls, TCasts>;
export function createActor<TArgs extends any[], TCalls extends object, TCasts extends object>(
  name: string,
  factory: (
    ctx: ActorContext,
    self: ActorBuilder,
    ...args: TArgs
  ) => ActorBuilder<TCalls, TCasts> | Promise<ActorBuilder<TCalls, TCasts>>,
): ActorDefinition<TArgs, TCalls, TCasts>;
export function createActor<TArgs extends any[]>(
  factory: (
    ctx: ActorContext,
    self: ActorBuilder,
    ...args: TArgs
  ) => void | InitContinue | Promise<void | InitContinue | ActorBuilder<any, any>>,
): ActorDefinition<TArgs, AnyHandlers, AnyHandlers>;
export function createActor<TArgs extends any[]>(
  name: string,
  factory: (
    ctx: ActorContext,
    self: ActorBuilder,
    ...args: TArgs
  ) => void | InitContinue | Promise<void | InitContinue | ActorBuilder<any, any>>,
): ActorDefinition<TArgs, AnyHandlers, AnyHandlers>;
export function createActor(first: string | Factory, second?: Factory): ActorDefinition {
  const factory = typeof first === "function" ? first : second;
  assertFunction("createActor", factory);
  if (typeof first === "string") assertName("actor name", first);
  const given = typeof first === "string" ? first : factory?.name;
  return new FunctionalDefinition(given || `FunctionalActor#${++anonymous}`, Boolean(given), factory as Factory);
}
