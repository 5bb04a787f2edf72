/**
 * Substitutes for what msgpackr does not keep. An object that stands for such a value is encoded in its place:
 *
 * - −0, which it writes as the integer 0; wrappers of primitives; Maps of a class of their own;
 * - text of more than 64 bytes with a byte order mark at its beginning, which it drops where its native part is missing;
 * - text with lone surrogates (half an emoji, say), which has no UTF-8;
 * - errors that contain themselves: a reference to what is not complete yet is read as an empty object;
 * - fields named `__proto__`, which it renames to protect those who assign them.
 *
 * Things of the last two kinds are *shells* in a {@link Knot}: made first, without anything in them, and filled last, when
 * all that they refer to is there. Only errors and plain objects can be filled; a field is defined, never assigned.
 *
 * Most messages have none of these, and for them this is one walk that allocates nothing but the data of errors. A message
 * that has one is copied, with its cycles and repeated references; the sender's value is never touched. Typed arrays keep
 * their zeros anyway, and keys of maps and members of sets have none in JavaScript. Names of properties cannot be replaced: a
 * long one may lose its mark, and one with lone surrogates gets replacement characters.
 */

import { types } from "node:util";
import { addExtension } from "msgpackr";
import { ActorRef } from "../kernel/actor_ref.js";
import { ErrorShell, errorData, errorParts, fillError } from "./error_values.js";

const EXT_NEGATIVE_ZERO = 73;
const EXT_MARKED_TEXT = 74;
const EXT_WRAPPER = 75;
const EXT_KNOT = 76;
const EXT_UTF16 = 77;
const BYTE_ORDER_MARK = 0xfeff;
/** The field that msgpackr renames. */
const PROTOTYPE = "__proto__";
/** Objects that are walked through before those that were seen are remembered: cycles are rare, and so are big messages. */
const UNREMEMBERED_OBJECTS = 100;

class NegativeZero {}

class MarkedText {
  constructor(readonly text: string) {}
}

/** Stands for text that has no UTF-8. */
class Utf16 {
  constructor(readonly text: string) {}
}

/** Stands for an object that wraps a primitive. */
class Wrapper {
  constructor(readonly primitive: unknown) {}
}

/** Stands for a value with things in it that are filled last. */
class Knot {
  constructor(
    readonly shells: readonly object[],
    readonly value: unknown,
    /** Pairs of names and values for each shell. */
    readonly contents: readonly unknown[][],
  ) {}
}

addExtension({ Class: NegativeZero, type: EXT_NEGATIVE_ZERO, write: () => 0 as never, read: () => -0 });
addExtension({
  Class: MarkedText,
  type: EXT_MARKED_TEXT,
  // The mark is not at the beginning then.
  write: ({ text }: MarkedText) => ` ${text}` as never,
  read: (text: unknown) => String(text).slice(1),
});
addExtension({
  Class: Utf16,
  type: EXT_UTF16,
  write: ({ text }: Utf16) => Buffer.from(text, "utf16le") as never,
  read: (bytes: unknown) => (bytes instanceof Uint8Array ? Buffer.from(bytes).toString("utf16le") : String(bytes)),
});
addExtension({
  Class: Wrapper,
  type: EXT_WRAPPER,
  write: ({ primitive }: Wrapper) => primitive as never,
  read: (primitive: unknown) => Object(primitive),
});
addExtension({
  Class: Knot as any,
  type: EXT_KNOT,
  write: ({ shells, value, contents }: Knot) => [shells, value, contents] as never,
  read: ([shells, value, contents]: [unknown[], unknown, [string, unknown][][]]) => {
    for (const [at, shell] of shells.entries()) fill(shell, contents[at] as [string, unknown][]);
    return value;
  },
});

/** Only what was made for this message is filled: refs and the like may be shared. */
function fill(shell: unknown, content: [string, unknown][]): void {
  if (shell instanceof Error) fillError(shell, Object.fromEntries(content));
  else if (typeof shell === "object" && shell !== null && Object.getPrototypeOf(shell) === Object.prototype) {
    for (const [key, value] of content) defineField(shell, String(key), value);
  }
}

