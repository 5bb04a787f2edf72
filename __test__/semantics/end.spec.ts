/**
 * How an actor ends: sentences E1 to E9 of docs/SEMANTICS.md.
 */

import {
  Actor,
  type ActorBuilder,
  type ActorContext,
  ActorNotFoundError,
  type ActorRef,
  createActor,
  type InfoMessage,
  SystemShuttingDownError,
} from "libeam";
import { describe, expect, it, vi } from "vitest";
import { Boss, Observer, Worker } from "../support/actors.js";
import { gone, makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { gate, turns } from "../support/time.js";

describe("stop", () => {
  it("E1: lets the running handler end, then refuses waiting and stashed calls and drops waiting casts", async () => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<string>();
    const door = gate();
    const ref = system.spawn(
      createActor((ctx, self) =>
        self
          .onCall("later", () => ctx.stash())
          .onCall("slow", async () => {
            await door.promise;
            note("slow ended");
            return "answer";
          })
          .onCall("never", () => note("never"))
          .onCast("never", () => note("never")),
      ),
    );
    const stashed = ref.call("later");
    const slow = ref.call("slow");
    const waiting = ref.call("never");
    ref.cast("never");
    const stopped = system.stop(ref).then(() => note("stopped"));
    await turns();
    expect(events).toEqual([]);
    door.open();
    await expect(slow).resolves.toBe("answer");
    await expect(waiting).rejects.toBeInstanceOf(ActorNotFoundError);
    await expect(stashed).rejects.toBeInstanceOf(ActorNotFoundError);
    await stopped;
    expect(events).toEqual(["slow ended", "stopped"]);
    expect(system.system._counters()).toMatchObject({ messages: 0, calls: 0, slots: 0, deadlines: 0 });
  });

  it("E2: takes children before their parent, oldest first, each with its own children before it", async () => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<string>();
    const root = system.spawn(Boss, { args: [{}, [], note] });
    const Branch = createActor((ctx, self, label: string, leaves: string[]) => {
      for (const leaf of leaves) ctx.spawn(Worker, { args: [leaf, note] });
      self.onTerminate(() => note(`terminate:${label}`));
    });
    await root.call("spawn", Branch, { args: ["a", ["aa", "ab"]] });
    await root.call("spawn", Worker, { args: ["b", note] });
    await root.call("spawn", Branch, { args: ["c", ["ca"]] });
    events.length = 0;
    await system.stop(root);
    const order = ["aa", "ab", "a", "b", "ca", "c", "boss"];
    expect(events).toEqual(order.map((label) => `terminate:${label}`));
  });

  it("E3: runs terminate once for each incarnation whose init ended well, and awaits it", async () => {
    const system = makeSystem();
    const journal = makeProbe<string>();
    const { events, push: note } = journal;
    const door = gate();
    let incarnation = 0;
    const ref = system.spawn(
      createActor((_ctx, self) => {
        const mine = ++incarnation;
        note(`init:${mine}`);
        self
          .onCast("crash", () => {
            throw new Error("boom");
          })
          .onTerminate(async () => {
            note(`terminate:${mine}`);
            if (mine === 3) await door.promise;
          });
        if (mine === 2) throw new Error("no second one");
      }),
    );
    ref.cast("crash");
    await journal.find((event) => event === "init:3");
    const stopped = system.stop(ref).then(() => note("stopped"));
    await journal.find((event) => event === "terminate:3");
    await turns();
    expect(events).toEqual(["init:1", "terminate:1", "init:2", "init:3", "terminate:3"]);
    door.open();
    await stopped;
    expect(events.slice(5)).toEqual(["stopped"]);
  });

  it("E4: goes on without a handler or terminate that takes too long, and ignores its late end", async () => {
    const system = makeSystem({ limits: { stopTimeoutMs: 30 } });
    const { events, push: note } = makeProbe<string>();
    const doors = [gate(), gate()];
    const ref = system.spawn(
      createActor((_ctx, self) =>
        self
          .onCall("hang", async () => {
            await doors[0].promise;
            throw new Error("late");
          })
          .onTerminate(async () => {
            note("terminate");
            await doors[1].promise;
            throw new Error("late");
          }),
      ),
    );
    const call = ref.call("hang", { timeout: Number.POSITIVE_INFINITY });
    const refused = expect(call).rejects.toBeInstanceOf(ActorNotFoundError);
    await system.stop(ref);
    await refused;
    expect(events).toEqual(["terminate"]);
    expect(system.system._counters()).toMatchObject({ actors: 0, alarms: 0, slots: 0, calls: 0 });
    for (const door of doors) door.open();
    await turns();
    expect(events).toEqual(["terminate"]);
    expect(system.system._counters()).toMatchObject({ actors: 0, slots: 0, reasons: 0 });
  });

  it("E5: a kill waits for nothing, cannot be trapped, restarts nothing, is seen as killed, and terminates", async () => {
    const system = makeSystem();
    const seen = makeProbe<InfoMessage>();
    const { events, push: note } = makeProbe<string>();
    const observer = system.spawn(Observer, { args: [seen.push] });
    const victim = system.spawn(
      createActor((ctx, self) => {
        note("init");
        ctx.setTrapExit(true);
        return self
          .onCall("hang", () => new Promise(() => {}))
          .onInfo("exit", () => note("trapped"))
          .onTerminate(() => note("terminate"));
      }),
    );
    await observer.call("watch", victim);
    const call = victim.call("hang", { timeout: Number.POSITIVE_INFINITY });
    const refused = expect(call).rejects.toBeInstanceOf(ActorNotFoundError);
    await observer.call("exit", victim, "kill");
    const down = await seen.next();
    expect(down).toMatchObject({ type: "down", reason: { type: "killed" } });
    await refused;
    await turns();
    expect(events).toEqual(["init", "terminate"]);
    expect(system.system.getActors()).toHaveLength(1);
  });

  it("E5: is what an actor does to itself, too", async () => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<any>();
    const victim = system.spawn(
      createActor((ctx, self) =>
        self
          .onCall("end", async () => {
            await turns();
            ctx.exit("kill");
            await turns();
            return "nobody hears this";
          })
          .onTerminate(() => note("terminate")),
      ),
    );
    const [watcher, trapping] = [0, 1].map(() => system.spawn(Observer, { args: [note] }));
    await watcher!.call("watch", victim);
    await trapping!.call("trap", true);
    await trapping!.call("link", victim);
    await expect(victim.call("end")).rejects.toBeInstanceOf(ActorNotFoundError);
    await vi.waitFor(() => expect(events).toHaveLength(3));
    const told = ["down", "exit"].map((type) => expect.objectContaining({ type, reason: { type: "killed" } }));
    expect(events).toEqual(expect.arrayContaining(["terminate", ...told]));
    expect(system.system.getActors()).toHaveLength(2);
  });

  it("E6: leaves no name, group, timer, link or watch behind", async () => {
    const system = makeSystem();
    const other = system.spawn(Observer, { args: [() => {}] });
    const before = system.system._counters();
    const ref = system.spawn(
      createActor((ctx, self) => {
        self.sendInterval("tick", 5);
        self.sendAfter("once", 60_000);
        self.setIdleTimeout(60_000);
        ctx.link(other);
        ctx.watch(other);
      }),
      { name: "taken" },
    );
    await other.call("watch", ref);
    system.joinGroup("group", ref);
    system.joinGroup("group", other);
    expect(system.system._counters()).toMatchObject({ names: 1, memberships: 2, links: 1, monitors: 2 });
    await system.stop(ref);
    await turns();
    expect(await system.getActorByName("taken")).toBeNull();
    expect(system.getGroup("group")).toEqual([other]);
    system.leaveGroup("group", other);
    expect(system.system._counters()).toEqual(before);
    expect(system.spawn(Observer, { name: "taken", args: [() => {}] }).id.name).toBe("taken");
  });

  it("E7: of an actor that is gone does nothing", async () => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<string>();
    const ref = system.spawn(Worker, { args: ["w", note] });
    await Promise.all([system.stop(ref), system.stop(ref)]);
    await system.stop(ref);
    expect(events).toEqual(["init:w", "terminate:w"]);
  });

  it.each(["before", "after"])(
    "E7: from within resolves at once %s an await, and takes effect after it",
    async (when) => {
      const system = makeSystem();
      const { events, push: note } = makeProbe<string>();
      const ref = system.spawn(
        createActor((ctx, self) =>
          self
            .onCall("end", async () => {
              if (when === "after") await turns(2);
              await ctx.stop(ctx.self);
              note("still here");
              return "answer";
            })
            .onTerminate(() => note("terminate")),
        ),
      );
      expect(await ref.call("end")).toBe("answer");
      await vi.waitFor(() => expect(events).toEqual(["still here", "terminate"]));
      await expect(ref.call("end")).rejects.toBeInstanceOf(ActorNotFoundError);
    },
  );

  it.each(["before", "after"])("E7: from below resolves at once %s an await", async (when) => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{}, [], note] });
    const child: any = await boss.call(
      "spawn",
      createActor((ctx, self) => {
        self.onCall("end", async () => {
          if (when === "after") await turns(2);
          await ctx.stop(ctx.parent!);
          return "answer";
        });
      }),
    );
    expect(await child.call("end")).toBe("answer");
    await vi.waitFor(() => expect(events).toEqual(["init:boss", "terminate:boss"]));
  });

  it("E7: is stopChild as well, for a child and for any other actor", async () => {
    const system = makeSystem();
    const { events, push: note } = makeProbe<string>();
    const boss = system.spawn(Boss, { args: [{}, ["child"], note] });
    const other = system.spawn(Worker, { args: ["other", note] });
    const [child] = await boss.call("children");
    await boss.call("stop", other);
    await boss.call("stop", child);
    await boss.call("stop", boss);
    await gone(system, boss);
    expect(events.slice(3)).toEqual(["terminate:other", "terminate:child", "terminate:boss"]);
  });

  it("E8: refuses to spawn a child from terminate", async () => {
    const system = makeSystem();
    const errors: unknown[] = [];
    const ref = system.spawn(
      createActor((ctx, self) => {
        self.onTerminate(() => {
          try {
            ctx.spawn(Worker, { args: ["late", () => {}] });
          } catch (error) {
            errors.push(error);
          }
        });
      }),
    );
    await system.stop(ref);
    expect(errors).toEqual([expect.any(SystemShuttingDownError)]);
    expect(errors[0]).toMatchObject({ message: "Cannot spawn child actors: system is shutting down" });
    expect(system.system.getActors()).toEqual([]);
  });
});

