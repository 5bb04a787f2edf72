/**
 * Partitions between real processes: both sides go on, and after healing there is one cluster again, with one owner per
 * name, and no ref that is silently dead. A node that only the others have lost: sentence D16 of docs/SEMANTICS.md.
 */

import { isDeepStrictEqual } from "node:util";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { loggerConfig } from "../../lib/index.js";
import { Witnesses } from "../support/witnesses.js";

const HUNG_AFTER_MS = 180_000;
const PATIENCE_MS = 30_000;
/** Codes with which a call across a cut may reject. */
const CUT_CODES = ["NODE_DOWN", "TRANSPORT_ERROR", "PEER_NOT_FOUND"];

beforeEach(() => loggerConfig.configure({ level: "none" }));

/** Every node holds refs to an actor `home@…` of every node, its own included. */
async function holdAll(witnesses: Witnesses, ids: string[]): Promise<void> {
  for (const id of ids) await witnesses.ask(id, "claim", [[`home@${id}`]]);
  for (const id of ids) for (const other of ids) await witnesses.hold(id, `home@${other}`);
}

/** What calls through the held refs give: `ok` on the same side, else a code that says why not. */
async function expectSides(witnesses: Witnesses, sides: string[][]): Promise<void> {
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

describe.each([
  { name: "2|2", left: 2, right: 2 },
  { name: "1|4", left: 1, right: 4 },
  { name: "4|1 (the controller with the many)", left: 4, right: 1 },
])("D17: a partition $name", ({ left: leftCount, right: rightCount }) => {
  it(
    "lets both sides go on, and heals to one view with one owner per name",
    async () => {
      const witnesses = await Witnesses.start(leftCount + rightCount);
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
      await witnesses.see(ids);
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
    },
    HUNG_AFTER_MS,
  );
});

describe("a node that is missed though it lives", () => {
  it(
    "is a member again when it goes on, with the names that nobody took; what was between it and the others has ended",
    async () => {
      const witnesses = await Witnesses.start(3);
      const { ids, cluster } = witnesses;
      const sleeper = ids.at(-1) as string;
      const others = ids.slice(0, -1);
      await holdAll(witnesses, ids);
      const [first, taker] = others as [string, string];
      await witnesses.ask(sleeper, "claim", [["taken", "kept"]]);
      await witnesses.agree(ids, ["taken", "kept"], ({ taken, kept }) => taken === sleeper && kept === sleeper);
      // Each watches the other, and the sleeper waits for an answer of a call.
      await witnesses.ask(first, "watchHeld", [`home@${sleeper}`]);
      await witnesses.ask(sleeper, "watchHeld", [`home@${first}`]);
      await witnesses.ask(first, "claim", [["busy"]]);
      await witnesses.hold(sleeper, "busy", "busy", "caller");
      const underWay = witnesses.ask(sleeper, "stuckAt", ["busy"], "caller");
      underWay.catch(() => {});
      await witnesses.agree(ids, ["stuck"], ({ stuck }) => stuck === first);

      cluster.node(sleeper).kill("SIGSTOP");
      await witnesses.see(others);
      await witnesses.agree(others, ["taken"], ({ taken }) => taken === null);
      expect(await witnesses.ask(taker, "claim", [["taken"]])).toBe(1);
      await witnesses.agree(others, ["taken"], ({ taken }) => taken === taker);
      const before = Object.fromEntries(ids.map((id) => [id, {}]));
      expect(await witnesses.askAll(others, "ended")).toEqual({
        [first]: { [`watched home@${sleeper}`]: "killed" },
        [taker]: {},
      });

      cluster.node(sleeper).kill("SIGCONT");
      await witnesses.see(ids);
      const homes = ids.map((id) => `home@${id}`);
      await witnesses.agree(
        ids,
        ["taken", "kept", ...homes],
        (who) => who.taken === taker && who.kept === sleeper && ids.every((id) => who[`home@${id}`] === id),
      );
      expect(CUT_CODES).toContain(await underWay);
      // The sleeper has lost what the others had dropped, its name included; nobody is told twice.
      const ended = {
        ...before,
        [first]: { [`watched home@${sleeper}`]: "killed" },
        [sleeper]: { [`watched home@${first}`]: "killed", taken: "normal" },
      };
      await vi.waitFor(async () => expect(await witnesses.askAll(ids, "ended")).toEqual(ended), PATIENCE_MS);
      await vi.waitFor(() => expectSides(witnesses, [ids]), PATIENCE_MS);
      expect(await witnesses.askAll(ids, "ended")).toEqual(ended);
    },
    HUNG_AFTER_MS,
  );
});
