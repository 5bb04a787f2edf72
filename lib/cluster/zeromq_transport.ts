/**
 * ZeroMQTransport: messages between nodes over ZeroMQ with CURVE. A handle of the native link (docs/design/transport.md),
 * which has its own thread, sockets and queues.
 *
 * A message has a kind, a number and a payload, encoded once here and decoded once at the other end; messages of one turn
 * share a frame (outbox.ts). The link delivers what one node sends to another in order and at most once; a message that
 * does not fit into the bounded queue of its peer is refused here, at once, and nothing of it is sent; but answers wait for
 * room (late_answers.ts).
 *
 * Requests wait by number. They reject with PeerNotFoundError if the peer is unknown, TransportError if its queue is full or
 * the connection is lost meanwhile, TimeoutError if the answer does not come in time; an error of the peer's handler comes as
 * it was thrown. Publications go to all peers over the same connections, since ZeroMQ's own may lose some.
 */

import { InvalidArgumentError, PeerNotFoundError, TimeoutError, TransportError } from "../errors.js";
import type {
  AnswerInstead,
  MessageHandler,
  RequestHandler,
  Subscription,
  Transport,
  Waiter,
} from "../kernel/collaborators.js";
import { createLogger, type Logger } from "../kernel/logger.js";
import { type NativeLink, type NativeLinkEvent, startLink } from "../kernel/native.js";
import type { OptionNames } from "../kernel/options.js";
import { isThenable } from "../kernel/outcome.js";
import { type EventName, TelemetryEvents, telemetry } from "../kernel/telemetry.js";
import { assertFunction, assertNodeId, assertOptions, assertTimeoutMs } from "../kernel/validate.js";
import type { ComponentHealth, HealthCheckable } from "../stdlib/health.js";
import { type Deadline, Deadlines, type Expiring } from "../stdlib/remote/deadlines.js";
import { noRoom } from "../stdlib/remote/peers.js";
import { Tickets } from "../stdlib/remote/tickets.js";
import { until } from "../stdlib/waiting.js";
import { checkedPort, ipOf, withPort } from "./addresses.js";
import { Codec, type MakeRef } from "./codec.js";
import { Inbox } from "./inbox.js";
import type { CurveKeyPair } from "./key_material.js";
import { type LateAnswer, LateAnswers } from "./late_answers.js";
import { FULL, NO_PEER, Outboxes } from "./outbox.js";

/** How a node's transport listens. */
export interface ZeroMQTransportOptions {
  nodeId: string;
  /** Port to listen at; 0 is any free one. */
  rpcPort: number;
  /** Accepted for compatibility: publications share the connections of everything else. */
  pubPort?: number | undefined;
  /** Default "0.0.0.0". */
  bindAddress?: string | undefined;
  /** Keys of the cluster; without them nothing is encrypted and everybody may connect. */
  curveKeyPair?: CurveKeyPair | undefined;
  /** Nodes of another cluster are refused; default "libeam". */
  cluster?: string | undefined;
}

const NAMES: OptionNames<ZeroMQTransportOptions> = {
  nodeId: true,
  rpcPort: true,
  pubPort: true,
  bindAddress: true,
  curveKeyPair: true,
  cluster: true,
};

const REQUEST = 0;
const ANSWER = 1;
const REFUSAL = 2;
const MESSAGE = 3;
const PUBLICATION = 4;
/** Asks for an answer and nothing else. */
const RECEIPT = 5;

/** The cluster of a transport that names none. */
const CLUSTER = "libeam";
/** How long the end of a link may take, in milliseconds; a farewell takes a second at most. */
const CLOSE_MS = 5_000;
/** Messages that wait for the address of one node at most. */
const EARLY_MESSAGES_MAX = 1_024;
/** Nodes whose address is waited for at most. */
const EARLY_NODES_MAX = 1_024;

/** A request that looks at the time by itself. */
class Request implements Waiter, Expiring {
  readonly promise: Promise<any>;
  /** For `forget`. */
  number = 0;
  deadline: Deadline | undefined;
  private resolve!: (answer: any) => void;
  private reject!: (error: unknown) => void;

