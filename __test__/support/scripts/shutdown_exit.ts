/**
 * A busy process that shuts its system down and has to end by itself.
 */

import { createActor, createSystem, loggerConfig } from "../../../lib/index.js";

loggerConfig.level = "none";
const nameOf = (error: any): string => error?.name;
const handled: number[] = [];
let terminated = 0;

const Thing = createActor("Thing", (ctx, self) => {
  self.sendInterval("tick", 10);
  self.sendAfter("tick", 600_000);
  self.setIdleTimeout(600_000);
  return self
    .onCast("count", async (n: number) => {
      await null;
      handled.push(n);
    })
    .onCast("tick", () => {})
    .onCast("crash", () => {
      throw new Error("boom");
    })
    .onCall("hang", () => new Promise(() => {}))
    .onCall("child", () => ctx.spawn(Thing))
    .onTerminate(() => {
      terminated++;
    });
});

const backoff = { initialMs: 600_000, maxMs: 600_000 };
const system = createSystem({ supervision: { backoff }, limits: { stopTimeoutMs: 100 } });
const busy = system.spawn(Thing);
const hanging = system.spawn(Thing);
const down = system.spawn(Thing);
await busy.call("child");
const hung = hanging.call({ method: "hang", args: [] }, Number.POSITIVE_INFINITY).catch(nameOf);
down.cast("crash");
for (let n = 0; n < 100; n++) busy.cast("count", n);
const end = system.shutdown({ timeout: 400 });
let spawned: string | undefined;
try {
  system.spawn(Thing);
} catch (error) {
  spawned = nameOf(error);
}
const called = await busy.call("child").catch(nameOf);
await end;
console.log(JSON.stringify({ spawned, called, hung: await hung, handled, terminated }));
process.on("beforeExit", () => console.log(JSON.stringify({ resources: process.getActiveResourcesInfo() })));
