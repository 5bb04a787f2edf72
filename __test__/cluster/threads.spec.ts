/**
 * Nodes in worker threads of one process: stages work across them as across any nodes.
 */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { createSystem, loggerConfig, Producer } from "libeam";
import { expect, it } from "vitest";
import { compiled } from "../support/compiled.js";

const script = compiled("__test__/support/scripts/stage_thread.ts");
const EVENTS = 2_000;

it("stages in two threads: demand goes from one to the other, events come back", async () => {
  loggerConfig.configure({ level: "none" });
  const cookie = "a cookie for two threads";
  const system = await createSystem({
    type: "distributed",
    nodeId: "main",
    port: 0,
    bindAddress: "127.0.0.1",
    gossip: "fast",
    cookie,
    seedNodes: [],
  });
  const numbers = Array.from({ length: EVENTS }, (_, n) => n);
  let asked = 0;
  Producer.start(
    system,
    {
      init: () => 0,
      handleDemand: (demand, from: number) => {
        asked = Math.max(asked, demand);
        const events = numbers.slice(from, from + demand);
        const next = from + events.length;
        return next === EVENTS ? [events, next, "done"] : [events, next];
      },
    },
    {},
    { name: "numbers" },
  );
  const seed = system.cluster.getPeerState("main")?.gossipAddress;
  const worker = new Worker(script, { workerData: { seed, cookie } });
  const [report] = await once(worker, "message");
  expect(report).toEqual({ count: EVENTS, sum: (EVENTS * (EVENTS - 1)) / 2, type: "done" });
  expect(asked).toBeLessThanOrEqual(50);
  const ended = once(worker, "exit");
  worker.postMessage("end");
  expect((await ended)[0]).toBe(0);
  await system.shutdown({ timeout: 200 });
});
