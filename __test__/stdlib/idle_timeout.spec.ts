/**
 * The idle timeout of actors, in both APIs.
 */

import { Actor, createActor, type InfoMessage, InvalidOptionError } from "libeam";
import { describe, expect, it, vi } from "vitest";
import { gone, makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { nodeTimer, thrown } from "../support/time.js";

class Sleeper extends Actor {
  private note!: (message: InfoMessage) => void;

  override init(note: (message: InfoMessage) => void, idleMs?: number): void {
    this.note = note;
    if (idleMs !== undefined) this.setIdleTimeout(idleMs);
  }

  override handleCall(message: { set?: number }): number {
    if (message.set !== undefined) this.setIdleTimeout(message.set);
    return this.getIdleTimeout();
  }

  override handleCast(): void {}

  override handleInfo(message: InfoMessage): void {
    this.note(message);
  }
}

describe("setIdleTimeout", () => {
  it("is 0 unless it is set, and can be read back", async () => {
    const system = makeSystem();
    const ref = system.spawn(Sleeper, { args: [() => {}] });
    expect(await ref.call({})).toBe(0);
    expect(await ref.call({ set: 25 })).toBe(25);
    expect(system.system._counters().alarms).toBe(1);
    expect(await ref.call({ set: 0 })).toBe(0);
    expect(system.system._counters().alarms).toBe(0);
  });

  it("tells an idle actor from init on, again and again, how long it has been idle", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    system.spawn(Sleeper, { args: [seen.push, 15] });
    const messages = await seen.atLeast(3);
    expect(messages.every(({ type }) => type === "timeout")).toBe(true);
    for (const [n, { idleMs }] of messages.entries()) expect(idleMs).toBeGreaterThanOrEqual((n + 1) * 15);
  });

  it.each(["call", "cast"] as const)("starts anew with each %s", async (kind) => {
    const system = makeSystem();
    const seen = makeProbe<{ idleMs: number; at: number }>();
    const ref = system.spawn(Sleeper, {
      args: [(message: any) => seen.push({ idleMs: message.idleMs, at: performance.now() }), 20],
    });
    let last = performance.now();
    for (let n = 0; n < 12; n++) {
      await nodeTimer(5);
      last = performance.now();
      void ref[kind]({});
    }
    seen.clear();
    const { idleMs, at } = await seen.next();
    expect(at - last).toBeGreaterThanOrEqual(18);
    expect(idleMs).toBeGreaterThanOrEqual(20);
    expect(idleMs).toBeLessThan(10_000);
  });

  it("can be changed and switched off while it runs", async () => {
    const system = makeSystem();
    const seen = makeProbe<InfoMessage>();
    const ref = system.spawn(Sleeper, { args: [seen.push, 60_000] });
    await ref.call({ set: 5 });
    await seen.atLeast(2);
    await ref.call({ set: 0 });
    const count = seen.events.length;
    await nodeTimer(25);
    expect(seen.events).toHaveLength(count);
  });

  it.each([0, 60_000])("set to %d takes back what waits to be told already", async (ms) => {
    const system = makeSystem();
    const seen = makeProbe<InfoMessage>();
    const ref = system.spawn(Sleeper, { args: [seen.push, 5] });
    const waiting = () => expect(system.system._counters().signals).toBe(1);
    system.system.pauseMailbox(ref.id.id);
    await vi.waitFor(waiting);
    system.system.setActorIdleTimeout(ref, ms);
    system.system.resumeMailbox(ref.id.id);
    await ref.call({});
    expect(seen.events).toEqual([]);
    system.system.setActorIdleTimeout(ref, 5);
    system.system.pauseMailbox(ref.id.id);
    await vi.waitFor(waiting);
    system.system.resumeMailbox(ref.id.id);
    expect(await seen.next()).toMatchObject({ type: "timeout" });
  });

  it("is set from outside through the system, too", async () => {
    const system = makeSystem();
    const seen = makeProbe<InfoMessage>();
    const ref = system.spawn(Sleeper, { args: [seen.push] });
    system.system.setActorIdleTimeout(ref, 5);
    expect(await seen.next()).toMatchObject({ type: "timeout" });
  });

  it("lets the actor stop itself, and ends with it", async () => {
    const system = makeSystem();
    const ref = system.spawn(
      createActor((ctx, self) => {
        self.setIdleTimeout(5);
        return self.onCall("ms", () => self.getIdleTimeout()).onInfo("timeout", () => ctx.system.stop(ctx.self));
      }),
    );
    expect(await ref.call("ms")).toBe(5);
    expect(await gone(system, ref)).toEqual({ type: "normal" });
    expect(system.system._counters()).toMatchObject({ alarms: 0, signals: 0 });
  });

  it("ends with the incarnation", async () => {
    const system = makeSystem();
    const seen = makeProbe<string>();
    let starts = 0;
    const ref = system.spawn(
      createActor((_ctx, self) => {
        if (++starts === 1) self.setIdleTimeout(5);
        return self
          .onCall("ms", () => self.getIdleTimeout())
          .onCast("crash", () => {
            throw new Error("boom");
          })
          .onInfo("timeout", () => seen.push("timeout"));
      }),
    );
    await seen.next();
    ref.cast("crash");
    expect(await ref.call("ms")).toBe(0);
    seen.clear();
    await nodeTimer(20);
    expect(seen.events).toEqual([]);
  });

  it("does not get in the way of a busy asynchronous actor", async () => {
    const system = makeSystem();
    const seen = makeProbe<number>();
    const ref = system.spawn(
      createActor((_ctx, self) => {
        self.setIdleTimeout(60_000);
        return self.onCast("work", async (n: number) => {
          await null;
          seen.push(n);
        });
      }),
    );
    for (let n = 0; n < 200; n++) ref.cast("work", n);
    expect(await seen.take(200)).toEqual(Array.from({ length: 200 }, (_, n) => n));
  });

  it("crashes the actor when its handler throws", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const ref = system.spawn(
      createActor((_ctx, self) => {
        self.setIdleTimeout(5);
        return self.onInfo("timeout", () => {
          throw new Error("too idle");
        });
      }),
    );
    expect(await gone(system, ref)).toMatchObject({ type: "error", error: { message: "too idle" } });
  });

  it("refuses what is no number of milliseconds", async () => {
    const system = makeSystem();
    const ref = system.spawn(Sleeper, { args: [() => {}] });
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, "5"]) {
      expect(thrown(() => system.system.setActorIdleTimeout(ref, ms as number))).toBeInstanceOf(InvalidOptionError);
    }
    expect(await ref.call({})).toBe(0);
  });
});
