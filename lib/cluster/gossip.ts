/**
 * GossipProtocol: who is in the cluster. A handle of the native membership (SWIM with Lifeguard; see
 * docs/design/membership.md), which has its own thread: a blocked event loop is no failure.
 *
 * The native side owns the members; this one keeps a copy that it changes with the news, so that questions are answered
 * without a crossing. News arrive by a bell and are read in order. If some were dropped, the table is read anew.
 *
 * Events: `member_join`, `member_leave` and `member_update` with a {@link PeerState}; `superseded` when another process
 * runs with this node's id and started later, after which this node has stopped gossiping. A node that comes back in a new
 * life leaves and joins. A suspect is a member: it has time to contradict. A node whose event loop is blocked is a member:
 * its `loop` says so, and changes with a `member_update`.
 */

import { randomInt } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { InvalidArgumentError, InvalidOptionError, LibeamError } from "../errors.js";
import type { LoopState, PeerState } from "../kernel/collaborators.js";
import { Emitter } from "../kernel/emitter.js";
import type { EventLoop } from "../kernel/event_loop.js";
import { createLogger } from "../kernel/logger.js";
import {
  type NativeGossip,
  type NativeKey,
  type NativeMember,
  type NativeMemberEvent,
  startGossip,
} from "../kernel/native.js";
import type { OptionNames } from "../kernel/options.js";
import { type EventName, TelemetryEvents, telemetry } from "../kernel/telemetry.js";
import { assertNodeId, assertOptions } from "../kernel/validate.js";
import { checkedPort, ipOf, isHostAndPort, isUnspecified, withPort } from "./addresses.js";
import { decodeFacts, encodeFacts } from "./peer_facts.js";

const log = createLogger("GossipProtocol");

/** How fast and how patient a node is: for tests on one machine, for one data centre, between data centres. */
export type GossipPreset = "fast" | "lan" | "wan";

/** How a node gossips. */
export interface GossipOptions {
  /** Default "lan": a process that ends is known by all within about 2 s, a host within about 3.5 s (10 nodes). */
  preset?: GossipPreset | undefined;
  /** Milliseconds between two rounds; each round probes twice. Replaces the preset's. */
  gossipIntervalMs?: number | undefined;
  /** Accepted for compatibility; nothing has to be cleaned up. */
  cleanupIntervalMs?: number | undefined;
  /** Milliseconds that a silent node has at least. Replaces the preset's. */
  failureTimeoutMs?: number | undefined;
  /** Members that a round of gossip goes to; default 3. */
  gossipFanout?: number | undefined;
  /** `host:port`, or `dns:name:port`; they are tried again until one answers. */
  seedNodes?: string[] | undefined;
}

/** How a node of `createSystem` gossips; its seeds are an option of their own. */
export type GossipConfig = Omit<GossipOptions, "seedNodes">;

/** The names of {@link GossipConfig}. */
export const GOSSIP_NAMES: OptionNames<GossipConfig> = {
  preset: true,
  gossipIntervalMs: true,
  cleanupIntervalMs: true,
  failureTimeoutMs: true,
  gossipFanout: true,
};

/** Where a node gossips. */
export interface GossipUDPConfig {
  /** IP address to listen at; default "0.0.0.0". */
  address?: string | undefined;
  /** Port to listen at; 0 is any free one. */
  port: number;
  /** Seals gossip, unless the protocol was given an authenticator of its own. */
  auth?: GossipKeys | undefined;
}

const SOCKET_NAMES: OptionNames<GossipUDPConfig> = { address: true, port: true, auth: true };

/** Where a node gossips. The sockets are opened by the protocol that uses it. */
export class GossipUDP {
  /** Address to listen at. */
  readonly address: string;
  /** Port to listen at, for datagrams and streams; 0 is any free one. */
  readonly port: number;
  /** @internal What seals gossip, if the protocol is given nothing else. */
  readonly _auth: GossipKeys | undefined;
  /** Nodes that a test has cut off, with their gossip addresses. */
  private readonly blocked = new Map<string, string>();
  private native: NativeGossip | undefined;

