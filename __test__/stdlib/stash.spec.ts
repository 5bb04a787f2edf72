/**
 * The stash as both kinds of actors use it.
 */

import { describe, expect, it } from "vitest";
import { Actor, ActorNotFoundError, createActor, LibeamError, StashFullError } from "../../lib/index.js";
import { makeProbe } from "../support/probe.js";
import { leakFree, makeSystem } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, turn, turns } from "../support/time.js";

/** Defers until it is connected. */
class Connection extends Actor {
  private connected = false;
  readonly seen: unknown[] = [];
  override handleCast(message: any): void {
    if (message === "one") this.unstash();
    else if (message === "clear") this.clearStash();
    else if (message === "connect") {
      this.connected = true;
      this.unstashAll();
    } else if (!this.connected) this.stash();
    else this.seen.push(message);
  }
  override handleCall(message: any): any {
    if (message === "status") return this.connected;
    if (!this.connected) {
      this.stash();
      return "thrown away";
    }
    this.seen.push(message);
    return message;
  }
}

describe("a class-based actor", () => {
  it("replays what it stashed, calls and casts, and serves other calls meanwhile", async () => {
    const system = makeSystem();
    const ref = system.spawn(Connection);
    const actor = system.system.getActor(ref.id.id) as Connection;
    ref.cast("a");
    const call = ref.call("b");
    ref.cast("c");
    expect(await ref.call("status")).toBe(false);
    expect(await stateOf(call)).toBe("pending");
    ref.cast("connect");
    expect(await call).toBe("b");
    expect(await ref.call("status")).toBe(true);
    expect(actor.seen).toEqual(["a", "b", "c"]);
    await leakFree(system);
  });

  it("clears, and brings back one", async () => {
    const system = makeSystem();
    const ref = system.spawn(Connection);
    const calls = [ref.call("a"), ref.call("b")].map(rejection);
    ref.cast("clear");
    for (const error of await Promise.all(calls)) {
      expect(error).toBeInstanceOf(LibeamError);
      expect(error.message).toBe("Stashed message discarded");
    }
    ref.cast("one");
    ref.cast("clear");
    ref.cast("connect");
    expect(await ref.call("c")).toBe("c");
    await leakFree(system);
  });
});

