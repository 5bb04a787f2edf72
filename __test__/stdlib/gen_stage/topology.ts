/**
 * A random topology of stages, what it does, and what must hold for it.
 *
 * Sources make events that are numbers: `source and lane * LANE + index`. A source has two lanes, one for what its
 * handleDemand gives and one for what it emits later; the indexes of a lane rise in the order in which the producer
 * gets them. Hops pass events on. Sinks note what they handle, by subscription. Handlers crash at random; what was in
 * a chunk that crashed is noted as lost by whoever had it. Everything random comes from one seed, but for the order in
 * which the event loop interleaves the stages.
 */

import {
  Consumer,
  createSystem,
  type DispatcherConfig,
  Producer,
  ProducerConsumer,
  SubscriptionError,
  type SubscriptionOptions,
  type SubscriptionRef,
  type System,
} from "libeam";
import { Dice } from "../../support/dice.js";
import { turn, turns } from "../../support/time.js";

const LANE = 100_000;
/** How long a run may take to settle before it counts as stuck. */
const PATIENCE_MS = 30_000;

export const SHAPES = ["chain", "fan", "merge", "diamond"] as const;
type Shape = (typeof SHAPES)[number];
type Spread = "demand" | "broadcast" | "partition";

/** What one subscription of a sink got. */
interface Trail {
  readonly feed: Feed;
  readonly handled: number[];
  /** Handled or lost, in order of arrival. */
  readonly arrived: number[];
  /** Made before any event was made, and never cancelled: must have all. */
  complete: boolean;
}

/** The outlet of the last layer: what sinks subscribe to. */
interface Feed {
  readonly stage: Producer<number> | ProducerConsumer<number>;
  readonly spread: Spread;
  /** What a branch of a broadcast lost on its way here. */
  readonly lost: Set<number>;
}

interface Source {
  readonly producer: Producer<number>;
  readonly end: number;
  /** Next index of each lane; their sum is what was made. */
  readonly next: [number, number];
  /** Promised and not emitted yet. */
  owing: number;
  readonly at: number;
}

interface Sink {
  readonly consumer: Consumer;
  subscriptions: { ref: SubscriptionRef; trail: Trail }[];
}

interface Slot {
  readonly wants: { feed: Feed; partition?: number }[];
  sink: Sink | undefined;
}

/** See the module's header. */
export class Topology {
  readonly log: string[] = [];
  readonly wrongs: string[] = [];
  readonly system: System;
  private readonly dice: Dice;
  private readonly shape: Shape;
  private readonly spread: Spread;
  private readonly crashes: number;
  private readonly finite: boolean;
  private readonly bounded: boolean;
  private readonly sources: Source[] = [];
  private readonly feeds: Feed[] = [];
  private readonly hops: { stage: ProducerConsumer<number>; refs: SubscriptionRef[] }[] = [];
  private readonly slots: Slot[] = [];
  private readonly trails = new Map<string, Trail>();
  private readonly terms = new Map<string, { maxDemand: number; minDemand: number }>();
  private readonly ended = new Set<string>();
  /** Events may come to a sink out of order: something was taken back while others had newer events. */
  private reordered = false;

  constructor(readonly seed: number) {
    const dice = new Dice(seed);
    this.dice = dice;
    this.shape = dice.pick(SHAPES);
    this.spread =
      this.shape === "fan" || this.shape === "diamond" ? dice.pick(["demand", "broadcast", "partition"]) : "demand";
    this.crashes = dice.pick([0, 0.03, 0.15]);
    this.finite = dice.chance(0.25);
    this.bounded = !this.finite && this.spread === "demand" && dice.chance(0.4);
    this.system = createSystem({ supervision: { strategy: "Restart", maxRestarts: Infinity, periodMs: 5_000 } });
    this.note(`${this.shape} ${this.spread} crashes ${this.crashes}${this.finite ? " finite" : ""}`);
  }

  private note(what: string): void {
    this.log.push(what);
  }

  private wrong(what: string): void {
    if (this.wrongs.length < 5) this.wrongs.push(what);
  }

  /** Builds, disturbs, settles, checks, and stops everything. */
  async play(): Promise<void> {
    await this.build();
    const steps = this.finite ? 0 : 5 + this.dice.below(20);
    for (let step = 0; step < steps; step++) {
      await turns(this.dice.below(4));
      await this.disturb();
      await this.look();
    }
    for (const slot of this.slots) if (slot.sink === undefined) await this.fill(slot);
    await this.settle();
    await this.check();
    await this.system.shutdown();
    const held = Object.entries(this.system.system._counters()).filter(([, number]) => number !== 0);
    if (held.length > 0) this.wrong(`left behind: ${JSON.stringify(held)}`);
  }

