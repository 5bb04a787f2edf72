/**
 * The life of a system: start, stop of actors, draining, shutdown, disposal, and the process around it.
 */

import { describe, expect, it } from "vitest";
import {
  Actor,
  ActorSystem,
  createActor,
  createSystem,
  InMemoryTransport,
  LocalCluster,
  LocalRegistry,
  type Metadata,
  SystemShuttingDownError,
  TelemetryEvents,
  TimeoutError,
  telemetry,
} from "../../lib/index.js";
import { makeProbe } from "../support/probe.js";
import { runProgram } from "../support/process.js";
import { empty, logged, makeSystem } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, thrown } from "../support/time.js";

const Ping = createActor("Ping", (_ctx, self) => self.onCall("ping", () => "pong"));

/** An ActorSystem that nobody has started. */
function bareSystem(nodeId: string): ActorSystem {
  return new ActorSystem(new LocalCluster(nodeId), new InMemoryTransport(nodeId), new LocalRegistry());
}

/** Spawns a chain a > b > c whose members note their end. */
function chain(system: ReturnType<typeof makeSystem>, note: (event: string) => void) {
  const Node = createActor((ctx, self, names: string[]) => {
    const [name, ...rest] = names;
    if (rest.length > 0) ctx.spawn(Node, { args: [rest] });
    return self
      .onTerminate(async () => {
        note(`${name} begins`);
        await nodeTimer(2);
        note(`${name} ends`);
      })
      .onCall("children", () => ctx.countChildren());
  });
  return system.spawn(Node, { args: [["a", "b", "c"]], name: "a" });
}

describe("createSystem", () => {
  it("is synchronous, and has all parts under one id", () => {
    const system = makeSystem();
    expect(system.nodeId).toMatch(/^local-[a-f0-9]{8}$/);
    expect(system.system).toBeInstanceOf(ActorSystem);
    expect(system.transport).toBeInstanceOf(InMemoryTransport);
    expect(system.cluster).toBeInstanceOf(LocalCluster);
    expect(system.registry).toBeInstanceOf(LocalRegistry);
    const ids = [system.system.id, system.transport.getNodeId(), system.cluster.nodeId];
    expect(ids).toEqual([system.nodeId, system.nodeId, system.nodeId]);
    expect([system.system.isRunning(), system.keyring]).toEqual([true, undefined]);
    expect(makeSystem().nodeId).not.toBe(system.nodeId);
    expect(makeSystem({ nodeId: "n1" }).nodeId).toBe("n1");
    expect(makeSystem({ type: "local" }).cluster.getMembers()).toHaveLength(1);
  });

  it("gives systems that share nothing", async () => {
    const [a, b] = [makeSystem({ nodeId: "same" }), makeSystem({ nodeId: "same" })];
    const ref = a.spawn(Ping, { name: "ping" });
    b.spawn(Ping, { name: "ping" });
    a.joinGroup("g", ref);
    expect([a.getGroup("g").length, b.getGroup("g").length]).toEqual([1, 0]);
    await b.shutdown();
    expect(await ref.call("ping")).toBe("pong");
    expect((await a.getActorByName("ping"))?.id).toEqual(ref.id);
  });

  it("waits for a cluster of one", async () => {
    const system = makeSystem({ nodeId: "n1" });
    await system.waitForCluster();
    await system.waitForCluster({ minMembers: 1, nodes: ["n1"] });
    const error = await rejection(system.waitForCluster({ minMembers: 2, timeout: 60_000 }));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.context.timeoutMs).toBe(60_000);
  });
});

