/**
 * Numbers for what waits, against a Map that never forgets which number it has given.
 */

import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import { placeOf, Tickets } from "../../lib/stdlib/remote/tickets.js";
import { Dice } from "../support/dice.js";

test("a number gives what it was given for, once, and none is given twice while old ones are about", () => {
  const seed = Number(process.env.LIBEAM_SEED ?? randomInt(2 ** 31));
  console.log(`LIBEAM_SEED=${seed}`);
  const dice = new Dice(seed);
  const tickets = new Tickets<{ step: number }>();
  const model = new Map<number, { step: number }>();
  const given = new Set<number>();
  for (let step = 0; step < 20_000; step++) {
    if (model.size === 0 || dice.chance(0.5)) {
      const number = tickets.add({ step }) as number;
      expect(given.has(number)).toBe(false);
      expect(number).toBeLessThan(2 ** 32);
      given.add(number);
      model.set(number, { step });
    } else {
      const number = dice.chance(0.9) ? dice.pick([...model.keys()].slice(0, 20)) : dice.pick([...given].slice(-20));
      expect(tickets.take(number)).toEqual(model.get(number));
      model.delete(number);
      expect(tickets.take(number)).toBeUndefined();
    }
  }
  expect(new Map(tickets.entries())).toEqual(model);
  expect(tickets.size).toBe(model.size);
});

test("a place is used again under other numbers, 4,096 of them", () => {
  const tickets = new Tickets<string>();
  const first = tickets.add("first") as number;
  tickets.take(first);
  for (let use = 1; use < 4_096; use++) {
    const number = tickets.add("next") as number;
    expect(number).not.toBe(first);
    expect(placeOf(number)).toBe(placeOf(first));
    tickets.take(number);
  }
  expect(tickets.add("first again")).toBe(first);
});

test("what was never given gives nothing", () => {
  const tickets = new Tickets<string>();
  for (const number of [0, 1, -1, 0.5, Number.NaN, 2 ** 31, 2 ** 40]) expect(tickets.take(number)).toBeUndefined();
});
