/**
 * init, handleContinue and terminate of both kinds of actors.
 */

import { describe, expect, it, vi } from "vitest";
import { Actor, ActorNotFoundError, type ActorRef, createActor, isInitContinue } from "../../lib/index.js";
import { gone, makeProbe } from "../support/probe.js";
import { empty, leakFree, loggedErrors, makeSystem } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, thrown, turn, turns } from "../support/time.js";

describe("isInitContinue", () => {
  it.each([
    [{ continue: 1 }, true],
    [{ continue: null }, true],
    [{ continue: undefined }, false],
    [{}, false],
    [null, false],
    [undefined, false],
    ["continue", false],
    [[], false],
  ])("of %j is %s", (value, expected) => {
    expect(isInitContinue(value)).toBe(expected);
  });
});

describe("continue", () => {
  class Continuing extends Actor {
    readonly given: unknown[] = [];
    override init(result: any): any {
      return result;
    }
    override handleContinue(data: unknown): void {
      this.given.push(data);
    }
    override handleCall(): unknown {
      return this.given;
    }
  }

  it.each([
    ["an object", { continue: { a: 1 } }, [{ a: 1 }]],
    ["a promise of one", Promise.resolve({ continue: "later" }), ["later"]],
    ["null as data", { continue: null }, [null]],
    ["false as data", { continue: false }, [false]],
    ["nothing", undefined, []],
    ["an empty object", {}, []],
    ["undefined as data", { continue: undefined }, []],
    ["something else", 42, []],
  ])("with init returning %s", async (_, result, expected) => {
    const system = makeSystem();
    expect(await system.spawn(Continuing, { args: [result] }).call("given")).toEqual(expected);
    await leakFree(system);
  });

  it("passes the data by reference, in functional actors too", async () => {
    const data = new Map();
    const probe = makeProbe();
    const Functional = createActor(async (_ctx, self) => {
      await turn();
      self.onContinue(probe.push);
      return { continue: data };
    });
    makeSystem().spawn(Functional);
    expect(await probe.next()).toBe(data);
  });

  it("does not hold messages up, and stashed ones are replayed from within it", async () => {
    const system = makeSystem();
    const door = gate();
    const seen: unknown[] = [];
    const Loading = createActor((ctx, self) => {
      let state = "loading";
      self
        .onCall("state", () => state)
        .onCast("work", (n: number) => {
          if (state === "loading") ctx.stash();
          else seen.push(n);
        })
        .onContinue(async () => {
          await door.promise;
          state = "ready";
          ctx.unstashAll();
        });
      return { continue: true };
    });
    const ref = system.spawn(Loading);
    for (const n of [1, 2, 3]) ref.cast("work", n);
    expect(await ref.call("state")).toBe("loading");
    door.open();
    await vi.waitFor(() => expect(seen).toEqual([1, 2, 3]));
    expect(await ref.call("state")).toBe("ready");
    await leakFree(system);
  });

  it("works in children", async () => {
    const Child = createActor((_ctx, self) => {
      let loaded: unknown;
      self
        .onContinue((data) => {
          loaded = data;
        })
        .onCall("loaded", () => loaded);
      return { continue: "child data" };
    });
    const Parent = createActor((ctx, self) => {
      const child = ctx.spawn(Child);
      return self.onCall("ask", () => child.call({ method: "loaded" }));
    });
    expect(await makeSystem().spawn(Parent).call("ask")).toBe("child data");
  });

  it("that fails late is a crash of its own incarnation and of no other", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1, periodMs: 60_000 } });
    const doors = [gate(), gate()];
    let starts = 0;
    const Fragile = createActor((_ctx, self) => {
      const door = doors[starts++];
      self
        .onContinue(async () => {
          await door?.promise;
          throw new Error("continue");
        })
        .onCast("crash", () => {
          throw new Error("cast");
        })
        .onCall("starts", () => starts);
      return { continue: 1 };
    });
    const ref = system.spawn(Fragile);
    ref.cast("crash");
    expect(await ref.call("starts")).toBe(2);
    // The continue of the first incarnation ends now: it concerns nobody.
    doors[0]?.open();
    await turns();
    expect(await ref.call("starts")).toBe(2);
    const end = gone(system, ref);
    doors[1]?.open();
    expect((await end).type).toBe("killed");
  });

  it("of an actor without onContinue does nothing", async () => {
    const Without = createActor((_ctx, self) => {
      self.onCall("ping", () => "pong");
      return { continue: 1 };
    });
    expect(await makeSystem().spawn(Without).call("ping")).toBe("pong");
  });
});

