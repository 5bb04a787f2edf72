/**
 * Calls to an actor whose handler waits do not go through the core at once (lib/kernel/pump.ts). Nobody may notice.
 */

import {
  type ActorRef,
  CallAbortedError,
  createActor,
  LibeamError,
  MailboxFullError,
  type System,
  TimeoutError,
} from "libeam";
import { describe, expect, it } from "vitest";
import { Dice } from "../support/dice.js";
import { makeProbe } from "../support/probe.js";
import { printedSeed } from "../support/seed.js";
import { leakFree, makeSystem } from "../support/system.js";
import { type Gate, gate, nodeTimer, rejection, turn, turns } from "../support/time.js";

/** Handles one message at a time, slowly; its log shows in which order. */
function logging(system: System, mailbox?: { maxSize: number }) {
  const log: unknown[] = [];
  const doors = new Map<unknown, Gate>();
  let ready = false;
  const Logging = createActor((ctx, self) =>
    self
      .onCall("plain", (n: unknown) => log.push(n))
      .onCall("fast", async (n: unknown) => log.push(n))
      .onCall("slow", async (n: unknown) => {
        log.push(n);
        await null;
        log.push(`${n}`);
      })
      .onCall("hang", async (n: unknown) => {
        log.push(n);
        const door = gate();
        doors.set(n, door);
        await door.promise;
        return n;
      })
      .onCall("fail", async (n: unknown) => {
        log.push(n);
        throw new RangeError(String(n));
      })
      .onCall("later", (n: unknown) => (ready ? log.push(n) : ctx.stash()))
      .onCall("muchLater", async (n: unknown) => {
        await null;
        return ready ? log.push(n) : ctx.stash();
      })
      .onCall("now", () => {
        ready = true;
        ctx.unstashAll();
      })
      .onCall("watch", (ref: ActorRef) => void ctx.watch(ref))
      .onCast("cast", (n: unknown) => void log.push(n))
      .onCast("slowCast", async (n: unknown) => {
        await null;
        log.push(n);
      })
      .onInfo("down", () => log.push("down")),
  );
  const ref = system.spawn(Logging, mailbox === undefined ? {} : { mailbox });
  return { ref, log, open: (n: unknown) => doors.get(n)?.open() };
}

