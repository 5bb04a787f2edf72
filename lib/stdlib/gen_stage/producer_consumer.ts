/**
 * ProducerConsumer: handles events of producers and passes on what it makes of them.
 *
 * Back-pressure: `handleEvents` runs only while consumers lack events, with at most as many as they lack, and each
 * producer is asked for no more than that. Without demand nothing is asked for, and what has arrived waits. So the
 * buffer holds at most what one call of `handleEvents` made beyond the demand; it is unbounded by default because the
 * events exist already (as in GenStage), and drops like any other when a `bufferSize` is given.
 */

import type { Spawner, SpawnOptions } from "../actor_system.js";
import { type Handover, type Incoming, Inlet, type SubscriptionRef } from "./inlet.js";
import { assertCallbacks, assertDemandMode, type DemandMode, outletTerms, type ProducerOptions } from "./options.js";
import { Outlet } from "./outlet.js";
import type { SubscriptionEnd } from "./protocol.js";
import { assertProduced, isPending, StageActor, type StagePlan, SubscribingStage, spawnStage } from "./stage.js";

/** What a producer-consumer does. */
export interface ProducerConsumerCallbacks<TState = any, TIn = any, TOut = any> {
  /** Gives the first state; runs again after a crash. */
  init?: (...args: any[]) => TState | Promise<TState>;
  /** Makes events out of events, any number of them. What it throws crashes the stage. */
  handleEvents: (
    events: TIn[],
    from: SubscriptionRef,
    state: TState,
  ) => [events: TOut[], newState: TState] | Promise<[events: TOut[], newState: TState]>;
  /** A subscription has ended, and all that came on it is handled; may make last events. */
  handleCancel?: (
    reason: SubscriptionEnd,
    from: SubscriptionRef,
    state: TState,
  ) => [events: TOut[], newState: TState] | Promise<[events: TOut[], newState: TState]>;
  /** Runs when the stage stops, and before it is started again after a crash. */
  terminate?: (state: TState) => void | Promise<void>;
}

interface ProducerConsumerPlan extends StagePlan {
  readonly callbacks: ProducerConsumerCallbacks;
  readonly inlet: Inlet;
  readonly outlet: Outlet;
  /** All producers are exhausted. */
  done: boolean;
}

class ProducerConsumerActor extends StageActor<ProducerConsumerPlan> {
  /** Hands over what has arrived as long as consumers lack events, then asks for more. */
  protected override work(): void | Promise<void> {
    const { inlet, outlet } = this.plan;
    for (;;) {
      const next = inlet.take(outlet.need());
      if (next === undefined) break;
      const result = this.handle(next);
      if (isPending(result)) return this.finishLater(next, result);
      this.handled(next, result);
    }
    for (const incoming of inlet.subscriptions.values()) this.replenish(incoming);
    if (this.plan.done && outlet.drained) this.finish();
  }

  private finishLater(next: Handover, result: PromiseLike<unknown>): Promise<void> {
    return Promise.resolve(result).then((value) => {
      this.handled(next, value);
      return this.work();
    });
  }

  private handle({ incoming, events, ended }: Handover): unknown {
    const { callbacks, inlet } = this.plan;
    if (ended === undefined) return callbacks.handleEvents(events as any[], incoming.ref, this.state);
    inlet.remove(incoming.ref.tag);
    return callbacks.handleCancel === undefined
      ? [[], this.state]
      : callbacks.handleCancel(ended, incoming.ref, this.state);
  }

  private handled({ incoming, events, ended }: Handover, result: unknown): void {
    assertProduced(ended === undefined ? "handleEvents" : "handleCancel", result);
    const [made, state] = result;
    this.state = state;
    this.received += events.length;
    this.plan.outlet.accept(made);
    if (ended === undefined) return;
    if (ended.type === "done" && this.plan.inlet.subscriptions.size === 0) this.plan.done = true;
    else this.follow(incoming.terms, ended);
  }

  /** Asks a producer for what consumers lack. One that has nothing does not hold the others back. */
  protected override replenish(incoming: Incoming): void {
    if (!incoming.started || incoming.pending > incoming.terms.minDemand) return;
    const count = Math.min(incoming.room, this.plan.outlet.need() - incoming.pending);
    if (count > 0) incoming.ask(count);
  }

  private finish(): void {
    this.plan.outlet.finish();
    this.exit(this.self);
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
    const outlet = new Outlet(outletTerms(options, Number.POSITIVE_INFINITY));
    const plan: ProducerConsumerPlan = { callbacks, args, inlet: new Inlet(), outlet, done: false };
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
}
