/**
 * Starting and stopping actors: one after the other, and many that stay alive.
 *
 * A round of spawn + stop checks that every actor's init ran and that the last one stopped is really gone. The alive
 * case ends its clock when the last init has run; stopping that system again is not timed.
 */
import { setImmediate as turn } from "node:timers/promises";
import { Actor, createActor, createSystem } from "libeam";
import { counts } from "../counts.js";
import type { Case, Timed } from "../harness.js";
import { compare, type Suite } from "../suite.js";
import type { LocalSystem } from "./actors.js";

/** Actors whose init has run, since the round began. */
let initialized = 0;

const Started = createActor((_ctx, self, initial: number) => {
  let count = initial;
  initialized++;
  return self
    .onCall("get", () => count)
    .onCast("increment", () => {
      count++;
    });
});

class StartedActor extends Actor {
  private count = 0;

  override init(initial = 0): void {
    this.count = initial;
    initialized++;
  }

  override handleCall(): number {
    return this.count;
  }
}

const initsWaitMsMax = 30_000;

/** Waits until `expected` inits have run, at most 30 s; returns how many did. */
async function initsDone(expected: number): Promise<number> {
  const deadline = Date.now() + initsWaitMsMax;
  while (initialized < expected && Date.now() < deadline) await turn();
  return initialized;
}

async function isGone(call: () => Promise<unknown>): Promise<boolean> {
  return call().then(
    () => false,
    () => true,
  );
}

function spawnStop(system: LocalSystem): Case {
  return {
    key: "spawn_stop_functional",
    name: "spawn + stop, functional actor",
    opsPerRound: counts.spawn_stop,
    elixir: ["spawn_stop"],
    run: async (ops) => {
      initialized = 0;
      for (let i = 1; i < ops; i++) await system.stop(system.spawn(Started, { args: [i] }));
      const last = system.spawn(Started, { args: [ops] });
      await system.stop(last);
      return (await isGone(() => last.call("get"))) ? initialized : 0;
    },
  };
}

function spawnStopClass(system: LocalSystem): Case {
  return {
    key: "spawn_stop_class",
    name: "spawn + stop, class actor",
    opsPerRound: counts.spawn_stop,
    elixir: ["spawn_stop"],
    run: async (ops) => {
      initialized = 0;
      for (let i = 1; i < ops; i++) await system.stop(system.spawn(StartedActor, { args: [i] }));
      const last = system.spawn(StartedActor, { args: [ops] });
      await system.stop(last);
      return (await isGone(() => last.call({ type: "get" }))) ? initialized : 0;
    },
  };
}

const spawnAlive: Case = {
  key: "spawn_alive",
  name: `spawn, ${counts.spawn_alive.toLocaleString("en")} alive`,
  opsPerRound: counts.spawn_alive,
  roundsMax: 5,
  elixir: ["spawn_alive"],
  run: async (ops): Promise<Timed> => {
    const system = createSystem();
    initialized = 0;
    const started = process.hrtime.bigint();
    for (let i = 0; i < ops; i++) system.spawn(Started, { args: [i] });
    const completed = await initsDone(ops);
    const elapsedNs = Number(process.hrtime.bigint() - started);
    await system.shutdown();
    return { completed, elapsedNs };
  },
};

export const lifecycle: Suite = {
  name: "lifecycle",
  title: "Starting and stopping",
  async run(context) {
    const system = createSystem();
    const rows = await compare("lifecycle", [spawnStop(system), spawnStopClass(system), spawnAlive], context);
    await system.shutdown();
    return rows;
  },
};
