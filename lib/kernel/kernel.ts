/**
 * One kernel seen from its isolate: the shared memory, the slots, the cells, and when the core is entered.
 *
 * # When the core is entered
 * Sends only write into the submission queue. The first one of a turn schedules a *flush* as a microtask; a flush
 * enters the core, runs the batch it gets, and goes on while there is more and the turn's budget lasts. The budget is
 * BUDGET_MESSAGES messages or BUDGET_MS milliseconds, shared with calls that run inline; when it is used up the next
 * flush waits for `setImmediate`, which renews it. So timers and I/O of the process wait for one budget at most.
 * A full submission queue is emptied into the mailboxes at once, without running anything.
 *
 * # Who may do what
 * Only `flush` calls `enter`, and never while a batch is walked through: control operations and `submit` are safe then,
 * because they do not write into the completion queue. Every control operation submits first, so the core sees sends
 * and operations in the order in which they were made.
 */

// Perf: the global of the same name is a getter that costs more than the clock.
import { performance } from "node:perf_hooks";
import { type LibeamError, SystemShuttingDownError } from "../errors.js";
import { type ActorId, ActorIdCodec } from "./actor_id.js";
import type { ActorCell } from "./cell.js";
import { EventLoop, type LoopLimits } from "./event_loop.js";
import { recall, runBatch, runEntry, runRecord } from "./events.js";
import { counterNames, createKernel, type KernelFunctions, type NativeKernelOptions } from "./native.js";
import type { Outcome } from "./outcome.js";
import * as protocol from "./protocol.js";
import type { Pump } from "./pump.js";
import { SlotTable, timeoutWord } from "./slots.js";
import { TelemetryEvents, telemetry } from "./telemetry.js";

// Perf: constants of the module's own; see "Constants" in docs/design/hot_path.md.
const {
  CHUNK_ACTORS,
  ENTRIES_AT,
  FLAG_RUNNING,
  H_ARGS,
  H_MORE,
  H_NEXT,
  H_RESULTS,
  H_SUBMITTED,
  HEADER_WORDS,
  OP_COUNTERS,
  SLOT_BITS,
  SUBMIT_STARTED,
  SUBMIT_STARTED_TIMED,
  SUBMIT_WAKE,
  SUBMIT_WORDS,
} = protocol;

/** Messages per turn of the event loop before timers and I/O get theirs. */
export const BUDGET_MESSAGES = 1024;
/** Milliseconds per turn of the event loop, looked at between batches. */
export const BUDGET_MS = 1;
/** Messages between two looks at the clock; a divisor of BUDGET_MESSAGES. */
const CLOCK_INTERVAL = 32;

const SUBMIT_END = HEADER_WORDS + SUBMIT_WORDS;
const RESOLVED = Promise.resolve();
/** Which of the counters is that of actors. */
const ACTORS_COUNTER = counterNames.indexOf("actors");
/** The ring's word for nothing. */
const NIL = 0xffff_ffff;

/** What a kernel tells the system around it. */
export interface KernelHooks {
  /** An actor crashed and the core has decided. */
  crashed(cell: ActorCell, error: unknown, decision: number, attempt: number): void;
  /** An actor has been started again. */
  restarted(cell: ActorCell, oldId: string, attempt: number): void;
  /** The cell of an id, of this node or another one. */
  cellOf(id: ActorId): ActorCell;
  /** The first start of an actor failed at once; it was never there. */
  neverStarted(cell: ActorCell): void;
  /** An actor is gone, for a reason that `terminationReason` reads while this runs. */
  gone(cell: ActorCell, kind: number, token: number): void;
}

/** What a dead letter was: a message, or what was to reach an actor of another node in another way. */
export type DeadLetterType = "call" | "cast" | "exit" | "join" | "leave";

