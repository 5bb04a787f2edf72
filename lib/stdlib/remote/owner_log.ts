/**
 * What each node of a cluster has, known on all of them: names, memberships of groups.
 *
 * Each node owns one table, and only it changes that table; every change has the next version. The others hold a copy per
 * owner. A copy is always a prefix of its owner's history, so removal needs no tombstone and what arrives late changes
 * nothing: a lower version loses.
 *
 * # Messages (publications of a topic; those for one node go to it alone if the transport can)
 * - `change`: one entry is set or removed. Applied if it is the next version; if it is later, the owner is asked.
 * - `version`: how far a table is. To everybody at the start and every EXCHANGE_MS, and to a node that joins; with `reply`
 *   the receiver tells its own. Who is behind asks the owner.
 * - `want`: asks an owner for its table.
 * - `table`: one part of the answer, of at most PART_ENTRIES entries. The copy is replaced when the last part is here.
 * - `lost`: to one that had been given up and is a member again (losses.ts), with the time where that is said; `heard`: its
 *   answer, with the count of losses.
 *
 * # Lives
 * A node that starts again begins another life with an empty table; the copy of an earlier life goes at the first word of
 * a later one. When membership says that a node is gone its copy goes at once, and nothing more is taken from it until it
 * joins again. If it only seemed to be gone it is told so first: its table is taken again when it has answered, or with its
 * next life. Before it answers it can renew its entries (`lostBy`), if it has not lost the other one as well.
 *
 * # Failure
 * A message that is lost is noticed by its version, at the latest at the next exchange; one that makes no sense is dropped.
 * Limits: ENTRIES_MAX per owner, OWNERS_MAX owners. `set` refuses at the first; beyond them nothing is taken from others.
 *
 * Deliberately absent: writes on behalf of another node, agreement, and what entries mean.
 */

import { LibeamError } from "../../errors.js";
import type { Subscription, Transport } from "../../kernel/collaborators.js";
import { isTag, Losses, type LossTag, microsSinceEpoch } from "./losses.js";

/** Time between two exchanges of versions, in milliseconds. */
const EXCHANGE_MS = 2_000;
/** Entries of one message at most; with the longest names it stays below a frame of 16 MiB. */
const PART_ENTRIES = 4_096;
/** Entries of one node at most. */
const ENTRIES_MAX = 1_048_576;
/** Nodes whose tables are held at most. */
const OWNERS_MAX = 4_096;

type Entries<E> = Map<string, E>;

/** What one node has. */
interface Table<E> {
  /** When the owner's life began, µs since the epoch by its clock. */
  life: number;
  /** Changes so far. */
  version: number;
  entries: Entries<E>;
}

/** A table of which some parts are here. */
interface Arriving<E> extends Table<E> {
  /** Number of the part that comes next. */
  next: number;
}

type LogMessage<E> =
  | { kind: "version"; owner: string; life: number; version: number; reply: boolean }
  | { kind: "change"; owner: string; life: number; version: number; key: string; entry: E | null }
  | { kind: "table"; owner: string; life: number; version: number; part: number; parts: number; entries: [string, E][] }
  | { kind: "want"; owner: string; from: string }
  | { kind: "lost"; owner: string; from: string; tag: LossTag; now?: number }
  | { kind: "heard"; owner: string; to: string; life: number; version: number; count: number };

type MessageOf<E, Kind extends LogMessage<E>["kind"]> = Extract<LogMessage<E>, { kind: Kind }>;

/** Who tells that nodes come and go. */
export interface Members {
  getMembers?(): string[];
  on?(event: string, listener: (nodeId: string) => void): unknown;
  removeListener?(event: string, listener: (nodeId: string) => void): unknown;
}

