/**
 * A node in a worker thread with a consumer that subscribes to the producer "numbers" of another node, and says what it
 * got when the producer is done.
 */

import { parentPort, workerData } from "node:worker_threads";
import { type ActorRef, Consumer, createSystem, loggerConfig } from "../../../lib/index.ts";

loggerConfig.configure({ level: "none" });
const { seed, cookie } = workerData as { seed: string; cookie: string };
const system = await createSystem({
  type: "distributed",
  nodeId: "thread",
  port: 0,
  bindAddress: "127.0.0.1",
  gossip: "fast",
  cookie,
  seedNodes: [seed],
  ready: { minMembers: 2 },
});

async function find(name: string): Promise<ActorRef> {
  for (;;) {
    const ref = await system.getActorByName(name);
    if (ref !== null) return ref;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

let [count, sum] = [0, 0];
const consumer = Consumer.start(system, {
  handleEvents: (events: number[]) => {
    count += events.length;
    for (const event of events) sum += event;
  },
  handleCancel: async ({ type }) => {
    parentPort?.postMessage({ count, sum, type });
  },
});
await consumer.subscribe(await find("numbers"), { maxDemand: 50 });
parentPort?.on("message", () => void system.shutdown({ timeout: 200 }).then(() => parentPort?.close()));
