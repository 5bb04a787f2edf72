/**
 * VectorClock: counting, order, merge, JSON, and the laws of merge and order on random clocks.
 */

import { describe, expect, it } from "vitest";
import { VectorClock } from "../../lib/cluster/vector_clock.js";
import { InvalidArgumentError } from "../../lib/errors.js";
import { Dice } from "../support/dice.js";
import { printedSeed } from "../support/seed.js";

const clock = (counts: Record<string, number>): VectorClock => VectorClock.fromJSON(counts);

describe("counting", () => {
  it("starts at 0 and increments one node", () => {
    const a = new VectorClock();
    expect([a.get("n1"), a.isEmpty()]).toEqual([0, true]);
    a.increment("n1").increment("n1").increment("n2");
    expect([a.get("n1"), a.get("n2"), a.get("n3"), a.isEmpty()]).toEqual([2, 1, 0, false]);
  });

  it("copies what it is built from", () => {
    const counts = new Map([["n1", 1]]);
    const a = new VectorClock(counts);
    counts.set("n1", 5);
    expect(a.get("n1")).toBe(1);
  });

  it("clones deeply", () => {
    const a = clock({ n1: 1 });
    const b = a.clone();
    b.increment("n1");
    expect([a.get("n1"), b.get("n1")]).toEqual([1, 2]);
  });
});

describe("compare", () => {
  it.each([
    [{ n1: 1 }, { n1: 2 }, "before"],
    [{}, { n1: 1 }, "before"],
    [{ n1: 1 }, { n1: 1, n2: 1 }, "before"],
    [{ n1: 2, n2: 1 }, { n1: 1, n2: 1 }, "after"],
    [{ n1: 2 }, { n2: 1 }, "concurrent"],
    [{ n1: 2, n2: 1 }, { n1: 1, n2: 2 }, "concurrent"],
    [{ n1: 1 }, { n1: 1 }, "concurrent"],
    [{}, {}, "concurrent"],
    [{ n1: 0 }, {}, "concurrent"],
  ])("%j with %j is %s", (left, right, expected) => {
    const a = clock(left);
    const b = clock(right);
    expect(a.compare(b)).toBe(expected);
    expect([a.isLessThan(b), a.isGreaterThan(b), a.isConcurrent(b)]).toEqual([
      expected === "before",
      expected === "after",
      expected === "concurrent",
    ]);
  });
});

describe("merge", () => {
  it("takes the greater count of each node and leaves the other clock alone", () => {
    const a = clock({ n1: 2, n2: 1 });
    const b = clock({ n2: 3, n3: 1 });
    expect(a.merge(b)).toBe(a);
    expect(a.toJSON()).toEqual({ n1: 2, n2: 3, n3: 1 });
    expect(b.toJSON()).toEqual({ n2: 3, n3: 1 });
  });

  it("on random clocks is commutative and idempotent, and never goes back", () => {
    const seed = printedSeed();
    const dice = new Dice(seed);
    const randomClock = () =>
      clock(Object.fromEntries(Array.from({ length: dice.below(4) }, () => [`n${dice.below(4)}`, dice.below(3)])));
    for (let round = 0; round < 500; round += 1) {
      const [a, b] = [randomClock(), randomClock()];
      const at = `LIBEAM_SEED=${seed}: ${a} with ${b}`;
      const merged = a.clone().merge(b);
      expect(merged.toString(), at).toBe(
        clock({ ...merged.toJSON() })
          .merge(a)
          .merge(b)
          .toString(),
      );
      for (const node of ["n0", "n1", "n2", "n3"]) {
        expect(merged.get(node), at).toBe(Math.max(a.get(node), b.get(node)));
        expect(b.clone().merge(a).get(node), at).toBe(merged.get(node));
      }
      expect(merged.isLessThan(a) || merged.isLessThan(b), at).toBe(false);
      const opposite = { before: "after", after: "before", concurrent: "concurrent" }[a.compare(b)];
      expect(b.compare(a), at).toBe(opposite);
    }
  });
});

describe("as text", () => {
  it("goes through JSON unchanged, whatever the node is called", () => {
    const a = new VectorClock().increment("n1").increment("__proto__").increment("n1");
    const b = VectorClock.fromJSON(JSON.parse(JSON.stringify(a)));
    expect([b.get("n1"), b.get("__proto__")]).toEqual([2, 1]);
    expect(({} as Record<string, unknown>).n1).toBeUndefined();
  });

  it.each([{ n1: -1 }, { n1: 1.5 }, { n1: "1" }, { n1: Number.NaN }, null, 5])("is not read from %j", (json) => {
    expect(() => VectorClock.fromJSON(json as never)).toThrow(InvalidArgumentError);
  });

  it("prints the nodes in order", () => {
    expect(clock({ node2: 1, node1: 2 }).toString()).toBe("{node1:2, node2:1}");
    expect(new VectorClock().toString()).toBe("{}");
  });
});