/** See the module's header. */
export class Kernel {
  /** Values of messages under way. */
  readonly slots = new SlotTable();
  /** Cells by index. */
  readonly cells: (ActorCell | undefined)[] = [];
  /** Makes and reads public ids. */
  readonly ids = new ActorIdCodec();
  /** The actor whose handler runs on the stack now. */
  current: ActorCell | null = null;
  /** Handlers that run inside each other now. */
  inlineDepth = 0;
  /** Messages that may still run in this turn, but for those since the last look at the clock. */
  budget = BUDGET_MESSAGES;
  /** No calls are taken any more. */
  closed = false;
  /** Pumps that wait for work. */
  readonly pumps: Pump[] = [];
  /** Pumps up to `heldTop` that know what the core does not. Never shortened. */
  private readonly held: (Pump | undefined)[] = [];
  private heldTop = 0;
  /** Slots to free when the batch, which may still name them, is over. */
  private readonly late: number[] = [];
  /** Record of the batch that is being handled. */
  batchAt = 0;
  /** End of that batch. */
  batchEnd = 0;
  /** Arguments of the next control operation. */
  readonly args: Uint32Array;
  /** Results of the last control operation. */
  readonly results: Uint32Array;
  /** Header and queues. */
  readonly page: Uint32Array;
  /** Who holds the event loop up. */
  readonly loop: EventLoop;
  /** The first word is not 0 while the loop is overdue. Perf: read at the end of each handler. */
  readonly overdue: Uint32Array;

  private readonly native: KernelFunctions;
  private readonly chunks: Uint32Array[] = [];
  /** Next free word of the submission queue. */
  private submitAt = HEADER_WORDS;
  /** A flush is scheduled for this turn. */
  private scheduled = false;
  /** A flush is scheduled for the next turn. */
  private turnScheduled = false;
  /** A batch is being walked through. */
  private running = false;
  /** Messages until the next look at the clock. */
  private untilClock = CLOCK_INTERVAL;
  /** When the budget was last renewed, in milliseconds. */
  private turnStart = performance.now();
  private disposed = false;
  private readonly flushSoon = (): void => this.flush();
  private readonly flushNextTurn = (): void => {
    this.turnScheduled = false;
    this.renew();
    this.flush();
  };

  constructor(
    /** Id of the node, the first half of public actor ids. */
    readonly nodeId: string,
    /** Timeout of calls that name none, in milliseconds. */
    readonly callTimeoutMs: number,
    readonly hooks: KernelHooks,
    readonly options: Required<Pick<NativeKernelOptions, "actorsMax" | "timersPerActorMax" | "stashMessagesMax">> &
      NativeKernelOptions &
      LoopLimits,
  ) {
    this.loop = new EventLoop(nodeId, options);
    this.overdue = this.loop.overdue;
    this.native = createKernel({ ...options, callTimeoutMs: timeoutWord(callTimeoutMs) }, this.flushNextTurn);
    this.page = this.native.page;
    this.args = this.page.subarray(H_ARGS, H_ARGS + 8);
    this.results = this.page.subarray(H_RESULTS, H_RESULTS + 12);
  }

  /** Writes a pair into the submission queue; whoever calls this sees to a flush. */
  append(actor: number, kind: number, slot: number): void {
    const { page, submitAt } = this;
    page[submitAt] = actor;
    page[submitAt + 1] = (kind << SLOT_BITS) | slot;
    this.submitAt = submitAt + 2;
    if (submitAt + 2 >= SUBMIT_END) this.submit();
  }

  /** Appends a pair to the submission queue. */
  push(actor: number, kind: number, slot: number): void {
    this.append(actor, kind, slot);
    if (!this.scheduled) this.schedule();
  }

  /**
   * The same for a message. If a handler of the actor runs, its end looks for more, so no flush is needed before.
   */
  pushFor(cell: ActorCell, kind: number, slot: number): void {
    if (cell.pump !== null) cell.pump.close();
    this.append(cell.index, kind, slot);
    if (this.scheduled) return;
    if ((cell.words[cell.at] & FLAG_RUNNING) === 0) this.schedule();
    else if (!this.turnScheduled) this.scheduleTurn();
  }

