/**
 * The inbox of a node's transport: what a link hands over is taken in order, and an awake link is asked until it sleeps.
 */

import { expect, test, vi } from "vitest";
import { Inbox } from "../../lib/cluster/inbox.js";
import type { NativeLink, NativeLinkEvent } from "../../lib/kernel/native.js";

const ASK_AGAIN = 0;
const NEWS = 1;
const SLEEP = 2;

/** A message of a frame. */
function message(kind: number, number: number, text: string): Buffer {
  const bytes = Buffer.alloc(9 + text.length);
  bytes.writeUInt32LE(5 + text.length, 0);
  bytes[4] = kind;
  bytes.writeUInt32LE(number, 5);
  bytes.write(text, 9);
  return bytes;
}

/** A link whose portions are given to it. */
class FakeLink {
  readonly portions: Array<{ flags: number; frames: Array<[sender: number, frame: Buffer]> }> = [];
  readonly events: NativeLinkEvent[] = [];
  readonly answers: Array<0 | 1 | 2> = [];
  namesAsked = 0;

  constructor(private readonly prefix = "node") {}

  takeFrames(into: Buffer): number {
    const portion = this.portions.shift();
    let used = 4;
    for (const [sender, frame] of portion?.frames ?? []) {
      if (used + 8 + frame.length > into.length) {
        this.portions.unshift(portion as never);
        return -(12 + frame.length);
      }
      into.writeUInt32LE(sender, used);
      into.writeUInt32LE(frame.length, used + 4);
      frame.copy(into, used + 8);
      used += 8 + frame.length;
    }
    into[0] = portion?.flags ?? 0;
    return used;
  }

  sender(number: number): string {
    this.namesAsked++;
    return `${this.prefix}-${number}`;
  }

  takeEvents(): NativeLinkEvent[] {
    return this.events.splice(0);
  }

  idle(): 0 | 1 | 2 {
    return this.answers.shift() ?? SLEEP;
  }
}

function opened() {
  const link = new FakeLink();
  const seen: Array<string | NativeLinkEvent> = [];
  const inbox = new Inbox(
    (from, kind, number, bytes, start, end) =>
      seen.push(`${from} ${kind} ${number} ${bytes.toString("latin1", start, end)}`),
    (event) => seen.push(event),
  );
  inbox.open(link as unknown as NativeLink);
  return { link, inbox, seen };
}

test("messages are taken in order, with their senders, and then what has happened", () => {
  const { link, inbox, seen } = opened();
  const up: NativeLinkEvent = { kind: "up", node: "node-1", epoch: 1 };
  link.events.push(up);
  const two = Buffer.concat([message(3, 1, "one"), message(0, 2, "two")]);
  const frames: Array<[number, Buffer]> = [
    [1, two],
    [0, message(1, 7, "")],
    [1, message(2, 9, "three")],
  ];
  link.portions.push({ flags: 1, frames });
  inbox.read();
  expect(seen).toEqual(["node-1 3 1 one", "node-1 0 2 two", "node-0 1 7 ", "node-1 2 9 three", up]);
  expect(link.namesAsked, "once per node").toBe(2);
});

test("another link has numbers of its own for the same nodes", () => {
  const { link, inbox, seen } = opened();
  link.portions.push({ flags: 0, frames: [[0, message(3, 1, "")]] });
  inbox.read();
  inbox.close();
  const next = new FakeLink("next");
  inbox.open(next as unknown as NativeLink);
  next.portions.push({ flags: 0, frames: [[0, message(3, 2, "")]] });
  inbox.read();
  expect(seen).toEqual(["node-0 3 1 ", "next-0 3 2 "]);
});

test("who takes a message does not read the next ones over it", () => {
  const link = new FakeLink();
  const seen: string[] = [];
  const inbox: Inbox = new Inbox(
    (_from, _kind, _number, bytes, start, end) => {
      inbox.readAll();
      seen.push(bytes.toString("latin1", start, end));
    },
    () => {},
  );
  inbox.open(link as unknown as NativeLink);
  link.portions.push({ flags: 0, frames: [[0, Buffer.concat([message(3, 0, "first"), message(3, 0, "second")])]] });
  link.portions.push({ flags: 0, frames: [[0, message(3, 0, "third")]] });
  inbox.readAll();
  expect(seen).toEqual(["first", "second", "third"]);
});

test("a frame that is bigger than the buffer is taken all the same", () => {
  const { link, inbox, seen } = opened();
  const text = "x".repeat(1 << 20);
  link.portions.push({ flags: 0, frames: [[0, message(3, 0, text)]] });
  inbox.read();
  expect(seen).toEqual([`node-0 3 0 ${text}`]);
});

test("while the link is awake it is asked in every turn, until it says that it rings again", async () => {
  const { link, inbox, seen } = opened();
  const news = (text: string, flags: number) => ({
    flags,
    frames: [[0, message(3, 0, text)] as [number, Buffer]],
  });
  link.portions.push(news("rung for", 2), news("asked for", 2), news("the last one", 0));
  link.answers.push(ASK_AGAIN, ASK_AGAIN, NEWS, ASK_AGAIN, NEWS);
  inbox.read();
  await vi.waitFor(() => expect(seen).toHaveLength(3));
  expect(seen).toEqual(["node-0 3 0 rung for", "node-0 3 0 asked for", "node-0 3 0 the last one"]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(link.answers).toEqual([]);
});

test("nothing is read any more when it is closed, and nothing is asked", async () => {
  const { link, inbox, seen } = opened();
  link.portions.push({ flags: 2, frames: [] }, { flags: 0, frames: [[0, message(3, 0, "late")]] });
  link.answers.push(NEWS);
  inbox.read();
  inbox.close();
  await new Promise((resolve) => setImmediate(resolve));
  inbox.read();
  expect(seen).toEqual([]);
  expect(link.answers).toEqual([NEWS]);
});

test("all that has arrived can be taken at once, until a portion has no message", () => {
  const { link, inbox, seen } = opened();
  const down: NativeLinkEvent = { kind: "down", node: "node-1", epoch: 1 };
  for (const text of ["one", "two", "three"]) link.portions.push({ flags: 0, frames: [[1, message(3, 0, text)]] });
  link.portions.push({ flags: 1, frames: [] }, { flags: 0, frames: [[1, message(3, 0, "later")]] });
  link.events.push(down);
  inbox.readAll();
  expect(seen).toEqual(["node-1 3 0 one", "node-1 3 0 two", "node-1 3 0 three", down]);
});