describe("an ActorSystem", () => {
  it("that was never started works and says so", async () => {
    const system = bareSystem("n1");
    const ref = system.spawn(Ping);
    expect(await ref.call("ping")).toBe("pong");
    expect(system.isRunning()).toBe(false);
    expect(system.getHealth()).toMatchObject({ status: "unhealthy", message: expect.stringContaining("not running") });
    await system.shutdown();
  });

  it("runs at once when start is not awaited", async () => {
    const system = bareSystem("n1");
    void system.start();
    expect(system.isRunning()).toBe(true);
    await system.start();
    expect(system.getHealth()).toMatchObject({ name: "ActorSystem", status: "healthy" });
    await system.shutdown();
    await system.start();
    expect(system.isRunning()).toBe(false);
  });

  it("knows its actors right after spawn", () => {
    const { system } = makeSystem();
    expect([system.getActors(), system.getLocalActorIds(), system.getHealth().details?.actorCount]).toEqual([
      [],
      [],
      0,
    ]);
    class Plain extends Actor {}
    const ref = system.spawn(Plain, { name: "plain" });
    const { id } = ref.id;
    const row = { actorId: id, name: "plain", className: "Plain", migratable: false, childCount: 0 };
    expect(system.getActors()).toEqual([row]);
    expect(system.getActorMetadata(id)).toEqual(row);
    expect(system.getLocalActorIds()).toEqual([id]);
    expect(system.getActor(id)).toBeInstanceOf(Plain);
    expect(system.getHealth().details?.actorCount).toBe(1);
    expect([system.getActor("x"), system.getActorMetadata("x")]).toEqual([undefined, undefined]);
  });

  it("reports a backlog", async () => {
    const system = makeSystem();
    const ref = system.spawn(Ping);
    system.system.pauseMailbox(ref.id.id);
    for (let i = 0; i < 1_001; i++) ref.cast("nothing" as never);
    expect(system.system.getHealth()).toMatchObject({
      status: "degraded",
      message: "High mailbox backlog",
      details: { totalMailboxSize: 1_001 },
    });
    system.system.resumeMailbox(ref.id.id);
    await ref.call("ping");
    expect(system.system.getHealth().status).toBe("healthy");
  });
});

describe("stop", () => {
  it("ends grandchildren, children and the actor in this order, each awaited", async () => {
    const system = makeSystem();
    const events: string[] = [];
    const ref = chain(system, (event) => events.push(event));
    expect(system.system.getActors().map(({ childCount }) => childCount)).toEqual([1, 1, 0]);
    await system.stop(ref);
    expect(events).toEqual(["c begins", "c ends", "b begins", "b ends", "a begins", "a ends"]);
    expect(system.system.getActors()).toEqual([]);
    expect(await system.registry.lookup("a")).toBeNull();
    await empty(system);
  });

  it("takes a child from its parent", async () => {
    const system = makeSystem();
    const Parent = createActor((ctx, self) => {
      const child = ctx.spawn(Ping);
      return self.onCall("stopIt", async () => {
        const before = ctx.countChildren();
        await ctx.stopChild(child);
        return [before, ctx.getChildren()];
      });
    });
    expect(await system.spawn(Parent).call("stopIt")).toEqual([1, []]);
  });

  it("of an actor that is gone resolves, and twice at once is once", async () => {
    const system = makeSystem();
    const events: string[] = [];
    const ref = chain(system, (event) => events.push(event));
    await Promise.all([system.stop(ref), system.stop(ref)]);
    await system.stop(ref);
    expect(events).toHaveLength(6);
  });
});

describe("draining", () => {
  it("refuses actors and children, and goes on with those that exist", async () => {
    const { system } = makeSystem();
    const Parent = createActor((ctx, self) => self.onCall("child", () => ctx.spawn(Ping)).onCall("ping", () => 1));
    const parent = system.spawn(Parent);
    expect(await system.drain()).toEqual({ migrated: 0, drained: 1, failed: [] });
    expect(await system.drain()).toEqual({ migrated: 0, drained: 0, failed: [] });
    expect((await rejection(system.drain({ migrateTarget: "elsewhere" }))).code).toBe("NOT_IMPLEMENTED");
    expect([system.isDraining(), system.isRunning()]).toEqual([true, true]);
    expect(thrown(() => system.spawn(Ping))).toBeInstanceOf(SystemShuttingDownError);
    const error = await rejection(parent.call("child"));
    expect(error).toBeInstanceOf(SystemShuttingDownError);
    expect(error.message).toBe("Cannot spawn child actors: system is shutting down");
    expect(await parent.call("ping")).toBe(1);
    expect(system.getHealth()).toMatchObject({ status: "degraded", message: "System is draining" });
    system.undrain();
    expect(await (await parent.call("child")).call("ping")).toBe("pong");
    expect(system.getHealth().status).toBe("healthy");
  });
});

