/**
 * Checks of what users pass in, made before anything changes.
 *
 * Every check throws `InvalidOptionError` (code INVALID_OPTION) that names the option, what was expected and what was
 * given; `assertName` throws `InvalidArgumentError` (INVALID_ARGUMENT). An option that there is not is refused: its
 * name is misspelt, and what was meant would have its default, in silence. `undefined` fields of an options object count
 * as absent, whatever their name. Nothing here reads deeper than the fields it names, so a cyclic object costs nothing
 * and loops nowhere.
 *
 * Limits: finite delays up to DELAY_MS_MAX, names up to NAME_CHARS_MAX, mailboxes up to MAILBOX_MESSAGES_MAX.
 */

import { InvalidArgumentError, InvalidOptionError } from "../errors.js";
import type { ActorRef } from "./actor_ref.js";
import type { ActorCell } from "./cell.js";
import {
  type BackoffOptions,
  type ChildSupervisionOptions,
  type ChildSupervisionStrategy,
  DEFAULT_BACKOFF,
  MAILBOX_NAMES,
  type MailboxConfig,
  type MailboxOverflowStrategy,
  type SomeOf,
  SUPERVISION_NAMES,
  type SupervisionOptions,
  type SupervisionStrategy,
  type SystemTimeouts,
  TIMEOUT_NAMES,
} from "./options.js";

/** Longest finite delay or timeout, in ms (24.8 days): what a Node timer can hold. */
export const DELAY_MS_MAX = 2 ** 31 - 1;
/** Longest actor, group or node name, in UTF-16 units. */
export const NAME_CHARS_MAX = 255;
/** Longest id of a node of a cluster, in bytes of UTF-8. */
export const NODE_ID_BYTES_MAX = 255;
/** Largest `maxSize` of a bounded mailbox, in messages. */
export const MAILBOX_MESSAGES_MAX = 2 ** 31 - 1;

const SUPERVISION_STRATEGIES: readonly SupervisionStrategy[] = ["Restart", "Stop", "Escalate"];
const CHILD_STRATEGIES: readonly ChildSupervisionStrategy[] = [
  "one-for-one",
  "one-for-all",
  "rest-for-one",
  ...SUPERVISION_STRATEGIES,
];
const OVERFLOW_STRATEGIES: readonly MailboxOverflowStrategy[] = ["drop-newest", "drop-oldest", "error"];

/** Accepts 0 to DELAY_MS_MAX, and `Infinity` for no deadline. */
export function assertTimeoutMs(option: string, value: unknown): asserts value is number {
  if (value === Number.POSITIVE_INFINITY) return;
  if (typeof value !== "number" || !(value >= 0 && value <= DELAY_MS_MAX)) {
    throw new InvalidOptionError(option, value, `milliseconds from 0 to ${DELAY_MS_MAX}, or Infinity`);
  }
}

/** Accepts 0 to DELAY_MS_MAX; a delay, unlike a timeout, ends. */
export function assertNonNegativeMs(option: string, value: unknown): asserts value is number {
  if (typeof value !== "number" || !(value >= 0 && value <= DELAY_MS_MAX)) {
    throw new InvalidOptionError(option, value, `milliseconds from 0 to ${DELAY_MS_MAX}`);
  }
}

/** Accepts 1 to NAME_CHARS_MAX characters of well-formed Unicode, which survive the way to another node unchanged. */
export function assertName(what: string, value: unknown): asserts value is string {
  const valid = typeof value === "string" && value !== "" && value.length <= NAME_CHARS_MAX && value.isWellFormed();
  if (!valid) {
    throw new InvalidArgumentError(
      what,
      `a non-empty, well-formed string of at most ${NAME_CHARS_MAX} characters`,
      value,
    );
  }
}

/** Accepts a name that the packets of nodes have room for. */
export function assertNodeId(what: string, value: unknown): asserts value is string {
  assertName(what, value);
  if (Buffer.byteLength(value) <= NODE_ID_BYTES_MAX) return;
  throw new InvalidArgumentError(what, `a name of at most ${NODE_ID_BYTES_MAX} bytes in UTF-8`, value);
}

/** The cell behind a ref. @throws InvalidArgumentError for what is no ref. */
export function cellOf(ref: ActorRef): ActorCell {
  const cell = (ref as ActorRef | null | undefined)?._cell;
  if (cell === undefined) throw new InvalidArgumentError("ref", "an ActorRef", ref);
  return cell;
}

/** Accepts what tells its members. */
export function assertCluster(value: unknown): void {
  const { getMembers } = (value ?? {}) as { getMembers?: unknown };
  if (typeof getMembers !== "function") throw new InvalidArgumentError("cluster", "a Cluster", value);
}

/** Accepts what may be a part that a program brings: any object. */
export function assertPart(what: string, value: unknown): void {
  if (typeof value !== "object" || value === null) throw new InvalidArgumentError(what, "an object", value);
}

/** Accepts functions, above all those that are called later, when nobody could be told any more. */
export function assertFunction(what: string, value: unknown): void {
  if (typeof value !== "function") throw new InvalidArgumentError(what, "a function", value);
}

