/**
 * B1 to B7 of docs/SEMANTICS.md: bounds, pauses, draining and injection.
 */

import { describe, expect, test, vi } from "vitest";
import {
  createActor,
  type MailboxConfig,
  MailboxFullError,
  type StashedMessage,
  TimeoutError,
} from "../../lib/index.js";
import { deliveries } from "../support/deliveries.js";
import { makeProbe } from "../support/probe.js";
import { leakFree } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, turn } from "../support/time.js";

/** Notes what it handles; `block` holds it until the door opens. */
function noter() {
  const seen: unknown[] = [];
  const door = gate();
  const Noter = createActor((ctx, self) =>
    self
      .onCast("note", (value: unknown) => void seen.push(value))
      .onCall("ask", (value: unknown) => {
        seen.push(value);
        return value;
      })
      .onCall("block", () => door.promise)
      .onInfo("down", () => void seen.push("down"))
      .onInfo("exit", () => void seen.push("exit"))
      .onCall("watch", (ref: any) => void ctx.watch(ref))
      .onCall("trap", () => ctx.setTrapExit(true))
      .onCall("tick", () => void self.sendAfter({ method: "note", args: ["tick"] }, 0)),
  );
  return { Noter, seen, door };
}

describe.each(deliveries)("$name delivery", (delivery) => {
  test("B1: without maxSize a mailbox takes everything", async () => {
    const { system, spawn } = delivery.open();
    const { Noter, seen, door } = noter();
    const ref = spawn(Noter);
    const blocked = ref.call("block");
    for (let n = 0; n < 100_000; n++) ref.cast("note", n);
    door.open();
    await blocked;
    expect(await ref.call("ask", "end")).toBe("end");
    expect(seen).toHaveLength(100_001);
    await leakFree(system);
  });

  test("B1: maxSize counts waiting casts and calls, and not the one being handled", async () => {
    const { system, spawn } = delivery.open();
    const { Noter, seen, door } = noter();
    const ref = spawn(Noter, { mailbox: { maxSize: 2 } });
    const blocked = ref.call("block");
    ref.cast("note", "cast");
    const second = ref.call("ask", "call");
    expect(await rejection(ref.call("ask", "third"))).toBeInstanceOf(MailboxFullError);
    door.open();
    await blocked;
    expect(await second).toBe("call");
    expect(seen).toEqual(["cast", "call"]);
    await leakFree(system);
  });

  test("B1: what was handled makes room", async () => {
    const { spawn } = delivery.open();
    const { Noter, seen } = noter();
    const ref = spawn(Noter, { mailbox: { maxSize: 1 } });
    for (let n = 0; n < 12; n++) {
      ref.cast("note", n);
      while (seen.length <= n) await nodeTimer();
    }
    expect(seen).toEqual([...Array(12).keys()]);
  });

  test.each<MailboxConfig>([
    { maxSize: 2 },
    { maxSize: 2, overflowStrategy: "drop-newest" },
    { maxSize: 2, overflowStrategy: "error" },
  ])("B2: %j refuses the new message: a cast vanishes, a call rejects at once", async (mailbox) => {
    const { system, spawn } = delivery.open();
    const { Noter, seen, door } = noter();
    const ref = spawn(Noter, { mailbox });
    const blocked = ref.call("block");
    for (let n = 0; n < 5; n++) ref.cast("note", n);
    const error = await rejection(ref.call("ask", "call"));
    expect(error).toBeInstanceOf(MailboxFullError);
    expect(error).toMatchObject({ code: "MAILBOX_FULL", message: `Mailbox full for actor ${ref.id.id}` });
    expect(await stateOf(blocked)).toBe("pending");
    door.open();
    await blocked;
    await ref.call("ask", "end");
    expect(seen).toEqual([0, 1, "end"]);
    await leakFree(system);
  });

  test("B3: drop-oldest pushes out the oldest, and rejects it if it is a call", async () => {
    const { system, spawn } = delivery.open();
    const { Noter, seen, door } = noter();
    const ref = spawn(Noter, { mailbox: { maxSize: 2, overflowStrategy: "drop-oldest" } });
    const blocked = ref.call("block");
    const oldest = rejection(ref.call("ask", "oldest"));
    for (let n = 0; n < 4; n++) ref.cast("note", n);
    expect(await oldest).toBeInstanceOf(MailboxFullError);
    door.open();
    await blocked;
    expect(await ref.call("ask", "end")).toBe("end");
    // Only the two newest casts waited when the door opened.
    expect(seen).toEqual([2, 3, "end"]);
    await leakFree(system);
  });

  test("B4: messages of the system pass a full mailbox and keep their place", async () => {
    const { host, spawn } = delivery.open();
    const { Noter, seen, door } = noter();
    const ref = spawn(Noter, { mailbox: { maxSize: 2 } });
    const other = spawn(createActor(() => {}));
    await ref.call("watch", other);
    await ref.call("trap");
    await ref.call("tick");
    const blocked = ref.call("block");
    ref.cast("note", "first");
    await host.stop(other);
    host.system.sendExit(other, ref, "look out");
    await nodeTimer(10);
    ref.cast("note", "second");
    ref.cast("note", "refused");
    door.open();
    await blocked;
    await ref.call("ask", "end");
    expect(seen.filter((each) => each !== "tick")).toEqual(["first", "down", "exit", "second", "end"]);
    await vi.waitFor(() => expect(seen).toContain("tick"));
  });

  test("B5: a paused mailbox keeps its messages in order until it is resumed", async () => {
    const { host, spawn } = delivery.open();
    const { Noter, seen } = noter();
    const ref = spawn(Noter);
    const { id } = ref.id;
    // Before the first message, so that the pause has to win over what was just spawned.
    ref.cast("note", 0);
    expect(host.system.pauseMailbox(id)).toBe(true);
    for (let n = 1; n < 5; n++) ref.cast("note", n);
    const answer = ref.call("ask", "call");
    await nodeTimer(5);
    expect([seen, await stateOf(answer), host.system.isMailboxPaused(id)]).toEqual([[], "pending", true]);
    expect(host.system.resumeMailbox(id)).toBe(true);
    expect(await answer).toBe("call");
    expect(seen).toEqual([0, 1, 2, 3, 4, "call"]);
    expect(host.system.isMailboxPaused(id)).toBe(false);
  });

  test("B5: a pause during a handler takes hold after it", async () => {
    const { host, spawn } = delivery.open();
    const { Noter, seen, door } = noter();
    const ref = spawn(Noter);
    const blocked = ref.call("block");
    for (let n = 0; n < 3; n++) ref.cast("note", n);
    await turn(); // Everything has arrived.
    host.system.pauseMailbox(ref.id.id);
    door.open();
    await blocked;
    await nodeTimer(2);
    expect(seen).toEqual([]);
    host.system.resumeMailbox(ref.id.id);
    await ref.call("ask", "end");
    expect(seen).toEqual([0, 1, 2, "end"]);
  });

  test("B6: drainMailbox waits for the handler that runs, then takes the waiting messages out", async () => {
    const { system, host, spawn } = delivery.open();
    const { Noter, seen, door } = noter();
    const ref = spawn(Noter);
    const { id } = ref.id;
    const blocked = ref.call("block");
    ref.cast("note", 1);
    const asked = ref.call("ask", 2);
    ref.cast("note", 3);
    const late = rejection(ref.call("ask", 4, { timeout: 300 }));
    await turn(); // Everything has arrived.
    const drained = host.system.drainMailbox(id);
    await nodeTimer(5);
    expect(await stateOf(drained)).toBe("pending");
    door.open();
    await blocked;
    const messages = await drained;
    expect(messages.map(({ type, message }) => [type, message])).toEqual([
      ["cast", { method: "note", args: [1] }],
      ["call", { method: "ask", args: [2] }],
      ["cast", { method: "note", args: [3] }],
      ["call", { method: "ask", args: [4] }],
    ]);
    expect(await late).toBeInstanceOf(TimeoutError);
    expect(host.system.getPendingMessages(id)).toEqual([]);
    expect(host.system.isMailboxPaused(id)).toBe(true);
    messages[1]?.resolve?.("answered by hand");
    expect(await asked).toBe("answered by hand");
    host.system.resumeMailbox(id);
    await ref.call("ask", "end");
    expect(seen).toEqual(["end"]);
    await leakFree(system);
  });

  test("B7: injected messages come before the waiting ones, in their order, whatever the bound", async () => {
    const { system, host, spawn } = delivery.open();
    const { Noter, seen, door } = noter();
    const ref = spawn(Noter, { mailbox: { maxSize: 1 } });
    const answers = makeProbe();
    const blocked = ref.call("block");
    ref.cast("note", "waiting");
    await turn(); // Everything has arrived.
    const injected: StashedMessage[] = [
      { type: "cast", message: { method: "note", args: ["a"] } },
      { type: "call", message: { method: "ask", args: ["b"] }, resolve: answers.push, reject: answers.push },
      { type: "call", message: { method: "no such" }, resolve: answers.push, reject: answers.push },
      { type: "cast", message: { method: "note", args: ["c"] } },
    ];
    expect(host.system.injectMessages(ref.id.id, injected)).toBe(true);
    door.open();
    await blocked;
    const [b, unknown] = await answers.take(2);
    expect([b, unknown.message]).toEqual(["b", "Unknown call method: no such"]);
    await ref.call({ method: "ask", args: ["end"] }).catch(() => {});
    while (!seen.includes("waiting")) await nodeTimer();
    expect(seen.slice(0, 4)).toEqual(["a", "b", "c", "waiting"]);
    host.system.pauseMailbox(ref.id.id);
    const controller = new AbortController();
    const givenUp = rejection(ref.call("ask", "given up", { signal: controller.signal }));
    await turn();
    host.system.injectMessages(ref.id.id, await host.system.drainMailbox(ref.id.id));
    controller.abort();
    await givenUp;
    await turn(); // So has the other node.
    host.system.resumeMailbox(ref.id.id);
    await ref.call("ask", "end");
    expect(seen).not.toContain("given up");
    await leakFree(system);
  });

  test("B1: messages wait, and count, until their own handler starts", async () => {
    const { spawn } = delivery.open();
    const seen: unknown[] = [];
    let pending: unknown[] = [];
    const Inside = createActor((ctx, self) =>
      self
        .onCast("note", (value: unknown) => void seen.push(value))
        .onCast("look", () => {
          pending = ctx.system.getPendingMessages(ctx.self.id.id).map(({ message }) => message.args[0]);
          for (const value of ["fits", "refused"]) ctx.self.cast({ method: "note", args: [value] });
        })
        .onCall("count", () => seen.length),
    );
    const ref = spawn(Inside, { mailbox: { maxSize: 3 } });
    ref.cast("look");
    ref.cast("note", 1);
    ref.cast("note", 2);
    while (seen.length < 3) await nodeTimer();
    await ref.call("count");
    expect(pending).toEqual([1, 2]);
    // Two wait and one is handled, which counts no more: one fits.
    expect(seen).toEqual([1, 2, "fits"]);
  });

  test("B7: what a handler injects comes before what waits", async () => {
    const { spawn } = delivery.open();
    const seen: unknown[] = [];
    const Inside = createActor((ctx, self) =>
      self
        .onCast("note", (value: unknown) => void seen.push(value))
        .onCast("inject", () => {
          const message = { method: "note", args: ["injected"] };
          ctx.system.injectMessages(ctx.self.id.id, [{ type: "cast", message }]);
        })
        .onCall("count", () => seen.length),
    );
    const ref = spawn(Inside);
    ref.cast("inject");
    ref.cast("note", 1);
    ref.cast("note", 2);
    expect(await ref.call("count")).toBe(3);
    expect(seen).toEqual(["injected", 1, 2]);
  });
});
