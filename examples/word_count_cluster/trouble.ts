/**
 * What happens to the cluster while it works: a node that does not answer, one that is killed and started again, and a new
 * cookie for all.
 */

import { once } from "node:events";
import type { DistributedSystem } from "libeam";
import { makeOperator, type RotationStep } from "./actors.ts";
import { killProcess } from "./processes.ts";

/** What the trouble is about. */
export interface Stage {
  system: DistributedSystem;
  /** Nodes in processes of their own; the second one will be blocked, the fourth one killed. */
  nodes: string[];
  blockMs: number;
  newCookie: string;
  /** Starts a node, as it was started at first. */
  startNode(nodeId: string): Promise<void>;
  /** Resolves when more was counted. */
  progress(): Promise<void>;
  tell(text: string): void;
}

/** All of it, one after the other. */
export async function causeTrouble(stage: Stage): Promise<void> {
  await stage.progress();
  await block(stage);
  await stage.progress();
  await killAndRestart(stage);
  await stage.progress();
  await rotate(stage);
  await stage.progress();
}

/** An actor on a node; each node has its id as a role. */
function operatorOf({ system }: Stage, node: string) {
  return system.spawn(makeOperator(system), { role: node, strategy: "round-robin" });
}

async function block(stage: Stage): Promise<void> {
  const { nodes, blockMs, system, tell } = stage;
  const node = nodes[1] as string;
  let missed = false;
  const onLeave = (left: string) => {
    missed ||= left === node;
  };
  system.cluster.on("member_leave", onLeave);
  tell(`${node}'s event loop is blocked for ${blockMs / 1_000} s`);
  await operatorOf(stage, node).call("block", blockMs, { timeout: Number.POSITIVE_INFINITY });
  system.cluster.off("member_leave", onLeave);
  tell(`${node} answers again; ${missed ? "it was taken for dead" : "nobody took it for dead"}`);
}

async function killAndRestart({ nodes, system, startNode, progress, tell }: Stage): Promise<void> {
  const node = nodes[3] as string;
  const gone = once(system.cluster, "member_leave");
  killProcess(node);
  tell(`${node} is killed (SIGKILL)`);
  const [left] = await gone;
  tell(`${left} is no member any more`);
  await progress();
  const back = once(system.cluster, "member_join");
  await startNode(node);
  const [joined] = await back;
  tell(`${joined} was started again and is a member`);
}

async function rotate(stage: Stage): Promise<void> {
  const { nodes, newCookie, system, progress, tell } = stage;
  const operators = [system.nodeId, ...nodes].map((node) => operatorOf(stage, node));
  const steps: RotationStep[] = ["install", "use", "remove"];
  for (const step of steps) {
    await Promise.all(operators.map((operator) => operator.call("rotate", step, newCookie)));
    tell(`cookie: ${step} on all nodes`);
    await progress();
  }
  await Promise.all(operators.map((operator) => system.stop(operator)));
}
