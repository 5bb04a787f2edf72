/**
 * The pump: sees asynchronous handlers through.
 *
 * It listens to a handler's promise, settles the message, and asks the core for the next message of the same actor, so that
 * a busy asynchronous actor costs one crossing per message at most, and no extra turn. It stops when the actor has nothing
 * more, its quantum or the turn's budget is used up, or a flag is raised; it then reports with `wake`.
 */

import type { ActorCell } from "./cell.js";
import { NO_SLOT, type Outcome } from "./outcome.js";
import * as protocol from "./protocol.js";
import { type Failure, overdue, runMessage, settle } from "./run.js";

// Perf: constants of the module's own; see "Constants" in docs/design/hot_path.md.
const { FLAG_OBSERVED, QUANTUM, SLOT_BITS } = protocol;

const SLOT_MASK = 2 ** SLOT_BITS - 1;

/** Sees a handler's promise through, and the messages that follow while they are asynchronous too. */
export function pump(cell: ActorCell, promise: PromiseLike<unknown>, slot: number): void {
  (idlePumps.pop() ?? new Pump()).start(cell, promise, slot);
}

/** Pumps that wait for work, at most PUMPS_MAX. */
const idlePumps: Pump[] = [];
const PUMPS_MAX = 64;
const { then } = Promise.prototype;

/**
 * See `pump`. It waits for one promise at a time, so it can be used again when it is done.
 *
 * Perf: listening with functions that are there already costs two thirds of awaiting, which makes two for each promise, and
 * less than half of listening with new ones ("50 calls in flight").
 */
class Pump {
  private cell: ActorCell | null = null;
  private epoch = 0;
  private slot = NO_SLOT;
  private left = 0;
  private readonly fulfilled = (result: unknown): void => this.ended(null, result);
  private readonly rejected = (error: unknown): void => this.ended({ error }, undefined);

  start(cell: ActorCell, promise: PromiseLike<unknown>, slot: number): void {
    this.cell = cell;
    this.epoch = cell.epoch;
    this.left = QUANTUM;
    cell.runningSlot = slot;
    this.listen(promise, slot);
  }

  private listen(promise: PromiseLike<unknown>, slot: number): void {
    this.slot = slot;
    // As `await` does it: whatever is no plain promise is asked for its `then` later, and its failures are rejections.
    let plain: Promise<unknown>;
    try {
      plain = Promise.resolve(promise);
    } catch (error) {
      plain = Promise.reject(error);
    }
    then.call(plain, this.fulfilled, this.rejected);
  }

  private ended(failure: Failure | null, result: unknown): void {
    const cell = this.cell as ActorCell;
    if (cell.epoch === this.epoch) {
      if (cell.kernel.overdue[0] !== 0) overdue(cell, this.slot, null, true);
      settle(cell, this.slot, failure, result);
      const promise = this.runOn(cell);
      if (promise !== null) {
        this.listen(promise, cell.runningSlot);
        return;
      }
    }
    this.cell = null;
    if (idlePumps.length < PUMPS_MAX) idlePumps.push(this);
  }

  /** Runs the messages that follow up to the next promise; null if this was it. */
  private runOn(cell: ActorCell): Outcome {
    const { kernel } = cell;
    while (--this.left > 0 && kernel.budget > 0 && hasMore(cell)) {
      kernel.spend(1);
      const { prefetched } = cell;
      let outcome: Outcome | undefined;
      if (prefetched === null) outcome = kernel.runNext(cell);
      else {
        const entry = prefetched.pop() as number;
        if (prefetched.length === 0) cell.prefetched = null;
        outcome = runMessage(cell, entry >>> SLOT_BITS, entry & SLOT_MASK);
      }
      if (outcome === undefined) return null;
      if (outcome !== null) return outcome;
    }
    kernel.putBack(cell);
    // An actor with an idle timeout is never pumped on, because `next` does not tell the core the time.
    const flags = cell.words[cell.at] & ~FLAG_OBSERVED;
    if (flags === 0 && cell.words[cell.at + 1] !== 0) kernel.wake(cell);
    return null;
  }
}

function hasMore(cell: ActorCell): boolean {
  return cell.words[cell.at] === 0 && cell.words[cell.at + 1] !== 0;
}
