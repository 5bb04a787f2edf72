/**
 * The consumer's half of a stage: subscriptions, what has arrived on them, and when more is asked for.
 *
 * An inlet belongs to the logical actor and outlives restarts. Batches wait here in the order in which they came. They
 * are handed to the handler in chunks of at most maxDemand - minDemand events, so that the next ones are on their way
 * while the rest of a batch is handled (as GenStage splits batches).
 *
 * Invariants, per subscription: pending >= 0, active >= 0, and pending + active <= maxDemand.
 */

import type { ActorRef } from "../../kernel/actor_ref.js";
import type { WatchRef } from "../../kernel/info.js";
import { Ear, type Line } from "./line.js";
import type { Terms } from "./options.js";
import type { SubscriptionStats } from "./outlet.js";
import type { Batch, Ended, StageCast, SubscriptionEnd } from "./protocol.js";
import type { StageActor } from "./stage.js";

/** Names a subscription. */
export class SubscriptionRef {
  constructor(
    /** Unique among the subscriptions of the consumer. */
    readonly tag: string,
    readonly producerRef: ActorRef,
  ) {}
}

/** A subscription as its consumer knows it. */
export class Incoming {
  /** Events asked for and not handed over yet. */
  pending = 0;
  /** Events handed over that still take a place; workers of a ConsumerSupervisor. */
  active = 0;
  /** Events handed over so far. */
  received = 0;
  /** The first events were asked for. */
  started = false;
  /** The watch of the current incarnation. */
  watchRef: WatchRef | undefined;
  /** The subscription's signal cancels it, as long as an incarnation runs; gives what makes the signal forget that. */
  listen: (() => () => void) | undefined;
  private release: (() => void) | undefined;
  /** What a producer of another node says. */
  readonly ear = new Ear();

  constructor(
    readonly ref: SubscriptionRef,
    readonly terms: Terms,
    /** To a producer of another node. */
    private readonly line: Line | undefined,
  ) {}

  /** Most events that are handed over at once. */
  get portion(): number {
    return this.terms.maxDemand - this.terms.minDemand;
  }

  /** Events that may be asked for now. */
  get room(): number {
    return this.terms.maxDemand - this.pending - this.active;
  }

  /** An incarnation follows the signal, if there is one, and speaks to the producer. */
  resume(): void {
    this.release ??= this.listen?.();
    this.line?.stay();
  }

  /** An incarnation has ended, or the subscription. The signal knows of nothing here any more. */
  rest(): void {
    this.release?.();
    this.release = undefined;
    this.line?.leave();
  }

  /** Asks for more. */
  ask(count: number): void {
    this.started = true;
    this.pending += count;
    this.say({ kind: "ask", tag: this.ref.tag, count });
  }

  /** Wants no more events. */
  cancel(): void {
    this.say({ kind: "cancel", tag: this.ref.tag });
  }

  /** The producer is gone. One of another node may only be out of sight, and is told. */
  part(): void {
    if (this.line !== undefined) this.cancel();
  }

  private say(message: StageCast): void {
    if (this.line === undefined) this.ref.producerRef.cast(message);
    else this.line.say(message);
  }
}

/** Events to hand over, or the end of a subscription. */
export interface Handover {
  incoming: Incoming;
  events: any[];
  /** Set if the subscription has ended; there are no events then. */
  ended: SubscriptionEnd | undefined;
}

/** See the module's header. */
export class Inlet {
  /** Subscriptions by tag. */
  readonly subscriptions = new Map<string, Incoming>();
  /** What has arrived, oldest first, from `head` on. */
  private queue: (Batch | Ended)[] = [];
  private head = 0;
  private tags = 0;
  private suspended = false;

  /** A name for a new subscription. */
  newTag(consumer: ActorRef): string {
    return `${consumer.id.id}/${++this.tags}`;
  }

  /** A subscription is made; its signal cancels it from now on. */
  listen(tag: string, listen: () => () => void): void {
    const incoming = this.subscriptions.get(tag);
    if (incoming === undefined) return;
    incoming.listen = listen;
    if (!this.suspended) incoming.resume();
  }

  /** An incarnation has ended. If it was the last one, nobody would take the listeners from the signals. */
  suspend(): void {
    this.suspended = true;
    for (const incoming of this.subscriptions.values()) incoming.rest();
  }

  /** A new incarnation takes over; watches and timers ended with the old one. */
  resume(owner: StageActor): void {
    this.suspended = false;
    for (const incoming of this.subscriptions.values()) {
      incoming.watchRef = owner._watch(incoming.ref.producerRef);
      incoming.active = 0;
      if (!incoming.started) owner._startSoon(incoming.ref.tag);
      incoming.resume();
    }
  }

  /** Whether something waits to be handed over. */
  get waiting(): boolean {
    return this.head < this.queue.length;
  }

  /** Something has arrived. */
  push(arrival: Batch | Ended): void {
    this.queue.push(arrival);
  }

  /** A watched producer is gone: its subscriptions end behind what has arrived. */
  down(watchRef: WatchRef, reason: SubscriptionEnd): void {
    for (const incoming of this.subscriptions.values()) {
      if (incoming.watchRef !== watchRef) continue;
      this.push({ kind: "ended", tag: incoming.ref.tag, reason });
      incoming.part();
    }
  }

  /** Ends a subscription; undefined if there is none of that tag. */
  remove(tag: string): Incoming | undefined {
    const incoming = this.subscriptions.get(tag);
    this.subscriptions.delete(tag);
    incoming?.rest();
    return incoming;
  }

  /** The next thing to hand over, with at most `most` events. The end of a subscription comes whatever `most` is. */
  take(most: number): Handover | undefined {
    while (this.head < this.queue.length) {
      const arrival = this.queue[this.head];
      const incoming = this.subscriptions.get(arrival.tag);
      if (arrival.kind === "ended") {
        this.shift();
        if (incoming !== undefined) return { incoming, events: [], ended: arrival.reason };
      } else if (incoming === undefined || arrival.revoked) {
        this.shift(); // Cancelled; the producer has taken it back, or will.
      } else if (most <= 0) {
        return undefined;
      } else {
        return { incoming, events: this.takeFrom(arrival, incoming, most), ended: undefined };
      }
    }
    return undefined;
  }

  /** An array of the handler's own: the batch is of all consumers of a broadcast, and of the outlet. */
  private takeFrom(batch: Batch, incoming: Incoming, most: number): any[] {
    const { events, at } = batch;
    const count = Math.min(most, incoming.portion, events.length - at);
    batch.at = at + count;
    incoming.pending -= count;
    incoming.received += count;
    if (batch.at === events.length) this.shift();
    return events.slice(at, at + count);
  }

  private shift(): void {
    this.head++;
    if (this.head === this.queue.length) {
      this.queue = [];
      this.head = 0;
    }
  }

  /** What is known now. */
  stats(): SubscriptionStats[] {
    return [...this.subscriptions.values()].map(({ ref, pending, active, terms, received }) => {
      const { tag, producerRef } = ref;
      return { tag, stage: producerRef, pending: pending + active, maxDemand: terms.maxDemand, events: received };
    });
  }
}
