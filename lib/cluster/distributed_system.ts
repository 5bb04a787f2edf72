/**
 * A node of a cluster with everything wired: membership, transport, names, actors.
 *
 * Ports: `port` for the transport, `port + 2` for gossip (`port + 1` is kept free), or `ports`; 0 is any free one, and the
 * real ones are in the node's own peer state.
 *
 * Start: the transport listens, gossip begins with its real address, names and groups are exchanged with whoever joins. End: actors
 * stop, the node says goodbye, gossip stops, the transport closes. If the start fails half-way, what has begun is ended.
 */

import { randomBytes } from "node:crypto";
import { InvalidOptionError } from "../errors.js";
import type { Transport } from "../kernel/collaborators.js";
import { createLogger } from "../kernel/logger.js";
import type { MailboxConfig, OptionNames, ShutdownOptions, SystemTimeouts } from "../kernel/options.js";
import { assertNodeId, assertOptions } from "../kernel/validate.js";
import { ActorSystem } from "../stdlib/actor_system.js";
import { ProcessGroupManager } from "../stdlib/process_groups.js";
import type { SystemLimits } from "../stdlib/system_limits.js";
import { checkedPort, ipOf, isUnspecified, PORT_MAX, portOf, withPort } from "./addresses.js";
import { ClusterKeyring, type Keyring } from "./cluster_keyring.js";
import { assertWaitOptions, type WaitForClusterOptions } from "./cluster_ready.js";
import { resolveCookie } from "./cookie.js";
import type { SupervisionConfig } from "./create_system.js";
import { DistributedCluster } from "./distributed_cluster.js";
import {
  GOSSIP_NAMES,
  type GossipConfig,
  type GossipKeys,
  type GossipOptions,
  type GossipPreset,
  GossipProtocol,
  type GossipSockets,
  GossipUDP,
} from "./gossip.js";
import { KeyringAuthenticator } from "./keyring.js";
import { DistributedRegistry, RegistrySync } from "./names.js";
import { ZeroMQTransport } from "./zeromq_transport.js";

/** Settings of a node of a cluster. */
export interface DistributedConfig {
  type: "distributed";
  /** Default `node-` and eight random hex digits. */
  nodeId?: string | undefined;
  /** Port of the transport; gossip is two above. Default 5000. */
  port?: number | undefined;
  /** Instead of `port`. */
  ports?: { rpc: number; pub?: number | undefined; gossip: number } | undefined;
  /** IP address to listen at; default "0.0.0.0". */
  bindAddress?: string | undefined;
  /** IP address at which the others reach this node; default LIBEAM_ADVERTISE_ADDRESS (unless it is empty), or "127.0.0.1". */
  advertiseAddress?: string | undefined;
  /** Gossip addresses of other nodes, `host:port` or `dns:name:port`. */
  seedNodes: string[];
  /** How gossip works, or the name of a preset. */
  gossip?: GossipConfig | GossipPreset | undefined;
  /** How crashes of root actors are treated; default Restart, 3 times in 5000 ms. */
  supervision?: SupervisionConfig | undefined;
  /** Secret of the cluster, at least 16 characters; default LIBEAM_COOKIE or the file LIBEAM_COOKIE_FILE. */
  cookie?: string | undefined;
  /** Separates clusters that have one cookie. */
  salt?: string | undefined;
  /** Seals gossip instead of the cookie: a CookieAuthenticator, a KeyringAuthenticator or a NullAuthenticator. */
  auth?: GossipKeys | undefined;
  /** Waits until the cluster has formed. */
  ready?: WaitForClusterOptions | undefined;
  /** Modules whose exported actors other nodes may spawn here, such as `new URL("./actors.js", import.meta.url)`. */
  actors?: (string | URL)[] | undefined;
  /** Roles of this node, for placement. */
  roles?: string[] | undefined;
  /** Bounds of all mailboxes; default unbounded. */
  mailbox?: MailboxConfig | undefined;
  /** Default timeouts. */
  timeouts?: SystemTimeouts | undefined;
  /** Limits of the system. */
  limits?: SystemLimits | undefined;
}

/** The names of {@link DistributedConfig}. */
export const NODE_NAMES: OptionNames<DistributedConfig> = {
  type: true,
  nodeId: true,
  port: true,
  ports: true,
  bindAddress: true,
  advertiseAddress: true,
  seedNodes: true,
  gossip: true,
  supervision: true,
  cookie: true,
  salt: true,
  auth: true,
  ready: true,
  actors: true,
  roles: true,
  mailbox: true,
  timeouts: true,
  limits: true,
};

const DEFAULT_PORT = 5_000;
const GOSSIP_PORT_OFFSET = 2;
/** Milliseconds that a node which ends waits for others to take what it has sent. */
const FLUSH_MS = 1_000;
const log = createLogger("createSystem");

/** The parts of a node. */
export interface Node {
  nodeId: string;
  system: ActorSystem;
  transport: ZeroMQTransport;
  cluster: DistributedCluster;
  registry: DistributedRegistry;
  groups: ProcessGroupManager;
  /** Undefined without a cookie. */
  keyring: Keyring | undefined;
}

/** Puts something of a test's between a node and its network. */
export interface Seams {
  transport?(inner: ZeroMQTransport): Transport;
  gossip?(inner: GossipUDP): GossipSockets;
}

