/**
 * A process that starts nodes which cannot be started, prints the names of those that were refused, and has to end by
 * itself. Its first argument is the settings that they share.
 */

import { createSystem, loggerConfig } from "../../../lib/index.js";

/** Settings that a node cannot be started with. */
export const failingStarts: Record<string, object> = {
  seedNodes: { seedNodes: ["garbage"] },
  preset: { gossip: "nope" },
  port: { port: 65_534 },
  ports: { port: undefined, ports: { rpc: 0 } },
  auth: { auth: {} },
  roles: { roles: 5 },
  facts: { roles: ["x".repeat(600)] },
  supervision: { supervision: { maxRestarts: -1 } },
  mailbox: { mailbox: { maxSize: -5 } },
  limits: { limits: { actorsMax: -1 } },
  loop: { limits: { loopBusyMs: 100, loopHungMs: 1 } },
  timeouts: { timeouts: { defaultCallTimeout: -1 } },
  ready: { ready: { minMembers: "x" } },
  actors: { actors: ["/nope.mjs"] },
  bindAddress: { bindAddress: "localhost" },
  advertiseAddress: { advertiseAddress: "localhost" },
};

if (process.argv[2]?.startsWith("{")) {
  loggerConfig.configure({ level: "none" });
  const common = JSON.parse(process.argv[2]);
  for (const [what, more] of Object.entries(failingStarts)) {
    await createSystem({ ...common, ...more }).catch(() => console.log(JSON.stringify(what)));
  }
}
