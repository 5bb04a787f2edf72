/**
 * Abort signals: one listener per signal, however much it aborts (runtimes warn of many), taken away when nothing is
 * left that it could abort.
 */

import { CallAbortedError, InvalidArgumentError } from "../../errors.js";

const nothing = (): void => {};

/** Accepts a signal or none. @throws InvalidArgumentError */
export function assertSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new InvalidArgumentError("signal", "an AbortSignal", signal);
}

/** Accepts a signal that has not aborted, or none. @throws InvalidArgumentError, CallAbortedError */
export function assertNotAborted(signal: AbortSignal | undefined): void {
  assertSignal(signal);
  if (signal?.aborted) throw new CallAbortedError(signal.reason);
}

/** What each signal aborts. */
const acts = new WeakMap<AbortSignal, Set<(error: CallAbortedError) => void>>();

/** Runs `act` when a signal aborts, at once if it has; gives what makes it forget that. */
export function whenAborted(signal: AbortSignal | undefined, act: (error: CallAbortedError) => void): () => void {
  if (signal === undefined) return nothing;
  if (signal.aborted) {
    act(new CallAbortedError(signal.reason));
    return nothing;
  }
  const own = (error: CallAbortedError): void => act(error);
  const all = acts.get(signal) ?? listen(signal);
  all.add(own);
  return () => {
    all.delete(own);
    if (all.size > 0 || acts.get(signal) !== all) return;
    acts.delete(signal);
    signal.removeEventListener("abort", onAbort);
  };
}

function listen(signal: AbortSignal): Set<(error: CallAbortedError) => void> {
  const all = new Set<(error: CallAbortedError) => void>();
  acts.set(signal, all);
  signal.addEventListener("abort", onAbort);
  return all;
}

function onAbort({ target }: Event): void {
  const signal = target as AbortSignal;
  const all = acts.get(signal) ?? [];
  acts.delete(signal);
  signal.removeEventListener("abort", onAbort);
  const error = new CallAbortedError(signal.reason);
  for (const act of all) act(error);
}
