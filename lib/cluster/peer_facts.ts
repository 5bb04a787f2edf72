/**
 * What a node says about itself to the others: roles, the address of its transport, small facts. Gossip carries it as
 * opaque bytes; here they are made and read.
 *
 * JSON with one letter per field, at most FACTS_BYTES_MAX bytes. What another node sends is data of a stranger: a field of
 * the wrong type is left out, and bytes that are no JSON are a node without facts.
 */

import { InvalidOptionError } from "../errors.js";

/** Bytes that a node may say about itself. */
export const FACTS_BYTES_MAX = 512;

/** See the module's header. */
export interface PeerFacts {
  /** Where its transport listens. */
  address: string;
  roles: readonly string[];
  metadata: Readonly<Record<string, string>>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Facts as bytes. @throws InvalidOptionError if they are too long */
export function encodeFacts({ address, roles, metadata }: PeerFacts): Uint8Array {
  const facts: Record<string, unknown> = { a: address };
  if (roles.length > 0) facts.r = roles;
  if (Object.keys(metadata).length > 0) facts.m = metadata;
  const bytes = encoder.encode(JSON.stringify(facts));
  if (bytes.length > FACTS_BYTES_MAX) {
    const expected = `at most ${FACTS_BYTES_MAX} bytes together with the address (they are ${bytes.length})`;
    throw new InvalidOptionError("roles and metadata", { roles, metadata }, expected);
  }
  return bytes;
}

/** Facts out of bytes; never throws. */
export function decodeFacts(bytes: Uint8Array): PeerFacts {
  let read: { a?: unknown; r?: unknown; m?: unknown } | null;
  try {
    read = JSON.parse(decoder.decode(bytes));
  } catch {
    read = null;
  }
  const { a, r, m } = read !== null && typeof read === "object" ? read : {};
  return {
    address: typeof a === "string" ? a : "",
    roles: Array.isArray(r) ? r.filter((role) => typeof role === "string") : [],
    metadata: m !== null && typeof m === "object" ? stringsOf(m) : {},
  };
}

function stringsOf(facts: object): Record<string, string> {
  const entries = Object.entries(facts).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(entries);
}
