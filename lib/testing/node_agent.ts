/**
 * NodeAgent: an actor through which others look into a node and make actors there by name. Like every actor it does one thing
 * at a time: while an actor that it calls has not answered, it answers nobody else.
 */

import type { System } from "../cluster/create_system.js";
import { ActorNotFoundError, LibeamError } from "../errors.js";
import { type ActorRef, TypedActorRef } from "../kernel/actor_ref.js";
import type { ActorClass } from "../stdlib/actor.js";
import { type ActorDefinition, type ActorRefFrom, createActor } from "../stdlib/create_actor.js";

/** What is known of a node. */
export interface NodeInfo {
  nodeId: string;
  /** Seconds that its process runs. */
  uptime: number;
  memoryUsage: NodeJS.MemoryUsage;
  /** Actors of the node, this agent included. */
  actorCount: number;
}

/** How the agent spawns. */
export interface NodeAgentSpawnOptions {
  name?: string | undefined;
  args?: unknown[] | undefined;
}

/** The calls of a {@link NodeAgent}. */
export interface NodeAgentCalls {
  /** Gives "pong". */
  ping: () => "pong";
  getNodeInfo: () => NodeInfo;
  /** Makes a class or definition known under a name; only from the node itself, since definitions do not travel. */
  registerActor: (name: string, definition: ActorClass | ActorDefinition<any, any, any>) => void;
  /** Spawns what is known under a name; gives the actor's id. @throws LibeamError (ACTOR_CLASS_NOT_REGISTERED) */
  spawn: (className: string, options?: NodeAgentSpawnOptions) => string;
  /** Stops a named actor of the node; false if there is none. */
  stopActor: (name: string) => Promise<boolean>;
  /** Calls a named actor with a method and its arguments, or with a whole message and a timeout. @throws ActorNotFoundError */
  callActor: (name: string, message: any, ...rest: any[]) => Promise<any>;
  /** Casts to a named actor, likewise. @throws ActorNotFoundError */
  castActor: (name: string, message: any, ...rest: any[]) => Promise<void>;
  /** Ids of the actors of the node. */
  getActorIds: () => string[];
  /** Shuts the node down, after the answer. */
  shutdown: () => void;
}

/** A ref of a {@link NodeAgent}. */
export type NodeAgentRef = ActorRefFrom<typeof NodeAgent>;

/** The agent of one node; spawn it with the node's system as its argument. */
export const NodeAgent: ActorDefinition<[system: System], NodeAgentCalls, Record<never, never>> = createActor(
  "NodeAgent",
  (_ctx, self, system: System) =>
    self
      .onCall("ping", () => "pong" as const)
      .onCall("getNodeInfo", () => describe(system))
      .onCall("registerActor", (name: string, definition: ActorClass | ActorDefinition) =>
        system.register(definition, name),
      )
      .onCall("spawn", (className: string, options?: NodeAgentSpawnOptions) => spawn(system, className, options))
      .onCall("stopActor", async (name: string) => {
        const ref = await system.getActorByName(name);
        if (ref === null || ref.id.systemId !== system.nodeId) return false;
        await system.stop(ref);
        return true;
      })
      .onCall("callActor", (name: string, message: any, ...rest: any[]) => callActor(system, name, message, rest))
      .onCall("castActor", async (name: string, message: any, ...rest: any[]) => {
        const ref = await find(system, name);
        if (byMethod(ref, message)) ref.cast(message, ...rest);
        else ref.cast(message);
      })
      .onCall("getActorIds", () => system.system.getLocalActorIds())
      .onCall("shutdown", () => {
        setImmediate(() => void system.shutdown());
      }),
);

/** Calls a named actor. @throws ActorNotFoundError, or what it throws */
export async function callActor(system: System, name: string, message: any, rest: any[]): Promise<any> {
  const ref = await find(system, name);
  return byMethod(ref, message) ? ref.call(message, ...rest) : ref.call(message, rest[0]);
}

function describe(system: System): NodeInfo {
  return {
    nodeId: system.nodeId,
    uptime: process.uptime(),
    memoryUsage: process.memoryUsage(),
    actorCount: system.system.getLocalActorIds().length,
  };
}

function spawn(system: System, className: string, options: NodeAgentSpawnOptions = {}): string {
  const definition = system.system.getActorClass(className);
  if (definition === undefined) {
    throw new LibeamError(`Actor class not registered: ${className}`, "ACTOR_CLASS_NOT_REGISTERED", { className });
  }
  return (system.spawn(definition as ActorDefinition, options) as ActorRef).id.id;
}

async function find(system: System, name: string): Promise<TypedActorRef> {
  const ref = await system.getActorByName(name);
  if (ref === null) throw new ActorNotFoundError(name);
  return ref as TypedActorRef;
}

function byMethod(ref: ActorRef, message: unknown): boolean {
  return typeof message === "string" && ref instanceof TypedActorRef;
}
