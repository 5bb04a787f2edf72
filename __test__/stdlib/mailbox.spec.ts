/**
 * Control of mailboxes by id, and bounds as the senders see them. The queue itself is in bounded_mailbox.spec.ts.
 */

import { describe, expect, it, vi } from "vitest";
import {
  Actor,
  CallAbortedError,
  createActor,
  InvalidArgumentError,
  type MailboxConfig,
  MailboxFullError,
  type Metadata,
  type StashedMessage,
  SystemShuttingDownError,
  TelemetryEvents,
  TimeoutError,
  telemetry,
} from "../../lib/index.js";
import { leakFree, loggedErrors, makeSystem } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, thrown, turns } from "../support/time.js";

class Recorder extends Actor {
  readonly seen: unknown[] = [];
  readonly door = gate();
  override handleCast(message: unknown): void | Promise<void> {
    if (message === "block") return this.door.promise;
    this.seen.push(message);
  }
  override handleCall(message: unknown): any {
    if (message === "block") return this.door.promise;
    if (message === "seen") return [...this.seen];
    this.seen.push(message);
    return message;
  }
}

function recorder(mailbox?: MailboxConfig) {
  const system = makeSystem();
  const ref = system.spawn(Recorder, mailbox === undefined ? {} : { mailbox });
  const { id } = ref.id;
  return { system, ref, id, actor: system.system.getActor(id) as Recorder, mailboxes: system.system };
}

