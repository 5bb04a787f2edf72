/**
 * Who an actor's children are, and its parent.
 */

import type { ActorRef } from "./actor_ref.js";
import type { ActorCell } from "./cell.js";
import { OP_CHILDREN } from "./protocol.js";

function childCells(cell: ActorCell): ActorCell[] {
  if (cell.dead) return [];
  const { kernel } = cell;
  kernel.args[0] = cell.index;
  const children: ActorCell[] = [];
  for (const index of kernel.list(OP_CHILDREN)) {
    const child = kernel.cells[index];
    if (child !== undefined) children.push(child);
  }
  return children;
}

/** The children of a cell in the order in which they were spawned. */
export function childrenOf(cell: ActorCell): ActorRef[] {
  return childCells(cell).map(({ ref }) => ref);
}

/** How many there are. No refs are made for them. */
export function countChildrenOf(cell: ActorCell): number {
  return childCells(cell).length;
}

/** The parent of a cell, on whichever node; undefined for a root. */
export function parentOf(cell: ActorCell): ActorRef | undefined {
  return cell.definition.parentElsewhere ?? cell.parent?.ref;
}
