/**
 * Gossip messages made by dice, and every small way of tampering with one.
 */

import type { GossipMessage } from "../../lib/index.js";
import type { Dice } from "./dice.js";

const CHARACTERS = ["a", "B", "7", '"', "\\", "\n", "é", "😀", "{", ":", ",", "\u2028", "_"];

/** A text of up to `charsMax` characters, awkward ones included. */
export function textOf(dice: Dice, charsMax = 12): string {
  return Array.from({ length: dice.below(charsMax + 1) }, () => dice.pick(CHARACTERS)).join("");
}

/** A message about up to three peers. */
export function gossipMessageOf(dice: Dice): GossipMessage {
  const peers = Array.from({ length: dice.below(4) }, () => ({
    id: textOf(dice),
    address: textOf(dice),
    heartbeat: dice.below(1_000),
    generation: dice.below(2 ** 31),
    gossipAddress: textOf(dice),
    lastUpdated: dice.next(),
    ...(dice.chance(0.5) ? { roles: [textOf(dice), textOf(dice)] } : {}),
    ...(dice.chance(0.5) ? { metadata: { [textOf(dice)]: textOf(dice), zone: textOf(dice) } } : {}),
  }));
  return { senderId: textOf(dice), peers, ...(dice.chance(0.5) ? { version: 1 } : {}) };
}

/** Another value of the same kind. */
function changed(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "string") return `${value}x`;
  return 0;
}

/** Copies of a value of JSON that differ from it in one place: changed, left out, added, or in another order. */
export function* tamperedWith(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    yield [...value, null];
    if (value.length > 0) yield value.slice(1);
    const reversed = value.toReversed();
    if (JSON.stringify(reversed) !== JSON.stringify(value)) yield reversed;
    for (const [at, each] of value.entries()) for (const other of tamperedWith(each)) yield value.with(at, other);
  } else if (typeof value === "object" && value !== null) {
    yield { ...value, added: null };
    yield JSON.parse(
      JSON.stringify(value).replace("{", Object.keys(value).length ? '{"__proto__":{},' : '{"__proto__":{}'),
    );
    for (const [key, each] of Object.entries(value)) {
      const { [key]: _, ...rest } = value as Record<string, unknown>;
      yield rest;
      for (const other of tamperedWith(each)) yield { ...value, [key]: other };
    }
  } else {
    yield changed(value);
    yield null;
  }
}
