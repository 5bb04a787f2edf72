/**
 * Process groups: named sets of actors (OTP's `pg`).
 *
 * The members on this node are the core's business once a system is attached; the manager is the handle through which
 * a system is given groups at all. Without a system it keeps the members that it is told of itself, so that it can be
 * used on its own.
 */

import type { Cluster, Transport } from "../kernel/collaborators.js";

/** One member of a group. */
export interface GroupMember {
  nodeId: string;
  actorId: string;
  name?: string;
}

/** Where the members of an attached manager are. */
export interface GroupBackend {
  join(group: string, member: GroupMember): void;
  leave(group: string, actorId: string): void;
  members(group: string): GroupMember[];
}

/** Gives a system process groups; the eighth argument of `ActorSystem`. */
export class ProcessGroupManager {
  private readonly own = new Map<string, Map<string, GroupMember>>();
  private backend: GroupBackend | undefined;

  constructor(
    readonly nodeId: string,
    readonly transport: Transport,
    readonly cluster: Cluster,
  ) {}

  /** Starts listening to other nodes. */
  async connect(): Promise<void> {}

  /** Stops listening to other nodes. */
  async disconnect(): Promise<void> {}

  /** Adds a member; joining twice is joining once. */
  join(group: string, member: GroupMember): void {
    if (this.backend !== undefined) {
      this.backend.join(group, member);
      return;
    }
    let members = this.own.get(group);
    if (members === undefined) {
      members = new Map();
      this.own.set(group, members);
    }
    if (!members.has(member.actorId)) members.set(member.actorId, member);
  }

  /** Removes a member; unknown ones are ignored. */
  leave(group: string, actorId: string): void {
    if (this.backend !== undefined) {
      this.backend.leave(group, actorId);
      return;
    }
    const members = this.own.get(group);
    members?.delete(actorId);
    if (members?.size === 0) this.own.delete(group);
  }

  /** Removes an actor from all groups of an unattached manager; a system does that by itself. */
  leaveAll(actorId: string): void {
    for (const group of [...this.own.keys()]) this.leave(group, actorId);
  }

  /** The members of a group in joining order. */
  getMembers(group: string): GroupMember[] {
    if (this.backend !== undefined) return this.backend.members(group);
    return [...(this.own.get(group)?.values() ?? [])];
  }

  /** Names of the groups of an unattached manager. */
  getGroups(): string[] {
    return [...this.own.keys()];
  }

  /** @internal A system takes over, with the members known so far. */
  _attach(backend: GroupBackend): void {
    this.backend = backend;
    for (const [group, members] of this.own) for (const member of members.values()) backend.join(group, member);
    this.own.clear();
  }
}
