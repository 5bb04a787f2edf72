/**
 * Races that random scripts have found: each is played in the one order that went wrong.
 */

import { createActor } from "libeam";
import { describe, expect, it } from "vitest";
import { Observer, Worker } from "../support/actors.js";
import { makeProbe } from "../support/probe.js";
import { empty, leakFree, makeSystem } from "../support/system.js";
import { gate, rejection, turn, turns } from "../support/time.js";

const quiet = (): void => {};

describe("a call", () => {
  it("that is aborted after its refusal, and before the news of it, gives its slot back once", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    system.system.pauseMailbox(ref.id.id);
    const controller = new AbortController();
    const call = rejection(ref.call({ method: "id", args: [] }, { signal: controller.signal }));
    system.system.sendExit(null, ref, "kill");
    controller.abort();
    expect((await call).code).toBe("CALL_ABORTED");
    await empty(system);
  });

  it("that is put back into an actor on its way out is not lost", async () => {
    const system = makeSystem();
    const door = gate();
    const ref = system.spawn(createActor((_ctx, self) => self.onCall("x", () => 1).onTerminate(() => door.promise)));
    system.system.pauseMailbox(ref.id.id);
    const call = rejection(ref.call("x"));
    const messages = await system.system.drainMailbox(ref.id.id);
    expect(messages).toHaveLength(1);
    const stopped = system.stop(ref);
    await turns(2);
    expect(system.system.injectMessages(ref.id.id, messages)).toBe(false);
    for (const { reject } of messages) reject?.(new Error("given back"));
    expect((await call).message).toBe("given back");
    door.open();
    await stopped;
    await empty(system);
  });

  it("that is withdrawn does not hide the signal behind it from a busy actor", async () => {
    const system = makeSystem();
    const seen = makeProbe<any>();
    const ref = system.spawn(Observer, { args: [seen.push] });
    await ref.call("trap", true);
    const doors = [gate(), gate()];
    const waits = doors.map((door) => ref.call("wait", door.promise));
    const controller = new AbortController();
    const withdrawn = rejection(ref.call({ method: "id", args: [] }, { signal: controller.signal }));
    await turn();
    system.system.sendExit(ref, ref, "because");
    ref.cast("note", "after");
    controller.abort();
    expect((await withdrawn).code).toBe("CALL_ABORTED");
    for (const door of doors) door.open();
    await Promise.all(waits);
    const [exit, after] = await seen.atLeast(2);
    expect(exit).toMatchObject({ type: "exit", reason: { type: "exit", reason: "because" } });
    expect(after).toBe("after");
    await leakFree(system);
  });
});

describe("a busy actor", () => {
  it("with an idle timeout serves its whole queue of asynchronous messages", async () => {
    const system = makeSystem();
    const seen = makeProbe<number>();
    const ref = system.spawn(
      createActor((_ctx, self) => {
        self.setIdleTimeout(60_000);
        return self.onCast("work", (n: number) => turn().then(() => seen.push(n)));
      }),
    );
    for (let n = 0; n < 20; n++) ref.cast("work", n);
    expect(await seen.take(20)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });
});

describe("an exit signal", () => {
  /** Knows which incarnation it is, and runs what it is given. */
  const lives = (): ReturnType<typeof createActor> => {
    let incarnation = 0;
    return createActor((_ctx, self) => {
      const mine = ++incarnation;
      return self.onCall("incarnation", () => mine);
    }) as ReturnType<typeof createActor>;
  };

  it("is not overtaken by a call that was made after it", async () => {
    const system = makeSystem();
    const ref = system.spawn(lives());
    expect(await ref.call("incarnation")).toBe(1);
    system.system.sendExit(null, ref, "why");
    expect(await ref.call("incarnation")).toBe(2);
    await leakFree(system);
  });

  it("of a link that is removed before it arrives spares the actor, which goes on", async () => {
    const system = makeSystem();
    const [ref, other] = [system.spawn(lives()), system.spawn(lives())];
    const link = system.system.link(ref, other);
    const killed = system.stop(other); // Normal: no signal.
    await killed;
    system.system.unlink(link);
    const third = system.spawn(lives());
    const second = system.system.link(ref, third);
    system.system.sendExit(null, third, "kill");
    system.system.unlink(second);
    expect(await ref.call("incarnation")).toBe(1);
    await leakFree(system);
  });
});
