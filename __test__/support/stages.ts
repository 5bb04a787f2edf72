/**
 * Stages that specs share: a producer of numbers, a consumer that keeps what it gets, and waiting for what stages do.
 */

import {
  Consumer,
  type ConsumerCallbacks,
  Producer,
  type ProducerOptions,
  type SpawnOptions,
  type SubscriptionEnd,
  type SubscriptionRef,
  type System,
} from "../../lib/index.js";
import { makeProbe, type Probe } from "./probe.js";
import { turn } from "./time.js";

/** How long `eventually` goes on. */
const PATIENCE_MS = 30_000;

/** The whole numbers from `from` to `end - 1`. */
export function range(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, i) => from + i);
}

/** Numbers in rising order. */
export function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}

/** Waits, turn by turn, until something holds. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: () => unknown = () => "",
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${JSON.stringify(what())} ${holds}`);
    await turn();
  }
}

/** A producer of numbers with what it was asked for. */
export interface Numbers {
  readonly producer: Producer<number>;
  /** Demand of each call of `handleDemand`. */
  readonly demands: Probe<number>;
}

/** Options of {@link countUp}. */
export interface CountUp extends ProducerOptions {
  /** Numbers in all; afterwards it gives none and stays. */
  end?: number;
  /** Says "done" behind the last number. */
  done?: boolean;
  spawn?: SpawnOptions;
}

/** Starts a producer of 0, 1, 2 and so on that gives exactly what it is asked for. */
export function countUp(
  system: Pick<System, "spawn">,
  { end = Infinity, done, spawn, ...options }: CountUp = {},
): Numbers {
  const demands = makeProbe<number>();
  const producer = Producer.start<number, number>(
    system as System,
    {
      init: () => 0,
      handleDemand: (demand, from) => {
        demands.push(demand);
        const to = Math.min(from + demand, end);
        return done === true && to === end ? [range(from, to), to, "done"] : [range(from, to), to];
      },
    },
    options,
    spawn,
  );
  return { producer, demands };
}

/** A producer that only sends what `emit` gives it. */
export function silent(system: System, options?: ProducerOptions, spawn?: SpawnOptions): Numbers {
  const demands = makeProbe<number>();
  const handleDemand = (demand: number, state: null): [number[], null] => {
    demands.push(demand);
    return [[], state];
  };
  return { producer: Producer.start(system, { init: () => null, handleDemand }, options, spawn), demands };
}

/** A consumer with what it got. */
export interface Collector<T = number> {
  readonly consumer: Consumer;
  /** Events, in the order in which they were handed over. */
  readonly seen: Probe<T>;
  /** The same events, by call of `handleEvents`. */
  readonly chunks: Probe<T[]>;
  /** The subscription of each chunk. */
  readonly from: SubscriptionRef[];
  /** Subscriptions that have ended, as `handleCancel` was told. */
  readonly ends: Probe<{ reason: SubscriptionEnd; from: SubscriptionRef }>;
}

/** Starts a consumer that keeps what it gets, and then does what `handle` does. */
export function collect<T = number>(
  system: Pick<System, "spawn">,
  handle: (events: T[], from: SubscriptionRef) => unknown = () => {},
  spawn?: SpawnOptions,
  more: Partial<ConsumerCallbacks> = {},
): Collector<T> {
  const [seen, chunks, ends] = [makeProbe<T>(), makeProbe<T[]>(), makeProbe()];
  const from: SubscriptionRef[] = [];
  const callbacks: ConsumerCallbacks<any, T> = {
    handleEvents: (events, subscription) => {
      from.push(subscription);
      for (const event of events) seen.push(event);
      chunks.push(events);
      return handle(events, subscription);
    },
    handleCancel: (reason, subscription, state) => {
      ends.push({ reason, from: subscription });
      return state;
    },
    ...more,
  };
  return { consumer: Consumer.start(system as System, callbacks, spawn), seen, chunks, from, ends };
}

/** What a producer says of its only consumer. */
export async function onlyDownstream(
  producer: Pick<Producer, "stats">,
): Promise<{ pending: number; maxDemand: number }> {
  const { downstream } = await producer.stats();
  if (downstream.length !== 1) throw new Error(`expected one consumer, there are ${downstream.length}`);
  return downstream[0] as { pending: number; maxDemand: number };
}