/** Where a log is, and who is told of what other nodes do. */
export interface OwnerLogOptions<E> {
  topic: string;
  nodeId: string;
  transport: Transport;
  cluster: Members;
  /** Whether something is an entry; what is none was made up by somebody else. */
  isEntry(value: unknown): value is E;
  /** One entry of another node has changed; undefined: it is gone. */
  changed(owner: string, key: string, entry: E | undefined): void;
  /** All entries of another node are others now; none if it is gone. */
  replaced(owner: string, entries: ReadonlyMap<string, E>): void;
  /**
   * Another node had given this one up, which has not noticed; here it may renew its entries. `now` is the time there, ms
   * since the epoch: the clock of a node that stood still may have stood still as well.
   */
  lostBy?(node: string, now: number): void;
}

/** See the module's header. */
export class OwnerLog<E> {
  private readonly own: Table<E> = { life: microsSinceEpoch(), version: 0, entries: new Map() };
  private readonly others = new Map<string, Table<E>>();
  private readonly arriving = new Map<string, Arriving<E>>();
  /** Owners that were asked for their table and have not sent it. */
  private readonly asked = new Set<string>();
  /** Nodes that are no members any more. */
  private readonly left = new Set<string>();
  /** Members that were given up and have not answered that yet, with the life that was given up. */
  private readonly doubtful = new Map<string, number>();
  private readonly losses = new Losses(this.own.life);
  private subscription: Subscription | undefined;
  private timer: ReturnType<typeof setInterval> | undefined;

  private readonly onJoin = (nodeId: string): void => {
    if (nodeId === this.options.nodeId) return;
    const life = this.losses.lifeOf(nodeId);
    const wasLost = this.left.delete(nodeId) && this.losses.countOf(nodeId) > 0;
    if (wasLost && life !== undefined) {
      this.doubtful.set(nodeId, life);
      this.tellLoss(nodeId);
    }
    this.asked.delete(nodeId);
    this.tell(this.versionMessage(true), nodeId);
  };

  private readonly onLeave = (nodeId: string): void => {
    this.left.add(nodeId);
    this.doubtful.delete(nodeId);
    this.losses.lose(nodeId);
    this.drop(nodeId);
  };

  constructor(private readonly options: OwnerLogOptions<E>) {}

  /** Begins to listen, and tells the others how far this node is. */
  async connect(): Promise<void> {
    if (this.subscription !== undefined) return;
    const { transport, topic, cluster } = this.options;
    this.subscription = await transport.subscribe(topic, (message) => this.receive(message));
    cluster.on?.("member_join", this.onJoin);
    cluster.on?.("member_leave", this.onLeave);
    this.tell(this.versionMessage(true));
    if (this.own.version > 0) this.keepExchanging();
  }

  /** Stops listening and forgets what others have. */
  async disconnect(): Promise<void> {
    const { cluster } = this.options;
    cluster.removeListener?.("member_join", this.onJoin);
    cluster.removeListener?.("member_leave", this.onLeave);
    clearInterval(this.timer);
    this.timer = undefined;
    const { subscription } = this;
    this.subscription = undefined;
    for (const owner of [...this.others.keys()]) this.drop(owner);
    this.left.clear();
    this.doubtful.clear();
    await subscription?.unsubscribe();
  }

  /** What this node has, in the order in which it was first set. */
  get entries(): ReadonlyMap<string, E> {
    return this.own.entries;
  }

  /** What the other nodes have. */
  *copies(): IterableIterator<[owner: string, entries: ReadonlyMap<string, E>]> {
    for (const [owner, { entries }] of this.others) yield [owner, entries];
  }

  /** What another node has. */
  entriesOf(owner: string): ReadonlyMap<string, E> | undefined {
    return this.others.get(owner)?.entries;
  }

  /** Sets an entry of this node; one that there is keeps its place. @throws LibeamError (ENTRY_LIMIT) */
  set(key: string, entry: E): void {
    if (this.own.entries.size >= ENTRIES_MAX && !this.own.entries.has(key)) {
      throw new LibeamError(`Nothing was added: this node has ${ENTRIES_MAX} entries already`, "ENTRY_LIMIT", {
        topic: this.options.topic,
      });
    }
    this.own.entries.set(key, entry);
    this.tellChange(key, entry);
  }

