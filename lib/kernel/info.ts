/**
 * The messages that the system itself sends to `handleInfo`, and the names of relations and timers in them.
 */

import type { ActorId } from "./actor_id.js";
import type { ActorRef } from "./actor_ref.js";

/** Why an actor ended. */
export type TerminationReason =
  | { type: "normal" }
  | { type: "error"; error: any }
  | { type: "killed" }
  | { type: "exit"; reason: any };

/** The id of an actor that is given as its id or as a ref. */
function idOf(party: ActorId | ActorRef): ActorId {
  return typeof party.id === "string" ? (party as ActorId) : (party as ActorRef).id;
}

/** A name made from a key, if nobody gave one. */
function nameOf(kind: string, given: string | undefined, key: number): string {
  return given ?? `${kind}-${keyIndex(key)}-${keyGeneration(key)}`;
}

// Perf: ids are made when somebody asks for them; most refs of these kinds are only handed back ("ConsumerSupervisor").

/** Names a watch. */
export class WatchRef {
  readonly #id: string | undefined;
  readonly #watcher: ActorId | ActorRef;
  readonly #watched: ActorId | ActorRef;

  constructor(
    id: string | undefined,
    watcher: ActorId | ActorRef,
    watched: ActorId | ActorRef,
    /** @internal Key of the monitor in the core. */
    readonly _key: number = -1,
  ) {
    this.#id = id;
    this.#watcher = watcher;
    this.#watched = watched;
  }

  /** Unique among the watches of a system. */
  get id(): string {
    return nameOf("watch", this.#id, this._key);
  }

  /** Who is told. */
  get watcherId(): ActorId {
    return idOf(this.#watcher);
  }

  /** Whose end it is about. */
  get watchedId(): ActorId {
    return idOf(this.#watched);
  }
}

/** Names a link. */
export class LinkRef {
  readonly #id: string | undefined;
  readonly #actor1: ActorId | ActorRef;
  readonly #actor2: ActorId | ActorRef;

  constructor(
    id: string | undefined,
    actor1: ActorId | ActorRef,
    actor2: ActorId | ActorRef,
    /** @internal Key of the link in the core. */
    readonly _key: number = -1,
    /** The actor at the other end, as seen by the one that made the link. */
    readonly actorRef?: ActorRef,
  ) {
    this.#id = id;
    this.#actor1 = actor1;
    this.#actor2 = actor2;
  }

  /** Unique among the links of a system. */
  get id(): string {
    return nameOf("link", this.#id, this._key);
  }

  /** Who made the link. */
  get actor1Id(): ActorId {
    return idOf(this.#actor1);
  }

  /** The other one. */
  get actor2Id(): ActorId {
    return idOf(this.#actor2);
  }
}

/** Names a timer. */
export class TimerRef {
  readonly #id: string | undefined;
  readonly #actor: ActorId | ActorRef;

  constructor(
    id: string | undefined,
    actor: ActorId | ActorRef,
    readonly isInterval: boolean,
    /** @internal Key of the timer in the core. */
    readonly _key: number = -1,
  ) {
    this.#id = id;
    this.#actor = actor;
  }

  /** Unique among the timers of a system. */
  get id(): string {
    return nameOf("timer", this.#id, this._key);
  }

  /** Whose timer it is. */
  get actorId(): ActorId {
    return idOf(this.#actor);
  }
}

/** A watched actor has ended. Sent once per watch. */
export interface DownMessage {
  type: "down";
  /** The watch, which is over. */
  watchRef: WatchRef;
  /** Who has ended. */
  actorRef: ActorRef;
  /** Why. */
  reason: TerminationReason;
}

/** A linked actor has ended, or somebody sent an exit signal; only for actors that trap exits. */
export interface ExitMessage {
  type: "exit";
  /** Undefined for a signal sent with `exit()`. */
  linkRef?: LinkRef | undefined;
  /** The actor that ended or sent the signal; undefined for a signal sent from outside any actor. */
  actorRef: ActorRef;
  /** Why it has ended, or what was sent. */
  reason: TerminationReason;
}

/** No message came for the idle timeout. */
export interface TimeoutMessage {
  type: "timeout";
  /** Milliseconds since the last message. */
  idleMs: number;
}

/** A watched or linked actor has moved to another node. */
export interface MovedMessage {
  type: "moved";
  /** The watch, if it was watched. */
  watchRef?: WatchRef | undefined;
  /** The link, if it was linked. */
  linkRef?: LinkRef | undefined;
  /** The actor as it was known. */
  actorRef: ActorRef;
  /** Where it was. */
  oldNodeId: string;
  /** Where it is. */
  newNodeId: string;
  /** What its `id.id` is there. */
  newActorId: string;
}

/** What `handleInfo` receives. */
export type InfoMessage = DownMessage | ExitMessage | TimeoutMessage | MovedMessage;

const KEY_FACTOR = 2 ** 32;

/** One number out of index and generation; exact, because the core keeps generations to GENERATION_BITS. */
export function relationKey(index: number, generation: number): number {
  return generation * KEY_FACTOR + index;
}

/** The index in a key. */
export function keyIndex(key: number): number {
  return key % KEY_FACTOR;
}

/** The generation in a key. */
export function keyGeneration(key: number): number {
  return Math.floor(key / KEY_FACTOR);
}
