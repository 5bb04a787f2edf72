/**
 * Process groups: a name for many actors. Who joins first is listed first; who ends has left all groups.
 */

import { createActor, createSystem } from "libeam";

const Sensor = createActor("Sensor", (ctx, self, place: string, groups: string[]) => {
  let readings = 0;
  for (const group of groups) ctx.system.joinGroup(group, ctx.self);
  return self
    .onCast("measure", (what: string) => {
      readings++;
      console.log(`  ${place} measures the ${what}`);
    })
    .onCall("readings", () => `${place}: ${readings}`);
});

const system = createSystem();
system.spawn(Sensor, { name: "cellar", args: ["the cellar", ["all", "indoors"]] });
system.spawn(Sensor, { name: "attic", args: ["the attic", ["all", "indoors"]] });
const garden = system.spawn(Sensor, { name: "garden", args: ["the garden", ["all"]] });

const membersOf = (group: string) => system.getGroup(group).map((member) => member.id.name);
console.log("all:", membersOf("all"), "indoors:", membersOf("indoors"));

console.log("everybody:");
system.broadcast("all", { method: "measure", args: ["temperature"] });
console.log("indoors only:");
system.broadcast("indoors", { method: "measure", args: ["humidity"] });

for (const sensor of system.getGroup("all")) console.log(await sensor.call({ method: "readings" }));

await system.stop(garden);
console.log("after the garden's end:", membersOf("all"));

await system.shutdown();
