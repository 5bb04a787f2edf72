/**
 * Partitions between real processes with the default preset, which takes up to half a minute to notice one: see
 * support/partition.ts. How long one view takes afterwards is printed; docs/design/membership.md has its bound, which the
 * simulation asserts on a clock of its own.
 */

import "../support/compiled_workers.js";

import { beforeEach, describe, it } from "vitest";
import { loggerConfig } from "../../lib/index.js";
import { partitionHeals } from "../support/partition.js";

beforeEach(() => loggerConfig.configure({ level: "none" }));

describe.each([
  { left: 2, right: 2 },
  { left: 1, right: 4 },
  { left: 4, right: 1 },
])("D17, default preset: a partition $left|$right", ({ left, right }) => {
  it("lets both sides go on, and heals to one view with one owner per name", async () => {
    const oneViewMs = await partitionHeals(left, right, { gossip: "lan" });
    console.log(`${left}|${right} healed, one view: ${Math.round(oneViewMs)} ms`);
  });
});
