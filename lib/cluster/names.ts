/**
 * Names of actors across the nodes of a cluster.
 *
 * The names of a node are its table in an owner log (stdlib/remote/owner_log.ts), which keeps a copy of it on every other
 * node; lookups are answered from the copies.
 *
 * Two nodes may take one name at the same time (a race, or a partition). Every node picks the same winner from the same
 * tables: the oldest registration, then the lower node id. The loser's own node takes its entry back and tells
 * (`conflict`).
 *
 * A node that was given up and has not noticed registers its names anew when it hears of that: they were free meanwhile.
 */

import { InvalidArgumentError, TransportError } from "../errors.js";
import type { ActorLocation, NameConflict, NameReservation, Registry, Transport } from "../kernel/collaborators.js";
import { Emitter } from "../kernel/emitter.js";
import { createLogger } from "../kernel/logger.js";
import { TelemetryEvents, telemetry } from "../kernel/telemetry.js";
import { assertFunction, assertName, assertNonNegativeMs, assertPart } from "../kernel/validate.js";
import { type Members, OwnerLog } from "../stdlib/remote/owner_log.js";
import { type Grant, NameHomes } from "./name_homes.js";

const TOPIC = "libeam.names";
/** Life of a reservation that names none, in ms. */
const RESERVATION_TTL_MS = 30_000;

interface Entry {
  actorId: string;
  /** When it was registered, ms since the epoch by its owner's clock. */
  since: number;
  /** Whoever registered it has said since when, and that stays so. */
  isFixed?: boolean;
}

/** Keeps the names of all nodes. Emits `conflict` with a {@link NameConflict}. See the module's header. */
export class RegistrySync extends Emitter {
  private readonly log: OwnerLog<Entry>;
  /** @internal Who may take a name next. */
  readonly _homes: NameHomes;
  /** Resolves when it listens; undefined while it does not. */
  private connected: Promise<void> | undefined;

  constructor(
    private readonly nodeId: string,
    transport: Transport,
    cluster: Members,
  ) {
    super("RegistrySync");
    assertName("node id", nodeId);
    assertPart("transport", transport);
    assertPart("cluster", cluster);
    this.log = new OwnerLog<Entry>({
      topic: TOPIC,
      nodeId,
      transport,
      cluster,
      isEntry,
      changed: (_owner, name) => this.settle(name),
      replaced: (_owner, entries) => {
        for (const name of entries.keys()) this.settle(name);
      },
      lostBy: (_node, now) => this.renew(now),
    });
    this._homes = new NameHomes({ nodeId, transport, cluster, find: (name) => this.find(name) });
  }

  /** Begins to listen, and tells the others what is here. Does nothing if it has begun. */
  connect(): Promise<void> {
    this.connected ??= this.listen();
    return this.connected;
  }

  private async listen(): Promise<void> {
    try {
      await this.log.connect();
      await this._homes.connect();
    } catch (error) {
      this.connected = undefined;
      throw error;
    }
  }

  /** Stops listening and forgets what others have. */
  async disconnect(): Promise<void> {
    await this.connected?.catch(() => {}); // Whoever connected has been told.
    this.connected = undefined;
    await this._homes.disconnect();
    await this.log.disconnect();
  }

  /** Takes a name for an actor of this node, whose it is since then. A restarted actor keeps its place in time. */
  set(name: string, actorId: string, since?: number): void {
    const right =
      this.log.entries.get(name) ?? (since === undefined ? { since: Date.now() } : { since, isFixed: true });
    this.log.set(name, { ...right, actorId });
    this.settle(name);
  }

  /** Gives a name of this node back. */
  delete(name: string): void {
    this.log.delete(name);
  }

  /** Who has a name. */
  find(name: string): ActorLocation | null {
    let [best, node]: [Entry | undefined, string] = [this.log.entries.get(name), this.nodeId];
    for (const [owner, entries] of this.log.copies()) {
      const entry = entries.get(name);
      if (entry !== undefined && (best === undefined || isBefore(entry, owner, best, node)))
        [best, node] = [entry, owner];
    }
    return best === undefined ? null : { nodeId: node, actorId: best.actorId };
  }

  /** Names of a node. */
  namesOf(nodeId: string): string[] {
    const entries = nodeId === this.nodeId ? this.log.entries : this.log.entriesOf(nodeId);
    return [...(entries?.keys() ?? [])];
  }

  /**
   * The names of this node were free for others: whoever has taken one meanwhile was first, unless it was said since when
   * the name is its actor's.
   *
   * @param now the time where that is known.
   */
  private renew(now: number): void {
    const since = Math.max(Date.now(), now);
    this.log.renew((entry) => (entry.isFixed ? entry : { ...entry, since }));
    for (const name of [...this.log.entries.keys()]) this.settle(name);
  }

