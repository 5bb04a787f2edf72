/**
 * Every error class of libeam.
 *
 * A failure of an actor is an exit reason, which is data. A failure of a call or of an API use is one of these errors:
 * a stable `code` to switch on, a small `context` to log, `cause` when another error is behind it.
 *
 * Identity: two copies of the package can be loaded at once (a duplicated dependency, an ESM build beside a CommonJS
 * one), so `instanceof` does not ask for the prototype. Each prototype carries its brand under
 * `Symbol.for("libeam.error")`: its kind first, then the kinds it extends. `x instanceof TimeoutError` asks whether x's
 * brand holds "TimeoutError"; `x instanceof LibeamError` holds for all kinds. A class that a user derives has no kind
 * of its own and gets the ordinary prototype check, so equal names of unrelated user classes never meet.
 *
 * Kinds are the keys of KINDS at the end, not `Class.name`, because minifiers rename classes.
 *
 * Limits: a value quoted in a message is cut at QUOTED_CHARS_MAX; objects are named, never printed, so that cycles,
 * getters and proxies are harmless.
 */

import { types } from "node:util";

const BRAND: unique symbol = Symbol.for("libeam.error") as never;

/** Longest quotation of a user's string in a message, in UTF-16 units. */
const QUOTED_CHARS_MAX = 80;

type Branded = { readonly [BRAND]?: readonly string[] };

/** Gives a class its kind. The parent MUST have been branded before. */
function brand(prototype: object, kind: string): void {
  const parents = (prototype as Branded)[BRAND] ?? [];
  Object.defineProperty(prototype, BRAND, { value: Object.freeze([kind, ...parents]) });
  Object.defineProperty(prototype, "name", { value: kind, configurable: true, writable: true });
}

function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text);
}

function describeObject(value: object): string {
  try {
    if (Array.isArray(value)) return `an array of ${value.length}`;
    const name: unknown = value.constructor?.name;
    return typeof name === "string" && name !== "" && name !== "Object" ? `an instance of ${name}` : "an object";
  } catch {
    return "an object"; // A getter or a proxy threw; the message must not.
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return describeObject(value);
  return typeof value === "bigint" ? `${value}n` : String(value);
}

/** Whether a value is an error, of this realm or of another one (a vm context, a test runner that has one per file). */
export function isErrorLike(value: unknown): value is Error {
  if (value instanceof Error || types.isNativeError(value)) return true;
  return Object.prototype.toString.call(value) === "[object DOMException]";
}

/** A value of the user's as text. Asking it may run code that throws. */
export function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return describe(value);
  }
}

/** The message of an error, or what was thrown instead of one, as text. */
export function messageOf(error: unknown): string {
  try {
    if (isErrorLike(error)) return String(error.message);
  } catch {
    return describe(error);
  }
  return textOf(error);
}

/** The part of a context that is known: absent values leave no key behind. */
function known(context: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(context).filter(([, value]) => value !== undefined));
}

/**
 * The base of every libeam error.
 *
 * `name` is the class name. `instanceof` also holds for errors of another loaded copy of the package.
 */
export class LibeamError extends Error {
  /** Stable identifier in UPPER_SNAKE_CASE; switch on this, not on the message. */
  readonly code: string;
  /** Facts about the failure, small enough to log. */
  readonly context?: Record<string, unknown> | undefined;

  constructor(message: string, code: string, context?: Record<string, unknown>, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.context = context;
    if (!Object.hasOwn(new.target.prototype, BRAND)) {
      Object.defineProperty(this, "name", { value: new.target.name, configurable: true, writable: true });
    }
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: `this` is the subclass on the right of instanceof
    const prototype: object = this.prototype;
    if (!Object.hasOwn(prototype, BRAND)) {
      // biome-ignore lint/complexity/noThisInStatic: as above
      return Function.prototype[Symbol.hasInstance].call(this, value);
    }
    if (typeof value !== "object" || value === null) return false;
    const kinds = (value as Branded)[BRAND];
    const kind = (prototype as Branded)[BRAND]?.[0];
    return Array.isArray(kinds) && kinds.includes(kind);
  }
}

