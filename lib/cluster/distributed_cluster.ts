/**
 * DistributedCluster: the membership of an actor system, by gossip.
 *
 * It re-emits `member_join` and `member_leave` with the id of the node, and `member_update` with its state. `node_failed`
 * with the id comes before the `member_leave` of a node that has not said goodbye. A node whose event loop is blocked is a
 * member; its state says so. `closing` comes once, when this node begins to shut down, leaves, stops or is superseded.
 */

import { InvalidArgumentError } from "../errors.js";
import type { Cluster, PeerState } from "../kernel/collaborators.js";
import { Emitter } from "../kernel/emitter.js";
import type { EventLoop } from "../kernel/event_loop.js";
import type { ComponentHealth, HealthCheckable } from "../stdlib/health.js";
import { type WaitForClusterOptions, waitForCluster } from "./cluster_ready.js";
import { GossipProtocol } from "./gossip.js";

/** See the module's header. */
export class DistributedCluster extends Emitter implements Cluster, HealthCheckable {
  readonly nodeId: string;
  /** `node_failed` tells of nodes that are lost. */
  readonly detectsFailures = true;
  /** Whether `closing` was told. */
  private closing = false;

  /** @throws InvalidArgumentError */
  constructor(private readonly gossip: GossipProtocol) {
    super("DistributedCluster");
    if (!(gossip instanceof GossipProtocol)) throw new InvalidArgumentError("gossip", "a GossipProtocol", gossip);
    this.nodeId = gossip.getNodeId();
    gossip.on("member_join", ({ id }: PeerState) => this.emit("member_join", id));
    gossip.on("member_leave", ({ id, status }: PeerState) => {
      if (status !== "leaving") this.emit("node_failed", id);
      this.emit("member_leave", id);
    });
    gossip.on("member_update", (peer: PeerState) => this.emit("member_update", peer));
    gossip.on("superseded", () => {
      this._close();
      this.emit("superseded");
    });
  }

  /** @internal The others are told how this node's event loop does. */
  _followLoop(loop: EventLoop): void {
    this.gossip._followLoop(loop);
  }

  /** Opens the sockets and looks for the others. */
  start(): Promise<void> {
    this.closing = false;
    return this.gossip.start();
  }

  /** Ends at once; call `leave` before to say goodbye. */
  stop(): Promise<void> {
    this._close();
    return this.gossip.stop();
  }

  /** Says goodbye: the others drop this node at once instead of waiting for it. For the parameters see GossipProtocol. */
  leave(_broadcastCount?: number, _intervalMs?: number): Promise<void> {
    this._close();
    return this.gossip.leave();
  }

  /** @internal The node begins to end. */
  _close(): void {
    if (this.closing) return;
    this.closing = true;
    this.emit("closing");
  }

  /** Whether this node shuts down, has left or was stopped. */
  isClosing(): boolean {
    return this.closing;
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

  /** Ids of live nodes that have not answered for a while; they have time to contradict. */
  getSuspects(): string[] {
    return this.gossip.getSuspects();
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

  /** Packets of gossip that were not let in: made by strangers, recorded, or sealed with a cookie that is not accepted. */
  get rejectedPackets(): number {
    return this.gossip.rejectedPackets;
  }

  /**
   * Degraded while this node leaves, or another one is under suspicion or hangs. Details: `peerCount`, `peers` (ids, this
   * node first), `suspects` (ids), `loops` (state by id of the nodes whose event loop does not turn), `rejectedPackets`.
   */
  getHealth(): ComponentHealth {
    const states = this.gossip.getLivePeers();
    const peers = states.map(({ id }) => id);
    const suspects = this.getSuspects();
    const loops = Object.fromEntries(states.flatMap(({ id, loop }) => (loop === "ok" ? [] : [[id, loop]])));
    const { rejectedPackets } = this.gossip;
    const details = { peerCount: peers.length, peers, suspects, loops, rejectedPackets };
    if (this.isLeaving()) return { name: "Cluster", status: "degraded", message: "Leaving the cluster", details };
    const others = peers.length - 1;
    const hung = states.filter(({ id, loop }) => id !== this.nodeId && loop === "hung").length;
    const connected = others === 0 ? "Single node cluster" : `Connected to ${others} peer(s)`;
    const troubles = [
      ...(suspects.length > 0 ? [`${suspects.length} under suspicion`] : []),
      ...(hung > 0 ? [`${hung} with a hung event loop`] : []),
    ];
    const status = troubles.length === 0 ? "healthy" : "degraded";
    return { name: "Cluster", status, message: [connected, ...troubles].join(", "), details };
  }

  /**
   * Waits until enough nodes, and all named ones, are members.
   *
   * @throws TimeoutError (TIMEOUT), whose context has `timeoutMs`; SystemShuttingDownError when this node ends.
   */
  waitForMembers(options: WaitForClusterOptions = {}): Promise<void> {
    return waitForCluster(this, options);
  }
}
