/**
 * Actors for the nodes of a TestCluster: one functional, one class-based.
 */

import { Actor, createActor } from "../../../lib/index.ts";

/** Keeps a balance. */
export const Account = createActor((ctx, self, start = 0) => {
  let balance: number = start;
  return self
    .onCall("deposit", (amount: number) => {
      balance += amount;
      return balance;
    })
    .onCall("balance", () => balance)
    .onCall("where", () => ctx.self.id.systemId)
    .onCall("pid", () => process.pid)
    .onCall("fail", () => {
      throw Object.assign(new RangeError("no funds"), { code: Symbol("funds") });
    })
    .onCast("set", (amount: number) => {
      balance = amount;
    });
});

/** Answers with what it is asked. */
export class Echo extends Actor {
  override handleCall(message: unknown): unknown {
    return message;
  }
}
