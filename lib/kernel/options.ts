/**
 * Options and records that concern one process: supervision, mailbox, time limits, calls.
 *
 * Types and their defaults only; the checks are in validate.ts, the behaviour belongs to whoever reads an option.
 * Times are milliseconds. `Infinity` as a timeout means no deadline.
 */

/** The names that options of a type may have; the compiler keeps it complete. Checked by `assertOptions`. */
export type OptionNames<T> = { readonly [K in T extends unknown ? keyof T : never]-?: true };

/** Time a call waits for its answer, in ms, unless the call or the system says otherwise. */
export const DEFAULT_CALL_TIMEOUT_MS = 5_000;
/** Time `shutdown()` gives mailboxes to empty and `terminate()` to finish, in ms. */
export const DEFAULT_SHUTDOWN_TIMEOUT_MS = 5_000;
/** Time a remote watch or link may take to be set up, in ms. */
export const DEFAULT_REMOTE_OPERATION_TIMEOUT_MS = 5_000;
/** Time the roll-back of a failed migration may take, in ms. */
export const DEFAULT_MIGRATION_ROLLBACK_TIMEOUT_MS = 5_000;
/** Restarts allowed within the period before a supervisor gives up. */
export const DEFAULT_MAX_RESTARTS = 3;
/** Window in which restarts are counted, in ms. */
export const DEFAULT_RESTART_PERIOD_MS = 5_000;

/** What a supervisor does with a crashed actor: start it anew, leave it dead, or crash the supervisor itself. */
export type SupervisionStrategy = "Restart" | "Stop" | "Escalate";

/** Delays between restarts: `initialMs · multiplier^n`, at most `maxMs`, spread by `jitter`. */
export interface BackoffOptions {
  /** Delay before the first restart of a series, in ms. Default 100. */
  initialMs?: number | undefined;
  /** Longest delay, in ms, at least `initialMs`. Default 30 000, or `initialMs` if that is longer. */
  maxMs?: number | undefined;
  /** Factor from one delay to the next, at least 1. Default 2. */
  multiplier?: number | undefined;
  /** Random part of a delay, 0 (none) to 1 (from nothing to double). Default 0.1. */
  jitter?: number | undefined;
}

/** Values of the fields that a `backoff` option leaves out. Without a `backoff` option restarts are immediate. */
export const DEFAULT_BACKOFF: Readonly<AllOf<BackoffOptions>> = Object.freeze({
  initialMs: 100,
  maxMs: 30_000,
  multiplier: 2,
  jitter: 0.1,
});

/** Supervision of the root actors of a system. */
export interface SupervisionOptions {
  /** Default "Restart". */
  strategy: SupervisionStrategy;
  /** Restarts allowed within `periodMs`; the next crash ends the actor for good. Default 3. */
  maxRestarts: number;
  /** Window in which restarts are counted, in ms. Default 5 000. */
  periodMs: number;
  /** Delays between restarts. Default: none, restarts are immediate. */
  backoff?: BackoffOptions | undefined;
}

/** Supervision of root actors when nothing is configured: Restart, 3 within 5 000 ms. */
export const DEFAULT_SUPERVISION: Readonly<SupervisionOptions> = Object.freeze({
  strategy: "Restart",
  maxRestarts: DEFAULT_MAX_RESTARTS,
  periodMs: DEFAULT_RESTART_PERIOD_MS,
});

/**
 * What a parent does when a child crashes.
 *
 * `one-for-one` restarts that child, `one-for-all` all children, `rest-for-one` that child and those spawned after it.
 * `Restart` is another word for `one-for-one`; `Stop` leaves the child dead; `Escalate` crashes the parent.
 */
export type ChildSupervisionStrategy = "one-for-one" | "one-for-all" | "rest-for-one" | SupervisionStrategy;

