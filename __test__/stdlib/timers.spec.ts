/**
 * Timers of actors: sendAfter, sendInterval, cancelTimer, cancelAllTimers, in both APIs and from the system.
 */

import { Actor, createActor, InvalidOptionError, TimerLimitError, TimerRef } from "libeam";
import { describe, expect, it } from "vitest";
import { makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { nodeTimer, thrown, turns } from "../support/time.js";

class Clock extends Actor {
  private note!: (message: unknown) => void;

  override init(note: (message: unknown) => void): void {
    this.note = note;
  }

  override handleCall({ method, args = [] }: { method: string; args?: any[] }): any {
    return (this as any)[method](...args);
  }

  override handleCast(message: unknown): void {
    this.note(message);
  }

  size(): number {
    return this.context.timers.size;
  }
}

function clock() {
  const system = makeSystem();
  const seen = makeProbe<any>();
  const ref = system.spawn(Clock, { args: [seen.push] });
  const ask = (method: string, ...args: unknown[]): Promise<any> => ref.call({ method, args });
  return { system, ref, seen, ask };
}

describe("sendAfter", () => {
  it("gives a ref that names the timer", async () => {
    const { ref, ask } = clock();
    const timer = await ask("sendAfter", "x", 60_000);
    expect(timer).toBeInstanceOf(TimerRef);
    expect(timer).toMatchObject({ id: expect.any(String), actorId: ref.id, isInterval: false });
    expect((await ask("sendAfter", "x", 60_000)).id).not.toBe(timer.id);
  });

  it("delivers the very message once through handleCast, and is forgotten", async () => {
    const { system, seen, ask } = clock();
    const message = { type: "tick", deep: { value: 1 } };
    const timer = await ask("sendAfter", message, 2);
    expect(await seen.next()).toBe(message);
    await nodeTimer(10);
    expect(seen.events).toHaveLength(1);
    expect(await ask("cancelTimer", timer)).toBe(false);
    expect(await ask("size")).toBe(0);
    expect(system.system._counters()).toMatchObject({ alarms: 0, slots: 0 });
  });

  it("delivers several in the order of their delays, and equal ones in the order of their start", async () => {
    const { seen, ask } = clock();
    for (const ms of [40, 5, 20, 5, 0]) await ask("sendAfter", ms, ms);
    expect(await seen.atLeast(5)).toEqual([0, 5, 5, 20, 40]);
    await Promise.all(Array.from({ length: 20 }, (_, n) => ask("sendAfter", `same ${n}`, 10)));
    const same = (await seen.atLeast(25)).slice(5);
    expect([...same].sort()).toEqual(Array.from({ length: 20 }, (_, n) => `same ${n}`).sort());
  });

  it("can be started from init, and from outside through the system", async () => {
    const system = makeSystem();
    const seen = makeProbe<string>();
    const ref = system.spawn(
      createActor((_ctx, self) => {
        self.sendAfter("early", 1);
        return self.onCast("early", () => seen.push("early")).onCast("later", (text: string) => seen.push(text));
      }),
    );
    expect(await seen.next()).toBe("early");
    const timer = system.system.startActorTimer(ref, { method: "later", args: ["outside"] }, 1, false);
    expect(timer).toBeInstanceOf(TimerRef);
    expect(await seen.next()).toBe("outside");
  });

  it("takes a method's name, { method, args } and { type } in functional actors", async () => {
    const system = makeSystem();
    const seen = makeProbe<unknown[]>();
    system.spawn(
      createActor((_ctx, self) => {
        self.onCast("tick", (...args: unknown[]) => seen.push(args));
        self.sendAfter("tick", 0);
        self.sendAfter({ method: "tick", args: [1, 2] }, 5);
        self.sendAfter({ type: "tick", value: 3 }, 10);
        self.sendAfter({ method: "nobody", args: [] }, 11);
        self.sendAfter("nobody", 12);
        return self;
      }),
    );
    expect(await seen.take(3)).toEqual([[], [1, 2], [{ type: "tick", value: 3 }]]);
  });

  it("can be stashed like any cast", async () => {
    const system = makeSystem();
    const seen = makeProbe<string>();
    let ready = false;
    const ref = system.spawn(
      createActor((ctx, self) => {
        self.sendAfter({ method: "tick", args: ["timer"] }, 1);
        return self
          .onCast("tick", (text: string) => {
            if (ready) seen.push(text);
            else {
              ctx.stash();
              seen.push("stashed");
            }
          })
          .onCall("open", () => {
            ready = true;
            ctx.unstashAll();
          });
      }),
    );
    expect(await seen.next()).toBe("stashed");
    await ref.call("open");
    expect(await seen.next()).toBe("timer");
    await ref.call("open");
    expect(system.system._counters()).toMatchObject({ alarms: 0, slots: 0, messages: 0 });
  });
});

describe("sendInterval", () => {
  it("repeats until it is cancelled", async () => {
    const { seen, ask } = clock();
    const timer = await ask("sendInterval", "tick", 3);
    expect(timer.isInterval).toBe(true);
    await seen.atLeast(3);
    expect(await ask("cancelTimer", timer)).toBe(true);
    const count = seen.events.length;
    await nodeTimer(15);
    expect(seen.events).toHaveLength(count);
    expect(await ask("cancelTimer", timer)).toBe(false);
  });

  it("can be cancelled from its own tick", async () => {
    const system = makeSystem();
    const seen = makeProbe<boolean>();
    system.spawn(
      createActor((_ctx, self) => {
        const timer = self.sendInterval("tick", 2);
        return self.onCast("tick", () => seen.push(self.cancelTimer(timer)));
      }),
    );
    expect(await seen.next()).toBe(true);
    await nodeTimer(15);
    expect(seen.events).toHaveLength(1);
    expect(system.system._counters()).toMatchObject({ alarms: 0, slots: 0 });
  });

  it("does not bury a slow actor", async () => {
    const system = makeSystem();
    const seen = makeProbe<number>();
    system.spawn(
      createActor((_ctx, self) => {
        self.sendInterval("tick", 1);
        return self.onCast("tick", async () => {
          seen.push(system.system._counters().messages);
          await nodeTimer(10);
        });
      }),
    );
    expect(Math.max(...(await seen.atLeast(5)))).toBeLessThanOrEqual(1);
  });
});

describe("cancelling", () => {
  it("takes a timer back before it fires, once", async () => {
    const { seen, ask } = clock();
    const timer = await ask("sendAfter", "never", 10);
    expect(await ask("cancelTimer", timer)).toBe(true);
    expect(await ask("cancelTimer", timer)).toBe(false);
    await nodeTimer(25);
    expect(seen.events).toEqual([]);
  });

  it("does not reach the timers of somebody else", async () => {
    const { system, seen, ask } = clock();
    const timer = await ask("sendAfter", "mine", 10);
    const other = system.spawn(Clock, { args: [seen.push] });
    expect(await other.call({ method: "cancelTimer", args: [timer] })).toBe(false);
    expect(await seen.next()).toBe("mine");
  });

  it("takes a timer back however many there were before it", async () => {
    const system = makeSystem();
    const Churning = createActor((_ctx, self) => {
      self.sendAfter("never", 1e9);
      return self.onCall("cancel", (times: number) => {
        for (let i = 0; i < times; i++) self.cancelTimer(self.sendAfter("never", 1e9));
        return self.cancelTimer(self.sendAfter("never", 1e9));
      });
    });
    const ref = system.spawn(Churning);
    // So often a name counts the uses of its place: with the place it is one number, which has 53 bits.
    for (const times of [2 ** 21 - 2, 1, 1, 1]) {
      expect([await ref.call("cancel", times), system.system._counters().alarms]).toEqual([true, 1]);
    }
  });

  it("takes all timers of an actor back at once", async () => {
    const { system, seen, ask } = clock();
    // Long enough for none to be due before all are started, whatever else the machine does.
    for (let n = 0; n < 50; n++) await ask(n % 2 === 0 ? "sendAfter" : "sendInterval", n, 60_000);
    await ask("cancelAllTimers");
    expect(seen.events).toEqual([]);
    expect(system.system._counters()).toMatchObject({ alarms: 0, slots: 0, signals: 0 });
    await ask("sendAfter", "next", 1);
    expect(await seen.next()).toBe("next");
  });

  it("exists in the functional API as well", async () => {
    const system = makeSystem();
    const seen = makeProbe<string>();
    const ref = system.spawn(
      createActor((_ctx, self) =>
        self
          .onCall("one", () => self.cancelTimer(self.sendAfter({ method: "note", args: ["one"] }, 1)))
          .onCall("all", () => {
            self.sendAfter({ method: "note", args: ["a"] }, 1);
            self.sendInterval({ method: "note", args: ["b"] }, 1);
            self.cancelAllTimers();
          })
          .onCast("note", seen.push),
      ),
    );
    expect(await ref.call("one")).toBe(true);
    await ref.call("all");
    await nodeTimer(15);
    expect(seen.events).toEqual([]);
  });

  it("happens by itself when the actor stops", async () => {
    const { system, ref, seen, ask } = clock();
    await ask("sendAfter", "never", 5);
    await ask("sendInterval", "never", 5);
    await system.stop(ref);
    await nodeTimer(20);
    expect(seen.events).toEqual([]);
    const late = system.system.startActorTimer(ref, "never", 0, false);
    expect(system.system.cancelActorTimer(ref, late)).toBe(false);
    system.system.cancelAllActorTimers(ref);
    await turns();
    expect(system.system._counters()).toMatchObject({ alarms: 0, slots: 0 });
  });
});

describe("limits", () => {
  it("refuses delays that are none", () => {
    const system = makeSystem();
    const ref = system.spawn(Clock, { args: [() => {}] });
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "5", undefined]) {
      const error = thrown(() => system.system.startActorTimer(ref, "x", ms as number, false));
      expect(error, String(ms)).toBeInstanceOf(InvalidOptionError);
      expect(thrown(() => system.system.startActorTimer(ref, "x", ms as number, true))).toBeInstanceOf(
        InvalidOptionError,
      );
    }
    expect(system.system.startActorTimer(ref, "x", 2 ** 31 - 1, false)).toBeInstanceOf(TimerRef);
  });

  it("stops at timersPerActorMax for each actor, and takes new ones when old ones are over", async () => {
    const system = makeSystem({ limits: { timersPerActorMax: 3 } });
    const ref = system.spawn(Clock, { args: [() => {}] });
    const other = system.spawn(Clock, { args: [() => {}] });
    const start = (who = ref) => system.system.startActorTimer(who, "x", 60_000, false);
    const [first] = [start(), start(), start()];
    const error = thrown(start);
    expect(error).toBeInstanceOf(TimerLimitError);
    expect(start(other)).toBeInstanceOf(TimerRef);
    expect(system.system._counters()).toMatchObject({ alarms: 4, slots: 4 });
    expect(system.system.cancelActorTimer(ref, first)).toBe(true);
    expect(start()).toBeInstanceOf(TimerRef);
  });
});
