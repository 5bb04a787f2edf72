/**
 * The pump: sees the asynchronous handlers of a busy actor through.
 *
 * It listens to a handler's promise, settles the message, and goes on with the next message of the same actor, so that a
 * busy asynchronous actor costs no turn per message. It stops when the actor has nothing more, its quantum or the turn's
 * budget is used up, or a flag is raised; it then reports with `wake`.
 *
 * # Where the next message is
 * In this order: what the core has handed over ahead of time (*taken*), what has been called since (the *lane*), and the
 * core's mailbox. A call goes into the lane if the taken ones and the lane are all that the actor has, which its pending
 * count says; so nobody is overtaken. The lane is a part of the submission queue: whoever lets the core look (`tell`)
 * submits it first, and a message that must go through the core closes it. Most calls of a turn are answered before, and the
 * core never hears of them. Limit: LANE_MAX calls.
 */

import type { ActorCell, Handler, Handlers } from "./cell.js";
import { NO_SLOT, type Outcome } from "./outcome.js";
import * as protocol from "./protocol.js";
import { type Failure, overdue, overdueCall, runCall, runMessage, settle, settleCall } from "./run.js";
import { DEFAULT_TERMS, PendingCall } from "./slots.js";

// Perf: constants of the module's own; see "Constants" in docs/design/hot_path.md.
const { ENTRIES_AT, FLAG_OBSERVED, FLAG_RUNNING, QUANTUM, SLOT_BITS, SUBMIT_CALL, SUBMIT_STARTED, SUBMIT_UNREAD } =
  protocol;

const SLOT_MASK = 2 ** SLOT_BITS - 1;
/** Calls that wait in a lane at most; a power of two. */
const LANE_MAX = 1_024;
const LANE_MASK = LANE_MAX - 1;
const PUMPS_MAX = 64;
const { then } = Promise.prototype;

/** Sees the promise of a handler through whose message has a slot, or none by nature, and the messages that follow. */
export function pump(cell: ActorCell, promise: PromiseLike<unknown>, slot: number): void {
  idlePump(cell).start(cell, promise, slot, null);
}

/** The same for a call that the core does not know of. */
export function pumpCall(promise: PromiseLike<unknown>, call: PendingCall): void {
  idlePump(call.target).start(call.target, promise, NO_SLOT, call);
}

function idlePump({ kernel }: ActorCell): Pump {
  return kernel.pumps.pop() ?? new Pump();
}

/**
 * See the module's header. It waits for one promise at a time, so it can be used again when it is done.
 *
 * Perf: listening with functions that are there already costs two thirds of awaiting, which makes two for each promise, and
 * less than half of listening with new ones ("50 calls in flight").
 */
export class Pump {
  private cell: ActorCell | null = null;
  private epoch = 0;
  private slot = NO_SLOT;
  private left = 0;
  /** The call that runs, as long as the core does not know of it: it has no slot. */
  private untold: PendingCall | null = null;
  /** Entries from `takenAt` to `takenEnd`. */
  private readonly taken: number[] = [];
  private takenAt = 0;
  private takenEnd = 0;
  /** Calls from `head` to `tail`, both modulo LANE_MAX. */
  private readonly lane: (PendingCall | undefined)[] = [];
  private head = 0;
  private tail = 0;
  /** The kernel has `tell` called before the core looks. */
  private held = false;
  /**
   * What the last call of the lane was for, and its handler, in this table.
   *
   * Perf: a look-up in one of many tables costs as much as a plain handler ("50 calls in flight, busy actor").
   */
  private handlers: Handlers | null = null;
  private method = "";
  private handler: Handler | undefined = undefined;
  private readonly fulfilled = (result: unknown): void => this.ended(null, result);
  private readonly rejected = (error: unknown): void => this.ended({ error }, undefined);

  /** See `pump` and `pumpCall`. */
  start(cell: ActorCell, promise: PromiseLike<unknown>, slot: number, untold: PendingCall | null): void {
    this.cell = cell;
    this.epoch = cell.epoch;
    this.left = QUANTUM;
    this.untold = untold;
    cell.pump = this;
    cell.runningSlot = slot;
    if (untold !== null) this.hold(cell);
    this.listen(cell, promise);
  }

  /**
   * Makes a call to the pump's actor that waits in the lane; null if it has to go through the core.
   *
   * Perf: one function, so that the engine compiles all of it into one piece ("50 calls in flight, busy actor").
   */
  call(cell: ActorCell, method: string | undefined, value: unknown): Promise<any> | null {
    const { kernel, words, at } = cell;
    const waiting = this.tail - this.head;
    if (words[at] !== FLAG_RUNNING || words[at + 3] !== 0 || waiting === LANE_MAX) return null;
    if (words[at + 1] !== 1 + this.takenEnd - this.takenAt + waiting) return null;
    if (kernel.current === cell || kernel.closed) return null;
    const call = new PendingCall(cell, method, value, DEFAULT_TERMS);
    words[at + 1]++;
    this.lane[this.tail++ & LANE_MASK] = call;
    this.hold(cell);
    return call.promise;
  }

  /** Submits the calls of the lane: something else follows them. */
  close(): void {
    if (this.head === this.tail) return;
    const { kernel, index } = this.cell as ActorCell;
    for (; this.head < this.tail; this.head++) {
      const at = this.head & LANE_MASK;
      kernel.append(index, SUBMIT_CALL, kernel.slots.alloc(this.lane[at]));
      this.lane[at] = undefined;
    }
    this.head = 0;
    this.tail = 0;
  }

