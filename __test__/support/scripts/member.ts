/**
 * A node for cluster specs: gossips as its first argument says, tells its parent everything by IPC, and does what it is told.
 * It ends with its parent.
 */

import { DistributedCluster, GossipProtocol, GossipUDP, loggerConfig, type PeerState } from "../../../lib/index.ts";
import type { MemberConfig, MemberOrder, MemberReport } from "../members.ts";

loggerConfig.configure({ level: "none" });
const config: MemberConfig = JSON.parse(process.argv[2] as string);
const { id, port = 0, seeds, preset = "fast", roles } = config;
const tell = (report: MemberReport) => process.send?.(report);

const udp = new GossipUDP({ address: "127.0.0.1", port });
const gossip = new GossipProtocol(
  id,
  `tcp://${id}:1`,
  "127.0.0.1:0",
  udp,
  { preset, seedNodes: seeds },
  undefined,
  roles,
);
const cluster = new DistributedCluster(gossip);
const members = () => cluster.getMembers().sort();
cluster.on("member_join", (peer: string) => tell({ event: "join", id: peer, members: members() }));
cluster.on("member_leave", (peer: string) => tell({ event: "leave", id: peer, members: members() }));
cluster.on("member_update", (peer: PeerState) => tell({ event: "update", id: peer.id, members: members(), peer }));
cluster.on("superseded", () => tell({ event: "superseded", id, members: members() }));

async function obey(order: MemberOrder): Promise<void> {
  switch (order.verb) {
    case "leave":
      await cluster.leave();
      await cluster.stop();
      tell({ event: "left", id, members: [] });
      process.disconnect();
      return;
    case "block": {
      const end = Date.now() + order.ms;
      while (Date.now() < end); // The event loop stands still.
      tell({ event: "unblocked", id, members: members() });
      return;
    }
    case "publish":
      cluster.setMetadata(order.key, order.value);
      return;
    default:
      tell({ event: "answer", id, members: members() });
  }
}

process.on("message", (order: MemberOrder) => void obey(order));
process.on("disconnect", () => void cluster.stop());
await cluster.start();
tell({ event: "ready", id, members: members(), address: gossip.address });