describe("shutdown", () => {
  it("refuses new actors and calls at once, handles what is queued, then ends all", async () => {
    const system = makeSystem();
    const events: string[] = [];
    const Worker = createActor((_ctx, self) =>
      self
        .onCast("work", async (n: number) => {
          await nodeTimer();
          events.push(`work ${n}`);
        })
        .onCall("ping", () => 1)
        .onTerminate(() => void events.push("terminate")),
    );
    const ref = system.spawn(Worker, { name: "worker" });
    for (let n = 0; n < 3; n++) ref.cast("work", n);
    const done = system.shutdown();
    expect([system.system.isShuttingDown(), system.system.isRunning()]).toEqual([true, false]);
    expect(system.system.getHealth()).toMatchObject({ status: "degraded", message: "System is shutting down" });
    const spawned = thrown(() => system.spawn(Worker));
    expect(spawned).toBeInstanceOf(SystemShuttingDownError);
    expect(spawned.message).toBe("Cannot spawn actors: system is shutting down");
    const called = await rejection(ref.call("ping"));
    expect(called).toBeInstanceOf(SystemShuttingDownError);
    expect(called.message).toBe("Cannot make calls: system is shutting down");
    await done;
    expect(events).toEqual(["work 0", "work 1", "work 2", "terminate"]);
    expect([system.system.isShuttingDown(), system.system.getActors()]).toEqual([true, []]);
    expect(await system.registry.lookup("worker")).toBeNull();
    ref.cast("work", 9);
    expect(await rejection(ref.call("ping"))).toBeInstanceOf(SystemShuttingDownError);
  });

  it("drops what is queued when it is told to", async () => {
    const system = makeSystem();
    const seen: number[] = [];
    const ref = system.spawn(createActor((_ctx, self) => self.onCast("n", (n: number) => void seen.push(n))));
    for (let n = 0; n < 5; n++) ref.cast("n", n);
    await system.shutdown({ drainMailboxes: false });
    expect(seen).toEqual([]);
  });

  it("ends children before parents", async () => {
    const system = makeSystem();
    const events: string[] = [];
    chain(system, (event) => events.push(event));
    await system.shutdown();
    expect(events.filter((event) => event.endsWith("ends"))).toEqual(["c ends", "b ends", "a ends"]);
  });

  it("is done once, however often it is asked for", async () => {
    const shutdowns: [Record<string, number>, Metadata][] = [];
    telemetry.attach("shutdowns", [[...TelemetryEvents.system.shutdown, "stop"]], (_name, measurements, metadata) =>
      shutdowns.push([measurements, metadata]),
    );
    const system = makeSystem({ nodeId: "n1" });
    system.spawn(Ping);
    await Promise.all([system.shutdown(), system.shutdown(), system.system.shutdown()]);
    await system.shutdown();
    telemetry.detach("shutdowns");
    expect(shutdowns).toEqual([[{ duration_ms: expect.any(Number), actor_count: 1 }, { node_id: "n1" }]]);
  });

  it("rejects calls that wait", async () => {
    const system = makeSystem();
    const door = gate();
    const ref = system.spawn(createActor((_ctx, self) => self.onCall("block", () => door.promise)));
    const calls = [rejection(ref.call("block")), rejection(ref.call("block"))];
    await system.shutdown({ timeout: 20 });
    for (const error of await Promise.all(calls))
      expect(["ACTOR_NOT_FOUND", "SYSTEM_SHUTTING_DOWN"]).toContain(error.code);
  });

  it.each([
    ["a paused mailbox that is not empty", "paused"],
    ["a handler that never ends", "handler"],
    ["a terminate that never ends", "terminate"],
    ["a terminate that throws", "throw"],
    ["an init that never ends", "init"],
    ["an actor that never runs dry", "busy"],
  ])("ends within its timeout despite %s", async (_, how) => {
    const system = makeSystem();
    const never = gate();
    const Stubborn = createActor((ctx, self) => {
      self
        .onCast("block", () => never.promise)
        .onCast("again", () => ctx.self.cast({ method: "again" }))
        .onTerminate(() => {
          if (how === "throw") throw new Error("terminate");
          return how === "terminate" ? never.promise : undefined;
        });
      return how === "init" ? (never.promise as Promise<void>) : undefined;
    });
    const ref = system.spawn(Stubborn);
    if (how === "paused") system.system.pauseMailbox(ref.id.id);
    ref.cast(how === "busy" ? "again" : how === "terminate" || how === "throw" ? "none" : "block");
    const waiting = rejection(ref.call("wait" as never));
    const stopped = how === "terminate" ? system.stop(ref) : undefined;
    const start = performance.now();
    await system.shutdown({ timeout: 100 });
    await stopped;
    expect((await waiting).code).toMatch(/SYSTEM_SHUTTING_DOWN|ACTOR_NOT_FOUND|UNKNOWN_CALL_METHOD/);
    expect(performance.now() - start).toBeLessThan(4_000);
    expect(system.system.getActors()).toEqual([]);
  });

  it("says nothing of actors that end in time, or of messages that it was told to drop", async () => {
    const system = makeSystem();
    system.spawn(Ping).cast("nothing" as never);
    await system.shutdown({ drainMailboxes: false });
    expect(logged()).toEqual([]);
  });

  it("that a handler waits for ends with its timeout, and says who it was", async () => {
    const system = makeSystem();
    const probe = makeProbe<string>();
    const Fuse = createActor("Fuse", (ctx, self) =>
      self.onCast("blow", async () => {
        await ctx.system.shutdown({ timeout: 30 });
        probe.push("after");
      }),
    );
    system.spawn(Fuse).cast("blow");
    await probe.take(1);
    expect(logged()).toMatchObject([{ level: "warn", context: { actors: [expect.stringContaining("in a handler")] } }]);
  });

  it("from within a handler lets the handler end", async () => {
    const system = makeSystem();
    const probe = makeProbe<string>();
    const Fuse = createActor((ctx, self) =>
      self
        .onCast("blow", async () => {
          void ctx.system.shutdown({ timeout: 2_000 });
          await nodeTimer();
          probe.push("handled");
        })
        .onTerminate(() => probe.push("terminated")),
    );
    system.spawn(Fuse).cast("blow");
    expect(await probe.take(2)).toEqual(["handled", "terminated"]);
    await system.shutdown();
  });

  it("is what the end of an `await using` block does", async () => {
    const events: string[] = [];
    let escaped: ReturnType<typeof createSystem>;
    {
      await using system = createSystem();
      escaped = system;
      system.spawn(createActor((_ctx, self) => self.onTerminate(() => void events.push("terminate"))));
    }
    expect([events, escaped.system.isShuttingDown()]).toEqual([["terminate"], true]);
    {
      await using system = bareSystem("n1");
      system.spawn(Ping);
      expect(await stateOf(system.shutdown())).toBe("pending");
    }
  });
});

