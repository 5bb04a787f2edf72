/**
 * Telemetry: attachment, isolation of handlers, spans, the `active` flag and diagnostics channels.
 */

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, it, vi } from "vitest";
import { InvalidArgumentError, LibeamError } from "../../lib/errors.js";
import { type EventName, type Metadata, TelemetryEvents, telemetry } from "../../lib/kernel/telemetry.js";

const SPAWN = TelemetryEvents.actor.spawn;
const MINE = ["myapp", "db", "query"] as const;

/** Attaches a recorder for the three ends of a span. */
function recordSpan(prefix: EventName): Array<[string, Record<string, number>, Metadata]> {
  const seen: Array<[string, Record<string, number>, Metadata]> = [];
  const names = ["start", "stop", "exception"].map((end) => [...prefix, end]);
  telemetry.attach("recorder", names, (name, measurements, metadata) => {
    seen.push([name.at(-1) as string, measurements, metadata]);
  });
  return seen;
}

afterEach(() => {
  telemetry.reset();
});

describe("the catalogue", () => {
  it("names the events as specified", () => {
    const names = Object.values(TelemetryEvents).flatMap((group) => Object.values<EventName>(group));
    expect(names.map((name) => name.join(".")).sort()).toEqual([
      "libeam.actor.dead_letter",
      "libeam.actor.handle_call",
      "libeam.actor.handle_cast",
      "libeam.actor.init",
      "libeam.actor.spawn",
      "libeam.actor.stop",
      "libeam.cluster.join",
      "libeam.cluster.leave",
      "libeam.cluster.loop",
      "libeam.cluster.name_conflict",
      "libeam.cluster.recover",
      "libeam.cluster.reject",
      "libeam.cluster.superseded",
      "libeam.cluster.suspect",
      "libeam.cluster.update",
      "libeam.gen_stage.buffer_overflow",
      "libeam.gen_stage.cancel",
      "libeam.gen_stage.discard",
      "libeam.gen_stage.dispatch",
      "libeam.gen_stage.subscribe",
      "libeam.mailbox.overflow",
      "libeam.supervisor.crash",
      "libeam.supervisor.escalate",
      "libeam.supervisor.max_restarts",
      "libeam.supervisor.restart",
      "libeam.system.loop",
      "libeam.system.shutdown",
      "libeam.transport.connect",
      "libeam.transport.disconnect",
      "libeam.transport.drop",
      "libeam.transport.refuse",
    ]);
  });

  it("cannot be changed", () => {
    expect(() => (SPAWN as unknown as string[]).push("x")).toThrow(TypeError);
    expect([...TelemetryEvents.actor.stop, "stop"]).toEqual(["libeam", "actor", "stop", "stop"]);
  });
});

