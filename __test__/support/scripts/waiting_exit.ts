/**
 * A node that shuts down while it is waited for others, and has to end by itself. Its first argument is its settings.
 */

import { createSystem, loggerConfig, waitForCluster } from "../../../lib/index.js";

loggerConfig.configure({ level: "none" });
const system = await createSystem(JSON.parse(process.argv[2] as string));
const wanted = { nodes: ["nobody"], timeout: 600_000 };
const waits = [
  system.waitForCluster(wanted),
  system.cluster.waitForMembers(wanted),
  waitForCluster(system.cluster, wanted),
];
const ends = waits.map((wait) => wait.catch((error: Error) => error.name));
await system.shutdown();
for (const end of ends) console.log(JSON.stringify(await end));
