/**
 * What may be asked for when an actor is spawned, and what the kernel is asked for then.
 */

import { InvalidArgumentError, InvalidOptionError } from "../errors.js";
import type { ActorRef } from "../kernel/actor_ref.js";
import type { MailboxConfig, MailboxOverflowStrategy, OptionNames } from "../kernel/options.js";
import { POLICY_DROP_NEWEST, POLICY_DROP_OLDEST, POLICY_ERROR } from "../kernel/protocol.js";
import { assertMailboxConfig, assertName, assertOptions } from "../kernel/validate.js";
import type { ActorClass } from "./actor.js";
import type { ActorDefinition, DefinitionArgs, DefinitionRef } from "./create_actor.js";
import type { PlacementStrategy } from "./placement.js";

/** How an actor is spawned. */
export interface SpawnOptions<TArgs extends any[] = any[]> {
  /** Name under which it can be found; at most one live actor has it. */
  name?: string | undefined;
  /** Arguments of `init` or of the factory. */
  args?: [...TArgs] | undefined;
  /** Where; default "local". */
  strategy?: PlacementStrategy | undefined;
  /** Role that the node must have. */
  role?: string | undefined;
  /** Bounds of the mailbox, merged over the system's. */
  mailbox?: MailboxConfig | undefined;
}

/** The names of {@link SpawnOptions}. */
const SPAWN_NAMES: OptionNames<SpawnOptions> = { name: true, args: true, strategy: true, role: true, mailbox: true };

/** What Agent, DynamicSupervisor and stages need of a system; ActorSystem and System both have it. */
export interface Spawner {
  /** Makes an actor. */
  spawn<D extends ActorClass | ActorDefinition<any, any, any>>(
    definition: D,
    options?: SpawnOptions<DefinitionArgs<D>>,
  ): DefinitionRef<D>;
  /** Stops an actor and everything below it. */
  stop(ref: ActorRef): Promise<void>;
}

/** Accepts what can spawn. A node of a cluster is one when the promise that `createSystem` gives has been awaited. */
export function assertSpawner(value: unknown): asserts value is Spawner {
  if (typeof (value as Spawner | null | undefined)?.spawn !== "function") {
    throw new InvalidArgumentError("system", "a System or an ActorSystem", value);
  }
}

/** The options with which a behaviour spawns its actor: the user's, and the behaviour's own arguments. */
export function withArgs<const TArgs extends any[]>(options: SpawnOptions | undefined, args: TArgs) {
  if (options !== undefined) assertOptions("spawn options", options, SPAWN_NAMES);
  return { ...options, args };
}

const POLICIES: Record<string, number> = {
  "drop-newest": POLICY_DROP_NEWEST,
  "drop-oldest": POLICY_DROP_OLDEST,
  error: POLICY_ERROR,
};

/** Number of what a full mailbox does. */
export function mailboxPolicy(strategy: MailboxOverflowStrategy = "drop-newest"): number {
  return POLICIES[strategy];
}

export const NO_ARGS: readonly unknown[] = Object.freeze([]);

/** Checks options and puts what they say into a request. @throws InvalidOptionError, InvalidArgumentError */
export function readSpawnOptions(
  options: SpawnOptions,
  request: { args: readonly unknown[]; name: string | undefined },
): void {
  assertOptions("spawn options", options, SPAWN_NAMES);
  const { name, args, mailbox } = options as SpawnOptions;
  if (name !== undefined) {
    assertName("name", name);
    request.name = name;
  }
  if (args !== undefined) {
    if (!Array.isArray(args)) throw new InvalidOptionError("args", args, "an array");
    request.args = args;
  }
  if (mailbox !== undefined) assertMailboxConfig("mailbox", mailbox);
}
