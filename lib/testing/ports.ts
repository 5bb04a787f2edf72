/**
 * Free ports of this machine, for tests that must name ports before anybody listens there.
 *
 * A port that was free a moment ago may be taken when it is used; where 0 is accepted, 0 is better.
 */

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { InvalidArgumentError, LibeamError } from "../errors.js";

/** Ports of a node. */
export interface NodePorts {
  /** Of the transport. */
  rpc: number;
  /** Kept for compatibility: publications share the connections of everything else. */
  pub: number;
  /** Of gossip, for datagrams and streams. */
  gossip: number;
}

const HOST = "127.0.0.1";
const PORT_MAX = 65_535;
/** Times that another first port is tried because its neighbours are taken. */
const ATTEMPTS = 100;

/**
 * Finds three consecutive free ports for each of `count` nodes. They are free for TCP and UDP on the loopback address.
 *
 * @throws InvalidArgumentError; LibeamError (NO_FREE_PORTS) if there are not enough.
 */
export async function allocatePorts(count: number): Promise<NodePorts[]> {
  if (!Number.isInteger(count) || count < 0) throw new InvalidArgumentError("count", "a whole number", count);
  const held: (Server | Socket)[] = [];
  try {
    const found: NodePorts[] = [];
    while (found.length < count) found.push(await allocate(held));
    return found;
  } finally {
    await Promise.all(held.map(close));
  }
}

async function allocate(held: (Server | Socket)[]): Promise<NodePorts> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const rpc = await listen(0, held);
    if (rpc === undefined || rpc + 2 > PORT_MAX) continue;
    const pub = await listen(rpc + 1, held);
    if (pub === undefined) continue;
    const gossip = await listen(rpc + 2, held);
    if (gossip !== undefined) return { rpc, pub, gossip };
  }
  throw new LibeamError(`No three consecutive free ports were found in ${ATTEMPTS} attempts`, "NO_FREE_PORTS");
}

/** Holds a port until all are found; undefined if it is taken. */
async function listen(port: number, held: (Server | Socket)[]): Promise<number | undefined> {
  const server = createServer();
  const socket = createSocket("udp4");
  held.push(server, socket);
  try {
    await once(server.listen(port, HOST), "listening");
    const { port: real } = server.address() as { port: number };
    socket.bind(real, HOST);
    await once(socket, "listening");
    return real;
  } catch {
    return undefined;
  }
}

async function close(listener: Server | Socket): Promise<void> {
  try {
    await new Promise<void>((resolve) => listener.close(() => resolve()));
  } catch {
    // It never came to listen.
  }
}
