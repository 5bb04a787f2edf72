/**
 * Random topologies: no event twice, none lost but where that is documented, order, and demand within its bounds.
 *
 * LIBEAM_SEED=<seed> plays that seed first; a failure names its seed and its steps.
 */

import { consoleLogHandler, loggerConfig } from "libeam";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { printedSeed } from "../../support/seed.js";
import { turns } from "../../support/time.js";
import { Topology } from "./topology.js";

const RUNS = 500;

const stray: unknown[] = [];
const onStray = (error: unknown): void => {
  stray.push(error);
};

beforeAll(() => {
  loggerConfig.configure({
    level: "error",
    handler: ({ error, message }) => {
      if (!/crashes$/.test(error?.message ?? "")) stray.push(error ?? message);
    },
  });
  process.on("unhandledRejection", onStray);
});

afterAll(() => {
  loggerConfig.configure({ level: "info", handler: consoleLogHandler });
  process.off("unhandledRejection", onStray);
});

describe("random topologies", () => {
  it(`${RUNS} of them deliver everything, once, in order, within their demand`, { timeout: 120_000 }, async () => {
    const first = printedSeed();
    for (let run = 0; run < RUNS; run++) {
      const topology = new Topology(first + run);
      let stuck: unknown;
      await topology.play().catch((error) => {
        stuck = error;
      });
      const why = `LIBEAM_SEED=${first + run}\n${topology.log.join("\n")}`;
      expect(stuck, why).toBeUndefined();
      expect(topology.wrongs, why).toEqual([]);
      expect(stray, why).toEqual([]);
    }
    await turns();
    expect(stray).toEqual([]);
  });
});
