/**
 * The stages of a pipeline: how its steps become producer-consumers, and how these are connected.
 *
 * A step runs once, or once per lane behind a partition. Each is a producer-consumer whose handler catches what a
 * function throws and gives it as a {@link Failure}. Subscriptions are "temporary": how the end of one stage ends the
 * next one is told by its handler, behind all events that came before.
 */

import { InvalidArgumentError } from "../../../errors.js";
import type { ActorRef } from "../../../kernel/actor_ref.js";
import { Failure, failureOf, type StageEnd } from "../failure.js";
import { DEFAULT_MAX_DEMAND, type ProducerOptions, type SubscriptionOptions, sourceRef } from "../options.js";
import { Producer } from "../producer.js";
import { type Flush, ProducerConsumer, type StepSettings } from "../producer_consumer.js";
import type { SubscriptionEnd } from "../protocol.js";
import { openSource } from "../source.js";
import type { Run } from "./run.js";
import { type Operation, type Transformed, transform } from "./transform.js";

/** What a key may be. */
export type PartitionKey = string | number | bigint | boolean | null | undefined;

/** One step of a pipeline. */
export type Step =
  | { type: "transform"; operations: readonly Operation[] }
  | { type: "batch"; size: number; delayMs: number }
  | { type: "partition"; key: (event: any) => PartitionKey; lanes: number };

/** Demand of the subscriptions of a pipeline. */
export type PipelineDemand = Pick<SubscriptionOptions, "maxDemand" | "minDemand">;

/** What a handler of a step gives. */
type Made = [events: any[], state: undefined, end?: StageEnd | undefined];

/** The handlers of a stage. */
interface Handlers {
  handleEvents(events: any[]): Made | Promise<Made>;
  /** Makes last events at the end. */
  last?(): any[];
  terminate?(): void;
}

const NOTHING: Made = [[], undefined];

function transforming(operations: readonly Operation[], run: Run): Handlers {
  const made = ({ made, failure }: Transformed): Made => [made, undefined, failure];
  return {
    handleEvents(events) {
      const result = transform(operations, events, run.isOver);
      return result instanceof Promise ? run.unlessOver(result.then(made), NOTHING) : made(result);
    },
  };
}

const passing: Handlers = { handleEvents: (events) => [events, undefined] };

/** Groups of `size`, or what there is `delayMs` after the first event of a group. */
class Grouping implements Handlers {
  private group: any[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** The stage that does the grouping. */
  stage: ActorRef | undefined;

  constructor(
    private readonly size: number,
    private readonly delayMs: number,
  ) {}

  handleEvents(events: any[]): Made {
    const made: any[][] = [];
    for (const event of events) {
      if (this.group.push(event) === this.size) made.push(this.take());
    }
    if (this.group.length > 0 && this.timer === undefined && this.delayMs !== Number.POSITIVE_INFINITY) {
      this.timer = setTimeout(() => this.stage?.cast({ kind: "flush" } satisfies Flush), this.delayMs);
    }
    return [made, undefined];
  }

  last(): any[] {
    return this.group.length === 0 ? [] : [this.take()];
  }

  terminate(): void {
    clearTimeout(this.timer);
  }

  private take(): any[] {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { group } = this;
    this.group = [];
    return group;
  }
}

const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** The lane of a key: whole numbers by their remainder, everything else by the FNV-1a hash of its text. */
export function laneOf(key: PartitionKey, lanes: number): number {
  if (Number.isSafeInteger(key)) return Math.abs(key as number) % lanes;
  const text = String(key);
  let hash = FNV_START;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME) >>> 0;
  return hash % lanes;
}

/** A stage that the next one subscribes to, or one lane of it. */
interface Lane {
  getRef(): ActorRef;
  /** The lane of a stage that partitions. */
  readonly lane?: number;
  /** It was given as the source: whoever owns it may stop it. */
  readonly given?: true;
}

/** Stages of the same step, one per lane. */
export type Lanes = readonly Lane[];

/** Builds the stages of one run. */
export class Assembly {
  /** Divides demand: behind a batch of n, one event stands for n. */
  private scale = 1;

  constructor(
    private readonly run: Run,
    private readonly demand: PipelineDemand,
  ) {}

