/**
 * Substitutes for errors that a transport cannot send as they were thrown: with a function in their cause, a symbol as
 * their code, a message longer than a frame.
 *
 * Whoever waits for an end or for an answer has to be told, whatever was thrown. A substitute has the name, the message and
 * the stack of the error, cut where they are long, its code if that is text, and as its cause a TransportError that says
 * why it is none other. What is no error is told as text.
 */

import { isErrorLike, messageOf, TransportError, textOf } from "../../errors.js";
import type { TerminationReason } from "../../kernel/info.js";
import { Adopted, isReply, type RemoteMessage, type RemoteRequest, type Reply } from "./protocol.js";

/** What is left of a text, in UTF-16 units. */
const TEXT_CHARS_MAX = 16_384;

/** An error in place of one that could not be sent. */
export function plainError(error: unknown, why: unknown): Error {
  const field = (name: "name" | "message" | "stack" | "code"): string | undefined => {
    const value = read(() => (isErrorLike(error) ? (error as { code?: unknown } & Error)[name] : undefined));
    return typeof value === "string" ? cut(value) : undefined;
  };
  const plain = new Error(field("message") ?? cut(textOf(error)), { cause: causeOf(why) });
  const [name, stack, code] = [field("name"), field("stack"), field("code")];
  if (name !== undefined) plain.name = name;
  if (stack !== undefined) plain.stack = stack;
  return code === undefined ? plain : Object.assign(plain, { code });
}

function causeOf(why: unknown): TransportError {
  const reason = cut(messageOf(why));
  return new TransportError(`The error could not be sent as it was thrown: ${reason}`);
}

/** What code of the user's gives, such as a getter; nothing if it throws. */
function read(value: () => unknown): unknown {
  try {
    return value();
  } catch {
    return undefined;
  }
}

function cut(text: string): string {
  return text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}…` : text;
}

function plainReason(reason: TerminationReason, why: unknown): TerminationReason {
  if (reason.type === "error") return { type: "error", error: plainError(reason.error, why) };
  return reason.type === "exit" ? { type: "exit", reason: plainError(reason.reason, why) } : reason;
}

/** What tells of a failure, with a substitute for it; undefined if it tells of none. */
export function plainBody<B extends RemoteMessage | RemoteRequest>(body: B, why: unknown): B | undefined {
  switch (body.kind) {
    case "exit":
      return { ...body, reason: plainError(body.reason, why) };
    case "crashed":
    case "down":
    case "severed":
    case "ended":
    case "dismiss":
      return { ...body, reason: plainReason(body.reason, why) };
    default:
      return undefined;
  }
}

/** The same of an answer. */
export function plainReply(answer: unknown, why: unknown): Reply | undefined {
  if (!isReply(answer)) return undefined;
  const [ok, value] = answer;
  if (!ok) return [false, plainError(value, why)];
  if (!(value instanceof Adopted) || value.failure === undefined) return undefined;
  return [true, new Adopted(value.id, value.life, value.load, { error: plainError(value.failure.error, why) })];
}
