/**
 * I1 to I6 of docs/SEMANTICS.md: how actors come to life.
 */

import { describe, expect, test } from "vitest";
import { Actor, ActorNotFoundError, createActor, NameAlreadyRegisteredError } from "../../lib/index.js";
import { deliveries } from "../support/deliveries.js";
import { gone, makeProbe } from "../support/probe.js";
import { empty, leakFree } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, thrown, turns } from "../support/time.js";

describe.each(deliveries)("$name delivery", (delivery) => {
  test("I1: init starts inside spawn, and a synchronous one has ended when spawn returns", () => {
    const { spawn } = delivery.open();
    const events: string[] = [];
    const Sync = createActor((ctx, _self, name: string) => {
      events.push(`${name} begins as ${ctx.self.id.name}`);
      if (name === "outer") ctx.spawn(Sync, { name: "inner", args: ["inner"] });
      events.push(`${name} ends`);
    });
    spawn(Sync, { name: "outer", args: ["outer"] });
    expect(events).toEqual(["outer begins as outer", "inner begins as inner", "inner ends", "outer ends"]);
    class Async extends Actor {
      override async init(): Promise<void> {
        events.push("async begins");
        await nodeTimer();
        events.push("async ends");
      }
    }
    spawn(Async);
    expect(events.at(-1)).toBe("async begins");
  });

  test("I2: no message is handled before an asynchronous init has settled", async () => {
    const { system, spawn } = delivery.open();
    const door = gate();
    const events: string[] = [];
    class Slow extends Actor {
      override async init(): Promise<void> {
        this.sendAfter("timer", 0);
        this.self.cast("from init");
        await door.promise;
        events.push("ready");
      }
      override handleCast(message: string): void {
        events.push(message);
      }
      override handleCall(message: string): number {
        return events.push(message);
      }
    }
    const ref = spawn(Slow);
    ref.cast("early");
    const call = ref.call("call");
    await nodeTimer(10);
    expect([events, await stateOf(call)]).toEqual([[], "pending"]);
    door.open();
    await call;
    expect(events[0]).toBe("ready");
    expect(events.filter((each) => each !== "timer")).toEqual(["ready", "from init", "early", "call"]);
    await leakFree(system);
  });

  test("I2: the same holds for the init of a restart", async () => {
    const { spawn } = delivery.open();
    const door = gate();
    const probe = makeProbe<string>();
    let starts = 0;
    const Reborn = createActor(async (_ctx, self) => {
      self.onCast("note", probe.push).onCast("crash", () => {
        throw new Error("crash");
      });
      if (++starts > 1) {
        probe.push("init");
        await door.promise;
        probe.push("ready");
      }
    });
    const ref = spawn(Reborn);
    ref.cast("crash");
    ref.cast("note", "waiting");
    expect(await probe.next()).toBe("init");
    ref.cast("note", "later");
    await turns();
    expect(probe.events).toEqual(["init"]);
    door.open();
    expect(await probe.take(3)).toEqual(["ready", "waiting", "later"]);
  });

  test("I3: a synchronous init that throws makes spawn throw the same and leaves nothing behind", async () => {
    const { system, host, spawn } = delivery.open();
    const failure = new RangeError("bad argument");
    let leaked: any;
    const Child = createActor((_ctx, self) => self.onCall("ping", () => "pong"));
    const Failing = createActor((ctx, self) => {
      leaked = ctx.spawn(Child, { name: "child" });
      ctx.watch(leaked);
      ctx.system.joinGroup("group", ctx.self);
      self.sendInterval("tick", 1);
      ctx.self.cast({ method: "tick" });
      throw failure;
    });
    expect(thrown(() => spawn(Failing, { name: "failing" }))).toBe(failure);
    expect(await host.getActorByName("failing")).toBeNull();
    expect(await host.registry.lookup("failing")).toBeNull();
    await empty(system);
    expect(host.getGroup("group")).toEqual([]);
    expect(await host.getActorByName("child")).toBeNull();
    expect(await rejection(leaked.call("ping"))).toBeInstanceOf(ActorNotFoundError);
    // The name is free at once.
    spawn(Child, { name: "failing" });
    expect(thrown(() => spawn(Failing, { name: "other" }))).toBe(failure);
  });

  test("I3: right after spawn has thrown there is no actor and its name is free", () => {
    const { host, spawn } = delivery.open();
    class Failing extends Actor {
      override init(fail: boolean): void {
        if (fail) throw new Error("init");
      }
    }
    for (let i = 0; i < 3; i++) {
      expect(() => spawn(Failing, { name: "phoenix", args: [true] })).toThrow("init");
      expect(host.system.getActors()).toEqual([]);
    }
    expect(spawn(Failing, { name: "phoenix", args: [false] }).id.name).toBe("phoenix");
  });

  test("I4: an asynchronous init that rejects is restarted with a growing delay, then the actor is gone", async () => {
    const { system, host, spawn } = delivery.open({ supervision: { maxRestarts: 3, periodMs: 60_000 } });
    const starts: number[] = [];
    class Failing extends Actor {
      override async init(): Promise<void> {
        starts.push(performance.now());
        await nodeTimer();
        throw new Error("init");
      }
    }
    const ref = spawn(Failing, { name: "failing" });
    const call = rejection(ref.call("waiting", 60_000));
    expect(await gone(system, ref)).toEqual({ type: "killed" });
    expect(await call).toBeInstanceOf(ActorNotFoundError);
    expect(starts).toHaveLength(4);
    const delays = starts.slice(1).map((start, i) => start - (starts[i] as number));
    for (const [at, least] of [10, 20, 40].entries()) expect(delays[at]).toBeGreaterThanOrEqual(least);
    expect(await host.getActorByName("failing")).toBeNull();
    await leakFree(system);
  });

  test("I4: an init that fails once is tried again, and the waiting messages are served", async () => {
    const { spawn } = delivery.open();
    let starts = 0;
    const Flaky = createActor(async (_ctx, self) => {
      self.onCall("starts", () => starts);
      await nodeTimer();
      if (++starts === 1) throw new Error("not yet");
    });
    expect(await spawn(Flaky).call("starts")).toBe(2);
  });

  test("I5: handleContinue runs before the first message", async () => {
    const { spawn } = delivery.open();
    const events: unknown[] = [];
    const data = { rows: [1, 2] };
    const Continuing = createActor((ctx, self) => {
      ctx.self.cast({ method: "note", args: ["from init"] });
      self
        .onContinue((given) => void events.push(given))
        .onCast("note", (value: unknown) => void events.push(value))
        .onCall("ask", () => events.push("call"));
      return { continue: data };
    });
    const ref = spawn(Continuing);
    ref.cast("note", "early");
    await ref.call("ask");
    expect(events).toEqual([data, "from init", "early", "call"]);
    expect(events[0]).toBe(data);
  });

  test("I5: messages are served while the promise of handleContinue is pending", async () => {
    const { spawn } = delivery.open();
    const door = gate();
    class Loading extends Actor {
      private state = "loading";
      override async init(): Promise<any> {
        await nodeTimer();
        return { continue: "source" };
      }
      override async handleContinue(source: string): Promise<void> {
        await door.promise;
        this.state = `loaded from ${source}`;
      }
      override handleCall(): string {
        return this.state;
      }
    }
    const ref = spawn(Loading);
    expect(await ref.call("state")).toBe("loading");
    door.open();
    await turns();
    expect(await ref.call("state")).toBe("loaded from source");
  });

  test("I6: a second spawn with the name of a live actor throws", async () => {
    const { host, spawn } = delivery.open();
    let starts = 0;
    const Named = createActor((_ctx, self) => {
      starts++;
      return self.onCall("ping", () => "pong");
    });
    const first = spawn(Named, { name: "one" });
    const error = thrown(() => spawn(Named, { name: "one" }));
    expect(error).toBeInstanceOf(NameAlreadyRegisteredError);
    expect(error.code).toBe("NAME_ALREADY_REGISTERED");
    expect([starts, host.system.getLocalActorIds()]).toEqual([1, [first.id.id]]);
    expect(await first.call("ping")).toBe("pong");
    await host.stop(first);
    const second = spawn(Named, { name: "one" });
    expect((await host.getActorByName("one"))?.id.id).toBe(second.id.id);
    await leakFree(host, "names");
  });
});
