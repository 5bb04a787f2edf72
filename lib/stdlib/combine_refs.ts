/**
 * One handle for several actors with different methods.
 */

import { InvalidArgumentError, UnknownCallMethodError } from "../errors.js";
import { TypedActorRef } from "../kernel/actor_ref.js";
import { FLAG_STARTING } from "../kernel/protocol.js";
import { rejected } from "../kernel/slots.js";

type CallsOf<R> = R extends TypedActorRef<infer C, any> ? C : never;
type CastsOf<R> = R extends TypedActorRef<any, infer C> ? C : never;
type Joined<U> = (U extends any ? (value: U) => void : never) extends (value: infer I) => void ? I : never;

/** Handle made by {@link combineRefs}. */
export interface CombinedRef<R extends TypedActorRef<any, any>> {
  /** Calls a method of whichever actor has it. */
  call<K extends keyof Joined<CallsOf<R>> & string>(
    method: K,
    ...args: Joined<CallsOf<R>>[K] extends (...args: infer A) => any ? A : never
  ): Promise<Joined<CallsOf<R>>[K] extends (...args: any[]) => infer V ? Awaited<V> : never>;
  /** Casts to a method of whichever actor has it. */
  cast<K extends keyof Joined<CastsOf<R>> & string>(
    method: K,
    ...args: Joined<CastsOf<R>>[K] extends (...args: infer A) => any ? A : never
  ): void;
  /** The refs behind the handle. */
  readonly refs: readonly R[];
}

/**
 * Combines refs into one that routes by method name; the first actor that has the method gets the message.
 *
 * A call that no actor handles is rejected with UnknownCallMethodError, such a cast is ignored.
 * @throws InvalidArgumentError if something is not a ref of a functional actor.
 */
export function combineRefs<R extends readonly TypedActorRef<any, any>[]>(...refs: R): CombinedRef<R[number]> {
  if (refs.length === 0) throw new InvalidArgumentError("combineRefs", "at least one ref", refs);
  for (const ref of refs) {
    if (!(ref instanceof TypedActorRef))
      throw new InvalidArgumentError("combineRefs", "refs of functional actors", ref);
  }
  const handle = {
    refs: Object.freeze(refs),
    call(method: string, ...args: any[]): Promise<any> {
      // Who is still starting may have the method; who is gone may have had it, and its error says so.
      const target =
        refs.find((ref) => ref._cell.calls?.[method] !== undefined) ??
        refs.find((ref) => (ref._cell.flags & FLAG_STARTING) !== 0) ??
        refs.find((ref) => ref._cell.dead);
      return target === undefined ? rejected(new UnknownCallMethodError(method)) : target.call(method, ...args);
    },
    cast(method: string, ...args: any[]): void {
      const target =
        refs.find((ref) => ref._cell.casts?.[method] !== undefined) ??
        refs.find((ref) => (ref._cell.flags & FLAG_STARTING) !== 0);
      target?.cast(method, ...args);
    },
  };
  return handle as unknown as CombinedRef<R[number]>;
}
