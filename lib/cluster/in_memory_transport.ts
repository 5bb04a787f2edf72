/**
 * A transport between systems of one process.
 *
 * Nodes know each other through `setPeer`, in each direction separately. Values pass by reference: nothing is copied,
 * sender and receiver share what is sent. Delivery takes place in a microtask, never inside the sender's call, and in
 * the order in which one transport sent, over requests, messages and publications.
 *
 * Failure: a request rejects with TransportError if the peer is unknown, has no request handler, does not answer in
 * time, or if either side disconnects meanwhile; an error of the peer's handler is passed on as it is. Errors of message and topic
 * handlers are logged: their sender does not wait for them. A message for a peer that has no handler is dropped.
 *
 * States: open from the start (`connect` is optional), closed by `disconnect`, open again by `connect`.
 * Deliberately absent: flow control, and delivery of publications to one's own subscribers.
 */

// biome-ignore-all lint/suspicious/noExplicitAny: messages belong to the two ends, see collaborators.ts

import { InvalidArgumentError, TransportError } from "../errors.js";
import type { MessageHandler, RequestHandler, Subscription, Transport } from "../kernel/collaborators.js";
import { createLogger } from "../kernel/logger.js";
import { assertFunction, assertName, assertTimeoutMs } from "../kernel/validate.js";

/** A request that waits for its answer; held by both sides, so that either can end it. */
interface Exchange {
  fail(error: unknown): void;
}

/** A transport for tests and for systems that share a process. */
export class InMemoryTransport implements Transport {
  readonly #nodeId: string;
  readonly #peers = new Map<string, InMemoryTransport>();
  /** Subscribers by topic; each is a box, so that one function can subscribe twice. */
  readonly #subscribers = new Map<string, Set<{ readonly handler: MessageHandler }>>();
  /** Requests that this side made or must answer. */
  readonly #exchanges = new Set<Exchange>();
  #requestHandler: RequestHandler | undefined;
  #messageHandler: MessageHandler | undefined;
  #open = true;

  /** @throws InvalidArgumentError INVALID_ARGUMENT if the node id is no usable name. */
  constructor(nodeId: string) {
    assertName("node id", nodeId);
    this.#nodeId = nodeId;
  }

  /** Id of this node. */
  getNodeId(): string {
    return this.#nodeId;
  }

