/**
 * What a TestCluster and its node processes say to each other over IPC. Values of calls are bytes, as between nodes.
 *
 * The parent sends `boot` once; the node answers `ready` when it sees all others, or `error` and ends. After that come any
 * number of `partition`, `heal` and `call`, each answered by `done` with its number, and at most one `shutdown`, answered by
 * the node's end. A node whose channel closes ends at once, whatever it does: its parent is gone.
 */

import type { DistributedConfig } from "../cluster/distributed_system.js";
import type { LogLevel } from "../kernel/logger.js";
import type { NodePorts } from "./ports.js";

/** Starts the node. */
export interface NodeWorkerBootMessage {
  type: "boot";
  nodeId: string;
  cookie: string;
  /** Gossip address of the controller. */
  seedNodes: string[];
  /** Nodes to wait for, with the controller. */
  members: string[];
  /** Milliseconds to wait for them. */
  timeoutMs: number;
  gossip: Exclude<DistributedConfig["gossip"], undefined>;
  /** URLs of modules with actors. */
  actorModules: string[];
  faultInjection: boolean;
  logLevel: LogLevel;
}

/** The node is a member and sees all others. */
export interface NodeWorkerReadyMessage {
  type: "ready";
  ports: NodePorts;
  /** Where its gossip is, `ip:port`. */
  gossipAddress: string;
  /** Id of its NodeAgent. */
  agent: { systemId: string; id: string; name?: string | undefined };
}

/** The node could not start; it ends. */
export interface NodeWorkerErrorMessage {
  type: "error";
  code?: string | undefined;
  message: string;
  stack?: string | undefined;
}

/** The node is to end in good order. */
export interface NodeWorkerShutdownMessage {
  type: "shutdown";
}

/** Cuts the node off from others. */
export interface NodeWorkerPartitionMessage {
  type: "partition";
  number: number;
  peers: { nodeId: string; gossipAddress: string }[];
}

/** Ends cuts. */
export interface NodeWorkerHealMessage {
  type: "heal";
  number: number;
  nodeIds: string[];
}

/** Calls a named actor of the node. */
export interface NodeWorkerCallMessage {
  type: "call";
  number: number;
  /** The name, the method or message, and what follows it. */
  request: Uint8Array;
}

/** A cut is made or ended, or a call is answered. */
export interface NodeWorkerDoneMessage {
  type: "done";
  number: number;
  /** `{ ok }` or `{ error }`; only of a call. */
  reply?: Uint8Array | undefined;
}

/** To a node. */
export type NodeWorkerMessage =
  | NodeWorkerBootMessage
  | NodeWorkerShutdownMessage
  | NodeWorkerPartitionMessage
  | NodeWorkerHealMessage
  | NodeWorkerCallMessage;

/** From a node. */
export type NodeWorkerResponse = NodeWorkerReadyMessage | NodeWorkerErrorMessage | NodeWorkerDoneMessage;
