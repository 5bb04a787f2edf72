/**
 * References to actors: what user code holds, sends around and talks to.
 *
 * A ref names one incarnation (its id) and reaches the logical actor: after a supervised restart an old ref works, with
 * its old id. Refs are cheap, and equal ids mean the same incarnation.
 */

import { InvalidArgumentError } from "../errors.js";
import type { ActorId } from "./actor_id.js";
import type { ActorCell } from "./cell.js";
import type { CallOptions } from "./options.js";
import { call, callMethod, cast, castArgument, castBare, castMethod } from "./send.js";
import { NO_ARGUMENTS } from "./slots.js";

const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

/** What a ref can be made from by hand: a system that finds the cell behind an id. */
export interface RefOwner {
  /** @internal */
  _cellOf(id: ActorId): ActorCell;
}

/**
 * Location-transparent reference to an actor.
 *
 * @example
 * const value = await ref.call({ type: "get" });
 * ref.cast({ type: "set", value: 1 });
 */
export class ActorRef<TCast = any, TCall = any, TReply = any> {
  /** @internal */
  readonly _cell: ActorCell;
  /** @internal */
  readonly _incarnation: number;
  private cachedId: ActorId | undefined;

  /** Makes a ref from an id; refs of `spawn` and `ctx.self` come ready-made. */
  constructor(id: ActorId, system: RefOwner);
  /** @internal */
  constructor(cell: ActorCell, incarnation: number);
  constructor(source: ActorId | ActorCell, second: RefOwner | number) {
    if (typeof second === "number") {
      this._cell = source as ActorCell;
      this._incarnation = second;
      this.cachedId = undefined;
    } else {
      if (source === null || typeof source !== "object") throw new InvalidArgumentError("id", "an ActorId", source);
      if (typeof second?._cellOf !== "function") throw new InvalidArgumentError("system", "an ActorSystem", second);
      this._cell = second._cellOf(source as ActorId);
      this._incarnation = -1;
      this.cachedId = source as ActorId;
    }
  }

  /** Id of the incarnation that this ref was made for. */
  get id(): ActorId {
    this.cachedId ??= this._cell.idOf(this._incarnation);
    return this.cachedId;
  }

  /**
   * Sends a request and waits for the reply.
   *
   * @param options timeout in milliseconds (default 5000, or the system's), or {@link CallOptions}.
   * @throws TimeoutError (TIMEOUT), ActorNotFoundError (ACTOR_NOT_FOUND), MailboxFullError (MAILBOX_FULL),
   * SelfCallError (SELF_CALL), CallAbortedError (CALL_ABORTED), SystemShuttingDownError, or what the handler threw.
   */
  call(message: TCall, options?: number | CallOptions): Promise<TReply> {
    return call(this._cell, message, options);
  }

  /** Sends a message and does not wait. Never throws; a message to an actor that is gone is dropped. */
  cast(message: TCast): void {
    cast(this._cell, message);
  }

  /** `system/name` or `system/id`. */
  toString(): string {
    return this.id.toString();
  }

  /** The id, which `getRef` makes a ref of again. */
  toJSON(): ActorId {
    return this.id;
  }

  /** @internal What a console shows: a ref reaches the whole runtime. */
  [INSPECT](): string {
    return `${this.constructor.name}(${this})`;
  }
}

/** Call options may follow a method's own arguments. */
type CallArguments<F> = F extends (...args: infer A) => any ? [...A] | [...A, CallOptions] : never;

/** Reference to an actor whose methods the type system knows. */
export class TypedActorRef<
  TCalls extends Record<string, (...args: any[]) => any> = any,
  TCasts extends Record<string, (...args: any[]) => any> = any,
> extends ActorRef {
  /** @internal Exists for the type system only: a ref fits where the methods of another are asked for if it has them. */
  declare readonly _methods?: { calls: TCalls; casts: TCasts };

  /**
   * Calls a method, or sends a whole message (`{ method, args }`) with a timeout or {@link CallOptions}.
   *
   * A last argument made only of `timeout` and/or `signal` is call options if the handler that runs declares fewer parameters;
   * those with a default and a rest parameter do not count (`length` of the function).
   */
  override call<K extends keyof TCalls & string>(
    method: K,
    ...args: CallArguments<TCalls[K]>
  ): Promise<Awaited<ReturnType<TCalls[K]>>>;
  override call(message: object, options?: number | CallOptions): Promise<any>;
  override call(message: any, first?: any, second?: any, ..._more: any[]): Promise<any> {
    if (typeof message !== "string") return call(this._cell, message, first);
    // Perf: a rest parameter makes an array for every call, and a slow one of `arguments` ("sequential call").
    // biome-ignore lint/complexity/noArguments: see above
    const count = arguments.length;
    let args = NO_ARGUMENTS;
    if (count === 2) args = [first];
    else if (count === 3) args = [first, second];
    // biome-ignore lint/complexity/noArguments: see above
    else if (count > 3) args = fromSecond(arguments);
    return callMethod(this._cell, message, args);
  }

  /** Casts to a method, or sends a whole message (`{ method, args }`). Never throws. */
  override cast<K extends keyof TCasts & string>(method: K, ...args: Parameters<TCasts[K]>): void;
  override cast(message: object): void;
  override cast(message: any, argument?: any, ..._more: any[]): void {
    // Perf: a rest parameter would make an array for every cast ("bulk cast").
    // biome-ignore lint/complexity/noArguments: see above
    const count = arguments.length;
    if (typeof message !== "string") cast(this._cell, message);
    else if (count === 1) castBare(this._cell, message);
    else if (count === 2) castArgument(this._cell, message, argument);
    // biome-ignore lint/complexity/noArguments: see above
    else castMethod(this._cell, message, fromSecond(arguments));
  }
}

function fromSecond(args: IArguments): any[] {
  return Array.prototype.slice.call(args, 1);
}