  constructor(
    private readonly transport: ZeroMQTransport,
    readonly node: string,
    private readonly deadlines: Deadlines,
    private readonly timeoutMs: number,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  answered(answer: any): void {
    this.deadlines.remove(this.deadline);
    this.resolve(answer);
  }

  refused(error: unknown): void {
    this.deadlines.remove(this.deadline);
    this.reject(error);
  }

  expired(): void {
    this.transport.forget(this.number);
    this.reject(new TimeoutError(`request to ${this.node}`, this.timeoutMs));
  }
}

/** A message for a node that has spoken and whose address is not known yet. */
interface Early {
  kind: number;
  number: number;
  payload: Buffer;
}

const SENT = Promise.resolve();

/** See the module's header. */
export class ZeroMQTransport implements Transport, HealthCheckable {
  private readonly log: Logger;
  /** Where to listen, `ip:port`. */
  private readonly bind: string;
  private readonly codec = new Codec();
  private readonly peers = new Map<string, string>();
  /** Nodes that can be sent to now. */
  private readonly connected = new Set<string>();
  private readonly waiting = new Tickets<Waiter>();
  private readonly deadlines = new Deadlines();
  private readonly early = new Map<string, Early[]>();
  private readonly late = new LateAnswers((node, { kind, number, payload }) => {
    return this.outboxes?.add(node, kind, number, payload) !== FULL;
  });
  private readonly subscribers = new Map<string, Set<MessageHandler>>();
  private link: NativeLink | undefined;
  /** Names the life of the last link, which began then by this node's clock; each is later than the one before. */
  private epoch = 0;
  /** The end of the last link. */
  private closing: Promise<void> = Promise.resolve();
  private outboxes: Outboxes | undefined;
  private readonly inbox = new Inbox(
    (from, kind, number, bytes, start, end) => this.received(from, kind, number, bytes, start, end),
    ({ kind, node, reason = "unknown" }) => this.connection(kind, node, reason),
  );
  private keys: CurveKeyPair | undefined;
  private accepted: string[] = [];
  private requestHandler: RequestHandler | undefined;
  private answerInstead: AnswerInstead | undefined;
  private messageHandler: MessageHandler | undefined;

