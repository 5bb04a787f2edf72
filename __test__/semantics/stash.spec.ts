/**
 * S1 to S5 of docs/SEMANTICS.md: deferring messages.
 */

import { describe, expect, test } from "vitest";
import { createActor, TimeoutError } from "../../lib/index.js";
import { deliveries } from "../support/deliveries.js";
import { makeProbe } from "../support/probe.js";
import { leakFree } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, turns } from "../support/time.js";

/** Stashes `work` and `ask` until it is opened; notes what it really handles. */
function gatekeeper() {
  const seen: unknown[] = [];
  const Gatekeeper = createActor((ctx, self) => {
    let open = false;
    return self
      .onCast("work", (value: unknown) => {
        if (!open) ctx.stash();
        else seen.push(value);
      })
      .onCall("ask", (value: unknown) => {
        if (!open) {
          ctx.stash();
          return "ignored";
        }
        seen.push(value);
        return value;
      })
      .onCall("askLater", async (value: unknown) => {
        await nodeTimer();
        if (!open) {
          ctx.stash();
          return "ignored";
        }
        seen.push(value);
        return value;
      })
      .onCall("openAll", () => {
        open = true;
        ctx.unstashAll();
      })
      .onCall("openOne", () => {
        open = true;
        ctx.unstash();
      })
      .onCast("note", (value: unknown) => void seen.push(value))
      .onCall("clear", () => ctx.clearStash())
      .onCall("seen", () => [...seen])
      .onCast("crash", () => {
        throw new Error("crash");
      });
  });
  return { Gatekeeper, seen };
}

