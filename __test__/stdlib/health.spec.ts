/**
 * Health: combination of states, sync, async, broken and hanging checks.
 */

import { afterEach, describe, expect, it, vi } from "vitest";
import { InvalidArgumentError } from "../../lib/errors.js";
import {
  combineHealthStatus,
  HealthAggregator,
  type HealthCheckable,
  type HealthStatus,
} from "../../lib/stdlib/health.js";

function component(name: string, status: HealthStatus): HealthCheckable {
  return { getHealth: () => ({ name, status }) };
}

function asyncComponent(name: string, status: HealthStatus): HealthCheckable {
  return { getHealth: async () => ({ name, status }) };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("combineHealthStatus", () => {
  it.each([
    [[], "healthy"],
    [["healthy", "healthy"], "healthy"],
    [["healthy", "degraded"], "degraded"],
    [["degraded", "unhealthy", "healthy"], "unhealthy"],
    [["unhealthy", "degraded"], "unhealthy"],
  ] as Array<[HealthStatus[], HealthStatus]>)("of %j is %s", (statuses, expected) => {
    expect(combineHealthStatus(statuses)).toBe(expected);
  });
});

describe("HealthAggregator", () => {
  it("reports all components in order with the worst status", async () => {
    const health = new HealthAggregator("n1");
    health.register("one", component("One", "healthy"));
    health.register("two", asyncComponent("Two", "degraded"));
    const report = await health.getHealth();
    expect(report).toEqual({
      status: "degraded",
      timestamp: expect.any(Date),
      nodeId: "n1",
      uptimeMs: expect.any(Number),
      components: [
        { name: "One", status: "healthy" },
        { name: "Two", status: "degraded" },
      ],
    });
  });

  it("is healthy without components", async () => {
    expect(await new HealthAggregator("n1").getHealth()).toMatchObject({ status: "healthy", components: [] });
  });

  it("counts its uptime", async () => {
    vi.useFakeTimers();
    const health = new HealthAggregator("n1");
    vi.advanceTimersByTime(1_500);
    expect((await health.getHealth()).uptimeMs).toBe(1_500);
  });

  it("forgets a component on unregister, and replaces one of the same name", async () => {
    const health = new HealthAggregator("n1");
    health.register("one", component("Old", "unhealthy"));
    health.register("one", component("New", "healthy"));
    expect((await health.getHealth()).components.map((each) => each.name)).toEqual(["New"]);
    expect(health.unregister("one")).toBe(true);
    expect(health.unregister("one")).toBe(false);
    expect((await health.getHealth()).components).toEqual([]);
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("boom");
      },
      "Health check failed: boom",
    ],
    ["rejects", () => Promise.reject(new Error("boom")), "Health check failed: boom"],
    [
      "throws text",
      () => {
        throw "text";
      },
      "Health check failed: text",
    ],
    ["answers nothing", () => undefined, "Health check failed: the answer has no status"],
    ["answers nonsense", async () => ({ name: "x", status: "fine" }), "Health check failed: the answer has no status"],
  ])("calls a check that %s unhealthy, by its registered name", async (_, getHealth, message) => {
    const health = new HealthAggregator("n1");
    health.register("broken", { getHealth } as HealthCheckable);
    health.register("good", component("Good", "healthy"));
    const report = await health.getHealth();
    expect(report.status).toBe("unhealthy");
    expect(report.components).toEqual([
      { name: "broken", status: "unhealthy", message },
      { name: "Good", status: "healthy" },
    ]);
  });

  it("leaves no timer behind when a check answers in time", async () => {
    vi.useFakeTimers();
    const health = new HealthAggregator("n1");
    health.register("one", asyncComponent("One", "healthy"));
    const report = health.getHealth();
    expect(vi.getTimerCount()).toBe(1);
    await report;
    expect(vi.getTimerCount()).toBe(0);
  });

  it("gives up on a check that never answers", async () => {
    vi.useFakeTimers();
    const health = new HealthAggregator("n1");
    health.register("hangs", { getHealth: () => new Promise(() => {}) });
    health.register("answers", asyncComponent("Answers", "healthy"));
    const report = health.getHealth();
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await report).components).toEqual([
      { name: "hangs", status: "unhealthy", message: "Health check failed: no answer within 5000ms" },
      { name: "Answers", status: "healthy" },
    ]);
  });

  it("is always alive, and ready unless unhealthy", async () => {
    const health = new HealthAggregator("n1");
    health.register("one", component("One", "degraded"));
    expect(await health.isReady()).toBe(true);
    health.register("two", component("Two", "unhealthy"));
    expect(await health.isReady()).toBe(false);
    expect(health.isAlive()).toBe(true);
  });

  it("refuses what has no getHealth", () => {
    expect(() => new HealthAggregator("n1").register("x", {} as HealthCheckable)).toThrow(InvalidArgumentError);
  });
});
