/**
 * Ways out of a pipeline: async iterables, web streams and Node streams.
 *
 * Each reading has a consumer of its own (iterable_consumer.ts), which subscribes with the first read and is stopped
 * with the last: at the end, at a failure, or when the reader breaks off, cancels or destroys.
 *
 * Back-pressure: a stream asks for the next chunk when it has given away the last one and wants more. So of a stalled
 * stream at most maxDemand events plus its own highWaterMark have left the producer. A stream that is broken off loses
 * what it held and the chunk that it was giving away; the rest goes back to the producer.
 *
 * Failures go both ways. A producer that ends abnormally makes the iteration throw, and errors or destroys the stream,
 * behind the last event. A reader that fails ends its consumer, which cancels the subscription. A signal does both.
 */

import { Readable } from "node:stream";
import type { ReadableStreamDefaultController, UnderlyingSource, ReadableStream as WebStream } from "node:stream/web";
import { InvalidArgumentError } from "../../errors.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { OptionNames } from "../../kernel/options.js";
import { assertOptions } from "../../kernel/validate.js";
import type { Spawner } from "../spawn_options.js";
import { whenAborted } from "./abort.js";
import { BatchIterator, IterableConsumer, type Opening, type Reading } from "./iterable_consumer.js";
import { type SubscriptionOptions, subscriptionTerms } from "./options.js";

/** How a stage is read: as one subscribes to it; `signal` makes the reading fail. */
export type ReadOptions = Omit<SubscriptionOptions, "cancel">;

/** How a stage becomes a stream. */
export interface StreamOptions extends ReadOptions {
  /** Events that the stream itself holds; default 16 for Node streams and 0 for web streams. */
  highWaterMark?: number | undefined;
}

const STREAM_NAMES: OptionNames<StreamOptions> = {
  maxDemand: true,
  minDemand: true,
  partition: true,
  signal: true,
  highWaterMark: true,
};

/** Batches that can be read several times, each time by other means. */
export class Batches<T> {
  constructor(private readonly open: (reading: Reading<T>) => Opening) {}

  /** Reads them with `for await`. */
  iterable(signal?: AbortSignal): AsyncIterable<T[]> {
    return { [Symbol.asyncIterator]: () => this.read(signal) };
  }

  private read(signal?: AbortSignal): BatchIterator<T> {
    return new BatchIterator(this.open, signal);
  }

  /** Reads them as a web stream of events. */
  readable({ highWaterMark = 0, signal }: StreamOptions): WebStream<T> {
    return new ReadableStream<T>(new EventFeed(this.read(), signal), { highWaterMark }) as WebStream<T>;
  }

  /** Reads them as a Node stream of events. */
  nodeStream({ highWaterMark, signal }: StreamOptions): Readable {
    return new EventStream(this.read(), highWaterMark, signal);
  }
}

/** What a web stream of events reads. */
class EventFeed<T> implements UnderlyingSource<T> {
  /** The chunk that is given away, from `at` on. */
  private rest: readonly T[] = [];
  private at = 0;
  private over = false;
  private forgetSignal: (() => void) | undefined;

  constructor(
    private readonly batches: BatchIterator<T>,
    private readonly signal: AbortSignal | undefined,
  ) {}

  start(controller: ReadableStreamDefaultController<T>): void {
    this.forgetSignal = whenAborted(this.signal, (error) => {
      this.over = true;
      controller.error(error);
      void this.batches.return();
    });
  }

  async pull(controller: ReadableStreamDefaultController<T>): Promise<void> {
    if (this.at === this.rest.length && !(await this.refill())) {
      if (!this.over) controller.close();
      this.end();
      return;
    }
    do controller.enqueue(this.rest[this.at++]);
    while (this.at < this.rest.length && (controller.desiredSize ?? 0) > 0);
  }

  /** Gets the next chunk; false if there is none. */
  private async refill(): Promise<boolean> {
    try {
      const { done, value } = await this.batches.next();
      this.rest = value ?? [];
      this.at = 0;
      return done !== true && !this.over;
    } catch (error) {
      this.end();
      throw error;
    }
  }

  private end(): void {
    this.over = true;
    this.forgetSignal?.();
  }

  async cancel(): Promise<void> {
    this.end();
    await this.batches.return();
  }
}

/** A Node stream of events. */
class EventStream<T> extends Readable {
  /** The chunk that is given away, from `at` on. */
  private rest: readonly T[] = [];
  private at = 0;
  private pulling = false;
  private readonly forgetSignal: () => void;

  constructor(
    private readonly batches: BatchIterator<T>,
    highWaterMark: number | undefined,
    signal: AbortSignal | undefined,
  ) {
    super({ objectMode: true, ...(highWaterMark === undefined ? {} : { highWaterMark }) });
    this.forgetSignal = whenAborted(signal, (error) => this.destroy(error));
  }

  override _read(): void {
    if (this.at < this.rest.length) this.give();
    else if (!this.pulling) this.pull();
  }

  private pull(): void {
    this.pulling = true;
    this.batches.next().then(
      ({ done, value }) => {
        this.pulling = false;
        if (done) {
          this.forgetSignal();
          this.push(null);
        } else {
          this.rest = value;
          this.at = 0;
          this.give();
        }
      },
      (error: Error) => this.destroy(error),
    );
  }

  /** Gives events away as long as the stream wants them. A push may ask for the next one itself. */
  private give(): void {
    while (this.at < this.rest.length && !this.destroyed) {
      const event = this.rest[this.at++];
      if (event === null) this.destroy(new InvalidArgumentError("event", "anything but null in a Node stream", event));
      else if (!this.push(event)) return;
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.rest = [];
    this.at = 0;
    this.forgetSignal?.();
    this.batches.return().then(
      () => callback(error),
      (failure: Error) => callback(error ?? failure),
    );
  }
}

/** The events of a stage, to be read. @throws InvalidOptionError, InvalidArgumentError */
export function batchesOf<T>(owner: Spawner, ref: ActorRef, options: ReadOptions = {}): Batches<T> {
  subscriptionTerms(options);
  const { signal: _signal, ...terms } = options;
  return new Batches<T>((reading) => {
    const consumer = IterableConsumer._over(owner, reading);
    return { ready: consumer.subscribe(ref, terms), stop: () => consumer.stop() };
  });
}

/** The events of a stage, to be read as a stream. @throws InvalidOptionError, InvalidArgumentError */
export function streamOf<T>(owner: Spawner, ref: ActorRef, options: StreamOptions): Batches<T> {
  assertOptions("stream options", options, STREAM_NAMES);
  const { highWaterMark: _, ...terms } = options;
  return batchesOf(owner, ref, terms);
}
