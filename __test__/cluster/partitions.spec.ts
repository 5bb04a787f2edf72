/**
 * Partitions between real processes: both sides go on, and after healing there is one cluster again, with one owner per
 * name, and no ref that is silently dead. A node that only the others have lost: sentence D16 of docs/SEMANTICS.md.
 */

import "../support/compiled_workers.js";

import { beforeEach, describe, expect, it, vi } from "vitest";
import { loggerConfig } from "../../lib/index.js";
import { CUT_CODES, expectSides, holdAll, partitionHeals } from "../support/partition.js";
import { Witnesses } from "../support/witnesses.js";

const HUNG_AFTER_MS = 180_000;
const PATIENCE_MS = 30_000;

beforeEach(() => loggerConfig.configure({ level: "none" }));

describe.each([
  { name: "2|2", left: 2, right: 2 },
  { name: "1|4", left: 1, right: 4 },
  { name: "4|1 (the controller with the many)", left: 4, right: 1 },
])("D17: a partition $name", ({ left, right }) => {
  it(
    "lets both sides go on, and heals to one view with one owner per name",
    async () => {
      await partitionHeals(left, right);
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
