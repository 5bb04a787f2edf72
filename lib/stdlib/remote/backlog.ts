/**
 * What has to reach a node and found no room on its way there: kept in order and offered again after pauses that double.
 *
 * Items leave from the front, as long as they are taken. Pauses begin anew with every item that was.
 *
 * Owner: the items that wait, and the timer. Bounds are up to whoever adds them.
 */

/** The first pause before something is tried again, in milliseconds. */
export const PAUSE_MS = 10;
const PAUSE_MS_MAX = 640;

/** The pause behind one of that length. */
export function nextPause(pauseMs: number): number {
  return Math.min(2 * pauseMs, PAUSE_MS_MAX);
}

/** See the module's header. */
export class Backlog<T> {
  private items: T[] = [];
  private pauseMs = PAUSE_MS;
  private timer: NodeJS.Timeout | undefined;

  /** @param offer whether an item is not to be offered again; it may add further ones. */
  constructor(private readonly offer: (item: T) => boolean) {}

  /** How many items wait. */
  get size(): number {
    return this.items.length;
  }

  /** Has an item wait behind the others. */
  push(item: T): void {
    this.items.push(item);
    this.wait();
  }

  /** Offers again what waits, now; whether nothing does any more. */
  offerAgain(): boolean {
    let taken = 0;
    while (taken < this.items.length && this.offer(this.items[taken] as T)) taken++;
    this.items.splice(0, taken);
    if (taken > 0) this.pauseMs = PAUSE_MS;
    if (this.items.length > 0) return false;
    this.clear();
    return true;
  }

  /** Forgets what waits. */
  clear(): void {
    this.items = [];
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private wait(): void {
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (!this.offerAgain()) this.wait();
    }, this.pauseMs);
    this.timer.unref();
    this.pauseMs = nextPause(this.pauseMs);
  }
}
