/**
 * Membership between processes of their own on this machine, encrypted, default preset: how long a cluster takes to form,
 * and to miss a node.
 *
 * Forming. All processes have loaded their modules and wait; then all of them start at once. "From the start" counts from
 * that order, so it has the sockets and keys of all nodes in it; "from the last node up" counts from the moment when the last
 * one has its sockets open. Both end when every node sees every other one. With the seed last, the others are up, alone, before the seed
 * gets its order.
 *
 * SIGKILL. Every survivor watches an actor of the victim and has a call to it pending, and has been told by the victim's
 * side that both have arrived. The round ends when the last survivor has lost the member, got DOWN and had the call
 * rejected. Goodbye: from the order to shut down until the last of the others has lost the member.
 *
 * All times are of this process's clock, so the way of each report is in them. A round in which something else happened than
 * the figure says (another error, a goodbye that was taken for a failure, anything twice) throws.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { summarize, WorkLostError } from "../harness.js";
import type { Row, Suite } from "../suite.js";
import type { NodeOrder, NodeReport } from "./membership_node.js";

const cookie = "a cookie of the benchmark's own";
const file = fileURLToPath(new URL("membership_node.js", import.meta.url));
const sizes = [3, 5, 8];
/** The size at which nodes die and leave. */
const sizeOfEnds = 5;
/** A report that has not come by then does not come. */
const patienceMs = 60_000;

type Event = NodeReport["event"];

/** Times of one kind, by the key of their row. */
type Samples = Map<string, number[]>;

/** A process and what it has reported. */
class Node {
  readonly reports: (NodeReport & { at: number })[] = [];
  readonly exit: Promise<unknown>;
  private readonly child: ChildProcess;

