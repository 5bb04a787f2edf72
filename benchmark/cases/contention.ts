/**
 * A window of calls kept open on one actor: `counts.window` clients each await their own call and make the next.
 * With a sync handler the actor is idle whenever a call arrives; with an async handler it is busy and calls queue.
 */

import { createSystem } from "libeam";
import { counts } from "../counts.js";
import { type Case, sink } from "../harness.js";
import { compare, type Suite } from "../suite.js";
import { AsyncCounter, Counter, type LocalSystem } from "./actors.js";

const elixir = ["in_flight_pipelined", "in_flight_clients"];

async function allClients(ops: number, client: (share: number) => Promise<void>): Promise<void> {
  const share = ops / counts.window;
  await Promise.all(Array.from({ length: counts.window }, () => client(share)));
}

function syncHandler(system: LocalSystem): Case {
  const counter = system.spawn(Counter, { args: [0] });
  return {
    key: "in_flight_sync",
    name: `${counts.window} in flight, sync handler`,
    opsPerRound: counts.in_flight,
    elixir,
    run: async (ops) => {
      await allClients(ops, async (share) => {
        for (let i = 0; i < share; i++) sink(await counter.call("increment"));
      });
      return counter.call("take");
    },
  };
}

function asyncHandler(system: LocalSystem): Case {
  const counter = system.spawn(AsyncCounter);
  return {
    key: "in_flight_async",
    name: `${counts.window} in flight, busy actor (async handler)`,
    opsPerRound: counts.in_flight,
    elixir,
    run: async (ops) => {
      await allClients(ops, async (share) => {
        for (let i = 0; i < share; i++) sink(await counter.call("increment"));
      });
      return counter.call("take");
    },
  };
}

function suspendingHandler(system: LocalSystem): Case {
  const counter = system.spawn(AsyncCounter);
  return {
    key: "in_flight_suspend",
    name: `${counts.window} in flight, busy actor (handler awaits once)`,
    opsPerRound: counts.in_flight,
    elixir,
    run: async (ops) => {
      await allClients(ops, async (share) => {
        for (let i = 0; i < share; i++) sink(await counter.call("suspend"));
      });
      return counter.call("take");
    },
  };
}

export const contention: Suite = {
  name: "contention",
  title: "Calls in flight",
  async run(context) {
    const system = createSystem();
    const cases = [syncHandler(system), asyncHandler(system), suspendingHandler(system)];
    const rows = await compare("contention", cases, context);
    await system.shutdown();
    return rows;
  },
};
