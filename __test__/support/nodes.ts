/**
 * Whole systems as nodes of a cluster, in processes of their own that answer questions by IPC. For specs of endurance:
 * the process of the spec is no member, so what a node holds and costs is its own. Importing this module kills, after each
 * test, what the test has left running.
 */

import { type ChildProcess, fork } from "node:child_process";
import { afterEach } from "vitest";
import type { GossipPreset } from "../../lib/index.js";
import { COMPILED_FLAGS, compiled } from "./compiled.js";
import { makeProbe } from "./probe.js";

/** How a node is started. */
export interface ClusterNodeConfig {
  nodeId: string;
  seedNodes: string[];
  /** Default "fast". */
  gossip?: GossipPreset;
  /** Default `[nodeId]`. */
  roles?: string[];
}

/** What a node tells unasked. */
export interface ClusterNodeReport {
  event: "ready" | "join" | "leave" | "blocking" | "heard";
  /** Whom it is about; its own gossip address when it is ready. */
  about: string;
}

/** What a node holds, and what has happened to it. */
export interface NodeFacts {
  members: string[];
  /** Messages that its witness has got, in order: `<down or exit> <name> <type of reason>`. */
  heard: string[];
  /** Dead letters by reason. */
  deadLetters: Record<string, number>;
  /** Casts that its workers have handled, and whether all came in order. */
  worker: { casts: number; inOrder: boolean };
  /** Casts that its slow actor has handled. */
  slow: { casts: number; inOrder: boolean };
  counters: Record<string, number>;
  /** How much the parts that serve other nodes keep, by part and field. */
  remote: Record<string, number>;
  /** Names of its own actors, sorted. */
  names: string[];
  /** Open file descriptors; 0 where that cannot be known. */
  descriptors: number;
  /** What keeps Node's event loop up, sorted. */
  resources: string[];
  heapBytes: number;
  rssBytes: number;
  /** Highest RSS so far. */
  rssPeakBytes: number;
}

/** How a call ended: what it gave, or the code of its error. */
export type CallEnd = { value: unknown } | { code: string };

/** A call that a node is to make. */
export interface CallOrder {
  name: string;
  method: string;
  args?: unknown[];
  /** Default: none, the call waits for ever. */
  timeoutMs?: number;
}

/** Many processes on a busy machine take their time to start, and to miss one. */
const PATIENCE_MS = 60_000;
const script = compiled("__test__/support/scripts/cluster_node.ts");
const running = new Set<ChildProcess>();

afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
  running.clear();
});

/** One process. */
export class ClusterNode {
  readonly reports = makeProbe<ClusterNodeReport>(PATIENCE_MS);
  /** Resolves with the exit code; null after a signal. */
  readonly exit: Promise<number | null>;
  private readonly child: ChildProcess;
  private readonly asked = new Map<number, { resolve: (answer: any) => void; reject: (error: Error) => void }>();
  private orders = 0;

  constructor(readonly config: ClusterNodeConfig) {
    const execArgv = ["--expose-gc", ...COMPILED_FLAGS];
    this.child = fork(script, [JSON.stringify(config)], { execArgv });
    running.add(this.child);
    this.child.on("message", (message: any) => {
      if (message.event !== undefined) this.reports.push(message);
      else this.answered(message);
    });
    this.exit = new Promise((resolve) => {
      this.child.on("exit", (code) => {
        running.delete(this.child);
        for (const { reject } of this.asked.values()) reject(new Error(`${config.nodeId} has ended`));
        resolve(code);
      });
    });
  }

  get id(): string {
    return this.config.nodeId;
  }

  /** Resolves with its gossip address when it is ready. */
  async ready(): Promise<string> {
    return (await this.reports.find(({ event }) => event === "ready")).about;
  }

  /** Waits until it has been told of a node for the nth time. */
  async told(event: "join" | "leave", about: string, times = 1): Promise<void> {
    await this.reports.find(() => this.times(event, about) >= times);
  }

  /** How often it was told of a node. */
  times(event: "join" | "leave", about: string): number {
    return this.reports.events.filter((report) => report.event === event && report.about === about).length;
  }

  /** Waits until its witnesses have got so many messages, and gives them all. */
  async heard(count: number): Promise<string[]> {
    const messages = () => this.reports.events.filter(({ event }) => event === "heard");
    await this.reports.find(() => messages().length >= count);
    return messages().map(({ about }) => about);
  }

  /** Waits until all these are members for it. */
  formed(nodes: string[], timeoutMs = PATIENCE_MS): Promise<void> {
    return this.ask("formed", nodes, timeoutMs);
  }

  facts(): Promise<NodeFacts> {
    return this.ask("facts");
  }

  /** Blocks its event loop; resolves when it is free again. */
  block(ms: number): Promise<void> {
    return this.ask("block", ms);
  }

  call(order: CallOrder): Promise<CallEnd> {
    return this.ask("call", order);
  }

  /** Watches a named actor and is linked to it; resolves when both are known to the other node. */
  witness(name: string): Promise<void> {
    return this.ask("witness", name);
  }

  /** Sends casts of some bytes, all in one tick; resolves when the tick is over. */
  flood(name: string, casts: number, bytes: number): Promise<void> {
    return this.ask("flood", name, casts, bytes);
  }

  /** Calls and casts without a pause until it shuts down. */
  load(name: string): Promise<void> {
    return this.ask("load", name);
  }

  /** The node of a named actor, null if there is none. */
  lookup(name: string): Promise<string | null> {
    return this.ask("lookup", name);
  }

  /** Stops an actor of its own. */
  stopActor(name: string): Promise<void> {
    return this.ask("stopActor", name);
  }

  /** Spawns, asks, watches, links and ends actors on nodes with a role, one after the other. */
  rounds(role: string, count: number): Promise<void> {
    return this.ask("rounds", role, count);
  }

  /** Shuts its system down: how long it took, and what is left that would keep the process up. */
  shutdown(timeoutMs: number): Promise<{ ms: number; left: string[] }> {
    return this.ask("shutdown", timeoutMs);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  private ask(verb: string, ...args: unknown[]): Promise<any> {
    const order = ++this.orders;
    return new Promise((resolve, reject) => {
      this.asked.set(order, { resolve, reject });
      this.child.send({ order, verb, args });
    });
  }

  private answered({ order, answer, error }: { order: number; answer?: unknown; error?: string }): void {
    const waiting = this.asked.get(order);
    this.asked.delete(order);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }
}

/** Starts nodes that know the first one, and waits until all see all. */
export async function startNodes(ids: string[], options: Partial<ClusterNodeConfig> = {}): Promise<ClusterNode[]> {
  const first = new ClusterNode({ ...options, nodeId: ids[0] as string, seedNodes: [] });
  const seedNodes = [await first.ready()];
  const others = ids.slice(1).map((nodeId) => new ClusterNode({ ...options, nodeId, seedNodes }));
  await Promise.all(others.map((node) => node.ready()));
  const all = [first, ...others];
  await Promise.all(all.map((node) => node.formed(ids)));
  return all;
}