describe("pause and resume", () => {
  it("answer whether there is such an actor", async () => {
    const { system, ref, id, mailboxes } = recorder();
    expect([mailboxes.pauseMailbox(id), mailboxes.isMailboxPaused(id)]).toEqual([true, true]);
    expect([mailboxes.pauseMailbox(id), mailboxes.isMailboxPaused(id)]).toEqual([true, true]);
    expect([mailboxes.resumeMailbox(id), mailboxes.isMailboxPaused(id)]).toEqual([true, false]);
    expect(mailboxes.resumeMailbox(id)).toBe(true);
    await system.stop(ref);
    for (const gone of [id, "nobody", "", "__proto__"]) {
      expect([mailboxes.pauseMailbox(gone), mailboxes.resumeMailbox(gone), mailboxes.isMailboxPaused(gone)]).toEqual([
        false,
        false,
        false,
      ]);
    }
  });

  it("hold right after spawn, for calls that could run at once", async () => {
    const { ref, id, actor, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    const call = ref.call("call");
    ref.cast("cast");
    await nodeTimer(2);
    expect([actor.seen, await stateOf(call)]).toEqual([[], "pending"]);
    mailboxes.resumeMailbox(id);
    expect(await call).toBe("call");
    expect(await ref.call("seen")).toEqual(["call", "cast"]);
  });

  it("leave the timeouts of waiting calls running", async () => {
    const { system, ref, id, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    expect(await rejection(ref.call("late", 5))).toBeInstanceOf(TimeoutError);
    mailboxes.resumeMailbox(id);
    expect(await ref.call("seen")).toEqual([]);
    ref.cast("flush");
    await ref.call("seen");
    await leakFree(system);
  });

  it("let a paused actor stop", async () => {
    const { system, ref, id, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    const call = rejection(ref.call("never"));
    await system.stop(ref);
    expect((await call).code).toBe("ACTOR_NOT_FOUND");
    await leakFree(system);
  });
});

describe("getPendingMessages", () => {
  it("shows what waits and takes nothing", async () => {
    const { ref, id, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    const call = ref.call("a call");
    ref.cast({ a: "cast" });
    for (let look = 0; look < 2; look++) {
      const pending = mailboxes.getPendingMessages(id);
      expect(pending.map(({ type, message }) => [type, message])).toEqual([
        ["call", "a call"],
        ["cast", { a: "cast" }],
      ]);
      expect([typeof pending[0]?.resolve, typeof pending[0]?.reject]).toEqual(["function", "function"]);
    }
    mailboxes.resumeMailbox(id);
    expect(await call).toBe("a call");
    expect([mailboxes.getPendingMessages(id), mailboxes.getPendingMessages("nobody")]).toEqual([[], []]);
  });
});

describe("drainMailbox and injectMessages", () => {
  it.each([
    [undefined],
    [null],
    ["text"],
    [{}],
    [[undefined]],
    [["text"]],
    [[{ message: 1 }]],
    [[{ type: "info", message: 1 }]],
    [[{ type: "call", message: 1, resolve: true }]],
    [[{ type: "cast", message: "good" }, null]],
  ])("refuse to inject %j, and inject nothing of it", async (messages: any) => {
    const { ref, id, mailboxes } = recorder();
    expect(thrown(() => mailboxes.injectMessages(id, messages))).toBeInstanceOf(InvalidArgumentError);
    expect(await ref.call("seen")).toEqual([]);
  });

  it("move messages from one actor to another, and callers get their answer from there", async () => {
    const { system, ref, id, mailboxes } = recorder();
    const other = system.spawn(Recorder);
    mailboxes.pauseMailbox(id);
    mailboxes.pauseMailbox(other.id.id);
    const call = ref.call("call");
    ref.cast("cast");
    other.cast("own");
    expect(mailboxes.injectMessages(other.id.id, await mailboxes.drainMailbox(id))).toBe(true);
    mailboxes.resumeMailbox(other.id.id);
    expect(await call).toBe("call");
    expect(await other.call("seen")).toEqual(["call", "cast", "own"]);
    mailboxes.resumeMailbox(id);
    expect(await ref.call("seen")).toEqual([]);
    await leakFree(system);
  });

  it("let the call that is being handled end with its own answer", async () => {
    const { ref, id, actor, mailboxes } = recorder();
    const running = ref.call("block");
    ref.cast("waiting");
    const drained = mailboxes.drainMailbox(id);
    actor.door.open();
    expect(await running).toBeUndefined();
    expect((await drained).map(({ message }) => message)).toEqual(["waiting"]);
  });

  it("give up waiting for a handler after the timeout, and say nothing of the unknown", async () => {
    const { ref, id, actor, mailboxes } = recorder();
    const running = ref.call("block");
    ref.cast("waiting");
    expect((await mailboxes.drainMailbox(id, 10)).map(({ message }) => message)).toEqual(["waiting"]);
    expect(await stateOf(running)).toBe("pending");
    actor.door.open();
    await running;
    expect(await mailboxes.drainMailbox("nobody")).toEqual([]);
    expect(mailboxes.injectMessages("nobody", [])).toBe(false);
  });

  it("leave a call whose caller has given up alone", async () => {
    const { ref, id, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    const late = rejection(ref.call("late", 5));
    const [message] = mailboxes.getPendingMessages(id) as [StashedMessage];
    expect(await late).toBeInstanceOf(TimeoutError);
    message.resolve?.("too late");
    expect(await mailboxes.drainMailbox(id)).toEqual([]);
  });

  it("leave the caller free to give up, drained or not", async () => {
    const { system, ref, id, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    const controller = new AbortController();
    const call = rejection(ref.call("call", { signal: controller.signal }));
    const drained = await mailboxes.drainMailbox(id);
    controller.abort();
    expect(await call).toBeInstanceOf(CallAbortedError);
    mailboxes.injectMessages(id, drained);
    mailboxes.resumeMailbox(id);
    await ref.call("seen");
    await leakFree(system);
  });

  it.each(["in nobody's hands", "in a mailbox that is paused", "of an actor that is gone"])(
    "keep the deadline of a call that is %s",
    async (where) => {
      const { system, ref, id, mailboxes } = recorder();
      mailboxes.pauseMailbox(id);
      const call = rejection(ref.call("call", { timeout: 30 }));
      const drained = await mailboxes.drainMailbox(id);
      if (where === "in a mailbox that is paused") mailboxes.injectMessages(id, drained);
      if (where === "of an actor that is gone") await system.stop(ref);
      expect(await call).toBeInstanceOf(TimeoutError);
      mailboxes.injectMessages(id, drained);
      mailboxes.resumeMailbox(id);
      if (where !== "of an actor that is gone") expect(await ref.call("seen")).toEqual([]);
      await leakFree(system);
    },
  );

  it("handle no call that was put back and whose caller gave up", async () => {
    const { system, ref, id, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    const controller = new AbortController();
    const call = rejection(ref.call("call", { signal: controller.signal }));
    mailboxes.injectMessages(id, await mailboxes.drainMailbox(id));
    controller.abort();
    expect(await call).toBeInstanceOf(CallAbortedError);
    mailboxes.resumeMailbox(id);
    expect(await ref.call("seen")).toEqual([]);
    await leakFree(system);
  });

  it("leave an answer to whoever has the messages, and nothing behind", async () => {
    const { system, ref, id, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    const calls = [ref.call("first"), rejection(ref.call("second"))];
    const [first, second] = await mailboxes.drainMailbox(id);
    first?.resolve?.("by hand");
    second?.reject?.(new RangeError("by hand"));
    expect(await calls[0]).toBe("by hand");
    expect(await calls[1]).toBeInstanceOf(RangeError);
    mailboxes.resumeMailbox(id);
    await leakFree(system);
  });

  it("refuse with the system what nobody has put back", async () => {
    const { system, ref, id, mailboxes } = recorder();
    mailboxes.pauseMailbox(id);
    const call = rejection(ref.call("call", { timeout: Number.POSITIVE_INFINITY }));
    await mailboxes.drainMailbox(id);
    await system.shutdown();
    expect(await call).toBeInstanceOf(SystemShuttingDownError);
  });

  it("put a changed message, and one for another actor, back as it is", async () => {
    const { system, ref, id, mailboxes } = recorder();
    const other = system.spawn(Recorder);
    mailboxes.pauseMailbox(id);
    const call = ref.call("call");
    const drained = await mailboxes.drainMailbox(id);
    const changed = drained.map((message) => ({ ...message, message: `changed ${message.message}` }));
    expect(mailboxes.injectMessages(other.id.id, changed)).toBe(true);
    expect(await call).toBe("changed call");
    expect(await other.call("seen")).toEqual(["changed call"]);
    mailboxes.resumeMailbox(id);
    await leakFree(system);
  });

  it("log what a resolver throws", async () => {
    const { system, ref, id, mailboxes } = recorder();
    const resolve = (): never => {
      throw new Error("taken badly");
    };
    mailboxes.injectMessages(id, [{ type: "call", message: "call", resolve }]);
    await ref.call("seen");
    await turns();
    expect(loggedErrors()).toHaveLength(1);
    await leakFree(system);
  });

  it("take messages without resolvers, and answers that nobody waits for", async () => {
    const { ref, id, mailboxes } = recorder();
    mailboxes.injectMessages(id, [
      { type: "call", message: "alone" },
      { type: "cast", message: "cast" },
    ]);
    expect(await ref.call("seen")).toEqual(["alone", "cast"]);
  });
});

describe("a bounded mailbox", () => {
  it.each<[MailboxConfig["overflowStrategy"], string[]]>([
    ["drop-newest", ["call"]],
    ["error", ["cast", "call"]],
    ["drop-oldest", []],
  ])("with %s tells telemetry of refused %j", async (overflowStrategy, expected) => {
    const { ref, actor } = recorder({ maxSize: 1, ...(overflowStrategy && { overflowStrategy }) });
    const types: unknown[] = [];
    const seen: Metadata[] = [];
    telemetry.attach("overflow", [TelemetryEvents.mailbox.overflow], (_name, _measurements, metadata) => {
      seen.push(metadata);
      types.push(metadata.message_type);
    });
    try {
      ref.cast("block");
      await nodeTimer();
      ref.cast("fits");
      ref.cast("over");
      const call = ref.call("over").catch((error) => error);
      actor.door.open();
      const answer = await call;
      if (overflowStrategy === "drop-oldest") expect(answer).toBe("over");
      else expect(answer).toBeInstanceOf(MailboxFullError);
    } finally {
      telemetry.detach("overflow");
    }
    expect(types).toEqual(expected);
    for (const metadata of seen) expect(metadata.actor_id).toBe(ref.id.id);
  });

  it("survives a flood on a slow actor", async () => {
    const system = makeSystem();
    const seen: number[] = [];
    const Slow = createActor((_ctx, self) =>
      self
        .onCast("n", async (n: number) => {
          await nodeTimer();
          seen.push(n);
        })
        .onCall("seen", () => [...seen]),
    );
    const ref = system.spawn(Slow, { mailbox: { maxSize: 5, overflowStrategy: "drop-oldest" } });
    for (let n = 0; n < 100; n++) ref.cast("n", n);
    await vi.waitFor(() => expect(seen.at(-1)).toBe(99));
    expect(seen.slice(-5)).toEqual([95, 96, 97, 98, 99]);
    expect(seen.length).toBeLessThanOrEqual(6);
    expect(await ref.call("seen")).toEqual(seen);
    expect(loggedErrors()).toEqual([]);
    await leakFree(system);
  });

  it("frees the place of a call that timed out or was aborted", async () => {
    const { ref, actor } = recorder({ maxSize: 1 });
    const blocked = ref.call("block");
    expect(await rejection(ref.call("late", 5))).toBeInstanceOf(TimeoutError);
    const controller = new AbortController();
    const aborted = rejection(ref.call("aborted", { signal: controller.signal }));
    controller.abort();
    expect((await aborted).code).toBe("CALL_ABORTED");
    const fits = ref.call("fits");
    actor.door.open();
    expect(await fits).toBe("fits");
    await blocked;
  });

  it("lets unstashed messages in above the bound", async () => {
    const system = makeSystem();
    const seen: number[] = [];
    const Stasher = createActor((ctx, self) => {
      let open = false;
      return self
        .onCast("n", (n: number) => {
          if (open) seen.push(n);
          else ctx.stash();
        })
        .onCall("nothing", () => {})
        .onCall("open", () => {
          open = true;
          ctx.unstashAll();
        });
    });
    const ref = system.spawn(Stasher, { mailbox: { maxSize: 2 } });
    for (let n = 0; n < 10; n++) {
      ref.cast("n", n);
      await ref.call("nothing");
    }
    await ref.call("open");
    await ref.call("nothing");
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("does not count timers and is not filled by them", async () => {
    const system = makeSystem();
    const door = gate();
    let ticks = 0;
    const Ticker = createActor((_ctx, self) =>
      self
        .onCall("block", () => {
          for (let i = 0; i < 20; i++) self.sendAfter("tick", 0);
          return door.promise;
        })
        .onCall("ticks", () => ticks)
        .onCast("tick", () => void ticks++),
    );
    const ref = system.spawn(Ticker, { mailbox: { maxSize: 1 } });
    const blocked = ref.call("block");
    await vi.waitFor(() => expect(system.system._counters().messages).toBe(20)); // All are in the mailbox.
    const fits = ref.call("ticks");
    door.open();
    await blocked;
    expect(await fits).toBe(20);
  });
});
