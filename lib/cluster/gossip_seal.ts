/**
 * The seal of a gossip message: a nonce, and an HMAC-SHA256 over everything else.
 *
 * What is authenticated is the message's canonical form: the JSON of all its fields but `hmac`, nonce included, with the
 * keys of every object in order. Two messages that JSON tells apart have two forms, and a message has the same form
 * before and after its way through JSON. The form is prefixed, so that nothing else that is sealed with the same key
 * (the datagrams of native membership) can pass for it.
 *
 * Replay: the nonces of accepted messages are remembered for a time, and a bounded number of them. A copy that comes
 * later than that, or after so many others, is taken for a new message. A message with a wrong seal leaves no trace.
 */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { InvalidArgumentError } from "../errors.js";

const CONTEXT = "libeam gossip message 1\n";
const NONCE_BYTES = 16;
const NONCE = /^[0-9a-f]{32}$/;
const HMAC = /^[0-9a-f]{64}$/;

/** What sealing adds. */
export interface GossipSeal {
  /** Occurs once: 32 hexadecimal digits. */
  nonce: string;
  /** 64 hexadecimal digits. */
  hmac: string;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** JSON with the keys of every object in order; no object is built, so that a key may be named "__proto__". */
function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key]!)}`).join(",")}}`;
}

function macOf(key: Buffer, message: object): Buffer {
  const { hmac: _, ...covered } = message as Partial<GossipSeal>;
  const json: Json = JSON.parse(JSON.stringify(covered));
  return createHmac("sha256", key).update(CONTEXT).update(canonical(json)).digest();
}

/**
 * A copy of a message with a fresh seal.
 *
 * @throws InvalidArgumentError for what JSON cannot carry
 */
export function seal<M extends object>(key: Buffer, message: M): M & GossipSeal {
  const isObject = typeof message === "object" && message !== null && !Array.isArray(message);
  if (!isObject) throw new InvalidArgumentError("gossip message", "an object", message);
  const named = { ...message, nonce: randomBytes(NONCE_BYTES).toString("hex") };
  let mac: Buffer;
  try {
    mac = macOf(key, named);
  } catch {
    throw new InvalidArgumentError("gossip message", "what JSON can carry, without cycles", message);
  }
  return { ...named, hmac: mac.toString("hex") };
}

/** Whether a message was sealed with this key and is unchanged since. Never throws: anybody can send anything. */
export function isSealedWith(key: Buffer, message: unknown): message is GossipSeal {
  try {
    const { nonce, hmac } = message as Partial<GossipSeal>;
    if (typeof nonce !== "string" || !NONCE.test(nonce)) return false;
    if (typeof hmac !== "string" || !HMAC.test(hmac)) return false;
    return timingSafeEqual(Buffer.from(hmac, "hex"), macOf(key, message as object));
  } catch {
    return false;
  }
}

/** Nonces that were accepted, the oldest first. */
export class NonceCache {
  readonly #seenAt = new Map<string, number>();
  readonly #ttlMs: number;
  readonly #max: number;

  constructor(ttlMs: number, max: number) {
    this.#ttlMs = ttlMs;
    this.#max = max;
  }

  /** Notes a nonce; false if it is already known. */
  admit(nonce: string): boolean {
    // The monotonic clock: setting the host's clock must not open a window for replays.
    const now = performance.now();
    for (const [old, seenAt] of this.#seenAt) {
      if (now - seenAt < this.#ttlMs) break;
      this.#seenAt.delete(old);
    }
    if (this.#seenAt.has(nonce)) return false;
    this.#seenAt.set(nonce, now);
    if (this.#seenAt.size > this.#max) this.#seenAt.delete(this.#seenAt.keys().next().value as string);
    return true;
  }
}
