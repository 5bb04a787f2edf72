/**
 * What a cluster of real processes endures, in the long size: see support/endurance.ts.
 */

import { describe, it } from "vitest";
import {
  blockedLoop,
  castsOfOneTick,
  fullConnection,
  killedProcess,
  rounds,
  shutdownUnderLoad,
  slowConsumer,
  stoppedProcess,
} from "../support/endurance.js";

describe("a cluster endures", () => {
  it("an event loop that is blocked for 30 s", () => blockedLoop(30_000));

  it("a process that is stopped for 20 s", () => stoppedProcess(20_000));

  it("the death of one of eight, which stays dead", async () => {
    await killedProcess(["a", "b", "c", "d", "e", "f", "g", "h"], 120_000);
  });

  it("500,000 casts in one tick", () => castsOfOneTick(500_000));

  it("1 GB for an actor that is slow", () => slowConsumer(1_000_000, 1_000));

  it("more than the queues hold, for a node that does not read", () => fullConnection(250_000, 1_000, 15_000));

  it("births and deaths of 2,000 actors and 20 processes", () => {
    return rounds({ actors: 2_000, processes: 20, warmUp: 300 });
  });

  it("shutdowns under load", () => shutdownUnderLoad(5_000));
});
