/**
 * Who has lost whom: what a node tells one that it had given up, so that both end what was between them.
 *
 * A node that is given up may live and have seen nothing of it: its process was stopped, or the cut was short. What it had
 * here is gone then, and it must know. So each node counts how often it has lost each other one, and whatever it says to
 * that one carries a {@link LossTag}. The first words after a loss tell of it, before anything new can be made.
 *
 * A tag says: my life; how often I have lost you; how many of your losses I knew of when I lost you last; which life of
 * yours that was. The receiver compares:
 * - another life of its own is meant, or the number is known: old news, nothing happens (`known`);
 * - it has lost the sender more often than the sender knew then: both have dropped everything, and what is there was made
 *   since (`both`);
 * - otherwise only the sender has dropped what was between them (`lost`), and the receiver MUST do the same.
 *
 * Invariant: over a transport that keeps order, what both made before a loss is ended on both sides, what was made after
 * the news is kept.
 * Owner: the counts of one node. Nothing is sent here. At most NODES_MAX nodes are remembered, the oldest go first.
 */

/** How often the sender has lost the receiver; only its life if it never has. Lives are µs since the epoch. */
export type LossTag =
  | readonly [life: number]
  | readonly [life: number, lost: number, knew: number, lifeLost: number | null];

/** What a tag means to its receiver. */
export type LossNews = "known" | "both" | "lost";

/** Nodes that are remembered. */
const NODES_MAX = 4_096;

/** What is known of one node. */
interface Between {
  /** The life that it has last spoken of. */
  life: number | undefined;
  /** How often it was lost here in that life. */
  lost: number;
  /** Its life when it was lost last. */
  lifeLost: number | undefined;
  /** How often it says that it has lost this node. */
  heard: number;
  /** The same when it was lost last. */
  knew: number;
}

/** See the module's header. */
export class Losses {
  private readonly nodes = new Map<string, Between>();

  /** @param life when this node's life began, in µs since the epoch */
  constructor(readonly life: number) {}

  /** A node is given up here. */
  lose(node: string): void {
    const between = this.between(node);
    between.lost++;
    between.lifeLost = between.life;
    between.knew = between.heard;
  }

  /** How often a node was lost here in its life. */
  countOf(node: string): number {
    return this.nodes.get(node)?.lost ?? 0;
  }

  /** The life that a node has last spoken of. */
  lifeOf(node: string): number | undefined {
    return this.nodes.get(node)?.life;
  }

  /** Whether a node was lost here and, as far as is known, has not lost this one. */
  isOneSided(node: string): boolean {
    const between = this.nodes.get(node);
    return between !== undefined && between.lost > 0 && between.heard === between.knew;
  }

  /** What is to be said to a node with everything else. */
  tagFor(node: string): LossTag {
    const between = this.nodes.get(node);
    if (between === undefined || between.lost === 0) return [this.life];
    return [this.life, between.lost, between.knew, between.lifeLost ?? null];
  }

  /**
   * A node has spoken of its life; an earlier one than is known changes nothing. But after a loss it may be the next one all
   * the same, of a node whose clock was set back.
   */
  saw(node: string, life: number): void {
    const between = this.between(node);
    const known = between.life ?? life;
    const wasLost = between.lost > 0 && between.lifeLost === known;
    if (life < known && !wasLost) return;
    if (life !== known) Object.assign(between, unknown());
    between.life = life;
  }

  /** Takes what a node has said; what is no tag says nothing. */
  hear(node: string, tag: unknown): LossNews {
    if (!isTag(tag)) return "known";
    const isStranger = this.lifeOf(node) === undefined;
    const [life, lost = 0, knew = 0, lifeLost = null] = tag;
    this.saw(node, life);
    const between = this.between(node);
    const isMeant = lifeLost === null || lifeLost === this.life;
    if (life !== between.life || !isMeant || lost <= between.heard) return "known";
    between.heard = lost;
    // It did not know this life, and has never spoken to it: it has lost an earlier one.
    if (lifeLost === null && isStranger) return "known";
    return between.lost > knew ? "both" : "lost";
  }

  private between(node: string): Between {
    let between = this.nodes.get(node);
    if (between === undefined) {
      between = unknown();
      this.nodes.set(node, between);
      for (const oldest of this.nodes.keys()) {
        if (this.nodes.size <= NODES_MAX) break;
        this.nodes.delete(oldest);
      }
    }
    return between;
  }
}

function unknown(): Between {
  return { life: undefined, lost: 0, lifeLost: undefined, heard: 0, knew: 0 };
}

/** Fine enough for two lives of one node that follow each other at once. */
export function microsSinceEpoch(): number {
  return Math.floor((performance.timeOrigin + performance.now()) * 1_000);
}

/** Whether something is a {@link LossTag}. */
export function isTag(value: unknown): value is LossTag {
  if (!Array.isArray(value) || (value.length !== 1 && value.length !== 4)) return false;
  return value.every((part, i) => (Number.isSafeInteger(part) && part >= 0) || (i === 3 && part === null));
}
