/**
 * Types of named actors: a program that augments ActorRegistry gets typed refs by name; other names stay as they were.
 */

import { Actor, type ActorContext, type ActorRef, type ActorRefFrom, createActor, type System } from "libeam";
import { describe, expectTypeOf, test } from "vitest";

const Greeter = createActor((_ctx, self, greeting: string) =>
  self.onCall("greet", (name: string) => `${greeting} ${name}`).onCast("say", (_text: string) => {}),
);

class Tally extends Actor<{ type: "add"; amount: number }, { type: "total" }, number> {}

declare module "libeam" {
  interface ActorRegistry {
    "types.greeter": typeof Greeter;
    "types.tally": typeof Tally;
  }
}

declare const system: System;
declare const ctx: ActorContext;

describe("getActorByName", () => {
  test("gives the ref of an augmented name", () => {
    expectTypeOf(system.getActorByName("types.greeter")).resolves.toEqualTypeOf<ActorRefFrom<typeof Greeter> | null>();
    expectTypeOf(ctx.getActorByName("types.greeter")).resolves.toEqualTypeOf<ActorRefFrom<typeof Greeter> | null>();
    expectTypeOf(system.system.getActorByName("types.greeter")).resolves.toEqualTypeOf<ActorRefFrom<
      typeof Greeter
    > | null>();
  });

  test("checks methods and arguments behind an augmented name", async () => {
    const greeter = await system.getActorByName("types.greeter");
    if (greeter === null) return;
    expectTypeOf(greeter.call("greet", "ada")).resolves.toEqualTypeOf<string>();
    // @ts-expect-error the argument is a string
    greeter.call("greet", 7);
    // @ts-expect-error there is no such method
    greeter.cast("shout", "ada");
  });

  test("knows classes as well", async () => {
    const tally = await system.getActorByName("types.tally");
    expectTypeOf(tally).toEqualTypeOf<ActorRef<{ type: "add"; amount: number }, { type: "total" }, number> | null>();
  });

  test("gives an untyped ref for a name that nobody declared", () => {
    expectTypeOf(system.getActorByName("types.unknown")).resolves.toEqualTypeOf<ActorRef | null>();
    expectTypeOf(ctx.getActorByName(String("computed"))).resolves.toEqualTypeOf<ActorRef | null>();
  });

  test("may find nothing", async () => {
    const greeter = await system.getActorByName("types.greeter");
    // @ts-expect-error the actor may not be there
    greeter.call("greet", "ada");
  });
});
