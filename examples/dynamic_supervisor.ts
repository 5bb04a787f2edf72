/**
 * DynamicSupervisor: children on demand, each started again on its own, never more than allowed.
 */

import { createActor, createSystem, DynamicSupervisor, loggerConfig, MaxChildrenError } from "libeam";

loggerConfig.configure({ handler: ({ error }) => console.log(`  log: ${error?.message}`) });

const Download = createActor("Download", (ctx, self, url: string) => {
  let percent = 0;
  return self
    .onCall("progress", () => `${url}: ${percent} %`)
    .onCast("received", (more: number) => {
      percent += more;
      if (percent >= 100) ctx.exit();
    })
    .onCast("disconnect", () => {
      throw new Error(`lost the connection to ${url}`);
    });
});

const system = createSystem();
const downloads = DynamicSupervisor.start(system, { maxChildren: 2, maxRestarts: 3, periodMs: 5_000 });

const one = await downloads.startChild(Download, { args: ["one.iso"], name: "one" });
const two = await downloads.startChild(Download, { args: ["two.iso"], name: "two" });

await downloads.startChild(Download, { args: ["three.iso"] }).catch((error) => {
  if (error instanceof MaxChildrenError) console.log(`no third one: ${error.code}`);
});

one.cast("received", 60);
two.cast("received", 30);
console.log(await one.call("progress"), "|", await two.call("progress"));

console.log("one loses its connection and begins again, two goes on");
one.cast("disconnect");
console.log(await one.call("progress"), "|", await two.call("progress"));

const names = async () => (await downloads.whichChildren()).map((child) => child.name);
console.log("running:", await names(), await downloads.countChildren());

console.log("two is complete and ends by itself; that is no crash");
two.cast("received", 70);
await two.call("progress").catch((error) => console.log(`  two: ${error.code}`));
console.log("running:", await names());

console.log(
  "one is cancelled:",
  await downloads.terminateChild(one),
  "and again:",
  await downloads.terminateChild(one),
);

await downloads.stop();
await system.shutdown();
