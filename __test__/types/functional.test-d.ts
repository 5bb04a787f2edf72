/**
 * Types of functional actors: everything that a caller may say is inferred from the handlers, and nothing is `any`.
 */

import {
  type ActorDefinition,
  type ActorRef,
  type ActorRefFrom,
  Agent,
  createActor,
  type DownMessage,
  DynamicSupervisor,
  type ExitMessage,
  type ExtractCalls,
  type ExtractCasts,
  type MovedMessage,
  type System,
  type TimeoutMessage,
  type TimerRef,
  type TypedActorRef,
} from "libeam";
import { describe, expectTypeOf, test } from "vitest";

const Counter = createActor("Counter", (_ctx, self, start: number, label?: string) => {
  let count = start;
  return self
    .onCall("get", () => count)
    .onCall("add", (amount: number) => {
      count += amount;
      return count;
    })
    .onCall("label", async () => label)
    .onCall("find", (key: string, limit?: number) => [key.repeat(limit ?? 1)])
    .onCall("sum", (...numbers: number[]) => numbers.length)
    .onCast("set", (value: number) => {
      count = value;
    })
    .onCast("reset", () => {});
});

declare const system: System;
declare const counter: ActorRefFrom<typeof Counter>;

describe("a definition", () => {
  test("knows its arguments", () => {
    expectTypeOf(Counter).toExtend<ActorDefinition<[start: number, label?: string | undefined]>>();
    system.spawn(Counter, { args: [1] });
    system.spawn(Counter, { args: [1, "one"], name: "one", mailbox: { maxSize: 10, overflowStrategy: "error" } });
    // @ts-expect-error the first argument is a number
    system.spawn(Counter, { args: ["one"] });
    // @ts-expect-error the first argument is not optional
    system.spawn(Counter, { args: [] });
    // @ts-expect-error there are two arguments at most
    system.spawn(Counter, { args: [1, "one", true] });
  });

  test("knows its handlers", () => {
    type Calls = ExtractCalls<typeof Counter>;
    type Casts = ExtractCasts<typeof Counter>;
    expectTypeOf<keyof Calls>().toEqualTypeOf<"get" | "add" | "label" | "find" | "sum">();
    expectTypeOf<keyof Casts>().toEqualTypeOf<"set" | "reset">();
    expectTypeOf<Calls["add"]>().toEqualTypeOf<(amount: number) => number>();
    expectTypeOf<Casts["set"]>().toEqualTypeOf<(value: number) => void>();
  });

  test("is untyped when the factory returns nothing", () => {
    const Untyped = createActor((_ctx, self, name: string) => {
      self.onCall("name", () => name);
    });
    const ref = system.spawn(Untyped, { args: ["joe"] });
    expectTypeOf(ref.call("whatever", 1, 2)).resolves.toBeAny();
    // @ts-expect-error arguments are known all the same
    system.spawn(Untyped, { args: [1] });
  });

  test("is typed when the factory is asynchronous", () => {
    const Late = createActor(async (_ctx, self, name: string) => {
      await Promise.resolve();
      return self.onCall("name", () => name);
    });
    expectTypeOf(system.spawn(Late, { args: ["joe"] }).call("name")).resolves.toEqualTypeOf<string>();
  });

  test("keeps its types through every builder method", () => {
    const Chained = createActor((_ctx, self) =>
      self
        .onCall("before", () => 1)
        .onInfo("down", () => {})
        .onTerminate(() => {})
        .onContinue(() => {})
        .preRestart(() => {})
        .postRestart(() => {})
        .migratable({ getState: () => 1, setState: () => {} })
        .childSupervision({ strategy: "one-for-all" })
        .setIdleTimeout(1_000)
        .onCall("after", () => "2"),
    );
    type Calls = ExtractCalls<typeof Chained>;
    expectTypeOf<ReturnType<Calls["before"]>>().toEqualTypeOf<number>();
    expectTypeOf<ReturnType<Calls["after"]>>().toEqualTypeOf<string>();
  });
});

