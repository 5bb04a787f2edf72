/**
 * Values as bytes and back, for messages between nodes (MessagePack, by msgpackr).
 *
 * Keeps what structured clone keeps: Map, Set, Date, BigInt, undefined, NaN, −0, typed arrays, Buffer, RegExp, wrappers of
 * primitives, cycles and repeated references, fields of any name; of whatever realm they are. Beyond that: errors with what
 * they hold (error_values.ts), and refs to actors, which work where they arrive. Objects of other classes come as plain ones, or as what their `toJSON`
 * says. Functions and symbols cannot be sent: encoding throws.
 *
 * Decoding runs no code of the message's. Bytes that make no sense throw TransportError; what an authenticated node may
 * send is bounded by the frame that brought it.
 *
 * Extensions are per process in msgpackr: those of this file, error_values.ts and substitutes.ts are taken for every user of
 * it. Its native part, which reads strings, is an optional package that npm brings where there is one for the platform; without it
 * decoding takes two to three times as long.
 */

import { addExtension, Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from "msgpackr";
import { TransportError } from "../errors.js";
import { ActorId } from "../kernel/actor_id.js";
import { ActorRef } from "../kernel/actor_ref.js";
import "./error_values.js";
import { needsSubstitute, withSubstitutes } from "./substitutes.js";

const EXT_REF = 72;

/** Makes refs out of ids. */
export type MakeRef = (id: ActorId) => ActorRef;

/** The maker of refs for the value that is being decoded; decoding is synchronous. */
let makeRef: MakeRef | undefined;

addExtension({
  Class: ActorRef as any,
  type: EXT_REF,
  write: ({ id }: ActorRef) => [id.systemId, id.id, id.name] as any,
  read: ([systemId, id, name]: [string, string, string | undefined]) => {
    const actor = new ActorId(systemId, id, name ?? undefined);
    return makeRef === undefined ? actor : makeRef(actor);
  },
});

/** @param structuredClone remembers all objects of a value, for those that are in it more than once. */
function makePackr(structuredClone: boolean): Packr {
  // Bytes are copied out: a small value must not keep the frame alive that brought it.
  return Object.assign(new Packr({ structuredClone, moreTypes: true, copyBuffers: true }), {
    writeFunction(): never {
      throw new TypeError("a function cannot leave its process");
    },
  });
}

/** Arrays within each other in a plain value; a cycle has more. */
const PLAIN_DEPTH_MAX = 8;

/**
 * Whether a value is made of strings, numbers and the like and of arrays, each of which has one other at most: so no object
 * is in it twice. Nor is anything that needs a substitute. Most messages are.
 */
function isPlain(value: unknown, depth = PLAIN_DEPTH_MAX): boolean {
  if (typeof value !== "object" || value === null) return !needsSubstitute(value);
  if (depth === 0 || !Array.isArray(value)) return false;
  let arrays = 0;
  for (let i = 0; i < value.length; i++) {
    const member = value[i];
    if (typeof member !== "object" || member === null) {
      if (needsSubstitute(member)) return false;
    } else if (++arrays > 1 || !isPlain(member, depth - 1)) {
      return false;
    }
  }
  return true;
}

/** Encodes and decodes the messages of one node. */
export class Codec {
  private readonly packr = makePackr(true);
  /** For values that are plain. Perf: to encode a small message with a memory for objects costs a fourth more ("remote cast"). */
  private readonly plainPackr = makePackr(false);

  private readonly range = { start: 0, end: 0 };
  /** Bounds of what was encoded last. */
  start = 0;
  end = 0;

  constructor(
    /** Makes refs of ids in messages; without it ids stay ids. */
    public makeRef?: MakeRef,
  ) {}

  /** A value as bytes. @throws TransportError if it cannot be sent */
  encode(value: unknown): Buffer {
    const bytes = this.encodeShared(value);
    return Buffer.from(bytes.subarray(this.start, this.end));
  }

  /**
   * A value as the bytes from `start` to `end` of a buffer that the next value will overwrite.
   *
   * Perf: neither a buffer nor a view of one for each message ("cast").
   *
   * @throws TransportError if it cannot be sent
   */
  encodeShared(value: unknown): Buffer {
    try {
      const plain = isPlain(value);
      const bytes: Buffer & { start?: number; end?: number } = (plain ? this.plainPackr : this.packr).pack(
        plain ? value : withSubstitutes(value),
        REUSE_BUFFER_MODE | RESET_BUFFER_MODE,
      );
      // A value with repeated references comes in a buffer of its own, which has no bounds.
      this.start = bytes.start ?? 0;
      this.end = bytes.end ?? bytes.length;
      return bytes;
    } catch (error) {
      throw new TransportError(
        `A message cannot be sent to another node: ${(error as Error).message}`,
        undefined,
        error,
        "unsendable",
      );
    }
  }

  /** Bytes as a value. @throws TransportError if they make no sense */
  decode(bytes: Uint8Array, start = 0, end = bytes.length): any {
    makeRef = this.makeRef;
    this.range.start = start;
    this.range.end = end;
    try {
      return this.packr.unpack(bytes, this.range);
    } catch (error) {
      throw new TransportError(
        `A message of another node cannot be read: ${(error as Error).message}`,
        undefined,
        error,
      );
    } finally {
      makeRef = undefined;
    }
  }
}
