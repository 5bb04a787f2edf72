/**
 * Checks of user input: what passes, what is refused, and that the error names option, value and expectation.
 */

import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError, InvalidOptionError } from "../../lib/errors.js";
import {
  DEFAULT_BACKOFF,
  DEFAULT_CHILD_SUPERVISION,
  DEFAULT_MAILBOX_CONFIG,
  DEFAULT_SUPERVISION,
} from "../../lib/kernel/options.js";
import {
  assertBackoff,
  assertChildSupervisionOptions,
  assertMailboxConfig,
  assertName,
  assertNonNegativeMs,
  assertOptions,
  assertSupervisionOptions,
  assertTimeoutMs,
  DELAY_MS_MAX,
  MAILBOX_MESSAGES_MAX,
  NAME_CHARS_MAX,
} from "../../lib/kernel/validate.js";

const cyclic: Record<string, unknown> = {};
cyclic.self = cyclic;
const revoked = Proxy.revocable({}, {});
revoked.revoke();

function optionErrorOf(check: () => void): InvalidOptionError {
  try {
    check();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionError);
    return error as InvalidOptionError;
  }
  throw new Error("the check passed");
}

const NO_NUMBERS = [undefined, null, "5", 5n, true, cyclic, [], [5], Symbol("5"), () => 5, new Number(5)];

describe("assertTimeoutMs and assertNonNegativeMs", () => {
  it.each([0, 0.5, 5000, DELAY_MS_MAX])("accept %d", (value) => {
    expect(() => assertTimeoutMs("timeout", value)).not.toThrow();
    expect(() => assertNonNegativeMs("delay", value)).not.toThrow();
  });

  it.each([Number.NaN, -1, -0.001, Number.NEGATIVE_INFINITY, DELAY_MS_MAX + 1, ...NO_NUMBERS])("refuse %s", (value) => {
    expect(optionErrorOf(() => assertTimeoutMs("timeout", value)).context?.option).toBe("timeout");
    expect(optionErrorOf(() => assertNonNegativeMs("delay", value)).context?.option).toBe("delay");
  });

  it("take Infinity as a timeout and not as a delay", () => {
    expect(() => assertTimeoutMs("timeout", Number.POSITIVE_INFINITY)).not.toThrow();
    const error = optionErrorOf(() => assertNonNegativeMs("delay", Number.POSITIVE_INFINITY));
    expect(error.message).toBe(`Invalid option "delay": expected milliseconds from 0 to ${DELAY_MS_MAX}, got Infinity`);
  });
});

describe("assertName", () => {
  it.each(["a", "worker:1", "名前", "🚀", "x".repeat(NAME_CHARS_MAX)])("accepts %s", (value) => {
    expect(() => assertName("name", value)).not.toThrow();
  });

  it.each(["", "x".repeat(NAME_CHARS_MAX + 1), "\ud800", "a\udc00b", undefined, null, 7, cyclic, ["a"]])(
    "refuses %j",
    (value) => {
      expect(() => assertName("actor name", value)).toThrow(InvalidArgumentError);
      expect(() => assertName("actor name", value)).toThrow(/^Invalid actor name: expected a non-empty/);
    },
  );
});

describe("assertOptions", () => {
  const NAMES = { timeout: true, self: true };
  class Config {
    readonly timeout = 5;
  }

  it.each([
    ["a literal", {}],
    ["a cyclic object", cyclic],
    ["an object without prototype", Object.create(null)],
    ["an instance", new Config()],
    ["an object of another realm", runInNewContext("({ timeout: 5 })")],
    ["another name that is undefined", { timeuot: undefined }],
  ])("accepts %s", (_, value) => {
    expect(() => assertOptions("options", value, NAMES)).not.toThrow();
  });

  it.each([
    ["undefined", undefined],
    ["null", null],
    ["a number", 1],
    ["a string", "x"],
    ["an array", []],
    ["a function", () => 1],
    ["a Map", new Map()],
    ["a Date", new Date(0)],
    ["a promise", Promise.resolve()],
    ["a revoked proxy", revoked.proxy],
  ])("refuses %s", (_, value) => {
    expect(optionErrorOf(() => assertOptions("options", value, NAMES)).context?.option).toBe("options");
  });

  it("refuses another name, and does not tell its value", () => {
    const { message } = optionErrorOf(() => assertOptions("options", { timeout: 1, tmieout: "a secret" }, NAMES));
    expect(message).toBe('Invalid option "options": expected no other names than timeout, self, got "tmieout"');
  });
});

