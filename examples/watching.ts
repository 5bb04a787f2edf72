/**
 * Watching: one `down` message tells when an actor has ended, and why. The watcher itself is not affected.
 */

import { type ActorRef, createActor, createSystem, loggerConfig, type TerminationReason } from "libeam";

loggerConfig.configure({ level: "none" });

const Task = createActor("Task", (ctx, self) =>
  self
    .onCast("finish", () => ctx.exit())
    .onCast("fail", () => {
      throw new Error("disk full");
    })
    .onCast("hang", () => new Promise<void>(() => {})),
);

/** The reason in words. */
function describe(reason: TerminationReason): string {
  if (reason.type === "error") return `error (${reason.error.message})`;
  if (reason.type === "exit") return `exit (${JSON.stringify(reason.reason)})`;
  return reason.type;
}

const Watcher = createActor("Watcher", (ctx, self) => {
  let seen = 0;
  return self
    .onCall("watch", (ref: ActorRef) => ctx.watch(ref).id)
    .onInfo("down", ({ actorRef, reason }) => {
      seen++;
      console.log(`  ${actorRef.id.name ?? "an unnamed task"} is down: ${describe(reason)}`);
    })
    .onCall("seen", () => seen)
    .onCast("abort", (ref: ActorRef, why: unknown) => ctx.exit(ref, why));
});

const system = createSystem({ supervision: { strategy: "Stop" } });
const watcher = system.spawn(Watcher);
const tasks = ["finishing", "failing", "cancelled", "hanging"].map((name) => system.spawn(Task, { name }));
for (const task of tasks) await watcher.call("watch", task);

const [finishing, failing, cancelled, hanging] = tasks;
finishing.cast("finish");
failing.cast("fail");
watcher.cast("abort", cancelled, { code: "BUDGET_EXCEEDED" });
hanging.cast("hang");
watcher.cast("abort", hanging, "kill"); // The only signal that does not wait for the handler.

while ((await watcher.call("seen")) < tasks.length) await new Promise(setImmediate);

await system.shutdown();
