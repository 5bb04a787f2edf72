import { createSystem, loggerConfig } from "../../../lib/index.js";
import { Script } from "../puppets.js";
import { nodeTimer, turns } from "../time.js";

loggerConfig.level = "none";
let stray: unknown[] = [];
process.on("uncaughtException", (e) => stray.push(e));
process.on("unhandledRejection", (e) => stray.push(e));
const open = () => [
  createSystem({ limits: { stopTimeoutMs: 4 } }),
  createSystem({ limits: { stopTimeoutMs: 4 }, supervision: { strategy: "Stop" } }),
  createSystem({
    limits: { stopTimeoutMs: 4 },
    supervision: { maxRestarts: 1000, backoff: { initialMs: 1, maxMs: 2 } },
  }),
];
let systems = open();
const held = () =>
  systems.map(({ system }) => Object.fromEntries(Object.entries(system._counters()).filter(([, n]) => n !== 0)));
const empty = () => held().every((h) => Object.keys(h).length === 0);
let best = 1e9;
let fails = 0,
  count = 0;
const seed0 = Number(process.argv[3] ?? 1);
const endAt = performance.now() + Number(process.argv[2] ?? 20_000);
const maxSteps = Number(process.argv[4] ?? 8);
for (let seed = seed0; performance.now() < endAt; seed++) {
  count++;
  const script = new Script(seed, systems);
  let played: unknown = false;
  script.play().then(
    () => {
      played = true;
    },
    (e) => {
      played = e ?? "?";
    },
  );
  const deadline = performance.now() + 4000;
  while (played === false && performance.now() < deadline) await turns(1);
  while (played === true && !empty() && performance.now() < deadline) await turns(1);
  if (played !== true || !empty() || script.wrongs.length > 0 || stray.length > 0) {
    fails++;
    if (script.log.length < best) {
      best = script.log.length;
      console.log(
        `--- seed ${seed} ${String((played as any)?.stack ?? played)} ${script.wrongs} unsettled ${script.unsettled} ${JSON.stringify(held())} ${stray.map((e: any) => e?.stack ?? e)}`,
      );
      console.log(script.log.join("\n"));
    }
    stray = [];
    systems = open();
  }
}
console.log({ count, fails });
await nodeTimer(1);
process.exit();
