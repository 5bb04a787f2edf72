/**
 * M1 to M8 of docs/SEMANTICS.md: what holds for messages.
 */

import { describe, expect, test, vi } from "vitest";
import { ActorNotFoundError, type ActorRef, createActor, TelemetryEvents, telemetry } from "../../lib/index.js";
import { actorOf } from "../support/actors.js";
import { deliveries } from "../support/deliveries.js";
import { gone, makeProbe } from "../support/probe.js";
import { leakFree, loggedErrors } from "../support/system.js";
import { gate, nodeTimer, rejection, turn, turns } from "../support/time.js";

describe.each(deliveries)("$name delivery", (delivery) => {
  test("M1: one message at a time, also while a handler's promise is pending", async () => {
    const { spawn } = delivery.open();
    let running = 0;
    let most = 0;
    let count = 0;
    const handle = async () => {
      most = Math.max(most, ++running);
      const seen = count;
      await turn();
      count = seen + 1;
      running--;
      return count;
    };
    const Counter = createActor((_ctx, self) => self.onCall("add", handle).onCast("addLater", handle));
    const ref = spawn(Counter);
    // Right after spawn, calls and casts mixed: each handler must see what the one before it did.
    const answers = [ref.call("add"), ref.call("add")];
    for (let i = 0; i < 8; i++) ref.cast("addLater");
    answers.push(ref.call("add"));
    expect(await Promise.all(answers)).toEqual([1, 2, 11]);
    expect([most, count]).toEqual([1, 11]);
  });

  test("M1: a timer's message and an info message wait for the running handler too", async () => {
    const { system, spawn } = delivery.open();
    const probe = makeProbe<string>();
    const door = gate();
    const Other = createActor(() => {});
    const other = spawn(Other);
    const Busy = createActor((ctx, self) => {
      ctx.watch(other);
      return self
        .onInfo("down", () => probe.push("down"))
        .onCast("tick", () => probe.push("tick"))
        .onCall("work", async () => {
          self.sendAfter("tick", 0);
          probe.push("begin");
          await door.promise;
          probe.push("end");
        });
    });
    const ref = spawn(Busy);
    const work = ref.call("work");
    await probe.next();
    await system.stop(other);
    await nodeTimer(5);
    expect(probe.events).toEqual(["begin"]);
    door.open();
    await work;
    await probe.atLeast(4);
    expect(probe.events.slice(0, 2)).toEqual(["begin", "end"]);
    expect(probe.events.slice(2).sort()).toEqual(["down", "tick"]);
  });

  test("M2: messages of one sender are handled in the order in which they were sent", async () => {
    const { system, spawn } = delivery.open();
    const seen: number[] = [];
    // Every seventh handler is asynchronous, so that batches are broken up.
    const ref = spawn(
      createActor((_ctx, self) =>
        self
          .onCast("n", (n: number) => {
            seen.push(n);
            if (n % 7 === 0) return turn();
          })
          .onCall("n", (n: number) => {
            seen.push(n);
            return n;
          }),
      ),
    );
    const calls: Promise<number>[] = [];
    for (let n = 0; n < 3_000; n++) {
      if (n % 100 === 99) calls.push(ref.call("n", n));
      else ref.cast("n", n);
    }
    await Promise.all(calls);
    expect(seen).toEqual(Array.from({ length: 3_000 }, (_, n) => n));
    await leakFree(system);
  });

  test("M2: an actor that sends keeps its order as well", async () => {
    const { spawn } = delivery.open();
    const seen: number[] = [];
    const sink = spawn(actorOf({ cast: (n) => void seen.push(n), call: () => seen.length }));
    const Sender = createActor((_ctx, self, to: ActorRef) =>
      self.onCall("send", (count: number) => {
        for (let n = 0; n < count; n++) to.cast(n);
        return to.call("how many");
      }),
    );
    expect(await spawn(Sender, { args: [sink] }).call("send", 500)).toBe(500);
    expect(seen).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });

  test("M3: cast never throws, and to an actor that is gone it is a dead letter and nothing else", async () => {
    const { system, host, spawn } = delivery.open();
    const handled = vi.fn();
    const ref = spawn(actorOf({ cast: handled }));
    await host.stop(ref);
    const letters = makeProbe();
    telemetry.attach("letters", [TelemetryEvents.actor.deadLetter], (_name, _measurements, metadata) =>
      letters.push(metadata),
    );
    try {
      expect(ref.cast({ type: "late" })).toBeUndefined();
      expect(await letters.next()).toMatchObject({ message_type: "cast", reason: "not_found" });
    } finally {
      telemetry.detach("letters");
    }
    for (const odd of [null, undefined, 0, Symbol("s"), () => {}, new Proxy({}, {})]) ref.cast(odd as any);
    await turns();
    expect(handled).not.toHaveBeenCalled();
    expect(loggedErrors()).toEqual([]);
    await leakFree(system);
  });

  test("M4: a cast is never handled before cast has returned", async () => {
    const { spawn } = delivery.open();
    let returned = false;
    const probe = makeProbe<boolean>();
    const ref = spawn(actorOf({ cast: () => probe.push(returned) }));
    ref.cast("go");
    returned = true;
    expect(await probe.next()).toBe(true);
  });

  test("M5: a call to an idle actor may run at once, one to a busy actor waits", async () => {
    const { spawn } = delivery.open();
    const seen: string[] = [];
    const ref = spawn(actorOf({ call: (m) => seen.push(m), cast: (m) => seen.push(m) }));
    const first = ref.call("idle");
    if (delivery.sameIsolate) expect(seen).toEqual(["idle"]);
    await first;
    ref.cast("queued");
    const second = ref.call("behind");
    // The cast waits, so the call must wait behind it.
    expect(seen).toEqual(["idle"]);
    expect(await second).toBe(3);
    expect(seen).toEqual(["idle", "queued", "behind"]);
  });

  test("M6: a call resolves with what the handler returned, awaited if it is a promise", async () => {
    const { spawn } = delivery.open();
    const value = { nested: new Map([["k", new Set([1n])]]) };
    const ref = spawn(
      actorOf({ call: (how) => (how === "plain" ? value : how === "promise" ? turn().then(() => value) : undefined) }),
    );
    const [plain, promised, nothing] = [await ref.call("plain"), await ref.call("promise"), await ref.call("none")];
    expect([plain, promised, nothing]).toEqual([value, value, undefined]);
    if (delivery.sameIsolate) {
      expect(plain).toBe(value);
      expect(promised).toBe(value);
    }
  });

  test.each(["sync", "async"])(
    "M7: what a %s call handler throws rejects the caller and changes nothing",
    async (how) => {
      const { system, spawn } = delivery.open();
      let count = 0;
      const ref = spawn(
        actorOf({
          call: (message) => {
            count++;
            if (message !== "fail") return count;
            const error = Object.assign(new RangeError("no such row"), { code: "E_ROW" });
            if (how === "sync") throw error;
            return turn().then(() => Promise.reject(error));
          },
        }),
      );
      const { id } = ref.id;
      // Once into an idle actor and once out of the mailbox.
      for (const wait of [false, true]) {
        if (wait) ref.call("first").catch(() => {});
        const error = await rejection(ref.call("fail"));
        expect(error).toBeInstanceOf(RangeError);
        expect(error).toMatchObject({ message: "no such row", code: "E_ROW" });
      }
      expect(await ref.call("count")).toBe(4);
      expect(ref.id.id).toBe(id);
      expect(loggedErrors()).toEqual([]);
      await leakFree(system);
    },
  );

  test.each([
    ["a cast that throws", "throw"],
    ["a cast that rejects", "reject"],
    ["a timer", "timer"],
    ["an info message", "info"],
    ["a continue", "continue"],
    ["a continue that rejects", "continueLater"],
  ])("M8: a failure in %s crashes the actor", async (_, how) => {
    const { system, host, spawn } = delivery.open({ supervision: { strategy: "Stop" } });
    const error = new Error(`boom in ${how}`);
    const other = spawn(createActor(() => {}));
    const Fragile = createActor((ctx, self) => {
      ctx.watch(other);
      self
        .onCast("throw", () => {
          throw error;
        })
        .onCast("reject", () => turn().then(() => Promise.reject(error)))
        .onCall("timer", () => void self.sendAfter("throw", 0))
        .onInfo("down", () => {
          throw error;
        })
        .onContinue(() => {
          if (how === "continue") throw error;
          return turn().then(() => Promise.reject(error));
        });
      return how.startsWith("continue") ? { continue: 1 } : undefined;
    });
    const ref = spawn(Fragile);
    const end = gone(host, ref); // Where the actor is, so that the watch is there before the failure.
    if (how === "timer") await ref.call("timer");
    else if (how === "info") await system.stop(other);
    else if (!how.startsWith("continue")) ref.cast(how);
    expect(await end).toEqual({ type: "error", error });
    expect(await rejection(ref.call("timer"))).toBeInstanceOf(ActorNotFoundError);
    expect(loggedErrors()).toEqual(["Actor crashed"]);
  });
});
