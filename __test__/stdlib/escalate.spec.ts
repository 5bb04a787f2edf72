/**
 * Escalation: a crash that becomes the crash of the parent.
 */

import { type ActorRef, createActor, TelemetryEvents, telemetry } from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { Boss, Worker } from "../support/actors.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { turns } from "../support/time.js";

afterEach(() => telemetry.reset());

/** Notes each start and what the last one crashed of; a child of it escalates. */
const Tower = createActor("Tower", (ctx, self, floors: number, note: (event: any) => void) => {
  note(`init:${floors}`);
  if (floors > 0) ctx.spawn(Tower as any, { args: [floors - 1, note] });
  return self
    .childSupervision({ strategy: "Escalate" })
    .postRestart((error) => note({ floors, error }))
    .onCall("below", () => ctx.getChildren()[0])
    .onCall("id", () => ctx.self.id.id)
    .onCast("crash", (error: unknown) => {
      throw error;
    })
    .onTerminate(() => note(`terminate:${floors}`));
});

async function descend(ref: any, floors: number): Promise<any> {
  for (let floor = 0; floor < floors; floor++) ref = await ref.call("below");
  return ref;
}

describe("Escalate", () => {
  it("goes up floor by floor until somebody restarts, with the same error", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const top = system.spawn(Tower, { args: [3, seen.push] });
    const ground = await descend(top, 3);
    const downs = watchFor(system, ground, await descend(top, 2), await descend(top, 1));
    seen.clear();
    const error = new Error("fire");
    ground.cast("crash", error);
    const told = await seen.find((event) => typeof event === "object");
    expect(told).toEqual({ floors: 3, error });
    expect(told.error).toBe(error);
    expect(seen.events).toEqual([
      ...[0, 1, 2, 3].map((floor) => `terminate:${floor}`),
      ...[3, 2, 1, 0].map((floor) => `init:${floor}`),
      { floors: 3, error },
    ]);
    const reasons = (await downs.take(3)).map(({ reason }) => reason);
    expect(reasons).toContainEqual({ type: "error", error });
    expect(await top.call("id")).not.toBe(top.id.id);
    await descend(top, 3);
  });

  it("ends at a root that is not restarted", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const top = system.spawn(Tower, { args: [2, () => {}] });
    const end = gone(system, top);
    const error = new Error("fire");
    (await descend(top, 2)).cast("crash", error);
    expect(await end).toEqual({ type: "error", error });
    await turns();
    expect(system.system.getActors().filter(({ className }) => className === "Tower")).toEqual([]);
  });

  it("uses up the restarts of the parent, not those of the child", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1, periodMs: 60_000 } });
    const seen = makeProbe<any>();
    const top = system.spawn(Tower, { args: [1, seen.push] });
    const end = gone(system, top);
    (await descend(top, 1)).cast("crash", "one");
    await seen.find((event) => event.floors === 1);
    expect(await top.call("id")).not.toBe(top.id.id);
    (await descend(top, 1)).cast("crash", "two");
    expect(await end).toEqual({ type: "killed" });
  });

  it("takes the siblings down with the parent, who starts them again itself", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{ strategy: "Escalate" }, ["a", "b", "c"], life.push] });
    const [, b] = (await boss.call("children")) as (ActorRef & { cast(method: "crash"): void })[];
    life.clear();
    b.cast("crash");
    await life.find((event) => event === "init:c");
    expect([...life.events.slice(0, 4)].sort()).toEqual(["a", "b", "boss", "c"].map((label) => `terminate:${label}`));
    expect(life.events[3]).toBe("terminate:boss");
    expect(life.events.slice(4)).toEqual(["boss", "a", "b", "c"].map((label) => `init:${label}`));
  });

  it("is told to telemetry", async () => {
    const system = makeSystem();
    const events = makeProbe<any>();
    telemetry.attach("e", [TelemetryEvents.supervisor.escalate], (_name, _numbers, data) => events.push(data));
    const boss = system.spawn(Boss, { args: [{ strategy: "Escalate" }, ["a"], () => {}] });
    const [a] = (await boss.call("children")) as any[];
    a.cast("crash", new Error("fire"));
    expect(await events.next()).toEqual({ actor_id: a.id.id, error: "fire" });
    await boss.call("id");
    expect(events.events).toHaveLength(1);
  });

  it("passes a parent's own strategy on to its parent's", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const top = system.spawn(Boss, { args: [{ strategy: "one-for-all" }, ["w"], life.push] });
    const middle: any = await top.call("spawn", Boss, {
      args: [{ strategy: "Escalate" }, ["x"], (event: string) => life.push(`middle ${event}`)],
    });
    const [x] = await middle.call("children");
    life.clear();
    x.cast("crash");
    await life.find((event) => event === "middle init:x");
    expect(life.events).toEqual([
      "middle terminate:x",
      "middle terminate:boss",
      "terminate:w",
      "init:w",
      "middle init:boss",
      "middle init:x",
    ]);
    expect(await top.call("count")).toBe(2);
  });

  it("of a child of a worker that is stopping changes nothing", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{ strategy: "Escalate" }, ["a"], life.push] });
    const [a] = (await boss.call("children")) as any[];
    a.cast("crash");
    const end = gone(system, boss);
    await system.stop(boss);
    expect(await end).toEqual({ type: "normal" });
    await turns();
    expect(life.events.filter((event) => event.startsWith("init"))).toHaveLength(2);
    expect(system.spawn(Worker, { args: ["w", () => {}] })).toBeDefined();
  });
});
