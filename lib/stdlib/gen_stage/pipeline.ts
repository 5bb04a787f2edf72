/**
 * Pipelines: map, filter, batch and partition, made of stages (in the manner of Elixir's Flow).
 *
 * A {@link Pipeline} is a description and can be run several times, if its source can be read several times. Running or
 * reading it starts its stages: a producer that reads the source, a producer-consumer per step, and a consumer. They
 * are children of one actor, are not started again, and are all stopped when the run or the reading ends, however it
 * ends. A source that is a stage already is subscribed to and left as it is.
 *
 * Functions that follow one another (map, filter, flatMap) share a stage. `partition` makes lanes: what follows runs
 * once per lane, the events of one key go through one lane and keep their order. `run` and the ways out read all lanes.
 *
 * Back-pressure reaches from the sink to the source. Each subscription has at most maxDemand events under way (per lane),
 * and a stage asks and works only while the next one lacks events; what it makes of one chunk beyond that waits in its
 * buffer. Behind `batch(n)` maxDemand counts batches and is divided by n.
 *
 * A run or a reading that ends well has had everything. If somebody else stops its stages (a shutdown, the end of the actor
 * that they belong to), it fails.
 *
 * Failures: what a function or the source throws travels behind the events before it, and ends the run or the reading
 * with that error. A failing sink or key function, and a signal, end it at once. A failed source or function is a crash
 * of its stage and logged as such, once. Events under way are lost then; delivery is at most once.
 */