  /** @throws InvalidOptionError, InvalidArgumentError */
  constructor(config: number | GossipUDPConfig) {
    const given = typeof config === "number" ? { port: config } : config;
    assertOptions("GossipUDP options", given, SOCKET_NAMES);
    const { address = "0.0.0.0", port, auth } = given as GossipUDPConfig;
    assertKeys(auth);
    this.port = checkedPort("port", port);
    this.address = ipOf("address", address);
    this._auth = auth;
  }

  /** @internal What opens the sockets. */
  get _udp(): GossipUDP {
    return this;
  }

  /** @internal Nodes that are cut off now: the sockets open with these. */
  get _blocked(): { id: string; address: string }[] {
    return [...this.blocked].map(([id, address]) => ({ id, address }));
  }

  /** @internal The sockets are open; undefined when they are closed. */
  _opened(native: NativeGossip | undefined): void {
    this.native = native;
  }

  /** @internal Loses everything to and from a node. */
  _block(nodeId: string, address: string): void {
    this.blocked.set(nodeId, address);
    this.native?.block(nodeId, address);
  }

  /** @internal Ends that, for one node or for all. */
  _unblock(nodeId?: string): void {
    if (nodeId === undefined) this.blocked.clear();
    else this.blocked.delete(nodeId);
    this.native?.unblock(nodeId);
  }
}

/** A {@link GossipUDP}, or what wraps one. */
export interface GossipSockets {
  /** @internal */
  readonly _udp: GossipUDP;
}

/** What seals gossip: an authenticator with keys of the cluster. */
export interface GossipKeys {
  /** @internal Keys, the one that seals first. */
  _gossipKeys(): NativeKey[];
}

function assertKeys(auth: GossipKeys | undefined): void {
  if (auth === undefined || typeof (auth as GossipKeys | null)?._gossipKeys === "function") return;
  throw new InvalidArgumentError("auth", "an authenticator made from a cookie", auth);
}

/** Milliseconds that a farewell may take before the node ends without having heard that it was spread. */
const LEAVE_MS_MAX = 2_000;
const SEED_MAX = 2 ** 47;

/** See the module's header. */
export class GossipProtocol extends Emitter {
  private readonly peers = new Map<string, PeerState>();
  private readonly suspects = new Set<string>();
  /** Of this node; undefined if nobody watches it. */
  private loop: EventLoop | undefined;
  /** Packets that were not let in, as far as it was told. */
  private rejectedTold = 0;
  private readonly facts: { address: string; roles: readonly string[]; metadata: Record<string, string> };
  /** Names this life: when it began, in ms since the epoch by this node's clock. */
  private epoch = Date.now();
  /** The start of this life, under way or done; undefined when it has ended. */
  private started: Promise<void> | undefined;
  /** Whether there was a life before. */
  private hasLived = false;
  private native: NativeGossip | undefined;
  /** The goodbye; undefined if none was said. */
  private farewell: Promise<void> | undefined;
  /** Keys that the native side has. */
  private keyIds: number[] = [];
  private onGone: (() => void) | undefined;
  private readonly udp: GossipUDP;
  /** Undefined if everybody can take part. */
  private readonly auth: GossipKeys | undefined;

  /**
   * @param rpcAddress where this node's transport listens, for the others to know.
   * @param gossipAddress `host:port` under which the others reach this node's gossip; port 0 is the real one.
   * @param auth default that of the sockets; without any, everybody can take part.
   * @throws InvalidArgumentError, InvalidOptionError
   */
  constructor(
    private readonly nodeId: string,
    rpcAddress: string,
    private readonly gossipAddress: string,
    udp: GossipSockets,
    private readonly options: GossipOptions = {},
    auth?: GossipKeys,
    roles: string[] = [],
  ) {
    super("GossipProtocol");
    assertNodeId("node id", nodeId);
    if (!(udp?._udp instanceof GossipUDP)) throw new InvalidArgumentError("udp", "a GossipUDP", udp);
    this.udp = udp._udp;
    assertKeys(auth);
    this.auth = auth ?? this.udp._auth;
    assertGossip(options);
    if (!Array.isArray(roles) || !roles.every((role) => typeof role === "string")) {
      throw new InvalidOptionError("roles", roles, "an array of strings");
    }
    this.facts = { address: rpcAddress, roles: [...roles], metadata: {} };
    encodeFacts(this.facts);
    if (this.auth === undefined) log.warn("Gossip runs without authentication: whoever reaches the port can take part");
  }

  /** Id of this node. */
  getNodeId(): string {
    return this.nodeId;
  }

