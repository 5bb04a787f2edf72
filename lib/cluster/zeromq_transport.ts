/**
 * ZeroMQTransport: messages between nodes over ZeroMQ with CURVE. A handle of the native link (docs/design/transport.md),
 * which has its own thread, sockets and queues.
 *
 * Every message is one frame: `[kind, number, payload]`, encoded once here and decoded once at the other end. The link
 * delivers what one node sends to another in order and at most once; a frame that does not fit into the bounded queue of
 * its peer is refused here, at once, and nothing of it is sent.
 *
 * Requests wait by number. They reject with TransportError if the peer is unknown, its queue is full, the answer does not
 * come in time, or the connection is lost meanwhile; an error of the peer's handler comes as it was thrown. Publications go
 * to all peers over the same connections, since ZeroMQ's own may lose some.
 */

import { isIP } from "node:net";
import { InvalidOptionError, PeerNotFoundError, TransportError } from "../errors.js";
import type { MessageHandler, RequestHandler, Subscription, Transport } from "../kernel/collaborators.js";
import { createLogger, type Logger } from "../kernel/logger.js";
import { type NativeLink, startLink } from "../kernel/native.js";
import { assertName, assertPlainOptions, assertTimeoutMs } from "../kernel/validate.js";
import { Codec, type MakeRef } from "./codec.js";
import type { CurveKeyPair } from "./key_material.js";

/** How a node's transport listens. */
export interface ZeroMQTransportOptions {
  nodeId: string;
  /** Port to listen at; 0 is any free one. */
  rpcPort: number;
  /** Accepted for compatibility: publications share the connections of everything else. */
  pubPort?: number;
  /** Default "0.0.0.0". */
  bindAddress?: string;
  /** Keys of the cluster; without them nothing is encrypted and everybody may connect. */
  curveKeyPair?: CurveKeyPair;
  /** Nodes of another cluster are refused; default "libeam". */
  cluster?: string;
}

const REQUEST = 0;
const ANSWER = 1;
const REFUSAL = 2;
const MESSAGE = 3;
const PUBLICATION = 4;

/** What `send` of the link says. */
const QUEUED = 0;
const FULL = 1;
const NO_PEER = 2;

const PORT_MAX = 65_535;
/** Frames that wait for the address of one node at most. */
const EARLY_FRAMES_MAX = 1_024;
/** Nodes whose address is waited for at most. */
const EARLY_NODES_MAX = 1_024;

interface Waiting {
  node: string;
  resolve: (value: any) => void;
  reject: (error: unknown) => void;
}

/** See the module's header. */
export class ZeroMQTransport implements Transport {
  private readonly log: Logger;
  private readonly codec = new Codec();
  private readonly peers = new Map<string, string>();
  private readonly waiting = new Map<number, Waiting>();
  /** Frames for nodes that have spoken and whose address is not known yet. */
  private readonly early = new Map<string, Uint8Array[]>();
  private readonly subscribers = new Map<string, Set<MessageHandler>>();
  private link: NativeLink | undefined;
  private keys: CurveKeyPair | undefined;
  private accepted: string[] = [];
  private requests = 0;
  private requestHandler: RequestHandler | undefined;
  private messageHandler: MessageHandler | undefined;

  /** @throws InvalidOptionError, InvalidArgumentError */
  constructor(private readonly options: ZeroMQTransportOptions) {
    assertPlainOptions("ZeroMQTransport options", options);
    const { nodeId, rpcPort, bindAddress = "0.0.0.0" } = options as ZeroMQTransportOptions;
    assertName("node id", nodeId);
    if (!Number.isInteger(rpcPort) || rpcPort < 0 || rpcPort > PORT_MAX) {
      throw new InvalidOptionError("rpcPort", rpcPort, `a whole number from 0 to ${PORT_MAX}`);
    }
    if (isIP(bindAddress) === 0) throw new InvalidOptionError("bindAddress", bindAddress, "an IP address");
    this.keys = (options as ZeroMQTransportOptions).curveKeyPair;
    this.log = createLogger("ZeroMQTransport", nodeId);
  }

  /** Id of this node. */
  getNodeId(): string {
    return this.options.nodeId;
  }

  /** `ip:port` at which this node listens; undefined before `connect`. */
  get address(): string | undefined {
    return this.link?.address;
  }

