/**
 * What is said to other nodes: envelopes over whatever transport the system was given.
 *
 * A request that waits when its node is lost is refused with NodeDownError. One that must not be lost is repeated
 * (`insist`) until it is answered, its node is lost or does not answer for REPEATS_MAX times, or the system ends; a full queue
 * does not count. Whoever answers it must not mind it twice.
 * What tells of an end (`tell`, `insist`) and cannot be sent as it is goes with a substitute for the error (plain_errors.ts).
 * What a node has to know and its transport has no room for (`tell`) waits here (backlog.ts), what is told after it waits behind
 * it, and calls and casts are refused meanwhile (`hasRoom`), so that none comes before it. All of that goes when the node is lost.
 * Ends of watches and links wait in any number, since each has one; what programs may send as often as they like is refused
 * when WAITING_MAX wait.
 * A node that speaks to itself is answered without the transport.
 *
 * Owner: the requests that wait, and the backlogs. Failure is a rejection or a callback; nothing here throws.
 */

import { LibeamError, NodeDownError, SystemShuttingDownError, TransportError } from "../../errors.js";
import type { Transport } from "../../kernel/collaborators.js";
import { DELAY_MS_MAX } from "../../kernel/validate.js";
import { Backlog, nextPause, PAUSE_MS } from "./backlog.js";
import type { LossTag } from "./losses.js";
import { plainBody } from "./plain_errors.js";
import { type Envelope, isReply, type RemoteMessage, type RemoteRequest, type Reply } from "./protocol.js";

/** How long another node may take to answer what it answers at once, in milliseconds. */
const OPERATION_MS = 5_000;
/** Pause before a request is repeated, in milliseconds. */
const REPEAT_MS = 500;
/** How often a request is repeated before its node counts as down for it. */
const REPEATS_MAX = 60;

/** How much may wait for the room of a node when more is told that may be refused. */
const WAITING_MAX = 10_000;

/** A request under way. */
interface Pending {
  node: string;
  refuse: (error: Error) => void;
}

/** What a node has to know. */
interface Told {
  body: RemoteMessage;
  onFailure: ((error: unknown) => void) | undefined;
  /** The error in it is a substitute. */
  isPlain: boolean;
}

/** The answer was an error, other than one of the transport's. */
class Refusal {
  constructor(readonly error: unknown) {}
}

/** See the module's header. */
export class Peers {
  private readonly pending = new Set<Pending>();
  /** What waits for room, by node. */
  private readonly backlogs = new Map<string, Backlog<Told>>();
  private closed = false;

  constructor(
    private readonly id: string,
    private readonly transport: Transport,
    /** What is said to a node with everything else. */
    private readonly tagFor: (node: string) => LossTag,
    /** Answers what this node asks itself. */
    private readonly perform: (from: string, request: RemoteRequest) => unknown,
    private readonly isMember: (node: string) => boolean,
  ) {}