  /**
   * Opens the sockets and looks for the seeds. A node that has left or was stopped begins another life.
   *
   * @throws LibeamError (GOSSIP_START) if an address cannot be bound, or not be found; it may be tried again
   */
  start(): Promise<void> {
    if (this.started === undefined) {
      if (this.hasLived) this.epoch = Math.max(Date.now(), this.epoch + 1);
      this.hasLived = true;
      this.farewell = undefined;
      const started: Promise<void> = this.open(() => this.started === started);
      this.started = started;
    }
    return this.started;
  }

  private async open(isWanted: () => boolean): Promise<void> {
    try {
      const advertise = await advertisedIp(this.gossipAddress);
      if (isWanted()) this.listen(advertise);
    } catch (error) {
      if (isWanted()) this.started = undefined;
      const { address, port } = this.udp;
      const message = `Gossip of node ${this.nodeId} could not be started: ${(error as Error).message}`;
      throw new LibeamError(message, "GOSSIP_START", { nodeId: this.nodeId, address, port }, { cause: error });
    }
  }

  private listen(advertise: string | undefined): void {
    const { preset = "lan", gossipIntervalMs, failureTimeoutMs, gossipFanout, seedNodes = [] } = this.options;
    const keys = this.auth?._gossipKeys() ?? [];
    this.keyIds = keys.map(({ id }) => id);
    this.native = startGossip(
      {
        id: this.nodeId,
        epoch: this.epoch,
        meta: encodeFacts(this.facts),
        bind: withPort(this.udp.address, this.udp.port),
        ...(advertise === undefined ? {} : { advertise }),
        seeds: seedNodes,
        keys,
        preset,
        ...(gossipIntervalMs === undefined ? {} : { probeIntervalMs: gossipIntervalMs / 2 }),
        ...(failureTimeoutMs === undefined ? {} : { suspicionMs: failureTimeoutMs }),
        ...(gossipFanout === undefined ? {} : { fanout: gossipFanout }),
        seed: randomInt(SEED_MAX),
        blocked: this.udp._blocked,
      },
      () => this.readNews(),
    );
    this.tellLoop();
    this.udp._opened(this.native);
  }

  /** Ends at once, without a goodbye: the others will find out by themselves. */
  async stop(): Promise<void> {
    this.started = undefined;
    this.udp._opened(undefined);
    this.native?.stop();
    this.native = undefined;
    this.peers.clear();
    this.suspects.clear();
    this.onGone?.();
  }

  /** Says goodbye, waits until it is spread, and stops. How often and when it is said goes by the cluster's size, not by these. */
  async leave(_broadcastCount?: number, _intervalMs?: number): Promise<void> {
    if (this.native !== undefined) this.farewell ??= this.sayGoodbye(this.native);
    await (this.farewell ?? this.stop());
  }