/**
 * Accepts objects that hold options of these names; no arrays, functions, Maps, Dates or promises, and not `undefined`.
 *
 * @param names an {@link OptionNames}, or all defaults.
 */
export function assertOptions(option: string, value: unknown, names: object): asserts value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || !isPlain(value)) {
    throw new InvalidOptionError(option, value, "an options object");
  }
  // Perf: each spawn with options passes here (benchmark: lifecycle).
  for (const key in value) {
    if (key in names || (value as Record<string, unknown>)[key] === undefined) continue;
    // The value stays out of the message: it may be a misspelt secret.
    throw new InvalidOptionError(option, key, `no other names than ${Object.keys(names).join(", ")}`);
  }
}

function isPlain(value: object): boolean {
  try {
    if (Object.getPrototypeOf(value) === Object.prototype) return true;
    // By tag, so that objects of another realm (a vm context, a test runner) and of a program's own classes pass.
    return Object.prototype.toString.call(value) === "[object Object]";
  } catch {
    return false; // A revoked proxy has neither.
  }
}

function assertOneOf(option: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value !== "string" || !allowed.includes(value)) {
    throw new InvalidOptionError(option, value, `one of ${allowed.map((each) => `"${each}"`).join(", ")}`);
  }
}

function assertNumberBetween(option: string, value: unknown, min: number, max: number): void {
  if (typeof value !== "number" || !(value >= min && value <= max)) {
    throw new InvalidOptionError(option, value, `a number from ${min} to ${max}`);
  }
}

function assertRestartCount(option: string, value: unknown): void {
  const valid = value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && (value as number) >= 0);
  if (!valid) throw new InvalidOptionError(option, value, "a whole number of at least 0, or Infinity");
}

/** Checks the fields that are present: `maxSize` from 1 (or `Infinity`), and a known `overflowStrategy`. */
export function assertMailboxConfig(option: string, value: unknown): asserts value is MailboxConfig {
  assertOptions(option, value, MAILBOX_NAMES);
  const { maxSize, overflowStrategy } = value;
  if (maxSize !== undefined && maxSize !== Number.POSITIVE_INFINITY) {
    const valid = Number.isInteger(maxSize) && (maxSize as number) >= 1 && (maxSize as number) <= MAILBOX_MESSAGES_MAX;
    if (!valid) {
      const expected = `a whole number of messages from 1 to ${MAILBOX_MESSAGES_MAX}, or Infinity`;
      throw new InvalidOptionError(`${option}.maxSize`, maxSize, expected);
    }
  }
  if (overflowStrategy !== undefined) assertOneOf(`${option}.overflowStrategy`, overflowStrategy, OVERFLOW_STRATEGIES);
}

/** Checks the fields that are present. */
export function assertTimeouts(option: string, value: unknown): asserts value is SystemTimeouts {
  assertOptions(option, value, TIMEOUT_NAMES);
  for (const name in TIMEOUT_NAMES) if (value[name] !== undefined) assertTimeoutMs(`${option}.${name}`, value[name]);
}

/** Checks the fields that are present, and that `maxMs` is not below `initialMs` when both are. */
export function assertBackoff(option: string, value: unknown): asserts value is BackoffOptions {
  assertOptions(option, value, DEFAULT_BACKOFF);
  const { initialMs, maxMs, multiplier, jitter } = value;
  if (initialMs !== undefined) assertNonNegativeMs(`${option}.initialMs`, initialMs);
  if (maxMs !== undefined) assertNonNegativeMs(`${option}.maxMs`, maxMs);
  if (initialMs !== undefined && maxMs !== undefined && (maxMs as number) < (initialMs as number)) {
    throw new InvalidOptionError(`${option}.maxMs`, maxMs, `at least ${option}.initialMs (${initialMs})`);
  }
  if (multiplier !== undefined) assertNumberBetween(`${option}.multiplier`, multiplier, 1, Number.MAX_VALUE);
  if (jitter !== undefined) assertNumberBetween(`${option}.jitter`, jitter, 0, 1);
}

function assertRestarts(option: string, value: unknown, strategies: readonly string[]): void {
  assertOptions(option, value, SUPERVISION_NAMES);
  const { strategy, maxRestarts, periodMs, backoff } = value;
  if (strategy !== undefined) assertOneOf(`${option}.strategy`, strategy, strategies);
  if (maxRestarts !== undefined) assertRestartCount(`${option}.maxRestarts`, maxRestarts);
  if (periodMs !== undefined) assertTimeoutMs(`${option}.periodMs`, periodMs);
  if (backoff !== undefined) assertBackoff(`${option}.backoff`, backoff);
}

/** Checks the fields that are present; the caller merges them over DEFAULT_SUPERVISION. */
export function assertSupervisionOptions(option: string, value: unknown): asserts value is SomeOf<SupervisionOptions> {
  assertRestarts(option, value, SUPERVISION_STRATEGIES);
}

/** Checks the fields that are present; the caller merges them over DEFAULT_CHILD_SUPERVISION. */
export function assertChildSupervisionOptions(
  option: string,
  value: unknown,
): asserts value is SomeOf<ChildSupervisionOptions> {
  assertRestarts(option, value, CHILD_STRATEGIES);
}
