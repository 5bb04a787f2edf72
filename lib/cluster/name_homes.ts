/**
 * Homes of names: for each name one member, on which all agree without asking, says who may take it next.
 *
 * The home of a name is the member with the highest hash of name and member (rendezvous hashing), so a change of members
 * moves only the names of those who came or went. A node that wants a name reserves it at its home. The home grants one
 * reservation at a time, and says who has the name as far as it knows. Who registers the name tells that before it gives
 * the reservation back, over the same connection: the home knows of it when it grants the next one.
 *
 * # Messages (publications of a topic, to one node)
 * - `reserve`, answered with `answer`; `release`.
 *
 * # Failure
 * An answer that does not come rejects with TimeoutError after ANSWER_MS, or with NodeDownError when membership says that
 * the home is gone; what the home has granted unheard ends by its own time. While members are not the same for all, a name
 * may have two homes: then both may grant it, and the rule for two actors with one name decides (names.ts).
 */

import { createHash, randomUUID } from "node:crypto";
import { NodeDownError, TimeoutError, TransportError } from "../errors.js";
import type { ActorLocation, Subscription, Transport } from "../kernel/collaborators.js";
import type { Members } from "../stdlib/remote/owner_log.js";
import { LocalRegistry } from "./local_registry.js";

const TOPIC = "libeam.homes";
/** How long an answer of a home is waited for, in milliseconds. */
const ANSWER_MS = 5_000;

/** A name that is held for whoever asked. */
export interface Grant {
  home: string;
  /** Names it at its home. */
  reservationId: string;
  /** Who has the name as far as the home knows. */
  holder: ActorLocation | null;
}

type HomeMessage =
  | { kind: "reserve"; to: string; from: string; request: string; name: string; ttlMs: number }
  | { kind: "answer"; to: string; request: string; grant: Grant | null }
  | { kind: "release"; to: string; reservationId: string };

/** What a node's share of the homes needs. */
export interface HomesOptions {
  nodeId: string;
  transport: Transport;
  cluster: Members;
  /** Who has a name. */
  find(name: string): ActorLocation | null;
}

interface Waiting {
  home: string;
  settle: (grant: Grant | null) => void;
  refuse: (error: unknown) => void;
}

/** See the module's header. */
export class NameHomes {
  /** What this node has granted. */
  private readonly granted = new LocalRegistry();
  private readonly waiting = new Map<string, Waiting>();
  private subscription: Subscription | undefined;
  private readonly onLeave = (nodeId: string): void => this.lost(nodeId);

  constructor(private readonly options: HomesOptions) {}

  /** Begins to serve. */
  async connect(): Promise<void> {
    if (this.subscription !== undefined) return;
    const { transport, cluster } = this.options;
    this.subscription = await transport.subscribe(TOPIC, (message) => this.receive(message));
    cluster.on?.("member_leave", this.onLeave);
  }

  /** Stops serving; what waits for a home is refused. */
  async disconnect(): Promise<void> {
    const { subscription } = this;
    this.subscription = undefined;
    this.options.cluster.removeListener?.("member_leave", this.onLeave);
    for (const { home, refuse } of [...this.waiting.values()]) {
      refuse(new TransportError("The registry was disconnected before the home of a name answered", home));
    }
    await subscription?.unsubscribe();
  }

  /** The member that grants a name; this node if there is no other. */
  homeOf(name: string): string {
    const { cluster, nodeId } = this.options;
    const members = this.subscription === undefined ? [] : (cluster.getMembers?.() ?? []);
    return highest(name, members.length === 0 ? [nodeId] : members);
  }

  /** Holds a name at its home; null while it is held for another one. @throws TimeoutError, NodeDownError (as rejections) */
  async reserve(name: string, ttlMs: number): Promise<Grant | null> {
    const { nodeId } = this.options;
    const home = this.homeOf(name);
    if (home === nodeId) return this.grant(name, nodeId, ttlMs);
    const request = randomUUID();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => refuse(new TimeoutError(`name "${name}" at node ${home}`, ANSWER_MS)), ANSWER_MS);
      const end = (): void => {
        clearTimeout(timer);
        this.waiting.delete(request);
      };
      const refuse = (error: unknown): void => {
        end();
        reject(error);
      };
      const settle = (grant: Grant | null): void => {
        end();
        resolve(grant);
      };
      this.waiting.set(request, { home, settle, refuse });
      this.tell({ kind: "reserve", to: home, from: nodeId, request, name, ttlMs }).catch(refuse);
    });
  }

  /** Gives a name back. */
  release({ home, reservationId }: Grant): void {
    if (home === this.options.nodeId) void this.granted.releaseReservation(reservationId);
    else this.tell({ kind: "release", to: home, reservationId }).catch(() => {}); // It ends by its time.
  }

  private async grant(name: string, from: string, ttlMs: number): Promise<Grant | null> {
    const reservation = await this.granted.reserveName(name, from, ttlMs);
    if (reservation === null) return null;
    return { home: this.options.nodeId, reservationId: reservation.reservationId, holder: this.options.find(name) };
  }

  private lost(node: string): void {
    for (const { home, refuse } of [...this.waiting.values()]) if (home === node) refuse(new NodeDownError(node));
  }

  private tell(message: HomeMessage): Promise<void> {
    const { transport } = this.options;
    return transport.publishTo?.(message.to, TOPIC, message) ?? transport.publish(TOPIC, message);
  }

  private receive(message: HomeMessage): void {
    if (message?.to !== this.options.nodeId) return;
    switch (message.kind) {
      case "reserve":
        void this.serve(message);
        return;
      case "answer":
        this.answered(message);
        return;
      case "release":
        void this.granted.releaseReservation(message.reservationId);
    }
  }

  private answered({ request, grant }: HomeMessage & { kind: "answer" }): void {
    const waiting = this.waiting.get(request);
    if (waiting !== undefined) waiting.settle(grant);
    else if (grant !== null) this.release(grant); // Nobody waits for it any more.
  }

  private async serve({ from, request, name, ttlMs }: HomeMessage & { kind: "reserve" }): Promise<void> {
    // A name or a time that makes no sense is not granted.
    const grant = await this.grant(name, from, ttlMs).catch(() => null);
    await this.tell({ kind: "answer", to: from, request, grant }).catch(() => {}); // It ends by its time.
  }
}

/** The member with the highest hash; the same on every node. */
function highest(name: string, members: readonly string[]): string {
  let [best, weight] = ["", ""];
  for (const member of members) {
    const own = createHash("sha256").update(`${member}\n${name}`).digest("hex");
    if (own > weight) [best, weight] = [member, own];
  }
  return best;
}
