/**
 * The errors with which the runtime itself refuses calls.
 */

import { ActorNotFoundError, TimeoutError } from "../errors.js";
import type { ActorCell } from "./cell.js";

/** The error for a message to an actor that is gone. */
export function notFound(cell: ActorCell): ActorNotFoundError {
  return new ActorNotFoundError(cell.ref.id.id, cell.kernel.nodeId);
}

/** The error for a call whose time is up. */
export function timedOut(timeoutMs: number): TimeoutError {
  return new TimeoutError("actor call", timeoutMs);
}
