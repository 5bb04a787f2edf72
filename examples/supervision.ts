/**
 * Let it crash: a parent has its children started again with a clean state, and everybody's refs keep working.
 */

import { createActor, createSystem, loggerConfig } from "libeam";

loggerConfig.configure({ handler: ({ message, error }) => console.log(`  log: ${message}: ${error?.message}`) });

const Worker = createActor("Worker", (_ctx, self, id: string) => {
  let jobs = 0;
  console.log(`  ${id} starts`);
  return self
    .onCast("work", (job: string) => {
      if (job === "poison") throw new Error(`${id} cannot digest "${job}"`);
      jobs++;
    })
    .onCall("jobs", () => jobs)
    .preRestart(() => console.log(`  ${id} will be started again`));
});

const Team = createActor("Team", (ctx, self) => {
  // The others do not notice a crash of one: "one-for-one". Three crashes within a second are too many.
  self.childSupervision({ strategy: "one-for-one", maxRestarts: 2, periodMs: 1_000 });
  const left = ctx.spawn(Worker, { args: ["left"] });
  const right = ctx.spawn(Worker, { args: ["right"] });
  ctx.watch(right);
  return self
    .onCall("workers", () => ({ left, right }))
    .onInfo("down", ({ reason }) => console.log(`  the team lost a worker for good, reason: ${reason.type}`));
});

const system = createSystem();
const team = system.spawn(Team);
const { left, right } = await team.call("workers");

left.cast("work", "apple");
right.cast("work", "pear");
console.log("jobs done:", await left.call("jobs"), await right.call("jobs"));

console.log("\none crash: right forgets, left does not notice, no message after the bad one is lost");
right.cast("work", "poison");
right.cast("work", "plum");
console.log("jobs done:", await left.call("jobs"), await right.call("jobs"));

console.log("\ntwo more: that was the limit");
right.cast("work", "poison");
right.cast("work", "poison");
await right.call("jobs").catch((error: Error) => console.log(`  ${error.name}: ${error.message.split(":")[0]}`));
console.log("left still works:", await left.call("jobs"));

await system.shutdown();