describe("the process", () => {
  it.each([
    ["a local system with idle actors", ""],
    ["an actor with an idle timeout that is disabled", "ref.call('idle', 0);"],
    ["a watch, a link and a group", "ref.call('relate');"],
    ["a call that was answered", "await ref.call('ping');"],
    ["an interval and a shutdown", "ref.call('tick'); await system.shutdown();"],
    ["a call that waits and a shutdown", "ref.call('never').catch(() => {}); await system.shutdown({ timeout: 10 });"],
  ])("ends by itself with %s", async (_, line) => {
    const ended = await runProgram(`
      const Ping = libeam.createActor((ctx, self) => self
        .onCall("ping", () => "pong")
        .onCall("never", () => new Promise(() => {}))
        .onCall("idle", (ms) => void self.setIdleTimeout(ms))
        .onCall("tick", () => void self.sendInterval("tock", 5))
        .onCall("relate", () => { ctx.link(other); ctx.watch(other); ctx.system.joinGroup("g", ctx.self); }));
      const system = libeam.createSystem();
      const [ref, other] = [system.spawn(Ping, { name: "ping" }), system.spawn(Ping)];
      ${line}
      console.log("end of program");
    `);
    expect(ended).toMatchObject({ code: 0, stdout: "end of program\n" });
  });

  it("stays up for a timer and for a call that is not answered yet", async () => {
    const ended = await runProgram(`
      const system = libeam.createSystem();
      const Late = libeam.createActor((_ctx, self) => self
        .onCall("start", () => void self.sendAfter("late", 50))
        .onCall("never", () => new Promise(() => {}))
        .onCast("late", () => console.log("timer")));
      system.spawn(Late).call("start");
      system.spawn(Late).call({ method: "never" }, 150).catch((error) => console.log(error.code));
    `);
    expect(ended).toMatchObject({ code: 0, stdout: "timer\nTIMEOUT\n" });
  });
});
