/**
 * FaultyTransport: any transport, with cuts.
 *
 * A cut is one-way: this node cannot reach the other one any more. Requests and messages to it are refused, publications
 * leave it out, and the answer to a request that was under way is lost on its way back. What the other node sends still
 * arrives, as in a network that fails in one direction; a full partition has a cut at both ends.
 *
 * Publications leave nodes out only if the inner transport can do so (`publish` with a third parameter, as ZeroMQTransport
 * and InMemoryTransport have it).
 */

// biome-ignore-all lint/suspicious/noExplicitAny: messages belong to the two ends

import { InvalidArgumentError, TransportError } from "../errors.js";
import type { ActorId } from "../kernel/actor_id.js";
import type { ActorRef } from "../kernel/actor_ref.js";
import type {
  AnswerInstead,
  MessageHandler,
  RequestHandler,
  Subscription,
  Transport,
} from "../kernel/collaborators.js";
import { assertName } from "../kernel/validate.js";

/** See the module's header. */
export class FaultyTransport implements Transport {
  readonly #inner: Transport;
  readonly #cut = new Set<string>();

  /** @throws InvalidArgumentError */
  constructor(inner: Transport) {
    if (inner === null || typeof inner?.request !== "function") {
      throw new InvalidArgumentError("inner", "a transport", inner);
    }
    this.#inner = inner;
  }

  /** Cuts this node off from others. */
  partition(...nodeIds: string[]): void {
    for (const nodeId of nodeIds) {
      assertName("node id", nodeId);
      this.#cut.add(nodeId);
    }
  }

  /** Ends cuts; without ids, all of them. */
  heal(...nodeIds: string[]): void {
    if (nodeIds.length === 0) this.healAll();
    for (const nodeId of nodeIds) this.#cut.delete(nodeId);
  }

  /** Ends all cuts. */
  healAll(): void {
    this.#cut.clear();
  }

  /** Whether this node is cut off from another. */
  isPartitioned(nodeId: string): boolean {
    return this.#cut.has(nodeId);
  }

  /** The nodes from which this one is cut off. */
  getPartitionedPeers(): string[] {
    return [...this.#cut];
  }

  getNodeId(): string {
    return this.#inner.getNodeId();
  }

  /** @throws TransportError (as a rejection) across a cut, also for a request that was under way. */
  async request(nodeId: string, message: any, timeout: number): Promise<any> {
    this.#assertReachable(nodeId);
    try {
      return await this.#inner.request(nodeId, message, timeout);
    } finally {
      // What it rejects with may be the answer of the other node, which is lost as well.
      this.#assertReachable(nodeId);
    }
  }

  /** @throws TransportError (as a rejection) across a cut. */
  async send(nodeId: string, message: any): Promise<void> {
    this.#assertReachable(nodeId);
    await this.#inner.send(nodeId, message);
  }

  publish(topic: string, message: any, except: ReadonlySet<string> = new Set()): Promise<void> {
    return this.#inner.publish(topic, message, new Set([...this.#cut, ...except]));
  }

  /** @throws TransportError (as a rejection) across a cut. */
  async publishTo(nodeId: string, topic: string, message: any): Promise<void> {
    this.#assertReachable(nodeId);
    if (this.#inner.publishTo === undefined) await this.publish(topic, message);
    else await this.#inner.publishTo(nodeId, topic, message);
  }

  subscribe(topic: string, handler: MessageHandler): Promise<Subscription> {
    return this.#inner.subscribe(topic, handler);
  }

  onRequest(handler: RequestHandler, instead?: AnswerInstead): void {
    this.#inner.onRequest(handler, instead);
  }

  onMessage(handler: MessageHandler): void {
    this.#inner.onMessage(handler);
  }

  makeRefs(makeRef: (id: ActorId) => ActorRef): void {
    this.#inner.makeRefs?.(makeRef);
  }

  updatePeers(peers: Array<[nodeId: string, address: string]>): void {
    this.#inner.updatePeers(peers);
  }

  removePeer(nodeId: string): void {
    this.#inner.removePeer?.(nodeId);
  }

  connect(): Promise<void> {
    return this.#inner.connect();
  }

  disconnect(): Promise<void> {
    return this.#inner.disconnect();
  }

  #assertReachable(nodeId: string): void {
    if (this.#cut.has(nodeId)) throw new TransportError(`Network partition: cannot reach ${nodeId}`, nodeId);
  }
}