  // Building

  private async build(): Promise<void> {
    const { dice, shape } = this;
    const inputs = shape === "merge" ? 2 + dice.below(3) : 1;
    for (let n = 0; n < inputs; n++) this.addSource();
    const [first] = this.sources;
    if (shape === "chain") {
      let stage: Feed["stage"] = first.producer;
      for (let hop = dice.below(3); hop > 0; hop--) stage = await this.addHop([stage], undefined, new Set());
      this.feeds.push({ stage, spread: "demand", lost: new Set() });
      this.slots.push({ wants: [{ feed: this.feeds[0] }], sink: undefined });
    } else if (shape === "fan") {
      const feed: Feed = { stage: first.producer, spread: this.spread, lost: new Set() };
      this.feeds.push(feed);
      for (let n = 0; n < this.partitions; n++) this.slots.push({ wants: [{ feed, partition: n }], sink: undefined });
    } else if (shape === "merge") {
      const producers = this.sources.map(({ producer }) => producer);
      const last = dice.chance(0.5) ? [await this.addHop(producers, undefined, new Set())] : producers;
      for (const stage of last) this.feeds.push({ stage, spread: "demand", lost: new Set() });
      this.slots.push({ wants: this.feeds.map((feed) => ({ feed })), sink: undefined });
    } else {
      for (let n = 0; n < 2; n++) {
        const lost = new Set<number>();
        this.feeds.push({ stage: await this.addHop([first.producer], n, lost), spread: "demand", lost });
      }
      this.slots.push({ wants: this.feeds.map((feed) => ({ feed })), sink: undefined });
    }
    for (const slot of this.slots) await this.fill(slot, true);
    for (const { producer } of this.sources) producer.demand("forward");
  }

  private get partitions(): number {
    return this.shape === "diamond" ? 2 : 1 + (this.seed % 4);
  }

  private dispatcher(): DispatcherConfig {
    if (this.spread !== "partition") return { type: this.spread };
    const { partitions } = this;
    const discards = this.dice.chance(0.4);
    const hash = (event: number): number | null => {
      if (!discards || event % 11 !== 0) return event % partitions;
      this.lostOnTheWay.add(event);
      return null;
    };
    return { type: "partition", partitions, hash };
  }

  private addSource(): void {
    const { dice } = this;
    const bufferSize = this.bounded ? dice.pick([0, 3, 20]) : Infinity;
    const asyncShare = dice.pick([0, 0.5, 1]);
    const source: Source = {
      at: this.sources.length,
      end: 50 + dice.below(350),
      next: [0, 0],
      owing: 0,
      producer: Producer.start<null, number>(
        this.system,
        {
          init: () => null,
          handleDemand: (demand) => {
            if (demand <= 0) this.wrong(`handleDemand(${demand})`);
            const crash = dice.chance(this.crashes);
            if (!dice.chance(asyncShare)) return this.produce(source, demand, crash);
            return turns(dice.below(3)).then(() => this.produce(source, demand, crash));
          },
        },
        { dispatcher: this.dispatcher(), demand: "accumulate", bufferSize, bufferKeep: dice.pick(["first", "last"]) },
      ),
    };
    this.sources.push(source);
  }

  /** Fewer, as many as, or more events than were asked for. What is owed is emitted later. */
  private produce(source: Source, demand: number, crash: boolean): [number[], null] | [number[], null, "done"] {
    if (crash) throw new Error("handleDemand crashes");
    const kind = this.dice.pick(this.finite ? ["exact", "more"] : ["exact", "fewer", "more", "none"]);
    const extra = 1 + this.dice.below(30);
    const count = { exact: demand, fewer: this.dice.below(demand), more: demand + extra, none: 0 }[kind] as number;
    const events = this.make(source, 0, count);
    if (count < demand) {
      source.owing++;
      void turns(1 + this.dice.below(3)).then(() => {
        source.owing--;
        source.producer.emit(this.make(source, 1, demand - count));
      });
    }
    return this.finite && this.made(source) === source.end ? [events, null, "done"] : [events, null];
  }

  private made({ next }: Source): number {
    return next[0] + next[1];
  }

