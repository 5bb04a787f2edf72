/**
 * Producer: makes events when consumers ask for them.
 *
 * `handleDemand` is called with what is lacking: demand that neither the buffer nor an earlier call has covered. What a
 * call still owes is remembered (GenStage does the same) and is paid with later results or with `emit`. While a call is
 * pending the stage is busy; demand that comes meanwhile is served afterwards. A crash forgets the state and what is
 * owed, not the consumers, their demand and the buffer.
 */

import { InvalidArgumentError } from "../../errors.js";
import type { Spawner, SpawnOptions } from "../actor_system.js";
import { assertCallbacks, assertDemandMode, type DemandMode, outletTerms, type ProducerOptions } from "./options.js";
import { Outlet } from "./outlet.js";
import { assertProduced, isPending, Stage, StageActor, type StagePlan, spawnStage } from "./stage.js";

/** Events and the next state. `"done"` in third place says that no more events will come. */
export type Produced<TState, TEvent> =
  | [events: TEvent[], newState: TState]
  | [events: TEvent[], newState: TState, "done"];

/** What a producer does. */
export interface ProducerCallbacks<TState = any, TEvent = any> {
  /** Gives the first state; runs again after a crash. */
  init: (...args: any[]) => TState | Promise<TState>;
  /** Makes events. Fewer than `demand` stay owed, more are buffered; what it throws crashes the stage. */
  handleDemand: (demand: number, state: TState) => Produced<TState, TEvent> | Promise<Produced<TState, TEvent>>;
  /** Runs when the stage stops, and before it is started again after a crash. */
  terminate?: (state: TState) => void | Promise<void>;
}

interface ProducerPlan extends StagePlan {
  readonly callbacks: ProducerCallbacks;
  readonly outlet: Outlet;
  /** No more events will be made. */
  done: boolean;
}

class ProducerActor extends StageActor<ProducerPlan> {
  /** Events that `handleDemand` was asked for and has not given. */
  private owed = 0;

  protected override emitted(events: readonly any[]): void {
    this.owed = Math.max(0, this.owed - events.length);
    this.plan.outlet.accept(events);
  }

  /** Has made what is lacking, or ends when there is no more and all of it has been sent. */
  protected override work(): void | Promise<void> {
    const { outlet, callbacks, done } = this.plan;
    if (done) return this.finish();
    const demand = outlet.need() - this.owed;
    if (demand <= 0) return;
    this.owed += demand;
    const result = callbacks.handleDemand(demand, this.state);
    if (isPending(result)) return result.then((value) => this.produced(value));
    this.produced(result);
  }

  private produced(result: unknown): void {
    assertProduced("handleDemand", result);
    const [events, state, end] = result;
    this.state = state;
    this.owed = Math.max(0, this.owed - events.length);
    this.plan.outlet.accept(events);
    if (end !== "done") return;
    this.plan.done = true;
    this.finish();
  }

  private finish(): void {
    if (!this.plan.outlet.drained) return;
    this.plan.outlet.finish();
    this.exit(this.self);
  }
}

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
    const plan: ProducerPlan = { callbacks, args, outlet: new Outlet(outletTerms(options)), done: false };
    return new Producer<TEvent>(system, spawnStage(system, ProducerActor, plan, spawnOptions));
  }

  /** Serves demand from now on (`"forward"`), or holds it back (`"accumulate"`). */
  demand(mode: DemandMode): void {
    assertDemandMode("demand", mode);
    this.ref.cast({ kind: "mode", mode });
  }

  /** Sends events that nobody asked `handleDemand` for: what is owed first, the rest waits in the buffer. */
  emit(events: TEvent[]): void {
    if (!Array.isArray(events)) throw new InvalidArgumentError("events", "an array", events);
    this.ref.cast({ kind: "emit", events });
  }

  /** Events that consumers have asked for and not been sent. */
  async getDemand(): Promise<number> {
    return (await this.stats()).demand;
  }
}
