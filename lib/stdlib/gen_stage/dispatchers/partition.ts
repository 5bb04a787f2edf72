/**
 * PartitionDispatcher: a hash decides which partition an event belongs to; one consumer per partition, and order within
 * each (GenStage.PartitionDispatcher).
 *
 * Each partition has a queue. Events of a partition with a consumer count against the demand of all, so a slow
 * partition holds the producer back instead of growing. Events of a partition without a consumer do not hold the
 * others back; they wait for one, and the queue is bounded as the producer's buffer is.
 */

import { inspect } from "node:util";
import { StageError, SubscriptionError, textOf } from "../../../errors.js";
import { type Dispatcher, type DispatcherHost, type DispatchTarget, NO_EVENTS } from "../dispatcher.js";
import { EventBuffer } from "../event_buffer.js";
import type { OutletTerms } from "../options.js";

/** The index of an event's partition; null discards the event. */
export type PartitionHashFunction = (event: any) => number | null;

interface Partition {
  readonly queue: EventBuffer;
  consumer: DispatchTarget | undefined;
  /** Its part of the events that are being dispatched. */
  portion: any[];
}

const DJB2_START = 5381;
const DIGITS = /^\d+$/;

/** Bernstein's hash of a string (djb2), as an unsigned 32-bit number. */
function djb2(text: string): number {
  let hash = DJB2_START;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 33) + text.charCodeAt(at)) >>> 0;
  return hash;
}

/** Numbers by their remainder, strings by djb2, objects by their `key`, everything else by its text. */
function defaultHash(event: any, partitions: number): number {
  if (Number.isFinite(event)) return Math.abs(Math.trunc(event)) % partitions;
  if (typeof event === "string") return djb2(event) % partitions;
  const key = event?.key;
  if (Number.isFinite(key) || typeof key === "string") return defaultHash(key, partitions);
  return djb2(textOf(key ?? event)) % partitions;
}

/** See the module's header. */
export class PartitionDispatcher implements Dispatcher {
  private readonly partitions: Partition[] = [];
  /** Partitions with a portion. */
  private readonly touched: Partition[] = [];
  private readonly hash: PartitionHashFunction;

  constructor(
    config: { partitions: number; hash?: PartitionHashFunction | undefined },
    { bufferSize, bufferKeep }: OutletTerms,
    private readonly host: DispatcherHost,
  ) {
    const { partitions, hash } = config;
    this.hash = hash ?? ((event) => defaultHash(event, partitions));
    for (let i = 0; i < partitions; i++) {
      this.partitions.push({ queue: new EventBuffer(bufferSize, bufferKeep), consumer: undefined, portion: [] });
    }
  }

  subscribe(consumer: DispatchTarget): void {
    if (consumer.partition === undefined) {
      throw new SubscriptionError("PartitionDispatcher requires a 'partition' option on subscribe");
    }
    const partition = this.partitionOf(consumer);
    if (partition === undefined) {
      const range = `0 to ${this.partitions.length - 1}`;
      throw new SubscriptionError(`Invalid partition ${inspect(consumer.partition)}: the partitions are ${range}`);
    }
    if (partition.consumer !== undefined) {
      throw new SubscriptionError(`Partition ${consumer.partition} is taken; it has a consumer already`);
    }
    partition.consumer = consumer;
  }

  /** The next consumer of the partition gets what this one did not handle. */
  cancel(consumer: DispatchTarget, undelivered: readonly any[]): readonly any[] {
    const partition = this.partitionOf(consumer) as Partition;
    partition.consumer = undefined;
    partition.queue.unshift(undelivered);
    return NO_EVENTS;
  }

  demand(): number {
    let demand = 0;
    for (const { consumer, queue } of this.partitions) {
      if (consumer !== undefined) demand += consumer.pending - queue.length;
    }
    return Math.max(0, demand);
  }

  dispatch(events: readonly any[]): readonly any[] {
    const count = Math.min(this.demand(), events.length);
    if (count === 0) return events;
    for (let at = 0; at < count; at++) {
      const partition = this.partitionFor(events[at]);
      if (partition === undefined) continue;
      if (partition.portion.length === 0) this.touched.push(partition);
      partition.portion.push(events[at]);
    }
    for (const partition of this.touched) {
      const { portion } = partition;
      partition.portion = [];
      this.add(partition, portion);
    }
    this.touched.length = 0;
    return count === events.length ? NO_EVENTS : events.slice(count);
  }

  asked(consumer: DispatchTarget): void {
    this.drain(this.partitionOf(consumer) as Partition);
  }

  queued(): number {
    let sum = 0;
    for (const { queue } of this.partitions) sum += queue.length;
    return sum;
  }

  /** The partition that a consumer asks for, by its index or the index's digits. */
  private partitionOf({ partition }: DispatchTarget): Partition | undefined {
    if (typeof partition === "string" && DIGITS.test(partition)) return this.partitions[Number(partition)];
    return typeof partition === "number" ? this.partitions[partition] : undefined;
  }

  /** The partition of an event; undefined if it is discarded. */
  private partitionFor(event: unknown): Partition | undefined {
    let index: number | null;
    try {
      index = this.hash(event);
    } catch (error) {
      this.host.discarded(event, error);
      return undefined;
    }
    if (index === null) return undefined;
    const partition = typeof index === "number" ? this.partitions[index] : undefined;
    if (partition === undefined) this.host.discarded(event, this.outOfRange(index));
    return partition;
  }

  private outOfRange(index: unknown): StageError {
    const range = `from 0 to ${this.partitions.length - 1}, or null`;
    return new StageError(`The hash of an event must be a whole number ${range}; it is ${inspect(index)}`);
  }

  private add(partition: Partition, events: readonly any[]): void {
    const { consumer, queue } = partition;
    if (consumer === undefined) {
      const dropped = queue.push(events);
      if (dropped > 0) this.host.overflowed(dropped, queue.size);
    } else if (queue.length === 0 && consumer.pending >= events.length) consumer.send(events);
    else {
      queue.append(events); // Within the demand of all, so it has its place whatever the size.
      this.drain(partition);
    }
  }

  private drain({ consumer, queue }: Partition): void {
    if (consumer === undefined) return;
    while (consumer.pending > 0 && queue.length > 0) consumer.send(queue.take(consumer.pending));
  }
}
