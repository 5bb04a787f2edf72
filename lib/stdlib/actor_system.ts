/**
 * ActorSystem: one node's actors, and the collaborators that a program may bring (cluster, transport, registry).
 *
 * The system is a façade. The core owns actors, names, groups, supervision and time; collaborators are told of names
 * and asked for nodes, and never own what the core owns. Everything hangs on the system object: two systems in one
 * process share nothing.
 */

import {
  InvalidArgumentError,
  InvalidOptionError,
  LibeamError,
  NameAlreadyRegisteredError,
  SystemShuttingDownError,
} from "../errors.js";
import { ActorId } from "../kernel/actor_id.js";
import { ActorRef, type RefOwner, TypedActorRef } from "../kernel/actor_ref.js";
import type { ActorCell, Definition } from "../kernel/cell.js";
import { countChildrenOf } from "../kernel/children.js";
import type { Cluster, NameConflict, Registry, Transport } from "../kernel/collaborators.js";
import type { EventLoop } from "../kernel/event_loop.js";
import type { LinkRef, TimerRef, WatchRef } from "../kernel/info.js";
import { Kernel, type KernelHooks } from "../kernel/kernel.js";
import { gone, restart, spawn, stop } from "../kernel/lifecycle.js";
import { createLogger, type Logger } from "../kernel/logger.js";
import {
  DEFAULT_CALL_TIMEOUT_MS,
  DEFAULT_SHUTDOWN_TIMEOUT_MS,
  type MailboxConfig,
  type OptionNames,
  SHUTDOWN_NAMES,
  type ShutdownOptions,
  type SomeOf,
  type SupervisionOptions,
  type SystemTimeouts,
} from "../kernel/options.js";
import { OP_BACKLOG, OP_WHEREIS, POLICY_DROP_NEWEST } from "../kernel/protocol.js";
import { RemoteCell } from "../kernel/remote_cell.js";
import { checkedLink, checkedWatch, exit, link, terminationReason, unlink, unwatch, watch } from "../kernel/signals.js";
import { setSupervision } from "../kernel/supervision.js";
import { TelemetryEvents, telemetry } from "../kernel/telemetry.js";
import { cancelAllTimers, cancelTimer, setIdleTimeout, startTimer } from "../kernel/timers.js";
import {
  assertMailboxConfig,
  assertName,
  assertNonNegativeMs,
  assertOptions,
  assertPart,
  assertSupervisionOptions,
  assertTimeoutMs,
  assertTimeouts,
  cellOf,
} from "../kernel/validate.js";
import { type Actor, type ActorClass, isMigratable } from "./actor.js";
import type { ActorRegistry, NamedRef } from "./actor_registry.js";
import { type ActorDefinition, type DefinitionArgs, type DefinitionRef, FunctionalActor } from "./create_actor.js";
import { Definitions, toDefinition } from "./definitions.js";
import type { ComponentHealth, HealthCheckable } from "./health.js";
import { type HeartbeatConfig, HeartbeatManager } from "./heartbeat.js";
import { MailboxControl, type StashedMessage } from "./mailbox_control.js";
import { PlacementEngine } from "./placement.js";
import type { ProcessGroupManager } from "./process_groups.js";
import { RegisteredNames, type RegisterNameOptions } from "./registered_names.js";
import { isGuest } from "./remote/guests.js";
import { isHidden } from "./remote/hidden.js";
import { RemoteActors } from "./remote/remote_actors.js";
import { supervisedAs } from "./remote/stand_ins.js";
import { reportUnfinished } from "./shutdown_report.js";
import { mailboxPolicy, NO_ARGS, readSpawnOptions, type Spawner, type SpawnOptions } from "./spawn_options.js";
import { SupervisorReports } from "./supervisor_reports.js";
import { SystemGroups } from "./system_groups.js";
import { kernelLimits, type SystemLimits } from "./system_limits.js";
import { until, withTimeout } from "./waiting.js";

/** How a system is drained. */
export interface DrainOptions {
  /** Node to which actors are to be moved; refused, there is no migration yet. */
  migrateTarget?: string | undefined;
  /** Milliseconds. */
  timeout?: number | undefined;
}

const DRAIN_NAMES: OptionNames<DrainOptions> = { migrateTarget: true, timeout: true };

/** What a drain did. */
export interface DrainResult {
  /** Actors that were moved to another node. */
  migrated: number;
  /** Actors that are alive here. */
  drained: number;
  /** Ids of actors that could not be moved. */
  failed: string[];
}

