/**
 * Calls and casts between nodes, both ways: by far the most of what nodes say to each other. Their messages are arrays
 * ({@link CallMessage}, {@link CastMessage}), which cost a third of objects to encode.
 *
 * A call waits here, with a deadline of its own. A transport that takes waiters looks at no clock; another one is given somewhat
 * longer, so that callers get TimeoutError. Whoever serves a call holds a {@link Cancellation} for it; `cancel` withdraws the
 * call as an AbortSignal withdraws a local one.
 */

import {
  ActorNotFoundError,
  CallAbortedError,
  InvalidArgumentError,
  NodeDownError,
  PeerNotFoundError,
  TransportError,
} from "../../errors.js";
import type { ActorId } from "../../kernel/actor_id.js";
import { offAbort, onAbort } from "../../kernel/cancel.js";
import type { ActorCell } from "../../kernel/cell.js";
import type { Transport, Waiter } from "../../kernel/collaborators.js";
import type { Kernel } from "../../kernel/kernel.js";
import { timedOut } from "../../kernel/refusals.js";
import { callOnTerms, cast, castMethod } from "../../kernel/send.js";
import { type CallSignal, type CallTerms, NO_DEADLINE, rejected, timeoutWord } from "../../kernel/slots.js";
import { type Deadline, Deadlines, type Expiring } from "./deadlines.js";
import { handOver, noRoom } from "./peers.js";
import { CALL, CANCEL, CAST, type CallMessage, type CastMessage, isReply, MARK } from "./protocol.js";
import { placeOf, Tickets } from "./tickets.js";

/** What calls need of their system. */
export interface CallHost {
  readonly id: string;
  readonly transport: Transport;
  readonly kernel: Kernel;
}

/** Finds an actor of this node. */
export type Find = (id: string, name: string | undefined) => ActorCell | undefined;

/** What a transport is given beyond the caller's patience, in milliseconds. */
const GRACE_MS = 1_000;

/** A call that waits for another node. */
class WaitingCall implements Waiter, Expiring {
  readonly promise: Promise<any>;
  /** Its number here. */
  call = 0;
  /** Its number in a transport that takes waiters. */
  asked: number | undefined;
  deadline: Deadline | undefined;
  onAbort: (() => void) | undefined;
  private accept!: (value: any) => void;
  private refuse!: (error: unknown) => void;

  constructor(
    private readonly calls: RemoteCalls,
    readonly to: ActorId,
    readonly signal: CallSignal | undefined,
    private readonly patienceMs: number,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.accept = resolve;
      this.refuse = reject;
    });
  }

  get node(): string {
    return this.to.systemId;
  }

  answered(reply: unknown): void {
    this.calls.answered(this.call, reply);
  }

  refused(error: unknown): void {
    this.calls.refuse(this.call, error);
  }

  expired(): void {
    this.calls.giveUp(this.call, timedOut(this.patienceMs));
  }

  resolve(value: any): void {
    this.accept(value);
  }

  /** As with local calls, a refusal that nobody awaits is not an unhandled rejection. */
  reject(error: unknown): void {
    this.promise.catch(ignore);
    this.refuse(error);
  }
}

/** Withdraws a call that is served for another node. */
class Cancellation implements CallSignal {
  aborted = false;
  reason: unknown;
  private listener: (() => void) | undefined;

  constructor(readonly call: number) {}

  addEventListener(_type: "abort", listener: () => void): void {
    this.listener = listener;
  }

  removeEventListener(): void {
    this.listener = undefined;
  }

  cancel(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.listener?.();
  }
}

/** See the module's header. */
export class RemoteCalls {
  private readonly waiting = new Tickets<WaitingCall>();
  private readonly deadlines = new Deadlines();
  /** Calls of other nodes that run here, by node and the place of their number. */
  private readonly served = new Map<string, (Cancellation | undefined)[]>();

  constructor(
    private readonly host: CallHost,
    private readonly find: Find,
    /** What the caller should know in place of what the transport or the other node says. */
    private readonly whyNot: (to: ActorId, error: unknown) => unknown,
    /** Whether a message to a node would not come before others that wait for room. */
    private readonly hasRoom: (node: string) => boolean,
  ) {}

  /** Calls an actor of another node. */
  call(id: ActorId, method: string | undefined, value: any, terms: CallTerms): Promise<any> {
    const { kernel, transport, id: from } = this.host;
    const word = terms.timeoutMs < 0 ? timeoutWord(kernel.callTimeoutMs) : terms.timeoutMs;
    const patienceMs = word === NO_DEADLINE ? Number.POSITIVE_INFINITY : word;
    const node = id.systemId;
    const waiting = new WaitingCall(this, id, terms.signal, patienceMs);
    const call = this.waiting.add(waiting);
    if (call === undefined) return rejected(new TransportError("Too many calls wait for other nodes", node));
    waiting.call = call;
    const message: CallMessage = [MARK, CALL, from, call, id.id, id.name, method, value, word];
    if (terms.last !== undefined && !("signal" in terms.last)) message.push(terms.last);
    // Before it is asked: whatever ends the call, at once or later, takes these down.
    waiting.deadline = this.deadlines.add(patienceMs, waiting);
    if (terms.signal !== undefined) this.listen(call, waiting, terms.signal);
    try {
      if (!this.hasRoom(node)) throw noRoom(node);
      if (transport.ask !== undefined) waiting.asked = transport.ask(waiting, message);
      else request(transport, waiting, message, patienceMs + GRACE_MS);
    } catch (error) {
      this.refuse(call, error);
    }
    return waiting.promise;
  }

  private listen(call: number, waiting: WaitingCall, signal: CallSignal): void {
    waiting.onAbort = () => this.giveUp(call, new CallAbortedError(signal.reason));
    onAbort(signal, waiting.onAbort);
  }

