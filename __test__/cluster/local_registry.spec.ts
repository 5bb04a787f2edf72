/**
 * LocalRegistry: names, and reservations that expire without timers.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LocalRegistry } from "../../lib/cluster/local_registry.js";
import { InvalidArgumentError, InvalidOptionError } from "../../lib/errors.js";

let registry: LocalRegistry;

beforeEach(() => {
  vi.useFakeTimers();
  registry = new LocalRegistry();
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function reserve(name: string, nodeId = "n2", ttlMs?: number): Promise<string> {
  const reservation = await registry.reserveName(name, nodeId, ttlMs);
  if (reservation === null) throw new Error(`${name} is reserved`);
  return reservation.reservationId;
}

describe("names", () => {
  it("resolve as soon as register was called", async () => {
    const registered = registry.register("x", "n1", "a1");
    expect(await registry.lookup("x")).toEqual({ nodeId: "n1", actorId: "a1" });
    await registered;
  });

  it("are null when unknown or unregistered", async () => {
    await registry.register("x", "n1", "a1");
    await registry.unregister("x");
    await registry.unregister("never");
    expect([await registry.lookup("x"), await registry.lookup("toString")]).toEqual([null, null]);
  });

  it("belong to the later registration", async () => {
    await registry.register("x", "n1", "a1");
    await registry.register("x", "n2", "a2");
    expect(await registry.lookup("x")).toEqual({ nodeId: "n2", actorId: "a2" });
    expect([await registry.getNodeActors("n1"), await registry.getNodeActors("n2")]).toEqual([[], ["x"]]);
  });

  it("are listed by node", async () => {
    await registry.register("x", "n1", "a1");
    await registry.register("y", "n2", "a2");
    await registry.register("z", "n1", "a3");
    expect(await registry.getNodeActors("n1")).toEqual(["x", "z"]);
    expect(await registry.getNodeActors("n9")).toEqual([]);
  });

  it("cannot be changed through a looked up location", async () => {
    await registry.register("x", "n1", "a1");
    const location = await registry.lookup("x");
    if (location !== null) location.nodeId = "n9";
    expect(await registry.lookup("x")).toEqual({ nodeId: "n1", actorId: "a1" });
  });

  it("survive connect and disconnect, because registries are shared", async () => {
    await registry.connect();
    await registry.register("x", "n1", "a1");
    await registry.disconnect();
    expect(await registry.lookup("x")).toEqual({ nodeId: "n1", actorId: "a1" });
  });

  it("must be usable", async () => {
    await expect(registry.register("", "n1", "a1")).rejects.toThrow(InvalidArgumentError);
    await expect(registry.reserveName("", "n1")).rejects.toThrow(InvalidArgumentError);
    await expect(registry.reserveName("x", "n1", Number.NaN)).rejects.toThrow(InvalidOptionError);
    expect(await registry.reserveName("x", "n1")).not.toBeNull();
  });
});

describe("reservations", () => {
  it("move the name when confirmed, once, and not before", async () => {
    await registry.register("x", "n1", "a1");
    const id = await reserve("x");
    expect(await registry.lookup("x")).toEqual({ nodeId: "n1", actorId: "a1" });
    expect(await registry.confirmReservation(id, "a2")).toBe(true);
    expect(await registry.lookup("x")).toEqual({ nodeId: "n2", actorId: "a2" });
    expect(await registry.confirmReservation(id, "a3")).toBe(false);
    expect(await registry.lookup("x")).toEqual({ nodeId: "n2", actorId: "a2" });
  });

  it("exclude each other until released or confirmed", async () => {
    const first = await reserve("x");
    expect(await registry.reserveName("x", "n3")).toBeNull();
    expect(await registry.reserveName("y", "n3")).not.toBeNull();
    await registry.releaseReservation(first);
    expect(await registry.confirmReservation(first, "a2")).toBe(false);
    const second = await reserve("x", "n3");
    expect(second).not.toBe(first);
    await registry.confirmReservation(second, "a3");
    expect(await registry.reserveName("x", "n4")).not.toBeNull();
  });

  it("live 30 s by default", async () => {
    const id = await reserve("x");
    vi.advanceTimersByTime(29_999);
    expect(await registry.reserveName("x", "n3")).toBeNull();
    vi.advanceTimersByTime(1);
    expect(await registry.confirmReservation(id, "a2")).toBe(false);
    expect(await registry.lookup("x")).toBeNull();
  });

  it("live as long as they say", async () => {
    const id = await reserve("x", "n2", 50);
    vi.advanceTimersByTime(49);
    expect(await registry.confirmReservation(id, "a2")).toBe(true);
  });

  it("that expired give way, and cannot harm their successor", async () => {
    const expired = await reserve("x", "n2", 50);
    vi.advanceTimersByTime(50);
    const current = await reserve("x", "n3");
    await registry.releaseReservation(expired);
    expect(await registry.confirmReservation(expired, "a2")).toBe(false);
    expect(await registry.reserveName("x", "n4")).toBeNull();
    expect(await registry.confirmReservation(current, "a3")).toBe(true);
    expect(await registry.lookup("x")).toEqual({ nodeId: "n3", actorId: "a3" });
  });

  it("ignore changes of the wall clock", async () => {
    await reserve("x");
    vi.setSystemTime(Date.now() + 3_600_000);
    expect(await registry.reserveName("x", "n3")).toBeNull();
  });

  it("that expired are swept while others stay", async () => {
    const kept = await reserve("kept", "n2", 60_000);
    for (let i = 0; i < 1_000; i += 1) {
      await reserve(`gone${i}`, "n2", 10);
      vi.advanceTimersByTime(10);
    }
    expect(await registry.confirmReservation(kept, "a2")).toBe(true);
    expect(await registry.reserveName("gone0", "n3")).not.toBeNull();
  });

  it("of unknown id are ignored", async () => {
    await registry.releaseReservation("nope");
    expect(await registry.confirmReservation("nope", "a")).toBe(false);
  });
});
