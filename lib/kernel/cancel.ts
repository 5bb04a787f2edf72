/** Cancellation: a call whose caller gives up by an AbortSignal, once it has a slot. */

import { CallAbortedError } from "../errors.js";
import { OP_CANCEL_CALL, STATUS_OK } from "./protocol.js";
import type { CallSignal, PendingCall } from "./slots.js";

/** Has the call withdrawn when its signal aborts. */
export function listenForAbort(pending: PendingCall, slot: number): void {
  const { signal } = pending.terms;
  if (signal !== undefined && !pending.settled) pending.abortable(signal, () => abort(pending, slot, signal));
}

/** The caller gave up: a waiting call is taken back, a running one goes on without a listener. */
function abort(pending: PendingCall, slot: number, signal: CallSignal): void {
  const { kernel } = pending.target;
  if (pending.settled) return;
  pending.reject(new CallAbortedError(signal.reason));
  kernel.args[0] = slot;
  kernel.control(OP_CANCEL_CALL);
  // Race: a call that the core does not know has been refused, and the event that says so frees the slot.
  if (kernel.results[0] === STATUS_OK) kernel.slots.free(slot);
}
