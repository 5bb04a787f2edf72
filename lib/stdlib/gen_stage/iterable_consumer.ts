/**
 * IterableConsumer: a consumer whose events are read with `for await`.
 *
 * The actor only receives: what arrives waits in the inlet until a reader takes it ({@link Reading}), chunk by chunk. A
 * chunk counts as handed over when a reader takes it, and is replaced by demand when the reader comes for the next one.
 * So the reader sets the pace: never more than maxDemand events of a subscription are under way, the chunk that the
 * reader works on included; the actor answers at any time; and what no reader has taken when the consumer ends goes back
 * to the producer.
 *
 * The iteration ends when all subscriptions have ended in an orderly way or are cancelled, or when the consumer is
 * stopped; it throws behind the last event when a subscription ends abnormally. The end of the iteration, a `break`
 * included, is the end of the consumer.
 */

import { assertOptions } from "../../kernel/validate.js";
import type { Spawner, SpawnOptions } from "../spawn_options.js";
import { assertSignal, whenAborted } from "./abort.js";
import { failureOf } from "./failure.js";
import { type Incoming, Inlet, type SubscriptionRef } from "./inlet.js";
import type { StageSource, SubscriptionOptions } from "./options.js";
import type { StageCall } from "./protocol.js";
import { StageActor, type StagePlan, SubscribingStage, spawnStage } from "./stage.js";

interface Reader<T> {
  resolve(result: IteratorResult<T[]>): void;
  reject(error: unknown): void;
}

/** What readers take from a consumer. */
export class Reading<T> {
  readonly inlet = new Inlet();
  /** Events that readers have taken. */
  received = 0;
  /** Subscriptions that are being made. */
  private subscribing = 0;
  /** There was a subscription. */
  private begun = false;
  /** Readers that wait, the first one first. */
  private readonly readers: Reader<T>[] = [];
  /** The subscription whose chunk the reader works on. */
  private current: Incoming | undefined;
  /** What failed when a subscription has ended; undefined if that is no failure. */
  failureOf = failureOf;
  /** The end, with an error for one reader if it failed. */
  private end: { failure: { error: unknown } | undefined } | undefined;

  /** The next chunk, or the end. */
  take(): Promise<IteratorResult<T[]>> {
    return new Promise((resolve, reject) => {
      this.readers.push({ resolve, reject });
      this.serve();
    });
  }

  /** Gives readers what has arrived. */
  serve(): void {
    while (this.readers.length > 0 && this.end === undefined) {
      this.askAgain();
      const next = this.inlet.take(Number.POSITIVE_INFINITY);
      if (next === undefined) {
        if (!this.over) return;
        this.close();
      } else if (next.ended === undefined) {
        this.current = next.incoming;
        this.received += next.events.length;
        this.readers.shift()?.resolve({ done: false, value: next.events as T[] });
      } else {
        this.inlet.remove(next.incoming.ref.tag);
        const failure = this.failureOf(next.ended);
        if (failure !== undefined) this.close(failure);
      }
    }
    this.tellEnd();
  }

  /** Asks for as much as the last chunk had, if it is time. */
  private askAgain(): void {
    const { current } = this;
    this.current = undefined;
    if (current !== undefined) this.ask(current);
  }

  /** Asks for what there is room for, if it is time. */
  ask(incoming: Incoming): void {
    if (!this.inlet.subscriptions.has(incoming.ref.tag)) return;
    if (incoming.pending <= incoming.terms.minDemand) incoming.ask(incoming.room);
  }

  /** Nothing can come any more. */
  private get over(): boolean {
    return this.begun && this.subscribing === 0 && this.inlet.subscriptions.size === 0;
  }

  /** Sees a subscription being made through; what ends meanwhile is not the end of all. */
  async subscribe(subscribed: Promise<SubscriptionRef>): Promise<SubscriptionRef> {
    this.subscribing++;
    try {
      const subscription = await subscribed;
      this.begun = true;
      return subscription;
    } finally {
      this.subscribing--;
      this.serve();
    }
  }

  /** No reader gets anything from now on; one that waits or comes gets the failure, if there is one. */
  close(failure?: { error: unknown }): void {
    if (this.end !== undefined) return;
    this.end = { failure };
    this.tellEnd();
  }

  private tellEnd(): void {
    const { end } = this;
    if (end === undefined) return;
    for (const reader of this.readers.splice(0)) {
      const { failure } = end;
      end.failure = undefined;
      if (failure === undefined) reader.resolve({ done: true, value: undefined });
      else reader.reject(failure.error);
    }
  }
}

const noFailure = (): undefined => undefined;

interface ReaderPlan extends StagePlan {
  readonly inlet: Inlet;
  readonly reading: Reading<any>;
}

class ReaderActor extends StageActor<ReaderPlan> {
  protected override work(): void {
    this.plan.reading.serve();
  }

