/**
 * A log pipeline: files are read no faster than the slowest stage works, one job in a hundred crashes, and the totals are
 * exact all the same.
 *
 *   node --import tsx examples/log_pipeline.ts                  reads the largest files of the TypeScript compiler
 *   node --import tsx examples/log_pipeline.ts a.log b.log      reads these; SEED=7 chooses the crashes
 *
 * reader → parser → one collector per partition of the keys → a worker for each partial total, which stores it slowly
 *
 * A worker that crashes is started again with the same partial total, and it stores in its last step: so each one is
 * stored exactly once. Demand starts at the workers. While all of them are busy the collectors have nobody to give to,
 * and the standstill reaches the reader.
 */

import { ConsumerSupervisor, createActor, createSystem, loggerConfig, Producer, ProducerConsumer } from "libeam";
import { filesOr, seedGiven } from "./command_line/input.ts";
import {
  addEntry,
  areEqual,
  type Entry,
  emptyPart,
  largestFiles,
  linesOf,
  merge,
  type Part,
  parse,
  random,
  sumOf,
  type Totals,
} from "./log_pipeline/lines.ts";

const PARTITIONS = 4;
const WORKERS_PER_PARTITION = 4;
const LINES_PER_PART = 50;
const STORE_MS = 10;
const CRASH_SHARE = 0.01;

const files = filesOr(() => largestFiles(3));
const SEED = seedGiven();
const chance = random(SEED);
loggerConfig.configure({ level: "none" }); // Or every crash would be in the log.

const stored: Totals = new Map();
let [linesRead, linesStored, partsStored, crashes, inFlightMax, heapMax, exhausted] = [0, 0, 0, 0, 0, 0, false];
let finish = () => {};
const finished = new Promise<void>((resolve) => {
  finish = resolve;
});

const system = createSystem();

const reader = Producer.start(system, {
  init: () => linesOf(files),
  handleDemand: async (demand, lines: AsyncGenerator<string, void>) => {
    const events: string[] = [];
    while (events.length < demand && !exhausted) {
      const { done, value } = await lines.next();
      if (done) exhausted = true;
      else events.push(value);
    }
    linesRead += events.length;
    inFlightMax = Math.max(inFlightMax, linesRead - linesStored);
    if (exhausted && linesStored === linesRead) finish();
    return exhausted ? [events, lines, "done"] : [events, lines];
  },
});

const hash = ({ key }: Entry) => [...key].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % PARTITIONS;

const parser = ProducerConsumer.start(
  system,
  { handleEvents: (lines: string[], _from, state) => [lines.map(parse), state] },
  { dispatcher: { type: "partition", partitions: PARTITIONS, hash } },
);

/** Adds lines up until there are enough for a partial total; what is left at the end is the last one. */
const startCollector = () =>
  ProducerConsumer.start(system, {
    init: emptyPart,
    handleEvents: (entries: Entry[], _from, part: Part) => {
      for (const entry of entries) addEntry(part, entry);
      return part.lines < LINES_PER_PART ? [[], part] : [[part], emptyPart()];
    },
    handleCancel: (_reason, _from, part: Part) => [part.lines === 0 ? [] : [part], emptyPart()],
  });

const Worker = createActor("Worker", (ctx, self, part: Part) => {
  self.sendAfter("store", STORE_MS);
  return self.onCast("store", () => {
    heapMax = Math.max(heapMax, process.memoryUsage().heapUsed);
    if (chance() < CRASH_SHARE) throw new Error(`crash ${++crashes}`);
    merge(stored, part.totals);
    linesStored += part.lines;
    partsStored++;
    if (exhausted && linesStored === linesRead) finish();
    ctx.exit();
  });
});

const workers = ConsumerSupervisor.start(system, { actorClass: Worker }, { maxRestarts: 5, periodMs: 1_000 });
const start = performance.now();
for (let partition = 0; partition < PARTITIONS; partition++) {
  const collector = startCollector();
  await workers.subscribe(collector, { maxDemand: WORKERS_PER_PARTITION, minDemand: 1 });
  await collector.subscribe(parser, { maxDemand: 100, partition });
}
await parser.subscribe(reader, { maxDemand: 200 });
await finished;
const seconds = ((performance.now() - start) / 1_000).toFixed(1);
await system.shutdown();

const plain = emptyPart();
for await (const line of linesOf(files)) addEntry(plain, parse(line));
const exact = areEqual(stored, plain.totals);
console.log(`${files.length} files, ${linesRead} lines in ${seconds} s, SEED=${SEED}`);
console.log(`${partsStored} partial totals stored, ${crashes} crashes of workers on the way`);
console.log(`at most ${inFlightMax} lines in flight, at most ${Math.ceil(heapMax / 2 ** 20)} MiB of heap`);
console.log("pipeline  ", sumOf(stored), `${stored.size} keys`);
console.log("plain loop", sumOf(plain.totals), `${plain.totals.size} keys: ${exact ? "exactly" : "NOT"} the same`);
process.exitCode = exact ? 0 : 1;
