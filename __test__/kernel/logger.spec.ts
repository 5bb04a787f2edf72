/**
 * Logging: levels, context, the console format, and that a broken handler harms nobody.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { InvalidOptionError } from "../../lib/errors.js";
import {
  consoleLogHandler,
  createLogger,
  type LogEntry,
  Logger,
  type LogLevel,
  loggerConfig,
} from "../../lib/kernel/logger.js";

let entries: LogEntry[] = [];

beforeEach(() => {
  entries = [];
  loggerConfig.configure({ level: "debug", handler: (entry) => entries.push(entry) });
});

afterEach(() => {
  loggerConfig.configure({ level: "info", handler: consoleLogHandler });
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

function logAll(log: Logger): void {
  log.debug("d");
  log.info("i");
  log.warn("w");
  log.error("e");
}

describe("levels", () => {
  it.each([
    ["debug", ["debug", "info", "warn", "error"]],
    ["info", ["info", "warn", "error"]],
    ["warn", ["warn", "error"]],
    ["error", ["error"]],
    ["none", []],
  ] as Array<[LogLevel, LogLevel[]]>)("at %s lets %j through", (level, expected) => {
    const log = new Logger();
    loggerConfig.level = level;
    logAll(log);
    expect(entries.map((entry) => entry.level)).toEqual(expected);
  });

  it.each([
    ["warn", "warn"],
    [" DEBUG ", "debug"],
    ["loud", "info"],
    ["", "info"],
    ["toString", "info"],
  ])("LIBEAM_LOG_LEVEL=%j starts at %s", async (value, expected) => {
    vi.stubEnv("LIBEAM_LOG_LEVEL", value);
    vi.resetModules();
    const copy = await import("../../lib/kernel/logger.js");
    expect(copy.loggerConfig.level).toBe(expected);
    expect(copy.loggerConfig.handler).toBe(copy.consoleLogHandler);
  });

  it("refuses an unknown level or handler and keeps what was set", () => {
    const { handler } = loggerConfig;
    expect(() => (loggerConfig.level = "loud" as LogLevel)).toThrow(InvalidOptionError);
    expect(() => loggerConfig.configure({ level: "error", handler: 5 as never })).toThrow(InvalidOptionError);
    expect(loggerConfig.level).toBe("debug");
    expect(loggerConfig.handler).toBe(handler);
  });

  it.each([[undefined], [null], ["debug"], [5], [[]]])("configure refuses %j for options", (options: any) => {
    expect(() => loggerConfig.configure(options)).toThrow(InvalidOptionError);
    expect(loggerConfig.level).toBe("debug");
  });

  it("configure changes only what it is given", () => {
    const { handler } = loggerConfig;
    loggerConfig.configure({ level: "warn" });
    expect([loggerConfig.level, loggerConfig.handler]).toEqual(["warn", handler]);
  });
});

describe("entries", () => {
  it("carry component, node and extra facts", () => {
    const before = Date.now();
    createLogger("Mailbox", "n1").info("full", { size: 3 });
    createLogger("Mailbox").info("empty");
    expect(entries[0]).toEqual({
      level: "info",
      message: "full",
      context: { component: "Mailbox", nodeId: "n1", size: 3 },
      timestamp: expect.any(Date),
    });
    expect(entries[0]?.timestamp.getTime()).toBeGreaterThanOrEqual(before);
    expect(entries[1]?.context).toEqual({ component: "Mailbox" });
  });

  it("of a child add to the parent's context, and only to their own", () => {
    const parent = new Logger({ component: "A", actorId: "1" });
    parent.child({ actorId: "2", extra: true }).warn("c");
    parent.warn("p");
    expect(entries.map((entry) => entry.context)).toEqual([
      { component: "A", actorId: "2", extra: true },
      { component: "A", actorId: "1" },
    ]);
  });

  it("of errors hold the error itself, or one made of what was thrown", () => {
    const error = new Error("boom");
    const log = new Logger();
    log.error("a", error, { id: 1 });
    log.error("b", "text");
    log.error("c");
    expect(entries[0]?.error).toBe(error);
    expect(entries[0]?.context).toEqual({ id: 1 });
    expect(entries[1]?.error).toBeInstanceOf(Error);
    expect(entries[1]?.error?.message).toBe("text");
    expect(entries[1]?.error?.cause).toBe("text");
    expect("error" in (entries[2] as LogEntry)).toBe(false);
  });

  it("reach the handler that is set when they are made", () => {
    const log = createLogger("A");
    const later: string[] = [];
    log.info("one");
    loggerConfig.handler = (entry) => later.push(entry.message);
    log.info("two");
    expect([entries.map((entry) => entry.message), later]).toEqual([["one"], ["two"]]);
  });
});

describe("a broken handler", () => {
  it("that throws never reaches the caller", () => {
    loggerConfig.handler = () => {
      throw new Error("disk full");
    };
    expect(() => logAll(new Logger())).not.toThrow();
  });

  it("that rejects makes no unhandled rejection", async () => {
    const rejection = vi.fn();
    process.on("unhandledRejection", rejection);
    loggerConfig.handler = async () => {
      throw new Error("disk full");
    };
    new Logger().info("x");
    await new Promise((resolve) => setImmediate(resolve)); // Node reports unhandled rejections before this.
    process.off("unhandledRejection", rejection);
    expect(rejection).not.toHaveBeenCalled();
  });

  it("that logs by itself ends", () => {
    const log = new Logger();
    loggerConfig.handler = () => log.info("again");
    expect(() => log.info("x")).not.toThrow();
  });
});

describe("consoleLogHandler", () => {
  const timestamp = new Date("2024-01-02T03:04:05.678Z");

  it.each(["debug", "info", "warn", "error"] as const)("writes %s to the console method of that name", (level) => {
    const write = vi.spyOn(console, level).mockImplementation(() => {});
    consoleLogHandler({ level, message: "hello", context: { component: "A", n: 1 }, timestamp });
    expect(write.mock.calls).toEqual([[`2024-01-02T03:04:05.678Z ${level.toUpperCase()} [component=A n=1] hello`]]);
  });

  it("leaves brackets out without context and prints the error after its line", () => {
    const write = vi.spyOn(console, "error").mockImplementation(() => {});
    const error = new Error("boom");
    consoleLogHandler({ level: "error", message: "Actor crashed", context: { x: undefined }, timestamp, error });
    expect(write.mock.calls).toEqual([["2024-01-02T03:04:05.678Z ERROR Actor crashed"], [error]]);
  });

  it("keeps one line whatever the context holds", () => {
    const write = vi.spyOn(console, "info").mockImplementation(() => {});
    const cyclic: Record<string, unknown> = { big: 1n };
    cyclic.self = cyclic;
    const context = { text: "a\nb", cyclic, nothing: null, symbol: Symbol("s") };
    consoleLogHandler({ level: "info", message: "m", context, timestamp });
    const line = write.mock.calls[0]?.[0] as string;
    expect(line).not.toContain("\n");
    expect(line).toContain('text="a\\nb"');
    expect(line).toContain("nothing=null symbol=Symbol(s)");
  });
});
