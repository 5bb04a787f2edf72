/**
 * What the isolate holds of one logical actor: its state words, its behaviour, and what is needed to start it again.
 *
 * A cell lives as long as the actor, restarts included; refs point at cells. When the actor is gone its cell becomes a
 * husk that owns nothing and whose state words say DEAD, so an old ref is harmless and keeps nothing alive.
 * A million of these exist at once: fields that few actors need are in {@link CellExtra}.
 */

import { type ActorId, ActorId as Id } from "./actor_id.js";
import type { ActorRef } from "./actor_ref.js";
import type { InfoMessage, LinkRef, TimerRef, WatchRef } from "./info.js";
import type { Kernel } from "./kernel.js";
import type { ChildSupervisionOptions } from "./options.js";
import { NO_SLOT, NOTHING_RUNS } from "./outcome.js";
import * as protocol from "./protocol.js";
import type { Pump } from "./pump.js";
import type { Remote } from "./remote_cell.js";

// Perf: constants of the module's own; see "Constants" in docs/design/hot_path.md.
const { CHUNK_ACTORS, FLAG_DEAD, FLAG_STOPPING, STATE_WORDS } = protocol;
const CHUNK_MASK = CHUNK_ACTORS - 1;

/** What a functional actor does with a message. */
export type Handler = (...args: any[]) => unknown;

/** Handlers of a functional actor by method name. */
export type Handlers = Record<string, Handler>;

/** What runs an actor's messages. Handlers may return promises. */
export interface Behaviour {
  handleCall(message: any): unknown;
  handleCast(message: any): unknown;
  handleInfo(message: InfoMessage): unknown;
  handleContinue(data: any): unknown;
  terminate(): unknown;
}

/** How the actors of one kind come to life. */
export interface Definition {
  /** Name for people and for remote spawns. */
  readonly className: string;
  /** Whether messages are methods with arguments. */
  readonly takesMethods: boolean;
  /** The parent, if it is an actor of another node. */
  readonly parentElsewhere?: ActorRef;
  /** Since when the name with which it is spawned is its own, in ms since the epoch; undefined for its spawn. */
  readonly nameSince?: number | undefined;
  /** Makes the behaviour of a new incarnation, puts it into the cell and runs its `init`; gives what `init` gave. */
  start(cell: ActorCell, args: readonly unknown[]): unknown;
  /** Whether there is something to run in `terminate`. */
  terminates(cell: ActorCell): boolean;
  /** How the cell's children are supervised now; undefined for the default. */
  childSupervision(cell: ActorCell): ChildSupervisionOptions | undefined;
  /** Runs before `terminate` when the actor is to be started again. */
  preRestart(cell: ActorCell, error: unknown): unknown;
  /** Runs after `init` of the incarnation that follows a crash. */
  postRestart(cell: ActorCell, error: unknown): unknown;
  /** A ref to the cell. */
  makeRef(cell: ActorCell): ActorRef;
}

/** A watch as its watcher knows it. */
export interface WatchRecord {
  watchRef: WatchRef;
  actorRef: ActorRef;
}

/** A link as each of its two sides knows it. */
export interface LinkRecord {
  linkRef: LinkRef;
  /** The other side. */
  actorRef: ActorRef;
  /** The actor of this node that is there, or stands there for one of another node. */
  end: ActorCell;
}

/** What most actors never need. */
export class CellExtra {
  /** Name that the actor was spawned with. */
  name: string | undefined = undefined;
  private watchMap: Map<number, WatchRecord> | null = null;
  private linkMap: Map<number, LinkRecord> | null = null;
  private timerMap: Map<number, TimerRef> | null = null;
  /** Who waits for the end of this actor. */
  stopWaiters: (() => void)[] = [];
  /** Who waits for the next incarnation of this actor; told false if it ends instead. */
  restartWaiters: ((isUp: boolean) => void)[] | null = null;
  /** Idle timeout in milliseconds; 0 is none. */
  idleTimeoutMs = 0;
  /** Exit signals become messages. */
  trapExit = false;
  /** When a stop was asked for, in milliseconds of `performance.now()`; 0 if it was not. */
  stopStarted = 0;
  /** What the last crash threw; for `preRestart` and `postRestart`. */
  lastError: unknown = undefined;

