/**
 * Cluster nodes in processes of their own, driven by IPC. Importing this module kills, after each test, what the test
 * has left running.
 */

import { type ChildProcess, fork } from "node:child_process";
import { afterEach } from "vitest";
import type { GossipPreset, PeerState } from "../../lib/index.js";
import { COMPILED_FLAGS, compiled } from "./compiled.js";
import { makeProbe } from "./probe.js";

/** How a node is started. */
export interface MemberConfig {
  id: string;
  /** Port of its gossip; 0 is a free one. */
  port?: number;
  seeds: string[];
  preset?: GossipPreset;
  roles?: string[];
}

/** What a node is told. */
export type MemberOrder =
  | { verb: "leave" }
  | { verb: "block"; ms: number }
  | { verb: "publish"; key: string; value: string }
  | { verb: "members" };

/** What a node tells. */
export interface MemberReport {
  event: "ready" | "join" | "leave" | "update" | "superseded" | "left" | "unblocked" | "answer";
  /** Whom it is about. */
  id: string;
  /** Ids of the members that the node sees, sorted. */
  members: string[];
  address?: string | undefined;
  peer?: PeerState;
}

const script = compiled("__test__/support/scripts/member.ts");
const running = new Set<ChildProcess>();

afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
  running.clear();
});

/** One process. */
export class Member {
  readonly reports = makeProbe<MemberReport>();
  private readonly child: ChildProcess;
  /** Resolves with the exit code; null after a signal. */
  readonly exit: Promise<number | null>;

  constructor(readonly config: MemberConfig) {
    this.child = fork(script, [JSON.stringify(config)], { execArgv: COMPILED_FLAGS });
    running.add(this.child);
    this.child.on("message", (report) => this.reports.push(report as MemberReport));
    this.exit = new Promise((resolve) => {
      this.child.on("exit", (code) => {
        running.delete(this.child);
        resolve(code);
      });
    });
  }

  /** Resolves with `ip:port` of its gossip. */
  async address(): Promise<string> {
    return (await this.reports.find(({ event }) => event === "ready")).address as string;
  }

  /** Waits until it sees exactly these members. */
  async sees(ids: string[]): Promise<void> {
    const wanted = [...ids].sort().join();
    await this.reports.find(({ members }) => members.join() === wanted);
  }

  /** Waits for a report, past or future. */
  told(event: MemberReport["event"], id: string): Promise<MemberReport> {
    return this.reports.find((report) => report.event === event && report.id === id);
  }

  /** How often it was told something. */
  times(event: MemberReport["event"], id: string): number {
    return this.reports.events.filter((report) => report.event === event && report.id === id).length;
  }

  order(order: MemberOrder): void {
    this.child.send(order);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** Starts nodes that know the first one, and waits until all see all. */
export async function startMembers(ids: string[], options: Partial<MemberConfig> = {}): Promise<Member[]> {
  const [firstId, ...others] = ids;
  const first = new Member({ ...options, id: firstId as string, seeds: [] });
  const seeds = [await first.address()];
  const all = [first, ...others.map((id) => new Member({ ...options, id, seeds }))];
  await Promise.all(all.map((member) => member.sees(ids)));
  return all;
}
