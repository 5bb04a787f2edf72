/**
 * Public actor ids.
 *
 * The core names an actor by index, generation and incarnation. Its public id is a version 4 UUID that carries these
 * three numbers, masked with the random key of its kernel, beside a random tag. So an id costs nothing until somebody
 * asks for it, no table maps ids to actors, and an id of another system (or a made-up one) is recognised as foreign.
 *
 * An actor that is spawned from another node has an id before its own node knows of it. That one is given by the spawning
 * node, at random, and is of version 8 ("custom"): so everybody can tell that it never meant any other actor.
 */

import { randomFillSync, randomUUID } from "node:crypto";

/** Names one incarnation of one actor. */
export class ActorId {
  constructor(
    /** Id of the system (node) on which the actor lives. */
    readonly systemId: string,
    /** UUID of this incarnation; a restart gives a new one. */
    readonly id: string,
    /** Registered name, if it has one. */
    readonly name?: string,
  ) {}

  /** `system/name`, or `system/id` for an actor without a name. */
  toString(): string {
    return `${this.systemId}/${this.name ?? this.id}`;
  }
}

/** The three numbers behind an id. */
export interface ActorNumbers {
  index: number;
  generation: number;
  incarnation: number;
}

const INCARNATION_MASK = 0xfff_ffff;
/** In the field of the variant: the actor takes methods with arguments. Other nodes read it to make the right kind of ref. */
const METHODS_BIT = 0x2000;
const VARIANT_KEY_MASK = 0x1fff;
const VARIANT_AT = 19;
const UUID_CHARS = 36;
const VERSION_AT = 14;
const OWN_VERSION = "4";
const GIVEN_VERSION = "8";

/** Makes and reads the ids of one kernel. */
export class ActorIdCodec {
  private readonly key = randomFillSync(new Uint32Array(5));

  /** The id of an incarnation. */
  encode(index: number, generation: number, incarnation: number, takesMethods: boolean): string {
    const key = this.key;
    const first = hex((index ^ key[0]) >>> 0, 8);
    const middle = hex((incarnation & INCARNATION_MASK) ^ (key[1] & INCARNATION_MASK), 7);
    const variant = hex(0x8000 | (takesMethods ? METHODS_BIT : 0) | (key[2] & VARIANT_KEY_MASK), 4);
    const tag = hex(key[3] & 0xffff, 4);
    const last = hex((generation ^ key[4]) >>> 0, 8);
    return `${first}-${middle.slice(0, 4)}-4${middle.slice(4)}-${variant}-${tag}${last}`;
  }

  /** The numbers behind an id of this kernel; undefined for anything else. */
  decode(id: string): ActorNumbers | undefined {
    if (typeof id !== "string" || id.length !== UUID_CHARS || id[VERSION_AT] !== OWN_VERSION) return undefined;
    const key = this.key;
    if ((variantOf(id) & ~METHODS_BIT) !== (0x8000 | (key[2] & VARIANT_KEY_MASK))) return undefined;
    if (number(id, 24, 28) !== (key[3] & 0xffff)) return undefined;
    const first = number(id, 0, 8);
    const middle = number(id, 9, 13) * 0x1000 + number(id, 15, 18);
    const last = number(id, 28, UUID_CHARS);
    if (Number.isNaN(first + middle + last)) return undefined;
    return {
      index: (first ^ key[0]) >>> 0,
      incarnation: middle ^ (key[1] & INCARNATION_MASK),
      generation: (last ^ key[4]) >>> 0,
    };
  }
}

/** Whether an id says that its actor takes methods with arguments. */
export function takesMethods(id: string): boolean {
  return typeof id === "string" && (variantOf(id) & METHODS_BIT) !== 0;
}

/** An id for an actor that another node is to make. */
export function givenActorId(methods: boolean): string {
  const uuid = randomUUID();
  const version = GIVEN_VERSION + uuid.slice(VERSION_AT + 1, VARIANT_AT);
  const variant = hex((variantOf(uuid) & ~METHODS_BIT) | (methods ? METHODS_BIT : 0), 4);
  return uuid.slice(0, VERSION_AT) + version + variant + uuid.slice(VARIANT_AT + 4);
}

/** Whether an id was given by another node than the actor's. */
export function isGivenId(id: string): boolean {
  return typeof id === "string" && id.length === UUID_CHARS && id[VERSION_AT] === GIVEN_VERSION;
}

function variantOf(id: string): number {
  return number(id, VARIANT_AT, VARIANT_AT + 4);
}

/**
 * The hexadecimal number in a part of an id; NaN if it is none.
 *
 * Perf: `parseInt` of slices costs twice as much, and every message of another node names its actor ("remote cast").
 */
function number(id: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) {
    const code = id.charCodeAt(at);
    const letter = code | 0x20; // Capitals count as well.
    if (code >= 0x30 && code <= 0x39) value = value * 16 + code - 0x30;
    else if (letter >= 0x61 && letter <= 0x66) value = value * 16 + letter - 0x57;
    else return Number.NaN;
  }
  return value;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
