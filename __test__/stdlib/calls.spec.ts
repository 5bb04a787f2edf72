/**
 * Calls and casts: what both kinds of actors receive and answer.
 */

import { describe, expect, it } from "vitest";
import {
  Actor,
  ActorNotFoundError,
  type ActorRef,
  createActor,
  type Metadata,
  TelemetryEvents,
  TimeoutError,
  telemetry,
  UnknownCallMethodError,
} from "../../lib/index.js";
import { makeProbe } from "../support/probe.js";
import { leakFree, loggedErrors, makeSystem } from "../support/system.js";
import { gate, nodeTimer, rejection, stateOf, turn, turns } from "../support/time.js";

const Calculator = createActor("Calculator", (_ctx, self, start: number = 0) => {
  let total = start;
  return self
    .onCall("add", (a: number, b: number = 0, c: number = 0) => {
      total += a + b + c;
      return total;
    })
    .onCall("total", () => total)
    .onCall("later", async (value: unknown) => {
      await turn();
      return value;
    })
    .onCast("reset", (to: number, plus: number = 0) => {
      total = to + plus;
    });
});

describe("functional actors", () => {
  it("get the arguments of a method", async () => {
    const ref = makeSystem().spawn(Calculator, { args: [1] });
    expect([await ref.call("add", 1), await ref.call("add", 1, 1), await ref.call("add", 1, 1, 1)]).toEqual([2, 4, 7]);
    ref.cast("reset", 1);
    expect(await ref.call("total")).toBe(1);
    ref.cast("reset", 1, 10);
    expect(await ref.call("total")).toBe(11);
    expect(await ref.call("later", "value")).toBe("value");
  });

  it("get many arguments", async () => {
    const ref = makeSystem().spawn(createActor((_ctx, self) => self.onCall("n", (...args: number[]) => args.length)));
    for (const count of [0, 1, 2, 3, 4, 5, 100, 10_000]) {
      expect(await ref.call("n", ...Array(count).fill(0))).toBe(count);
    }
  });

  it("get whole messages of the form { method, args }", async () => {
    const ref: ActorRef = makeSystem().spawn(Calculator);
    expect(await ref.call({ method: "add", args: [2, 3] })).toBe(5);
    expect(await ref.call({ method: "total" }, 1_000)).toBe(5);
    ref.cast({ method: "reset", args: [7] });
    expect(await ref.call({ method: "total", args: [] })).toBe(7);
  });

  it("reject an unknown method and go on, and ignore an unknown cast", async () => {
    const system = makeSystem();
    const ref: any = system.spawn(Calculator);
    for (const attempt of [ref.call("nope"), ref.call({ method: "nope", args: [1] }), ref.call({ method: "reset" })]) {
      const error = await rejection(attempt);
      expect(error).toBeInstanceOf(UnknownCallMethodError);
      expect(error.message).toMatch(/^Unknown call method: (nope|reset)$/);
    }
    for (const message of ["nope", "add", { method: "nope" }, { type: "nope" }, {}, 5]) ref.cast(message);
    expect(await ref.call("total")).toBe(0);
    expect(loggedErrors()).toEqual([]);
    await leakFree(system);
  });

  it("have a state of their own each", async () => {
    const system = makeSystem();
    const refs = [1, 2, 3].map((n) => system.spawn(Calculator, { args: [n] }));
    await Promise.all(refs.map((ref) => ref.call("add", 10)));
    expect(await Promise.all(refs.map((ref) => ref.call("total")))).toEqual([11, 12, 13]);
  });

  it("know calls and casts of one name apart", async () => {
    const seen: string[] = [];
    const Both = createActor((_ctx, self) =>
      self
        .onCall("do", () => seen.push("call"))
        .onCast("do", () => void seen.push("cast"))
        .onCall("do", () => seen.push("later call")),
    );
    const ref = makeSystem().spawn(Both);
    ref.cast("do");
    await ref.call("do");
    expect(seen).toEqual(["cast", "later call"]);
  });

  it("may have a factory that returns nothing, the builder, a promise or a continue", async () => {
    const system = makeSystem();
    const handler = () => "here";
    const definitions = [
      createActor((_ctx, self) => void self.onCall("m", handler)),
      createActor((_ctx, self) => self.onCall("m", handler)),
      createActor(async (_ctx, self) => self.onCall("m", handler)),
      createActor(async (_ctx, self) => {
        await turn();
        self.onCall("m", handler);
      }),
      createActor((_ctx, self) => {
        self.onCall("m", handler);
        return { continue: 1 };
      }),
    ];
    for (const definition of definitions)
      expect(await (system.spawn(definition) as ActorRef).call({ method: "m" })).toBe("here");
  });
});

