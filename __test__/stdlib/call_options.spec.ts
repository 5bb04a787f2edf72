/**
 * Timeouts and abort signals of calls, in all forms in which they can be given.
 */

import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import {
  Actor,
  CallAbortedError,
  createActor,
  type InMemoryTransport,
  InvalidArgumentError,
  InvalidOptionError,
  TelemetryEvents,
  TimeoutError,
  telemetry,
} from "../../lib/index.js";
import { leakFree, makeSystem } from "../support/system.js";
import { block, gate, nodeTimer, rejection, stateOf, turns } from "../support/time.js";

const Slow = createActor("Slow", (_ctx, self) =>
  self
    .onCall("never", () => gate().promise)
    .onCall("never2", (_a: number, _b: number) => gate().promise)
    .onCall("echo", (value: any) => value)
    .onCall("count", (...args: any[]) => args.length)
    .onCall("optional", (a = 1, options?: any) => [a, options]),
);

class SlowClass extends Actor {
  override handleCall(message: any): any {
    return message === "never" ? gate().promise : message;
  }
}

function slow(config = {}) {
  const system = makeSystem(config);
  return { system, ref: system.spawn(Slow), old: system.spawn(SlowClass) };
}

/** Asserts that a call ends by its timeout and not by another one. */
async function timesOut(promise: Promise<unknown>, ms: number): Promise<void> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error.message).toBe(`Operation timed out after ${ms}ms: actor call`);
  expect(error.context).toEqual({ operation: "actor call", timeoutMs: ms });
}

describe("a timeout", () => {
  it("may be a number, an option, or follow a method's arguments", async () => {
    const { ref, old } = slow();
    await Promise.all([
      timesOut(old.call("never", 5), 5),
      timesOut(ref.call({ method: "echo", args: [gate().promise] }, 5), 5),
    ]);
    const { ref: second, system } = slow();
    await timesOut(second.call({ method: "never" }, 6), 6);
    await timesOut(second.call({ method: "never" }, { timeout: 7 }), 7);
    await timesOut(second.call("never", { timeout: 8 }), 8);
    await timesOut(second.call("never2", 1, 2, { timeout: 9 }), 9);
    expect(system.system._counters().deadlines).toBe(0);
  });

  it("is not early", async () => {
    const { old } = slow();
    for (const ms of [1, 2, 5, 17]) {
      const start = performance.now();
      await timesOut(old.call("never", ms), ms);
      expect(performance.now() - start).toBeGreaterThanOrEqual(ms);
      await rejection(old.call("never", 0));
    }
  });

  it("of zero ends at once what cannot be answered at once", async () => {
    const { old } = slow();
    await timesOut(old.call("never", 0), 0);
    expect(await slow().old.call("now", 0)).toBe("now");
  });

  it("defaults to the system's", async () => {
    const { system, ref } = slow({ timeouts: { defaultCallTimeout: 12 } });
    await timesOut(ref.call("never"), 12);
    await timesOut(system.spawn(SlowClass).call("never"), 12);
    await timesOut(system.spawn(SlowClass).call("never", {}), 12);
    await timesOut(system.spawn(SlowClass).call("never", { timeout: undefined }), 12);
    await timesOut(system.spawn(SlowClass).call("never", 3), 3);
    await timesOut(system.system.dispatchCall(system.spawn(SlowClass).id.id, "never"), 12);
  });

  it("holds for a call to an idle actor, to a busy one and to one that starts", async () => {
    const { system, old } = slow();
    await Promise.all([timesOut(old.call("never", 5), 5), timesOut(old.call("never", 10), 10)]);
    const Starting = createActor(async () => gate().promise);
    await timesOut((system.spawn(Starting) as any).call({ method: "x" }, 5), 5);
  });

  it("of Infinity is none", async () => {
    const { ref } = slow({ timeouts: { defaultCallTimeout: 5 } });
    const forever = ref.call({ method: "never" }, { timeout: Number.POSITIVE_INFINITY });
    await timesOut(ref.call("echo", 1), 5);
    expect(await stateOf(forever)).toBe("pending");
    const { old } = slow({ timeouts: { defaultCallTimeout: Number.POSITIVE_INFINITY } });
    const system = old.call("never");
    await timesOut(old.call("never", 5), 5);
    expect(await stateOf(system)).toBe("pending");
    const { system: third } = slow({ timeouts: { defaultCallTimeout: Number.POSITIVE_INFINITY } });
    const Stasher = createActor((ctx, self) =>
      self.onCall("defer", () => ctx.stash()).onCall("never", () => gate().promise),
    );
    const stasher = third.spawn(Stasher);
    const stashed = stasher.call("defer");
    await timesOut(stasher.call("never", { timeout: 5 }), 5);
    expect(await stateOf(stashed)).toBe("pending");
  });

  it("that has a fraction lasts at least that long", async () => {
    const { old } = slow();
    const start = performance.now();
    expect(await rejection(old.call("never", 2.5))).toBeInstanceOf(TimeoutError);
    expect(performance.now() - start).toBeGreaterThanOrEqual(2.5);
  });

  it("is over when the answer is there", async () => {
    const { system, ref } = slow();
    for (let i = 0; i < 100; i++) await ref.call({ method: "echo", args: [i] }, 60_000);
    await leakFree(system);
  });

  it.each([-1, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 31, "5", null, {}, 5n])(
    "of %s is refused",
    async (timeout) => {
      const { ref, old } = slow();
      for (const call of [
        old.call("now", { timeout } as any),
        ref.call({ method: "echo", args: [1] }, { timeout } as any),
        ref.call("echo", 1, { timeout } as any),
      ]) {
        expect(await rejection(call)).toBeInstanceOf(InvalidOptionError);
      }
      expect(await ref.call("echo", 1)).toBe(1);
    },
  );

  it.each([-1, Number.NaN, 2 ** 31])("of the number %d is refused", async (timeout) => {
    expect(await rejection(slow().old.call("now", timeout))).toBeInstanceOf(InvalidOptionError);
  });

  it.each([null, "5", [], () => {}, true])("of %s instead of options is refused", async (options) => {
    expect(await rejection(slow().old.call("now", options as any))).toBeInstanceOf(InvalidOptionError);
  });
});

