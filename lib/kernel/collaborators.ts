/**
 * What a system works with and does not own: membership, transport, registry.
 *
 * Interfaces only. A system is given one of each; users may write their own. Required methods are the specified
 * minimum, optional ones are used when present. Implementations MUST NOT throw synchronously where a promise is
 * returned.
 *
 * Messages are `any`: they belong to whoever sends and receives them, and no collaborator looks inside.
 */

// biome-ignore-all lint/suspicious/noExplicitAny: messages and listener arguments belong to the two ends, see above

import type { ActorId } from "./actor_id.js";
import type { ActorRef } from "./actor_ref.js";

/** Life of a peer as its gossip tells it; a leaving peer says goodbye and is not waited for. */
export type PeerStatus = "alive" | "leaving";

/** Whether the event loop of a node turns: "busy" and "hung" nodes live and do not answer for now. */
export type LoopState = "ok" | "busy" | "hung";

/** What a gossiping node knows of a peer. */
export interface PeerState {
  /** Node id. */
  id: string;
  /** Where its transport listens, for example `tcp://10.0.0.1:5000`. */
  address: string;
  /** Beats since it started; rises while it lives. */
  heartbeat: number;
  /** Start of its current life, ms since the epoch; the greater generation wins. */
  generation: number;
  /** Where its gossip listens, `host:port`. */
  gossipAddress: string;
  /** When this node last heard of it, ms since the epoch by the local clock. */
  lastUpdated: number;
  /** Absent means "alive". */
  status?: PeerStatus | undefined;
  /** How its event loop does; "ok" also if nobody watches it, absent if nobody would tell. */
  loop?: LoopState | undefined;
  /** Roles it declared; absent means none. */
  roles?: string[] | undefined;
  /** Small facts it published about itself. */
  metadata?: Record<string, string> | undefined;
}

/** A live member. */
export interface ClusterPeer {
  /** Node id. */
  id: string;
  status?: string | undefined;
}

/** Who belongs to the cluster. */
export interface Cluster {
  /** Id of this node. */
  readonly nodeId: string;
  /** Ids of all live members, this node included. */
  getMembers(): string[];
  /** Live members with their state, this node included. */
  getLivePeers?(): ClusterPeer[];
  /** Ids of the live members that declared a role. Without this method roles are ignored. */
  getMembersByRole?(role: string): string[];
  /** Ids of live members that are under suspicion. */
  getSuspects?(): string[];
  /** Whether it finds out about failed nodes by itself and emits `node_failed` with their ids. */
  readonly detectsFailures?: boolean | undefined;
  /** Whether this node shuts down or has left, which `closing` tells: nobody is to wait for members then. */
  isClosing?(): boolean;
  /** Listens to `member_join` and `member_leave`. */
  on?(event: string, listener: (...args: any[]) => void): this;
  removeListener?(event: string, listener: (...args: any[]) => void): this;
}

/** Takes a message that expects no answer. */
export type MessageHandler = (message: any) => void;
/** Takes a request; its result, or the result of its promise, is the answer. */
export type RequestHandler = (message: any) => any;
/** What is to be answered in place of an answer that cannot be sent, and why it cannot; undefined if there is nothing. */
export type AnswerInstead = (answer: any, why: unknown) => any;

/** A subscription to a topic. */
export interface Subscription {
  /** Ends it; doing so twice is harmless. */
  unsubscribe(): Promise<void>;
}

/** Waits for the answer of a node. One of the methods is called, once, and neither may throw. */
export interface Waiter {
  /** The node that was asked. */
  readonly node: string;
  /** It has answered. */
  answered(answer: any): void;
  /** It will not, or its handler has failed. */
  refused(error: unknown): void;
}

