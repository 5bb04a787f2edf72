/**
 * A proxy in front of a node, at the node's ports and another address of this machine. It passes everything on and keeps
 * the bytes that were sent to the node: datagrams, and whole connections. Others must be told this address as the node's.
 */

import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Where the node is, and where the proxy is to be. */
export interface RecorderOptions {
  node: string;
  proxy: string;
  gossipPort: number;
  linkPort: number;
}

/** See the header. */
export class Recorder {
  /** Datagrams to the node. */
  readonly datagrams: Buffer[] = [];
  /** What was sent to the node over each connection to its gossip. */
  readonly streams: Buffer[][] = [];
  /** The same for its transport. */
  readonly sessions: Buffer[][] = [];
  private readonly udp: UdpSocket[] = [];
  private readonly servers: Server[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly options: RecorderOptions) {}

  /** Begins to listen. */
  static async start(options: RecorderOptions): Promise<Recorder> {
    const recorder = new Recorder(options);
    await recorder.relayDatagrams();
    await recorder.relayConnections(options.gossipPort, recorder.streams);
    await recorder.relayConnections(options.linkPort, recorder.sessions);
    return recorder;
  }

  /** Closes everything. */
  close(): void {
    for (const socket of this.udp.splice(0)) socket.close();
    for (const server of this.servers.splice(0)) server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private async relayDatagrams(): Promise<void> {
    const { proxy, node, gossipPort } = this.options;
    const front = await this.bind(proxy, gossipPort);
    /** A socket towards the node for each source, so that answers find their way back. */
    const backs = new Map<string, Promise<UdpSocket>>();
    front.on("message", async (bytes, { address, port }) => {
      this.datagrams.push(bytes);
      const source = `${address}:${port}`;
      if (!backs.has(source)) {
        const back = this.bind(proxy, 0);
        backs.set(source, back);
        (await back).on("message", (answer) => front.send(answer, port, address));
      }
      (await backs.get(source))?.send(bytes, gossipPort, node);
    });
  }

  private async bind(address: string, port: number): Promise<UdpSocket> {
    const socket = createSocket("udp4");
    this.udp.push(socket);
    socket.on("error", () => {}); // The node is not there at the moment.
    socket.bind(port, address);
    await once(socket, "listening");
    return socket;
  }

  private async relayConnections(port: number, recordings: Buffer[][]): Promise<void> {
    const { proxy, node } = this.options;
    const server = createServer((from) => {
      const recording: Buffer[] = [];
      recordings.push(recording);
      const to = connect({ host: node, port, localAddress: proxy });
      this.join(from, to);
      this.join(to, from);
      from.on("data", (bytes) => recording.push(bytes));
    });
    this.servers.push(server);
    server.listen(port, proxy);
    await once(server, "listening");
  }

  private join(from: Socket, to: Socket): void {
    this.sockets.add(from);
    from.pipe(to);
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.sockets.delete(from);
      to.destroy();
    });
  }
}

/** A port at an address of this machine where nobody listens now. */
export async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