describe("call", () => {
  test("gives the awaited result", () => {
    expectTypeOf(counter.call("get")).toEqualTypeOf<Promise<number>>();
    expectTypeOf(counter.call("add", 1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(counter.call("label")).toEqualTypeOf<Promise<string | undefined>>();
    expectTypeOf(counter.call("find", "a")).toEqualTypeOf<Promise<string[]>>();
    expectTypeOf(counter.call("find", "a", 2)).toEqualTypeOf<Promise<string[]>>();
    expectTypeOf(counter.call("sum", 1, 2, 3)).toEqualTypeOf<Promise<number>>();
  });

  test("takes options after the arguments", () => {
    counter.call("get", { timeout: 100 });
    counter.call("add", 1, { timeout: 100, signal: AbortSignal.timeout(10) });
    counter.call("find", "a", 1, { signal: new AbortController().signal });
    counter.call({ method: "add", args: [1] }, { timeout: 100 });
    counter.call({ method: "add", args: [1] }, 100);
    // @ts-expect-error a timeout is a number
    counter.call("add", 1, { timeout: "soon" });
    // @ts-expect-error there is no such option
    counter.call("add", 1, { retries: 3 });
  });

  test("refuses unknown methods", () => {
    // @ts-expect-error a typing error
    counter.call("gte");
    // @ts-expect-error that is a cast
    counter.call("set", 1);
  });

  test("refuses wrong, missing and superfluous arguments", () => {
    // @ts-expect-error a string is no number
    counter.call("add", "1");
    // @ts-expect-error the amount is missing
    counter.call("add");
    // @ts-expect-error the amount is missing before the options
    counter.call("add", { timeout: 100 });
    // @ts-expect-error there is one argument
    counter.call("add", 1, 2);
  });
});

describe("cast", () => {
  test("gives nothing", () => {
    expectTypeOf(counter.cast("set", 1)).toEqualTypeOf<void>();
    expectTypeOf(counter.cast("reset")).toEqualTypeOf<void>();
    counter.cast({ method: "set", args: [1] });
  });

  test("refuses unknown methods and wrong arguments", () => {
    // @ts-expect-error a typing error
    counter.cast("sett", 1);
    // @ts-expect-error that is a call
    counter.cast("add", 1);
    // @ts-expect-error a string is no number
    counter.cast("set", "1");
    // @ts-expect-error the value is missing
    counter.cast("set");
    // @ts-expect-error casts take no options
    counter.cast("reset", { timeout: 100 });
  });
});

describe("spawn options", () => {
  test("are checked", () => {
    system.spawn(Counter, { args: [1], strategy: "round-robin", role: "worker" });
    // @ts-expect-error there is no such strategy
    system.spawn(Counter, { args: [1], strategy: "nearest" });
    // @ts-expect-error there is no such overflow strategy
    system.spawn(Counter, { args: [1], mailbox: { overflowStrategy: "drop-all" } });
    // @ts-expect-error there is no such option
    system.spawn(Counter, { arguments: [1] });
    // @ts-expect-error neither a definition nor an actor class
    system.spawn(Map);
  });

  test("are the same for children", () => {
    createActor((ctx, self) => {
      const child = ctx.spawn(Counter, { args: [1] });
      expectTypeOf(child).toEqualTypeOf<ActorRefFrom<typeof Counter>>();
      // @ts-expect-error the first argument is a number
      ctx.spawn(Counter, { args: ["1"] });
      return self.onCall("child", () => child);
    });
  });
});

describe("refs", () => {
  test("are what spawn gives", () => {
    expectTypeOf(system.spawn(Counter, { args: [1] })).toEqualTypeOf<ActorRefFrom<typeof Counter>>();
    expectTypeOf(counter).toEqualTypeOf<TypedActorRef<ExtractCalls<typeof Counter>, ExtractCasts<typeof Counter>>>();
  });

  test("fit where any ref fits", () => {
    expectTypeOf(counter).toExtend<ActorRef>();
    void system.stop(counter);
    system.joinGroup("counters", counter);
  });

  test("fit where fewer methods are asked for", () => {
    const adder: TypedActorRef<{ add: (amount: number) => number }, Record<never, never>> = counter;
    expectTypeOf(adder.call("add", 1)).toEqualTypeOf<Promise<number>>();
    // @ts-expect-error counters do not subtract
    const subtracter: TypedActorRef<{ subtract: (amount: number) => number }> = counter;
    void subtracter;
  });

  test("travel through calls with their types", () => {
    const Owner = createActor((ctx, self) => {
      const owned = ctx.spawn(Counter, { args: [0] });
      return self.onCall("counter", () => owned).onCall("adopt", (_ref: ActorRefFrom<typeof Counter>) => {});
    });
    const owner = system.spawn(Owner);
    expectTypeOf(owner.call("counter")).resolves.toEqualTypeOf<ActorRefFrom<typeof Counter>>();
    owner.call("adopt", counter);
    // @ts-expect-error an owner is no counter
    owner.call("adopt", owner);
  });
});

describe("the builder", () => {
  test("knows the messages of the system", () => {
    createActor((_ctx, self) =>
      self
        .onInfo("down", (message) => expectTypeOf(message).toEqualTypeOf<DownMessage>())
        .onInfo("exit", (message) => expectTypeOf(message).toEqualTypeOf<ExitMessage>())
        .onInfo("timeout", (message) => expectTypeOf(message).toEqualTypeOf<TimeoutMessage>())
        .onInfo("moved", (message) => expectTypeOf(message).toEqualTypeOf<MovedMessage>()),
    );
    createActor((_ctx, self) => {
      // @ts-expect-error there is no such message
      self.onInfo("up", () => {});
      // @ts-expect-error there is no such strategy
      self.childSupervision({ strategy: "one-for-some" });
      expectTypeOf(self.sendAfter("tick", 10)).toEqualTypeOf<TimerRef>();
    });
  });
});

describe("DynamicSupervisor", () => {
  test("starts typed children", async () => {
    const supervisor = DynamicSupervisor.start(system, { maxChildren: 10 });
    const child = await supervisor.startChild(Counter, { args: [1], name: "child" });
    expectTypeOf(child).toEqualTypeOf<ActorRefFrom<typeof Counter>>();
    // @ts-expect-error the first argument is a number
    supervisor.startChild(Counter, { args: ["1"] });
    // @ts-expect-error a limit is a number
    DynamicSupervisor.start(system, { maxChildren: "many" });
  });
});

describe("Agent", () => {
  test("knows its value", () => {
    const agent = Agent.start(system, { apples: 1 });
    expectTypeOf(agent.get()).resolves.toEqualTypeOf<{ apples: number }>();
    expectTypeOf(agent.update((now) => ({ apples: now.apples + 1 }))).resolves.toEqualTypeOf<{ apples: number }>();
    // @ts-expect-error the value has another shape
    agent.update(() => ({ pears: 1 }));
  });
});
