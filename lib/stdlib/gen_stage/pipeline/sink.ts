/**
 * Where the events of a run go: a function, a Node stream or a web stream.
 *
 * A sink is written to by one lane at a time per call, waits as long as it wants, and is told how the run ended: `end()`
 * when everything is handled (a stream is ended, and it is waited for), `abort(error)` when the run failed (a stream is
 * destroyed with the error). A stream that fails by itself fails the run.
 */

import process from "node:process";
import type { Writable } from "node:stream";
import type { WritableStream, WritableStreamDefaultWriter } from "node:stream/web";
import { InvalidArgumentError, StageError } from "../../../errors.js";

/** What `run` writes to. A function is called with one event at a time per lane. */
export type PipelineSink<T> = ((event: T) => unknown) | Writable | WritableStream<T>;

/** A sink as a run sees it. */
export interface Sink {
  /** Takes an event; a promise says when the next one may come. */
  write(event: any): unknown;
  /** Everything is handled. */
  end(): Promise<void>;
  /** The run failed. */
  abort(error: unknown): void;
}

const ignore = (): void => {};

class NodeSink implements Sink {
  /** Lanes that wait until the stream wants more. */
  private waiting: (() => void)[] = [];
  private finished = ignore;

  constructor(
    private readonly stream: Writable,
    private readonly fail: (error: unknown) => void,
  ) {
    stream.on("drain", this.onDrain).on("error", this.onError).on("close", this.onClose).on("finish", this.onFinish);
    if (stream.errored) fail(stream.errored);
    else if (stream.destroyed || stream.writableEnded) this.onClose();
  }

  private readonly onDrain = (): void => {
    const { waiting } = this;
    this.waiting = [];
    for (const wake of waiting) wake();
  };

  private readonly onError = (error: unknown): void => this.fail(error);

  private readonly onClose = (): void => {
    this.fail(new StageError("The stream that a run writes to was closed before its end"));
  };

  private readonly onFinish = (): void => {
    this.detach(); // Now: it may close before a promise is through.
    this.finished();
  };

  write(event: any): void | Promise<void> {
    if (this.stream.write(event)) return;
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async end(): Promise<void> {
    const standard = this.stream === process.stdout || this.stream === process.stderr;
    if (standard) return this.detach();
    await new Promise<void>((resolve) => {
      this.finished = resolve;
      this.stream.end();
    });
  }

  abort(error: unknown): void {
    const { stream } = this;
    this.detach();
    if (stream.closed) return;
    // Its own error is being told, or it gets one that the run rejects with.
    stream.on("error", ignore).once("close", () => stream.off("error", ignore));
    if (!stream.destroyed) stream.destroy(error as Error);
  }

  private detach(): void {
    const { stream } = this;
    stream.off("drain", this.onDrain).off("error", this.onError).off("close", this.onClose);
    stream.off("finish", this.onFinish);
  }
}

class WebSink implements Sink {
  private readonly writer: WritableStreamDefaultWriter;

  constructor(
    stream: WritableStream,
    private readonly fail: (error: unknown) => void,
  ) {
    this.writer = stream.getWriter();
    this.writer.ready.catch(ignore);
    this.writer.closed.catch(fail);
  }

  write(event: any): void | Promise<void> {
    const { writer } = this;
    writer.write(event).catch(this.fail);
    if ((writer.desiredSize ?? 0) > 0) return;
    return writer.ready.then(ignore, this.fail);
  }

  async end(): Promise<void> {
    await this.writer.close();
    this.writer.releaseLock();
  }

  abort(error: unknown): void {
    this.writer.abort(error).catch(ignore);
    this.writer.releaseLock();
  }
}

/** What a run writes to. @throws InvalidArgumentError */
export function openSink(sink: any, fail: (error: unknown) => void): Sink {
  if (typeof sink === "function") return { write: sink, end: async () => {}, abort: ignore };
  if (typeof sink?.getWriter === "function") {
    if (sink.locked) throw new InvalidArgumentError("sink", "a stream that nobody writes to", sink);
    return new WebSink(sink, fail);
  }
  if (typeof sink?.write === "function" && typeof sink.on === "function") return new NodeSink(sink, fail);
  throw new InvalidArgumentError("sink", "a function or a writable stream", sink);
}
