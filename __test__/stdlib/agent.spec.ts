/**
 * Agent: a value behind an actor.
 */

import {
  ActorNotFoundError,
  ActorRef,
  Agent,
  InvalidArgumentError,
  InvalidOptionError,
  NameAlreadyRegisteredError,
} from "libeam";
import { describe, expect, it } from "vitest";
import { gone } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { gate, rejection, thrown } from "../support/time.js";

describe("Agent", () => {
  it("starts at once with its value", async () => {
    const system = makeSystem();
    const agent = Agent.start(system, 41);
    expect(agent.getRef()).toBeInstanceOf(ActorRef);
    expect(system.system.getActors()).toHaveLength(1);
    expect(await agent.get()).toBe(41);
  });

  it("gives the new value for update and the old one for getAndUpdate", async () => {
    const agent = Agent.start(makeSystem(), 1);
    expect(await agent.update((n) => n + 1)).toBe(2);
    expect(await agent.getAndUpdate((n) => n * 10)).toBe(2);
    expect(await agent.get()).toBe(20);
  });

  it("does casts in order, before a call that follows", async () => {
    const agent = Agent.start(makeSystem(), "");
    for (const letter of "abc") agent.cast((text) => text + letter);
    expect(await agent.get()).toBe("abc");
  });

  it("loses no update of many", async () => {
    const agent = Agent.start(makeSystem(), 0);
    const results = await Promise.all(Array.from({ length: 1_000 }, () => agent.update((n) => n + 1)));
    expect(new Set(results).size).toBe(1_000);
    expect(await agent.get()).toBe(1_000);
  });

  it.each([[{ deep: { value: 1 } }], [[1, 2, 3]], [new Map([["a", 1]])], [undefined], [null]])(
    "holds %o by reference",
    async (value) => {
      const agent = Agent.start<unknown>(makeSystem(), value);
      expect(await agent.get()).toBe(value);
      expect(await agent.getAndUpdate((same) => same)).toBe(value);
    },
  );

  it("rejects what an update throws, and keeps its value", async () => {
    const agent = Agent.start(makeSystem(), 1);
    const fail = (): never => {
      throw new Error("no");
    };
    expect((await rejection(agent.update(fail))).message).toBe("no");
    expect((await rejection(agent.getAndUpdate(fail))).message).toBe("no");
    expect(await agent.get()).toBe(1);
  });

  it("waits for an update that gives a promise, and holds what comes of it", async () => {
    const agent = Agent.start(makeSystem(), 1);
    const door = gate<number>();
    const updates = [agent.update(async (n) => n + (await door.promise)), agent.getAndUpdate(async (n) => n * 2)];
    agent.cast(async (n) => n + 1);
    const value = agent.get();
    door.open(4);
    expect([await Promise.all(updates), await value, await agent.update((n) => n + 1)]).toEqual([[5, 5], 11, 12]);
  });

  it("rejects what an update's promise rejects with, and crashes on that of a cast", async () => {
    const agent = Agent.start(makeSystem(), 1);
    await agent.update((n) => n + 1);
    const fail = async (): Promise<never> => {
      throw new Error("no");
    };
    expect((await rejection(agent.update(fail))).message).toBe("no");
    expect((await rejection(agent.getAndUpdate(fail))).message).toBe("no");
    expect(await agent.get()).toBe(2);
    agent.cast(fail);
    expect(await agent.get()).toBe(1);
  });

  it("crashes on a cast that throws, and starts again with its first value", async () => {
    const agent = Agent.start(makeSystem(), 1);
    await agent.update((n) => n + 1);
    agent.cast(() => {
      throw new Error("no");
    });
    expect(await agent.get()).toBe(1);
  });

  it("can have a name, which is taken then", async () => {
    const system = makeSystem();
    const agent = Agent.start(system, 1, { name: "state" });
    expect((await system.getActorByName("state"))?.id.id).toBe(agent.getRef().id.id);
    expect(thrown(() => Agent.start(system, 2, { name: "state" }))).toBeInstanceOf(NameAlreadyRegisteredError);
  });

  it("ends with stop", async () => {
    const system = makeSystem();
    const agent = Agent.start(system, 1);
    const end = gone(system, agent.getRef());
    await agent.stop();
    expect(await end).toEqual({ type: "normal" });
    expect(await rejection(agent.get())).toBeInstanceOf(ActorNotFoundError);
    agent.cast((n) => n + 1);
    await agent.stop();
  });

  it("has timeouts for its calls", async () => {
    const system = makeSystem();
    const agent = Agent.start(system, 1);
    const door = gate();
    system.system.pauseMailbox(agent.getRef().id.id);
    for (const call of [agent.get(5), agent.update((n) => n + 1, 5), agent.getAndUpdate((n) => n + 1, 5)]) {
      expect((await rejection(call)).code).toBe("TIMEOUT");
    }
    system.system.resumeMailbox(agent.getRef().id.id);
    door.open();
    expect(await agent.get()).toBe(1);
  });

  it("starts on an ActorSystem as well", async () => {
    const agent = Agent.start(makeSystem().system, 5);
    expect(await agent.get()).toBe(5);
  });

  it.each([undefined, null, 5, "n + 1", {}])("refuses %j for a function, and keeps its value", async (fn: any) => {
    const agent = Agent.start(makeSystem(), 7);
    expect(await rejection(agent.update(fn))).toBeInstanceOf(InvalidArgumentError);
    expect(await rejection(agent.getAndUpdate(fn))).toBeInstanceOf(InvalidArgumentError);
    expect(thrown(() => agent.cast(fn))).toBeInstanceOf(InvalidArgumentError);
    expect(await agent.get()).toBe(7);
  });

  it("refuses what is no system, and options that are none", () => {
    for (const none of [undefined, null, 5, {}, Promise.resolve()]) {
      expect(thrown(() => Agent.start(none as any, 1))).toBeInstanceOf(InvalidArgumentError);
    }
    expect(thrown(() => Agent.start(makeSystem(), 1, "name" as any))).toBeInstanceOf(InvalidOptionError);
  });
});
