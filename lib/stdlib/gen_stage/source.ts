/**
 * Where the events of `Producer.from` come from: iterables, async iterables, web streams and Node streams.
 *
 * A source is asked with `pull(demand)`. An iterable gives that much at once. The others owe it and deliver when
 * something comes (`emit`), in batches: all that became available in one turn of the event loop, or at once when nothing
 * more is owed. What is always there is read TURN_EVENTS at a time; then the event loop has its turn. A source reads only
 * while it owes, so a stage never holds more than its consumers have asked for, and since the stage does not wait for the
 * reader it answers `stop()` and `stats()` at any time.
 *
 * Nothing is read before the first pull. What happens at once: a Node stream gets the listeners that keep it from taking the
 * process down, and the iterator of anything else that is async is made, since some (of `events.on`, of readline) lose what
 * came before they were. The end of the source, and its error, is told to who pulls: an error that comes while nothing is owed waits for
 * the next demand. The stage tells its consumers behind the last event (see failure.ts) and is not started again, since
 * half of the source is gone.
 *
 * `close()` lets go of the source if it has not ended: `return()` of iterators, `cancel()` of web streams, `destroy()` of
 * Node streams. Its promise is waited for, unless a read is under way, which may never end; how that read ends, and what
 * it gives, is ignored.
 */

