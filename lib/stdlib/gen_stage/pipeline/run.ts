/**
 * Run: the stages that a pipeline has while it is read or run, and how they end together.
 *
 * All stages of a run have one keeper (temporary.ts): none is started again, and when the keeper ends, all end. A run is
 * over when it has failed, when it is aborted, or when everything is handled; whoever owns it calls `stop()` then.
 *
 * Who else stops its stages (a shutdown, the end of the actor whose children they are) does so one by one, the source first,
 * and the others are told of an end in good order. So only `done` is one within a run; any other is a failure, since events
 * are missing.
 *
 * A handler that waits for a function of the user must not keep the stages from ending, so `unlessOver` lets it go when
 * the run is over. What the function does then is ignored, and no other function is called.
 */

import { StageError } from "../../../errors.js";
import type { Spawner } from "../../spawn_options.js";
import { failureOf } from "../failure.js";
import type { SubscriptionEnd } from "../protocol.js";
import { TemporaryStages } from "../temporary.js";

/** See the module's header. */
export class Run {
  readonly stages: TemporaryStages;
  /** Rejects with the first failure; never resolves. */
  readonly failed: Promise<never>;
  private reject!: (error: unknown) => void;
  private ended = false;
  /** Handlers that wait. */
  private readonly waiting = new Set<() => void>();

  constructor(system: Spawner) {
    this.failed = new Promise((_resolve, reject) => {
      this.reject = reject;
    });
    this.failed.catch(() => {});
    const stopped = (): void => {
      if (!this.ended) this.fail(stoppedEarly().error);
    };
    this.stages = new TemporaryStages(system, "when told", {}, stopped);
  }

  /** Whether no more events are handled. Bound, to be handed out. */
  readonly isOver = (): boolean => this.ended;

  /** Ends the run with an error; the first one counts. Bound, to be handed out. */
  readonly fail = (error: unknown): void => {
    this.reject(error);
    this.over();
  };

  /** How a stage of this run has failed; undefined if it has sent everything. Bound, to be handed out. */
  readonly failureOf = (reason: SubscriptionEnd): { error: unknown } | undefined => {
    return reason.type === "done" ? undefined : (failureOf(reason) ?? stoppedEarly());
  };

  /** The failure of a reader that ends now; undefined if the run is over anyway. Bound, to be handed out. */
  readonly readerStopped = (): { error: unknown } | undefined => (this.ended ? undefined : stoppedEarly());

  /** No more events are handled. */
  over(): void {
    this.ended = true;
    for (const wake of this.waiting) wake();
  }

  /** What a promise gives, or `otherwise` if the run is over before. */
  unlessOver<T>(promise: Promise<T>, otherwise: T): Promise<T> {
    return new Promise((resolve, reject) => {
      const wake = (): void => resolve(otherwise);
      const done = (): boolean => this.waiting.delete(wake);
      this.waiting.add(wake);
      promise.then(
        (value) => done() && resolve(value),
        (error) => done() && reject(error),
      );
      if (this.ended) wake();
    });
  }

  /** What a promise gives, unless the run fails before. */
  unlessFailed<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.failed]);
  }

  /** Stops all stages. */
  stop(): Promise<void> {
    this.over();
    return this.stages.end();
  }
}

function stoppedEarly(): { error: StageError } {
  return { error: new StageError("The stages of a pipeline were stopped before everything was handled") };
}
