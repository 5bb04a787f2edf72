/** The other node of the cluster suite: `cluster_node.ts <seed> <cookie>`. Says "ready", ends when its parent disconnects. */
import { createActor, createSystem, Producer } from "libeam";

/** An event as stages of the two nodes pass it on. */
export interface Numbered {
  number: number;
  text: string;
}

/** A producer of `count` events that are numbered from 0 on. */
function startProducer(count: number, text: string) {
  return Producer.start<number, Numbered>(system, {
    init: () => 0,
    handleDemand: (demand, from) => {
      const next = Math.min(from + demand, count);
      const events = Array.from({ length: next - from }, (_, i) => ({ number: from + i, text }));
      return next === count ? [events, next, "done"] : [events, next];
    },
  });
}

/** Echoes calls, counts casts and checks their order; starts producers. */
const Sink = createActor("Sink", (_ctx, self) => {
  let next = 0;
  return self
    .onCall("echo", (payload: string) => payload)
    .onCall("taken", () => {
      const count = next;
      next = 0;
      return count;
    })
    .onCall("produce", (count: number, text: string) => startProducer(count, text).getRef())
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
