/**
 * Birth and death of actors on the isolate's side. Decisions are the core's; here user code is run for them.
 *
 * The core asks with an event (`EVENT_INIT`, `EVENT_TERMINATE`) and is answered with the operation that belongs to it
 * and the incarnation it was for. An `init` that fails before `spawn` has returned throws there and leaves nothing; any
 * other failure of `init`, and every failure of a handler, is reported with {@link crash}. A failing `terminate` is
 * logged: there is nobody left to crash.
 */

import { ActorLimitError, NameAlreadyRegisteredError, SystemShuttingDownError } from "../errors.js";
import { ActorCell, type CellExtra, type Definition } from "./cell.js";
import { crash, initFailed } from "./crash.js";
import type { Kernel } from "./kernel.js";
import { createLogger } from "./logger.js";
import { isThenable, NO_SLOT, NOTHING_RUNS } from "./outcome.js";
import {
  FLAG_OBSERVED,
  FLAG_RESTARTING,
  FLAG_STARTING,
  FLAG_STOPPING,
  OP_CONTINUE,
  OP_INIT_DONE,
  OP_RESTART,
  OP_SPAWN,
  OP_SPAWN_FAILED,
  OP_STOP,
  OP_TERMINATED,
  OP_TRAITS,
  STATUS_LIMIT,
  STATUS_NAME_TAKEN,
  STATUS_OK,
  STATUS_STARTED,
  SUBMIT_SETTLED,
  TRAIT_TERMINATE,
} from "./protocol.js";
import { notFound } from "./refusals.js";
import { PendingCall } from "./slots.js";
import { TelemetryEvents, telemetry } from "./telemetry.js";

const NIL = 0xffff_ffff;
const RESOLVED: Promise<void> = Promise.resolve();
const log = createLogger("Actor");

/** What `init` returns to have `handleContinue` run. */
export interface InitContinue {
  continue: any;
}

/** Whether a value returned by `init` asks for `handleContinue`. */
export function isInitContinue(value: unknown): value is InitContinue {
  return value !== null && typeof value === "object" && "continue" in value && value.continue !== undefined;
}

/** A new actor. */
export interface SpawnRequest {
  definition: Definition;
  args: readonly unknown[];
  name: string | undefined;
  parent: ActorCell | null;
  /** Messages at most in the mailbox; 0 is unbounded. */
  capacity: number;
  /** One of the `POLICY_…` numbers. */
  policy: number;
}

/** Makes an actor and runs the synchronous part of its `init`. Throws what `init` throws. */
export function spawn(kernel: Kernel, request: SpawnRequest): ActorCell {
  const { definition, name, parent } = request;
  const { args, results } = kernel;
  args[0] = parent === null ? NIL : parent.index;
  args[1] = request.capacity;
  args[2] = request.policy;
  args[3] = 0;
  if (name === undefined) kernel.control(OP_SPAWN);
  else kernel.controlText(OP_SPAWN, name);
  if (results[0] !== STATUS_OK) throw refusal(kernel, results[0], name);
  const index = results[1];
  const words = kernel.chunkOf(index);
  const cell = new ActorCell(kernel, { words, index, generation: results[2] }, definition, request);
  const { at } = cell;
  kernel.cells[index] = cell;
  if (telemetry.active) announceSpawn(cell);
  const result = firstInit(cell);
  if (isThenable(result)) void awaitInit(cell, result, -1);
  else {
    if (isInitContinue(result)) continueWith(cell, result.continue);
    words[at] &= ~FLAG_STARTING;
    if (((words[at] & ~FLAG_OBSERVED) | words[at + 1]) !== 0) kernel.wake(cell);
  }
  return cell;
}

function refusal(kernel: Kernel, status: number, name: string | undefined): Error {
  if (status === STATUS_NAME_TAKEN) return new NameAlreadyRegisteredError(name as string);
  if (status === STATUS_LIMIT) return new ActorLimitError(kernel.options.actorsMax);
  return new SystemShuttingDownError("spawn child actors");
}

