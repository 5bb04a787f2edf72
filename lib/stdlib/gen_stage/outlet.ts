/**
 * The producer's half of a stage: consumers, their demand, the dispatcher, and the buffer for what nobody has asked for.
 *
 * An outlet belongs to the logical actor and outlives restarts. It never runs user code but the dispatcher's (a hash, a
 * custom dispatcher). All demand is counted, never remembered as an event: `need()` is what the consumers lack, and
 * whoever makes events is asked for exactly that much.
 *
 * Invariants, per subscription: 0 <= pending <= maxDemand; what was sent never exceeds what was asked for.
 */

import { inspect } from "node:util";
import { isErrorLike, StageError } from "../../errors.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { WatchRef } from "../../kernel/info.js";
import { createLogger } from "../../kernel/logger.js";
import { TelemetryEvents, telemetry } from "../../kernel/telemetry.js";
import { type Dispatcher, type DispatcherHost, type DispatchTarget, NO_EVENTS } from "./dispatcher.js";
import { BroadcastDispatcher } from "./dispatchers/broadcast.js";
import { DemandDispatcher } from "./dispatchers/demand.js";
import { PartitionDispatcher } from "./dispatchers/partition.js";
import { EventBuffer } from "./event_buffer.js";
import { areNear, Ear, Line } from "./line.js";
import type { DemandMode, OutletTerms, Terms } from "./options.js";
import { Batch, type Ended, type SubscriptionEnd } from "./protocol.js";
import type { StageActor } from "./stage.js";

const log = createLogger("GenStage");

/** Batches that a consumer may have finished before the list of them is tidied. */
const FLIGHT_SLACK = 32;

/** A consumer as its producer knows it. */
class Outgoing implements DispatchTarget {
  pending = 0;
  /** Events sent so far. */
  dispatched = 0;
  /** Batches that may not be finished, oldest first, from `first` on. */
  private flight: Batch[] = [];
  private first = 0;
  /** What a consumer of another node says. */
  readonly ear = new Ear();

  constructor(
    readonly tag: string,
    readonly consumer: ActorRef,
    readonly terms: Terms,
    public watchRef: WatchRef,
    /** To a consumer of another node. Of one of this node both sides see how far a batch is. */
    readonly line: Line | undefined,
  ) {}

  get partition(): number | string | undefined {
    return this.terms.partition;
  }

  send(events: readonly any[]): void {
    const count = events.length;
    if (count === 0) return;
    if (count > this.pending) {
      throw new StageError(`A dispatcher sent ${count} events to a consumer that asked for ${this.pending}; none went`);
    }
    this.pending -= count;
    this.dispatched += count;
    const batch = new Batch(this.tag, events);
    if (this.line === undefined) {
      this.forgetFinished();
      this.flight.push(batch);
    }
    this.say(batch);
  }

  /** Tells the consumer something, behind the events that it was sent. */
  say(message: Batch | Ended): void {
    if (this.line === undefined) this.consumer.cast(message);
    else this.line.say(message);
  }

  /** It has cancelled, or is gone. One of another node may only be out of sight, and is told. */
  part(reason: SubscriptionEnd): void {
    if (reason.type === "cancelled") this.line?.close();
    else this.line?.say({ kind: "ended", tag: this.tag, reason });
    this.line?.leave();
  }

  /** Takes back what the consumer has not handed over. */
  revoke(): readonly any[] {
    const events: any[] = [];
    for (const batch of this.flight.splice(0).slice(this.first)) {
      batch.revoked = true;
      for (let at = batch.at; at < batch.events.length; at++) events.push(batch.events[at]);
    }
    this.first = 0;
    return events;
  }

  private forgetFinished(): void {
    const { flight } = this;
    while (this.first < flight.length && flight[this.first].at >= flight[this.first].events.length) this.first++;
    if (this.first === flight.length || this.first > FLIGHT_SLACK) {
      flight.splice(0, this.first);
      this.first = 0;
    }
  }
}

/** What is known of one side of a subscription. */
export interface SubscriptionStats {
  tag: string;
  /** The stage at the other end. */
  stage: ActorRef;
  /** Events asked for and not handed over yet; asked for and not sent, as the producer sees it. */
  pending: number;
  maxDemand: number;
  /** Events handed over so far; sent, as the producer sees it. */
  events: number;
}

/** What is known of a stage as a producer. */
export interface OutletStats {
  /** Events that its consumers have asked for and not been sent. */
  demand: number;
  /** Events that wait for demand, those inside the dispatcher included. */
  buffered: number;
  /** Events sent, once per consumer that got them. */
  dispatched: number;
  /** Events dropped because a buffer was full. */
  dropped: number;
  /** Events that the partition dispatcher could not assign, or that cannot be sent to the node of their consumer. */
  discarded: number;
  consumers: SubscriptionStats[];
}

