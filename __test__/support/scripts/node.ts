/**
 * A node of a cluster for specs: a whole system with a few actors, started as its first argument says. It tells its parent
 * when it is ready and ends with it. With "tells" as second argument it also tells warnings and what it sees of the others.
 */

import { createActor, createSystem, type DistributedConfig, loggerConfig, type PeerState } from "../../../lib/index.ts";

const tells = process.argv[3] === "tells";
loggerConfig.configure({
  level: tells ? "warn" : "none",
  handler: ({ message, context }) => process.send?.({ warning: message, context }),
});
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
    .onCall("hold", (ms: number) => {
      const end = Date.now() + ms;
      while (Date.now() < end); // The event loop stands still.
      return "held";
    })
    .onCall("load", (bytes: number) => Buffer.alloc(bytes))
    .onCall("last", () => {
      setImmediate(end);
      return "said";
    })
    .onCall("stuck", () => new Promise<void>(() => {}))
    .onCast("count", () => {
      count++;
    });
});
system.register(Worker);
system.joinGroup("workers", system.spawn(Worker, { name: `worker@${system.nodeId}` }));

if (tells) {
  system.cluster.on("member_update", ({ id, loop }: PeerState) => process.send?.({ update: id, loop }));
  for (const event of ["member_join", "member_leave"]) {
    system.cluster.on(event, (id: string) => process.send?.({ [event]: id }));
  }
}

function end(): void {
  void system.shutdown({ timeout: 500 }).then(() => process.disconnect());
}

process.on("disconnect", () => void system.shutdown({ timeout: 500 }));
process.on("message", end);
process.send?.({ gossip: system.cluster.getPeerState(system.nodeId)?.gossipAddress });
