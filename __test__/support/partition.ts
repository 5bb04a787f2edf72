/**
 * A cluster of real processes that is cut in two, and whole again; witnesses on every node say what it looks like from
 * there.
 */

import { isDeepStrictEqual } from "node:util";
import { expect, vi } from "vitest";
import type { TestClusterConfig } from "../../lib/testing/index.js";
import { Witnesses } from "./witnesses.js";

/** How long something that has to happen may take before the spec gives up. */
const PATIENCE_MS = 30_000;
/** Codes with which a call across a cut may reject. */
export const CUT_CODES = ["NODE_DOWN", "TRANSPORT_ERROR", "PEER_NOT_FOUND"];

/** Every node holds refs to an actor `home@…` of every node, its own included. */
export async function holdAll(witnesses: Witnesses, ids: string[]): Promise<void> {
  for (const id of ids) await witnesses.ask(id, "claim", [[`home@${id}`]]);
  for (const id of ids) for (const other of ids) await witnesses.hold(id, `home@${other}`);
}

/** What calls through the held refs give: `ok` on the same side, else a code that says why not. */
export async function expectSides(witnesses: Witnesses, sides: string[][]): Promise<void> {
  for (const side of sides) {
    for (const [id, outcomes] of Object.entries(await witnesses.askAll(side, "tryHeld"))) {
      for (const [name, outcome] of Object.entries<string>(outcomes)) {
        const home = name.split("@")[1] as string;
        if (side.includes(home)) expect(outcome, `${id} to ${name}`).toBe(`ok:${home}`);
        else expect(CUT_CODES, `${id} to ${name}`).toContain(outcome);
      }
    }
  }
}

/**
 * Nodes are cut off from each other: both sides go on. After healing there is one view, one owner per name, who lost one is
 * told, and no ref is silently dead. The controller is on the left side. Gives the milliseconds from the end of the cut to
 * one view.
 */
export async function partitionHeals(
  leftCount: number,
  rightCount: number,
  config: TestClusterConfig = {},
): Promise<number> {
  const witnesses = await Witnesses.start(leftCount + rightCount, config);
  const { ids } = witnesses;
  const [left, right] = [ids.slice(0, leftCount), ids.slice(leftCount)];
  const [someLeft, someRight] = [left.at(-1) as string, right[0] as string];
  await holdAll(witnesses, ids);
  await witnesses.ask(someRight, "claim", [["old", "busy"], "of the right side"]);
  await witnesses.agree(ids, ["old"], ({ old }) => old === someRight);
  await witnesses.hold(someLeft, "busy", "busy", "caller");
  const underWay = witnesses.ask(someLeft, "stuckAt", ["busy"], "caller");
  underWay.catch(() => {});
  await witnesses.agree(ids, ["stuck"], ({ stuck }) => stuck === someRight);

  await witnesses.cut(left, right);
  await Promise.all([witnesses.see(left), witnesses.see(right)]);
  expect(CUT_CODES).toContain(await underWay);
  await expectSides(witnesses, [left, right]);

  // The left side takes the name of the lost node anew; both sides take a name that nobody had.
  await witnesses.agree(left, ["old"], ({ old }) => old === null);
  expect(await witnesses.ask(someLeft, "claim", [["old", "new"], "of the left side"])).toBe(2);
  await witnesses.agree(left, ["old", "new"], (who) => who.old === someLeft && who.new === someLeft);
  // Registrations of one millisecond are equally old, and the lower node id would win.
  const claimedMs = Date.now();
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(claimedMs), { interval: 1 });
  expect(await witnesses.ask(someRight, "claim", [["new"], "of the right side"])).toBe(1);
  await witnesses.agree(right, ["old", "new"], (who) => who.old === someRight && who.new === someRight);
  for (const name of ["old", "new"]) {
    for (const id of left) await witnesses.hold(id, name, `${name}@${someLeft}`);
    for (const id of right) await witnesses.hold(id, name, `${name}@${someRight}`);
  }
  await expectSides(witnesses, [left, right]);

  const lostBefore = await witnesses.askAll(ids, "lost");
  await witnesses.heal(left, right);
  const healed = performance.now();
  await witnesses.see(ids);
  const oneViewMs = performance.now() - healed;
  const sides = [someLeft, someRight];
  let owners: Record<string, string | null> = {};
  const loserOf = (name: string) => (owners[name] === someLeft ? someRight : someLeft);
  await vi.waitFor(async () => {
    owners = await witnesses.agree(
      ids,
      ["old", "new", ...ids.map((id) => `home@${id}`)],
      (who) =>
        sides.includes(who.old as string) &&
        sides.includes(who.new as string) &&
        ids.every((id) => who[`home@${id}`] === id),
    );
    // Whoever had lost the name was told that it is gone, and nobody else.
    const ended: Record<string, Record<string, string>> = Object.fromEntries(ids.map((id) => [id, {}]));
    for (const name of ["old", "new"]) (ended[loserOf(name)] as Record<string, string>)[name] = "normal";
    expect(await witnesses.askAll(ids, "ended")).toEqual(ended);
  }, PATIENCE_MS);
  // The oldest registration wins. A node that stood still so long that it was given up once more has registered its
  // names anew; then only that there is one owner is sure.
  const lost = await witnesses.askAll(ids, "lost");
  if (isDeepStrictEqual(lost, lostBefore)) expect(owners).toMatchObject({ old: someRight, new: someLeft });
  // Every ref that was held works, or its actor is gone and says so.
  for (const [id, outcomes] of Object.entries(await witnesses.askAll(ids, "tryHeld"))) {
    for (const [name, outcome] of Object.entries<string>(outcomes)) {
      const home = name.split("@")[1] as string;
      const isGone = ["old", "new"].some((taken) => name === `${taken}@${loserOf(taken)}`);
      expect(outcome, `${id} to ${name}`).toBe(isGone ? "ACTOR_NOT_FOUND" : `ok:${home}`);
    }
  }
  return oneViewMs;
}
