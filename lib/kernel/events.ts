/**
 * Walks through what the core hands out: messages for the door, and events for whoever they concern.
 *
 * A batch may hold several records for one actor, others in between. If its handler for one of them becomes a pending
 * promise (or it is paused, or on its way out), the rest goes back to the front of its mailbox, last one first, so that the
 * order stays.
 */

// Perf: the global of the same name is a getter that costs more than the clock.
import { performance } from "node:perf_hooks";
import { LibeamError, MailboxFullError } from "../errors.js";
import type { ActorCell } from "./cell.js";
import { crash } from "./crash.js";
import type { Kernel } from "./kernel.js";
import { abandoned, gone, reinit, runTerminate } from "./lifecycle.js";
import { isThenable, type Outcome } from "./outcome.js";
import * as protocol from "./protocol.js";
import { pump } from "./pump.js";
import { notFound, timedOut } from "./refusals.js";
import { runCast, runCasts, runMessage, runPlain } from "./run.js";
import { deliverDown, deliverExit, signalled, unlinked } from "./signals.js";
import { PendingCall } from "./slots.js";
import { TelemetryEvents, telemetry } from "./telemetry.js";
import { deliverIdle, deliverTick } from "./timers.js";

// Perf: constants of the module's own; see "Constants" in docs/design/hot_path.md.
const {
  CAUSE_EVICTED,
  CAUSE_FULL,
  CAUSE_FULL_ERROR,
  CAUSE_GONE,
  CAUSE_STASH_CLEARED,
  CAUSE_TIMEOUT,
  ENTRY_CAST,
  ENTRY_EVENT,
  ENTRY_NONE,
  ENTRY_SIGNAL,
  EVENT_ABANDONED,
  EVENT_CONTINUE,
  EVENT_DOWN,
  EVENT_DROP,
  EVENT_EXIT,
  EVENT_FREE,
  EVENT_GONE,
  EVENT_IDLE,
  EVENT_INIT,
  EVENT_REJECT,
  EVENT_SIGNALLED,
  EVENT_TERMINATE,
  EVENT_TIMER,
  EVENT_UNLINKED,
  EVENT_WORDS,
  FLAG_OBSERVED,
  H_COMPLETED,
  HEADER_WORDS,
  SLOT_BITS,
  SUBMIT_UNREAD,
  SUBMIT_WORDS,
} = protocol;

const COMPLETE_AT = HEADER_WORDS + SUBMIT_WORDS;
const SLOT_MASK = 2 ** SLOT_BITS - 1;
/** Milliseconds after which a batch is broken off. */
const BATCH_MS = 1;
/** Records between two looks at the clock at most; the first looks come sooner, for slow handlers. */
const CLOCK_INTERVAL_MAX = 64;
/** The ring's word for nothing. */
const NIL = 0xffff_ffff;
/** What a message that was put back leaves in the batch. */
const NOTHING_ENTRY = (ENTRY_NONE << SLOT_BITS) >>> 0;
/** What a signal that was put back leaves in the batch: the news that no slot is free. */
const NOTHING_EVENT = ((ENTRY_EVENT << SLOT_BITS) | EVENT_FREE) >>> 0;

/** Runs a batch and tells how many records it had. */
export function runBatch(kernel: Kernel): number {
  const { page, cells } = kernel;
  const end = COMPLETE_AT + page[H_COMPLETED];
  let at = COMPLETE_AT;
  let count = 0;
  let interval = 1;
  let untilClock = 1;
  const start = end - at > EVENT_WORDS ? performance.now() : 0;
  kernel.batchEnd = end;
  while (at < end) {
    kernel.batchAt = at;
    const word = page[at + 1];
    const index = page[at];
    const cell = index === NIL ? undefined : cells[index];
    const kind = word >>> SLOT_BITS;
    const isEvent = kind === ENTRY_EVENT;
    if (word === NOTHING_ENTRY) {
      at += 2; // Put back.
      continue;
    }
    count++;
    if (isEvent && (word & SLOT_MASK) > EVENT_CONTINUE) {
      runEvent(kernel, cell, word & SLOT_MASK, at);
      at += EVENT_WORDS;
      continue;
    }
    if (--untilClock < 0) {
      if (start !== 0 && performance.now() - start > BATCH_MS) {
        kernel.budget = 0;
        unreadRest(kernel, at, end);
        break;
      }
      interval = Math.min(interval * 2, CLOCK_INTERVAL_MAX);
      untilClock = interval;
    }
    if (cell === undefined || (cell.words[cell.at] & ~FLAG_OBSERVED) !== 0) {
      unreadRecords(kernel, index, at, end);
      continue;
    }
    let outcome: Outcome;
    if (kind === ENTRY_CAST && !telemetry.active) {
      if (at + 2 >= end || page[at + 2] !== index) outcome = runCast(cell, word);
      else outcome = runCasts(cell, at, Math.min(end, at + 2 * (untilClock + 1)));
      const followed = (kernel.batchAt - at) >> 1;
      count += followed;
      untilClock -= followed;
      at = kernel.batchAt + 2;
      if (outcome !== null) pump(cell, outcome, cell.runningSlot);
      continue;
    }
    if (isEvent) {
      outcome = runSignal(kernel, cell, word & SLOT_MASK, at);
      at += EVENT_WORDS;
    } else {
      outcome = runEntry(cell, word);
      at += 2;
    }
    if (outcome !== null) pump(cell, outcome, cell.runningSlot);
    else if (cell.words[cell.at + 1] !== 0 && (at >= end || page[at] !== index)) kernel.wake(cell);
  }
  kernel.batchAt = end;
  kernel.freeLate();
  return count;
}

