/**
 * DynamicSupervisor: children on demand, each supervised on its own (Elixir's DynamicSupervisor).
 */

import { InvalidOptionError, MaxChildrenError } from "../errors.js";
import type { ActorRef } from "../kernel/actor_ref.js";
import {
  type AllOf,
  type ChildSupervisionOptions,
  DEFAULT_MAX_RESTARTS,
  DEFAULT_RESTART_PERIOD_MS,
  type OptionNames,
} from "../kernel/options.js";
import { FLAG_DEAD } from "../kernel/protocol.js";
import { assertChildSupervisionOptions, assertOptions, cellOf } from "../kernel/validate.js";
import { Actor, type ActorClass } from "./actor.js";
import type { ActorDefinition, DefinitionArgs, DefinitionRef } from "./create_actor.js";
import { supervisedAs } from "./remote/stand_ins.js";
import { assertSpawner, type Spawner, type SpawnOptions, withArgs } from "./spawn_options.js";

/** Limits of a dynamic supervisor. */
export interface DynamicSupervisorOptions {
  /** Children at most; default unbounded. */
  maxChildren?: number | undefined;
  /** Restarts of one child within the period; default 3. */
  maxRestarts?: number | undefined;
  /** The period in milliseconds; default 5000. */
  periodMs?: number | undefined;
  /** Delays between restarts; default none. */
  backoff?: ChildSupervisionOptions["backoff"] | undefined;
}

const NAMES: OptionNames<DynamicSupervisorOptions> = {
  maxChildren: true,
  maxRestarts: true,
  periodMs: true,
  backoff: true,
};

/** One child of a supervisor. */
export interface ChildInfo {
  /** Ref to the child. */
  ref: ActorRef;
  /** Name of its class or definition. */
  className: string;
  /** Name that it was spawned with. */
  name?: string | undefined;
}

/** How many children a supervisor has. */
export interface ChildCounts {
  /** Children that it looks after. */
  specs: number;
  /** Children that are there now. */
  active: number;
}

type Request =
  | { type: "start"; definition: ActorClass | ActorDefinition; options: SpawnOptions | undefined }
  | { type: "terminate"; ref: ActorRef }
  | { type: "which" };

class SupervisorActor extends Actor {
  private options!: AllOf<Omit<DynamicSupervisorOptions, "backoff">> & DynamicSupervisorOptions;

  override init(options: SupervisorActor["options"]): void {
    this.options = options;
  }

  override childSupervision(): ChildSupervisionOptions {
    const { maxRestarts, periodMs, backoff } = this.options;
    return { strategy: "one-for-one", maxRestarts, periodMs, ...(backoff === undefined ? {} : { backoff }) };
  }

  override handleCall(request: Request): unknown {
    switch (request.type) {
      case "start": {
        const { maxChildren } = this.options;
        // Without a limit nobody counts: that takes longer the more there are.
        if (maxChildren !== Number.POSITIVE_INFINITY && this.countChildren() >= maxChildren)
          throw new MaxChildrenError(maxChildren);
        return this.spawn(request.definition as ActorClass, request.options);
      }
      case "terminate":
        return this.terminateChild(request.ref);
      default:
        return this.getChildren().map(describeChild);
    }
  }

  private async terminateChild(ref: ActorRef): Promise<boolean> {
    const child = supervisedAs(cellOf(ref));
    if ((child.flags & FLAG_DEAD) !== 0 || child.parent !== this.self._cell) return false;
    await this.stopChild(ref);
    return true;
  }
}

/** What is known of a child. */
export function describeChild(ref: ActorRef): ChildInfo {
  const { definition, name } = ref._cell;
  return { ref, className: definition.className, ...(name === undefined ? {} : { name }) };
}

/**
 * Starts children at run time; a crashed child is restarted alone, and stopped for good past its limit.
 */
export class DynamicSupervisor {
  private constructor(
    private readonly owner: Spawner,
    private readonly ref: ActorRef,
  ) {}

  /** Starts a supervisor without children. @throws InvalidOptionError, InvalidArgumentError, and what `spawn` throws */
  static start(
    system: Spawner,
    options: DynamicSupervisorOptions = {},
    spawnOptions?: SpawnOptions,
  ): DynamicSupervisor {
    assertSpawner(system);
    assertOptions("DynamicSupervisor options", options, NAMES);
    const given = options as DynamicSupervisorOptions;
    const { maxChildren = Number.POSITIVE_INFINITY, maxRestarts = DEFAULT_MAX_RESTARTS } = given;
    const { periodMs = DEFAULT_RESTART_PERIOD_MS, backoff } = given;
    if (typeof maxChildren !== "number" || !(maxChildren >= 0)) {
      throw new InvalidOptionError("maxChildren", maxChildren, "a number of 0 or more");
    }
    const settings = { maxChildren, maxRestarts, periodMs, ...(backoff === undefined ? {} : { backoff }) };
    assertChildSupervisionOptions("DynamicSupervisor options", { maxRestarts, periodMs, backoff });
    const ref = system.spawn(SupervisorActor, withArgs(spawnOptions, [settings]));
    return new DynamicSupervisor(system, ref as ActorRef);
  }

  /** Spawns a supervised child. @throws MaxChildrenError, or what the child's synchronous `init` throws */
  startChild<D extends ActorClass | ActorDefinition<any, any, any>>(
    definition: D,
    options?: SpawnOptions<DefinitionArgs<D>>,
  ): Promise<DefinitionRef<D>> {
    return this.ref.call({ type: "start", definition, options });
  }

  /**
   * Stops a child and waits for its end, which no timeout of calls cuts short; the supervisor serves nobody else meanwhile.
   *
   * @returns false if it is not a child of this supervisor.
   * @throws InvalidArgumentError for what is no ref
   */
  terminateChild(ref: ActorRef): Promise<boolean> {
    return this.ref.call({ type: "terminate", ref }, Number.POSITIVE_INFINITY);
  }

  /** The children in the order in which they were started. */
  whichChildren(): Promise<ChildInfo[]> {
    return this.ref.call({ type: "which" });
  }

  /** How many children there are. */
  async countChildren(): Promise<ChildCounts> {
    const children = await this.whichChildren();
    return { specs: children.length, active: children.length };
  }

  /** Stops the supervisor and all children. */
  stop(): Promise<void> {
    return this.owner.stop(this.ref);
  }

  /** Ref of the actor behind the supervisor. */
  getRef(): ActorRef {
    return this.ref;
  }
}
