/**
 * Runs a system in a worker thread: counts calls and timer ticks, and tells the parent when both came.
 * With "flood" it goes on for ever, with timers armed and messages under way, until it is terminated.
 */

import { parentPort, workerData } from "node:worker_threads";
import { createActor, createSystem } from "../../../lib/index.js";

const Counter = createActor((_ctx, self) => {
  let count = 0;
  let ticks = 0;
  self.sendInterval({ type: "tick" }, 1);
  return self
    .onCall("increment", () => ++count)
    .onCall("ticks", async () => ticks)
    .onCast("tick", () => {
      ticks++;
      if (ticks === 3) parentPort?.postMessage({ ticks, count });
    });
});

const system = createSystem();
const counter = system.spawn(Counter);
for (let i = 0; i < 1_000; i++) await counter.call("increment");
if (workerData === "flood") {
  parentPort?.postMessage("flooding");
  for (;;) {
    for (let i = 0; i < 100; i++) counter.cast("tick");
    await counter.call("ticks");
  }
}
parentPort?.on("message", async () => {
  await system.shutdown();
  parentPort?.postMessage("shut down");
  parentPort?.close();
});
