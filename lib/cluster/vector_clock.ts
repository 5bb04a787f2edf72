/**
 * A vector clock: how many events of each node have been seen.
 *
 * Missing nodes count as 0. `a` is before `b` if no count of `a` is greater and one is smaller; if each has a greater
 * one they are concurrent. Equal clocks are called "concurrent" as well, by specification: neither happened first.
 *
 * A clock changes in place and belongs to one holder; `clone` for another. Counts of nodes that left stay until the
 * holder builds a new clock.
 */

import { types } from "node:util";
import { InvalidArgumentError } from "../errors.js";
import { assertName } from "../kernel/validate.js";

/** How one clock relates to another. */
export type ClockOrder = "before" | "after" | "concurrent";

/** The counts of a clock. @throws InvalidArgumentError */
let countsOf: (clock: VectorClock) => ReadonlyMap<string, number>;

/** Counts of events per node. */
export class VectorClock {
  readonly #counts: Map<string, number>;

  /**
   * @param counts Initial counts, copied. Default: none.
   * @throws InvalidArgumentError INVALID_ARGUMENT if that is no map, or a count is no whole number of at least 0.
   */
  constructor(counts?: ReadonlyMap<string, number>) {
    if (counts !== undefined && !types.isMap(counts)) throw new InvalidArgumentError("counts", "a Map", counts);
    for (const [nodeId, count] of counts ?? []) {
      assertName("node id", nodeId);
      if (!Number.isSafeInteger(count) || count < 0) {
        throw new InvalidArgumentError(`count of node "${nodeId}"`, "a whole number of at least 0", count);
      }
    }
    this.#counts = new Map(counts);
  }

  /** Counts one more event of a node. @throws InvalidArgumentError INVALID_ARGUMENT for what is no id */
  increment(nodeId: string): this {
    assertName("node id", nodeId);
    this.#counts.set(nodeId, this.get(nodeId) + 1);
    return this;
  }

  /** The count of a node; 0 if it has none. */
  get(nodeId: string): number {
    return this.#counts.get(nodeId) ?? 0;
  }

  /** Raises each count to the other clock's where that is greater. @throws InvalidArgumentError for what is no clock */
  merge(other: VectorClock): this {
    for (const [nodeId, count] of countsOf(other)) {
      if (count > this.get(nodeId)) this.#counts.set(nodeId, count);
    }
    return this;
  }

  /**
   * Whether this clock is before or after the other; "concurrent" if neither, also when equal.
   *
   * @throws InvalidArgumentError INVALID_ARGUMENT for what is no clock, as all comparisons
   */
  compare(other: VectorClock): ClockOrder {
    const exceeds = exceedsSomewhere(this.#counts, countsOf(other));
    const exceeded = exceedsSomewhere(countsOf(other), this.#counts);
    if (exceeds === exceeded) return "concurrent";
    return exceeds ? "after" : "before";
  }

  /** Whether this clock is before the other. */
  isLessThan(other: VectorClock): boolean {
    return this.compare(other) === "before";
  }

  /** Whether this clock is after the other. */
  isGreaterThan(other: VectorClock): boolean {
    return this.compare(other) === "after";
  }

  /** Whether neither clock is before the other; equal clocks are. */
  isConcurrent(other: VectorClock): boolean {
    return this.compare(other) === "concurrent";
  }

  /** A copy that shares nothing with this clock. */
  clone(): VectorClock {
    return new VectorClock(this.#counts);
  }

  /** Counts by node id, for sending. */
  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /**
   * A clock from what `toJSON` gave.
   *
   * @throws InvalidArgumentError INVALID_ARGUMENT as the constructor.
   */
  static fromJSON(json: Readonly<Record<string, number>>): VectorClock {
    if (typeof json !== "object" || json === null) throw new InvalidArgumentError("vector clock", "an object", json);
    return new VectorClock(new Map(Object.entries(json)));
  }

  /** The counts ordered by node id, as `{a:1, b:2}`. */
  toString(): string {
    const ids = [...this.#counts.keys()].sort();
    return `{${ids.map((id) => `${id}:${this.get(id)}`).join(", ")}}`;
  }

  /** Whether no node has an entry. */
  isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  static {
    countsOf = (clock: VectorClock) => {
      if (typeof clock === "object" && clock !== null && #counts in clock) return clock.#counts;
      throw new InvalidArgumentError("vector clock", "a VectorClock", clock);
    };
  }
}

/** Whether some count is greater than the other clock's. */
function exceedsSomewhere(counts: ReadonlyMap<string, number>, others: ReadonlyMap<string, number>): boolean {
  for (const [nodeId, count] of counts) if (count > (others.get(nodeId) ?? 0)) return true;
  return false;
}