describe("init", () => {
  it("that is asynchronous settles before stop is through, and terminate follows it", async () => {
    const system = makeSystem();
    const door = gate();
    const events: string[] = [];
    class Slow extends Actor {
      override async init(): Promise<void> {
        await door.promise;
        events.push("init");
      }
      override terminate(): void {
        events.push("terminate");
      }
    }
    const ref = system.spawn(Slow);
    const call = rejection(ref.call("x"));
    const stopped = system.stop(ref);
    await turns();
    expect(await stateOf(stopped)).toBe("pending");
    door.open();
    await stopped;
    expect(await call).toBeInstanceOf(ActorNotFoundError);
    expect(events[0]).toBe("init");
    await empty(system);
  });

  it("may call other actors, spawn children and use its own name", async () => {
    const system = makeSystem();
    const echo = system.spawn(createActor((_ctx, self) => self.onCall("echo", (value: string) => value)));
    class Busy extends Actor {
      private facts: unknown[] = [];
      override async init(): Promise<void> {
        const child = this.spawn(createActor((_ctx, self) => self.onCall("up", () => "child")));
        const found = await this.context.system.getActorByName("busy");
        this.facts = [await echo.call("echo", "hello"), await child.call("up"), found?.id.id === this.self.id.id];
      }
      override handleCall(): unknown {
        return this.facts;
      }
    }
    expect(await system.spawn(Busy, { name: "busy" }).call("facts")).toEqual(["hello", "child", true]);
  });

  it("that stops the actor itself leaves a ref to nobody", async () => {
    const system = makeSystem();
    const events: string[] = [];
    const Refusing = createActor((ctx, self) => {
      void ctx.stop(ctx.self);
      return self.onCall("ping", () => "pong").onTerminate(() => void events.push("terminate"));
    });
    const ref = system.spawn(Refusing, { name: "refusing" });
    expect(await rejection(ref.call("ping"))).toBeInstanceOf(ActorNotFoundError);
    await empty(system);
    expect(await system.getActorByName("refusing")).toBeNull();
    expect(events).toEqual(["terminate"]);
  });

  it("that throws in a child makes the parent's spawn throw, and the parent may go on", async () => {
    const system = makeSystem();
    const failure = new Error("child");
    const Child = createActor(() => {
      throw failure;
    });
    const Parent = createActor((ctx, self) =>
      self.onCall("try", () => {
        const error = thrown(() => ctx.spawn(Child, { name: "child" }));
        return [error, ctx.countChildren()];
      }),
    );
    const ref = system.spawn(Parent);
    expect(await ref.call("try")).toEqual([failure, 0]);
    expect(await ref.call("try")).toEqual([failure, 0]);
    expect(loggedErrors()).toEqual([]);
    await leakFree(system);
  });

  it("that throws after somebody has asked for the actor's end lets that one go on", async () => {
    const system = makeSystem();
    const Stopper = createActor((ctx, self) =>
      self.onCall("stop", async (ref: ActorRef) => {
        await ctx.stop(ref);
        return "stopped";
      }),
    );
    const stopper = system.spawn(Stopper);
    let answer: Promise<string> | undefined;
    const Failing = createActor((ctx) => {
      answer = stopper.call("stop", ctx.self, { timeout: 1_000 });
      throw new Error("init");
    });
    expect(thrown(() => system.spawn(Failing)).message).toBe("init");
    expect(await answer).toBe("stopped");
    await leakFree(system);
  });

  it("whose result cannot be read has failed", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const failure = new Error("getter");
    const unreadable = () =>
      Object.defineProperty({ continue: 1 }, "continue", {
        get() {
          throw failure;
        },
      });
    expect(thrown(() => system.spawn(createActor(unreadable), { name: "free" }))).toBe(failure);
    const ref = system.spawn(
      createActor(async () => unreadable()),
      { name: "free" },
    );
    expect(await gone(system, ref)).toEqual({ type: "error", error: failure });
    await leakFree(system);
  });

  it("that was given up and goes on changes nothing for the incarnation that followed", async () => {
    const system = makeSystem({ limits: { stopTimeoutMs: 10 } });
    const door = gate();
    const late = gate();
    let starts = 0;
    const Slow = createActor(async (ctx, self) => {
      const start = ++starts;
      self.onCall("who", () => start);
      if (start > 1) return;
      await door.promise;
      self
        .onCall("who", () => "late")
        .onCast("crash", () => {
          throw new Error("late");
        });
      ctx.become((self) => self.onCall("who", () => "become"), { discardOld: true });
      ctx.unbecome();
      self.onTerminate(() => "late").preRestart(() => "late");
      late.open();
    });
    const Crashing = createActor((_ctx, self) =>
      self.onCast("crash", () => {
        throw new Error("crash");
      }),
    );
    const Family = createActor((ctx, self) => {
      const [crashing, slow] = [ctx.spawn(Crashing), ctx.spawn(Slow)];
      return self
        .childSupervision({ strategy: "one-for-all", maxRestarts: 3, periodMs: 5_000 })
        .onCall("crash", () => crashing.cast("crash"))
        .onCall("slow", () => slow);
    });
    const family = system.spawn(Family);
    const slow = await family.call("slow");
    await family.call("crash");
    expect(await slow.call("who")).toBe(2);
    door.open();
    await late.promise;
    slow.cast("crash");
    expect(await slow.call("who")).toBe(2);
    expect(starts).toBe(2);
    await system.stop(family);
    await empty(system);
  });

  it("of a constructor or factory that throws something odd throws just that", () => {
    const system = makeSystem();
    for (const odd of [undefined, null, "text", 0, { code: 1 }]) {
      const Odd = createActor(() => {
        throw odd;
      });
      expect(thrown(() => system.spawn(Odd))).toBe(odd);
      class OddClass extends Actor {
        constructor() {
          super();
          throw odd;
        }
      }
      expect(thrown(() => system.spawn(OddClass))).toBe(odd);
    }
  });
});