function announceSpawn(cell: ActorCell): void {
  telemetry.execute(
    TelemetryEvents.actor.spawn,
    {},
    {
      actor_id: cell.ref.id.id,
      actor_class: cell.definition.className,
      name: cell.name,
      node_id: cell.kernel.nodeId,
      ...(cell.parent === null ? {} : { parent_id: cell.parent.ref.id.id }),
    },
  );
}

function firstInit(cell: ActorCell): unknown {
  try {
    return runInit(cell);
  } catch (error) {
    const { kernel } = cell;
    kernel.args[0] = cell.index;
    kernel.control(OP_SPAWN_FAILED);
    // It was never there: it leaves now, whatever the core still has to clear up.
    const { extra } = cell;
    kernel.cells[cell.index] = undefined;
    cell.bury();
    kernel.hooks.neverStarted(cell);
    wakeWaiters(extra);
    throw error;
  }
}

/** Runs `init` with the actor as the current one; telemetry tells of its synchronous part. */
function runInit(cell: ActorCell): unknown {
  const { kernel } = cell;
  const outer = kernel.current;
  const start = telemetry.active ? performance.now() : 0;
  kernel.current = cell;
  kernel.inlineDepth++;
  let result: unknown;
  try {
    result = cell.definition.start(cell, cell.args);
    isInitContinue(result); // A result that cannot be read throws here, as a failure of init.
  } catch (error) {
    observeInit(cell, start, "exception", error);
    throw error;
  } finally {
    kernel.current = outer;
    kernel.inlineDepth--;
    if (kernel.overdue[0] !== 0) kernel.loop.ended(cell, "init", outer);
  }
  if (!isThenable(result)) observeInit(cell, start, "stop");
  else if (telemetry.active) {
    result = Promise.resolve(result); // Asked once, as by `observe` in run.ts.
    (result as Promise<unknown>).then(
      () => observeInit(cell, start, "stop"),
      (error) => observeInit(cell, start, "exception", error),
    );
  }
  announceTraits(cell);
  return result;
}

/** Tells the core whether there is something to run in `terminate`, when that may have changed. */
export function announceTraits(cell: ActorCell): void {
  if (cell.dead || !cell.definition.terminates(cell)) return;
  const { kernel } = cell;
  kernel.args[0] = cell.index;
  kernel.args[1] = TRAIT_TERMINATE;
  kernel.control(OP_TRAITS);
}

/** Runs the rest of an `init` that has waited for something, with the actor as the current one; gives what it gives. */
export function resumeInit(cell: ActorCell, run: () => unknown): unknown {
  const { kernel } = cell;
  const outer = kernel.current;
  kernel.current = cell;
  let result: unknown;
  try {
    result = run();
  } finally {
    kernel.current = outer;
  }
  announceTraits(cell);
  return result;
}

function observeInit(cell: ActorCell, start: number, end: "stop" | "exception", error?: unknown): void {
  if (!telemetry.active) return;
  const metadata = { actor_id: cell.ref.id.id, actor_class: cell.definition.className };
  telemetry.execute(
    [...TelemetryEvents.actor.init, end],
    { duration_ms: performance.now() - start },
    end === "stop" ? metadata : { ...metadata, error },
  );
}

function continueWith(cell: ActorCell, data: unknown): void {
  const { kernel } = cell;
  kernel.args[1] = kernel.slots.alloc(data);
  kernel.args[0] = cell.index;
  kernel.control(OP_CONTINUE);
}

/** Sees an asynchronous `init` through. The attempt of a restart is at least 0; -1 is the first start. */
async function awaitInit(cell: ActorCell, result: PromiseLike<unknown>, attempt: number): Promise<void> {
  const { epoch } = cell;
  let value: unknown;
  try {
    value = await result;
    isInitContinue(value); // As in runInit.
  } catch (error) {
    if (cell.epoch === epoch) initFailed(cell, error);
    return;
  }
  if (cell.epoch !== epoch) return;
  announceTraits(cell); // What init has come by while it waited may have to be released.
  initDone(cell, value, attempt);
}