  /** The same for news that can wait for the next flush, or the next turn if there is none before. */
  pushLazily(actor: number, kind: number, slot: number): void {
    this.append(actor, kind, slot);
    if (!this.scheduled && !this.turnScheduled) this.scheduleTurn();
  }

  /** Runs the next message of an actor whose handler has ended; undefined if there is none. */
  runNext(cell: ActorCell, pump: Pump): Outcome | undefined {
    this.args[0] = cell.index;
    this.handOver();
    this.native.next();
    const taken = this.results[0];
    if (taken === 0) return undefined;
    if (taken === NIL) return runRecord(this, cell, H_NEXT);
    if (taken > 1) pump.keep(this.page, taken);
    return runEntry(cell, this.page[ENTRIES_AT]);
  }

  /** Appends a pair and the word that belongs to it; both stay in one batch. */
  pushTimed(actor: number, kind: number, slot: number, word: number): void {
    if (this.submitAt + 4 > SUBMIT_END) this.submit();
    const { page, submitAt } = this;
    page[submitAt] = actor;
    page[submitAt + 1] = (kind << SLOT_BITS) | slot;
    page[submitAt + 2] = word;
    page[submitAt + 3] = word;
    this.submitAt = submitAt + 4;
    if (submitAt + 4 >= SUBMIT_END) this.submit();
    if (!this.scheduled) this.schedule();
  }

  /** Tells the core that a handler has ended while its actor had flags or messages. */
  wake(cell: ActorCell): void {
    this.push(cell.index, SUBMIT_WAKE, 0);
  }

  /** Tells the core that a call which ran inline waits for a promise. A negative timeout is the default. */
  submitStarted(cell: ActorCell, slot: number, timeoutMs: number): void {
    if (timeoutMs < 0) this.pushLazily(cell.index, SUBMIT_STARTED, slot);
    else this.pushTimed(cell.index, SUBMIT_STARTED_TIMED, slot, timeoutMs);
  }

  /** Tells the core, which is about to be called, how much is submitted. */
  private handOver(): void {
    this.page[H_SUBMITTED] = this.submitAt - HEADER_WORDS;
    this.submitAt = HEADER_WORDS;
  }

  /** Has a pump tell what it knows before the core looks, which is at the end of the turn at the latest. */
  hold(pump: Pump): void {
    this.held[this.heldTop++] = pump;
    if (!this.scheduled && !this.turnScheduled) this.scheduleTurn();
  }

  /** Whether actors wait for their turn. */
  get othersWait(): boolean {
    return this.page[H_MORE] !== 0;
  }

  /** The same as `handOver` before the core looks at more than one actor: it has to know all that the pumps know. */
  private handOverAll(): void {
    while (this.heldTop > 0) (this.held[--this.heldTop] as Pump).tell();
    this.handOver();
  }

  /** Empties the submission queue into the mailboxes. */
  private submit(): void {
    this.handOver();
    this.native.submit();
  }

  /** Frees a slot that events of the batch may still name. */
  freeAfterBatch(slot: number): void {
    if (this.batchAt < this.batchEnd) this.late.push(slot);
    else this.slots.free(slot);
  }

  /** The batch is over. */
  freeLate(): void {
    while (this.late.length > 0) this.slots.free(this.late.pop() as number);
  }

  /** Puts what the rest of the batch holds for an actor back into its mailbox. */
  recall(cell: ActorCell): void {
    if (this.batchAt < this.batchEnd || cell.pump !== null) recall(cell);
  }

  /** Performs a control operation; arguments and results are in `args` and `results`. */
  control(op: number): void {
    if (this.disposed) {
      this.results.fill(0);
      return;
    }
    this.handOverAll();
    this.native.control(op);
    if (this.page[H_MORE] !== 0 && !this.scheduled) this.schedule();
  }

