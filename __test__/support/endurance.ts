/**
 * What a cluster of real processes has to endure, in any size: the short one is part of every run of the suite, the long
 * one of `npm run test:long`.
 *
 * Durations are printed, not judged: a machine may be slow. Bounds of memory are generous: what grows without a bound
 * exceeds them many times over.
 */

import { expect, vi } from "vitest";
import { ClusterNode, type NodeFacts, startNodes } from "./nodes.js";
import { nodeTimer } from "./time.js";

const MIB = 1 << 20;
/** What V8 and the queues at both ends may take for a flood: 64 MiB may wait at each, and become objects. */
const FLOOD_GROWTH_MAX = 512 * MIB;
/** What caches and compiled code may add; a round that leaves its actor or its closure behind adds more. */
const HEAP_GROWTH_MAX = 4 * MIB;
const RSS_GROWTH_MAX = 64 * MIB;
/** How long something that has to happen may take before the spec gives up. */
const PATIENCE_MS = 60_000;
const DIED = ["NODE_DOWN", "TRANSPORT_ERROR"];

const where = (id: string) => ({ name: `worker@${id}`, method: "where" });
const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: PATIENCE_MS, interval: 100 });

/** Prints a figure. */
function report(what: string, ms: number): void {
  console.log(`${what}: ${Math.round(ms)} ms`);
}

/** A node's event loop is blocked: it is not lost, calls to it wait or time out, and it answers afterwards. */
export async function blockedLoop(ms: number): Promise<void> {
  const [a, b, c] = (await startNodes(["a", "b", "c"])) as [ClusterNode, ClusterNode, ClusterNode];
  await Promise.all([a.witness("worker@b"), c.witness("worker@b")]);
  const unblocked = b.block(ms);
  await b.reports.find(({ event }) => event === "blocking");
  const patient = c.call(where("b"));
  expect(await a.call({ ...where("b"), timeoutMs: 500 })).toEqual({ code: "TIMEOUT" });
  await unblocked;
  expect(await patient).toEqual({ value: "b" });
  expect(await a.call(where("b"))).toEqual({ value: "b" });
  for (const node of [a, b, c]) {
    expect((await node.facts()).members).toEqual(["a", "b", "c"]);
    expect(node.reports.events.filter(({ event }) => event === "leave" || event === "heard")).toEqual([]);
  }
}

/** A process is stopped for long enough to be given up, and goes on: it is a member again, and names are true. */
export async function stoppedProcess(ms: number): Promise<void> {
  const [a, b, c] = (await startNodes(["a", "b", "c"])) as [ClusterNode, ClusterNode, ClusterNode];
  await Promise.all([a.witness("worker@b"), c.witness("worker@b")]);
  expect(await b.call(where("a"))).toEqual({ value: "a" }); // It knows the name.
  b.signal("SIGSTOP");
  await Promise.all([a.told("leave", "b"), c.told("leave", "b")]);
  for (const node of [a, c]) {
    expect((await node.heard(2)).sort()).toEqual(["down worker@b killed", "exit worker@b error"]);
    expect(await node.lookup("worker@b")).toBeNull();
  }
  await a.stopActor("slow@a");
  await nodeTimer(ms);
  const goesOn = performance.now();
  b.signal("SIGCONT");
  await Promise.all([a.told("join", "b", 2), c.told("join", "b", 2)]);
  await Promise.all([a, b, c].map((node) => node.formed(["a", "b", "c"])));
  report(`stopped for ${ms} ms, a member again everywhere`, performance.now() - goesOn);
  await eventually(async () => expect(await b.lookup("slow@a")).toBeNull());
  for (const [from, to] of [
    [a, b],
    [b, a],
    [c, b],
    [b, c],
  ] as const) {
    await eventually(async () => expect(await from.lookup(`worker@${to.id}`)).toBe(to.id));
    expect(await from.call(where(to.id))).toEqual({ value: to.id });
  }
  for (const node of [a, c]) expect((await node.facts()).heard).toHaveLength(2);
}

