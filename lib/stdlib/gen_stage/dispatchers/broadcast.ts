/**
 * BroadcastDispatcher: every event to every consumer, at the pace of the slowest (GenStage.BroadcastDispatcher).
 *
 * Consumers share the batches that they are sent.
 */

import { type Dispatcher, type DispatchTarget, NO_EVENTS } from "../dispatcher.js";

/** See the module's header. */
export class BroadcastDispatcher implements Dispatcher {
  private readonly consumers: DispatchTarget[] = [];

  subscribe(consumer: DispatchTarget): void {
    this.consumers.push(consumer);
  }

  /** The others have their own copy of what it did not handle. */
  cancel(consumer: DispatchTarget): readonly any[] {
    this.consumers.splice(this.consumers.indexOf(consumer), 1);
    return NO_EVENTS;
  }

  demand(): number {
    if (this.consumers.length === 0) return 0;
    let least = Number.POSITIVE_INFINITY;
    for (const { pending } of this.consumers) least = Math.min(least, pending);
    return least;
  }

  dispatch(events: readonly any[]): readonly any[] {
    const count = Math.min(this.demand(), events.length);
    if (count === 0) return events;
    const sent = count === events.length ? events : events.slice(0, count);
    for (const consumer of this.consumers) consumer.send(sent);
    return count === events.length ? NO_EVENTS : events.slice(count);
  }
}