describe("class-based actors", () => {
  class Store extends Actor<any, any, any> {
    private readonly values = new Map<string, unknown>();
    override handleCall(message: any): any {
      if (message.type === "get") return this.values.get(message.key);
      if (message.type === "later") return turn().then(() => this.values);
      throw new TypeError(`what is ${message.type}?`);
    }
    override handleCast(message: any): void {
      this.values.set(message.key, message.value);
    }
  }

  it("get messages as they are, by reference", async () => {
    const ref = makeSystem().spawn(Store);
    const value = { some: "object" };
    ref.cast({ key: "a", value });
    expect(await ref.call({ type: "get", key: "a" })).toBe(value);
    expect(await ref.call({ type: "later" })).toEqual(new Map([["a", value]]));
    const error = await rejection(ref.call({ type: "nope" }));
    expect([error.name, error.message]).toEqual(["TypeError", "what is nope?"]);
    expect(await ref.call({ type: "get", key: "a" })).toBe(value);
  });

  it("have self before init and a fresh object per incarnation", async () => {
    const seen: string[] = [];
    class Selfish extends Actor {
      override init(): void {
        seen.push(this.self.id.id);
      }
      override handleCall(): string {
        return this.self.id.id;
      }
    }
    const ref = makeSystem().spawn(Selfish);
    expect(seen).toEqual([ref.id.id]);
    expect(await ref.call("id")).toBe(ref.id.id);
  });

  it("that lack a handler say so: a call rejects, a cast crashes", async () => {
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    class Bare extends Actor {}
    const ref = system.spawn(Bare);
    expect((await rejection(ref.call("x"))).message).toBe("handleCall not implemented");
    ref.cast("x");
    expect(await rejection(ref.call("x"))).toBeInstanceOf(ActorNotFoundError);
    expect(loggedErrors()).toEqual(["Actor crashed"]);
  });

  it("may define handlers as properties", async () => {
    class Fields extends Actor {
      override handleCall = async (n: number): Promise<number> => n + 1;
    }
    expect(await makeSystem().spawn(Fields).call(1)).toBe(2);
  });
});

describe("concurrency", () => {
  it("ten increments with an await in the middle are ten, right after spawn", async () => {
    const system = makeSystem();
    class Racy extends Actor {
      private count = 0;
      override async handleCall(): Promise<number> {
        const seen = this.count;
        await nodeTimer();
        this.count = seen + 1;
        return this.count;
      }
      override async handleCast(): Promise<void> {
        await this.handleCall();
      }
    }
    const ref = system.spawn(Racy);
    for (let i = 0; i < 5; i++) ref.cast("add");
    const calls = Array.from({ length: 5 }, () => ref.call("add"));
    expect(await Promise.all(calls)).toEqual([6, 7, 8, 9, 10]);
    await leakFree(system);
  });

  it("an actor may call others and give their promise back", async () => {
    const system = makeSystem();
    const leaf = system.spawn(Calculator, { args: [40] });
    const Asker = createActor((ctx, self) => {
      const child = ctx.spawn(Calculator, { args: [2] });
      return self
        .onCall("sum", async () => (await leaf.call("total")) + (await child.call("total")))
        .onCall("give", () => leaf.call("total"));
    });
    const ref = system.spawn(Asker);
    expect([await ref.call("sum"), await ref.call("give")]).toEqual([42, 40]);
  });

  it("calls go down a long chain of actors", async () => {
    const system = makeSystem();
    const Hop = createActor((_ctx, self, next?: ActorRef | null) =>
      self.onCall("depth", async (): Promise<number> => (!next ? 1 : 1 + (await next.call({ method: "depth" })))),
    );
    let ref: ActorRef | null = null;
    for (let i = 0; i < 500; i++) ref = system.spawn(Hop, { args: [ref] });
    expect(await ref?.call({ method: "depth" })).toBe(500);
  });

  it("a call sees what casts of the same sender did", async () => {
    const ref = makeSystem().spawn(Calculator);
    for (let n = 0; n < 100; n++) {
      ref.cast("reset", n);
      expect(await ref.call("total")).toBe(n);
    }
  });

  it("a cast is not handled synchronously, also from within a handler", async () => {
    const probe = makeProbe<string>();
    const Sender = createActor((ctx, self) =>
      self
        .onCast("note", () => probe.push("handled"))
        .onCall("send", () => {
          ctx.self.cast({ method: "note" });
          probe.push("sent");
        }),
    );
    await makeSystem().spawn(Sender).call("send");
    expect(await probe.take(2)).toEqual(["sent", "handled"]);
  });

  it("thousands of calls in flight are all answered", async () => {
    const system = makeSystem();
    const refs = Array.from({ length: 100 }, () => system.spawn(Calculator));
    const calls = refs.flatMap((ref) => Array.from({ length: 50 }, (_, i) => ref.call("later", i)));
    expect(await Promise.all(calls)).toEqual(refs.flatMap(() => [...Array(50).keys()]));
    await leakFree(system);
  });
});

