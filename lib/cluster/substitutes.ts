/**
 * Substitutes for what msgpackr does not keep. An object that stands for such a value is encoded in its place:
 *
 * - −0, which it writes as the integer 0; wrappers of primitives; Maps of a class of their own;
 * - text of more than 64 bytes with a byte order mark at its beginning, which it drops where its native part is missing;
 * - text with lone surrogates (half an emoji, say), which has no UTF-8;
 * - what belongs to another realm (a vm context, a test runner that has one per file) and is no plain object or array there:
 *   msgpackr goes by classes, and would send a Map of another realm as an object without fields;
 * - views of bytes that it has no number for: of a class of their own, or newer than it is;
 * - errors that contain themselves: a reference to what is not complete yet is read as an empty object;
 * - fields named `__proto__`, which it renames to protect those who assign them.
 *
 * Things of the last two kinds, and errors of another realm, are *shells* in a {@link Knot}: made first, without anything in
 * them, and filled last, when all that they refer to is there. Only errors and plain objects can be filled; a field is defined, never assigned.
 *
 * Most messages have none of these, and for them this is one walk that allocates nothing but the data of errors. A message
 * that has one is copied, with its cycles and repeated references; the sender's value is never touched. Typed arrays keep
 * their zeros anyway, and keys of maps and members of sets have none in JavaScript. Names of properties cannot be replaced: a
 * long one may lose its mark, and one with lone surrogates gets replacement characters.
 */

import { types } from "node:util";
import { addExtension } from "msgpackr";
import { isErrorLike } from "../errors.js";
import { ActorRef } from "../kernel/actor_ref.js";
import { ErrorShell, errorData, errorParts, fillError } from "./error_values.js";

const EXT_NEGATIVE_ZERO = 73;
const EXT_MARKED_TEXT = 74;
const EXT_WRAPPER = 75;
const EXT_KNOT = 76;
const EXT_UTF16 = 77;
const EXT_VIEW = 78;
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

/** Stands for a view of bytes. */
class View {
  constructor(
    /** Of its class in the language. */
    readonly name: string,
    readonly bytes: Uint8Array,
  ) {}
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
  Class: View as any,
  type: EXT_VIEW,
  write: ({ name, bytes }: View) => [name, bytes] as never,
  read: ([name, bytes]: [unknown, unknown]) => readView(name, bytes),
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

/** As msgpackr itself tells them. */
const TypedArray = Object.getPrototypeOf(Uint8Array.prototype).constructor as { new (): object; prototype: object };
/** The name of a typed array's class in the language, of whatever realm; undefined for anything else. */
const typedArrayName = Object.getOwnPropertyDescriptor(TypedArray.prototype, Symbol.toStringTag)?.get as () =>
  | string
  | undefined;

/** Views that msgpackr has a number for; in a Buffer it sees bytes. */
const KNOWN_VIEWS = new Set<unknown>([
  ...[Buffer, DataView, Float32Array, Float64Array, BigInt64Array, BigUint64Array],
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
]);

function isKnownView(value: object): boolean {
  return (value instanceof TypedArray || value instanceof DataView) && KNOWN_VIEWS.has(value.constructor);
}

function viewOf(value: ArrayBufferView): View {
  const bytes = Buffer.from(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
  return new View(typedArrayName.call(value) ?? "DataView", bytes);
}

/** A view of bytes of its own. A class that this runtime does not have leaves the bytes. */
function readView(name: unknown, bytes: unknown): ArrayBufferView {
  if (typeof name !== "string" || !(bytes instanceof Uint8Array))
    throw new TypeError("a view of bytes is not complete");
  const own = new Uint8Array(bytes);
  const kind = (globalThis as Record<string, unknown>)[name];
  const isView = name === "DataView" || (typeof kind === "function" && Object.hasOwn(kind, "BYTES_PER_ELEMENT"));
  return isView ? new (kind as new (buffer: ArrayBuffer) => ArrayBufferView)(own.buffer) : own;
}

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
    (ArrayBuffer.isView(value) && isKnownView(value)) ||
    value instanceof Date ||
    (typeof (value as { toJSON?: unknown }).toJSON === "function" && !isErrorLike(value) && !hasForeignForm(value))
  );
}

function isWrapper(value: object): boolean {
  return value.constructor !== Object && types.isBoxedPrimitive(value);
}

/** Whether msgpackr would take a value for an object with fields, and it is none. */
function isForeign(value: object): boolean {
  if (value.constructor === Object) return false;
  return hasForeignForm(value) || types.isMap(value) || types.isSet(value) || isErrorLike(value);
}

function hasForeignForm(value: object): boolean {
  if (ArrayBuffer.isView(value)) return !isKnownView(value);
  if (types.isDate(value)) return !(value instanceof Date);
  if (types.isRegExp(value)) return !(value instanceof RegExp);
  return types.isArrayBuffer(value) && !(value instanceof ArrayBuffer);
}

/** What stands for a value of a foreign form. */
function ownForm(value: object): object {
  if (ArrayBuffer.isView(value)) return viewOf(value);
  if (types.isDate(value)) return new Date(Date.prototype.getTime.call(value));
  if (types.isRegExp(value)) return new RegExp(value.source, value.flags);
  return new Uint8Array(value as ArrayBuffer).slice().buffer;
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
  if (isWrapper(value) || isForeign(value)) return true;
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
    if (types.isMap(value)) return this.copyMap(value);
    if (types.isSet(value)) return this.copySet(value);
    if (isErrorLike(value)) return this.copyError(value);
    if (hasForeignForm(value)) return this.known(value, ownForm(value));
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