function initDone(cell: ActorCell, result: unknown, attempt: number): void {
  const { kernel } = cell;
  const slot = isInitContinue(result) ? kernel.slots.alloc(result.continue) : NIL;
  kernel.args[0] = cell.index;
  kernel.args[1] = cell.incarnation;
  kernel.args[2] = slot;
  kernel.control(OP_INIT_DONE);
  if (kernel.results[0] !== STATUS_OK && slot !== NIL) kernel.slots.free(slot);
  // One that was stopped meanwhile ends now: it has not been started again.
  if (attempt >= 0 && (cell.flags & FLAG_STOPPING) === 0) afterRestart(cell, attempt);
}

/** The core wants the next incarnation. */
export function reinit(cell: ActorCell, incarnation: number, attempt: number): void {
  const { kernel } = cell;
  const flags = cell.flags;
  if ((flags & FLAG_STARTING) === 0) return;
  cell.reincarnate(incarnation);
  cell.words[cell.at] &= ~FLAG_RESTARTING; // From here on the core makes watches, links and timers again.
  if ((flags & FLAG_STOPPING) !== 0) {
    kernel.args[0] = cell.index;
    kernel.control(OP_SPAWN_FAILED);
    return;
  }
  let result: unknown;
  try {
    result = runInit(cell);
  } catch (error) {
    initFailed(cell, error);
    return;
  }
  if (isThenable(result)) void awaitInit(cell, result, attempt);
  else initDone(cell, result, attempt);
}

function afterRestart(cell: ActorCell, attempt: number): void {
  const { kernel, epoch } = cell;
  kernel.hooks.restarted(cell, cell.idOf(cell.incarnation - 1).id, attempt);
  const failed = (error: unknown): void => {
    if (cell.epoch === epoch) crash(cell, error);
  };
  const error = cell.extra?.lastError;
  if (cell.extra !== null) cell.extra.lastError = undefined; // A later restart may be the fault of a sibling.
  guarded(cell, "postRestart", () => cell.definition.postRestart(cell, error), { failed });
  wakeRestartWaiters(cell.extra, true);
}

function wakeRestartWaiters(extra: CellExtra | null, isUp: boolean): void {
  if (extra === null || extra.restartWaiters === null) return;
  const waiters = extra.restartWaiters;
  extra.restartWaiters = null;
  for (const wake of waiters) wake(isUp);
}

/** What follows a hook; `failed` gets what it throws or rejects with. */
interface Afterwards {
  done?: () => void;
  failed: (error: unknown) => void;
}

/** Runs something of the user's outside a message. */
function guarded(cell: ActorCell, hook: string, run: () => unknown, { done, failed }: Afterwards): void {
  const { kernel } = cell;
  const outer = kernel.current;
  kernel.current = cell;
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    kernel.current = outer;
    if (kernel.overdue[0] !== 0) kernel.loop.ended(cell, hook, outer);
    failed(error);
    return;
  }
  kernel.current = outer;
  if (kernel.overdue[0] !== 0) kernel.loop.ended(cell, hook, outer);
  if (isThenable(result)) Promise.resolve(result).then(done, failed);
  else done?.();
}

/** The core wants `terminate` to run. */
export function runTerminate(cell: ActorCell, incarnation: number, restarting: boolean): void {
  const { kernel } = cell;
  const done = (): void => {
    kernel.args[0] = cell.index;
    kernel.args[1] = incarnation;
    if (!cell.dead) kernel.control(OP_TERMINATED);
  };
  const failed = (error: unknown): void => {
    hookFailed(cell, "terminate", error);
    done();
  };
  guarded(cell, "terminate", () => terminateWith(cell, restarting), { done, failed });
}

function hookFailed(cell: ActorCell, hook: string, error: unknown): void {
  log.error(`${hook} failed`, error, { actorId: cell.ref.id.id, className: cell.definition.className });
}

