/**
 * Watches, links and exit signals on the isolate's side: the names that users hold, and the messages they get.
 *
 * The core knows relations by index and generation. The cell of whoever is to be told keeps the public name
 * ({@link WatchRef}, {@link LinkRef}) and the ref of the other side by the same key, because the other side may be gone
 * when the news arrives. An entry disappears with its message, with its removal, or with its actor.
 */

import { ActorNotFoundError, InvalidArgumentError, textOf } from "../errors.js";
import type { ActorRef } from "./actor_ref.js";
import type { ActorCell } from "./cell.js";
import { crash } from "./crash.js";
import { keyGeneration, keyIndex, LinkRef, relationKey, type TerminationReason, WatchRef } from "./info.js";
import type { Kernel } from "./kernel.js";
import { stop } from "./lifecycle.js";
import type { Outcome } from "./outcome.js";
import {
  OP_DEMONITOR,
  OP_EXIT,
  OP_LINK,
  OP_MONITOR,
  OP_PARDON,
  OP_TRAP_EXIT,
  OP_UNLINK,
  STATUS_OK,
} from "./protocol.js";
import { runPlain } from "./run.js";
import { cellOf } from "./validate.js";

const NIL = 0xffff_ffff;
const KIND_NORMAL = 0;
const KIND_ERROR = 1;
const KIND_KILLED = 2;
const KIND_EXIT = 3;

/** The value behind an exit signal that somebody sent. */
class ExitValue {
  constructor(
    readonly reason: unknown,
    readonly sender: ActorRef | undefined,
  ) {}
}

