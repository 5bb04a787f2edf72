/**
 * Nodes in processes of their own that do not answer for a while: a blocked event loop is seen by the others and is no
 * loss; a stopped process is lost and comes back. Sentences D6 and D16 of docs/SEMANTICS.md.
 */

import {
  type ActorRef,
  createActor,
  type DistributedSystem,
  HealthAggregator,
  HeartbeatManager,
  loggerConfig,
  type PeerState,
  type System,
  TelemetryEvents,
  TimeoutError,
  telemetry,
} from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { forkNode, found, gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeProbe, type Probe } from "../support/probe.js";
import { rejection } from "../support/time.js";

const HUNG_MS = 1_500;
const HELD_MS = 5_000;

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(() => telemetry.reset());

const limits = { loopHungMs: HUNG_MS };

const start = (nodeId: string) => startNode(nodeId, [], { limits });

/** A node in a process of its own that knows this one, and sees it. */
const child = (nodeId: string, home: DistributedSystem) => forkNode(nodeId, [gossipOf(home)], { limits }, "tells");

/** DOWN messages for an actor. */
function downOf(system: System, ref: ActorRef): Probe<any> {
  const heard = makeProbe<any>();
  const Watcher = createActor((ctx, self) => {
    ctx.watch(ref);
    return self.onInfo("down", ({ reason }) => void heard.push(reason));
  });
  system.spawn(Watcher);
  return heard;
}

/** Everything that is told of members. */
function follow(home: DistributedSystem) {
  const lost = makeProbe<string>();
  const loops = makeProbe<string>();
  const events = makeProbe<any>();
  const heartbeats = new HeartbeatManager(home.nodeId, home.transport, home.cluster);
  void heartbeats.start();
  heartbeats.on("node_failed", lost.push);
  home.cluster.on("member_leave", lost.push);
  home.cluster.on("member_update", ({ id, loop }: PeerState) => loops.push(`${id} ${loop}`));
  const { cluster } = TelemetryEvents;
  telemetry.attach("spec", Object.values(cluster), (name, _numbers, facts) =>
    events.push({ name: name.at(-1), ...facts }),
  );
  return { lost, loops, events, heartbeats };
}

describe("a node whose event loop is blocked", () => {
  it("D6: is a member that others see busy, then hung, then well again; its warning names actor and handler", async () => {
    const home = await start("home");
    const [blocked, witness] = await Promise.all([child("blocked", home), child("witness", home)]);
    const worker = await found(home, "worker@blocked");
    await Promise.all([
      witness.told.find(({ member_join }) => member_join === "blocked"),
      found(home, "worker@witness"),
    ]);
    const { lost, loops, events, heartbeats } = follow(home);
    const down = downOf(home, worker);
    const health = new HealthAggregator(home.nodeId);
    health.register("cluster", home.cluster);
    health.register("transport", home.transport);

    const held = worker.call("hold", HELD_MS, { timeout: 60_000 });
    await loops.find((seen) => seen === "blocked busy");
    await loops.find((seen) => seen === "blocked hung");
    expect(home.cluster.getPeerState("blocked")).toMatchObject({ status: "alive", loop: "hung" });
    expect(heartbeats.getTrackedPeers().sort()).toEqual(["blocked", "witness"]);
    expect(await health.getHealth()).toMatchObject({
      status: "degraded",
      components: [
        { name: "Cluster", details: { loops: { blocked: "hung" }, suspects: [] } },
        { name: "Transport", status: "healthy", details: { encrypted: true, disconnected: [] } },
      ],
    });
    expect(await rejection(worker.call("where", { timeout: 50 }))).toBeInstanceOf(TimeoutError);
    const patient = worker.call("where", { timeout: 60_000 });

    expect(await held).toBe("held");
    expect(await patient).toBe("blocked");
    await loops.find((seen) => seen === "blocked ok");
    await witness.told.find(({ update, loop }) => update === "blocked" && loop === "hung");
    await witness.told.find(({ update, loop }) => update === "blocked" && loop === "ok");
    const { warning, context } = await blocked.told.find(({ warning }) => warning?.includes("event loop"));
    expect(warning).toContain(`in handler "hold" of actor ${worker.id.id} (Worker)`);
    expect(context).toMatchObject({ nodeId: "blocked", handler: "hold", state: "hung" });
    expect(context.blockedMs).toBeGreaterThan(HELD_MS - 2_000);
    expect(events.events.filter(({ name }) => name === "loop")).toEqual([
      { name: "loop", node_id: "home", peer_id: "blocked", loop: "busy", before: "ok" },
      { name: "loop", node_id: "home", peer_id: "blocked", loop: "hung", before: "busy" },
      { name: "loop", node_id: "home", peer_id: "blocked", loop: "ok", before: "hung" },
    ]);
    expect((await health.getHealth()).status).toBe("healthy");
    expect([lost.events, down.events]).toEqual([[], []]);
    expect(witness.told.events.filter(({ member_leave }) => member_leave !== undefined)).toEqual([]);
  });
});

describe("a node whose process is stopped", () => {
  it("D16: is lost with its names; when it goes on it is a member again everywhere, and each name has one owner", async () => {
    const home = await start("home");
    const [stopped, witness] = await Promise.all([child("stopped", home), child("witness", home)]);
    const worker = await found(home, "worker@stopped");
    await found(home, "worker@witness");
    await witness.told.find(({ member_join }) => member_join === "stopped");
    const { lost, events } = follow(home);
    const down = downOf(home, worker);
    await worker.call("where");

    stopped.child.kill("SIGSTOP");
    await witness.told.find(({ member_leave }) => member_leave === "stopped");
    expect(await down.next()).toEqual({ type: "killed" });
    expect(lost.events).toEqual(["stopped", "stopped"]); // node_failed, member_leave
    expect(
      events.events.filter(({ peer_id }) => peer_id === "stopped").map(({ name, reason }) => [name, reason]),
    ).toEqual([
      ["suspect", undefined],
      ["leave", "dead"],
    ]);
    expect(await home.getActorByName("worker@stopped")).toBeNull();

    stopped.child.kill("SIGCONT");
    await events.find(({ name, peer_id }) => name === "join" && peer_id === "stopped");
    const joins = ({ member_join }: any) => member_join === "stopped";
    await vi.waitFor(() => expect(witness.told.events.filter(joins)).toHaveLength(2), 10_000);
    expect(home.cluster.getPeerState("stopped")).toMatchObject({ status: "alive" });
    const again = await found(home, "worker@stopped");
    expect(await again.call("where", { timeout: 10_000 })).toBe("stopped");
    expect(down.events).toHaveLength(1);
  });
});