describe("an options object among arguments", () => {
  it("is an argument where the handler has a parameter for it", async () => {
    const { ref } = slow();
    expect(await ref.call("echo", { timeout: 5 })).toEqual({ timeout: 5 });
    expect(await ref.call("echo", { timeout: 5, signal: null })).toEqual({ timeout: 5, signal: null });
  });

  it("is an argument when it has anything else in it, or nothing", async () => {
    const { ref } = slow();
    expect(await ref.call("count", 1, { timeout: 5, other: 1 })).toBe(2);
    expect(await ref.call("count", 1, {})).toBe(2);
    expect(await ref.call("count", 1, [])).toBe(2);
    expect(await ref.call("count", { timeout: 5 }, 1)).toBe(2);
  });

  it("is taken as options beyond the declared parameters", async () => {
    const { ref } = slow();
    expect(await ref.call("count", 1, { timeout: 50 })).toBe(1);
    expect(await ref.call("echo", 7, { timeout: 50 })).toBe(7);
  });

  it("holds as well for a method that an asynchronous factory registers later", async () => {
    const system = makeSystem();
    const door = gate();
    const Late = createActor(async (_ctx, self) => {
      await door.promise;
      return self.onCall("never", () => gate().promise);
    });
    const ref: any = system.spawn(Late);
    const call = timesOut(ref.call("never", { timeout: 5 }), 5);
    await turns();
    door.open();
    await call;
  });
});

