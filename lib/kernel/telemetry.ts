/**
 * Telemetry: named events, emitted synchronously to the handlers of this isolate and to `node:diagnostics_channel`.
 *
 * An event is a name (an array of parts), measurements (numbers) and metadata. A span is a prefix that emits `start`
 * and then either `stop` or `exception`. Parts are joined with "." to look an event up and to name its channel, so a
 * part should contain no dot.
 *
 * Cost: the kernel reads one boolean, `telemetry.active`, and builds nothing when it is false. `active` is true while
 * a handler is attached or a channel of the catalogue had a subscriber at the last `refresh()`; attach, detach and
 * reset refresh as well. Channel subscribers are not seen the moment they subscribe: whoever runs a system calls
 * `refresh()` at its own pace. Events outside the "libeam" root are a user's own and skip that shortcut.
 *
 * Failure: a handler that throws, or returns a promise that rejects, changes nothing for the emitter or for the other
 * handlers. Channel subscribers follow Node's rule instead: what they throw is an uncaught exception.
 * Order: handlers run in the order of attachment, then channel subscribers. A handler attached or detached by another
 * handler takes effect with the next event.
 *
 * Owner: one hub per isolate, by specification; events of all systems in it meet here and carry `node_id`.
 * Limit: HANDLERS_MAX attached handlers.
 */

import { type Channel, channel, hasSubscribers } from "node:diagnostics_channel";
import { InvalidArgumentError, isErrorLike, LibeamError } from "../errors.js";
import { assertFunction } from "./validate.js";

/** Name of an event or of a span's prefix, for example `["libeam", "actor", "spawn"]`. */
export type EventName = readonly string[];
/** Numbers of an event; durations are in ms, times in ms since the epoch. */
export type Measurements = Record<string, number>;
/** Facts of an event. */
export type Metadata = Record<string, any>;
/** Receives the events that it was attached to. What it throws is swallowed. */
export type TelemetryHandler = (eventName: EventName, measurements: Measurements, metadata: Metadata) => void;

/** Most handlers that can be attached at once; more hints at a leak. */
const HANDLERS_MAX = 1_000;
/** First part of every event of libeam itself. */
const ROOT = "libeam";

function named<const Parts extends readonly string[]>(...parts: Parts): readonly [typeof ROOT, ...Parts] {
  return Object.freeze([ROOT, ...parts] as const);
}

/**
 * Names of the events that libeam emits.
 *
 * `actor.handleCall` and `actor.handleCast` are prefixes of spans: append "start", "stop" or "exception". `actor.init` has
 * "stop" and "exception", `actor.stop` and `system.shutdown` have "stop". The others are complete.
 */
export const TelemetryEvents = Object.freeze({
  actor: Object.freeze({
    spawn: named("actor", "spawn"),
    init: named("actor", "init"),
    stop: named("actor", "stop"),
    handleCall: named("actor", "handle_call"),
    handleCast: named("actor", "handle_cast"),
    deadLetter: named("actor", "dead_letter"),
  }),
  supervisor: Object.freeze({
    crash: named("supervisor", "crash"),
    restart: named("supervisor", "restart"),
    maxRestarts: named("supervisor", "max_restarts"),
    escalate: named("supervisor", "escalate"),
  }),
  genStage: Object.freeze({
    subscribe: named("gen_stage", "subscribe"),
    cancel: named("gen_stage", "cancel"),
    dispatch: named("gen_stage", "dispatch"),
    bufferOverflow: named("gen_stage", "buffer_overflow"),
    discard: named("gen_stage", "discard"),
  }),
  mailbox: Object.freeze({ overflow: named("mailbox", "overflow") }),
  cluster: Object.freeze({
    join: named("cluster", "join"),
    leave: named("cluster", "leave"),
    update: named("cluster", "update"),
    suspect: named("cluster", "suspect"),
    recover: named("cluster", "recover"),
    loop: named("cluster", "loop"),
    reject: named("cluster", "reject"),
    superseded: named("cluster", "superseded"),
    nameConflict: named("cluster", "name_conflict"),
  }),
  transport: Object.freeze({
    connect: named("transport", "connect"),
    disconnect: named("transport", "disconnect"),
    refuse: named("transport", "refuse"),
    drop: named("transport", "drop"),
  }),
  system: Object.freeze({ shutdown: named("system", "shutdown"), loop: named("system", "loop") }),
});

