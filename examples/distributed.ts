/**
 * Two nodes of a cluster that play ping-pong.
 *
 *   node --import tsx examples/distributed.ts node1     in one terminal
 *   node --import tsx examples/distributed.ts node2     in another one
 *   node --import tsx examples/distributed.ts           both nodes in one process, for a short game
 */

import { createActor, createSystem, type DistributedSystem, loggerConfig } from "libeam";

loggerConfig.configure({ level: "error" });

const ROUNDS = 6;
const COOKIE = process.env.LIBEAM_COOKIE ?? "an example has no secrets";
const GOSSIP_PORT = 5002;

let finished = () => {};
const over = new Promise<void>((resolve) => {
  finished = resolve;
});

/** Gets the ball and plays it to the actor of another name, wherever that lives. */
const Player = createActor("Player", (ctx, self, opponent: string) =>
  self.onCast("ball", async (n: number) => {
    console.log(`${ctx.self.id.name} has ball ${n}`);
    const other = await ctx.getActorByName(opponent);
    if (n < ROUNDS) other?.cast({ method: "ball", args: [n + 1] });
    else finished();
  }),
);

function start(nodeId: string, port: number, seedNodes: string[]): Promise<DistributedSystem> {
  return createSystem({ type: "distributed", nodeId, port, seedNodes, cookie: COOKIE, bindAddress: "127.0.0.1" });
}

/** Waits until a name has arrived, and serves. */
async function serve(system: DistributedSystem, to: string): Promise<void> {
  let player = await system.getActorByName(to);
  while (player === null) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    player = await system.getActorByName(to);
  }
  player.cast({ method: "ball", args: [1] });
}

const [role] = process.argv.slice(2);
if (role === "node1") {
  const system = await start("node1", 5000, []);
  system.spawn(Player, { name: "ping", args: ["pong"] });
  console.log("node1 waits for node2; end it with Ctrl-C");
} else if (role === "node2") {
  const system = await start("node2", 5010, [`127.0.0.1:${GOSSIP_PORT}`]);
  system.spawn(Player, { name: "pong", args: ["ping"] });
  await system.waitForCluster();
  await serve(system, "ping");
} else {
  const one = await start("node1", 0, []);
  const two = await start("node2", 0, [one.cluster.getPeerState("node1")?.gossipAddress as string]);
  await two.waitForCluster();
  one.spawn(Player, { name: "ping", args: ["pong"] });
  two.spawn(Player, { name: "pong", args: ["ping"] });
  console.log("members:", two.cluster.getMembers().sort().join(", "));
  await Promise.all([serve(two, "ping"), over]);
  await Promise.all([two.shutdown(), one.shutdown()]);
}
