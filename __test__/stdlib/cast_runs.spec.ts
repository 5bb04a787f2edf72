/**
 * Casts that reach an actor in one batch are handled in a row; whatever a handler does to its own actor holds for the next of
 * them already. Those of one method without arguments share a slot.
 */

import { describe, expect, it } from "vitest";
import { ActorNotFoundError, createActor, SelfCallError } from "../../lib/index.js";
import { leakFree, loggedErrors, makeSystem } from "../support/system.js";
import { block, gate, rejection, turns } from "../support/time.js";

/** An actor whose handlers note what they handle; `does` is what each of them does besides. */
function noting(does: Record<string, (tools: any) => unknown>) {
  const system = makeSystem();
  const seen: string[] = [];
  const Noting = createActor((ctx, self) => {
    const handle =
      (book: string) =>
      (what: string): unknown => {
        seen.push(`${book}${what}`);
        return does[what]?.({ ctx, self, handle, system });
      };
    return self.onCall("seen", () => [...seen]).onCast("note", handle(""));
  });
  const ref = system.spawn(Noting);
  const note = (...all: string[]) => {
    for (const what of all) ref.cast("note", what);
  };
  return { system, seen, ref, note };
}

describe("casts in a row", () => {
  it("wait when a handler pauses its actor", async () => {
    const paused = gate();
    const { system, seen, ref, note } = noting({
      pause: ({ ctx, system }) => {
        system.system.pauseMailbox(ctx.self.id.id);
        paused.open();
      },
    });
    note("1", "pause", "2", "3");
    const answer = ref.call("seen");
    await paused.promise;
    await turns();
    expect(seen).toEqual(["1", "pause"]);
    system.system.resumeMailbox(ref.id.id);
    expect(await answer).toEqual(["1", "pause", "2", "3"]);
    await leakFree(system);
  });

  it("are dropped when a handler ends its actor", async () => {
    const { system, seen, ref, note } = noting({ end: ({ ctx, system }) => void system.stop(ctx.self) });
    note("1", "end", "2", "3");
    expect(await rejection(ref.call("seen"))).toBeInstanceOf(ActorNotFoundError);
    expect(seen).toEqual(["1", "end"]);
    await leakFree(system);
  });

  it("go to the next incarnation when a handler crashes", async () => {
    const { system, ref, note } = noting({
      crash: () => {
        throw new Error("one of them");
      },
    });
    note("1", "crash", "2");
    expect(await ref.call("seen")).toEqual(["1", "crash", "2"]);
    expect(loggedErrors()).toHaveLength(1);
    await leakFree(system);
  });

  it("wait for a handler's promise", async () => {
    const [waiting, door] = [gate(), gate()];
    const { system, seen, ref, note } = noting({
      wait: () => {
        waiting.open();
        return door.promise;
      },
    });
    note("1", "wait", "2");
    const answer = ref.call("seen");
    await waiting.promise;
    await turns();
    expect(seen).toEqual(["1", "wait"]);
    door.open();
    expect(await answer).toEqual(["1", "wait", "2"]);
    await leakFree(system);
  });

  it("find the handlers that the one before has put in place", async () => {
    const { system, ref, note } = noting({
      become: ({ self, handle }) => self.onCast("note", handle("new ")),
    });
    note("1", "become", "2");
    expect(await ref.call("seen")).toEqual(["1", "become", "new 2"]);
    await leakFree(system);
  });

  it("keep their order when one is stashed, and it comes back before the rest", async () => {
    let stashed = false;
    const { system, ref, note } = noting({
      stash: ({ self }) => {
        if (!stashed) self.stash();
        stashed = true;
      },
      unstash: ({ self }) => self.unstashAll(),
    });
    note("1", "stash", "2", "unstash", "3");
    expect(await ref.call("seen")).toEqual(["1", "stash", "2", "unstash", "stash", "3"]);
    await leakFree(system);
  });

  it("are still the actor's own after the report of a blocked loop", async () => {
    const system = makeSystem({ limits: { loopBusyMs: 5 } });
    const { overdue } = (system as any).system.kernel;
    const answers: Promise<unknown>[] = [];
    const Busy = createActor((ctx, self) =>
      self
        .onCast("block", () => {
          for (let n = 0; n < 5_000 && overdue[0] === 0; n++) block(1);
        })
        .onCast("ask", () => void answers.push(rejection((ctx.self as any).call("get"))))
        .onCall("get", () => 1),
    );
    const ref: any = system.spawn(Busy);
    // The clock is looked at soon at first, and ends a run: these two are in the middle of one.
    for (let n = 0; n < 5; n++) ref.cast("nothing");
    ref.cast("block");
    ref.cast("ask");
    await ref.call("get");
    expect(await answers[0]).toBeInstanceOf(SelfCallError);
    await leakFree(system);
  });
});

describe("an actor whose row of casts has ended", () => {
  const ends: Record<string, (tools: any) => unknown> = {
    "with the last": () => undefined,
    "with a promise": () => Promise.resolve(),
    "with a crash": () => {
      throw new Error("one of them");
    },
    "with a stash": ({ self }) => self.stash(),
  };

  it.each(Object.keys(ends))("%s is idle: the next call runs at once", async (how) => {
    const { system, seen, ref, note } = noting(ends);
    note("1", "2", how);
    await turns();
    const noted = seen.length;
    const answer = ref.call("seen");
    seen.push("after the call");
    expect(await answer).toHaveLength(noted);
    await system.stop(ref);
    await leakFree(system);
  });
});

