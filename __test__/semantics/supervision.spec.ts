/**
 * What follows a crash: sentences R1 to R10 of docs/SEMANTICS.md.
 */

import { type ActorRef, createActor, TelemetryEvents, telemetry } from "libeam";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Boss, Worker } from "../support/actors.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { loggedErrors, makeSystem } from "../support/system.js";
import { gate, nodeTimer, turns } from "../support/time.js";

afterEach(() => telemetry.reset());

type WorkerRef = ActorRef & { cast(method: "crash", error?: unknown): void; call(method: string): Promise<any> };

/** A boss with three workers; gives their refs and what happens from now on. */
async function family(options: object, labels = ["a", "b", "c"]) {
  const system = makeSystem();
  const life = makeProbe<string>();
  const boss = system.spawn(Boss, { args: [options, labels, life.push] });
  const children = (await boss.call("children")) as WorkerRef[];
  life.clear();
  return { system, boss, children, life };
}

describe("a crash", () => {
  it("R1: starts the actor again with its arguments, refs, name, groups, watchers and messages", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { name: "phoenix", args: ["w", life.push] });
    const downs = watchFor(system, ref);
    system.joinGroup("group", ref);
    const before = ref.id.id;
    ref.cast("crash");
    ref.cast("note", "waited");
    const id = await ref.call("id");
    expect(id).not.toBe(before);
    expect(life.events).toEqual(["init:w", "terminate:w", "init:w", "w:waited"]);
    const named = await system.getActorByName("phoenix");
    expect(named?.id.id).toBe(id);
    expect(system.getGroup("group").map((member) => member.id.id)).toEqual([id]);
    expect(downs.events).toEqual([]);
    await system.stop(ref);
    expect(await downs.next()).toMatchObject({ reason: { type: "normal" } });
  });

  it("R2: does not bring its message back", async () => {
    const system = makeSystem();
    const handled = vi.fn();
    const ref = system.spawn(
      createActor((_ctx, self) =>
        self
          .onCall("count", () => handled.mock.calls.length)
          .onCast("crash", async () => {
            handled();
            await turns(1);
            throw new Error("boom");
          }),
      ),
    );
    ref.cast("crash");
    expect(await ref.call("count")).toBe(1);
    await turns();
    expect(handled).toHaveBeenCalledTimes(1);
  });

  it.each(["root", "child"])("R3: is repaired maxRestarts times within the period for each %s", async (kind) => {
    const limits = { maxRestarts: 2, periodMs: 60_000 };
    const system = makeSystem({ supervision: limits });
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [limits, [], () => {}] });
    const spawn = async (label: string): Promise<WorkerRef> =>
      kind === "root"
        ? system.spawn(Worker, { args: [label, life.push] })
        : ((await boss.call("spawn", Worker, { args: [label, life.push] })) as WorkerRef);
    const [a, b] = [await spawn("a"), await spawn("b")];
    const end = gone(system, a);
    for (const ref of [a, b, a, b]) {
      ref.cast("crash");
      await ref.call("id");
    }
    expect(life.events.filter((event) => event.startsWith("init"))).toHaveLength(6);
    a.cast("crash");
    expect(await end).toEqual({ type: "killed" });
    expect(await b.call("id")).toBeTypeOf("string");
    expect(life.events.filter((event) => event === "init:a")).toHaveLength(3);
  });

  it("R3: counts only what lies within the period", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1, periodMs: 30 } });
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    for (let crash = 1; crash <= 3; crash++) {
      ref.cast("crash");
      await ref.call("id");
      expect(life.events.filter((event) => event === "init:w")).toHaveLength(crash + 1);
      await nodeTimer(60);
    }
  });

  it.each([
    ["a crash that Stop follows", { strategy: "Stop" }, "exit"],
    ["the crash past the limit", { maxRestarts: 0 }, "killed"],
  ] as const)(
    "R3: %s waits for what runs in it and below it, and its children end normally",
    async (_, options, type) => {
      const system = makeSystem({ supervision: options });
      const [events, doors] = [makeProbe<string>(), [gate(), gate()]];
      const busy = (label: string, door: Promise<void>) =>
        createActor((_ctx, self) =>
          self
            .onCall("work", async () => {
              await door;
              events.push(`${label} has worked`);
              return label;
            })
            .onTerminate(() => void events.push(`${label} terminates`)),
        );
      const boss = system.spawn(
        createActor((ctx, self) => {
          const child = ctx.spawn(busy("child", doors[0].promise));
          return self
            .onCall("child", () => child)
            .onCall("work", async () => {
              await doors[1].promise;
              return "boss";
            })
            .onTerminate(() => void events.push("boss terminates"));
        }),
      );
      const child = await boss.call("child");
      const [ends, calls] = [
        [gone(system, child), gone(system, boss)],
        [child.call("work"), boss.call("work")],
      ];
      system.spawn(createActor((ctx) => ctx.exit(boss, "why")));
      await turns();
      expect(events.events).toEqual([]);
      for (const door of [...doors].reverse()) {
        door.open();
        await turns();
      }
      expect(await Promise.all(calls)).toEqual(["child", "boss"]);
      expect((await Promise.all(ends)).map((reason) => reason.type)).toEqual(["normal", type]);
      expect(events.events).toEqual(["child has worked", "child terminates", "boss terminates"]);
    },
  );
});

