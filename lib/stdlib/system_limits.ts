/**
 * The limits of a system: their defaults, and how they are checked and handed to the kernel.
 */

import { InvalidOptionError } from "../errors.js";
import { type AllOf, defined } from "../kernel/options.js";
import { timeoutWord } from "../kernel/slots.js";
import { assertOptions, assertTimeoutMs } from "../kernel/validate.js";

/** Limits of a system. */
export interface SystemLimits {
  /** Live actors at most, from 1 to 16,777,216; default 4,194,304. */
  actorsMax?: number | undefined;
  /** Timers of one actor at most, from 1 to 16,777,216; default 100,000. */
  timersPerActorMax?: number | undefined;
  /** Stashed messages of one actor at most, from 1 to 16,777,216; default 4,194,304. */
  stashMessagesMax?: number | undefined;
  /** How long a stop waits for a running handler or `terminate` before it goes on without; default 5000 ms. */
  stopTimeoutMs?: number | undefined;
  /** Time without a turn after which the event loop counts as busy; default 500 ms, Infinity turns the watch off. */
  loopBusyMs?: number | undefined;
  /** Time without a turn after which the event loop counts as hung; default 5000 ms. */
  loopHungMs?: number | undefined;
}

/** Most actors, timers or messages that a limit may allow. */
const COUNT_MAX = 16_777_216;

const DEFAULT_LIMITS: AllOf<SystemLimits> = {
  actorsMax: 4_194_304,
  timersPerActorMax: 100_000,
  stashMessagesMax: 4_194_304,
  stopTimeoutMs: 5_000,
  loopBusyMs: 500,
  loopHungMs: 5_000,
};

/** All limits, checked, as the kernel takes them; with a seed. @throws InvalidOptionError, InvalidArgumentError */
export function kernelLimits(limits: SystemLimits): AllOf<SystemLimits> & { seed: number } {
  assertOptions("limits", limits, DEFAULT_LIMITS);
  const merged = { ...DEFAULT_LIMITS, ...defined(limits) };
  for (const [name, value] of Object.entries(merged)) {
    if (name.endsWith("Ms")) assertTimeoutMs(`limits.${name}`, value);
    else if (!Number.isInteger(value) || value < 1 || value > COUNT_MAX) {
      throw new InvalidOptionError(`limits.${name}`, value, `a whole number from 1 to ${COUNT_MAX}`);
    }
  }
  return { ...merged, stopTimeoutMs: timeoutWord(merged.stopTimeoutMs), seed: Math.floor(Math.random() * 2 ** 32) };
}
