/**
 * Probes: where actors put facts and specs wait for them.
 *
 * `makeProbe()` is a list of events with promises for those to come. `watchFor` spawns an actor that watches another
 * one and gives its DOWN messages as a probe.
 */

import { type ActorRef, createActor, type DownMessage, type System } from "../../lib/index.js";

/** How long a probe waits for an event before it says which ones it got instead. */
const PATIENCE_MS = 30_000;

/** A list of events that can be waited for. */
export class Probe<T = any> {
  /** @param patienceMs for what takes longer than events of one process do. */
  constructor(private readonly patienceMs = PATIENCE_MS) {}

  /** All events so far, in order. */
  readonly events: T[] = [];
  #taken = 0;
  #waiters: (() => void)[] = [];

  /** Records an event. Bound, so that it can be handed out as a callback. */
  readonly push = (event: T): void => {
    this.events.push(event);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  };

  /** The next event that nobody has taken yet. */
  async next(): Promise<T> {
    return (await this.take(1))[0] as T;
  }

  /** The next `count` events that nobody has taken yet. */
  async take(count: number): Promise<T[]> {
    const from = this.#taken;
    this.#taken += count;
    await this.#until(() => this.events.length >= from + count, `${from + count} events`);
    return this.events.slice(from, from + count);
  }

  /** The first event, past or future, for which `matches` holds; takes nothing. */
  async find(matches: (event: T) => boolean): Promise<T> {
    await this.#until(() => this.events.some(matches), "a matching event");
    return this.events.find(matches) as T;
  }

  /** Waits until there are `count` events in all, and gives them all; takes nothing. */
  async atLeast(count: number): Promise<T[]> {
    await this.#until(() => this.events.length >= count, `${count} events`);
    return this.events.slice();
  }

  /** Forgets all events. */
  clear(): void {
    this.events.length = 0;
    this.#taken = 0;
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + this.patienceMs;
    while (!holds()) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`waited for ${what}, got ${JSON.stringify(this.events.map(String))}`);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }
}

/** Makes a probe. */
export function makeProbe<T = any>(patienceMs?: number): Probe<T> {
  return new Probe<T>(patienceMs);
}

/** Watches an actor with an actor of its own; the probe gets the DOWN messages. */
export function watchFor(system: Pick<System, "spawn">, ...refs: ActorRef[]): Probe<DownMessage> {
  const probe = makeProbe<DownMessage>();
  const Watcher = createActor("Watcher", (ctx, self) => {
    for (const ref of refs) ctx.watch(ref);
    return self.onInfo("down", probe.push);
  });
  system.spawn(Watcher);
  return probe;
}

/** Resolves with the reason when an actor is gone for good. */
export async function gone(system: Pick<System, "spawn">, ref: ActorRef): Promise<DownMessage["reason"]> {
  return (await watchFor(system, ref).next()).reason;
}
