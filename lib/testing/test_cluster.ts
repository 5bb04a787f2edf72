/**
 * TestCluster: a cluster for tests, of this process (the *controller*) and of others that are its children.
 *
 * Every node is a whole one: gossip, encrypted connections, names. The others are driven over IPC, so
 * that what a test does to the network does not get in its own way, and through a NodeAgent each.
 *
 * Cuts. With `faultInjection`, nodes can be cut off from each other: no gossip, no message passes. A cut between two other
 * nodes, and one by `partitionController`, is made at both ends. Only `node.partition(controllerId)` is one-way for
 * messages: the node does not reach the controller any more, and answers what it is asked. Gossip is cut both ways even then.
 *
 * End. `teardown` ends all processes and the controller's own node; a process whose parent dies ends by itself. If `create`
 * fails, nothing is left behind.
 */

import { randomBytes } from "node:crypto";
import { resolve as resolvePath } from "node:path";
import { pathToFileURL } from "node:url";
import { Codec } from "../cluster/codec.js";
import { joinCluster, type System } from "../cluster/create_system.js";
import type { DistributedCluster } from "../cluster/distributed_cluster.js";
import type { DistributedConfig } from "../cluster/distributed_system.js";
import { InvalidOptionError, LibeamError } from "../errors.js";
import { loggerConfig } from "../kernel/logger.js";
import type { AllOf, OptionNames } from "../kernel/options.js";
import { assertName, assertOptions, assertTimeoutMs } from "../kernel/validate.js";
import { FaultyGossipUDP } from "./faulty_gossip.js";
import { FaultyTransport } from "./faulty_transport.js";
import type { NodeAgentRef } from "./node_agent.js";
import { NodeProcess } from "./node_process.js";
import type { NodeWorkerBootMessage, NodeWorkerReadyMessage } from "./node_protocol.js";
import type { NodePorts } from "./ports.js";
import { loaderFlags, workerEntry } from "./type_script.js";

/** How a TestCluster is made. */
export interface TestClusterConfig {
  /** Nodes beside the controller; default 2. */
  size?: number | undefined;
  /** Default: a random one. */
  cookie?: string | undefined;
  /** Paths or URLs of modules; the actors that they export are known on every node under the names of their exports. */
  actorModules?: (string | URL)[] | undefined;
  /** Milliseconds until all nodes see all others; default 30000. */
  timeout?: number | undefined;
  /** Nodes are called `<prefix>-1`, `<prefix>-2`, …; default "test-node". */
  nodeIdPrefix?: string | undefined;
  /** Whether nodes can be cut off from each other; default false. */
  faultInjection?: boolean | undefined;
  /** How the nodes gossip; default "fast". */
  gossip?: DistributedConfig["gossip"] | undefined;
}

const NAMES: OptionNames<TestClusterConfig> = {
  size: true,
  cookie: true,
  actorModules: true,
  timeout: true,
  nodeIdPrefix: true,
  faultInjection: true,
  gossip: true,
};

/** A node of a TestCluster. */
export interface TestNodeHandle {
  readonly nodeId: string;
  readonly ports: NodePorts;
  /** The node's {@link NodeAgent}. */
  readonly agent: NodeAgentRef;
  /**
   * Calls a named actor of the node over IPC, which works while the node is cut off: with a method and its arguments, or with
   * a whole message and a timeout.
   *
   * @throws ActorNotFoundError, LibeamError (NODE_NOT_RUNNING), or what the actor threw
   */
  callActor(name: string, message: any, ...rest: any[]): Promise<any>;
  /** Sends a signal to the process; default SIGKILL. */
  kill(signal?: NodeJS.Signals): void;
  /** Ends the node in good order; resolves when its process has ended. */
  shutdown(): Promise<void>;
  /** Cuts the node off from others. @throws LibeamError (FAULT_INJECTION_OFF, NODE_NOT_FOUND, NODE_NOT_RUNNING) as a rejection */
  partition(...targetNodeIds: string[]): Promise<void>;
  /** Ends cuts; without ids, all that the node has with others. @throws like `partition` */
  heal(...targetNodeIds: string[]): Promise<void>;
}

const TIMEOUT_MS = 30_000;
const SIZE_MAX = 64;
const SHUTDOWN_MS = 2_000;
const COOKIE_BYTES = 32;

interface TestNode extends TestNodeHandle {
  readonly process: NodeProcess;
  readonly gossipAddress: string;
}

type Settings = AllOf<Omit<TestClusterConfig, "actorModules">> & { actorModules: string[] };

/** See the module's header. */
export class TestCluster implements AsyncDisposable {
  private tornDown: Promise<void> | undefined;

  private constructor(
    /** The controller's node. */
    readonly system: System,
    /** The other nodes. */
    readonly nodes: readonly TestNodeHandle[],
    private readonly faults: Faults | undefined,
  ) {}

