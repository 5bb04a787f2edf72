/**
 * The actors that the cases use, in both API styles. `take` returns what was counted and starts again from zero: it
 * closes a round and is the proof that the round's work was done.
 */
import { Actor, createActor, type createSystem } from "libeam";

export type LocalSystem = ReturnType<typeof createSystem>;

/** Any ref that can be asked to count up; a forwarder needs no more. */
export interface Incrementer {
  call(method: "increment"): Promise<number>;
}

export const Counter = createActor((_ctx, self, initial: number) => {
  let count = initial;
  return self
    .onCall("increment", () => ++count)
    .onCall("get", () => count)
    .onCall("take", () => {
      const taken = count;
      count = 0;
      return taken;
    })
    .onCast("increment", () => {
      count++;
    });
});

/** Counts in async handlers: with a bare async function, and with one that suspends. */
export const AsyncCounter = createActor((_ctx, self) => {
  const settled = Promise.resolve();
  let count = 0;
  return self
    .onCall("increment", async () => ++count)
    .onCall("suspend", async () => {
      await settled;
      return ++count;
    })
    .onCall("take", () => {
      const taken = count;
      count = 0;
      return taken;
    });
});

/** Answers a call with the answer of the next actor. */
export const Forwarder = createActor((_ctx, self, next: Incrementer) =>
  self.onCall("increment", () => next.call("increment")),
);

export interface CounterMessage {
  type: "increment" | "take";
}

export class CounterActor extends Actor {
  private count = 0;

  override init(initial = 0): void {
    this.count = initial;
  }

  override handleCall(message: CounterMessage): number {
    if (message.type === "increment") return ++this.count;
    const taken = this.count;
    this.count = 0;
    return taken;
  }

  override handleCast(_message: CounterMessage): void {
    this.count++;
  }
}
