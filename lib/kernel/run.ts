/**
 * The door to user code: every message, signal and timer that reaches a handler passes through here.
 *
 * A handler runs while its actor's `FLAG_RUNNING` is up. If it returns a promise, the actor stays busy and a pump
 * (pump.ts) takes over.
 *
 * What a handler throws, or its promise rejects with, never leaves this file: a call's caller gets it, anything else is
 * a crash of the actor. If the actor was given up meanwhile (killed, or its stop lost patience), the cell's epoch has
 * changed and the late end of the handler is ignored.
 */

import { InvalidArgumentError, StashFullError, UnknownCallMethodError } from "../errors.js";
import { listenForAbort } from "./cancel.js";
import type { ActorCell, Handler } from "./cell.js";
import * as cells from "./cell.js";
import { crash } from "./crash.js";
import type { CallOptions } from "./options.js";
import * as outcomes from "./outcome.js";
import { isThenable, type Outcome } from "./outcome.js";
import * as protocol from "./protocol.js";
import { notFound } from "./refusals.js";
import { PendingCall, STANDING_SLOTS, timeoutWord } from "./slots.js";
import { TelemetryEvents, telemetry } from "./telemetry.js";

// Perf: constants of the module's own; see "Constants" in docs/design/hot_path.md.
const {
  ENTRY_CALL,
  ENTRY_CAST,
  FLAG_OBSERVED,
  FLAG_RUNNING,
  OP_STASH,
  SLOT_BITS,
  STATUS_LIMIT,
  STATUS_OK,
  SUBMIT_SETTLED,
} = protocol;
const { STASH_IMPOSSIBLE, STASH_POSSIBLE, STASH_WANTED } = cells;
const { NO_SLOT, NOTHING_RUNS } = outcomes;

/** The ring's word for "the core knows this call's deadline". */
const DEADLINE_KNOWN = 0xffff_ffff;

/** Runs the call handler. */
export function invokeCall(cell: ActorCell, method: string | undefined, value: any): unknown {
  const { calls } = cell;
  if (calls === null || method === undefined) return invokeWholeCall(cell, value);
  return apply(calls[method], value, method);
}

/** The arguments of a call, with what was taken for its options if the handler has a parameter for that. */
export function argumentsOf(cell: ActorCell, method: string | undefined, value: any, last: CallOptions): any {
  const handler = method === undefined ? undefined : cell.calls?.[method];
  return handler !== undefined && handler.length > value.length ? [...value, last] : value;
}

function invokeWholeCall(cell: ActorCell, value: any): unknown {
  const { calls } = cell;
  if (calls === null) return cell.behaviour?.handleCall(value);
  const name = value?.method;
  const handler = typeof name === "string" ? calls[name] : undefined;
  const args = value?.args ?? [];
  if (handler !== undefined && !Array.isArray(args)) throw new InvalidArgumentError("args", "an array", args);
  return apply(handler, args, name);
}

function apply(handler: Handler | undefined, args: any[], method: unknown): unknown {
  if (handler === undefined) return unknownMethod(method);
  if (args.length === 0) return handler();
  return args.length === 1 ? handler(args[0]) : handler(...args);
}

function unknownMethod(method: unknown): never {
  throw new UnknownCallMethodError(String(method));
}

/** Runs the cast handler for the message in a slot. Casts without a handler are ignored by functional actors. */
function invokeCast(cell: ActorCell, slot: number): unknown {
  const { casts } = cell;
  const { slots } = cell.kernel;
  const method = slots.method(slot);
  if (method === undefined) return invokeWholeCast(cell, slots.value(slot));
  if (casts === null) return cell.behaviour?.handleCast({ method, args: slots.args(slot) });
  const handler = casts[method];
  if (handler === undefined) return undefined;
  if (slot < STANDING_SLOTS) return runBare(cell, slot, handler);
  return slots.hasOneArgument(slot) ? handler(slots.value(slot)) : apply(handler, slots.value(slot), method);
}

function runBare(cell: ActorCell, slot: number, handler: Handler): unknown {
  cell.bareSlot = slot;
  cell.bareHandler = handler;
  return handler();
}

function invokeWholeCast(cell: ActorCell, value: any): unknown {
  const { casts } = cell;
  if (casts === null) return cell.behaviour?.handleCast(value);
  const name = value?.method ?? value?.type;
  const handler = typeof name === "string" ? casts[name] : undefined;
  if (handler === undefined) return undefined;
  const args = value.args ?? (value.method === undefined ? [value] : []);
  return Array.isArray(args) ? apply(handler, args, name) : undefined;
}

