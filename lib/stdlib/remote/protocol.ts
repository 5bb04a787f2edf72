/**
 * What systems say to each other about actors, over any {@link Transport}.
 *
 * An actor is addressed by its id, and by its name if it has one and the id means nothing to its node. Ids of actors
 * that were spawned from elsewhere are made by whoever spawned them (`spawn.as`), so that their refs work before the
 * answer is there; such an id never gives way to the name, which may be another actor's.
 *
 * # Calls and casts
 * Arrays that begin with {@link MARK}. A {@link CallMessage} is a request, answered with a {@link Reply}; it runs like a call
 * of that node, and its patience is the caller's. A {@link CancelMessage} says that the caller does not wait any more.
 *
 * # Further requests (answered with a {@link Reply})
 * - `spawn`: a class or definition that is registered there; the answer is a {@link Spawned}.
 * - `stop`: answered when the actor is gone.
 * - `watch`: answered with whether there is an actor to watch.
 *
 * Children on other nodes (docs/design/remote_children.md), named by the id that their parent's node gave them:
 * - `adopt`: spawn there with a parent here, in the place of `instead`, with a name that is the child's since `nameSince`;
 *   `revive`: start it again. The answer is an {@link Adopted}, and comes when `init` has ended.
 * - `halt`: have it go down and wait; `dismiss`: end it for that reason. Answered when that is done.
 * - `crashed` in that life, to the parent's node: answered with a {@link Verdict}; `ended`: the child is gone, not by its parent's will.
 * The last four of these are repeated until they are answered, so each of them may come twice.
 *
 * - `lost`: nothing but the envelope's tag: the sender had lost this node. Repeated until it is answered.
 *
 * # Further messages (not answered)
 * - `hello`: nothing but the envelope's tag: so a node knows the other's life; with `reply` it tells its own.
 * - `exit`: what its name says.
 * - `down`: a watched actor has ended. A node watches an actor once, from its first watcher on, until the end.
 * - `join`, `leave`: changes a group for an actor of the receiver.
 * - `broadcast`: a cast to all members that a group has at the receiver.
 * - `family`: the children here that the sender accounts for; others of its children are to end. `guests`: the children
 *   there that the receiver has; others are gone. Both are said when the other node joins.
 * - `closed`: the sender takes no new actors, or takes them again.
 * - `follow`: the sender wants to know how many actors there are here; `load`: so many are there.
 * - `link`: makes an end for a link here; `unlink` undoes it; `severed`: the actor at the other side has ended, or its
 *   end of the link was taken down.
 *
 * # Order and failure
 * A transport delivers what one node sends to another in order, requests and messages alike, at most once. When a node is
 * lost every watch on it is `killed`, every link is severed with NodeDownError, and every request is refused. A node that
 * was lost and lives does the same when it hears of that, from the tag of any envelope (losses.ts).
 */

import type { ActorId } from "../../kernel/actor_id.js";
import type { TerminationReason } from "../../kernel/info.js";
import type { LossTag } from "./losses.js";

/** Names an actor of the receiver. */
export interface Address {
  id: string;
  name?: string;
}

/** What is spawned; `as` is the id that the asking node gives it. */
export interface SpawnRequest {
  kind: "spawn";
  as: string;
  className: string;
  args: readonly unknown[];
  name?: string;
  mailbox?: object;
}

/** The answer to a spawn. */
export interface Spawned {
  /** Actors of the node. */
  load: number;
}

/** What came of the start of a child. */
export class Adopted implements Spawned {
  constructor(
    /** Id of the incarnation. */
    readonly id: string,
    /** How often the child has been started. */
    readonly life: number,
    readonly load: number,
    /** Set if `init` has failed: the child is down and waits. */
    readonly failure?: { error: unknown },
  ) {}
}

/** What the parent's node says to a crash. */
export interface Verdict {
  /** Whether the child will be started again. */
  restart: boolean;
  /** The node does not know of such a child. */
  unknown?: boolean;
}

/** See the module's header. */
export type RemoteRequest =
  | SpawnRequest
  | { kind: "stop"; to: Address }
  | { kind: "watch"; to: Address }
  | ({ kind: "adopt"; parent: Address; instead?: string; nameSince?: number } & Omit<SpawnRequest, "kind">)
  | { kind: "revive"; child: string }
  | { kind: "halt"; child: string }
  | { kind: "dismiss"; child: string; reason: TerminationReason }
  | { kind: "lost" }
  | { kind: "crashed"; child: string; life: number; reason: TerminationReason }
  | { kind: "ended"; child: string; reason: TerminationReason };

/** See the module's header. */
export type RemoteMessage =
  | { kind: "exit"; to: Address; from?: Address; reason: unknown }
  | { kind: "join" | "leave"; group: string; to: Address }
  | { kind: "broadcast"; group: string; value: any }
  | { kind: "family"; children: string[] }
  | { kind: "guests"; children: string[] }
  | { kind: "hello"; reply: boolean }
  | { kind: "closed"; closed: boolean }
  | { kind: "follow" }
  | { kind: "load"; actors: number }
  | { kind: "down"; of: string; reason: TerminationReason }
  | { kind: "link"; link: string; to: Address; from: Address }
  | { kind: "unlink"; link: string }
  | { kind: "severed"; link: string; reason: TerminationReason };

/** The answer to a request: whether it went well, and the result or the error. */
export type Reply = [ok: boolean, value: any];

/** Whether something is an answer to a request. */
export function isReply(message: unknown): message is Reply {
  return Array.isArray(message) && message.length === 2 && typeof message[0] === "boolean";
}

/** Begins calls and casts, so that other traffic on a transport is left alone. */
export const MARK = 0x1bea;
export const CALL = 0;
export const CAST = 1;
export const CANCEL = 2;

/** Calls an actor; `timeoutWord` is in milliseconds, all ones of 32 bits for never. Without a method `value` is the message. */
export type CallMessage = [
  mark: typeof MARK,
  kind: typeof CALL,
  from: string,
  call: number,
  id: string,
  name: string | undefined,
  method: string | undefined,
  value: any,
  timeoutWord: number,
  /** Options that may be an argument; only the other node knows how many the handler has. */
  last?: { timeout?: number },
];

/** Casts to an actor. Without a method `value` is the message. */
export type CastMessage = [
  mark: typeof MARK,
  kind: typeof CAST,
  id: string,
  name: string | undefined,
  method: string | undefined,
  value: any,
];

/** Withdraws a call. */
export type CancelMessage = [mark: typeof MARK, kind: typeof CANCEL, from: string, call: number];

/** Whether something that a transport brought is a call, a cast, or a cancellation. */
export function isMarked(message: unknown): message is CallMessage | CastMessage | CancelMessage {
  return Array.isArray(message) && message[0] === MARK;
}

/** What goes over a transport: marked, so that other traffic on it is left alone. */
export interface Envelope<T> {
  libeam: 1;
  from: string;
  /** Whether the sender had lost the receiver; absent if it does not tell. */
  tag?: LossTag;
  body: T;
}

/** Whether something that a transport brought is ours. */
export function isEnvelope(message: unknown): message is Envelope<any> {
  return message !== null && typeof message === "object" && (message as Envelope<unknown>).libeam === 1;
}

/** The address in an id. */
export function addressOf({ id, name }: ActorId): Address {
  return name === undefined ? { id } : { id, name };
}

/** A key for what belongs to a node. */
export function keyOf(node: string, id: string): string {
  return `${node}\n${id}`;
}
