/** Cancellation: a call whose caller gives up by an AbortSignal, once it has a slot. */

import { CallAbortedError } from "../errors.js";
import type { Kernel } from "./kernel.js";
import { OP_CANCEL_CALL, STATUS_OK } from "./protocol.js";
import type { CallSignal, PendingCall } from "./slots.js";

/** Has the call withdrawn when its signal aborts, or at once: its handler may have aborted it before it gave a promise. */
export function listenForAbort(pending: PendingCall, slot: number): void {
  const { signal } = pending.terms;
  if (signal === undefined || pending.settled) return;
  if (signal.aborted) abort(pending, slot, signal);
  else pending.abortable(signal, () => abort(pending, slot, signal));
}

/** The caller gave up: a waiting call is taken back, a running one goes on without a listener. */
function abort(pending: PendingCall, slot: number, signal: CallSignal): void {
  if (pending.settled) return;
  pending.reject(new CallAbortedError(signal.reason));
  withdraw(pending.target.kernel, slot);
}

/** Takes a call back wherever it waits. */
export function withdraw(kernel: Kernel, slot: number): void {
  kernel.args[0] = slot;
  kernel.control(OP_CANCEL_CALL);
  // Race: a call that the core does not know has been refused, and the event that says so frees the slot.
  if (kernel.results[0] === STATUS_OK) kernel.slots.free(slot);
}

/** Who listens to one signal, however many they are: EventTarget takes more than ten for a leak and says so. */
interface Audience {
  listeners: Set<() => void>;
  /** What the signal has. */
  run: () => void;
}

const audiences = new WeakMap<AbortSignal, Audience>();

/** Has `listener` called when the signal aborts, once. */
export function onAbort(signal: CallSignal, listener: () => void): void {
  if (!(signal instanceof AbortSignal)) {
    signal.addEventListener("abort", listener, { once: true });
    return;
  }
  let audience = audiences.get(signal);
  if (audience === undefined) {
    const listeners = new Set<() => void>();
    audience = { listeners, run: () => aborted(signal, listeners) };
    audiences.set(signal, audience);
    signal.addEventListener("abort", audience.run, { once: true });
  }
  audience.listeners.add(listener);
}

function aborted(signal: AbortSignal, listeners: Set<() => void>): void {
  audiences.delete(signal);
  for (const listener of listeners) listener();
}

/** Takes it back. */
export function offAbort(signal: CallSignal, listener: () => void): void {
  if (!(signal instanceof AbortSignal)) {
    signal.removeEventListener("abort", listener);
    return;
  }
  const audience = audiences.get(signal);
  if (audience === undefined || !audience.listeners.delete(listener) || audience.listeners.size > 0) return;
  audiences.delete(signal);
  signal.removeEventListener("abort", audience.run);
}
