/**
 * Sending: what happens between `ref.call` or `ref.cast` and the mailbox.
 *
 * A call to an idle actor of this isolate runs at once, on the caller's stack: the actor's state words (flags and
 * pending both zero) are the permission, `FLAG_RUNNING` is held meanwhile, so whoever else sends to the actor queues
 * behind. Everything else goes through the submission queue. Limits of running at once: INLINE_DEPTH_MAX nested
 * handlers, and the kernel's budget per turn of the event loop; past them a call is queued, so that timers and I/O get
 * their turn. A synchronous call of an actor to itself cannot be answered and is rejected.
 */

import { CallAbortedError, InvalidArgumentError, SelfCallError } from "../errors.js";
import { type ActorCell, STASH_IMPOSSIBLE, STASH_POSSIBLE, STASH_WANTED } from "./cell.js";
import type { Kernel } from "./kernel.js";
import type { CallOptions } from "./options.js";
import { isThenable } from "./outcome.js";
import {
  FLAG_DEAD,
  FLAG_RUNNING,
  FLAG_STOPPING,
  OP_CANCEL_CALL,
  STATUS_OK,
  SUBMIT_CALL,
  SUBMIT_CALL_TIMED,
  SUBMIT_CAST,
} from "./protocol.js";
import { notFound } from "./refusals.js";
import { invokeCall, observedCall, pump, stashFresh } from "./run.js";
import { PendingCall, rejected } from "./slots.js";
import { telemetry } from "./telemetry.js";
import { assertPlainOptions, assertTimeoutMs } from "./validate.js";

/** Handlers that may run inside each other. */
const INLINE_DEPTH_MAX = 32;
const REFUSING = FLAG_STOPPING | FLAG_DEAD;

/** A call whose deadline is the system's default. */
const DEFAULT_DEADLINE = -1;
/** The ring's word for no deadline. */
const NO_DEADLINE = 0xffff_ffff;

/** Calls a method of a functional actor. */
export function callMethod(cell: ActorCell, method: string, args: any[]): Promise<any> {
  const count = args.length;
  if (count > 0 && isCallOptions(args[count - 1])) {
    const handler = cell.calls?.[method];
    // A handler that is not registered yet (an asynchronous factory) cannot say how many parameters it has.
    if (handler === undefined || handler.length < count) {
      const options = args.pop() as CallOptions;
      return send(cell, method, args, options);
    }
  }
  return send(cell, method, args, undefined);
}

/** Calls with a whole message. */
export function call(cell: ActorCell, message: unknown, options: number | CallOptions | undefined): Promise<any> {
  if (options === undefined) return send(cell, undefined, message, undefined);
  return send(cell, undefined, message, typeof options === "number" ? { timeout: options } : options);
}

function isCallOptions(value: unknown): boolean {
  if (value === null || typeof value !== "object") return false;
  // Perf: the keys of a big array or buffer cost seconds, so they are asked for last.
  try {
    if (!("timeout" in value || "signal" in value)) return false;
    const keys = Object.keys(value);
    return keys.length <= 2 && keys.every((key) => key === "timeout" || key === "signal");
  } catch {
    return false; // A proxy that refuses to be looked at is no options object.
  }
}

function send(cell: ActorCell, method: string | undefined, value: any, options: CallOptions | undefined): Promise<any> {
  const { kernel, words, at } = cell;
  // Perf: the whole path of "sequential call" is this condition and what follows it.
  if (
    (words[at] | words[at + 1]) === 0 &&
    options === undefined &&
    kernel.inlineDepth < INLINE_DEPTH_MAX &&
    kernel.budget > 0 &&
    !kernel.closed
  ) {
    return callInline(kernel, cell, method, value, DEFAULT_DEADLINE, undefined);
  }
  return sendSlowly(kernel, cell, method, value, options);
}

