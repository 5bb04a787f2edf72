/**
 * `ActorSystem.restart`: an actor is started again because somebody wants it.
 */

import {
  Actor,
  type ActorRef,
  createActor,
  InvalidArgumentError,
  ActorRef as Ref,
  SystemShuttingDownError,
  TelemetryEvents,
  telemetry,
} from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { Boss, Observer, Worker } from "../support/actors.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { leakFree, loggedErrors, makeSystem } from "../support/system.js";
import { gate, rejection, stateOf, turns } from "../support/time.js";

afterEach(() => telemetry.reset());

describe("restart", () => {
  it("gives the ref when the next incarnation is up, hooks run without an error", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    class Hooked extends Actor {
      override async init(label: string): Promise<void> {
        await turns();
        seen.push(`init:${label}`);
      }
      override preRestart(error: unknown): void {
        seen.push({ pre: error });
      }
      override postRestart(error: unknown): void {
        seen.push({ post: error });
      }
      override terminate(): void {
        seen.push("terminate");
      }
      override handleCall(): string {
        return this.self.id.id;
      }
    }
    const restarts: any[] = [];
    telemetry.attach("test", [TelemetryEvents.supervisor.restart], (_name, _numbers, facts) => restarts.push(facts));
    const ref = system.spawn(Hooked, { args: ["x"], name: "hooked" });
    const id = await ref.call("id");
    seen.clear();
    const again = await system.system.restart(ref);
    expect(seen.events).toEqual([{ pre: undefined }, "terminate", "init:x", { post: undefined }]);
    expect(again).toBeInstanceOf(Ref);
    expect(again!.id.id).not.toBe(id);
    expect([await ref.call("id"), await again!.call("id")]).toEqual([again!.id.id, again!.id.id]);
    expect((await system.getActorByName("hooked"))?.id.id).toBe(again!.id.id);
    expect(restarts).toEqual([{ actor_id: id, new_actor_id: again!.id.id, attempt: 0, strategy: "Restart" }]);
    expect(loggedErrors()).toEqual([]);
    await leakFree(system, "names");
  });

  it("stops the children first, and leaves siblings alone", async () => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{ strategy: "one-for-all" }, ["a", "b"], note] });
    const [a] = (await boss.call("children")) as ActorRef[];
    events.length = 0;
    expect(await system.system.restart(a as ActorRef)).not.toBeNull();
    expect(events.splice(0)).toEqual(["terminate:a", "init:a"]);
    expect(await system.system.restart(boss)).not.toBeNull();
    expect(events).toEqual(["terminate:a", "terminate:b", "terminate:boss", "init:boss", "init:a", "init:b"]);
    expect(await system.system.restart(a as ActorRef)).toBeNull();
  });

  it("waits for the handler that runs, and asked for twice it is done once", async () => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", note] });
    const door = gate<string>();
    const call = ref.call("wait", door.promise);
    ref.cast("note", "waited");
    const restarts = [system.system.restart(ref), system.system.restart(ref)];
    await turns();
    expect(await stateOf(restarts[0] as Promise<unknown>)).toBe("pending");
    door.open("answer");
    expect(await call).toBe("answer");
    const [one, two] = await Promise.all(restarts);
    expect(one).toBe(two);
    await ref.call("id");
    expect(events).toEqual(["init:w", "terminate:w", "init:w", "w:waited"]);
  });

  it("starts an actor at once that waits for its next incarnation", async () => {
    const system = makeSystem({ supervision: { backoff: { initialMs: 60_000 } } });
    const { events, push: note } = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", note] });
    ref.cast("crash");
    await turns();
    const call = ref.call("id");
    const again = await system.system.restart(ref);
    expect(await call).toBe(again?.id.id);
    expect(events).toEqual(["init:w", "terminate:w", "init:w"]);
  });

  it("does not count, and a failing init counts as it always does", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1, periodMs: 60_000 } });
    let fails = 0;
    let starts = 0;
    const Fragile = createActor(() => {
      if (++starts > 1 && --fails >= 0) throw new Error("not now");
    });
    const ref = system.spawn(Fragile);
    for (let n = 0; n < 5; n++) expect(await system.system.restart(ref)).not.toBeNull();
    fails = 1;
    expect(await system.system.restart(ref)).not.toBeNull();
    expect(starts).toBe(8);
    fails = 1;
    const end = gone(system, ref);
    expect(await system.system.restart(ref)).toBeNull();
    expect(await end).toEqual({ type: "killed" });
  });

  it("keeps watchers, and ends links normally", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const ref = system.spawn(Worker, { args: ["w", () => {}] });
    const [linked, trapping] = [0, 1].map(() => system.spawn(Observer, { args: [seen.push] }));
    await trapping!.call("trap", true);
    for (const observer of [linked!, trapping!]) await observer.call("link", ref);
    const id = await linked!.call("id");
    const down = watchFor(system, ref);
    await system.system.restart(ref);
    expect(await seen.next()).toMatchObject({ type: "exit", reason: { type: "normal" } });
    expect(await linked!.call("id")).toBe(id);
    await system.stop(ref);
    expect(await down.next()).toMatchObject({ reason: { type: "normal" } });
    expect([seen.events.length, down.events.length]).toEqual([1, 1]);
  });

  it("gives null for an actor that is gone, never was, or is stopped instead", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", () => {}] });
    const door = gate();
    void ref.call("wait", door.promise);
    const restarted = system.system.restart(ref);
    const stopped = system.stop(ref);
    door.open();
    expect([await restarted, await stopped]).toEqual([null, undefined]);
    expect(await system.system.restart(ref)).toBeNull();
    expect(await system.system.restart(system.system.getRef({ ...ref.id, id: "nobody" }))).toBeNull();
  });

  it.each([
    ["itself", (ctx: any) => ctx.self],
    ["its parent", (ctx: any) => ctx.parent],
  ])("of %s does not wait for itself", async (_, whom) => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{}, [], note] });
    const Inner = createActor((ctx, self) =>
      self.onCall("again", async () => (await ctx.system.restart(whom(ctx)))?.id.id).onTerminate(() => note("inner")),
    );
    const inner = (await boss.call("spawn", Inner)) as any;
    const ref = whom({ self: inner, parent: boss });
    expect(await inner.call("again")).toBe(ref.id.id);
    if (ref === inner) await inner.call("again");
    else expect(await boss.call("id")).not.toBe(boss.id.id);
    expect(events).toContain("inner");
  });

  it("is refused when the system shuts down, and for what is no ref or another system's", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", () => {}] });
    const other = makeSystem().spawn(Worker, { args: ["w", () => {}] });
    for (const none of [undefined, null, {}, "ref", other]) {
      expect(await rejection(system.system.restart(none as ActorRef))).toBeInstanceOf(InvalidArgumentError);
    }
    const door = gate();
    void ref.call("wait", door.promise);
    const restarted = system.system.restart(ref);
    const shutdown = system.shutdown({ timeout: 50 });
    expect(await rejection(system.system.restart(ref))).toBeInstanceOf(SystemShuttingDownError);
    await shutdown;
    expect(await restarted).toBeNull();
  });

  it("leaves nothing of an actor whose first init fails after it asked for it", async () => {
    const system = makeSystem();
    const asked = makeProbe<ActorRef | null>();
    const Failing = createActor((ctx) => {
      void ctx.system.restart(ctx.self).then(asked.push);
      throw new Error("not even once");
    });
    expect(() => system.spawn(Failing)).toThrow("not even once");
    await asked.next();
    await leakFree(system);
    expect(system.system.getActors()).toEqual([]);
  });
});
