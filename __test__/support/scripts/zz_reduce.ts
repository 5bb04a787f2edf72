import { createSystem, loggerConfig } from "../../../lib/index.js";
import { Script } from "../puppets.js";
import { nodeTimer, turns } from "../time.js";

loggerConfig.level = "none";
process.on("uncaughtException", () => {});
process.on("unhandledRejection", () => {});
const open = () => [
  createSystem({ limits: { stopTimeoutMs: 4 } }),
  createSystem({ limits: { stopTimeoutMs: 4 }, supervision: { strategy: "Stop" } }),
  createSystem({
    limits: { stopTimeoutMs: 4 },
    supervision: { maxRestarts: 1000, backoff: { initialMs: 1, maxMs: 2 } },
  }),
];
async function fails(seed: number, without: Set<number>, verbose = false) {
  const systems = open();
  const held = () =>
    systems.map(({ system }) => Object.fromEntries(Object.entries(system._counters()).filter(([, n]) => n !== 0)));
  const empty = () => held().every((h) => Object.keys(h).length === 0);
  const script = new Script(seed, systems, without);
  let played: unknown = false;
  script.play().then(
    () => {
      played = true;
    },
    (e) => {
      played = e;
    },
  );
  const deadline = performance.now() + 150;
  while (played === false && performance.now() < deadline) await turns(1);
  while (played === true && !empty() && performance.now() < deadline) await turns(1);
  const bad = played !== true || !empty() || script.wrongs.length > 0;
  if (verbose) console.log(seed, bad, script.wrongs, String(played), JSON.stringify(held()), "\n" + script.log.join("\n"));
  return bad;
}
for (const seed of process.argv.slice(2).map(Number)) {
  const often = async (w: Set<number>) => {
    for (let i = 0; i < 6; i++) if (await fails(seed, w)) return true;
    return false;
  };
  const without = new Set<number>();
  if (!(await often(without))) {
    console.log(seed, "not reproduced");
    continue;
  }
  for (let round = 0; round < 2; round++)
    for (let step = 23; step >= 0; step--) {
      if (without.has(step)) continue;
      without.add(step);
      if (!(await often(without))) without.delete(step);
    }
  for (let i = 0; i < 8; i++) if (await fails(seed, without)) break;
  await fails(seed, without, true);
}
process.exit();
