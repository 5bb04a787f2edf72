/**
 * The demo's nodes as processes: started, killed, started again, and gone when the demo is, whatever its end.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { DistributedConfig } from "libeam";

/** A node that has not said that it is ready by then never will. */
const READY_MS_MAX = 30_000;
/** A node that has not ended by then is killed. */
const END_MS_MAX = 10_000;

const script = fileURLToPath(new URL("node.ts", import.meta.url));
const running = new Map<string, ChildProcess>();

process.on("exit", () => {
  for (const child of running.values()) child.kill("SIGKILL");
});
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => process.exit(code));
}

/** Starts a node and waits until it is ready. */
export async function startProcess(config: Partial<DistributedConfig> & { nodeId: string }): Promise<void> {
  const child = fork(script, [JSON.stringify(config)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  running.set(config.nodeId, child);
  child.on("exit", () => {
    if (running.get(config.nodeId) === child) running.delete(config.nodeId);
  });
  const ready = once(child, "message", { signal: AbortSignal.timeout(READY_MS_MAX) });
  const failed = once(child, "exit").then(([code]) => {
    throw new Error(`${config.nodeId} ended with ${code} before it was ready`);
  });
  await Promise.race([ready, failed]);
  failed.catch(() => {});
}

/** Kills the process of a node, which gets no chance to say goodbye. */
export function killProcess(nodeId: string): void {
  running.get(nodeId)?.kill("SIGKILL");
}

/** Ends all nodes in good order. */
export async function endProcesses(): Promise<void> {
  const children = [...running.values()];
  for (const child of children) child.send("end");
  await Promise.all(
    children.map(async (child) => {
      const late = setTimeout(() => child.kill("SIGKILL"), END_MS_MAX);
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      clearTimeout(late);
    }),
  );
}
