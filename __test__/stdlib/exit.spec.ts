/**
 * Exit signals: normal, kill and reasons of one's own, in both APIs and from the system.
 */

import { createActor, type ExitMessage, InvalidArgumentError } from "libeam";
import { describe, expect, it } from "vitest";
import { Boss, ClassObserver, Observer, Worker } from "../support/actors.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { logged, makeSystem } from "../support/system.js";
import { gate, rejection, thrown, turns } from "../support/time.js";

const quiet = (): void => {};

describe("exit of oneself", () => {
  it.each([[[]], [["normal"]], [["kill"]]])("with %j stops the actor after its handler", async (args) => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    const end = gone(system, ref);
    ref.cast("exit", ...args);
    await end;
    expect(life.events).toEqual(["init:w", "terminate:w"]);
    expect(system.system.getActor(ref.id.id)).toBeUndefined();
  });

  it("with a reason is a crash with that reason", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    const end = gone(system, ref);
    const reason = { my: "reason" };
    ref.cast("exit", reason);
    expect(await end).toEqual({ type: "exit", reason });
  });

  it("with a reason is restarted like any crash", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", life.push] });
    ref.cast("exit", "because");
    expect(await life.atLeast(3)).toEqual(["init:w", "terminate:w", "init:w"]);
    expect(await ref.call("id")).not.toBe(ref.id.id);
    expect(logged().map(({ error }) => error?.message)).toEqual(["Exit signal: because"]);
  });

  it("can be trapped if it has a reason", async () => {
    const system = makeSystem();
    const seen = makeProbe<ExitMessage>();
    const ref = system.spawn(ClassObserver, { args: [seen.push, true] });
    await ref.call({ method: "exit", args: [ref, "because"] });
    expect(await seen.next()).toEqual({
      type: "exit",
      linkRef: undefined,
      actorRef: ref,
      reason: { type: "exit", reason: "because" },
    });
  });

  it("is not what an exit of another actor means whose ref turns out to be none", async () => {
    const system = makeSystem();
    const Careless = createActor((ctx, self) =>
      self
        .onCall("exit", (ref: any, reason: any): unknown => thrown(() => ctx.exit(ref, reason)))
        .onCall("alive", () => true),
    );
    const ref = system.spawn(Careless);
    for (const none of [undefined, null, {}, "worker", 5]) {
      expect(await ref.call("exit", none, "shutdown")).toBeInstanceOf(InvalidArgumentError);
    }
    expect(await ref.call("alive")).toBe(true);
  });

  it("normal works in the class-based API, with and without a word", async () => {
    const system = makeSystem();
    for (const args of [[], ["normal"]]) {
      const ref = system.spawn(ClassObserver, { args: [quiet] });
      const end = gone(system, ref);
      await ref.call({ method: "exit", args: [ref, ...args] });
      expect(await end).toEqual({ type: "normal" });
    }
  });
});

