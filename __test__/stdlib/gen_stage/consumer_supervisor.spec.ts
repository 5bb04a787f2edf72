/**
 * Consumer supervisors: a worker per event, never more than maxDemand of them, and no place that is lost.
 */

import {
  Actor,
  ActorRef,
  ConsumerSupervisor,
  type ConsumerSupervisorOptions,
  createActor,
  InvalidArgumentError,
  InvalidOptionError,
  Producer,
  type SubscriptionOptions,
  type System,
} from "libeam";
import { describe, expect, it } from "vitest";
import { gone, makeProbe, type Probe } from "../../support/probe.js";
import { countUp, eventually, range, silent, sorted } from "../../support/stages.js";
import { leakFree, loggedErrors, makeSystem } from "../../support/system.js";
import { rejection, thrown, turn, turns } from "../../support/time.js";

interface Job {
  n: number;
  finish: () => void;
  crash: () => void;
}

/** Tells the probe of its event, and ends when told. */
const Worker = createActor("JobWorker", (ctx, self, jobs: Probe<Job>, n: number) => {
  self
    .onCast("finish", () => ctx.exit(ctx.self))
    .onCast("crash", () => {
      throw new Error(`job ${n}`);
    });
  jobs.push({ n, finish: () => ctx.self.cast("finish"), crash: () => ctx.self.cast("crash") });
});

function supervise(system: System, options?: ConsumerSupervisorOptions) {
  const jobs = makeProbe<Job>();
  const supervisor = ConsumerSupervisor.start(system, { actorClass: Worker, args: [jobs] }, options);
  return { supervisor, jobs };
}

const numbers = (jobs: Probe<Job>): number[] => jobs.events.map(({ n }) => n);

async function running(terms: SubscriptionOptions, options?: ConsumerSupervisorOptions, end = Infinity) {
  const system = makeSystem();
  const { producer, demands } = countUp(system, { end });
  const { supervisor, jobs } = supervise(system, options);
  const subscription = await supervisor.subscribe(producer.getRef(), terms);
  return { system, producer, demands, supervisor, jobs, subscription };
}