/** One row of `getActors()`. */
export interface ActorInfo {
  /** Its `id.id`. */
  actorId: string;
  /** Name that it was spawned with. */
  name?: string | undefined;
  /** Name of its class or definition. */
  className: string;
  /** Whether it can hand over its state. */
  migratable: boolean;
  /** Children that it has, on whichever node. */
  childCount: number;
}

/** A child that lives on another node. */
export interface RemoteChildEntry {
  /** The child's `id.id`. */
  childId: string;
  /** Node on which it lives. */
  childNodeId: string;
  /** The parent's `id.id`. */
  parentId: string;
  /** Name of the child's class or definition. */
  childClass: string;
}

/** Queued messages above which a system counts as degraded. */
const BACKLOG_DEGRADED = 1_000;
/** Milliseconds that `terminate` handlers get even if draining used the whole timeout. */
const SHUTDOWN_GRACE_MS = 50;

/** Milliseconds for which a shutdown waits for nodes that have no room for how its actors have ended. */
const SHUTDOWN_ROOM_MS = 1_000;

/** One node's actors. See the module's header. */
export class ActorSystem implements RefOwner, HealthCheckable, Spawner, KernelHooks {
  /** Id of the node. */
  readonly id: string;
  private readonly kernel: Kernel;
  private readonly placement: PlacementEngine;
  private readonly remote: RemoteActors;
  private readonly mailboxes: MailboxControl;
  private readonly definitions = new Definitions();
  private readonly log: Logger;
  private readonly reports: SupervisorReports;
  private readonly registered: RegisteredNames;
  private readonly groups: SystemGroups;
  /** Undefined if failed nodes are the cluster's business. */
  private readonly heartbeats: HeartbeatManager | undefined;
  private running = false;
  private stopping = false;
  private draining = false;
  private shutdownDone: Promise<void> | undefined;

  /**
   * @param heartbeat has nodes asked whether they live, if the cluster does not find out by itself; not unless given.
   * @param processGroups without it the group methods do nothing.
   * @throws InvalidOptionError
   */
  constructor(
    readonly cluster: Cluster,
    readonly transport: Transport,
    readonly registry: Registry,
    supervision: SomeOf<SupervisionOptions> = {},
    heartbeat?: SomeOf<HeartbeatConfig>,
    private readonly mailbox: MailboxConfig = {},
    timeouts: SystemTimeouts = {},
    processGroups?: ProcessGroupManager,
    limits: SystemLimits = {},
  ) {
    if (cluster === null || typeof cluster?.nodeId !== "string") {
      throw new InvalidArgumentError("cluster", "an object with a nodeId", cluster);
    }
    assertPart("transport", transport);
    assertPart("registry", registry);
    assertSupervisionOptions("supervision", supervision);
    assertMailboxConfig("mailbox", mailbox);
    assertTimeouts("timeouts", timeouts);
    const { defaultCallTimeout = DEFAULT_CALL_TIMEOUT_MS } = timeouts as SystemTimeouts;
    this.id = cluster.nodeId;
    this.log = createLogger("ActorSystem", this.id);
    this.reports = new SupervisorReports(this.log, supervision);
    this.kernel = new Kernel(this.id, defaultCallTimeout, this, kernelLimits(limits));
    this.mailboxes = new MailboxControl(this.kernel);
    setSupervision(this.kernel, null, supervision);
    this.registered = new RegisteredNames({
      id: this.id,
      registry,
      spawnedAs: (name) => this.spawnedAs(name),
      tellRegistry: (tell) => this.tellRegistry(tell),
    });
    this.groups = new SystemGroups({
      kernel: this.kernel,
      manager: processGroups,
      remote: () => this.remote,
      cellById: (id) => this.cellById(id),
      cellOf: (id) => this._cellOf(id),
      getRef: (id) => this.getRef(id),
    });
    this.remote = new RemoteActors({
      id: this.id,
      transport,
      kernel: this.kernel,
      placement: () => this.placement,
      members: () => cluster.getMembers(),
      isMember: (node) => cluster.getMembers().includes(node),
      isStopping: () => this.stopping,
      spawnHidden: (actor, args) => this.spawnCell(toDefinition(actor), { args }, null),
      spawnUnder: (parent, definition, options) => this.spawnCell(definition, options, parent),
      registered: (className) => this.definitionFor(className),
      refTo: (id) => this.getRef(id),
      cellById: (id) => this.cellById(id),
      cellByName: (name) => this.cellByName(name),
      groups: this.groups,
    });
    if (heartbeat !== undefined && cluster.detectsFailures !== true) {
      this.heartbeats = new HeartbeatManager(this.id, transport, cluster, heartbeat);
      this.heartbeats.on("node_failed", (nodeId: string) => this.handleNodeFailure(nodeId));
    }
    followLoop(cluster, this.kernel.loop);
    this.placement = new PlacementEngine(cluster, this.remote.loads);
    this.followMembers();
    transport.makeRefs?.((id) => this.getRef(id));
    registry.onConflict?.((conflict) => this.nameLost(conflict));
    this.groups.attach();
  }