describe("whether an options object is an argument", () => {
  const options = { timeout: 50_000 };

  it("is up to the handler that an asynchronous factory registers later", async () => {
    const system = makeSystem();
    const Late = createActor(async (_ctx, self) => {
      await nodeTimer();
      return self.onCall("connect", (to: unknown) => to).onCall("count", (...all: unknown[]) => all.length);
    });
    const ref: any = system.spawn(Late);
    const early = [ref.call("connect", options), ref.call("connect", 1, options), ref.call("count", options)];
    expect(await Promise.all(early)).toEqual([options, 1, 0]);
    expect(await ref.call("connect", options)).toEqual(options);
    await leakFree(system);
  });

  it("is up to a handler of another node, too", async () => {
    const [near, far] = [makeSystem({ nodeId: "near" }), makeSystem({ nodeId: "far" })];
    (near.transport as InMemoryTransport).setPeer("far", far.transport as InMemoryTransport);
    (far.transport as InMemoryTransport).setPeer("near", near.transport as InMemoryTransport);
    const Server = createActor((_ctx, self) =>
      self.onCall("connect", (to: unknown) => to).onCall("count", (...all: unknown[]) => all.length),
    );
    const ref: any = near.system.getRef(far.spawn(Server).id);
    expect(await ref.call("connect", options)).toEqual(options);
    expect(await ref.call("connect", 1, options)).toBe(1);
    expect(await ref.call("count", 1, 2, options)).toBe(2);
  });

  it("is asked once, also when the call is stashed or observed", async () => {
    const system = makeSystem();
    let open = false;
    const Stashing = createActor((ctx, self) =>
      self
        .onCall("three", (a: unknown, b: unknown, c: unknown) => {
          if (!open) ctx.stash();
          return [a, b, c];
        })
        .onCast("open", () => {
          open = true;
          ctx.unstashAll();
        }),
    );
    const ref: any = system.spawn(Stashing);
    const stashed = [ref.call("three", 1, options)];
    ref.cast("nothing");
    stashed.push(ref.call("three", 1, options));
    ref.cast("open");
    expect(await Promise.all(stashed)).toEqual([
      [1, options, undefined],
      [1, options, undefined],
    ]);
    telemetry.attach("options", [[...TelemetryEvents.actor.handleCall, "stop"]], () => {});
    try {
      expect(await ref.call("three", 1, options)).toEqual([1, options, undefined]);
    } finally {
      telemetry.detach("options");
    }
    await leakFree(system);
  });

  it("is up to the handler that is in place when the call is handled", async () => {
    const system = makeSystem();
    const Changing = createActor((ctx, self) =>
      self
        .onCast("change", () => ctx.become((other) => other.onCall("connect", (to: unknown) => to)))
        .onCall("connect", () => "nothing"),
    );
    const ref: any = system.spawn(Changing);
    expect(await ref.call("connect", options)).toBe("nothing");
    ref.cast("change");
    expect(await ref.call("connect", options)).toEqual(options);
    await leakFree(system);
  });
});