/** Starts a node. @throws InvalidOptionError, InvalidCookieError, TransportError, LibeamError (GOSSIP_START, ACTOR_MODULE), TimeoutError */
export async function startNode(config: DistributedConfig, seams: Seams = {}): Promise<Node> {
  assertOptions("createSystem options", config, NODE_NAMES);
  const { nodeId = `node-${randomBytes(4).toString("hex")}`, seedNodes, roles = [], ready } = config;
  const { bindAddress = "0.0.0.0" } = config;
  assertNodeId("nodeId", nodeId);
  if (!Array.isArray(seedNodes)) throw new InvalidOptionError("seedNodes", seedNodes, "an array of addresses");
  if (ready !== undefined) assertWaitOptions("ready", ready);
  const { rpc, gossip: gossipPort } = portsOf(config);
  const advertise = advertisedIp(config);
  const { auth, authenticator } = keysOf(config);
  const curveKeyPair = authenticator?.curveKeyPair;
  const transport = new ZeroMQTransport({
    nodeId,
    rpcPort: rpc,
    bindAddress,
    ...(curveKeyPair ? { curveKeyPair } : {}),
  });
  const udp = new GossipUDP({ address: bindAddress, port: gossipPort });
  await transport.connect();
  let node: Node | undefined;
  try {
    const rpcAddress = `tcp://${withPort(advertise, portOf(transport.address as string))}`;
    const gossip = new GossipProtocol(
      nodeId,
      rpcAddress,
      withPort(advertise, gossipPort),
      seams.gossip?.(udp) ?? udp,
      gossipOptions(config),
      auth,
      roles,
    );
    const cluster = new DistributedCluster(gossip);
    const keyring = authenticator === undefined ? undefined : new ClusterKeyring(authenticator, gossip, transport);
    node = wire(config, { nodeId, transport, cluster, keyring }, seams.transport?.(transport) ?? transport);
    await Promise.all([node.registry.connect(), node.groups.connect()]); // Before anybody can join and tell.
    if (config.actors !== undefined) await node.system.registerActorModules(config.actors);
    await cluster.start();
    await node.system.start();
    if (ready !== undefined) await cluster.waitForMembers(ready);
    return node;
  } catch (error) {
    await (node === undefined ? transport.disconnect() : stopNode(node, { timeout: 0 }));
    throw error;
  }
}

/** @param carrier what messages go through: the transport, or what a test has put before it. */
function wire(
  config: DistributedConfig,
  parts: Omit<Node, "system" | "registry" | "groups">,
  carrier: Transport,
): Node {
  const { nodeId, transport, cluster } = parts;
  cluster.on("member_join", (peer: string) => {
    const address = cluster.getPeerState(peer)?.address;
    if (address !== undefined) transport.updatePeers([[peer, address]]);
  });
  const sync = new RegistrySync(nodeId, carrier, cluster);
  const registry = new DistributedRegistry(nodeId, sync);
  const { supervision, mailbox, timeouts, limits } = config;
  const groups = new ProcessGroupManager(nodeId, carrier, cluster);
  const system = new ActorSystem(cluster, carrier, registry, supervision, undefined, mailbox, timeouts, groups, limits);
  cluster.on("superseded", () => void system.shutdown({ drainMailboxes: false }));
  return { ...parts, system, registry, groups };
}

/** Ends a node: actors first, then the goodbye, then the connections. */
export async function stopNode(
  { system, cluster, transport, registry, groups }: Node,
  options?: ShutdownOptions,
): Promise<void> {
  const stopped = system.shutdown(options);
  if (system.isShuttingDown()) cluster._close(); // Unless the options were refused.
  await stopped;
  await Promise.all([registry.disconnect(), groups.disconnect()]);
  await transport.flush(FLUSH_MS); // Answers come before the goodbye.
  await cluster.leave();
  await cluster.stop();
  await transport.disconnect();
}

/** Without a check, a node that is set up wrong would be found out by all others. */
function advertisedIp({ advertiseAddress }: DistributedConfig): string {
  const [option, value] =
    advertiseAddress === undefined
      ? ["LIBEAM_ADVERTISE_ADDRESS", process.env.LIBEAM_ADVERTISE_ADDRESS || "127.0.0.1"]
      : ["advertiseAddress", advertiseAddress];
  const ip = ipOf(option, value);
  if (isUnspecified(ip)) throw new InvalidOptionError(option, value, "an IP address that leads to this node");
  return ip;
}

function portsOf({ port = DEFAULT_PORT, ports }: DistributedConfig): { rpc: number; gossip: number } {
  if (ports !== undefined) {
    assertOptions("ports", ports, { rpc: true, pub: true, gossip: true });
    const { rpc, gossip } = ports as { rpc: unknown; gossip: unknown };
    return { rpc: checkedPort("ports.rpc", rpc), gossip: checkedPort("ports.gossip", gossip) };
  }
  const rpc = checkedPort("port", port, PORT_MAX - GOSSIP_PORT_OFFSET);
  return { rpc, gossip: rpc === 0 ? 0 : rpc + GOSSIP_PORT_OFFSET };
}

function gossipOptions({ gossip, seedNodes }: DistributedConfig): GossipOptions {
  if (typeof gossip === "string") return { preset: gossip, seedNodes };
  if (gossip !== undefined) assertOptions("gossip", gossip, GOSSIP_NAMES);
  return { ...gossip, seedNodes };
}

/** What seals gossip and what encrypts the transport. */
function keysOf(config: DistributedConfig) {
  const cookie = resolveCookie(config);
  if (cookie === undefined) {
    if (config.auth !== undefined) {
      log.warn("Custom auth provided without cookie. Transport will run WITHOUT encryption.");
      return { auth: config.auth, authenticator: undefined };
    }
    log.warn("This node runs WITHOUT authentication; set `cookie` or LIBEAM_COOKIE");
    return { auth: undefined, authenticator: undefined };
  }
  const authenticator = new KeyringAuthenticator(cookie, config.salt === undefined ? {} : { salt: config.salt });
  return { auth: config.auth ?? authenticator, authenticator };
}
