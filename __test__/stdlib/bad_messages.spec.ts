/**
 * What a program may get wrong with messages and ends: each is an error of a stated class, or does nothing, and leaves the system usable.
 */

import { describe, expect, it } from "vitest";
import {
  type ActorRef,
  createActor,
  InvalidArgumentError,
  InvalidOptionError,
  LibeamError,
  TelemetryEvents,
  telemetry,
  UnknownCallMethodError,
} from "../../lib/index.js";
import { Echo } from "../support/actors.js";
import { makeProbe } from "../support/probe.js";
import { empty, leakFree, loggedErrors, makeSystem } from "../support/system.js";
import { gate, nodeTimer, rejection, turn } from "../support/time.js";

const cyclic: any = { strategy: "one-for-one" };
cyclic.self = cyclic;

const Ping = createActor("Ping", (_ctx, self) => self.onCall("ping", () => "pong"));

describe("messages", () => {
  it("may be anything", async () => {
    const system = makeSystem();
    const seen: unknown[] = [];
    class Any extends Echo {
      override handleCast(message: unknown): void {
        seen.push(message);
      }
    }
    const ref = system.spawn(Any);
    const odd = [null, undefined, 0, "", Number.NaN, Symbol.for("s"), 5n, () => 1, cyclic, Object.create(null)];
    for (const message of odd) {
      expect(await ref.call(message)).toBe(message);
      ref.cast(message);
    }
    await ref.call("flush");
    expect(seen).toEqual(odd);
    await leakFree(system);
  });

  it.each([null, undefined, 0, "text", 5n, [], {}, { method: 5 }, { method: null }, { method: cyclic }, Symbol("m")])(
    "of no known form are refused or ignored by functional actors: %s",
    async (message) => {
      const system = makeSystem();
      const ref: any = system.spawn(Ping);
      expect(await rejection(ref.call(message))).toBeInstanceOf(UnknownCallMethodError);
      expect(ref.cast(message)).toBeUndefined();
      expect(await ref.call("ping")).toBe("pong");
      expect(loggedErrors()).toEqual([]);
    },
  );

  it.each([5, "text", {}, true, { length: 3 }])(
    "whose args are %j reject the call, and crash nobody as a cast",
    async (args) => {
      const system = makeSystem();
      const ref: any = system.spawn(
        createActor((_ctx, self) => self.onCall("m", (...given: any[]) => given).onCast("m", () => {})),
      );
      const { id } = ref.id;
      expect(await rejection(ref.call({ method: "m", args }))).toBeInstanceOf(InvalidArgumentError);
      ref.cast({ method: "m", args });
      expect(await ref.call("m", 1)).toEqual([1]);
      expect([loggedErrors(), system.system.getLocalActorIds()]).toEqual([[], [id]]);
    },
  );

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "then", ""])(
    "for the method %j find no stranger, and a handler of that name works",
    async (method) => {
      const system = makeSystem();
      const without: any = system.spawn(Ping);
      for (const call of [without.call(method), without.call({ method, args: [] })]) {
        const error = await rejection(call);
        expect(error).toBeInstanceOf(UnknownCallMethodError);
        expect(error.message).toBe(`Unknown call method: ${method}`);
      }
      without.cast(method);
      expect(await without.call("ping")).toBe("pong");
      if (method === "") return;
      const probe = makeProbe();
      const With = createActor((_ctx, self) => self.onCall(method, () => "mine").onCast(method, probe.push));
      const ref: any = system.spawn(With);
      expect(await ref.call(method)).toBe("mine");
      ref.cast(method, "cast");
      expect(await probe.next()).toBe("cast");
      expect(await rejection(ref.call("ping"))).toBeInstanceOf(UnknownCallMethodError);
    },
  );

  it("may have arguments that refuse to be looked at", async () => {
    const system = makeSystem();
    const ref = system.spawn(createActor((_ctx, self) => self.onCall("count", (...args: any[]) => args.length)));
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    expect(await ref.call("count", 1, revoked.proxy)).toBe(2);
    await leakFree(system);
  });

  it("may have huge arguments", async () => {
    const system = makeSystem();
    const ref = system.spawn(createActor((_ctx, self) => self.onCall("size", (value: any) => value.length)));
    expect(await ref.call("size", new Uint8Array(100_000_000))).toBe(100_000_000);
    expect(await ref.call("size", Array(1_000_000).fill(0))).toBe(1_000_000);
  });

  it.each(["call", "cast"] as const)(
    "with more arguments than fit on the stack do not bring a %s down",
    async (how) => {
      const system = makeSystem();
      const ref: any = system.spawn(
        createActor((_ctx, self) => self.onCall("m", (...all: any[]) => all.length).onCast("m", () => {})),
      );
      const message = { method: "m", args: Array(5_000_000).fill(0) };
      if (how === "call") expect(await ref.call(message).catch((error: unknown) => error)).toBeInstanceOf(RangeError);
      else ref.cast(message);
      expect(await ref.call("m", 1)).toBe(1);
      await leakFree(system);
    },
  );

  it("that handlers answer with odd objects come through, or reject", async () => {
    const system = makeSystem();
    const failure = new Error("getter");
    const key = "then";
    const withThen = (descriptor: PropertyDescriptor) => Object.defineProperty({}, key, descriptor);
    const raise = () => {
      throw failure;
    };
    const trap = withThen({ get: raise });
    const rude = withThen({ value: raise });
    const thenable = withThen({ value: (resolve: (value: string) => void) => resolve("thenable") });
    const answers = { trap, thenable, rude, frozen: Object.freeze([1]) };
    const Odd = createActor((_ctx, self) =>
      self
        .onCall("get", (name: keyof typeof answers) => answers[name])
        .onCall("later", async (name: keyof typeof answers) => answers[name])
        .onCast("cast", (name: keyof typeof answers): any => answers[name]),
    );
    const ref = system.spawn(Odd);
    for (const method of ["get", "later"] as const) {
      expect(await ref.call(method, "thenable")).toBe("thenable");
      expect(await ref.call(method, "frozen")).toBe(answers.frozen);
      expect(await rejection(ref.call(method, "rude"))).toBe(failure);
      expect(await rejection(ref.call(method, "trap"))).toBe(failure);
    }
    ref.cast("cast", "thenable");
    expect(await ref.call("get", "frozen")).toBe(answers.frozen);
    await leakFree(system);
  });
});

