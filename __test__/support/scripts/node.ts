/**
 * A node of a cluster for specs: a whole system with a few actors, started as its first argument says. It tells its parent
 * when it is ready and ends with it.
 */

import { createActor, createSystem, type DistributedConfig, loggerConfig } from "../../../lib/index.ts";

loggerConfig.configure({ level: "none" });
const config = { type: "distributed", ...JSON.parse(process.argv[2] as string) };
const system = await createSystem({ bindAddress: "127.0.0.1", ...config } as DistributedConfig);

const Worker = createActor("Worker", (_ctx, self) => {
  let count = 0;
  return self
    .onCall("add", (n: number) => {
      count += n;
      return count;
    })
    .onCall("where", () => system.nodeId)
    .onCall("members", () => system.getGroup("workers").map(({ id }) => id.systemId))
    .onCall("stuck", () => new Promise<void>(() => {}))
    .onCast("count", () => {
      count++;
    });
});
system.register(Worker);
system.joinGroup("workers", system.spawn(Worker, { name: `worker@${system.nodeId}` }));

process.on("disconnect", () => void system.shutdown({ timeout: 500 }));
process.on("message", () => {
  void system.shutdown({ timeout: 500 }).then(() => process.disconnect());
});
process.send?.({ gossip: system.cluster.getPeerState(system.nodeId)?.gossipAddress });
