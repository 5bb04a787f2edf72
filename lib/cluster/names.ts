/**
 * Names of actors across the nodes of a cluster.
 *
 * Each node owns a table of its names, which only it changes; every change has the next version. The others hold a copy
 * per owner. A change is applied if it is the next one; otherwise the owner is asked for its whole table. A table is
 * accepted only if it is newer than the copy, so a late one brings nothing back and removal needs no tombstones. The table
 * of a node that leaves the cluster is dropped at once; in its next life it begins anew, because the life is part of the
 * version.
 *
 * Two nodes may take one name at the same time (a race, or a partition). Every node picks the same winner from the same
 * tables: the oldest registration, then the lower node id. The loser's own node takes its entry back and tells
 * (`conflict`).
 *
 * Messages travel as publications of the transport, in order per node. Lookups are answered from the copies.
 */

import { EventEmitter } from "node:events";
import { TransportError } from "../errors.js";
import type { ActorLocation, Registry, Subscription, Transport } from "../kernel/collaborators.js";

const TOPIC = "libeam.names";

interface Entry {
  actorId: string;
  /** When it was registered, ms since the epoch by its owner's clock. */
  since: number;
}

/** The names of one node. */
interface Table {
  /** The life of the owner. */
  life: number;
  version: number;
  entries: Map<string, Entry>;
}

type NamesMessage =
  | { kind: "change"; owner: string; life: number; version: number; name: string; entry: Entry | null }
  | { kind: "table"; owner: string; life: number; version: number; entries: [string, Entry][] }
  | { kind: "want"; owner: string };

/** A name that this node has lost to another one. */
export interface NameConflict {
  name: string;
  /** The actor of this node. */
  actorId: string;
  /** Node of the actor that keeps the name. */
  winner: string;
}

/** Who is told that nodes come and go. */
interface Members {
  on(event: string, listener: (nodeId: string) => void): unknown;
  removeListener(event: string, listener: (nodeId: string) => void): unknown;
}

/** Keeps the tables of all nodes the same. Emits `conflict` with a {@link NameConflict}. See the module's header. */
export class RegistrySync extends EventEmitter {
  private readonly own: Table = { life: Date.now(), version: 0, entries: new Map() };
  private readonly others = new Map<string, Table>();
  private subscription: Subscription | undefined;
  private readonly onJoin = (nodeId: string): void => {
    this.tell(this.wholeTable());
    // It may never have missed this node, and then has no reason to tell its table by itself.
    if (!this.others.has(nodeId)) this.tell({ kind: "want", owner: nodeId });
  };
  private readonly onLeave = (nodeId: string): void => {
    this.others.delete(nodeId);
  };

  constructor(
    private readonly nodeId: string,
    private readonly transport: Transport,
    private readonly cluster: Members,
  ) {
    super();
  }

  /** Begins to listen, and tells the others what is here. */
  async connect(): Promise<void> {
    if (this.subscription !== undefined) return;
    this.subscription = await this.transport.subscribe(TOPIC, (message) => this.receive(message));
    this.cluster.on("member_join", this.onJoin);
    this.cluster.on("member_leave", this.onLeave);
    this.tell(this.wholeTable());
  }

  /** Stops listening and forgets what others have. */
  async disconnect(): Promise<void> {
    this.cluster.removeListener("member_join", this.onJoin);
    this.cluster.removeListener("member_leave", this.onLeave);
    await this.subscription?.unsubscribe();
    this.subscription = undefined;
    this.others.clear();
  }

  /** Takes a name for an actor of this node. A restarted actor keeps its place in time. */
  set(name: string, actorId: string): void {
    const since = this.own.entries.get(name)?.since ?? Date.now();
    this.change(name, { actorId, since });
    this.settle(name);
  }

  /** Gives a name of this node back. */
  delete(name: string): void {
    if (this.own.entries.has(name)) this.change(name, null);
  }

  /** Who has a name. */
  find(name: string): ActorLocation | null {
    let [best, node]: [Entry | undefined, string] = [this.own.entries.get(name), this.nodeId];
    for (const [owner, { entries }] of this.others) {
      const entry = entries.get(name);
      if (entry !== undefined && (best === undefined || isBefore(entry, owner, best, node)))
        [best, node] = [entry, owner];
    }
    return best === undefined ? null : { nodeId: node, actorId: best.actorId };
  }

  /** Names of a node. */
  namesOf(nodeId: string): string[] {
    const table = nodeId === this.nodeId ? this.own : this.others.get(nodeId);
    return [...(table?.entries.keys() ?? [])];
  }

  private change(name: string, entry: Entry | null): void {
    if (entry === null) this.own.entries.delete(name);
    else this.own.entries.set(name, entry);
    const { life } = this.own;
    this.tell({ kind: "change", owner: this.nodeId, life, version: ++this.own.version, name, entry });
  }

  private wholeTable(): NamesMessage {
    const { life, version, entries } = this.own;
    return { kind: "table", owner: this.nodeId, life, version, entries: [...entries] };
  }

  private tell(message: NamesMessage): void {
    // What is lost is noticed by its version, and asked for.
    this.transport.publish(TOPIC, message).catch(() => {});
  }

  private receive(message: NamesMessage): void {
    switch (message?.kind) {
      case "want":
        if (message.owner === this.nodeId) this.tell(this.wholeTable());
        return;
      case "table":
        this.takeTable(message);
        return;
      case "change":
        this.takeChange(message);
    }
  }

  private takeTable({ owner, life, version, entries }: NamesMessage & { kind: "table" }): void {
    const known = this.others.get(owner);
    if (known !== undefined && (life < known.life || (life === known.life && version < known.version))) return;
    this.others.set(owner, { life, version, entries: new Map(entries) });
    for (const [name] of entries) this.settle(name);
  }

  private takeChange({ owner, life, version, name, entry }: NamesMessage & { kind: "change" }): void {
    const known = this.others.get(owner);
    if (known === undefined || life !== known.life || version > known.version + 1) {
      if (known === undefined || life >= known.life) this.tell({ kind: "want", owner });
      return;
    }
    if (version <= known.version) return;
    known.version = version;
    if (entry === null) known.entries.delete(name);
    else known.entries.set(name, entry);
    this.settle(name);
  }

  /** Takes a name of this node back if another node has it by right. */
  private settle(name: string): void {
    const own = this.own.entries.get(name);
    if (own === undefined) return;
    const winner = this.find(name)?.nodeId as string;
    if (winner === this.nodeId) return;
    this.change(name, null);
    this.emit("conflict", { name, actorId: own.actorId, winner } satisfies NameConflict);
  }
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
