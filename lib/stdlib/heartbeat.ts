/**
 * HeartbeatManager: which nodes have failed, for those who ask for it by this name.
 *
 * With a cluster that finds out by itself (`Cluster.detectsFailures`: native membership does) it asks nobody anything: it
 * shows what membership knows and passes its `node_failed` on. A node whose event loop is blocked cannot answer a question
 * and has not failed, so a question would be the wrong way to find out.
 *
 * With any other cluster it asks: a `heartbeat:ping` to each node per interval, over the transport. An answer, however late,
 * makes good for everything before it; a node that has not answered when `maxMissedHeartbeats` further rounds have come has
 * failed and is forgotten. Nodes come and go with the cluster's `member_join` and `member_leave`; one that says goodbye does not fail.
 *
 * Events: `node_failed` with the id of the node, once. Timers do not keep the process up.
 */

import { InvalidArgumentError, InvalidOptionError } from "../errors.js";
import type { Cluster, ClusterPeer, Transport } from "../kernel/collaborators.js";
import { Emitter } from "../kernel/emitter.js";
import { defined, type SomeOf } from "../kernel/options.js";
import { assertName, assertOptions, assertPart } from "../kernel/validate.js";

/** How nodes are asked. */
export interface HeartbeatConfig {
  /** Default true; otherwise `start` does nothing. */
  enabled: boolean;
  /** From one round to the next, in milliseconds; default 1000. */
  intervalMs: number;
  /** How long the transport waits for an answer, in milliseconds; default 2000. */
  timeoutMs: number;
  /** Rounds without an answer after which a node has failed; default 3. */
  maxMissedHeartbeats: number;
  /** Spreads the questions of a round over the interval; default true. */
  staggerPings: boolean;
}

/** What is used where nothing is said. */
export const DEFAULT_HEARTBEAT_CONFIG: Readonly<HeartbeatConfig> = Object.freeze({
  enabled: true,
  intervalMs: 1_000,
  timeoutMs: 2_000,
  maxMissedHeartbeats: 3,
  staggerPings: true,
});

/** A question. */
export interface HeartbeatPing {
  type: "heartbeat:ping";
  /** When it was asked, ms since the epoch by the clock of who asks. */
  timestamp: number;
  senderId: string;
}

/** The answer to it. */
export interface HeartbeatPong {
  type: "heartbeat:pong";
  /** That of the question. */
  timestamp: number;
  responderId: string;
}

/** What is known of a node. */
export interface HeartbeatPeerState {
  nodeId: string;
  /** Rounds that it has not answered; for a cluster that finds out by itself 1 while a node is under suspicion. */
  missedCount: number;
  /** Whether it has yet to answer. */
  pendingPing: boolean;
  /** When it answered last, ms since the epoch; undefined if it has not, or was not asked. */
  lastPongAt?: number | undefined;
}

/** Whether a message is a question of a HeartbeatManager. */
export function isHeartbeatPing(message: unknown): message is HeartbeatPing {
  return (message as HeartbeatPing | null | undefined)?.type === "heartbeat:ping";
}

/** The answer of a node. */
export function pongOf(ping: HeartbeatPing, nodeId: string): HeartbeatPong {
  return { type: "heartbeat:pong", timestamp: ping.timestamp, responderId: nodeId };
}

type Member = string | ClusterPeer;

/** See the module's header. */
export class HeartbeatManager extends Emitter {
  private readonly config: HeartbeatConfig;
  /** Nodes that are asked. */
  private readonly peers = new Map<string, HeartbeatPeerState>();
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private rounds: ReturnType<typeof setInterval> | undefined;
  private running = false;
  private readonly onJoin = (member: Member): void => this.track(idOf(member));
  private readonly onLeave = (member: Member): void => void this.peers.delete(idOf(member));
  private readonly onFailed = (nodeId: string): void => void this.emit("node_failed", nodeId);

  /** @throws InvalidArgumentError, InvalidOptionError */
  constructor(
    private readonly nodeId: string,
    private readonly transport: Transport,
    private readonly cluster: Cluster,
    config: SomeOf<HeartbeatConfig> = {},
  ) {
    super("HeartbeatManager");
    assertName("node id", nodeId);
    for (const [what, part] of Object.entries({ transport, cluster })) {
      if (part === null || typeof part !== "object") throw new InvalidArgumentError(what, "an object", part);
    }
    this.config = merged(config);
  }

  /** Whether it runs. */
  isRunning(): boolean {
    return this.running;
  }

