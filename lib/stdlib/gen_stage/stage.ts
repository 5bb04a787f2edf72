/**
 * What all stages share: the actor behind a stage, and the object that its owner holds.
 */

import { CallAbortedError, LibeamError, StageError, SubscriptionError, UnknownCallMethodError } from "../../errors.js";
import type { ActorRef } from "../../kernel/actor_ref.js";
import type { InfoMessage, WatchRef } from "../../kernel/info.js";
import { cellOf } from "../../kernel/validate.js";
import { Actor, type ActorClass } from "../actor.js";
import { assertSpawner, type Spawner, type SpawnOptions } from "../spawn_options.js";
import { whenAborted } from "./abort.js";
import { Incoming, type Inlet, SubscriptionRef } from "./inlet.js";
import { areNear, GONE, Line, type Saying } from "./line.js";
import { type StageSource, type SubscriptionOptions, sourceRef, subscriptionTerms, type Terms } from "./options.js";
import type { Outlet, OutletStats, SubscriptionStats } from "./outlet.js";
import {
  type Batch,
  type Ended,
  isOrderly,
  type StageCall,
  type StageCast,
  SUBSCRIBED,
  type SubscriptionEnd,
} from "./protocol.js";

/** What is known of a stage. */
export interface StageStats extends Omit<OutletStats, "consumers"> {
  /** Events that have arrived here and were handed to the handler. */
  received: number;
  /** Subscriptions to producers. */
  upstream: SubscriptionStats[];
  /** Subscriptions of consumers. */
  downstream: SubscriptionStats[];
}

const NO_OUTLET: OutletStats = { demand: 0, buffered: 0, dispatched: 0, dropped: 0, discarded: 0, consumers: [] };

/** What the incarnations of a stage share. */
export interface StagePlan {
  readonly callbacks: {
    init?: ((...args: any[]) => unknown) | undefined;
    terminate?: ((state: any) => unknown) | undefined;
  };
  /** Arguments of `init`. */
  readonly args: readonly unknown[];
  /** The incarnation that runs. What a handler of an earlier one gives is ignored. */
  current?: Actor;
  readonly inlet?: Inlet;
  readonly outlet?: Outlet;
}

/** The actor behind a stage: receives the protocol's messages for its inlet and its outlet. */
export abstract class StageActor<P extends StagePlan = StagePlan> extends Actor {
  protected plan!: P;
  /** The state of the callbacks. */
  protected state: any;
  /** Events handed over since the last crash. */
  protected received = 0;

  /** Does what can be done now; runs after every message. */
  protected abstract work(): void | Promise<void>;

  /** Asks for more on a subscription that has started, if it is time. */
  protected replenish(_incoming: Incoming): void {}

  override init(plan: P): void | Promise<void> {
    this.plan = plan;
    plan.current = this;
    const state = plan.callbacks.init?.(...plan.args);
    if (isPending(state)) return Promise.resolve(state).then((value) => this.begin(value));
    this.begin(state);
  }

  private begin(state: unknown): void {
    if (!this.isCurrent) return;
    const { inlet, outlet } = this.plan;
    this.state = state;
    outlet?.resume(this);
    inlet?.resume(this);
    this.self.cast({ kind: "work" });
  }

  /** Whether this incarnation has not been given up. */
  protected get isCurrent(): boolean {
    return this.plan.current === this;
  }

  /**
   * Goes on when a handler's promise has settled: with a message, so that a stop, an exit signal or a call comes between
   * two portions.
   */
  protected async finishLater<T>(pending: PromiseLike<T>, finish: (result: T) => void): Promise<void> {
    const result = await pending;
    if (!this.isCurrent) return;
    finish(result);
    this.self.cast({ kind: "work" });
  }

  override handleCall(message: StageCall): unknown {
    const { inlet, outlet } = this.plan;
    if (message?.kind === "subscribe" && outlet !== undefined) {
      outlet.subscribe(message.tag, message.consumer, message.terms);
      return SUBSCRIBED;
    }
    if (message?.kind === "subscribed" && inlet !== undefined) return this.subscribed(inlet, message);
    if (message?.kind === "said") return this.hear(message);
    if (message?.kind === "stats") return this.stats();
    throw new UnknownCallMethodError(String(message?.kind ?? "(a stage serves no calls of your own)"));
  }