describe("a signal", () => {
  it("aborts a waiting and a running call, with its reason as the cause", async () => {
    const { system, ref } = slow({ limits: { stopTimeoutMs: 10 } });
    const reason = new Error("user left");
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [
      ref.call("never", { signal }),
      ref.call("never2", 1, 2, { signal }),
      ref.call({ method: "never" }, { signal }),
      ref.call({ method: "echo", args: [1] }, { timeout: 60_000, signal }),
    ].map(rejection);
    controller.abort(reason);
    for (const error of await Promise.all(calls)) {
      expect(error).toBeInstanceOf(CallAbortedError);
      expect(error).toMatchObject({ code: "CALL_ABORTED", cause: reason });
    }
    await system.stop(ref);
    await leakFree(system);
  });

  it("that is aborted already sends nothing", async () => {
    const { old, system } = slow();
    let handled = 0;
    const Count = createActor((_ctx, self) => self.onCall("n", () => ++handled));
    const error = await rejection(system.spawn(Count).call("n", { signal: AbortSignal.abort("before") }));
    expect([error.code, error.cause, handled]).toEqual(["CALL_ABORTED", "before", 0]);
    expect(await rejection(old.call("now", { signal: AbortSignal.abort() }))).toBeInstanceOf(CallAbortedError);
  });

  it("that aborts after the answer changes nothing, and is let go of", async () => {
    const { ref } = slow();
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: any[]) => {
      listeners++;
      (addEventListener as any).apply(signal, args);
    };
    signal.removeEventListener = (...args: any[]) => {
      listeners--;
      (removeEventListener as any).apply(signal, args);
    };
    const blocked = ref.call("echo", Promise.resolve("first"), { signal });
    const waiting = ref.call("echo", "second", { signal });
    expect([await blocked, await waiting]).toEqual(["first", "second"]);
    expect(listeners).toBe(0);
    controller.abort();
    await turns();
    expect(await ref.call("echo", 3)).toBe(3);
  });

  it("of AbortSignal.timeout works", async () => {
    const error = await rejection(slow().ref.call("never", { signal: AbortSignal.timeout(5) }));
    expect(error).toBeInstanceOf(CallAbortedError);
    expect(error.cause.name).toBe("TimeoutError");
  });

  it("and a timeout race, the first one counts", async () => {
    const { old } = slow();
    const controller = new AbortController();
    await timesOut(old.call("never", { timeout: 5, signal: controller.signal }), 5);
    controller.abort();
    const both = old.call("never", { timeout: 60_000, signal: AbortSignal.timeout(5) });
    expect(await rejection(both)).toBeInstanceOf(CallAbortedError);
  });

  it("has one listener for all the calls that it withdraws", async () => {
    const { system, ref } = slow();
    const controller = new AbortController();
    const { signal } = controller;
    ref.call("never").catch(() => {});
    const calls = Array.from({ length: 20 }, () => rejection(ref.call("echo", 1, { signal })));
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    controller.abort();
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(CallAbortedError);
    const other = new AbortController();
    const { ref: quick } = slow();
    await Promise.all(Array.from({ length: 20 }, () => quick.call("echo", 2, { signal: other.signal })));
    expect(getEventListeners(other.signal, "abort")).toHaveLength(0);
    await system.stop(ref);
    await leakFree(system);
  });

  it("aborts a call whose handler aborts it before its first await, or stashes it then", async () => {
    const { system } = slow();
    const controllers = [new AbortController(), new AbortController()] as const;
    const Aborting = createActor("Aborting", (ctx, self) =>
      self
        .onCall("wait", async (): Promise<void> => {
          controllers[0].abort("why");
          await gate().promise;
        })
        .onCall("stash", () => {
          controllers[1].abort("why");
          ctx.stash();
        }),
    );
    const [waiting, stashing] = [system.spawn(Aborting), system.spawn(Aborting)];
    const calls = [
      waiting.call("wait", { signal: controllers[0].signal, timeout: Number.POSITIVE_INFINITY }),
      stashing.call("stash", { signal: controllers[1].signal, timeout: Number.POSITIVE_INFINITY }),
    ];
    await turns();
    expect(await Promise.all(calls.map(stateOf))).toEqual(["rejected", "rejected"]);
    for (const call of calls) expect(await rejection(call)).toBeInstanceOf(CallAbortedError);
    system.system.sendExit(null, waiting, "kill");
    await leakFree(system);
  });

  it("aborts a stashed call", async () => {
    const system = makeSystem();
    const Stasher = createActor((ctx, self) => self.onCall("defer", () => ctx.stash()).onCall("ping", () => "pong"));
    const ref = system.spawn(Stasher);
    const controller = new AbortController();
    const idle = rejection(ref.call("defer", { signal: controller.signal }));
    await ref.call("ping");
    controller.abort();
    expect(await idle).toBeInstanceOf(CallAbortedError);
    expect(await ref.call("ping")).toBe("pong");
    await leakFree(system);
  });

  it("that aborts when the time is up already leaves the news of that to nobody else", async () => {
    const system = makeSystem();
    const doors = [gate(), gate()];
    const Busy = createActor((_ctx, self) =>
      self.onCast("wait", (at: number) => doors[at].promise).onCall("echo", (value: number) => value),
    );
    const busy = system.spawn(Busy);
    const controller = new AbortController();
    let next: Promise<number> | undefined;
    let starts = 0;
    const Crashing = createActor((_ctx, self) => {
      if (++starts === 2) {
        system.system.pauseMailbox(busy.id.id); // The call is back in the mailbox.
        controller.abort();
        next = busy.call("echo", 2);
      }
      self.onCast("crash", () => {
        block(30); // The time is up when init is about to run.
        throw new Error("crash");
      });
    });
    const crashing = system.spawn(Crashing);
    busy.cast("wait", 0);
    await turns();
    busy.cast("wait", 1);
    const call = rejection(busy.call("echo", 1, { timeout: 20, signal: controller.signal }));
    await turns();
    doors[0].open();
    await Promise.resolve(); // What the actor has been sent is taken out of its mailbox.
    crashing.cast("crash");
    expect(await call).toBeInstanceOf(CallAbortedError);
    system.system.resumeMailbox(busy.id.id);
    doors[1].open();
    expect(await next).toBe(2);
    await leakFree(system);
  });

  it.each([{}, "signal", 5, true])("of %s is refused", async (signal) => {
    const { old } = slow();
    expect(await rejection(old.call("now", { signal } as any))).toBeInstanceOf(InvalidArgumentError);
  });
});
