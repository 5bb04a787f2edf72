/**
 * Error classes: code, message, context and name of each, and `instanceof` across two copies of the module.
 */

import { runInNewContext } from "node:vm";
import { describe, expect, it, vi } from "vitest";
import * as errors from "../lib/errors.js";

const { CallAbortedError, InvalidArgumentError, InvalidOptionError, LibeamError, TimeoutError, TransportError } =
  errors;

/** Class name → [an instance, its code, its message]. */
const catalogue: Record<string, [errors.LibeamError, string, string | RegExp]> = {
  ActorNotFoundError: [new errors.ActorNotFoundError("a1", "n1"), "ACTOR_NOT_FOUND", "Actor not found: a1 on node n1"],
  RegistryLookupError: [
    new errors.RegistryLookupError("x"),
    "REGISTRY_LOOKUP_FAILED",
    "Could not find node for actor name: x",
  ],
  ActorClassNotRegisteredError: [
    new errors.ActorClassNotRegisteredError("Foo"),
    "ACTOR_CLASS_NOT_REGISTERED",
    'Actor class "Foo" not registered. Call system.registerActorClass() first.',
  ],
  TimeoutError: [new TimeoutError("actor call", 50), "TIMEOUT", "Operation timed out after 50ms: actor call"],
  SystemShuttingDownError: [
    new errors.SystemShuttingDownError("spawn actors"),
    "SYSTEM_SHUTTING_DOWN",
    "Cannot spawn actors: system is shutting down",
  ],
  TransportError: [new TransportError("boom", "n1"), "TRANSPORT_ERROR", "boom"],
  PeerNotFoundError: [
    new errors.PeerNotFoundError("n1"),
    "PEER_NOT_FOUND",
    "No address found for node n1. Call updatePeers() first.",
  ],
  PlacementError: [
    new errors.PlacementError('Node "n9" is not a member of the cluster'),
    "PLACEMENT",
    'Node "n9" is not a member of the cluster; nothing was spawned',
  ],
  NoRoleMatchError: [new errors.NoRoleMatchError("web"), "NO_ROLE_MATCH", 'No nodes in the cluster have role "web"'],
  AuthenticationError: [
    new errors.AuthenticationError("bad", "n1"),
    "AUTHENTICATION_FAILED",
    "Authentication failed: bad (node: n1)",
  ],
  InvalidCookieError: [new errors.InvalidCookieError("too short", 3), "INVALID_COOKIE", "too short"],
  CookieRotationError: [new errors.CookieRotationError("no"), "COOKIE_ROTATION_ERROR", "Cookie rotation error: no"],
  MailboxFullError: [new errors.MailboxFullError("a1"), "MAILBOX_FULL", "Mailbox full for actor a1"],
  MaxChildrenError: [
    new errors.MaxChildrenError(2),
    "MAX_CHILDREN",
    "DynamicSupervisor has reached the maximum number of children (2)",
  ],
  ActorNotMigratableError: [
    new errors.ActorNotMigratableError("a1"),
    "ACTOR_NOT_MIGRATABLE",
    "ACTOR_NOT_MIGRATABLE: Actor a1 does not implement Migratable interface",
  ],
  ActorHasChildrenError: [new errors.ActorHasChildrenError("a1", 2), "ACTOR_HAS_CHILDREN", /^ACTOR_HAS_CHILDREN: .*a1/],
  MigrationFailedError: [new errors.MigrationFailedError("x", "why"), "MIGRATION_FAILED", /^MIGRATION_FAILED: .*why/],
  NameReservationError: [
    new errors.NameReservationError("x", "why"),
    "NAME_RESERVATION_FAILED",
    /^NAME_RESERVATION_FAILED: .*why/,
  ],
  MigrationInProgressError: [
    new errors.MigrationInProgressError("x", "n2"),
    "MIGRATION_IN_PROGRESS",
    /^MIGRATION_IN_PROGRESS: .*n2/,
  ],
  StateSerializationTimeoutError: [
    new errors.StateSerializationTimeoutError("x", 9),
    "STATE_SERIALIZATION_TIMEOUT",
    /^STATE_SERIALIZATION_TIMEOUT: .*serialize state.*9ms/,
  ],
  NameAlreadyRegisteredError: [new errors.NameAlreadyRegisteredError("x"), "NAME_ALREADY_REGISTERED", /"x"/],
  SelfCallError: [new errors.SelfCallError("a1"), "SELF_CALL", /a1/],
  StageError: [new errors.StageError("no array"), "STAGE", "no array"],
  SubscriptionError: [new errors.SubscriptionError("taken"), "SUBSCRIPTION", "taken"],
  StashFullError: [new errors.StashFullError("a1", 7), "STASH_FULL", /a1.*7/],
  InvalidOptionError: [
    new InvalidOptionError("mailbox.maxSize", -1, "a size"),
    "INVALID_OPTION",
    'Invalid option "mailbox.maxSize": expected a size, got -1',
  ],
  InvalidArgumentError: [
    new InvalidArgumentError("name", "a string", 7),
    "INVALID_ARGUMENT",
    "Invalid name: expected a string, got 7",
  ],
  ActorLimitError: [new errors.ActorLimitError(10), "ACTOR_LIMIT", /10/],
  TimerLimitError: [new errors.TimerLimitError("a1", 10), "TIMER_LIMIT", /a1.*10/],
  NodeDownError: [new errors.NodeDownError("n1"), "NODE_DOWN", /n1/],
  CallAbortedError: [new CallAbortedError("why"), "CALL_ABORTED", /abort/],
  UnknownCallMethodError: [new errors.UnknownCallMethodError("m"), "UNKNOWN_CALL_METHOD", "Unknown call method: m"],
};

