/**
 * The functions of a pipeline: map, filter and flatMap, fused.
 *
 * Functions that follow one another run in one stage. An event goes through all of them before the next one begins, so
 * order is kept and at most one call is under way per stage. Functions may be asynchronous; a chunk whose functions all
 * answer at once costs no promise. When one throws, what was made of the events before is sent on, and the stage fails
 * behind it.
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

/** Sends the events of a chunk through all functions. `isOver` says that nobody wants the rest. */
export function transform(
  operations: readonly Operation[],
  events: readonly any[],
  isOver: () => boolean,
): Transformed | Promise<Transformed> {
  const result: Transformed = { made: [], failure: undefined };
  for (let at = 0; at < events.length; at++) {
    try {
      const pending = feed(operations, 0, events[at], result.made);
      if (pending !== undefined) return transformRest(pending, operations, events, at + 1, result, isOver);
    } catch (error) {
      result.failure = new Failure(error, "own");
      return result;
    }
  }
  return result;
}

async function transformRest(
  first: Promise<void>,
  operations: readonly Operation[],
  events: readonly any[],
  from: number,
  result: Transformed,
  isOver: () => boolean,
): Promise<Transformed> {
  try {
    await first;
    for (let at = from; at < events.length && !isOver(); at++) {
      const pending = feed(operations, 0, events[at], result.made);
      if (pending !== undefined) await pending;
    }
  } catch (error) {
    result.failure = new Failure(error, "own");
  }
  return result;
}

/** Sends one event through the functions from `from` on; what comes out is added to `made`. */
function feed(operations: readonly Operation[], from: number, event: any, made: any[]): undefined | Promise<void> {
  let value = event;
  for (let at = from; at < operations.length; at++) {
    const { type, apply } = operations[at];
    const result = apply(value);
    if (isPending(result)) return feedLater(operations, at, value, result, made);
    if (type === "flatMap") return feedAll(operations, at + 1, result, made);
    if (type === "map") value = result;
    else if (!result) return undefined;
  }
  made.push(value);
  return undefined;
}

async function feedLater(
  operations: readonly Operation[],
  at: number,
  value: any,
  pending: PromiseLike<any>,
  made: any[],
): Promise<void> {
  const result = await pending;
  const { type } = operations[at];
  if (type === "flatMap") await feedAll(operations, at + 1, result, made);
  else if (type === "map") await feed(operations, at + 1, result, made);
  else if (result) await feed(operations, at + 1, value, made);
}

function feedAll(operations: readonly Operation[], from: number, events: any, made: any[]): undefined | Promise<void> {
  if (typeof events?.[Symbol.asyncIterator] === "function") return feedEach(operations, from, events, made);
  const iterator: Iterator<any> = (events as Iterable<any>)[Symbol.iterator]();
  try {
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      const pending = feed(operations, from, next.value, made);
      if (pending !== undefined) return pending.then(() => feedEach(operations, from, rest(iterator), made));
    }
    return undefined;
  } catch (error) {
    iterator.return?.();
    throw error;
  }
}

async function feedEach(
  operations: readonly Operation[],
  from: number,
  events: Iterable<any> | AsyncIterable<any>,
  made: any[],
): Promise<void> {
  for await (const event of events) await feed(operations, from, event, made);
}

/** What an iterator has left. */
function rest(iterator: Iterator<any>): Iterable<any> {
  return { [Symbol.iterator]: () => iterator };
}
