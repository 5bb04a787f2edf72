/**
 * What is said to other nodes: envelopes over whatever transport the system was given.
 *
 * A request that waits when its node is lost is refused with NodeDownError. One that must not be lost is repeated
 * (`insist`) until it is answered, its node is lost or does not answer for REPEATS_MAX times, or the system ends; whoever
 * answers it must not mind it twice.
 * What tells of an end (`tell`, `insist`) and cannot be sent as it is goes with a substitute for the error (plain_errors.ts).
 * What a node has to know and its transport has no room for (`tell`) waits here, and what is told after it waits behind it. The
 * first is tried again after a pause that doubles, the rest follow it, and all go when the node is lost. Nothing but the end of
 * a watch or a link is told in this way, and each has one, so what waits is bounded by them.
 * A node that speaks to itself is answered without the transport.
 *
 * Owner: the requests that wait, and the backlogs. Failure is a rejection or a callback; nothing here throws.
 */

import { LibeamError, NodeDownError, SystemShuttingDownError, TransportError } from "../../errors.js";
import type { Transport } from "../../kernel/collaborators.js";
import { DELAY_MS_MAX } from "../../kernel/validate.js";
import type { LossTag } from "./losses.js";
import { plainBody } from "./plain_errors.js";
import { type Envelope, isReply, type RemoteMessage, type RemoteRequest, type Reply } from "./protocol.js";

/** How long another node may take to answer what it answers at once, in milliseconds. */
export const OPERATION_MS = 5_000;
/** Pause before a request is repeated, in milliseconds. */
const REPEAT_MS = 500;
/** How often a request is repeated before its node counts as down for it. */
const REPEATS_MAX = 60;

/** Pause before what a transport had no room for is tried again for the first time, and at most, in milliseconds. */
const ROOM_MS = 10;
const ROOM_MS_MAX = 640;

/** A request under way. */
interface Pending {
  node: string;
  refuse: (error: Error) => void;
}

/** What a node has to know. */
interface Told {
  body: RemoteMessage;
  /** How long it waits when it is refused next. */
  pauseMs: number;
}

/** The answer was an error, other than one of the transport's. */
class Refusal {
  constructor(readonly error: unknown) {}
}

/** See the module's header. */
export class Peers {
  private readonly pending = new Set<Pending>();
  /** What waits for room, by node and in order. */
  private readonly backlogs = new Map<string, Told[]>();
  private closed = false;

  constructor(
    private readonly id: string,
    private readonly transport: Transport,
    /** What is said to a node with everything else. */
    private readonly tagFor: (node: string) => LossTag,
    /** Answers what this node asks itself. */
    private readonly perform: (from: string, request: RemoteRequest) => unknown,
  ) {}

  /** Asks a node. @throws what it answers, TransportError, NodeDownError */
  async request(node: string, body: RemoteRequest, timeoutMs: number = OPERATION_MS): Promise<any> {
    try {
      return await this.ask(node, body, timeoutMs);
    } catch (error) {
      throw error instanceof Refusal ? error.error : error;
    }
  }

  /**
   * Has a node do something that takes as long as it takes; a connection that is lost meanwhile counts as a lost node.
   *
   * @throws what it answers, TransportError if nothing was sent, NodeDownError
   */
  async order(node: string, body: RemoteRequest): Promise<any> {
    let sent = false; // What cannot be sent is refused at once.
    const turn = setImmediate(() => {
      sent = true;
    });
    try {
      return await this.ask(node, body, DELAY_MS_MAX);
    } catch (error) {
      if (error instanceof Refusal) throw error.error;
      throw sent && error instanceof TransportError ? new NodeDownError(node, error) : error;
    } finally {
      clearImmediate(turn);
    }
  }

  /** Asks until there is an answer. @throws what it is, NodeDownError, SystemShuttingDownError */
  async insist(node: string, body: RemoteRequest): Promise<any> {
    let next = body;
    for (let left = REPEATS_MAX; ; left--) {
      try {
        return await this.ask(node, next, OPERATION_MS);
      } catch (error) {
        if (error instanceof Refusal) throw error.error;
        if (error instanceof NodeDownError || error instanceof SystemShuttingDownError) throw error;
        if (left === 0) throw new NodeDownError(node, error);
        const plain = next === body && isUnsendable(error) ? plainBody(body, error) : undefined;
        if (plain !== undefined) {
          next = plain;
          continue;
        }
      }
      await this.guarded(node, pause(REPEAT_MS));
    }
  }

  /** Sends to a node; `onFailure` is told if it could not be sent. */
  send(node: string, body: RemoteMessage, onFailure: () => void = ignore): void {
    this.hand(node, body, () => queueMicrotask(onFailure));
  }