/** The addressed actor does not exist, or not any more. Nothing was delivered. */
export class ActorNotFoundError extends LibeamError {
  constructor(actorId: string, nodeId?: string) {
    const where = nodeId === undefined ? "" : ` on node ${nodeId}`;
    super(`Actor not found: ${actorId}${where}`, "ACTOR_NOT_FOUND", known({ actorId, nodeId }));
  }
}

/** No node is known for the name of an actor. */
export class RegistryLookupError extends LibeamError {
  constructor(actorName: string) {
    super(`Could not find node for actor name: ${actorName}`, "REGISTRY_LOOKUP_FAILED", { actorName });
  }
}

/** The node that should run an actor does not know its class. */
export class ActorClassNotRegisteredError extends LibeamError {
  constructor(className: string) {
    const message = `Actor class "${className}" not registered. Call system.registerActorClass() first.`;
    super(message, "ACTOR_CLASS_NOT_REGISTERED", { className });
  }
}

/** An operation was not done in time; `context.timeoutMs` says which time. The other side may still do it. */
export class TimeoutError extends LibeamError {
  constructor(operation: string, timeoutMs: number) {
    super(`Operation timed out after ${timeoutMs}ms: ${operation}`, "TIMEOUT", { operation, timeoutMs });
  }
}

/** The system takes no new work because it shuts down or drains. */
export class SystemShuttingDownError extends LibeamError {
  constructor(operation: string) {
    super(`Cannot ${operation}: system is shutting down`, "SYSTEM_SHUTTING_DOWN", { operation });
  }
}

/**
 * Why a transport has not taken a message: it cannot be sent at all, as it cannot be encoded or is too long ("unsendable"),
 * or too much waits already and it may be taken later ("queue_full").
 */
export type TransportRefusal = "unsendable" | "queue_full";

/** A transport could not carry a message. `context.reason`, if there is one, is a {@link TransportRefusal}. */
export class TransportError extends LibeamError {
  constructor(message: string, nodeId?: string, cause?: unknown, reason?: TransportRefusal) {
    super(message, "TRANSPORT_ERROR", known({ nodeId, reason }), cause === undefined ? undefined : { cause });
  }
}

/** The transport has no address for a node. */
export class PeerNotFoundError extends LibeamError {
  constructor(nodeId: string) {
    super(`No address found for node ${nodeId}. Call updatePeers() first.`, "PEER_NOT_FOUND", { nodeId });
  }
}

/** No node, or with `localNodeId` not this node, has the role that a spawn asks for. Nothing was spawned. */
export class NoRoleMatchError extends LibeamError {
  constructor(role: string, localNodeId?: string) {
    const message =
      localNodeId === undefined
        ? `No nodes in the cluster have role "${role}"`
        : `Local node "${localNodeId}" does not have role "${role}"`;
    super(message, "NO_ROLE_MATCH", known({ role, nodeId: localNodeId }));
  }
}

/** A node could not prove that it belongs to the cluster. */
export class AuthenticationError extends LibeamError {
  constructor(reason: string, nodeId?: string) {
    const where = nodeId === undefined ? "" : ` (node: ${nodeId})`;
    super(`Authentication failed: ${reason}${where}`, "AUTHENTICATION_FAILED", known({ reason, nodeId }));
  }
}

/** A cookie cannot be used, or not be read. The message never quotes it. */
export class InvalidCookieError extends LibeamError {
  constructor(message: string, chars?: number, options?: { cause?: unknown }) {
    super(message, "INVALID_COOKIE", known({ chars }), options);
  }
}

/** A step of a cookie rotation came in the wrong order. The keyring is unchanged. */
export class CookieRotationError extends LibeamError {
  constructor(reason: string) {
    super(`Cookie rotation error: ${reason}`, "COOKIE_ROTATION_ERROR", { reason });
  }
}

/** A bounded mailbox had no room; the message was not queued, or was evicted. */
export class MailboxFullError extends LibeamError {
  constructor(actorId?: string) {
    const message = actorId === undefined ? "Mailbox is full" : `Mailbox full for actor ${actorId}`;
    super(message, "MAILBOX_FULL", known({ actorId }));
  }
}