  private async sayGoodbye(native: NativeGossip): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const gone = new Promise<void>((resolve) => {
      this.onGone = resolve;
      timer = setTimeout(resolve, LEAVE_MS_MAX);
    });
    native.leave();
    await gone;
    clearTimeout(timer);
    if (this.native === native) await this.stop();
  }

  /** @internal The others are told how this loop does. */
  _followLoop(loop: EventLoop): void {
    this.loop = loop;
    this.tellLoop();
  }

  private tellLoop(): void {
    const watch = this.loop?.watch;
    if (watch !== undefined) this.native?.followLoop(watch);
  }

  /** @internal The authenticator has other keys now. */
  _useKeys(): void {
    const keys = this.auth?._gossipKeys() ?? [];
    const before = this.keyIds;
    this.keyIds = keys.map(({ id }) => id);
    if (this.native === undefined || keys[0] === undefined) return;
    for (const key of keys) if (!before.includes(key.id)) this.native.installKey(key);
    this.native.activateKey(keys[0].id);
    for (const id of before) if (!this.keyIds.includes(id)) this.native.removeKey(id);
  }

  /** Whether this node has said goodbye. */
  isLeaving(): boolean {
    return this.farewell !== undefined;
  }

  /** `ip:port` at which this node's gossip is reached; undefined before the start. */
  get address(): string | undefined {
    return this.native?.address;
  }

  /** This node and all others that live. */
  getLivePeers(): PeerState[] {
    return [this.self(), ...this.peers.values()];
  }

  /** The same; nodes that have left or died are forgotten here. */
  getAllKnownPeers(): PeerState[] {
    return this.getLivePeers();
  }

  /** Ids of live nodes that have not answered for a while and have time to contradict. */
  getSuspects(): string[] {
    return [...this.suspects];
  }

  /** What is known of a node that lives. */
  getPeerState(nodeId: string): PeerState | undefined {
    return nodeId === this.nodeId ? this.self() : this.peers.get(nodeId);
  }

  /** Publishes a fact about this node. @throws InvalidOptionError if all facts together are longer than 512 bytes */
  setMetadata(key: string, value: string): void {
    const metadata = { ...this.facts.metadata, [key]: String(value) };
    const bytes = encodeFacts({ ...this.facts, metadata });
    this.facts.metadata = metadata;
    this.native?.setMeta(bytes);
  }

  /** A fact that this node publishes. */
  getMetadata(key: string): string | undefined {
    return factOf(this.facts.metadata, key);
  }

  /** A fact that a node publishes. */
  getPeerMetadata(nodeId: string, key: string): string | undefined {
    return factOf(this.getPeerState(nodeId)?.metadata, key);
  }

  /** Packets that were not let in, for example because they were sealed with another key. */
  get rejectedPackets(): number {
    return this.native?.rejected() ?? 0;
  }

  private self(): PeerState {
    const gossipAddress = this.native?.address ?? this.gossipAddress;
    const status = this.isLeaving() ? "leaving" : "alive";
    const life = { id: this.nodeId, epoch: this.epoch, incarnation: 0, gossipAddress };
    return peerState(life, this.facts, status, this.loop?.state ?? "ok");
  }

  private readNews(): void {
    const { native } = this;
    if (native === undefined) return;
    const { events, lost, gone, troubles } = native.takeNews();
    for (const { about, what } of troubles) log.warn(what, { nodeId: this.nodeId, peer: about });
    for (const { kind, member } of events) {
      this.told(kind, member);
      if (this.native !== native) return; // Stopped, by whoever was told or by a later process.
    }
    if (lost) this.reread(native);
    this.tellRejected();
    if (gone) this.onGone?.();
  }

  private told(kind: NativeMemberEvent["kind"], member: NativeMember): void {
    const known = this.peers.get(member.id);
    switch (kind) {
      case "up":
        this.joined(member);
        return;
      case "restarted":
        if (known !== undefined) this.left(known, kind);
        this.joined(member);
        return;
      case "left":
      case "dead":
        if (known !== undefined) this.left(known, kind);
        return;
      case "suspect":
        this.suspects.add(member.id);
        this.observe(TelemetryEvents.cluster.suspect, member.id);
        return;
      case "recovered":
        this.suspects.delete(member.id);
        this.observe(TelemetryEvents.cluster.recover, member.id);
        this.update(member);
        return;
      case "updated":
        this.update(member);
        return;
      case "superseded":
        this.superseded();
        return;
    }
  }

  private joined(member: NativeMember): void {
    const peer = stateOf(member);
    this.peers.set(member.id, peer);
    const { address, roles = [] } = peer;
    this.observe(TelemetryEvents.cluster.join, peer.id, { address, roles });
    this.emit("member_join", peer);
  }

  private left(peer: PeerState, reason: "left" | "dead" | "restarted"): void {
    this.peers.delete(peer.id);
    this.suspects.delete(peer.id);
    this.observe(TelemetryEvents.cluster.leave, peer.id, { reason });
    this.emit("member_leave", { ...peer, status: reason === "left" ? "leaving" : "alive" });
  }

  private update(member: NativeMember): void {
    const peer = stateOf(member);
    const before = this.peers.get(member.id)?.loop ?? "ok";
    this.peers.set(member.id, peer);
    const { roles = [], metadata = {}, loop } = peer;
    if (loop !== before) this.observe(TelemetryEvents.cluster.loop, peer.id, { loop, before });
    this.observe(TelemetryEvents.cluster.update, peer.id, { roles, metadata, loop });
    this.emit("member_update", peer);
  }

  private observe(event: EventName, peer_id: string, facts: object = {}): void {
    if (!telemetry.active) return;
    telemetry.execute(event, { members: this.peers.size + 1 }, { node_id: this.nodeId, peer_id, ...facts });
  }

  /** Packets that were not let in: a wrong cookie, a replay, or news for an earlier life of this node. */
  private tellRejected(): void {
    const rejected = this.rejectedPackets;
    const packets = rejected - this.rejectedTold;
    this.rejectedTold = rejected;
    if (packets <= 0 || !telemetry.active) return;
    telemetry.execute(TelemetryEvents.cluster.reject, { packets }, { node_id: this.nodeId });
  }

  /** Some news were dropped: compares with what there is. */
  private reread(native: NativeGossip): void {
    const live = new Map<string, NativeMember>();
    for (const member of native.members()) {
      if (member.status === "alive" || member.status === "suspect") live.set(member.id, member);
    }
    for (const peer of [...this.peers.values()]) {
      const now = live.get(peer.id);
      if (now?.epoch !== peer.generation) this.left(peer, now === undefined ? "dead" : "restarted");
    }
    this.suspects.clear();
    for (const member of live.values()) {
      const known = this.peers.get(member.id);
      if (known === undefined) this.joined(member);
      else if (!saysTheSame(known, stateOf(member))) this.update(member);
      if (member.status === "suspect") this.suspects.add(member.id);
    }
  }

  private superseded(): void {
    log.error(
      "Another process runs with this node's id and started later; this node has left the cluster",
      new LibeamError(`Node ${this.nodeId} is superseded by a later process with its id`, "NODE_SUPERSEDED"),
    );
    void this.stop();
    if (telemetry.active) telemetry.execute(TelemetryEvents.cluster.superseded, {}, { node_id: this.nodeId });
    this.emit("superseded");
  }
}

