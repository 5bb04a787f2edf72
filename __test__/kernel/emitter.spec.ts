/**
 * Emitters whose listeners are user code.
 */

import { type LogEntry, loggerConfig } from "libeam";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Emitter } from "../../lib/kernel/emitter.js";
import { turns } from "../support/time.js";

let entries: LogEntry[] = [];
const { level, handler } = loggerConfig;
beforeEach(() => {
  entries = [];
  loggerConfig.configure({ level: "warn", handler: (entry) => entries.push(entry) });
});
afterEach(() => loggerConfig.configure({ level, handler }));

it("tells all listeners in order, whatever some of them do, and logs what they throw", async () => {
  const emitter = new Emitter("Part");
  const told: unknown[] = [];
  emitter.on("news", () => {
    throw new RangeError("at once");
  });
  emitter.on("news", async () => {
    throw new RangeError("later");
  });
  emitter.on("news", (...args) => told.push(args));
  emitter.prependListener("news", () => told.push("first"));
  expect(emitter.emit("news", 1, 2)).toBe(true);
  expect(told).toEqual(["first", [1, 2]]);
  await turns();
  const logged = entries.map(({ message, context, error }) => [message, context.component, error?.message]);
  const message = 'A listener of "news" failed';
  expect(logged).toEqual([
    [message, "Part", "at once"],
    [message, "Part", "later"],
  ]);
});

it("is an emitter otherwise: once, listeners that come and go meanwhile, `this`, errors that nobody hears", () => {
  const emitter = new Emitter("Part");
  const told: unknown[] = [];
  const late = (): void => void told.push("late");
  emitter.once("news", function (this: unknown) {
    told.push(this);
    emitter.on("news", late);
  });
  emitter.emit("news");
  expect(told).toEqual([emitter]);
  emitter.emit("news");
  expect(told).toEqual([emitter, "late"]);
  expect(emitter.emit("silence")).toBe(false);
  expect(() => emitter.emit("error", new RangeError("unheard"))).toThrow(RangeError);
});