type ErrorClass = abstract new (...args: never[]) => Error;
const classes = errors as unknown as Record<string, ErrorClass>;

describe("error classes", () => {
  it("lists every exported class in the catalogue", () => {
    expect(Object.keys(catalogue).sort()).toEqual(
      Object.keys(errors)
        .filter((each) => each !== "LibeamError" && each.endsWith("Error"))
        .sort(),
    );
  });

  it("finds a class by its kind, and no other", () => {
    for (const [kind, [error]] of Object.entries(catalogue)) expect(errors.errorClassOf(kind)).toBe(error.constructor);
    expect(errors.errorClassOf("LibeamError")).toBe(LibeamError);
    for (const kind of ["Error", "toString", "__proto__", ""]) expect(errors.errorClassOf(kind)).toBeUndefined();
  });

  it.each(Object.entries(catalogue))("%s has its name, code and message", (name, [error, code, message]) => {
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.stack).toContain(`${name}: ${error.message}`);
    expect(error).toBeInstanceOf(Error);
    expect(error).toBeInstanceOf(LibeamError);
  });

  it.each(Object.entries(catalogue))("%s is an instance of its own class and of no sibling", (name, [error]) => {
    const matching = Object.keys(catalogue).filter((each) => error instanceof classes[each]!);
    expect(matching).toEqual([name]);
  });

  it("words the optional parts", () => {
    expect(new errors.ActorNotFoundError("a1").message).toBe("Actor not found: a1");
    expect(new errors.MailboxFullError().message).toBe("Mailbox is full");
    expect(new errors.NoRoleMatchError("web", "n1").message).toBe('Local node "n1" does not have role "web"');
    expect(new errors.AuthenticationError("bad").message).toBe("Authentication failed: bad");
  });

  it("keeps facts in the context and leaves no key for absent ones", () => {
    expect(new TimeoutError("waitForCluster", 30).context).toEqual({ operation: "waitForCluster", timeoutMs: 30 });
    expect(Object.keys(new errors.ActorNotFoundError("a1").context ?? {})).toEqual(["actorId"]);
  });

  it("keeps causes", () => {
    const cause = new Error("why");
    expect(new TransportError("m", "n", cause).cause).toBe(cause);
    expect(new CallAbortedError(cause).cause).toBe(cause);
    expect(new LibeamError("m", "C", {}, { cause }).cause).toBe(cause);
    expect("cause" in new TransportError("m")).toBe(false);
  });

  it("narrows the type as instanceof does", () => {
    const thrown: unknown = new TimeoutError("x", 1);
    if (!(thrown instanceof TimeoutError)) throw thrown;
    expect(thrown.context?.timeoutMs).toBe(1);
  });
});

describe("values in messages", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error("trap");
      },
    },
  );
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  it.each([
    ["a NaN", Number.NaN, "NaN"],
    ["a string", 'a"b', '"a\\"b"'],
    ["a bigint", 3n, "3n"],
    ["a symbol", Symbol("s"), "Symbol(s)"],
    ["null", null, "null"],
    ["a function", () => 1, "a function"],
    ["an array", [1, 2], "an array of 2"],
    ["a Map", new Map(), "an instance of Map"],
    ["a cyclic object", cyclic, "an object"],
    ["an object without prototype", Object.create(null), "an object"],
    ["a throwing proxy", hostile, "an object"],
    ["a revoked proxy", revoked.proxy, "an object"],
  ])("describes %s", (_, value, text) => {
    expect(new InvalidOptionError("o", value, "e").message).toBe(`Invalid option "o": expected e, got ${text}`);
  });

  it("cuts long strings", () => {
    expect(new InvalidOptionError("o", "x".repeat(10_000), "e").message.length).toBeLessThan(150);
  });
});

it("errors of another realm are errors", () => {
  const foreign = runInNewContext("new TypeError('elsewhere')");
  expect(foreign).not.toBeInstanceOf(Error);
  expect([foreign, new DOMException("own"), new Error("own")].map(errors.isErrorLike)).toEqual([true, true, true]);
  expect([{ message: "none" }, "none", undefined, null].map(errors.isErrorLike)).toEqual([false, false, false, false]);
  expect(errors.messageOf(foreign)).toBe("elsewhere");
});

describe("instanceof", () => {
  it("agrees between two copies of the module, kind by kind", async () => {
    vi.resetModules();
    const copy = await import("../lib/errors.js");
    expect(copy.TimeoutError).not.toBe(TimeoutError);
    const copies = copy as unknown as Record<string, new (...args: unknown[]) => Error>;
    for (const name of Object.keys(catalogue)) {
      const foreign = new copies[name]!("x", 1, "y");
      expect(foreign).toBeInstanceOf(LibeamError);
      expect(Object.keys(catalogue).filter((each) => foreign instanceof classes[each]!)).toEqual([name]);
    }
    expect(new TransportError("x")).toBeInstanceOf(copy.TransportError);
    expect(new TransportError("x")).not.toBeInstanceOf(copy.TimeoutError);
  });

  it("tells user-defined classes apart by prototype, and counts them as their parents", () => {
    const define = () => class Custom extends TimeoutError {};
    const One = define();
    const Other = define();
    const error = new One("x", 1);
    expect(error.name).toBe("Custom");
    expect(error).toBeInstanceOf(One);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).not.toBeInstanceOf(Other);
    expect(new TimeoutError("x", 1)).not.toBeInstanceOf(One);
  });

  it.each([[undefined], [null], [1], ["TimeoutError"], [{}], [new Error("x")], [{ code: "TIMEOUT" }]])(
    "is false for %s",
    (value) => {
      expect(value instanceof (LibeamError as unknown as ErrorClass)).toBe(false);
      expect(value instanceof (TimeoutError as unknown as ErrorClass)).toBe(false);
    },
  );
});