/** Runs the call handler with telemetry around it. */
function observedCall(cell: ActorCell, method: string | undefined, value: any): unknown {
  return observe(cell, TelemetryEvents.actor.handleCall, () => invokeCall(cell, method, value));
}

function observe(cell: ActorCell, prefix: readonly string[], run: () => unknown): unknown {
  const actor_id = cell.ref.id.id;
  const start = performance.now();
  telemetry.execute([...prefix, "start"], { system_time: Date.now() }, { actor_id });
  const stopped = (): void => {
    telemetry.execute([...prefix, "stop"], { duration_ms: performance.now() - start }, { actor_id });
  };
  const failed = (error: unknown): void => {
    telemetry.execute([...prefix, "exception"], { duration_ms: performance.now() - start }, { actor_id, error });
  };
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    failed(error);
    throw error;
  }
  if (!isThenable(result)) {
    stopped();
    return result;
  }
  const promise = Promise.resolve(result); // Asked once: what is no promise may do its work anew each time.
  promise.then(stopped, failed);
  return promise;
}

/** The event loop is overdue and a handler has ended: its name, for the report. */
export function overdue(cell: ActorCell, slot: number, caller: ActorCell | null, continued: boolean): void {
  const { slots } = cell.kernel;
  const value = slot === NO_SLOT ? undefined : slots.value(slot);
  const isCall = value instanceof PendingCall;
  const method = slot === NO_SLOT ? "handleInfo" : isCall ? value.method : slots.method(slot);
  const name = method ?? wholeName(cell, isCall ? "handleCall" : "handleCast", isCall ? value.value : value);
  cell.kernel.loop.ended(cell, name, caller, continued);
}

/** The same for a call that has no slot; by default on the stack of whoever is current. */
export function overdueCall(
  cell: ActorCell,
  method: string | undefined,
  value: unknown,
  caller: ActorCell | null = cell.kernel.current,
  continued = false,
): void {
  cell.kernel.loop.ended(cell, method ?? wholeName(cell, "handleCall", value), caller, continued);
}

/** How the handler of a whole message is named: by the message's own name, if it has one. */
function wholeName(cell: ActorCell, handler: string, message: any): string {
  const name = message?.method ?? message?.type;
  if (typeof name !== "string") return handler;
  return cell.calls === null ? `${handler}(${name})` : name;
}

/**
 * Runs a cast of a batch that no other of its actor follows.
 *
 * Perf: the isolate's part of "bulk cast" is this function and the next. They are `runMessage` for the plain case, without
 * what only calls and telemetry need. The engine compiles them into `runBatch` as long as they are short (460 bytes of its
 * code, and twice that with all that they call), so what is rare is in functions of its own.
 */
export function runCast(cell: ActorCell, slot: number): Outcome {
  const { kernel, words, at } = cell;
  words[at] |= FLAG_RUNNING;
  kernel.current = cell;
  cell.stashing = STASH_POSSIBLE;
  let result: unknown;
  try {
    result = invokeQuickly(cell, slot);
  } catch (error) {
    return endCast(cell, slot, 0, { error }, undefined);
  }
  if (kernel.overdue[0] !== 0 || cell.stashing !== STASH_POSSIBLE || (result !== undefined && isThenable(result))) {
    return endCast(cell, slot, 0, null, result);
  }
  kernel.slots.free(slot);
  kernel.current = null;
  cell.stashing = STASH_IMPOSSIBLE;
  const flags = words[at] & ~FLAG_RUNNING;
  const left = words[at + 1] - 1;
  words[at] = flags;
  words[at + 1] = left;
  if (((flags & ~FLAG_OBSERVED) | left) !== 0) kernel.wake(cell);
  return null;
}

/**
 * The same for the cast at `from` of a batch and those of the same actor that follow it before `end`, for as long as each
 * ends with its handler and nothing else wants the actor. The last one that has run is at `kernel.batchAt`.
 */
