/**
 * BoundedMailbox: overflow strategies, order at both ends, and random operations against a plain array.
 */

import { afterEach, describe, expect, it, vi } from "vitest";
import { InvalidOptionError, MailboxFullError } from "../../lib/errors.js";
import { BoundedMailbox } from "../../lib/stdlib/bounded_mailbox.js";

afterEach(() => {
  vi.restoreAllMocks();
});

function filled(count: number, config?: ConstructorParameters<typeof BoundedMailbox>[0]): BoundedMailbox<number> {
  const mailbox = new BoundedMailbox<number>(config);
  for (let i = 0; i < count; i += 1) mailbox.enqueue(i);
  return mailbox;
}

describe("without bound", () => {
  it.each([undefined, {}, { maxSize: Number.POSITIVE_INFINITY }])(
    "configured by %j takes everything in order",
    (config) => {
      const mailbox = filled(1_000, config);
      expect([mailbox.length, mailbox.capacity, mailbox.isFull, mailbox.dropped]).toEqual([1_000, undefined, false, 0]);
      expect(Array.from({ length: 1_001 }, () => mailbox.dequeue())).toEqual([...Array(1_000).keys(), undefined]);
      expect(mailbox.length).toBe(0);
    },
  );
});

describe("with a bound", () => {
  it("drops the newest by default", () => {
    const mailbox = filled(2, { maxSize: 2 });
    expect([mailbox.isFull, mailbox.capacity]).toEqual([true, 2]);
    expect(mailbox.enqueue(9)).toBe(false);
    expect([mailbox.toArray(), mailbox.dropped]).toEqual([[0, 1], 1]);
    mailbox.dequeue();
    expect(mailbox.isFull).toBe(false);
    expect(mailbox.enqueue(2)).toBe(true);
    expect(mailbox.toArray()).toEqual([1, 2]);
  });

  it("drops the oldest when told to", () => {
    const mailbox = filled(5, { maxSize: 2, overflowStrategy: "drop-oldest" });
    expect(mailbox.enqueue(5)).toBe(true);
    expect([mailbox.toArray(), mailbox.dropped, mailbox.length]).toEqual([[4, 5], 4, 2]);
  });

  it("throws when told to, and stays as it was", () => {
    const mailbox = filled(2, { maxSize: 2, overflowStrategy: "error" });
    expect(() => mailbox.enqueue(9)).toThrow(MailboxFullError);
    expect(() => mailbox.enqueue(9)).toThrow("Mailbox is full");
    expect([mailbox.toArray(), mailbox.dropped]).toEqual([[0, 1], 2]);
  });

  it("rejects an evicted call and stops its timer, but touches no evicted cast", () => {
    const cleared = vi.spyOn(globalThis, "clearTimeout");
    const mailbox = new BoundedMailbox({ maxSize: 1, overflowStrategy: "drop-oldest" });
    const reject = vi.fn();
    const timer = { of: "this call" };
    mailbox.enqueue({ type: "call", message: "a", resolve: () => {}, reject, timer });
    expect(mailbox.enqueue({ type: "cast", message: "b", reject })).toBe(true);
    expect(reject.mock.calls).toEqual([[expect.any(MailboxFullError)]]);
    expect(cleared.mock.calls).toEqual([[timer]]);
    mailbox.enqueue({ type: "cast", message: "c" });
    expect(reject).toHaveBeenCalledTimes(1);
    expect(mailbox.dequeue()).toEqual({ type: "cast", message: "c" });
  });

  it("is already consistent when an evicted call is told", () => {
    const mailbox = new BoundedMailbox({ maxSize: 1, overflowStrategy: "drop-oldest" });
    let seen: unknown;
    mailbox.enqueue({ type: "call", reject: () => (seen = mailbox.toArray()) });
    mailbox.enqueue("next");
    expect(seen).toEqual(["next"]);
  });

  it.each([0, -1, 1.5, Number.NaN, "3"])("cannot be %s", (maxSize) => {
    expect(() => new BoundedMailbox({ maxSize: maxSize as number })).toThrow(InvalidOptionError);
  });
});

describe("putting back", () => {
  it("unshift keeps the given order in front and ignores the bound", () => {
    const mailbox = filled(2, { maxSize: 2 });
    mailbox.unshift(7, 8, 9);
    expect([mailbox.toArray(), mailbox.length, mailbox.isFull, mailbox.dropped]).toEqual([[7, 8, 9, 0, 1], 5, true, 0]);
    expect(mailbox.enqueue(3)).toBe(false);
  });

  it("replaceWith takes any number of messages, even its own", () => {
    const mailbox = filled(2, { maxSize: 2 });
    mailbox.replaceWith([5, 6, 7]);
    expect(mailbox.toArray()).toEqual([5, 6, 7]);
    mailbox.replaceWith(mailbox);
    expect(mailbox.toArray()).toEqual([5, 6, 7]);
  });
});

describe("taking out", () => {
  it("drain gives everything and empties, clear only empties", () => {
    const mailbox = filled(40);
    expect(mailbox.drain()).toEqual([...Array(40).keys()]);
    expect([mailbox.length, mailbox.dequeue(), mailbox.drain()]).toEqual([0, undefined, []]);
    mailbox.enqueue(1);
    mailbox.clear();
    expect([mailbox.length, mailbox.toArray(), mailbox.dropped]).toEqual([0, [], 0]);
  });

  it("iteration sees the messages of its start", () => {
    const mailbox = filled(3);
    const seen: number[] = [];
    for (const message of mailbox) {
      seen.push(message);
      mailbox.dequeue();
      mailbox.enqueue(9);
    }
    expect(seen).toEqual([0, 1, 2]);
    expect([...mailbox]).toEqual([9, 9, 9]);
  });

  it("carries undefined as a message", () => {
    const mailbox = new BoundedMailbox();
    mailbox.enqueue(undefined);
    expect(mailbox.length).toBe(1);
    expect([mailbox.dequeue(), mailbox.length]).toEqual([undefined, 0]);
  });
});

describe("random operations", () => {
  /** Mulberry32: small, seedable. */
  function randomOf(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
    };
  }

  it("behave as on a plain array", () => {
    const seed = Date.now() | 0;
    const random = randomOf(seed);
    const mailbox = new BoundedMailbox<number>({ maxSize: 50, overflowStrategy: "drop-oldest" });
    let model: number[] = [];
    for (let step = 0; step < 5_000; step += 1) {
      const at = `seed ${seed}, step ${step}`;
      const operation = random(100);
      if (operation < 48) {
        if (model.length >= 50) model.shift();
        model.push(step);
        mailbox.enqueue(step);
      } else if (operation < 90) {
        expect(mailbox.dequeue(), at).toBe(model.shift());
      } else if (operation < 98) {
        const batch = Array.from({ length: random(30) }, (_, i) => -step - i);
        model.unshift(...batch);
        mailbox.unshift(...batch);
      } else {
        expect(mailbox.drain(), at).toEqual(model);
        model = [];
      }
      expect(mailbox.length, at).toBe(model.length);
      if (step % 16 === 0) expect(mailbox.toArray(), at).toEqual(model);
    }
  });
});