describe("attach and detach", () => {
  it("returns the id, delivers until detached, and says whether it was there", () => {
    const handler = vi.fn();
    expect(telemetry.attach("a", [SPAWN], handler)).toBe("a");
    telemetry.execute(SPAWN, { n: 1 }, { actor_id: "x" });
    expect(handler.mock.calls).toEqual([[SPAWN, { n: 1 }, { actor_id: "x" }]]);
    expect(telemetry.detach("a")).toBe(true);
    expect(telemetry.detach("a")).toBe(false);
    telemetry.execute(SPAWN, {}, {});
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it("refuses an id twice and keeps the first handler", () => {
    const first = vi.fn();
    const second = vi.fn();
    telemetry.attach("x", [SPAWN], first);
    expect(() => telemetry.attach("x", [MINE], second)).toThrow(
      new LibeamError('Telemetry handler "x" is already attached. Detach first.', "TELEMETRY_HANDLER_EXISTS", {
        id: "x",
      }),
    );
    telemetry.execute(SPAWN);
    telemetry.execute(MINE);
    expect(first).toHaveBeenCalledTimes(1);
    expect(second).not.toHaveBeenCalled();
  });

  it.each([
    ["an empty id", "", [SPAWN], () => {}],
    ["no events", "a", [], () => {}],
    ["a flat name", "a", SPAWN, () => {}],
    ["an empty name", "a", [[]], () => {}],
    ["no function", "a", [SPAWN], {}],
  ])("refuses %s and attaches nothing", (_, id, names, handler) => {
    expect(() => telemetry.attach(id, names as any, handler as any)).toThrow(InvalidArgumentError);
    expect(telemetry.listHandlers()).toEqual([]);
  });

  it("stops at 1,000 handlers", () => {
    for (let i = 0; i < 1_000; i += 1) telemetry.attach(`h${i}`, [SPAWN], () => {});
    expect(() => telemetry.attach("one more", [SPAWN], () => {})).toThrow(/one more/);
    expect(telemetry.listHandlers()).toHaveLength(1_000);
  });

  it("keeps its own copy of the names", () => {
    const name = ["myapp", "one"];
    const handler = vi.fn();
    telemetry.attach("a", [name], handler);
    name[1] = "two";
    telemetry.execute(["myapp", "one"]);
    telemetry.execute(["myapp", "two"]);
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it("lists handlers in order, and hasHandlers knows exact names only", () => {
    const handler = () => {};
    telemetry.attach("b", [SPAWN, MINE], handler);
    telemetry.attach("a", [MINE], handler);
    expect(telemetry.listHandlers()).toEqual([
      { id: "b", eventNames: [[...SPAWN], [...MINE]], handler },
      { id: "a", eventNames: [[...MINE]], handler },
    ]);
    expect(telemetry.hasHandlers(SPAWN)).toBe(true);
    expect(telemetry.hasHandlers(["libeam", "actor"])).toBe(false);
    expect(telemetry.hasHandlers([...SPAWN, "start"])).toBe(false);
    telemetry.detach("b");
    expect(telemetry.hasHandlers(SPAWN)).toBe(false);
    expect(telemetry.hasHandlers(MINE)).toBe(true);
    telemetry.reset();
    expect(telemetry.hasHandlers(MINE)).toBe(false);
    expect(telemetry.listHandlers()).toEqual([]);
  });
});

describe("execute", () => {
  it("calls handlers synchronously in the order of attachment, each once", () => {
    const order: string[] = [];
    for (const id of ["c", "a", "b"]) telemetry.attach(id, [SPAWN, SPAWN], () => order.push(id));
    telemetry.execute(SPAWN);
    expect(order).toEqual(["c", "a", "b"]);
  });

  it.each([undefined, null, "myapp.db", 5, {}])("%j is the name of no event or span", (name: any) => {
    const run = vi.fn();
    expect(() => telemetry.execute(name)).toThrow(InvalidArgumentError);
    expect(() => telemetry.span(name, {}, run)).toThrow(InvalidArgumentError);
    expect(() => telemetry.hasHandlers(name)).toThrow(InvalidArgumentError);
    expect(run).not.toHaveBeenCalled();
  });

  it("isolates a handler that throws or rejects", async () => {
    const after = vi.fn();
    const rejection = vi.fn();
    process.on("unhandledRejection", rejection);
    telemetry.attach("throws", [SPAWN], () => {
      throw new Error("boom");
    });
    telemetry.attach("rejects", [SPAWN], async () => {
      throw new Error("boom");
    });
    telemetry.attach("after", [SPAWN], after);
    expect(() => telemetry.execute(SPAWN)).not.toThrow();
    expect(after).toHaveBeenCalledTimes(1);
    await new Promise((resolve) => setImmediate(resolve)); // Node reports unhandled rejections before this.
    process.off("unhandledRejection", rejection);
    expect(rejection).not.toHaveBeenCalled();
  });

  it("lets handlers attach and detach, effective with the next event", () => {
    const late = vi.fn();
    const victim = vi.fn();
    telemetry.attach("changes", [SPAWN], () => {
      telemetry.detach("victim");
      if (!telemetry.hasHandlers(MINE)) telemetry.attach("late", [SPAWN, MINE], late);
    });
    telemetry.attach("victim", [SPAWN], victim);
    telemetry.execute(SPAWN);
    expect([victim.mock.calls.length, late.mock.calls.length]).toEqual([1, 0]);
    telemetry.execute(SPAWN);
    expect([victim.mock.calls.length, late.mock.calls.length]).toEqual([1, 1]);
  });
});

describe("span", () => {
  it("emits start and stop around a function and returns its result", () => {
    vi.useFakeTimers({ now: 1_000 });
    try {
      const seen = recordSpan(MINE);
      const result = telemetry.span(MINE, { table: "users" }, () => {
        vi.advanceTimersByTime(25);
        return 42;
      });
      expect(result).toBe(42);
      expect(seen).toEqual([
        ["start", { system_time: 1_000 }, { table: "users" }],
        ["stop", { duration_ms: 25 }, { table: "users" }],
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("emits exception and throws the same error on", () => {
    const seen = recordSpan(MINE);
    const error = new Error("boom");
    let thrown: unknown;
    try {
      telemetry.span(MINE, { table: "users" }, () => {
        throw error;
      });
    } catch (caught) {
      thrown = caught;
    }
    expect(thrown).toBe(error);
    expect(seen.map(([end]) => end)).toEqual(["start", "exception"]);
    expect(seen[1]?.[2]).toEqual({ table: "users", error });
    expect(seen[1]?.[1].duration_ms).toBeGreaterThanOrEqual(0);
  });

  it("ends an async span when the promise settles", async () => {
    const seen = recordSpan(MINE);
    let finish = (_value: string): void => {};
    const work = telemetry.span(MINE, {}, () => new Promise<string>((resolve) => (finish = resolve)));
    expect(seen.map(([end]) => end)).toEqual(["start"]);
    finish("done");
    expect(await work).toBe("done");
    expect(seen.map(([end]) => end)).toEqual(["start", "stop"]);
  });

  it("hands a rejection on unchanged, and gives handlers an Error even for other values", async () => {
    const seen = recordSpan(MINE);
    await expect(telemetry.span(MINE, {}, () => Promise.reject("text"))).rejects.toBe("text");
    expect(seen.map(([end]) => end)).toEqual(["start", "exception"]);
    expect(seen[1]?.[2].error).toBeInstanceOf(Error);
    expect(seen[1]?.[2].error.cause).toBe("text");
  });

  it("runs the bare function when nobody listens", () => {
    const promise = Promise.resolve(1);
    expect(telemetry.span(TelemetryEvents.actor.stop, {}, () => promise)).toBe(promise);
  });
});

describe("active", () => {
  it("is true exactly while something is attached", () => {
    expect(telemetry.active).toBe(false);
    telemetry.attach("a", [MINE], () => {});
    telemetry.attach("b", [MINE], () => {});
    telemetry.detach("a");
    expect(telemetry.active).toBe(true);
    telemetry.detach("b");
    expect(telemetry.active).toBe(false);
    telemetry.attach("a", [MINE], () => {});
    telemetry.reset();
    expect(telemetry.active).toBe(false);
  });

  it.each(["libeam.actor.spawn", "libeam.actor.handle_call.exception", "libeam.system.shutdown.stop"])(
    "follows subscribers of the channel %s at each refresh",
    (name) => {
      const listener = () => {};
      subscribe(name, listener);
      expect(telemetry.active).toBe(false);
      telemetry.refresh();
      expect(telemetry.active).toBe(true);
      unsubscribe(name, listener);
      telemetry.refresh();
      expect(telemetry.active).toBe(false);
    },
  );
});

describe("diagnostics channels", () => {
  it("carry a user's event although nothing of libeam is heard", () => {
    const messages: unknown[] = [];
    const listener = (message: unknown): void => void messages.push(message);
    subscribe("myapp.db.query", listener);
    telemetry.execute(MINE, { n: 1 });
    unsubscribe("myapp.db.query", listener);
    expect(telemetry.active).toBe(false);
    expect(messages).toEqual([{ event: MINE, measurements: { n: 1 }, metadata: {} }]);
  });

  it("carry every event after the handlers, also those of users", () => {
    const order: string[] = [];
    const messages: unknown[] = [];
    const listener = (message: unknown): void => {
      order.push("channel");
      messages.push(message);
    };
    subscribe("libeam.actor.spawn", listener);
    subscribe("myapp.db.query.stop", listener);
    telemetry.attach("a", [SPAWN], () => order.push("handler"));
    telemetry.execute(SPAWN, { n: 1 }, { actor_id: "x" });
    telemetry.detach("a");
    telemetry.span(MINE, { table: "t" }, () => 1);
    unsubscribe("libeam.actor.spawn", listener);
    unsubscribe("myapp.db.query.stop", listener);
    expect(order).toEqual(["handler", "channel", "channel"]);
    expect(messages).toEqual([
      { event: SPAWN, measurements: { n: 1 }, metadata: { actor_id: "x" } },
      { event: [...MINE, "stop"], measurements: { duration_ms: expect.any(Number) }, metadata: { table: "t" } },
    ]);
  });
});
