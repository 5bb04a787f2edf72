/**
 * One node of the cluster that counts words. It offers counters to the others, and an operator. It ends when it is told
 * to, or with the process that has started it.
 */

import { createSystem, type DistributedConfig, loggerConfig } from "libeam";
import { Counter, makeOperator } from "./actors.ts";

loggerConfig.configure({ level: "none" });
process.on("SIGINT", () => {}); // Ctrl-C reaches every process of a terminal; the one that started this ends it.
process.on("disconnect", () => process.exit());
if (!process.connected) process.exit();

const config = JSON.parse(process.argv[2] as string) as DistributedConfig & { nodeId: string };
const system = await createSystem({ ...config, roles: ["counter", config.nodeId] });
system.register(Counter);
system.register(makeOperator(system));

process.on("message", async () => {
  await system.shutdown({ timeout: 1_000 });
  process.disconnect();
});
process.send?.("ready");
