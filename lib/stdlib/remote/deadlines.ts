/**
 * Deadlines of what waits for other nodes: many, mostly with the same patience, and nearly all taken back.
 *
 * Deadlines of one patience come due in the order in which they were made, so each patience has a list and one timer for
 * the first of it (as `timer/deadlines.rs` of the core does for calls that wait here). Adding and removing cost no timer.
 * None comes early, and the timers keep no process up when nothing waits.
 */

// Perf: the global of the same name is a getter that costs more than the clock.
import { performance } from "node:perf_hooks";

/** Who has a deadline. */
export interface Expiring {
  /** It has come. */
  expired(): void;
}

/** One deadline, in the list of its lane. */
export class Deadline {
  /** @internal */
  lane: Lane | undefined;
  /** @internal */
  before: Deadline | undefined;
  /** @internal */
  after: Deadline | undefined;

  constructor(
    lane: Lane,
    /** Milliseconds of the monotonic clock. */
    readonly dueMs: number,
    /** Who is told. */
    readonly owner: Expiring,
  ) {
    this.lane = lane;
  }
}

/**
 * Deadlines with the same patience, earliest first.
 *
 * Perf: a list of their own links, and no Set; see tickets.ts. What is removed lets go of its neighbours for the same reason.
 */
class Lane {
  first: Deadline | undefined;
  last: Deadline | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly patienceMs: number) {}

  append(deadline: Deadline): void {
    deadline.before = this.last;
    if (this.last === undefined) this.first = deadline;
    else this.last.after = deadline;
    this.last = deadline;
  }

  remove(deadline: Deadline): void {
    const { before, after } = deadline;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    deadline.lane = undefined;
    deadline.before = undefined;
    deadline.after = undefined;
  }
}

/** Patiences that are remembered; the list of a further one is forgotten when it is empty. */
const LANES_MAX = 64;
/** The most that a timer of Node takes; a list looks again then. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** See the module's header. */
export class Deadlines {
  private readonly lanes = new Map<number, Lane>();

  constructor(private readonly clock: { now(): number } = performance) {}

  /** Tells `owner` after so many milliseconds, unless it is removed before; undefined for Infinity. */
  add(patienceMs: number, owner: Expiring): Deadline | undefined {
    if (patienceMs === Number.POSITIVE_INFINITY) return undefined;
    const lane = this.laneOf(patienceMs);
    const deadline = new Deadline(lane, this.clock.now() + patienceMs, owner);
    const wasEmpty = lane.first === undefined;
    lane.append(deadline);
    if (lane.timer === undefined) this.arm(lane, patienceMs);
    else if (wasEmpty) lane.timer.ref();
    return deadline;
  }

  /** Takes a deadline back. */
  remove(deadline: Deadline | undefined): void {
    const lane = deadline?.lane;
    if (deadline === undefined || lane === undefined) return;
    lane.remove(deadline);
    if (lane.first !== undefined) return;
    lane.timer?.unref();
    if (this.lanes.size > LANES_MAX) this.close(lane);
  }

  private laneOf(patienceMs: number): Lane {
    let lane = this.lanes.get(patienceMs);
    if (lane === undefined) {
      lane = new Lane(patienceMs);
      this.lanes.set(patienceMs, lane);
    }
    return lane;
  }

  private arm(lane: Lane, inMs: number): void {
    lane.timer = setTimeout(() => this.look(lane), Math.min(Math.ceil(inMs), TIMER_MS_MAX));
  }

  private look(lane: Lane): void {
    lane.timer = undefined;
    const now = this.clock.now();
    for (let deadline = lane.first; deadline !== undefined; deadline = lane.first) {
      if (deadline.dueMs > now) {
        if (lane.timer === undefined) this.arm(lane, deadline.dueMs - now);
        return;
      }
      lane.remove(deadline);
      deadline.owner.expired();
    }
    clearTimeout(lane.timer); // Something has been added and removed meanwhile.
    lane.timer = undefined;
    this.lanes.delete(lane.patienceMs);
  }

  private close(lane: Lane): void {
    clearTimeout(lane.timer);
    this.lanes.delete(lane.patienceMs);
  }
}
