/**
 * Systems for specs: made silent, shut down after each test.
 *
 * Importing this module captures the log of every test of the importing file; `logged()` has the entries of the test
 * that runs. Everything that user code threw into the process is a failure of the test (`P3` of docs/SEMANTICS.md).
 */

import { afterEach, beforeEach, expect, vi } from "vitest";
import { createSystem, type LocalConfig, type LogEntry, loggerConfig, type System } from "../../lib/index.js";

const systems: System[] = [];
let entries: LogEntry[] = [];
let stray: unknown[] = [];
const onStray = (error: unknown): void => {
  stray.push(error);
};

beforeEach(() => {
  entries = [];
  stray = [];
  loggerConfig.configure({ level: "info", handler: (entry) => entries.push(entry) });
  process.on("unhandledRejection", onStray);
});

afterEach(async () => {
  await Promise.all(systems.splice(0).map((system) => system.shutdown({ timeout: 200, drainMailboxes: false })));
  await new Promise((resolve) => setImmediate(resolve)); // Node reports unhandled rejections before this.
  process.off("unhandledRejection", onStray);
  expect(stray, "unhandled rejections").toEqual([]);
});

/** A local system that is shut down after the test. */
export function makeSystem(config: LocalConfig = {}): System {
  const system = createSystem(config);
  systems.push(system);
  return system;
}

/** What was logged during this test. */
export function logged(): readonly LogEntry[] {
  return entries;
}

/** Messages logged at error level during this test. */
export function loggedErrors(): string[] {
  return entries.filter(({ level }) => level === "error").map(({ message }) => message);
}

/** What lives as long as actors do, and is no leak while they live. */
const LIVING = ["actors", "cells"];

/**
 * Waits until a system holds nothing but living actors: no message, timer, watch, link, stash or slot is left.
 *
 * @param also counters that living actors of this test hold on purpose, such as "names".
 */
export async function leakFree(system: System, ...also: string[]): Promise<void> {
  const living = [...LIVING, ...also];
  await vi.waitFor(() => {
    const held = Object.entries(system.system._counters()).filter(([name, n]) => n !== 0 && !living.includes(name));
    expect(Object.fromEntries(held)).toEqual({});
  });
}

/** Waits until a system has no actors and holds nothing. */
export async function empty(system: System): Promise<void> {
  await vi.waitFor(() => {
    const held = Object.entries(system.system._counters()).filter(([, n]) => n !== 0);
    expect(Object.fromEntries(held)).toEqual({});
  });
}
