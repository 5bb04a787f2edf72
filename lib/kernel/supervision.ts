/**
 * Hands supervision options to the core, which decides by them.
 */

import type { ActorCell } from "./cell.js";
import type { Kernel } from "./kernel.js";
import {
  type AllOf,
  type BackoffOptions,
  type ChildSupervisionOptions,
  DEFAULT_BACKOFF,
  DEFAULT_CHILD_SUPERVISION,
  defined,
  type SomeOf,
  type SupervisionOptions,
} from "./options.js";
import { OP_SUPERVISION } from "./protocol.js";

const NIL = 0xffff_ffff;
const MILLION = 1e6;

/** Number of what happens to a crashed child, by strategy. */
const ON_CRASH: Record<string, number> = { Stop: 1, Escalate: 2 };
/** Number of who is restarted with it, by strategy. */
const STRATEGY: Record<string, number> = { "one-for-all": 1, "rest-for-one": 2 };

/** Sets how the children of a cell (or, with null, the roots) are supervised. */
export function setSupervision(
  kernel: Kernel,
  cell: ActorCell | null,
  options: SomeOf<SupervisionOptions> | SomeOf<ChildSupervisionOptions>,
): void {
  const merged = { ...DEFAULT_CHILD_SUPERVISION, ...defined(options) };
  const backoff = options.backoff === undefined ? undefined : mergeBackoff(options.backoff);
  const { args, results } = kernel;
  args[0] = cell === null ? NIL : cell.index;
  args[1] = ON_CRASH[merged.strategy] ?? 0;
  args[2] = STRATEGY[merged.strategy] ?? 0;
  args[3] = word(merged.maxRestarts);
  args[4] = word(merged.periodMs);
  args[5] = backoff === undefined ? 0 : word(backoff.initialMs);
  args[6] = backoff === undefined ? 0 : Math.max(1, word(backoff.maxMs));
  results[0] = backoff === undefined ? 0 : Math.min(NIL, Math.round(backoff.multiplier * MILLION));
  results[1] = backoff === undefined ? 0 : Math.round(backoff.jitter * MILLION);
  kernel.control(OP_SUPERVISION);
}

function mergeBackoff(options: BackoffOptions): AllOf<BackoffOptions> {
  const merged = { ...DEFAULT_BACKOFF, ...defined(options) };
  if (options.maxMs === undefined) merged.maxMs = Math.max(merged.maxMs, merged.initialMs);
  return merged;
}

function word(value: number): number {
  return value === Number.POSITIVE_INFINITY ? NIL : Math.ceil(value);
}