export function runCasts(cell: ActorCell, from: number, end: number): Outcome {
  const { kernel, words, at, index } = cell;
  const { page } = kernel;
  let next = from;
  words[at] |= FLAG_RUNNING;
  kernel.current = cell;
  cell.stashing = STASH_POSSIBLE;
  let slot = page[from + 1] | 0; // The kind of a cast is 0.
  for (;;) {
    let result: unknown;
    try {
      result = invokeQuickly(cell, slot);
    } catch (error) {
      return endCast(cell, slot, next - from, { error }, undefined);
    }
    if (kernel.overdue[0] !== 0 || cell.stashing !== STASH_POSSIBLE || (result !== undefined && isThenable(result))) {
      return endCast(cell, slot, next - from, null, result);
    }
    kernel.slots.free(slot);
    next += 2;
    if (next >= end || page[next] !== index || (words[at] & ~FLAG_OBSERVED) !== FLAG_RUNNING) break;
    slot = page[next + 1] | 0;
    if (slot >>> SLOT_BITS !== ENTRY_CAST) break;
    kernel.batchAt = next;
  }
  kernel.current = null;
  cell.stashing = STASH_IMPOSSIBLE;
  words[at] &= ~FLAG_RUNNING;
  words[at + 1] -= (next - from) >> 1;
  wakeUnlessNext(cell, next);
  return null;
}

/** Runs the handler of a cast; at once, if it is that of the actor's last cast without arguments. */
function invokeQuickly(cell: ActorCell, slot: number): unknown {
  if (slot !== cell.bareSlot) return invokeCast(cell, slot);
  const { bareHandler } = cell;
  return (bareHandler as Handler)();
}

/**
 * A cast that others of its actor precede, two words each, has thrown, gave a promise or was stashed, or the event loop is
 * overdue.
 */
function endCast(cell: ActorCell, slot: number, before: number, failure: Failure | null, result: unknown): Outcome {
  const { kernel, words, at } = cell;
  kernel.current = null;
  words[at + 1] -= before >> 1;
  cell.runningSlot = slot;
  if (kernel.overdue[0] !== 0) overdue(cell, slot, null, false);
  const outcome = ended(cell, slot, failure, result);
  if (outcome === null) wakeUnlessNext(cell, kernel.batchAt + 2);
  return outcome;
}

/** Has the core look at an actor that has flags or messages, unless the batch goes on with it. */
function wakeUnlessNext(cell: ActorCell, at: number): void {
  const { kernel, words } = cell;
  const isNext = at < kernel.batchEnd && kernel.page[at] === cell.index;
  if ((words[cell.at] & ~FLAG_OBSERVED) !== 0 || (words[cell.at + 1] !== 0 && !isNext)) kernel.wake(cell);
}

/** A handler has returned or thrown: a promise of its, or nothing and the message is settled. */
function ended(cell: ActorCell, slot: number, failure: Failure | null, result: unknown): Outcome {
  if (failure === null && isThenable(result)) return result;
  settle(cell, slot, failure, result);
  return null;
}

/** Runs a cast or call that the core has handed out. */
export function runMessage(cell: ActorCell, kind: number, slot: number): Outcome {
  const { kernel, words, at } = cell;
  const { slots } = kernel;
  const outer = kernel.current;
  const value = slots.value(slot);
  words[at] |= FLAG_RUNNING;
  kernel.current = cell;
  kernel.inlineDepth++;
  cell.stashing = STASH_POSSIBLE;
  cell.runningSlot = slot;
  let result: unknown;
  let failure: Failure | null = null;
  try {
    if (kind === ENTRY_CALL && (value as PendingCall).settled) {
      result = undefined; // Withdrawn while it was in this batch.
    } else if (kind === ENTRY_CALL) {
      const { method, value: given, terms } = value as PendingCall;
      const message = terms.last === undefined ? given : argumentsOf(cell, method, given, terms.last);
      result = telemetry.active ? observedCall(cell, method, message) : invokeCall(cell, method, message);
    } else if (telemetry.active) {
      result = observe(cell, TelemetryEvents.actor.handleCast, () => invokeCast(cell, slot));
    } else {
      result = invokeCast(cell, slot);
    }
  } catch (error) {
    failure = { error };
  }
  kernel.current = outer;
  kernel.inlineDepth--;
  if (kernel.overdue[0] !== 0) overdue(cell, slot, outer, false);
  return ended(cell, slot, failure, result);
}

/** Runs a call of a lane, which has no slot, for an actor without flags; with its handler, if that is known. */
export function runCall(call: PendingCall, handler: Handler | undefined): Outcome {
  const { target: cell } = call;
  const { kernel, words, at } = cell;
  const outer = kernel.current;
  words[at] = FLAG_RUNNING;
  kernel.current = cell;
  kernel.inlineDepth++;
  cell.stashing = STASH_POSSIBLE;
  cell.runningSlot = NO_SLOT;
  let result: unknown;
  let failure: Failure | null = null;
  try {
    const { method, value } = call;
    if (telemetry.active) result = observedCall(cell, method, value);
    else result = handler === undefined ? invokeCall(cell, method, value) : apply(handler, value, method);
  } catch (error) {
    failure = { error };
  }
  kernel.current = outer;
  kernel.inlineDepth--;
  if (kernel.overdue[0] !== 0) overdueCall(cell, call.method, call.value);
  if (failure === null && isThenable(result)) return result;
  settleCall(call, failure, result);
  return null;
}

