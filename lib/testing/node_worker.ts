/**
 * The process of one node of a TestCluster; see node_protocol.ts for what it says and hears.
 */

import { Codec } from "../cluster/codec.js";
import { joinCluster, type System } from "../cluster/create_system.js";
import type { DistributedCluster } from "../cluster/distributed_cluster.js";
import { isErrorLike, LibeamError, messageOf } from "../errors.js";
import { loggerConfig } from "../kernel/logger.js";
import { Actor, type ActorClass } from "../stdlib/actor.js";
import { isActorDefinition } from "../stdlib/create_actor.js";
import { plainError } from "../stdlib/remote/plain_errors.js";
import { FaultyGossipUDP } from "./faulty_gossip.js";
import { FaultyTransport } from "./faulty_transport.js";
import { callActor, NodeAgent } from "./node_agent.js";
import type {
  NodeWorkerBootMessage,
  NodeWorkerCallMessage,
  NodeWorkerMessage,
  NodeWorkerResponse,
} from "./node_protocol.js";

/** Milliseconds that a node takes to end in good order. */
const SHUTDOWN_MS = 2_000;

/** The node's network, if it can be cut. */
interface Faults {
  transport?: FaultyTransport;
  gossip?: FaultyGossipUDP;
}

const faults: Faults = {};
const codec = new Codec();
let running: System | undefined;
let ending: Promise<void> | undefined;
let end = (): Promise<void> => Promise.resolve(process.exit());

process.on("disconnect", () => process.exit());
process.on("message", (message: NodeWorkerMessage) => {
  if (message.type === "boot") boot(message).catch(fail);
  else obey(message);
});

function tell(response: NodeWorkerResponse): void {
  process.send?.(response);
}

function fail(error: unknown): void {
  const code = error instanceof LibeamError ? { code: error.code } : {};
  const stack = stackOf(error);
  if (process.send === undefined) process.exit(1);
  process.send({ type: "error", message: messageOf(error), ...code, ...(stack ? { stack } : {}) }, () =>
    process.exit(1),
  );
}

/** Where it went wrong first, if that is known. */
function stackOf(error: unknown): string | undefined {
  if (!isErrorLike(error)) return undefined;
  return stackOf(error.cause) ?? error.stack;
}

function obey(message: Exclude<NodeWorkerMessage, NodeWorkerBootMessage>): void {
  switch (message.type) {
    case "partition":
      for (const { nodeId, gossipAddress } of message.peers) {
        faults.transport?.partition(nodeId);
        faults.gossip?.partition(nodeId, gossipAddress);
      }
      tell({ type: "done", number: message.number });
      return;
    case "heal":
      for (const nodeId of message.nodeIds) {
        faults.transport?.heal(nodeId);
        faults.gossip?.heal(nodeId);
      }
      tell({ type: "done", number: message.number });
      return;
    case "call":
      void answer(message);
      return;
    case "shutdown":
      void end();
  }
}

async function answer({ number, request }: NodeWorkerCallMessage): Promise<void> {
  let reply: Uint8Array;
  try {
    const [name, message, ...rest] = codec.decode(request);
    reply = codec.encode({ ok: await callActor(running as System, name, message, rest) });
  } catch (error) {
    reply = refusal(error);
  }
  tell({ type: "done", number, reply });
}

/** What was thrown, or what is left of it if it cannot be sent. */
function refusal(error: unknown): Uint8Array {
  try {
    return codec.encode({ error });
  } catch (why) {
    return codec.encode({ error: plainError(error, why) });
  }
}

async function boot(message: NodeWorkerBootMessage): Promise<void> {
  const { nodeId, cookie, seedNodes, members, timeoutMs, gossip, faultInjection, logLevel } = message;
  loggerConfig.configure({ level: logLevel });
  const modules = await Promise.all(message.actorModules.map(load));
  const listen = { bindAddress: "127.0.0.1", advertiseAddress: "127.0.0.1", port: 0 };
  const seams = {
    transport: (inner: ConstructorParameters<typeof FaultyTransport>[0]) => {
      faults.transport = new FaultyTransport(inner);
      return faults.transport;
    },
    gossip: (inner: ConstructorParameters<typeof FaultyGossipUDP>[0]) => {
      faults.gossip = new FaultyGossipUDP(inner);
      return faults.gossip;
    },
  };
  const system = await joinCluster(
    { type: "distributed", nodeId, cookie, seedNodes, gossip, ...listen },
    faultInjection ? seams : {},
  );
  end = () => {
    ending ??= system.shutdown({ timeout: SHUTDOWN_MS }).finally(() => process.exit());
    return ending;
  };
  for (const module of modules) registerExports(system, module);
  codec.makeRef = (id) => system.system.getRef(id);
  running = system;
  const agent = system.spawn(NodeAgent, { name: `agent@${nodeId}`, args: [endingWith(system, () => end())] });
  await system.waitForCluster({ nodes: members, timeout: timeoutMs });
  tell({ type: "ready", ...whereabouts(system), agent: { ...agent.id } });
}

async function load(url: string): Promise<Record<string, unknown>> {
  try {
    return await import(url);
  } catch (error) {
    const message = `module ${url} cannot be imported: ${messageOf(error)}`;
    throw new LibeamError(message, "ACTOR_MODULE", { url }, { cause: error });
  }
}

/** The system, whose end is the end of the process. */
function endingWith(system: System, shutdown: () => Promise<void>): System {
  return Object.create(system, { shutdown: { value: shutdown } });
}

function whereabouts(system: System) {
  const { address, gossipAddress } = (system.cluster as DistributedCluster).getPeerState(system.nodeId) ?? {};
  const [rpc, gossip] = [portOf(address), portOf(gossipAddress)];
  return { ports: { rpc, pub: rpc, gossip }, gossipAddress: gossipAddress ?? "" };
}

function portOf(address: string | undefined): number {
  return Number(address?.split(":").at(-1));
}

/** Makes the actors that a module exports known under the names of their exports. */
function registerExports(system: System, module: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(module)) {
    const as = name === "default" ? undefined : name;
    if (isActorDefinition(value)) system.register(value, as);
    else if (typeof value === "function" && value.prototype instanceof Actor) system.register(value as ActorClass, as);
  }
}
