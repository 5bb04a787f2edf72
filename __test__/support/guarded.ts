/**
 * Nodes in processes of their own that strangers try to disturb. Whoever starts them ends them (`end`).
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { DistributedConfig } from "../../lib/index.js";
import { COMPILED_FLAGS, compiled } from "./compiled.js";
import { nodeTimer } from "./time.js";

/** What a node is told. Every order is answered with a report of that number. */
export type GuardedOrder = { verb: "converse"; number: number; peers: string[] } | { verb: "report"; number: number };

/** What a node has seen since its start. */
export interface GuardedReport {
  /** The order that it answers; 0 is the first report, which comes by itself. */
  number: number;
  members: string[];
  /** Events of its membership. */
  joins: number;
  /** Who left, and whether it was declared dead. */
  left: string[];
  /** Calls to its peers. */
  answered: number;
  failed: string[];
  /** Casts that its actor has handled: one of each node that calls it, unless somebody else gets through. */
  marks: number;
  /** Errors that nobody handled. */
  stray: string[];
  /** Who was logged as refused by its transport. */
  refused: string[];
  /** Packets that its gossip has not let in. */
  rejected: number;
  rssBytes: number;
  /** The longest time that its event loop did not turn: what a loaded machine kept from it, too. */
  pauseMs: number;
  /** `ip:port`, as the others are told. */
  gossip: string;
  link: string;
}

/** Between two questions whether something is so, in milliseconds. */
const PAUSE_MS = 10;

const script = compiled("__test__/support/scripts/guarded_node.ts");

/** One process. */
export class GuardedNode {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (report: GuardedReport) => void>();
  private readonly first: Promise<GuardedReport>;
  private orders = 0;
  private ended = false;

  constructor(readonly config: Partial<DistributedConfig> & { nodeId: string }) {
    this.child = fork(script, [JSON.stringify(config)], { execArgv: COMPILED_FLAGS });
    this.first = this.answer(0);
    this.child.on("message", (report: GuardedReport) => {
      this.waiting.get(report.number)?.(report);
      this.waiting.delete(report.number);
    });
    this.child.on("exit", () => {
      this.ended = true;
    });
  }

  /** The first report. */
  ready(): Promise<GuardedReport> {
    return this.first;
  }

  /** What it has seen by now. */
  report(): Promise<GuardedReport> {
    const number = ++this.orders;
    this.child.send({ verb: "report", number } satisfies GuardedOrder);
    return this.answer(number);
  }

  /** Has it call its peers from now on. */
  async converse(peers: string[]): Promise<void> {
    const number = ++this.orders;
    this.child.send({ verb: "converse", number, peers } satisfies GuardedOrder);
    await this.answer(number);
  }

  private answer(number: number): Promise<GuardedReport> {
    return new Promise((resolve) => this.waiting.set(number, resolve));
  }

  /** Asks until something is so. @throws Error with what is so instead */
  async until(what: string, holds: (report: GuardedReport) => boolean, patienceMs = 60_000): Promise<GuardedReport> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const report = await this.report();
      if (holds(report)) return report;
      if (performance.now() > deadline) throw new Error(`${this.config.nodeId}: no ${what}: ${JSON.stringify(report)}`);
      await nodeTimer(PAUSE_MS); // A node that is asked without a pause does nothing else.
    }
  }

  /** Ends the process without a goodbye. */
  async end(): Promise<void> {
    if (this.ended) return;
    const gone = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await gone;
  }
}