/** A DynamicSupervisor is at its child limit. No child was started. */
export class MaxChildrenError extends LibeamError {
  constructor(maxChildren: number) {
    const message = `DynamicSupervisor has reached the maximum number of children (${maxChildren})`;
    super(message, "MAX_CHILDREN", { maxChildren });
  }
}

/** An actor without `getState`/`setState` was asked to migrate. It stays where it is. */
export class ActorNotMigratableError extends LibeamError {
  constructor(actorId: string) {
    const message = `ACTOR_NOT_MIGRATABLE: Actor ${actorId} does not implement Migratable interface`;
    super(message, "ACTOR_NOT_MIGRATABLE", { actorId });
  }
}

/** An actor with children was asked to migrate. It stays where it is. */
export class ActorHasChildrenError extends LibeamError {
  constructor(actorId: string, childCount: number) {
    const message = `ACTOR_HAS_CHILDREN: Actor ${actorId} has ${childCount} child actor(s) and cannot migrate; stop them first`;
    super(message, "ACTOR_HAS_CHILDREN", { actorId, childCount });
  }
}

/** A migration did not happen; the actor keeps running where it was. */
export class MigrationFailedError extends LibeamError {
  constructor(actorName: string, reason: string) {
    const message = `MIGRATION_FAILED: Migration of actor "${actorName}" failed: ${reason}`;
    super(message, "MIGRATION_FAILED", { actorName, reason });
  }
}

/** The target node could not reserve the name of a migrating actor. */
export class NameReservationError extends LibeamError {
  constructor(name: string, reason: string) {
    const message = `NAME_RESERVATION_FAILED: Could not reserve name "${name}": ${reason}`;
    super(message, "NAME_RESERVATION_FAILED", { name, reason });
  }
}

/** A queued call was not executed because its actor is moving. Look the name up again and repeat the call. */
export class MigrationInProgressError extends LibeamError {
  constructor(actorName: string, targetNodeId: string) {
    const message = `MIGRATION_IN_PROGRESS: Actor "${actorName}" is migrating to node ${targetNodeId}; retry the call`;
    super(message, "MIGRATION_IN_PROGRESS", { actorName, targetNodeId });
  }
}

/** `getState` of a migrating actor took too long. The actor resumed where it was. */
export class StateSerializationTimeoutError extends LibeamError {
  constructor(actorName: string, timeoutMs: number) {
    const message = `STATE_SERIALIZATION_TIMEOUT: Actor "${actorName}" did not serialize state within ${timeoutMs}ms`;
    super(message, "STATE_SERIALIZATION_TIMEOUT", { actorName, timeoutMs });
  }
}

/** A live actor holds the name. Nothing was spawned. */
export class NameAlreadyRegisteredError extends LibeamError {
  constructor(name: string) {
    const message = `Name "${name}" is held by a live actor; nothing was spawned. Stop that actor or choose another name.`;
    super(message, "NAME_ALREADY_REGISTERED", { name });
  }
}

/** An actor called itself, which could never be answered. Nothing was queued. */
export class SelfCallError extends LibeamError {
  constructor(actorId: string) {
    const message = `Actor ${actorId} called itself and would wait for ever; nothing was queued. Cast to it, or call the function directly.`;
    super(message, "SELF_CALL", { actorId });
  }
}

/** An actor stashed more messages than allowed; the current message was not stashed. */
export class StashFullError extends LibeamError {
  constructor(actorId: string, max: number) {
    const message = `Stash of actor ${actorId} is full (${max} messages); the current message was not stashed. Unstash or clear first.`;
    super(message, "STASH_FULL", { actorId, max });
  }
}

/** A producer refused a subscription, or there is no producer. Nothing was subscribed. */
export class SubscriptionError extends LibeamError {
  constructor(message: string, context: Record<string, unknown> = {}) {
    super(message, "SUBSCRIPTION", context);
  }
}

/** A callback or a dispatcher of a stage broke its contract; the message says what became of the events. */
export class StageError extends LibeamError {
  constructor(message: string, context: Record<string, unknown> = {}) {
    super(message, "STAGE", context);
  }
}

