/**
 * Links between actors, in both APIs and from the system.
 */

import { ActorNotFoundError, createActor, type ExitMessage, LinkRef } from "libeam";
import { describe, expect, it } from "vitest";
import { Boss, ClassObserver, Observer, Worker } from "../support/actors.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { logged, makeSystem } from "../support/system.js";
import { rejection, thrown, turns } from "../support/time.js";

const quiet = (): void => {};
const STOP = { supervision: { strategy: "Stop", maxRestarts: 100 } } as const;

function linker(config = {}, trap = false) {
  const system = makeSystem(config);
  const seen = makeProbe<ExitMessage>();
  const ref = system.spawn(ClassObserver, { args: [seen.push, trap] });
  const ask = (method: string, ...args: unknown[]): Promise<any> => ref.call({ method, args });
  return { system, seen, ref, ask };
}

describe("a link", () => {
  it("has a ref that names both sides, and counts on both", async () => {
    const { system, ref, ask } = linker();
    const other = system.spawn(ClassObserver, { args: [quiet] });
    const linkRef: LinkRef = await ask("link", other);
    expect(linkRef).toBeInstanceOf(LinkRef);
    expect(linkRef).toMatchObject({ id: expect.any(String), actor1Id: ref.id, actor2Id: other.id, actorRef: other });
    expect(await ask("relations")).toMatchObject({ links: 1 });
    expect(await other.call({ method: "relations" })).toMatchObject({ links: 1 });
    await ask("unlink", linkRef);
    expect(await ask("relations")).toMatchObject({ links: 0 });
    expect(await other.call({ method: "relations" })).toMatchObject({ links: 0 });
  });

  it.each(["maker", "other"])("carries the crash of the %s", async (crasher) => {
    const { system, ref, ask } = linker(STOP);
    const other = system.spawn(ClassObserver, { args: [quiet] });
    await ask("link", other);
    const [first, second] = crasher === "maker" ? [ref, other] : [other, ref];
    const end = gone(system, second);
    first.cast({ type: "crash", error: new Error("origin") });
    const reason: any = await end;
    expect(reason.error.message).toBe(`Linked actor ${first.id.id} terminated: error`);
    expect(reason.error.cause.message).toBe("origin");
  });

  it("restarts the other side under its own supervision", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const left = system.spawn(Worker, { args: ["left", life.push] });
    const right = system.spawn(Worker, { args: ["right", life.push] });
    system.system.link(left, right);
    left.cast("crash");
    await life.atLeast(6);
    expect(await right.call("id")).not.toBe(right.id.id);
    await turns();
    expect([...life.events].sort()).toEqual(
      ["left", "right"].flatMap((label) => [`init:${label}`, `init:${label}`, `terminate:${label}`]).sort(),
    );
    expect(logged().map(({ error }) => error?.message)).toEqual([
      "boom",
      `Linked actor ${left.id.id} terminated: error`,
    ]);
    // The link is spent: another crash stays where it is.
    const id = await right.call("id");
    left.cast("crash");
    await left.call("id");
    await turns();
    expect(await right.call("id")).toBe(id);
  });

  it("carries a crash along a chain and around a ring, once", async () => {
    const system = makeSystem(STOP);
    const refs = Array.from({ length: 30 }, () => system.spawn(Observer, { args: [quiet] }));
    for (const [at, ref] of refs.entries()) await ref.call("link", refs[(at + 1) % refs.length]);
    const downs = watchFor(system, ...refs);
    refs[7].cast("crash");
    expect((await downs.take(30)).every(({ reason }) => reason.type === "error")).toBe(true);
    await turns();
    expect(downs.events).toHaveLength(30);
    expect(system.system._counters()).toMatchObject({ links: 0, reasons: 0, signals: 0 });
  });

  it("carries nothing after unlink, from whichever side", async () => {
    const { system, ask, ref } = linker(STOP);
    const other = system.spawn(Observer, { args: [quiet] });
    const byMaker = await ask("link", other);
    await ask("unlink", byMaker);
    await ask("unlink", byMaker);
    const byOther = await ask("link", other);
    await other.call("unlink", byOther);
    const bySystem = system.system.link(ref, other);
    system.system.unlink(bySystem);
    const end = gone(system, other);
    other.cast("crash");
    await end;
    await turns();
    expect(await ask("id")).toBe(ref.id.id);
    expect(system.system._counters()).toMatchObject({ links: 0 });
  });

  it("to an actor that is gone is refused", async () => {
    const { system, ref, ask } = linker();
    const other = system.spawn(Worker, { args: ["w", quiet] });
    await system.stop(other);
    expect(await rejection(ask("link", other))).toBeInstanceOf(ActorNotFoundError);
    expect(thrown(() => system.system.link(ref, other))).toMatchObject({
      message: `Actor not found: ${other.id.id} on node ${system.nodeId}`,
    });
    expect(thrown(() => system.system.link(other, ref))).toBeInstanceOf(ActorNotFoundError);
    expect(await ask("id")).toBe(ref.id.id);
  });

  it("to oneself is harmless", async () => {
    const { system, ref, ask } = linker(STOP, true);
    await ask("link", ref);
    await system.stop(ref);
    expect(system.system._counters()).toMatchObject({ actors: 0, links: 0, signals: 0 });
  });

  it("may be made twice and ends twice", async () => {
    const { system, seen, ask } = linker({}, true);
    const other = system.spawn(Worker, { args: ["w", quiet] });
    const [first, second] = [await ask("link", other), await ask("link", other)];
    await system.stop(other);
    const exits = await seen.take(2);
    expect(new Set(exits.map(({ linkRef }) => linkRef))).toEqual(new Set([first, second]));
    expect(await ask("relations")).toMatchObject({ links: 0 });
  });
});

