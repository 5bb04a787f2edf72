/**
 * GenStage: what an event costs on its way from a producer to its consumers, and what a job costs in a worker of its
 * own. The floor is a loop over arrays, and Node's own streams.
 *
 * Every stage that gets events sums them and does nothing else; a producer-consumer passes on the array that it got. A
 * round builds a pipeline whose producer holds all demand back, waits until every consumer has asked, and starts the
 * clock when it lets the events go. It stops when the last one is handled; building and stopping are not timed.
 *
 * A round counts what the handlers have seen, and checks the sum, so that an event that came twice and one that never
 * came do not make up for each other.
 */
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { Consumer, ConsumerSupervisor, createActor, createSystem, Producer, ProducerConsumer } from "libeam";
import { counts } from "../counts.js";
import { genStageScript, genStageSource } from "../elixir.js";
import type { Case, Round, Timed } from "../harness.js";
import { compare, type Row, type Suite } from "../suite.js";
import type { LocalSystem } from "./actors.js";

/** The default: a consumer asks again when three quarters are left, so events come in quarters of it. */
const maxDemand = 1_000;
const chunk = maxDemand / 4;
const roundWaitMsMax = 30_000;

/** What one stage, or all workers together, have handled. */
class Tally {
  count = 0;
  sum = 0;

  constructor(private readonly goal: Goal) {}

  addAll(events: readonly number[]): void {
    let sum = 0;
    for (let i = 0; i < events.length; i++) sum += events[i]!;
    this.count += events.length;
    this.sum += sum;
    this.goal.reached(events.length);
  }

  /** The number of events, if they were 0 … count - 1, each once. */
  checked(): number {
    const expected = (this.count * (this.count - 1)) / 2;
    if (this.sum !== expected) throw new Error(`${this.count} events have the sum ${this.sum} instead of ${expected}`);
    return this.count;
  }
}

/** Ends a round when so many events were handled. */
class Goal {
  private resolve = (): void => {};
  private readonly all = new Promise<void>((resolve) => {
    this.resolve = resolve;
  });

  constructor(private left: number) {}

  reached(count: number): void {
    this.left -= count;
    if (this.left === 0) this.resolve();
  }

  /** Waits until all are handled, or until that cannot be expected any more: what is missing is reported as lost. */
  async wait(): Promise<void> {
    const deadline = new AbortController();
    await Promise.race([this.all, wait(roundWaitMsMax, undefined, deadline)]).finally(() => deadline.abort());
  }
}

/** The whole numbers from `from` on. */
function numbers(from: number, count: number): number[] {
  const events = new Array<number>(count);
  for (let i = 0; i < count; i++) events[i] = from + i;
  return events;
}

// --- the floor

const plainLoop: Case = {
  key: "stage_floor_loop",
  name: `plain loop over arrays of ${chunk} events`,
  opsPerRound: counts.stage_events,
  run: (ops) => {
    const tally = new Tally(new Goal(ops));
    for (let from = 0; from < ops; from += chunk) tally.addAll(numbers(from, Math.min(chunk, ops - from)));
    return tally.checked();
  },
};

function* each(count: number): Generator<number> {
  for (let i = 0; i < count; i++) yield i;
}

const nodeStreams: Case = {
  key: "stage_floor_streams",
  name: "Node streams: Readable.from() piped to a Writable",
  opsPerRound: counts.stage_stream_events,
  run: async (ops) => {
    let [handled, sum] = [0, 0];
    const last = new Writable({
      objectMode: true,
      highWaterMark: maxDemand,
      write(event: number, _encoding, callback): void {
        handled++;
        sum += event;
        callback();
      },
    });
    Readable.from(each(ops), { objectMode: true, highWaterMark: maxDemand }).pipe(last);
    await once(last, "finish");
    return sum === (ops * (ops - 1)) / 2 ? handled : 0;
  },
};

// --- pipelines

type Dispatch = "demand" | "broadcast" | "partition";

interface Shape {
  key: string;
  name: string;
  /** How the producer spreads events. */
  dispatch?: Dispatch;
  /** Consumers at the end. */
  consumers?: number;
  /** Producer-consumers between the producer and them. */
  between?: number;
  maxDemand?: number;
}

function startProducer(system: LocalSystem, events: number, dispatch: Dispatch, consumers: number) {
  const dispatcher =
    dispatch === "partition"
      ? { type: dispatch, partitions: consumers, hash: (event: number) => event % consumers }
      : { type: dispatch };
  return Producer.start(
    system,
    {
      init: () => 0,
      handleDemand: (demand, from: number) => {
        const next = Math.min(from + demand, events);
        const made = numbers(from, next - from);
        return next === events ? [made, next, "done"] : [made, next];
      },
    },
    { dispatcher, demand: "accumulate" },
  );
}

function startBetween(system: LocalSystem, tally: Tally) {
  return ProducerConsumer.start(system, {
    handleEvents: (events: number[], _from, state) => {
      tally.addAll(events);
      return [events, state];
    },
  });
}

function startConsumer(system: LocalSystem, tally: Tally) {
  return Consumer.start(system, {
    handleEvents: (events: number[], _from, state) => {
      tally.addAll(events);
      return state;
    },
  });
}

/** Waits until the producer knows that so many events are wanted. */
async function demanded(producer: { getDemand(): Promise<number> }, demand: number): Promise<void> {
  const deadline = Date.now() + roundWaitMsMax;
  while ((await producer.getDemand()) < demand && Date.now() < deadline) await turn();
}

