/**
 * ConsumerSupervisor: a supervised worker for each event; back-pressure is the life of the workers.
 *
 * A worker takes a place of its subscription's maxDemand from the moment its event is asked for until the worker is
 * gone for good: a crash that is repaired keeps the place, so at most maxDemand workers exist at once. Places that have
 * become free are asked for again when there are minDemand of them. A restarted worker gets the same event. A worker
 * whose first `init` throws counts as gone; the failure is logged and the supervisor goes on.
 */

import { InvalidArgumentError } from "../../errors.js";
import type { DownMessage, InfoMessage, WatchRef } from "../../kernel/info.js";
import { createLogger } from "../../kernel/logger.js";
import {
  type ChildSupervisionOptions,
  DEFAULT_MAX_RESTARTS,
  DEFAULT_RESTART_PERIOD_MS,
  type OptionNames,
} from "../../kernel/options.js";
import { assertChildSupervisionOptions, assertOptions } from "../../kernel/validate.js";
import type { ActorClass } from "../actor.js";
import { type ActorDefinition, isActorDefinition } from "../create_actor.js";
import { type ChildCounts, type ChildInfo, describeChild } from "../dynamic_supervisor.js";
import { readSpawnOptions, type Spawner, type SpawnOptions } from "../spawn_options.js";
import { type Incoming, Inlet, type SubscriptionRef } from "./inlet.js";
import type { StageCall } from "./protocol.js";
import { StageActor, type StagePlan, SubscribingStage, spawnStage } from "./stage.js";

const log = createLogger("ConsumerSupervisor");

/** The workers of a ConsumerSupervisor. */
export interface ChildSpec {
  /** Class or definition of the workers. */
  actorClass: ActorClass | ActorDefinition<any, any, any>;
  /** First arguments of `init`; the event is the last one. */
  args?: any[] | undefined;
  /** How the workers are spawned. */
  spawnOptions?: Omit<SpawnOptions, "strategy" | "role" | "args"> | undefined;
}

const SPEC_NAMES: OptionNames<ChildSpec> = { actorClass: true, args: true, spawnOptions: true };

/** How crashed workers are restarted. */
export interface ConsumerSupervisorOptions {
  /** Restarts of one worker within the period; default 3. */
  maxRestarts?: number | undefined;
  /** The period in milliseconds; default 5000. */
  periodMs?: number | undefined;
  /** Delays between restarts; default none. */
  backoff?: ChildSupervisionOptions["backoff"] | undefined;
}

const NAMES: OptionNames<ConsumerSupervisorOptions> = { maxRestarts: true, periodMs: true, backoff: true };

interface SupervisorPlan extends StagePlan {
  readonly spec: ChildSpec;
  readonly supervision: ChildSupervisionOptions;
  readonly inlet: Inlet;
}

class ConsumerSupervisorActor extends StageActor<SupervisorPlan> {
  /** Subscription of each worker, by the watch on it. */
  private readonly workers = new Map<WatchRef, Incoming>();

  override childSupervision(): ChildSupervisionOptions {
    return this.plan.supervision;
  }

  override handleCall(message: StageCall | { kind: "which" }): unknown {
    return message?.kind === "which" ? this.getChildren().map(describeChild) : super.handleCall(message);
  }

  override handleInfo(message: InfoMessage): void | Promise<void> {
    const incoming = message.type === "down" ? this.workers.get(message.watchRef) : undefined;
    if (incoming === undefined) return super.handleInfo(message);
    this.workers.delete((message as DownMessage).watchRef);
    incoming.active--;
    this.replenish(incoming);
  }

  protected override work(): void {
    const { inlet } = this.plan;
    for (let next = inlet.take(1); next !== undefined; next = inlet.take(1)) {
      const { incoming, events, ended } = next;
      if (ended === undefined) this.startWorker(incoming, events[0]);
      else {
        inlet.remove(incoming.ref.tag);
        this.follow(incoming.terms, ended);
      }
    }
  }

  private startWorker(incoming: Incoming, event: unknown): void {
    const { actorClass, args = [], spawnOptions } = this.plan.spec;
    this.received++;
    try {
      const worker = this.spawn(actorClass as ActorClass, { ...spawnOptions, args: [...args, event] });
      this.workers.set(this.watch(worker), incoming);
      incoming.active++;
    } catch (error) {
      log.error("A worker could not be started; its event is lost", error as Error, { actorId: this.self.id.id });
      this.replenish(incoming);
    }
  }

  /** Asks for what has become free, once it is enough. */
  protected override replenish(incoming: Incoming): void {
    const { ref, terms, room } = incoming;
    if (!this.plan.inlet.subscriptions.has(ref.tag)) return; // Cancelled while its workers worked.
    if (room >= Math.max(1, terms.minDemand)) incoming.ask(room);
  }
}

/**
 * Spawns a supervised worker for each event of the producers that it subscribes to.
 *
 * @example
 * const workers = ConsumerSupervisor.start(system, { actorClass: JobWorker, args: ["base-config"] });
 * await workers.subscribe(jobs, { maxDemand: 10, minDemand: 7 });
 */
export class ConsumerSupervisor extends SubscribingStage {
  /** Starts a supervisor without workers. @throws InvalidOptionError, InvalidArgumentError */
  static start(
    system: Spawner,
    childSpec: ChildSpec,
    options: ConsumerSupervisorOptions = {},
    spawnOptions?: SpawnOptions,
  ): ConsumerSupervisor {
    assertOptions("child spec", childSpec, SPEC_NAMES);
    assertOptions("ConsumerSupervisor options", options, NAMES);
    const { actorClass, args, spawnOptions: ofWorkers } = childSpec as ChildSpec;
    // With the first event it would be too late: the supervisor would crash for it.
    if (ofWorkers !== undefined) readSpawnOptions(ofWorkers, { args: [], name: undefined });
    if (typeof actorClass !== "function" && !isActorDefinition(actorClass)) {
      throw new InvalidArgumentError("actorClass", "a class or a definition of actors", actorClass);
    }
    if (args !== undefined && !Array.isArray(args)) throw new InvalidArgumentError("args", "an array", args);
    const given = options as ConsumerSupervisorOptions;
    const { maxRestarts = DEFAULT_MAX_RESTARTS, periodMs = DEFAULT_RESTART_PERIOD_MS, backoff } = given;
    const restarts = { maxRestarts, periodMs, ...(backoff === undefined ? {} : { backoff }) };
    const supervision: ChildSupervisionOptions = { strategy: "one-for-one", ...restarts };
    assertChildSupervisionOptions("ConsumerSupervisor options", supervision);
    const plan: SupervisorPlan = {
      callbacks: {},
      args: [],
      spec: childSpec as ChildSpec,
      supervision,
      inlet: new Inlet(),
    };
    return new ConsumerSupervisor(system, spawnStage(system, ConsumerSupervisorActor, plan, spawnOptions), plan.inlet);
  }

  /** Ends a subscription; false if there is none. Workers that exist go on. */
  cancel(subscription: SubscriptionRef): boolean {
    return this.cancelSubscription(subscription);
  }

  /** The workers in the order in which they were started. */
  whichChildren(): Promise<ChildInfo[]> {
    return this.ref.call({ kind: "which" });
  }

  /** How many workers there are. */
  async countChildren(): Promise<ChildCounts> {
    const workers = await this.whichChildren();
    return { specs: workers.length, active: workers.length };
  }
}
