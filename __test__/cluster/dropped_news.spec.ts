/**
 * A node whose event loop stood still for so long that news of its membership were dropped.
 */

import { expect, it, vi } from "vitest";
import { encodeFacts } from "../../lib/cluster/peer_facts.js";
import { GossipProtocol, GossipUDP, loggerConfig, type PeerState } from "../../lib/index.js";
import type { NativeMember } from "../../lib/kernel/native.js";

let ring: () => void = () => {};
let events: unknown[] = [];
let lost = false;
let members: NativeMember[] = [];

vi.mock("../../lib/kernel/native.js", async (original) => ({
  ...(await original<object>()),
  startGossip(_options: unknown, onNews: () => void) {
    ring = onNews;
    return {
      address: "127.0.0.1:1",
      takeNews: () => ({ events: events.splice(0), lost, gone: false, troubles: [] }),
      members: () => members,
      rejected: () => 0,
      stop: () => {},
    };
  },
}));

function member(id: string, more: Partial<NativeMember> & { zone?: string } = {}): NativeMember {
  const { zone = "north", ...rest } = more;
  const meta = encodeFacts({ address: `tcp://${id}:1`, roles: [], metadata: { zone } });
  const life = { id, epoch: 1, incarnation: 0, address: `${id}:2`, status: "alive", eventLoop: "ok" } as const;
  return { ...life, meta, ...rest } as NativeMember;
}

it("compares with what there is: who has come, gone, begun another life, changed, or is under suspicion", async () => {
  loggerConfig.configure({ level: "none" });
  const gossip = new GossipProtocol("a", "tcp://a:1", "127.0.0.1:0", new GossipUDP(0));
  const told: unknown[] = [];
  for (const event of ["member_join", "member_leave", "member_update"]) {
    gossip.on(event, ({ id, generation, loop, metadata }: PeerState) =>
      told.push([event, id, generation, loop, metadata?.zone]),
    );
  }
  await gossip.start();
  events = ["same", "gone", "back", "moved", "hangs"].map((id) => ({ kind: "up", member: member(id) }));
  ring();
  told.length = 0;

  [lost, members] = [
    true,
    [
      member("same", { status: "suspect" }),
      member("gone", { status: "dead" }),
      member("back", { epoch: 2 }),
      member("moved", { zone: "south" }),
      member("hangs", { eventLoop: "hung" }),
      member("new"),
    ],
  ];
  ring();
  expect(told).toEqual([
    ["member_leave", "gone", 1, "ok", "north"],
    ["member_leave", "back", 1, "ok", "north"],
    ["member_join", "back", 2, "ok", "north"],
    ["member_update", "moved", 1, "ok", "south"],
    ["member_update", "hangs", 1, "hung", "north"],
    ["member_join", "new", 1, "ok", "north"],
  ]);
  expect(gossip.getSuspects()).toEqual(["same"]);
  expect(gossip.getPeerMetadata("moved", "zone")).toBe("south");
  expect(gossip.getPeerState("hangs")?.loop).toBe("hung");
  await gossip.stop();
});
