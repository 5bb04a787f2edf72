/**
 * Become: an actor with modes. Each mode is its own set of handlers, on a stack, instead of ifs in every handler.
 */

import { type ActorBuilder, createActor, createSystem } from "libeam";

const Turnstile = createActor("Turnstile", (ctx, self) => {
  let coins = 0;

  const unlocked = (mode: ActorBuilder) =>
    mode
      .onCall("coin", () => "thank you, it is open already")
      .onCall("push", () => {
        ctx.unbecome(); // Back to what was below: locked.
        return "you are through, locked again";
      });

  const outOfOrder = (mode: ActorBuilder) =>
    mode
      .onCall("coin", () => "out of order, your coin comes back")
      .onCall("push", () => "out of order")
      .onCall("repair", () => {
        ctx.unbecome();
        return "repaired";
      });

  return self
    .onCall("coin", () => {
      coins++;
      ctx.become(unlocked);
      return "unlocked";
    })
    .onCall("push", () => "locked, a coin please")
    .onCall("kick", () => {
      ctx.become(outOfOrder);
      return "crunch";
    })
    .onCall("repair", () => "nothing to repair")
    .onCall("coins", () => coins);
});

const system = createSystem();
const turnstile = system.spawn(Turnstile);

for (const action of ["push", "coin", "coin", "push", "push", "kick", "coin", "repair", "coin", "push"] as const) {
  console.log(`${action.padEnd(6)} → ${await turnstile.call(action)}`);
}
console.log(`coins in the box: ${await turnstile.call("coins")}`);

await system.shutdown();