describe.each(deliveries)("$name delivery", (delivery) => {
  test("S1: stashed messages wait for unstashAll, and then come first, in their old order", async () => {
    const { system, spawn } = delivery.open();
    const { Gatekeeper, seen } = gatekeeper();
    const ref = spawn(Gatekeeper);
    for (const n of [1, 2, 3]) ref.cast("work", n);
    const asked = ref.call("ask", 4);
    expect(await ref.call("seen")).toEqual([]);
    ref.cast("note", "before");
    const opened = ref.call("openAll");
    ref.cast("note", "behind");
    await opened;
    expect(await asked).toBe(4);
    expect(await ref.call("seen")).toEqual(["before", 1, 2, 3, 4, "behind"]);
    expect(seen).toHaveLength(6);
    await leakFree(system);
  });

  test("S1: unstash brings back exactly the oldest one", async () => {
    const { system, spawn } = delivery.open();
    const { Gatekeeper } = gatekeeper();
    const ref = spawn(Gatekeeper);
    for (const n of [1, 2, 3]) ref.cast("work", n);
    await ref.call("openOne");
    expect(await ref.call("seen")).toEqual([1]);
    await ref.call("openOne");
    expect(await ref.call("seen")).toEqual([1, 2]);
    await ref.call("openAll");
    expect(await ref.call("seen")).toEqual([1, 2, 3]);
    await leakFree(system);
  });

  test("S1: a message that is stashed again keeps its place among the stashed", async () => {
    const { spawn } = delivery.open();
    const seen: number[] = [];
    const Twice = createActor((ctx, self) => {
      let rounds = 0;
      return self
        .onCast("work", (n: number) => {
          if (rounds < 2) ctx.stash();
          else seen.push(n);
        })
        .onCall("round", () => {
          rounds++;
          ctx.unstashAll();
          return rounds;
        });
    });
    const ref = spawn(Twice);
    for (const n of [1, 2, 3, 4]) ref.cast("work", n);
    await ref.call("round");
    await ref.call("round");
    await ref.call("round");
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  test.each(["ask", "askLater"] as const)(
    "S2: a call stashed in %s stays pending until it is handled",
    async (method) => {
      const { system, spawn } = delivery.open();
      const { Gatekeeper } = gatekeeper();
      const ref = spawn(Gatekeeper);
      // Into an idle actor, and out of the mailbox.
      const idle = ref.call(method, "idle");
      ref.cast("note", "between");
      const queued = ref.call(method, "queued");
      expect(await ref.call("seen")).toEqual(["between"]);
      expect([await stateOf(idle), await stateOf(queued)]).toEqual(["pending", "pending"]);
      await ref.call("openAll");
      expect([await idle, await queued]).toEqual(["idle", "queued"]);
      await leakFree(system);
    },
  );

  test.each([
    ["idle", false],
    ["busy", true],
  ])("S2: the timeout of a call stashed by an %s actor goes on", async (_, busy) => {
    const { system, spawn } = delivery.open();
    const { Gatekeeper } = gatekeeper();
    const ref = spawn(Gatekeeper);
    if (busy) ref.cast("note", "busy");
    const error = await rejection(ref.call({ method: "ask", args: ["late"] }, 15));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.context.timeoutMs).toBe(15);
    await ref.call("openAll");
    expect(await ref.call("seen")).toEqual(busy ? ["busy"] : []);
    expect(system.system._counters()).toMatchObject({ calls: 0, deadlines: 0, slots: 0 });
  });

  test("S2: stashed calls that timed out leave nothing behind", async () => {
    const { system, spawn } = delivery.open();
    const { Gatekeeper } = gatekeeper();
    const ref = spawn(Gatekeeper);
    await Promise.all(Array.from({ length: 100 }, () => rejection(ref.call({ method: "ask", args: [1] }, 5))));
    await leakFree(system);
  });

  test("S2: the system's default timeout holds for stashed calls", async () => {
    const { spawn } = delivery.open({ timeouts: { defaultCallTimeout: 15 } });
    const { Gatekeeper } = gatekeeper();
    const error = await rejection(spawn(Gatekeeper).call("ask", "late"));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.context.timeoutMs).toBe(15);
  });

  test("S3: clearStash drops casts and rejects calls", async () => {
    const { system, spawn } = delivery.open();
    const { Gatekeeper } = gatekeeper();
    const ref = spawn(Gatekeeper);
    ref.cast("work", 1);
    const asked = rejection(ref.call("ask", 2));
    await ref.call("clear");
    const error = await asked;
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toBe("Stashed message discarded");
    await ref.call("openAll");
    expect(await ref.call("seen")).toEqual([]);
    await leakFree(system);
  });

  test("S4: a restart puts stashed messages back in front of the mailbox", async () => {
    const { system, spawn } = delivery.open();
    const probe = makeProbe<string>();
    const door = gate();
    let incarnation = 0;
    const Reborn = createActor((ctx, self) => {
      const first = ++incarnation === 1;
      const handle = (value: string) => {
        if (first) ctx.stash();
        else probe.push(value);
        return value;
      };
      return self
        .onCast("work", handle)
        .onCall("ask", handle)
        .onCast("crash", async () => {
          await door.promise;
          throw new Error("crash");
        });
    });
    const ref = spawn(Reborn);
    ref.cast("work", "stashed 1");
    const asked = ref.call("ask", "stashed 2");
    ref.cast("crash");
    ref.cast("work", "waiting");
    door.open();
    expect(await asked).toBe("stashed 2");
    expect(await probe.take(3)).toEqual(["stashed 1", "stashed 2", "waiting"]);
    expect(incarnation).toBe(2);
    await leakFree(system);
  });

  test("S5: from beside the handlers it defers the message whose handler waits, and without one nothing", async () => {
    const { system, spawn } = delivery.open();
    const [first, second, door] = [gate(), gate(), gate()];
    const stashed = makeProbe<string>();
    let runs = 0;
    const Continuing = createActor((ctx, self) => {
      self
        .onContinue(async () => {
          ctx.stash(); // Nothing is handled.
          for (const { promise } of [first, second]) {
            await promise;
            ctx.stash();
            stashed.push("stash");
          }
        })
        .onCall("wait", async () => {
          await door.promise;
          return ++runs;
        })
        .onCall("all", () => ctx.unstashAll())
        .onCall("ping", () => "pong");
      return { continue: true };
    });
    const ref: any = spawn(Continuing);
    expect(await ref.call("ping")).toBe("pong");
    first.open();
    await stashed.next();
    expect(await ref.call("ping")).toBe("pong");
    const call = ref.call("wait");
    const after = ref.call("ping");
    await turns();
    second.open();
    await stashed.next();
    door.open();
    expect([await after, runs, await stateOf(call)]).toEqual(["pong", 1, "pending"]);
    await ref.call("all");
    expect(await call).toBe(2);
    await leakFree(system);
  });
});
