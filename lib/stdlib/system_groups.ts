/**
 * The groups of one system. The core has the members that are actors of this node, the process group manager tells the
 * other nodes of them and knows theirs; here the two come together.
 *
 * Only the node of an actor changes its memberships: what is asked for actors of other nodes goes to their nodes. Without a
 * manager a system has no groups.
 */

import { ActorId } from "../kernel/actor_id.js";
import type { ActorRef } from "../kernel/actor_ref.js";
import type { ActorCell } from "../kernel/cell.js";
import type { Kernel } from "../kernel/kernel.js";
import { OP_GROUP_JOIN, OP_GROUP_LEAVE, OP_GROUP_MEMBERS } from "../kernel/protocol.js";
import { assertName, cellOf } from "../kernel/validate.js";
import type { GroupMember, ProcessGroupManager } from "./process_groups.js";
import type { RemoteActors } from "./remote/remote_actors.js";

/** What groups need of their system. */
export interface GroupsHost {
  readonly kernel: Kernel;
  readonly manager: ProcessGroupManager | undefined;
  readonly remote: () => Pick<RemoteActors, "changeGroup" | "broadcast">;
  /** An actor of this node. */
  cellById(id: string): ActorCell | undefined;
  cellOf(id: ActorId): ActorCell;
  getRef(id: ActorId): ActorRef;
}

/** See the module's header. */
export class SystemGroups {
  private readonly manager: ProcessGroupManager | undefined;
  /** Refs to members on other nodes. */
  private readonly refsOfMembers = new WeakMap<GroupMember, ActorRef>();

  constructor(private readonly host: GroupsHost) {
    this.manager = host.manager;
  }

  /** Takes the members over that the manager knows already. */
  attach(): void {
    this.manager?._attach({
      join: (group, { nodeId, actorId, name }) =>
        this.change("join", group, this.host.getRef(new ActorId(nodeId, actorId, name))),
      leave: (group, actorId) => this.leave(group, this.host.cellById(actorId)),
      members: (group) => this.cells(group).map(({ ref }) => ({ nodeId: ref.id.systemId, ...entryOf(ref) })),
    });
  }

  /** Has an actor join or leave, here or on its node. */
  change(change: "join" | "leave", group: string, ref: ActorRef): void {
    const cell = cellOf(ref);
    const isElsewhere = cell.kernel !== this.host.kernel || cell.remote !== undefined;
    if (this.manager !== undefined && isElsewhere) this.host.remote().changeGroup(change, group, ref.id);
    else this[change](group, cell);
  }

  /** An actor of this node joins. */
  join(group: string, cell: ActorCell): void {
    if (this.manager === undefined || cell.dead || cell.kernel !== this.host.kernel) return;
    assertName("group", group);
    this.manager._join(group, cell.index, () => entryOf(cell.ref));
    this.tellCore(OP_GROUP_JOIN, group, cell);
  }

  /** An actor of this node leaves. */
  leave(group: string, cell: ActorCell | undefined): void {
    if (this.manager === undefined || cell === undefined || cell.dead || cell.kernel !== this.host.kernel) return;
    assertName("group", group);
    this.manager._leave(group, cell.index);
    this.tellCore(OP_GROUP_LEAVE, group, cell);
  }

  private tellCore(op: number, group: string, cell: ActorCell): void {
    this.host.kernel.args[0] = cell.index;
    this.host.kernel.controlText(op, group);
  }

  /** All members; see process_groups.ts for their order. */
  refs(group: string): ActorRef[] {
    const refs = this.cells(group).map(({ ref }) => ref);
    for (const member of this.manager?._membersElsewhere(group) ?? []) refs.push(this.refOf(member));
    return refs;
  }

  /** Casts to all members: once to each other node that has some. */
  broadcast(group: string, message: any): void {
    this.broadcastHere(group, message);
    for (const node of this.manager?._nodesOf(group) ?? []) this.host.remote().broadcast(node, group, message);
  }

  /** Casts to the members on this node. */
  broadcastHere(group: string, message: any): void {
    for (const { ref } of this.cells(group)) ref.cast(message);
  }

  private cells(group: string): ActorCell[] {
    if (this.manager === undefined) return [];
    assertName("group", group);
    const { kernel } = this.host;
    const cells = [...kernel.list(OP_GROUP_MEMBERS, group)].map((index) => kernel.cells[index]);
    return cells.filter((cell) => cell !== undefined);
  }

  private refOf(member: GroupMember): ActorRef {
    let ref = this.refsOfMembers.get(member);
    if (ref === undefined) {
      ref = this.host.cellOf(new ActorId(member.nodeId, member.actorId, member.name)).ref;
      this.refsOfMembers.set(member, ref);
    }
    return ref;
  }

  /** An actor of this node has another id. */
  restarted(cell: ActorCell): void {
    this.manager?._restarted(cell.index, () => entryOf(cell.ref));
  }

  /** An actor of this node is gone. */
  gone(cell: ActorCell): void {
    this.manager?._gone(cell.index);
  }

  /** A node is gone, and so are its members. */
  nodeLost(node: string): void {
    this.manager?._nodeLost(node);
  }
}

function entryOf({ id: { id, name } }: ActorRef): { actorId: string; name?: string } {
  return { actorId: id, ...(name === undefined ? {} : { name }) };
}
