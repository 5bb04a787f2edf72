/**
 * Consumer: asks producers for events and handles them.
 *
 * Events of one subscription are handled in their order, one chunk at a time. A chunk whose handler crashed is lost
 * (its effects are unknown, so it is never handled twice); the chunks behind it are handled by the next incarnation.
 */

import type { Spawner, SpawnOptions } from "../spawn_options.js";
import { type Handover, type Incoming, Inlet, type SubscriptionRef } from "./inlet.js";
import { assertCallbacks } from "./options.js";
import type { SubscriptionEnd } from "./protocol.js";
import { isPending, StageActor, type StagePlan, SubscribingStage, spawnStage } from "./stage.js";

/** What a consumer does. */
export interface ConsumerCallbacks<TState = any, TEvent = any> {
  /** Gives the first state; runs again after a crash. */
  init?: ((...args: any[]) => TState | Promise<TState>) | undefined;
  /** Handles events and gives the next state. What it throws crashes the stage. */
  handleEvents: (events: TEvent[], from: SubscriptionRef, state: TState) => TState | Promise<TState>;
  /** A subscription has ended, and all that came on it is handled; gives the next state. */
  handleCancel?:
    | ((reason: SubscriptionEnd, from: SubscriptionRef, state: TState) => TState | Promise<TState>)
    | undefined;
  /** Runs when the stage stops, and before it is started again after a crash. */
  terminate?: ((state: TState) => void | Promise<void>) | undefined;
}

interface ConsumerPlan extends StagePlan {
  readonly callbacks: ConsumerCallbacks;
  readonly inlet: Inlet;
}

class ConsumerActor extends StageActor<ConsumerPlan> {
  /** Hands over what has arrived. */
  protected override work(): void | Promise<void> {
    const { inlet } = this.plan;
    for (;;) {
      const next = inlet.take(Number.POSITIVE_INFINITY);
      if (next === undefined) return;
      const state = this.handle(next);
      if (isPending(state)) return this.finishLater(state, (value) => this.handled(next, value));
      this.handled(next, state);
    }
  }

  private handle({ incoming, events, ended }: Handover): unknown {
    const { callbacks } = this.plan;
    this.received += events.length;
    if (ended === undefined) return callbacks.handleEvents(events, incoming.ref, this.state);
    this.plan.inlet.remove(incoming.ref.tag);
    return callbacks.handleCancel === undefined ? this.state : callbacks.handleCancel(ended, incoming.ref, this.state);
  }

  private handled({ incoming, ended }: Handover, state: unknown): void {
    this.state = state;
    if (ended !== undefined) this.follow(incoming.terms, ended);
    else this.replenish(incoming);
  }

  protected override replenish(incoming: Incoming): void {
    if (!this.plan.inlet.subscriptions.has(incoming.ref.tag)) return; // Cancelled by its handler.
    if (incoming.pending <= incoming.terms.minDemand) incoming.ask(incoming.room);
  }
}

/**
 * Handles the events of the producers that it subscribes to.
 *
 * @example
 * const printer = Consumer.start(system, { handleEvents: (events) => console.log(events) });
 * await printer.subscribe(numbers, { maxDemand: 100 });
 */
export class Consumer extends SubscribingStage {
  /** Starts a consumer. @throws InvalidArgumentError, or what a synchronous `init` throws */
  static start<TState = any, TEvent = any>(
    system: Spawner,
    callbacks: ConsumerCallbacks<TState, TEvent>,
    spawnOptions?: SpawnOptions,
    ...args: any[]
  ): Consumer {
    assertCallbacks("Consumer", callbacks, ["handleEvents"]);
    const plan: ConsumerPlan = { callbacks, args, inlet: new Inlet() };
    return new Consumer(system, spawnStage(system, ConsumerActor, plan, spawnOptions), plan.inlet);
  }

  /** Ends a subscription; false if there is none. Events that were not handled go back to the producer. */
  cancel(subscription: SubscriptionRef): boolean {
    return this.cancelSubscription(subscription);
  }
}
