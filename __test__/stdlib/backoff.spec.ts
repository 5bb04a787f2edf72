/**
 * Delays between restarts: backoff, and inits that fail again and again.
 */

import { createActor, type System } from "libeam";
import { describe, expect, it } from "vitest";
import { Boss, Worker } from "../support/actors.js";
import { gone, makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { nodeTimer, rejection, turns } from "../support/time.js";

const quiet = (): void => {};
const FAR = { initialMs: 60_000, maxMs: 60_000, jitter: 0 };

/** A root whose starts after the first one fail, as told. */
function fragile(system: System, mode: "sync" | "async", times = Number.POSITIVE_INFINITY) {
  const starts = makeProbe<number>();
  const ref = system.spawn(
    createActor("Fragile", (ctx, self) => {
      starts.push(performance.now());
      const n = starts.events.length;
      self
        .onCall("id", () => ctx.self.id.id)
        .onCast("crash", () => {
          throw new Error("boom");
        });
      if (n === 1 || n > times + 1) return;
      if (mode === "sync") throw new Error(`start ${n}`);
      return turns(1).then(() => Promise.reject(new Error(`start ${n}`)));
    }),
    { name: "fragile" },
  );
  return { ref, starts };
}

describe.each(["sync", "async"] as const)("a %s init that fails on restart", (mode) => {
  it("is tried again with growing delays, even without backoff, until the limit", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 4, periodMs: 60_000 } });
    const { ref, starts } = fragile(system, mode);
    const end = gone(system, ref);
    ref.cast("crash");
    const waiting = rejection(ref.call("id"));
    expect(await end).toEqual({ type: "killed" });
    expect(starts.events).toHaveLength(5);
    const gaps = starts.events.slice(1).map((at, n) => at - starts.events[n]);
    for (const [n, least] of [0, 10, 20, 40].entries()) expect(gaps[n], `gap ${n}`).toBeGreaterThanOrEqual(least);
    expect((await waiting).code).toBe("ACTOR_NOT_FOUND");
    expect(await system.getActorByName("fragile")).toBeNull();
    expect(system.system._counters()).toMatchObject({ alarms: 0, slots: 0, reasons: 0 });
  });

  it("cannot spin, whatever the limit, and leaves the event loop to others", async () => {
    const system = makeSystem({ supervision: { maxRestarts: Number.POSITIVE_INFINITY } });
    const { ref, starts } = fragile(system, mode);
    const other = system.spawn(Worker, { args: ["w", quiet] });
    const start = performance.now();
    ref.cast("crash");
    let answers = 0;
    while (performance.now() - start < 100 || answers <= 10 || starts.events.length === 1) {
      await turns(1);
      await other.call("id");
      answers++;
    }
    // Delays of 10, 20, 40 and 80 ms: at most four starts follow the crash within 100 ms.
    const most = 2 + Math.ceil(Math.log2((performance.now() - start) / 10 + 1));
    expect(starts.events.length).toBeLessThanOrEqual(most + 1);
  });

  it("serves what waited once it works", async () => {
    const system = makeSystem();
    const { ref, starts } = fragile(system, mode, 2);
    ref.cast("crash");
    const id = await ref.call("id");
    expect(id).not.toBe(ref.id.id);
    expect(starts.events).toHaveLength(4);
    expect((await system.getActorByName("fragile"))?.id.id).toBe(id);
  });

  it("keeps to the configured delays", async () => {
    const system = makeSystem({
      supervision: { maxRestarts: 5, backoff: { initialMs: 25, multiplier: 1, jitter: 0 } },
    });
    const { ref, starts } = fragile(system, mode, 2);
    ref.cast("crash");
    await ref.call("id");
    const gaps = starts.events.slice(1).map((at, n) => at - starts.events[n]);
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(25);
  });
});

