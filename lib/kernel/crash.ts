/**
 * The one way in which a failure of user code reaches the core.
 */

import type { ActorCell } from "./cell.js";
import { createLogger } from "./logger.js";
import type { ChildSupervisionOptions } from "./options.js";
import { DECISION_ESCALATE, DECISION_IGNORED, OP_CRASH } from "./protocol.js";
import { setSupervision } from "./supervision.js";
import { assertChildSupervisionOptions } from "./validate.js";

const log = createLogger("Actor");

/** A handler or timer failed, or a signal takes the actor down. The core decides what follows. */
export function crash(cell: ActorCell, error: unknown): void {
  report(cell, error, 0);
}

/** `init` failed: this incarnation never lived. */
export function initFailed(cell: ActorCell, error: unknown): void {
  report(cell, error, 1);
}

function report(cell: ActorCell, error: unknown, inInit: 0 | 1): void {
  if (cell.dead) return;
  const { kernel } = cell;
  const escalation = refreshAbove(cell);
  if (cell.dead) {
    kernel.hooks.crashed(cell, error, DECISION_IGNORED, 0); // Stopped by whoever was asked, and its index may be another's.
    return;
  }
  kernel.recall(cell); // What waits for the next incarnation has to be where it waits.
  const token = kernel.slots.alloc(error);
  kernel.args[0] = cell.index;
  kernel.args[1] = cell.incarnation;
  kernel.args[2] = token;
  kernel.args[3] = inInit;
  kernel.control(OP_CRASH);
  const [decision, attempt] = kernel.results;
  if (decision !== DECISION_IGNORED) cell.more().lastError = error;
  if (decision === DECISION_ESCALATE) for (const ancestor of escalation) ancestor.more().lastError = error;
  kernel.hooks.crashed(cell, error, decision, attempt);
}

/** Tells the core by which options it is decided, and gives the ancestors that the crash would escalate to. */
function refreshAbove(cell: ActorCell): ActorCell[] {
  const escalation: ActorCell[] = [];
  for (let ancestor = cell.parent; ancestor !== null && !ancestor.dead; ancestor = ancestor.parent) {
    if (refreshSupervision(ancestor) !== "Escalate") break;
    escalation.push(ancestor);
  }
  return escalation;
}

/** Options may depend on the parent's state, so they are asked for when they matter. Gives the strategy. */
function refreshSupervision(parent: ActorCell): ChildSupervisionOptions["strategy"] | undefined {
  let options: ChildSupervisionOptions | undefined;
  try {
    options = parent.definition.childSupervision(parent);
    if (options !== undefined) assertChildSupervisionOptions("childSupervision", options);
  } catch (error) {
    log.error("childSupervision failed, using the default", error, { actorId: parent.ref.id.id });
    options = undefined;
  }
  setSupervision(parent.kernel, parent, options ?? {});
  return options?.strategy;
}