describe("terminate", () => {
  it("of several handlers runs them in order, each awaited", async () => {
    const system = makeSystem();
    const events: string[] = [];
    const Ending = createActor((_ctx, self) =>
      self
        .onTerminate(async () => {
          events.push("first begins");
          await nodeTimer();
          events.push("first ends");
        })
        .onTerminate(() => void events.push("second")),
    );
    await system.stop(system.spawn(Ending));
    expect(events).toEqual(["first begins", "first ends", "second"]);
  });

  it("runs what an asynchronous factory registers after it has waited, and a handler later still", async () => {
    const system = makeSystem();
    const events: string[] = [];
    const Opening = createActor(async (_ctx, self) => {
      await nodeTimer();
      self.onTerminate(() => void events.push("close"));
    });
    await system.stop(system.spawn(Opening)); // The stop waits for the factory.
    expect(events).toEqual(["close"]);
    const Borrowing = createActor((_ctx, self) =>
      self.onCall("borrow", () => void self.onTerminate(() => void events.push("give back"))),
    );
    const borrowing = system.spawn(Borrowing);
    await borrowing.call("borrow");
    await system.stop(borrowing);
    expect(events).toEqual(["close", "give back"]);
    await empty(system);
  });

  it("runs a preRestart that an asynchronous factory registers after it has waited", async () => {
    const events: string[] = [];
    const Crashing = createActor(async (_ctx, self) => {
      await nodeTimer();
      events.push("init");
      self
        .preRestart(() => void events.push("preRestart"))
        .onCall("count", () => events.length)
        .onCast("crash", () => {
          throw new Error("crash");
        });
    });
    const ref = makeSystem().spawn(Crashing);
    ref.cast("crash");
    await ref.call("count");
    expect(events).toEqual(["init", "preRestart", "init"]);
  });

  it("runs at a restart, before the next init, and with preRestart and postRestart around", async () => {
    const system = makeSystem();
    const events: string[] = [];
    const failure = new Error("crash");
    class Restarting extends Actor {
      override init(): void {
        events.push("init");
      }
      override handleCast(): void {
        throw failure;
      }
      override handleCall(): number {
        return events.length;
      }
      override async preRestart(error: unknown): Promise<void> {
        await turn();
        events.push(`preRestart ${error === failure}`);
      }
      override async terminate(): Promise<void> {
        await turn();
        events.push("terminate");
      }
      override postRestart(error: unknown): void {
        events.push(`postRestart ${error === failure}`);
      }
    }
    const ref = system.spawn(Restarting);
    ref.cast("crash");
    await ref.call("count");
    expect(events).toEqual(["init", "preRestart true", "terminate", "init", "postRestart true"]);
    await system.stop(ref);
    expect(events.slice(5)).toEqual(["terminate"]);
    await leakFree(system);
  });

  it("that throws is logged and the end goes on, the other handlers included", async () => {
    const system = makeSystem();
    const events: string[] = [];
    const Failing = createActor((_ctx, self) =>
      self
        .onTerminate(() => {
          throw new Error("first");
        })
        .onTerminate(() => void events.push("second")),
    );
    const ref = system.spawn(Failing, { name: "failing" });
    await system.stop(ref);
    expect(loggedErrors()).toEqual(["terminate failed"]);
    expect(await system.getActorByName("failing")).toBeNull();
    expect(events).toEqual(["second"]);
    await empty(system);
  });

  it("may still send, and call other actors", async () => {
    const system = makeSystem();
    const probe = makeProbe();
    const Sink = createActor((_ctx, self) => self.onCall("ask", (n: number) => n + 1).onCast("note", probe.push));
    const sink = system.spawn(Sink);
    const Ending = createActor((_ctx, self) =>
      self.onTerminate(async () => {
        sink.cast("note", await sink.call("ask", 41));
      }),
    );
    await system.stop(system.spawn(Ending));
    expect(await probe.next()).toBe(42);
  });
});