  /**
   * Starts the nodes and waits until all see all.
   *
   * @throws InvalidOptionError, TimeoutError, LibeamError (NODE_START_FAILED)
   */
  static async create(config: TestClusterConfig = {}): Promise<TestCluster> {
    const settings = settingsOf(config);
    const flags = loaderFlags(workerEntry(), settings.actorModules);
    const faults = settings.faultInjection ? new Faults() : undefined;
    const controllerId = `${settings.nodeIdPrefix}-controller`;
    const ids = Array.from({ length: settings.size }, (_, at) => `${settings.nodeIdPrefix}-${at + 1}`);
    const system = await joinCluster(nodeConfig(settings, controllerId), faults?.seams);
    const processes: NodeProcess[] = [];
    try {
      for (const id of ids) processes.push(new NodeProcess(id, flags));
      const message = bootMessage(settings, gossipOf(system, controllerId), [controllerId, ...ids]);
      const [booted] = await Promise.all([
        Promise.all(processes.map((process) => process.boot({ ...message, nodeId: process.nodeId }))),
        system.waitForCluster({ nodes: ids, timeout: settings.timeout }),
      ]);
      const nodes: TestNode[] = [];
      for (const [at, process] of processes.entries()) {
        nodes.push(makeHandle(process, booted[at] as NodeWorkerReadyMessage, system, faults));
      }
      faults?.know(controllerId, nodes, gossipOf(system, controllerId));
      return new TestCluster(system, nodes, faults);
    } catch (error) {
      for (const process of processes) process.kill("SIGKILL");
      await Promise.all([...processes.map(({ ended }) => ended), system.shutdown({ timeout: 0 })]);
      throw error;
    }
  }

  /** Id of the controller's node. */
  get controllerId(): string {
    return this.system.nodeId;
  }

  /** A node by its id. @throws LibeamError (NODE_NOT_FOUND) */
  node(nodeId: string): TestNodeHandle {
    const node = this.nodes.find((known) => known.nodeId === nodeId);
    if (node === undefined) throw nodeNotFound(nodeId);
    return node;
  }

  /**
   * Cuts the controller off from nodes: at once at this end, and when the promise resolves at the other one.
   *
   * @throws LibeamError (FAULT_INJECTION_OFF, NODE_NOT_FOUND)
   */
  partitionController(...nodeIds: string[]): Promise<void> {
    return enabled(this.faults).cutController(nodeIds);
  }

  /** Ends that; without ids, for all nodes. @throws like `partitionController` */
  healController(...nodeIds: string[]): Promise<void> {
    return enabled(this.faults).healController(nodeIds.length > 0 ? nodeIds : this.nodes.map(({ nodeId }) => nodeId));
  }

  /** Ends all nodes and their processes, also stopped ones. */
  teardown(): Promise<void> {
    this.tornDown ??= this.end();
    return this.tornDown;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.teardown();
  }

  private async end(): Promise<void> {
    const nodes = this.nodes as readonly TestNode[];
    for (const { process } of nodes) process.kill("SIGCONT");
    await Promise.all([
      ...nodes.map(({ process }) => process.end()),
      this.system.shutdown({ timeout: SHUTDOWN_MS, drainMailboxes: false }),
    ]);
  }
}

/** Who is cut off from whom. */
class Faults {
  private transport: FaultyTransport | undefined;
  private gossip: FaultyGossipUDP | undefined;
  private readonly nodes = new Map<string, TestNode>();
  private controllerId = "";
  private controllerGossip = "";

  /** Puts the controller's own faults between it and its network. */
  readonly seams: NonNullable<Parameters<typeof joinCluster>[1]> = {
    transport: (inner) => {
      this.transport = new FaultyTransport(inner);
      return this.transport;
    },
    gossip: (inner) => {
      this.gossip = new FaultyGossipUDP(inner);
      return this.gossip;
    },
  };

  know(controllerId: string, nodes: TestNode[], controllerGossip: string): void {
    this.controllerId = controllerId;
    this.controllerGossip = controllerGossip;
    for (const node of nodes) this.nodes.set(node.nodeId, node);
  }

  cutController(nodeIds: string[]): Promise<void> {
    const nodes = nodeIds.map((id) => this.find(id));
    for (const { nodeId, gossipAddress } of nodes) {
      this.transport?.partition(nodeId);
      this.gossip?.partition(nodeId, gossipAddress);
    }
    return all(nodes.map((node) => ifRunning(node, () => this.cut(node, [this.controllerId]))));
  }

  healController(nodeIds: string[]): Promise<void> {
    const nodes = nodeIds.map((id) => this.find(id));
    for (const { nodeId } of nodes) {
      this.transport?.heal(nodeId);
      this.gossip?.heal(nodeId);
    }
    return all(nodes.map((node) => ifRunning(node, () => this.mend(node, [this.controllerId]))));
  }

