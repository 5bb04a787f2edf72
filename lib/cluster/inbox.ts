/**
 * What other nodes have said, as the link hands it over: frames in one buffer that is used again and again, and events.
 *
 * Messages are read where they lie, so whoever takes one has to decode it before it returns. While quick messages come and go,
 * the link is asked in every turn of the loop, which does not sleep meanwhile, and the link does not ring
 * (crates/libeam-net/src/link/eagerness.rs).
 */

import type { NativeLink, NativeLinkEvent } from "../kernel/native.js";
import { readFrame } from "./outbox.js";

/** As much as the link hands over at once, and one more frame of the usual size. */
const BUFFER_BYTES = 160 << 10;
/** Portions that are taken before other news; as much as a link holds, and bounded all the same. */
const PORTIONS_MAX = 1_024;
const FLAGS_BYTES = 4;
const FRAME_HEADER_BYTES = 8;
/** Flags. */
const EVENTS = 1;
const AWAKE = 2;
/** What an awake link says. */
const ASK_AGAIN = 0;
const NEWS = 1;

/** Kept, since tests may replace the global one by a fake that nobody turns. */
const nextTurn = setImmediate;

/** Takes a message, which is the bytes from `start` to `end`; they are overwritten later. */
export type TakeMessage = (
  from: string,
  kind: number,
  number: number,
  bytes: Buffer,
  start: number,
  end: number,
) => void;

/** See the module's header. */
export class Inbox {
  private readonly buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  /** Nodes by the numbers that the link has for them. */
  private readonly senders: string[] = [];
  private link: NativeLink | undefined;
  private awake = false;
  /** A portion is read, which is in the buffer until that is over. */
  private reading = false;
  private readonly look = (): void => {
    const answer = this.link?.idle();
    if (answer === ASK_AGAIN) {
      nextTurn(this.look);
      return;
    }
    this.awake = false;
    if (answer === NEWS) this.read();
  };

  constructor(
    private readonly takeMessage: TakeMessage,
    private readonly takeEvent: (event: NativeLinkEvent) => void,
  ) {}

  /** Reads from a link from now on; its bell has to call `read`. Another link has numbers of its own. */
  open(link: NativeLink): void {
    this.senders.length = 0;
    this.link = link;
  }

  /** Reads nothing more. */
  close(): void {
    this.link = undefined;
  }

  /** Takes what there is by now, PORTIONS_MAX portions at most. */
  readAll(): void {
    for (let portions = 0; portions < PORTIONS_MAX && this.read(); portions++);
  }

  /**
   * Takes what there is; at most a portion of it, and the link's bell rings again. Tells whether there was a message. Does
   * nothing while a message is being taken.
   */
  read(): boolean {
    const { link } = this;
    if (link === undefined || this.reading) return false;
    this.reading = true;
    try {
      return this.readPortion(link);
    } finally {
      this.reading = false;
    }
  }

  private readPortion(link: NativeLink): boolean {
    let { buffer } = this;
    let used = link.takeFrames(buffer);
    if (used < 0) {
      buffer = Buffer.allocUnsafeSlow(-used);
      used = link.takeFrames(buffer);
    }
    const flags = buffer[0] as number;
    if ((flags & AWAKE) !== 0 && !this.awake) {
      this.awake = true;
      nextTurn(this.look);
    }
    let at = FLAGS_BYTES;
    while (at < used) {
      const from = this.sender(buffer.readUInt32LE(at), link);
      const start = at + FRAME_HEADER_BYTES;
      at = start + buffer.readUInt32LE(at + 4);
      readFrame(buffer, start, at, (kind, number, start, end) =>
        this.takeMessage(from, kind, number, buffer, start, end),
      );
    }
    if ((flags & EVENTS) !== 0) for (const event of link.takeEvents()) this.takeEvent(event);
    return used > FLAGS_BYTES;
  }

  private sender(number: number, link: NativeLink): string {
    let name = this.senders[number];
    if (name === undefined) {
      name = link.sender(number);
      this.senders[number] = name;
    }
    return name;
  }
}
