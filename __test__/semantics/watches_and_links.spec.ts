/**
 * Who is told of an end, and whom it takes along: sentences W1 to W5 and L1 to L7 of docs/SEMANTICS.md.
 */

import { ActorNotFoundError, type ActorRef, createActor, type InfoMessage, TimerRef } from "libeam";
import { describe, expect, it, vi } from "vitest";
import { Boss, Observer, Worker } from "../support/actors.js";
import { gone, makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { rejection, turns } from "../support/time.js";

const STOP = { supervision: { strategy: "Stop", maxRestarts: 5 } } as const;

function observerIn(system: ReturnType<typeof makeSystem>) {
  const seen = makeProbe<InfoMessage>();
  return { seen, observer: system.spawn(Observer, { args: [seen.push] }) };
}

describe("watches", () => {
  it("W1: give exactly one down message, when the actor is gone for good", async () => {
    const system = makeSystem();
    const { seen, observer } = observerIn(system);
    const target = system.spawn(Worker, { args: ["w", () => {}] });
    const watchRef = await observer.call("watch", target);
    await turns();
    expect(seen.events).toEqual([]);
    await system.stop(target);
    expect(await seen.next()).toEqual({ type: "down", watchRef, actorRef: target, reason: { type: "normal" } });
    await turns();
    expect(seen.events).toHaveLength(1);
  });

  it("W1: tell at once of an actor that is gone already", async () => {
    const system = makeSystem();
    const { seen, observer } = observerIn(system);
    const target = system.spawn(Worker, { args: ["w", () => {}] });
    await system.stop(target);
    const watchRef = await observer.call("watch", target);
    expect(await seen.next()).toMatchObject({ type: "down", watchRef, reason: { type: "normal" } });
  });

  it("W2: say nothing of a supervised restart, and stay", async () => {
    const system = makeSystem();
    const { seen, observer } = observerIn(system);
    const life = makeProbe<string>();
    const target = system.spawn(Worker, { args: ["w", life.push] });
    await observer.call("watch", target);
    target.cast("crash");
    await life.atLeast(3);
    expect(life.events).toEqual(["init:w", "terminate:w", "init:w"]);
    await turns();
    expect(seen.events).toEqual([]);
    await system.stop(target);
    expect(await seen.next()).toMatchObject({ type: "down", reason: { type: "normal" } });
  });

  it("W3: come after what the actor had sent to its watcher", async () => {
    const system = makeSystem();
    const { seen, observer } = observerIn(system);
    const target = system.spawn(
      createActor((ctx, self) =>
        self.onCast("end", () => {
          for (const last of [1, 2, 3]) observer.cast("note", last);
          ctx.exit();
        }),
      ),
    );
    await observer.call("watch", target);
    target.cast("end");
    const events = await seen.atLeast(4);
    expect(events.slice(0, 3)).toEqual([1, 2, 3]);
    expect(events[3]).toMatchObject({ type: "down" });
  });

  it("W4: bring no down after unwatch, not even one that was under way", async () => {
    const system = makeSystem();
    const { seen, observer } = observerIn(system);
    const target = system.spawn(Worker, { args: ["w", () => {}] });
    const watchRef = await observer.call("watch", target);
    system.system.pauseMailbox(observer.id.id);
    await system.stop(target);
    expect(system.system._counters().signals).toBe(1);
    system.system.unwatch(watchRef);
    system.system.resumeMailbox(observer.id.id);
    await observer.call("id");
    await turns();
    expect(seen.events).toEqual([]);
    expect(system.system._counters()).toMatchObject({ monitors: 0, signals: 0 });
  });

  it("W5: end with the incarnation that made them", async () => {
    const system = makeSystem();
    const { seen, observer } = observerIn(system);
    const target = system.spawn(Worker, { args: ["w", () => {}] });
    await observer.call("watch", target);
    observer.cast("crash");
    await observer.call("id");
    await system.stop(target);
    await turns();
    expect(seen.events).toEqual([]);
    expect(system.system._counters()).toMatchObject({ monitors: 0 });
  });
});

describe("links", () => {
  it("W5: end with the incarnation that made them", async () => {
    const system = makeSystem();
    const [a, b] = [observerIn(system), observerIn(system)];
    await b.observer.call("trap", true);
    await a.observer.call("link", b.observer);
    a.observer.cast("crash");
    expect(await b.seen.next()).toMatchObject({ type: "exit", reason: { type: "error" } });
    const idOfA = await a.observer.call("id");
    const end = gone(system, b.observer);
    system.system.sendExit(null, b.observer, "kill");
    expect(await end).toEqual({ type: "killed" });
    await turns();
    expect(await a.observer.call("id")).toBe(idOfA);
    expect(system.system._counters()).toMatchObject({ links: 0 });
  });

  it.each([
    ["that is restarted", {}],
    ["that stays away", { strategy: "Stop", maxRestarts: 5 } as const],
  ])("L1: a crash %s crashes the other side", async (_, options) => {
    const system = makeSystem(STOP);
    const { observer } = observerIn(system);
    const boss = system.spawn(Boss, { args: [options, ["w"], () => {}] });
    const [child] = (await boss.call("children")) as any[];
    await observer.call("link", child);
    const cause = new Error("first");
    child.cast("crash", cause);
    const reason: any = await gone(system, observer);
    expect(reason.type).toBe("error");
    expect(reason.error).toBeInstanceOf(Error);
    expect(reason.error.message).toBe(`Linked actor ${child.id.id} terminated: error`);
    expect(reason.error.cause).toBe(cause);
  });

  it("W5: are not made by, or with, an actor between two incarnations", async () => {
    const system = makeSystem({ supervision: { backoff: { initialMs: 60_000, maxMs: 60_000, jitter: 0 } } });
    const down = system.spawn(Worker, { args: ["down", () => {}] });
    const other = system.spawn(Worker, { args: ["other", () => {}] });
    down.cast("crash");
    await turns();
    expect(() => system.system.link(other, down)).toThrow(ActorNotFoundError);
    expect(() => system.system.link(down, other)).toThrow(ActorNotFoundError);
    system.system.watch(down, other);
    expect(system.system.startActorTimer(down, "later", 1, true)).toBeInstanceOf(TimerRef);
    expect(system.system._counters()).toMatchObject({ links: 0, monitors: 0, alarms: 1 }); // The restart's.
  });

  it("W5: are not made by, or with, an actor that is about to start again", async () => {
    const system = makeSystem();
    const { seen, observer } = observerIn(system);
    const other = system.spawn(Worker, { args: ["other", () => {}] });
    const refusals: unknown[] = [];
    const between = system.spawn(
      createActor((_ctx, self) =>
        self.onCast("act", () => {
          for (const [one, two] of [
            [other, observer],
            [observer, other],
          ] as const) {
            try {
              system.system.link(one, two);
            } catch (error) {
              refusals.push(error);
            }
          }
          system.system.watch(observer, other);
          system.system.startActorTimer(observer, "later", 60_000, true);
        }),
      ),
    );
    observer.cast("crash");
    between.cast("act"); // In the same turn: the core has decided, the next incarnation has not begun.
    await turns();
    expect(refusals).toEqual([expect.any(ActorNotFoundError), expect.any(ActorNotFoundError)]);
    expect(system.system._counters()).toMatchObject({ links: 0, monitors: 0, alarms: 0 });
    await observer.call("trap", true);
    const linkRef = await observer.call("link", other);
    other.cast("crash");
    expect(await seen.next()).toMatchObject({ type: "exit", linkRef, reason: { type: "error" } });
  });

  it("L1: works from the side that did not make the link, and names a kill", async () => {
    const system = makeSystem(STOP);
    const [a, b] = [observerIn(system).observer, observerIn(system).observer];
    await a.call("link", b);
    system.system.sendExit(null, a, "kill");
    expect(await gone(system, b)).toMatchObject({
      type: "error",
      error: { message: `Linked actor ${a.id.id} terminated: killed` },
    });
  });

  it("L2: a normal end takes nobody down", async () => {
    const system = makeSystem();
    const [a, b] = [observerIn(system).observer, observerIn(system).observer];
    await a.call("link", b);
    await system.stop(a);
    await turns();
    expect(await b.call("id")).toBe(b.id.id);
    expect(system.system._counters()).toMatchObject({ links: 0 });
  });

  it("L3: an actor that traps exits is told of every end, and lives", async () => {
    const system = makeSystem();
    const { seen, observer } = observerIn(system);
    await observer.call("trap", true);
    const [normal, crashed, killed] = ["normal", "crashed", "killed"].map((label) =>
      system.spawn(Worker, { args: [label, () => {}] }),
    );
    const error = new Error("boom");
    for (const [ref, end, reason] of [
      [normal, () => system.stop(normal), { type: "normal" }],
      [crashed, () => crashed.cast("crash", error), { type: "error", error }],
      [killed, () => system.system.sendExit(null, killed, "kill"), { type: "killed" }],
    ] as const) {
      const linkRef = await observer.call("link", ref);
      void end();
      expect(await seen.next()).toEqual({ type: "exit", linkRef, actorRef: ref, reason });
    }
    await turns();
    expect(seen.events).toHaveLength(3);
    expect(await observer.call("id")).toBe(observer.id.id);
  });

  it("L4: a reason of one's own arrives intact in exit and in down", async () => {
    const system = makeSystem(STOP);
    const { seen, observer } = observerIn(system);
    const trapper = observerIn(system);
    await trapper.observer.call("trap", true);
    await observer.call("trap", true);
    const reason = { code: 7, why: ["because"] };

    await observer.call("exit", trapper.observer, reason);
    const trapped = await trapper.seen.next();
    expect(trapped).toEqual({ type: "exit", linkRef: undefined, actorRef: observer, reason: { type: "exit", reason } });
    expect((trapped as any).reason.reason).toBe(reason);

    const target = system.spawn(Worker, { args: ["w", () => {}] });
    await observer.call("watch", target);
    await observer.call("link", target);
    await trapper.observer.call("exit", target, reason);
    const [first, second] = await seen.atLeast(2);
    expect([first.type, second.type].sort()).toEqual(["down", "exit"]);
    for (const message of [first, second] as any[]) {
      expect(message.reason).toEqual({ type: "exit", reason });
      expect(message.reason.reason).toBe(reason);
    }
    expect((await rejection(target.call("id"))).code).toBe("ACTOR_NOT_FOUND");
  });

  it("L5: exit normal stops only the actor that sends it to itself", async () => {
    const system = makeSystem();
    const { observer } = observerIn(system);
    const target = observerIn(system);
    await observer.call("exit", target.observer, "normal");
    await target.observer.call("trap", true);
    await observer.call("exit", target.observer, "normal");
    await turns();
    expect(await target.observer.call("id")).toBe(target.observer.id.id);
    expect(target.seen.events).toEqual([]);
    const end = gone(system, observer);
    await observer.call("exit", observer, "normal");
    expect(await end).toEqual({ type: "normal" });
    await vi.waitFor(() => expect(system.system.getActor(observer.id.id)).toBeUndefined());
  });

  it("L6: what was sent after an exit signal is not handled by the incarnation that it takes down", async () => {
    const system = makeSystem();
    let incarnations = 0;
    const handled: number[] = [];
    const Counted = createActor((_ctx, self) => {
      const mine = ++incarnations;
      return self.onCall("who", () => mine).onCast("note", () => void handled.push(mine));
    });
    const target = system.spawn(Counted);
    const { observer } = observerIn(system);
    expect(await target.call("who")).toBe(1);
    await observer.call("exit", target, "enough");
    target.cast("note");
    expect(await target.call("who")).toBe(2);
    expect(handled).toEqual([2]);
  });

  it.each([
    ["at once", {}],
    ["after a delay", { backoff: { initialMs: 5, maxMs: 5, jitter: 0 } }],
  ])(
    "L7: an exit signal between two incarnations takes neither down, when a restart comes %s",
    async (_when, delay) => {
      const system = makeSystem({ supervision: { strategy: "Restart", maxRestarts: 5, ...delay } });
      let incarnations = 0;
      const Counted = createActor((_ctx, self) => {
        const mine = ++incarnations;
        return self
          .onCall("who", () => mine)
          .onCast("crash", () => {
            throw new Error("first");
          });
      });
      const between = makeProbe<number>();
      const Sender = createActor((ctx, self) =>
        self.onCast("exit", (ref: ActorRef, reason: string) => {
          between.push(incarnations);
          ctx.exit(ref, reason);
        }),
      );
      const [target, sender] = [system.spawn(Counted), system.spawn(Sender)];
      target.cast("crash");
      sender.cast("exit", target, "late");
      await between.next();
      expect(await target.call("who")).toBe(2);
      await turns();
      expect(await target.call("who")).toBe(2);
      const end = gone(system, target);
      target.cast("crash");
      sender.cast("exit", target, "kill");
      expect(await end).toEqual({ type: "killed" });
      expect({ between: between.events, incarnations }).toEqual({ between: [1, 2], incarnations: 2 });
    },
  );
});