  private followMembers(): void {
    this.cluster.on?.("member_leave", (nodeId: string) => {
      this.transport.removePeer?.(nodeId);
      this.handleNodeFailure(nodeId);
    });
    this.cluster.on?.("member_join", (nodeId: string) => this.remote.nodeJoined(nodeId));
  }

  // Life of the system.

  /** Starts the system; effective at once. */
  async start(): Promise<void> {
    if (this.running || this.stopping) return;
    this.running = true;
    this.remote.attach();
    void this.heartbeats?.start();
  }

  /** A node is gone: calls to it reject, watches on its actors give DOWN `killed`, links to them break. */
  handleNodeFailure(nodeId: string): void {
    this.remote.nodeLost(nodeId);
    this.groups.nodeLost(nodeId);
  }

  /** Whether the system runs and is not shutting down. */
  isRunning(): boolean {
    return this.running && !this.stopping;
  }

  /** Whether `shutdown` was called; stays true. */
  isShuttingDown(): boolean {
    return this.stopping;
  }

  /** Whether the system drains. */
  isDraining(): boolean {
    return this.draining;
  }

  /**
   * Refuses new actors from now on; those that exist go on answering.
   *
   * @returns `drained`: how many actors are alive; zero if the system drains already.
   * @throws LibeamError (NOT_IMPLEMENTED) with a `migrateTarget`: there is no migration yet.
   */
  async drain(options: DrainOptions = {}): Promise<DrainResult> {
    assertOptions("drain options", options, DRAIN_NAMES);
    if ((options as DrainOptions).migrateTarget !== undefined) {
      throw new LibeamError("Actors cannot be migrated yet; nothing was drained", "NOT_IMPLEMENTED");
    }
    const drained = this.draining ? 0 : this.countActors();
    this.draining = true;
    this.remote.loads.setClosed(true);
    return { migrated: 0, drained, failed: [] };
  }

  /** Takes new actors again. */
  undrain(): void {
    this.draining = false;
    this.remote.loads.setClosed(this.stopping);
  }

