import { createActor, createSystem, loggerConfig } from "../../../lib/index.js";
import { nodeTimer, turn, turns } from "../time.js";

loggerConfig.level = "none";
const P = createActor((ctx, self) =>
  self.onCall("run", (f: any) => f(ctx, self)).onCast("run", (f: any) => f(ctx, self)),
);
async function scenario(name: string, play: (s: any, ref: any) => any) {
  const s = createSystem({
    limits: { stopTimeoutMs: 4 },
    supervision: { maxRestarts: 1000, backoff: { initialMs: 1, maxMs: 2 } },
  });
  const ref: any = s.spawn(P);
  await play(s, ref);
  await turns(20);
  await nodeTimer(20);
  const c = s.system._counters();
  console.log(name, JSON.stringify(Object.fromEntries(Object.entries(c).filter(([, n]) => n !== 0))));
}
const never = () => {};
await scenario("abort inline slow", async (s, ref) => {
  const c = new AbortController();
  const p = ref.call({ method: "run", args: [() => turn()] }, { signal: c.signal }).catch(never);
  c.abort();
  await p;
});
await scenario("abort queued", async (s, ref) => {
  const c = new AbortController();
  ref.cast("run", never);
  const p = ref.call({ method: "run", args: [() => turn()] }, { signal: c.signal }).catch(never);
  c.abort();
  await p;
});
await scenario("abort by cast", async (s, ref) => {
  const c = new AbortController();
  const p = ref.call({ method: "run", args: [() => turn()] }, { signal: c.signal }).catch(never);
  ref.cast("run", () => c.abort());
  await p;
});
await scenario("abort in batch", async (s, ref) => {
  const c = new AbortController();
  ref.cast("run", () => c.abort());
  const p = ref.call({ method: "run", args: [() => turn()] }, { signal: c.signal }).catch(never);
  await p;
});
await scenario("idle slow", async (s, ref) => {
  ref.cast("run", (ctx: any, self: any) => self.setIdleTimeout(2));
  await ref.call("run", () => turn());
  await s.stop(ref);
});
await scenario("kill slow", async (s, ref) => {
  const p = ref.call("run", () => turn()).catch(never);
  s.system.sendExit(null, ref, "kill");
  await p;
});
await scenario("kill slow queued", async (s, ref) => {
  ref.cast("run", never);
  const p = ref.call("run", () => turn()).catch(never);
  s.system.sendExit(null, ref, "kill");
  await p;
});
await scenario("kill slow later", async (s, ref) => {
  ref.cast("run", never);
  const p = ref.call("run", () => turns(3)).catch(never);
  await turn();
  s.system.sendExit(null, ref, "kill");
  await p;
});
await scenario("crash then slow", async (s, ref) => {
  ref.cast("run", () => {
    throw new Error();
  });
  const p = ref.call("run", () => turn()).catch(never);
  await p;
  await s.stop(ref);
});
await scenario("crash then slow stop", async (s, ref) => {
  ref.cast("run", () => {
    throw new Error();
  });
  const p = ref.call("run", () => turn()).catch(never);
  await s.stop(ref);
  await p;
});