  /** Starts all stages and subscribes each to the one before. Gives the last ones. */
  async build(source: unknown, steps: readonly Step[]): Promise<Lanes> {
    const router = (at: number): ProducerOptions | undefined => this.routing(steps[at]);
    let lanes = this.open(source, router(0));
    // A source that is a stage already cannot be told to partition; nor can several lanes, before they are one.
    let routed = isStage(source) ? undefined : router(0);
    for (let at = 0; at < steps.length; at++) {
      const step = steps[at];
      if (step.type === "partition") {
        if (routed === undefined) lanes = [await this.start(passing, lanes, this.routing(step))];
        const ref = lanes[0].getRef();
        lanes = Array.from({ length: step.lanes }, (_, lane) => ({ getRef: () => ref, lane }));
        routed = undefined;
        continue;
      }
      const last: Lanes = lanes;
      const alone = last.length === 1;
      routed = alone ? router(at + 1) : undefined;
      lanes = await Promise.all(last.map((lane) => this.startStep(step, [lane], routed)));
      if (step.type === "batch") this.scale *= step.size;
    }
    return lanes;
  }

  /** How the last stages are subscribed to. */
  terms({ lane }: Lane): SubscriptionOptions {
    const { maxDemand = DEFAULT_MAX_DEMAND, minDemand } = this.demand;
    const most = Math.max(1, Math.floor(maxDemand / this.scale));
    return {
      maxDemand: most,
      ...(minDemand === undefined ? {} : { minDemand: Math.min(most - 1, Math.floor(minDemand / this.scale)) }),
      ...(lane === undefined ? {} : { partition: lane }),
      cancel: "temporary",
    };
  }

  /** What failed when a subscription to one of the last stages has ended; undefined if it was sent everything. */
  failureOf({ given }: Lane, reason: SubscriptionEnd): { error: unknown } | undefined {
    return given ? failureOf(reason) : this.run.failureOf(reason);
  }

  private open(source: any, options: ProducerOptions | undefined): Lanes {
    if (isStage(source)) return [{ getRef: () => sourceRef(source), given: true }];
    return [Producer._read(this.run.stages, this.run.stages, openSource(source), options ?? {})];
  }

  /** How a stage is to spread its events if a partition follows. */
  private routing(next: Step | undefined): ProducerOptions | undefined {
    if (next?.type !== "partition") return undefined;
    const { key, lanes } = next;
    const hash = (event: unknown): number | null => {
      if (this.run.isOver()) return null;
      try {
        return laneOf(key(event), lanes);
      } catch (error) {
        this.run.fail(error);
        return null;
      }
    };
    const bufferSize = Number.POSITIVE_INFINITY;
    return { bufferSize, dispatcher: { type: "partition", partitions: lanes, hash } };
  }

  private startStep(step: Exclude<Step, { type: "partition" }>, from: Lanes, options?: ProducerOptions) {
    if (step.type === "transform") return this.start(transforming(step.operations, this.run), from, options);
    const { size, delayMs } = step;
    const grouping = new Grouping(size, delayMs);
    const settings: StepSettings = { flush: () => grouping.last() };
    return this.start(grouping, from, options, settings);
  }

  private async start(
    handlers: Handlers,
    from: Lanes,
    options?: ProducerOptions,
    settings?: StepSettings,
  ): Promise<ProducerConsumer> {
    let left = from.length;
    const handleCancel = (reason: SubscriptionEnd): Made => {
      const failure = this.failureOf(from[0], reason);
      if (failure !== undefined) return [[], undefined, new Failure(failure.error, "upstream")];
      return --left === 0 ? [handlers.last?.() ?? [], undefined, "done"] : NOTHING;
    };
    const callbacks: any = {
      handleEvents: (events: any[]) => handlers.handleEvents(events),
      handleCancel,
      terminate: () => handlers.terminate?.(),
    };
    const stage = ProducerConsumer._start<any>(this.run.stages, callbacks, options, undefined, [], settings);
    if (handlers instanceof Grouping) handlers.stage = stage.getRef();
    await Promise.all(from.map((lane) => stage.subscribe(lane, this.terms(lane))));
    return stage;
  }
}

/** Whether a source is a stage or the ref of one. */
export function isStage(source: any): boolean {
  return typeof source?.getRef === "function" || source?._cell !== undefined;
}

/** Accepts what a pipeline can read. @throws InvalidArgumentError */
export function assertSource(source: unknown): void {
  if (!isStage(source)) openSource(source);
}

/** Accepts whole numbers from 1. @throws InvalidArgumentError */
export function assertPositive(what: string, value: unknown, max: number): void {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max) return;
  throw new InvalidArgumentError(what, `a whole number from 1 to ${max}`, value);
}