describe("casts without arguments", () => {
  /** More methods than have a slot that their casts share. */
  const methods = Array.from({ length: 600 }, (_, at) => `method ${at}`);

  /** An actor that notes which of the methods it was sent. */
  const Many = createActor((_ctx, self) => {
    const seen: string[] = [];
    for (const method of methods) self.onCast(method, () => void seen.push(method));
    return self.onCall("seen", () => seen.splice(0));
  });

  it("are told from each other, however many methods there are", async () => {
    const system = makeSystem();
    const ref: any = system.spawn(Many);
    for (let round = 0; round < 3; round++) {
      for (const method of methods) {
        ref.cast(method);
        ref.cast(method);
      }
      expect(await ref.call("seen")).toEqual(methods.flatMap((method) => [method, method]));
    }
    await leakFree(system);
  });

  it("take no slot while they wait, whatever becomes of the others", async () => {
    const system = makeSystem();
    const mailbox = { maxSize: 3, overflowStrategy: "drop-oldest" } as const;
    const ref: any = system.spawn(Many, { mailbox });
    system.system.pauseMailbox(ref.id.id);
    for (let n = 0; n < 1_000; n++) ref.cast("method 1");
    expect(system.system._counters()).toMatchObject({ slots: 0 });
    system.system.resumeMailbox(ref.id.id);
    // The call takes the third place.
    expect(await ref.call("seen")).toEqual(["method 1", "method 1"]);
    await leakFree(system);
  });

  it("are looked at by themselves when a mailbox is drained", async () => {
    const system = makeSystem();
    const ref: any = system.spawn(Many);
    system.system.pauseMailbox(ref.id.id);
    for (const method of ["method 1", "method 2", "method 1"]) ref.cast(method);
    const drained: any[] = await system.system.drainMailbox(ref.id.id);
    expect(drained.map(({ message }) => message)).toEqual([
      { method: "method 1", args: [] },
      { method: "method 2", args: [] },
      { method: "method 1", args: [] },
    ]);
    drained[0].message.args.push("his own");
    ref.cast("method 1");
    system.system.resumeMailbox(ref.id.id);
    expect(await ref.call("seen")).toEqual(["method 1"]);
    await leakFree(system);
  });

  it("go to the handler that is in place when it is their turn", async () => {
    const system = makeSystem();
    const seen: string[] = [];
    let started = 0;
    const Changing = createActor((ctx, self) => {
      const incarnation = ++started;
      const note = (what: string) => () => void seen.push(`${what} ${incarnation}`);
      return self
        .onCast("tick", note("first"))
        .onCast("turn", (into: string) => {
          if (into === "replaced") self.onCast("tick", note(into));
          else if (into === "become") ctx.become((other) => other.onCast("tick", note(into)).onCast("turn", back));
          else throw new Error("on purpose");
        })
        .onCall("seen", () => seen.splice(0));
      function back(): void {
        ctx.unbecome();
      }
    });
    const ref: any = system.spawn(Changing);
    const wave = [
      "tick",
      "tick",
      "replaced",
      "tick",
      "become",
      "tick",
      "tick",
      "back",
      "tick",
      "crash",
      "tick",
      "tick",
    ];
    const send = (what: string) => (what === "tick" ? ref.cast(what) : ref.cast("turn", what));
    for (const what of wave) send(what);
    const once = ["first 1", "first 1", "replaced 1", "become 1", "become 1", "replaced 1", "first 2", "first 2"];
    expect(await ref.call("seen")).toEqual(once);
    // One at a time: each is alone in its batch.
    for (const what of wave) {
      send(what);
      await turns();
    }
    expect(await ref.call("seen")).toEqual(once.map((what) => what.replace(/\d/, (n) => `${Number(n) + 1}`)));
    expect(loggedErrors()).toHaveLength(2);
    await leakFree(system);
  });

  it("wait for the promise of the one before, and a stash keeps them", async () => {
    const system = makeSystem();
    const seen: string[] = [];
    const [entered, door] = [gate(), gate()];
    let open = false;
    const Waiting = createActor((ctx, self) =>
      self
        .onCast("tick", () => {
          seen.push("tick");
          if (!open) ctx.stash();
        })
        .onCast("wait", () => {
          entered.open();
          return door.promise;
        })
        .onCast("open", () => {
          open = true;
          ctx.unstashAll();
        })
        .onCall("seen", () => seen.splice(0)),
    );
    const ref: any = system.spawn(Waiting);
    for (const method of ["tick", "wait", "tick", "open", "tick"]) ref.cast(method);
    await entered.promise;
    await turns();
    expect(seen).toEqual(["tick"]);
    door.open();
    // Two were stashed, and come back before the one that waits.
    expect(await ref.call("seen")).toEqual(["tick", "tick", "tick", "tick", "tick"]);
    await leakFree(system);
  });
});
