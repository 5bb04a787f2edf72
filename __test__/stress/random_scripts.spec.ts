/**
 * Ten thousand random scripts on a few systems. After each one nothing may be left: no message, timer, slot, watch,
 * link, name or membership, no call that never settles, and no error that reached the process.
 *
 * LIBEAM_SEED=<seed> plays the script of that seed first, many times; a failure names its seed and its steps.
 */

import { createSystem, loggerConfig, type System } from "libeam";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Script } from "../support/puppets.js";
import { printedSeed } from "../support/seed.js";
import { nodeTimer, turns } from "../support/time.js";

const SCRIPTS = 10_000;
/** Scripts between two sets of fresh systems. */
const SCRIPTS_PER_SYSTEM = 500;
/** How long a script may take before it counts as stuck. */
const PATIENCE_MS = 30_000;

const stray: unknown[] = [];
const onStray = (error: unknown): void => {
  stray.push(error);
};

beforeAll(() => {
  loggerConfig.level = "none";
  process.on("uncaughtException", onStray);
  process.on("unhandledRejection", onStray);
});

afterAll(() => {
  loggerConfig.level = "info";
  process.off("uncaughtException", onStray);
  process.off("unhandledRejection", onStray);
});

function openSystems(): System[] {
  const limits = { stopTimeoutMs: 4 };
  const backoff = { initialMs: 1, maxMs: 2 };
  return [
    createSystem({ limits }),
    createSystem({ limits, supervision: { strategy: "Stop" } }),
    createSystem({ limits, supervision: { maxRestarts: 1_000, backoff } }),
  ];
}

function held(systems: System[]): Record<string, number>[] {
  return systems.map(({ system }) =>
    Object.fromEntries(Object.entries(system._counters()).filter(([, number]) => number !== 0)),
  );
}

const isEmpty = (counters: Record<string, number>[]): boolean =>
  counters.every((each) => Object.keys(each).length === 0);

async function playOut(script: Script, systems: System[]): Promise<void> {
  const report = (what: string): string => `LIBEAM_SEED=${script.seed}: ${what}\n${script.log.join("\n")}`;
  let played: unknown = false;
  script.play().then(
    () => {
      played = true;
    },
    (error) => {
      played = error;
    },
  );
  const deadline = performance.now() + PATIENCE_MS;
  while (played === false && performance.now() < deadline) await turns(1);
  if (played !== true) {
    throw new Error(report(`${played || "stuck"}, ${script.unsettled} calls, ${JSON.stringify(held(systems))}`));
  }
  while (!isEmpty(held(systems)) && performance.now() < deadline) await turns(1);
  if (!isEmpty(held(systems))) throw new Error(report(`holds ${JSON.stringify(held(systems))}`));
  if (script.wrongs.length > 0) throw new Error(report(script.wrongs.join(", ")));
  if (stray.length > 0) throw new Error(report(`stray ${stray.map(String).join(", ")}`), { cause: stray[0] });
}

describe("random scripts", () => {
  it(`${SCRIPTS} of them leave nothing behind`, async () => {
    const first = printedSeed();
    for (let played = 0; played < SCRIPTS; played += SCRIPTS_PER_SYSTEM) {
      const systems = openSystems();
      for (let at = 0; at < SCRIPTS_PER_SYSTEM; at++) {
        await playOut(new Script(first + played + at, systems), systems);
      }
      await Promise.all(systems.map((system) => system.shutdown()));
    }
    await nodeTimer(10);
    expect(stray).toEqual([]);
  }, 120_000);
});
