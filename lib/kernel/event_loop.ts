/**
 * The event loop of this isolate, watched from a thread of its own: who held it when it did not turn.
 *
 * The native watch asks the loop a few times per second whether it turns, through a callback that does not keep the process
 * up. When the answer is overdue it sets the word `overdue`, which this isolate shares, and tells the node's membership; the
 * other nodes hear of it while the loop stands still. Here it is noticed by the first handler that ends: its end reads
 * that word (one load) and, if it is set, calls {@link EventLoop.ended}. The loop's next turn answers, and the block is
 * reported: as a log entry, as `libeam.system.loop`, and in `lastBlock`.
 *
 * Who it was. Of the handlers that ended while the answer was overdue, the one with the longest time since the end before
 * it; there is no clock at the start of a handler. A handler that was called from another one names its caller, because the
 * time may be the caller's. What blocks outside of handlers (other code, a machine without time) names nobody, and what an
 * asynchronous handler did after an `await` is named as such: something else may have run meanwhile.
 *
 * Limits: a block is noticed after `busyMs`, at most an interval later; its length is known to within an interval.
 */

import { InvalidOptionError } from "../errors.js";
import type { ActorCell } from "./cell.js";
import type { LoopState } from "./collaborators.js";
import { createLogger, type Logger } from "./logger.js";
import { type NativeLoopWatch, startLoopWatch } from "./native.js";
import { TelemetryEvents, telemetry } from "./telemetry.js";
import { assertTimeoutMs } from "./validate.js";

/** What counts as blocked, in milliseconds. */
export interface LoopLimits {
  /** A loop that does not turn for this long is busy; Infinity turns the watch off. */
  loopBusyMs: number;
  /** A loop that does not turn for this long hangs; Infinity is never. */
  loopHungMs: number;
}

/** The handler that held the loop. */
export interface LoopHolder {
  actorId: string;
  className: string;
  /** Name of the method, or `init`, `handleInfo`, `handleCall(type)` and the like. */
  handler: string;
  /** The actor whose handler has called this one on the same stack. */
  callerId?: string | undefined;
  /** The handler ended after an `await`: what it awaited may have held the loop instead. */
  continued: boolean;
}

/** A block of the event loop that has ended. */
export interface LoopBlock {
  /** How long it was known to last, in milliseconds. */
  blockedMs: number;
  /** The worst that it came to. */
  state: Exclude<LoopState, "ok">;
  /** When it ended, ms since the epoch. */
  endedAt: number;
  /** Undefined if no handler ended meanwhile. */
  holder?: LoopHolder | undefined;
}

/** What the word means. */
const LOOP_STATES: readonly LoopState[] = ["ok", "busy", "hung"];
/** Milliseconds from an answer to the next question at most. */
const INTERVAL_MS_MAX = 250;

/** See the module's header. */
export class EventLoop {
  /** One word, written by the watching thread: 0 while the loop answers in time. */
  readonly overdue: Uint32Array;
  /** The last block that has ended. */
  lastBlock: LoopBlock | undefined;
  private readonly log: Logger;
  /** Undefined if the loop is not watched. */
  private native: NativeLoopWatch | undefined;
  private holder: LoopHolder | undefined;
  /** Time that the holder had at most, in milliseconds. */
  private holderMs = 0;
  /** When the last handler ended in this block, or the loop answered, by `performance.now()`. */
  private lastEnd = performance.now();

  /** @throws InvalidOptionError */
  constructor(
    private readonly nodeId: string,
    { loopBusyMs, loopHungMs }: LoopLimits,
  ) {
    assertLoopLimits(loopBusyMs, loopHungMs);
    this.log = createLogger("EventLoop", nodeId);
    if (loopBusyMs !== Number.POSITIVE_INFINITY) {
      const options = {
        busyMs: loopBusyMs,
        hungMs: loopHungMs,
        intervalMs: Math.min(INTERVAL_MS_MAX, loopBusyMs / 2),
      };
      this.native = startLoopWatch(options, () => this.answer());
    }
    this.overdue = this.native?.word() ?? new Uint32Array(1);
  }

  /** The watch, for the node's membership; undefined if the loop is not watched. */
  get watch(): NativeLoopWatch | undefined {
    return this.native;
  }

  /** How the loop does, as others see it now. */
  get state(): LoopState {
    return LOOP_STATES[this.overdue[0]] ?? "ok";
  }

  /** A handler has ended while the answer is overdue. */
  ended(cell: ActorCell, handler: string, caller: ActorCell | null, continued = false): void {
    const now = performance.now();
    const spanMs = now - this.lastEnd;
    this.lastEnd = now;
    if (this.holder !== undefined && spanMs <= this.holderMs) return;
    this.holderMs = spanMs;
    this.holder = {
      actorId: cell.ref.id.id,
      className: cell.definition.className,
      handler,
      ...(caller === null ? {} : { callerId: caller.ref.id.id }),
      continued,
    };
  }

  /** Ends the watch. */
  stop(): void {
    this.native?.stop();
    this.native = undefined;
  }

  private answer(): void {
    const block = this.native?.answer();
    const { holder } = this;
    this.holder = undefined;
    this.lastEnd = performance.now();
    if (block === undefined || block === null) return;
    const { blockedMs, worst } = block;
    this.lastBlock = { blockedMs, state: worst, endedAt: Date.now(), ...(holder === undefined ? {} : { holder }) };
    this.report(this.lastBlock);
  }

  private report({ blockedMs, state, holder }: LoopBlock): void {
    const message = `The event loop did not turn for ${Math.round(blockedMs)} ms`;
    const facts = { blockedMs, state, ...holder };
    // Without a handler it may be the machine that had no time, which is no warning unless it lasts.
    if (holder !== undefined) this.log.warn(`${message}: ${describe(holder)}`, facts);
    else if (state === "hung") this.log.warn(`${message}; no handler of an actor ended meanwhile`, facts);
    else this.log.debug(`${message}; no handler of an actor ended meanwhile`, facts);
    if (!telemetry.active) return;
    const who =
      holder === undefined
        ? {}
        : { actor_id: holder.actorId, actor_class: holder.className, handler: holder.handler, ...callerOf(holder) };
    const metadata = { node_id: this.nodeId, loop: state, ...who };
    telemetry.execute(TelemetryEvents.system.loop, { blocked_ms: blockedMs }, metadata);
  }
}

function callerOf({ callerId, continued }: LoopHolder): object {
  return callerId === undefined ? { continued } : { caller_id: callerId, continued };
}

function describe({ actorId, className, handler, callerId, continued }: LoopHolder): string {
  const where = continued ? "after an await in" : "in";
  const caller = callerId === undefined ? "" : `, called by actor ${callerId}`;
  return `it was ${where} handler "${handler}" of actor ${actorId} (${className})${caller}`;
}

function assertLoopLimits(busyMs: unknown, hungMs: unknown): void {
  assertTimeoutMs("limits.loopBusyMs", busyMs);
  assertTimeoutMs("limits.loopHungMs", hungMs);
  if (busyMs < 1) throw new InvalidOptionError("limits.loopBusyMs", busyMs, "at least 1 ms");
  if (hungMs < busyMs && busyMs !== Number.POSITIVE_INFINITY) {
    throw new InvalidOptionError("limits.loopHungMs", hungMs, `at least limits.loopBusyMs (${busyMs})`);
  }
}