describe("assertMailboxConfig", () => {
  it.each([
    {},
    DEFAULT_MAILBOX_CONFIG,
    { maxSize: undefined, overflowStrategy: undefined },
    { maxSize: 1 },
    { maxSize: MAILBOX_MESSAGES_MAX },
    { maxSize: Number.POSITIVE_INFINITY },
    { maxSize: 5, overflowStrategy: "drop-oldest" },
    { overflowStrategy: "error" },
  ])("accepts %j", (value) => {
    expect(() => assertMailboxConfig("mailbox", value)).not.toThrow();
  });

  it.each([0, -1, 1.5, Number.NaN, MAILBOX_MESSAGES_MAX + 1, "5", null, cyclic])("refuses maxSize %s", (maxSize) => {
    expect(optionErrorOf(() => assertMailboxConfig("mailbox", { maxSize })).context?.option).toBe("mailbox.maxSize");
  });

  it.each(["drop", "", null, 1, cyclic, ["error"]])("refuses overflowStrategy %j", (overflowStrategy) => {
    const error = optionErrorOf(() => assertMailboxConfig("mailbox", { overflowStrategy }));
    expect(error.message).toContain(
      '"mailbox.overflowStrategy": expected one of "drop-newest", "drop-oldest", "error"',
    );
  });
});

describe("assertBackoff", () => {
  it.each([
    {},
    DEFAULT_BACKOFF,
    { initialMs: 0, maxMs: 0, multiplier: 1, jitter: 0 },
    { initialMs: 100, maxMs: 100, multiplier: 1.5, jitter: 1 },
  ])("accepts %j", (value) => {
    expect(() => assertBackoff("backoff", value)).not.toThrow();
  });

  it.each([
    ["initialMs", { initialMs: -1 }],
    ["initialMs", { initialMs: Number.POSITIVE_INFINITY }],
    ["maxMs", { maxMs: Number.NaN }],
    ["maxMs", { initialMs: 10, maxMs: 9 }],
    ["multiplier", { multiplier: 0.9 }],
    ["multiplier", { multiplier: Number.POSITIVE_INFINITY }],
    ["multiplier", { multiplier: "2" }],
    ["jitter", { jitter: -0.1 }],
    ["jitter", { jitter: 1.1 }],
    ["jitter", { jitter: Number.NaN }],
  ])("refuses %s of %j", (field, value) => {
    expect(optionErrorOf(() => assertBackoff("backoff", value)).context?.option).toBe(`backoff.${field}`);
  });
});

describe("assertSupervisionOptions and assertChildSupervisionOptions", () => {
  it.each([
    {},
    DEFAULT_SUPERVISION,
    { strategy: "Stop", maxRestarts: 0, periodMs: 0 },
    { strategy: "Escalate", maxRestarts: Number.POSITIVE_INFINITY, periodMs: Number.POSITIVE_INFINITY },
    { backoff: { initialMs: 5 } },
  ])("both accept %j", (value) => {
    expect(() => assertSupervisionOptions("supervision", value)).not.toThrow();
    expect(() => assertChildSupervisionOptions("childSupervision", value)).not.toThrow();
  });

  it.each(["one-for-one", "one-for-all", "rest-for-one"])("only children have the strategy %s", (strategy) => {
    expect(() => assertChildSupervisionOptions("children", { ...DEFAULT_CHILD_SUPERVISION, strategy })).not.toThrow();
    const error = optionErrorOf(() => assertSupervisionOptions("supervision", { strategy }));
    expect(error.context?.option).toBe("supervision.strategy");
  });

  it.each([
    ["strategy", { strategy: "restart" }],
    ["strategy", { strategy: null }],
    ["strategy", { strategy: cyclic }],
    ["maxRestarts", { maxRestarts: -1 }],
    ["maxRestarts", { maxRestarts: 1.5 }],
    ["maxRestarts", { maxRestarts: "3" }],
    ["maxRestarts", { maxRestarts: Number.NaN }],
    ["periodMs", { periodMs: -1 }],
    ["periodMs", { periodMs: Number.NaN }],
    ["backoff", { backoff: 5 }],
    ["backoff.jitter", { backoff: { jitter: 2 } }],
  ])("both refuse %s", (field, value) => {
    expect(optionErrorOf(() => assertSupervisionOptions("s", value)).context?.option).toBe(`s.${field}`);
    expect(optionErrorOf(() => assertChildSupervisionOptions("s", value)).context?.option).toBe(`s.${field}`);
  });

  it.each([null, undefined, 3, "Restart", []])("both refuse %j in place of options", (value) => {
    expect(optionErrorOf(() => assertSupervisionOptions("s", value)).context?.option).toBe("s");
    expect(optionErrorOf(() => assertChildSupervisionOptions("s", value)).context?.option).toBe("s");
  });
});