  /** Tells the core, which is about to look, of everything that it does not know. */
  tell(): void {
    this.held = false;
    const { cell, untold } = this;
    if (cell === null) return;
    if (untold !== null) {
      const slot = cell.kernel.slots.alloc(untold);
      this.untold = null;
      this.slot = slot;
      cell.runningSlot = slot;
      cell.kernel.append(cell.index, SUBMIT_STARTED, slot);
    }
    this.close();
  }

  /** Keeps what the core has handed over beside the first entry; it has nothing else of it then. */
  keep(page: Uint32Array, count: number): void {
    this.takenAt = 0;
    this.takenEnd = count - 1;
    for (let at = 1; at < count; at++) this.taken[at - 1] = page[ENTRIES_AT + at] as number;
  }

  /** Puts what it has not got to back into the mailbox. */
  putBack(): void {
    const { kernel, index } = this.cell as ActorCell;
    while (this.takenEnd > this.takenAt) {
      kernel.pushTimed(index, SUBMIT_UNREAD, 0, this.taken[--this.takenEnd] as number);
    }
    this.close();
  }

  /** A handler has been added to a table. */
  forgetHandler(): void {
    this.handlers = null;
    this.handler = undefined;
  }

  private hold(cell: ActorCell): void {
    if (this.held) return;
    this.held = true;
    cell.kernel.hold(this);
  }

  private listen(cell: ActorCell, promise: PromiseLike<unknown>): void {
    this.slot = cell.runningSlot;
    try {
      // Perf: the engine knows what a plain promise's `then` does, if it sees that it is one.
      if (promise instanceof Promise && promise.constructor === Promise) {
        then.call(promise, this.fulfilled, this.rejected);
      } else this.adopt(promise);
    } catch (error) {
      this.adopt(Promise.reject(error));
    }
  }

  /** As `await` does it: whatever is no plain promise is asked for its `then` later, and its failures are rejections. */
  private adopt(promise: PromiseLike<unknown>): void {
    then.call(Promise.resolve(promise), this.fulfilled, this.rejected);
  }

  private ended(failure: Failure | null, result: unknown): void {
    const cell = this.cell as ActorCell;
    let promise: Outcome = null;
    if (cell.epoch === this.epoch) {
      this.settle(cell, failure, result);
      promise = this.runOn(cell);
    }
    if (promise !== null) this.listen(cell, promise);
    else this.rest(cell);
  }

  /** It has nothing more to wait for. */
  private rest(cell: ActorCell): void {
    if (cell.epoch === this.epoch) cell.pump = null;
    if (this.head !== this.tail) return; // Given up, and its calls are not submitted yet.
    this.cell = null;
    this.forgetHandler();
    const { pumps } = cell.kernel;
    if (pumps.length < PUMPS_MAX) pumps.push(this);
  }

  private settle(cell: ActorCell, failure: Failure | null, result: unknown): void {
    const { untold } = this;
    if (cell.kernel.overdue[0] !== 0) this.overdue(cell);
    if (untold === null) settle(cell, this.slot, failure, result);
    else {
      this.untold = null;
      settleCall(untold, failure, result);
    }
  }

  private overdue(cell: ActorCell): void {
    if (this.untold === null) overdue(cell, this.slot, null, true);
    else overdueCall(cell, this.untold.method, this.untold.value, null, true);
  }

  /** Runs the messages that follow up to the next promise; null if this was it. */
  private runOn(cell: ActorCell): Outcome {
    const { kernel, at } = cell;
    if (this.left <= 1 && !kernel.othersWait) this.left = QUANTUM;
    while (cell.words[at] === 0 && cell.words[at + 1] !== 0 && --this.left > 0 && kernel.budget > 0) {
      kernel.spend(1);
      const fromLane = this.takenAt === this.takenEnd && this.head !== this.tail;
      const outcome = fromLane ? this.runCall(cell) : this.runEntry(cell);
      if (outcome === undefined) return null;
      if (outcome !== null) return outcome;
    }
    this.letGo(cell);
    return null;
  }

  /** Runs the next message that the core has handed over, or hands over now; undefined if there is none. */
  private runEntry(cell: ActorCell): Outcome | undefined {
    if (this.takenAt === this.takenEnd) return cell.kernel.runNext(cell, this);
    const entry = this.taken[this.takenAt++] as number;
    return runMessage(cell, entry >>> SLOT_BITS, entry & SLOT_MASK);
  }

  /** Runs the next call of the lane. */
  private runCall(cell: ActorCell): Outcome {
    const at = this.head++ & LANE_MASK;
    const call = this.lane[at] as PendingCall;
    this.lane[at] = undefined;
    const { method } = call;
    const known = method === this.method && cell.calls === this.handlers;
    const outcome = runCall(call, known ? this.handler : this.lookUp(cell, method));
    if (outcome !== null) {
      this.untold = call;
      this.hold(cell);
    }
    return outcome;
  }

  private lookUp({ calls }: ActorCell, method: string | undefined): Handler | undefined {
    if (calls === null || method === undefined) return undefined;
    this.handlers = calls;
    this.method = method;
    this.handler = calls[method];
    return this.handler;
  }

  /** Leaves the rest to the core. */
  private letGo(cell: ActorCell): void {
    this.putBack();
    // An actor with an idle timeout is never pumped on, because `next` does not tell the core the time.
    if ((cell.words[cell.at] & ~FLAG_OBSERVED) === 0 && cell.words[cell.at + 1] !== 0) cell.kernel.wake(cell);
  }
}
