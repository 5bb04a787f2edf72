/**
 * ProducerConsumer: handles events of producers and passes on what it makes of them.
 *
 * Back-pressure: `handleEvents` runs only while consumers lack events, with at most what they lack and what the buffer
 * has room for, and each producer is asked for no more than that. Without demand nothing is asked for, and what has
 * arrived waits. The buffer is unbounded by default (as in GenStage): it never holds more than what one call of
 * `handleEvents` made beyond the demand.
 */

import type { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import type { Spawner, SpawnOptions } from "../spawn_options.js";
import { endOf, type StageEnd } from "./failure.js";
import { type Handover, type Incoming, Inlet, type SubscriptionRef } from "./inlet.js";
import { assertCallbacks, assertDemandMode, type DemandMode, outletTerms, type ProducerOptions } from "./options.js";
import { Outlet } from "./outlet.js";
import type { StageCast, SubscriptionEnd } from "./protocol.js";
import { assertProduced, isPending, StageActor, type StagePlan, SubscribingStage, spawnStage } from "./stage.js";
import { batchesOf, type ReadOptions, type StreamOptions, streamOf } from "./streams.js";

/** What a producer-consumer does. */
export interface ProducerConsumerCallbacks<TState = any, TIn = any, TOut = any> {
  /** Gives the first state; runs again after a crash. */
  init?: ((...args: any[]) => TState | Promise<TState>) | undefined;
  /**
   * Makes events out of events, any number of them. What it throws crashes the stage. The array that it gives belongs to
   * the stage afterwards; that may be the one that it was given.
   */
  handleEvents: (
    events: TIn[],
    from: SubscriptionRef,
    state: TState,
  ) => [events: TOut[], newState: TState] | Promise<[events: TOut[], newState: TState]>;
  /** A subscription has ended, and all that came on it is handled; may make last events. */
  handleCancel?:
    | ((
        reason: SubscriptionEnd,
        from: SubscriptionRef,
        state: TState,
      ) => [events: TOut[], newState: TState] | Promise<[events: TOut[], newState: TState]>)
    | undefined;
  /** Runs when the stage stops, and before it is started again after a crash. */
  terminate?: ((state: TState) => void | Promise<void>) | undefined;
}

interface ProducerConsumerPlan extends StagePlan {
  readonly callbacks: ProducerConsumerCallbacks;
  readonly inlet: Inlet;
  readonly outlet: Outlet;
  readonly settings: StepSettings;
  /** All producers are exhausted, or a handler said so. */
  end: StageEnd | undefined;
}

/** What the stages of a pipeline need beyond callbacks. */
export interface StepSettings {
  /** Makes events when the stage gets a {@link Flush}. */
  readonly flush?: (() => any[]) | undefined;
}

/** Has a stage send what it holds. */
export interface Flush {
  kind: "flush";
}

const PLAIN: StepSettings = {};

class ProducerConsumerActor extends StageActor<ProducerConsumerPlan> {
  override handleCast(message: StageCast | Flush): void | Promise<void> {
    if (message?.kind !== "flush") return super.handleCast(message);
    this.plan.outlet.accept(this.plan.settings.flush?.() ?? []);
    return this.work();
  }

  /** Hands over what has arrived as long as consumers lack events, then asks for more. */
  protected override work(): void | Promise<void> {
    const { inlet, outlet } = this.plan;
    for (;;) {
      if (this.plan.end !== undefined) return this.finish(this.plan.end);
      const next = inlet.take(outlet.room());
      if (next === undefined) break;
      const result = this.handle(next);
      if (isPending(result)) return this.finishLater(result, (value) => this.handled(next, value));
      this.handled(next, result);
    }
    for (const incoming of inlet.subscriptions.values()) this.replenish(incoming);
  }

  private handle({ incoming, events, ended }: Handover): unknown {
    const { callbacks, inlet } = this.plan;
    this.received += events.length;
    if (ended === undefined) return callbacks.handleEvents(events, incoming.ref, this.state);
    inlet.remove(incoming.ref.tag);
    return callbacks.handleCancel === undefined
      ? [[], this.state]
      : callbacks.handleCancel(ended, incoming.ref, this.state);
  }

  private handled({ incoming, ended }: Handover, result: unknown): void {
    assertProduced(ended === undefined ? "handleEvents" : "handleCancel", result);
    const [made, state, end] = result;
    this.state = state;
    this.plan.outlet.accept(made);
    this.plan.end = endOf(end);
    if (ended === undefined || this.plan.end !== undefined) return;
    if (ended.type === "done" && this.plan.inlet.subscriptions.size === 0) this.plan.end = "done";
    else this.follow(incoming.terms, ended);
  }

  /** Asks a producer for what consumers lack. One that has nothing does not hold the others back. */
  protected override replenish(incoming: Incoming): void {
    if (!incoming.started || incoming.pending > incoming.terms.minDemand) return;
    const count = Math.min(incoming.room, this.plan.outlet.room() - incoming.pending);
    if (count > 0) incoming.ask(count);
  }

  private finish(end: StageEnd): void {
    const { outlet } = this.plan;
    if (!outlet.drained) return;
    if (end === "done") {
      if (outlet.finish({ type: "done" })) this.exit(this.self);
    } else if (end.origin === "own") {
      throw end.error;
    } else if (outlet.finish({ type: "error", error: end.error })) {
      this.exit(this.self, "kill"); // Abnormal, and not logged: the one that failed has been.
    }
  }
}

/**
 * Receives events from upstream, transforms them and dispatches downstream.
 *
 * @example
 * const doubler = ProducerConsumer.start(system, {
 *   handleEvents: (events: number[], _from, state) => [events.map((n) => 2 * n), state],
 * });
 * await doubler.subscribe(numbers);
 * await printer.subscribe(doubler);
 */
export class ProducerConsumer<TEvent = any> extends SubscribingStage {
  /** Phantom: the type of the events that it passes on. */
  declare readonly _events?: TEvent;

  /** Starts a producer-consumer. @throws InvalidOptionError, InvalidArgumentError, or what a synchronous `init` throws */
  static start<TState = any, TIn = any, TOut = any>(
    system: Spawner,
    callbacks: ProducerConsumerCallbacks<TState, TIn, TOut>,
    options?: ProducerOptions,
    spawnOptions?: SpawnOptions,
    ...args: any[]
  ): ProducerConsumer<TOut> {
    assertCallbacks("ProducerConsumer", callbacks, ["handleEvents"]);
    return ProducerConsumer._start(system, callbacks, options, spawnOptions, args);
  }

  /** @internal Starts a stage with more than its callbacks. */
  static _start<TOut>(
    system: Spawner,
    callbacks: ProducerConsumerCallbacks<any, any, TOut>,
    options?: ProducerOptions,
    spawnOptions?: SpawnOptions,
    args: readonly unknown[] = [],
    settings = PLAIN,
  ): ProducerConsumer<TOut> {
    const outlet = new Outlet(outletTerms(options, Number.POSITIVE_INFINITY));
    const plan: ProducerConsumerPlan = { callbacks, args, inlet: new Inlet(), outlet, settings, end: undefined };
    return new ProducerConsumer<TOut>(
      system,
      spawnStage(system, ProducerConsumerActor, plan, spawnOptions),
      plan.inlet,
    );
  }

  /** Ends a subscription to a producer; false if there is none. Events that were not handled go back to it. */
  cancelUpstream(subscription: SubscriptionRef): boolean {
    return this.cancelSubscription(subscription);
  }

  /** Serves demand from now on (`"forward"`), or holds it back (`"accumulate"`). */
  demand(mode: DemandMode): void {
    assertDemandMode("demand", mode);
    this.ref.cast({ kind: "mode", mode });
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
