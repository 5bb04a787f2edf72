/**
 * The work: batches of a text, given to counters on the nodes of a cluster, until every one is counted.
 *
 * Each worker keeps one counter busy and goes on with another one, on the next node, after some batches. If a counter
 * does not answer in time or its node is gone, the batch is given to another one. So a batch may be counted twice: by the
 * one that was too late, too. The collector keeps it once.
 */

import type { ActorRefFrom, System } from "libeam";
import type { Batch } from "../word_count/text.ts";
import { type Collector, Counter } from "./actors.ts";

const BATCHES_PER_COUNTER = 20;
const ANSWER_MS_MAX = 1_000;

/** The batches of a text, over and over. */
export class Work {
  /** Batches that were given out. */
  batches = 0;
  /** How often a batch had to be given to somebody else. */
  askedAgain = 0;
  /** Answers per node. */
  readonly answers = new Map<string, number>();
  private finishing = false;

  constructor(
    private readonly system: System,
    private readonly text: Batch[],
    private readonly collector: ActorRefFrom<typeof Collector>,
  ) {}

  /** Keeps `workers` counters busy until the work is over. */
  async run(workers: number): Promise<void> {
    await Promise.all(Array.from({ length: workers }, () => this.work()));
  }

  /** The text is counted to its end, and not once more. */
  finish(): void {
    this.finishing = true;
  }

  private next(): Batch | undefined {
    const at = this.batches % this.text.length;
    if (this.finishing && at === 0) return undefined;
    return { id: this.batches++, lines: (this.text[at] as Batch).lines };
  }

  private async work(): Promise<void> {
    let batch = this.next();
    while (batch !== undefined) {
      const counter = this.system.spawn(Counter, {
        role: "counter",
        strategy: "round-robin",
        args: [this.collector],
      });
      try {
        for (let left = BATCHES_PER_COUNTER; left > 0 && batch !== undefined; left--) {
          await counter.call("count", batch, { timeout: ANSWER_MS_MAX });
          this.answered(counter.id.systemId);
          batch = this.next();
        }
      } catch {
        this.askedAgain++; // Whatever it was: the batch is still to be counted.
      }
      void this.system.stop(counter);
    }
  }

  private answered(node: string): void {
    this.answers.set(node, (this.answers.get(node) ?? 0) + 1);
  }
}