describe("a consumer supervisor", () => {
  it("starts synchronously, has a ref, and has no workers", async () => {
    const system = makeSystem();
    const { supervisor } = supervise(system);
    expect(await supervisor.whichChildren()).toEqual([]);
    expect(await supervisor.countChildren()).toEqual({ specs: 0, active: 0 });
    expect(system.system.getActors()).toHaveLength(1);
    expect(supervisor.getRef()).toBeInstanceOf(ActorRef);
    await supervisor.stop();
    expect(system.system.getActors()).toEqual([]);
  });

  it("starts one worker per event, in the order of the events, with the event as last argument of init", async () => {
    const system = makeSystem();
    const inits = makeProbe<unknown[]>();
    class JobWorker extends Actor {
      override init(...args: unknown[]): void {
        inits.push(args);
      }
    }
    const { producer } = countUp(system, { end: 5 });
    const supervisor = ConsumerSupervisor.start(system, { actorClass: JobWorker, args: ["base-config", 7] });
    await supervisor.subscribe(producer, { maxDemand: 10 });
    expect(await inits.take(5)).toEqual(range(0, 5).map((n) => ["base-config", 7, n]));
    expect(await supervisor.countChildren()).toEqual({ specs: 5, active: 5 });
    expect((await supervisor.whichChildren()).map(({ className }) => className)).toEqual(Array(5).fill("JobWorker"));
  });

  it("has at most maxDemand workers at once; a finished one makes room", async () => {
    const { jobs, supervisor, producer } = await running({ maxDemand: 3, minDemand: 1 });
    await jobs.atLeast(3);
    await turns();
    expect(numbers(jobs)).toEqual([0, 1, 2]);
    expect(await supervisor.countChildren()).toEqual({ specs: 3, active: 3 });
    jobs.events[1].finish();
    await jobs.atLeast(4);
    expect(numbers(jobs)).toEqual([0, 1, 2, 3]);
    expect(await supervisor.countChildren()).toEqual({ specs: 3, active: 3 });
    expect((await producer.stats()).dispatched).toBe(4);
  });

  it("asks for maxDemand first, and again when minDemand places are free", async () => {
    const { jobs, demands } = await running({ maxDemand: 10, minDemand: 7 });
    await jobs.atLeast(10);
    for (let n = 0; n < 6; n++) jobs.events[n].finish();
    await turns(20);
    expect(demands.events).toEqual([10]);
    jobs.events[6].finish();
    await jobs.atLeast(17);
    expect(demands.events).toEqual([10, 7]);
    expect(numbers(jobs)).toEqual(range(0, 17));
  });

  it("with minDemand 0 asks for every place", async () => {
    const { jobs, demands } = await running({ maxDemand: 2, minDemand: 0 });
    await jobs.atLeast(2);
    jobs.events[0].finish();
    await jobs.atLeast(3);
    expect(demands.events).toEqual([2, 1]);
  });

  it("processes 20 events with maxDemand 5 and minDemand 2", async () => {
    const { jobs, system } = await running({ maxDemand: 5, minDemand: 2 }, {}, 20);
    for (let n = 0; n < 20; n++) {
      await jobs.atLeast(n + 1);
      jobs.events[n].finish();
    }
    await eventually(() => system.system.getActors().length === 2);
    expect(numbers(jobs)).toEqual(range(0, 20));
    await leakFree(system, "monitors");
  });

  it("restarts a crashed worker with the same event, in the same place", async () => {
    const { jobs, supervisor, demands } = await running({ maxDemand: 2, minDemand: 1 });
    await jobs.atLeast(2);
    jobs.events[0].crash();
    await jobs.atLeast(3);
    expect(numbers(jobs)).toEqual([0, 1, 0]);
    expect(await supervisor.countChildren()).toEqual({ specs: 2, active: 2 });
    await turns();
    expect(demands.events).toEqual([2]);
    jobs.events[2].finish();
    await jobs.atLeast(4);
    expect(numbers(jobs)).toEqual([0, 1, 0, 2]);
  });

  it("gives up a worker that crashes too often: its place is free, the others and the supervisor live", async () => {
    const { jobs, supervisor } = await running({ maxDemand: 2, minDemand: 1 }, { maxRestarts: 2, periodMs: 60_000 });
    await jobs.atLeast(2);
    for (const crash of [0, 2, 3]) {
      await jobs.atLeast(crash + 1);
      jobs.events[crash].crash();
    }
    await jobs.atLeast(5);
    expect(numbers(jobs)).toEqual([0, 1, 0, 0, 2]);
    expect(await supervisor.countChildren()).toEqual({ specs: 2, active: 2 });
  });

  it("with maxRestarts 0 never restarts a worker", async () => {
    const { jobs } = await running({ maxDemand: 1 }, { maxRestarts: 0 });
    for (let n = 0; n < 10; n++) {
      await jobs.atLeast(n + 1);
      jobs.events[n].crash();
    }
    await jobs.atLeast(11);
    expect(numbers(jobs)).toEqual(range(0, 11));
  });

  it.each(["sync", "async"])("frees the place of a worker whose %s init fails, and logs it", async (mode) => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 30 });
    const started = makeProbe<number>();
    const Picky = createActor("Picky", (ctx, _self, n: number): undefined | Promise<undefined> => {
      if (n % 3 === 0 && mode === "async") return turn().then(() => Promise.reject(new Error("no"))) as any;
      if (n % 3 === 0) throw new Error("no");
      started.push(n);
      ctx.exit(ctx.self);
      return undefined;
    });
    const supervisor = ConsumerSupervisor.start(system, { actorClass: Picky as any }, { maxRestarts: 1 });
    await supervisor.subscribe(producer, { maxDemand: 2, minDemand: 1 });
    await started.atLeast(20);
    expect(sorted(started.events)).toEqual(range(0, 30).filter((n) => n % 3 !== 0));
    await eventually(async () => (await supervisor.countChildren()).active === 0);
    expect((await supervisor.stats()).received).toBe(30);
    expect(loggedErrors().length).toBeGreaterThanOrEqual(10);
    await eventually(async () => (await producer.stats()).downstream[0].pending > 0);
  });

  it("starts no new workers after cancel(); those that exist go on", async () => {
    const { jobs, supervisor, subscription, producer } = await running({ maxDemand: 3, minDemand: 1 });
    await jobs.atLeast(3);
    expect(supervisor.cancel(subscription)).toBe(true);
    expect(supervisor.cancel(subscription)).toBe(false);
    jobs.events[0].finish();
    await eventually(async () => (await supervisor.countChildren()).active === 2);
    await turns();
    expect(numbers(jobs)).toEqual([0, 1, 2]);
    expect((await producer.stats()).downstream).toEqual([]);
    jobs.events[1].crash();
    await jobs.atLeast(4);
    expect(jobs.events[3].n).toBe(1);
  });

  it("can subscribe again while workers of the old subscription live", async () => {
    const { jobs, supervisor, subscription, producer } = await running({ maxDemand: 2, minDemand: 1 });
    await jobs.atLeast(2);
    supervisor.cancel(subscription);
    await supervisor.subscribe(producer, { maxDemand: 1, minDemand: 0 });
    await jobs.atLeast(3);
    expect(await supervisor.countChildren()).toEqual({ specs: 3, active: 3 });
    for (const { finish } of jobs.events.slice(0, 2)) finish();
    await eventually(async () => (await supervisor.countChildren()).active === 1);
    await turns();
    expect(numbers(jobs)).toEqual([0, 1, 2]);
  });

  it("has places for each subscription", async () => {
    const system = makeSystem();
    const sources = [countUp(system).producer, countUp(system).producer];
    const { supervisor, jobs } = supervise(system);
    await supervisor.subscribe(sources[0], { maxDemand: 2 });
    await supervisor.subscribe(sources[1], { maxDemand: 3 });
    await jobs.atLeast(5);
    await turns();
    expect(sorted(numbers(jobs))).toEqual([0, 0, 1, 1, 2]);
    expect((await supervisor.stats()).upstream.map(({ pending }) => pending)).toEqual([2, 3]);
  });

  it("works with a broadcast dispatcher", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 6, dispatcher: { type: "broadcast" } });
    const both = [supervise(system), supervise(system)];
    for (const { supervisor } of both) await supervisor.subscribe(producer, { maxDemand: 2, minDemand: 1 });
    for (let n = 0; n < 6; n++) {
      for (const { jobs } of both) await jobs.atLeast(n + 1);
      for (const { jobs } of both) jobs.events[n].finish();
    }
    for (const { jobs } of both) expect(numbers(jobs)).toEqual(range(0, 6));
  });

  it("works with a partition dispatcher", async () => {
    const system = makeSystem();
    const { producer } = countUp(system, { end: 12, dispatcher: { type: "partition", partitions: 2 } });
    const both = [supervise(system), supervise(system)];
    for (const [partition, { supervisor }] of both.entries()) {
      await supervisor.subscribe(producer, { maxDemand: 3, minDemand: 1, partition });
    }
    for (let n = 0; n < 6; n++) {
      for (const { jobs } of both) {
        await jobs.atLeast(n + 1);
        jobs.events[n].finish();
      }
    }
    for (const [partition, { jobs }] of both.entries()) {
      expect(numbers(jobs)).toEqual(range(0, 6).map((n) => 2 * n + partition));
    }
  });

  it("takes all its workers with it when it stops", async () => {
    const { jobs, supervisor, system, producer } = await running({ maxDemand: 5 });
    await jobs.atLeast(5);
    await supervisor.stop();
    expect(system.system.getActors()).toHaveLength(1);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    expect((await rejection(supervisor.whichChildren())).code).toBe("ACTOR_NOT_FOUND");
    await leakFree(system);
  });

  it("goes on with its workers when the producer ends, and ends with it when permanent", async () => {
    const system = makeSystem();
    const [a, b] = [silent(system).producer, silent(system).producer];
    const { supervisor, jobs } = supervise(system);
    await supervisor.subscribe(a, { maxDemand: 2 });
    await eventually(async () => (await a.getDemand()) === 2);
    a.emit([1, 2]);
    await jobs.atLeast(2);
    await a.stop();
    await eventually(async () => (await supervisor.stats()).upstream.length === 0);
    expect(await supervisor.countChildren()).toEqual({ specs: 2, active: 2 });
    await supervisor.subscribe(b, { cancel: "permanent" });
    const end = gone(system, supervisor.getRef());
    await b.stop();
    expect(await end).toEqual({ type: "normal" });
    expect(system.system.getActors().some(({ className }) => className === "JobWorker")).toBe(false);
  });

  it("that is restarted itself has no workers and all its places", async () => {
    const { jobs, supervisor, system } = await running({ maxDemand: 4, minDemand: 1 });
    await jobs.atLeast(4);
    system.system.sendExit(null, supervisor.getRef(), "why");
    await jobs.atLeast(8);
    await turns();
    expect(numbers(jobs)).toEqual(range(0, 8));
    expect(await supervisor.countChildren()).toEqual({ specs: 4, active: 4 });
    jobs.events[5].finish();
    await jobs.atLeast(9);
  });

  it.each([[null], [{}], [{ actorClass: "Worker" }], [{ actorClass: Worker, args: "base" }]])(
    "refuses the child spec %j",
    (spec) => {
      const system = makeSystem();
      const error = thrown(() => ConsumerSupervisor.start(system, spec as any));
      expect(error.code).toMatch(/^INVALID_(ARGUMENT|OPTION)$/);
      expect(system.system.getActors()).toEqual([]);
    },
  );

  it.each([[{ maxRestarts: -1 }], [{ maxRestarts: "3" }], [{ periodMs: -5 }], [{ periodMs: Number.NaN }]])(
    "refuses the options %j",
    (options) => {
      const system = makeSystem();
      const error = thrown(() => ConsumerSupervisor.start(system, { actorClass: Worker }, options as any));
      expect([InvalidOptionError, InvalidArgumentError]).toContain(error.constructor);
      expect(system.system.getActors()).toEqual([]);
    },
  );
});

