/**
 * What a handler leaves behind.
 */

/** No handler runs whose end somebody waits for. */
export const NOTHING_RUNS = -1;

/** A handler runs for a message without a slot of its own: info or continue. */
export const NO_SLOT = -2;

/** Null when the handler is done, else the promise to wait for. */
export type Outcome = PromiseLike<unknown> | null;

/** Whether a value has to be awaited. */
export function isThenable(value: any): value is PromiseLike<unknown> {
  if (value === null || typeof value !== "object") return false;
  try {
    return typeof value.then === "function";
  } catch {
    return true; // Awaiting it asks again, and fails where failures are handled.
  }
}