/** A process is killed: every survivor is told once, of the node and of its actors, and it stays dead. */
export async function killedProcess(ids: string[], quietMs: number): Promise<ClusterNode[]> {
  const survivors = await startNodes(ids, { gossip: "lan" });
  const victim = survivors.pop() as ClusterNode;
  const name = `worker@${victim.id}`;
  await Promise.all(survivors.map((node) => node.witness(name)));
  const pending = survivors.map((node) => node.call({ name, method: "stuck" }));
  const killed = performance.now();
  victim.signal("SIGKILL");
  const detected = survivors.map(async (node) => {
    await node.told("leave", victim.id);
    return performance.now() - killed;
  });
  report(`${ids.length} nodes, one killed, known by all`, Math.max(...(await Promise.all(detected))));
  for (const end of await Promise.all(pending)) expect(DIED).toContain((end as { code: string }).code);
  report(`${ids.length} nodes, one killed, all pending calls refused`, performance.now() - killed);
  await Promise.all(survivors.map((node) => node.heard(2)));
  await nodeTimer(quietMs); // Nobody may bring it back.
  for (const node of survivors) {
    const { members, heard } = await node.facts();
    expect(members).toEqual(ids.filter((id) => id !== victim.id).sort());
    expect([...heard].sort()).toEqual([`down ${name} killed`, `exit ${name} error`]);
    expect([node.times("join", victim.id), node.times("leave", victim.id)]).toEqual([1, 1]);
    expect(await node.lookup(name)).toBeNull();
  }
  return survivors;
}

/** A node says goodbye: every other one is told once. */
export async function farewell(leaver: ClusterNode, others: ClusterNode[]): Promise<void> {
  await Promise.all(others.map((node) => node.witness(`worker@${leaver.id}`)));
  const before = await Promise.all(others.map(async (node) => (await node.facts()).heard.length));
  const begin = performance.now();
  const left = others.map(async (node) => {
    await node.told("leave", leaver.id);
    return performance.now() - begin;
  });
  const ended = leaver.shutdown(5_000);
  report(`a node of ${others.length + 1} shuts down, known by all`, Math.max(...(await Promise.all(left))));
  await ended;
  expect(await leaver.exit).toBe(0);
  await Promise.all(others.map((node, i) => node.heard((before[i] as number) + 2)));
  for (const [i, node] of others.entries()) {
    expect((await node.facts()).heard).toHaveLength((before[i] as number) + 2);
    expect(node.times("leave", leaver.id)).toBe(1);
  }
}

/** All casts of one tick arrive, in order, and neither side keeps what they cost. */
export async function castsOfOneTick(count: number): Promise<void> {
  const [a, b] = (await startNodes(["a", "b"])) as [ClusterNode, ClusterNode];
  const before = await Promise.all([a.facts(), b.facts()]);
  await a.flood("worker@b", count, 0);
  await eventually(async () => expect(await a.call({ name: "worker@b", method: "casts" })).toEqual({ value: count }));
  const after = await Promise.all([a.facts(), b.facts()]);
  expect(after[1].worker).toEqual({ casts: count, inOrder: true });
  expect(after[0].deadLetters).toEqual({});
  expectPeaks(before, after);
}

/** More casts than an actor can handle: its mailbox is bounded, and what was dropped is counted, all of it. */
export async function slowConsumer(casts: number, bytes: number): Promise<void> {
  const [a, b] = (await startNodes(["a", "b"])) as [ClusterNode, ClusterNode];
  const before = await Promise.all([a.facts(), b.facts()]);
  await a.flood("slow@b", casts, bytes);
  let after = before;
  await eventually(async () => {
    after = await Promise.all([a.facts(), b.facts()]);
    expect(accounted(...after)).toBe(casts);
  });
  const [, { deadLetters, slow }] = after;
  expect(deadLetters.mailbox_full).toBeGreaterThan(0);
  expect(slow.inOrder).toBe(true);
  expect(await a.call(where("b"))).toEqual({ value: "b" });
  expectPeaks(before, after);
}

/** More casts than the queues of a connection hold, to a node that reads none of them: what does not fit is counted. */
export async function fullConnection(casts: number, bytes: number, blockMs: number): Promise<void> {
  const [a, b] = (await startNodes(["a", "b"])) as [ClusterNode, ClusterNode];
  const before = await Promise.all([a.facts(), b.facts()]);
  expect(await a.call(where("b"))).toEqual({ value: "b" });
  const unblocked = b.block(blockMs);
  await b.reports.find(({ event }) => event === "blocking");
  await a.flood("worker@b", casts, bytes);
  await unblocked;
  let after = before;
  await eventually(async () => {
    after = await Promise.all([a.facts(), b.facts()]);
    expect(accounted(...after)).toBe(casts);
  });
  expect(after[0].deadLetters.not_sent).toBeGreaterThan(0);
  expect(after[1].worker.inOrder).toBe(true);
  expect(await a.call(where("b"))).toEqual({ value: "b" });
  expectPeaks(before, after);
}

