/**
 * Substitutes for what msgpackr does not keep: it writes −0 as the integer 0, and where its native part is missing it reads
 * text of more than 64 bytes without the byte order mark at its beginning. An object that stands for such a value is encoded
 * in its place.
 *
 * Most messages have neither, and for them this is one walk that allocates nothing. A message that has one is copied, with
 * its cycles and repeated references; the sender's value is never touched. Typed arrays keep their zeros anyway, and keys
 * of maps and members of sets have none in JavaScript. Names of properties cannot be replaced: a long one may lose its mark.
 */

import { addExtension } from "msgpackr";
import { ActorRef } from "../kernel/actor_ref.js";

const EXT_NEGATIVE_ZERO = 73;
const EXT_MARKED_TEXT = 74;
const BYTE_ORDER_MARK = 0xfeff;
/** Objects that are walked through before those that were seen are remembered: cycles are rare, and so are big messages. */
const UNREMEMBERED_OBJECTS = 100;
/** What the codec sends of an error. */
const ERROR_FIELDS = ["name", "message", "stack", "code", "context", "cause"] as const;

class NegativeZero {}

class MarkedText {
  constructor(readonly text: string) {}
}

addExtension({ Class: NegativeZero, type: EXT_NEGATIVE_ZERO, write: () => 0 as never, read: () => -0 });
addExtension({
  Class: MarkedText,
  type: EXT_MARKED_TEXT,
  // The mark is not at the beginning then.
  write: ({ text }: MarkedText) => ` ${text}` as never,
  read: (text: unknown) => String(text).slice(1),
});

/** A value as it can be encoded: the value itself, or a copy if something in it needs a substitute. */
export function withSubstitutes(value: unknown): unknown {
  const search: Search = { left: UNREMEMBERED_OBJECTS, seen: undefined };
  return finds(value, search) ? copyOf(value, new Map()) : value;
}

/** Whether a value that is no object needs a substitute. */
export function needsSubstitute(value: unknown): boolean {
  if (typeof value === "string") return value.charCodeAt(0) === BYTE_ORDER_MARK;
  return isNegativeZero(value);
}

function isNegativeZero(value: unknown): boolean {
  return value === 0 && 1 / value < 0;
}

function substituteOf(value: unknown): object {
  return typeof value === "string" ? new MarkedText(value) : new NegativeZero();
}

interface Search {
  left: number;
  seen: Set<object> | undefined;
}

/** Whether a value has no fields that are encoded one by one. */
function isLeaf(value: object): boolean {
  return (
    value instanceof ActorRef ||
    ArrayBuffer.isView(value) ||
    value instanceof Date ||
    typeof (value as { toJSON?: unknown }).toJSON === "function"
  );
}

function finds(value: unknown, search: Search): boolean {
  if (typeof value !== "object" || value === null) return needsSubstitute(value);
  if (search.left > 0) search.left--;
  else {
    search.seen ??= new Set();
    if (search.seen.has(value)) return false;
    search.seen.add(value);
  }
  return findsWithin(value, search);
}

function findsWithin(value: object, search: Search): boolean {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (finds(value[i], search)) return true;
    return false;
  }
  if (isLeaf(value)) return false;
  if (value instanceof Map) {
    for (const [key, member] of value) if (finds(key, search) || finds(member, search)) return true;
    return false;
  }
  if (value instanceof Set) {
    for (const member of value) if (finds(member, search)) return true;
    return false;
  }
  if (value instanceof Error) return ERROR_FIELDS.some((field) => finds((value as any)[field], search));
  for (const key in value) if (Object.hasOwn(value, key) && finds((value as any)[key], search)) return true;
  return false;
}

function copyOf(value: unknown, copies: Map<object, object>): unknown {
  if (typeof value !== "object" || value === null) return needsSubstitute(value) ? substituteOf(value) : value;
  if (isLeaf(value)) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  const into = emptyCopyOf(value);
  copies.set(value, into);
  const copy = (part: unknown): any => copyOf(part, copies);
  if (Array.isArray(value)) for (const member of value) (into as unknown[]).push(copy(member));
  else if (value instanceof Map)
    for (const [key, member] of value) (into as Map<any, any>).set(copy(key), copy(member));
  else if (value instanceof Set) for (const member of value) (into as Set<any>).add(copy(member));
  else if (value instanceof Error) defineFields(into, ERROR_FIELDS, (field) => copy((value as any)[field]));
  else if (into !== value) defineFields(into, Object.keys(value), (key) => copy((value as any)[key]));
  return into;
}

/** Of the same kind, with nothing in it; what this module does not know stays itself. */
function emptyCopyOf(value: object): object {
  if (Array.isArray(value)) return [];
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof RegExp || value instanceof ArrayBuffer) return value;
  return Object.create(Object.getPrototypeOf(value));
}

function defineFields<K extends string>(into: object, keys: readonly K[], read: (key: K) => unknown): void {
  for (const key of keys) {
    const value = read(key);
    Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });
  }
}
