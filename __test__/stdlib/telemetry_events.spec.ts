/**
 * The telemetry that actors and systems emit: which events, in which order, with what in them.
 */

import {
  Actor,
  CallAbortedError,
  createActor,
  createSystem,
  type EventName,
  TelemetryEvents,
  TimeoutError,
  telemetry,
} from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import { Boss, Worker } from "../support/actors.js";
import { gone, makeProbe } from "../support/probe.js";
import { leakFree, makeSystem } from "../support/system.js";
import { gate, rejection, turns } from "../support/time.js";

afterEach(() => telemetry.reset());

const quiet = (): void => {};
const { actor, supervisor, system: systemEvents, mailbox } = TelemetryEvents;
const ends = (prefix: EventName): EventName[] => ["start", "stop", "exception"].map((end) => [...prefix, end]);
const ALL: EventName[] = [
  actor.spawn,
  actor.deadLetter,
  mailbox.overflow,
  ...[actor.init, actor.stop, actor.handleCall, actor.handleCast, systemEvents.shutdown].flatMap(ends),
  ...Object.values(supervisor),
];

interface Seen {
  name: string;
  numbers: Record<string, number>;
  data: Record<string, any>;
}

/** Records events, all of them unless told which; names come without "libeam". */
function listen(names: EventName[] = ALL) {
  const seen = makeProbe<Seen>();
  telemetry.attach("spec", names, (name, numbers, data) => seen.push({ name: name.slice(1).join("."), numbers, data }));
  const list = (): string[] => seen.events.map(({ name }) => name);
  return { seen, list };
}

describe("the life of an actor", () => {
  it("is told in order: spawn, call, crash, restart, stop", async () => {
    const system = makeSystem();
    const { seen, list } = listen();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    await ref.call("id");
    ref.cast("crash");
    await seen.find(({ name }) => name === "supervisor.restart");
    await system.stop(ref);
    expect(list()).toEqual([
      "actor.spawn",
      "actor.init.stop",
      "actor.handle_call.start",
      "actor.handle_call.stop",
      "actor.handle_cast.start",
      "actor.handle_cast.exception",
      "supervisor.crash",
      "actor.init.stop",
      "supervisor.restart",
      "actor.stop.stop",
    ]);
  });

  it("names the actor, its class, its node and its parent", async () => {
    const system = makeSystem();
    const { seen } = listen([actor.spawn]);
    const boss = system.spawn(Boss, { name: "boss", args: [{}, ["a"], quiet] });
    const [child] = (await boss.call("children")) as any[];
    expect(seen.events.map(({ numbers, data }) => ({ numbers, data }))).toEqual([
      {
        numbers: {},
        data: { actor_id: boss.id.id, actor_class: "Boss", name: "boss", node_id: system.nodeId },
      },
      {
        numbers: {},
        data: {
          actor_id: child.id.id,
          actor_class: "Worker",
          name: undefined,
          node_id: system.nodeId,
          parent_id: boss.id.id,
        },
      },
    ]);
  });

  it("has how long init took, or how it failed", async () => {
    const system = makeSystem();
    const { seen } = listen(ends(actor.init));
    const error = new Error("will not start");
    const slow = system.spawn(createActor("Slow", () => turns(1)));
    const broken = createActor("Broken", () => {
      throw error;
    });
    expect(() => system.spawn(broken)).toThrow(error);
    await seen.atLeast(2);
    expect(seen.events[0]).toEqual({
      name: "actor.init.exception",
      numbers: { duration_ms: expect.any(Number) },
      data: { actor_id: expect.any(String), actor_class: "Broken", error },
    });
    expect(seen.events[1]).toMatchObject({
      name: "actor.init.stop",
      data: { actor_id: slow.id.id, actor_class: "Slow" },
    });
    expect(seen.events[1].numbers.duration_ms).toBeGreaterThanOrEqual(0);
  });

  it("ends with how many children were stopped, children first", async () => {
    const system = makeSystem();
    const { seen } = listen(ends(actor.stop));
    const boss = system.spawn(Boss, { name: "boss", args: [{}, ["a", "b"], quiet] });
    await system.stop(boss);
    expect(seen.events.map(({ name, data }) => [name, data.name, data.children_stopped])).toEqual([
      ["actor.stop.stop", undefined, 0],
      ["actor.stop.stop", undefined, 0],
      ["actor.stop.stop", "boss", 2],
    ]);
    expect(seen.events[2].data.actor_id).toBe(boss.id.id);
    expect(seen.events.every(({ numbers }) => numbers.duration_ms >= 0)).toBe(true);
  });

  it("ends once, whatever the way", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 0 } });
    const { seen } = listen([[...actor.stop, "stop"]]);
    const [a, b, c, d] = "abcd".split("").map((label) => system.spawn(Worker, { args: [label, quiet] }));
    const watched = [a, b, c, d].map((ref) => gone(system, ref));
    void system.stop(a);
    void system.stop(a);
    b.cast("crash");
    system.system.sendExit(null, c, "kill");
    d.cast("exit");
    await Promise.all(watched);
    await turns();
    const ids = seen.events.map(({ data }) => data.actor_id);
    expect([...ids].sort()).toEqual([a, b, c, d].map(({ id }) => id.id).sort());
  });
});

