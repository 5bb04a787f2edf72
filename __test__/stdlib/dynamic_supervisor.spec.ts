/**
 * DynamicSupervisor: children on demand.
 */

import {
  Actor,
  ActorRef,
  createActor,
  DynamicSupervisor,
  InvalidArgumentError,
  InvalidOptionError,
  MaxChildrenError,
  SystemShuttingDownError,
  TimeoutError,
  TypedActorRef,
} from "libeam";
import { describe, expect, it, vi } from "vitest";
import { Worker } from "../support/actors.js";
import { gone, makeProbe, watchFor } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, thrown } from "../support/time.js";

const quiet = (): void => {};

class Plain extends Actor {
  override handleCall(message: unknown): unknown {
    return message;
  }
}

describe("a dynamic supervisor", () => {
  it("starts at once, with a name if it is given one", async () => {
    const system = makeSystem();
    const supervisor = DynamicSupervisor.start(system, {}, { name: "sup" });
    expect(supervisor.getRef()).toBeInstanceOf(ActorRef);
    expect(supervisor.getRef().id.name).toBe("sup");
    expect((await system.getActorByName("sup"))?.id.id).toBe(supervisor.getRef().id.id);
    expect(await supervisor.countChildren()).toEqual({ specs: 0, active: 0 });
    expect(await supervisor.whichChildren()).toEqual([]);
  });

  it("starts children of both kinds, and lists them in order", async () => {
    const supervisor = DynamicSupervisor.start(makeSystem());
    const worker = await supervisor.startChild(Worker, { name: "w", args: ["w", quiet] });
    const plain = await supervisor.startChild(Plain);
    expect(worker).toBeInstanceOf(TypedActorRef);
    expect(plain).toBeInstanceOf(ActorRef);
    expect(await worker.call("id")).toBe(worker.id.id);
    expect(await plain.call("echo")).toBe("echo");
    expect(await supervisor.whichChildren()).toEqual([
      { ref: worker, className: "Worker", name: "w" },
      { ref: plain, className: "Plain" },
    ]);
    expect(await supervisor.countChildren()).toEqual({ specs: 2, active: 2 });
  });

  it("keeps to maxChildren, and a child that ends makes room", async () => {
    const system = makeSystem();
    const supervisor = DynamicSupervisor.start(system, { maxChildren: 2 });
    const [a] = [await supervisor.startChild(Plain), await supervisor.startChild(Plain)];
    const error = await rejection(supervisor.startChild(Plain));
    expect(error).toBeInstanceOf(MaxChildrenError);
    expect(error.message).toBe("DynamicSupervisor has reached the maximum number of children (2)");
    await system.stop(a);
    await supervisor.startChild(Plain);
    expect(await rejection(supervisor.startChild(Plain))).toBeInstanceOf(MaxChildrenError);
    const none = DynamicSupervisor.start(system, { maxChildren: 0 });
    expect(await rejection(none.startChild(Plain))).toBeInstanceOf(MaxChildrenError);
  });

  it("terminates its children, and nobody else's", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const [one, two] = [DynamicSupervisor.start(system), DynamicSupervisor.start(system)];
    const child = await one.startChild(Worker, { args: ["w", life.push] });
    const foreign = await two.startChild(Plain);
    const root = system.spawn(Plain);
    expect(await one.terminateChild(foreign)).toBe(false);
    expect(await one.terminateChild(root)).toBe(false);
    expect(await one.terminateChild(child)).toBe(true);
    expect(life.events).toEqual(["init:w", "terminate:w"]);
    expect(await one.terminateChild(child)).toBe(false);
    expect(await two.countChildren()).toEqual({ specs: 1, active: 1 });
    expect(await root.call("here")).toBe("here");
  });

  it("waits for a child to end as long as that takes, whatever the timeout of calls", async () => {
    const system = makeSystem({ timeouts: { defaultCallTimeout: 5 } });
    const supervisor = DynamicSupervisor.start(system);
    const door = gate();
    const Slow = createActor((_ctx, self) => self.onTerminate(() => door.promise));
    const children = [await supervisor.startChild(Slow), await supervisor.startChild(Slow)];
    const ends = children.map((child) => supervisor.terminateChild(child));
    // Unlike the others, which are not done then.
    expect(await rejection(supervisor.startChild(Plain))).toBeInstanceOf(TimeoutError);
    expect(await stateOf(ends[1] as Promise<unknown>)).toBe("pending");
    door.open();
    expect([await Promise.all(ends), await supervisor.whichChildren()]).toEqual([[true, true], []]);
  });

  it("restarts a crashed child alone, which keeps its ref", async () => {
    const supervisor = DynamicSupervisor.start(makeSystem());
    const life = makeProbe<string>();
    const [a, b] = [
      await supervisor.startChild(Worker, { args: ["a", life.push] }),
      await supervisor.startChild(Worker, { args: ["b", life.push] }),
    ];
    a.cast("crash");
    const id = await a.call("id");
    expect(id).not.toBe(a.id.id);
    expect(await b.call("id")).toBe(b.id.id);
    expect(life.events).toEqual(["init:a", "init:b", "terminate:a", "init:a"]);
    expect((await supervisor.whichChildren()).map(({ ref }) => ref.id.id)).toEqual([id, b.id.id]);
    expect(await supervisor.terminateChild(a)).toBe(true);
  });

  it("gives a child up past its own limit", async () => {
    const system = makeSystem();
    const supervisor = DynamicSupervisor.start(system, { maxRestarts: 1, periodMs: 60_000 });
    const [a, b] = [
      await supervisor.startChild(Worker, { args: ["same", quiet] }),
      await supervisor.startChild(Worker, { args: ["same", quiet] }),
    ];
    const end = gone(system, a);
    for (const ref of [a, b]) {
      ref.cast("crash");
      await ref.call("id");
    }
    a.cast("crash");
    expect(await end).toEqual({ type: "killed" });
    expect(await supervisor.countChildren()).toEqual({ specs: 1, active: 1 });
    expect(await b.call("id")).toBeTypeOf("string");
  });

  it("waits between restarts as told, and counts the child meanwhile", async () => {
    const supervisor = DynamicSupervisor.start(makeSystem(), {
      maxChildren: 1,
      backoff: { initialMs: 30, maxMs: 30, jitter: 0 },
    });
    const life = makeProbe<string>();
    const child = await supervisor.startChild(Worker, { args: ["w", life.push] });
    const start = performance.now();
    child.cast("crash");
    await life.find((event) => event === "terminate:w");
    expect(await rejection(supervisor.startChild(Plain))).toBeInstanceOf(MaxChildrenError);
    await child.call("id");
    expect(performance.now() - start).toBeGreaterThanOrEqual(30);
  });

  it("passes on what a child's synchronous init throws, and stays empty", async () => {
    const supervisor = DynamicSupervisor.start(makeSystem());
    const error = new Error("will not start");
    const Broken = createActor(() => {
      throw error;
    });
    expect(await rejection(supervisor.startChild(Broken, { name: "broken" }))).toBe(error);
    expect(await supervisor.countChildren()).toEqual({ specs: 0, active: 0 });
    await supervisor.startChild(Worker, { name: "broken", args: ["w", quiet] });
  });

  it("drops a child whose asynchronous init keeps failing", async () => {
    const system = makeSystem();
    const supervisor = DynamicSupervisor.start(system, { maxRestarts: 1 });
    const ref = await supervisor.startChild(createActor(() => Promise.reject(new Error("no"))));
    expect(await gone(system, ref)).toEqual({ type: "killed" });
    expect(await supervisor.countChildren()).toEqual({ specs: 0, active: 0 });
  });

  it("stops all children in order, and then itself", async () => {
    const system = makeSystem();
    const life = makeProbe<string>();
    const supervisor = DynamicSupervisor.start(system);
    const refs = [];
    for (const label of ["a", "b", "c"]) refs.push(await supervisor.startChild(Worker, { args: [label, life.push] }));
    const downs = watchFor(system, ...refs, supervisor.getRef());
    await supervisor.stop();
    expect(life.events.slice(3)).toEqual(["terminate:a", "terminate:b", "terminate:c"]);
    expect((await downs.take(4)).map(({ actorRef }) => actorRef)).toEqual([...refs, supervisor.getRef()]);
    expect((await rejection(supervisor.startChild(Plain))).code).toBe("ACTOR_NOT_FOUND");
    await supervisor.stop();
  });

  it("looks at no other child to start or to end one, however many there are", async () => {
    const { system } = makeSystem();
    const supervisor = DynamicSupervisor.start(system);
    const list = vi.spyOn((system as any).kernel, "list");
    const children = await Promise.all(Array.from({ length: 20 }, () => supervisor.startChild(Plain)));
    expect(await supervisor.terminateChild(children[7] as ActorRef)).toBe(true);
    expect(await supervisor.terminateChild(children[7] as ActorRef)).toBe(false);
    expect(await supervisor.terminateChild(system.spawn(Plain) as ActorRef)).toBe(false);
    expect(list).not.toHaveBeenCalled();
    expect(await supervisor.countChildren()).toEqual({ specs: 19, active: 19 });
  });

  it("serves many callers at once", async () => {
    const supervisor = DynamicSupervisor.start(makeSystem(), { maxChildren: 50 });
    const results = await Promise.allSettled(Array.from({ length: 80 }, () => supervisor.startChild(Plain)));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(50);
    const ended = await Promise.all(
      (await supervisor.whichChildren()).map(({ ref }) => supervisor.terminateChild(ref)),
    );
    expect(ended.every(Boolean)).toBe(true);
    expect(await supervisor.countChildren()).toEqual({ specs: 0, active: 0 });
  });

  it("refuses children while the system drains", async () => {
    const system = makeSystem();
    const supervisor = DynamicSupervisor.start(system);
    await system.system.drain();
    expect(await rejection(supervisor.startChild(Plain))).toBeInstanceOf(SystemShuttingDownError);
    system.system.undrain();
    await supervisor.startChild(Plain);
  });

  it("checks its options", async () => {
    const system = makeSystem();
    for (const options of [
      { maxChildren: -1 },
      { maxChildren: Number.NaN },
      { maxChildren: "2" },
      { maxRestarts: -1 },
      { periodMs: -1 },
      { backoff: { jitter: 2 } },
      [],
      null,
    ]) {
      const error = thrown(() => DynamicSupervisor.start(system, options as any));
      expect(error, JSON.stringify(options)).toBeInstanceOf(InvalidOptionError);
    }
    await nodeTimer(1);
    expect(system.system.getActors()).toEqual([]);
  });

  it("refuses what is no system, and names and options that are none", () => {
    for (const none of [undefined, null, 5, {}, Promise.resolve()]) {
      expect(thrown(() => DynamicSupervisor.start(none as any))).toBeInstanceOf(InvalidArgumentError);
    }
    expect(thrown(() => DynamicSupervisor.start(makeSystem(), {}, "name" as any))).toBeInstanceOf(InvalidOptionError);
  });

  it.each([undefined, null, "worker", 5, {}])(
    "refuses to terminate %j, which is no child of anybody",
    async (ref: any) => {
      const supervisor = DynamicSupervisor.start(makeSystem());
      await supervisor.startChild(Plain);
      expect(await rejection(supervisor.terminateChild(ref))).toBeInstanceOf(InvalidArgumentError);
      expect(await supervisor.countChildren()).toEqual({ specs: 1, active: 1 });
    },
  );
});