describe("calls to a busy actor", () => {
  it("keep their order among all other messages, also when there are more than a lane holds", async () => {
    const dice = new Dice(printedSeed());
    const system = makeSystem();
    const { ref, log } = logging(system);
    const expected: unknown[] = [];
    const answers: Promise<unknown>[] = [];
    for (let n = 0; n < 20_000; n++) {
      expected.push(n);
      switch (dice.below(8)) {
        case 0:
          answers.push(ref.call("plain", n));
          break;
        case 1:
          answers.push(ref.call("slow", n));
          expected.push(`${n}`);
          break;
        case 2:
          answers.push(ref.call({ method: "fast", args: [n] }, { timeout: 60_000 }));
          break;
        case 3:
          if (dice.below(20) === 0) ref.cast(dice.below(2) === 0 ? "cast" : "slowCast", n);
          else answers.push(ref.call("fast", n));
          break;
        case 4:
          answers.push(ref.call("fast", n));
          if (dice.below(50) === 0) await answers.at(-1);
          if (dice.below(50) === 0) await turn();
          break;
        default:
          answers.push(ref.call("fast", n));
      }
    }
    await Promise.all(answers);
    await ref.call("plain", "end");
    expect(log).toEqual([...expected, "end"]);
    await leakFree(system);
  });

  it("time out at the system's deadline, the one that runs and those that wait, and the others are handled", async () => {
    const system = makeSystem({ timeouts: { defaultCallTimeout: 30 } });
    const { ref, log, open } = logging(system);
    const errors = Promise.all([rejection(ref.call("hang", 1)), rejection(ref.call("fast", 2))]);
    const patient = ref.call("fast", 3, { timeout: 60_000 });
    for (const error of await errors) expect(error).toBeInstanceOf(TimeoutError);
    open(1);
    await patient;
    expect(log).toEqual([1, 3]);
    await leakFree(system);
  });

  it("time out as well when the one before them has run for a while in a turn of the loop", async () => {
    const system = makeSystem({ timeouts: { defaultCallTimeout: 40 } });
    const { ref, log, open } = logging(system);
    await Promise.all([ref.call("fast", 1), ref.call("slow", 2)]);
    const running = rejection(ref.call("fast", 3).then(() => ref.call("hang", 4)));
    const waiting = rejection(ref.call("slow", 5).then(() => ref.call("fast", 6)));
    expect([await running, await waiting]).toEqual([expect.any(TimeoutError), expect.any(TimeoutError)]);
    open(4);
    expect(log).toEqual([1, 2, "2", 3, 5, "5", 4]);
    await leakFree(system);
  });

  it("are withdrawn by their signals", async () => {
    const system = makeSystem();
    const { ref, log, open } = logging(system);
    const first = ref.call("hang", 1);
    const controller = new AbortController();
    const [before, aborted, after] = [
      ref.call("fast", 2),
      rejection(ref.call("fast", 3, { signal: controller.signal })),
      ref.call("fast", 4),
    ];
    controller.abort();
    expect(await aborted).toBeInstanceOf(CallAbortedError);
    open(1);
    await Promise.all([first, before, after]);
    expect(log).toEqual([1, 2, 4]);
    await leakFree(system);
  });

  it("are refused by a stop and by a kill, and survive a restart", async () => {
    const system = makeSystem({ limits: { stopTimeoutMs: 10 } });
    for (const end of ["stop", "kill", "restart"]) {
      const { ref, log, open } = logging(system);
      const running = ref.call("hang", 1);
      const waiting = [ref.call("fast", 2), ref.call("fast", 3)];
      const outcomes = Promise.allSettled([running, ...waiting]);
      if (end === "stop") {
        const stopped = system.stop(ref);
        open(1);
        await stopped;
      } else system.system.sendExit(null, ref, end);
      const kinds = (await outcomes).map((one) => (one.status === "rejected" ? one.reason.code : "answered"));
      const [refused, answered] = ["ACTOR_NOT_FOUND", "answered"];
      const expected = { stop: [answered, refused, refused], kill: Array(3).fill(refused) }[end];
      expect(kinds, end).toEqual(expected ?? [refused, answered, answered]);
      expect(log, end).toEqual(end === "restart" ? [1, 2, 3] : [1]);
      await system.stop(ref);
      open(1);
    }
    await leakFree(system);
  });

  it("can be stashed, whether their handler is synchronous or not, and come back in order", async () => {
    const system = makeSystem();
    const { ref, log } = logging(system);
    const first = ref.call("slow", 0);
    const stashed = [ref.call("later", 1), ref.call("muchLater", 2), ref.call("later", 3), ref.call("muchLater", 4)];
    const failed = rejection(ref.call("fail", 5));
    const between = ref.call("fast", 6);
    await Promise.all([first, failed, between]);
    expect(log).toEqual([0, "0", 5, 6]);
    const behind = [ref.call("now"), ref.call("fast", 7)];
    await Promise.all([...stashed, ...behind]);
    expect(log).toEqual([0, "0", 5, 6, 1, 2, 3, 4, 7]);
    await leakFree(system);
  });

  it("are drained in order, and count in a bounded mailbox", async () => {
    const system = makeSystem();
    const drained = logging(system);
    const running = drained.ref.call("hang", 1);
    const waiting = [2, 3].map((n) => drained.ref.call("fast", n));
    const drain = system.system.drainMailbox(drained.ref.id.id);
    drained.open(1);
    const messages = await drain;
    expect(messages.map(({ message }: any) => message.args)).toEqual([[2], [3]]);
    for (const message of messages) message.reject?.(new LibeamError("moved", "MOVED"));
    for (const call of waiting) expect((await rejection(call)).code).toBe("MOVED");
    await running;

    const bounded = logging(system, { maxSize: 2 });
    const first = bounded.ref.call("slow", 1);
    const fit = [2, 3].map((n) => bounded.ref.call("fast", n));
    const refused = rejection(bounded.ref.call("fast", 4));
    expect(await refused).toBeInstanceOf(MailboxFullError);
    await Promise.all([first, ...fit]);
    expect(bounded.log).toEqual([1, "1", 2, 3]);
    await leakFree(system);
  });

  it("let what others tell the actor through: casts, the end of a watched actor", async () => {
    const system = makeSystem();
    const { ref, log, open } = logging(system);
    const other = system.spawn(createActor((_ctx, self) => self));
    await ref.call("watch", other);
    const running = ref.call("hang", 1);
    const before = ref.call("fast", 2);
    await system.stop(other);
    const after = ref.call("fast", 3);
    ref.cast("cast", 4);
    open(1);
    await Promise.all([running, before, after]);
    await ref.call("plain", 5);
    expect(log).toEqual([1, 2, "down", 3, 4, 5]);
    await leakFree(system);
  });

  it("find the handler that is registered when their turn comes", async () => {
    const system = makeSystem();
    const Changing = createActor((ctx, self) => {
      const count = (n: number) => async (): Promise<number | string> => {
        if (n < 3) self.onCall("count", count(n + 1));
        else ctx.become((builder) => builder.onCall("count", async () => "become"));
        return n;
      };
      return self.onCall("count", count(0));
    });
    const ref = system.spawn(Changing);
    const answers = Array.from({ length: 6 }, () => ref.call("count"));
    expect(await Promise.all(answers)).toEqual([0, 1, 2, 3, "become", "become"]);
    await leakFree(system);
  });

  it("do not keep timers and other actors waiting", async () => {
    const system = makeSystem();
    const { ref } = logging(system);
    const ticks = makeProbe<string>();
    let busy = true;
    const clients = Array.from({ length: 50 }, async () => {
      while (busy) await ref.call("fast", 0);
    });
    const Other = createActor((_ctx, self) => self.onCast("note", () => ticks.push("note")));
    system.spawn(Other).cast("note");
    await ticks.next();
    await nodeTimer(5);
    await turns();
    busy = false;
    await Promise.all(clients);
    await leakFree(system);
  });
});
