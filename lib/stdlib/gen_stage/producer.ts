/**
 * Producer: makes events when consumers ask for them.
 *
 * `handleDemand` is called with what is lacking: demand that neither the buffer nor an earlier call has covered. What a
 * call still owes is remembered (GenStage does the same) and is paid with later results or with `emit`. While a call is
 * pending the stage is busy; demand that comes meanwhile is served afterwards. A crash forgets the state and what is
 * owed, not the consumers, their demand and the buffer.
 */

import type { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { InvalidArgumentError } from "../../errors.js";
import type { OptionNames } from "../../kernel/options.js";
import { assertOptions } from "../../kernel/validate.js";
import { assertSpawner, readSpawnOptions, type Spawner, type SpawnOptions } from "../spawn_options.js";
import { assertNotAborted, whenAborted } from "./abort.js";
import { endOf, type StageEnd } from "./failure.js";
import {
  assertCallbacks,
  assertDemandMode,
  type DemandMode,
  outletTerms,
  PRODUCER_NAMES,
  type ProducerOptions,
} from "./options.js";
import { Outlet } from "./outlet.js";
import type { StageCast } from "./protocol.js";
import { openSource, type ProducerSource, type Source, type SourceEnded } from "./source.js";
import { assertProduced, isPending, Stage, StageActor, type StagePlan, spawnStage } from "./stage.js";
import { batchesOf, type ReadOptions, type StreamOptions, streamOf } from "./streams.js";
import { TemporaryStages } from "./temporary.js";

/** Events and the next state. `"done"` in third place says that no more events will come. */
export type Produced<TState, TEvent> =
  | [events: TEvent[], newState: TState]
  | [events: TEvent[], newState: TState, "done"];

/** What a producer does. */
export interface ProducerCallbacks<TState = any, TEvent = any> {
  /** Gives the first state; runs again after a crash. */
  init: (...args: any[]) => TState | Promise<TState>;
  /**
   * Makes events. Fewer than `demand` stay owed, more are buffered; what it throws crashes the stage. The array belongs
   * to the stage afterwards: the next events need another one.
   */
  handleDemand: (demand: number, state: TState) => Produced<TState, TEvent> | Promise<Produced<TState, TEvent>>;
  /** Runs when the stage stops, and before it is started again after a crash. */
  terminate?: ((state: TState) => void | Promise<void>) | undefined;
}

interface ProducerPlan extends StagePlan {
  readonly callbacks: ProducerCallbacks;
  readonly outlet: Outlet;
  /** No more events will be made. */
  end: StageEnd | undefined;
}

class ProducerActor extends StageActor<ProducerPlan> {
  /** Events that `handleDemand` was asked for and has not given. */
  private owed = 0;

  override handleCast(message: StageCast | SourceEnded): void | Promise<void> {
    if (message?.kind !== "source_ended") return super.handleCast(message);
    this.plan.end = message.end;
    return this.work();
  }

  protected override emitted(events: readonly any[]): void {
    this.owed = Math.max(0, this.owed - events.length);
    this.plan.outlet.accept(events);
  }

  /** Has made what is lacking, or ends when there is no more and all of it has been sent. */
  protected override work(): void | Promise<void> {
    const { outlet, callbacks, end } = this.plan;
    if (end !== undefined) return this.finish(end);
    const demand = outlet.need() - this.owed;
    if (demand <= 0) return;
    this.owed += demand;
    const result = callbacks.handleDemand(demand, this.state);
    if (isPending(result)) return this.finishLater(result, (value) => this.produced(value));
    this.produced(result);
  }

  private produced(result: unknown): void {
    assertProduced("handleDemand", result);
    const [events, state, given] = result;
    const end = endOf(given);
    this.state = state;
    this.owed = Math.max(0, this.owed - events.length);
    this.plan.outlet.accept(events);
    if (end !== undefined) {
      this.plan.end = end;
      this.finish(end);
    } else if (this.plan.outlet.need() > this.owed) {
      // Some events served nobody: discarded, or waiting for the consumer of their partition. Not in a loop, because
      // all of them may.
      this.self.cast({ kind: "work" });
    }
  }

  private finish(end: StageEnd): void {
    if (!this.plan.outlet.drained) return;
    if (end !== "done") throw end.error;
    if (this.plan.outlet.finish({ type: "done" })) this.exit(this.self);
  }
}

/** How a source is read. */
export interface FromOptions extends ProducerOptions {
  /** Stops the producer when it aborts. */
  signal?: AbortSignal | undefined;
}

const FROM_NAMES: OptionNames<FromOptions> = { ...PRODUCER_NAMES, signal: true };

/**
 * Emits events in response to demand.
 *
 * @example
 * const numbers = Producer.start(system, {
 *   init: () => 0,
 *   handleDemand: (demand, from) => [Array.from({ length: demand }, (_, i) => from + i), from + demand],
 * });
 */
export class Producer<TEvent = any> extends Stage {
  /** Phantom: the type of the events. */
  declare readonly _events?: TEvent;

  /** Starts a producer. @throws InvalidOptionError, InvalidArgumentError, or what a synchronous `init` throws */
  static start<TState = any, TEvent = any>(
    system: Spawner,
    callbacks: ProducerCallbacks<TState, TEvent>,
    options?: ProducerOptions,
    spawnOptions?: SpawnOptions,
    ...args: any[]
  ): Producer<TEvent> {
    assertCallbacks("Producer", callbacks, ["init", "handleDemand"]);
    const plan: ProducerPlan = { callbacks, args, outlet: new Outlet(outletTerms(options)), end: undefined };
    return new Producer<TEvent>(system, spawnStage(system, ProducerActor, plan, spawnOptions));
  }

  /**
   * Starts a producer of what an iterable, an async iterable or a stream gives. It reads no more than consumers have
   * asked for, and ends with its source. An error of the source ends it with that error, and for good.
   *
   * @param options `signal` stops the producer. Stopping it closes the source.
   * @throws InvalidOptionError, InvalidArgumentError, CallAbortedError if the signal is aborted already. The source is
   * untouched then.
   * @example
   * const lines = Producer.from(system, createReadStream("log.txt"));
   */
  static from<T>(
    system: Spawner,
    source: ProducerSource<T>,
    options: FromOptions = {},
    spawnOptions: SpawnOptions = {},
  ): Producer<T> {
    assertSpawner(system);
    assertOptions("Producer.from options", options, FROM_NAMES);
    const { signal, ...own } = options as FromOptions;
    assertNotAborted(signal);
    outletTerms(own);
    readSpawnOptions(spawnOptions, { args: [], name: undefined });
    const reader = openSource(source);
    const { strategy, role, ...rest } = spawnOptions;
    const keeper = new TemporaryStages(system, "with its stage", { strategy, role });
    try {
      return Producer._read<T>(system, keeper, reader, options, rest);
    } catch (error) {
      void keeper.end();
      throw error;
    }
  }

  /** @internal @param keeper sees to it that the stage is not started again. */
  static _read<T>(
    owner: Spawner,
    keeper: Spawner,
    source: Source,
    { signal, ...options }: FromOptions,
    spawnOptions?: SpawnOptions,
  ): Producer<T> {
    let forgetSignal: (() => void) | undefined;
    const callbacks: ProducerCallbacks = {
      init: () => undefined,
      handleDemand: (demand) => source.pull(demand) as Produced<undefined, T>,
      terminate: () => {
        forgetSignal?.();
        return source.close();
      },
    };
    // What it reads was asked for, so the buffer is bounded by demand.
    const outlet = new Outlet(outletTerms(options, Number.POSITIVE_INFINITY));
    const plan: ProducerPlan = { callbacks, args: [], outlet, end: undefined };
    const producer = new Producer<T>(owner, spawnStage(keeper, ProducerActor, plan, spawnOptions));
    source.attach(producer.ref);
    forgetSignal = whenAborted(signal, () => void producer.stop());
    return producer;
  }

  /** Serves demand from now on (`"forward"`), or holds it back (`"accumulate"`). */
  demand(mode: DemandMode): void {
    assertDemandMode("demand", mode);
    this.ref.cast({ kind: "mode", mode });
  }

  /**
   * Sends events that nobody asked `handleDemand` for: what is owed first, the rest waits in the buffer. The array may be
   * used again.
   */
  emit(events: TEvent[]): void {
    if (!Array.isArray(events)) throw new InvalidArgumentError("events", "an array", events);
    this.ref.cast({ kind: "emit", events: events.slice() });
  }

  /** Events that consumers have asked for and not been sent. */
  async getDemand(): Promise<number> {
    return (await this.stats()).demand;
  }

  /**
   * The events, to be read with `for await`, in batches; each iteration subscribes anew. It ends when this stage is done
   * or stopped, and throws if it ends abnormally. Leaving the loop cancels the subscription.
   *
   * @throws InvalidOptionError, InvalidArgumentError
   */
  batches(options?: ReadOptions): AsyncIterable<TEvent[]> {
    return batchesOf<TEvent>(this.owner, this.ref, options).iterable(options?.signal);
  }

  /** The events as a web stream. @throws InvalidOptionError, InvalidArgumentError */
  toReadable(options: StreamOptions = {}): ReadableStream<TEvent> {
    return streamOf<TEvent>(this.owner, this.ref, options).readable(options);
  }

  /** The events as a Node stream in object mode. @throws InvalidOptionError, InvalidArgumentError */
  toNodeStream(options: StreamOptions = {}): Readable {
    return streamOf<TEvent>(this.owner, this.ref, options).nodeStream(options);
  }
}
