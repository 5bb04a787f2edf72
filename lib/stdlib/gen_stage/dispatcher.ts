/**
 * Dispatchers: which consumer gets which event.
 *
 * A dispatcher decides and holds as little as possible. Demand is with its consumers ({@link DispatchTarget.pending}),
 * the buffer is the outlet's; the outlet asks for `demand()`, hands events over with `dispatch()` and keeps what comes
 * back. A dispatcher that keeps events itself (one queue per partition) says so with `queued()`.
 *
 * Write your own with `dispatcher: { type: "custom", dispatcher }`. What a dispatcher throws in `subscribe` refuses the
 * subscription; thrown elsewhere it crashes the producer, and so does a result that is none.
 */

import type { ActorRef } from "../../kernel/actor_ref.js";

/** A consumer as a dispatcher sees it. */
export interface DispatchTarget<T = any> {
  /** Names the subscription. */
  readonly tag: string;
  /** The consumer. */
  readonly consumer: ActorRef;
  /** The `partition` of its subscription. */
  readonly partition: number | string | undefined;
  /** Events that it has asked for and not been sent. */
  readonly pending: number;
  /** Sends it events, at most `pending`. Nobody changes the array afterwards. @throws StageError */
  send(events: readonly T[]): void;
}

/** Decides which consumer gets which event. */
export interface Dispatcher<T = any> {
  /** A consumer has subscribed, and has no demand yet. Throws to refuse it. */
  subscribe(consumer: DispatchTarget<T>): void;
  /**
   * A consumer is gone. `undelivered` was sent to it and not handed to its handler; gives what is to be dispatched
   * again, in front of everything else.
   */
  cancel(consumer: DispatchTarget<T>, undelivered: readonly T[]): readonly T[];
  /** How many more events could be used now, those that wait here not counted. */
  demand(): number;
  /** Sends events on; gives the rest, for which there is no demand. */
  dispatch(events: readonly T[]): readonly T[];
  /** A consumer's demand has grown. */
  asked?(consumer: DispatchTarget<T>): void;
  /** Events that wait in the dispatcher; none if it is absent. */
  queued?(): number;
}

/** What dispatchers with queues of their own tell the producer. */
export interface DispatcherHost {
  /** Events found no room in a queue of that size. */
  overflowed(count: number, size: number): void;
  /** An event has no consumer that it could go to. */
  discarded(event: unknown, error: unknown): void;
}

/** The rest of a dispatch that left none. */
export const NO_EVENTS: readonly any[] = Object.freeze([]);
