/** The floor by itself: awaits and plain queues, without an actor in sight. See ../floor.ts. */
import { awaitAsyncFunction, awaitExecutor, awaitResolved, plainQueue, plainQueues } from "../floor.js";
import { compare, type Suite } from "../suite.js";

export const floor: Suite = {
  name: "floor",
  title: "What the language charges",
  run: (context) =>
    compare("floor", [awaitResolved, awaitAsyncFunction, awaitExecutor, plainQueue, plainQueues], context),
};
