/**
 * The actors that a system knows by name: what was registered, one by one or by modules. Other nodes can spawn these and
 * nothing else.
 */

import { ActorClassNotRegisteredError, InvalidArgumentError } from "../errors.js";
import type { Definition } from "../kernel/cell.js";
import { assertName } from "../kernel/validate.js";
import { Actor, type ActorClass, definitionOfClass } from "./actor.js";
import { type AnyActor, loadActorModules } from "./actor_modules.js";
import { isActorDefinition, nameDefinition } from "./create_actor.js";

/** See the module's header. */
export class Definitions {
  private readonly byName = new Map<string, AnyActor>();

  /** How many names are known. */
  get size(): number {
    return this.byName.size;
  }

  /** Makes a class or definition known; a later one of the same name wins. @throws InvalidArgumentError */
  register(actor: AnyActor, name?: string): void {
    toDefinition(actor);
    if (name !== undefined) assertName("class name", name);
    if (name !== undefined && isActorDefinition(actor)) nameDefinition(actor, name);
    const own = isActorDefinition(actor) ? actor.className : (actor as ActorClass)?.name;
    this.byName.set(name ?? String(own), actor);
  }

  /** See `ActorSystem.registerActorModules`. */
  async registerModules(modules: readonly (string | URL)[]): Promise<void> {
    for (const [name, actor] of await loadActorModules(modules)) this.register(actor, name);
  }

  /** What was made known under a name. */
  get(name: string): AnyActor | undefined {
    return this.byName.get(name);
  }

  /** The definition that other nodes know by a name. @throws ActorClassNotRegisteredError */
  named(name: string): Definition {
    const actor = this.byName.get(name);
    if (actor === undefined) throw new ActorClassNotRegisteredError(name);
    return toDefinition(actor);
  }

  /** Under which name other nodes know a class or definition. */
  nameOf(actor: unknown): string {
    for (const [name, known] of this.byName) if (known === actor) return name;
    return toDefinition(actor).className;
  }
}

/** What the kernel makes actors of. @throws InvalidArgumentError for what is neither a class nor a definition. */
export function toDefinition(actor: unknown): Definition {
  if (isActorDefinition(actor)) return actor;
  if (typeof actor === "function" && actor.prototype instanceof Actor) return definitionOfClass(actor as ActorClass);
  throw new InvalidArgumentError("actor", "a class that extends Actor or the result of createActor", actor);
}