  private subscribed(inlet: Inlet, { tag, producer, terms }: { tag: string; producer: ActorRef; terms: Terms }): void {
    const line = areNear(producer, this.self) ? undefined : this.lineTo(producer, tag);
    const incoming = new Incoming(new SubscriptionRef(tag, producer), terms, line);
    incoming.watchRef = this.watch(producer);
    inlet.subscriptions.set(tag, incoming);
    this._startSoon(tag);
  }

  private lineTo(producer: ActorRef, tag: string): Line {
    const gone: Ended = { kind: "ended", tag, reason: { type: "killed" } };
    return new Line(producer, { instead: () => [], heard: () => {}, gone: () => this.self.cast(gone) });
  }

  /** A stage of another node says something. */
  private hear(saying: Saying): string {
    const { inlet, outlet } = this.plan;
    const { kind, tag } = saying.message ?? {};
    const isDemand = kind === "ask" || kind === "cancel";
    const ear = isDemand ? outlet?.earOf(tag) : inlet?.subscriptions.get(tag)?.ear;
    const take = (message: StageCast): void => {
      // In front of the producer's DOWN, which may be next. Demand can be late, and a dispatcher that it makes throw is a crash.
      if (!isDemand) inlet?.push(message as Batch | Ended);
      this.self.cast(isDemand ? message : { kind: "work" });
    };
    return ear?.hear(saying, take) ?? GONE;
  }

  private stats(): StageStats {
    const { inlet, outlet } = this.plan;
    const { consumers, ...rest } = outlet?.stats() ?? NO_OUTLET;
    return { ...rest, received: this.received, upstream: inlet?.stats() ?? [], downstream: consumers };
  }

  override handleCast(message: StageCast): void | Promise<void> {
    const { inlet, outlet } = this.plan;
    switch (message?.kind) {
      case "events":
      case "ended":
        inlet?.push(message);
        break;
      case "ask":
        outlet?.ask(message.tag, message.count);
        break;
      case "cancel":
        outlet?.cancel(message.tag, { type: "cancelled" });
        break;
      case "mode":
        outlet?.setMode(message.mode);
        break;
      case "emit":
        this.emitted(message.events);
        break;
      case "start":
        this.start(inlet?.subscriptions.get(message.tag));
        break;
      case "unwatch":
        this.unwatch(message.watchRef);
        break;
      case "work":
        for (const incoming of inlet?.subscriptions.values() ?? []) if (incoming.started) this.replenish(incoming);
        break;
    }
    return this.work();
  }

  /** Events came from the owner of the stage. */
  protected emitted(_events: readonly any[]): void {}

  private start(incoming: Incoming | undefined): void {
    if (incoming === undefined) return;
    incoming.started = true;
    this.replenish(incoming);
  }

  override handleInfo(message: InfoMessage): void | Promise<void> {
    if (message.type !== "down") return;
    this.plan.outlet?.down(message.watchRef, message.reason);
    this.plan.inlet?.down(message.watchRef, message.reason);
    return this.work();
  }

  override async terminate(): Promise<void> {
    this.plan.inlet?.suspend();
    this.plan.outlet?.suspend();
    await this.plan.callbacks.terminate?.(this.state);
  }

  /** Follows the end of a subscription, if its terms say so. */
  protected follow(terms: Terms, reason: SubscriptionEnd): void {
    const orderly = isOrderly(reason);
    if (terms.cancel === "temporary" || (terms.cancel === "transient" && orderly)) return;
    this.exit(this.self, orderly ? "normal" : causeOf(reason));
  }

  /** @internal */
  _watch(ref: ActorRef): WatchRef {
    return this.watch(ref);
  }

  /** @internal */
  _unwatch(watchRef: WatchRef): void {
    this.unwatch(watchRef);
  }

  /** @internal Has the first demand of a subscription sent. */
  _startSoon(tag: string): void {
    this.sendAfter({ kind: "start", tag }, 0);
  }
}

/** What an exit that follows another one tells. */
function causeOf(reason: SubscriptionEnd): unknown {
  if (reason.type === "error") return reason.error;
  return reason.type === "exit" ? reason.reason : reason.type;
}

/** Whether a callback gave a promise. */
export function isPending<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null | undefined)?.then === "function";
}

