/**
 * Timers: an actor's own messages to itself, later. They end with the actor, so nothing has to be cleaned up.
 */

import { createActor, createSystem } from "libeam";

const Egg = createActor("Egg", (ctx, self, minutes: number) => {
  const start = performance.now();
  const log = (text: string) =>
    console.log(`  ${String(Math.round(performance.now() - start)).padStart(3)} ms  ${text}`);
  let left = minutes;

  // A tick is an ordinary cast: it waits for its turn, and never runs beside another handler.
  const ticking = self.sendInterval("tick", 20);
  const forgotten = self.sendAfter("burn", 1_000);

  return self
    .onCast("tick", () => {
      log(`${left} to go`);
      left--;
      if (left > 0) return;
      self.cancelTimer(ticking);
      // Whole messages work as well: their type names the handler.
      self.sendAfter({ type: "ring", volume: "loud" }, 30);
    })
    .onCast("ring", ({ volume }: { volume: string }) => {
      log(`RING (${volume})`);
      log(`the timer for burning was cancelled: ${self.cancelTimer(forgotten)}`);
      ctx.exit();
    })
    .onCast("burn", () => log("smoke!"));
});

const system = createSystem();
console.log("an egg for three minutes, in fast motion");
system.spawn(Egg, { args: [3] });

// No shutdown: a system in which nothing is left to happen lets the process end.
