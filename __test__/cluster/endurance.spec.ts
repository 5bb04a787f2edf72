/**
 * What a cluster of real processes endures, in the short size: see support/endurance.ts. The long size is in
 * endurance.long.spec.ts.
 */

import { describe, it } from "vitest";
import {
  blockedLoop,
  castsOfOneTick,
  farewell,
  killedProcess,
  rounds,
  shutdownUnderLoad,
  slowConsumer,
} from "../support/endurance.js";
import type { ClusterNode } from "../support/nodes.js";

const HANGS_MS = 120_000;

describe("a cluster endures", { timeout: HANGS_MS }, () => {
  it("a blocked event loop, which is no loss of a node", () => blockedLoop(6_000));

  it("the death of one of five, and then a farewell", async () => {
    const [leaver, ...others] = await killedProcess(["a", "b", "c", "d", "e"], 0);
    await farewell(leaver as ClusterNode, others);
  });

  it("50,000 casts in one tick", () => castsOfOneTick(50_000));

  it("100 MB for an actor that is slow", () => slowConsumer(100_000, 1_000));

  it("rounds of birth and death", () => rounds({ actors: 100, processes: 2, warmUp: 30 }));

  it("shutdowns under load", () => shutdownUnderLoad(2_000));
});
