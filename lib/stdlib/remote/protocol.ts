/**
 * What systems say to each other about actors, over any {@link Transport}.
 *
 * An actor is addressed by its id, and by its name if it has one and the id means nothing to its node. Ids of actors
 * that were spawned from elsewhere are made by whoever spawned them (`spawn.as`), so that their refs work before the
 * answer is there.
 *
 * # Requests (answered with a {@link Reply})
 * - `call`: runs like a call of that node; `timeoutMs` is what is left of the caller's patience.
 * - `spawn`: a class or definition that is registered there.
 * - `stop`: answered when the actor is gone.
 * - `watch`: answered with whether there is an actor to watch.
 *
 * # Messages (not answered)
 * - `cast`, `exit`: what their names say.
 * - `cancel`: the caller of a call does not wait any more.
 * - `down`: a watched actor has ended. A node watches an actor once, from its first watcher on, until the end.
 * - `join`, `leave`: changes a group for an actor of the receiver.
 * - `broadcast`: a cast to all members that a group has at the receiver.
 * - `link`: makes an end for a link here; `unlink` undoes it; `severed`: the actor at the other side has ended, or its
 *   end of the link was taken down.
 *
 * # Order and failure
 * A transport delivers what one node sends to another in order, requests and messages alike, at most once. When a node is
 * lost every watch on it is `killed`, every link is severed with NodeDownError, and every request is refused.
 */

import type { TerminationReason } from "../../kernel/info.js";

/** Names an actor of the receiver. */
export interface Address {
  id: string;
  name?: string;
}

/** See the module's header. */
export type RemoteRequest =
  | { kind: "call"; call: number; to: Address; method?: string; value: any; timeoutMs: number }
  | { kind: "spawn"; as: string; className: string; args: readonly unknown[]; name?: string; mailbox?: object }
  | { kind: "stop"; to: Address }
  | { kind: "watch"; to: Address };

/** See the module's header. */
export type RemoteMessage =
  | { kind: "cast"; to: Address; method?: string; value: any }
  | { kind: "exit"; to: Address; from?: Address; reason: unknown }
  | { kind: "join" | "leave"; group: string; to: Address }
  | { kind: "broadcast"; group: string; value: any }
  | { kind: "cancel"; call: number; reason?: unknown }
  | { kind: "down"; of: string; reason: TerminationReason }
  | { kind: "link"; link: string; to: Address }
  | { kind: "unlink"; link: string }
  | { kind: "severed"; link: string; reason: TerminationReason };

/** The answer to a request. */
export type Reply = { ok: any } | { error: unknown };

/** What goes over a transport: marked, so that other traffic on it is left alone. */
export interface Envelope<T> {
  libeam: 1;
  from: string;
  body: T;
}

/** Whether something that a transport brought is ours. */
export function isEnvelope(message: unknown): message is Envelope<any> {
  return message !== null && typeof message === "object" && (message as Envelope<unknown>).libeam === 1;
}