describe("strategies", () => {
  it.each([
    ["one-for-one", 1, ["terminate:b", "init:b"]],
    ["one-for-all", 1, ["terminate:c", "terminate:b", "terminate:a", "init:a", "init:b", "init:c"]],
    ["rest-for-one", 1, ["terminate:c", "terminate:b", "init:b", "init:c"]],
    ["rest-for-one", 2, ["terminate:c", "init:c"]],
    ["rest-for-one", 0, ["terminate:c", "terminate:b", "terminate:a", "init:a", "init:b", "init:c"]],
    ["one-for-all", 0, ["terminate:c", "terminate:b", "terminate:a", "init:a", "init:b", "init:c"]],
  ])("R4: %s restarts the right ones when child %i crashes", async (strategy, crashed, expected) => {
    const { children, boss, life } = await family({ strategy });
    children[crashed].cast("crash");
    expect(await life.atLeast(expected.length)).toEqual(expected);
    const ids = await Promise.all(children.map((child) => child.call("id")));
    expect(life.events).toEqual(expected);
    const now = (await boss.call("children")) as ActorRef[];
    expect(now.map((ref) => ref.id.id)).toEqual(ids);
    const restarted = children.map((child, at) => child.id.id !== ids[at]);
    expect(restarted).toEqual(["a", "b", "c"].map((label) => expected.includes(`init:${label}`)));
  });

  it("R5: starts each after the init of the one before, and stops each after terminate of the one after", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const Slow = createActor(async (_ctx, self, label: string) => {
      self
        .onCall("ready", () => label)
        .onCast("crash", () => {
          throw new Error("boom");
        })
        .onTerminate(async () => {
          life.push(`stopping:${label}`);
          await turns(2);
          life.push(`stopped:${label}`);
        });
      life.push(`starting:${label}`);
      await turns(2);
      life.push(`started:${label}`);
    });
    const boss = system.spawn(Boss, { args: [{ strategy: "one-for-all" }, [], () => {}] });
    const refs: any[] = [];
    for (const label of ["a", "b", "c"]) refs.push(await boss.call("spawn", Slow, { args: [label] }));
    await Promise.all(refs.map((ref) => ref.call("ready")));
    life.clear();
    refs[0].cast("crash");
    await life.atLeast(12);
    const expected = [
      ...["c", "b", "a"].flatMap((label) => [`stopping:${label}`, `stopped:${label}`]),
      ...["a", "b", "c"].flatMap((label) => [`starting:${label}`, `started:${label}`]),
    ];
    expect(life.events).toEqual(expected);
  });

  it("R6: a restarted actor's children are stopped first", async () => {
    const { boss, children, life } = await family({}, ["a", "b"]);
    boss.cast("crash");
    await boss.call("id");
    expect(life.events).toEqual(["terminate:a", "terminate:b", "terminate:boss", "init:boss", "init:a", "init:b"]);
    await expect(children[0].call("id")).rejects.toMatchObject({ code: "ACTOR_NOT_FOUND" });
    expect(await boss.call("count")).toBe(2);
  });

  it("R7: Stop ends the crashed one with its error", async () => {
    const { system, boss, children, life } = await family({ strategy: "Stop" });
    const error = new Error("boom");
    const end = gone(system, children[1]);
    children[1].cast("crash", error);
    const reason: any = await end;
    expect(reason).toEqual({ type: "error", error });
    expect(reason.error).toBe(error);
    expect(life.events).toEqual(["terminate:b"]);
    expect(await boss.call("count")).toBe(2);
  });

  it("R7: Escalate ends it and crashes the parent with the same error", async () => {
    const { system, boss, children, life } = await family({ strategy: "Escalate" });
    const crashes = makeProbe<any>();
    telemetry.attach("crashes", [TelemetryEvents.supervisor.crash], (_name, _numbers, { actor_id, error }) =>
      crashes.push({ actor_id, error }),
    );
    const [error, before] = [new Error("too much"), boss.id.id];
    const end = gone(system, children[0]);
    children[0].cast("crash", error);
    expect(await end).toEqual({ type: "error", error });
    expect(await boss.call("id")).not.toBe(before);
    expect(life.events).toEqual([
      "terminate:a",
      "terminate:b",
      "terminate:c",
      "terminate:boss",
      ...["boss", "a", "b", "c"].map((label) => `init:${label}`),
    ]);
  });
});

