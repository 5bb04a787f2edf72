/**
 * What a system logs when actors fail.
 */

import { consoleLogHandler, createActor, type LogEntry, loggerConfig } from "libeam";
import { describe, expect, it, vi } from "vitest";
import { Boss, Worker } from "../support/actors.js";
import { gone, makeProbe } from "../support/probe.js";
import { logged, makeSystem } from "../support/system.js";

const quiet = (): void => {};

describe("a crash", () => {
  it("is logged as an error, with the error, the actor and the node", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    const error = new Error("why");
    ref.cast("crash", error);
    await ref.call("id");
    expect(logged()).toEqual([
      {
        level: "error",
        message: "Actor crashed",
        error,
        timestamp: expect.any(Date),
        context: { component: "ActorSystem", nodeId: system.nodeId, actorId: ref.id.id, className: "Worker" },
      },
    ]);
    expect(logged()[0].error).toBe(error);
  });

  it("goes to console.error by default", async () => {
    const printed = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      loggerConfig.handler = consoleLogHandler;
      const system = makeSystem();
      const ref = system.spawn(Worker, { args: ["w", quiet] });
      const error = new Error("why");
      ref.cast("crash", error);
      await ref.call("id");
      expect(printed.mock.calls).toEqual([[expect.stringContaining("Actor crashed")], [error]]);
      expect(printed.mock.calls[0][0]).toContain(ref.id.id);
    } finally {
      printed.mockRestore();
    }
  });

  it("of a value that is no error is logged with one whose cause it is", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    ref.cast("crash", { code: 7 });
    await ref.call("id");
    const [{ error }] = logged() as [LogEntry];
    expect(error).toBeInstanceOf(Error);
    expect(error?.cause).toEqual({ code: 7 });
  });

  it("is logged each time, also the one that is too many", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1 } });
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    const end = gone(system, ref);
    for (let n = 0; n < 2; n++) ref.cast("crash");
    await end;
    expect(logged().map(({ message }) => message)).toEqual(["Actor crashed", "Actor crashed"]);
  });

  it("of an init on restart is logged, too", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1 } });
    let starts = 0;
    const ref = system.spawn(
      createActor("Fragile", (_ctx, self) => {
        if (++starts > 1) throw new Error("will not start");
        self.onCast("crash", () => {
          throw new Error("boom");
        });
      }),
    );
    const end = gone(system, ref);
    ref.cast({ method: "crash", args: [] });
    await end;
    expect(logged().map(({ error, context }) => [error?.message, context.className])).toEqual([
      ["boom", "Fragile"],
      ["will not start", "Fragile"],
    ]);
  });

  it("is not what a failing call is", async () => {
    const system = makeSystem();
    const ref = system.spawn(
      createActor((_ctx, self) =>
        self.onCall("fail", () => {
          throw new Error("no");
        }),
      ),
    );
    await expect(ref.call("fail")).rejects.toThrow("no");
    expect(logged()).toEqual([]);
  });

  it("does not stop what a log handler that throws is told of", async () => {
    loggerConfig.handler = () => {
      throw new Error("log handler");
    };
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    ref.cast("crash");
    expect(await ref.call("id")).not.toBe(ref.id.id);
  });
});

describe("a failing terminate", () => {
  it.each([
    [
      "throws",
      () => {
        throw new Error("no end");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no end"))],
  ])("that %s is logged and the end goes on", async (_, fail) => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{}, [], life.push] });
    const child = await boss.call(
      "spawn",
      createActor("Stubborn", (_ctx, self) => void self.onTerminate(fail)),
    );
    await system.stop(boss);
    expect(life.events).toEqual(["init:boss", "terminate:boss"]);
    expect(logged()).toMatchObject([
      {
        level: "error",
        message: "terminate failed",
        error: { message: "no end" },
        context: { component: "Actor", actorId: child.id.id, className: "Stubborn" },
      },
    ]);
    expect(system.system.getActors()).toEqual([]);
  });
});
