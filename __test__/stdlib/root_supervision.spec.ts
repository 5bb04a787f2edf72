/**
 * Supervision of root actors: the `supervision` option of a system.
 */

import { ActorId, ActorRef, createActor, createSystem, InvalidOptionError, TelemetryEvents, telemetry } from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { Worker } from "../support/actors.js";
import { gone, makeProbe } from "../support/probe.js";
import { logged, makeSystem } from "../support/system.js";
import { thrown, turns } from "../support/time.js";

afterEach(() => telemetry.reset());

const quiet = (): void => {};
const inits = (events: string[]): number => events.filter((event) => event.startsWith("init")).length;

describe("by default", () => {
  it("a root is restarted three times within five seconds, and then ends", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    const end = gone(system, ref);
    const ids = [ref.id.id];
    for (let crash = 1; crash <= 3; crash++) {
      ref.cast("crash");
      ids.push(await ref.call("id"));
    }
    expect(new Set(ids).size).toBe(4);
    ref.cast("crash");
    expect(await end).toEqual({ type: "killed" });
    expect(inits(life.events)).toBe(4);
    expect(life.events.at(-1)).toBe("terminate:w");
    expect(system.system.getActors().some(({ className }) => className === "Worker")).toBe(false);
  });

  it("the new incarnation is reached by its own id as well", async () => {
    const system = makeSystem();
    const restarts = makeProbe<any>();
    telemetry.attach("restarts", [TelemetryEvents.supervisor.restart], (_name, _numbers, data) => restarts.push(data));
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    ref.cast("crash");
    const { actor_id, new_actor_id, attempt, strategy } = await restarts.next();
    expect({ actor_id, attempt, strategy }).toEqual({ actor_id: ref.id.id, attempt: 1, strategy: "Restart" });
    const made = new ActorRef(new ActorId(system.nodeId, new_actor_id), system.system);
    expect(await made.call({ method: "id", args: [] })).toBe(new_actor_id);
    expect(system.system.getLocalActorIds()).toEqual([new_actor_id]);
    expect(system.system.getActor(new_actor_id)).toBeDefined();
    expect(ref.id.id).toBe(actor_id);
  });

  it("state is made anew from the arguments", async () => {
    const system = makeSystem();
    const Counter = createActor((_ctx, self, start: number) => {
      let count = start;
      return self
        .onCall("next", () => ++count)
        .onCast("crash", () => {
          throw new Error("boom");
        });
    });
    const ref = system.spawn(Counter, { args: [10] });
    expect([await ref.call("next"), await ref.call("next")]).toEqual([11, 12]);
    ref.cast("crash");
    expect(await ref.call("next")).toBe(11);
  });

  it.each([
    ["synchronous", () => Promise.reject(new Error("boom"))],
    ["late", () => turns(2).then(() => Promise.reject(new Error("boom")))],
  ])("a %s rejection of a cast handler is a crash, too", async (_, fail) => {
    const system = makeSystem();
    const ref = system.spawn(createActor((ctx, self) => self.onCast("fail", fail).onCall("id", () => ctx.self.id.id)));
    ref.cast("fail");
    expect(await ref.call("id")).not.toBe(ref.id.id);
    expect(logged().map(({ message }) => message)).toEqual(["Actor crashed"]);
  });
});

describe("strategies", () => {
  it("Stop ends the actor with its error", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { name: "one", args: ["w", life.push] });
    const end = gone(system, ref);
    const error = new Error("why");
    ref.cast("crash", error);
    expect(await end).toEqual({ type: "error", error });
    expect(life.events).toEqual(["init:w", "terminate:w"]);
    expect(await system.getActorByName("one")).toBeNull();
  });

  it("Escalate has nowhere to go from a root, which ends with its error", async () => {
    const system = makeSystem({ supervision: { strategy: "Escalate" } });
    const bystander = system.spawn(Worker, { args: ["w", quiet] });
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    const end = gone(system, ref);
    ref.cast("crash", "why");
    expect(await end).toEqual({ type: "error", error: "why" });
    expect(await bystander.call("id")).toBe(bystander.id.id);
  });

  it("a crash never takes other roots along", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const refs = ["a", "b", "c"].map((label) => system.spawn(Worker, { args: [label, life.push] }));
    refs[1].cast("crash");
    await refs[1].call("id");
    expect(life.events.slice(3)).toEqual(["terminate:b", "init:b"]);
  });
});

describe("limits", () => {
  it("maxRestarts 0 restarts nothing", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 0 } });
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    const end = gone(system, ref);
    ref.cast("crash");
    expect(await end).toEqual({ type: "killed" });
    expect(inits(life.events)).toBe(1);
  });

  it("maxRestarts Infinity restarts for ever", async () => {
    const system = makeSystem({ supervision: { maxRestarts: Number.POSITIVE_INFINITY } });
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    for (let crash = 0; crash < 500; crash++) ref.cast("crash");
    await ref.call("id");
    expect(inits(life.events)).toBe(501);
  });

  it("a name gives no fresh window, and two actors of one kind have one each", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1, periodMs: 60_000 } });
    const life = makeProbe<string>();
    const [a, b] = ["a", "b"].map((label) => system.spawn(Worker, { name: label, args: [label, life.push] }));
    const ends = [gone(system, a), gone(system, b)];
    for (const ref of [a, b]) {
      ref.cast("crash");
      await ref.call("id");
    }
    (await system.getActorByName("a"))?.cast({ method: "crash", args: [] });
    expect(await ends[0]).toEqual({ type: "killed" });
    expect(await b.call("id")).toBeTypeOf("string");
    // A new actor under the old name starts with a window of its own.
    const next = system.spawn(Worker, { name: "a", args: ["a", life.push] });
    next.cast("crash");
    expect(await next.call("id")).not.toBe(next.id.id);
    b.cast("crash");
    expect(await ends[1]).toEqual({ type: "killed" });
  });

  it("are checked when the system is made", () => {
    for (const supervision of [
      { strategy: "one-for-one" },
      { strategy: "restart" },
      { maxRestarts: -1 },
      { maxRestarts: 1.5 },
      { periodMs: -1 },
      { periodMs: Number.NaN },
      { backoff: { initialMs: -1 } },
      { backoff: { initialMs: 10, maxMs: 5 } },
      { backoff: { multiplier: 0.5 } },
      { backoff: { jitter: 2 } },
    ]) {
      const error = thrown(() => createSystem({ supervision: supervision as any }));
      expect(error, JSON.stringify(supervision)).toBeInstanceOf(InvalidOptionError);
    }
  });
});
