/**
 * The slot table: where one isolate keeps the values whose tokens travel through the core.
 *
 * The isolate owns slots. A slot is in use from `alloc` until `free`; in between the core may hold its number, as a
 * message in a mailbox, the message of a timer, the data of a continue, or the reason of an exit. Whoever receives the
 * number last frees the slot: the dispatcher after a handler, or an event of the core that says so.
 *
 * A cast has its method (or undefined) and its arguments (or message) in its slot. A call has a
 * {@link PendingCall} there. Limit: 2^28 slots, which is what fits beside the kind in a ring word.
 *
 * Casts of one method without arguments say the same, so they share a *standing* slot, which is never free. The first
 * STANDING_SLOTS methods have one each.
 */

import { LibeamError } from "../errors.js";
import { onAbort as listen, offAbort } from "./cancel.js";
import type { ActorCell } from "./cell.js";
import type { CallOptions } from "./options.js";
import { SLOT_BITS } from "./protocol.js";

const SLOTS_MAX = 2 ** SLOT_BITS;

/** The ring's word for no deadline. */
export const NO_DEADLINE = 0xffff_ffff;

/** What withdraws a call: an AbortSignal, or what stands for that of a caller elsewhere. */
export interface CallSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { once: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** What a caller asked for beside the message. */
export interface CallTerms {
  /** Timeout as a word of the ring, in milliseconds; negative for the system's default. */
  timeoutMs: number;
  /** Withdraws the call when it aborts. */
  signal: CallSignal | undefined;
  /** What listens to the signal now. */
  onAbort: (() => void) | undefined;
  /** The options as they were given behind a method's arguments: an argument after all if the handler wants one more. */
  last?: CallOptions | undefined;
}

/** The terms of a call without options. */
export const DEFAULT_TERMS: CallTerms = Object.freeze({ timeoutMs: -1, signal: undefined, onAbort: undefined });

/** A timeout as the core wants it: whole milliseconds, all ones for never. */
export function timeoutWord(timeoutMs: number): number {
  return timeoutMs === Number.POSITIVE_INFINITY ? NO_DEADLINE : Math.ceil(timeoutMs);
}

/** A call that has not been answered at once. */
export class PendingCall {
  /** What the caller holds. */
  readonly promise: Promise<any>;
  /** Null when the caller has its answer. */
  private accept: ((value: any) => void) | null;

  constructor(
    /** Whom it is for. */
    public target: ActorCell,
    /** Method name, or undefined when `value` is a whole message. */
    public method: string | undefined,
    /** Arguments, or the message. */
    public value: any,
    readonly terms: CallTerms,
  ) {
    this.accept = null;
    // Perf: compiled into the place where calls are made, without a closure ("50 calls in flight").
    this.promise = new Promise((resolve) => {
      this.accept = resolve;
    });
  }

  /** The caller has its answer; what the handler still does concerns nobody. */
  get settled(): boolean {
    return this.accept === null;
  }

  /** Withdraws the call with `onAbort` when the signal aborts before an answer. */
  abortable(signal: CallSignal, onAbort: () => void): void {
    this.terms.onAbort = onAbort;
    listen(signal, onAbort);
  }

  /** It was taken out of a mailbox, and is put into that actor's with a whole message. */
  redirect(target: ActorCell, message: unknown): void {
    this.target = target;
    this.method = undefined;
    this.value = message;
  }

  /** Answers the caller, once. */
  resolve(value: unknown): void {
    const { accept } = this;
    if (accept === null) return;
    this.accept = null;
    if (this.terms.onAbort !== undefined) this.forgetSignal(this.terms.onAbort);
    accept(value);
  }

  /** Refuses the caller, once. A refusal that nobody awaits is not an unhandled rejection. */
  reject(error: unknown): void {
    if (this.settled) return;
    this.promise.catch(ignore);
    this.resolve(rejected(error));
  }

  private forgetSignal(onAbort: () => void): void {
    if (this.terms.signal !== undefined) offAbort(this.terms.signal, onAbort);
    this.terms.onAbort = undefined;
  }
}

function ignore(): void {}

/** A promise that is rejected with `error` and never counts as unhandled. */
export function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(ignore);
  return promise;
}

/** The arguments of a cast are one, and are in its slot as they are. */
const ONE_ARGUMENT = 1;
/** The arguments of a cast are in its slot as an array. */
const ARGUMENT_ARRAY = 2;
/** The array of a cast without arguments. */
export const NO_ARGUMENTS: any[] = Object.freeze([]) as unknown as any[];

/** Methods with a standing slot at most; these slots come first in the table. */
export const STANDING_SLOTS = 256;
/** Places for methods that were cast to lately; a power of two. */
const RECENT = 16;

/** Where a method has its place among the recent ones, if no other has it. An empty name has the first. */
function placeOf(method: string): number {
  return (method.length + method.charCodeAt(0)) & (RECENT - 1);
}