  /** Removes an entry of this node; unknown ones are ignored. */
  delete(key: string): void {
    if (this.own.entries.delete(key)) this.tellChange(key, null);
  }

  /** Changes all entries of this node at once; the others get the whole table. */
  renew(change: (entry: E) => E): void {
    if (this.own.entries.size === 0) return;
    for (const [key, entry] of this.own.entries) this.own.entries.set(key, change(entry));
    this.own.version++;
    this.exchange();
  }

  /** Forgets what a node has. If it lives it is heard of again. */
  drop(owner: string): void {
    this.arriving.delete(owner);
    this.asked.delete(owner);
    if (this.others.delete(owner)) this.options.replaced(owner, new Map());
  }

  /** Tells everybody how far this node is, so that those who have missed something ask. */
  exchange(): void {
    this.tell(this.versionMessage(false));
  }

  /** Nodes that have never had an entry, nor heard of one, need no timer. */
  private keepExchanging(): void {
    if (this.timer !== undefined || this.subscription === undefined) return;
    this.timer = setInterval(() => this.exchange(), EXCHANGE_MS);
    this.timer.unref();
  }

  private tellChange(key: string, entry: E | null): void {
    const { life } = this.own;
    this.keepExchanging();
    this.tell({ kind: "change", owner: this.options.nodeId, life, version: ++this.own.version, key, entry });
  }

  private versionMessage(reply: boolean): LogMessage<E> {
    const { life, version } = this.own;
    return { kind: "version", owner: this.options.nodeId, life, version, reply };
  }

  private tell(message: LogMessage<E>, node?: string): void {
    const { transport, topic } = this.options;
    if (this.subscription === undefined) return;
    // What is lost is noticed by its version. A transport of the user's may throw where it must not.
    const publish = async (): Promise<void> => {
      if (node === undefined || transport.publishTo === undefined) await transport.publish(topic, message);
      else await transport.publishTo(node, topic, message);
    };
    publish().catch(() => {});
  }

  private sendTable(node: string): void {
    const { life, version, entries } = this.own;
    const all = [...entries];
    const parts = Math.max(1, Math.ceil(all.length / PART_ENTRIES));
    for (let part = 0; part < parts; part++) {
      const some = all.slice(part * PART_ENTRIES, (part + 1) * PART_ENTRIES);
      this.tell({ kind: "table", owner: this.options.nodeId, life, version, part, parts, entries: some }, node);
    }
  }

  private receive(message: unknown): void {
    if (this.subscription === undefined || !isLogMessage<E>(message)) return;
    if (message.kind === "want") {
      if (message.owner === this.options.nodeId) this.sendTable(message.from);
      return;
    }
    if (message.kind === "lost") {
      if (message.owner === this.options.nodeId) this.takeLoss(message);
      return;
    }
    if (message.owner === this.options.nodeId) return;
    this.losses.saw(message.owner, message.life);
    if (this.left.has(message.owner) || this.isDoubted(message)) return;
    if (!this.others.has(message.owner) && this.others.size >= OWNERS_MAX) return;
    const known = this.others.get(message.owner);
    if (known !== undefined && message.life < known.life) return;
    if (known !== undefined && message.life > known.life) this.drop(message.owner);
    this.keepExchanging();
    if (message.kind === "change") this.takeChange(message);
    else if (message.kind === "table") this.takePart(message);
    else this.takeVersion(message);
  }

  private tellLoss(node: string): void {
    const tag = this.losses.tagFor(node);
    this.tell({ kind: "lost", owner: node, from: this.options.nodeId, tag, now: Date.now() }, node);
  }

  /** A node had given this one up. It takes nothing of this table before it has the answer. */
  private takeLoss({ from, tag, now = 0 }: MessageOf<E, "lost">): void {
    if (this.losses.hear(from, tag) === "lost") this.options.lostBy?.(from, now);
    const { life, version } = this.own;
    this.tell({ kind: "heard", owner: this.options.nodeId, to: from, life, version, count: tag[1] ?? 0 }, from);
  }