/** Thrown into an actor that does not trap exits when a signal or a link takes it down. */
class ExitSignalError extends Error {
  override readonly name = "ExitSignalError";
  constructor(
    message: string,
    readonly exit: ExitValue | undefined,
    cause: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

function reasonOf(kind: number, value: unknown): TerminationReason {
  if (kind === KIND_NORMAL) return { type: "normal" };
  if (kind === KIND_KILLED) return { type: "killed" };
  const exit = value instanceof ExitSignalError ? value.exit : value;
  if (exit instanceof ExitValue) return { type: "exit", reason: exit.reason };
  return { type: "error", error: value };
}

/** Why an actor has ended, from what the core says. */
export function terminationReason(kernel: Kernel, kind: number, token: number): TerminationReason {
  return reasonOf(kind, token === NIL ? undefined : kernel.slots.value(token));
}

/** As what an actor ends that crashes with an error and is not started again. */
export function crashReason(error: unknown): TerminationReason {
  return reasonOf(KIND_ERROR, error);
}

/** The cell behind a ref; that of this kernel for a ref that another system of this process has handed over. */
function cellIn(kernel: Kernel, ref: ActorRef): ActorCell {
  const cell = cellOf(ref);
  return cell.kernel === kernel ? cell : kernel.hooks.cellOf(ref.id);
}

/** Has `watcher` told once when the actor behind `target` ends; at once if it has ended. */
export function watch(watcher: ActorCell, target: ActorRef): WatchRef {
  const { kernel } = watcher;
  const named = cellIn(kernel, target);
  const watched = named.remote?.shadow() ?? named;
  const sameKernel = watched.kernel === kernel && !watched.dead;
  kernel.args[0] = watcher.index;
  kernel.args[1] = sameKernel ? watched.index : NIL;
  if (!watcher.dead) kernel.control(OP_MONITOR);
  const index = watcher.dead ? NIL : kernel.results[0];
  const key = relationKey(index, watcher.dead ? 0 : kernel.results[1]);
  const watchRef = new WatchRef(undefined, watcher.ref, target, key);
  if (index !== NIL) watcher.more().watches.set(key, { watchRef, actorRef: target });
  return watchRef;
}

/** A watch that a program names. @throws InvalidArgumentError */
export function checkedWatch(watchRef: WatchRef): WatchRef {
  if (!(watchRef instanceof WatchRef)) throw new InvalidArgumentError("watch", "a WatchRef", watchRef);
  return watchRef;
}

/** A link that a program names. @throws InvalidArgumentError */
export function checkedLink(linkRef: LinkRef): LinkRef {
  if (!(linkRef instanceof LinkRef)) throw new InvalidArgumentError("link", "a LinkRef", linkRef);
  return linkRef;
}

/** Ends a watch; news that are already under way are suppressed. @throws InvalidArgumentError for what names no watch */
export function unwatch(watcher: ActorCell, watchRef: WatchRef): void {
  const { _key: key } = checkedWatch(watchRef);
  if (!watcher.extra?.watches.delete(key)) return;
  const { kernel } = watcher;
  kernel.args[0] = keyIndex(key);
  kernel.args[1] = keyGeneration(key);
  kernel.control(OP_DEMONITOR);
}

/** Links two actors. Throws ActorNotFoundError when one of them has ended, or waits for its next incarnation. */
export function link(cell: ActorCell, other: ActorRef): LinkRef {
  const { kernel } = cell;
  const named = cellIn(kernel, other);
  const target = cell.dead ? named : (named.remote?.linkEnd(cell.ref) ?? named);
  if (cell.dead || target.dead || target.kernel !== kernel) {
    const missing = cell.dead ? cell.ref.id : other.id;
    throw new ActorNotFoundError(missing.id, missing.systemId);
  }
  if (cell === target) return new LinkRef("link-self", cell.id, cell.id, -1, other);
  return tie(cell, target, other);
}

/**
 * Links two actors of this kernel, of which the first knows the second as `other`: one of another node, perhaps.
 *
 * @throws ActorNotFoundError when one of them has ended
 */
export function tie(cell: ActorCell, target: ActorCell, other: ActorRef): LinkRef {
  const { kernel } = cell;
  kernel.args[0] = cell.index;
  kernel.args[1] = target.index;
  kernel.control(OP_LINK);
  const [status, index, generation] = kernel.results;
  if (status !== STATUS_OK) throw new ActorNotFoundError(other.id.id, other.id.systemId);
  const key = relationKey(index, generation);
  const linkRef = new LinkRef(undefined, cell.ref, other, key, other);
  cell.more().links.set(key, { linkRef, actorRef: other, end: target });
  target.more().links.set(key, { linkRef, actorRef: cell.ref, end: cell });
  return linkRef;
}

/** Ends a link without a signal, from whichever side. @throws InvalidArgumentError for what names no link */
export function unlink(cell: ActorCell, linkRef: LinkRef): void {
  const { _key: key } = checkedLink(linkRef);
  const record = cell.extra?.links.get(key);
  if (record === undefined) return;
  const { kernel } = cell;
  cell.extra?.links.delete(key);
  record.end.extra?.links.delete(key);
  record.actorRef._cell.remote?.unlinked(record.end);
  kernel.args[0] = keyIndex(key);
  kernel.args[1] = keyGeneration(key);
  kernel.control(OP_UNLINK);
}

/** Turns exit signals into messages, or not. */
export function setTrapExit(cell: ActorCell, trap: boolean): void {
  if (cell.dead) return;
  const { kernel } = cell;
  cell.more().trapExit = trap;
  kernel.args[0] = cell.index;
  kernel.args[1] = trap ? 1 : 0;
  kernel.control(OP_TRAP_EXIT);
}

/** Sends an exit signal. `"normal"` stops the sender itself and does nothing to others; `"kill"` cannot be trapped. */
export function exit(sender: ActorCell | null, target: ActorCell, reason: unknown): void {
  const { kernel } = target;
  if (target.dead) {
    target.remote?.exit(sender?.ref, reason);
    return;
  }
  if (reason === "normal") {
    if (sender === target) void stop(target);
    return;
  }
  kernel.args[2] = NIL;
  if (reason === "kill") kernel.args[1] = KIND_KILLED;
  else {
    kernel.args[2] = kernel.slots.alloc(new ExitValue(reason, sender?.ref));
    kernel.args[1] = KIND_EXIT;
  }
  kernel.args[0] = target.index;
  kernel.control(OP_EXIT);
}

/** What the record of a signal at a place in the page says. */
interface SignalRecord {
  /** Key of the watch or link; -1 for a signal that somebody sent. */
  key: number;
  reason: TerminationReason;
  /** What was thrown or sent. */
  value: unknown;
}

function readSignal(kernel: Kernel, at: number): SignalRecord {
  const { page, slots } = kernel;
  const index = page[at + 2];
  const token = page[at + 5];
  const value = token === NIL ? undefined : slots.value(token);
  const key = index === NIL ? -1 : relationKey(index, page[at + 3]);
  return { key, reason: reasonOf(page[at + 4], value), value };
}

/** Delivers DOWN, unless the watch was given up meanwhile. */
export function deliverDown(kernel: Kernel, cell: ActorCell, at: number): Outcome {
  const { key, reason } = readSignal(kernel, at);
  const record = cell.extra?.watches.get(key);
  return runPlain(cell, () => {
    if (record === undefined) return undefined;
    cell.extra?.watches.delete(key);
    return cell.behaviour?.handleInfo({ type: "down", ...record, reason });
  });
}

/** Delivers EXIT to an actor that traps exits, unless the link was given up meanwhile. */
export function deliverExit(kernel: Kernel, cell: ActorCell, at: number): Outcome {
  const { key, reason, value } = readSignal(kernel, at);
  const record = cell.extra?.links.get(key);
  const sender = value instanceof ExitValue ? value.sender : undefined;
  return runPlain(cell, () => {
    if (key !== -1 && record === undefined) return undefined;
    cell.extra?.links.delete(key);
    const actorRef = (record?.actorRef ?? sender) as ActorRef;
    return cell.behaviour?.handleInfo({ type: "exit", linkRef: record?.linkRef, actorRef, reason });
  });
}

/** An exit signal takes an actor down that does not trap exits. */
export function signalled(kernel: Kernel, cell: ActorCell, at: number): void {
  const { key, reason, value } = readSignal(kernel, at);
  const record = cell.extra?.links.get(key);
  cell.extra?.links.delete(key);
  if (record !== undefined) {
    const cause = reason.type === "error" ? reason.error : undefined;
    const message = `Linked actor ${record.actorRef.id.id} terminated: ${reason.type}`;
    crash(cell, new ExitSignalError(message, undefined, cause));
  } else if (key === -1 && value instanceof ExitValue) {
    takeDown(cell, value);
  } else {
    kernel.args[0] = cell.index; // Unlinked meanwhile.
    kernel.control(OP_PARDON);
  }
}

/** Ends an actor as an exit signal ends one that does not trap exits. */
function takeDown(cell: ActorCell, exit: ExitValue): void {
  crash(cell, new ExitSignalError(`Exit signal: ${textOf(exit.reason)}`, exit, undefined));
}

/** Ends an actor of the runtime's own in the way in which another one has ended, whether it traps exits or not. */
export function endAs(cell: ActorCell, reason: TerminationReason): void {
  if (cell.dead) return;
  switch (reason.type) {
    case "normal":
      void stop(cell, null);
      return;
    case "killed":
      exit(null, cell, "kill");
      return;
    case "error":
      crash(cell, reason.error);
      return;
    default:
      takeDown(cell, new ExitValue(reason.reason, undefined));
  }
}

/** A link ended on the other side without a signal for this one. */
export function unlinked(cell: ActorCell, index: number, generation: number): void {
  cell.extra?.links.delete(relationKey(index, generation));
}
