/**
 * The one way in which a failure of user code reaches the core.
 */

import type { ActorCell } from "./cell.js";
import { createLogger } from "./logger.js";
import type { ChildSupervisionOptions } from "./options.js";
import { OP_CRASH } from "./protocol.js";
import { setSupervision } from "./supervision.js";
import { assertChildSupervisionOptions } from "./validate.js";

const log = createLogger("Actor");

/** A handler, timer or `init` failed. The core decides what follows. */
export function crash(cell: ActorCell, error: unknown): void {
  if (cell.dead) return;
  const { kernel, parent } = cell;
  if (parent !== null && !parent.dead) refreshSupervision(parent);
  const token = kernel.slots.alloc(undefined, error);
  cell.more().lastError = error;
  kernel.args[0] = cell.index;
  kernel.args[1] = cell.incarnation;
  kernel.args[2] = token;
  kernel.control(OP_CRASH);
  const [decision, attempt, delayMs] = kernel.results;
  kernel.hooks.crashed(cell, error, decision, attempt, delayMs);
}

/** Options may depend on the parent's state, so they are asked for when they matter. */
function refreshSupervision(parent: ActorCell): void {
  let options: ChildSupervisionOptions | undefined;
  try {
    options = parent.definition.childSupervision(parent);
    if (options !== undefined) assertChildSupervisionOptions("childSupervision", options);
  } catch (error) {
    log.error("childSupervision failed, using the default", error, { actorId: parent.ref.id.id });
    options = undefined;
  }
  if (options !== undefined) setSupervision(parent.kernel, parent, options);
}
