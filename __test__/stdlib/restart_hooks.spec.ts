/**
 * preRestart and postRestart, in both APIs.
 */

import { Actor, createActor, TelemetryEvents, telemetry } from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { gone, makeProbe } from "../support/probe.js";
import { loggedErrors, makeSystem } from "../support/system.js";
import { gate, turns } from "../support/time.js";

/** An actor that notes its hooks; each hook does what `hooks` says. */
function hooked(note: (event: any) => void, hooks: { pre?: () => unknown; post?: () => unknown } = {}) {
  return createActor("Hooked", (ctx, self, label = "x") => {
    note(`init:${label}`);
    return self
      .onCall("id", () => ctx.self.id.id)
      .onCast("crash", (error: unknown) => {
        throw error;
      })
      .preRestart((error) => {
        note({ pre: error });
        return hooks.pre?.();
      })
      .postRestart((error) => {
        note({ post: error });
        return hooks.post?.();
      })
      .onTerminate(() => note("terminate"));
  });
}

afterEach(() => telemetry.reset());

describe("restart hooks", () => {
  it("run before terminate and after init, with the error", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const error = new Error("why");
    const ref = system.spawn(hooked(seen.push));
    ref.cast("crash", error);
    await ref.call("id");
    expect(seen.events).toEqual(["init:x", { pre: error }, "terminate", "init:x", { post: error }]);
    expect(seen.events[1].pre).toBe(error);
    expect(seen.events[4].post).toBe(error);
  });

  it("are awaited before terminate, before the next init, and before the first message", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const slowly = (what: string) => async () => {
      await turns(2);
      seen.push(what);
    };
    const ref = system.spawn(hooked(seen.push, { pre: slowly("pre done") }));
    ref.cast("crash", 1);
    await ref.call("id");
    expect(seen.events).toEqual(["init:x", { pre: 1 }, "pre done", "terminate", "init:x", { post: 1 }]);
  });

  it("get the error of the crash that led to the restart, and not of one that came too late", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const door = gate();
    const error = new Error("first");
    const Waiting = createActor((_ctx, self) =>
      self
        .onCall("ping", () => "pong")
        .onCast("wait", () => door.promise)
        .preRestart((error) => void seen.push({ pre: error }))
        .postRestart((error) => void seen.push({ post: error })),
    );
    const ref = system.spawn(Waiting);
    ref.cast("wait");
    await turns(2);
    door.fail(error);
    system.system.sendExit(null, ref, "too late"); // It is under way when the handler fails.
    await ref.call("ping");
    expect(seen.events).toEqual([{ pre: error }, { post: error }]);
  });

  it("do not run at a stop, nor when the actor is not restarted", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 0 } });
    const seen = makeProbe<any>();
    const [a, b] = [system.spawn(hooked(seen.push)), system.spawn(hooked(seen.push))];
    await system.stop(a);
    const end = gone(system, b);
    b.cast("crash", 1);
    await end;
    expect(seen.events).toEqual(["init:x", "init:x", "terminate", "terminate"]);
  });

  it.each(["now", "later"])(
    "do not run after an init during which the actor was stopped, and that ends %s",
    async (when) => {
      const system = makeSystem();
      const seen = makeProbe<string>();
      const doors = [gate(), gate()];
      const restarts: unknown[] = [];
      telemetry.attach("test", [TelemetryEvents.supervisor.restart], (...event) => restarts.push(event));
      let stopped: Promise<void> | undefined;
      let starts = 0;
      const Stopped = createActor((ctx, self): any => {
        const start = ++starts;
        self
          .onCast("crash", () => {
            throw new Error("why");
          })
          .postRestart(() => seen.push("post"))
          .onTerminate(() => seen.push(`terminate ${start}`));
        if (start === 1) return;
        stopped = ctx.system.stop(ctx.self);
        seen.push("stopped");
        return when === "later" ? doors[0].promise : undefined;
      });
      const ref = system.spawn(Stopped);
      const end = gone(system, ref);
      ref.cast("crash");
      await seen.find((event) => event === "stopped");
      await turns();
      doors[0].open();
      expect([await end, await stopped]).toEqual([{ type: "normal" }, undefined]);
      expect([seen.events, restarts]).toEqual([["terminate 1", "stopped", "terminate 2"], []]);
    },
  );

  it("have the error of the last crash each time", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const ref = system.spawn(hooked(seen.push));
    for (const error of ["one", "two", "three"]) {
      ref.cast("crash", error);
      await ref.call("id");
    }
    const told = seen.events.filter((event) => typeof event === "object");
    expect(told).toEqual(["one", "two", "three"].flatMap((error) => [{ pre: error }, { post: error }]));
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("pre failed");
      },
    ],
    ["rejects", () => turns(1).then(() => Promise.reject(new Error("pre failed")))],
  ])("a preRestart that %s keeps neither terminate nor the restart from happening", async (_, pre) => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const ref = system.spawn(hooked(seen.push, { pre }));
    ref.cast("crash", 1);
    expect(await ref.call("id")).not.toBe(ref.id.id);
    expect(seen.events).toEqual(["init:x", { pre: 1 }, "terminate", "init:x", { post: 1 }]);
    expect(loggedErrors()).toEqual(["Actor crashed", "preRestart failed"]);
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("post failed");
      },
    ],
    ["rejects", () => turns(1).then(() => Promise.reject(new Error("post failed")))],
  ])("a postRestart that %s is a crash, which counts", async (_, post) => {
    const system = makeSystem({ supervision: { maxRestarts: 2, periodMs: 60_000 } });
    const seen = makeProbe<any>();
    const ref = system.spawn(hooked(seen.push, { post }));
    const end = gone(system, ref);
    ref.cast("crash", 1);
    expect(await end).toEqual({ type: "killed" });
    expect(seen.events.filter((event) => event === "init:x")).toHaveLength(3);
    expect(seen.events.filter((event) => event === "terminate")).toHaveLength(3);
  });

  it("work in classes", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    class Hooked extends Actor {
      override init(): void {
        seen.push("init");
      }
      override preRestart(error: unknown): void {
        seen.push({ pre: error, self: this.self.id.id });
      }
      override async postRestart(error: unknown): Promise<void> {
        seen.push({ post: error, self: this.self.id.id });
      }
      override terminate(): void {
        seen.push("terminate");
      }
      override handleCall(): string {
        return this.self.id.id;
      }
      override handleCast(error: unknown): void {
        throw error;
      }
    }
    const ref = system.spawn(Hooked);
    ref.cast("why");
    const id = await ref.call("id");
    expect(seen.events).toEqual([
      "init",
      { pre: "why", self: ref.id.id },
      "terminate",
      "init",
      { post: "why", self: id },
    ]);
  });

  it("work in classes as fields of the object", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    class Hooked extends Actor {
      override preRestart = (error: unknown) => seen.push({ pre: error });
      override postRestart = (error: unknown) => seen.push({ post: error });
      override handleCall = () => "up";
      override handleCast = (error: unknown) => {
        throw error;
      };
    }
    const ref = system.spawn(Hooked);
    ref.cast("why");
    expect(await ref.call("up")).toBe("up");
    expect(seen.events).toEqual([{ pre: "why" }, { post: "why" }]);
  });

  it("run for siblings that a strategy takes along, without an error of their own", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const parent = system.spawn(
      createActor((ctx, self) => {
        for (const label of ["a", "b"]) ctx.spawn(hooked(seen.push), { args: [label] });
        return self.childSupervision({ strategy: "one-for-all" }).onCall("children", () => ctx.getChildren());
      }),
    );
    const [a, b] = (await parent.call("children")) as any[];
    b.cast("crash", 2);
    await seen.find((event) => event.post === 2);
    await Promise.all([a.call("id"), b.call("id")]);
    seen.clear();
    a.cast("crash", 1);
    await seen.atLeast(8);
    expect(seen.events.filter((event) => typeof event === "string")).toEqual([
      "terminate",
      "terminate",
      "init:a",
      "init:b",
    ]);
    expect(seen.events.filter((event) => event.pre === 1 || event.post === 1)).toEqual([{ pre: 1 }, { post: 1 }]);
    // Not even the error of an earlier crash of its own.
    expect(seen.events.filter((event) => typeof event === "object")).toEqual(
      expect.arrayContaining([{ pre: undefined }, { post: undefined }]),
    );
  });

  it("are refused if they are no functions", () => {
    const system = makeSystem();
    expect(() => system.spawn(createActor((_ctx, self) => void self.preRestart(1 as any)))).toThrow(/preRestart/);
    expect(() => system.spawn(createActor((_ctx, self) => void self.postRestart(1 as any)))).toThrow(/postRestart/);
  });
});