  /** Starts; the first round is asked at once. Does nothing if it runs, or is not enabled. */
  async start(): Promise<void> {
    if (this.running || !this.config.enabled) return;
    this.running = true;
    if (this.cluster.detectsFailures === true) {
      this.cluster.on?.("node_failed", this.onFailed);
      return;
    }
    this.cluster.on?.("member_join", this.onJoin);
    this.cluster.on?.("member_leave", this.onLeave);
    for (const { id, status } of this.members()) if (status !== "leaving") this.track(id);
    this.round();
    this.rounds = setInterval(() => this.round(), this.config.intervalMs);
    this.rounds.unref?.();
  }

  /** Stops and forgets everything. */
  async stop(): Promise<void> {
    this.running = false;
    clearInterval(this.rounds);
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.peers.clear();
    this.cluster.removeListener?.("node_failed", this.onFailed);
    this.cluster.removeListener?.("member_join", this.onJoin);
    this.cluster.removeListener?.("member_leave", this.onLeave);
  }

  /** Answers a question of another node. */
  handlePing(ping: HeartbeatPing): HeartbeatPong {
    assertPart("ping", ping);
    return pongOf(ping, this.nodeId);
  }

  /** What is known of a node; undefined if it is not tracked. */
  getPeerState(nodeId: string): HeartbeatPeerState | undefined {
    if (this.cluster.detectsFailures !== true) {
      const peer = this.peers.get(nodeId);
      return peer === undefined ? undefined : { ...peer };
    }
    if (!this.getTrackedPeers().includes(nodeId)) return undefined;
    const suspected = this.cluster.getSuspects?.().includes(nodeId) ?? false;
    return { nodeId, missedCount: suspected ? 1 : 0, pendingPing: suspected };
  }

  /** Ids of the nodes that are watched over. */
  getTrackedPeers(): string[] {
    if (this.cluster.detectsFailures !== true) return [...this.peers.keys()];
    return this.running ? this.cluster.getMembers().filter((id) => id !== this.nodeId) : [];
  }

  private members(): ClusterPeer[] {
    return this.cluster.getLivePeers?.() ?? this.cluster.getMembers().map((id) => ({ id }));
  }

  private track(nodeId: string): void {
    if (nodeId === this.nodeId || this.peers.has(nodeId)) return;
    this.peers.set(nodeId, { nodeId, missedCount: 0, pendingPing: false });
  }

  private round(): void {
    const { staggerPings, intervalMs } = this.config;
    const peers = [...this.peers.values()];
    for (const [at, peer] of peers.entries()) {
      if (staggerPings) this.later((at * intervalMs) / peers.length, () => this.check(peer));
      else this.check(peer);
    }
  }

  private later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      run();
    }, ms);
    timer.unref?.();
    this.timers.add(timer);
  }

  /** Counts a question without an answer, and asks the next one. */
  private check(peer: HeartbeatPeerState): void {
    if (this.peers.get(peer.nodeId) !== peer) return; // It has left since the round began.
    if (peer.pendingPing && ++peer.missedCount >= this.config.maxMissedHeartbeats) {
      this.failed(peer.nodeId);
      return;
    }
    peer.pendingPing = true;
    const ping: HeartbeatPing = { type: "heartbeat:ping", timestamp: Date.now(), senderId: this.nodeId };
    this.ask(peer, ping).catch(() => {}); // It has not answered; the next round counts it.
  }

  private async ask(peer: HeartbeatPeerState, ping: HeartbeatPing): Promise<void> {
    await this.transport.request(peer.nodeId, ping, this.config.timeoutMs);
    peer.missedCount = 0;
    peer.pendingPing = false;
    peer.lastPongAt = Date.now();
  }

  private failed(nodeId: string): void {
    this.peers.delete(nodeId);
    const leaving = this.members().some(({ id, status }) => id === nodeId && status === "leaving");
    if (!leaving) this.emit("node_failed", nodeId);
  }
}

function idOf(member: Member): string {
  return typeof member === "string" ? member : member.id;
}

function merged(config: SomeOf<HeartbeatConfig>): HeartbeatConfig {
  assertOptions("heartbeat", config, DEFAULT_HEARTBEAT_CONFIG);
  const all: HeartbeatConfig = { ...DEFAULT_HEARTBEAT_CONFIG, ...defined(config) };
  for (const name of ["intervalMs", "timeoutMs", "maxMissedHeartbeats"] as const) {
    if (Number.isFinite(all[name]) && all[name] > 0) continue;
    throw new InvalidOptionError(`heartbeat.${name}`, all[name], "a number above 0");
  }
  return all;
}
