/**
 * Process groups: named sets of actors, across all nodes (OTP's `pg`).
 *
 * The members on this node are the core's business once a system is attached; what the other nodes are told of them is
 * this node's table in an owner log (remote/owner_log.ts), and the members on other nodes are copies of their tables. An
 * entry of the table is one membership: it is set when an actor joins, changed when a restart gives the actor a new id, and
 * removed when it leaves or is gone. Only the node of an actor writes its memberships; a system passes what is asked for
 * others on to their nodes.
 *
 * Order: members of this node in joining order, then those of the other nodes by node id, each in joining order there.
 *
 * Without a system the manager keeps the members that it is told of itself, so that it can be used on its own. Without
 * `connect` it knows this node only.
 */

import { InvalidArgumentError } from "../errors.js";
import type { Cluster, Transport } from "../kernel/collaborators.js";
import { assertName, assertPart } from "../kernel/validate.js";
import { OwnerLog } from "./remote/owner_log.js";

const TOPIC = "pg:updates";
/** Between the member and the group in a key of the log; no id has it. */
const SEPARATOR = "\n";

/** One member of a group. */
export interface GroupMember {
  nodeId: string;
  actorId: string;
  name?: string | undefined;
}

/** Where the members of an attached manager are. */
export interface GroupBackend {
  join(group: string, member: GroupMember): void;
  leave(group: string, actorId: string): void;
  /** Those of this node, in joining order. */
  members(group: string): GroupMember[];
}

/** A membership as other nodes are told of it. */
interface Entry {
  actorId: string;
  name?: string | undefined;
}

/** The memberships of one actor of this node. */
interface Joined {
  entry: Entry;
  groups: Set<string>;
}

/** What stands for an actor of this node as long as it lives: its index in the core, or its id without a system. */
type Handle = number | string;

/** Members by their keys, in joining order. */
type Members = Map<string, GroupMember>;

/** Gives a system process groups; the eighth argument of `ActorSystem`. */
export class ProcessGroupManager {
  private readonly log: OwnerLog<Entry>;
  private readonly joined = new Map<Handle, Joined>();
  /** Members on other nodes, by node and group. */
  private readonly elsewhere = new Map<string, Map<string, Members>>();
  /** Nodes of `elsewhere`, sorted. */
  private nodes: string[] = [];
  private backend: GroupBackend | undefined;

  constructor(
    readonly nodeId: string,
    readonly transport: Transport,
    readonly cluster: Cluster,
  ) {
    assertName("node id", nodeId);
    assertPart("transport", transport);
    assertPart("cluster", cluster);
    this.log = new OwnerLog<Entry>({
      topic: TOPIC,
      nodeId,
      transport,
      cluster,
      isEntry,
      changed: (owner, key, entry) => this.changed(owner, key, entry),
      replaced: (owner, entries) => this.replaced(owner, entries),
    });
  }

  /** Starts listening to other nodes, and tells them of the members here. */
  connect(): Promise<void> {
    return this.log.connect();
  }

  /** Stops listening to other nodes and forgets their members. */
  disconnect(): Promise<void> {
    return this.log.disconnect();
  }

  /**
   * Adds a member; joining twice is joining once.
   *
   * @throws InvalidArgumentError for an actor of another node if there is no system that could ask that node;
   * LibeamError (ENTRY_LIMIT) if this node has 1,048,576 memberships.
   */
  join(group: string, member: GroupMember): void {
    assertPart("member", member);
    if (this.backend !== undefined) {
      this.backend.join(group, member);
      return;
    }
    const { nodeId, actorId, name } = member;
    if (nodeId !== this.nodeId) throw new InvalidArgumentError("member", `an actor of node ${this.nodeId}`, member);
    this._join(group, actorId, () => ({ actorId, ...(name === undefined ? {} : { name }) }));
  }

  /** Removes a member; unknown ones are ignored. */
  leave(group: string, actorId: string): void {
    if (this.backend === undefined) this._leave(group, actorId);
    else this.backend.leave(group, actorId);
  }

  /** Removes an actor of this node from all groups; a system does that by itself when it is gone. */
  leaveAll(actorId: string): void {
    for (const group of this.ownGroups()) this.leave(group, actorId);
  }

  /** The members of a group; see the module's header for their order. */
  getMembers(group: string): GroupMember[] {
    return [...(this.backend?.members(group) ?? this.ownMembers(group)), ...this._membersElsewhere(group)];
  }

