/**
 * Types of class-based actors: what the class says about its messages, its ref says too; without types all is `any`.
 */

import { Actor, type ActorRef, createActor, DynamicSupervisor, type InfoMessage, type System } from "libeam";
import { describe, expectTypeOf, test } from "vitest";

type Cast = { type: "deposit"; amount: number };
type Call = { type: "balance" };

class Account extends Actor<Cast, Call, number> {
  private balance = 0;

  override init(balance: number, _owner?: string): void {
    this.balance = balance;
  }

  override handleCast(message: Cast): void {
    expectTypeOf(this.self).toEqualTypeOf<ActorRef<Cast, Call, number>>();
    this.sendAfter({ type: "deposit", amount: message.amount }, 10);
    // @ts-expect-error a timer sends casts
    this.sendAfter({ type: "balance" }, 10);
  }

  override handleCall(_message: Call): number {
    return this.balance;
  }
}

class Loose extends Actor {
  override handleCall(message: { type: string }): string {
    return message.type;
  }
}

declare const system: System;

describe("a ref of a typed class", () => {
  const account = system.spawn(Account, { args: [0] });

  test("is what its class says", () => {
    expectTypeOf(account).toEqualTypeOf<ActorRef<Cast, Call, number>>();
    expectTypeOf(account).toExtend<ActorRef>();
  });

  test("checks messages and knows replies", () => {
    expectTypeOf(account.call({ type: "balance" })).toEqualTypeOf<Promise<number>>();
    account.call({ type: "balance" }, 100);
    account.call({ type: "balance" }, { signal: AbortSignal.timeout(1) });
    account.cast({ type: "deposit", amount: 1 });
    // @ts-expect-error there is no such call
    account.call({ type: "withdraw" });
    // @ts-expect-error the amount is missing
    account.cast({ type: "deposit" });
  });

  test("was spawned with the arguments of init", () => {
    system.spawn(Account, { args: [1, "ada"], name: "ada" });
    // @ts-expect-error the balance is a number
    system.spawn(Account, { args: ["ada"] });
  });
});

describe("a ref of an untyped class", () => {
  test("takes and gives anything", () => {
    const loose = system.spawn(Loose, { args: [1, "two"] });
    expectTypeOf(loose).toEqualTypeOf<ActorRef>();
    expectTypeOf(loose.call({ type: "any" })).resolves.toBeAny();
  });
});

describe("children", () => {
  test("are typed whoever spawns them", async () => {
    class Bank extends Actor {
      override handleInfo(message: InfoMessage): void {
        if (message.type === "down") expectTypeOf(message.actorRef).toEqualTypeOf<ActorRef>();
      }

      open() {
        expectTypeOf(this.spawn(Account, { args: [0] })).toEqualTypeOf<ActorRef<Cast, Call, number>>();
        // @ts-expect-error the balance is a number
        this.spawn(Account, { args: [true] });
      }
    }
    void Bank;
    createActor((ctx) => {
      expectTypeOf(ctx.spawn(Account, { args: [0] })).toEqualTypeOf<ActorRef<Cast, Call, number>>();
    });
    const supervisor = DynamicSupervisor.start(system);
    const child = await supervisor.startChild(Account, { args: [0] });
    expectTypeOf(child).toEqualTypeOf<ActorRef<Cast, Call, number>>();
  });
});
