/**
 * Casts in bulk, to one actor and round-robin to many. Steady: batches, each closed by a call to the actor that was
 * cast to last. Burst: all casts in one go. A round ends with a call to every receiver and is timed up to its answer,
 * so what is counted has been handled.
 *
 * A program that casts to one actor keeps the ref in a variable, and the engine looks at it once; one that casts to many
 * takes each from a list. The casts to one actor that is the only one in a list run the very program of those to many: what
 * is left between the two is what the number of actors costs.
 */

import { createSystem } from "libeam";
import { counts } from "../counts.js";
import { plainQueue, plainQueues } from "../floor.js";
import type { Case } from "../harness.js";
import { compare, type Suite } from "../suite.js";
import { Counter, type LocalSystem } from "./actors.js";

const spawnCounter = (system: LocalSystem) => system.spawn(Counter, { args: [0] });
type CounterRef = ReturnType<typeof spawnCounter>;

const batched = counts.cast_batches * counts.cast_batch_size;
const many = counts.cast_actors.toLocaleString("en");

function toOne(counter: CounterRef): [batches: Case, burst: Case] {
  return [
    {
      key: "cast_batches_1",
      name: `cast, 1 actor, batches of ${counts.cast_batch_size}`,
      opsPerRound: batched,
      elixir: ["cast_batches_1"],
      run: async () => {
        for (let batch = 0; batch < counts.cast_batches; batch++) {
          for (let i = 0; i < counts.cast_batch_size; i++) counter.cast("increment");
          await counter.call("get");
        }
        return counter.call("take");
      },
    },
    {
      key: "cast_burst_1",
      name: `cast, 1 actor, burst of ${counts.cast_burst.toLocaleString("en")}`,
      opsPerRound: counts.cast_burst,
      elixir: ["cast_burst_1"],
      run: async (ops) => {
        for (let i = 0; i < ops; i++) counter.cast("increment");
        return counter.call("take");
      },
    },
  ];
}

/** Asks every actor what it has handled, one call each; the sum must be the round's operations. */
async function takeAll(counters: readonly CounterRef[]): Promise<number> {
  let handled = 0;
  for (const counter of counters) handled += await counter.call("take");
  return handled;
}

/** A burst to actors that are in a list, in turn. */
function burstTo(counters: readonly CounterRef[]): Case["run"] {
  return async (ops) => {
    let next = 0;
    for (let i = 0; i < ops; i++) {
      counters[next]!.cast("increment");
      next = next + 1 === counters.length ? 0 : next + 1;
    }
    return takeAll(counters);
  };
}

/** Batches to actors that are in a list, in turn. */
function batchesTo(counters: readonly CounterRef[]): Case["run"] {
  return async () => {
    let next = 0;
    for (let batch = 0; batch < counts.cast_batches; batch++) {
      let last = counters[0]!;
      for (let i = 0; i < counts.cast_batch_size; i++) {
        last = counters[next]!;
        last.cast("increment");
        next = next + 1 === counters.length ? 0 : next + 1;
      }
      await last.call("get");
    }
    return takeAll(counters);
  };
}

function toListed(counters: readonly CounterRef[], kind: "listed" | "many", who: string): [batches: Case, burst: Case] {
  return [
    {
      key: `cast_batches_${kind}`,
      name: `cast, ${who}, batches of ${counts.cast_batch_size}`,
      opsPerRound: batched,
      ...(kind === "many" ? { elixir: ["cast_batches_many"] } : {}),
      run: batchesTo(counters),
    },
    {
      key: `cast_burst_${kind}`,
      name: `cast, ${who}, burst of ${counts.cast_burst.toLocaleString("en")}`,
      opsPerRound: counts.cast_burst,
      ...(kind === "many" ? { elixir: ["cast_burst_many"] } : {}),
      run: burstTo(counters),
    },
  ];
}

export const casts: Suite = {
  name: "casts",
  title: "Casts in bulk",
  async run(context) {
    const system = createSystem();
    const counters = Array.from({ length: counts.cast_actors }, () => spawnCounter(system));
    const counter = spawnCounter(system);
    const [batchesToOne, burstToOne] = toOne(counter);
    const [batchesToListed, burstToListed] = toListed([counter], "listed", "1 actor in a list");
    const [batchesToMany, burstToMany] = toListed(counters, "many", `${many} actors`);
    // The plain queues take part for drift's sake, under the names of this suite.
    const queues = [plainQueue, plainQueues].map((one) => ({ ...one, key: `casts_${one.key}` }));
    // Bursts leave megabytes that V8 marks in the background: they have a rotation of their own.
    const steady = await compare("casts", [...queues, batchesToOne, batchesToListed, batchesToMany], context);
    const bursts = await compare("casts", [burstToOne, burstToListed, burstToMany], context);
    await system.shutdown();
    return [...steady, ...bursts];
  },
};
