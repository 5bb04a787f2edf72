/**
 * combineRefs: one handle for several actors.
 */

import { describe, expect, expectTypeOf, it } from "vitest";
import {
  Actor,
  ActorNotFoundError,
  combineRefs,
  createActor,
  InvalidArgumentError,
  TimeoutError,
  UnknownCallMethodError,
} from "../../lib/index.js";
import { deliveries } from "../support/deliveries.js";
import { leakFree, makeSystem } from "../support/system.js";
import { gate, nodeTimer, rejection, thrown } from "../support/time.js";

const Users = createActor("Users", (_ctx, self) => {
  const names = new Map<number, string>();
  return self
    .onCall("getUser", (id: number) => names.get(id))
    .onCall("shared", () => "users")
    .onCast("addUser", (id: number, name: string) => void names.set(id, name))
    .onCast("crash", () => {
      throw new Error("crash");
    });
});
const Orders = createActor("Orders", (_ctx, self) => {
  let orders = 0;
  return self
    .onCall("countOrders", () => orders)
    .onCall("shared", () => "orders")
    .onCall("never", () => gate().promise)
    .onCast("order", (n: number) => {
      orders += n;
    });
});

function api() {
  const system = makeSystem();
  const [users, orders] = [system.spawn(Users), system.spawn(Orders)];
  return { system, users, orders, both: combineRefs(users, orders) };
}

describe("combineRefs", () => {
  it("routes calls and casts by method, the first ref that has it wins", async () => {
    const { both, users, orders } = api();
    both.cast("addUser", 1, "Ann");
    both.cast("order", 3);
    expect(await both.call("getUser", 1)).toBe("Ann");
    expect(await both.call("countOrders")).toBe(3);
    expect(await both.call("shared")).toBe("users");
    expect(await combineRefs(orders, users).call("shared")).toBe("orders");
    expect(both.refs).toEqual([users, orders]);
  });

  it("has the types of all", () => {
    const { both } = api();
    expectTypeOf(both.call("getUser", 1)).resolves.toEqualTypeOf<string | undefined>();
    expectTypeOf(both.call("countOrders")).resolves.toEqualTypeOf<number>();
    // @ts-expect-error: no such method
    both.call("nope").catch(() => {});
  });

  it("rejects a call that nobody handles and ignores such a cast", async () => {
    const { both } = api();
    for (const method of ["nope", "addUser", "__proto__", "toString", "constructor"]) {
      const error = await rejection((both as any).call(method));
      expect(error).toBeInstanceOf(UnknownCallMethodError);
      expect(error.message).toBe(`Unknown call method: ${method}`);
      expect((both as any).cast(method === "addUser" ? "getUser" : method)).toBeUndefined();
    }
    expect(await both.call("countOrders")).toBe(0);
  });

  it("follows a restart", async () => {
    const { both } = api();
    both.cast("addUser", 1, "Ann");
    both.cast("crash");
    // Right after the crash, whatever the restart has got to.
    expect(await both.call("getUser", 1)).toBeUndefined();
  });

  it("keeps routing to an actor that is being restarted after a delay", async () => {
    const system = makeSystem({ supervision: { backoff: { initialMs: 15, jitter: 0 } } });
    const users = system.spawn(Users);
    const both = combineRefs(users, system.spawn(Orders));
    both.cast("crash");
    await nodeTimer(3);
    both.cast("addUser", 1, "Ann");
    expect(await both.call("getUser", 1)).toBe("Ann");
  });

  it("waits for an actor whose asynchronous factory has not registered its methods yet", async () => {
    const system = makeSystem();
    const Slow = createActor(async (_ctx, self) => {
      await nodeTimer(2);
      return self.onCall("ready", () => "now");
    });
    const slow: any = system.spawn(Slow);
    expect(await slow.call("ready")).toBe("now");
    const second: any = system.spawn(Slow);
    expect(await (combineRefs(second) as any).call("ready")).toBe("now");
  });

  it.each(deliveries)("finds methods that are not known yet, or not here, with $name delivery", async ({ open }) => {
    const { host, system, spawn } = open();
    const door = gate();
    const slow = (name: string) =>
      createActor(name, async (_ctx, self) => {
        await door.promise;
        let noted = 0;
        return self.onCall(name, () => noted).onCast(`note ${name}`, () => void noted++);
      });
    const [first, second, users, orders] = [slow("first"), slow("second"), Users, Orders].map((kind) => spawn(kind));
    const all: any = combineRefs(first as any, second as any, users as any, orders as any);
    all.cast("note second");
    all.cast("order", 3);
    const calls = ["second", "first", "countOrders"].map((method) => all.call(method));
    const unknown = rejection(all.call("nope"));
    all.call("nope either"); // Nobody awaits it, and the process goes on.
    door.open();
    expect(await Promise.all(calls)).toEqual([1, 0, 3]);
    expect(await unknown).toMatchObject({ name: "UnknownCallMethodError", context: { method: "nope" } });
    expect(await rejection(all.call("second", { timeout: 1, signal: AbortSignal.abort("why") }))).toMatchObject({
      code: "CALL_ABORTED",
    });
    await host.stop(second as any);
    expect(await rejection(all.call("second"))).toBeInstanceOf(ActorNotFoundError);
    expect(await all.call("countOrders")).toBe(3);
    await leakFree(system);
  });

  it("tells of an actor that is gone", async () => {
    const { system, both, users } = api();
    await system.stop(users);
    expect(await rejection(both.call("getUser", 1))).toBeInstanceOf(ActorNotFoundError);
    expect(both.cast("addUser", 1, "x")).toBeUndefined();
    expect(await both.call("countOrders")).toBe(0);
  });

  it("passes call options on", async () => {
    const { both } = api();
    const error = await rejection((both as any).call("never", { timeout: 5 }));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.context.timeoutMs).toBe(5);
  });

  it("works without its object, and with one ref", async () => {
    const { users } = api();
    const { call, cast } = combineRefs(users);
    cast("addUser", 7, "Zoe");
    expect(await call("getUser", 7)).toBe("Zoe");
  });

  it("is refused for what is no ref of a functional actor", () => {
    const system = makeSystem();
    class Plain extends Actor {}
    for (const refs of [[], [null], [{}], [system.spawn(Plain)], [system.spawn(Users), undefined]] as any[]) {
      expect(thrown(() => combineRefs(...refs))).toBeInstanceOf(InvalidArgumentError);
    }
  });

  it("is not changed by a change of its list", async () => {
    const { system, both } = api();
    const list = both.refs as any[];
    expect(() => list.splice(0, 2)).toThrow(TypeError);
    expect(await both.call("countOrders")).toBe(0);
    await system.shutdown();
  });
});
