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
import { listenForAbort } from "./cancel.js";
import type { ActorCell } from "./cell.js";
import * as cells from "./cell.js";
import { CALL_NAMES, type CallOptions } from "./options.js";
import { isThenable } from "./outcome.js";
import * as protocol from "./protocol.js";
import { pump, pumpCall } from "./pump.js";
import { notFound } from "./refusals.js";
import { argumentsOf, invokeCall, overdueCall, runCall, stashFresh } from "./run.js";
import { type CallTerms, DEFAULT_TERMS, NO_ARGUMENTS, NO_DEADLINE, PendingCall, rejected } from "./slots.js";
import { telemetry } from "./telemetry.js";
import { assertOptions, assertTimeoutMs } from "./validate.js";

// Perf: constants of the module's own; see "Constants" in docs/design/hot_path.md.
const { FLAG_DEAD, FLAG_RUNNING, FLAG_STOPPING, SUBMIT_CALL, SUBMIT_CALL_TIMED, SUBMIT_CAST } = protocol;
const { STASH_IMPOSSIBLE, STASH_POSSIBLE, STASH_WANTED } = cells;

/** Handlers that may run inside each other. */
const INLINE_DEPTH_MAX = 32;
const REFUSING = FLAG_STOPPING | FLAG_DEAD;

/** Calls a method of a functional actor. */
export function callMethod(cell: ActorCell, method: string, args: any[]): Promise<any> {
  const count = args.length;
  const mayEndInOptions = count > 0 && typeof args[count - 1] === "object";
  if (mayEndInOptions && endsInOptions(cell, method, args)) return callWith(args.pop(), cell, method, args);
  return runsAtOnce(cell) ? callInline(cell, method, args, DEFAULT_TERMS) : callLater(cell, method, args);
}

/**
 * Whether the last argument is call options. Asked again when the handler runs (`argumentsOf` in run.ts): one that is not
 * registered yet (an asynchronous factory, another node) cannot say how many parameters it has, and another may be in place
 * by then.
 */
function endsInOptions(cell: ActorCell, method: string, args: any[]): boolean {
  const handler = cell.calls?.[method];
  return (handler === undefined || handler.length < args.length) && isCallOptions(args[args.length - 1]);
}

/** Calls with a whole message. */
export function call(cell: ActorCell, message: unknown, options: number | CallOptions | undefined): Promise<any> {
  if (options !== undefined) {
    return callWith(typeof options === "number" ? { timeout: options } : options, cell, undefined, message);
  }
  return runsAtOnce(cell) ? callInline(cell, undefined, message, DEFAULT_TERMS) : callLater(cell, undefined, message);
}

function isCallOptions(value: object | null): boolean {
  if (value === null) return false;
  // Perf: the keys of a big array or buffer cost seconds, so they are asked for last.
  try {
    if (!("timeout" in value || "signal" in value)) return false;
    const keys = Object.keys(value);
    return keys.length <= 2 && keys.every((key) => key === "timeout" || key === "signal");
  } catch {
    return false; // A proxy that refuses to be looked at is no options object.
  }
}

/** Whether a call runs now, on the caller's stack, and nobody listens. */
function runsAtOnce(cell: ActorCell): boolean {
  return !telemetry.active && mayRun(cell);
}

/** Whether a call may run on the caller's stack: the actor is idle, and none of the limits is reached. */
function mayRun({ kernel, words, at }: ActorCell): boolean {
  if ((words[at] | words[at + 1]) !== 0) return false;
  return kernel.inlineDepth < INLINE_DEPTH_MAX && kernel.budget > 0 && !kernel.closed;
}

/**
 * Runs the handler now.
 *
 * Perf: this with `ref.call`, `callMethod` and all that they call in the usual case is the whole path of "sequential
 * call". The engine compiles it into one piece as long as it is short, so what is rare is in functions of its own.
 */
