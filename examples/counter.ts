/**
 * A counter: the state is a closure, messages come one at a time, and the ref knows the types of the handlers.
 */

import { createActor, createSystem } from "libeam";

const Counter = createActor("Counter", (_ctx, self, start: number) => {
  let count = start;
  return self
    .onCall("get", () => count)
    .onCall("add", (amount: number) => {
      count += amount;
      return count;
    })
    .onCast("reset", () => {
      count = start;
    });
});

const system = createSystem();
const counter = system.spawn(Counter, { args: [10] });

// A call waits for its answer, a cast does not.
console.log("10 + 5 is", await counter.call("add", 5));

// A thousand callers at once, and no update is lost.
await Promise.all(Array.from({ length: 1_000 }, () => counter.call("add", 1)));
console.log("after a thousand concurrent calls:", await counter.call("get"));

counter.cast("reset");
console.log("after the reset:", await counter.call("get"));

await system.shutdown();