  /** Takes a name of this node back if another node has it by right. */
  private settle(name: string): void {
    const own = this.log.entries.get(name);
    if (own === undefined) return;
    const winner = this.find(name)?.nodeId as string;
    if (winner === this.nodeId) return;
    this.log.delete(name);
    if (telemetry.active) {
      const facts = { node_id: this.nodeId, name, actor_id: own.actorId, winner };
      telemetry.execute(TelemetryEvents.cluster.nameConflict, {}, facts);
    }
    this.emit("conflict", { name, actorId: own.actorId, winner } satisfies NameConflict);
  }
}

function isEntry(value: unknown): value is Entry {
  if (value === null || typeof value !== "object") return false;
  const { actorId, since } = value as Partial<Entry>;
  return typeof actorId === "string" && Number.isFinite(since);
}

/** Whether one registration has the better right to a name: it is older, or its node's id is lower. */
function isBefore(entry: Entry, owner: string, other: Entry, otherOwner: string): boolean {
  return entry.since === other.since ? owner < otherOwner : entry.since < other.since;
}

/** A name that this node holds at its home. */
interface Held extends Grant {
  name: string;
  /** By `performance.now()`; no later than the home's own time. */
  expiresAtMs: number;
}

/** The registry of one node of a cluster. It connects by itself; `connect` waits for that, or connects again. */
export class DistributedRegistry implements Registry {
  /** Reservations of this node that are neither confirmed nor released. */
  private readonly held = new Map<string, Held>();

  constructor(
    private readonly nodeId: string,
    private readonly sync: RegistrySync,
  ) {
    assertName("node id", nodeId);
    const { connect, on } = ((sync as RegistrySync | null) ?? {}) as Partial<RegistrySync>;
    if (typeof connect !== "function" || typeof on !== "function") {
      throw new InvalidArgumentError("registry sync", "a RegistrySync", sync);
    }
    // Before anybody joins and tells: names that are only looked up here come unasked.
    this.connect().catch((error) =>
      createLogger("DistributedRegistry", nodeId).error("Names are not exchanged", error),
    );
  }

  /** @throws TransportError (as a rejection) for an actor of another node: names are registered where the actor is. */
  async register(name: string, nodeId: string, actorId: string, since?: number): Promise<void> {
    if (nodeId !== this.nodeId) throw new TransportError("A name is registered by the node of its actor", nodeId);
    this.sync.set(name, actorId, since);
  }

  async unregister(name: string): Promise<void> {
    this.sync.delete(name);
  }

  onConflict(handler: (conflict: NameConflict) => void): void {
    assertFunction("conflict handler", handler);
    this.sync.on("conflict", handler);
  }

  async lookup(name: string): Promise<ActorLocation | null> {
    return this.sync.find(name);
  }

  async getNodeActors(nodeId: string): Promise<string[]> {
    return this.sync.namesOf(nodeId);
  }

  /**
   * Holds a name at its home node for `ttlMs` (default 30 000 ms); null while another reservation holds it. `holder` is who
   * has the name as far as the home knows.
   *
   * @throws InvalidArgumentError, InvalidOptionError, TransportError, and TimeoutError or NodeDownError if the home does not
   * answer (all as rejections).
   */
  async reserveName(name: string, nodeId: string, ttlMs = RESERVATION_TTL_MS): Promise<NameReservation | null> {
    assertName("actor name", name);
    assertNonNegativeMs("ttlMs", ttlMs);
    if (nodeId !== this.nodeId) throw new TransportError("A name is reserved by the node of its actor", nodeId);
    const expiresAtMs = performance.now() + ttlMs;
    const grant = await this.sync._homes.reserve(name, ttlMs);
    if (grant === null) return null;
    for (const [id, held] of this.held) if (performance.now() >= held.expiresAtMs) this.held.delete(id);
    this.held.set(grant.reservationId, { ...grant, name, expiresAtMs });
    return { reservationId: grant.reservationId, holder: grant.holder };
  }

  /** Registers a reserved name; false, and no change, if the reservation is gone or another node has the name. */
  async confirmReservation(reservationId: string, actorId: string): Promise<boolean> {
    const held = this.held.get(reservationId);
    if (held === undefined) return false;
    const holder = this.sync.find(held.name);
    const free = performance.now() < held.expiresAtMs && (holder === null || holder.nodeId === this.nodeId);
    if (free) this.sync.set(held.name, actorId);
    // Behind the registration: the home has seen that before it grants the name again.
    await this.releaseReservation(reservationId);
    return free;
  }

  /** Gives a reservation back; unknown ids are ignored. */
  async releaseReservation(reservationId: string): Promise<void> {
    const held = this.held.get(reservationId);
    this.held.delete(reservationId);
    if (held !== undefined) this.sync._homes.release(held);
  }

  connect(): Promise<void> {
    return this.sync.connect();
  }

  disconnect(): Promise<void> {
    return this.sync.disconnect();
  }
}
