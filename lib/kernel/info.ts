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

/** Names a watch. */
export class WatchRef {
  constructor(
    readonly id: string,
    readonly watcherId: ActorId,
    readonly watchedId: ActorId,
    /** @internal Key of the monitor in the core. */
    readonly _key: number = -1,
  ) {}
}

/** Names a link. */
export class LinkRef {
  constructor(
    readonly id: string,
    readonly actor1Id: ActorId,
    readonly actor2Id: ActorId,
    /** @internal Key of the link in the core. */
    readonly _key: number = -1,
    /** The actor at the other end, as seen by the one that made the link. */
    readonly actorRef?: ActorRef,
  ) {}
}

/** Names a timer. */
export class TimerRef {
  constructor(
    readonly id: string,
    readonly actorId: ActorId,
    readonly isInterval: boolean,
    /** @internal Key of the timer in the core. */
    readonly _key: number = -1,
  ) {}
}

/** A watched actor has ended. Sent once per watch. */
export interface DownMessage {
  type: "down";
  watchRef: WatchRef;
  actorRef: ActorRef;
  reason: TerminationReason;
}

/** A linked actor has ended, or somebody sent an exit signal; only for actors that trap exits. */
export interface ExitMessage {
  type: "exit";
  /** Undefined for a signal sent with `exit()`. */
  linkRef?: LinkRef;
  /** The actor that ended or sent the signal; undefined for a signal sent from outside any actor. */
  actorRef: ActorRef;
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
  watchRef?: WatchRef;
  linkRef?: LinkRef;
  actorRef: ActorRef;
  oldNodeId: string;
  newNodeId: string;
  newActorId: string;
}

/** What `handleInfo` receives. */
export type InfoMessage = DownMessage | ExitMessage | TimeoutMessage | MovedMessage;

const KEY_FACTOR = 2 ** 32;

/** One number out of index and generation; exact while the generation is below 2^21. */
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
