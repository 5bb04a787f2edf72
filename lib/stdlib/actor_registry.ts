/**
 * Types of named actors. Programs augment {@link ActorRegistry} to have `getActorByName` give typed refs:
 * `declare module "libeam" { interface ActorRegistry { counter: typeof Counter } }`.
 */

import type { ActorRef } from "../kernel/actor_ref.js";
import type { DefinitionRef } from "./create_actor.js";

/** Definitions and classes of named actors by name; empty until a program augments it. */
// biome-ignore lint/suspicious/noEmptyInterface: it exists to be augmented.
export interface ActorRegistry {}

/** The ref of a named actor. */
export type NamedRef<N> = N extends keyof ActorRegistry ? DefinitionRef<ActorRegistry[N]> : ActorRef;
