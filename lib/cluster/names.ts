/**
 * Names of actors across the nodes of a cluster.
 *
 * The names of a node are its table in an owner log (stdlib/remote/owner_log.ts), which keeps a copy of it on every other
 * node; lookups are answered from the copies.
 *
 * Two nodes may take one name at the same time (a race, or a partition). Every node picks the same winner from the same
 * tables: the oldest registration, then the lower node id. The loser's own node takes its entry back and tells
 * (`conflict`).
 */

import { EventEmitter } from "node:events";
import { TransportError } from "../errors.js";
import type { ActorLocation, Registry, Transport } from "../kernel/collaborators.js";
import { type Members, OwnerLog } from "../stdlib/remote/owner_log.js";

const TOPIC = "libeam.names";

interface Entry {
  actorId: string;
  /** When it was registered, ms since the epoch by its owner's clock. */
  since: number;
}

/** A name that this node has lost to another one. */
export interface NameConflict {
  name: string;
  /** The actor of this node. */
  actorId: string;
  /** Node of the actor that keeps the name. */
  winner: string;
}

/** Keeps the names of all nodes. Emits `conflict` with a {@link NameConflict}. See the module's header. */
export class RegistrySync extends EventEmitter {
  private readonly log: OwnerLog<Entry>;

  constructor(
    private readonly nodeId: string,
    transport: Transport,
    cluster: Members,
  ) {
    super();
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
    });
  }

  /** Begins to listen, and tells the others what is here. */
  connect(): Promise<void> {
    return this.log.connect();
  }

  /** Stops listening and forgets what others have. */
  disconnect(): Promise<void> {
    return this.log.disconnect();
  }

  /** Takes a name for an actor of this node. A restarted actor keeps its place in time. */
  set(name: string, actorId: string): void {
    const since = this.log.entries.get(name)?.since ?? Date.now();
    this.log.set(name, { actorId, since });
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

  /** Takes a name of this node back if another node has it by right. */
  private settle(name: string): void {
    const own = this.log.entries.get(name);
    if (own === undefined) return;
    const winner = this.find(name)?.nodeId as string;
    if (winner === this.nodeId) return;
    this.log.delete(name);
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

/** The registry of one node of a cluster. */
export class DistributedRegistry implements Registry {
  constructor(
    private readonly nodeId: string,
    private readonly sync: RegistrySync,
  ) {}

  /** @throws TransportError (as a rejection) for an actor of another node: names are registered where the actor is. */
  async register(name: string, nodeId: string, actorId: string): Promise<void> {
    if (nodeId !== this.nodeId) throw new TransportError("A name is registered by the node of its actor", nodeId);
    this.sync.set(name, actorId);
  }

  async unregister(name: string): Promise<void> {
    this.sync.delete(name);
  }

  async lookup(name: string): Promise<ActorLocation | null> {
    return this.sync.find(name);
  }

  async getNodeActors(nodeId: string): Promise<string[]> {
    return this.sync.namesOf(nodeId);
  }

  connect(): Promise<void> {
    return this.sync.connect();
  }

  disconnect(): Promise<void> {
    return this.sync.disconnect();
  }
}