/** How many events every consumer of a broadcast, or all consumers together, have handled. */
function completed(dispatch: Dispatch, tallies: readonly Tally[]): number {
  if (dispatch === "broadcast") return Math.min(...tallies.map((tally) => tally.checked()));
  const all = new Tally(new Goal(0));
  for (const { count, sum } of tallies) {
    all.count += count;
    all.sum += sum;
  }
  return all.checked();
}

function roundOf(system: LocalSystem, shape: Shape): Round {
  const { dispatch = "demand", consumers = 1, between = 0 } = shape;
  const terms = { maxDemand: shape.maxDemand ?? maxDemand };
  return async (ops): Promise<Timed> => {
    const goal = new Goal(dispatch === "broadcast" ? ops * consumers : ops);
    const producer = startProducer(system, ops, dispatch, consumers);
    const passed = Array.from({ length: between }, () => new Tally(new Goal(ops)));
    const tallies = Array.from({ length: consumers }, () => new Tally(goal));
    const chain = passed.map((tally) => startBetween(system, tally));
    const last = tallies.map((tally) => startConsumer(system, tally));
    for (const [i, stage] of chain.entries()) await stage.subscribe(chain[i - 1] ?? producer, terms);
    const source = chain.at(-1) ?? producer;
    for (const [partition, stage] of last.entries()) {
      await stage.subscribe(source, dispatch === "partition" ? { ...terms, partition } : terms);
    }
    await demanded(producer, consumers * terms.maxDemand);
    const started = process.hrtime.bigint();
    producer.demand("forward");
    await goal.wait();
    const elapsedNs = Number(process.hrtime.bigint() - started);
    await Promise.all([producer, ...chain, ...last].map((stage) => stage.stop()));
    return { completed: Math.min(completed(dispatch, tallies), ...passed.map((tally) => tally.checked())), elapsedNs };
  };
}

const shapes: readonly Shape[] = [
  { key: "stage_demand_100", name: "P → C, maxDemand 100", maxDemand: 100 },
  { key: "stage_demand_1000", name: "P → C, maxDemand 1,000", maxDemand: 1_000 },
  ...[1, 2, 4, 8].map((consumers): Shape => {
    return { key: `stage_fan_out_${consumers}`, name: `demand dispatcher, consumers: ${consumers}`, consumers };
  }),
  ...[1, 2, 4, 8].map((consumers): Shape => {
    const name = `broadcast, consumers: ${consumers} (per event that all have handled)`;
    return { key: `stage_broadcast_${consumers}`, name, dispatch: "broadcast", consumers };
  }),
  ...[2, 4, 8].map((consumers): Shape => {
    const name = `partition dispatcher, partitions: ${consumers}`;
    return { key: `stage_partition_${consumers}`, name, dispatch: "partition", consumers };
  }),
  ...["P → C", "P → PC → C", "P → PC → PC → C"].map((path, between): Shape => {
    return { key: `stage_hops_${between + 1}`, name: `depth, hops: ${between + 1} (${path})`, between };
  }),
];

function flow(system: LocalSystem, shape: Shape): Case {
  const { key, name } = shape;
  return { key, name, opsPerRound: counts.stage_events, elixir: [key], run: roundOf(system, shape) };
}

// --- workers

/** Does its job as it starts, and ends. */
const Worker = createActor("Worker", (ctx, self, done: (job: number) => void, job: number) => {
  done(job);
  ctx.exit();
  return self;
});

function jobs(system: LocalSystem, workers: number): Case {
  const key = `stage_supervisor_${workers}`;
  return {
    key,
    name: `ConsumerSupervisor, maxDemand ${workers} (per job whose worker is gone)`,
    opsPerRound: counts.stage_jobs,
    elixir: [key],
    run: async (ops): Promise<Timed> => {
      const goal = new Goal(ops);
      const tally = new Tally(goal);
      const done = (job: number): void => tally.addAll([job]);
      const producer = startProducer(system, ops, "demand", 1);
      const supervisor = ConsumerSupervisor.start(system, { actorClass: Worker, args: [done] });
      await supervisor.subscribe(producer, { maxDemand: workers });
      await demanded(producer, workers);
      const started = process.hrtime.bigint();
      producer.demand("forward");
      await goal.wait();
      // The workers that have just finished are on their way out; the call is answered after their last messages.
      while ((await supervisor.countChildren()).active > 0) await turn();
      const elapsedNs = Number(process.hrtime.bigint() - started);
      await supervisor.stop();
      return { completed: tally.checked(), elapsedNs };
    },
  };
}

export const genStage: Suite = {
  name: "gen_stage",
  title: "GenStage, per event",
  async run(context): Promise<Row[]> {
    const source = genStageSource();
    if (context.elixir && source.missing !== undefined)
      console.log(`\nElixir's gen_stage is skipped: ${source.missing}`);
    const script = source.missing === undefined ? genStageScript : "none";
    const system = createSystem();
    const flows = [plainLoop, nodeStreams, ...shapes.map((shape) => flow(system, shape))];
    const rows = await compare("gen_stage", flows, context, script);
    rows.push(
      ...(await compare(
        "gen_stage",
        [5, 10, 20].map((workers) => jobs(system, workers)),
        context,
        script,
      )),
    );
    await system.shutdown();
    return rows;
  },
};
