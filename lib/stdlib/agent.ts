/**
 * Agent: a value behind an actor (Elixir's Agent).
 */

import type { ActorRef } from "../kernel/actor_ref.js";
import { isThenable } from "../kernel/outcome.js";
import { assertFunction } from "../kernel/validate.js";
import { Actor } from "./actor.js";
import { assertSpawner, type Spawner, type SpawnOptions, withArgs } from "./spawn_options.js";

/** What replaces the value of an agent, which waits for a promise. */
type Update<T> = (state: T) => T | PromiseLike<T>;

type Request<T> = { type: "get" } | { type: "update"; update: Update<T>; reply: "new" | "old" };

class AgentActor<T> extends Actor {
  private state!: T;

  override init(initial: T): void {
    this.state = initial;
  }

  override handleCall(request: Request<T>): unknown {
    if (request.type === "get") return this.state;
    assertFunction("update of an agent", request.update);
    const old = this.state;
    return this.replace(request.update(old), (value) => (request.reply === "old" ? old : value));
  }

  override handleCast(update: Update<T>): void | Promise<void> {
    return this.replace(update(this.state), () => undefined);
  }

  /** Takes the value over, when it is there, and gives what `answer` makes of it. */
  private replace<R>(value: T | PromiseLike<T>, answer: (value: T) => R): R | Promise<R> {
    const take = (next: T): R => {
      this.state = next;
      return answer(next);
    };
    return isThenable(value) ? Promise.resolve(value as PromiseLike<T>).then(take) : take(value as T);
  }
}

/**
 * Holds one value; every access goes through one actor, one at a time. An update that gives a promise is waited for, and
 * what comes after it waits, too.
 *
 * @example
 * const counter = Agent.start(system, 0);
 * await counter.update((n) => n + 1);
 */
export class Agent<T> {
  private constructor(
    private readonly owner: Spawner,
    private readonly ref: ActorRef,
  ) {}

  /** Starts an agent with its first value. @throws InvalidArgumentError, and what `spawn` throws */
  static start<T>(system: Spawner, initial: T, options?: SpawnOptions): Agent<T> {
    assertSpawner(system);
    return new Agent<T>(system, system.spawn(AgentActor, withArgs(options, [initial])) as ActorRef);
  }

  /** The value. */
  get(timeout?: number): Promise<T> {
    return this.ref.call({ type: "get" }, timeout);
  }

  /** Replaces the value and gives the new one. What `fn` throws or rejects with is a rejection and changes nothing. */
  update(fn: (state: T) => T | PromiseLike<T>, timeout?: number): Promise<T> {
    return this.ref.call({ type: "update", update: fn, reply: "new" }, timeout);
  }

  /** Replaces the value and gives the old one. */
  getAndUpdate(fn: (state: T) => T | PromiseLike<T>, timeout?: number): Promise<T> {
    return this.ref.call({ type: "update", update: fn, reply: "old" }, timeout);
  }

  /**
   * Replaces the value and does not wait. What `fn` throws or rejects with crashes the agent, which starts again with its
   * first value.
   */
  cast(fn: (state: T) => T | PromiseLike<T>): void {
    assertFunction("update of an agent", fn); // In the agent it would be a crash, which costs the value.
    this.ref.cast(fn);
  }

  /** Stops the agent. */
  stop(): Promise<void> {
    return this.owner.stop(this.ref);
  }

  /** Ref of the actor behind the agent. */
  getRef(): ActorRef {
    return this.ref;
  }
}
