/**
 * createSystem: a system with everything wired.
 */

import { randomBytes } from "node:crypto";
import { InvalidOptionError } from "../errors.js";
import type { ActorRef } from "../kernel/actor_ref.js";
import type { Cluster, Registry, Transport } from "../kernel/collaborators.js";
import {
  defined,
  type MailboxConfig,
  type OptionNames,
  type ShutdownOptions,
  type SomeOf,
  type SupervisionOptions,
  type SystemTimeouts,
} from "../kernel/options.js";
import { assertName, assertOptions } from "../kernel/validate.js";
import type { ActorClass } from "../stdlib/actor.js";
import type { ActorRegistry, NamedRef } from "../stdlib/actor_registry.js";
import { ActorSystem } from "../stdlib/actor_system.js";
import type { ActorDefinition, DefinitionArgs, DefinitionRef } from "../stdlib/create_actor.js";
import { ProcessGroupManager } from "../stdlib/process_groups.js";
import type { RegisterNameOptions } from "../stdlib/registered_names.js";
import type { Spawner, SpawnOptions } from "../stdlib/spawn_options.js";
import type { SystemLimits } from "../stdlib/system_limits.js";
import type { Keyring } from "./cluster_keyring.js";
import { type WaitForClusterOptions, waitForCluster } from "./cluster_ready.js";
import type { DistributedCluster } from "./distributed_cluster.js";
import { type DistributedConfig, NODE_NAMES, type Seams, startNode, stopNode } from "./distributed_system.js";
import { InMemoryTransport } from "./in_memory_transport.js";
import { LocalCluster } from "./local_cluster.js";
import { LocalRegistry } from "./local_registry.js";
import type { ZeroMQTransport } from "./zeromq_transport.js";

/** How root actors are supervised. */
export type SupervisionConfig = SomeOf<SupervisionOptions>;

/** Settings of a system in one process. */
export interface LocalConfig {
  type?: "local" | undefined;
  /** Id of the node; default `local-` and eight random hex digits. */
  nodeId?: string | undefined;
  /** How crashes of root actors are treated; default Restart, 3 times in 5000 ms. */
  supervision?: SupervisionConfig | undefined;
  /** Bounds of all mailboxes; default unbounded. */
  mailbox?: MailboxConfig | undefined;
  /** Default timeouts. */
  timeouts?: SystemTimeouts | undefined;
  /** Limits of the system. */
  limits?: SystemLimits | undefined;
}

/** The names of {@link LocalConfig}; those of nodes of a cluster are allowed beside an explicit `type`. */
const LOCAL_NAMES: OptionNames<LocalConfig> = {
  type: true,
  nodeId: true,
  supervision: true,
  mailbox: true,
  timeouts: true,
  limits: true,
};

/** A running node. */
export interface System extends Spawner, AsyncDisposable {
  /** Id of the node. */
  readonly nodeId: string;
  /** The system behind this façade. */
  readonly system: ActorSystem;
  /** What carries messages to other nodes. */
  readonly transport: Transport;
  /** Who is in the cluster, and in which roles. */
  readonly cluster: Cluster;
  /** Where names are known across nodes. */
  readonly registry: Registry;
  /** Rotation of cookies; only on clusters with a cookie. */
  readonly keyring: Keyring | undefined;
  /** Makes an actor. A synchronous `init` has ended when this returns. */
  spawn<D extends ActorClass | ActorDefinition<any, any, any>>(
    definition: D,
    options?: SpawnOptions<DefinitionArgs<D>>,
  ): DefinitionRef<D>;
  /** Makes a class or definition known under a name for remote spawns. */
  register(definition: ActorClass | ActorDefinition<any, any, any>, name?: string): void;
  /** Looks a named actor up; null if there is none. */
  getActorByName<N extends keyof ActorRegistry & string>(name: N): Promise<NamedRef<N> | null>;
  getActorByName(name: string): Promise<ActorRef | null>;
  /** Gives an actor of this node another name, before which its home node agrees if `consistency` is "home". */
  registerName(name: string, ref: ActorRef, options?: RegisterNameOptions): Promise<void>;
  /** Takes such a name back; false if there is none. */
  unregisterName(name: string): boolean;
  /** Stops an actor and everything below it. */
  stop(ref: ActorRef): Promise<void>;
  /** Adds an actor to a group. */
  joinGroup(group: string, ref: ActorRef): void;
  /** Removes an actor from a group. */
  leaveGroup(group: string, ref: ActorRef): void;
  /** The members of a group. */
  getGroup(group: string): ActorRef[];
  /** Casts a message to every member of a group. */
  broadcast(group: string, message: any): void;
  /** Waits until the cluster has formed; a local system is a cluster of one. @throws TimeoutError, SystemShuttingDownError */
  waitForCluster(options?: WaitForClusterOptions): Promise<void>;
  /** Stops all actors and lets go of everything. */
  shutdown(options?: ShutdownOptions): Promise<void>;
}

/** A node of a cluster. */
export interface DistributedSystem extends System {
  /** The connections of the node. */
  readonly transport: ZeroMQTransport;
  /** The members as this node sees them, with their states and its events. */
  readonly cluster: DistributedCluster;
}