describe("messages", () => {
  it("are told with their actor, when they start and how long they took", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    const { seen } = listen([...ends(actor.handleCall), ...ends(actor.handleCast)]);
    const before = Date.now();
    ref.cast("note", "x");
    await ref.call("wait", turns(1));
    expect(seen.events.map(({ name }) => name)).toEqual([
      "actor.handle_cast.start",
      "actor.handle_cast.stop",
      "actor.handle_call.start",
      "actor.handle_call.stop",
    ]);
    for (const { data } of seen.events) expect(data).toEqual({ actor_id: ref.id.id });
    for (const at of [0, 2]) expect(seen.events[at].numbers.system_time).toBeGreaterThanOrEqual(before);
    for (const at of [1, 3]) expect(seen.events[at].numbers.duration_ms).toBeGreaterThanOrEqual(0);
  });

  it.each(["sync", "async"])("tell the error of a %s failure", async (mode) => {
    const system = makeSystem();
    const error = new Error("no");
    const fail = (): unknown => {
      if (mode === "async") return turns(1).then(() => Promise.reject(error));
      throw error;
    };
    const ref = system.spawn(createActor((_ctx, self) => self.onCall("fail", fail).onCast("fail", fail)));
    const { seen, list } = listen();
    expect(await rejection(ref.call("fail"))).toBe(error);
    expect(list()).toEqual(["actor.handle_call.start", "actor.handle_call.exception"]);
    expect(seen.events[1].data).toEqual({ actor_id: ref.id.id, error });
    seen.clear();
    ref.cast("fail");
    const told = await seen.find(({ name }) => name === "actor.handle_cast.exception");
    expect(told.data.error).toBe(error);
  });

  it("of timers are casts", async () => {
    const system = makeSystem();
    const { seen } = listen(ends(actor.handleCast));
    system.spawn(createActor((_ctx, self) => void self.sendAfter("x", 1)));
    expect((await seen.take(2)).map(({ name }) => name)).toEqual(["actor.handle_cast.start", "actor.handle_cast.stop"]);
  });

  it("handled at once on request are told synchronously", async () => {
    const system = makeSystem();
    const { list, seen } = listen(ends(actor.handleCast));
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    expect(system.system._syncLocalCast(ref.id.id, { method: "note", args: ["x"] })).toBe(true);
    expect(list()).toEqual(["actor.handle_cast.start", "actor.handle_cast.stop"]);
    seen.clear();
    expect(system.system._syncLocalCast(ref.id.id, { method: "crash", args: [] })).toBe(true);
    expect(list()).toEqual(["actor.handle_cast.start", "actor.handle_cast.exception"]);
    expect(system.system._syncLocalCast("nobody", {})).toBe(false);
    expect(await ref.call("id")).not.toBe(ref.id.id);
  });

  it("to nobody are dead letters", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    await system.stop(ref);
    const { seen } = listen([actor.deadLetter]);
    ref.cast("note", "x");
    expect((await seen.next()).data).toEqual({ actor_id: ref.id.id, message_type: "cast", reason: "not_found" });
  });
});

