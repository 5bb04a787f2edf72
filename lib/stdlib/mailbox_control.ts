/**
 * Mailboxes from outside: pause, look, take out, put back. For migration and for operators.
 */

import { InvalidArgumentError } from "../errors.js";
import { withdraw } from "../kernel/cancel.js";
import type { ActorCell } from "../kernel/cell.js";
import type { Kernel } from "../kernel/kernel.js";
import { createLogger, type Logger } from "../kernel/logger.js";
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
  /** Whether somebody waits for an answer. */
  type: "cast" | "call";
  /** What was sent; methods as `{ method, args }`. */
  message: any;
  /** Answers the caller of a call. */
  resolve?: ((value: any) => void) | undefined;
  /** Refuses the caller of a call. */
  reject?: ((error: any) => void) | undefined;
}

const SLOT_MASK = 2 ** SLOT_BITS - 1;
/** Looked at before anything is put back, so that a mailbox gets all of them or none. */
function assertMessages(value: unknown): void {
  if (Array.isArray(value) && value.every(isMessage)) return;
  throw new InvalidArgumentError("messages", 'an array of { type: "cast" | "call", message }', value);
}

function isMessage(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { type, resolve, reject } = value as Partial<StashedMessage>;
  const mayBeAbsent = (fn: unknown): boolean => fn === undefined || typeof fn === "function";
  return (type === "cast" || type === "call") && mayBeAbsent(resolve) && mayBeAbsent(reject);
}

/** Milliseconds between two looks at a running handler. */
const DRAIN_POLL_MS = 2;

/** A call that was taken out of its mailbox. */
interface HeldCall {
  call: PendingCall;
  slot: number;
}

/** See the module's header. */
export class MailboxControl {
  /** Calls that were taken out, by the resolver that goes with their message. */
  private readonly taken = new WeakMap<(value: any) => void, HeldCall>();
  /** Those of them that wait and were not put back yet. */
  private readonly held = new Set<HeldCall>();
  private readonly log: Logger;

  constructor(private readonly kernel: Kernel) {
    this.log = createLogger("ActorSystem", kernel.nodeId);
  }

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
    return this.entries(cell, 1).map((entry) =>
      entry >>> SLOT_BITS === ENTRY_CALL ? this.hold(entry) : this.take(entry),
    );
  }

  private take(entry: number): StashedMessage {
    const message = this.message(entry);
    this.kernel.freeAfterBatch(entry & SLOT_MASK);
    return message;
  }

  /** The call's slot stays in use, so that its deadline and its caller reach it wherever it is. */
  private hold(entry: number): StashedMessage {
    const slot = entry & SLOT_MASK;
    const call = this.kernel.slots.value(slot) as PendingCall;
    const held = { call, slot };
    const resolve = (value: any): void => call.resolve(value);
    this.taken.set(resolve, held);
    this.held.add(held);
    const ended = (): void => this.ended(held);
    call.promise.then(ended, ended);
    return { ...this.message(entry), resolve };
  }

  /** Its caller does not wait any more. Put back, it ends as others do; with its time or its signal, its slot is gone. */
  private ended(held: HeldCall): void {
    const { call, slot } = held;
    if (this.held.delete(held) && this.kernel.slots.value(slot) === call) withdraw(this.kernel, slot);
  }

  /** Refuses the calls that were taken out and not put back. */
  close(error: Error): void {
    for (const { call } of this.held) call.reject(error);
  }

  inject(cell: ActorCell | undefined, messages: StashedMessage[]): boolean {
    if (cell === undefined || cell.dead) return false;
    assertMessages(messages);
    const { kernel } = this;
    kernel.recall(cell);
    for (const message of [...messages].reverse()) {
      const taken = message.resolve === undefined ? undefined : this.taken.get(message.resolve);
      if (taken?.call.settled) continue; // Its caller does not wait any more.
      const held = taken !== undefined && this.held.has(taken) ? taken : undefined;
      const slot =
        held?.slot ?? kernel.slots.alloc(message.type === "call" ? this.newCall(cell, message) : message.message);
      kernel.args[1] = ((message.type === "call" ? ENTRY_CALL : ENTRY_CAST) << SLOT_BITS) | slot;
      kernel.args[0] = cell.index;
      kernel.args[2] = held === undefined ? 0 : 1;
      kernel.control(OP_INJECT);
      if (kernel.results[0] === 0) {
        // The actor is on its way out, and the first message already was refused.
        if (held === undefined) kernel.slots.free(slot);
        return false;
      }
      if (held === undefined) continue;
      held.call.redirect(cell, message.message);
      this.held.delete(held);
    }
    return true;
  }

  /** A call on behalf of whoever has the resolvers. */
  private newCall(cell: ActorCell, { message, resolve, reject }: StashedMessage): PendingCall {
    const call = new PendingCall(cell, undefined, message, DEFAULT_TERMS);
    call.promise
      .then(resolve, reject ?? (() => {}))
      .catch((error) => this.log.error("What an injected call was answered with was not taken", error));
    return call;
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