  protected override replenish(incoming: Incoming): void {
    this.plan.reading.ask(incoming);
  }

  override handleCall(message: StageCall): unknown {
    this.received = this.plan.reading.received;
    return super.handleCall(message);
  }
}

/** What an iteration reads from. */
export interface Opening {
  /** Rejects if it cannot be opened. */
  ready: Promise<unknown>;
  stop(): Promise<void>;
}

/** Iterates over a reading. What it reads from is opened with the first `next` and stopped at the end, however it comes. */
export class BatchIterator<T> implements AsyncIterator<T[]> {
  private opening: Opening | undefined;
  private begun = false;
  private forgetSignal: (() => void) | undefined;

  constructor(
    private readonly open: (reading: Reading<T>) => Opening,
    private readonly signal?: AbortSignal,
    private readonly reading = new Reading<T>(),
  ) {}

  async next(): Promise<IteratorResult<T[]>> {
    this.begin();
    let result: IteratorResult<T[]>;
    try {
      result = await this.reading.take();
    } catch (error) {
      await this.finish();
      throw error;
    }
    if (result.done) await this.finish();
    return result;
  }

  async return(): Promise<IteratorResult<T[]>> {
    this.begun = true;
    this.reading.close();
    await this.finish();
    return { done: true, value: undefined };
  }

  private begin(): void {
    if (this.begun) return;
    this.begun = true;
    if (this.signal?.aborted !== true) this.start();
    this.forgetSignal = whenAborted(this.signal, (error) => {
      this.reading.close({ error });
      void this.finish();
    });
  }

  private start(): void {
    const failed = (error: unknown): void => this.reading.close({ error });
    try {
      this.opening = this.open(this.reading);
      this.opening.ready.then(undefined, failed);
    } catch (error) {
      failed(error);
    }
  }

  private async finish(): Promise<void> {
    this.forgetSignal?.();
    await this.opening?.stop();
  }
}

/** How an {@link IterableConsumer} subscribes. What follows the end of a subscription is said by the iteration. */
export type ReadingOptions = Omit<SubscriptionOptions, "cancel">;

/**
 * A consumer for `for await`.
 *
 * @example
 * const readings = IterableConsumer.start<Reading>(system);
 * await readings.subscribe(indoors, { maxDemand: 100 });
 * await readings.subscribe(outdoors, { maxDemand: 100 });
 * for await (const batch of readings) store(batch);
 */
export class IterableConsumer<T = any> extends SubscribingStage implements AsyncIterable<T[]> {
  private constructor(
    system: Spawner,
    private readonly reading: Reading<T>,
    private readonly signal: AbortSignal | undefined,
    spawnOptions: SpawnOptions | undefined,
    stopped: () => { error: unknown } | undefined = noFailure,
  ) {
    const { inlet } = reading;
    const plan: ReaderPlan = { callbacks: { terminate: () => reading.close(stopped()) }, args: [], inlet, reading };
    super(system, spawnStage(system, ReaderActor, plan, spawnOptions), inlet);
  }

  /**
   * Starts a consumer without subscriptions.
   *
   * @param options `signal` makes the iteration throw.
   * @throws InvalidOptionError, InvalidArgumentError, or what `spawn` throws
   */
  static start<T = any>(
    system: Spawner,
    options: { signal?: AbortSignal | undefined } = {},
    spawnOptions?: SpawnOptions,
  ): IterableConsumer<T> {
    assertOptions("IterableConsumer options", options, { signal: true });
    const { signal } = options as { signal?: AbortSignal };
    assertSignal(signal);
    return new IterableConsumer<T>(system, new Reading<T>(), signal, spawnOptions);
  }

  /** @internal @param stopped gives what failed if the consumer is stopped before its end. */
  static _over<T>(
    system: Spawner,
    reading: Reading<T>,
    stopped?: () => { error: unknown } | undefined,
  ): IterableConsumer<T> {
    return new IterableConsumer<T>(system, reading, undefined, undefined, stopped);
  }

  /** Subscribes to a producer. @throws as `Consumer.subscribe` */
  override subscribe(producer: StageSource, options: ReadingOptions = {}): Promise<SubscriptionRef> {
    return this.reading.subscribe(super.subscribe(producer, { ...options, cancel: "temporary" }));
  }

  /** Ends a subscription; false if there is none. Events that nobody has read go back to the producer. */
  cancel(subscription: SubscriptionRef): boolean {
    return this.cancelSubscription(subscription);
  }

  /** Reads the events as they come. There is one iteration; a second one shares its events. */
  [Symbol.asyncIterator](): AsyncIterator<T[]> {
    const opening = { ready: Promise.resolve(), stop: () => this.stop() };
    return new BatchIterator(() => opening, this.signal, this.reading);
  }
}
