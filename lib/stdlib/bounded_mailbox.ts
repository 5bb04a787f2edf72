/**
 * A queue of messages with a bound and a rule for what happens at the bound.
 *
 * The public counterpart of the kernel's mailboxes, for code that queues by itself. A ring: adding and removing at
 * either end is O(1), the ring doubles when full and is given back when the queue is emptied by `clear`, `drain` or
 * `replaceWith`.
 *
 * At the bound: "drop-newest" refuses the message, "drop-oldest" evicts the head, "error" refuses with an error. Each
 * of these counts as dropped. An evicted call (`{type: "call", reject}`) is rejected with MailboxFullError and its
 * `timer` is cleared, so that no caller waits for what was thrown away. `unshift` and `replaceWith` put back what was
 * accepted before and therefore ignore the bound.
 */

import { InvalidArgumentError, MailboxFullError } from "../errors.js";
import { DEFAULT_OVERFLOW_STRATEGY, type MailboxConfig, type MailboxOverflowStrategy } from "../kernel/options.js";
import { assertMailboxConfig } from "../kernel/validate.js";

/** Slots of a new ring; a power of two, as every ring's size. */
const RING_SLOTS_MIN = 16;

interface QueuedCall {
  readonly type: "call";
  readonly reject: (error: unknown) => void;
  readonly timer?: ReturnType<typeof setTimeout>;
}

function isQueuedCall(message: unknown): message is QueuedCall {
  const call = message as Partial<QueuedCall> | null | undefined;
  return typeof call === "object" && call !== null && call.type === "call" && typeof call.reject === "function";
}

/** A first-in first-out queue with an optional bound. */
export class BoundedMailbox<M = any> {
  readonly #capacity: number | undefined;
  readonly #strategy: MailboxOverflowStrategy;
  /** Invariant: length is a power of two; slots outside head..head+length are undefined, so nothing is retained. */
  #ring: Array<M | undefined> = new Array(RING_SLOTS_MIN);
  /** Slot of the oldest message. */
  #head = 0;
  #length = 0;
  #dropped = 0;

  /**
   * @param config Bound and overflow strategy. Default: unbounded; with a bound, "drop-newest".
   * @throws InvalidOptionError INVALID_OPTION if the configuration cannot be used.
   */
  constructor(config: MailboxConfig = {}) {
    assertMailboxConfig("mailbox", config);
    this.#capacity = config.maxSize === Number.POSITIVE_INFINITY ? undefined : config.maxSize;
    this.#strategy = config.overflowStrategy ?? DEFAULT_OVERFLOW_STRATEGY;
  }

  /** Messages that wait. */
  get length(): number {
    return this.#length;
  }

  /** Messages refused or evicted since the mailbox exists. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Whether the next `enqueue` meets the bound. */
  get isFull(): boolean {
    return this.#capacity !== undefined && this.#length >= this.#capacity;
  }

  /** The bound, in messages; undefined if there is none. */
  get capacity(): number | undefined {
    return this.#capacity;
  }

  /**
   * Adds a message at the end; false if it was refused.
   *
   * @throws MailboxFullError MAILBOX_FULL when full with strategy "error"; the queue is unchanged.
   */
  enqueue(message: M): boolean {
    if (!this.isFull) {
      this.#append(message);
      return true;
    }
    this.#dropped += 1;
    if (this.#strategy === "error") throw new MailboxFullError();
    if (this.#strategy === "drop-newest") return false;
    const evicted = this.dequeue();
    this.#append(message);
    if (isQueuedCall(evicted)) {
      clearTimeout(evicted.timer);
      evicted.reject(new MailboxFullError());
    }
    return true;
  }

  /** Takes the oldest message; undefined if there is none. */
  dequeue(): M | undefined {
    if (this.#length === 0) return undefined;
    const message = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length -= 1;
    return message;
  }

  /** Puts messages in front, the first one foremost, whatever the bound. */
  unshift(...messages: M[]): void {
    for (let i = messages.length - 1; i >= 0; i -= 1) {
      this.#makeRoom();
      this.#head = (this.#head - 1) & (this.#ring.length - 1);
      this.#ring[this.#head] = messages[i];
      this.#length += 1;
    }
  }

  /** Forgets all messages; `dropped` does not count them. */
  clear(): void {
    this.#ring = new Array(RING_SLOTS_MIN);
    this.#head = 0;
    this.#length = 0;
  }

  /** Takes all messages, oldest first. */
  drain(): M[] {
    const messages = this.toArray();
    this.clear();
    return messages;
  }

  /** A copy of the messages, oldest first. */
  toArray(): M[] {
    return Array.from({ length: this.#length }, (_, i) => this.#at(i));
  }

  /** Puts these messages in place of the present ones, whatever the bound. */
  replaceWith(messages: Iterable<M>): void {
    if (typeof Object(messages)[Symbol.iterator] !== "function") {
      throw new InvalidArgumentError("messages", "an iterable", messages);
    }
    const copy = [...messages]; // The argument may be this mailbox.
    this.clear();
    for (const message of copy) this.#append(message);
  }

  /** Walks the messages as they are now, oldest first; changes on the way are not seen. */
  [Symbol.iterator](): IterableIterator<M> {
    return this.toArray()[Symbol.iterator]();
  }

  #at(position: number): M {
    return this.#ring[(this.#head + position) & (this.#ring.length - 1)] as M;
  }

  #append(message: M): void {
    this.#makeRoom();
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = message;
    this.#length += 1;
  }

  #makeRoom(): void {
    if (this.#length < this.#ring.length) return;
    const ring: Array<M | undefined> = this.toArray();
    ring.length *= 2;
    this.#ring = ring;
    this.#head = 0;
  }
}