describe("stash", () => {
  it("outside a message does nothing", async () => {
    const system = makeSystem();
    const seen: string[] = [];
    const other = system.spawn(createActor(() => {}));
    const Odd = createActor((ctx, self) => {
      ctx.stash();
      ctx.unstash();
      ctx.unstashAll();
      ctx.clearStash();
      ctx.watch(other);
      self
        .onContinue(() => {
          ctx.stash();
          seen.push("continue");
        })
        .onInfo("down", () => {
          ctx.stash();
          seen.push("down");
        })
        .onCall("seen", () => [...seen])
        .onTerminate(() => ctx.stash());
      return { continue: true };
    });
    const ref = system.spawn(Odd);
    await system.stop(other);
    expect(await ref.call("seen")).toEqual(["continue", "down"]);
    await system.stop(ref);
    await leakFree(system);
  });

  it("after the handler has ended does nothing, and does not touch the next message", async () => {
    const system = makeSystem();
    const seen: number[] = [];
    const Late = createActor((ctx, self) =>
      self
        .onCast("n", (n: number) => {
          if (n === 1) void Promise.resolve().then(() => ctx.stash());
          seen.push(n);
        })
        .onCall("seen", () => [...seen]),
    );
    const ref = system.spawn(Late);
    for (const n of [1, 2, 3]) ref.cast("n", n);
    await turns();
    expect(await ref.call("seen")).toEqual([1, 2, 3]);
    await leakFree(system);
  });

  it("works after an await of the same handler, and twice is once", async () => {
    const system = makeSystem();
    const seen: number[] = [];
    const Slow = createActor((ctx, self) => {
      let open = false;
      return self
        .onCast("n", async (n: number) => {
          await turn();
          if (open) return void seen.push(n);
          ctx.stash();
          await turn();
          ctx.stash();
        })
        .onCall("open", () => {
          open = true;
          ctx.unstashAll();
        })
        .onCall("seen", () => [...seen]);
    });
    const ref = system.spawn(Slow);
    for (const n of [1, 2, 3]) ref.cast("n", n);
    await ref.call("open");
    expect(await ref.call("seen")).toEqual([1, 2, 3]);
    await leakFree(system);
  });

  it("defers a timer's message like a cast", async () => {
    const probe = makeProbe<string>();
    const Timed = createActor((ctx, self) => {
      let open = false;
      self.sendAfter("tick", 1);
      return self
        .onCast("tick", () => {
          probe.push(open ? "handled" : "stashed");
          if (!open) ctx.stash();
        })
        .onCall("open", () => {
          open = true;
          ctx.unstashAll();
        });
    });
    const system = makeSystem();
    const ref = system.spawn(Timed);
    expect(await probe.next()).toBe("stashed");
    await ref.call("open");
    expect(await probe.next()).toBe("handled");
    await leakFree(system);
  });

  it("of a handler that then throws: the cast crashes, the call rejects, neither is stashed", async () => {
    const system = makeSystem();
    const handled: string[] = [];
    const Throwing = createActor((ctx, self) =>
      self
        .onCast("cast", () => {
          handled.push("cast");
          ctx.stash();
          throw new Error("cast");
        })
        .onCall("call", () => {
          handled.push("call");
          ctx.stash();
          throw new Error("call");
        })
        .onCall("flush", () => ctx.unstashAll()),
    );
    const ref = system.spawn(Throwing);
    expect((await rejection(ref.call("call"))).message).toBe("call");
    ref.cast("cast");
    await ref.call("flush");
    await ref.call("flush");
    expect(handled).toEqual(["call", "cast"]);
    await leakFree(system);
  });
});

describe("unstash", () => {
  it.each(["call", "cast", "timer", "info"])("in a %s has the stash served without a further message", async (how) => {
    const system = makeSystem();
    const other = system.spawn(createActor(() => {}));
    const Opening = createActor((ctx, self) => {
      let opened = false;
      const open = () => {
        opened = true;
        ctx.unstashAll();
      };
      ctx.watch(other);
      return self
        .onCall("ask", (value: number) => (opened ? value : ctx.stash()))
        .onCall("call", open)
        .onCast("cast", open)
        .onCall("timer", () => void self.sendAfter("cast", 1))
        .onInfo("down", open);
    });
    const ref = system.spawn(Opening);
    const asked = ref.call({ method: "ask", args: [42] }, 1_000);
    if (how === "cast") ref.cast("cast");
    else if (how === "info") await system.stop(other);
    else await ref.call(how as "call");
    expect(await asked).toBe(42);
    await system.stop(ref);
    await leakFree(system);
  });

  it("may be called from outside a message", async () => {
    const system = makeSystem();
    const ref = system.spawn(Connection);
    const actor = system.system.getActor(ref.id.id) as Connection;
    const call = ref.call("a");
    (actor as any).connected = true;
    await nodeTimer();
    (actor as any).unstashAll();
    expect(await call).toBe("a");
  });

  it("one by one keeps the order, before what waits", async () => {
    const system = makeSystem();
    const seen: string[] = [];
    let open = false;
    const Reader = createActor((ctx, self) =>
      self
        .onCast("read", (what: string) => {
          if (open) seen.push(what);
          else ctx.stash();
        })
        .onCast("open", () => {
          open = true;
          for (let n = 0; n < 3; n++) ctx.unstash();
        })
        .onCall("seen", () => seen),
    );
    const ref = system.spawn(Reader);
    for (const what of ["1", "2", "3", "4"]) ref.cast("read", what);
    ref.cast("open");
    ref.cast("read", "later");
    expect(await ref.call("seen")).toEqual(["1", "2", "3", "later"]);
    await system.stop(ref);
    await leakFree(system);
  });

  it("on an empty stash, or of an actor that is gone, does nothing", async () => {
    const system = makeSystem();
    const ref = system.spawn(Connection);
    const actor = system.system.getActor(ref.id.id) as any;
    actor.unstash();
    actor.unstashAll();
    actor.clearStash();
    expect(await ref.call("status")).toBe(false);
    await system.stop(ref);
    for (const method of ["stash", "unstash", "unstashAll", "clearStash"]) expect(actor[method]()).toBeUndefined();
    await leakFree(system);
  });
});