/** A value as it can be encoded: the value itself, or a copy if something in it needs a substitute. */
export function withSubstitutes(value: unknown): unknown {
  const search: Search = { left: UNREMEMBERED_OBJECTS, seen: undefined };
  return finds(value, search) ? new Copying().whole(value) : value;
}

/** Whether a value that is no object needs a substitute. */
export function needsSubstitute(value: unknown): boolean {
  if (typeof value === "string") return value.charCodeAt(0) === BYTE_ORDER_MARK || !value.isWellFormed();
  return isNegativeZero(value);
}

function isNegativeZero(value: unknown): boolean {
  return value === 0 && 1 / value < 0;
}

function substituteOf(value: unknown): object {
  if (typeof value !== "string") return new NegativeZero();
  return value.isWellFormed() ? new MarkedText(value) : new Utf16(value);
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
    (typeof (value as { toJSON?: unknown }).toJSON === "function" && !(value instanceof Error))
  );
}

function isWrapper(value: object): boolean {
  return value.constructor !== Object && types.isBoxedPrimitive(value);
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
    if (value.constructor !== Map) return true;
    for (const [key, member] of value) if (finds(key, search) || finds(member, search)) return true;
    return false;
  }
  if (value instanceof Set) {
    for (const member of value) if (finds(member, search)) return true;
    return false;
  }
  if (value instanceof Error) {
    // Invariant: a cycle is walked through until what was seen is remembered, so its errors are met here after that.
    return search.seen !== undefined || finds(errorData(value), search);
  }
  if (isWrapper(value)) return true;
  for (const key in value) {
    if (Object.hasOwn(value, key) && (key === PROTOTYPE || finds((value as any)[key], search))) return true;
  }
  return false;
}

/** Copies one value, with substitutes. */
class Copying {
  private readonly copies = new Map<object, object>();
  private readonly shells: object[] = [];
  private readonly contents: unknown[][] = [];

  whole(value: unknown): unknown {
    const copy = this.copy(value);
    return this.shells.length === 0 ? copy : new Knot(this.shells, copy, this.contents);
  }

  private readonly copy = (value: unknown): any => {
    if (typeof value !== "object" || value === null) return needsSubstitute(value) ? substituteOf(value) : value;
    if (isLeaf(value) || value instanceof RegExp || value instanceof ArrayBuffer) return value;
    return this.copies.get(value) ?? this.copyObject(value);
  };

  private copyObject(value: object): object {
    if (isWrapper(value)) return this.known(value, new Wrapper(this.copy(value.valueOf())));
    if (Array.isArray(value)) return this.copyArray(value);
    if (value instanceof Map) return this.copyMap(value);
    if (value instanceof Set) return this.copySet(value);
    if (value instanceof Error) return this.copyError(value);
    if (Object.hasOwn(value, PROTOTYPE)) return this.fillLast(value, {}, value);
    const into = this.known(value, Object.create(Object.getPrototypeOf(value)));
    for (const [key, member] of Object.entries(value)) defineField(into, key, this.copy(member));
    return into;
  }

  private known<T extends object>(value: object, copy: T): T {
    this.copies.set(value, copy);
    return copy;
  }

  private copyArray(value: readonly unknown[]): object {
    const into = this.known(value, [] as unknown[]);
    for (const member of value) into.push(this.copy(member));
    return into;
  }

  private copyMap(value: Map<unknown, unknown>): object {
    const into = this.known(value, new Map());
    for (const [key, member] of value) into.set(this.copy(key), this.copy(member));
    return into;
  }

  private copySet(value: Set<unknown>): object {
    const into = this.known(value, new Set());
    for (const member of value) into.add(this.copy(member));
    return into;
  }

  private copyError(value: Error): object {
    const [head, content] = errorParts(value);
    return this.fillLast(value, new ErrorShell(this.copy(head)), content);
  }

  private fillLast(value: object, shell: object, fields: object): object {
    this.known(value, shell);
    this.shells.push(shell);
    const content: unknown[] = [];
    this.contents.push(content);
    for (const [key, member] of Object.entries(fields)) content.push([key, this.copy(member)]);
    return shell;
  }
}

function defineField(into: object, key: string, value: unknown): void {
  Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });
}
