/**
 * Two nodes in one process, wired by hand as the manual says, which have to find each other's names, to settle who has one that
 * both have taken, to send refs, and to end with the manual's three steps. Prints what the second node has called, who is left
 * with the name, what a ref in a message was good for, and the members that the second node has after the first one's goodbye.
 */

import {
  Actor,
  type ActorRef,
  ActorSystem,
  DistributedCluster,
  DistributedRegistry,
  GossipProtocol,
  GossipUDP,
  loggerConfig,
  RegistrySync,
  ZeroMQTransport,
} from "../../../lib/index.js";

loggerConfig.configure({ level: "none" });

class Counter extends Actor {
  private count = 0;

  override init(start: number) {
    this.count = start;
  }

  override handleCall(message: unknown) {
    return message === "self" ? this.self : this.count;
  }
}

async function startNode(nodeId: string, seedNodes: string[]) {
  const transport = new ZeroMQTransport({ nodeId, rpcPort: 0, pubPort: 0, bindAddress: "127.0.0.1" });
  await transport.connect();
  const udp = new GossipUDP({ address: "127.0.0.1", port: 0 });
  const options = { preset: "fast" as const, seedNodes };
  const gossip = new GossipProtocol(nodeId, `tcp://${transport.address}`, "127.0.0.1:0", udp, options);
  const cluster = new DistributedCluster(gossip);
  await cluster.start();
  const registry = new DistributedRegistry(nodeId, new RegistrySync(nodeId, transport, cluster));
  cluster.on("member_join", (peerId: string) => {
    const peer = cluster.getPeerState(peerId);
    if (peer) transport.updatePeers([[peerId, peer.address]]);
  });
  const system = new ActorSystem(cluster, transport, registry);
  system.registerActorClass(Counter);
  await system.start();
  return { system, cluster, transport, address: gossip.address as string };
}

type Node = Awaited<ReturnType<typeof startNode>>;

async function shutdownNode({ system, cluster, transport }: Node) {
  await system.shutdown({ timeout: 5000, drainMailboxes: true });
  await cluster.leave();
  await transport.disconnect();
}

async function found({ system }: Node, name: string): Promise<ActorRef> {
  for (;;) {
    const ref = await system.getActorByName(name);
    if (ref !== null) return ref;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const one = await startNode("one", []);
one.system.spawn(Counter, { name: "early", args: [1] });
const two = await startNode("two", [one.address]);
await two.cluster.waitForMembers({ nodes: ["one"] });
one.system.spawn(Counter, { name: "late", args: [2] });
const calls = ["early", "late"].map(async (name) => (await found(two, name)).call("get"));
console.log(JSON.stringify(await Promise.all(calls)));
const [kept, lost] = [one, two].map(({ system }, n) => system.spawn(Counter, { name: "same", args: [n] })) as any;
const isGone = () =>
  lost.call("get").then(
    () => false,
    () => true,
  );
while (!(await isGone()));
console.log(JSON.stringify([await kept.call("get"), await (await found(two, "same")).call("get")]));
const sent = await (await found(two, "early")).call("self");
console.log(JSON.stringify(await sent.call("get")));
const left = new Promise((resolve) => two.cluster.on("member_leave", resolve));
await shutdownNode(one);
await left;
console.log(JSON.stringify(two.cluster.getMembers()));
await shutdownNode(two);
console.log(JSON.stringify([one.cluster.isLeaving(), one.cluster.getMembers()]));
await one.cluster.stop();