function callInline(cell: ActorCell, method: string | undefined, value: any, terms: CallTerms): Promise<any> {
  const { kernel, words, at } = cell;
  const outer = kernel.current;
  kernel.spend(1);
  words[at] = FLAG_RUNNING;
  kernel.current = cell;
  kernel.inlineDepth++;
  cell.stashing = STASH_POSSIBLE;
  let result: unknown;
  try {
    result = invokeCall(cell, method, value);
  } catch (error) {
    kernel.current = outer;
    kernel.inlineDepth--;
    endInline(cell, method, value);
    return rejected(error);
  }
  kernel.current = outer;
  kernel.inlineDepth--;
  if (isThenable(result)) return awaitInline(new PendingCall(cell, method, value, terms), result);
  if (cell.stashing === STASH_WANTED) return stashInline(cell, method, value, terms);
  endInline(cell, method, value);
  return Promise.resolve(result);
}

/** The same while somebody listens: the call is made as one that waited would be, by the door that observes. */
function callObserved(pending: PendingCall): Promise<any> {
  const cell = pending.target;
  cell.kernel.spend(1);
  cell.words[cell.at + 1]++;
  const result = runCall(pending, undefined);
  if (result !== null) awaitResult(pending, result);
  else if ((cell.words[cell.at] | cell.words[cell.at + 1]) !== 0) cell.kernel.wake(cell);
  return pending.promise;
}

function endInline(cell: ActorCell, method: string | undefined, value: unknown): void {
  const { kernel, words, at } = cell;
  const flags = words[at] & ~FLAG_RUNNING;
  cell.stashing = STASH_IMPOSSIBLE;
  words[at] = flags;
  // Perf: one condition for all that is rare; a check of its own for the overdue loop costs 4 % ("sequential call").
  if ((flags | words[at + 1] | kernel.overdue[0]) !== 0) endSlowly(cell, method, value);
}

function endSlowly(cell: ActorCell, method: string | undefined, value: unknown): void {
  const { kernel, words, at } = cell;
  if (kernel.overdue[0] !== 0) overdueCall(cell, method, value);
  if ((words[at] | words[at + 1]) !== 0) kernel.wake(cell);
}

/** The handler gave a promise. */
function awaitInline(pending: PendingCall, result: PromiseLike<unknown>): Promise<any> {
  const cell = pending.target;
  if (cell.kernel.overdue[0] !== 0) overdueCall(cell, pending.method, pending.value);
  cell.words[cell.at + 1]++;
  awaitResult(pending, result);
  return pending.promise;
}

/** The actor is busy until the promise settles, and the call has a deadline from now on. */
function awaitResult(pending: PendingCall, result: PromiseLike<unknown>): void {
  const { target: cell, terms } = pending;
  if (terms === DEFAULT_TERMS) {
    pumpCall(result, pending);
    return;
  }
  const slot = cell.kernel.slots.alloc(pending);
  cell.kernel.submitStarted(cell, slot, terms.timeoutMs);
  listenForAbort(pending, slot);
  pump(cell, result, slot);
}

/** The handler stashed its call. */
function stashInline(cell: ActorCell, method: string | undefined, value: any, terms: CallTerms): Promise<any> {
  const pending = new PendingCall(cell, method, value, terms);
  stashFresh(pending);
  endInline(cell, method, value);
  return pending.promise;
}

/** The actor has something to do, or a limit is reached: the call waits in its pump's lane, or goes through the core. */
function callLater(cell: ActorCell, method: string | undefined, value: any): Promise<any> {
  const promise = cell.pump === null ? null : cell.pump.call(cell, method, value);
  return promise ?? callOnTerms(cell, method, value, DEFAULT_TERMS);
}

function callWith(options: CallOptions, cell: ActorCell, method: string | undefined, value: any): Promise<any> {
  let terms: CallTerms;
  try {
    terms = readOptions(options);
  } catch (error) {
    return rejected(error);
  }
  if (method !== undefined) terms.last = options;
  if (terms.signal?.aborted) return rejected(new CallAbortedError(terms.signal.reason));
  return callOnTerms(cell, method, value, terms);
}

