/**
 * Names that actors get after they were spawned.
 */

import {
  ActorNotFoundError,
  ActorSystem,
  InMemoryTransport,
  InvalidArgumentError,
  InvalidOptionError,
  LocalCluster,
  LocalRegistry,
  NameAlreadyRegisteredError,
  type RegisterNameOptions,
} from "libeam";
import { describe, expect, it, vi } from "vitest";
import { Worker } from "../support/actors.js";
import { empty, makeSystem } from "../support/system.js";
import { rejection, thrown } from "../support/time.js";

const worker = (system: ReturnType<typeof makeSystem>, name?: string): any =>
  system.spawn(Worker, { args: ["w", () => {}], ...(name === undefined ? {} : { name }) });

describe.each(["local", "home"] as const)("registerName with consistency %s", (consistency) => {
  const options: RegisterNameOptions = { consistency };

  it("gives an actor names beside its own, until it takes them back", async () => {
    const system = makeSystem();
    const ref = worker(system, "own");
    await system.registerName("first", ref, options);
    await system.registerName("second", ref, options);
    for (const name of ["own", "first", "second"]) {
      expect((await system.getActorByName(name))?.id.id).toBe(ref.id.id);
    }
    expect(system.unregisterName("first")).toBe(true);
    expect(system.unregisterName("first")).toBe(false);
    expect(system.unregisterName("own")).toBe(false);
    expect(await system.getActorByName("first")).toBeNull();
    expect(await system.getActorByName("second")).not.toBeNull();
  });

  it("keeps them over a restart, and frees them at the end", async () => {
    const system = makeSystem();
    const ref = worker(system);
    await system.registerName("name", ref, options);
    ref.cast("crash");
    const id = await ref.call("id");
    expect(id).not.toBe(ref.id.id);
    expect((await system.getActorByName("name"))?.id.id).toBe(id);
    expect((await system.registry.lookup("name"))?.actorId).toBe(id);
    await system.stop(ref);
    expect(await system.getActorByName("name")).toBeNull();
    expect(await system.registry.lookup("name")).toBeNull();
    await empty(system);
  });

  it("refuses a name that somebody has, whichever way it was given", async () => {
    const system = makeSystem();
    const [a, b] = [worker(system, "spawned"), worker(system)];
    await system.registerName("registered", a, options);
    for (const name of ["spawned", "registered"]) {
      expect(await rejection(system.registerName(name, b, options))).toBeInstanceOf(NameAlreadyRegisteredError);
      expect(thrown(() => worker(system, name))).toBeInstanceOf(NameAlreadyRegisteredError);
    }
    await system.registry.register("elsewhere", "another", "1");
    expect(await rejection(system.registerName("elsewhere", b, options))).toBeInstanceOf(NameAlreadyRegisteredError);
    expect((await system.registry.lookup("elsewhere"))?.nodeId).toBe("another");
  });

  it("gives a name once to many that ask at once, also beside a spawn", async () => {
    const system = makeSystem();
    const refs = Array.from({ length: 10 }, () => worker(system));
    const asked = refs.map((ref) => system.registerName("name", ref, options).then(() => ref));
    const results = await Promise.allSettled(asked);
    const winners = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(winners).toHaveLength(1);
    expect((await system.getActorByName("name"))?.id.id).toBe(winners[0].id.id);
    const late = system.registerName("taken", refs[0], options);
    worker(system, "taken");
    expect(await rejection(late)).toBeInstanceOf(NameAlreadyRegisteredError);
  });

  it("leaves nothing behind for an actor that ends meanwhile", async () => {
    const system = makeSystem();
    const ref = worker(system);
    const asked = system.registerName("name", ref, options);
    await system.stop(ref);
    await asked.catch(() => {}); // Either order is right.
    expect(await system.getActorByName("name")).toBeNull();
    expect(await system.registry.lookup("name")).toBeNull();
    expect(await rejection(system.registerName("name", ref, options))).toBeInstanceOf(ActorNotFoundError);
    await system.registerName("name", worker(system), options);
  });
});

it("registerName rejects what makes no sense", async () => {
  const system = makeSystem();
  const ref = worker(system);
  const elsewhere = system.system.getRef({ systemId: "another", id: "6a3e0b0e-0000-4000-8000-000000000000" } as never);
  const register = system.registerName.bind(system) as (...args: unknown[]) => Promise<void>;
  expect(await rejection(register("", ref))).toBeInstanceOf(InvalidArgumentError);
  expect(await rejection(register("x", {}))).toBeInstanceOf(InvalidArgumentError);
  expect(await rejection(register("x", elsewhere))).toBeInstanceOf(InvalidArgumentError);
  expect(await rejection(register("x", worker(makeSystem())))).toBeInstanceOf(InvalidArgumentError);
  expect(await rejection(register("x", ref, { consistency: "strict" }))).toBeInstanceOf(InvalidOptionError);
  expect(await rejection(register("x", ref, 5))).toBeInstanceOf(InvalidOptionError);
  expect(await system.getActorByName("x")).toBeNull();
});

it("registerName with consistency home needs a registry that reserves names", async () => {
  const registry = Object.assign(new LocalRegistry(), { reserveName: undefined }) as never;
  const system = new ActorSystem(new LocalCluster("n"), new InMemoryTransport("n"), registry);
  const ref = system.spawn(Worker, { args: ["w", () => {}] });
  const error = await rejection(system.registerName("x", ref, { consistency: "home" }));
  expect(error.code).toBe("RESERVATIONS_NOT_SUPPORTED");
  await system.shutdown();
});

it.each([
  ["local", "register"],
  ["home", "confirmReservation"],
] as const)(
  "registerName with consistency %s leaves nothing behind when the registry fails",
  async (consistency, step) => {
    const registry = new LocalRegistry();
    const system = new ActorSystem(new LocalCluster("n"), new InMemoryTransport("n"), registry);
    const ref = system.spawn(Worker, { args: ["w", () => {}] });
    const failing = vi.spyOn(registry, step).mockRejectedValueOnce(new Error("the registry is away"));
    expect((await rejection(system.registerName("x", ref, { consistency }))).message).toBe("the registry is away");
    expect(failing).toHaveBeenCalledOnce();
    expect(await system.getActorByName("x")).toBeNull();
    expect(system.unregisterName("x")).toBe(false);
    await registry.releaseReservation(failing.mock.calls[0]?.[0] as string);
    await system.registerName("x", ref, { consistency });
    expect(await system.getActorByName("x")).not.toBeNull();
    await system.shutdown();
  },
);

it("registerName takes a name of which a registry says undefined for one that nobody has", async () => {
  const registry = Object.assign(new LocalRegistry(), { lookup: async () => undefined }) as never;
  const system = new ActorSystem(new LocalCluster("n"), new InMemoryTransport("n"), registry);
  const ref = system.spawn(Worker, { args: ["w", () => {}] });
  await system.registerName("x", ref);
  await system.registerName("y", ref, { consistency: "home" });
  expect([await system.getActorByName("x"), await system.getActorByName("y")]).toEqual([ref, ref]);
  await system.shutdown();
});
