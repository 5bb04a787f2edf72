/**
 * ConsumerSupervisor: a job queue with a worker for each job, so many at once and no more. A worker that crashes is
 * started again with its job; the queue is asked for more as workers finish.
 */

import { setTimeout as pause } from "node:timers/promises";
import { ConsumerSupervisor, createActor, createSystem, loggerConfig, Producer } from "libeam";

loggerConfig.configure({ handler: ({ message, error }) => console.log(`  log: ${message}: ${error?.message}`) });

const JOBS = ["resize", "convert", "upload", "index", "mail", "archive", "report", "clean"];
const WORKERS_MAX = 3;

let [running, mostAtOnce, finished] = [0, 0, 0];
let allFinished = () => {};
const queueEmpty = new Promise<void>((resolve) => {
  allFinished = resolve;
});

/** The arguments of the child spec come first, the job last. */
const Worker = createActor("Worker", (ctx, self, attempts: Map<string, number>, job: string) => {
  const attempt = (attempts.get(job) ?? 0) + 1;
  attempts.set(job, attempt);
  mostAtOnce = Math.max(mostAtOnce, ++running);
  console.log(`  ${job} starts${attempt > 1 ? ` again (attempt ${attempt})` : ""}, workers: ${running}`);
  self.sendAfter("work", 10 + job.length);
  return self
    .onCast("work", () => {
      if (job === "upload" && attempt < 3) throw new Error("connection lost");
      finished++;
      ctx.exit();
    })
    .onTerminate(() => {
      running--;
      if (finished === JOBS.length) allFinished();
    });
});

const system = createSystem();

const queue = Producer.start(system, {
  init: () => 0,
  handleDemand: (demand, next: number) => {
    const jobs = JOBS.slice(next, next + demand);
    console.log(`queue: asked for ${demand}, ${JOBS.length - next - jobs.length} jobs stay`);
    return [jobs, next + jobs.length];
  },
});

const attempts = new Map<string, number>();
const workers = ConsumerSupervisor.start(
  system,
  { actorClass: Worker, args: [attempts] },
  { maxRestarts: 3, periodMs: 1_000 },
);
await workers.subscribe(queue, { maxDemand: WORKERS_MAX, minDemand: 1 });

await pause(5);
console.log("now at work:", (await workers.whichChildren()).length, await workers.countChildren());

await queueEmpty;
console.log(`${finished} jobs finished, never more than ${mostAtOnce} workers at once`);
console.log(`upload took ${attempts.get("upload")} attempts, the others one each`);
await system.shutdown();