describe("trapping exits", () => {
  it("turns ends into messages, and back", async () => {
    const { system, seen, ref, ask } = linker(STOP);
    expect(await ask("isTrapExit")).toBe(false);
    await ask("setTrapExit", true);
    expect(await ask("isTrapExit")).toBe(true);
    const [a, b] = ["a", "b"].map((label) => system.spawn(Worker, { args: [label, quiet] }));
    const linkRef = await ask("link", a);
    a.cast("crash", "why");
    expect(await seen.next()).toEqual({
      type: "exit",
      linkRef,
      actorRef: a,
      reason: { type: "error", error: "why" },
    });
    await ask("setTrapExit", false);
    expect(await ask("relations")).toEqual({ watches: 0, links: 0, trapExit: false });
    await ask("link", b);
    const end = gone(system, ref);
    b.cast("crash", "why");
    expect(await end).toMatchObject({ error: { cause: "why" } });
    expect(seen.events).toHaveLength(1);
  });

  it.each([
    [{}, { type: "error", error: "why" }],
    [
      { strategy: "Stop", maxRestarts: 1 },
      { type: "error", error: "why" },
    ],
    [{ strategy: "Stop", maxRestarts: 0 }, { type: "killed" }],
    [{ maxRestarts: 0 }, { type: "killed" }],
  ])("tells of a crash under %j", async (supervision: any, reason) => {
    const { system, seen, ask } = linker({ supervision }, true);
    const other = system.spawn(Worker, { args: ["w", quiet] });
    await ask("link", other);
    other.cast("crash", "why");
    expect(await seen.next()).toMatchObject({ type: "exit", reason });
    await turns();
    expect(seen.events).toHaveLength(1);
  });

  it("does not tell of a link that was undone while the news waited", async () => {
    const { system, seen, ref, ask } = linker({}, true);
    const other = system.spawn(Worker, { args: ["w", quiet] });
    const linkRef = await ask("link", other);
    system.system.pauseMailbox(ref.id.id);
    await system.stop(other);
    system.system.unlink(linkRef);
    system.system.resumeMailbox(ref.id.id);
    await ask("id");
    expect(seen.events).toEqual([]);
  });

  it("is over with the incarnation", async () => {
    const { ask, ref } = linker({}, false);
    await ask("setTrapExit", true);
    ref.cast({ type: "crash" });
    expect(await ask("isTrapExit")).toBe(false);
  });

  it("lets a parent that traps outlive linked children", async () => {
    const system = makeSystem();
    const seen = makeProbe<ExitMessage>();
    const parent = system.spawn(
      createActor((ctx, self) => {
        ctx.setTrapExit(true);
        self.childSupervision({ strategy: "Stop" });
        const child = ctx.spawn(Worker, { args: ["w", quiet] });
        ctx.link(child);
        return self
          .onInfo("exit", seen.push)
          .onCall("child", () => child)
          .onCall("count", () => ctx.countChildren());
      }),
    );
    const child = await parent.call("child");
    child.cast("crash", "why");
    expect(await seen.next()).toMatchObject({ actorRef: child, reason: { type: "error", error: "why" } });
    expect(await parent.call("count")).toBe(0);
  });

  it("takes a boss down whose child it is linked to, and its other children first", async () => {
    const system = makeSystem(STOP);
    const life = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{ strategy: "Stop" }, ["a", "b"], life.push] });
    const [a] = (await boss.call("children")) as any[];
    system.system.link(boss, a);
    const end = gone(system, boss);
    a.cast("crash");
    expect(await end).toMatchObject({ type: "error" });
    expect(life.events.slice(3)).toEqual(["terminate:a", "terminate:b", "terminate:boss"]);
  });
});