  /** @internal Refs in messages become refs of this system. */
  _makeRefs(makeRef: MakeRef): void {
    this.codec.makeRef = makeRef;
  }

  /** Binds the socket. @throws TransportError if the address cannot be bound */
  async connect(): Promise<void> {
    if (this.link !== undefined) return;
    const { nodeId, rpcPort, bindAddress = "0.0.0.0", cluster = "libeam" } = this.options;
    const host = isIP(bindAddress) === 6 ? `[${bindAddress}]` : bindAddress;
    const keys = this.keys === undefined ? undefined : { ...this.keys, accepted: this.accepted };
    try {
      const link = {
        nodeId,
        epoch: Date.now(),
        cluster,
        bind: `${host}:${rpcPort}`,
        ...(keys === undefined ? {} : { keys }),
      };
      this.link = startLink(link, () => this.readNews());
    } catch (error) {
      throw new TransportError(`Node ${nodeId} cannot listen: ${(error as Error).message}`, nodeId, error);
    }
    for (const [peer, address] of this.peers) this.link.connect(peer, address);
  }

  /**
   * Changes the keys: connections stay, new ones are made with this pair.
   *
   * @param accepted public keys that are let in, beside this one.
   */
  rotateCurveKeys(keys: CurveKeyPair, accepted: string[] = []): void {
    this.keys = keys;
    this.accepted = accepted.filter((key) => key !== keys.publicKey);
    this.link?.setKeys({ ...keys, accepted: this.accepted });
  }

  /** Closes everything; what waits for an answer is refused. */
  async disconnect(): Promise<void> {
    this.link?.stop();
    this.link = undefined;
    this.early.clear();
    for (const { reject, node } of this.waiting.values()) reject(new TransportError("Transport disconnected", node));
    this.waiting.clear();
  }

