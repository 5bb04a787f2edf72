/**
 * DistributedCluster: the membership of an actor system, by gossip.
 *
 * It re-emits `member_join` and `member_leave` with the id of the node, and `member_update` with its state.
 */

import { EventEmitter } from "node:events";
import { InvalidArgumentError } from "../errors.js";
import type { Cluster, PeerState } from "../kernel/collaborators.js";
import type { ComponentHealth, HealthCheckable } from "../stdlib/health.js";
import { type WaitForClusterOptions, waitForCluster } from "./cluster_ready.js";
import { GossipProtocol } from "./gossip.js";

/** See the module's header. */
export class DistributedCluster extends EventEmitter implements Cluster, HealthCheckable {
  readonly nodeId: string;

  /** @throws InvalidArgumentError */
  constructor(private readonly gossip: GossipProtocol) {
    super();
    if (!(gossip instanceof GossipProtocol)) throw new InvalidArgumentError("gossip", "a GossipProtocol", gossip);
    this.nodeId = gossip.getNodeId();
    gossip.on("member_join", ({ id }: PeerState) => this.emit("member_join", id));
    gossip.on("member_leave", ({ id }: PeerState) => this.emit("member_leave", id));
    gossip.on("member_update", (peer: PeerState) => this.emit("member_update", peer));
    gossip.on("superseded", () => this.emit("superseded"));
  }

  /** Opens the sockets and looks for the others. */
  start(): Promise<void> {
    return this.gossip.start();
  }

  /** Ends at once; call `leave` before to say goodbye. */
  stop(): Promise<void> {
    return this.gossip.stop();
  }

  /** Says goodbye: the others drop this node at once instead of waiting for it. */
  leave(): Promise<void> {
    return this.gossip.leave();
  }

  /** Whether this node has said goodbye. */
  isLeaving(): boolean {
    return this.gossip.isLeaving();
  }

  /** Ids of all live nodes, this one first. */
  getMembers(): string[] {
    return this.gossip.getLivePeers().map(({ id }) => id);
  }

  /** All live nodes, this one first. */
  getLivePeers(): PeerState[] {
    return this.gossip.getLivePeers();
  }

  /** What is known of a node; undefined if it does not live. */
  getPeerState(nodeId: string): PeerState | undefined {
    return this.gossip.getPeerState(nodeId);
  }

  /** Ids of the live nodes with a role. */
  getMembersByRole(role: string): string[] {
    const peers = this.gossip.getLivePeers();
    return peers.filter(({ roles }) => roles?.includes(role)).map(({ id }) => id);
  }

  /** Publishes a fact about this node. @throws InvalidOptionError if all facts together are too long */
  setMetadata(key: string, value: string): void {
    this.gossip.setMetadata(key, value);
  }

  /** A fact that a node publishes. */
  getMetadata(nodeId: string, key: string): string | undefined {
    return this.gossip.getPeerMetadata(nodeId, key);
  }

  /** Degraded while this node leaves. */
  getHealth(): ComponentHealth {
    const peers = this.getMembers();
    const details = { peerCount: peers.length, peers };
    if (this.isLeaving()) return { name: "Cluster", status: "degraded", message: "Leaving the cluster", details };
    const others = peers.length - 1;
    const message = others === 0 ? "Single node cluster" : `Connected to ${others} peer(s)`;
    return { name: "Cluster", status: "healthy", message, details };
  }

  /**
   * Waits until enough nodes, and all named ones, are members.
   *
   * @throws TimeoutError (TIMEOUT); its context has `timeoutMs`.
   */
  waitForMembers(options: WaitForClusterOptions = {}): Promise<void> {
    return waitForCluster(this, options);
  }
}