describe("an incarnation that is over", () => {
  type Own = Omit<ActorContext, "getActorByName"> & ActorBuilder;
  const Quiet = createActor(() => {});
  let lives = 0;
  let doors = [gate(), gate()];
  let late = makeProbe<unknown>();

  const outcome = (act: () => unknown): unknown => {
    try {
      return act();
    } catch (error) {
      return (error as Error).constructor;
    }
  };

  /** Everything an actor can do to itself; gives what tells a living actor from one that has ended. */
  const meddle = (own: Own, other: ActorRef): unknown => {
    own.cancelAllTimers();
    own.setIdleTimeout(1);
    own.setTrapExit(true);
    own.stash();
    own.unstash();
    own.unstashAll();
    own.clearStash();
    own.sendAfter("late", 0);
    own.sendInterval("late", 1);
    own.watch(other);
    return {
      link: outcome(() => own.link(other)),
      spawn: outcome(() => own.spawn(Quiet)),
      children: own.getChildren().length,
      idle: own.getIdleTimeout(),
    };
  };

  /** Both lives hang in `work`: the first one meddles when the second one has all there is to meddle with. */
  const work = async (own: Own, life: number, other: ActorRef): Promise<number> => {
    if (life === 2) {
      own.spawn(Quiet);
      own.sendAfter("never", 1_000_000);
    }
    await doors[life - 1].promise;
    if (life === 1) late.push(meddle(own, other));
    return own.getChildren().length;
  };

  /** Context and builder in one, as a class has them. */
  const ownOf = (ctx: any, self: any): Own =>
    new Proxy({} as Own, { get: (_, name) => (name in ctx ? ctx[name].bind(ctx) : self[name].bind(self)) });

  const Functional = createActor((ctx, self) => {
    const life = ++lives;
    const own = ownOf(ctx, self);
    return self.onCall("defer", () => ctx.stash()).onCall("work", (other: ActorRef) => work(own, life, other));
  });

  class Class extends Actor {
    private readonly life = ++lives;

    override handleCall({ method, args: [other] }: { method: string; args: ActorRef[] }): unknown {
      if (method === "defer") return this.stash();
      return work(this as unknown as Own, this.life, other as ActorRef);
    }
  }

  it.each([Functional, Class])("E9: does nothing to the next one (%#)", async (definition) => {
    [lives, doors, late] = [0, [gate(), gate()], makeProbe()];
    const system = makeSystem({ limits: { stopTimeoutMs: 10 } });
    const other = system.spawn(Quiet);
    const ref: ActorRef = system.spawn(definition as typeof Functional);
    const first = ref.call({ method: "work", args: [other] });
    const refused = expect(first).rejects.toBeInstanceOf(ActorNotFoundError);
    system.system.sendExit(null, ref, "restart");
    await refused;
    const deferred = ref.call({ method: "defer", args: [] }, { timeout: Number.POSITIVE_INFINITY });
    const dropped = expect(deferred).rejects.toBeInstanceOf(ActorNotFoundError);
    const second = ref.call({ method: "work", args: [other] }, { timeout: Number.POSITIVE_INFINITY });
    await turns();
    const before = system.system._counters();
    expect(before).toMatchObject({ actors: 3, alarms: 1, monitors: 0, links: 0 });
    doors[0].open();
    expect(await late.next()).toEqual({
      link: ActorNotFoundError,
      spawn: SystemShuttingDownError,
      children: 0,
      idle: 0,
    });
    expect(system.system._counters()).toEqual(before);
    doors[1].open();
    expect(await second).toBe(1);
    await system.stop(ref);
    await dropped;
  });
});
