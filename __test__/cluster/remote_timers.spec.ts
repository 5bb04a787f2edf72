/**
 * Timers whose messages go to other actors, of this node or another one.
 */

import { Actor, type ActorRef, createActor, type TimerRef } from "libeam";
import { describe, expect, it, vi } from "vitest";
import { crashNode, type HandmadeNode, makeNodes, nodesEmpty } from "../support/handmade_nodes.js";
import { makeProbe } from "../support/probe.js";
import { nodeTimer, rejection, thrown } from "../support/time.js";

function noter() {
  const seen = makeProbe<any>();
  const Noter = createActor("Noter", (ctx, self) =>
    self
      .onCast("note", (value: unknown) => seen.push(value))
      .onCast("ping", () => seen.push("ping"))
      .onCast("crash", () => {
        throw new Error("broken");
      })
      .onCall("sync", () => seen.events.length)
      .onCall("stop", () => ctx.exit()),
  );
  return { Noter, seen };
}

const Sender = createActor("Sender", (_ctx, self) =>
  self
    .onCall("after", (message: unknown, ms: number, to: ActorRef): TimerRef => self.sendAfter(message, ms, to))
    .onCall("every", (message: unknown, ms: number, to: ActorRef): TimerRef => self.sendInterval(message, ms, to))
    .onCall("cancel", (timer: TimerRef) => self.cancelTimer(timer))
    .onCall("cancelAll", () => self.cancelAllTimers())
    .onCast("crash", () => {
      throw new Error("broken");
    }),
);

async function pair() {
  const nodes = await makeNodes(["one", "two"]);
  const [one, two] = nodes.map(({ system }) => system) as [HandmadeNode["system"], HandmadeNode["system"]];
  const { Noter, seen } = noter();
  const target = two.spawn(Noter);
  return { nodes, one, two, target, remote: one.getRef(target.id) as any, seen, sender: one.spawn(Sender) as any };
}

const note = (value: unknown) => ({ method: "note", args: [value] });

describe("a timer of an actor, with a message for an actor of another node", () => {
  it("sends it once, not early, and a string names a method", async () => {
    const { remote, seen, sender } = await pair();
    const start = performance.now();
    const timer: TimerRef = await sender.call("after", note("late"), 30, remote);
    expect([timer.isInterval, timer.actorId.id]).toEqual([false, sender.id.id]);
    expect(await seen.next()).toBe("late");
    expect(performance.now() - start).toBeGreaterThanOrEqual(30);
    await sender.call("after", "ping", 0, remote);
    expect(await seen.next()).toBe("ping");
    expect(await sender.call("cancel", timer)).toBe(false);
    expect(seen.events).toHaveLength(2);
  });

  it("sends it again and again until it is cancelled", async () => {
    const { remote, seen, sender } = await pair();
    const timer = await sender.call("every", note("tick"), 3, remote);
    await seen.take(3);
    expect(await sender.call("cancel", timer)).toBe(true);
    const count = await remote.call("sync"); // What was sent before has arrived before.
    await nodeTimer(20);
    expect(seen.events).toHaveLength(count);
  });

  it("ends with its owner, and with each incarnation of it", async () => {
    const { one, remote, seen, sender } = await pair();
    await sender.call("every", note("tick"), 3, remote);
    await seen.next();
    sender.cast("crash");
    await sender.call("cancelAll");
    const count = await remote.call("sync");
    await nodeTimer(20);
    expect(seen.events).toHaveLength(count);
    await sender.call("every", note("tock"), 3, remote);
    await seen.find((value) => value === "tock");
    await one.stop(sender);
    const after = await remote.call("sync");
    await nodeTimer(20);
    expect(seen.events).toHaveLength(after);
    expect(one._counters()).toMatchObject({ actors: 0, slots: 0 });
  });

  it("goes on when the other actor or its node is gone: its messages are dropped", async () => {
    const { nodes, two, target, remote, seen, sender } = await pair();
    const timer = await sender.call("every", note("tick"), 3, remote);
    await seen.next();
    await two.stop(target);
    await crashNode(nodes, "two");
    await nodeTimer(10);
    expect(await sender.call("cancel", timer)).toBe(true);
  });

  it("works for an actor of the same node, and from a class", async () => {
    const { one } = await pair();
    const { Noter, seen } = noter();
    class Clock extends Actor {
      override init(to: ActorRef) {
        this.sendAfter(note("tick"), 1, to);
        this.sendInterval("ping", 2, to);
      }
    }
    one.spawn(Clock, { args: [one.spawn(Noter)] });
    await seen.find((value) => value === "tick");
    await seen.find((value) => value === "ping");
  });

  it("refuses what is no delay or no ref", async () => {
    const { remote, sender } = await pair();
    expect((await rejection(sender.call("after", "ping", -1, remote))).code).toBe("INVALID_OPTION");
    expect((await rejection(sender.call("after", "ping", 1, { id: "x" }))).code).toBe("INVALID_ARGUMENT");
  });
});

describe("a timer that a system starts for an actor of another node", () => {
  it("sends its message, can be cancelled, and ends with that actor", async () => {
    const { nodes, one, two, target, remote, seen, sender } = await pair();
    const timer = one.startActorTimer(remote, note("tick"), 3, true);
    expect(timer.actorId.id).toBe(target.id.id);
    await seen.take(2);
    expect(one.cancelActorTimer(remote, timer)).toBe(true);
    expect(one.cancelActorTimer(remote, timer)).toBe(false);
    one.startActorTimer(remote, "ping", 3, true);
    await seen.find((value) => value === "ping");
    expect(thrown(() => one.startActorTimer(remote, "ping", -1, false)).code).toBe("INVALID_OPTION");
    await one.stop(sender);
    await two.stop(target);
    await nodesEmpty(nodes);
  });

  it("ends when the node is lost", async () => {
    const { nodes, one, remote, seen, sender } = await pair();
    one.startActorTimer(remote, note("tick"), 3, true);
    await seen.next();
    await one.stop(sender);
    await crashNode(nodes, "two");
    await nodesEmpty(nodes.slice(0, 1));
  });

  it("all of them can be cancelled at once", async () => {
    const { one, remote, seen } = await pair();
    one.startActorTimer(remote, note("a"), 3, true);
    one.startActorTimer(remote, note("b"), 3, true);
    await vi.waitFor(() => expect(new Set(seen.events)).toEqual(new Set(["a", "b"])));
    one.cancelAllActorTimers(remote);
    const count = await remote.call("sync");
    await nodeTimer(20);
    expect(seen.events).toHaveLength(count);
  });
});