/** What follows the prefixes among these names. */
const ENDS = new Map<EventName, readonly string[]>([
  [TelemetryEvents.actor.init, ["stop", "exception"]],
  [TelemetryEvents.actor.stop, ["stop"]],
  [TelemetryEvents.actor.handleCall, ["start", "stop", "exception"]],
  [TelemetryEvents.actor.handleCast, ["start", "stop", "exception"]],
  [TelemetryEvents.system.shutdown, ["stop"]],
]);

/** Channels of the catalogue. Held, because Node forgets a channel that nobody holds. */
function catalogueChannels(): Channel[] {
  const names = Object.values(TelemetryEvents).flatMap((group) => Object.values<EventName>(group));
  return names
    .flatMap((name) => ENDS.get(name)?.map((end) => [...name, end]) ?? [name])
    .map((name) => channel(name.join(".")));
}

interface Attachment {
  readonly id: string;
  readonly eventNames: readonly EventName[];
  readonly handler: TelemetryHandler;
}

/** The telemetry hub of this isolate. */
export interface Telemetry {
  /** Whether anybody may be listening. When false, events of libeam need not be built. */
  readonly active: boolean;
  /**
   * Attaches a handler to events and returns `id`.
   *
   * @throws LibeamError TELEMETRY_HANDLER_EXISTS if `id` is attached, TELEMETRY_HANDLER_LIMIT at 1,000 handlers;
   *   InvalidArgumentError INVALID_ARGUMENT for an unusable argument. Nothing is attached then.
   */
  attach(id: string, eventNames: readonly EventName[], handler: TelemetryHandler): string;
  /** Detaches a handler; false if there is none of that id. */
  detach(id: string): boolean;
  /** Emits one event; what handlers throw is swallowed. @throws InvalidArgumentError for what is no event name. */
  execute(eventName: EventName, measurements?: Measurements, metadata?: Metadata): void;
  /**
   * Runs `fn` within a span and returns its result; an async `fn` ends its span when it settles.
   *
   * Emits `start {system_time}`, then `stop {duration_ms}` or `exception {duration_ms}` with `error` in the metadata.
   * What `fn` throws is thrown on, unchanged.
   *
   * @throws InvalidArgumentError for what is no event name, or no function
   */
  span<T>(eventName: EventName, metadata: Metadata, fn: () => T): T;
  /** Whether a handler is attached to exactly this event. */
  hasHandlers(eventName: EventName): boolean;
  /** The attached handlers, in order. */
  listHandlers(): Array<{ id: string; eventNames: EventName[]; handler: TelemetryHandler }>;
  /** Detaches all handlers. */
  reset(): void;
  /** Looks again whether channels of the catalogue have subscribers; about a hundred nanoseconds. */
  refresh(): void;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

function asError(thrown: unknown): Error {
  if (isErrorLike(thrown)) return thrown;
  return new LibeamError("A value that is no Error was thrown", "NON_ERROR_THROWN", undefined, { cause: thrown });
}

const ignore = (): void => {};

class TelemetryHub implements Telemetry {
  active = false;
  /** Handlers by id, in the order of attachment. */
  readonly #attachments = new Map<string, Attachment>();
  /** Attachments of each joined event name. The arrays are replaced, never changed: `execute` may be walking one. */
  readonly #byEvent = new Map<string, readonly Attachment[]>();
  readonly #channels = catalogueChannels();

  attach(id: string, eventNames: readonly EventName[], handler: TelemetryHandler): string {
    checkAttachment(id, eventNames, handler);
    if (this.#attachments.has(id)) {
      const message = `Telemetry handler "${id}" is already attached. Detach first.`;
      throw new LibeamError(message, "TELEMETRY_HANDLER_EXISTS", { id });
    }
    if (this.#attachments.size >= HANDLERS_MAX) {
      const message = `${HANDLERS_MAX} telemetry handlers are attached; "${id}" was not. Detach those that are done.`;
      throw new LibeamError(message, "TELEMETRY_HANDLER_LIMIT", { id, max: HANDLERS_MAX });
    }
    const attachment = { id, eventNames: eventNames.map((name) => Object.freeze([...name])), handler };
    this.#attachments.set(id, attachment);
    for (const key of keysOf(attachment)) this.#byEvent.set(key, [...(this.#byEvent.get(key) ?? []), attachment]);
    this.refresh();
    return id;
  }

