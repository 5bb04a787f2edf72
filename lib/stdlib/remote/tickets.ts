/**
 * Numbers for what waits for an answer: a place in an array, and how often the place was used.
 *
 * Perf: not a Map. One that entries enter and leave all the time is built anew all the time, and V8 chains the old tables to
 * the new ones; once such a table is in the old generation, everything that waited since stays alive until the next full
 * collection ("64 in flight": collections took 30 % of the time).
 *
 * Numbers fit into 32 bits. A number is given again after its place was used 4,096 times.
 */

const PLACE_BITS = 20;
const PLACES_MAX = 2 ** PLACE_BITS;
const PLACE_MASK = PLACES_MAX - 1;
const USES_MASK = 0xfff;

/** The place of a number, from 0 to 2^20 - 1. */
export function placeOf(number: number): number {
  return number & PLACE_MASK;
}

/** See the module's header. */
export class Tickets<T> {
  private readonly values: (T | undefined)[] = [];
  private readonly numbers: number[] = [];
  private readonly free: number[] = [];

  /** Keeps a value and gives its number; undefined if 2^20 values are kept. */
  add(value: T): number | undefined {
    let place = this.free.pop();
    if (place === undefined) {
      place = this.values.length;
      if (place === PLACES_MAX) return undefined;
      this.values.push(undefined);
      this.numbers.push(place);
    }
    this.values[place] = value;
    return this.numbers[place];
  }

  /** Forgets the value of a number and gives it. */
  take(number: number): T | undefined {
    const place = number & PLACE_MASK;
    const value = this.values[place];
    if (value === undefined || this.numbers[place] !== number) return undefined;
    this.values[place] = undefined;
    const uses = ((number >>> PLACE_BITS) + 1) & USES_MASK;
    this.numbers[place] = ((uses << PLACE_BITS) | place) >>> 0;
    this.free.push(place);
    return value;
  }

  /** How many values are kept. */
  get size(): number {
    return this.values.length - this.free.length;
  }

  /** Values that are kept, with their numbers. */
  entries(): [number: number, value: T][] {
    const entries: [number, T][] = [];
    for (const [place, value] of this.values.entries()) {
      if (value !== undefined) entries.push([this.numbers[place] as number, value]);
    }
    return entries;
  }
}
