/**
 * A node of the membership suite: `membership_node.ts <id> <cookie>`.
 *
 * It is told what to do by orders over IPC and tells what it sees. Orders: `start` makes the system; `hold` makes an actor for
 * each caller; `witness` watches the one that is for this node and leaves a call to it pending; `leave` shuts down. It ends
 * when its parent disconnects.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { ActorRefFrom, DistributedSystem } from "libeam";
import { createActor, createSystem, loggerConfig } from "libeam";

export type NodeOrder =
  | { verb: "start"; seeds: string[]; gossipPort: number; size: number }
  | { verb: "hold"; callers: string[] }
  | { verb: "witness" }
  | { verb: "leave" };

/**
 * `booted`: modules are loaded. `up`: the sockets are open, `about` is the gossip address. `all`: it sees all members.
 * `holding`: a call came in that stays unanswered. `failed`: a node went without a goodbye. `gone`: a node is no member any
 * more. `down`: the watched actor is gone, `about` is why. `rejected`: the pending call failed, `about` is the code of its
 * error. `answered`: it did not fail.
 */
export interface NodeReport {
  event: "booted" | "up" | "all" | "holding" | "failed" | "gone" | "down" | "rejected" | "answered";
  about: string;
}

const [id, cookie] = process.argv.slice(2) as [string, string];
const pollMs = 10;
const tell = (event: NodeReport["event"], about = ""): void => {
  process.send?.({ event, about } satisfies NodeReport);
};

/** Takes a call and never answers it; the next one would queue, so there is one for each caller. */
const Holder = createActor("Holder", (_ctx, self) =>
  self.onCall("hold", () => {
    tell("holding");
    return new Promise<void>(() => {});
  }),
);

/** Tells when the actor that it watches is gone. */
const Witness = createActor("Witness", (ctx, self, target: ActorRefFrom<typeof Holder>) => {
  ctx.watch(target);
  return self.onInfo("down", ({ reason }) => tell("down", reason.type === "error" ? reason.error.code : reason.type));
});

let system: DistributedSystem | undefined;

async function start({ seeds, gossipPort, size }: NodeOrder & { verb: "start" }): Promise<DistributedSystem> {
  const started = await createSystem({
    type: "distributed",
    nodeId: id,
    ports: { rpc: 0, gossip: gossipPort },
    bindAddress: "127.0.0.1",
    seedNodes: seeds,
    cookie,
  });
  started.cluster.on("node_failed", (about: string) => tell("failed", about));
  started.cluster.on("member_leave", (about: string) => tell("gone", about));
  tell("up", started.cluster.getPeerState(id)?.gossipAddress);
  started.waitForCluster({ minMembers: size }).then(() => tell("all"));
  return started;
}

async function witness(node: DistributedSystem): Promise<void> {
  let holder = await node.getActorByName(`holder for ${id}`);
  while (holder === null) {
    await wait(pollMs);
    holder = await node.getActorByName(`holder for ${id}`);
  }
  const target = holder as ActorRefFrom<typeof Holder>;
  node.spawn(Witness, { args: [target] });
  // Comes behind the watch: when it is held, the watch stands.
  target.call("hold", { timeout: Number.POSITIVE_INFINITY }).then(
    () => tell("answered"),
    (error: { code?: string }) => tell("rejected", error.code ?? String(error)),
  );
}

async function obey(order: NodeOrder): Promise<void> {
  if (order.verb === "start") {
    system = await start(order);
    return;
  }
  const node = system as DistributedSystem;
  if (order.verb === "hold") for (const caller of order.callers) node.spawn(Holder, { name: `holder for ${caller}` });
  else if (order.verb === "witness") await witness(node);
  else {
    await node.shutdown();
    process.disconnect();
  }
}

loggerConfig.configure({ level: "none" });
process.on("message", (order: NodeOrder) => void obey(order));
process.once("disconnect", () => process.exit());
tell("booted");