/** Calls on terms that are known to be right: on behalf of another node. */
export function callOnTerms(cell: ActorCell, method: string | undefined, value: any, terms: CallTerms): Promise<any> {
  const { kernel } = cell;
  if (kernel.closed) return rejected(kernel.closedError("make calls"));
  if ((cell.words[cell.at] & REFUSING) !== 0) {
    return cell.remote === undefined ? rejected(notFound(cell)) : cell.remote.call(method, value, terms);
  }
  if (kernel.current === cell) return rejected(new SelfCallError(cell.id.toString()));
  const atOnce = mayRun(cell);
  let args = value;
  if (atOnce && terms.last !== undefined) {
    args = argumentsOf(cell, method, value, terms.last);
    terms.last = undefined;
  }
  if (atOnce && !telemetry.active) return callInline(cell, method, args, terms);
  const pending = new PendingCall(cell, method, args, terms);
  return atOnce ? callObserved(pending) : enqueue(pending);
}

function readOptions(options: CallOptions): CallTerms {
  assertOptions("call options", options, CALL_NAMES);
  const { timeout, signal } = options as CallOptions;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError("signal", "an AbortSignal", signal);
  }
  if (timeout === undefined) return { timeoutMs: DEFAULT_TERMS.timeoutMs, signal, onAbort: undefined };
  assertTimeoutMs("timeout", timeout);
  const timeoutMs = timeout === Number.POSITIVE_INFINITY ? NO_DEADLINE : Math.ceil(timeout);
  return { timeoutMs, signal, onAbort: undefined };
}

function enqueue(pending: PendingCall): Promise<any> {
  const cell = pending.target;
  const { kernel, pump } = cell;
  const { timeoutMs } = pending.terms;
  const slot = kernel.slots.alloc(pending);
  cell.words[cell.at + 1]++;
  if (timeoutMs < 0) kernel.pushFor(cell, SUBMIT_CALL, slot);
  else {
    pump?.close();
    kernel.pushTimed(cell.index, SUBMIT_CALL_TIMED, slot, timeoutMs);
  }
  listenForAbort(pending, slot);
  return pending.promise;
}

/** Sends a cast without arguments to a method of a functional actor. */
export function castBare(cell: ActorCell, method: string): void {
  const { words, at, kernel } = cell;
  if ((words[at] & REFUSING) !== 0) {
    castElsewhere(cell, method, NO_ARGUMENTS);
    return;
  }
  const slot = kernel.slots.standingFor(method);
  words[at + 1]++;
  kernel.pushFor(cell, SUBMIT_CAST, slot);
}

/** Sends a cast with any number of arguments to a method of a functional actor. */
export function castMethod(cell: ActorCell, method: string, args: any[]): void {
  const { words, at, kernel } = cell;
  if ((words[at] & REFUSING) !== 0) {
    castElsewhere(cell, method, args);
    return;
  }
  const slot = kernel.slots.allocCast(method, args);
  words[at + 1]++;
  kernel.pushFor(cell, SUBMIT_CAST, slot);
}

/** Sends a cast with one argument to a method of a functional actor. */
export function castArgument(cell: ActorCell, method: string, argument: unknown): void {
  const { words, at, kernel } = cell;
  if ((words[at] & REFUSING) !== 0) {
    castElsewhere(cell, method, [argument]);
    return;
  }
  const slot = kernel.slots.allocArgument(method, argument);
  words[at + 1]++;
  kernel.pushFor(cell, SUBMIT_CAST, slot);
}

/** Sends a cast with a whole message. */
export function cast(cell: ActorCell, message: unknown): void {
  const { words, at, kernel } = cell;
  if ((words[at] & REFUSING) !== 0) {
    castElsewhere(cell, undefined, message);
    return;
  }
  const slot = kernel.slots.alloc(message);
  words[at + 1]++;
  kernel.pushFor(cell, SUBMIT_CAST, slot);
}

/** The actor is not served here: it is of another node, or gone. */
function castElsewhere(cell: ActorCell, method: string | undefined, value: unknown): void {
  if (cell.remote === undefined) cell.kernel.deadLetter(cell, "cast", "not_found");
  else cell.remote.cast(method, value);
}