  private hand(node: string, body: RemoteMessage, onFailure: (error: unknown) => void): void {
    const envelope: Envelope<RemoteMessage> = { libeam: 1, from: this.id, tag: this.tagFor(node), body };
    handOver(this.transport, node, envelope, onFailure);
  }

  /** The same for what must not come before what waits to be told: it is refused then. */
  sendInTurn(node: string, body: RemoteMessage, onFailure: () => void): void {
    if (this.backlogs.has(node)) queueMicrotask(onFailure);
    else this.send(node, body, onFailure);
  }

  /** Sends what a node has to know, in order, when there is room. */
  tell(node: string, body: RemoteMessage): void {
    this.offer(node, { body, pauseMs: ROOM_MS });
  }

  private offer(node: string, told: Told): void {
    const backlog = this.backlogs.get(node);
    if (backlog === undefined) this.hand(node, told.body, (error) => this.refused(node, told, error));
    else backlog.push(told);
  }

  private refused(node: string, told: Told, error: unknown): void {
    if (isForNow(error)) this.wait(node, told);
    const plain = isUnsendable(error) ? plainBody(told.body, error) : undefined;
    if (plain === undefined) return;
    this.hand(node, plain, (again) => {
      if (isForNow(again)) this.wait(node, { ...told, body: plain });
    });
  }

  private wait(node: string, told: Told): void {
    const known = this.backlogs.get(node);
    known?.push(told); // Transports that refuse later may have refused another one meanwhile.
    if (known !== undefined || this.closed) return;
    const backlog = [told];
    this.backlogs.set(node, backlog);
    setTimeout(() => this.offerAgain(node, backlog), told.pauseMs).unref();
    told.pauseMs = Math.min(told.pauseMs * 2, ROOM_MS_MAX);
  }

  private offerAgain(node: string, backlog: Told[]): void {
    if (this.backlogs.get(node) !== backlog) return; // The node was lost, or the system has ended.
    this.backlogs.delete(node);
    for (const told of backlog) this.offer(node, told);
  }

  /** Whether something is still to be told. */
  waitsForRoom(): boolean {
    return this.backlogs.size > 0;
  }

  /** Nothing comes from a node any more. */
  lost(node: string): void {
    this.backlogs.delete(node);
    for (const each of [...this.pending]) if (each.node === node) each.refuse(new NodeDownError(node));
  }

  /** The system has ended: nothing is waited for. */
  close(): void {
    this.closed = true;
    this.backlogs.clear();
    for (const { refuse } of [...this.pending]) refuse(new SystemShuttingDownError("ask other nodes"));
  }

  private async ask(node: string, body: RemoteRequest, timeoutMs: number): Promise<any> {
    if (node === this.id) return this.askSelf(body);
    const envelope: Envelope<RemoteRequest> = { libeam: 1, from: this.id, tag: this.tagFor(node), body };
    const reply: Reply = await this.guarded(node, Promise.resolve(this.transport.request(node, envelope, timeoutMs)));
    if (!isReply(reply)) throw new TransportError("A node answered with no reply", node);
    if (!reply[0]) throw new Refusal(reply[1]);
    return reply[1];
  }

  private async askSelf(body: RemoteRequest): Promise<any> {
    try {
      return await this.guarded(this.id, Promise.resolve(this.perform(this.id, body)));
    } catch (error) {
      throw error instanceof SystemShuttingDownError && this.closed ? error : new Refusal(error);
    }
  }

  /** A promise that is refused early if the node is lost or the system ends. */
  private guarded<T>(node: string, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        promise.catch(ignore);
        reject(new SystemShuttingDownError("ask other nodes"));
        return;
      }
      const entry: Pending = {
        node,
        refuse: (error) => {
          this.pending.delete(entry);
          reject(error);
        },
      };
      this.pending.add(entry);
      promise.then(
        (value) => {
          this.pending.delete(entry);
          resolve(value);
        },
        (error) => entry.refuse(error),
      );
    });
  }
}

function ignore(): void {}

/** Hands a message to a transport; `onFailure` is told at once by one that posts, else later. */
export function handOver(
  transport: Transport,
  node: string,
  message: unknown,
  onFailure: (error: unknown) => void,
): void {
  try {
    if (transport.post !== undefined) transport.post(node, message);
    else Promise.resolve(transport.send(node, message)).catch(onFailure);
  } catch (error) {
    onFailure(error); // A transport of the user's may throw where it must not.
  }
}

/** Whether a transport may take a message later. */
function isForNow(error: unknown): boolean {
  return error instanceof TransportError && error.context?.reason === "queue_full";
}

/** Whether a transport will never take a message; one of the user's may say so with an error of its own kind. */
function isUnsendable(error: unknown): boolean {
  if (error instanceof TransportError) return error.context?.reason === "unsendable";
  return !(error instanceof LibeamError);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
