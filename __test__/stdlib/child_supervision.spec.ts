/**
 * Supervision of children by their parent: strategies, plans that are disturbed, and what a parent knows.
 */

import { Actor, type ActorRef, type ChildSupervisionOptions, createActor } from "libeam";
import { describe, expect, it } from "vitest";
import { Boss, Worker } from "../support/actors.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { loggedErrors, makeSystem } from "../support/system.js";
import { gate, rejection, turns } from "../support/time.js";

const quiet = (): void => {};
const all = (what: string, labels: string[]): string[] => labels.map((label) => `${what}:${label}`);

/** A boss with workers; gives their refs and what happens from now on. */
async function family(options: object, labels = ["a", "b", "c"]) {
  const system = makeSystem();
  const life = makeProbe<string>();
  const boss = system.spawn(Boss, { args: [options, labels, life.push] });
  const children = (await boss.call("children")) as any[];
  life.clear();
  return { system, boss, children, life };
}

/** A worker whose init and terminate wait for gates, from its second incarnation on. */
function slowly(note: (event: string) => void, doors: { init?: Promise<void>; terminate?: Promise<void> } = {}) {
  const starts = new Map<string, number>();
  return createActor("Slow", async (_ctx, self, label: string) => {
    const start = (starts.get(label) ?? 0) + 1;
    starts.set(label, start);
    self
      .onCall("ready", () => start)
      .onCast("crash", () => {
        throw new Error("boom");
      })
      .onTerminate(async () => {
        note(`terminate:${label}`);
        await doors.terminate;
      });
    note(`init:${label}`);
    if (start > 1) await doors.init;
    note(`ready:${label}`);
  });
}

class Parent extends Actor {
  strategy: ChildSupervisionOptions["strategy"] = "one-for-one";

  override init(labels: string[], note: (event: string) => void): void {
    for (const label of labels) this.spawn(Worker, { args: [label, note] });
  }

  override childSupervision(): ChildSupervisionOptions {
    return { strategy: this.strategy, maxRestarts: 2, periodMs: 60_000 };
  }

  override handleCall(message: { strategy?: ChildSupervisionOptions["strategy"]; stop?: ActorRef }): unknown {
    if (message.strategy !== undefined) this.strategy = message.strategy;
    if (message.stop !== undefined) return this.stopChild(message.stop);
    const { children, childOrder, parent } = this.context;
    return { children, childOrder, parent, list: this.getChildren(), count: this.countChildren() };
  }
}

describe("a parent", () => {
  it("knows its children in order, with their refs of now", async () => {
    const system = makeSystem();
    const ref = system.spawn(Parent, { args: [["a", "b", "c"], quiet] });
    const before: any = await ref.call({});
    expect(before).toMatchObject({ parent: undefined, count: 3 });
    expect([...before.children]).toEqual(before.list);
    expect(before.childOrder).toEqual(before.list);
    const [, b] = before.list;
    b.cast("crash");
    const id = await b.call("id");
    const after: any = await ref.call({});
    expect(after.list.map((child: ActorRef) => child.id.id)).toEqual([before.list[0].id.id, id, before.list[2].id.id]);
    await ref.call({ stop: b });
    expect(((await ref.call({})) as any).list).toEqual([before.list[0], before.list[2]]);
    await system.stop(before.list[0]);
    expect(((await ref.call({})) as any).count).toBe(1);
  });

  it("is asked for its options when a child crashes", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const ref = system.spawn(Parent, { args: [["a", "b"], life.push] });
    const { list }: any = await ref.call({});
    life.clear();
    list[0].cast("crash");
    await list[0].call("id");
    expect(life.events).toEqual(["terminate:a", "init:a"]);
    await ref.call({ strategy: "one-for-all" });
    life.clear();
    list[0].cast("crash");
    await life.atLeast(4);
    expect(life.events).toEqual(["terminate:b", "terminate:a", "init:a", "init:b"]);
  });

  it("whose options are wrong or throw is served with the default", async () => {
    const system = makeSystem();
    for (const childSupervision of [
      () => ({ strategy: "none-for-none" }),
      () => {
        throw new Error("do not ask");
      },
    ]) {
      class Odd extends Actor {
        override childSupervision(): any {
          return childSupervision();
        }
        override handleCall(): ActorRef {
          return this.spawn(Worker, { args: ["w", quiet] });
        }
      }
      const parent = system.spawn(Odd);
      const child: any = await parent.call({});
      child.cast("crash");
      expect(await child.call("id")).not.toBe(child.id.id);
      expect(loggedErrors()).toContain("childSupervision failed, using the default");
    }
  });
});