/** Runs the record that the core wrote for one actor outside a batch. */
export function runRecord(kernel: Kernel, cell: ActorCell, at: number): Outcome {
  const word = kernel.page[at + 1];
  if (word >>> SLOT_BITS === ENTRY_EVENT) return runSignal(kernel, cell, word & SLOT_MASK, at);
  return runEntry(cell, word);
}

/** Runs an entry of a mailbox that is a message. */
export function runEntry(cell: ActorCell, word: number): Outcome {
  return runMessage(cell, word >>> SLOT_BITS, word & SLOT_MASK);
}

/** The turn's time is over: puts the rest of the batch, messages and signals by now, back into its mailboxes. */
function unreadRest(kernel: Kernel, from: number, end: number): void {
  const { page } = kernel;
  const records: number[] = [];
  for (let at = from; at < end; at += recordWords(page[at + 1])) records.push(at);
  for (let back = records.length - 1; back >= 0; back--) {
    const at = records[back];
    const entry = mailboxEntry(page, at);
    if (entry !== NIL && page[at + 1] !== NOTHING_ENTRY) kernel.pushTimed(page[at], SUBMIT_UNREAD, 0, entry);
  }
}

/**
 * Puts what the rest of this batch holds for an actor back into its mailbox: somebody is about to look into the mailbox
 * or to put something in front of it.
 */
export function recall(cell: ActorCell): void {
  const { kernel } = cell;
  const { page, batchAt, batchEnd } = kernel;
  cell.pump?.putBack();
  // The record at `batchAt` is being handled.
  if (batchAt < batchEnd) unreadRecords(kernel, cell.index, batchAt + recordWords(page[batchAt + 1]), batchEnd);
}

/**
 * Puts the records of an actor, from a place in the batch on, back into its mailbox: all of them, because others may be
 * in between, and what is put back later is put in front.
 */
function unreadRecords(kernel: Kernel, index: number, from: number, end: number): void {
  const { page } = kernel;
  const entries: number[] = [];
  for (let at = from; at < end; ) {
    const word = page[at + 1];
    const entry = page[at] === index ? mailboxEntry(page, at) : NIL;
    if (entry !== NIL) {
      entries.push(entry);
      page[at] = NIL;
      page[at + 1] = word >>> SLOT_BITS === ENTRY_EVENT ? NOTHING_EVENT : NOTHING_ENTRY;
      page[at + 2] = word >>> SLOT_BITS === ENTRY_EVENT ? NIL : page[at + 2];
    }
    at += recordWords(word);
  }
  for (let back = entries.length - 1; back >= 0; back--) kernel.pushTimed(index, SUBMIT_UNREAD, 0, entries[back]);
}

function recordWords(word: number): number {
  return word >>> SLOT_BITS === ENTRY_EVENT ? EVENT_WORDS : 2;
}

/** The entry of a mailbox behind a record; NIL for an event that came out of none. */
function mailboxEntry(page: Uint32Array, at: number): number {
  const word = page[at + 1];
  if (word >>> SLOT_BITS !== ENTRY_EVENT) return word;
  if ((word & SLOT_MASK) > EVENT_CONTINUE) return NIL;
  return ((ENTRY_SIGNAL << SLOT_BITS) | page[at + EVENT_WORDS - 1]) >>> 0;
}

