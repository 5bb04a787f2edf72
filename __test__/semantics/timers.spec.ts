/**
 * Time inside actors: sentences T1 to T6 of docs/SEMANTICS.md.
 */

import { createActor, type TimerRef } from "libeam";
import { describe, expect, it, vi } from "vitest";
import { makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { block, gate, nodeTimer, turns } from "../support/time.js";

/** Starts timers on demand and notes each message with the time at which it came. */
function keeper() {
  const system = makeSystem();
  const seen = makeProbe<{ text: string; at: number }>();
  const Keeper = createActor("Keeper", (_ctx, self) =>
    self
      .onCall("after", (text: string, ms: number): TimerRef => self.sendAfter({ method: "note", args: [text] }, ms))
      .onCall("every", (text: string, ms: number): TimerRef => self.sendInterval({ method: "note", args: [text] }, ms))
      .onCall("cancel", (timer: TimerRef): boolean => self.cancelTimer(timer))
      .onCall("sync", () => seen.events.length)
      .onCast("note", (text: string) => seen.push({ text, at: performance.now() })),
  );
  const ref = system.spawn(Keeper);
  const texts = (): string[] => seen.events.map(({ text }) => text);
  /** Resolves when `count` signals wait in mailboxes. */
  const waiting = (count: number) => vi.waitFor(() => expect(system.system._counters().signals).toBe(count));
  return { system, ref, seen, texts, waiting };
}

describe("timers", () => {
  it("T1: never fire early", async () => {
    const { ref, seen } = keeper();
    const due = new Map<string, number>();
    for (let i = 0; i < 200; i++) {
      const ms = (i * 7) % 60;
      due.set(String(i), performance.now() + ms);
      void ref.call("after", String(i), ms);
      if (i % 20 === 0) block(3);
    }
    const events = await seen.atLeast(200);
    const early = events.filter(({ text, at }) => at < (due.get(text) as number));
    expect(early).toEqual([]);
    expect(new Set(events.map(({ text }) => text)).size).toBe(200);
  });

  it("T1: intervals keep at least their distance from their start", async () => {
    const { ref, seen } = keeper();
    const start = performance.now();
    await ref.call("every", "tick", 15);
    const events = await seen.atLeast(4);
    for (const [n, { at }] of events.entries()) expect(at - start).toBeGreaterThanOrEqual((n + 1) * 15);
  });

  it("T2: give their message its place in the mailbox", async () => {
    const { system, ref, seen, texts, waiting } = keeper();
    await ref.call("after", "timer", 5);
    system.system.pauseMailbox(ref.id.id);
    ref.cast("note", "before");
    await waiting(1);
    ref.cast("note", "after");
    system.system.resumeMailbox(ref.id.id);
    await seen.atLeast(3);
    expect(texts()).toEqual(["before", "timer", "after"]);
  });

  it("T3: bring nothing after cancelTimer returned true, even if they had fired", async () => {
    const { system, ref, texts, waiting } = keeper();
    const timer = await ref.call("after", "timer", 1);
    system.system.pauseMailbox(ref.id.id);
    await waiting(1);
    expect(system.system.cancelActorTimer(ref, timer)).toBe(true);
    expect(system.system.cancelActorTimer(ref, timer)).toBe(false);
    system.system.resumeMailbox(ref.id.id);
    await ref.call("sync");
    expect(texts()).toEqual([]);
    expect(system.system._counters()).toMatchObject({ alarms: 0, signals: 0, slots: 0 });
  });

  it("T3: cannot be cancelled once their message was handled", async () => {
    const { ref, seen } = keeper();
    const timer = await ref.call("after", "timer", 1);
    await seen.atLeast(1);
    expect(await ref.call("cancel", timer)).toBe(false);
  });

  it("T4: an interval has at most one tick waiting", async () => {
    const { system, ref, seen, waiting } = keeper();
    const timer = await ref.call("every", "tick", 5);
    await seen.atLeast(1);
    system.system.pauseMailbox(ref.id.id);
    await waiting(1);
    await nodeTimer(50);
    expect(system.system._counters().signals).toBe(1);
    const before = seen.events.length;
    system.system.resumeMailbox(ref.id.id);
    await seen.atLeast(before + 2);
    const [first, second] = seen.events.slice(before);
    expect(second.at - first.at).toBeGreaterThan(0);
    expect(await ref.call("cancel", timer)).toBe(true);
  });

  it("T6: end with the incarnation", async () => {
    const system = makeSystem();
    const seen = makeProbe<string>();
    let incarnation = 0;
    const ref = system.spawn(
      createActor((_ctx, self) => {
        const mine = ++incarnation;
        self.sendInterval({ method: "tick", args: [mine] }, 5);
        self.sendAfter({ method: "tick", args: [`once ${mine}`] }, 60_000);
        self.setIdleTimeout(60_000);
        return self
          .onCast("tick", (from: number) => seen.push(`${incarnation} from ${from}`))
          .onCast("crash", () => {
            throw new Error("boom");
          });
      }),
    );
    await seen.atLeast(2);
    ref.cast("crash");
    await seen.find((event) => event.startsWith("2"));
    await seen.atLeast(seen.events.length + 3);
    expect(seen.events.filter((event) => event === "2 from 1")).toEqual([]);
    expect(system.system._counters()).toMatchObject({ alarms: 3 });
    await system.stop(ref);
    expect(system.system._counters()).toMatchObject({ alarms: 0, slots: 0, signals: 0 });
  });
});

describe("the idle timeout", () => {
  function idler(ms: number) {
    const system = makeSystem();
    const events = makeProbe<{ what: string; at: number; idleMs?: number | undefined }>();
    const stamp = (what: string, idleMs?: number) => events.push({ what, at: performance.now(), idleMs });
    const ref = system.spawn(
      createActor((_ctx, self) => {
        self.setIdleTimeout(ms);
        stamp("message");
        return self
          .onCall("wait", async (promise: Promise<unknown>) => {
            stamp("message");
            await promise;
            stamp("end");
          })
          .onCast("message", () => stamp("message"))
          .onInfo("timeout", ({ idleMs }) => stamp("timeout", idleMs));
      }),
    );
    return { system, ref, events };
  }

  it("T5: counts from the last message, and comes again every period", async () => {
    const { ref, events } = idler(20);
    await events.find(({ what }) => what === "timeout");
    for (let i = 0; i < 5; i++) {
      ref.cast("message");
      await nodeTimer(4);
    }
    const before = events.events.length;
    await events.atLeast(before + 4);
    const all = events.events;
    for (const { what, idleMs } of all) if (what === "timeout") expect(idleMs).toBeGreaterThanOrEqual(20);
    const last = all.slice(-3);
    expect(last.map(({ what }) => what)).toEqual(["timeout", "timeout", "timeout"]);
    expect((last[2].idleMs as number) - (last[1].idleMs as number)).toBeGreaterThanOrEqual(20);
  });

  it.each(["its own", "another actor"])("T5: counts a timer's messages to %s as what they are", async (whom) => {
    const system = makeSystem();
    const seen = makeProbe<string>();
    const other = system.spawn(createActor((_ctx, self) => self.onCast("tick", () => seen.push("tick"))));
    system.spawn(
      createActor((_ctx, self) => {
        self.setIdleTimeout(40);
        self.sendInterval("tick", 5, whom === "its own" ? undefined : other);
        return self.onCast("tick", () => seen.push("tick")).onInfo("timeout", () => seen.push("timeout"));
      }),
    );
    await seen.atLeast(30);
    expect(seen.events.includes("timeout")).toBe(whom !== "its own");
  });

  it("T5: does not come while a handler runs", async () => {
    const { ref, events } = idler(10);
    const door = gate();
    const call = ref.call("wait", door.promise);
    const from = (await events.atLeast(2)).length;
    await nodeTimer(60);
    expect(events.events.slice(from)).toEqual([]);
    door.open();
    await call;
    await turns(1);
    const rest = await events.atLeast(from + 2);
    expect(rest.slice(from, from + 2).map(({ what }) => what)).toEqual(["end", "timeout"]);
  });
});