describe("strategies", () => {
  it.each([[{}], [{ strategy: "one-for-one" }], [{ strategy: "Restart" }]])(
    "%j restarts one child",
    async (options) => {
      const { children, boss, life } = await family(options);
      children[1].cast("crash");
      await children[1].call("id");
      expect(life.events).toEqual(["terminate:b", "init:b"]);
      expect(await boss.call("count")).toBe(3);
    },
  );

  it("a child beyond its limit leaves, and the others stay", async () => {
    const { system, children, boss, life } = await family({ maxRestarts: 2, periodMs: 60_000 });
    const end = gone(system, children[1]);
    for (let crash = 0; crash < 2; crash++) {
      children[1].cast("crash");
      await children[1].call("id");
    }
    children[1].cast("crash");
    expect(await end).toEqual({ type: "killed" });
    expect(life.events).toEqual(["terminate:b", "init:b", "terminate:b", "init:b", "terminate:b"]);
    expect(await boss.call("count")).toBe(2);
    // Each child has a window of its own.
    children[2].cast("crash");
    expect(await children[2].call("id")).not.toBe(children[2].id.id);
  });

  it("children of one class without names and with equal arguments have windows of their own", async () => {
    const { children } = await family({ maxRestarts: 1, periodMs: 60_000 }, ["same", "same", "same"]);
    for (const child of children) {
      child.cast("crash");
      expect(await child.call("id")).not.toBe(child.id.id);
    }
  });

  it("siblings that a strategy takes along do not use up their own limit", async () => {
    const { children, life } = await family({ strategy: "one-for-all", maxRestarts: 1, periodMs: 60_000 });
    for (const child of children) {
      life.clear();
      child.cast("crash");
      await life.atLeast(6);
      await Promise.all(children.map((each) => each.call("id")));
    }
    expect(life.events).toEqual([...all("terminate", ["c", "b", "a"]), ...all("init", ["a", "b", "c"])]);
  });

  it("two crashes at once under one-for-all restart everybody once", async () => {
    const { children, life } = await family({ strategy: "one-for-all" });
    const door = gate();
    children[0].cast("crashAfter", door.promise);
    children[2].cast("crashAfter", door.promise);
    await turns();
    door.open();
    await life.atLeast(6);
    await Promise.all(children.map((child) => child.call("id")));
    await turns();
    expect(life.events).toEqual([...all("terminate", ["c", "b", "a"]), ...all("init", ["a", "b", "c"])]);
  });

  it("messages to siblings that are taken along wait for their next incarnation", async () => {
    const { children, life } = await family({ strategy: "one-for-all" });
    children[0].cast("crash");
    for (const [at, child] of children.entries()) child.cast("note", `after ${at}`);
    await life.atLeast(9);
    expect(life.events.filter((event) => event.includes("after")).sort()).toEqual([
      "a:after 0",
      "b:after 1",
      "c:after 2",
    ]);
  });

  it("grandchildren go down with their parents and come back with them", async () => {
    const { boss, children, life } = await family({ strategy: "rest-for-one" }, ["a"]);
    const inner = await boss.call("spawn", Boss, {
      args: [{}, ["x", "y"], (event: string) => life.push(`inner ${event}`)],
    });
    await boss.call("spawn", Worker, { args: ["c", life.push] });
    life.clear();
    children[0].cast("crash");
    await life.atLeast(10);
    expect(life.events).toEqual([
      "terminate:c",
      ...["terminate:x", "terminate:y", "terminate:boss"].map((event) => `inner ${event}`),
      "terminate:a",
      "init:a",
      ...["init:boss", "init:x", "init:y"].map((event) => `inner ${event}`),
      "init:c",
    ]);
    expect(inner.id.id).not.toBe(await (inner as any).call("id"));
  });

  it("a restarted child keeps its place among the others", async () => {
    const { children, life } = await family({ strategy: "rest-for-one" });
    children[2].cast("crash");
    await children[2].call("id");
    life.clear();
    children[0].cast("crash");
    await life.atLeast(6);
    expect(life.events).toEqual([...all("terminate", ["c", "b", "a"]), ...all("init", ["a", "b", "c"])]);
  });
});