/** An option has a value that cannot be used. Nothing was changed. */
export class InvalidOptionError extends LibeamError {
  constructor(option: string, value: unknown, expected: string) {
    const got = describe(value);
    super(`Invalid option "${option}": expected ${expected}, got ${got}`, "INVALID_OPTION", { option, expected, got });
  }
}

/** An argument cannot be used. Nothing was changed. */
export class InvalidArgumentError extends LibeamError {
  constructor(what: string, expected: string, value: unknown) {
    const got = describe(value);
    super(`Invalid ${what}: expected ${expected}, got ${got}`, "INVALID_ARGUMENT", { what, expected, got });
  }
}

/** The system is at its actor limit. Nothing was spawned. */
export class ActorLimitError extends LibeamError {
  constructor(max: number) {
    super(`The system runs its maximum of ${max} actors; nothing was spawned. Stop some first.`, "ACTOR_LIMIT", {
      max,
    });
  }
}

/** An actor is at its timer limit. No timer was started. */
export class TimerLimitError extends LibeamError {
  constructor(actorId: string, max: number) {
    const message = `Actor ${actorId} has its maximum of ${max} timers; no timer was started. Cancel some first.`;
    super(message, "TIMER_LIMIT", { actorId, max });
  }
}

/** The node of the addressed actor went down. Whether the message was handled is unknown. */
export class NodeDownError extends LibeamError {
  constructor(nodeId: string, cause?: unknown) {
    const message = `Node ${nodeId} is down; whether it handled the message is unknown`;
    super(message, "NODE_DOWN", { nodeId }, cause === undefined ? undefined : { cause });
  }
}

/** A placement strategy names no node that an actor can be spawned on. Nothing was spawned. */
export class PlacementError extends LibeamError {
  constructor(message: string, context: Record<string, unknown> = {}, cause?: unknown) {
    super(`${message}; nothing was spawned`, "PLACEMENT", context, cause === undefined ? undefined : { cause });
  }
}

/** The caller aborted its call; `cause` is the signal's reason. A handler that already runs is not stopped. */
export class CallAbortedError extends LibeamError {
  constructor(reason?: unknown) {
    const message = "Call aborted by its signal; a handler that already runs is not stopped";
    super(message, "CALL_ABORTED", undefined, reason === undefined ? undefined : { cause: reason });
  }
}

/** A functional actor has no call handler of that name. The actor is unharmed. */
export class UnknownCallMethodError extends LibeamError {
  constructor(method: string) {
    super(`Unknown call method: ${method}`, "UNKNOWN_CALL_METHOD", { method });
  }
}

/** Every kind by its name; a class that is missing here has no identity across copies of the package. */
const KINDS = {
  ActorNotFoundError,
  RegistryLookupError,
  ActorClassNotRegisteredError,
  TimeoutError,
  SystemShuttingDownError,
  TransportError,
  PeerNotFoundError,
  NoRoleMatchError,
  AuthenticationError,
  InvalidCookieError,
  CookieRotationError,
  MailboxFullError,
  MaxChildrenError,
  ActorNotMigratableError,
  ActorHasChildrenError,
  MigrationFailedError,
  NameReservationError,
  MigrationInProgressError,
  StateSerializationTimeoutError,
  NameAlreadyRegisteredError,
  SelfCallError,
  StageError,
  StashFullError,
  SubscriptionError,
  InvalidOptionError,
  InvalidArgumentError,
  ActorLimitError,
  TimerLimitError,
  NodeDownError,
  PlacementError,
  CallAbortedError,
  UnknownCallMethodError,
};

brand(LibeamError.prototype, "LibeamError");
for (const [kind, { prototype }] of Object.entries(KINDS)) brand(prototype, kind);

/** The class of a kind of errors, for errors that come from another node; undefined for others. */
export function errorClassOf(kind: string): (new (...args: any[]) => LibeamError) | undefined {
  if (kind === "LibeamError") return LibeamError as never;
  return Object.hasOwn(KINDS, kind) ? (KINDS as Record<string, any>)[kind] : undefined;
}
