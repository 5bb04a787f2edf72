/**
 * Agent: one value behind an actor, for state that needs an owner and no behaviour of its own.
 */

import { Agent, createSystem } from "libeam";

const system = createSystem();
const stock = Agent.start(system, { apples: 3, pears: 0 });

// Updates run one after the other, on the newest value, whoever asks for them.
const buyers = ["ada", "joe", "mike", "robert"];
const sold = await Promise.all(
  buyers.map(async (buyer) => {
    const before = await stock.getAndUpdate((now) => (now.apples > 0 ? { ...now, apples: now.apples - 1 } : now));
    return `${buyer} ${before.apples > 0 ? "gets an apple" : "is too late"}`;
  }),
);
console.log(sold.join("\n"));

// What an update throws is the caller's problem; the value stays as it was.
await stock
  .update(() => {
    throw new Error("the scales are broken");
  })
  .catch((error: Error) => console.log(`update refused: ${error.message}`));

stock.cast((now) => ({ ...now, pears: 12 }));
console.log("in stock:", await stock.get());

await stock.stop();
await system.shutdown();
