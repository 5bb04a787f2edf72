/**
 * Emitter: an EventEmitter whose listeners cannot stop what tells them, nor each other.
 *
 * What a listener throws, or its promise rejects with, is logged; the others are told all the same. News of the cluster
 * are told in the middle of reading a batch of them, and an exception would lose the rest for ever.
 *
 * An "error" that nobody listens to is thrown, as by every emitter.
 */

import { EventEmitter } from "node:events";
import { createLogger, type Logger } from "./logger.js";
import { isThenable } from "./outcome.js";

/** See the module's header. */
export class Emitter extends EventEmitter {
  readonly #log: Logger;

  /** @param component that tells, for the log. */
  constructor(component: string) {
    super();
    this.#log = createLogger(component);
  }

  override emit(event: string | symbol, ...args: any[]): boolean {
    const listeners = this.rawListeners(event);
    if (listeners.length === 0) return super.emit(event, ...args);
    const failed = (error: unknown): void => this.#log.error(`A listener of "${String(event)}" failed`, error);
    for (const listener of listeners) {
      try {
        const result: unknown = Reflect.apply(listener, this, args);
        if (isThenable(result)) result.then(undefined, failed);
      } catch (error) {
        failed(error);
      }
    }
    return true;
  }
}