/** Runs a signal that came out of a mailbox. */
function runSignal(kernel: Kernel, cell: ActorCell, code: number, at: number): Outcome {
  const { page } = kernel;
  switch (code) {
    case EVENT_DOWN:
      return deliverDown(kernel, cell, at);
    case EVENT_EXIT:
      return deliverExit(kernel, cell, at);
    case EVENT_IDLE:
      return deliverIdle(cell, page[at + 2]);
    case EVENT_TIMER:
      return deliverTick(kernel, cell, at);
    default:
      return runContinue(kernel, cell, page[at + 2]);
  }
}

/** Runs `handleContinue`. It does not hold messages up: only its synchronous part is exclusive. */
function runContinue(kernel: Kernel, cell: ActorCell, slot: number): Outcome {
  const data = kernel.slots.value(slot);
  kernel.slots.free(slot);
  const { epoch } = cell;
  return runPlain(
    cell,
    () => {
      const result = cell.behaviour?.handleContinue(data);
      if (!isThenable(result)) return;
      Promise.resolve(result).then(undefined, (error) => {
        if (cell.epoch === epoch) crash(cell, error);
      });
    },
    "handleContinue",
  );
}

/** Does what an event says. */
function runEvent(kernel: Kernel, cell: ActorCell | undefined, code: number, at: number): void {
  const { page, slots } = kernel;
  const a = page[at + 2];
  const b = page[at + 3];
  switch (code) {
    case EVENT_FREE:
      if (a !== NIL) slots.free(a);
      return;
    case EVENT_DROP:
      dropped(kernel, cell, a, b);
      return;
    case EVENT_REJECT:
      refused(kernel, cell, a, b, page[at + 4] === 1);
      return;
  }
  if (cell === undefined) return;
  switch (code) {
    case EVENT_INIT:
      reinit(cell, a, b);
      return;
    case EVENT_TERMINATE:
      runTerminate(cell, a, b === 1);
      return;
    case EVENT_GONE:
      gone(cell, page[at + 4], a, b);
      return;
    case EVENT_SIGNALLED:
      signalled(kernel, cell, at);
      return;
    case EVENT_UNLINKED:
      unlinked(cell, a, b);
      return;
    case EVENT_ABANDONED:
      abandoned(cell);
      return;
    default:
      throw new LibeamError(`The runtime sent an event with the unknown code ${code}`, "KERNEL_PROTOCOL");
  }
}

/** A cast will not be handled. */
function dropped(kernel: Kernel, cell: ActorCell | undefined, slot: number, cause: number): void {
  kernel.slots.free(slot);
  if (!telemetry.active) return;
  if (cause === CAUSE_FULL_ERROR) overflow(cell, "cast");
  kernel.deadLetter(cell, "cast", causeName(cause));
}

/** A call will not be handled, or not in time. */
function refused(kernel: Kernel, cell: ActorCell | undefined, slot: number, cause: number, free: boolean): void {
  const pending = kernel.slots.value(slot);
  if (free) kernel.slots.free(slot);
  if (!(pending instanceof PendingCall)) return;
  if (cause === CAUSE_FULL || cause === CAUSE_FULL_ERROR) overflow(cell, "call");
  pending.reject(refusal(kernel, pending, cause));
}

function refusal(kernel: Kernel, pending: PendingCall, cause: number): Error {
  switch (cause) {
    case CAUSE_TIMEOUT:
      return timedOut(pending.terms.timeoutMs < 0 ? kernel.callTimeoutMs : pending.terms.timeoutMs);
    case CAUSE_FULL:
    case CAUSE_FULL_ERROR:
    case CAUSE_EVICTED:
      return new MailboxFullError(pending.target.ref.id.id);
    case CAUSE_STASH_CLEARED:
      return new LibeamError("Stashed message discarded", "STASH_CLEARED");
    default:
      if (kernel.closed) return kernel.closedError("make calls");
      return notFound(pending.target);
  }
}

function overflow(cell: ActorCell | undefined, messageType: "call" | "cast"): void {
  if (!telemetry.active || cell === undefined) return;
  telemetry.execute(TelemetryEvents.mailbox.overflow, {}, { actor_id: cell.ref.id.id, message_type: messageType });
}

function causeName(cause: number): string {
  switch (cause) {
    case CAUSE_GONE:
      return "not_found";
    case CAUSE_EVICTED:
      return "evicted";
    case CAUSE_STASH_CLEARED:
      return "stash_cleared";
    default:
      return "mailbox_full";
  }
}