describe("during a backoff", () => {
  function waiting(supervision = {}) {
    const system = makeSystem({ supervision: { backoff: FAR, ...supervision } });
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { name: "one", args: ["w", life.push] });
    ref.cast("crash");
    return { system, ref, life, down: life.find((event) => event === "terminate:w") };
  }

  it("messages wait, and calls have their timeouts", async () => {
    const { ref, down } = waiting();
    await down;
    expect((await rejection(ref.call({ method: "id", args: [] }, 10))).code).toBe("TIMEOUT");
  });

  it("a stop ends the actor at once, and refuses what waits", async () => {
    const { system, ref, life, down } = waiting();
    await down;
    const call = rejection(ref.call("id"));
    const end = gone(system, ref);
    await system.stop(ref);
    expect(await end).toEqual({ type: "normal" });
    expect((await call).code).toBe("ACTOR_NOT_FOUND");
    expect(life.events).toEqual(["init:w", "terminate:w"]);
    expect(system.system._counters()).toMatchObject({ alarms: 0, slots: 0, names: 0 });
  });

  it("a kill ends the actor at once", async () => {
    const { system, ref, down } = waiting();
    await down;
    const end = gone(system, ref);
    system.system.sendExit(null, ref, "kill");
    expect(await end).toEqual({ type: "killed" });
  });

  it("a shutdown of the system does not wait", async () => {
    const { system, ref, life, down } = waiting();
    await down;
    const call = rejection(ref.call("id"));
    await system.shutdown({ timeout: 60_000, drainMailboxes: false });
    expect(["SYSTEM_SHUTTING_DOWN", "ACTOR_NOT_FOUND"]).toContain((await call).code);
    expect(life.events).toEqual(["init:w", "terminate:w"]);
  });

  it("a stop of the parent takes the child along", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    for (const strategy of ["one-for-one", "one-for-all", "rest-for-one"] as const) {
      life.clear();
      const boss = system.spawn(Boss, { args: [{ strategy, backoff: FAR }, ["a", "b"], life.push] });
      const [a] = (await boss.call("children")) as any[];
      a.cast("crash");
      await life.find((event) => event === "terminate:a");
      await system.stop(boss);
      await turns();
      const inits = life.events.filter((event) => event.startsWith("init"));
      expect(inits, strategy).toEqual(["init:boss", "init:a", "init:b"]);
      expect([...life.events.slice(3)].sort(), strategy).toEqual(["terminate:a", "terminate:b", "terminate:boss"]);
      expect(system.system._counters(), strategy).toMatchObject({ actors: 0, alarms: 0, reasons: 0 });
    }
  });

  it("a crash of the parent takes the child along, and its next incarnation has new ones", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{ backoff: FAR }, ["a", "b"], life.push] });
    const [a] = (await boss.call("children")) as any[];
    a.cast("crash");
    await life.find((event) => event === "terminate:a");
    const end = gone(system, a);
    boss.cast("crash");
    await boss.call("id");
    expect(await end).toEqual({ type: "normal" });
    expect(life.events.slice(3)).toEqual([
      ...["terminate:a", "terminate:b", "terminate:boss"],
      ...["init:boss", "init:a", "init:b"],
    ]);
    expect(await boss.call("count")).toBe(2);
  });

  it("a child can be stopped, and its siblings go on", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{ backoff: FAR }, ["a", "b"], life.push] });
    const [a, b] = (await boss.call("children")) as any[];
    a.cast("crash");
    await life.find((event) => event === "terminate:a");
    expect(await boss.call("count")).toBe(2);
    await boss.call("stop", a);
    expect(await boss.call("count")).toBe(1);
    expect(await b.call("id")).toBe(b.id.id);
  });

  it("watchers hear nothing, and links are spent", async () => {
    const system = makeSystem({ supervision: { backoff: { initialMs: 20, jitter: 0 } } });
    const life = makeProbe<string>();
    const [a, b] = ["a", "b"].map((label) => system.spawn(Worker, { args: [label, life.push] }));
    system.system.link(a, b);
    a.cast("crash");
    await life.atLeast(6);
    await Promise.all([a.call("id"), b.call("id")]);
    expect(life.events.filter((event) => event.startsWith("init"))).toHaveLength(4);
    expect(system.system._counters()).toMatchObject({ links: 0, monitors: 0 });
  });

  it("mailboxes can be paused, looked at, and served later", async () => {
    const system = makeSystem({ supervision: { backoff: { initialMs: 15, jitter: 0 } } });
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    ref.cast("crash");
    await life.find((event) => event === "terminate:w");
    ref.cast("note", "waits");
    expect(system.system.pauseMailbox(ref.id.id)).toBe(true);
    expect(system.system.getPendingMessages(ref.id.id)).toHaveLength(1);
    await life.atLeast(3);
    await nodeTimer(5);
    expect(life.events).toEqual(["init:w", "terminate:w", "init:w"]);
    expect(system.system.resumeMailbox(ref.id.id)).toBe(true);
    await life.find((event) => event === "w:waits");
  });
});
