/**
 * Nodes of this process on wires that a spec controls: messages wait until they are let through, can be lost, and nodes
 * can be cut off, killed and started again. Between two nodes order is kept, as every transport keeps it.
 */

import { EventEmitter } from "node:events";
import { ActorSystem, InMemoryTransport, LocalRegistry, ProcessGroupManager } from "../../lib/index.js";
import type { Dice } from "./dice.js";
import { turns } from "./time.js";

/** Membership that a spec announces. */
class SpokenCluster extends EventEmitter {
  constructor(
    readonly nodeId: string,
    private readonly wires: Wires,
  ) {
    super();
  }

  getMembers(): string[] {
    return [...this.wires.nodes.keys()];
  }
}

class WiredTransport extends InMemoryTransport {
  constructor(
    private readonly id: string,
    private readonly wires: Wires,
  ) {
    super(id);
  }

  override async send(node: string, message: any): Promise<void> {
    this.wires.carry(this.id, node, message, () => super.send(node, message));
  }

  override async publish(topic: string, message: any): Promise<void> {
    for (const node of this.wires.nodes.keys()) if (node !== this.id) await this.publishTo(node, topic, message);
  }

  override async publishTo(node: string, topic: string, message: any): Promise<void> {
    this.wires.carry(this.id, node, message, () => super.publishTo(node, topic, message));
  }
}

/** A node with actors and groups. */
export interface WiredNode {
  id: string;
  transport: InMemoryTransport;
  cluster: EventEmitter;
  groups: ProcessGroupManager;
  system: ActorSystem;
}

/** What was put on a wire. */
export interface Carried {
  from: string;
  to: string;
  message: any;
}

/** See the module's header. */
export class Wires {
  readonly nodes = new Map<string, WiredNode>();
  /** All messages so far, lost ones included. */
  readonly carried: Carried[] = [];
  /** Whether messages wait for `flow`. */
  held = false;
  /** Share of the messages that are lost. */
  loss = 0;
  private readonly waiting = new Map<string, (() => Promise<void>)[]>();
  private readonly cuts = new Set<string>();

  constructor(private readonly dice?: Dice) {}

  /** Starts a node; the wires lead to it, and nobody has been told. */
  async start(id: string): Promise<WiredNode> {
    const transport = new WiredTransport(id, this);
    const cluster = new SpokenCluster(id, this);
    const groups = new ProcessGroupManager(id, transport, cluster);
    const system = new ActorSystem(cluster, transport, new LocalRegistry(), {}, undefined, {}, {}, groups);
    for (const other of this.nodes.values()) {
      transport.setPeer(other.id, other.transport);
      other.transport.setPeer(id, transport);
    }
    const node = { id, transport, cluster, groups, system };
    this.nodes.set(id, node);
    await system.start();
    await groups.connect();
    return node;
  }

  /** Starts nodes that are members of one cluster. */
  async startAll(ids: string[]): Promise<WiredNode[]> {
    const nodes: WiredNode[] = [];
    for (const id of ids) {
      nodes.push(await this.start(id));
      this.announce("member_join", id);
    }
    await turns();
    return nodes;
  }

  /** Membership says on all other nodes, and on a node that joins of all others, who has come or gone. */
  announce(event: "member_join" | "member_leave", id: string): void {
    for (const node of this.nodes.values()) {
      if (node.id === id) continue;
      node.cluster.emit(event, id);
      if (event === "member_join") this.nodes.get(id)?.cluster.emit(event, node.id);
    }
  }

  /** Ends a node without a word; what it had sent still arrives unless `lost`. */
  async kill(id: string, lost = true): Promise<void> {
    const node = this.nodes.get(id) as WiredNode;
    this.nodes.delete(id);
    for (const pair of this.waiting.keys()) if (lost && pair.split(" ").includes(id)) this.waiting.delete(pair);
    await node.groups.disconnect();
    await node.transport.disconnect();
    await node.system.shutdown({ timeout: 100, drainMailboxes: false });
  }

  async end(): Promise<void> {
    for (const id of [...this.nodes.keys()]) await this.kill(id);
  }

  /** From now on nothing gets from one node to the other, in either direction. */
  cut(a: string, b: string): void {
    this.cuts.add([a, b].sort().join(" "));
  }

  /** All cuts are undone. */
  heal(): void {
    this.cuts.clear();
  }

  carry(from: string, to: string, message: any, deliver: () => Promise<void>): void {
    this.carried.push({ from, to, message });
    if (this.cuts.has([from, to].sort().join(" ")) || this.dice?.chance(this.loss)) return;
    const pair = `${from} ${to}`;
    const queue = this.waiting.get(pair) ?? [];
    this.waiting.set(pair, queue);
    const send = async (): Promise<void> => deliver().catch(() => {}); // The receiver may be gone.
    if (this.held || queue.length > 0) queue.push(send);
    else void send();
  }

  /** Lets at most `count` messages of each wire that `among` picks through. */
  flow(count = Number.POSITIVE_INFINITY, among: (pair: string) => boolean = () => true): void {
    for (const [pair, queue] of this.waiting) {
      if (!among(pair)) continue;
      for (const send of queue.splice(0, count)) void send();
    }
  }
}