  private make(source: Source, lane: 0 | 1, count: number): number[] {
    const events: number[] = [];
    while (events.length < count && this.made(source) < source.end) {
      events.push((2 * source.at + lane) * LANE + source.next[lane]++);
    }
    return events;
  }

  private random(partition?: number): SubscriptionOptions & { maxDemand: number; minDemand: number } {
    const maxDemand = 1 + this.dice.below(50);
    const minDemand = this.dice.pick([0, this.dice.below(maxDemand), this.dice.below(maxDemand), maxDemand - 1]);
    return { maxDemand, minDemand, ...(partition === undefined ? {} : { partition }) };
  }

  private async addHop(from: Feed["stage"][], partition: number | undefined, lost: Set<number>) {
    const { dice } = this;
    const asyncShare = dice.pick([0, 0.5, 1]);
    const filter = dice.chance(0.3);
    const shared = this.shape === "diamond" && this.spread === "broadcast";
    const losses = shared ? lost : this.lostOnTheWay;
    const pass = (events: number[], crash: boolean): [number[], null] => {
      if (crash) {
        for (const event of events) losses.add(event);
        throw new Error("a hop crashes");
      }
      if (!filter) return [events, null];
      for (const event of events) if (event % 7 === 0) losses.add(event);
      return [events.filter((event) => event % 7 !== 0), null];
    };
    const stage = ProducerConsumer.start<null, number, number>(this.system, {
      handleEvents: (events, { tag }) => {
        this.checkChunk(tag, events);
        const crash = dice.chance(this.crashes);
        return dice.chance(asyncShare) ? turns(dice.below(3)).then(() => pass(events, crash)) : pass(events, crash);
      },
    });
    const refs: SubscriptionRef[] = [];
    for (const producer of from) {
      const terms = this.random(this.spread === "partition" ? partition : undefined);
      const ref = await stage.subscribe(producer, terms);
      this.terms.set(ref.tag, terms);
      refs.push(ref);
    }
    this.hops.push({ stage, refs });
    return stage;
  }

  /** Lost before the last layer, where that is not a matter of branches. */
  private readonly lostOnTheWay = new Set<number>();

  private checkChunk(tag: string, events: readonly number[]): void {
    const terms = this.terms.get(tag);
    if (terms === undefined) return; // The first events came before subscribe() had told the tag.
    const most = terms.maxDemand - terms.minDemand;
    if (events.length > most) this.wrong(`a chunk of ${events.length} on ${tag}, at most ${most} are allowed`);
    if (events.length === 0) this.wrong(`an empty chunk on ${tag}`);
  }

  // Sinks

  private addSink(): Sink {
    const { dice } = this;
    const asyncShare = dice.pick([0, 0.5, 1]);
    let running = 0;
    const finish = (from: SubscriptionRef, events: number[], crash: boolean): null => {
      running--;
      const trail = this.trailOf(from);
      trail.arrived.push(...events);
      if (crash) throw new Error("a sink crashes");
      trail.handled.push(...events);
      return null;
    };
    const consumer = Consumer.start<null, number>(this.system, {
      handleEvents: (events, from) => {
        if (++running > 1) this.wrong("two handlers of one sink run at once");
        this.checkChunk(from.tag, events);
        const crash = dice.chance(this.crashes);
        if (!dice.chance(asyncShare)) return finish(from, events, crash);
        return turns(1 + dice.below(3)).then(() => finish(from, events, crash));
      },
      handleCancel: (reason, { tag }) => {
        if (reason.type !== "done") this.wrong(`${tag} ended: ${reason.type}`);
        if (this.ended.has(tag)) this.wrong(`${tag} ended twice`);
        this.ended.add(tag);
        return null;
      },
    });
    return { consumer, subscriptions: [] };
  }

  private async fill(slot: Slot, complete = false): Promise<void> {
    slot.sink ??= this.addSink();
    const { consumer, subscriptions } = slot.sink;
    for (const { feed, partition } of slot.wants) {
      const terms = this.random(feed.spread === "partition" ? partition : undefined);
      const ref = await this.subscribe(consumer, feed, terms);
      this.terms.set(ref.tag, terms);
      const trail = this.trailOf(ref);
      trail.complete = complete;
      subscriptions.push({ ref, trail });
      this.note(`${ref.tag} subscribes, max ${terms.maxDemand} min ${terms.minDemand} ${partition ?? ""}`);
    }
  }

