/**
 * The functions of a pipeline: map, filter and flatMap, fused.
 *
 * Functions that follow one another run in one stage. An event goes through all of them before the next one begins, so
 * order is kept and at most one call is under way per stage. Functions may be asynchronous; a chunk whose functions all
 * answer at once costs no promise. When one throws, what was made of the events before is sent on, and the stage fails
 * behind it. When the run is over, no further function is called and nothing more is read of what a flatMap gave.
 *
 * What an iterable of flatMap holds is taken as it is; an async iterable's promises are waited for, as `for await` does. Its
 * iterator is closed when it is not read to its end.
 */

import { Failure } from "../failure.js";
import { isPending } from "../stage.js";

/** One function of a pipeline. */
export interface Operation {
  readonly type: "map" | "filter" | "flatMap";
  readonly apply: (event: any) => any;
}

/** What became of a chunk: what was made, and the failure behind it. */
export interface Transformed {
  readonly made: any[];
  failure: Failure | undefined;
}

/** The work on one chunk. */
interface Work extends Transformed {
  readonly operations: readonly Operation[];
  /** Nobody wants the rest. */
  isOver(): boolean;
}

/** Sends the events of a chunk through all functions. `isOver` says that nobody wants the rest. */
export function transform(
  operations: readonly Operation[],
  events: readonly any[],
  isOver: () => boolean,
): Transformed | Promise<Transformed> {
  const work: Work = { made: [], failure: undefined, operations, isOver };
  for (let at = 0; at < events.length && !isOver(); at++) {
    try {
      const pending = feed(work, 0, events[at]);
      if (pending !== undefined) return transformRest(pending, work, events, at + 1);
    } catch (error) {
      work.failure = new Failure(error, "own");
      return work;
    }
  }
  return work;
}

async function transformRest(
  first: Promise<void>,
  work: Work,
  events: readonly any[],
  from: number,
): Promise<Transformed> {
  try {
    await first;
    for (let at = from; at < events.length && !work.isOver(); at++) {
      const pending = feed(work, 0, events[at]);
      if (pending !== undefined) await pending;
    }
  } catch (error) {
    work.failure = new Failure(error, "own");
  }
  return work;
}

/** Sends one event through the functions from `from` on; what comes out is added to what was made. */
function feed(work: Work, from: number, event: any): undefined | Promise<void> {
  const { operations } = work;
  let value = event;
  for (let at = from; at < operations.length; at++) {
    if (work.isOver()) return undefined;
    const { type, apply } = operations[at];
    const result = apply(value);
    if (isPending(result)) return feedLater(work, at, value, result);
    if (type === "flatMap") return feedAll(work, at + 1, result);
    if (type === "map") value = result;
    else if (!result) return undefined;
  }
  work.made.push(value);
  return undefined;
}

async function feedLater(work: Work, at: number, value: any, pending: PromiseLike<any>): Promise<void> {
  const result = await pending;
  const { type } = work.operations[at];
  if (type === "flatMap") await feedAll(work, at + 1, result);
  else if (type === "map") await feed(work, at + 1, result);
  else if (result) await feed(work, at + 1, value);
}

function feedAll(work: Work, from: number, events: any): undefined | Promise<void> {
  if (typeof events?.[Symbol.asyncIterator] === "function") return feedEach(work, from, events);
  const iterator: Iterator<any> = (events as Iterable<any>)[Symbol.iterator]();
  try {
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      const pending = feed(work, from, next.value);
      if (pending !== undefined) return feedRest(work, from, iterator, pending);
      if (work.isOver()) break;
    }
  } catch (error) {
    leave(iterator);
    throw error;
  }
  if (work.isOver()) iterator.return?.();
  return undefined;
}

/** Goes on with an iterator when the functions have answered for one of its events. */
async function feedRest(work: Work, from: number, iterator: Iterator<any>, first: Promise<void>): Promise<void> {
  try {
    await first;
    while (!work.isOver()) {
      const next = iterator.next();
      if (next.done) return;
      const pending = feed(work, from, next.value);
      if (pending !== undefined) await pending;
    }
  } catch (error) {
    leave(iterator);
    throw error;
  }
  iterator.return?.();
}

/** Lets go of an iterator behind an error, which is the one to be told. */
function leave(iterator: Iterator<any>): void {
  try {
    iterator.return?.();
  } catch {
    // The language does the same.
  }
}

async function feedEach(work: Work, from: number, events: AsyncIterable<any>): Promise<void> {
  for await (const event of events) {
    await feed(work, from, event);
    if (work.isOver()) return;
  }
}
