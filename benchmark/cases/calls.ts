/** Sequential calls to one idle actor: each is awaited before the next is made. */

import { createSystem } from "libeam";
import { counts } from "../counts.js";
import { type Case, sink } from "../harness.js";
import { compare, type Suite } from "../suite.js";
import { AsyncCounter, Counter, CounterActor, type Incrementer, type LocalSystem } from "./actors.js";

const name = "benchmark-counter";

/** Calls one after the other, then proves by `take` that the actor has counted every one. */
function sequential(ref: Incrementer & { call(method: "take"): Promise<number> }): Case["run"] {
  return async (ops) => {
    for (let i = 0; i < ops; i++) sink(await ref.call("increment"));
    return ref.call("take");
  };
}

function functional(system: LocalSystem): Case {
  const counter = system.spawn(Counter, { args: [0] });
  return {
    key: "call_functional",
    name: "call, functional actor",
    opsPerRound: counts.calls,
    elixir: ["call_sequential"],
    run: sequential(counter),
  };
}

function classBased(system: LocalSystem): Case {
  const counter = system.spawn(CounterActor, { args: [0] });
  return {
    key: "call_class",
    name: "call, class actor",
    opsPerRound: counts.calls,
    elixir: ["call_sequential"],
    run: async (ops) => {
      for (let i = 0; i < ops; i++) sink(await counter.call({ type: "increment" }));
      return counter.call({ type: "take" });
    },
  };
}

async function named(system: LocalSystem): Promise<Case[]> {
  system.spawn(Counter, { args: [0], name });
  const found = await system.getActorByName(name);
  if (!found) throw new TypeError(`${name} was spawned and cannot be found`);
  return [
    {
      key: "call_named",
      name: "call, ref obtained by name",
      opsPerRound: counts.calls,
      elixir: ["call_named"],
      run: sequential(found),
    },
    {
      key: "call_named_lookup",
      name: "getActorByName, then call",
      opsPerRound: counts.calls,
      elixir: ["call_named"],
      run: async (ops) => {
        for (let i = 0; i < ops; i++) sink(await (await system.getActorByName(name))!.call("increment"));
        return found.call("take");
      },
    },
  ];
}

function asyncHandler(system: LocalSystem): Case {
  const counter = system.spawn(AsyncCounter);
  return {
    key: "call_async",
    name: "call, async handler",
    opsPerRound: counts.calls,
    elixir: ["call_sequential"],
    run: sequential(counter),
  };
}

export const calls: Suite = {
  name: "calls",
  title: "Sequential calls",
  async run(context) {
    const system = createSystem();
    const cases = [functional(system), classBased(system), ...(await named(system)), asyncHandler(system)];
    const rows = await compare("calls", cases, context);
    await system.shutdown();
    return rows;
  },
};
