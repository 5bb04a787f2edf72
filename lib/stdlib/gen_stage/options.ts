/**
 * Options of stages and subscriptions, their defaults, and the checks that are made before anything changes.
 */

import { InvalidArgumentError, InvalidOptionError } from "../../errors.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { OptionNames } from "../../kernel/options.js";
import { assertFunction, assertOptions, cellOf } from "../../kernel/validate.js";
import type { Dispatcher } from "./dispatcher.js";
import type { PartitionHashFunction } from "./dispatchers/partition.js";

/** Events in flight of one subscription, unless it says otherwise. */
export const DEFAULT_MAX_DEMAND = 1000;
/** Part of maxDemand at which a consumer asks again. */
const DEFAULT_MIN_SHARE = 0.75;
/** Events that a producer buffers. */
export const DEFAULT_BUFFER_SIZE = 10_000;
/** Most events in flight of one subscription. */
export const MAX_DEMAND_LIMIT = 2 ** 31 - 1;
/** Most partitions of a producer. */
export const PARTITIONS_LIMIT = 4_096;

/** What a consumer does when a subscription ends: always stop, stop after a failure, or go on. */
export type CancelMode = "permanent" | "transient" | "temporary";

/** Whether a producer serves demand now, or collects it. */
export type DemandMode = "forward" | "accumulate";

/** How a consumer subscribes. */
export interface SubscriptionOptions {
  /** Most events in flight; default 1000. */
  maxDemand?: number | undefined;
  /** When so many or fewer are in flight, more are asked for; default 75 % of maxDemand, below maxDemand. */
  minDemand?: number | undefined;
  /** Default "temporary". */
  cancel?: CancelMode | undefined;
  /** Index of the partition; for producers with a partition dispatcher. */
  partition?: number | string | undefined;
  /** Cancels the subscription when it aborts. */
  signal?: AbortSignal | undefined;
}

/** The names of {@link SubscriptionOptions}. */
const SUBSCRIPTION_NAMES: OptionNames<SubscriptionOptions> = {
  maxDemand: true,
  minDemand: true,
  cancel: true,
  partition: true,
  signal: true,
};

/** A subscription's options after the checks. */
export interface Terms {
  readonly maxDemand: number;
  readonly minDemand: number;
  readonly cancel: CancelMode;
  readonly partition: number | string | undefined;
}

/** How a producer spreads events. */
export type DispatcherConfig =
  | { type: "demand" }
  | { type: "broadcast" }
  | { type: "partition"; partitions: number; hash?: PartitionHashFunction | undefined }
  | { type: "custom"; dispatcher: Dispatcher };

/** How a producer works. */
export interface ProducerOptions {
  /** Events that wait for demand at most, per partition with a partition dispatcher; default 10,000. */
  bufferSize?: number | undefined;
  /** Which events stay when the buffer overflows, the oldest or the newest; default "last". */
  bufferKeep?: "first" | "last" | undefined;
  /** Default `{ type: "demand" }`. */
  dispatcher?: DispatcherConfig | undefined;
  /** "accumulate" holds all demand back until `demand("forward")`; default "forward". */
  demand?: DemandMode | undefined;
}

/** The names of {@link ProducerOptions}. */
export const PRODUCER_NAMES: OptionNames<ProducerOptions> = {
  bufferSize: true,
  bufferKeep: true,
  dispatcher: true,
  demand: true,
};

const DISPATCHER_NAMES: OptionNames<DispatcherConfig> = { type: true, partitions: true, hash: true, dispatcher: true };

/** A producer's options after the checks. */
export interface OutletTerms {
  readonly bufferSize: number;
  readonly bufferKeep: "first" | "last";
  readonly dispatcher: DispatcherConfig;
  readonly demand: DemandMode;
}

function assertCount(option: string, value: unknown, min: number, max: number): asserts value is number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidOptionError(option, value, `a whole number from ${min} to ${max}`);
  }
}

/** Accepts one of a few words, or undefined. */
function assertWord(option: string, value: unknown, allowed: readonly string[]): void {
  if (value === undefined || (typeof value === "string" && allowed.includes(value))) return;
  throw new InvalidOptionError(option, value, `one of ${allowed.map((word) => `"${word}"`).join(", ")}`);
}