  /** The same for operations that need a name. */
  controlText(op: number, text: string): void {
    if (this.disposed) {
      this.results.fill(NIL);
      return;
    }
    this.handOverAll();
    this.native.controlText(op, text);
    if (this.page[H_MORE] !== 0 && !this.scheduled) this.schedule();
  }

  /** Performs a listing operation. */
  list(op: number, text?: string): Uint32Array {
    if (text === undefined) this.control(op);
    else this.controlText(op, text);
    return this.native.listing();
  }

  /** The state words of the chunk in which an actor is. */
  chunkOf(index: number): Uint32Array {
    const at = Math.floor(index / CHUNK_ACTORS);
    let words = this.chunks[at];
    if (words === undefined) {
      words = this.native.chunk(at) as Uint32Array;
      this.chunks[at] = words;
    }
    return words;
  }

  /** Accounts for messages that have run, and looks at the clock now and then. */
  spend(count: number): void {
    this.untilClock -= count;
    if (this.untilClock <= 0) this.lookAtClock();
  }

  private lookAtClock(): void {
    this.budget -= CLOCK_INTERVAL - this.untilClock;
    this.untilClock = CLOCK_INTERVAL;
    if (performance.now() - this.turnStart > BUDGET_MS) this.budget = 0;
    if (this.budget <= 0 && !this.turnScheduled) this.scheduleTurn();
  }

  private renew(): void {
    this.budget = BUDGET_MESSAGES;
    this.turnStart = performance.now();
    this.untilClock = CLOCK_INTERVAL;
    telemetry.refresh();
  }

  /** Has `flush` run soon: in this turn while there is budget, in the next one otherwise. */
  private schedule(): void {
    if (this.budget <= 0) {
      if (!this.turnScheduled) this.scheduleTurn();
      return;
    }
    this.scheduled = true;
    RESOLVED.then(this.flushSoon);
  }

  private scheduleTurn(): void {
    if (this.disposed) return;
    this.turnScheduled = true;
    setImmediate(this.flushNextTurn);
  }

  private flush(): void {
    this.scheduled = false;
    if (this.running || this.disposed) return;
    this.running = true;
    try {
      do {
        this.handOverAll();
        this.native.enter();
        this.spend(runBatch(this));
      } while (this.budget > 0 && this.hasWork());
    } finally {
      this.running = false;
    }
    if (!this.scheduled && this.hasWork()) this.schedule();
  }

  private hasWork(): boolean {
    return this.page[H_MORE] !== 0 || this.submitAt !== HEADER_WORDS;
  }

  /** The error for work that a closed system refuses. */
  closedError(operation: string): LibeamError {
    return new SystemShuttingDownError(operation);
  }

  /** Says that a message will not be handled. */
  deadLetter(cell: ActorCell | undefined, messageType: DeadLetterType, reason: string): void {
    if (!telemetry.active) return;
    const actor_id = cell === undefined ? undefined : cell.ref.id.id;
    telemetry.execute(TelemetryEvents.actor.deadLetter, {}, { actor_id, message_type: messageType, reason });
  }

  /** Numbers of everything that must not leak; slots of the isolate included. */
  counters(): Record<string, number> {
    if (!this.running && !this.disposed) this.flush();
    const numbers = this.list(OP_COUNTERS);
    const named = Object.fromEntries(counterNames.map((name, at) => [name, numbers[at] ?? 0]));
    let cells = 0;
    for (const cell of this.cells) if (cell !== undefined) cells++;
    return { ...named, slots: this.slots.used, cells };
  }

  /** How many actors there are, the runtime's own included. */
  countActors(): number {
    return this.list(OP_COUNTERS)[ACTORS_COUNTER] ?? 0;
  }

  /** Ends the kernel; nothing runs afterwards. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.loop.stop();
    this.native.dispose();
  }
}