function assertGossip(options: GossipOptions): void {
  assertOptions("gossip options", options, { ...GOSSIP_NAMES, seedNodes: true } satisfies OptionNames<GossipOptions>);
  const { preset, seedNodes = [] } = options as GossipOptions;
  if (preset !== undefined && !["fast", "lan", "wan"].includes(preset)) {
    throw new InvalidOptionError("preset", preset, '"fast", "lan" or "wan"');
  }
  for (const name of ["gossipIntervalMs", "failureTimeoutMs", "gossipFanout"] as const) {
    const value = (options as GossipOptions)[name];
    if (value === undefined || (Number.isFinite(value) && value > 0)) continue;
    throw new InvalidOptionError(name, value, "a number above 0");
  }
  if (!Array.isArray(seedNodes)) throw new InvalidOptionError("seedNodes", seedNodes, "an array of addresses");
  for (const seed of seedNodes) {
    if (typeof seed === "string" && isHostAndPort(seed.replace(/^dns:/, ""))) continue;
    throw new InvalidOptionError("seedNodes", seed, '"host:port" or "dns:name:port"');
  }
}

/** The address that the others are told; undefined for the one that is listened at. */
async function advertisedIp(gossipAddress: string): Promise<string | undefined> {
  const host = gossipAddress.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  if (host === "" || isUnspecified(host)) return undefined;
  return isIP(host) === 0 ? (await lookup(host)).address : host;
}

function stateOf(member: NativeMember): PeerState {
  const life = { ...member, gossipAddress: member.address };
  return peerState(life, decodeFacts(member.meta), "alive", member.eventLoop);
}

function factOf(metadata: Readonly<Record<string, string>> = {}, key: string): string | undefined {
  return Object.hasOwn(metadata, key) ? metadata[key] : undefined;
}

/** Whether two states differ in nothing but when they were heard of. */
function saysTheSame(one: PeerState, other: PeerState): boolean {
  return isDeepStrictEqual({ ...one, lastUpdated: 0 }, { ...other, lastUpdated: 0 });
}

function peerState(
  life: { id: string; epoch: number; incarnation: number; gossipAddress: string },
  { address, roles, metadata }: ReturnType<typeof decodeFacts>,
  status: "alive" | "leaving",
  loop: LoopState,
): PeerState {
  return {
    id: life.id,
    address,
    heartbeat: life.incarnation,
    generation: life.epoch,
    gossipAddress: life.gossipAddress,
    lastUpdated: Date.now(),
    status,
    loop,
    ...(roles.length > 0 ? { roles: [...roles] } : {}),
    ...(Object.keys(metadata).length > 0 ? { metadata: { ...metadata } } : {}),
  };
}
