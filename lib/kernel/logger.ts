/**
 * Structured logging: entries with a level, a message, a context and perhaps an error, given to one handler.
 *
 * `loggerConfig` holds the level and the handler of this isolate and can be changed at any time; loggers read it with
 * every entry. Below the level nothing is built. The first level comes from LIBEAM_LOG_LEVEL, if that names one.
 *
 * Failure: a handler that throws, or returns a promise that rejects, loses its entry and nothing else; logging never
 * throws into the caller. Deliberately absent: buffering, files, rotation. A handler can do those.
 */

import process from "node:process";
import { inspect } from "node:util";
import { InvalidOptionError, isErrorLike } from "../errors.js";
import { assertOptions } from "./validate.js";

/** Severity, rising from "debug" to "error"; "none" as the configured level silences everything. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "none";

/** Facts attached to an entry. */
export interface LogContext {
  /** Part of the program that speaks. */
  component?: string | undefined;
  /** Node on which it speaks. */
  nodeId?: string | undefined;
  [key: string]: unknown;
}

/** One thing that was logged. */
export interface LogEntry {
  /** How serious it is. */
  level: LogLevel;
  /** What happened, in one sentence. */
  message: string;
  /** Where, and what else is known. */
  context: LogContext;
  /** When. */
  timestamp: Date;
  /** What was thrown. */
  error?: Error | undefined;
}

/** Takes entries at or above the configured level. What it throws is swallowed. */
export type LogHandler = (entry: LogEntry) => void;

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, none: 4 };
const DEFAULT_LEVEL: LogLevel = "info";
/** Control characters would let a logged value forge further lines. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]/;

function isLevel(value: unknown): value is LogLevel {
  return typeof value === "string" && Object.hasOwn(SEVERITY, value);
}

function initialLevel(): LogLevel {
  try {
    const named = process.env.LIBEAM_LOG_LEVEL?.trim().toLowerCase();
    return isLevel(named) ? named : DEFAULT_LEVEL;
  } catch {
    return DEFAULT_LEVEL; // Deno without --allow-env.
  }
}

function formatValue(value: unknown): string {
  if (typeof value === "string") return CONTROL_CHARACTERS.test(value) ? JSON.stringify(value) : value;
  if (typeof value === "object" && value !== null) {
    return inspect(value, { breakLength: Number.POSITIVE_INFINITY, compact: true, depth: 2 });
  }
  return String(value);
}

function format(entry: LogEntry): string {
  const pairs = Object.entries(entry.context).filter(([, value]) => value !== undefined);
  const context = pairs.map(([key, value]) => `${key}=${formatValue(value)}`).join(" ");
  const head = `${entry.timestamp.toISOString()} ${entry.level.toUpperCase()}`;
  return context === "" ? `${head} ${entry.message}` : `${head} [${context}] ${entry.message}`;
}

/**
 * Writes an entry as one line `time LEVEL [key=value …] message` to the console method of its level.
 *
 * An error entry is followed by the error itself, so that its stack is printed.
 */
export const consoleLogHandler: LogHandler = (entry) => {
  const line = format(entry);
  if (entry.level === "debug") console.debug(line);
  else if (entry.level === "info") console.info(line);
  else if (entry.level === "warn") console.warn(line);
  else console.error(line);
  if (entry.error !== undefined) console.error(entry.error);
};

class LoggerConfig {
  #level: LogLevel = initialLevel();
  #handler: LogHandler = consoleLogHandler;

  /** Lowest level that is logged. Default: LIBEAM_LOG_LEVEL, else "info". */
  get level(): LogLevel {
    return this.#level;
  }

  set level(level: LogLevel) {
    if (!isLevel(level)) throw new InvalidOptionError("level", level, `one of ${Object.keys(SEVERITY).join(", ")}`);
    this.#level = level;
  }

  /** Where entries go. Default: `consoleLogHandler`. */
  get handler(): LogHandler {
    return this.#handler;
  }

  set handler(handler: LogHandler) {
    if (typeof handler !== "function") throw new InvalidOptionError("handler", handler, "a function");
    this.#handler = handler;
  }

  /**
   * Sets what is given and keeps the rest.
   *
   * @throws InvalidOptionError INVALID_OPTION for an unknown level, a handler that is no function, or no options.
   */
  configure(options: { level?: LogLevel | undefined; handler?: LogHandler | undefined }): void {
    assertOptions("logger options", options, { level: true, handler: true });
    const { level, handler } = options;
    const before = this.#level;
    if (level !== undefined) this.level = level;
    try {
      if (handler !== undefined) this.handler = handler;
    } catch (error) {
      this.#level = before;
      throw error;
    }
  }
}

/** Level and handler of all loggers of this isolate. */
export const loggerConfig: LoggerConfig = new LoggerConfig();

function toError(thrown: unknown): Error {
  return isErrorLike(thrown) ? thrown : new Error(formatValue(thrown), { cause: thrown });
}

const ignore = (): void => {};

/** Logs entries that carry this logger's context. */
export class Logger {
  readonly #context: LogContext;

  constructor(context: LogContext = {}) {
    this.#context = { ...context };
  }

  /** A logger whose entries carry this context as well; equal keys are the child's. */
  child(context: LogContext): Logger {
    return new Logger({ ...this.#context, ...context });
  }

  /** Logs detail for finding faults. */
  debug(message: string, extra?: LogContext): void {
    this.#log("debug", message, undefined, extra);
  }

  /** Logs normal operation. */
  info(message: string, extra?: LogContext): void {
    this.#log("info", message, undefined, extra);
  }

  /** Logs something that needs attention and stopped nothing. */
  warn(message: string, extra?: LogContext): void {
    this.#log("warn", message, undefined, extra);
  }

  /** Logs a failure, with whatever was thrown; a value that is no Error becomes the cause of one. */
  error(message: string, error?: unknown, extra?: LogContext): void {
    this.#log("error", message, error === undefined || error === null ? undefined : { thrown: error }, extra);
  }

  #log(
    level: LogLevel,
    message: string,
    failure: { thrown: unknown } | undefined,
    extra: LogContext | undefined,
  ): void {
    if (SEVERITY[level] < SEVERITY[loggerConfig.level]) return;
    try {
      const entry: LogEntry = { level, message, context: { ...this.#context, ...extra }, timestamp: new Date() };
      if (failure !== undefined) entry.error = toError(failure.thrown);
      const result: unknown = loggerConfig.handler(entry);
      if (result instanceof Promise) result.catch(ignore);
    } catch {
      // Swallowed: there is no one left to tell, and the caller's work matters more.
    }
  }
}

/** A logger for one component, and for one node if its id is given. */
export function createLogger(component: string, nodeId?: string): Logger {
  return new Logger(nodeId === undefined ? { component } : { component, nodeId });
}
