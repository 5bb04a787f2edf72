/**
 * A bounded first-in, first-out buffer of events that keeps them in the arrays in which they came.
 *
 * Perf: events that come and go in the same portions are not copied ("gen_stage").
 */

const NOTHING: readonly any[] = Object.freeze([]);

/** Events that wait for demand. */
export class EventBuffer {
  /** Arrays of events, oldest first, from `head` on. */
  private chunks: (readonly any[])[] = [];
  /** Index of the first chunk that is not empty. */
  private head = 0;
  /** Events of the first chunk that are gone. */
  private offset = 0;
  private count = 0;

  constructor(
    /** Events at most. */
    readonly size: number,
    /** Which ones stay when there are more. */
    readonly keep: "first" | "last",
  ) {}

  /** Events in the buffer. */
  get length(): number {
    return this.count;
  }

  /** Adds at the end; gives the number of events that found no room and are dropped. */
  push(events: readonly any[]): number {
    const surplus = Math.max(0, this.count + events.length - this.size);
    if (surplus === 0) {
      this.append(events);
      return 0;
    }
    if (this.keep === "first") {
      // Those that were put back may exceed the size by themselves.
      const dropped = Math.min(surplus, events.length);
      this.append(events.slice(0, events.length - dropped));
      return dropped;
    }
    this.append(events);
    this.skip(surplus);
    return surplus;
  }

  /** Puts back what was taken, in front. It had its place, so nothing is dropped. */
  unshift(events: readonly any[]): void {
    if (events.length === 0) return;
    const rest = this.take(this.count);
    this.append(events);
    this.append(rest);
  }

  /** Takes up to `most` events from the front. */
  take(most: number): readonly any[] {
    if (most <= 0 || this.count === 0) return NOTHING;
    const first = this.chunks[this.head];
    const end = this.offset + most;
    if (end < first.length) {
      const taken = first.slice(this.offset, end);
      this.offset = end;
      this.count -= most;
      return taken;
    }
    const taken = this.offset === 0 ? first : first.slice(this.offset);
    this.count -= taken.length;
    this.dropFirst();
    if (taken.length === most || this.count === 0) return taken;
    return this.takeMore([...taken], most);
  }

  private takeMore(taken: any[], most: number): any[] {
    while (taken.length < most && this.count > 0) {
      const more = this.take(Math.min(most - taken.length, this.chunks[this.head].length - this.offset));
      for (const event of more) taken.push(event);
    }
    return taken;
  }

  /** Adds at the end, whatever the size: for events that have their place already. */
  append(events: readonly any[]): void {
    if (events.length === 0) return;
    this.chunks.push(events);
    this.count += events.length;
  }

  /** Drops the oldest. */
  private skip(count: number): void {
    let left = count;
    this.count -= count;
    while (left > 0) {
      const here = this.chunks[this.head].length - this.offset;
      if (left < here) {
        this.offset += left;
        return;
      }
      left -= here;
      this.dropFirst();
    }
  }

  private dropFirst(): void {
    this.chunks[this.head++] = NOTHING;
    this.offset = 0;
    if (this.head === this.chunks.length) {
      this.chunks = [];
      this.head = 0;
    }
  }
}