describe("a million stashed messages", () => {
  it("come back in order", async () => {
    const system = makeSystem();
    const count = 1_000_000;
    let next = 0;
    let inOrder = true;
    const Stasher = createActor((ctx, self) => {
      let open = false;
      return self
        .onCast("n", (n: number) => {
          if (!open) return ctx.stash();
          inOrder &&= n === next++;
        })
        .onCall("open", () => {
          open = true;
          ctx.unstashAll();
        })
        .onCall("done", () => next);
    });
    const ref = system.spawn(Stasher);
    for (let n = 0; n < count; n++) ref.cast("n", n);
    await ref.call({ method: "open" }, 60_000);
    expect(await ref.call({ method: "done" }, 60_000)).toBe(count);
    expect(inOrder).toBe(true);
    await leakFree(system);
  });
});

describe("stop", () => {
  it.each(["sync", "async", "late", "call"])("of oneself in a handler (%s) takes effect after it", async (how) => {
    const system = makeSystem({ limits: { stopTimeoutMs: Number.POSITIVE_INFINITY } });
    const events: string[] = [];
    const Quitter = createActor((ctx, self) =>
      self
        .onCast("sync", () => {
          void ctx.stop(ctx.self);
          events.push("handled");
        })
        .onCast("async", async () => {
          await ctx.stop(ctx.self);
          events.push("handled");
        })
        .onCast("late", async () => {
          await turn();
          await ctx.stop(ctx.self);
          events.push("handled");
        })
        .onCall("call", async () => {
          await turn();
          await ctx.stop(ctx.self);
          events.push("handled");
          return "answered";
        })
        .onTerminate(() => void events.push("terminate")),
    );
    const ref = system.spawn(Quitter, { name: "quitter" });
    if (how === "call") expect(await ref.call("call")).toBe("answered");
    else ref.cast(how as "sync");
    await empty(system);
    expect(events).toEqual(["handled", "terminate"]);
    expect(await system.getActorByName("quitter")).toBeNull();
  });

  it("of the parent by a child does not wait for itself", async () => {
    const system = makeSystem({ limits: { stopTimeoutMs: Number.POSITIVE_INFINITY } });
    const Child = createActor((ctx, self) =>
      self.onCast("patricide", async () => {
        await turn();
        await ctx.stop(ctx.parent as ActorRef);
      }),
    );
    const Parent = createActor((ctx, self) => {
      const child = ctx.spawn(Child);
      return self.onCall("child", () => child);
    });
    const child = await system.spawn(Parent).call("child");
    child.cast("patricide");
    await empty(system);
  });

  it.each([undefined, null, {}, "ref", 5])(
    "of %j is refused, as are the other things that need a ref",
    async (what) => {
      const { system } = makeSystem();
      const ref = system.spawn(Echo);
      const bad = what as any;
      for (const attempt of [
        () => system.stop(bad),
        () => system.watch(ref, bad),
        () => system.watch(bad, ref),
        () => system.link(ref, bad),
        () => system.link(bad, ref),
        () => system.sendExit(ref, bad, "reason"),
        () => system.joinGroup("g", bad),
        () => system.startActorTimer(bad, "m", 1, false),
      ]) {
        expect(await rejection((async () => attempt())())).toBeInstanceOf(InvalidArgumentError);
      }
      expect(await ref.call("alive")).toBe("alive");
    },
  );

  it.each([undefined, null, {}, "ref", 5])("and others from within an actor refuse %j", async (what) => {
    const system = makeSystem();
    const Inside = createActor((ctx: any, self) =>
      self.onCall("try", (method: string) => rejection((async () => ctx[method](what))())),
    );
    const ref = system.spawn(Inside);
    for (const method of ["stop", "stopChild", "watch", "link"]) {
      expect(await ref.call("try", method)).toBeInstanceOf(InvalidArgumentError);
    }
  });
});