/** Supervision of the children of one actor. */
export interface ChildSupervisionOptions {
  /** Default "one-for-one". */
  strategy: ChildSupervisionStrategy;
  /** Restarts allowed within `periodMs`; the next crash ends the child for good. Default 3. */
  maxRestarts: number;
  /** Window in which restarts are counted, in ms. Default 5 000. */
  periodMs: number;
  /** Delays between restarts. Default: none, restarts are immediate. */
  backoff?: BackoffOptions | undefined;
}

/** The names of {@link SupervisionOptions} and of {@link ChildSupervisionOptions}. */
export const SUPERVISION_NAMES: OptionNames<SupervisionOptions | ChildSupervisionOptions> = {
  strategy: true,
  maxRestarts: true,
  periodMs: true,
  backoff: true,
};

/** Supervision of children when nothing is configured: one-for-one, 3 within 5 000 ms. */
export const DEFAULT_CHILD_SUPERVISION: Readonly<ChildSupervisionOptions> = Object.freeze({
  strategy: "one-for-one",
  maxRestarts: DEFAULT_MAX_RESTARTS,
  periodMs: DEFAULT_RESTART_PERIOD_MS,
});

/** What a full mailbox does: refuse the new message, evict the oldest one, or refuse with an error. */
export type MailboxOverflowStrategy = "drop-newest" | "drop-oldest" | "error";

/** Bounds of a mailbox. */
export interface MailboxConfig {
  /** Messages that may wait, at least 1. Default: unbounded. */
  maxSize?: number | undefined;
  /** Default "drop-newest". */
  overflowStrategy?: MailboxOverflowStrategy | undefined;
}

/** The names of {@link MailboxConfig}. */
export const MAILBOX_NAMES: OptionNames<MailboxConfig> = { maxSize: true, overflowStrategy: true };

/** A mailbox without bounds. */
export const DEFAULT_MAILBOX_CONFIG: MailboxConfig = Object.freeze({});
/** What a bounded mailbox does when its configuration names no strategy. */
export const DEFAULT_OVERFLOW_STRATEGY: MailboxOverflowStrategy = "drop-newest";

/** Time limits of a system, in ms. */
export interface SystemTimeouts {
  /** Set-up of a remote watch or link. Default 5 000. */
  remoteOperationTimeout?: number | undefined;
  /** Roll-back of a failed migration. Default 5 000. */
  migrationRollbackTimeout?: number | undefined;
  /** Calls that name no timeout. Default 5 000. */
  defaultCallTimeout?: number | undefined;
}

/** The names of {@link SystemTimeouts}. */
export const TIMEOUT_NAMES: OptionNames<SystemTimeouts> = {
  remoteOperationTimeout: true,
  migrationRollbackTimeout: true,
  defaultCallTimeout: true,
};

/** How a system shuts down. */
export interface ShutdownOptions {
  /** Time for mailboxes to empty and for `terminate()`, in ms. Default 5 000. */
  timeout?: number | undefined;
  /** Whether queued messages are handled first. Default true. */
  drainMailboxes?: boolean | undefined;
}

/** The names of {@link ShutdownOptions}. */
export const SHUTDOWN_NAMES: OptionNames<ShutdownOptions> = { timeout: true, drainMailboxes: true };

/** How a single call behaves. */
export interface CallOptions {
  /** Time to wait for the answer, in ms; `Infinity` waits for ever. Default: the system's, 5 000. */
  timeout?: number | undefined;
  /** Gives the call up: it rejects with `CallAbortedError`, and is not executed if it is still queued. */
  signal?: AbortSignal | undefined;
}

/** The names of {@link CallOptions}. */
export const CALL_NAMES: OptionNames<CallOptions> = { timeout: true, signal: true };

/** Options of which any may be left out; one that is there and `undefined` is left out, too. */
export type SomeOf<T> = { [K in keyof T]?: T[K] | undefined };

/** Options with their defaults: none is left out. */
export type AllOf<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** The options that were given: a field that is there and undefined counts as absent. */
export function defined<T extends object>(options: T): Partial<AllOf<T>> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<AllOf<T>>;
}
