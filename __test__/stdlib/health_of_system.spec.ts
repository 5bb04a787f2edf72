/**
 * The health of a system, and of what a system is made of.
 */

import { ActorSystem, createActor, HealthAggregator, InMemoryTransport, LocalCluster, LocalRegistry } from "libeam";
import { describe, expect, it } from "vitest";
import { Boss, Worker } from "../support/actors.js";
import { makeSystem } from "../support/system.js";
import { gate } from "../support/time.js";

const quiet = (): void => {};

function bare(): ActorSystem {
  return new ActorSystem(new LocalCluster("bare"), new InMemoryTransport("bare"), new LocalRegistry());
}

describe("the health of a system", () => {
  it("is good while it runs, and says what there is", async () => {
    const { system } = makeSystem();
    expect(system.getHealth()).toEqual({
      name: "ActorSystem",
      status: "healthy",
      message: expect.any(String),
      details: { actorCount: 0, totalMailboxSize: 0, registeredClasses: 0 },
    });
    system.registerActorClass(Worker);
    const boss = system.spawn(Boss, { args: [{}, ["a", "b"], quiet] });
    expect(system.getHealth().details).toMatchObject({ actorCount: 3, registeredClasses: 1 });
    await system.stop(boss);
    expect(system.getHealth().details).toMatchObject({ actorCount: 0 });
  });

  it("counts what waits, and is degraded above a thousand", async () => {
    const { system } = makeSystem();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    system.pauseMailbox(ref.id.id);
    for (let n = 0; n < 1_000; n++) ref.cast("note", "x");
    expect(system.getHealth()).toMatchObject({ status: "healthy", details: { totalMailboxSize: 1_000 } });
    ref.cast("note", "x");
    expect(system.getHealth()).toMatchObject({
      status: "degraded",
      message: "High mailbox backlog",
      details: { totalMailboxSize: 1_001 },
    });
    system.resumeMailbox(ref.id.id);
    await ref.call("id");
    expect(system.getHealth()).toMatchObject({ status: "healthy", details: { totalMailboxSize: 0 } });
  });

  it("is bad before the start, though actors work", async () => {
    const system = bare();
    expect(system.getHealth()).toMatchObject({
      status: "unhealthy",
      message: expect.stringContaining("not running"),
    });
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    expect(await ref.call("id")).toBe(ref.id.id);
    void system.start();
    expect(system.isRunning()).toBe(true);
    expect(system.getHealth()).toMatchObject({ status: "healthy", details: { actorCount: 1 } });
    await system.shutdown();
  });

  it("is degraded from the moment a shutdown is asked for", async () => {
    const { system } = makeSystem();
    const door = gate();
    const ref = system.spawn(Worker, { args: ["w", quiet] });
    const busy = ref.call("wait", door.promise);
    const down = system.shutdown();
    expect(system.getHealth()).toMatchObject({
      status: "degraded",
      message: expect.stringContaining("shutting down"),
      details: { actorCount: 1 },
    });
    expect([system.isRunning(), system.isShuttingDown()]).toEqual([false, true]);
    door.open();
    await Promise.all([busy, down]);
    expect(system.isShuttingDown()).toBe(true);
    expect(system.getHealth().details).toMatchObject({ actorCount: 0, totalMailboxSize: 0 });
  });

  it("is degraded while it drains, which comes before everything else", async () => {
    const { system } = makeSystem();
    await system.drain();
    expect(system.getHealth()).toMatchObject({ status: "degraded", message: "System is draining" });
    expect([system.isRunning(), system.isDraining()]).toEqual([true, true]);
    system.undrain();
    expect(system.getHealth().status).toBe("healthy");
    await system.drain();
    const down = system.shutdown();
    expect(system.getHealth().message).toBe("System is draining");
    await down;
  });

  it("can be asked from within a handler", async () => {
    const system = makeSystem();
    const ref = system.spawn(createActor((ctx, self) => self.onCall("health", () => ctx.system.getHealth())));
    expect(await ref.call("health")).toMatchObject({ status: "healthy", details: { actorCount: 1 } });
  });
});

describe("an aggregator", () => {
  it("takes a system and its cluster as they are", async () => {
    const system = makeSystem({ nodeId: "n1" });
    const health = new HealthAggregator(system.nodeId);
    health.register("system", system.system);
    health.register("cluster", system.cluster as any);
    expect(await health.getHealth()).toMatchObject({
      status: "healthy",
      nodeId: "n1",
      components: [{ name: "ActorSystem" }, { name: "LocalCluster", status: "healthy" }],
    });
    await system.system.drain();
    expect((await health.getHealth()).status).toBe("degraded");
    expect(await health.isReady()).toBe(true);
  });
});
