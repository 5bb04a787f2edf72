/**
 * Who has lost whom: what a tag means to the node that hears it.
 */

import { describe, expect, it } from "vitest";
import { Losses, type LossTag } from "../../lib/stdlib/remote/losses.js";

const ALIVE = [100, 200] as const;

/** Two nodes that have heard of each other. */
function pair(): [Losses, Losses] {
  const [a, b] = [new Losses(ALIVE[0]), new Losses(ALIVE[1])];
  expect([a.hear("b", b.tagFor("a")), b.hear("a", a.tagFor("b"))]).toEqual(["known", "known"]);
  return [a, b];
}

describe("what a node says to one that it had lost", () => {
  it("is news once, for the one that has lost nobody", () => {
    const [a, b] = pair();
    a.lose("b");
    const tag = a.tagFor("b");
    expect(tag).toEqual([100, 1, 0, 200]);
    expect([b.hear("a", tag), b.hear("a", tag), b.hear("a", [100])]).toEqual(["lost", "known", "known"]);
    expect(a.hear("b", b.tagFor("a"))).toBe("known");
  });

  it("is no loss for one that has lost it as well, whoever speaks first", () => {
    for (const bHearsFirst of [true, false]) {
      const [a, b] = pair();
      a.lose("b");
      b.lose("a");
      const [fromA, fromB] = [a.tagFor("b"), b.tagFor("a")];
      if (bHearsFirst) expect([b.hear("a", fromA), a.hear("b", fromB)]).toEqual(["both", "both"]);
      else expect([a.hear("b", fromB), b.hear("a", fromA)]).toEqual(["both", "both"]);
      // The next one is a loss of its own.
      a.lose("b");
      expect(b.hear("a", a.tagFor("b"))).toBe("lost");
    }
  });

  it("is a loss for one that is lost after it has spoken of its own loss", () => {
    const [a, b] = pair();
    a.lose("b");
    expect(b.hear("a", a.tagFor("b"))).toBe("lost");
    b.lose("a");
    expect(b.isOneSided("a")).toBe(true);
    expect(a.hear("b", b.tagFor("a"))).toBe("lost");
  });

  it("is no loss if it comes when the receiver has lost the sender meanwhile", () => {
    const [a, b] = pair();
    a.lose("b");
    b.lose("a");
    expect(b.hear("a", a.tagFor("b"))).toBe("both");
    expect(b.isOneSided("a")).toBe(false);
    // Said later than it happened: what counts is what was known when it was lost.
    expect(b.tagFor("a")).toEqual([200, 1, 0, 100]);
    expect(a.hear("b", b.tagFor("a"))).toBe("both");
  });

  it("counts several losses as one that nobody has told of", () => {
    const [a, b] = pair();
    a.lose("b");
    a.lose("b");
    expect([b.hear("a", a.tagFor("b")), b.hear("a", [100, 1, 0, 200])]).toEqual(["lost", "known"]);
  });
});

describe("lives", () => {
  it("of the receiver: what an earlier one was told changes nothing", () => {
    const [a] = pair();
    a.lose("b");
    const next = new Losses(300);
    expect(next.hear("a", a.tagFor("b"))).toBe("known");
    a.saw("b", 300);
    expect(a.tagFor("b")).toEqual([100]);
    a.lose("b");
    expect(next.hear("a", a.tagFor("b"))).toBe("lost");
  });

  it("of the sender: an earlier one is not heard any more", () => {
    const [a, b] = pair();
    a.lose("b");
    b.saw("a", 150);
    expect(b.hear("a", a.tagFor("b"))).toBe("known");
    const next = new Losses(150);
    next.saw("b", 200);
    next.lose("b");
    expect(b.hear("a", next.tagFor("b"))).toBe("lost");
  });

  it("that are unknown: a stranger has nothing to lose, an acquaintance has", () => {
    const a = new Losses(100);
    a.lose("b");
    expect(a.tagFor("b")).toEqual([100, 1, 0, null]);
    const stranger = new Losses(200);
    expect([stranger.hear("a", a.tagFor("b")), stranger.hear("a", a.tagFor("b"))]).toEqual(["known", "known"]);
    const acquaintance = new Losses(200);
    acquaintance.saw("a", 100);
    expect(acquaintance.hear("a", a.tagFor("b"))).toBe("lost");
  });
});

it.each([
  [undefined],
  [null],
  ["lost"],
  [[]],
  [[100, 1]],
  [[100, 1, 0, "200"]],
  [[null, 1, 0, 200]],
  [[100, -1, 0, 200]],
  [[100, Number.NaN, 0, 200]],
])("%j is no tag and says nothing", (tag) => {
  const [, b] = pair();
  expect(b.hear("a", tag as unknown as LossTag)).toBe("known");
  expect(b.hear("a", [100, 1, 0, 200])).toBe("lost");
});

it("of nodes that come and go for ever the last ones are remembered", () => {
  const a = new Losses(100);
  for (let n = 0; n < 5_000; n++) a.lose(`node-${n}`);
  expect([a.countOf("node-0"), a.countOf("node-903"), a.countOf("node-904"), a.countOf("node-4999")]).toEqual([
    0, 0, 1, 1,
  ]);
});

describe("a node whose clock was set back", () => {
  it("is heard when its life before was lost", () => {
    const [a, b] = pair();
    a.lose("b");
    const next = new Losses(ALIVE[1] - 50);
    expect(a.hear("b", next.tagFor("a"))).toBe("known");
    next.hear("a", a.tagFor("b"));
    next.lose("a");
    expect(a.hear("b", next.tagFor("a"))).toBe("lost");
    expect(a.hear("b", b.tagFor("a"))).toBe("known");
  });

  it("is not heard while a later life is there", () => {
    const [a] = pair();
    const before = new Losses(ALIVE[1] - 50);
    before.hear("a", a.tagFor("b"));
    before.lose("a");
    expect(a.hear("b", before.tagFor("a"))).toBe("known");
    expect(a.lifeOf("b")).toBe(ALIVE[1]);
  });
});