/** Casts of which it is known what became of them. */
function accounted(sender: NodeFacts, receiver: NodeFacts): number {
  const { not_sent = 0 } = sender.deadLetters;
  const { mailbox_full = 0 } = receiver.deadLetters;
  return not_sent + mailbox_full + receiver.worker.casts + receiver.slow.casts;
}

function expectPeaks(before: NodeFacts[], after: NodeFacts[]): void {
  const growths = after.map(({ rssPeakBytes }, i) => rssPeakBytes - (before[i] as NodeFacts).rssBytes);
  console.log(`growth of RSS at its peak: ${growths.map((growth) => `${Math.round(growth / MIB)} MiB`).join(", ")}`);
  for (const growth of growths) expect(growth).toBeLessThan(FLOOD_GROWTH_MAX);
}

/** Rounds in which actors of another node, or a whole node, are born and die. Nothing is left of them. */
export async function rounds(sizes: { actors: number; processes: number; warmUp: number }): Promise<void> {
  const [a, b] = (await startNodes(["a", "b"])) as [ClusterNode, ClusterNode];
  const seedNodes = [await a.ready()];
  let [c, lives] = [undefined as ClusterNode | undefined, 0];
  const processRound = async () => {
    c = new ClusterNode({ nodeId: "c", seedNodes });
    await c.ready();
    await c.formed(["a", "b", "c"]);
    lives++;
    await Promise.all([a, b].map((node) => node.told("join", "c", lives)));
    await Promise.all([a, b].map((node) => node.witness("worker@c")));
    expect(await c.call(where("a"))).toEqual({ value: "a" });
    c.signal("SIGKILL");
    await Promise.all([a, b].map((node) => node.told("leave", "c", lives)));
    await Promise.all([a, b].map((node) => node.heard(2 * lives)));
  };
  const allRounds = async (actors: number, processes: number) => {
    for (let n = 0; n < processes; n++) {
      await processRound();
      await a.rounds("b", Math.ceil(actors / processes));
    }
  };
  await allRounds(sizes.warmUp, 1);
  const before = await Promise.all([a, b].map(settledFacts));
  await allRounds(sizes.actors, sizes.processes);
  for (const [i, node] of [a, b].entries()) await expectNothingLeft(node, before[i] as NodeFacts);
  expect([a.times("leave", "c"), b.times("leave", "c"), a.times("leave", "b")]).toEqual([lives, lives, 0]);
}

/** What a node holds when nothing happens any more. */
async function settledFacts(node: ClusterNode): Promise<NodeFacts> {
  let last = await node.facts();
  await vi.waitFor(
    async () => {
      const before = last;
      last = await node.facts();
      expect(holdings(last)).toEqual(holdings(before));
    },
    { timeout: PATIENCE_MS, interval: 4_000 }, // A connection that nobody answers is given up after 3 s.
  );
  return last;
}

/** What has to be the same before and after. */
function holdings({ members, counters, remote, names, descriptors, resources }: NodeFacts) {
  return { members, counters, remote, names, descriptors, resources };
}

async function expectNothingLeft(node: ClusterNode, before: NodeFacts): Promise<void> {
  await eventually(async () => expect(holdings(await node.facts())).toEqual(holdings(before)));
  const after = await node.facts();
  const [heap, rss] = [after.heapBytes - before.heapBytes, after.rssBytes - before.rssBytes];
  console.log(`${node.id}: heap ${Math.round(heap / 1_024)} KiB, RSS ${Math.round(rss / 1_024)} KiB more than before`);
  expect(heap).toBeLessThan(HEAP_GROWTH_MAX);
  expect(rss).toBeLessThan(RSS_GROWTH_MAX);
}

/** Nodes that are shut down while they send and receive as fast as they can end by themselves, with nothing left. */
export async function shutdownUnderLoad(timeoutMs: number): Promise<void> {
  const [a, b, c] = (await startNodes(["a", "b", "c"])) as [ClusterNode, ClusterNode, ClusterNode];
  await Promise.all([a.load("worker@b"), b.load("worker@a"), c.load("worker@b")]);
  await eventually(async () => expect((await b.facts()).worker.casts).toBeGreaterThan(1_000));
  for (const node of [b, a, c]) {
    const { ms, left } = await node.shutdown(timeoutMs);
    report(`${node.id} shuts down under load within ${timeoutMs} ms and a farewell`, ms);
    expect(left).toEqual([]);
    expect(await node.exit).toBe(0);
  }
}
