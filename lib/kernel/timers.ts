/**
 * Timers and idle timeouts on the isolate's side. The core owns time; a timer's message waits in a slot.
 *
 * Limit: `timersPerActorMax` timers of one actor; one more throws TimerLimitError. Delays are whole milliseconds up to
 * DELAY_MS_MAX; nothing fires early. A tick is delivered through `handleCast`, or, when the timer is for another actor,
 * cast to it when the owner's turn comes; that one may be of any node.
 */

import { InvalidArgumentError, TimerLimitError } from "../errors.js";
import type { ActorRef } from "./actor_ref.js";
import type { ActorCell } from "./cell.js";
import { keyGeneration, keyIndex, relationKey, TimerRef } from "./info.js";
import type { Kernel } from "./kernel.js";
import type { Outcome } from "./outcome.js";
import {
  ENTRY_CAST,
  OP_IDLE,
  OP_TIMER_CANCEL,
  OP_TIMER_CANCEL_ALL,
  OP_TIMER_START,
  STATUS_LIMIT,
  STATUS_OK,
} from "./protocol.js";
import { runMessage, runPlain } from "./run.js";
import { cast } from "./send.js";
import { assertNonNegativeMs, cellOf } from "./validate.js";

/** A message for another actor. */
class Relay {
  constructor(
    readonly to: ActorRef,
    readonly message: unknown,
  ) {}
}

/** A timer. */
export interface TimerTerms {
  delayMs: number;
  isInterval: boolean;
  /** Whom the message is for; undefined for the owner. */
  to?: ActorRef | undefined;
  /** Whose timer it is called; default the owner. */
  calledOf?: ActorRef;
}

/** Starts a timer. A string is short for `{ method: string, args: [] }` if the receiver takes methods. */
export function startTimer(cell: ActorCell, message: unknown, terms: TimerTerms): TimerRef {
  const { delayMs, isInterval, to } = terms;
  assertNonNegativeMs(isInterval ? "intervalMs" : "delayMs", delayMs);
  const target = to === undefined ? cell : cellOf(to);
  const { kernel } = cell;
  if (cell.dead) return new TimerRef("timer-none", cell.ref, isInterval);
  const takesMethods = target === cell ? cell.casts !== null : target.definition.takesMethods;
  const own = typeof message === "string" && takesMethods ? { method: message, args: [] } : message;
  const payload = to === undefined || target === cell ? own : new Relay(to, own);
  const slot = kernel.slots.alloc(payload);
  kernel.args[0] = cell.index;
  kernel.args[1] = slot;
  kernel.args[2] = Math.ceil(delayMs);
  kernel.args[3] = isInterval ? 1 : 0;
  kernel.args[4] = payload instanceof Relay ? 1 : 0;
  kernel.control(OP_TIMER_START);
  const [status, index, generation] = kernel.results;
  if (status !== STATUS_OK) {
    kernel.slots.free(slot);
    if (status === STATUS_LIMIT) throw new TimerLimitError(cell.ref.id.id, kernel.options.timersPerActorMax);
    return new TimerRef("timer-none", cell.ref, isInterval);
  }
  const key = relationKey(index, generation);
  const timerRef = new TimerRef(undefined, terms.calledOf ?? cell.ref, isInterval, key);
  cell.more().timers.set(key, timerRef);
  return timerRef;
}

/** Cancels a timer; false if there was nothing left to cancel. @throws InvalidArgumentError for what names no timer */
export function cancelTimer(cell: ActorCell, timerRef: TimerRef): boolean {
  if (typeof (timerRef as TimerRef | null | undefined)?._key !== "number") {
    throw new InvalidArgumentError("timer", "a TimerRef", timerRef);
  }
  if (!cell.extra?.timers.delete(timerRef._key)) return false;
  const { kernel } = cell;
  kernel.args[0] = keyIndex(timerRef._key);
  kernel.args[1] = keyGeneration(timerRef._key);
  kernel.control(OP_TIMER_CANCEL);
  if (kernel.results[0] !== STATUS_OK) return false;
  kernel.slots.free(kernel.results[1]);
  return true;
}

/** Cancels all timers of an actor. */
export function cancelAllTimers(cell: ActorCell): void {
  if (cell.extra === null || cell.extra.timers.size === 0) return;
  cell.extra.timers.clear();
  cell.kernel.args[0] = cell.index;
  cell.kernel.control(OP_TIMER_CANCEL_ALL);
}

/** Delivers a tick, unless its timer was cancelled meanwhile. */
export function deliverTick(kernel: Kernel, cell: ActorCell, at: number): Outcome {
  const [slot, single, index, generation] = kernel.page.subarray(at + 2, at + 6);
  const key = relationKey(index, generation);
  const timers = cell.extra?.timers;
  if (!timers?.has(key)) return runPlain(cell, () => undefined);
  if (single === 1) timers.delete(key);
  const payload = kernel.slots.value(slot);
  if (payload instanceof Relay) return runPlain(cell, () => cast(payload.to._cell, payload.message));
  // The timer keeps its slot until the core lets go of it; the message gets one that it can be stashed with.
  return runMessage(cell, ENTRY_CAST, kernel.slots.alloc(payload));
}

/** Sets, changes or (0) removes the idle timeout. */
export function setIdleTimeout(cell: ActorCell, idleMs: number): void {
  assertNonNegativeMs("idleTimeoutMs", idleMs);
  if (cell.dead) return;
  const { kernel } = cell;
  cell.more().idleTimeoutMs = idleMs;
  kernel.args[0] = cell.index;
  kernel.args[1] = Math.ceil(idleMs);
  kernel.control(OP_IDLE);
}

/** Tells an actor that nothing has come for so long, unless its idle timeout is off or longer meanwhile. */
export function deliverIdle(cell: ActorCell, idleMs: number): Outcome {
  const { idleTimeoutMs = 0 } = cell.extra ?? {};
  const isDue = idleTimeoutMs > 0 && idleMs >= idleTimeoutMs;
  return runPlain(cell, () => (isDue ? cell.behaviour?.handleInfo({ type: "timeout", idleMs }) : undefined));
}
