/**
 * The floor: what the language itself charges for the things that a call or a cast cannot do without.
 *
 * `awaitResolved` is the unit in which calls are judged. The plain queue is an array with a head index, filled and
 * emptied in batches: what a cast would cost if there were no actors, no bounds and no scheduling.
 */
import { counts } from "./counts.js";
import { type Case, sink } from "./harness.js";

const resolved = Promise.resolve(1);

export const awaitResolved: Case = {
  key: "floor_await",
  name: "await of a resolved promise",
  opsPerRound: 2 * counts.calls,
  run: async (ops) => {
    let done = 0;
    for (let i = 0; i < ops; i++) done += await resolved;
    return done;
  },
};

async function answer(): Promise<number> {
  return 1;
}

export const awaitAsyncFunction: Case = {
  key: "floor_async_function",
  name: "await of an async function",
  opsPerRound: 2 * counts.calls,
  run: async (ops) => {
    let done = 0;
    for (let i = 0; i < ops; i++) done += await answer();
    return done;
  },
};

export const awaitExecutor: Case = {
  key: "floor_new_promise",
  name: "await of new Promise(resolve => resolve(1))",
  opsPerRound: 2 * counts.calls,
  run: async (ops) => {
    let done = 0;
    for (let i = 0; i < ops; i++) done += await new Promise<number>((resolve) => resolve(1));
    return done;
  },
};

/** A message as a cast makes it; allocated per operation, as there. */
interface Message {
  method: string;
  args: number[];
}

/** Fills and empties one of `queues`, round-robin, in batches of `counts.cast_batch_size`; returns the handled. */
function passThrough(ops: number, queues: Message[][]): number {
  let handled = 0;
  let next = 0;
  for (let left = ops; left > 0; ) {
    const batch = Math.min(left, counts.cast_batch_size);
    const first = next;
    for (let i = 0; i < batch; i++) {
      queues[next]!.push({ method: "increment", args: [i] });
      next = next + 1 === queues.length ? 0 : next + 1;
    }
    const touched = Math.min(batch, queues.length);
    for (let i = 0; i < touched; i++) handled += empty(queues[(first + i) % queues.length]!);
    left -= batch;
  }
  return handled;
}

function empty(queue: Message[]): number {
  for (let head = 0; head < queue.length; head++) sink(queue[head]!.args[0]!);
  const handled = queue.length;
  queue.length = 0;
  return handled;
}

const one: Message[][] = [[]];
const many: Message[][] = Array.from({ length: counts.cast_actors }, () => []);
const batched = counts.cast_batches * counts.cast_batch_size;

export const plainQueue: Case = {
  key: "floor_queue_1",
  name: "plain JS queue, 1 receiver",
  opsPerRound: batched,
  run: (ops) => passThrough(ops, one),
};

export const plainQueues: Case = {
  key: "floor_queue_many",
  name: `plain JS queue, ${counts.cast_actors.toLocaleString("en")} receivers`,
  opsPerRound: batched,
  run: (ops) => passThrough(ops, many),
};