/** See the module's header. */
export class Outlet implements DispatcherHost {
  /** Consumers by tag. */
  private readonly consumers = new Map<string, Outgoing>();
  private readonly buffer: EventBuffer;
  private readonly dispatcher: Dispatcher;
  private mode: DemandMode;
  private dropped = 0;
  private discards = 0;
  private dispatchedBefore = 0;
  /** The consumers were told the end. */
  private finished = false;
  /** The actor of the current incarnation. */
  private owner: StageActor | undefined;

  constructor(terms: OutletTerms) {
    this.mode = terms.demand;
    this.buffer = new EventBuffer(terms.bufferSize, terms.bufferKeep);
    this.dispatcher = this.makeDispatcher(terms);
  }

  private makeDispatcher(terms: OutletTerms): Dispatcher {
    const { dispatcher } = terms;
    switch (dispatcher.type) {
      case "broadcast":
        return new BroadcastDispatcher();
      case "partition":
        return new PartitionDispatcher(dispatcher, terms, this);
      case "custom":
        return dispatcher.dispatcher;
      default:
        return new DemandDispatcher();
    }
  }

  /** An incarnation has ended. */
  suspend(): void {
    for (const { line } of this.consumers.values()) line?.leave();
  }

  /** A new incarnation takes over; watches ended with the old one. */
  resume(owner: StageActor): void {
    this.owner = owner;
    for (const outgoing of this.consumers.values()) {
      outgoing.watchRef = owner._watch(outgoing.consumer);
      outgoing.line?.stay();
    }
  }

  /** Registers a consumer. @throws SubscriptionError, or what the dispatcher throws */
  subscribe(tag: string, consumer: ActorRef, terms: Terms): void {
    const owner = this.owner as StageActor;
    const line = areNear(consumer, owner.self) ? undefined : this.lineTo(consumer, tag);
    const outgoing = new Outgoing(tag, consumer, terms, owner._watch(consumer), line);
    try {
      this.dispatcher.subscribe(outgoing);
    } catch (error) {
      owner._unwatch(outgoing.watchRef);
      throw error;
    }
    this.consumers.set(tag, outgoing);
    if (telemetry.active) this.tell(TelemetryEvents.genStage.subscribe, {}, { consumer_tag: tag });
  }

  private lineTo(consumer: ActorRef, tag: string): Line {
    return new Line(consumer, {
      instead: (message, error) => (message instanceof Batch ? this.divide(message, error) : []),
      heard: () => this.owner?.self.cast({ kind: "work" }),
      gone: () => this.owner?.self.cast({ kind: "cancel", tag }),
    });
  }

  /** A batch cannot be sent to another node: halves may be. An event that cannot is lost, and another one takes its place. */
  private divide({ tag, events }: Batch, error: unknown): Batch[] {
    const middle = events.length >> 1;
    if (middle > 0) return [new Batch(tag, events.slice(0, middle)), new Batch(tag, events.slice(middle))];
    const outgoing = this.consumers.get(tag);
    if (outgoing !== undefined) outgoing.dispatched--;
    this.discard("it cannot be sent to the node of its consumer", error);
    this.owner?.self.cast({ kind: "ask", tag, count: 1 });
    return [];
  }

  /** The listener to a consumer of another node. */
  earOf(tag: string): Ear | undefined {
    return this.consumers.get(tag)?.ear;
  }

  /** A consumer wants more. */
  ask(tag: string, count: number): void {
    const outgoing = this.consumers.get(tag);
    if (outgoing === undefined) return; // Race: it was cancelled meanwhile.
    outgoing.pending = Math.min(outgoing.pending + count, outgoing.terms.maxDemand);
    if (this.mode === "forward") this.dispatcher.asked?.(outgoing);
    this.drain();
  }

  /** A consumer cancels, or is gone. */
  cancel(tag: string, reason: SubscriptionEnd): void {
    const outgoing = this.consumers.get(tag);
    if (outgoing === undefined) return;
    this.consumers.delete(tag);
    this.owner?._unwatch(outgoing.watchRef);
    this.dispatchedBefore += outgoing.dispatched;
    const undelivered = outgoing.revoke();
    outgoing.pending = 0;
    outgoing.part(reason);
    this.buffer.unshift(this.takenBack(this.dispatcher.cancel(outgoing, undelivered)));
    if (telemetry.active) {
      this.tell(TelemetryEvents.genStage.cancel, {}, { consumer_tag: tag, reason: reason.type });
    }
    this.drain();
  }

  /** A watched consumer is gone. */
  down(watchRef: WatchRef, reason: SubscriptionEnd): void {
    for (const [tag, outgoing] of this.consumers) {
      if (outgoing.watchRef === watchRef) this.cancel(tag, reason);
    }
  }

  /** Serves demand from now on, or holds it back. */
  setMode(mode: DemandMode): void {
    this.mode = mode;
    if (mode === "accumulate") return;
    for (const outgoing of this.consumers.values()) this.dispatcher.asked?.(outgoing);
    this.drain();
  }