import type { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { InvalidArgumentError, StageError } from "../../errors.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import { createLogger } from "../../kernel/logger.js";
import { Failure, type StageEnd } from "./failure.js";

const log = createLogger("GenStage");

/** What `Producer.from` reads. */
export type ProducerSource<T = any> = Iterable<T> | AsyncIterable<T> | ReadableStream<T> | Readable;

/** Tells a stage that its source has ended; comes behind everything that the source has delivered. */
export interface SourceEnded {
  kind: "source_ended";
  end: StageEnd;
}

/** What a pull gives at once: events, no state, and the end if it is reached. */
export type Pulled = [events: any[], state: undefined, end?: StageEnd];

/** A source as its stage sees it. */
export abstract class Source {
  /** The stage that gets the events. */
  protected stage: ActorRef | undefined;
  /** The source has ended, or is not wanted any more. */
  protected closed = false;

  /** Gets to know the stage. */
  attach(stage: ActorRef): void {
    this.stage = stage;
  }

  /** So many more events are owed. */
  abstract pull(demand: number): Pulled;

  /** Lets go of the source. */
  abstract close(): void | Promise<void>;

  protected deliver(events: any[]): void {
    if (events.length > 0) this.stage?.cast({ kind: "emit", events });
  }

  protected tellEnd(end: StageEnd): void {
    this.stage?.cast({ kind: "source_ended", end } satisfies SourceEnded);
  }
}

/** Reads an iterable, as much as is asked for at once. */
class IterableSource extends Source {
  private iterator: Iterator<any> | undefined;

  constructor(private readonly iterable: Iterable<any>) {
    super();
  }

  pull(demand: number): Pulled {
    const events: any[] = [];
    try {
      this.iterator ??= this.iterable[Symbol.iterator]();
      while (events.length < demand) {
        const { done, value } = this.iterator.next();
        if (done) return this.ended(events, "done");
        events.push(value);
      }
    } catch (error) {
      return this.ended(events, new Failure(error, "own"));
    }
    return [events, undefined];
  }

  private ended(events: any[], end: StageEnd): Pulled {
    this.closed = true;
    return [events, undefined, end];
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.iterator ??= this.iterable[Symbol.iterator]();
    this.iterator.return?.();
  }
}

/** Events that are read one after the other before timers and I/O come in between. */
const TURN_EVENTS = 1_024;

const NOTHING_YET: Pulled = [[], undefined];

/** Reads an async iterator, one event after the other while some are owed. */
class AsyncSource extends Source {
  private iterator: AsyncIterator<any> | undefined;
  private owed = 0;
  /** Events read so far. */
  private count = 0;
  /** A loop reads. */
  private reading = false;
  /** Events of this turn of the event loop. */
  private batch: any[] = [];
  private flushing: ReturnType<typeof setImmediate> | undefined;

  constructor(private readonly open: () => AsyncIterator<any>) {
    super();
  }

  /** Opened at once: some iterators give only what happens from then on. */
  override attach(stage: ActorRef): void {
    super.attach(stage);
    try {
      this.iterator = this.open();
    } catch {
      // It fails again when it is read, and whoever reads is told.
    }
  }

  pull(demand: number): Pulled {
    this.owed += demand;
    if (!this.reading) void this.read();
    return NOTHING_YET;
  }

  private async read(): Promise<void> {
    this.reading = true;
    try {
      this.iterator ??= this.open();
      while (this.owed > 0 && !this.closed) {
        const { done, value } = await this.iterator.next();
        if (this.closed) return;
        if (done) {
          this.ended("done");
          return;
        }
        this.batch.push(value);
        if (--this.owed === 0) this.flush();
        else this.flushing ??= setImmediate(() => this.flush());
        if (++this.count % TURN_EVENTS === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      if (!this.closed) this.ended(new Failure(error, "own"));
    } finally {
      this.reading = false;
    }
  }

  private flush(): void {
    clearImmediate(this.flushing);
    this.flushing = undefined;
    const { batch } = this;
    this.batch = [];
    this.deliver(batch);
  }

  private ended(end: StageEnd): void {
    this.closed = true;
    this.flush();
    this.tellEnd(end);
  }

  close(): void | Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearImmediate(this.flushing);
    const { reading } = this;
    const returned = this.letGo();
    if (!reading) return returned;
    returned.catch((error: unknown) => log.warn("A source could not be closed", { error }));
  }

  private async letGo(): Promise<void> {
    this.iterator ??= this.open();
    await this.iterator.return?.();
  }
}

/** The iterator of a web stream, whose `return` cancels the stream even while a read is under way. */
function streamIterator(stream: ReadableStream): AsyncIterator<any> {
  const reader = stream.getReader();
  return {
    async next() {
      const result = await reader.read();
      if (result.done) reader.releaseLock();
      return result as IteratorResult<any>;
    },
    async return() {
      await reader.cancel();
      reader.releaseLock();
      return { done: true, value: undefined };
    },
  };
}

const ignore = (): void => {};

/** Reads a Node stream, whatever its buffer holds at once. */
class NodeSource extends Source {
  private owed = 0;
  /** How the stream ended, while nobody has been told. */
  private end: StageEnd | undefined;
  /** It is waited for data. */
  private listening = false;

  constructor(private readonly stream: Readable) {
    super();
  }

  override attach(stage: ActorRef): void {
    super.attach(stage);
    const { stream } = this;
    stream.on("end", this.onEnd).on("error", this.onError).on("close", this.onClose);
    if (stream.errored) this.onError(stream.errored);
    else if (stream.readableEnded) this.onEnd();
    else if (stream.destroyed) this.onClose();
  }

  private readonly onEnd = (): void => this.ended("done");

  private readonly onError = (error: unknown): void => this.ended(new Failure(error, "own"));

  private readonly onClose = (): void => {
    this.ended(new Failure(new StageError("The stream that a producer reads was closed before its end"), "own"));
  };

  private ended(end: StageEnd): void {
    if (this.closed) return;
    this.closed = true;
    this.end = end;
    this.detach();
    if (this.owed > 0) this.tellEnd(end);
  }

  /** Everything goes by message: what was read before may still be under way. */
  pull(demand: number): Pulled {
    this.owed += demand;
    if (this.end !== undefined) this.tellEnd(this.end);
    else if (this.listening) this.read();
    else {
      this.listening = true;
      this.stream.on("readable", this.read);
      this.read();
    }
    return NOTHING_YET;
  }

  private readonly read = (): void => {
    const events: any[] = [];
    while (this.owed > 0 && !this.closed) {
      const chunk = this.stream.read();
      if (chunk === null) break;
      events.push(chunk);
      this.owed--;
    }
    this.deliver(events);
  };

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.detach();
    // Nobody else may listen, and a stream that cannot be closed is no reason to take the process down.
    if (!this.stream.destroyed) this.stream.once("error", ignore).once("close", () => this.stream.off("error", ignore));
    this.stream.destroy();
  }

  private detach(): void {
    const { stream } = this;
    stream.off("end", this.onEnd).off("error", this.onError).off("close", this.onClose);
    stream.off("readable", this.read);
  }
}

function isNodeStream(source: any): source is Readable {
  return ["read", "on", "off", "destroy"].every((method) => typeof source?.[method] === "function");
}

/** What reads a source. @throws InvalidArgumentError if it is none, or a web stream that somebody else reads. */
export function openSource(source: any): Source {
  if (isNodeStream(source)) return new NodeSource(source);
  if (typeof source?.getReader === "function") {
    if (source.locked) throw new InvalidArgumentError("source", "a stream that nobody reads", source);
    return new AsyncSource(() => streamIterator(source));
  }
  if (typeof source?.[Symbol.asyncIterator] === "function") {
    return new AsyncSource(() => (source as AsyncIterable<any>)[Symbol.asyncIterator]());
  }
  if (typeof source?.[Symbol.iterator] === "function") return new IterableSource(source);
  throw new InvalidArgumentError("source", "an iterable, an async iterable or a readable stream", source);
}
