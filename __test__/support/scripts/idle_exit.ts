/**
 * A process with a local system in which nothing, or something, is left to happen. The argument says what.
 */

import { createActor, createSystem, loggerConfig } from "../../../lib/index.js";

const print = (value: unknown): void => console.log(JSON.stringify(value));
loggerConfig.level = "none";

const Thing = createActor("Thing", (ctx, self) => {
  const tick = (text: string): void => print(text);
  self
    .onCall("ask", () => 1)
    .onCall("hang", () => new Promise(() => {}))
    .onCall("watch", (ref: any) => void [ctx.watch(ref), ctx.link(ref)])
    .onCall("after", (ms: number) => void self.sendAfter({ method: "tick", args: ["timer"] }, ms))
    .onCall("every", (ms: number) => void self.sendInterval({ method: "tick", args: ["interval"] }, ms))
    .onCast("tick", tick)
    .onCast("crash", () => {
      throw new Error("boom");
    })
    .onTerminate(() => {});
});

const left: Record<string, (ref: any) => void> = {
  nothing: () => {},
  timer: (ref) => void ref.call("after", 150),
  interval: (ref) => void ref.call("every", 20),
  call: (ref) => void ref.call({ method: "hang", args: [] }, 150).catch((error: Error) => print(error.name)),
  backoff: (ref) => {
    ref.cast("crash");
    ref.call("ask").then(print);
  },
};

process.on("beforeExit", () => print({ resources: process.getActiveResourcesInfo() }));
const system = createSystem({ supervision: { backoff: { initialMs: 150, jitter: 0 } } });
const refs = Array.from({ length: 100 }, (_, at) => system.spawn(Thing, { name: `thing-${at}` }));
for (const ref of refs) system.joinGroup("things", ref);
await Promise.all(refs.map((ref) => ref.call("ask")));
await refs[0].call("watch", refs[1]);
await system.stop(refs[2]);
left[process.argv[2]](refs[3]);