/** What a handler threw, or its promise rejected with. */
export interface Failure {
  error: unknown;
}

/** Runs a handler of the system's own: info, continue, timer. It holds no slot when it ends. */
export function runPlain(cell: ActorCell, run: () => unknown, handler = "handleInfo"): Outcome {
  const { kernel, words, at } = cell;
  const outer = kernel.current;
  words[at] |= FLAG_RUNNING;
  kernel.current = cell;
  kernel.inlineDepth++;
  cell.runningSlot = NO_SLOT;
  let result: unknown;
  let failure: Failure | null = null;
  try {
    result = run();
  } catch (error) {
    failure = { error };
  }
  kernel.current = outer;
  kernel.inlineDepth--;
  if (kernel.overdue[0] !== 0) kernel.loop.ended(cell, handler, outer);
  return ended(cell, NO_SLOT, failure, result);
}

/** The handler has ended: answer, free, and tell the core if anything has changed meanwhile. */
export function settle(cell: ActorCell, slot: number, failure: Failure | null, result: unknown): void {
  const { kernel, words, at } = cell;
  const wanted = cell.stashing === STASH_WANTED && failure === null;
  cell.stashing = STASH_IMPOSSIBLE;
  cell.runningSlot = NOTHING_RUNS;
  words[at] &= ~FLAG_RUNNING;
  words[at + 1]--;
  let crashed = failure;
  if (slot !== NO_SLOT) {
    const value = kernel.slots.value(slot);
    if (value instanceof PendingCall) {
      crashed = null;
      if (wanted && !value.settled) stashSlot(cell, ENTRY_CALL, slot, DEADLINE_KNOWN);
      else {
        kernel.pushLazily(0, SUBMIT_SETTLED, slot);
        kernel.slots.freeValue(slot);
        if (failure === null) value.resolve(result);
        else value.reject(failure.error);
      }
    } else if (wanted) stashSlot(cell, ENTRY_CAST, slot, DEADLINE_KNOWN);
    else kernel.slots.free(slot);
  }
  if (crashed !== null) crash(cell, crashed.error);
  if ((words[at] & ~FLAG_OBSERVED) !== 0) kernel.wake(cell);
}

/** The handler of a call that the core does not know of has ended: the same as `settle`, without a slot. */
export function settleCall(call: PendingCall, failure: Failure | null, result: unknown): void {
  const cell = call.target;
  const { words, at, stashing } = cell;
  cell.stashing = STASH_IMPOSSIBLE;
  cell.runningSlot = NOTHING_RUNS;
  words[at] &= ~FLAG_RUNNING;
  words[at + 1]--;
  if (failure !== null) call.reject(failure.error);
  else if (stashing === STASH_WANTED) stashFresh(call);
  else call.resolve(result);
  if ((words[at] & ~FLAG_OBSERVED) !== 0) cell.kernel.wake(cell);
}

/** Puts a message that has a slot into the stash. */
function stashSlot(cell: ActorCell, kind: number, slot: number, timeoutMs: number): void {
  const { kernel } = cell;
  kernel.args[0] = cell.index;
  kernel.args[1] = (kind << SLOT_BITS) | slot;
  kernel.args[2] = timeoutMs;
  kernel.control(OP_STASH);
  const status = kernel.results[0];
  if (status === STATUS_OK) return;
  const value = kernel.slots.value(slot);
  kernel.push(0, SUBMIT_SETTLED, slot);
  kernel.slots.free(slot);
  const isFull = status === STATUS_LIMIT;
  if (!(value instanceof PendingCall)) kernel.deadLetter(cell, "cast", isFull ? "stash_full" : "not_found");
  else if (isFull) value.reject(new StashFullError(cell.ref.id.id, kernel.options.stashMessagesMax));
  else value.reject(notFound(cell)); // It is on its way out, and rejects what waits.
}

/** Puts a call that has no slot yet into the stash, and gives it one. */
export function stashFresh(call: PendingCall): void {
  const { kernel } = call.target;
  const { timeoutMs } = call.terms;
  const slot = kernel.slots.alloc(call);
  stashSlot(call.target, ENTRY_CALL, slot, timeoutMs < 0 ? timeoutWord(kernel.callTimeoutMs) : timeoutMs);
  listenForAbort(call, slot);
}
