/**
 * Links: what belongs together falls together. Whoever traps exits gets a message instead.
 */

import { type ActorRef, createActor, createSystem, loggerConfig } from "libeam";

loggerConfig.configure({ handler: ({ error }) => console.log(`  crash: ${error?.message}`) });

const Part = createActor("Part", (ctx, self, name: string) =>
  self
    .onCall("link", (other: ActorRef) => ctx.link(other).id)
    .onCast("fail", () => {
      throw new Error(`${name} is out of order`);
    })
    .onTerminate(() => console.log(`  ${name} ends`)),
);

const Operator = createActor("Operator", (ctx, self) => {
  ctx.setTrapExit(true);
  let exits = 0;
  return self
    .onCall("mind", (machine: ActorRef) => ctx.link(machine).id)
    .onInfo("exit", ({ reason }) => {
      exits++;
      console.log(`  the operator sees an exit of type "${reason.type}" and stays`);
    })
    .onCall("exits", () => exits);
});

// Nobody is started again here, so that a fall stays a fall.
const system = createSystem({ supervision: { strategy: "Stop" } });
const pump = system.spawn(Part, { args: ["pump"] });
const motor = system.spawn(Part, { args: ["motor"] });
const operator = system.spawn(Operator);

await pump.call("link", motor);
await operator.call("mind", pump);

console.log("the motor fails");
motor.cast("fail");
await motor.call("link", pump).catch((error: Error) => console.log(`  the motor: ${error.name}`));
await pump.call("link", motor).catch((error: Error) => console.log(`  the pump: ${error.name}`));
while ((await operator.call("exits")) === 0) await new Promise(setImmediate);
console.log("the operator is still there");

await system.shutdown();