describe("shutdown", () => {
  it.each([null, 5, "now", { timeout: -1 }, { timeout: Number.NaN }, { timeout: "5" }, { timeout: null }])(
    "with %j is refused and changes nothing",
    async (options) => {
      const system = makeSystem();
      const ref = system.spawn(Ping);
      for (const target of [system, system.system]) {
        expect(await rejection((async () => target.shutdown(options as any))())).toBeInstanceOf(InvalidOptionError);
      }
      expect([system.system.isRunning(), await ref.call("ping")]).toEqual([true, "pong"]);
    },
  );

  it("leaves every method harmless", async () => {
    const system = makeSystem();
    const ref = system.spawn(Ping, { name: "ping" });
    const { id } = ref.id;
    await system.shutdown();
    await system.stop(ref);
    ref.cast("ping" as never);
    system.joinGroup("g", ref);
    expect([system.getGroup("g"), system.system.getActors(), system.system.getPendingMessages(id)]).toEqual([
      [],
      [],
      [],
    ]);
    expect([system.system.pauseMailbox(id), await system.getActorByName("ping")]).toEqual([false, null]);
    expect(await rejection(ref.call("ping"))).toBeInstanceOf(LibeamError);
    expect(ref.id.id).toBe(id);
    await nodeTimer();
  });
});

describe("a handler that never returns to the event loop for a while", () => {
  it("delays the others and loses nothing", async () => {
    const system = makeSystem();
    const door = gate();
    const ref = system.spawn(
      createActor((_ctx, self) => self.onCall("wait", () => door.promise).onCall("ping", () => 1)),
    );
    const calls = [ref.call("wait"), ...Array.from({ length: 10 }, () => ref.call("ping"))];
    const end = performance.now() + 50;
    while (performance.now() < end);
    door.open();
    expect((await Promise.all(calls)).slice(1)).toEqual(Array(10).fill(1));
  });
});

describe("reasons and errors that cannot be told as text", () => {
  const mute = {
    toString(): never {
      throw new Error("says nothing");
    },
  };
  const silent = Object.defineProperty(new Error(), "message", { get: mute.toString });
  const Fragile = createActor((_ctx, self) =>
    self
      .onCast("fail", (error: unknown) => {
        throw error;
      })
      .onCall("ping", () => "pong"),
  );

  it.each([mute, silent, Object.create(null), Symbol("reason")])(
    "take an actor down all the same (%#)",
    async (reason) => {
      const system = makeSystem();
      const crashes = makeProbe<unknown>();
      telemetry.attach("mute", [TelemetryEvents.supervisor.crash], (_name, _numbers, { error }) => crashes.push(error));
      try {
        const [ref, other] = [system.spawn(Fragile), system.spawn(Fragile)];
        system.system.sendExit(other, ref, reason);
        expect(await crashes.next()).toBeTypeOf("string");
        expect(await ref.call("ping")).toBe("pong");
        ref.cast("fail", reason);
        expect(await crashes.next()).toBeTypeOf("string");
        expect(await ref.call("ping")).toBe("pong");
        expect(loggedErrors()).toHaveLength(2);
      } finally {
        telemetry.detach("mute");
      }
      await leakFree(system);
    },
  );
});