describe("to actors that stop", () => {
  it("queued and stashed calls reject at once after the running handler, casts vanish", async () => {
    const system = makeSystem();
    const door = gate();
    const seen: unknown[] = [];
    const Busy = createActor((ctx, self) =>
      self
        .onCall("block", async () => {
          await door.promise;
          return "ended well";
        })
        .onCall("defer", () => ctx.stash())
        .onCast("note", (n: number) => void seen.push(n)),
    );
    const ref = system.spawn(Busy);
    const stashed = rejection(ref.call("defer"));
    const running = ref.call("block");
    const queued = rejection(ref.call("block"));
    ref.cast("note", 1);
    const stopped = system.stop(ref);
    const late = rejection(ref.call("block"));
    ref.cast("note", 2);
    await turns();
    expect(await stateOf(stopped)).toBe("pending");
    door.open();
    expect(await running).toBe("ended well");
    for (const error of await Promise.all([stashed, queued, late])) {
      expect(error).toBeInstanceOf(ActorNotFoundError);
      expect(error.message).toBe(`Actor not found: ${ref.id.id} on node ${system.nodeId}`);
    }
    await stopped;
    expect(seen).toEqual([]);
    await leakFree(system);
  });
});

describe("telemetry", () => {
  it("tells start and stop, or exception with the error itself", async () => {
    const { handleCall, handleCast } = TelemetryEvents.actor;
    const names = [handleCall, handleCast].flatMap((name) =>
      ["start", "stop", "exception"].map((end) => [...name, end]),
    );
    const events: [string, Metadata][] = [];
    const system = makeSystem({ supervision: { strategy: "Stop" } });
    const failure = new Error("boom");
    const Actor1 = createActor((_ctx, self) =>
      self
        .onCall("ok", () => turn())
        .onCall("fail", () => turn().then(() => Promise.reject(failure)))
        .onCast("ok", () => {})
        .onCast("fail", () => {
          throw failure;
        }),
    );
    const ref = system.spawn(Actor1);
    telemetry.attach("calls", names, (name, _measurements, metadata) =>
      events.push([name.slice(2).join("."), metadata]),
    );
    try {
      await ref.call("ok");
      await rejection(ref.call("fail"));
      ref.cast("ok");
      ref.cast("fail");
      await rejection(ref.call("ok"));
    } finally {
      telemetry.detach("calls");
    }
    expect(events.map(([name]) => name)).toEqual([
      "handle_call.start",
      "handle_call.stop",
      "handle_call.start",
      "handle_call.exception",
      "handle_cast.start",
      "handle_cast.stop",
      "handle_cast.start",
      "handle_cast.exception",
    ]);
    for (const [, metadata] of events) expect(metadata.actor_id).toBe(ref.id.id);
    expect([events[3]?.[1].error, events[7]?.[1].error]).toEqual([failure, failure]);
  });

  it("of a cast that is handled at once is told synchronously", () => {
    const system = makeSystem();
    const ref = system.spawn(Calculator);
    const events: string[] = [];
    const name = TelemetryEvents.actor.handleCast;
    telemetry.attach(
      "casts",
      [
        [...name, "start"],
        [...name, "stop"],
      ],
      (event) => events.push(String(event.at(-1))),
    );
    try {
      expect(system.system._syncLocalCast(ref.id.id, { method: "reset", args: [3] })).toBe(true);
      expect(events).toEqual(["start", "stop"]);
    } finally {
      telemetry.detach("casts");
    }
    expect(system.system._syncLocalCast("nobody", {})).toBe(false);
  });
});

describe("by id", () => {
  it("dispatchCall and dispatchCast reach the actor", async () => {
    const { system } = makeSystem();
    const ref = system.spawn(Calculator);
    const { id } = ref.id;
    expect(await system.dispatchCall(id, { method: "add", args: [2] })).toBe(2);
    system.dispatchCast(id, { method: "reset", args: [9] });
    expect(await system.dispatchCall(id, { method: "total" }, 1_000)).toBe(9);
    system.pauseMailbox(id);
    expect(await rejection(system.dispatchCall(id, { method: "total" }, 5))).toBeInstanceOf(TimeoutError);
    expect(await rejection(system.dispatchCall("nobody", 1))).toBeInstanceOf(ActorNotFoundError);
    expect(system.dispatchCast("nobody", 1)).toBeUndefined();
  });
});