  /** Whether a node speaks that does not know yet that it was given up. */
  private isDoubted(message: Exclude<LogMessage<E>, { kind: "want" | "lost" }>): boolean {
    const { kind, owner, life } = message;
    const lifeLost = this.doubtful.get(owner);
    if (lifeLost === undefined) return false;
    const knows =
      kind === "heard" && message.to === this.options.nodeId && message.count === this.losses.countOf(owner);
    if (knows || life !== lifeLost) {
      this.doubtful.delete(owner);
      return false;
    }
    if (kind === "version") this.tellLoss(owner); // What was said to it is lost.
    return true;
  }

  /** The copy of a table of this life; a new one is empty, as the table was at its first version. */
  private copyOf({ owner, life }: { owner: string; life: number }): Table<E> {
    let known = this.others.get(owner);
    if (known === undefined) {
      known = { life, version: 0, entries: new Map() };
      this.others.set(owner, known);
    }
    return known;
  }

  private takeVersion(message: MessageOf<E, "version" | "heard">): void {
    const { owner, version } = message;
    if (message.kind === "version" && message.reply) this.tell(this.versionMessage(false), owner);
    if (version <= this.copyOf(message).version) return;
    // A table that was asked for is given the time of one exchange; then it counts as lost.
    if (!this.asked.delete(owner)) this.ask(owner);
  }

  private takeChange(message: MessageOf<E, "change">): void {
    const { owner, version, key, entry } = message;
    const known = this.copyOf(message);
    if (version <= known.version) return;
    const isSound = entry === null || (this.options.isEntry(entry) && known.entries.size < ENTRIES_MAX);
    if (version > known.version + 1 || !isSound) {
      if (!this.asked.has(owner)) this.ask(owner);
      return;
    }
    known.version = version;
    if (entry === null) known.entries.delete(key);
    else known.entries.set(key, entry);
    this.options.changed(owner, key, entry ?? undefined);
  }

  private ask(owner: string): void {
    this.asked.add(owner);
    this.arriving.delete(owner);
    this.tell({ kind: "want", owner, from: this.options.nodeId }, owner);
  }

  private takePart(message: MessageOf<E, "table">): void {
    const { owner, life, version, part, parts } = message;
    if (version <= this.copyOf(message).version) return;
    let table = this.arriving.get(owner);
    if (part === 0) {
      table = { life, version, entries: new Map(), next: 0 };
      this.arriving.set(owner, table);
    }
    if (table === undefined || table.version !== version || table.next !== part) return;
    table.next++;
    for (const [key, entry] of message.entries) if (this.options.isEntry(entry)) table.entries.set(key, entry);
    if (table.entries.size > ENTRIES_MAX) this.arriving.delete(owner);
    else if (table.next === parts) this.take(owner, { life, version, entries: table.entries });
  }

  private take(owner: string, table: Table<E>): void {
    this.arriving.delete(owner);
    this.asked.delete(owner);
    this.others.set(owner, table);
    this.options.replaced(owner, table.entries);
  }
}
/** Whether something has the shape of a message; entries are looked at one by one later. */
function isLogMessage<E>(message: unknown): message is LogMessage<E> {
  if (message === null || typeof message !== "object") return false;
  const { kind, owner, life, version, from, to, count, key, part, parts, entries, tag, now } = message as Record<
    string,
    unknown
  >;
  if (typeof owner !== "string") return false;
  if (kind === "want") return typeof from === "string";
  if (kind === "lost") return typeof from === "string" && isTag(tag) && (now === undefined || isCount(now));
  if (!isCount(life) || !isCount(version)) return false;
  if (kind === "heard") return typeof to === "string" && isCount(count);
  if (kind === "change") return typeof key === "string";
  if (kind === "table") return isCount(part) && isCount(parts) && Array.isArray(entries) && entries.every(isPair);
  return kind === "version";
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPair(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === "string";
}