import type { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { InvalidArgumentError } from "../../errors.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { OptionNames } from "../../kernel/options.js";
import { assertFunction, assertOptions, DELAY_MS_MAX } from "../../kernel/validate.js";
import { assertSpawner, type Spawner } from "../spawn_options.js";
import { assertNotAborted, assertSignal, whenAborted } from "./abort.js";
import { Consumer } from "./consumer.js";
import { IterableConsumer, type Opening, type Reading } from "./iterable_consumer.js";
import { MAX_DEMAND_LIMIT, PARTITIONS_LIMIT, subscriptionTerms } from "./options.js";
import { Run } from "./pipeline/run.js";
import { openSink, type PipelineSink, type Sink } from "./pipeline/sink.js";
import {
  Assembly,
  assertPositive,
  assertSource,
  type Lanes,
  type PartitionKey,
  type PipelineDemand,
  type Step,
} from "./pipeline/steps.js";
import type { Operation } from "./pipeline/transform.js";
import type { SubscriptionEnd } from "./protocol.js";
import type { ProducerSource } from "./source.js";
import { isPending } from "./stage.js";
import { Batches, type StreamOptions } from "./streams.js";

/** How a pipeline's stages subscribe to each other. */
export type PipelineOptions = PipelineDemand;

const PIPELINE_NAMES: OptionNames<PipelineOptions> = { maxDemand: true, minDemand: true };

/** How a pipeline is run. */
export interface RunOptions {
  /** Makes the run fail, and stops its stages. */
  signal?: AbortSignal | undefined;
}

const RUN_NAMES: OptionNames<RunOptions> = { signal: true };

/** How a pipeline becomes a stream. */
export type PipelineStreamOptions = Pick<StreamOptions, "highWaterMark" | "signal">;

const STREAM_NAMES: OptionNames<PipelineStreamOptions> = { highWaterMark: true, signal: true };

/** What functions of a pipeline may give. */
type Awaitable<T> = T | PromiseLike<T>;

interface Origin {
  readonly system: Spawner;
  readonly source: unknown;
  readonly demand: PipelineDemand;
}

/** Steps that events go through. See the module's header. */
export class Pipeline<T = any> implements AsyncIterable<T> {
  /** @internal */
  constructor(
    private readonly origin: Origin,
    private readonly steps: readonly Step[],
  ) {}

  /** Makes one event of each event. */
  map<U>(fn: (event: T) => Awaitable<U>): Pipeline<U> {
    return this.apply<U>({ type: "map", apply: fn });
  }

  /** Keeps the events for which `fn` holds. */
  filter<S extends T>(fn: (event: T) => event is S): Pipeline<S>;
  filter(fn: (event: T) => Awaitable<unknown>): Pipeline<T>;
  filter(fn: (event: T) => unknown): Pipeline<any> {
    return this.apply({ type: "filter", apply: fn });
  }

  /** Makes any number of events of each event. */
  flatMap<U>(fn: (event: T) => Awaitable<Iterable<U> | AsyncIterable<U>>): Pipeline<U> {
    return this.apply<U>({ type: "flatMap", apply: fn });
  }

  private apply<U>(operation: Operation): Pipeline<U> {
    assertFunction(`function of ${operation.type}`, operation.apply);
    const last = this.steps.at(-1);
    if (last?.type !== "transform") return this.with({ type: "transform", operations: [operation] });
    const fused: Step = { type: "transform", operations: [...last.operations, operation] };
    return new Pipeline<U>(this.origin, [...this.steps.slice(0, -1), fused]);
  }

  /**
   * Makes arrays of `size` events.
   *
   * @param delayMs what there is so many milliseconds after the first event of a group goes on as it is; default never.
   */
  batch(size: number, delayMs: number = Number.POSITIVE_INFINITY): Pipeline<T[]> {
    assertPositive("size of a batch", size, MAX_DEMAND_LIMIT);
    if (delayMs !== Number.POSITIVE_INFINITY && !(delayMs >= 0 && delayMs <= DELAY_MS_MAX)) {
      throw new InvalidArgumentError("delay of a batch", "milliseconds, or Infinity", delayMs);
    }
    return this.with({ type: "batch", size, delayMs });
  }

  /** Spreads the events over lanes that work side by side; events of equal keys keep their order. */
  partition(key: (event: T) => PartitionKey, lanes: number): Pipeline<T> {
    assertFunction("key of a partition", key);
    assertPositive("number of lanes", lanes, PARTITIONS_LIMIT);
    return this.with({ type: "partition", key, lanes });
  }

  private with<U>(step: Step): Pipeline<U> {
    return new Pipeline<U>(this.origin, [...this.steps, step]);
  }

  /**
   * Sends all events to a function, called with one event at a time per lane, or to a writable stream, which is ended.
   * Resolves when everything is handled and all stages are stopped; rejects with the error that ended the run.
   *
   * @throws (rejects with) InvalidArgumentError, CallAbortedError, SubscriptionError, or whatever a function, the source
   * or the sink fails with
   */
  async run(sink: PipelineSink<T>, options: RunOptions = {}): Promise<void> {
    assertOptions("run options", options, RUN_NAMES);
    const { signal } = options as RunOptions;
    assertNotAborted(signal);
    const run = new Run(this.origin.system);
    const forgetSignal = whenAborted(signal, run.fail);
    let target: Sink | undefined;
    try {
      target = openSink(sink, run.fail);
      const assembly = new Assembly(run, this.origin.demand);
      const lanes = await run.unlessFailed(assembly.build(this.origin.source, this.steps));
      await run.unlessFailed(drain(lanes, assembly, run, target));
      await run.unlessFailed(target.end());
    } catch (error) {
      run.over();
      target?.abort(error);
      throw error;
    } finally {
      forgetSignal();
      await run.stop();
    }
  }

  /** The events in batches, to be read with `for await`. */
  batches(options: RunOptions = {}): AsyncIterable<T[]> {
    assertOptions("reading options", options, RUN_NAMES);
    const { signal } = options as RunOptions;
    assertSignal(signal);
    return this.read().iterable(signal);
  }

  /** The events as a web stream. */
  toReadable(options: PipelineStreamOptions = {}): ReadableStream<T> {
    assertOptions("stream options", options, STREAM_NAMES);
    assertSignal(options.signal);
    return this.read().readable(options);
  }

  /** The events as a Node stream in object mode. */
  toNodeStream(options: PipelineStreamOptions = {}): Readable {
    assertOptions("stream options", options, STREAM_NAMES);
    assertSignal(options.signal);
    return this.read().nodeStream(options);
  }

  /** The events one by one. Leaving the loop stops all stages. */
  [Symbol.asyncIterator](): AsyncIterator<T> {
    return new EventIterator(this.batches()[Symbol.asyncIterator]());
  }

  private read(): Batches<T> {
    return new Batches<T>((reading) => this.open(reading));
  }

  private open(reading: Reading<T>): Opening {
    const { system, source, demand } = this.origin;
    const run = new Run(system);
    run.failed.catch((error: unknown) => reading.close({ error }));
    const consumer = IterableConsumer._over(run.stages, reading, run.readerStopped);
    const assembly = new Assembly(run, demand);
    const subscribed = assembly.build(source, this.steps).then((lanes) => {
      reading.failureOf = (reason) => assembly.failureOf(lanes[0], reason);
      return Promise.all(lanes.map((lane) => consumer.subscribe(lane, assembly.terms(lane))));
    });
    const stop = async (): Promise<void> => {
      run.over();
      await consumer.stop();
      await run.stop();
    };
    return { ready: subscribed, stop };
  }
}

/** Has a consumer per lane write all events to the sink; resolves when all lanes have ended. */
async function drain(lanes: Lanes, assembly: Assembly, run: Run, sink: Sink): Promise<void> {
  let open = lanes.length;
  let ended!: () => void;
  const allEnded = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const callbacks = {
    handleEvents: (events: any[]) => writeAll(events, sink, run),
    handleCancel: (reason: SubscriptionEnd) => {
      const failure = assembly.failureOf(lanes[0], reason);
      if (failure !== undefined) run.fail(failure.error);
      else if (--open === 0) ended();
    },
  };
  await Promise.all(lanes.map((lane) => Consumer.start(run.stages, callbacks).subscribe(lane, assembly.terms(lane))));
  await allEnded;
}

/** Writes the events of a chunk one at a time, unless the run is over. */
function writeAll(events: readonly any[], sink: Sink, run: Run): void | Promise<void> {
  try {
    for (let at = 0; at < events.length && !run.isOver(); at++) {
      const written = sink.write(events[at]);
      if (isPending(written)) return run.unlessOver(writeRest(written, events, at + 1, sink, run), undefined);
    }
  } catch (error) {
    run.fail(error);
  }
}

async function writeRest(
  first: PromiseLike<unknown>,
  events: readonly any[],
  from: number,
  sink: Sink,
  run: Run,
): Promise<void> {
  try {
    await first;
    for (let at = from; at < events.length && !run.isOver(); at++) {
      const written = sink.write(events[at]);
      if (isPending(written)) await written;
    }
  } catch (error) {
    run.fail(error);
  }
}

/** Events one by one, out of batches. */
class EventIterator<T> implements AsyncIterator<T> {
  private batch: readonly T[] = [];
  private at = 0;
  /** Calls of `next` are served one after the other. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly batches: AsyncIterator<T[]>) {}

  next(): Promise<IteratorResult<T>> {
    const result = this.last.then(() => this.step());
    this.last = result.catch(() => {});
    return result;
  }

  private async step(): Promise<IteratorResult<T>> {
    if (this.at === this.batch.length) {
      const { done, value } = await this.batches.next();
      if (done) return { done: true, value: undefined };
      this.batch = value;
      this.at = 0;
    }
    return { done: false, value: this.batch[this.at++] };
  }

  async return(): Promise<IteratorResult<T>> {
    this.batch = [];
    this.at = 0;
    await this.batches.return?.();
    return { done: true, value: undefined };
  }
}

/** A stage, with the type of its events. */
interface StageOf<T> {
  getRef(): ActorRef;
  readonly _events?: T;
}

/**
 * Describes a pipeline.
 *
 * @param source what `Producer.from` reads, a stage, or the ref of one.
 * @param options demand of every subscription in it.
 * @throws InvalidOptionError, InvalidArgumentError
 * @example
 * await pipeline(system, createReadStream("numbers.txt", "utf8"))
 *   .flatMap((text) => text.split(" "))
 *   .map(Number)
 *   .partition((n) => n, 4)
 *   .map(slowly)
 *   .batch(100, 50)
 *   .run((numbers) => store(numbers));
 */
export function pipeline<T>(system: Spawner, source: StageOf<T>, options?: PipelineOptions): Pipeline<T>;
export function pipeline(system: Spawner, source: ActorRef, options?: PipelineOptions): Pipeline<any>;
export function pipeline<T>(system: Spawner, source: ProducerSource<T>, options?: PipelineOptions): Pipeline<T>;
export function pipeline(system: Spawner, source: unknown, options: PipelineOptions = {}): Pipeline<any> {
  assertSpawner(system);
  assertOptions("pipeline options", options, PIPELINE_NAMES);
  const { maxDemand, minDemand } = options as PipelineOptions;
  subscriptionTerms({ maxDemand, minDemand });
  assertSource(source);
  return new Pipeline({ system, source, demand: { maxDemand, minDemand } }, []);
}