describe("an observed call to an idle actor", () => {
  /** An actor that is observed and does what a test wants when it is called. */
  function observed(does: (tools: { ctx: any; self: any }) => unknown) {
    const system = makeSystem();
    listen();
    const heard: string[] = [];
    const Observed = createActor((ctx, self) =>
      self.onCall("do", () => does({ ctx, self })).onCast("hear", (what: string) => void heard.push(what)),
    );
    return { system, heard, ref: system.spawn(Observed) };
  }

  it("runs at once, as without an observer", async () => {
    let ran = false;
    const { ref } = observed(() => {
      ran = true;
    });
    const answer = ref.call("do");
    expect(ran).toBe(true);
    await answer;
  });

  it("asks a thenable once, as without an observer: it may be a query that runs when it is asked", async () => {
    for (const observed of [false, true]) {
      if (observed) listen();
      const asked: string[] = [];
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about.
      const query = (what: string) => ({ then: (done: (what: string) => void) => done(`${what} ${asked.push(what)}`) });
      const system = makeSystem({ supervision: { strategy: "Stop" } });
      const Asking = createActor((_ctx, self) => {
        self
          .onCall("call", () => query("call"))
          .onCast("cast", () => query("cast"))
          .onTerminate(() => query("terminate"));
        return query("init") as any;
      });
      const ref = system.spawn(Asking);
      ref.cast("cast");
      expect(await ref.call("call")).toBe("call 3");
      await system.stop(ref);
      expect(asked).toEqual(["init", "cast", "call", "terminate"]);
    }
  });

  it("leaves nobody waiting whose message the core saw meanwhile", async () => {
    const { system, heard, ref } = observed(({ ctx, self }) => {
      ctx.self.cast("hear", "from itself");
      self.cancelTimer(self.sendAfter("never", 60_000)); // What the core is asked for, it answers after what was sent.
    });
    await ref.call("do");
    await turns();
    expect(heard).toEqual(["from itself"]);
    await leakFree(system);
  });

  it("is withdrawn from the stash by its signal", async () => {
    const { system, ref } = observed(({ self }) => self.stash());
    const controller = new AbortController();
    const answer = rejection((ref as any).call("do", { signal: controller.signal }));
    controller.abort();
    expect(await answer).toBeInstanceOf(CallAbortedError);
    await leakFree(system);
  });

  it("has its own time to answer", async () => {
    const held = gate();
    const { system, ref } = observed(() => held.promise);
    expect(await rejection((ref as any).call("do", { timeout: 1 }))).toBeInstanceOf(TimeoutError);
    held.open();
    await leakFree(system);
  });
});

describe("supervision", () => {
  it("tells a crash and its restart with the strategy and the attempt", async () => {
    const system = makeSystem();
    const { seen } = listen([supervisor.crash, supervisor.restart]);
    const boss = system.spawn(Boss, { args: [{ strategy: "rest-for-one" }, ["a", "b"], quiet] });
    const [a] = (await boss.call("children")) as any[];
    for (const [attempt, error] of [new Error("one"), "two"].entries()) {
      const actor_id = await a.call("id");
      a.cast("crash", error);
      await seen.find(({ name, data }) => name === "supervisor.restart" && data.actor_id === actor_id);
      const [crash, ...restarts] = seen.events.map(({ data }) => data);
      expect(crash).toEqual({ actor_id, error: attempt === 0 ? "one" : "two", strategy: "rest-for-one" });
      const new_actor_id = await a.call("id");
      expect(restarts[0]).toEqual({ actor_id, new_actor_id, attempt: attempt + 1, strategy: "rest-for-one" });
      await boss.call("children");
      await turns();
      seen.clear();
    }
  });

  it("tells when it gives up", async () => {
    const system = makeSystem({ supervision: { maxRestarts: 1, periodMs: 1_234 } });
    const { seen } = listen(Object.values(supervisor));
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    const end = gone(system, ref);
    ref.cast("crash");
    const actor_id = await ref.call("id");
    ref.cast("crash");
    await end;
    expect(seen.events.map(({ name }) => name)).toEqual([
      "supervisor.crash",
      "supervisor.restart",
      "supervisor.crash",
      "supervisor.max_restarts",
    ]);
    expect(seen.events[3]).toEqual({
      name: "supervisor.max_restarts",
      numbers: { count: 2 },
      data: { actor_id, max_restarts: 1, period_ms: 1_234 },
    });
  });

  it("says nothing of crashes that change nothing", async () => {
    const system = makeSystem();
    const { seen } = listen(Object.values(supervisor));
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    ref.cast("crashAfter", turns(3));
    await turns(1);
    await system.stop(ref);
    await turns(5);
    expect(seen.events).toEqual([]);
  });
});

describe("the system", () => {
  it("tells its shutdown once", async () => {
    const system = createSystem({ nodeId: "mine" });
    for (let n = 0; n < 3; n++) system.spawn(Worker, { args: ["w", quiet] });
    const { seen } = listen([[...systemEvents.shutdown, "stop"]]);
    await Promise.all([system.shutdown(), system.shutdown(), system.system.shutdown()]);
    expect(seen.events).toEqual([
      {
        name: "system.shutdown.stop",
        numbers: { duration_ms: expect.any(Number), actor_count: 3 },
        data: { node_id: "mine" },
      },
    ]);
  });

  it("is not disturbed by handlers that throw", async () => {
    telemetry.attach("broken", ALL, () => {
      throw new Error("broken handler");
    });
    const { seen } = listen();
    const system = makeSystem();
    class Quiet extends Actor {
      override handleCall(): number {
        return 1;
      }
    }
    const ref = system.spawn(Quiet);
    expect(await ref.call({})).toBe(1);
    await system.stop(ref);
    expect(seen.events.map(({ name }) => name)).toEqual([
      "actor.spawn",
      "actor.init.stop",
      "actor.handle_call.start",
      "actor.handle_call.stop",
      "actor.stop.stop",
    ]);
  });
});
