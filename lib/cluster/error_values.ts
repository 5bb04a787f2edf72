/**
 * Errors as values in messages: name, message, stack, code, context, cause, and the errors of an AggregateError. Errors of
 * libeam and of the language come back as what they were, others as Error (AggregateError if they hold errors) with their name.
 *
 * An error that may contain itself goes as an {@link ErrorShell}, without what it holds, which is filled in when
 * everything else is there (substitutes.ts): msgpackr cannot read a reference to an error that is not complete.
 */

import { addExtension } from "msgpackr";
import { errorClassOf } from "../errors.js";

const EXT_ERROR = 71;

const LANGUAGE_ERRORS: Record<string, new (...args: any[]) => Error> = {
  AggregateError,
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** What an error holds. */
export interface ErrorContent {
  code?: unknown;
  context?: unknown;
  cause?: unknown;
  errors?: unknown;
}

/** An error as plain data. */
export interface ErrorData extends ErrorContent {
  name: string;
  message: string;
  stack?: string;
}

/** An error as plain data; what is undefined is absent. */
export function errorData(error: Error): ErrorData {
  const { name, message, stack, cause, code, context } = error as Error & ErrorContent;
  const data: ErrorData = { name, message };
  if (stack !== undefined) data.stack = stack;
  if (code !== undefined) data.code = code;
  if (context !== undefined) data.context = context;
  if (cause !== undefined) data.cause = cause;
  if (error instanceof AggregateError || isForeignAggregate(error)) data.errors = (error as AggregateError).errors;
  return data;
}

/** An AggregateError of another realm: no other error of the language has such a field. */
function isForeignAggregate(error: Error): boolean {
  return !(error instanceof Error) && Array.isArray((error as AggregateError).errors);
}

/** What a shell is made from, and what it is filled with; whether there are errors decides on the class. */
export function errorParts(error: Error): [head: ErrorData, content: ErrorContent] {
  const { name, message, stack, ...content } = errorData(error);
  const head: ErrorData = { name, message };
  if (stack !== undefined) head.stack = stack;
  if (content.errors !== undefined) head.errors = [];
  return [head, content];
}

/** Takes the place of an error in a message. */
export class ErrorShell {
  constructor(readonly data: ErrorData) {}
}

/** Gives an error what it holds. */
export function fillError(error: Error, { code, context, cause, errors }: ErrorContent): void {
  if (errors !== undefined) defineHidden(error, "errors", errors);
  if (cause !== undefined) defineHidden(error, "cause", cause);
  if (code !== undefined) Object.assign(error, { code });
  if (context !== undefined) Object.assign(error, { context });
}

function reviveError(data: ErrorData): Error {
  const { name, message, stack, errors } = data;
  const kind = errorClassOf(name) ?? languageError(name) ?? (errors === undefined ? Error : AggregateError);
  const error: Error = Reflect.construct(Error, [String(message)], kind);
  if (error.name !== name) defineHidden(error, "name", name);
  if (stack !== undefined) defineHidden(error, "stack", stack);
  fillError(error, data);
  return error;
}

function languageError(name: string): (new (...args: any[]) => Error) | undefined {
  return Object.hasOwn(LANGUAGE_ERRORS, name) ? LANGUAGE_ERRORS[name] : undefined;
}

/** As the language's own properties of errors. */
function defineHidden(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, configurable: true, writable: true, enumerable: false });
}

addExtension({
  Class: Error,
  type: EXT_ERROR,
  write: (error: Error) => errorData(error) as any,
  read: (data: any) => reviveError(data),
});
addExtension({
  Class: ErrorShell as any,
  type: EXT_ERROR,
  write: ({ data }: ErrorShell) => data as any,
  read: (data: any) => reviveError(data),
});
