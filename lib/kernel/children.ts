/**
 * Who an actor's children are, and its parent.
 */

import type { ActorRef } from "./actor_ref.js";
import type { ActorCell } from "./cell.js";
import { OP_CHILDREN } from "./protocol.js";

/** The children of a cell in the order in which they were spawned. */
export function childrenOf(cell: ActorCell): ActorRef[] {
  if (cell.dead) return [];
  const { kernel } = cell;
  kernel.args[0] = cell.index;
  const refs: ActorRef[] = [];
  for (const index of kernel.list(OP_CHILDREN)) {
    const child = kernel.cells[index];
    if (child !== undefined) refs.push(child.ref);
  }
  return refs;
}

/** How many there are. */
export function countChildrenOf(cell: ActorCell): number {
  if (cell.dead) return 0;
  const { kernel } = cell;
  kernel.args[0] = cell.index;
  let count = 0;
  for (const index of kernel.list(OP_CHILDREN)) if (kernel.cells[index] !== undefined) count++;
  return count;
}

/** The parent of a cell, on whichever node; undefined for a root. */
export function parentOf(cell: ActorCell): ActorRef | undefined {
  return cell.definition.parentElsewhere ?? cell.parent?.ref;
}
