/**
 * A node of a cluster that strangers try to disturb. It calls the actors of its peers without a pause once it is told
 * to, and reports what it has seen whenever it is asked. Its first argument is its configuration.
 */

import { monitorEventLoopDelay } from "node:perf_hooks";
import {
  type ActorRef,
  createActor,
  createSystem,
  type DistributedCluster,
  type DistributedConfig,
  loggerConfig,
  type PeerState,
} from "../../../lib/index.ts";
import type { GuardedOrder, GuardedReport } from "../guarded.ts";

const turns = monitorEventLoopDelay();
turns.enable();
const refused: string[] = [];
loggerConfig.configure({
  level: "warn",
  handler: ({ message, context }) => {
    if (message.startsWith("A connection was refused")) refused.push(String(context.peer));
  },
});
const config = { bindAddress: "127.0.0.1", ...JSON.parse(process.argv[2] as string), type: "distributed" };
const system = await createSystem(config as DistributedConfig);
const cluster = system.cluster as DistributedCluster;
const seen = { joins: 0, left: [] as string[], answered: 0, failed: [] as string[], marks: 0, stray: [] as string[] };
cluster.on("member_join", () => seen.joins++);
cluster.on("node_failed", (peer: string) => seen.left.push(`${peer} was declared dead`));
cluster.on("member_leave", (peer: string) => seen.left.push(peer));
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => seen.stray.push(String(error)));
}

const Worker = createActor("Worker", (_ctx, self) =>
  self
    .onCall("echo", (value: unknown) => value)
    .onCall("ask", (ref: ActorRef, value: number) => ref.call("echo", value))
    .onCast("mark", () => {
      seen.marks++;
    }),
);
system.spawn(Worker, { name: `worker@${system.nodeId}` });

/** Calls an actor of a peer, again and again. */
async function converse(peer: string): Promise<void> {
  let worker: any = null;
  while (worker === null) {
    worker = await system.getActorByName(`worker@${peer}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  worker.cast("mark");
  for (let n = 0; ; n++) {
    try {
      const answer = await worker.call("echo", { n }, { timeout: 30_000 });
      if (answer.n !== n) seen.failed.push(`${peer} answered ${JSON.stringify(answer)} to ${n}`);
      seen.answered++;
    } catch (error) {
      seen.failed.push(`${peer}: ${error}`);
      return;
    }
    // Two processors are shared by everybody here: this is to be steady, not fast.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function report(number: number): GuardedReport {
  const self = cluster.getPeerState(system.nodeId) as PeerState;
  return {
    number,
    ...seen,
    refused,
    members: cluster.getMembers().sort(),
    rejected: cluster.rejectedPackets,
    rssBytes: process.memoryUsage.rss(),
    pauseMs: Math.round(turns.max / 1e6),
    gossip: self.gossipAddress as string,
    link: self.address.replace("tcp://", ""),
  };
}

process.on("disconnect", () => process.exit());
process.on("message", (order: GuardedOrder) => {
  if (order.verb === "converse") for (const peer of order.peers) void converse(peer);
  process.send?.(report(order.number));
});
process.send?.(report(0));
