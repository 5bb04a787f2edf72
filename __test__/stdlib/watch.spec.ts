/**
 * Watching actors, in both APIs and from the system.
 */

import { ActorId, ActorRef, createActor, type DownMessage, WatchRef } from "libeam";
import { describe, expect, it } from "vitest";
import { Boss, ClassObserver, Observer, Worker } from "../support/actors.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { turns } from "../support/time.js";

const quiet = (): void => {};

function watcher(config = {}) {
  const system = makeSystem(config);
  const seen = makeProbe<DownMessage>();
  const ref = system.spawn(ClassObserver, { args: [seen.push] });
  const ask = (method: string, ...args: unknown[]): Promise<any> => ref.call({ method, args });
  return { system, seen, ref, ask };
}

describe("a watch", () => {
  it("has a ref that names both sides, and is counted until its down", async () => {
    const { system, seen, ref, ask } = watcher();
    const target = system.spawn(Worker, { args: ["w", quiet] });
    const watchRef = await ask("watch", target);
    expect(watchRef).toBeInstanceOf(WatchRef);
    expect(watchRef).toMatchObject({ id: expect.any(String), watcherId: ref.id, watchedId: target.id });
    expect(await ask("relations")).toMatchObject({ watches: 1 });
    await system.stop(target);
    const down = await seen.next();
    expect(down.watchRef).toBe(watchRef);
    expect(down.actorRef).toBe(target);
    expect(await ask("relations")).toMatchObject({ watches: 0 });
  });

  it.each([
    ["a stop", {}, (system: any, ref: any) => system.stop(ref), { type: "normal" }],
    ["its own exit", {}, (_: any, ref: any) => ref.cast("exit"), { type: "normal" }],
    [
      "a crash under Stop",
      { strategy: "Stop", maxRestarts: 1 },
      (_: any, ref: any) => ref.cast("crash", "why"),
      { type: "error", error: "why" },
    ],
    ["a crash beyond the limit", { maxRestarts: 0 }, (_: any, ref: any) => ref.cast("crash"), { type: "killed" }],
    [
      "a crash beyond the limit, whatever the strategy",
      { strategy: "Stop", maxRestarts: 0 },
      (_: any, ref: any) => ref.cast("crash"),
      { type: "killed" },
    ],
    ["a kill", {}, (system: any, ref: any) => system.system.sendExit(null, ref, "kill"), { type: "killed" }],
    [
      "a signal",
      { strategy: "Stop", maxRestarts: 1 },
      (system: any, ref: any) => system.system.sendExit(null, ref, "because"),
      { type: "exit", reason: "because" },
    ],
  ])("tells the reason of %s", async (_, supervision, end, reason) => {
    const { system, seen, ask } = watcher({ supervision });
    const target = system.spawn(Worker, { args: ["w", quiet] });
    await ask("watch", target);
    void end(system, target);
    expect((await seen.next()).reason).toEqual(reason);
  });

  it("serves many watchers and many watched", async () => {
    const system = makeSystem();
    const targets = Array.from({ length: 20 }, (_, n) => system.spawn(Worker, { args: [`${n}`, quiet] }));
    const probes = Array.from({ length: 20 }, () => watchFor(system, ...targets));
    await Promise.all(targets.map((target) => system.stop(target)));
    for (const probe of probes) {
      const downs = await probe.take(20);
      expect(new Set(downs.map(({ actorRef }) => actorRef.id.id)).size).toBe(20);
    }
    await turns();
    expect(probes.every(({ events }) => events.length === 20)).toBe(true);
    expect(system.system._counters()).toMatchObject({ monitors: 0, signals: 0, reasons: 0 });
  });

  it("counts twice if it is made twice", async () => {
    const { system, seen, ask } = watcher();
    const target = system.spawn(Worker, { args: ["w", quiet] });
    const [first, second] = [await ask("watch", target), await ask("watch", target)];
    expect(first.id).not.toBe(second.id);
    await ask("unwatch", first);
    await ask("unwatch", first);
    const third = await ask("watch", target);
    await system.stop(target);
    const downs = await seen.take(2);
    expect(new Set(downs.map(({ watchRef }) => watchRef))).toEqual(new Set([second, third]));
    await turns();
    expect(seen.events).toHaveLength(2);
  });

  it("is undone from the system too, and unknown ones are ignored", async () => {
    const { system, seen, ref, ask } = watcher();
    const target = system.spawn(Worker, { args: ["w", quiet] });
    const watchRef = system.system.watch(ref, target);
    expect(await ask("relations")).toMatchObject({ watches: 1 });
    system.system.unwatch(watchRef);
    system.system.unwatch(watchRef);
    system.system.unwatch(new WatchRef("made up", ref.id, target.id));
    await system.stop(target);
    await turns();
    expect(seen.events).toEqual([]);
  });

  it("ends with its watcher", async () => {
    const { system, ref, ask } = watcher();
    const target = system.spawn(Worker, { args: ["w", quiet] });
    await ask("watch", target);
    await system.stop(ref);
    expect(system.system._counters()).toMatchObject({ monitors: 0 });
    await system.stop(target);
    expect(system.system._counters()).toMatchObject({ monitors: 0, signals: 0, reasons: 0 });
  });

  it("reaches the actor behind an old or hand-made ref", async () => {
    const { system, seen, ask } = watcher();
    const target = system.spawn(Worker, { args: ["w", quiet] });
    const made = new ActorRef(new ActorId(system.nodeId, target.id.id), system.system);
    target.cast("crash");
    const id = await target.call("id");
    expect(id).not.toBe(target.id.id);
    await ask("watch", made);
    await ask("watch", system.system.getRef(new ActorId(system.nodeId, id)));
    await turns();
    expect(seen.events).toEqual([]);
    await system.stop(target);
    expect((await seen.take(2)).map(({ reason }) => reason.type)).toEqual(["normal", "normal"]);
  });

  it("of an actor that never was is told at once", async () => {
    const { system, seen, ask } = watcher();
    const nobody = new ActorRef(new ActorId(system.nodeId, "8f9c6b0a-0000-4000-8000-000000000000"), system.system);
    await ask("watch", nobody);
    expect(await seen.next()).toMatchObject({ type: "down", reason: { type: "normal" } });
  });

  it("of oneself is harmless", async () => {
    const { system, seen, ref, ask } = watcher();
    await ask("watch", ref);
    await system.stop(ref);
    expect(seen.events).toEqual([]);
    expect(system.system._counters()).toMatchObject({ actors: 0, monitors: 0, signals: 0 });
  });

  it("tells of children that a parent's end takes along, and of children of a restarted parent", async () => {
    const system = makeSystem();
    const boss = system.spawn(Boss, { args: [{}, ["a", "b"], quiet] });
    const old = (await boss.call("children")) as ActorRef[];
    const first = watchFor(system, boss, ...old);
    boss.cast("crash");
    await boss.call("id");
    const downs = await first.take(2);
    expect(downs.map(({ actorRef }) => actorRef)).toEqual(old);
    const second = watchFor(system, ...((await boss.call("children")) as ActorRef[]));
    await system.stop(boss);
    expect((await second.take(2)).map(({ reason }) => reason.type)).toEqual(["normal", "normal"]);
    expect(await first.next()).toMatchObject({ actorRef: boss, reason: { type: "normal" } });
  });

  it("crashes a watcher whose handler throws, and tells no one else", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const target = system.spawn(Worker, { args: ["w", quiet] });
    const fragile = system.spawn(
      createActor((ctx, self) => {
        ctx.watch(target);
        return self.onInfo("down", async () => {
          throw new Error("grief");
        });
      }),
    );
    const other = watchFor(system, target);
    const end = gone(system, fragile);
    await system.stop(target);
    expect(await end).toMatchObject({ type: "error", error: { message: "grief" } });
    expect(await other.next()).toMatchObject({ reason: { type: "normal" } });
  });

  it("is made in the factory as well", async () => {
    const system = makeSystem();
    const seen = makeProbe<DownMessage>();
    const target = system.spawn(Worker, { args: ["w", quiet] });
    const observer = system.spawn(Observer, { args: [seen.push] });
    const watchRef = await observer.call("watch", target);
    await observer.call("unwatch", watchRef);
    await observer.call("watch", target);
    await system.stop(target);
    await seen.next();
    await turns();
    expect(seen.events).toHaveLength(1);
  });
});
