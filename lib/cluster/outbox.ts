/**
 * What is said to one node within one turn of the event loop, as one frame.
 *
 * A call into the addon costs about as much as encoding a message. So messages are put side by side here, each behind its
 * length, and handed over when the turn's callbacks and promises have run, or when BATCH_BYTES are full.
 *
 * Bounded by the queue of the link: a message that would not fit is refused before it is written, so that nothing that was
 * taken is lost later. Bigger messages go to the link by themselves, behind what was written before.
 */

import type { NativeLink } from "../kernel/native.js";

/** Bytes of a frame; the link's own batches have as many. */
const BATCH_BYTES = 64 << 10;
const LENGTH_BYTES = 4;
/** Kind and number of a message. */
const HEADER_BYTES = 5;

/** What the link says, beside how much room there is. */
export const FULL = -1;
export const NO_PEER = -2;

/** What is written for one node. */
class Outbox {
  frame: Buffer | undefined;
  used = 0;
  /** Bytes that the link has room for, at least. Negative: nobody has asked. */
  room = NO_PEER;

  constructor(readonly node: string) {}
}

/** See the module's header. */
export class Outboxes {
  private readonly boxes = new Map<string, Outbox>();
  /** Those with something to hand over. */
  private readonly filled: Outbox[] = [];
  private spare: Buffer | undefined;
  private scheduled = false;
  private readonly flushSoon = (): void => {
    this.scheduled = false;
    this.flush();
  };

  constructor(private readonly link: NativeLink) {}

  /** Adds a message with a part of `bytes`; negative if it was refused. */
  add(node: string, kind: number, number: number, bytes: Buffer, start = 0, end = bytes.length): number {
    const box = this.boxOf(node);
    const size = LENGTH_BYTES + HEADER_BYTES + end - start;
    if (size > BATCH_BYTES) return this.sendAlone(box, kind, number, bytes.subarray(start, end));
    if (box.used + size > BATCH_BYTES) this.handOver(box);
    if (box.used + size > box.room) {
      this.handOver(box);
      box.room = this.link.room(node);
      if (size > box.room) return box.room < 0 ? NO_PEER : FULL;
    }
    this.open(box);
    const { frame, used } = box;
    frame.writeUInt32LE(HEADER_BYTES + end - start, used);
    writeHeader(frame, used + LENGTH_BYTES, kind, number);
    bytes.copy(frame, used + LENGTH_BYTES + HEADER_BYTES, start, end);
    box.used = used + size;
    return 0;
  }

  /** Hands over everything that was added. */
  flush(): void {
    for (const box of this.filled) this.handOver(box);
    this.filled.length = 0;
  }

  /** Forgets a node, and hands over what was added for it. */
  forget(node: string): void {
    const box = this.boxes.get(node);
    if (box !== undefined) this.handOver(box);
    this.boxes.delete(node);
  }

  private boxOf(node: string): Outbox {
    let box = this.boxes.get(node);
    if (box === undefined) {
      box = new Outbox(node);
      this.boxes.set(node, box);
    }
    return box;
  }

  /** Sees to a frame to write into, and to its end. */
  private open(box: Outbox): asserts box is Outbox & { frame: Buffer } {
    if (box.frame === undefined) {
      box.frame = this.spare ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
      this.spare = undefined;
      this.filled.push(box);
    }
    if (this.scheduled) return;
    this.scheduled = true;
    process.nextTick(this.flushSoon);
  }

  private handOver(box: Outbox): void {
    if (box.frame === undefined) return;
    box.room = this.link.sendFrame(box.node, box.frame, box.used);
    this.spare ??= box.frame;
    box.frame = undefined;
    box.used = 0;
  }

  private sendAlone(box: Outbox, kind: number, number: number, payload: Buffer): number {
    this.handOver(box);
    const message = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
    writeHeader(message, 0, kind, number);
    message.set(payload, HEADER_BYTES);
    const outcome = this.link.send(box.node, message);
    if (outcome >= 0) box.room = outcome;
    return outcome;
  }
}

function writeHeader(bytes: Buffer, at: number, kind: number, number: number): void {
  bytes[at] = kind;
  bytes.writeUInt32LE(number, at + 1);
}

/**
 * Reads the messages of a frame, which is the bytes from `start` to `end`. What is too short to be one is passed over, and
 * what is cut off ends it.
 */
export function readFrame(
  bytes: Buffer,
  start: number,
  end: number,
  take: (kind: number, number: number, from: number, to: number) => void,
): void {
  let at = start;
  while (at + LENGTH_BYTES <= end) {
    const from = at + LENGTH_BYTES;
    const to = from + bytes.readUInt32LE(at);
    if (to > end) return;
    if (to >= from + HEADER_BYTES) {
      take(bytes[from] as number, bytes.readUInt32LE(from + 1), from + HEADER_BYTES, to);
    }
    at = to;
  }
}
