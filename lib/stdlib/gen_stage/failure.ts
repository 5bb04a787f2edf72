/**
 * How a stage ends that has failed without a crash of its handler: behind what it has made before.
 *
 * A handler of a source or of a pipeline gives `[events, state, new Failure(error)]`. The stage sends on what it has, as
 * with `"done"`, and when all of it is with its consumers it ends: with a crash if the error is its own, which is logged
 * once; quietly if it only passes on how its producer ended. Either way its consumers are told the error.
 */

import { isErrorLike, StageError } from "../../errors.js";
import { isOrderly, type SubscriptionEnd } from "./protocol.js";

/** The end of a stage that has failed. */
export class Failure {
  constructor(
    readonly error: unknown,
    /** Whether the stage itself failed or its producer did. */
    readonly origin: "own" | "upstream",
  ) {}
}

/** How a stage ends: all is made, or it failed. */
export type StageEnd = "done" | Failure;

/** What a handler says about the end, if anything. */
export function endOf(given: unknown): StageEnd | undefined {
  return given === "done" || given instanceof Failure ? given : undefined;
}

/** What to throw where a subscription ended abnormally; undefined if it ended in an orderly way. */
export function failureOf(reason: SubscriptionEnd): { error: unknown } | undefined {
  if (isOrderly(reason)) return undefined;
  if (reason.type === "error") return { error: reason.error };
  if (reason.type === "exit" && isErrorLike(reason.reason)) return { error: reason.reason };
  const how = reason.type === "exit" ? `exit ${JSON.stringify(reason.reason)}` : reason.type;
  return { error: new StageError(`A producer ended abnormally (${how})`, { reason }) };
}