  /** Between one of the nodes and others. */
  async partition(nodeId: string, targetIds: string[]): Promise<void> {
    const others = targetIds.filter((id) => id !== this.controllerId).map((id) => this.find(id));
    await this.cut(this.find(nodeId), targetIds);
    await all(others.map((other) => ifRunning(other, () => this.cut(other, [nodeId]))));
  }

  async heal(nodeId: string, targetIds: string[]): Promise<void> {
    const targets = targetIds.length > 0 ? targetIds : [this.controllerId, ...this.nodes.keys()];
    const others = targets.filter((id) => id !== this.controllerId).map((id) => this.find(id));
    await this.mend(this.find(nodeId), targets);
    await all(others.map((other) => ifRunning(other, () => this.mend(other, [nodeId]))));
  }

  private cut({ process }: TestNode, nodeIds: string[]): Promise<void> {
    const peers = nodeIds.map((nodeId) => {
      if (nodeId === this.controllerId) return { nodeId, gossipAddress: this.controllerGossip };
      return { nodeId, gossipAddress: this.find(nodeId).gossipAddress };
    });
    return process.order({ type: "partition", peers });
  }

  private mend({ process }: TestNode, nodeIds: string[]): Promise<void> {
    return process.order({ type: "heal", nodeIds });
  }

  private find(nodeId: string): TestNode {
    const node = this.nodes.get(nodeId);
    if (node === undefined) throw nodeNotFound(nodeId);
    return node;
  }
}

async function all(promises: Promise<void>[]): Promise<void> {
  await Promise.all(promises);
}

/** The end of a cut at a node that has ended needs no order. */
async function ifRunning({ process }: TestNode, order: () => Promise<void>): Promise<void> {
  if (process.isRunning) await order();
}

function enabled(faults: Faults | undefined): Faults {
  if (faults !== undefined) return faults;
  throw new LibeamError("Fault injection not enabled. Create cluster with faultInjection: true", "FAULT_INJECTION_OFF");
}

function nodeNotFound(nodeId: string): LibeamError {
  return new LibeamError(`Node not found: ${nodeId}`, "NODE_NOT_FOUND", { nodeId });
}

function makeHandle(
  process: NodeProcess,
  { ports, gossipAddress, agent }: NodeWorkerReadyMessage,
  system: System,
  faults: Faults | undefined,
): TestNode {
  const { nodeId } = process;
  const codec = new Codec((id) => system.system.getRef(id));
  return {
    nodeId,
    ports,
    gossipAddress,
    process,
    agent: system.system.getRef(agent as never) as NodeAgentRef,
    callActor: async (...request) => {
      const reply = codec.decode(await process.call(codec.encode(request)));
      if ("error" in reply) throw reply.error;
      return reply.ok;
    },
    kill: (signal = "SIGKILL") => process.kill(signal),
    shutdown: () => process.end(),
    partition: async (...targets) => enabled(faults).partition(nodeId, targets),
    heal: async (...targets) => enabled(faults).heal(nodeId, targets),
  };
}

function settingsOf(config: TestClusterConfig): Settings {
  assertOptions("TestCluster options", config, NAMES);
  const given = config as TestClusterConfig;
  const { size = 2, timeout = TIMEOUT_MS, nodeIdPrefix = "test-node", actorModules = [] } = given;
  const { cookie = randomBytes(COOKIE_BYTES).toString("hex"), faultInjection = false, gossip = "fast" } = given;
  if (!Number.isInteger(size) || size < 0 || size > SIZE_MAX) {
    throw new InvalidOptionError("size", size, `a whole number from 0 to ${SIZE_MAX}`);
  }
  assertTimeoutMs("timeout", timeout);
  assertName("nodeIdPrefix", nodeIdPrefix);
  if (!Array.isArray(actorModules)) throw new InvalidOptionError("actorModules", actorModules, "an array of paths");
  return { size, timeout, nodeIdPrefix, cookie, faultInjection, gossip, actorModules: actorModules.map(urlOf) };
}

function urlOf(module: string | URL): string {
  const text = String(module);
  return /^(file|data|node):/.test(text) ? text : pathToFileURL(resolvePath(text)).href;
}

function nodeConfig({ cookie, gossip }: Settings, nodeId: string): DistributedConfig {
  const listen = { port: 0, bindAddress: "127.0.0.1", advertiseAddress: "127.0.0.1" };
  return { type: "distributed", nodeId, cookie, gossip, seedNodes: [], ...listen };
}

function bootMessage(settings: Settings, seed: string, members: string[]): Omit<NodeWorkerBootMessage, "nodeId"> {
  const { cookie, timeout: timeoutMs, gossip = "fast", actorModules, faultInjection } = settings;
  const { level: logLevel } = loggerConfig;
  return {
    type: "boot",
    cookie,
    seedNodes: [seed],
    members,
    timeoutMs,
    gossip,
    actorModules,
    faultInjection,
    logLevel,
  };
}

function gossipOf(system: System, nodeId: string): string {
  return (system.cluster as DistributedCluster).getPeerState(nodeId)?.gossipAddress ?? "";
}