  /** Asks a node. @throws what it answers, TransportError, TimeoutError, NodeDownError */
  async request(node: string, body: RemoteRequest): Promise<any> {
    try {
      return await this.ask(node, body, OPERATION_MS);
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

  /**
   * Orders what may be late and may be done twice: where there is no room it is ordered again, and after a lost connection to
   * a node that is a member.
   *
   * @throws what it answers, TransportError, PeerNotFoundError, NodeDownError
   */
  async orderInTime(node: string, body: RemoteRequest): Promise<any> {
    let left = REPEATS_MAX;
    for (let pauseMs = PAUSE_MS; ; pauseMs = nextPause(pauseMs)) {
      try {
        return await this.ask(node, body, DELAY_MS_MAX);
      } catch (error) {
        if (error instanceof Refusal) throw error.error;
        if (!isForNow(error) && (!this.mayReturn(node, error) || left-- === 0)) throw error;
      }
      await this.guarded(node, pause(pauseMs));
    }
  }

  private mayReturn(node: string, error: unknown): boolean {
    return error instanceof TransportError && !isUnsendable(error) && this.isMember(node);
  }

  /** Asks until there is an answer. @throws what it is, NodeDownError, SystemShuttingDownError */
  async insist(node: string, body: RemoteRequest): Promise<any> {
    let next = body;
    let left = REPEATS_MAX;
    for (;;) {
      try {
        return await this.ask(node, next, OPERATION_MS);
      } catch (error) {
        if (error instanceof Refusal) throw error.error;
        if (error instanceof NodeDownError || error instanceof SystemShuttingDownError) throw error;
        if (!isForNow(error) && left-- === 0) throw new NodeDownError(node, error);
        const plain = next === body && isUnsendable(error) ? plainBody(body, error) : undefined;
        if (plain !== undefined) {
          next = plain;
          continue;
        }
      }
      await this.guarded(node, pause(REPEAT_MS));
    }
  }

  /** Sends to a node; `onFailure` is told if it could not be sent, or would have come before what waits to be told. */
  send(node: string, body: RemoteMessage, onFailure: () => void = ignore): void {
    if (this.hasRoom(node)) this.hand(node, body, () => queueMicrotask(onFailure));
    else queueMicrotask(onFailure);
  }

  private hand(node: string, body: RemoteMessage, onFailure: (error: unknown) => void): void {
    const envelope: Envelope<RemoteMessage> = { libeam: 1, from: this.id, tag: this.tagFor(node), body };
    handOver(this.transport, node, envelope, onFailure);
  }

  /**
   * Sends what a node has to know, in order, when there is room. With `onFailure`, which is told if it cannot be sent, not
   * more than WAITING_MAX wait.
   */
  tell(node: string, body: RemoteMessage, onFailure?: (error: unknown) => void): void {
    const told: Told = { body, onFailure, isPlain: false };
    const waiting = this.backlogs.get(node)?.size ?? 0;
    if (waiting >= WAITING_MAX && onFailure !== undefined) queueMicrotask(() => onFailure(noRoom(node)));
    else if (waiting > 0 || !this.offer(node, told)) this.wait(node, told);
  }

  /** Whether nothing waits to be told to a node, now that it was tried again. */
  hasRoom(node: string): boolean {
    if (this.backlogs.size === 0) return true;
    const backlog = this.backlogs.get(node);
    return backlog === undefined || backlog.size === 0 || backlog.offerAgain();
  }

  /** Hands over what a node has to know; false if there is no room for it now. */
  private offer(node: string, told: Told): boolean {
    let isOver = true;
    let atOnce = true;
    this.hand(node, told.body, (error) => {
      isOver = this.refused(node, told, error);
      if (!isOver && !atOnce) this.wait(node, told);
    });
    atOnce = false;
    return isOver;
  }

  /** What was refused is worth another try or is over, then true. */
  private refused(node: string, told: Told, error: unknown): boolean {
    if (isForNow(error)) return false;
    const plain = told.isPlain || !isUnsendable(error) ? undefined : plainBody(told.body, error);
    if (plain === undefined) {
      queueMicrotask(() => told.onFailure?.(error));
      return true;
    }
    told.body = plain;
    told.isPlain = true;
    return this.offer(node, told);
  }

  private wait(node: string, told: Told): void {
    if (this.closed) return;
    let backlog = this.backlogs.get(node);
    if (backlog === undefined) {
      backlog = new Backlog((each) => this.offer(node, each));
      this.backlogs.set(node, backlog);
    }
    backlog.push(told);
  }

  /** Whether something is still to be told. */
  waitsForRoom(): boolean {
    return [...this.backlogs.values()].some(({ size }) => size > 0);
  }

  /** Nothing comes from a node any more. */
  lost(node: string): void {
    this.backlogs.get(node)?.clear();
    this.backlogs.delete(node);
    for (const each of [...this.pending]) if (each.node === node) each.refuse(new NodeDownError(node));
  }

  /** The system has ended: nothing is waited for. */
  close(): void {
    this.closed = true;
    for (const backlog of this.backlogs.values()) backlog.clear();
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

/** What a transport says that may take a message later. */
export function noRoom(node: string): TransportError {
  const why = `A message to node ${node} was not sent: too much waits for it already`;
  return new TransportError(why, node, undefined, "queue_full");
}

/** Whether a transport may take a message later. */
function isForNow(error: unknown): boolean {
  return error instanceof TransportError && error.context?.reason === "queue_full";
}

/** Whether a transport will never take a message; one of the user's may say so with an error of its own kind. */
export function isUnsendable(error: unknown): boolean {
  if (error instanceof TransportError) return error.context?.reason === "unsendable";
  return !(error instanceof LibeamError);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