describe("the end of the actor", () => {
  const ends: Record<string, (ctx: any) => unknown> = {
    "before it exits": (ctx) => {
      ctx.stash();
      ctx.exit();
    },
    "after it has exited": (ctx) => {
      ctx.exit();
      ctx.stash();
    },
    "while it is stopped": (ctx) => {
      void ctx.system.stop(ctx.self);
      return Promise.resolve().then(() => ctx.stash());
    },
  };
  const Leaving = createActor((ctx, self) => self.onCall("leave", (how: string) => ends[how]?.(ctx)));

  it.each(Object.keys(ends).flatMap((how) => [[how, "at once"] as const, [how, "from its mailbox"] as const]))(
    "rejects a call that its handler stashes %s, %s",
    async (how, when) => {
      const system = makeSystem();
      const ref = system.spawn(Leaving);
      if (when === "from its mailbox") ref.cast({ type: "first" });
      expect(await rejection(ref.call("leave", how))).toBeInstanceOf(ActorNotFoundError);
      await leakFree(system);
    },
  );

  it("rejects stashed calls and leaves nothing behind", async () => {
    const system = makeSystem();
    const ref = system.spawn(Connection);
    const calls = [1, 2, 3].map((n) => rejection(ref.call(n)));
    for (let n = 0; n < 100; n++) ref.cast(n);
    await ref.call("status");
    await system.stop(ref);
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(ActorNotFoundError);
    await leakFree(system);
  });
});

describe("the limit", () => {
  it("rejects a call with StashFullError and drops a cast, and the actor goes on", async () => {
    const system = makeSystem({ limits: { stashMessagesMax: 2 } });
    const ref = system.spawn(Connection);
    const actor = system.system.getActor(ref.id.id) as Connection;
    const first = ref.call("first");
    ref.cast("second");
    ref.cast("dropped");
    const error = await rejection(ref.call("refused"));
    expect(error).toBeInstanceOf(StashFullError);
    expect(error).toMatchObject({ code: "STASH_FULL", context: { actorId: ref.id.id, max: 2 } });
    ref.cast("connect");
    expect(await first).toBe("first");
    await ref.call("status");
    expect(actor.seen).toEqual(["first", "second"]);
    await leakFree(system);
  });
});

describe("a handler that was given up", () => {
  const doors = [gate(), gate()];
  const hangs = async (stash: () => void, start: number): Promise<number> => {
    await doors[start].promise;
    if (start === 0) stash();
    return start;
  };
  let starts = 0;
  const Functional = createActor((ctx, self) => {
    const start = starts++;
    self.onCall("hang", () => hangs(() => ctx.stash(), start));
  });
  class Class extends Actor {
    private readonly start = starts++;
    override handleCall(): Promise<number> {
      return hangs(() => this.stash(), this.start);
    }
  }
  it.each([Functional, Class])("stashes nothing of the incarnation that followed (%#)", async (definition) => {
    [starts, doors[0], doors[1]] = [0, gate(), gate()];
    const system = makeSystem({ limits: { stopTimeoutMs: 10 } });
    const ref: any = system.spawn(definition as any);
    const message = { method: "hang", args: [] };
    const first = rejection(ref.call(message));
    system.system.sendExit(null, ref, "restart");
    expect(await first).toBeInstanceOf(ActorNotFoundError);
    const second = ref.call(message, { timeout: 1_000 });
    await turns();
    doors[0].open();
    await turns();
    doors[1].open();
    expect(await second).toBe(1);
    await leakFree(system);
  });
});