  /** Names of the groups that have members, those of this node first. */
  getGroups(): string[] {
    const groups = this.ownGroups();
    for (const node of this.nodes) for (const group of this.elsewhere.get(node)?.keys() ?? []) groups.add(group);
    return [...groups];
  }

  private ownGroups(): Set<string> {
    return new Set([...this.log.entries.keys()].map(groupOf));
  }

  private ownMembers(group: string): GroupMember[] {
    return [...this.log.entries]
      .filter(([key]) => groupOf(key) === group)
      .map(([, entry]) => ({ nodeId: this.nodeId, ...entry }));
  }

  // What an attached system tells and asks.

  /** @internal A system takes over, with the members known so far. */
  _attach(backend: GroupBackend): void {
    const members = [...this.joined.values()].flatMap(({ entry, groups }) =>
      [...groups].map((group) => ({ entry, group })),
    );
    for (const handle of [...this.joined.keys()]) this._gone(handle);
    this.backend = backend;
    for (const { group, entry } of members) backend.join(group, { nodeId: this.nodeId, ...entry });
  }

  /** @internal An actor of this node joins a group. `describe` is asked only when its first membership begins. */
  _join(group: string, handle: Handle, describe: () => Entry): void {
    const known = this.joined.get(handle);
    if (known?.groups.has(group)) return;
    const entry = known?.entry ?? describe();
    this.log.set(keyOf(handle, group), entry);
    if (known === undefined) this.joined.set(handle, { entry, groups: new Set([group]) });
    else known.groups.add(group);
  }

  /** @internal An actor of this node leaves a group. */
  _leave(group: string, handle: Handle): void {
    const known = this.joined.get(handle);
    if (known === undefined || !known.groups.delete(group)) return;
    if (known.groups.size === 0) this.joined.delete(handle);
    this.log.delete(keyOf(handle, group));
  }

  /** @internal An actor of this node was started again and has another id. */
  _restarted(handle: Handle, describe: () => Entry): void {
    const known = this.joined.get(handle);
    if (known === undefined) return;
    known.entry = describe();
    for (const group of known.groups) this.log.set(keyOf(handle, group), known.entry);
  }

  /** @internal An actor of this node is gone. */
  _gone(handle: Handle): void {
    const known = this.joined.get(handle);
    if (known === undefined) return;
    this.joined.delete(handle);
    for (const group of known.groups) this.log.delete(keyOf(handle, group));
  }

  /** @internal A node is gone, and so are its members. */
  _nodeLost(node: string): void {
    this.log.drop(node);
  }

  /** @internal Tells all nodes how far this one is; done every now and then by itself. */
  _exchange(): void {
    this.log.exchange();
  }

  /** @internal Other nodes with members of a group. */
  _nodesOf(group: string): string[] {
    return this.nodes.filter((node) => this.elsewhere.get(node)?.has(group));
  }

  /** @internal Members of a group on other nodes; the same objects until they change. */
  _membersElsewhere(group: string): GroupMember[] {
    const found: GroupMember[] = [];
    for (const node of this.nodes) found.push(...(this.elsewhere.get(node)?.get(group)?.values() ?? []));
    return found;
  }

  // What other nodes tell.

  private replaced(owner: string, entries: ReadonlyMap<string, Entry>): void {
    this.elsewhere.delete(owner);
    for (const [key, entry] of entries) this.changed(owner, key, entry);
    this.sortNodes();
  }

  private changed(owner: string, key: string, entry: Entry | undefined): void {
    const groups = this.elsewhere.get(owner) ?? new Map<string, Members>();
    const group = groupOf(key);
    const members: Members = groups.get(group) ?? new Map();
    if (entry === undefined) members.delete(key);
    else members.set(key, Object.freeze({ nodeId: owner, ...entry }));
    if (members.size === 0) groups.delete(group);
    else groups.set(group, members);
    if (groups.size === 0) this.elsewhere.delete(owner);
    else this.elsewhere.set(owner, groups);
    if (this.elsewhere.size !== this.nodes.length) this.sortNodes();
  }

  private sortNodes(): void {
    this.nodes = [...this.elsewhere.keys()].sort();
  }
}

function keyOf(handle: Handle, group: string): string {
  return `${handle}${SEPARATOR}${group}`;
}

function groupOf(key: string): string {
  return key.slice(key.indexOf(SEPARATOR) + 1);
}

function isEntry(value: unknown): value is Entry {
  if (value === null || typeof value !== "object") return false;
  const { actorId, name } = value as Partial<Entry>;
  return typeof actorId === "string" && (name === undefined || typeof name === "string");
}