/** Values by slot, and the free slots. */
export class SlotTable {
  /**
   * Three elements per slot: its value; the method of a cast (undefined when the value is a whole message, and for
   * everything that is not a cast); and in which form the method's arguments are.
   *
   * Perf: side by side, because they are used together, and without an array for a single argument, so that a million
   * waiting casts are less work for the garbage collector ("bulk cast", burst; "fairness").
   */
  private readonly cells: any[] = [];
  /** Standing slots by method. */
  private readonly standing = new Map<string, number>();
  /** Perf: the method that `standingFor` was asked for last, and its slot ("bulk cast"). */
  private lastMethod: string | undefined = undefined;
  private lastStanding = 0;
  /** Perf: methods with a standing slot and their slots, where `placeOf` says; quicker than the map if they alternate. */
  private readonly recentMethods: (string | undefined)[] = new Array(RECENT).fill(undefined);
  private readonly recentStanding: number[] = new Array(RECENT).fill(0);
  /** Free slots up to `freedTop`, last freed last: the next one is still in the cache. Never shortened. */
  private readonly freed: number[] = [];
  private freedTop = 0;
  /**
   * Slots from here on have not been used since all were free. Perf: so a burst after a shuffle finds them in order of
   * their addresses again ("cast, burst").
   */
  private fresh = STANDING_SLOTS;

  constructor() {
    for (let slot = 0; slot < STANDING_SLOTS; slot++) this.grow(slot);
  }

  /** Takes a slot for a value: a whole message, a call, or anything else that is not a method with arguments. */
  alloc(value: unknown): number {
    const slot = this.freedTop > 0 ? this.freed[--this.freedTop] : this.takeFresh();
    this.cells[slot * 3] = value;
    return slot;
  }

  /** Takes a slot for a cast to a method with any number of arguments. */
  allocCast(method: string, args: any[]): number {
    const slot = this.freedTop > 0 ? this.freed[--this.freedTop] : this.takeFresh();
    this.putCast(slot, method, args);
    return slot;
  }

  /** Takes a slot for a cast to a method with one argument. */
  allocArgument(method: string, argument: unknown): number {
    const slot = this.freedTop > 0 ? this.freed[--this.freedTop] : this.takeFresh();
    const at = slot * 3;
    this.cells[at] = argument;
    this.cells[at + 1] = method;
    this.cells[at + 2] = ONE_ARGUMENT;
    return slot;
  }

  /** The slot of a cast to a method without arguments. */
  standingFor(method: string): number {
    return method === this.lastMethod ? this.lastStanding : this.anotherStanding(method);
  }

  private anotherStanding(method: string): number {
    const place = placeOf(method);
    if (method !== this.recentMethods[place]) return this.findStanding(method, place);
    this.lastMethod = method;
    this.lastStanding = this.recentStanding[place];
    return this.lastStanding;
  }

  private findStanding(method: string, place: number): number {
    let slot = this.standing.get(method);
    if (slot === undefined) {
      slot = this.standing.size;
      if (slot === STANDING_SLOTS) return this.allocCast(method, NO_ARGUMENTS);
      this.standing.set(method, slot);
      this.putCast(slot, method, NO_ARGUMENTS);
    }
    this.recentMethods[place] = method;
    this.recentStanding[place] = slot;
    return slot;
  }

  private putCast(slot: number, method: string, args: any[]): void {
    const at = slot * 3;
    this.cells[at] = args;
    this.cells[at + 1] = method;
    this.cells[at + 2] = ARGUMENT_ARRAY;
  }

  /** The value in a slot. For a cast to a method use `argument` or `args`. */
  value(slot: number): any {
    return this.cells[slot * 3];
  }

  /** The method of the cast in a slot. */
  method(slot: number): string | undefined {
    return this.cells[slot * 3 + 1];
  }

  /** Whether the cast in a slot has one argument, which is `value` then. */
  hasOneArgument(slot: number): boolean {
    return this.cells[slot * 3 + 2] === ONE_ARGUMENT;
  }

  /** The arguments of the cast in a slot. */
  args(slot: number): any[] {
    return this.hasOneArgument(slot) ? [this.cells[slot * 3]] : [...this.cells[slot * 3]];
  }

  /** Gives the slot of a value that was not a cast to a method back. */
  freeValue(slot: number): void {
    this.cells[slot * 3] = undefined;
    this.giveBack(slot);
  }

  /** Gives a slot back and lets its value go, unless the slot is a standing one. */
  free(slot: number): void {
    if (slot < STANDING_SLOTS) return;
    this.cells[slot * 3] = undefined;
    this.cells[slot * 3 + 1] = undefined;
    this.giveBack(slot);
  }

  private giveBack(slot: number): void {
    this.freed[this.freedTop++] = slot;
    if (this.freedTop === this.fresh - STANDING_SLOTS) {
      this.freedTop = 0;
      this.fresh = STANDING_SLOTS;
    }
  }

  /** Slots in use, without the standing ones. */
  get used(): number {
    return this.fresh - STANDING_SLOTS - this.freedTop;
  }

  private takeFresh(): number {
    const slot = this.fresh++;
    if (slot * 3 === this.cells.length) this.grow(slot);
    return slot;
  }

  private grow(slot: number): void {
    if (slot >= SLOTS_MAX) {
      this.fresh--;
      throw new LibeamError(`All ${SLOTS_MAX} message slots are in use; the message was not sent`, "SLOT_LIMIT");
    }
    this.cells.push(undefined, undefined, 0);
  }
}