/** Checks what `handleDemand`, or `handleEvents` of a producer-consumer, gave. */
export function assertProduced(callback: string, result: unknown): asserts result is readonly [any[], any, unknown?] {
  if (Array.isArray(result) && Array.isArray(result[0])) return;
  throw new StageError(`${callback} must give [events, state] with an array of events; its result was not used`);
}

/** A stage as its owner holds it. */
export abstract class Stage {
  /** @internal */
  constructor(
    protected readonly owner: Spawner,
    protected readonly ref: ActorRef,
  ) {}

  /** Stops the stage: waits for the callback that is running, then ends. */
  stop(): Promise<void> {
    return this.owner.stop(this.ref);
  }

  /** Ref of the actor behind the stage. */
  getRef(): ActorRef {
    return this.ref;
  }

  /** Numbers of events and demand. Waits for the callback that is running. */
  stats(): Promise<StageStats> {
    return this.ref.call({ kind: "stats" });
  }

  /** `await using` stops the stage. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A stage that subscribes to others. */
export abstract class SubscribingStage extends Stage {
  /** @internal */
  constructor(
    owner: Spawner,
    ref: ActorRef,
    private readonly inlet: Inlet,
  ) {
    super(owner, ref);
  }

  /**
   * Subscribes to a producer; events flow from the next turn of the event loop on.
   *
   * @throws SubscriptionError (SUBSCRIPTION) if the producer refuses or is none, InvalidOptionError,
   * ActorNotFoundError, CallAbortedError if the signal is aborted already. Nothing is subscribed then.
   */
  async subscribe(producer: StageSource, options: SubscriptionOptions = {}): Promise<SubscriptionRef> {
    const terms = subscriptionTerms(options);
    const source = sourceRef(producer);
    const { signal } = options;
    if (signal?.aborted) throw new CallAbortedError(signal.reason);
    const tag = this.inlet.newTag(this.ref);
    const isNear = areNear(source, this.ref);
    let mayBeKnown = !isNear; // Another node's answer may be lost.
    try {
      await subscribeTo(source, { kind: "subscribe", tag, consumer: this.ref, terms });
      mayBeKnown = true;
      await this.ref.call({ kind: "subscribed", tag, producer: source, terms });
    } catch (error) {
      if (mayBeKnown) sayOnce(source, { kind: "cancel", tag }, isNear);
      throw error;
    }
    const subscription = new SubscriptionRef(tag, source);
    const cancel = (): void => void this.cancelSubscription(subscription);
    if (signal !== undefined) this.inlet.listen(tag, () => whenAborted(signal, cancel));
    return subscription;
  }

  /** Ends a subscription: no event is handed over from now on. */
  protected cancelSubscription(subscription: SubscriptionRef): boolean {
    const incoming = this.inlet.remove(subscription?.tag);
    if (incoming === undefined) return false;
    incoming.cancel();
    if (incoming.watchRef !== undefined) this.ref.cast({ kind: "unwatch", watchRef: incoming.watchRef });
    return true;
  }
}

/** Says one thing to a stage, of this node or of another one. */
function sayOnce(to: ActorRef, message: StageCast, isNear: boolean): void {
  if (isNear) {
    to.cast(message);
    return;
  }
  const line = new Line(to);
  line.say(message);
  line.leave();
}

async function subscribeTo(producer: ActorRef, request: object): Promise<void> {
  let answer: unknown;
  try {
    answer = await producer.call(request);
  } catch (error) {
    const { code } = error as LibeamError;
    if (!(error instanceof LibeamError) || !["UNKNOWN_CALL_METHOD", "NOT_IMPLEMENTED"].includes(code)) throw error;
  }
  if (answer === SUBSCRIBED) return;
  throw new SubscriptionError(`${producer} is no producer; nothing was subscribed`);
}

/** Spawns the actor behind a stage. Its mailbox is bounded by demand, so the system's default does not apply. */
export function spawnStage(system: Spawner, actor: ActorClass, plan: object, options: SpawnOptions = {}): ActorRef {
  assertSpawner(system);
  const ref = system.spawn(actor, { mailbox: { maxSize: Number.POSITIVE_INFINITY }, ...options, args: [plan] });
  cellOf(ref as ActorRef);
  return ref as ActorRef;
}