/** Carries messages between nodes. */
export interface Transport {
  /** Id of this node. */
  getNodeId(): string;
  /** Asks a node; rejects when no answer came within `timeout` ms. */
  request(nodeId: string, message: any, timeout: number): Promise<any>;
  /**
   * Asks the node of a waiter, who looks at the time itself; throws when the request cannot be handed over. Used instead of
   * `request` for calls if present, with `forget`: it costs neither a promise nor a timeout.
   *
   * @returns a number for `forget`.
   */
  ask?(waiter: Waiter, message: any): number;
  /** Whoever made the request does not wait any more. A number whose waiter has been told is ignored. */
  forget?(number: number): void;
  /** Sends to a node; resolves when the message was handed over, not when it arrived. */
  send(nodeId: string, message: any): Promise<void>;
  /** The same without a promise: throws when the message cannot be handed over. Used instead of `send` if present. */
  post?(nodeId: string, message: any): void;
  /** Sends to all subscribers of a topic on other nodes, but for those in `except`. */
  publish(topic: string, message: any, except?: ReadonlySet<string>): Promise<void>;
  /** Sends to the subscribers of a topic on one node. Without this method such messages are published to all. */
  publishTo?(nodeId: string, topic: string, message: any): Promise<void>;
  /** Receives what other nodes publish to a topic. */
  subscribe(topic: string, handler: MessageHandler): Promise<Subscription>;
  /** Sets the one handler of requests; the last one counts. A transport that can send any answer need not ask `instead`. */
  onRequest(handler: RequestHandler, instead?: AnswerInstead): void;
  /** Sets the one handler of messages; the last one counts. */
  onMessage(handler: MessageHandler): void;
  /** Says how refs in messages that come are made of ids. A transport that encodes what it sends needs it to bring refs. */
  makeRefs?(makeRef: (id: ActorId) => ActorRef): void;
  /** Tells where the other nodes are. */
  updatePeers(peers: Array<[nodeId: string, address: string]>): void;
  /** Forgets a node that has left the cluster, when what it has said is taken. The system says so. */
  removePeer?(nodeId: string): void;
  /** Opens it; whoever wires a system does so before its start. */
  connect(): Promise<void>;
  /** Closes it, after the system has shut down. */
  disconnect(): Promise<void>;
}

/** Where a named actor lives. */
export interface ActorLocation {
  /** Its node. */
  nodeId: string;
  /** Its `id.id`. */
  actorId: string;
}

/** A name held for an actor that is about to arrive. */
export interface NameReservation {
  reservationId: string;
  /** Who has the name now, as far as the one who holds it knows; absent or null if nobody. */
  holder?: ActorLocation | null | undefined;
}

/** A name that this node has lost to another one. */
export interface NameConflict {
  name: string;
  /** The actor of this node. */
  actorId: string;
  /** Node of the actor that keeps the name. */
  winner: string;
}

/** Names of actors across the cluster. */
export interface Registry {
  /**
   * Binds a name; a later registration wins. `since` is when the name became its actor's, in ms since the epoch, for
   * registries by which the older one of two nodes keeps a name; now if it is left out.
   */
  register(name: string, nodeId: string, actorId: string, since?: number): Promise<void>;
  /** Forgets a name; unknown ones are ignored. */
  unregister(name: string): Promise<void>;
  /** Where the actor of that name lives; null if there is none. */
  lookup(name: string): Promise<ActorLocation | null>;
  /** Names bound to actors of a node. */
  getNodeActors(nodeId: string): Promise<string[]>;
  /** Begins to exchange names with other nodes, if it does. */
  connect(): Promise<void>;
  /** Ends that. */
  disconnect(): Promise<void>;
  /** Has a handler told of names that this node has lost to another one; the system stops their actors. */
  onConflict?(handler: (conflict: NameConflict) => void): void;
  /** Holds a name for `ttlMs`; null if another reservation holds it. Does not touch the registration of the name. */
  reserveName?(name: string, nodeId: string, ttlMs?: number): Promise<NameReservation | null>;
  /** Turns a reservation into a registration; false if it expired or was released. */
  confirmReservation?(reservationId: string, actorId: string): Promise<boolean>;
  /** Gives a reservation back; unknown ids are ignored. */
  releaseReservation?(reservationId: string): Promise<void>;
}
