/**
 * combineRefs: several small actors behind one typed handle. A method finds the actor that has it.
 */

import { combineRefs, createActor, createSystem } from "libeam";

const Logbook = createActor("Logbook", (_ctx, self) => {
  const lines: string[] = [];
  return self
    .onCast("note", (line: string) => {
      lines.push(line);
    })
    .onCall("lines", () => lines.length);
});

const Speed = createActor("Speed", (_ctx, self) => {
  let knots = 0;
  return self
    .onCall("accelerate", (by: number) => {
      knots += by;
      return knots;
    })
    .onCall("speed", () => `${knots} knots`);
});

const Rudder = createActor("Rudder", (_ctx, self) => {
  let course = 0;
  return self
    .onCall("turn", (degrees: number) => {
      course = (course + degrees + 360) % 360;
      return course;
    })
    .onCall("course", () => `${course}°`);
});

const system = createSystem();
const ship = combineRefs(system.spawn(Logbook), system.spawn(Speed), system.spawn(Rudder));

// Every method is known to the type system, with its own arguments and its own result.
const knots: number = await ship.call("accelerate", 12);
ship.cast("note", `accelerated to ${knots} knots`);
const course: number = await ship.call("turn", -90);
ship.cast("note", `turned to ${course}°`);

console.log(`${await ship.call("speed")}, course ${await ship.call("course")}, ${await ship.call("lines")} notes`);
console.log(`${ship.refs.length} actors behind one handle`);

await system.shutdown();
