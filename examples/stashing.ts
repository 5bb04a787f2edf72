/**
 * Stashing: a message that comes too early is put aside and handled when the actor is ready for it. Callers just wait.
 */

import { createActor, createSystem } from "libeam";

const Database = createActor("Database", (ctx, self) => {
  let connected = false;
  const rows = new Map<string, string>();

  // The connection takes its time; messages arrive from the first moment.
  self.sendAfter("connected", 50);

  return self
    .onCast("connected", () => {
      console.log("connected, the stash is replayed in its old order");
      connected = true;
      ctx.unstashAll();
    })
    .onCast("put", (key: string, value: string) => {
      if (!connected) return ctx.stash();
      console.log(`  put ${key}`);
      rows.set(key, value);
    })
    .onCall("get", (key: string): string | undefined => {
      if (!connected) {
        console.log(`  get ${key} is stashed, its caller waits`);
        ctx.stash();
        return undefined; // Goes nowhere: the call is still open.
      }
      return rows.get(key);
    });
});

const system = createSystem();
const database = system.spawn(Database);

database.cast("put", "language", "TypeScript");
database.cast("put", "runtime", "Rust");
const answers = await Promise.all([database.call("get", "language"), database.call("get", "runtime")]);
console.log("answers:", answers);

await system.shutdown();
