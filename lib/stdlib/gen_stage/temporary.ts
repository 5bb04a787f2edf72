/**
 * Stages that are not started again (`restart: :temporary` in OTP).
 *
 * Roots are restarted as the system says. A stage that reads an iterator cannot be: the iterator is half read. So it
 * becomes the child of an actor that leaves crashed children dead; whoever watches it sees the error itself. That actor
 * ends with its only child (`"with its stage"`), or when it is told to (`"when told"`), and stops its children then.
 */

import type { ActorRef } from "../../kernel/actor_ref.js";
import type { InfoMessage } from "../../kernel/info.js";
import { type ChildSupervisionOptions, DEFAULT_CHILD_SUPERVISION } from "../../kernel/options.js";
import { Actor, type ActorClass } from "../actor.js";
import type { ActorDefinition, DefinitionArgs, DefinitionRef } from "../create_actor.js";
import type { Spawner, SpawnOptions } from "../spawn_options.js";

const SUPERVISION: ChildSupervisionOptions = { ...DEFAULT_CHILD_SUPERVISION, strategy: "Stop" };

interface Keeping {
  readonly ends: "with its stage" | "when told";
  readonly onEnd: (() => void) | undefined;
  /** The actor, once it has started. */
  keeper?: StageKeeper;
}

class StageKeeper extends Actor {
  private keeping!: Keeping;

  override init(keeping: Keeping): void {
    this.keeping = keeping;
    keeping.keeper = this;
  }

  override childSupervision(): ChildSupervisionOptions {
    return SUPERVISION;
  }

  override handleInfo(message: InfoMessage): void {
    if (message.type === "down") this.exit(this.self);
  }

  override terminate(): void {
    this.keeping.onEnd?.();
  }

  /** Spawns a stage on behalf of whoever owns the stages. */
  keep(definition: ActorClass, options: SpawnOptions | undefined): ActorRef {
    const ref = this.spawn(definition, options) as ActorRef;
    if (this.keeping.ends === "with its stage") this.watch(ref);
    return ref;
  }
}

/** Spawns stages that stay dead when they crash. */
export class TemporaryStages implements Spawner {
  private readonly keeping: Keeping;
  private readonly ref: ActorRef;

  /** @param onEnd runs when the stages are about to end, whoever stops them. */
  constructor(
    private readonly system: Spawner,
    ends: Keeping["ends"],
    options: Pick<SpawnOptions, "strategy" | "role"> = {},
    onEnd?: () => void,
  ) {
    this.keeping = { ends, onEnd };
    this.ref = system.spawn(StageKeeper, { ...options, args: [this.keeping] }) as ActorRef;
  }

  spawn<D extends ActorClass | ActorDefinition<any, any, any>>(
    definition: D,
    options?: SpawnOptions<DefinitionArgs<D>>,
  ): DefinitionRef<D> {
    return this.keeping.keeper?.keep(definition as ActorClass, options) as DefinitionRef<D>;
  }

  stop(ref: ActorRef): Promise<void> {
    return this.system.stop(ref);
  }

  /** Stops all of them. */
  end(): Promise<void> {
    return this.system.stop(this.ref);
  }
}