  /** Sends new events on, behind those that wait. */
  accept(events: readonly any[]): void {
    if (events.length === 0) return;
    const rest = this.buffer.length === 0 && this.mode === "forward" ? this.dispatch(events) : events;
    if (rest.length === 0) return;
    const dropped = this.buffer.push(rest);
    if (dropped > 0) this.overflowed(dropped, this.buffer.size);
    this.drain();
  }

  /** Events that consumers have asked for and that are not in the buffer. */
  need(): number {
    return this.mode === "accumulate" ? 0 : Math.max(0, this.demand() - this.buffer.length);
  }

  /** Events that can be taken in while consumers lack some: what they lack, and what the buffer has room for. */
  room(): number {
    const need = this.need();
    return need === 0 ? 0 : need + Math.max(0, this.buffer.size - this.buffer.length);
  }

  /** Whether nothing waits here, or is on its way to another node. */
  get drained(): boolean {
    if (this.buffer.length > 0 || (this.dispatcher.queued?.() ?? 0) > 0) return false;
    for (const { line } of this.consumers.values()) if (line?.idle === false) return false;
    return true;
  }

  /** Everything has been sent: tells the consumers the end. Gives whether all have heard it. */
  finish(reason: SubscriptionEnd): boolean {
    if (!this.finished) {
      for (const outgoing of this.consumers.values()) outgoing.say({ kind: "ended", tag: outgoing.tag, reason });
    }
    this.finished = true;
    return this.drained;
  }

  private drain(): void {
    if (this.mode === "accumulate") return;
    while (this.buffer.length > 0) {
      const count = Math.min(this.demand(), this.buffer.length);
      if (count === 0) return;
      const rest = this.dispatch(this.buffer.take(count));
      this.buffer.unshift(rest);
      if (rest.length === count) return;
    }
  }

  /** What the dispatcher could use. It may be the user's, and what is no count would have events handed over for ever. */
  private demand(): number {
    const demand = this.dispatcher.demand();
    if (Number.isSafeInteger(demand) && demand >= 0) return demand;
    throw mustGive("demand", "a whole number from 0", demand);
  }

  private takenBack(events: unknown): readonly any[] {
    if (Array.isArray(events)) return events;
    if (events === undefined) return NO_EVENTS;
    throw mustGive("cancel", "events to dispatch again", events);
  }

  private dispatch(events: readonly any[]): readonly any[] {
    const rest = this.dispatcher.dispatch(events) ?? NO_EVENTS;
    if (!Array.isArray(rest) || rest.length > events.length) {
      throw mustGive("dispatch", "the rest of the events", rest);
    }
    if (telemetry.active && rest.length < events.length) {
      this.tell(TelemetryEvents.genStage.dispatch, { event_count: events.length - rest.length }, {});
    }
    return rest;
  }

  /** Some events found no room in a buffer. */
  overflowed(count: number, size: number): void {
    this.dropped += count;
    log.warn(`Buffer of a stage is full (${size} events); ${count} were dropped`, { actorId: this.ownerId });
    if (telemetry.active) {
      this.tell(TelemetryEvents.genStage.bufferOverflow, { dropped_count: count, buffer_size: size }, {});
    }
  }

  /** An event could not be assigned to a partition. */
  discarded(_event: unknown, error: unknown): void {
    const cause = isErrorLike(error) ? error : new StageError(`The hash of an event threw ${inspect(error)}`);
    this.discard("it belongs to no partition", cause);
  }

  private discard(why: string, error: unknown): void {
    this.discards++;
    log.error(`An event was discarded: ${why}`, error, { actorId: this.ownerId });
    if (telemetry.active) this.tell(TelemetryEvents.genStage.discard, { event_count: 1 }, { error });
  }

  private get ownerId(): string {
    return (this.owner as StageActor).self.id.id;
  }

  private tell(
    event: readonly string[],
    measurements: Record<string, number>,
    metadata: Record<string, unknown>,
  ): void {
    telemetry.execute(event, measurements, { producer_id: this.ownerId, ...metadata });
  }

  /** What is known now. */
  stats(): OutletStats {
    const consumers = [...this.consumers.values()];
    return {
      demand: consumers.reduce((sum, { pending }) => sum + pending, 0),
      buffered: this.buffer.length + (this.dispatcher.queued?.() ?? 0),
      dispatched: consumers.reduce((sum, { dispatched }) => sum + dispatched, this.dispatchedBefore),
      dropped: this.dropped,
      discarded: this.discards,
      consumers: consumers.map(({ tag, consumer, pending, terms, dispatched }) => {
        return { tag, stage: consumer, pending, maxDemand: terms.maxDemand, events: dispatched };
      }),
    };
  }
}

function mustGive(method: string, what: string, given: unknown): StageError {
  return new StageError(`${method}() of a dispatcher must give ${what}; it gave ${inspect(given)}`);
}