  /** Makes a peer reachable from here; the way back needs its own `setPeer`. */
  setPeer(nodeId: string, transport: InMemoryTransport): void {
    if (typeof transport !== "object" || transport === null || !(#peers in transport)) {
      throw new InvalidArgumentError("peer", "an InMemoryTransport", transport);
    }
    this.#peers.set(nodeId, transport);
  }

  /** Does nothing: addresses mean nothing in one process, and peers given by `setPeer` stay. */
  updatePeers(_peers: Array<[nodeId: string, address: string]>): void {}

  /** Sets the handler of requests, in place of the one before. @throws InvalidArgumentError */
  onRequest(handler: RequestHandler): void {
    assertFunction("handler of requests", handler);
    this.#requestHandler = handler;
  }

  /** Sets the handler of messages, in place of the one before. @throws InvalidArgumentError */
  onMessage(handler: MessageHandler): void {
    assertFunction("handler of messages", handler);
    this.#messageHandler = handler;
  }

  /** Opens the transport again after `disconnect`. */
  async connect(): Promise<void> {
    this.#open = true;
  }

  /** Closes the transport and rejects the requests that it made or was to answer. Peers and handlers stay. */
  async disconnect(): Promise<void> {
    this.#open = false;
    for (const exchange of this.#exchanges) {
      exchange.fail(new TransportError("Transport disconnected", this.#nodeId));
    }
  }

  /**
   * Asks a peer and resolves with the very value that its handler returned.
   *
   * @throws TransportError TRANSPORT_ERROR (as a rejection) for the reasons above; InvalidOptionError INVALID_OPTION
   *   if `timeout` is no number of ms. `Infinity` waits for ever.
   */
  async request(nodeId: string, message: any, timeout: number): Promise<any> {
    assertTimeoutMs("timeout", timeout);
    const peer = this.#peer(nodeId);
    if (!peer.#open || peer.#requestHandler === undefined) {
      throw new TransportError(`No request handler on peer ${nodeId}`, nodeId);
    }
    return new Promise((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const end = (): void => {
        clearTimeout(timer);
        this.#exchanges.delete(exchange);
        peer.#exchanges.delete(exchange);
      };
      const exchange: Exchange = {
        fail(error) {
          end();
          reject(error);
        },
      };
      this.#exchanges.add(exchange);
      peer.#exchanges.add(exchange);
      if (timeout !== Number.POSITIVE_INFINITY) {
        const late = (): void => exchange.fail(new TransportError(`Request timeout after ${timeout}ms`, nodeId));
        timer = setTimeout(late, timeout);
      }
      queueMicrotask(() => {
        // Race: either side may have disconnected since; the exchange has failed then and must not run.
        if (!peer.#exchanges.has(exchange)) return;
        peer.#answer(message).then((answer) => {
          end();
          resolve(answer);
        }, exchange.fail);
      });
    });
  }

  /** Hands a message to a peer. Rejects with TransportError TRANSPORT_ERROR if the peer is unknown. */
  async send(nodeId: string, message: any): Promise<void> {
    const peer = this.#peer(nodeId);
    queueMicrotask(() => {
      if (peer.#messageHandler !== undefined) peer.#deliver(peer.#messageHandler, message);
    });
  }

  /** Hands a message to the subscribers that the peers have for a topic, but for the peers in `except`. */
  async publish(topic: string, message: any, except?: ReadonlySet<string>): Promise<void> {
    this.#assertOpen();
    for (const [id, peer] of this.#peers) if (!except?.has(id)) peer.#bring(topic, message);
  }

  /** Hands a message to the subscribers that one peer has for a topic. Rejects like `send`. */
  async publishTo(nodeId: string, topic: string, message: any): Promise<void> {
    this.#peer(nodeId).#bring(topic, message);
  }

  /** Receives what peers publish to a topic, until `unsubscribe`. @throws InvalidArgumentError (as a rejection) */
  async subscribe(topic: string, handler: MessageHandler): Promise<Subscription> {
    assertFunction("handler of publications", handler);
    const subscriber = { handler };
    const subscribers = this.#subscribers.get(topic) ?? new Set();
    this.#subscribers.set(topic, subscribers.add(subscriber));
    return {
      unsubscribe: async () => {
        subscribers.delete(subscriber);
        // The topic may have been forgotten and taken up again by others since.
        if (subscribers.size === 0 && this.#subscribers.get(topic) === subscribers) this.#subscribers.delete(topic);
      },
    };
  }

  #bring(topic: string, message: any): void {
    queueMicrotask(() => {
      for (const { handler } of [...(this.#subscribers.get(topic) ?? [])]) this.#deliver(handler, message);
    });
  }

  #assertOpen(): void {
    if (!this.#open) throw new TransportError("Transport disconnected", this.#nodeId);
  }

  #peer(nodeId: string): InMemoryTransport {
    this.#assertOpen();
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) throw new TransportError(`No peer found for node ${nodeId}`, nodeId);
    return peer;
  }

  async #answer(message: any): Promise<any> {
    return this.#requestHandler?.(message);
  }

  #deliver(handler: MessageHandler, message: any): void {
    if (!this.#open) return;
    const log = (error: unknown): void =>
      createLogger("InMemoryTransport", this.#nodeId).error("Message handler failed", error);
    try {
      const result: unknown = handler(message);
      if (result instanceof Promise) result.catch(log);
    } catch (error) {
      log(error);
    }
  }
}
