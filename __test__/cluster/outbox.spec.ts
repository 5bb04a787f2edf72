/**
 * The outbox: messages of one turn in one frame, in order, and nothing that was taken is lost.
 */

import { describe, expect, test } from "vitest";
import { FULL, NO_PEER, Outboxes, readFrame } from "../../lib/cluster/outbox.js";
import type { NativeLink } from "../../lib/kernel/native.js";
import { Dice } from "../support/dice.js";
import { printedSeed } from "../support/seed.js";
import { turn } from "../support/time.js";

/** A link that keeps what it is given, up to so many bytes per node. */
class KeptLink {
  readonly frames: Buffer[] = [];
  bytes = 0;

  constructor(public max = Number.POSITIVE_INFINITY) {}

  room(node: string): number {
    return node === "stranger" ? NO_PEER : this.max - this.bytes;
  }

  sendFrame(_node: string, bytes: Uint8Array, end: number): number {
    if (this.bytes + end > this.max) return FULL;
    this.frames.push(Buffer.from(bytes.subarray(0, end)));
    this.bytes += end;
    return this.max - this.bytes;
  }

  send(node: string, message: Uint8Array): number {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    return this.sendFrame(node, Buffer.concat([length, message]), length.length + message.length);
  }

  read(): { kind: number; number: number; payload: string }[] {
    const messages: { kind: number; number: number; payload: string }[] = [];
    for (const frame of this.frames) {
      readFrame(frame, 0, frame.length, (kind, number, from, to) => {
        messages.push({ kind, number, payload: frame.toString("latin1", from, to) });
      });
    }
    return messages;
  }
}

function outboxes(link: KeptLink): Outboxes {
  return new Outboxes(link as unknown as NativeLink);
}

describe("an outbox", () => {
  test("hands everything of a turn over as one frame", async () => {
    const link = new KeptLink();
    const boxes = outboxes(link);
    for (let number = 0; number < 100; number++) expect(boxes.add("b", 3, number, Buffer.from("hello"))).toBe(0);
    expect(link.frames).toHaveLength(0);
    await turn();
    expect(link.frames).toHaveLength(1);
    expect(link.read()).toEqual(Array.from({ length: 100 }, (_, number) => ({ kind: 3, number, payload: "hello" })));
    boxes.add("b", 3, 4_294_967_295, Buffer.from(""));
    await turn();
    expect(link.read().at(-1)).toEqual({ kind: 3, number: 4_294_967_295, payload: "" });
  });

  test("keeps the order of small and big messages", async () => {
    const seed = printedSeed();
    const dice = new Dice(seed);
    const link = new KeptLink();
    const boxes = outboxes(link);
    const sent: string[] = [];
    for (let number = 0; number < 300; number++) {
      const size = dice.pick([0, 1, 100, 5_000, 65_000, 65_527, 65_528, 200_000]);
      sent.push(String.fromCharCode(number % 256).repeat(size));
      expect(boxes.add("b", 1, number, Buffer.from(sent[number] as string, "latin1"))).toBeGreaterThanOrEqual(0);
    }
    await turn();
    expect(link.read().map(({ payload }) => payload)).toEqual(sent);
    for (const frame of link.frames) {
      let count = 0;
      readFrame(frame, 0, frame.length, () => count++);
      expect(count === 1 || frame.length <= 65_536).toBe(true);
    }
  });

  test("refuses what the link has no room for, and loses nothing that it took", async () => {
    const link = new KeptLink(10_000);
    const boxes = outboxes(link);
    const outcomes = Array.from({ length: 200 }, (_, number) => boxes.add("b", 3, number, Buffer.alloc(91)));
    await turn();
    expect(outcomes.filter((outcome) => outcome === 0)).toHaveLength(100);
    expect(new Set(outcomes.slice(100))).toEqual(new Set([FULL]));
    expect(link.read().map(({ number }) => number)).toEqual(Array.from({ length: 100 }, (_, number) => number));
    link.bytes = 0;
    expect(boxes.add("b", 3, 200, Buffer.alloc(91))).toBe(0);
    await turn();
    expect(link.read().at(-1)?.number).toBe(200);
  });

  test("says that there is no such peer", () => {
    expect(outboxes(new KeptLink()).add("stranger", 3, 0, Buffer.from("hello"))).toBe(NO_PEER);
  });

  test("hands over what it has for a node that is forgotten", () => {
    const link = new KeptLink();
    const boxes = outboxes(link);
    boxes.add("b", 3, 7, Buffer.from("goodbye"));
    boxes.forget("b");
    expect(link.read()).toEqual([{ kind: 3, number: 7, payload: "goodbye" }]);
  });
});

test("what is too short is passed over, and what is cut off ends a frame", () => {
  const seen: number[] = [];
  const take = (_kind: number, number: number): void => void seen.push(number);
  const good = Buffer.from([6, 0, 0, 0, 3, 9, 0, 0, 0, 1]);
  const read = (frame: Buffer) => readFrame(frame, 0, frame.length, take);
  read(Buffer.concat([good, good.subarray(0, 9)]));
  read(Buffer.concat([good, Buffer.from([4, 0, 0, 0, 1, 1, 1, 1]), Buffer.alloc(4), good]));
  read(Buffer.concat([good, Buffer.from([255, 255, 255, 255, 1, 1, 1, 1, 1, 1])]));
  read(Buffer.alloc(3));
  expect(seen).toEqual([9, 9, 9, 9]);
});