function callInline(
  kernel: Kernel,
  cell: ActorCell,
  method: string | undefined,
  value: any,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<any> {
  const { words, at } = cell;
  const outer = kernel.current;
  kernel.spend(1);
  words[at] = FLAG_RUNNING;
  kernel.current = cell;
  kernel.inlineDepth++;
  cell.stashing = STASH_POSSIBLE;
  let result: unknown;
  try {
    result = telemetry.active ? observedCall(cell, method, value) : invokeCall(cell, method, value);
  } catch (error) {
    result = rejected(error);
    leaveInline(kernel, cell, outer);
    return result as Promise<never>;
  }
  kernel.current = outer;
  kernel.inlineDepth--;
  if (isThenable(result)) return awaitInline(kernel, cell, method, value, result, timeoutMs, signal);
  if (cell.stashing === STASH_WANTED) return deferInline(kernel, cell, method, value, timeoutMs, signal);
  cell.stashing = STASH_IMPOSSIBLE;
  endInline(kernel, cell);
  return Promise.resolve(result);
}

function leaveInline(kernel: Kernel, cell: ActorCell, outer: ActorCell | null): void {
  kernel.current = outer;
  kernel.inlineDepth--;
  cell.stashing = STASH_IMPOSSIBLE;
  endInline(kernel, cell);
}

function endInline(kernel: Kernel, cell: ActorCell): void {
  const { words, at } = cell;
  words[at] &= ~FLAG_RUNNING;
  if ((words[at] | words[at + 1]) !== 0) kernel.wake(cell);
}

/** The handler gave a promise: the actor is busy until it settles, and the call has a deadline from now on. */
function awaitInline(
  kernel: Kernel,
  cell: ActorCell,
  method: string | undefined,
  value: any,
  result: PromiseLike<unknown>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<any> {
  const pending = new PendingCall(cell, method, value, timeoutMs);
  const slot = kernel.slots.allocValue(pending);
  cell.words[cell.at + 1]++;
  kernel.submitStarted(cell, slot, timeoutMs);
  if (signal !== undefined) pending.abortable(signal, () => abort(kernel, pending, slot, signal));
  void pump(cell, result, slot);
  return pending.promise;
}

/** The handler stashed its call. */
function deferInline(
  kernel: Kernel,
  cell: ActorCell,
  method: string | undefined,
  value: any,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<any> {
  const pending = new PendingCall(cell, method, value, timeoutMs);
  cell.stashing = STASH_IMPOSSIBLE;
  const word = timeoutMs === DEFAULT_DEADLINE ? Math.min(Math.ceil(kernel.callTimeoutMs), NO_DEADLINE) : timeoutMs;
  const slot = stashFresh(cell, pending, word);
  if (signal !== undefined && !pending.settled) pending.abortable(signal, () => abort(kernel, pending, slot, signal));
  endInline(kernel, cell);
  return pending.promise;
}

function sendSlowly(
  kernel: Kernel,
  cell: ActorCell,
  method: string | undefined,
  value: any,
  options: CallOptions | undefined,
): Promise<any> {
  let timeoutMs = DEFAULT_DEADLINE;
  let signal: AbortSignal | undefined;
  if (options !== undefined) {
    try {
      ({ timeoutMs, signal } = readOptions(options));
    } catch (error) {
      return rejected(error);
    }
    if (signal?.aborted) return rejected(new CallAbortedError(signal.reason));
  }
  if (kernel.closed) return rejected(kernel.closedError("make calls"));
  if ((cell.words[cell.at] & REFUSING) !== 0) return rejected(notFound(cell));
  if (kernel.current === cell) {
    return rejected(new SelfCallError(cell.id.toString()));
  }
  const idle = (cell.words[cell.at] | cell.words[cell.at + 1]) === 0;
  if (idle && kernel.inlineDepth < INLINE_DEPTH_MAX && kernel.budget > 0) {
    return callInline(kernel, cell, method, value, timeoutMs, signal);
  }
  return enqueueCall(kernel, cell, method, value, timeoutMs, signal);
}

function readOptions(options: CallOptions): { timeoutMs: number; signal: AbortSignal | undefined } {
  assertPlainOptions("call options", options);
  const { timeout, signal } = options as CallOptions;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError("signal", "an AbortSignal", signal);
  }
  if (timeout === undefined) return { timeoutMs: DEFAULT_DEADLINE, signal };
  assertTimeoutMs("timeout", timeout);
  return { timeoutMs: timeout === Number.POSITIVE_INFINITY ? NO_DEADLINE : Math.ceil(timeout), signal };
}

function enqueueCall(
  kernel: Kernel,
  cell: ActorCell,
  method: string | undefined,
  value: any,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<any> {
  const pending = new PendingCall(cell, method, value, timeoutMs);
  const slot = kernel.slots.allocValue(pending);
  cell.words[cell.at + 1]++;
  if (timeoutMs === DEFAULT_DEADLINE) kernel.pushFor(cell, SUBMIT_CALL, slot);
  else kernel.pushTimed(cell.index, SUBMIT_CALL_TIMED, slot, timeoutMs);
  if (signal !== undefined) pending.abortable(signal, () => abort(kernel, pending, slot, signal));
  return pending.promise;
}

/** The caller gave up: a waiting call is taken back, a running one goes on without a listener. */
function abort(kernel: Kernel, pending: PendingCall, slot: number, signal: AbortSignal): void {
  if (pending.settled || kernel.slots.value(slot) !== pending) return;
  pending.reject(new CallAbortedError(signal.reason));
  kernel.args[0] = slot;
  kernel.control(OP_CANCEL_CALL);
  // Race: a call that the core does not know has been refused, and the event that says so frees the slot.
  if (kernel.results[0] === STATUS_OK) kernel.slots.free(slot);
}

/** Sends a cast to a method of a functional actor. */
export function castMethod(cell: ActorCell, method: string, args: any[]): void {
  const { words, at, kernel } = cell;
  if ((words[at] & REFUSING) !== 0) {
    kernel.deadLetter(cell, "cast", "not_found");
    return;
  }
  const slot = kernel.slots.alloc(method, args);
  words[at + 1]++;
  kernel.pushFor(cell, SUBMIT_CAST, slot);
}

/** Sends a cast with a whole message. */
export function cast(cell: ActorCell, message: unknown): void {
  const { words, at, kernel } = cell;
  if ((words[at] & REFUSING) !== 0) {
    kernel.deadLetter(cell, "cast", "not_found");
    return;
  }
  const slot = kernel.slots.alloc(undefined, message);
  words[at + 1]++;
  kernel.pushFor(cell, SUBMIT_CAST, slot);
}