  /** @internal A node has answered a call. */
  answered(call: number, reply: unknown): void {
    const waiting = this.take(call);
    if (waiting === undefined) return;
    if (!isReply(reply)) waiting.reject(new TransportError("A node answered with no reply", waiting.to.systemId));
    else if (reply[0]) waiting.resolve(reply[1]);
    else if (reply[1] instanceof ActorNotFoundError) this.rejectWithCause(waiting, reply[1]);
    else waiting.reject(reply[1]);
  }

  /** What came of the spawn of that actor has come before, and may still be on its way through promises. */
  private rejectWithCause(waiting: WaitingCall, error: unknown): void {
    setImmediate(() => waiting.reject(this.whyNot(waiting.to, error)));
  }

  /** @internal A node does not answer a call. */
  refuse(call: number, error: unknown): void {
    const waiting = this.take(call);
    if (waiting === undefined) return;
    if (error instanceof TransportError || error instanceof PeerNotFoundError) this.rejectWithCause(waiting, error);
    else waiting.reject(error);
  }

  /** @internal Whoever made a call does not wait any more. */
  giveUp(call: number, error: Error): void {
    const waiting = this.take(call);
    if (waiting === undefined) return;
    this.forget(waiting);
    waiting.reject(error);
    this.post(waiting.to.systemId, [MARK, CANCEL, this.host.id, call], ignore);
  }

  private forget({ asked }: WaitingCall): void {
    if (asked !== undefined) this.host.transport.forget?.(asked);
  }

  /** The call is over for its caller. */
  private take(call: number): WaitingCall | undefined {
    const waiting = this.waiting.take(call);
    if (waiting === undefined) return undefined;
    this.deadlines.remove(waiting.deadline);
    if (waiting.onAbort !== undefined && waiting.signal !== undefined) offAbort(waiting.signal, waiting.onAbort);
    return waiting;
  }

  /** Casts to an actor of another node. */
  cast(id: ActorId, method: string | undefined, value: any): void {
    const message: CastMessage = [MARK, CAST, id.id, id.name, method, value];
    this.post(id.systemId, message, () => this.host.kernel.deadLetter(undefined, "cast", "not_sent"));
  }

  private post(node: string, message: unknown, onFailure: () => void): void {
    if (this.hasRoom(node)) handOver(this.host.transport, node, message, onFailure);
    else onFailure();
  }

  /** Runs a call of another node; resolves with the reply. */
  serve([, , from, call, id, name, method, value, word, last]: CallMessage): Promise<any> {
    const cell = this.find(id, name);
    if (cell === undefined) return replyWith(new ActorNotFoundError(id, this.host.id));
    if (method !== undefined && !Array.isArray(value)) {
      return replyWith(new InvalidArgumentError("args", "an array", value));
    }
    const signal = new Cancellation(call);
    const served = this.servedFor(from);
    const place = placeOf(call);
    served[place] = signal;
    const running = callHere(cell, method, value, { timeoutMs: word, signal, onAbort: undefined, last });
    return running.then(
      (result) => {
        if (served[place] === signal) served[place] = undefined;
        return [true, result];
      },
      (error) => {
        if (served[place] === signal) served[place] = undefined;
        // Its caller's node was given up, which may live: the caller has not aborted anything.
        const wasLost = this.served.get(from) !== served;
        return [false, wasLost ? new NodeDownError(this.host.id, error) : error];
      },
    );
  }

  private servedFor(node: string): (Cancellation | undefined)[] {
    let served = this.served.get(node);
    if (served === undefined) {
      served = [];
      this.served.set(node, served);
    }
    return served;
  }

  /** The caller of a call does not wait any more. */
  cancel(node: string, call: number): void {
    const signal = this.served.get(node)?.[placeOf(call)];
    if (signal?.call === call) signal.cancel(undefined);
  }

  /** A cast of another node has come. */
  deliver([, , id, name, method, value]: CastMessage): void {
    const cell = this.find(id, name);
    if (cell === undefined) this.host.kernel.deadLetter(undefined, "cast", "not_found");
    else if (method === undefined || Array.isArray(value)) castHere(cell, method, value);
    else this.host.kernel.deadLetter(cell, "cast", "not_found");
  }

  /** A node is gone: nothing comes from it any more. */
  nodeLost(node: string): void {
    for (const [call, waiting] of this.waiting.entries()) {
      if (waiting.node !== node) continue;
      this.forget(waiting);
      this.refuse(call, new NodeDownError(node));
    }
    const served = this.served.get(node);
    this.served.delete(node);
    for (const signal of served ?? []) signal?.cancel(new NodeDownError(node));
  }
}

function ignore(): void {}

/** Asks by way of a transport that takes no waiters. */
function request(transport: Transport, waiter: Waiter, message: unknown, timeoutMs: number): void {
  transport.request(waiter.node, message, timeoutMs).then(
    (reply) => waiter.answered(reply),
    (error) => waiter.refused(error),
  );
}

function replyWith(error: Error): Promise<any> {
  return Promise.resolve([false, error]);
}

/** Calls an actor of this node for somebody who has to name a method for all, or a whole message. */
export function callHere(cell: ActorCell, method: string | undefined, value: any, terms: CallTerms): Promise<any> {
  // Actors that take no methods get the message that a method stands for.
  if (method !== undefined && !cell.definition.takesMethods) {
    return callOnTerms(cell, undefined, { method, args: value }, terms);
  }
  return callOnTerms(cell, method, value, terms);
}

/** Casts to an actor of this node likewise. */
export function castHere(cell: ActorCell, method: string | undefined, value: any): void {
  if (method === undefined) cast(cell, value);
  else castMethod(cell, method, value);
}