  constructor(readonly id: string) {
    this.child = fork(file, [id, cookie], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.exit = once(this.child, "exit");
    this.child.on("message", (report: NodeReport) => {
      this.reports.push({ ...report, at: performance.now() });
      this.child.emit("report");
    });
  }

  order(order: NodeOrder): void {
    this.child.send(order);
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }

  /** When it first reported this, and what about. */
  async told(event: Event, count = 1): Promise<{ at: number; about: string }> {
    const end = performance.now() + patienceMs;
    for (;;) {
      const found = this.reports.filter((report) => report.event === event);
      if (found.length >= count) return found[count - 1]!;
      const left = Math.max(0, Math.ceil(end - performance.now()));
      await once(this.child, "report", { signal: AbortSignal.timeout(left) }).catch(() => {
        throw new WorkLostError(`${this.id}: ${event}`, found.length, count);
      });
    }
  }

  /** What it reported of these kinds, sorted. */
  said(...events: Event[]): string[] {
    return this.reports
      .filter(({ event }) => events.includes(event))
      .map(({ event, about }) => `${event} ${about}`)
      .sort();
  }
}

/** The time of the last of these reports. */
async function last(nodes: readonly Node[], event: Event): Promise<number> {
  return Math.max(...(await Promise.all(nodes.map(async (node) => (await node.told(event)).at))));
}

function note(samples: Samples, key: string, value: number): void {
  samples.set(key, [...(samples.get(key) ?? []), value]);
}

/** Processes that have loaded everything and do nothing; ended after `use`, whatever happens in it. */
async function withNodes<T>(size: number, use: (nodes: Node[]) => Promise<T>): Promise<T> {
  const nodes = Array.from({ length: size }, (_, index) => new Node(`n${index}`));
  try {
    await last(nodes, "booted");
    return await use(nodes);
  } finally {
    for (const node of nodes) node.kill();
    await Promise.all(nodes.map(({ exit }) => exit));
  }
}

/** Starts the first node alone, then all others at once. Gives the seed's address. */
async function formSeedFirst(nodes: readonly Node[], samples: Samples): Promise<string> {
  const [seed, ...others] = nodes as [Node, ...Node[]];
  const size = nodes.length;
  seed.order({ verb: "start", seeds: [], gossipPort: 0, size });
  const { about: address } = await seed.told("up");
  const start = performance.now();
  for (const node of others) node.order({ verb: "start", seeds: [address], gossipPort: 0, size });
  const up = await last(nodes, "up");
  const all = await last(nodes, "all");
  note(samples, `first_${size}`, all - start);
  note(samples, `first_up_${size}`, all - up);
  return address;
}

/** Starts all but the seed, and when they are up the seed, at an address that is known to be free. */
async function formSeedLast(nodes: readonly Node[], address: string, samples: Samples): Promise<void> {
  const [seed, ...others] = nodes as [Node, ...Node[]];
  const size = nodes.length;
  for (const node of others) node.order({ verb: "start", seeds: [address], gossipPort: 0, size });
  await last(others, "up");
  const start = performance.now();
  seed.order({ verb: "start", seeds: [], gossipPort: Number(address.split(":").at(-1)), size });
  const { at: up } = await seed.told("up");
  const all = await last(nodes, "all");
  note(samples, `last_${size}`, all - start);
  note(samples, `last_up_${size}`, all - up);
}

/** Kills the last node when every other one watches it and waits for it. */
async function kill(nodes: readonly Node[]): Promise<number> {
  const victim = nodes.at(-1)!;
  const survivors = nodes.slice(0, -1);
  victim.order({ verb: "hold", callers: survivors.map(({ id }) => id) });
  for (const node of survivors) node.order({ verb: "witness" });
  await victim.told("holding", survivors.length);
  const start = performance.now();
  victim.kill();
  const ends = await Promise.all((["gone", "down", "rejected"] as const).map((event) => last(survivors, event)));
  for (const node of survivors) {
    expectSaid(node, ["down", "failed", "gone"], ["down killed", `failed ${victim.id}`, `gone ${victim.id}`]);
    expectSaid(node, ["answered", "rejected"], [`rejected ${await rejection(node)}`]);
  }
  return Math.max(...ends) - start;
}

/** The code that the pending call was rejected with: what is noticed first, the broken connection or the loss of the member. */
async function rejection(node: Node): Promise<string> {
  const { about } = await node.told("rejected");
  if (about !== "NODE_DOWN" && about !== "TRANSPORT_ERROR") throw new WorkLostError(`${node.id}: ${about}`, 0, 1);
  return about;
}

/** Has the last node shut down. */
async function leave(nodes: readonly Node[]): Promise<number> {
  const leaver = nodes.at(-1)!;
  const others = nodes.slice(0, -1);
  const start = performance.now();
  leaver.order({ verb: "leave" });
  const gone = await last(others, "gone");
  await leaver.exit;
  for (const node of others) expectSaid(node, ["failed", "gone"], [`gone ${leaver.id}`]);
  return gone - start;
}

function expectSaid(node: Node, events: Event[], expected: string[]): void {
  const said = node.said(...events);
  if (said.join() === expected.join()) return;
  throw new WorkLostError(`${node.id} said [${said}] and not [${expected}]`, 0, expected.length);
}

/** One sample of each row; a node dies in the cluster whose seed was first, and leaves the other one. */
async function round(samples: Samples): Promise<void> {
  for (const size of sizes) {
    const address = await withNodes(size, async (nodes) => {
      const seed = await formSeedFirst(nodes, samples);
      if (size === sizeOfEnds) note(samples, `kill_${size}`, await kill(nodes));
      return seed;
    });
    await withNodes(size, async (nodes) => {
      await formSeedLast(nodes, address, samples);
      if (size === sizeOfEnds) note(samples, `leave_${size}`, await leave(nodes));
    });
  }
}

function rowsOf(samples: Samples): Row[] {
  const row = (key: string, name: string): Row => {
    const stats = summarize(samples.get(key) as number[]);
    return { suite: "membership", key: `membership_${key}`, name, unit: "ms", stats };
  };
  return [
    ...sizes.flatMap((size) => [
      row(`first_${size}`, `${size} nodes, seed first, all see all, from the start`),
      row(`first_up_${size}`, `${size} nodes, seed first, all see all, from the last node up`),
      row(`last_${size}`, `${size} nodes, seed last, all see all, from its start`),
      row(`last_up_${size}`, `${size} nodes, seed last, all see all, from the seed up`),
    ]),
    row(`kill_${sizeOfEnds}`, `SIGKILL at ${sizeOfEnds} nodes: gone, DOWN and calls rejected everywhere`),
    row(`leave_${sizeOfEnds}`, `goodbye at ${sizeOfEnds} nodes: gone everywhere`),
  ];
}

export const membership: Suite = {
  name: "membership",
  title: "Members between processes",
  async run(context) {
    const samples: Samples = new Map();
    for (let done = 0; done < (context.quick ? 2 : 5); done++) await round(samples);
    return rowsOf(samples);
  },
};