  /** Watches of this actor by key. */
  get watches(): Map<number, WatchRecord> {
    this.watchMap ??= new Map();
    return this.watchMap;
  }

  /** Links of this actor by key. */
  get links(): Map<number, LinkRecord> {
    this.linkMap ??= new Map();
    return this.linkMap;
  }

  /** Timers of this actor by key. */
  get timers(): Map<number, TimerRef> {
    this.timerMap ??= new Map();
    return this.timerMap;
  }
}

/** A message handler is not running, or its message cannot be stashed. */
export const STASH_IMPOSSIBLE = 0;
/** A message that can be stashed is being handled. */
export const STASH_POSSIBLE = 1;
/** The message being handled is to be stashed. */
export const STASH_WANTED = 2;

/** A chunk of actors that are all dead. */
const DEAD_WORDS = new Uint32Array(CHUNK_ACTORS * STATE_WORDS);
for (let at = 0; at < DEAD_WORDS.length; at += STATE_WORDS) DEAD_WORDS[at] = FLAG_DEAD | FLAG_STOPPING;

const NO_ARGUMENTS: readonly unknown[] = Object.freeze([]);

/**
 * Arguments as a cell keeps them: nothing for none, a single primitive as it is, anything else as an array of its own, because
 * whoever spawned the actor may use the given one for the next.
 *
 * Perf: an array with one number takes 56 bytes ("bytes per idle actor").
 */
function packed(args: readonly unknown[]): unknown {
  if (args.length === 0) return undefined;
  return args.length > 1 || args[0] === undefined || isObject(args[0]) ? args.slice() : args[0];
}

function isObject(value: unknown): boolean {
  return typeof value === "function" || typeof value === "object";
}

/** Where an actor is in the core's table. */
export interface CellPlace {
  words: Uint32Array;
  index: number;
  generation: number;
}

/** What an actor is started with. */
export interface CellOrigin {
  args: readonly unknown[];
  name: string | undefined;
  parent: ActorCell | null;
}

/**
 * One logical actor of this isolate.
 *
 * Perf: the fields that a message touches come first, so the constructor sets all of them in this order ("bulk cast",
 * 1,000 actors).
 */
export class ActorCell {
  readonly kernel: Kernel;
  /** State words of the chunk in which the actor's are; see protocol.rs. */
  words: Uint32Array;
  readonly index: number;
  /** Call handlers of a functional actor; null for a class. */
  calls: Handlers | null;
  /** Cast handlers of a functional actor; null for a class. */
  casts: Handlers | null;
  /** Standing slot whose cast ran last (slots.ts), NO_SLOT if there is none to go by. */
  bareSlot: number;
  /** Handler of that cast. Perf: saves the way through three objects ("bulk cast"). */
  bareHandler: Handler | null;
  /** One of the `STASH_…` constants. */
  stashing: number;
  /** Slot of the message whose handler's promise is pending, or NO_SLOT, or NOTHING_RUNS. */
  runningSlot: number;
  /** Changes when handlers that still run are given up: their end is ignored. */
  epoch: number;
  /** What sees the handler's promise through; null while there is none. */
  pump: Pump | null;
  /** Behaviour of the current incarnation; null before `init` and after the end. */
  behaviour: Behaviour | null;
  readonly generation: number;
  /** Incarnation that runs here. */
  incarnation: number;
  readonly definition: Definition;
  /** See {@link packed}. */
  private packedArgs: unknown;
  /** Parent; null for a root. */
  readonly parent: ActorCell | null;
  /** What most actors never need. */
  extra: CellExtra | null;
  /** Ref of the current incarnation. */
  private currentRef: ActorRef | null;