describe("exit of another actor", () => {
  it("crashes it through its supervisor if it does not trap", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const sender = system.spawn(Observer, { args: [quiet] });
    const target = system.spawn(Worker, { args: ["w", life.push] });
    await sender.call("exit", target, "because");
    expect(await life.atLeast(3)).toEqual(["init:w", "terminate:w", "init:w"]);
    expect(await target.call("id")).not.toBe(target.id.id);
    expect(await sender.call("id")).toBe(sender.id.id);
  });

  it("counts towards the restart limit", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1 } });
    const life = makeProbe<string>();
    const target = system.spawn(Worker, { args: ["w", life.push] });
    const end = gone(system, target);
    system.system.sendExit(null, target, "one");
    await life.atLeast(3);
    await target.call("id");
    system.system.sendExit(null, target, "two");
    expect(await end).toEqual({ type: "killed" });
  });

  it.each([["text"], [42], [null], [{ code: 1 }], [new Error("an error")]])(
    "delivers the reason %s as it is to an actor that traps",
    async (reason) => {
      const system = makeSystem();
      const seen = makeProbe<ExitMessage>();
      const sender = system.spawn(Observer, { args: [quiet] });
      const target = system.spawn(Observer, { args: [seen.push] });
      await target.call("trap", true);
      await sender.call("exit", target, reason);
      const message: any = await seen.next();
      expect(message.reason.type).toBe("exit");
      expect(message.reason.reason).toBe(reason);
      expect(message.actorRef).toBe(sender);
      expect(message.linkRef).toBeUndefined();
    },
  );

  it("may come from outside any actor", async () => {
    const system = makeSystem();
    const seen = makeProbe<ExitMessage>();
    const target = system.spawn(ClassObserver, { args: [seen.push, true] });
    system.system.sendExit(null, target, "outside");
    expect(await seen.next()).toMatchObject({ type: "exit", reason: { type: "exit", reason: "outside" } });
    expect((await seen.atLeast(1))[0].actorRef).toBeUndefined();
  });

  it("of one that is gone does nothing", async () => {
    const system = makeSystem();
    const sender = system.spawn(Observer, { args: [quiet] });
    const target = system.spawn(Worker, { args: ["w", quiet] });
    await system.stop(target);
    for (const reason of ["normal", "kill", "because", { any: "thing" }]) await sender.call("exit", target, reason);
    expect(system.system._counters()).toMatchObject({ actors: 1, slots: 0, reasons: 0 });
  });

  it("waits for the running handler, unless it is a kill", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const [patient, victim] = ["a", "b"].map((label) => system.spawn(Worker, { args: [label, quiet] }));
    const door = gate<string>();
    const answers = [patient, victim].map((ref) => ref.call("wait", door.promise));
    const refused = rejection(answers[1]);
    const downs = watchFor(system, patient, victim);
    system.system.sendExit(null, patient, "because");
    system.system.sendExit(null, victim, "kill");
    expect(await downs.next()).toMatchObject({ actorRef: victim, reason: { type: "killed" } });
    expect((await refused).code).toBe("ACTOR_NOT_FOUND");
    await turns();
    expect(downs.events).toHaveLength(1);
    door.open("done");
    expect(await answers[0]).toBe("done");
    expect(await downs.next()).toMatchObject({ actorRef: patient, reason: { type: "exit", reason: "because" } });
  });
});

describe("kill", () => {
  it("takes the children along, before their parent, and is seen as killed in all of them", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{}, ["a", "b"], life.push] });
    const downs = watchFor(system, boss, ...((await boss.call("children")) as any[]));
    system.system.sendExit(null, boss, "kill");
    expect((await downs.take(3)).map(({ reason }) => reason.type)).toEqual(["killed", "killed", "killed"]);
    expect(life.events.slice(3)).toEqual(["terminate:a", "terminate:b", "terminate:boss"]);
    expect(system.system._counters()).toMatchObject({ actors: 1 });
  });

  it("ends a child for good, and its parent's other children stay", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{ strategy: "one-for-all" }, ["a", "b", "c"], life.push] });
    const [, b] = (await boss.call("children")) as any[];
    system.system.sendExit(null, b, "kill");
    await life.find((event) => event === "terminate:b");
    await turns();
    expect(life.events.slice(4)).toEqual(["terminate:b"]);
    expect(await boss.call("count")).toBe(2);
  });

  it("ends an actor whose asynchronous init hangs", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const ref = system.spawn(
      createActor(async (_ctx, self) => {
        self.onTerminate(() => life.push("terminate"));
        await new Promise(() => {});
      }),
      { name: "stuck" },
    );
    const downs = watchFor(system, ref);
    system.system.sendExit(null, ref, "kill");
    expect(await downs.next()).toMatchObject({ reason: { type: "killed" } });
    expect(await system.getActorByName("stuck")).toBeNull();
    expect(life.events).toEqual([]);
  });

  it("hardens a stop that waits for a handler", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    const hung = rejection(ref.call("wait", new Promise(() => {})));
    const end = gone(system, ref);
    const stopped = system.stop(ref);
    await turns();
    expect(system.system.getActor(ref.id.id)).toBeDefined();
    system.system.sendExit(null, ref, "kill");
    expect(await end).toEqual({ type: "killed" });
    await stopped;
    expect((await hung).code).toBe("ACTOR_NOT_FOUND");
  });
});
