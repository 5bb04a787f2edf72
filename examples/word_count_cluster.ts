/**
 * The demo of the cluster: words counted by actors on five nodes, each a process of its own, while one node does not
 * answer, one is killed and comes back, and the cookie is changed. The totals are exact all the same.
 *
 *   npm run demo:cluster                   counts the project's own text, again and again until all that has happened
 *   npm run demo:cluster -- --quick        the same with less of everything
 *   npm run demo:cluster -- a.txt b.txt    counts these files
 *
 * This process is a node, too: it has the collector, and gives out the work (word_count_cluster/work.ts).
 */

import { createSystem, loggerConfig } from "libeam";
import { filesOr } from "./command_line/input.ts";
import { areEqual, countWords, projectFiles, readBatches, type Totals } from "./word_count/text.ts";
import { Collector } from "./word_count_cluster/actors.ts";
import { endProcesses, startProcess } from "./word_count_cluster/processes.ts";
import { causeTrouble } from "./word_count_cluster/trouble.ts";
import { Work } from "./word_count_cluster/work.ts";

const NODES = ["node1", "node2", "node3", "node4", "node5"];
const WORKERS = 10;
const LINES_PER_BATCH = 40;
const BATCHES_QUICK = 200;
/** Batches between two troubles. */
const PROGRESS = 200;
const COOKIE = "a demo has no secrets, but long ones";
const NEXT_COOKIE = "the next one is no shorter than that";

const begin = performance.now();
const seconds = () => (performance.now() - begin) / 1_000;
const tell = (line: string) => console.log(`${seconds().toFixed(1).padStart(6)} s  ${line}`);

loggerConfig.configure({ level: "none" }); // What happens is told below.
const quick = process.argv.includes("--quick");
const named = process.argv.slice(2).filter((argument) => argument !== "--quick");
const files = filesOr(projectFiles, named);
const text = readBatches(files, LINES_PER_BATCH).slice(0, quick ? BATCHES_QUICK : undefined);

const common = { type: "distributed", port: 0, bindAddress: "127.0.0.1", cookie: COOKIE } as const;
const system = await createSystem({ ...common, nodeId: "demo", roles: ["demo"], seedNodes: [] });
const seedNodes = [system.cluster.getPeerState("demo")?.gossipAddress as string];
const startNode = (nodeId: string) => startProcess({ ...common, nodeId, seedNodes });
await Promise.all(NODES.map(startNode));
await system.waitForCluster({ nodes: NODES });
tell(`${NODES.join(", ")} are up; ${files.length} files in ${text.length} batches`);

const collector = system.spawn(Collector);
const work = new Work(system, text, collector);

/** Resolves when some more batches have been counted. */
async function progress(): Promise<void> {
  const before = work.batches;
  while (work.batches < before + PROGRESS) await new Promise((resolve) => setTimeout(resolve, 10));
}

const working = work.run(WORKERS);
await causeTrouble({
  system,
  nodes: NODES,
  blockMs: quick ? 2_000 : 10_000,
  newCookie: NEXT_COOKIE,
  startNode,
  progress,
  tell,
});
work.finish();
await working;
const { totals, batches, twice } = await collector.call("report");
tell(`${batches} batches counted, ${work.askedAgain} asked for again, ${twice} counted twice and kept once`);
tell([...work.answers].map(([node, count]) => `${node}: ${count}`).join(", "));
await system.shutdown();
await endProcesses();

const plain: Totals = new Map();
for (const { lines } of text) countWords(plain, lines);
const times = batches / text.length;
for (const [word, count] of plain) plain.set(word, count * times);
const exact = areEqual(totals, plain);
const words = [...plain.values()].reduce((sum, count) => sum + count, 0);
const verdict = `${exact ? "exactly" : "NOT"} what a plain loop counts in ${times} times the text`;
tell(`${words} words, ${totals.size} different: ${verdict}`);
process.exitCode = exact ? 0 : 1;