  /** @throws InvalidOptionError, InvalidArgumentError */
  constructor(private readonly options: ZeroMQTransportOptions) {
    assertOptions("ZeroMQTransport options", options, NAMES);
    const { nodeId, rpcPort, bindAddress = "0.0.0.0", cluster = CLUSTER } = options as ZeroMQTransportOptions;
    assertNodeId("node id", nodeId);
    assertNodeId("cluster", cluster); // There is as much room for it.
    const port = checkedPort("rpcPort", rpcPort);
    this.bind = withPort(ipOf("bindAddress", bindAddress), port);
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

  /**
   * Unhealthy if it does not listen, degraded while a known node cannot be sent to. Details: `address`, `encrypted`,
   * `connected` and `disconnected` (ids).
   */
  getHealth(): ComponentHealth {
    const connected = [...this.connected];
    const disconnected = [...this.peers.keys()].filter((node) => !this.connected.has(node));
    const details = { address: this.address, encrypted: this.keys !== undefined, connected, disconnected };
    const health = (status: ComponentHealth["status"], message: string) => ({
      name: "Transport",
      status,
      message,
      details,
    });
    if (this.link === undefined) return health("unhealthy", "Transport is not listening");
    if (disconnected.length > 0) return health("degraded", `No connection to ${disconnected.length} peer(s)`);
    return health("healthy", `Connected to ${connected.length} peer(s)`);
  }

  /** Says how refs in messages are made of ids; an ActorSystem does. */
  makeRefs(makeRef: MakeRef): void {
    this.codec.makeRef = makeRef;
  }

  /** Binds the socket. @throws TransportError if the address cannot be bound */
  async connect(): Promise<void> {
    await this.closing;
    if (this.link !== undefined) return;
    const { nodeId, cluster = CLUSTER } = this.options;
    const keys = this.keys === undefined ? undefined : { ...this.keys, accepted: this.accepted };
    this.epoch = Math.max(Date.now(), this.epoch + 1);
    try {
      const link = {
        nodeId,
        epoch: this.epoch,
        cluster,
        bind: this.bind,
        ...(keys === undefined ? {} : { keys }),
      };
      this.link = startLink(link, () => this.inbox.read());
    } catch (error) {
      throw new TransportError(`Node ${nodeId} cannot listen: ${(error as Error).message}`, nodeId, error);
    }
    this.outboxes = new Outboxes(this.link);
    this.inbox.open(this.link);
    for (const [peer, address] of this.peers) this.reach(peer, address);
  }

  /**
   * Changes the keys: connections stay, new ones are made with this pair.
   *
   * @param accepted public keys that are let in, beside this one.
   * @throws InvalidArgumentError INVALID_ARGUMENT for what are no keys; nothing is changed then.
   */
  rotateCurveKeys(keys: CurveKeyPair, accepted: string[] = []): void {
    const isKey = (key: unknown): boolean => typeof key === "string";
    if (!isKey(keys?.publicKey) || !isKey(keys.secretKey))
      throw new InvalidArgumentError("keys", "a CurveKeyPair", keys);
    if (!Array.isArray(accepted) || !accepted.every(isKey)) {
      throw new InvalidArgumentError("accepted keys", "an array of public keys", accepted);
    }
    this.keys = keys;
    this.accepted = accepted.filter((key) => key !== keys.publicKey);
    this.link?.setKeys({ ...keys, accepted: this.accepted });
  }

  /**
   * Closes everything; what waits for an answer is refused. Resolves when the port is free: what waits for other nodes is
   * sent for up to a second before.
   */
  async disconnect(): Promise<void> {
    this.outboxes?.flush();
    this.inbox.close();
    if (this.link !== undefined) this.closing = this.close(this.link);
    this.link = undefined;
    this.outboxes = undefined;
    this.early.clear();
    this.late.clear();
    for (const [number, waiting] of this.waiting.entries()) {
      this.waiting.take(number);
      waiting.refused(new TransportError("Transport disconnected", waiting.node));
    }
    await this.closing;
  }

  /** The event loop turns meanwhile. */
  private async close(link: NativeLink): Promise<void> {
    link.end();
    await until(() => link.hasEnded(), performance.now() + CLOSE_MS);
    link.stop();
  }

  /**
   * Tells where other nodes are (`tcp://ip:port`); those that are known already stay. A node whose address is none cannot be
   * reached.
   *
   * @throws InvalidArgumentError for what is no list of pairs of text; nothing is taken from it.
   */
  updatePeers(peers: Array<[nodeId: string, address: string]>): void {
    assertPeers(peers);
    for (const [node, address] of peers) {
      const target = address.replace(/^tcp:\/\//, "");
      if (node === this.options.nodeId || this.peers.get(node) === target) continue;
      if (this.peers.has(node)) this.hangUp(node);
      this.peers.set(node, target);
      this.reach(node, target);
      for (const { kind, number, payload } of this.early.get(node) ?? []) {
        this.add(node, kind, number, payload);
      }
      this.early.delete(node);
    }
  }

  /** Connects to a node. What it says of its address is a stranger's word and costs nobody else a connection. */
  private reach(node: string, address: string): void {
    try {
      this.link?.connect(node, address);
    } catch {
      this.log.warn("A node cannot be reached: its address is none", { peer: node, address });
      this.refuse(node, () => new PeerNotFoundError(node));
    }
  }

  /** Forgets a node that is gone, when what it has said is taken; what waits for its answer is refused. */
  removePeer(node: string): void {
    this.receive(); // Whoever says that it is gone may be faster than its last words.
    this.early.delete(node);
    if (!this.peers.delete(node)) return;
    this.outboxes?.forget(node);
    this.hangUp(node);
    this.unconnected(node);
    this.lost(node);
  }

  /** Ends a connection, and hears of that now: what is said to the node from now on goes another way. */
  private hangUp(node: string): void {
    this.link?.disconnect(node);
    this.receive();
  }

  /**
   * Sets the handler of requests, in place of the one before. `instead` is asked for answers that cannot be sent.
   *
   * @throws InvalidArgumentError
   */
  onRequest(handler: RequestHandler, instead?: AnswerInstead): void {
    assertFunction("handler of requests", handler);
    this.requestHandler = handler;
    this.answerInstead = instead;
  }

  /** Sets the handler of messages, in place of the one before. @throws InvalidArgumentError */
  onMessage(handler: MessageHandler): void {
    assertFunction("handler of messages", handler);
    this.messageHandler = handler;
  }

  /** Asks a node. @throws TransportError, PeerNotFoundError, TimeoutError, or what its handler threw */
  request(nodeId: string, message: any, timeout: number): Promise<any> {
    return this.askWithin(timeout, nodeId, REQUEST, message);
  }

  /**
   * Resolves when all nodes that are connected have taken what was sent to them, late answers included. A node that has not
   * after `timeout` ms, or whose queue is full of messages, is not waited for.
   */
  async flush(timeout: number): Promise<void> {
    const end = performance.now() + timeout;
    await Promise.allSettled([...this.connected].map((node) => this.flushTo(node, end)));
  }

  private async flushTo(node: string, end: number): Promise<void> {
    await until(() => this.late.isEmptyFor(node), end);
    await this.askWithin(Math.max(0, Math.ceil(end - performance.now())), node, RECEIPT, undefined);
  }

  /** Takes what has arrived from other nodes and waits for this one's next look. */
  receive(): void {
    this.inbox.readAll();
  }

  /** Asks the node of a waiter, who looks at the time itself. @throws TransportError, PeerNotFoundError */
  ask(waiter: Waiter, message: any): number {
    return this.askFor(waiter, REQUEST, message);
  }

  /** Whoever made a request does not wait any more. */
  forget(number: number): void {
    this.waiting.take(number);
  }

  private askFor(waiter: Waiter, kind: number, message: any): number {
    const { node } = waiter;
    const number = this.waiting.add(waiter);
    if (number === undefined) throw new TransportError("Too many requests wait for answers", node);
    try {
      this.push(node, kind, number, message);
    } catch (error) {
      this.waiting.take(number);
      throw error;
    }
    return number;
  }

  private askWithin(timeoutMs: number, node: string, kind: number, message: any): Promise<any> {
    try {
      assertTimeoutMs("timeout", timeoutMs);
      const request = new Request(this, node, this.deadlines, timeoutMs);
      request.number = this.askFor(request, kind, message);
      request.deadline = this.deadlines.add(timeoutMs, request);
      return request.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Sends to a node; resolves when the message is queued. @throws TransportError, PeerNotFoundError */
  send(nodeId: string, message: any): Promise<void> {
    try {
      this.push(nodeId, MESSAGE, 0, message);
      return SENT;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Sends to a node. @throws TransportError, PeerNotFoundError if the message was not queued */
  post(nodeId: string, message: any): void {
    this.push(nodeId, MESSAGE, 0, message);
  }

  /** Sends to all subscribers of a topic on other nodes, but for those in `except`. @throws TransportError if it is closed */
  async publish(topic: string, message: any, except?: ReadonlySet<string>): Promise<void> {
    if (this.outboxes === undefined) throw new TransportError("Transport disconnected", this.options.nodeId);
    if (this.peers.size === 0) return;
    const payload = this.codec.encode([topic, message]);
    for (const node of this.peers.keys()) if (!except?.has(node)) this.add(node, PUBLICATION, 0, payload);
  }

  /** Sends to the subscribers of a topic on one node. @throws TransportError, PeerNotFoundError */
  async publishTo(nodeId: string, topic: string, message: any): Promise<void> {
    this.push(nodeId, PUBLICATION, 0, [topic, message]);
  }

  /** Receives what other nodes publish to a topic. @throws InvalidArgumentError (as a rejection) */
  async subscribe(topic: string, handler: MessageHandler): Promise<Subscription> {
    assertFunction("handler of publications", handler);
    const handlers = this.subscribers.get(topic) ?? new Set();
    const own: MessageHandler = (message) => handler(message);
    this.subscribers.set(topic, handlers.add(own));
    return {
      unsubscribe: async () => {
        handlers.delete(own);
      },
    };
  }

  private push(node: string, kind: number, number: number, value: unknown): void {
    const outcome = this.tryToPush(node, kind, number, value);
    if (outcome < 0) this.refuseToPush(node, outcome);
  }

  /** Negative if the message was refused. @throws what stands in the way of its being a message */
  private tryToPush(node: string, kind: number, number: number, value: unknown): number {
    if (this.outboxes === undefined) throw new TransportError("Transport disconnected", node);
    if (!this.peers.has(node)) {
      this.keepEarly(node, { kind, number, payload: this.codec.encode(value) });
      return 0;
    }
    const { codec } = this;
    const bytes = codec.encodeShared(value);
    return this.outboxes.add(node, kind, number, bytes, codec.start, codec.end);
  }

  private refuseToPush(node: string, outcome: number): never {
    const { codec } = this; // It still has the message.
    this.dropped(node, codec.end - codec.start, outcome);
    throw notSent(node, outcome);
  }

  /** A node speaks that nobody has told of. The last words of one that is gone are no news of it. */
  private meetEarly(node: string): void {
    if (this.early.size < EARLY_NODES_MAX && this.link?.hears(node)) this.early.set(node, []);
  }

  /** A node speaks before membership has told where it is: what is said to it waits until then. */
  private keepEarly(node: string, message: Early): void {
    const early = this.early.get(node);
    if (early === undefined) throw new PeerNotFoundError(node);
    if (early.length >= EARLY_MESSAGES_MAX) {
      this.dropped(node, message.payload.length, FULL);
      const why = `A message to node ${node} was not sent: its address is not known yet`;
      throw new TransportError(why, node, undefined, "queue_full");
    }
    early.push(message);
  }

  /** Sends a message that nobody waits for. */
  private add(node: string, kind: number, number: number, payload: Buffer): void {
    const outcome = this.outboxes?.add(node, kind, number, payload) ?? NO_PEER;
    if (outcome < 0) this.dropped(node, payload.length, outcome);
  }

  private dropped(node: string, bytes: number, outcome: number): void {
    const reason = outcome === FULL ? "queue_full" : outcome === NO_PEER ? "no_peer" : "too_big";
    this.observe(TelemetryEvents.transport.drop, node, { reason }, { bytes });
  }

  private observe(event: EventName, peer_id: string, facts: object = {}, numbers: Record<string, number> = {}): void {
    if (!telemetry.active) return;
    telemetry.execute(event, numbers, { node_id: this.options.nodeId, peer_id, ...facts });
  }

  private connection(kind: NativeLinkEvent["kind"], node: string, reason: string): void {
    if (kind === "up") {
      this.connected.add(node);
      this.observe(TelemetryEvents.transport.connect, node);
    } else if (kind === "down") {
      this.unconnected(node);
      this.lost(node);
    } else {
      this.log.warn(`A connection was refused: ${reason}`, { peer: node });
      this.observe(TelemetryEvents.transport.refuse, node, { reason });
    }
  }

  private unconnected(node: string): void {
    if (this.connected.delete(node)) this.observe(TelemetryEvents.transport.disconnect, node);
  }

  private lost(node: string): void {
    this.late.forget(node);
    this.refuse(node, () => new TransportError(`The connection to node ${node} was lost before it answered`, node));
  }

  private refuse(node: string, why: () => Error): void {
    for (const [number, waiting] of this.waiting.entries()) {
      if (waiting.node !== node) continue;
      this.waiting.take(number);
      waiting.refused(why());
    }
  }

  private received(from: string, kind: number, number: number, bytes: Buffer, start: number, end: number): void {
    if (!this.peers.has(from) && !this.early.has(from)) this.meetEarly(from);
    try {
      this.take(from, kind, number, this.codec.decode(bytes, start, end));
    } catch (error) {
      this.notHandled(from, error);
    }
  }

  private notHandled(from: string, error: unknown): void {
    this.log.error("A message of another node could not be handled", error, { peer: from });
  }

  private take(from: string, kind: number, number: number, payload: any): void {
    switch (kind) {
      case REQUEST:
        this.serve(from, number, payload);
        return;
      case RECEIPT:
        this.answer(from, ANSWER, number, undefined);
        return;
      case ANSWER:
      case REFUSAL:
        this.answered(kind, number, payload);
        return;
      case MESSAGE:
        this.messageHandler?.(payload);
        return;
      case PUBLICATION:
        for (const handler of this.subscribers.get(payload[0]) ?? []) this.bring(from, handler, payload[1]);
    }
  }

  /** One subscriber that fails costs the others nothing. */
  private bring(from: string, handler: MessageHandler, message: any): void {
    const failed = (error: unknown): void => this.notHandled(from, error);
    try {
      const result: unknown = handler(message);
      if (isThenable(result)) result.then(undefined, failed);
    } catch (error) {
      failed(error);
    }
  }

  private answered(kind: number, number: number, payload: unknown): void {
    const waiting = this.waiting.take(number);
    if (waiting === undefined) return; // It gave up meanwhile.
    if (kind === ANSWER) waiting.answered(payload);
    else waiting.refused(payload);
  }

  private serve(node: string, number: number, message: any): void {
    let answer: any;
    try {
      if (this.requestHandler === undefined) throw new TransportError(`Node ${this.options.nodeId} serves no requests`);
      answer = this.requestHandler(message);
    } catch (error) {
      this.answer(node, REFUSAL, number, error);
      return;
    }
    if (!isThenable(answer)) this.answer(node, ANSWER, number, answer);
    else {
      answer.then(
        (value) => this.answer(node, ANSWER, number, value),
        (error) => this.answer(node, REFUSAL, number, error),
      );
    }
  }

  /** A node that is gone waits for nothing: its calls have ended with it, and how many they were is no news. */
  private answer(node: string, kind: number, number: number, payload: unknown): void {
    if (this.outboxes === undefined || !(this.peers.has(node) || this.early.has(node))) return;
    try {
      this.pushAnswer(node, kind, number, payload);
    } catch (error) {
      this.answerOtherwise(node, number, payload, error);
    }
  }

  /** An answer waits for room. */
  private pushAnswer(node: string, kind: number, number: number, payload: unknown): void {
    const outcome = this.tryToPush(node, kind, number, payload);
    if (outcome === FULL) this.answerLater(node, { kind, number, payload: this.codec.encode(payload) });
    else if (outcome < 0) this.refuseToPush(node, outcome);
  }

  private answerLater(node: string, answer: LateAnswer): void {
    const { number } = answer;
    const refuse = (error: Error): LateAnswer => ({ kind: REFUSAL, number, payload: this.codec.encode(error) });
    if (!this.late.keep(node, answer, refuse)) this.notAnswered(node);
  }

  /** The answer itself cannot be sent; if nothing can be said in its place, that it cannot is worth telling. */
  private answerOtherwise(node: string, number: number, payload: unknown, error: unknown): void {
    try {
      const instead = this.answerInstead?.(payload, error);
      if (instead === undefined) throw error;
      this.pushAnswer(node, ANSWER, number, instead);
    } catch {
      this.tryToRefuse(node, number, error);
    }
  }

  private tryToRefuse(node: string, number: number, error: unknown): void {
    try {
      this.pushAnswer(node, REFUSAL, number, error);
    } catch {
      this.notAnswered(node);
    }
  }

  private notAnswered(node: string): void {
    this.log.warn("An answer could not be sent", { peer: node });
  }
}

function assertPeers(peers: unknown): void {
  const isText = (part: unknown): boolean => typeof part === "string";
  const isPeer = (peer: unknown): boolean => Array.isArray(peer) && peer.length === 2 && peer.every(isText);
  if (!Array.isArray(peers) || !peers.every(isPeer)) {
    throw new InvalidArgumentError("peers", "an array of [nodeId, address]", peers);
  }
}

function notSent(node: string, outcome: number): Error {
  if (outcome === NO_PEER) return new PeerNotFoundError(node);
  if (outcome === FULL) return noRoom(node);
  const why = `A message to node ${node} was not sent: the message is longer than a frame may be (16 MiB)`;
  return new TransportError(why, node, undefined, "unsendable");
}
