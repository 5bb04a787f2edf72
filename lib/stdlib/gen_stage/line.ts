/**
 * Line: what a stage says to a stage of another node, in order and each thing once, as long as both live.
 *
 * Stages count demand, so a single message that is lost holds a subscription up for ever. A cast to another node can be
 * lost without a word: its queue is full, the message cannot be encoded or is too long, the connection breaks. So what
 * stages of different nodes say to each other are calls, and what was not heard is said again.
 *
 * # Protocol
 * What is said on a line is numbered from 1 on. The listener has an {@link Ear}: it takes what is next, ignores what it
 * has taken, and answers HEARD to both; to what is ahead it answers EARLY and MUST NOT take it. The speaker does not wait
 * between two messages. HEARD counts for everything before as well. Behind a message that has failed everything is said
 * again, with the same numbers, after a pause that doubles.
 *
 * # Failure
 * - The transport will never take the message: its owner gives others in its place (half a batch each, or none), which
 *   get its number and those behind it. Nobody has taken any of these, since they were all early.
 * - The other stage, its node or this system has ended: the line is closed. Who watches the other stage is told.
 * - The other stage has no such subscription (any more) and answers GONE: the line is closed, and its owner is told.
 * - Anything else (a full queue, a lost connection): again, for as long as the speaker stays. Behind one that has left,
 *   whose stage or subscription has ended, REPEATS_MAX times in a row: nobody would hear that the other side is gone.
 *
 * Owner: one line per subscription and direction; it belongs to the half of the stage that speaks, and outlives restarts.
 * Bounded by demand: no more events are under way than were asked for.
 */

import { LibeamError } from "../../errors.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import { createLogger } from "../../kernel/logger.js";
import { nextPause, PAUSE_MS } from "../remote/backlog.js";
import { isUnsendable } from "../remote/peers.js";

const log = createLogger("GenStage");

/** How often in a row something is repeated when nobody waits for it. */
const REPEATS_MAX = 60;
/** The other side is gone, or never was a stage. */
const ENDS = ["ACTOR_NOT_FOUND", "NODE_DOWN", "SYSTEM_SHUTTING_DOWN", "UNKNOWN_CALL_METHOD", "NOT_IMPLEMENTED"];

/** What the listener answers: it has that message, misses one before it, or has no ear for any. */
const HEARD = "libeam:heard";
const EARLY = "libeam:early";
export const GONE = "libeam:gone";

/** Something that is said on a line. */
export interface Saying<M = any> {
  kind: "said";
  number: number;
  message: M;
}

/** Whether two stages are of one node, so that what one casts to the other arrives. */
export function areNear(one: ActorRef, other: ActorRef): boolean {
  return one.id.systemId === other.id.systemId;
}

/** What was said and not heard, or not said yet. */
class Said<M> {
  /** Only the last attempt counts if it fails. */
  attempts = 0;

  constructor(readonly message: M) {}
}

/** What a speaker wants to know of its line. */
export interface Speaker<M> {
  /** A message cannot be sent; gives what is said in its place. */
  instead(message: M, error: unknown): M[];
  /** Everything was heard. */
  heard(): void;
  /** The other stage knows of no subscription. */
  gone(): void;
}

/** See the module's header. */
export class Line<M extends object = object> {
  /** What was not heard, oldest first; the first `said` of them are under way. */
  private unheard: Said<M>[] = [];
  private said = 0;
  /** Number of what was heard last. */
  private last = 0;
  private state: "open" | "pausing" | "closed" = "open";
  private pauseMs = PAUSE_MS;
  private repeats = 0;
  /** Somebody still needs this line, and closes it. */
  private needed = true;

  constructor(
    private readonly to: ActorRef,
    private readonly speaker?: Speaker<M>,
  ) {}

  /** Whether nothing is left to be heard. */
  get idle(): boolean {
    return this.unheard.length === 0;
  }

  /** Says something behind everything else. */
  say(message: M): void {
    if (this.state === "closed") return;
    this.unheard.push(new Said(message));
    this.flow();
  }

  /** The speaker has ended, or is between two incarnations. What it has said, or says in passing, is tried for a while. */
  leave(): void {
    this.needed = false;
  }

  /** The speaker goes on. */
  stay(): void {
    this.needed = true;
  }

  /** Nobody listens any more. */
  close(): void {
    this.state = "closed";
    this.unheard = [];
    this.said = 0;
  }

  private flow(): void {
    if (this.state !== "open") return;
    while (this.said < this.unheard.length) this.attempt(this.unheard[this.said], this.last + ++this.said);
  }

  private attempt(said: Said<M>, number: number): void {
    const attempt = ++said.attempts;
    const failed = (error: unknown): void => {
      if (said.attempts === attempt && number > this.last) this.failed(number, error);
    };
    const saying: Saying<M> = { kind: "said", number, message: said.message };
    this.to.call(saying, { timeout: Number.POSITIVE_INFINITY }).then((answer) => {
      if (answer === HEARD) this.heard(number);
      else if (answer === GONE) this.gone();
      else failed(EARLY);
    }, failed);
  }

  private heard(number: number): void {
    const count = number - this.last;
    if (count <= 0 || this.state === "closed") return;
    this.last = number;
    this.unheard.splice(0, count);
    this.said -= count;
    this.pauseMs = PAUSE_MS;
    this.repeats = 0;
    if (this.idle) this.speaker?.heard();
  }

  private gone(): void {
    if (this.state === "closed") return;
    this.close();
    this.speaker?.gone();
  }

  private failed(number: number, error: unknown): void {
    if (this.state === "closed") return;
    if (error instanceof LibeamError && ENDS.includes(error.code)) {
      this.close();
      return;
    }
    const at = number - this.last - 1;
    for (const behind of this.unheard.slice(at, this.said)) behind.attempts++;
    this.said = at;
    if (error === EARLY || !isUnsendable(error)) {
      this.pause(error);
      return;
    }
    const { message } = this.unheard[at];
    const instead = this.speaker?.instead(message, error) ?? [];
    this.unheard.splice(at, 1, ...instead.map((each) => new Said(each)));
    this.flow();
    if (this.idle) this.speaker?.heard();
  }

  private pause(error: unknown): void {
    if (this.state === "pausing") return;
    if (++this.repeats > REPEATS_MAX && !this.needed) {
      this.close();
      return;
    }
    if (this.repeats === REPEATS_MAX)
      log.warn(`A stage of another node has not been reached for a while: ${this.to}`, { error });
    this.state = "pausing";
    setTimeout(() => this.resume(), this.pauseMs).unref();
    this.pauseMs = nextPause(this.pauseMs);
  }

  private resume(): void {
    if (this.state !== "pausing") return;
    this.state = "open";
    this.flow();
  }
}

/** The other end of a line. */
export class Ear {
  private last = 0;

  /** Takes a message if it is the next one; gives the answer. */
  hear({ number, message }: Saying, take: (message: any) => void): string {
    if (number > this.last + 1) return EARLY;
    if (number === this.last + 1) {
      this.last = number;
      take(message);
    }
    return HEARD;
  }
}