  /** Tells where other nodes are (`tcp://host:port`); those that are known already stay. */
  updatePeers(peers: Array<[nodeId: string, address: string]>): void {
    for (const [node, address] of peers) {
      const target = address.replace(/^tcp:\/\//, "");
      if (node === this.options.nodeId || this.peers.get(node) === target) continue;
      if (this.peers.has(node)) this.link?.disconnect(node);
      this.peers.set(node, target);
      this.link?.connect(node, target);
      for (const frame of this.early.get(node) ?? []) this.link?.send(node, frame);
      this.early.delete(node);
    }
  }

  /** Forgets a node that is gone; what waits for its answer is refused. */
  removePeer(node: string): void {
    this.early.delete(node);
    if (!this.peers.delete(node)) return;
    this.link?.disconnect(node);
    this.lost(node);
  }

  /** Sets the handler of requests, in place of the one before. */
  onRequest(handler: RequestHandler): void {
    this.requestHandler = handler;
  }

  /** Sets the handler of messages, in place of the one before. */
  onMessage(handler: MessageHandler): void {
    this.messageHandler = handler;
  }

  /** Asks a node. @throws TransportError, PeerNotFoundError, or what its handler threw */
  request(nodeId: string, message: any, timeout: number): Promise<any> {
    return new Promise((resolve, reject) => {
      assertTimeoutMs("timeout", timeout);
      const number = ++this.requests;
      this.push(nodeId, REQUEST, number, message);
      const late = () => {
        this.waiting.delete(number);
        reject(new TransportError(`Node ${nodeId} did not answer within ${timeout}ms`, nodeId));
      };
      const timer = Number.isFinite(timeout) ? setTimeout(late, timeout) : undefined;
      const settle = (finish: (value: any) => void) => (value: any) => {
        clearTimeout(timer);
        finish(value);
      };
      this.waiting.set(number, { node: nodeId, resolve: settle(resolve), reject: settle(reject) });
    });
  }

  /** Sends to a node; resolves when the message is queued. @throws TransportError, PeerNotFoundError */
  async send(nodeId: string, message: any): Promise<void> {
    this.push(nodeId, MESSAGE, 0, message);
  }

  /** Sends to all subscribers of a topic on other nodes, but for those in `except`. */
  async publish(topic: string, message: any, except?: ReadonlySet<string>): Promise<void> {
    if (this.peers.size === 0) return;
    const frame = this.codec.encode([PUBLICATION, 0, [topic, message]]);
    for (const node of this.peers.keys()) if (!except?.has(node)) this.link?.send(node, frame);
  }

  /** Receives what other nodes publish to a topic. */
  async subscribe(topic: string, handler: MessageHandler): Promise<Subscription> {
    const handlers = this.subscribers.get(topic) ?? new Set();
    const own: MessageHandler = (message) => handler(message);
    this.subscribers.set(topic, handlers.add(own));
    return {
      unsubscribe: async () => {
        handlers.delete(own);
      },
    };
  }

  private push(node: string, kind: number, number: number, payload: unknown): void {
    if (this.link === undefined) throw new TransportError("Transport disconnected", node);
    const frame = this.codec.encode([kind, number, payload]);
    if (this.peers.has(node)) this.sendFrame(node, frame);
    else this.keepEarly(node, frame);
  }

  /** A node speaks before membership has told where it is: what is said to it waits until then. */
  private keepEarly(node: string, frame: Uint8Array): void {
    const early = this.early.get(node);
    if (early === undefined) throw new PeerNotFoundError(node);
    if (early.length >= EARLY_FRAMES_MAX) {
      throw new TransportError(`A message to node ${node} was not sent: its address is not known yet`, node);
    }
    early.push(frame);
  }

  private sendFrame(node: string, frame: Uint8Array): void {
    const outcome = this.link?.send(node, frame) ?? NO_PEER;
    if (outcome === QUEUED) return;
    if (outcome === NO_PEER) throw new PeerNotFoundError(node);
    const why =
      outcome === FULL ? "too much waits for it already" : "the message is longer than a frame may be (16 MiB)";
    throw new TransportError(`A message to node ${node} was not sent: ${why}`, node);
  }

  private readNews(): void {
    if (this.link === undefined) return;
    const { messages, events } = this.link.takeNews();
    for (const { from, data } of messages) this.received(from, data);
    for (const { kind, node, reason } of events) {
      if (kind === "down") this.lost(node);
      if (kind === "refused") this.log.warn(`A connection was refused: ${reason ?? "unknown"}`, { peer: node });
    }
  }

  private lost(node: string): void {
    for (const [number, { node: of, reject }] of [...this.waiting]) {
      if (of !== node) continue;
      this.waiting.delete(number);
      reject(new TransportError(`The connection to node ${node} was lost before it answered`, node));
    }
  }

  private received(from: string, data: Uint8Array): void {
    if (!this.peers.has(from) && !this.early.has(from) && this.early.size < EARLY_NODES_MAX) this.early.set(from, []);
    try {
      const [kind, number, payload] = this.codec.decode(data);
      switch (kind) {
        case REQUEST:
          void this.answer(from, number, payload);
          return;
        case ANSWER:
        case REFUSAL:
          this.answered(kind, number, payload);
          return;
        case MESSAGE:
          this.messageHandler?.(payload);
          return;
        case PUBLICATION:
          for (const handler of this.subscribers.get(payload[0]) ?? []) handler(payload[1]);
      }
    } catch (error) {
      this.log.error("A message of another node could not be handled", error, { peer: from });
    }
  }

  private answered(kind: number, number: number, payload: unknown): void {
    const waiting = this.waiting.get(number);
    if (waiting === undefined) return; // It gave up meanwhile.
    this.waiting.delete(number);
    if (kind === ANSWER) waiting.resolve(payload);
    else waiting.reject(payload);
  }

  private async answer(node: string, number: number, message: any): Promise<void> {
    let [kind, payload]: [number, unknown] = [ANSWER, undefined];
    try {
      if (this.requestHandler === undefined) throw new TransportError(`Node ${this.options.nodeId} serves no requests`);
      payload = await this.requestHandler(message);
    } catch (error) {
      [kind, payload] = [REFUSAL, error];
    }
    try {
      this.push(node, kind, number, payload);
    } catch (error) {
      // The answer itself cannot be sent; that it cannot is worth telling.
      this.tryToRefuse(node, number, error);
    }
  }

  private tryToRefuse(node: string, number: number, error: unknown): void {
    try {
      this.push(node, REFUSAL, number, error);
    } catch {
      this.log.warn("An answer could not be sent", { peer: node });
    }
  }
}
