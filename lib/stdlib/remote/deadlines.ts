/**
 * Deadlines of what waits for other nodes: many, mostly with the same patience, and nearly all taken back.
 *
 * Deadlines of one patience come due in the order in which they were made, so each patience has a list and one timer for
 * the first of it (as `timer/deadlines.rs` of the core does for calls that wait here). Adding and removing cost no timer.
 * None comes early, and the timers keep no process up when nothing waits.
 */

/** One deadline. */
export class Deadline {
  constructor(
    /** @internal */
    readonly lane: Lane,
    /** Milliseconds of the monotonic clock. */
    readonly dueMs: number,
    /** What happens then. */
    readonly expire: () => void,
  ) {}
}

/** Deadlines with the same patience, earliest first. */
class Lane {
  readonly waiting = new Set<Deadline>();
  timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly patienceMs: number) {}
}

/** Patiences that are remembered; the list of a further one is forgotten when it is empty. */
const LANES_MAX = 64;
/** The most that a timer of Node takes; a list looks again then. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** See the module's header. */
export class Deadlines {
  private readonly lanes = new Map<number, Lane>();

  /** Calls `expire` after so many milliseconds, unless it is removed before; undefined for Infinity. */
  add(patienceMs: number, expire: () => void): Deadline | undefined {
    if (patienceMs === Number.POSITIVE_INFINITY) return undefined;
    const lane = this.laneOf(patienceMs);
    const deadline = new Deadline(lane, performance.now() + patienceMs, expire);
    lane.waiting.add(deadline);
    if (lane.timer === undefined) this.arm(lane, patienceMs);
    else if (lane.waiting.size === 1) lane.timer.ref();
    return deadline;
  }

  /** Takes a deadline back. */
  remove(deadline: Deadline | undefined): void {
    if (deadline === undefined) return;
    const { lane } = deadline;
    if (!lane.waiting.delete(deadline) || lane.waiting.size > 0) return;
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
    const now = performance.now();
    for (const deadline of lane.waiting) {
      if (deadline.dueMs > now) {
        this.arm(lane, deadline.dueMs - now);
        return;
      }
      lane.waiting.delete(deadline);
      deadline.expire();
    }
    this.lanes.delete(lane.patienceMs);
  }

  private close(lane: Lane): void {
    clearTimeout(lane.timer);
    this.lanes.delete(lane.patienceMs);
  }
}
