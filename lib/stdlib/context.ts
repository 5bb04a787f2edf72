/**
 * What `this.context` of a class-based actor shows: a view that reads the runtime, and owns nothing.
 */

import type { ActorRef } from "../kernel/actor_ref.js";
import type { ActorCell, LinkRecord, WatchRecord } from "../kernel/cell.js";
import { childrenOf, parentOf } from "../kernel/children.js";
import type { TimerRef } from "../kernel/info.js";
import type { ActorSystem } from "./actor_system.js";

/** The actor system in which a cell lives. */
export function systemOf(cell: ActorCell): ActorSystem {
  return cell.kernel.hooks as unknown as ActorSystem;
}

/** The surroundings of a class-based actor. */
export class ClassContext {
  readonly #cell: ActorCell;

  constructor(cell: ActorCell) {
    this.#cell = cell;
  }

  /** The parent; undefined for a root. */
  get parent(): ActorRef | undefined {
    return parentOf(this.#cell);
  }

  /** The children. */
  get children(): Set<ActorRef> {
    return new Set(childrenOf(this.#cell));
  }

  /** The children in the order in which they were spawned. */
  get childOrder(): ActorRef[] {
    return childrenOf(this.#cell);
  }

  /** The system in which the actor lives. */
  get system(): ActorSystem {
    return systemOf(this.#cell);
  }

  /** Watches of this actor. */
  get watches(): ReadonlyMap<number, WatchRecord> {
    return this.#cell.extra?.watches ?? new Map();
  }

  /** Links of this actor. */
  get links(): ReadonlyMap<number, LinkRecord> {
    return this.#cell.extra?.links ?? new Map();
  }

  /** Timers of this actor. */
  get timers(): ReadonlyMap<number, TimerRef> {
    return this.#cell.extra?.timers ?? new Map();
  }

  /** Whether exit signals become messages. */
  get trapExit(): boolean {
    return this.#cell.extra?.trapExit ?? false;
  }

  /** The idle timeout in milliseconds; 0 is none. */
  get idleTimeout(): number {
    return this.#cell.extra?.idleTimeoutMs ?? 0;
  }
}