  constructor(kernel: Kernel, place: CellPlace, definition: Definition, origin: CellOrigin) {
    this.kernel = kernel;
    this.words = place.words;
    this.index = place.index;
    this.calls = null;
    this.casts = null;
    this.bareSlot = NO_SLOT;
    this.bareHandler = null;
    this.stashing = STASH_IMPOSSIBLE;
    this.runningSlot = NOTHING_RUNS;
    this.epoch = 0;
    this.pump = null;
    this.behaviour = null;
    this.generation = place.generation;
    this.incarnation = 0;
    this.definition = definition;
    this.packedArgs = packed(origin.args);
    this.parent = origin.parent;
    this.extra = null;
    this.currentRef = null;
    if (origin.name !== undefined) this.more().name = origin.name;
  }

  /** Position of the actor's first state word. */
  get at(): number {
    return (this.index & CHUNK_MASK) * STATE_WORDS;
  }

  /** Name that the actor was spawned with. */
  get name(): string | undefined {
    return this.extra?.name;
  }

  /** Arguments of `init`, for this incarnation and the next ones. */
  get args(): readonly unknown[] {
    const { packedArgs } = this;
    if (packedArgs === undefined) return NO_ARGUMENTS;
    return isObject(packedArgs) ? (packedArgs as unknown[]) : [packedArgs];
  }

  /** Ref of the current incarnation. */
  get ref(): ActorRef {
    this.currentRef ??= this.definition.makeRef(this);
    return this.currentRef;
  }

  /** Has a new ref made for the current incarnation. */
  renewRef(): void {
    this.currentRef = null;
  }

  /** What carries messages to an actor of another node; undefined for those of this one. */
  get remote(): Remote | undefined {
    return undefined;
  }

  /** Whether the actor has ended, or is not of this node. */
  get dead(): boolean {
    return this.words === DEAD_WORDS;
  }

  /** The actor's flags. */
  get flags(): number {
    return this.words[this.at];
  }

  /** What handles casts has changed. */
  forgetBare(): void {
    this.bareSlot = NO_SLOT;
    this.bareHandler = null;
  }

  /** The rarely used part, made if it is not there. */
  more(): CellExtra {
    this.extra ??= new CellExtra();
    return this.extra;
  }

  /** Public id of an incarnation. */
  idOf(incarnation: number): ActorId {
    const { kernel, index, generation, name, definition } = this;
    return new Id(kernel.nodeId, kernel.ids.encode(index, generation, incarnation, definition.takesMethods), name);
  }

  /** Public id of the current incarnation. */
  get id(): ActorId {
    return this.ref.id;
  }

  /**
   * What an incarnation acts on: this cell, as long as it runs here. One that was given up may go on for a while, and gets a
   * husk.
   */
  asOf(incarnation: number): ActorCell {
    return this.incarnation === incarnation ? this : this.husk();
  }

  /** An actor that has ended, with this one's name and parent. Refs to it are refs to this cell. */
  private husk(): ActorCell {
    const { kernel, index, generation, definition, name, parent } = this;
    const place = { words: DEAD_WORDS, index, generation };
    const husk = new ActorCell(kernel, place, definition, { args: NO_ARGUMENTS, name, parent });
    husk.incarnation = this.incarnation;
    husk.currentRef = this.ref;
    return husk;
  }

  /** Forgets the incarnation that has ended; the next one starts with a new ref. */
  reincarnate(incarnation: number): void {
    this.incarnation = incarnation;
    this.epoch++;
    this.pump = null;
    this.behaviour = null;
    this.calls = null;
    this.casts = null;
    this.forgetBare();
    this.currentRef = null;
    this.runningSlot = NOTHING_RUNS;
    this.stashing = STASH_IMPOSSIBLE;
    if (this.extra !== null) {
      const { name, stopWaiters, restartWaiters, stopStarted, lastError } = this.extra;
      this.extra = Object.assign(new CellExtra(), { name, stopWaiters, restartWaiters, stopStarted, lastError });
    }
  }

  /** Becomes a husk. The last ref and the name stay, for the sake of ids. */
  bury(): void {
    const { name } = this;
    this.words = DEAD_WORDS;
    this.epoch++;
    this.pump = null;
    this.behaviour = null;
    this.calls = null;
    this.casts = null;
    this.forgetBare();
    this.packedArgs = undefined;
    this.extra = null;
    if (name !== undefined) this.more().name = name;
  }
}