describe("backoff", () => {
  it("R8: waits longer each time and at most maxMs, while messages wait", async () => {
    const system = makeSystem({
      supervision: { maxRestarts: 10, backoff: { initialMs: 20, multiplier: 1_000, maxMs: 60, jitter: 0 } },
    });
    const times: number[] = [];
    const stamp = (): number => times.push(performance.now());
    const ref = system.spawn(
      createActor((_ctx, self) => {
        stamp();
        return self
          .onCall("wakes", () => times.length)
          .onCast("crash", () => {
            stamp();
            throw new Error("boom");
          });
      }),
    );
    for (let crash = 1; crash <= 4; crash++) {
      ref.cast("crash");
      expect(await ref.call("wakes")).toBe(crash * 2 + 1);
    }
    const delays = [1, 3, 5, 7].map((at) => times[at + 1] - times[at]);
    // Without the cap the second delay would be 20 s, and the test would run out of time.
    for (const [at, least] of [20, 60, 60, 60].entries()) expect(delays[at]).toBeGreaterThanOrEqual(least);
  });

  it("R8: has the delay of a plan before its first start only", async () => {
    const backoff = { initialMs: 30, maxMs: 30, jitter: 0 };
    const { children, life } = await family({ strategy: "one-for-all", backoff });
    const start = performance.now();
    children[0].cast("crash");
    await life.atLeast(4);
    expect(performance.now() - start).toBeGreaterThanOrEqual(30);
    await Promise.all(children.map((child) => child.call("id")));
    expect(life.events.slice(3)).toEqual(["init:a", "init:b", "init:c"]);
  });

  it("R10: is not what a restart is that somebody asks for", async () => {
    const { system, boss, children, life } = await family({ strategy: "one-for-all", maxRestarts: 0 });
    const [a, b] = children as [WorkerRef, WorkerRef];
    const ends = watchFor(system, a, boss);
    for (let n = 0; n < 2; n++) {
      expect((await system.system.restart(a))?.id.id).toBe(await a.call("id"));
      expect(life.events.splice(0)).toEqual(["terminate:a", "init:a"]);
    }
    a.cast("crash"); // The limit has not been used up, and is not raised.
    expect(await ends.next()).toMatchObject({ actorRef: { id: a.id }, reason: { type: "killed" } });
    expect([await system.system.restart(a), await b.call("id")]).toEqual([null, b.id.id]);
    life.clear();
    expect((await system.system.restart(boss))?.id.id).toBe(await boss.call("id"));
    expect(life.events.slice(0, 4)).toEqual(["terminate:b", "terminate:c", "terminate:boss", "init:boss"]);
    expect(ends.events).toHaveLength(1);
  });

  it("R9: a crash of an actor on its way out changes nothing", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const door = gate();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    const Crasher = createActor((_ctx, self) => {
      life.push("init:crasher");
      return self
        .onCast("crash", async () => {
          await door.promise;
          throw new Error("boom");
        })
        .onTerminate(() => life.push("terminate:crasher"));
    });
    const crasher = system.spawn(Crasher);
    const end = gone(system, crasher);
    crasher.cast("crash");
    await turns();
    const stopped = system.stop(crasher);
    door.open();
    await stopped;
    expect(await end).toEqual({ type: "normal" });
    await turns();
    expect(life.events).toEqual(["init:w", "init:crasher", "terminate:crasher"]);
    expect(await ref.call("id")).toBe(ref.id.id);
    expect(loggedErrors()).toEqual(["Actor crashed"]);
  });
});
