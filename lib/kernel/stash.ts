/**
 * The stash on the isolate's side: a message is marked while it is handled, and moved when its handler has ended.
 */

import { type ActorCell, STASH_POSSIBLE, STASH_WANTED } from "./cell.js";
import { OP_CLEAR_STASH, OP_UNSTASH } from "./protocol.js";

/** All stashed messages. */
export const UNSTASH_ALL = 0xffff_ffff;

/** Marks the message being handled as stashed, whoever asks for it. While none is handled this does nothing. */
export function stash(cell: ActorCell): void {
  if (cell.stashing === STASH_POSSIBLE) cell.stashing = STASH_WANTED;
}

/** Puts the oldest `count` stashed messages back in front of the mailbox. */
export function unstash(cell: ActorCell, count: number): void {
  if (cell.dead) return;
  const { kernel } = cell;
  kernel.recall(cell);
  kernel.args[0] = cell.index;
  kernel.args[1] = count;
  kernel.control(OP_UNSTASH);
}

/** Discards the stash: casts vanish, calls are rejected. */
export function clearStash(cell: ActorCell): void {
  if (cell.dead) return;
  cell.kernel.args[0] = cell.index;
  cell.kernel.control(OP_CLEAR_STASH);
}