  detach(id: string): boolean {
    const attachment = this.#attachments.get(id);
    if (attachment === undefined) return false;
    this.#attachments.delete(id);
    for (const key of keysOf(attachment)) {
      const rest = (this.#byEvent.get(key) ?? []).filter((each) => each !== attachment);
      if (rest.length > 0) this.#byEvent.set(key, rest);
      else this.#byEvent.delete(key);
    }
    this.refresh();
    return true;
  }

  execute(eventName: EventName, measurements: Measurements = {}, metadata: Metadata = {}): void {
    if (!this.#mayBeHeard(eventName)) return;
    const key = eventName.join(".");
    for (const { handler } of this.#byEvent.get(key) ?? []) {
      try {
        const result: unknown = handler(eventName, measurements, metadata);
        if (isThenable(result)) result.then(ignore, ignore);
      } catch {
        // Swallowed: an observer must not change what it observes.
      }
    }
    if (hasSubscribers(key)) channel(key).publish({ event: eventName, measurements, metadata });
  }

  span<T>(eventName: EventName, metadata: Metadata, fn: () => T): T {
    assertFunction("function of a span", fn);
    if (!this.#mayBeHeard(eventName)) return fn();
    const started = performance.now();
    const end = (outcome: "stop" | "exception", facts: Metadata): void =>
      this.execute([...eventName, outcome], { duration_ms: performance.now() - started }, facts);
    const fail = (thrown: unknown): never => {
      end("exception", { ...metadata, error: asError(thrown) });
      throw thrown;
    };
    this.execute([...eventName, "start"], { system_time: Date.now() }, metadata);
    let result: T;
    try {
      result = fn();
    } catch (thrown) {
      return fail(thrown);
    }
    if (isThenable(result)) {
      const settled = result.then((value) => {
        end("stop", metadata);
        return value;
      }, fail);
      return settled as T;
    }
    end("stop", metadata);
    return result;
  }

  hasHandlers(eventName: EventName): boolean {
    assertEventName(eventName);
    return this.#byEvent.has(eventName.join("."));
  }

  listHandlers(): Array<{ id: string; eventNames: EventName[]; handler: TelemetryHandler }> {
    return [...this.#attachments.values()].map((each) => ({ ...each, eventNames: [...each.eventNames] }));
  }

  reset(): void {
    this.#attachments.clear();
    this.#byEvent.clear();
    this.refresh();
  }

  refresh(): void {
    this.active = this.#attachments.size > 0 || this.#channels.some((each) => each.hasSubscribers);
  }

  #mayBeHeard(eventName: EventName): boolean {
    assertEventName(eventName);
    return this.active || eventName[0] !== ROOT;
  }
}

/** The joined event names of an attachment, each once. */
function keysOf(attachment: Attachment): ReadonlySet<string> {
  return new Set(attachment.eventNames.map((name) => name.join(".")));
}

/** Text would be taken for its letters. The parts are not looked at: an event is emitted more often than attached to. */
function assertEventName(name: unknown): void {
  if (!Array.isArray(name)) throw new InvalidArgumentError("event name", "an array of strings", name);
}

function checkAttachment(id: unknown, eventNames: unknown, handler: unknown): void {
  if (typeof id !== "string" || id === "") throw new InvalidArgumentError("handler id", "a non-empty string", id);
  const isName = (name: unknown): boolean =>
    Array.isArray(name) && name.length > 0 && name.every((part) => typeof part === "string");
  if (!Array.isArray(eventNames) || eventNames.length === 0 || !eventNames.every(isName)) {
    throw new InvalidArgumentError("event names", "a non-empty array of arrays of strings", eventNames);
  }
  assertFunction("telemetry handler", handler);
}

/** The telemetry hub of this isolate. */
export const telemetry: Telemetry = new TelemetryHub();
