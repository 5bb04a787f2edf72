/**
 * A transport, a cluster and a registry as a user may write them: the least that the interfaces ask for, over JSON-like
 * copies, with nothing of libeam's in it.
 */

import type { ActorLocation, Cluster, MessageHandler, Registry, RequestHandler, Transport } from "../../lib/index.js";

/** Joins the nodes that share one. */
export class Switchboard {
  readonly nodes = new Map<string, CopyingTransport>();
}

/** Copies what it carries; a node is reached as long as it is on the switchboard. */
export class CopyingTransport implements Transport {
  private answer: RequestHandler = () => {
    throw new Error("nobody answers");
  };
  private take: MessageHandler = () => {};
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly id: string,
    private readonly board: Switchboard,
  ) {
    board.nodes.set(id, this);
  }

  getNodeId(): string {
    return this.id;
  }

  async request(nodeId: string, message: any, timeout: number): Promise<any> {
    const copy = structuredClone(message);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${nodeId} is late`)), timeout);
    });
    const answer = this.inOrder(async () => this.reach(nodeId)).then((node) => node.answer(copy));
    try {
      return structuredClone(await Promise.race([answer, late]));
    } finally {
      clearTimeout(timer);
    }
  }

  async send(nodeId: string, message: any): Promise<void> {
    const copy = structuredClone(message);
    await this.inOrder(async () => this.reach(nodeId).take(copy));
  }

  async publish(): Promise<void> {}

  async subscribe() {
    return { unsubscribe: async () => {} };
  }

  onRequest(handler: RequestHandler): void {
    this.answer = handler;
  }

  onMessage(handler: MessageHandler): void {
    this.take = handler;
  }

  updatePeers(): void {}

  async connect(): Promise<void> {}

  async disconnect(): Promise<void> {
    this.board.nodes.delete(this.id);
  }

  private reach(nodeId: string): CopyingTransport {
    const node = this.board.nodes.get(nodeId);
    if (node === undefined) throw new Error(`${nodeId} is not there`);
    return node;
  }

  private inOrder<T>(run: () => Promise<T>): Promise<T> {
    const next = this.last.then(run);
    this.last = next.catch(() => {});
    return next;
  }
}

/** A cluster that knows who is there and tells nothing. */
export const silentCluster = (nodeId: string, members: string[]): Cluster => ({ nodeId, getMembers: () => members });

/** Names in a map that all nodes share. */
export class SharedNames implements Registry {
  constructor(private readonly names: Map<string, ActorLocation>) {}

  async register(name: string, nodeId: string, actorId: string): Promise<void> {
    this.names.set(name, { nodeId, actorId });
  }

  async unregister(name: string): Promise<void> {
    this.names.delete(name);
  }

  async lookup(name: string): Promise<ActorLocation | null> {
    return this.names.get(name) ?? null;
  }

  async getNodeActors(): Promise<string[]> {
    return [];
  }

  async connect(): Promise<void> {}

  async disconnect(): Promise<void> {}
}
