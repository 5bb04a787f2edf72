/** The other node of the cluster suite: `cluster_node.ts <seed> <cookie>`. Says "ready", ends when its parent disconnects. */
import { createActor, createSystem } from "libeam";

/** Echoes calls, counts casts and checks their order. */
const Sink = createActor("Sink", (_ctx, self) => {
  let next = 0;
  return self
    .onCall("echo", (payload: string) => payload)
    .onCall("taken", () => {
      const count = next;
      next = 0;
      return count;
    })
    .onCall("cpu", () => process.cpuUsage())
    .onCast("take", (number: number, _payload: string) => {
      if (number === next) next++;
    });
});

/** A reference to the sink. */
export type SinkRef = import("libeam").ActorRefFrom<typeof Sink>;

const [seed, cookie] = process.argv.slice(2);
const system = await createSystem({
  type: "distributed",
  nodeId: "far",
  port: 0,
  bindAddress: "127.0.0.1",
  seedNodes: [seed as string],
  cookie: cookie as string,
});
system.spawn(Sink, { name: "sink" });
await system.waitForCluster({ minMembers: 2 });
process.once("disconnect", () => void system.shutdown());
process.send?.("ready");