/** A `preRestart` that fails does not keep `terminate` from running. */
function terminateWith(cell: ActorCell, restarting: boolean): unknown {
  const { behaviour, definition } = cell;
  if (!restarting) return behaviour?.terminate();
  const failed = (error: unknown): void => hookFailed(cell, "preRestart", error);
  let before: unknown;
  try {
    before = definition.preRestart(cell, cell.extra?.lastError);
  } catch (error) {
    failed(error);
  }
  if (!isThenable(before)) return behaviour?.terminate();
  return Promise.resolve(before)
    .then(undefined, failed)
    .then(() => behaviour?.terminate());
}

/** Stops an actor and everything below it; resolves when it is gone. `caller` is the actor that asks for it. */
export function stop(cell: ActorCell, caller: ActorCell | null = cell.kernel.current): Promise<void> {
  const { kernel } = cell;
  if (cell.dead) return cell.remote?.stop() ?? RESOLVED;
  kernel.args[0] = cell.index;
  kernel.control(OP_STOP);
  const status = kernel.results[0];
  if (status === STATUS_OK) {
    gone(cell, 0);
    return RESOLVED;
  }
  if (status !== STATUS_STARTED) return RESOLVED;
  const extra = cell.more();
  if (extra.stopStarted === 0) extra.stopStarted = performance.now();
  // An actor that waits for its own end, or an ancestor's, would wait for itself.
  if (isWithin(caller, cell)) return RESOLVED;
  return new Promise((resolve) => extra.stopWaiters.push(resolve));
}

/**
 * Starts an actor again, though nothing has crashed. Resolves when the next incarnation is up with true, or with false if
 * the actor has ended, or ends instead. `caller` is the actor that asks for it.
 */
export function restart(cell: ActorCell, caller: ActorCell | null = cell.kernel.current): Promise<boolean> {
  if (cell.dead) return Promise.resolve(false);
  const { kernel } = cell;
  kernel.recall(cell); // As for a crash.
  kernel.args[0] = cell.index;
  kernel.control(OP_RESTART);
  if (kernel.results[0] !== STATUS_STARTED) return Promise.resolve(false);
  if (isWithin(caller, cell)) return Promise.resolve(true); // It would wait for itself.
  const extra = cell.more();
  extra.restartWaiters ??= [];
  const { restartWaiters } = extra;
  return new Promise((resolve) => restartWaiters.push(resolve));
}

function isWithin(inner: ActorCell | null, outer: ActorCell): boolean {
  for (let cell = inner; cell !== null; cell = cell.parent) if (cell === outer) return true;
  return false;
}

/** An exit went on without the handler that still runs: its caller is told, its end will be ignored. */
export function abandoned(cell: ActorCell): void {
  const { kernel, runningSlot } = cell;
  cell.pump?.putBack();
  cell.pump = null;
  cell.epoch++;
  cell.runningSlot = NOTHING_RUNS;
  if (runningSlot === NOTHING_RUNS) return;
  cell.words[cell.at + 1]--;
  if (runningSlot === NO_SLOT) return;
  const pending = kernel.slots.value(runningSlot);
  kernel.push(0, SUBMIT_SETTLED, runningSlot);
  kernel.freeAfterBatch(runningSlot);
  if (pending instanceof PendingCall) pending.reject(notFound(cell));
}

/** An actor is gone, for a reason of that kind with the value behind a token. */
export function gone(cell: ActorCell, childrenStopped: number, kind = 0, token = NIL): void {
  const { kernel, extra } = cell;
  if (telemetry.active) {
    const started = extra?.stopStarted ?? 0;
    telemetry.execute(
      [...TelemetryEvents.actor.stop, "stop"],
      { duration_ms: started === 0 ? 0 : performance.now() - started },
      { actor_id: cell.ref.id.id, name: cell.name, children_stopped: childrenStopped },
    );
  }
  kernel.cells[cell.index] = undefined;
  cell.bury();
  kernel.hooks.gone(cell, kind, token);
  wakeWaiters(extra);
}

/** Whoever waits for an actor is told that it is gone. */
function wakeWaiters(extra: CellExtra | null): void {
  if (extra !== null) for (const wake of extra.stopWaiters) wake();
  wakeRestartWaiters(extra, false);
}