/** Checks a demand mode. */
export function assertDemandMode(option: string, value: unknown): asserts value is DemandMode {
  if (value === undefined) throw new InvalidOptionError(option, value, `"forward" or "accumulate"`);
  assertWord(option, value, ["forward", "accumulate"]);
}

/** Checks how a consumer wants to subscribe. @throws InvalidOptionError */
export function subscriptionTerms(options: SubscriptionOptions = {}): Terms {
  assertOptions("subscription options", options, SUBSCRIPTION_NAMES);
  const { maxDemand = DEFAULT_MAX_DEMAND, cancel = "temporary", partition, signal } = options as SubscriptionOptions;
  assertCount("maxDemand", maxDemand, 1, MAX_DEMAND_LIMIT);
  const { minDemand = Math.floor(maxDemand * DEFAULT_MIN_SHARE) } = options as SubscriptionOptions;
  assertCount("minDemand", minDemand, 0, maxDemand - 1);
  assertWord("cancel", cancel, ["permanent", "transient", "temporary"]);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError("signal", "an AbortSignal", signal);
  }
  return { maxDemand, minDemand, cancel, partition };
}

/** Checks how a producer is to work. @throws InvalidOptionError */
export function outletTerms(options: ProducerOptions = {}, defaultSize = DEFAULT_BUFFER_SIZE): OutletTerms {
  assertOptions("producer options", options, PRODUCER_NAMES);
  const { bufferSize = defaultSize, bufferKeep = "last", demand = "forward" } = options as ProducerOptions;
  const { dispatcher = { type: "demand" } } = options as ProducerOptions;
  if (bufferSize !== Number.POSITIVE_INFINITY) assertCount("bufferSize", bufferSize, 0, Number.MAX_SAFE_INTEGER);
  assertWord("bufferKeep", bufferKeep, ["first", "last"]);
  assertDemandMode("demand", demand);
  assertDispatcher(dispatcher);
  return { bufferSize, bufferKeep, dispatcher, demand };
}

function assertDispatcher(config: DispatcherConfig): void {
  assertOptions("dispatcher", config, DISPATCHER_NAMES);
  const { type } = config as DispatcherConfig;
  if (type === undefined) throw new InvalidOptionError("dispatcher.type", type, "the name of a dispatcher");
  assertWord("dispatcher.type", type, ["demand", "broadcast", "partition", "custom"]);
  const given = config as DispatcherConfig;
  if (given.type === "partition") {
    assertCount("dispatcher.partitions", given.partitions, 1, PARTITIONS_LIMIT);
    if (given.hash !== undefined && typeof given.hash !== "function") {
      throw new InvalidOptionError("dispatcher.hash", given.hash, "a function");
    }
  }
  if (given.type === "custom") {
    for (const method of ["subscribe", "cancel", "demand", "dispatch"] as const) {
      if (typeof given.dispatcher?.[method] === "function") continue;
      throw new InvalidOptionError("dispatcher.dispatcher", given.dispatcher, `an object with a method ${method}()`);
    }
  }
}

/** What a stage may leave out. */
const OPTIONAL_CALLBACKS = ["init", "handleCancel", "terminate"];

/** Checks the callbacks of a stage. @throws InvalidArgumentError */
export function assertCallbacks(what: string, callbacks: unknown, required: readonly string[]): void {
  if (callbacks === null || typeof callbacks !== "object") {
    throw new InvalidArgumentError(`${what} callbacks`, "an object", callbacks);
  }
  for (const name of [...required, ...OPTIONAL_CALLBACKS]) {
    const callback = (callbacks as Record<string, unknown>)[name];
    if (callback === undefined && !required.includes(name)) continue;
    assertFunction(`${what} ${name}`, callback);
  }
}

/** What can be subscribed to: a stage, or the ref of one. */
export type StageSource = ActorRef | { getRef(): ActorRef };

/** The ref behind a stage. @throws InvalidArgumentError */
export function sourceRef(source: StageSource): ActorRef {
  const stage = source as { getRef?: () => ActorRef } | null | undefined;
  const ref = typeof stage?.getRef === "function" ? stage.getRef() : (source as ActorRef);
  cellOf(ref);
  return ref;
}