  /**
   * Stops everything: no new actors and calls at once, then queued messages are handled, then all actors stop. What is not
   * done in time is given up, with a warning that names the actors; a handler that awaits the shutdown is, because each of
   * them waits for the other.
   *
   * @param options `timeout` in milliseconds for all of it (default 5000); `drainMailboxes` (default true).
   * @throws InvalidOptionError, as a rejection; the shutdown has not begun then.
   */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    if (this.shutdownDone === undefined) {
      assertOptions("shutdown options", options, SHUTDOWN_NAMES);
      const { timeout = DEFAULT_SHUTDOWN_TIMEOUT_MS, drainMailboxes = true } = options as ShutdownOptions;
      assertTimeoutMs("shutdown timeout", timeout);
      if (typeof drainMailboxes !== "boolean") {
        throw new InvalidOptionError("drainMailboxes", drainMailboxes, "true or false");
      }
      this.stopping = true;
      this.kernel.closed = true;
      this.remote.loads.setClosed(true);
      void this.heartbeats?.stop();
      this.shutdownDone = this.shutDown(timeout, drainMailboxes);
    }
    return this.shutdownDone;
  }

  private async shutDown(timeoutMs: number, drainMailboxes: boolean): Promise<void> {
    const start = performance.now();
    const actorCount = this.countActors();
    const deadline = start + timeoutMs;
    const drained = (): boolean => !this.mailboxes.isBusy();
    if (drainMailboxes) await until(drained, deadline);
    const messages = drainMailboxes ? this.backlog() : 0;
    const left = Math.max(deadline - performance.now(), SHUTDOWN_GRACE_MS);
    const roots = this.liveCells().filter(isRoot);
    await withTimeout(Promise.all(roots.map((cell) => stop(cell))), left);
    const late = this.liveCells();
    reportUnfinished(this.log, { timeoutMs, messages, actors: late });
    for (const cell of late) if (isRoot(cell)) exit(null, cell, "kill");
    await until(() => this.countActors() === 0, performance.now() + SHUTDOWN_GRACE_MS);
    // What is left has a `terminate` that does not end: it is given up, and whoever waits for it goes on.
    for (const cell of this.liveCells()) gone(cell, 0);
    // The runtime's own actors have been told of these ends, and tell other nodes.
    const end = Math.max(deadline, performance.now() + SHUTDOWN_GRACE_MS);
    await until(drained, end);
    await until(() => !this.remote.waitsForRoom(), Math.min(end, performance.now() + SHUTDOWN_ROOM_MS));
    this.mailboxes.close(this.kernel.closedError("make calls"));
    this.running = false;
    this.remote.close();
    this.kernel.dispose();
    const measurements = { duration_ms: performance.now() - start, actor_count: actorCount };
    telemetry.execute([...TelemetryEvents.system.shutdown, "stop"], measurements, { node_id: this.id });
  }

  /** Shuts the system down; for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** How the system is. */
  getHealth(): ComponentHealth {
    const totalMailboxSize = this.backlog();
    const { lastBlock } = this.kernel.loop;
    const details = {
      actorCount: this.countActors(),
      totalMailboxSize,
      registeredClasses: this.definitions.size,
      ...(lastBlock === undefined ? {} : { lastLoopBlock: lastBlock }),
    };
    const health = (status: ComponentHealth["status"], message: string): ComponentHealth => {
      return { name: "ActorSystem", status, message, details };
    };
    if (this.draining) return health("degraded", "System is draining");
    if (this.stopping) return health("degraded", "System is shutting down");
    if (!this.running) return health("unhealthy", "System is not running");
    if (totalMailboxSize > BACKLOG_DEGRADED) return health("degraded", "High mailbox backlog");
    return health("healthy", "System is healthy");
  }

  /** Messages in all mailboxes. */
  private backlog(): number {
    this.kernel.control(OP_BACKLOG);
    const [low, high] = this.kernel.results;
    return high * 2 ** 32 + low;
  }

  // Actors.

  /** Makes a class or definition known under a name for remote spawns; a later one wins. @throws InvalidArgumentError */
  registerActorClass(definition: ActorClass | ActorDefinition<any, any, any>, name?: string): void {
    this.definitions.register(definition, name);
  }

  /** Makes several known. */
  registerActorClasses(definitions: (ActorClass | ActorDefinition<any, any, any>)[]): void {
    if (!Array.isArray(definitions)) throw new InvalidArgumentError("actor classes", "an array", definitions);
    for (const definition of definitions) this.registerActorClass(definition);
  }

  /**
   * Makes all actors known that modules export, under the names of their exports. Other nodes can spawn these and what
   * is registered; no message makes a node import anything.
   *
   * @param modules URLs, as `new URL("./actors.js", import.meta.url)` makes them.
   * @throws InvalidOptionError, and LibeamError (ACTOR_MODULE) for a module that cannot be imported, exports no actor, or an
   * export name that means two actors. Nothing is made known then.
   */
  registerActorModules(modules: readonly (string | URL)[]): Promise<void> {
    return this.definitions.registerModules(modules);
  }

  /** The class or definition that was made known under a name. */
  getActorClass(name: string): ActorClass | ActorDefinition | undefined {
    return this.definitions.get(name);
  }

  /**
   * Makes an actor. A synchronous `init` has ended when this returns.
   *
   * @throws what `init` throws, NameAlreadyRegisteredError, NoRoleMatchError, SystemShuttingDownError, ActorLimitError,
   * InvalidOptionError, InvalidArgumentError; nothing is left behind then.
   */
  spawn<D extends ActorClass | ActorDefinition<any, any, any>>(
    definition: D,
    options?: SpawnOptions<DefinitionArgs<D>>,
  ): DefinitionRef<D> {
    this.assertOpen("spawn actors");
    const node = this.nodeFor(definition, options);
    if (node !== this.id) {
      return this.remote.spawn(
        node,
        toDefinition(definition),
        this.definitions.nameOf(definition),
        options,
      ) as DefinitionRef<D>;
    }
    return this.spawnCell(toDefinition(definition), options, null).ref as DefinitionRef<D>;
  }

  /** Where an actor is to be spawned. */
  private nodeFor(definition: unknown, options: SpawnOptions | undefined): string {
    if (options?.strategy === undefined && options?.role === undefined) return this.id;
    const { strategy = "local", role, name } = options;
    if (role !== undefined) assertName("role", role);
    return this.placement.selectNode(strategy, role, { className: this.definitions.nameOf(definition), name });
  }

  /**
   * Makes a child of an actor, on this node or on the one that the strategy chooses. A child on another node is supervised
   * like one on this node.
   *
   * @throws as `spawn`; a child on another node that cannot be started counts as crashed. InvalidArgumentError for a parent
   * of another node or system.
   */
  spawnChild<D extends ActorClass | ActorDefinition<any, any, any>>(
    parent: ActorRef,
    definition: D,
    options?: SpawnOptions<any>,
  ): DefinitionRef<D> {
    const cell = cellOf(parent);
    if (!this.isOwn(cell)) {
      throw new InvalidArgumentError("parent", `an actor of node ${this.id}`, parent.id.toString());
    }
    return this._spawnChild(cell, definition, options) as DefinitionRef<D>;
  }

  /** @internal */
  _spawnChild(parent: ActorCell, definition: unknown, options: SpawnOptions | undefined): any {
    this.assertOpen("spawn child actors");
    const node = this.nodeFor(definition, options);
    if (node === this.id || parent.dead) return this.spawnCell(toDefinition(definition), options, parent).ref;
    return this.spawnRemoteChild(parent, node, definition, options as SpawnOptions);
  }

  private spawnRemoteChild(parent: ActorCell, node: string, definition: unknown, options: SpawnOptions): ActorRef {
    const request = { name: undefined as string | undefined, args: NO_ARGS };
    readSpawnOptions(options, request);
    const { name, args } = request;
    const { mailbox, role, strategy = "local" } = options;
    const { takesMethods } = toDefinition(definition);
    const spec = { className: this.definitions.nameOf(definition), takesMethods, name, mailbox, strategy, role };
    return this.remote.spawnChild(parent, node, spec, args).cell.ref;
  }

  /**
   * Makes a child of an actor on a node, and waits until it has started.
   *
   * @returns null if it could not be started; it is tried again as its parent's supervision says.
   */
  async spawnChildRemote(
    parent: ActorRef,
    definition: ActorClass | ActorDefinition<any, any, any>,
    node: string,
    options: SpawnOptions = {},
  ): Promise<ActorRef | null> {
    const ref = this.spawnChild(parent, definition, { ...options, strategy: { node } }) as ActorRef;
    const starting = this.remote.childById(ref.id.id)?.starting;
    return starting === undefined
      ? ref
      : starting.then(
          () => ref,
          () => null,
        );
  }

  /** Whether an actor of this node is the child of one on another node. */
  hasRemoteParent(id: string): boolean {
    const cell = this.cellById(id) ?? this.remote.aliased(id);
    return cell !== undefined && isGuest(cell);
  }

  /** What is known of a child that lives on another node. */
  getRemoteChild(id: string): RemoteChildEntry | undefined {
    const child = this.remote.childById(id);
    if (child === undefined) return undefined;
    const { className, place, parentId } = child;
    return { childId: place.id, childNodeId: place.node, parentId, childClass: className };
  }

  /** Stops a child that lives on another node; false if there is none of that id. */
  async stopRemoteChild(id: string): Promise<boolean> {
    const child = this.remote.childById(id);
    await child?.stop();
    return child !== undefined;
  }

  /** What another node wants to spawn. */
  private definitionFor(className: string): Definition {
    this.assertOpen("spawn actors");
    return this.definitions.named(className);
  }

  private assertOpen(operation: string): void {
    if (this.stopping || this.draining) throw new SystemShuttingDownError(operation);
  }

  private spawnCell(definition: Definition, options: SpawnOptions | undefined, parent: ActorCell | null): ActorCell {
    if (parent?.dead) throw new SystemShuttingDownError("spawn child actors");
    const request = {
      definition,
      args: NO_ARGS,
      name: undefined as string | undefined,
      parent,
      capacity: 0,
      policy: POLICY_DROP_NEWEST,
    };
    if (options !== undefined) readSpawnOptions(options, request);
    const { name } = request;
    if (name !== undefined && this.registered.find(name) !== undefined) throw new NameAlreadyRegisteredError(name);
    const { maxSize = this.mailbox.maxSize, overflowStrategy = this.mailbox.overflowStrategy } = options?.mailbox ?? {};
    if (maxSize !== undefined && Number.isFinite(maxSize)) {
      request.capacity = Math.floor(maxSize);
      request.policy = mailboxPolicy(overflowStrategy);
    }
    const cell = spawn(this.kernel, request);
    if (cell.name !== undefined) this.announceName(cell);
    return cell;
  }

  private announceName(cell: ActorCell): void {
    const name = cell.name as string;
    const { nameSince } = cell.definition;
    const since: [since?: number] = nameSince === undefined ? [] : [nameSince];
    this.tellRegistry(() => this.registry.register(name, this.id, cell.ref.id.id, ...since));
  }

  private nameLost({ name, actorId, winner }: NameConflict): void {
    this.log.warn(`Actor "${name}" is stopped: an older one on node ${winner} has the name`);
    void this.stop(this.getRef(new ActorId(this.id, actorId, name)));
  }

  private tellRegistry(tell: () => Promise<void>): void {
    const failed = (error: unknown): void => this.log.error("The registry failed", error);
    try {
      Promise.resolve(tell()).then(undefined, failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Stops an actor and everything below it. Unknown actors are ignored. */
  stop(ref: ActorRef): Promise<void> {
    return stop(cellOf(ref));
  }

  /**
   * Starts an actor again, as after a crash: once its handler has ended it and everything below it stop in order, hooks
   * included, and the next incarnation begins with the same arguments under the same supervisor. Refs, name, groups,
   * watchers and waiting messages stay, links end normally. It is no crash: nothing is counted, siblings go on, and
   * `preRestart` and `postRestart` are told of no error. An actor that waits for its next incarnation is started now, unless
   * siblings are to be started with it.
   *
   * @returns the ref when the next incarnation is up; null if there is no such actor, or it has ended instead. From within
   * the actor itself or below it, before the first `await` of a handler, at once.
   * @throws InvalidArgumentError for an actor of another node, unless it is the child of one of this node;
   * SystemShuttingDownError (both as rejections)
   */
  async restart(ref: ActorRef): Promise<ActorRef | null> {
    const cell = cellOf(ref);
    if (this.stopping) throw new SystemShuttingDownError("restart actors");
    const own = supervisedAs(cell);
    if (!this.isOwn(own) || isGuest(own)) {
      throw new InvalidArgumentError("ref", `an actor that node ${this.id} supervises`, ref.id.toString());
    }
    return (await restart(own)) ? own.ref : null;
  }

  /** A ref for an id, which may be a plain `{ systemId, id, name }`. */
  getRef(id: ActorId): ActorRef {
    if (id === null || typeof id !== "object") throw new InvalidArgumentError("id", "an ActorId", id);
    const own = new ActorId(id.systemId, id.id, id.name);
    const { ref } = this._cellOf(own);
    if (ref.id.id === own.id) return ref;
    return ref instanceof TypedActorRef ? new TypedActorRef(own, this) : new ActorRef(own, this);
  }

  /** Looks a named actor up, here and then in the registry; null if there is none. */
  async getActorByName<N extends keyof ActorRegistry & string>(name: N): Promise<NamedRef<N> | null>;
  async getActorByName(name: string): Promise<ActorRef | null>;
  async getActorByName(name: string): Promise<ActorRef | null> {
    assertName("name", name);
    const cell = this.cellByName(name);
    if (cell !== undefined) return cell.ref;
    const location = await this.registry.lookup(name);
    if (location === null || location === undefined) return null;
    if (location.nodeId === this.id) return this.cellById(location.actorId)?.ref ?? null;
    return this._cellOf(new ActorId(location.nodeId, location.actorId, name)).ref;
  }

  /**
   * Gives an actor of this node a name, beside the one it was spawned with. It stays over restarts and ends with the actor.
   *
   * @param options `consistency`: "local" (default) goes by what this node knows; of two nodes that do so at the same time
   * one loses the name, and its actor is stopped. "home" has the name's home node agree first: one node gets the name, the
   * others are refused, as long as all see the same members.
   * @throws NameAlreadyRegisteredError, ActorNotFoundError, InvalidArgumentError, InvalidOptionError, what the registry
   * throws, and for "home" TimeoutError or NodeDownError (all as rejections); the actor has not got the name then.
   */
  async registerName(name: string, ref: ActorRef, options?: RegisterNameOptions): Promise<void> {
    return this.registered.register(name, cellOf(ref), options);
  }

  /** Takes back a name that `registerName` gave on this node; false if there is none. */
  unregisterName(name: string): boolean {
    return this.registered.unregister(name);
  }

  private cellByName(name: string): ActorCell | undefined {
    return this.spawnedAs(name) ?? this.registered.find(name);
  }

  private spawnedAs(name: string): ActorCell | undefined {
    this.kernel.controlText(OP_WHEREIS, name);
    return this.kernel.cells[this.kernel.results[0]];
  }

  /** The actor object behind an id. */
  getActor(id: string): Actor | undefined {
    return (this.cellById(id)?.behaviour ?? undefined) as Actor | undefined;
  }

  /** What is known of an actor. */
  getActorMetadata(id: string): ActorInfo | undefined {
    const cell = this.cellById(id);
    return cell === undefined ? undefined : this.describe(cell);
  }

  /** All actors of this node. */
  getActors(): ActorInfo[] {
    return this.liveCells().map((cell) => this.describe(cell));
  }

  /** Ids of all actors of this node. */
  getLocalActorIds(): string[] {
    return this.liveCells().map((cell) => cell.ref.id.id);
  }

  private describe(cell: ActorCell): ActorInfo {
    const { name, behaviour, definition } = cell;
    const childCount = countChildrenOf(cell);
    const migratable =
      behaviour instanceof FunctionalActor ? behaviour._extras?.migration !== undefined : isMigratable(behaviour);
    const actorId = cell.ref.id.id;
    return {
      actorId,
      ...(name === undefined ? {} : { name }),
      className: definition.className,
      migratable,
      childCount,
    };
  }

  private liveCells(): ActorCell[] {
    return this.kernel.cells.filter((cell): cell is ActorCell => cell !== undefined && !isHidden(cell));
  }

  private countActors(): number {
    let count = 0;
    for (const cell of this.kernel.cells) if (cell !== undefined && !isHidden(cell)) count++;
    return count;
  }

  /** Whether an actor is of this node, and not of another system of the process. */
  private isOwn({ remote, kernel }: ActorCell): boolean {
    return remote === undefined && kernel === this.kernel;
  }

  private cellById(id: string): ActorCell | undefined {
    const numbers = this.kernel.ids.decode(id);
    const cell = numbers === undefined ? undefined : this.kernel.cells[numbers.index];
    return cell?.generation === numbers?.generation ? cell : undefined;
  }

  /** @internal */
  _cellOf(id: ActorId): ActorCell {
    if (id.systemId !== this.id) return this.remote.cellOf(id);
    return this.cellById(id.id) ?? this.remote.aliased(id.id) ?? new RemoteCell(this.kernel, id, undefined);
  }

  // Watches, links, exits, timers: what actors do, on behalf of a ref.

  /** Has `watcher` told once when `watched` ends. */
  watch(watcher: ActorRef, watched: ActorRef): WatchRef {
    return watch(cellOf(watcher), watched);
  }

  /** Ends a watch. */
  unwatch(watchRef: WatchRef): void {
    unwatch(this._cellOf(checkedWatch(watchRef).watcherId), watchRef);
  }

  /** Links two actors. @throws ActorNotFoundError when one of them has ended, or waits for its next incarnation */
  link(a: ActorRef, b: ActorRef): LinkRef {
    return link(cellOf(a), b);
  }

  /** Ends a link. */
  unlink(linkRef: LinkRef): void {
    unlink(this._cellOf(checkedLink(linkRef).actor1Id), linkRef);
  }

  /** Sends an exit signal in the name of `sender`. */
  sendExit(sender: ActorRef | null, target: ActorRef, reason: any): void {
    exit(sender === null ? null : cellOf(sender), cellOf(target), reason);
  }

  /**
   * Starts a timer of an actor. One for an actor of another node runs here, and ends with that actor.
   */
  startActorTimer(ref: ActorRef, message: any, ms: number, isInterval: boolean): TimerRef {
    const cell = cellOf(ref);
    const terms = { delayMs: ms, isInterval };
    if (cell.remote === undefined) return startTimer(cell, message, terms);
    assertNonNegativeMs(isInterval ? "intervalMs" : "delayMs", ms);
    return startTimer(cell.remote.shadow(), message, { ...terms, to: ref, calledOf: ref });
  }

  /** Cancels a timer of an actor. */
  cancelActorTimer(ref: ActorRef, timerRef: TimerRef): boolean {
    return cancelTimer(timerOwner(ref), timerRef);
  }

  /** Cancels all timers of an actor; of an actor of another node those that run here. */
  cancelAllActorTimers(ref: ActorRef): void {
    cancelAllTimers(timerOwner(ref));
  }

  /** Sets the idle timeout of an actor. */
  setActorIdleTimeout(ref: ActorRef, timeoutMs: number): void {
    setIdleTimeout(cellOf(ref), timeoutMs);
  }

  // Mailboxes.

  /** Stops serving a mailbox; false for unknown actors. */
  pauseMailbox(id: string): boolean {
    return this.mailboxes.pause(this.cellById(id));
  }

  /** Serves a mailbox again; false for unknown actors. */
  resumeMailbox(id: string): boolean {
    return this.mailboxes.resume(this.cellById(id));
  }

  /** Whether a mailbox is paused. */
  isMailboxPaused(id: string): boolean {
    return this.mailboxes.isPaused(this.cellById(id));
  }

  /** The messages that wait in a mailbox, which keeps them. */
  getPendingMessages(id: string): StashedMessage[] {
    return this.mailboxes.pending(this.cellById(id));
  }

  /** Pauses a mailbox, waits for the handler that runs, and takes the waiting messages out. */
  drainMailbox(id: string, timeout: number = DEFAULT_SHUTDOWN_TIMEOUT_MS): Promise<StashedMessage[]> {
    return this.mailboxes.drain(this.cellById(id), timeout);
  }

  /** Puts messages in front of a mailbox, in their order; false for unknown actors. */
  injectMessages(id: string, messages: StashedMessage[]): boolean {
    return this.mailboxes.inject(this.cellById(id), messages);
  }

  /** Queues a call by id. */
  dispatchCall(id: string, message: any, timeout?: number): Promise<any> {
    return this.getRef(new ActorId(this.id, id)).call(message, timeout);
  }

  /** Queues a cast by id. */
  dispatchCast(id: string, message: any): void {
    this.getRef(new ActorId(this.id, id)).cast(message);
  }

  /** @internal Handles a cast at once if the actor is idle; false if it is not. */
  _syncLocalCast(id: string, message: any): boolean {
    const cell = this.cellById(id);
    return cell !== undefined && this.mailboxes.castNow(cell, message);
  }

  // Groups.

  /**
   * Adds an actor to a group; joining twice is joining once. The node of an actor does it, and then tells the others.
   *
   * @throws InvalidArgumentError; LibeamError (ENTRY_LIMIT) if this node has 1,048,576 memberships.
   */
  joinGroup(group: string, ref: ActorRef): void {
    this.groups.change("join", group, ref);
  }

  /** Removes an actor from a group; the node of the actor does it. @throws InvalidArgumentError */
  leaveGroup(group: string, ref: ActorRef): void {
    this.groups.change("leave", group, ref);
  }

  /**
   * The members of a group: those of this node in joining order, then those of the other nodes by node id, each in joining
   * order there. What other nodes do is seen here a little later.
   */
  getGroup(group: string): ActorRef[] {
    return this.groups.refs(group);
  }

  /** Casts a message to every member of a group, with one message to each other node that has members. */
  broadcast(group: string, message: any): void {
    this.groups.broadcast(group, message);
  }

  // What the kernel tells.

  /** @internal Numbers of everything that must not leak. */
  _counters(): Record<string, number> {
    return this.kernel.counters();
  }

  /** @internal */
  crashed(cell: ActorCell, error: unknown, decision: number, attempt: number): void {
    this.remote.crashed(cell, error, decision);
    this.reports.crashed(cell, error, decision, attempt);
  }

  /** @internal */
  restarted(cell: ActorCell, oldId: string, attempt: number): void {
    if (cell.name !== undefined) this.announceName(cell);
    this.registered.restarted(cell);
    this.groups.restarted(cell);
    this.reports.restarted(cell, oldId, attempt);
  }

  /** @internal */
  cellOf(id: ActorId): ActorCell {
    return this._cellOf(id);
  }

  /** @internal */
  gone(cell: ActorCell, kind: number, token: number): void {
    const { name } = cell;
    this.registered.gone(cell);
    this.groups.gone(cell);
    this.remote.forget(cell, () => terminationReason(this.kernel, kind, token));
    if (name !== undefined) this.tellRegistry(() => this.registry.unregister(name));
  }

  /** @internal */
  neverStarted(cell: ActorCell): void {
    this.groups.gone(cell); // It may have joined in its `init`.
  }
}

/** Has the other nodes told how this node's event loop does, if the cluster can tell them. */
function followLoop(cluster: Cluster, loop: EventLoop): void {
  (cluster as { _followLoop?(loop: EventLoop): void })._followLoop?.(loop);
}

/** Who has the timers of an actor: itself, or what stands here for an actor of another node. */
function timerOwner(ref: ActorRef): ActorCell {
  const cell = cellOf(ref);
  return cell.remote?.shadow() ?? cell;
}

/** Whether no actor that users see is above an actor of this node. */
function isRoot(cell: ActorCell): boolean {
  return cell.parent === null || isHidden(cell.parent);
}
