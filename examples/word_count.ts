/**
 * The demo: words counted by a team of actors while somebody keeps killing them, and the totals are exact all the same.
 *
 *   npm run demo                    counts the project's own text
 *   npm run demo -- a.txt b.txt     counts these files; SEED=7 chooses who is killed, and how
 *
 * Counters are children of a supervisor. They count batches of lines into partial totals, which a crash destroys. The
 * coordinator takes the totals now and then; a batch that was counted and is not among those taken was lost in a crash
 * and goes back into the queue. So every batch ends up in the totals exactly once.
 */

import { type ActorRef, type ActorRefFrom, createActor, createSystem, loggerConfig } from "libeam";
import { filesOr, seedGiven } from "./command_line/input.ts";
import { add, areEqual, type Batch, countWords, projectFiles, readBatches, type Totals } from "./word_count/text.ts";

const COUNTERS = 8;
const LINES_PER_BATCH = 40;
const BATCHES_PER_ROUND = 10;
const KILL_EVERY_MS = 10;

let restarts = 0;

const Counter = createActor("Counter", (_ctx, self) => {
  let [ids, totals]: [Set<number>, Totals] = [new Set(), new Map()];
  return self
    .onCall("count", ({ id, lines }: Batch) => {
      countWords(totals, lines);
      ids.add(id);
    })
    .onCall("take", () => {
      const taken = { ids, totals };
      [ids, totals] = [new Set(), new Map()];
      return taken;
    })
    .onCast("crash", () => {
      throw new Error("told to crash");
    })
    .postRestart(() => {
      restarts++;
    });
});

const Team = createActor("Team", (ctx, self) => {
  // More restarts than chaos can cause; the default of 3 in 5 seconds would give up at once.
  self.childSupervision({ strategy: "one-for-one", maxRestarts: 1_000, periodMs: 1_000 });
  const counters = Array.from({ length: COUNTERS }, () => ctx.spawn(Counter));
  return self.onCall("counters", () => counters);
});

/** Every few milliseconds a random counter has to go: by an exit signal, or by an error of its own. */
const Chaos = createActor("Chaos", (ctx, self, victims: ActorRef[], seed: number) => {
  let [kills, state] = [0, seed];
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  self.sendInterval("strike", KILL_EVERY_MS);
  return self
    .onCall("kills", () => kills)
    .onCast("strike", () => {
      const victim = victims[Math.floor(random() * victims.length)];
      kills++;
      if (random() < 0.5) ctx.exit(victim, { code: "CHAOS", kills });
      else victim.cast({ method: "crash" });
    });
});

loggerConfig.configure({ level: "none" }); // Or every crash would be in the log.

const SEED = seedGiven();
const files = filesOr(projectFiles);
const batches = readBatches(files, LINES_PER_BATCH);
console.log(`${files.length} files in ${batches.length} batches, ${COUNTERS} counters, SEED=${SEED}`);

const system = createSystem();
const counters = await system.spawn(Team).call("counters");
const chaos = system.spawn(Chaos, { args: [counters, SEED] });

const counted: Totals = new Map();
const queue = [...batches];
let [done, lost] = [0, 0];

/** Keeps one counter busy until all batches are counted. */
async function coordinate(counter: ActorRefFrom<typeof Counter>): Promise<void> {
  while (done < batches.length) {
    const round = queue.splice(0, BATCHES_PER_ROUND);
    for (const batch of round) await counter.call("count", batch);
    const { ids, totals } = await counter.call("take");
    for (const [word, count] of totals) add(counted, word, count);
    const missing = round.filter(({ id }) => !ids.has(id));
    queue.push(...missing);
    lost += missing.length;
    done += ids.size;
  }
}

const { isTTY } = process.stdout;
const showProgress = () => {
  const text = `${Math.floor((100 * done) / batches.length)} % counted, ${restarts} restarts, ${lost} batches re-asked`;
  process.stdout.write(isTTY ? `\r${text}` : `${text}\n`);
};
const progress = setInterval(showProgress, isTTY ? 50 : 200);

const start = performance.now();
await Promise.all(counters.map(coordinate));
const seconds = (performance.now() - start) / 1_000;
clearInterval(progress);
const kills = await chaos.call("kills");
await system.shutdown();

const expected: Totals = new Map();
for (const { lines } of batches) countWords(expected, lines);
const words = [...expected.values()].reduce((sum, count) => sum + count, 0);
const exact = areEqual(counted, expected);
if (isTTY) process.stdout.write("\r\x1b[K");
console.log(`${kills} kills, ${restarts} restarts, ${lost} batches re-asked, ${Math.round(words / seconds)} words/s`);
console.log(`${words} words, ${counted.size} different: ${exact ? "exactly" : "NOT"} what a plain loop counts`);
process.exitCode = exact ? 0 : 1;
