/**
 * The addon in several isolates of one process: each has its own system, and the end of one harms nobody.
 */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { createActor, createSystem } from "../../lib/index.js";
import { compiled } from "../support/compiled.js";

const script = compiled("__test__/support/scripts/isolate.ts");
const start = (workerData: string) => new Worker(script, { workerData });

describe("isolates", () => {
  it("run systems side by side in four worker threads", async () => {
    const workers = Array.from({ length: 4 }, () => start("count"));
    const reports = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
    expect(reports.map((report) => report.ticks)).toEqual([3, 3, 3, 3]);
    expect(reports.every((report) => report.count >= 0 && report.count <= 1_000)).toBe(true);
    const ends = workers.map((worker) => once(worker, "exit"));
    for (const worker of workers) worker.postMessage("end");
    expect((await Promise.all(ends)).map(([code]) => code)).toEqual([0, 0, 0, 0]);
  });

  it("survive the termination of a worker whose system is busy", async () => {
    const Echo = createActor((_ctx, self) => self.onCall("echo", (value: number) => value));
    await using system = createSystem();
    const echo = system.spawn(Echo);
    for (let round = 0; round < 8; round++) {
      const worker = start("flood");
      await once(worker, "message");
      expect(await echo.call("echo", round)).toBe(round);
      expect(await worker.terminate()).toBe(1);
    }
    expect(await echo.call("echo", -1)).toBe(-1);
  });
});
