/**
 * One handle for several actors with different methods.
 */

import { ActorNotFoundError, InvalidArgumentError, UnknownCallMethodError } from "../errors.js";
import { TypedActorRef } from "../kernel/actor_ref.js";
import { FLAG_STARTING } from "../kernel/protocol.js";
import { rejected } from "../kernel/slots.js";

type CallsOf<R> = R extends TypedActorRef<infer C, any> ? C : never;
type CastsOf<R> = R extends TypedActorRef<any, infer C> ? C : never;
type Joined<U> = (U extends any ? (value: U) => void : never) extends (value: infer I) => void ? I : never;

type AnyRef = TypedActorRef<any, any>;

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
 * Of an actor on another node, and of one whose asynchronous factory still runs, nobody here knows the methods. If none that
 * is known has the method, a call asks those in turn, until one does not reject it as unknown; a cast goes to all of them,
 * and those that do not have it ignore it. A call that no actor handles is rejected with UnknownCallMethodError, such a cast is ignored.
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
      const known = refs.find((ref) => ref._cell.calls?.[method] !== undefined);
      return known === undefined ? ask(refs.filter(mayHave), method, args) : known.call(method, ...args);
    },
    cast(method: string, ...args: any[]): void {
      const known = refs.find((ref) => ref._cell.casts?.[method] !== undefined);
      for (const ref of known === undefined ? refs.filter(mayHave) : [known]) ref.cast(method, ...args);
    },
  };
  return handle as unknown as CombinedRef<R[number]>;
}

/** Whether an actor may have methods that are not known here: it is elsewhere, still starts, or is gone and may have had them. */
function mayHave({ _cell: cell }: AnyRef): boolean {
  return cell.dead || (cell.flags & FLAG_STARTING) !== 0;
}

/** Calls one after the other, until one has the method. The error of one that is gone comes before that of those without it. */
function ask(refs: readonly AnyRef[], method: string, args: unknown[]): Promise<any> {
  const [ref, ...rest] = refs;
  if (ref === undefined) return rejected(new UnknownCallMethodError(method));
  const answer = ref.call(method, ...args).catch((error: unknown) => {
    if (isUnknown(error, method)) return ask(rest, method, args);
    if (!isGone(error, ref)) throw error;
    return ask(rest, method, args).catch((other) => rejected(isUnknown(other, method) ? error : other));
  });
  answer.catch(() => {}); // One that nobody awaits is no unhandled rejection.
  return answer;
}

function isUnknown(error: unknown, method: string): boolean {
  return error instanceof UnknownCallMethodError && error.context?.method === method;
}

function isGone(error: unknown, { id }: AnyRef): boolean {
  return error instanceof ActorNotFoundError && error.context?.actorId === id.id;
}
