/**
 * Actors out of modules: what a program lists in its configuration is imported once, by this node, at its start.
 *
 * An actor is known by the name of its export, so nodes that import the same modules know the same names without
 * registering anything, wherever the files are. A definition that was given a name is known by that too; a default export
 * by its own name, or by that of the file. What is no actor is left alone.
 *
 * The list is the program's own. Names that come from other nodes are only ever looked up.
 */

import { basename, extname } from "node:path";
import { InvalidOptionError, LibeamError } from "../errors.js";
import { Actor, type ActorClass } from "./actor.js";
import { type ActorDefinition, isActorDefinition } from "./create_actor.js";

/** A class or a definition. */
export type AnyActor = ActorClass | ActorDefinition<any, any, any>;

/** Imports modules and gives their actors by name. @throws InvalidOptionError, LibeamError (ACTOR_MODULE) */
export async function loadActorModules(modules: readonly (string | URL)[]): Promise<Map<string, AnyActor>> {
  if (!Array.isArray(modules)) throw new InvalidOptionError("actors", modules, "an array of module URLs");
  const urls = modules.map(urlOf);
  const found = new Map<string, AnyActor>();
  for (const url of urls) {
    const actors = actorsOf(await importModule(url), url);
    if (actors.length === 0) throw moduleError(url, "exports no actor");
    for (const [name, actor] of actors) {
      const known = found.get(name);
      if (known !== undefined && known !== actor) {
        throw moduleError(url, `exports "${name}", and so does another module; rename one of them`);
      }
      found.set(name, actor);
    }
  }
  for (const actor of [...found.values()]) {
    const own = ownName(actor);
    if (own !== undefined && !found.has(own)) found.set(own, actor);
  }
  return found;
}

function urlOf(module: string | URL): string {
  const text = module instanceof URL ? module.href : module;
  if (typeof text === "string" && text.startsWith("file:") && URL.canParse(text)) return text;
  throw new InvalidOptionError("actors", text, 'file URLs, as `new URL("./actors.js", import.meta.url)` makes them');
}

async function importModule(url: string): Promise<Record<string, unknown>> {
  try {
    return await import(/* @vite-ignore */ url);
  } catch (error) {
    throw moduleError(url, `cannot be imported: ${(error as Error)?.message ?? String(error)}`, error);
  }
}

function actorsOf(exports: Record<string, unknown>, url: string): [string, AnyActor][] {
  return Object.entries(exports).flatMap(([name, value]): [string, AnyActor][] => {
    if (!isActor(value)) return [];
    if (name !== "default") return [[name, value]];
    const own = ownName(value);
    return [[own === undefined ? basename(new URL(url).pathname, extname(url)) : own, value]];
  });
}

function isActor(value: unknown): value is ActorClass {
  return isActorDefinition(value) || (typeof value === "function" && value.prototype instanceof Actor);
}

/** The name that somebody gave; a number for want of one may be another one in another process. */
function ownName(actor: AnyActor): string | undefined {
  const name = isActorDefinition(actor) ? actor.className : (actor as ActorClass).name;
  return name === "" || name === "default" || name.startsWith("FunctionalActor#") ? undefined : name;
}

function moduleError(url: string, what: string, cause?: unknown): LibeamError {
  const options = cause === undefined ? undefined : { cause };
  return new LibeamError(
    `Module ${url} ${what}; none of the modules' actors is known`,
    "ACTOR_MODULE",
    { url },
    options,
  );
}
