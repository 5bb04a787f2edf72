/**
 * Mailboxes from outside: pause, look, take out, put back. For migration and for operators.
 */

import type { ActorCell } from "../kernel/cell.js";
import type { Kernel } from "../kernel/kernel.js";
import {
  ENTRY_CALL,
  ENTRY_CAST,
  FLAG_PAUSED,
  FLAG_RUNNING,
  OP_INJECT,
  OP_MAILBOX_LENGTH,
  OP_PAUSE,
  OP_PENDING,
  OP_RESUME,
  SLOT_BITS,
} from "../kernel/protocol.js";
import { pump } from "../kernel/pump.js";
import { runMessage } from "../kernel/run.js";
import { DEFAULT_TERMS, PendingCall } from "../kernel/slots.js";
import { assertTimeoutMs } from "../kernel/validate.js";

/** A message outside a mailbox. */
export interface StashedMessage {
  type: "cast" | "call";
  message: any;
  /** Answers the caller of a call. */
  resolve?: (value: any) => void;
  /** Refuses the caller of a call. */
  reject?: (error: any) => void;
}

const SLOT_MASK = 2 ** SLOT_BITS - 1;
/** Milliseconds between two looks at a running handler. */
const DRAIN_POLL_MS = 2;

/** See the module's header. */
export class MailboxControl {
  constructor(private readonly kernel: Kernel) {}

  pause(cell: ActorCell | undefined): boolean {
    return this.ask(OP_PAUSE, cell) === 1;
  }

  resume(cell: ActorCell | undefined): boolean {
    return this.ask(OP_RESUME, cell) === 1;
  }

  isPaused(cell: ActorCell | undefined): boolean {
    return cell !== undefined && (cell.flags & FLAG_PAUSED) !== 0;
  }

  /** Whether an actor that is not paused has something to handle, or handles something. */
  isBusy(): boolean {
    for (const cell of this.kernel.cells) {
      if (cell === undefined || this.isPaused(cell)) continue;
      if (cell.words[cell.at + 1] > 0 || this.ask(OP_MAILBOX_LENGTH, cell) > 0) return true;
    }
    return false;
  }

  pending(cell: ActorCell | undefined): StashedMessage[] {
    return this.entries(cell, 0).map((entry) => this.message(entry));
  }

  async drain(cell: ActorCell | undefined, timeoutMs: number): Promise<StashedMessage[]> {
    assertTimeoutMs("timeout", timeoutMs);
    if (!this.pause(cell)) return [];
    const deadline = performance.now() + timeoutMs;
    while (cell !== undefined && (cell.flags & FLAG_RUNNING) !== 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    return this.entries(cell, 1).map((entry) => {
      const message = this.message(entry);
      this.kernel.freeAfterBatch(entry & SLOT_MASK); // The news that a call's time is up may be in the batch.
      return message;
    });
  }

  inject(cell: ActorCell | undefined, messages: StashedMessage[]): boolean {
    if (cell === undefined || cell.dead) return false;
    const { kernel } = this;
    kernel.recall(cell);
    for (const { type, message, resolve, reject } of [...messages].reverse()) {
      const value = type === "call" ? pendingFor(cell, message, resolve, reject) : message;
      const slot = kernel.slots.alloc(value);
      kernel.args[1] = ((type === "call" ? ENTRY_CALL : ENTRY_CAST) << SLOT_BITS) | slot;
      kernel.args[0] = cell.index;
      kernel.control(OP_INJECT);
      if (kernel.results[0] === 0) {
        kernel.slots.free(slot); // The actor is on its way out, and the first message already was refused.
        return false;
      }
    }
    return true;
  }

  /** Handles a cast at once if the actor is idle. */
  castNow(cell: ActorCell, message: unknown): boolean {
    if ((cell.words[cell.at] | cell.words[cell.at + 1]) !== 0) return false;
    const slot = this.kernel.slots.alloc(message);
    cell.words[cell.at + 1]++;
    const outcome = runMessage(cell, ENTRY_CAST, slot);
    if (outcome !== null) pump(cell, outcome, slot);
    else if (cell.words[cell.at + 1] !== 0) this.kernel.wake(cell);
    return true;
  }

  private ask(op: number, cell: ActorCell | undefined): number {
    if (cell === undefined || cell.dead) return 0;
    this.kernel.recall(cell);
    this.kernel.args[0] = cell.index;
    this.kernel.control(op);
    return this.kernel.results[0];
  }

  private entries(cell: ActorCell | undefined, take: number): number[] {
    if (cell === undefined || cell.dead) return [];
    this.kernel.recall(cell);
    this.kernel.args[0] = cell.index;
    this.kernel.args[1] = take;
    return Array.from(this.kernel.list(OP_PENDING));
  }

  private message(entry: number): StashedMessage {
    const slot = entry & SLOT_MASK;
    const { slots } = this.kernel;
    const value = slots.value(slot);
    if (entry >>> SLOT_BITS === ENTRY_CALL) {
      const call = value as PendingCall;
      const message = call.method === undefined ? call.value : { method: call.method, args: [...call.value] };
      return { type: "call", message, resolve: (v) => call.resolve(v), reject: (e) => call.reject(e) };
    }
    const method = slots.method(slot);
    return { type: "cast", message: method === undefined ? value : { method, args: slots.args(slot) } };
  }
}

function pendingFor(
  cell: ActorCell,
  message: unknown,
  resolve?: (value: any) => void,
  reject?: (error: any) => void,
): PendingCall {
  const pending = new PendingCall(cell, undefined, message, DEFAULT_TERMS);
  pending.promise.then(resolve, reject ?? (() => {}));
  return pending;
}