describe("a plan", () => {
  it("goes on without a member that is stopped meanwhile", async () => {
    const { system, boss, life } = await family({ strategy: "one-for-all" }, []);
    const door = gate();
    const Slow = slowly(life.push, { init: door.promise });
    const refs: any[] = [];
    for (const label of ["a", "b", "c"]) refs.push(await boss.call("spawn", Slow, { args: [label] }));
    await Promise.all(refs.map((ref) => ref.call("ready")));
    life.clear();
    refs[0].cast("crash");
    await life.find((event) => event === "init:a");
    const downs = watchFor(system, refs[1]);
    const stopped = system.stop(refs[1]);
    expect(await downs.next()).toMatchObject({ reason: { type: "normal" } });
    await stopped;
    door.open();
    await life.find((event) => event === "ready:c");
    expect(life.events).toEqual([...all("terminate", ["c", "b", "a"]), "init:a", "ready:a", "init:c", "ready:c"]);
    expect(await boss.call("count")).toBe(2);
  });

  it("ends with its parent, while members stop", async () => {
    const { system, boss, life } = await family({ strategy: "one-for-all" }, []);
    const door = gate();
    const Slow = slowly(life.push, { terminate: door.promise });
    const refs: any[] = [];
    for (const label of ["a", "b", "c"]) refs.push(await boss.call("spawn", Slow, { args: [label] }));
    await Promise.all(refs.map((ref) => ref.call("ready")));
    life.clear();
    refs[0].cast("crash");
    await life.find((event) => event === "terminate:c");
    const stopped = system.stop(boss);
    door.open();
    await stopped;
    expect([...life.events].sort()).toEqual([...all("terminate", ["a", "b", "boss", "c"])]);
    expect(life.events.at(-1)).toBe("terminate:boss");
    expect(system.system._counters()).toMatchObject({ actors: 0, alarms: 0, reasons: 0, slots: 0 });
  });

  it("ends with its parent, while members start", async () => {
    const { system, boss, life } = await family({ strategy: "one-for-all" }, []);
    const door = gate();
    const Slow = slowly(life.push, { init: door.promise });
    const refs: any[] = [];
    for (const label of ["a", "b"]) refs.push(await boss.call("spawn", Slow, { args: [label] }));
    await Promise.all(refs.map((ref) => ref.call("ready")));
    life.clear();
    refs[1].cast("crash");
    await life.find((event) => event === "init:a");
    const waiting = rejection(refs[1].call("ready"));
    const stopped = system.stop(boss);
    await turns();
    door.open();
    await stopped;
    await turns();
    expect((await waiting).code).toBe("ACTOR_NOT_FOUND");
    expect(life.events).not.toContain("init:b");
    expect(life.events.at(-1)).toBe("terminate:boss");
    expect(system.system._counters()).toMatchObject({ actors: 0, alarms: 0, reasons: 0, slots: 0 });
  });

  it("is made anew when a member fails to start, and gives up past that one's limit", async () => {
    const { boss, children, life } = await family({ strategy: "one-for-all", maxRestarts: 2, periodMs: 60_000 }, ["a"]);
    let starts = 0;
    await boss.call(
      "spawn",
      createActor((_ctx, self) => {
        life.push(`init:fragile ${++starts}`);
        if (starts > 1) throw new Error("will not start");
        self.onTerminate(() => life.push("terminate:fragile"));
      }),
    );
    life.clear();
    children[0].cast("crash");
    await life.find((event) => event === "init:fragile 4");
    await turns();
    expect(life.events).toEqual([
      ...["terminate:fragile", "terminate:a", "init:a", "init:fragile 2"],
      ...["terminate:a", "init:a", "init:fragile 3"],
      ...["terminate:a", "init:a", "init:fragile 4"],
    ]);
    expect(await boss.call("count")).toBe(1);
    expect(await children[0].call("id")).toBeTypeOf("string");
  });

  it("does not stop a child that is spawned meanwhile", async () => {
    const { boss, life } = await family({ strategy: "one-for-all" }, []);
    const door = gate();
    const Slow = slowly(life.push, { init: door.promise });
    const a: any = await boss.call("spawn", Slow, { args: ["a"] });
    await a.call("ready");
    a.cast("crash");
    await life.atLeast(4);
    await boss.call("spawn", Worker, { args: ["late", life.push] });
    door.open();
    await a.call("ready");
    expect(life.events.slice(2)).toEqual(["terminate:a", "init:a", "init:late", "ready:a"]);
    expect(await boss.call("count")).toBe(2);
  });
});

describe("childSupervision", () => {
  it("that stops the crashed child leaves the one that takes its place alone", async () => {
    const system = makeSystem();
    const starts = makeProbe<string>();
    const Child = createActor((_ctx, self, name: string) => {
      starts.push(name);
      return self
        .onCall("ping", () => "pong")
        .onCast("crash", () => {
          throw new Error(name);
        });
    });
    class Replacing extends Actor {
      children: any[] = [];
      override init(): void {
        this.children.push(this.spawn(Child, { args: ["first"] }));
      }
      override childSupervision(): ChildSupervisionOptions {
        if (this.children.length === 1) {
          void this.stopChild(this.children[0]);
          this.children.push(this.spawn(Child, { args: ["second"] }));
        }
        return { strategy: "Restart", maxRestarts: 3, periodMs: 5_000 };
      }
      override handleCall(): any {
        return [...this.children];
      }
    }
    const parent = system.spawn(Replacing);
    const [first] = (await parent.call("children")) as any[];
    first.cast("crash");
    await starts.find((name) => name === "second");
    await turns();
    const [, second] = (await parent.call("children")) as any[];
    expect(await second.call("ping")).toBe("pong");
    expect(starts.events).toEqual(["first", "second"]);
    expect(await rejection(first.call("ping"))).toMatchObject({ code: "ACTOR_NOT_FOUND" });
  });
});
