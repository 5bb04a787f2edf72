/**
 * Answers that the queue of their node has no room for, and wait until it has.
 *
 * Whoever asks waits for an answer, and has nobody to ask why there is none; so answers are not dropped as messages are that
 * nobody waits for. BYTES_MAX of them wait for a node; what would be more becomes a refusal that says so, and of refusals
 * REFUSALS_MAX wait.
 *
 * Owner: the answers that wait. Those of a node go with its connection, because whoever asked has been told then.
 */

import { TransportError } from "../errors.js";
import { Backlog } from "../stdlib/remote/backlog.js";

/** Bytes of answers that wait for one node at most. */
const BYTES_MAX = 64 << 20;
/** Refusals that wait for one node at most. */
const REFUSALS_MAX = 65_536;

/** An answer or a refusal, encoded. */
export interface LateAnswer {
  kind: number;
  number: number;
  payload: Buffer;
}

interface Waiting {
  readonly backlog: Backlog<LateAnswer>;
  bytes: number;
}

/** See the module's header. */
export class LateAnswers {
  private readonly nodes = new Map<string, Waiting>();

  /** @param offer whether an answer is not to be offered again. */
  constructor(private readonly offer: (node: string, answer: LateAnswer) => boolean) {}

  /** Has an answer wait; `refuse` makes one that is told in its place. Without room for that either, false. */
  keep(node: string, answer: LateAnswer, refuse: (error: Error) => LateAnswer): boolean {
    const waiting = this.waitingFor(node);
    const hasRoom = waiting.bytes + answer.payload.length <= BYTES_MAX;
    if (!hasRoom && waiting.backlog.size >= REFUSALS_MAX) return false;
    const kept = hasRoom ? answer : refuse(tooMuchWaits(node));
    waiting.bytes += kept.payload.length;
    waiting.backlog.push(kept);
    return true;
  }

  private waitingFor(node: string): Waiting {
    let waiting = this.nodes.get(node);
    if (waiting === undefined) {
      const made: Waiting = { backlog: new Backlog((answer) => this.offerFor(node, made, answer)), bytes: 0 };
      waiting = made;
      this.nodes.set(node, made);
    }
    return waiting;
  }

  private offerFor(node: string, waiting: Waiting, answer: LateAnswer): boolean {
    const isOver = this.offer(node, answer);
    if (isOver) waiting.bytes -= answer.payload.length;
    return isOver;
  }

  /** Whether nothing waits for a node. */
  isEmptyFor(node: string): boolean {
    return (this.nodes.get(node)?.backlog.size ?? 0) === 0;
  }

  /** Forgets what waits for a node. */
  forget(node: string): void {
    this.nodes.get(node)?.backlog.clear();
    this.nodes.delete(node);
  }

  /** Forgets everything. */
  clear(): void {
    for (const node of [...this.nodes.keys()]) this.forget(node);
  }
}

function tooMuchWaits(node: string): TransportError {
  return new TransportError(
    `An answer to node ${node} was not sent: too much waits for it already`,
    node,
    undefined,
    "queue_full",
  );
}