describe("ten thousand jobs, each of which crashes once", () => {
  it("all finish with maxDemand 8, never more than 8 alive, and no place is lost", { timeout: 60_000 }, async () => {
    const JOBS = 10_000;
    const system = makeSystem();
    const alive = new Set<number>();
    const crashed = new Set<number>();
    const finished = new Set<number>();
    let most = 0;
    class CrashOnce extends Actor {
      private n = -1;
      override init(n: number): void {
        this.n = n;
        alive.add(n);
        most = Math.max(most, alive.size);
        this.self.cast("run");
      }
      override handleCast(): void {
        if (!crashed.has(this.n)) {
          crashed.add(this.n);
          throw new Error("once");
        }
        if (finished.has(this.n)) throw new Error(`job ${this.n} ran twice`);
        finished.add(this.n);
        this.exit(this.self);
      }
      override terminate(): void {
        alive.delete(this.n);
      }
    }
    const producer = Producer.start<number, number>(system, {
      init: () => 0,
      handleDemand: (demand, n) => [range(n, Math.min(JOBS, n + demand)), Math.min(JOBS, n + demand)],
    });
    const supervisor = ConsumerSupervisor.start(system, { actorClass: CrashOnce });
    await supervisor.subscribe(producer, { maxDemand: 8, minDemand: 2 });
    let seen = 0;
    while (finished.size < JOBS) {
      await turn();
      if (++seen % 500 === 0) expect((await supervisor.countChildren()).active).toBeLessThanOrEqual(8);
    }
    expect(most).toBe(8);
    expect(crashed.size).toBe(JOBS);
    await eventually(async () => (await supervisor.countChildren()).active === 0);
    // Every place is either asked for or too few to ask: none is taken by a worker that is gone.
    const { upstream, received } = await supervisor.stats();
    expect(received).toBe(JOBS);
    expect(upstream[0].pending).toBeGreaterThan(8 - 2);
    await leakFree(system, "monitors");
  });
});