/** What differs between a system in one process and a node of a cluster. */
interface Surroundings {
  waitForCluster(options: WaitForClusterOptions): Promise<void>;
  /** Ends everything, actors first. */
  end(options: ShutdownOptions | undefined): Promise<void>;
}

class RunningSystem implements System {
  constructor(
    readonly nodeId: string,
    readonly system: ActorSystem,
    readonly transport: Transport,
    readonly cluster: Cluster,
    readonly registry: Registry,
    readonly keyring: Keyring | undefined,
    private readonly surroundings: Surroundings,
  ) {}

  spawn<D extends ActorClass | ActorDefinition<any, any, any>>(
    definition: D,
    options?: SpawnOptions<DefinitionArgs<D>>,
  ): DefinitionRef<D> {
    return this.system.spawn(definition, options);
  }

  register(definition: ActorClass | ActorDefinition<any, any, any>, name?: string): void {
    this.system.registerActorClass(definition, name);
  }

  getActorByName(name: string): Promise<any> {
    return this.system.getActorByName(name);
  }

  registerName(name: string, ref: ActorRef, options?: RegisterNameOptions): Promise<void> {
    return this.system.registerName(name, ref, options);
  }

  unregisterName(name: string): boolean {
    return this.system.unregisterName(name);
  }

  stop(ref: ActorRef): Promise<void> {
    return this.system.stop(ref);
  }

  joinGroup(group: string, ref: ActorRef): void {
    this.system.joinGroup(group, ref);
  }

  leaveGroup(group: string, ref: ActorRef): void {
    this.system.leaveGroup(group, ref);
  }

  getGroup(group: string): ActorRef[] {
    return this.system.getGroup(group);
  }

  broadcast(group: string, message: any): void {
    this.system.broadcast(group, message);
  }

  waitForCluster(options: WaitForClusterOptions = {}): Promise<void> {
    return this.surroundings.waitForCluster(options);
  }

  shutdown(options?: ShutdownOptions): Promise<void> {
    return this.surroundings.end(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

/**
 * Makes a system. A local one is ready at once; a node of a cluster when its sockets are open, or when the cluster is as
 * `ready` says.
 *
 * @throws InvalidOptionError; for a node of a cluster as a rejection, like TransportError if it cannot listen,
 * InvalidCookieError, and TimeoutError if the cluster is not ready in time.
 * @example
 * const system = createSystem();
 * const counter = system.spawn(Counter, { args: [0] });
 */
export function createSystem(config: DistributedConfig): Promise<DistributedSystem>;
export function createSystem(config?: LocalConfig): System;
export function createSystem(config: LocalConfig | DistributedConfig = {}): System | Promise<DistributedSystem> {
  if ((config as { type?: unknown } | null)?.type === "distributed") return joinCluster(config as DistributedConfig);
  return createLocal(config as LocalConfig);
}

/** @internal A node of a cluster; tests put themselves between it and its network. */
export async function joinCluster(config: DistributedConfig, seams?: Seams): Promise<DistributedSystem> {
  const node = await startNode(config, seams);
  const { nodeId, system, transport, cluster, registry, keyring } = node;
  let ended: Promise<void> | undefined;
  return new RunningSystem(nodeId, system, transport, cluster, registry, keyring, {
    waitForCluster: (options) => cluster.waitForMembers(options),
    end: (options) => {
      ended ??= stopNode(node, options).catch((error) => {
        ended = undefined; // Options that were refused: it has not begun.
        throw error;
      });
      return ended;
    },
  }) as System as DistributedSystem;
}

function createLocal(config: LocalConfig): System {
  assertOptions("createSystem options", config, NODE_NAMES);
  const { type = "local", nodeId = `local-${randomBytes(4).toString("hex")}` } = config as LocalConfig;
  if (type !== "local") throw new InvalidOptionError("type", type, '"local" or "distributed"');
  const ofNodes = Object.keys(defined(config)).find((name) => !(name in LOCAL_NAMES));
  if ((config as LocalConfig).type === undefined && ofNodes !== undefined) {
    throw new InvalidOptionError("type", undefined, `"distributed", or "local" beside "${ofNodes}"`);
  }
  assertName("nodeId", nodeId);
  const cluster = new LocalCluster(nodeId);
  const transport = new InMemoryTransport(nodeId);
  const registry = new LocalRegistry();
  const { supervision, mailbox, timeouts, limits } = config as LocalConfig;
  const groups = new ProcessGroupManager(nodeId, transport, cluster);
  const system = new ActorSystem(
    cluster,
    transport,
    registry,
    supervision,
    undefined,
    mailbox,
    timeouts,
    groups,
    limits,
  );
  void system.start();
  void groups.connect();
  return new RunningSystem(nodeId, system, transport, cluster, registry, undefined, {
    waitForCluster: (options) => waitForCluster(cluster, options),
    end: async (options) => {
      await system.shutdown(options);
      await groups.disconnect();
      await transport.disconnect();
      await registry.disconnect();
    },
  });
}