  /** The first events may come before subscribe() has told the subscription. */
  private trailOf({ tag, producerRef }: SubscriptionRef): Trail {
    let trail = this.trails.get(tag);
    if (trail === undefined) {
      const feed = this.feeds.find(({ stage }) => stage.getRef() === producerRef) as Feed;
      trail = { feed, handled: [], arrived: [], complete: false };
      this.trails.set(tag, trail);
    }
    return trail;
  }

  /** A partition is free once its producer knows that the last consumer is gone. */
  private async subscribe(consumer: Consumer, feed: Feed, terms: SubscriptionOptions): Promise<SubscriptionRef> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await consumer.subscribe(feed.stage, terms);
      } catch (error) {
        if (!(error instanceof SubscriptionError) || attempt === 50) throw error;
        await turn();
      }
    }
  }

  private cancelAll(slot: Slot): void {
    const sink = slot.sink as Sink;
    for (const { ref, trail } of sink.subscriptions.splice(0)) {
      trail.complete = false;
      if (!sink.consumer.cancel(ref)) this.wrong(`cancel() of ${ref.tag} was false`);
    }
  }

  // Disturbances

  private async disturb(): Promise<void> {
    const slot = this.dice.pick(this.slots);
    const kind = this.dice.pick(["nothing", "nothing", "resubscribe", "replace", "leave", "join", "rewire"]);
    if (this.spread === "demand" && this.slots.length > 1 && kind !== "nothing") this.reordered = true;
    this.note(`${kind} ${this.slots.indexOf(slot)}`);
    if (kind === "join" && this.shape === "fan" && this.spread !== "partition") {
      this.slots.push({ wants: slot.wants, sink: undefined });
      this.reordered ||= this.spread === "demand";
      await this.fill(this.slots.at(-1) as Slot);
    } else if (kind === "rewire" && this.shape === "chain" && this.hops.length > 0) {
      const hop = this.hops[0];
      const terms = this.random();
      for (const ref of hop.refs.splice(0))
        if (!hop.stage.cancelUpstream(ref)) this.wrong("cancelUpstream() was false");
      const ref = await hop.stage.subscribe(this.sources[0].producer, terms);
      this.terms.set(ref.tag, terms);
      hop.refs.push(ref);
    } else if (slot.sink === undefined) {
      await this.fill(slot);
    } else if (kind === "resubscribe") {
      this.cancelAll(slot);
      await this.fill(slot);
    } else if (kind === "replace" || kind === "leave") {
      // A producer that crashes just now hears of the end once more, and later than of the next subscription.
      this.reordered ||= this.crashes > 0 && slot.wants[0].feed.spread === "demand";
      const { consumer, subscriptions } = slot.sink;
      for (const { trail } of subscriptions) trail.complete = false;
      slot.sink = undefined;
      await consumer.stop();
      if (kind === "replace") await this.fill(slot);
    }
  }

  /** Demand is never negative and never above maxDemand, on either side. */
  private async look(): Promise<void> {
    const stages = [...this.sources.map(({ producer }) => producer), ...this.hops.map(({ stage }) => stage)];
    const sinks = this.slots.flatMap(({ sink }) => (sink === undefined ? [] : [sink.consumer]));
    const stage = this.dice.pick([...stages, ...sinks]);
    const stats = await stage.stats();
    for (const { tag, pending, maxDemand } of [...stats.upstream, ...stats.downstream]) {
      if (!(pending >= 0 && pending <= maxDemand))
        this.wrong(`pending of ${tag} is ${pending}, maxDemand ${maxDemand}`);
    }
    for (const key of ["demand", "buffered", "dispatched", "dropped", "discarded", "received"] as const) {
      if (!(stats[key] >= 0)) this.wrong(`${key} is ${stats[key]}`);
    }
  }

  // The end

  private async dropped(): Promise<number> {
    if (this.finite) return 0;
    let sum = 0;
    for (const { producer } of this.sources) sum += (await producer.stats()).dropped;
    return sum;
  }

  /** Events of which the fate is known, over all branches. */
  private known(): number {
    const trails = [...this.trails.values()];
    const arrived = trails.reduce((sum, trail) => sum + trail.arrived.length, 0);
    const branches = this.feeds.reduce((sum, { lost }) => sum + lost.size, 0);
    return arrived + branches + this.lostOnTheWay.size;
  }

  private get total(): number {
    return this.sources.reduce((sum, source) => sum + this.made(source), 0);
  }

  private get exhausted(): boolean {
    return this.sources.every((source) => this.made(source) === source.end && source.owing === 0);
  }

  private async settled(): Promise<boolean> {
    if (!this.exhausted) return false;
    if (this.finite && this.ended.size < this.trails.size) return false;
    if (this.shape !== "fan" || this.spread !== "broadcast") {
      const branches = this.shape === "diamond" && this.spread === "broadcast" ? 2 : 1;
      return this.known() + (await this.dropped()) >= branches * this.total;
    }
    if (this.finite) return true;
    const { producer } = this.sources[0];
    const { buffered, downstream } = await producer.stats();
    if (buffered > 0) return false;
    for (const { sink } of this.slots) {
      const [upstream] = (await (sink as Sink).consumer.stats()).upstream;
      const other = downstream.find(({ tag }) => tag === upstream.tag);
      if (other?.pending !== upstream.pending) return false; // Something is on its way.
    }
    return true;
  }

  private async settle(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await this.settled())) {
      if (performance.now() > deadline) {
        const made = this.sources.map((source) => `${this.made(source)} of ${source.end}`).join(", ");
        const stats = this.finite ? "" : JSON.stringify(await this.describe());
        throw new Error(`stuck: made ${made}, known ${this.known()}, dropped ${await this.dropped()}\n${stats}`);
      }
      await turn();
    }
  }

  private async describe(): Promise<unknown> {
    const stages = [
      ...this.sources.map(({ producer }) => producer),
      ...this.hops.map(({ stage }) => stage),
      ...this.slots.flatMap(({ sink }) => (sink === undefined ? [] : [sink.consumer])),
    ];
    return Promise.all(
      stages.map(async (stage) => {
        const { upstream, downstream, ...rest } = await stage.stats();
        const ends = (list: typeof upstream): string[] => list.map(({ tag, pending }) => `${tag}: ${pending}`);
        return { ...rest, upstream: ends(upstream), downstream: ends(downstream) };
      }),
    );
  }

  private async check(): Promise<void> {
    for (const [tag, trail] of this.trails) this.checkOrder(tag, trail);
    if (this.shape === "fan" && this.spread === "broadcast") return this.checkBroadcast();
    const groups =
      this.shape === "diamond" && this.spread === "broadcast" ? this.feeds.map((feed) => [feed]) : [this.feeds];
    for (const feeds of groups) {
      const seen = new Set<number>(this.lostOnTheWay);
      for (const { lost } of feeds) for (const event of lost) seen.add(event);
      for (const [tag, { feed, arrived }] of this.trails) {
        if (!feeds.includes(feed)) continue;
        for (const event of arrived) {
          if (seen.has(event)) this.wrong(`${event} came twice, or was lost and came, last to ${tag}`);
          seen.add(event);
        }
      }
      const missing = this.total - seen.size;
      const dropped = await this.dropped();
      if (missing !== dropped) this.wrong(`${missing} events are missing, ${dropped} were dropped`);
    }
  }

  /** Within a subscription the events of a lane rise; within a partition they do so over all its subscriptions. */
  private checkOrder(tag: string, { arrived }: Trail): void {
    if (new Set(arrived).size !== arrived.length) this.wrong(`${tag} got an event twice`);
    if (this.reordered) return;
    const last = new Map<number, number>();
    for (const event of arrived) {
      const lane = Math.floor(event / LANE);
      if (event <= (last.get(lane) ?? -1)) this.wrong(`${tag} got ${event} after ${last.get(lane)}`);
      last.set(lane, event);
    }
  }

  /** Every subscription has an unbroken piece of each lane, up to the end if it was not cancelled. */
  private checkBroadcast(): void {
    const [source] = this.sources;
    const live = new Set(this.slots.flatMap(({ sink }) => sink?.subscriptions.map(({ trail }) => trail) ?? []));
    for (const [tag, trail] of this.trails) {
      for (const lane of [0, 1] as const) {
        const indexes = trail.arrived.filter((event) => Math.floor(event / LANE) === lane).map((event) => event % LANE);
        const [first, last] = [indexes[0] ?? 0, indexes.at(-1) ?? -1];
        if (indexes.length > 0 && last - first + 1 !== indexes.length) this.wrong(`${tag} has a hole in lane ${lane}`);
        if (trail.complete && first !== 0) this.wrong(`${tag} was there from the start and begins at ${first}`);
        const all = live.has(trail) && (trail.complete || indexes.length > 0);
        if (all && last !== source.next[lane] - 1) this.wrong(`${tag} ends at ${last} of ${source.next[lane]}`);
      }
    }
  }
}
