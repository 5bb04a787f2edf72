/**
 * DemandDispatcher: each event to one consumer, the one that waits for most (GenStage.DemandDispatcher).
 */

import { type Dispatcher, type DispatchTarget, NO_EVENTS } from "../dispatcher.js";

/** See the module's header. */
export class DemandDispatcher implements Dispatcher {
  private readonly consumers: DispatchTarget[] = [];

  subscribe(consumer: DispatchTarget): void {
    this.consumers.push(consumer);
  }

  /** The others get what it did not handle. */
  cancel(consumer: DispatchTarget, undelivered: readonly any[]): readonly any[] {
    this.consumers.splice(this.consumers.indexOf(consumer), 1);
    return undelivered;
  }

  demand(): number {
    let sum = 0;
    for (const { pending } of this.consumers) sum += pending;
    return sum;
  }

  dispatch(events: readonly any[]): readonly any[] {
    let at = 0;
    while (at < events.length) {
      const consumer = this.hungriest();
      if (consumer === undefined || consumer.pending === 0) return at === 0 ? events : events.slice(at);
      const count = Math.min(consumer.pending, events.length - at);
      consumer.send(count === events.length ? events : events.slice(at, at + count));
      at += count;
    }
    return NO_EVENTS;
  }

  /** The consumer with the highest demand; the first to subscribe among equals. */
  private hungriest(): DispatchTarget | undefined {
    let best: DispatchTarget | undefined = this.consumers[0];
    for (const consumer of this.consumers) if (consumer.pending > (best as DispatchTarget).pending) best = consumer;
    return best;
  }
}
