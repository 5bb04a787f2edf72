/**
 * Identity: ids, refs that `spawn` gives, refs made by hand, refs by name, and names of classes.
 */

import { inspect } from "node:util";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  Actor,
  ActorId,
  ActorNotFoundError,
  ActorRef,
  type ActorRefFrom,
  createActor,
  TypedActorRef,
} from "../../lib/index.js";
import { gone, makeProbe } from "../support/probe.js";
import { makeSystem } from "../support/system.js";
import { rejection } from "../support/time.js";

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const Counter = createActor("Counter", (ctx, self, initial: number = 0) => {
  let count = initial;
  return self
    .onCall("get", () => count)
    .onCall("add", (n: number) => {
      count += n;
      return count;
    })
    .onCall("id", () => ctx.self.id.id)
    .onCast("set", (n: number) => {
      count = n;
    })
    .onCast("crash", () => {
      throw new Error("crash");
    });
});

class Echo extends Actor {
  override handleCall(message: any): any {
    return message === "self" ? this.self : message;
  }
}

describe("ids", () => {
  it("have the system, a version 4 UUID and the name", () => {
    const system = makeSystem({ nodeId: "n1" });
    const named = system.spawn(Echo, { name: "echo" });
    const nameless = system.spawn(Echo);
    expect(named.id).toBeInstanceOf(ActorId);
    expect([named.id.systemId, named.id.name]).toEqual(["n1", "echo"]);
    expect(nameless.id.name).toBeUndefined();
    for (const ref of [named, nameless]) expect(ref.id.id).toMatch(UUID_V4);
    expect([`${named.id}`, `${nameless.id}`]).toEqual(["n1/echo", `n1/${nameless.id.id}`]);
    expect([`${named}`, `${nameless}`]).toEqual([`${named.id}`, `${nameless.id}`]);
  });

  it("differ for all actors, those that reuse a place included", async () => {
    const system = makeSystem();
    const ids = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const refs = Array.from({ length: 50 }, () => system.spawn(Echo));
      for (const ref of refs) ids.add(ref.id.id);
      await Promise.all(refs.map((ref) => system.stop(ref)));
    }
    expect(ids.size).toBe(1_000);
  });

  it("are the same seen from inside and outside", async () => {
    const system = makeSystem();
    let duringStart: ActorRef | undefined;
    const Curious = createActor((ctx, self) => {
      duringStart = ctx.self;
      return self.onCall("self", () => ctx.self);
    });
    const ref = system.spawn(Curious, { name: "curious" });
    expect(duringStart?.id).toEqual(ref.id);
    expect((await ref.call("self")).id).toEqual(ref.id);
    const echo = system.spawn(Echo);
    expect((await echo.call("self")).id).toEqual(echo.id);
  });
});

describe("refs made by hand", () => {
  it("reach the actor", async () => {
    const system = makeSystem();
    const ref = system.spawn(Counter, { args: [5] });
    const byHand = new ActorRef(new ActorId(system.nodeId, ref.id.id), system.system);
    expect(await byHand.call({ method: "add", args: [1] })).toBe(6);
    byHand.cast({ method: "set", args: [1] });
    expect(await ref.call("get")).toBe(1);
    const typed = new TypedActorRef(new ActorId(system.nodeId, ref.id.id), system.system);
    expect(await typed.call("add", 1)).toBe(2);
  });

  it("may come from a plain object", async () => {
    const system = makeSystem();
    const { systemId, id } = system.spawn(Echo).id;
    const ref = system.system.getRef(JSON.parse(JSON.stringify({ systemId, id })));
    expect(ref).toBeInstanceOf(ActorRef);
    expect(await ref.call("hi")).toBe("hi");
    expect(ref.toString()).toBe(`${systemId}/${id}`);
  });

  it("stop, watch and join groups like others", async () => {
    const system = makeSystem();
    const ref = system.spawn(Echo, { name: "echo" });
    const byHand = system.system.getRef(ref.id);
    const end = gone(system, byHand);
    system.joinGroup("g", byHand);
    expect(system.getGroup("g").map((each) => each.id.id)).toEqual([ref.id.id]);
    await system.stop(byHand);
    expect(await end).toEqual({ type: "normal" });
    expect(system.getGroup("g")).toEqual([]);
  });

  it.each([
    ["a made-up UUID", "11111111-2222-4333-8444-555555555555"],
    ["what is almost a UUID", "1111111g-2222-4333-8444-55555555555Z"],
    ["no UUID", "nobody"],
    ["nothing", ""],
    ["a property of objects", "__proto__"],
    ["a huge text", "x".repeat(100_000)],
  ])("of %s reach nobody and say so", async (_, id) => {
    const system = makeSystem({ nodeId: "n1" });
    system.spawn(Echo);
    const ref = new ActorRef(new ActorId("n1", id), system.system);
    const error = await rejection(ref.call("hi"));
    expect(error).toBeInstanceOf(ActorNotFoundError);
    expect(error).toMatchObject({ code: "ACTOR_NOT_FOUND", context: { actorId: id } });
    expect(ref.cast("hi")).toBeUndefined();
    await system.stop(ref);
    expect(await gone(system, ref)).toEqual({ type: "normal" });
  });

  it("may have their id in capitals", async () => {
    const system = makeSystem();
    const { id } = system.spawn(Echo);
    const ref = new ActorRef(new ActorId(id.systemId, id.id.toUpperCase()), system.system);
    expect(await ref.call("hi")).toBe(await new ActorRef(id, system.system).call("hi"));
  });

  it("of an ended actor do not reach the one that took its place", async () => {
    const system = makeSystem();
    const first = system.spawn(Echo);
    const { id } = first;
    await system.stop(first);
    const others = Array.from({ length: 10 }, () => system.spawn(Echo));
    expect(others.map((ref) => ref.id.id)).not.toContain(id.id);
    expect(await rejection(system.system.getRef(id).call("hi"))).toBeInstanceOf(ActorNotFoundError);
    expect(await rejection(first.call("hi"))).toBeInstanceOf(ActorNotFoundError);
    expect(first.id).toEqual(id);
  });

  it("of another system's id reach nobody here", async () => {
    const [here, there] = [makeSystem({ nodeId: "n" }), makeSystem({ nodeId: "n" })];
    const ref = there.spawn(Echo);
    here.spawn(Echo);
    expect(await rejection(here.system.getRef(ref.id).call("hi"))).toBeInstanceOf(ActorNotFoundError);
    expect(await ref.call("hi")).toBe("hi");
  });
});

describe("after a supervised restart", () => {
  it("old refs, refs by hand with the old id and names reach the new incarnation", async () => {
    const system = makeSystem();
    const ref = system.spawn(Counter, { name: "counter", args: [5] });
    const oldId = ref.id.id;
    const byHand = system.system.getRef({ systemId: system.nodeId, id: oldId } as ActorId);
    system.joinGroup("counters", ref);
    await ref.call("add", 1);
    ref.cast("crash");
    expect(await ref.call("get")).toBe(5);
    system.broadcast("counters", { method: "set", args: [5] });
    const newId = await ref.call("id");
    expect(newId).not.toBe(oldId);
    expect(newId).toMatch(UUID_V4);
    expect(await byHand.call({ method: "add", args: [1] })).toBe(6);
    expect(await system.system.getRef(new ActorId(system.nodeId, oldId)).call({ method: "get" })).toBe(6);
    const found = await system.getActorByName("counter");
    expect(found?.id.id).toBe(newId);
    expect(await system.registry.lookup("counter")).toEqual({ nodeId: system.nodeId, actorId: newId });
    expect(system.system.getLocalActorIds()).toEqual([newId]);
    expect(system.getGroup("counters").map((member) => member.id.id)).toEqual([newId]);
    expect(ref.id.id).toBe(oldId);
  });
});

describe("getActorByName", () => {
  it("gives null for a name that nobody has", async () => {
    const system = makeSystem();
    expect(await system.getActorByName("nobody")).toBeNull();
    expect(await system.getActorByName("__proto__")).toBeNull();
    const ref = system.spawn(Echo, { name: "echo" });
    await system.stop(ref);
    expect(await system.getActorByName("echo")).toBeNull();
  });

  it("gives a ref whose typed call and cast work", async () => {
    const system = makeSystem();
    system.spawn(Counter, { name: "counter", args: [1] });
    const ref = (await system.getActorByName("counter")) as ActorRefFrom<typeof Counter>;
    expect(ref).toBeInstanceOf(TypedActorRef);
    expect(await ref.call("add", 2)).toBe(3);
    ref.cast("set", 9);
    expect(await ref.call("get")).toBe(9);
  });

  it("works from inside actors of both kinds", async () => {
    const system = makeSystem();
    system.spawn(Echo, { name: "echo" });
    const Finder = createActor((ctx, self) =>
      self.onCall("find", async (name: string) => (await ctx.getActorByName(name))?.call("hi")),
    );
    expect(await system.spawn(Finder).call("find", "echo")).toBe("hi");
    class Seeker extends Actor {
      override async handleCall(name: string): Promise<any> {
        return (await this.context.system.getActorByName(name))?.call("hi");
      }
    }
    expect(await system.spawn(Seeker).call("echo")).toBe("hi");
  });
});

describe("refs in messages", () => {
  it("arrive as they are and work", async () => {
    const system = makeSystem();
    const probe = makeProbe();
    const echo = system.spawn(Echo);
    const Sink = createActor((_ctx, self) => self.onCast("take", probe.push));
    const sink = system.spawn(Sink);
    expect(await echo.call(sink)).toBe(sink);
    sink.cast("take", { deep: [echo] } as any);
    const received = await probe.next();
    expect(await received.deep[0].call("back")).toBe("back");
  });
});

describe("refs as text", () => {
  it("are their ids for JSON, also within something else", () => {
    const ref = makeSystem({ nodeId: "n" }).spawn(Echo, { name: "echo" });
    expect(JSON.parse(JSON.stringify({ ref }))).toEqual({ ref: { systemId: "n", id: ref.id.id, name: "echo" } });
  });

  it("are one line on the console, typed or not, with a name or without", () => {
    const system = makeSystem({ nodeId: "n" });
    const nameless = system.spawn(Counter);
    expect(inspect({ ref: system.spawn(Echo, { name: "echo" }) })).toBe("{ ref: ActorRef(n/echo) }");
    expect(inspect([nameless])).toBe(`[ TypedActorRef(n/${nameless.id.id}) ]`);
    expect(String(nameless)).toBe(`n/${nameless.id.id}`);
  });
});

describe("class names", () => {
  it("are the given name, the factory's name, or a number of their own", () => {
    const system = makeSystem();
    const named = createActor("Given", () => {});
    const own = createActor(function Own() {});
    const anonymous = [createActor(() => {}), createActor(() => {})];
    for (const definition of [named, own, ...anonymous]) system.spawn(definition);
    system.spawn(Echo);
    const names = system.system.getActors().map(({ className }) => className);
    expect([names[0], names[1], names[4]]).toEqual(["Given", "Own", "Echo"]);
    expect(new Set(names).size).toBe(5);
  });

  it("are the ones under which classes are registered", () => {
    const { system } = makeSystem();
    const first = createActor("First", () => {});
    system.registerActorClass(first);
    system.registerActorClass(Echo);
    system.registerActorClass(Echo, "Parrot");
    expect([system.getActorClass("First"), system.getActorClass("Echo"), system.getActorClass("Parrot")]).toEqual([
      first,
      Echo,
      Echo,
    ]);
    const second = createActor("First", () => {});
    system.registerActorClasses([second]);
    expect(system.getActorClass("First")).toBe(second);
    expect(system.getActorClass("toString")).toBeUndefined();
    expect(system.getHealth().details?.registeredClasses).toBe(3);
  });

  it("of an anonymous definition become the name that it is registered under", () => {
    const system = makeSystem();
    const anonymous = createActor(() => {});
    system.register(anonymous, "Registered");
    system.spawn(anonymous);
    expect(system.system.getActors()[0]?.className).toBe("Registered");
  });
});

describe("types", () => {
  it("of typed refs are those of the handlers", () => {
    const system = makeSystem();
    const ref = system.spawn(Counter, { args: [1] });
    expectTypeOf(ref.call("add", 1)).resolves.toBeNumber();
    expectTypeOf(ref.call("id")).resolves.toBeString();
    expectTypeOf(ref).toEqualTypeOf<ActorRefFrom<typeof Counter>>();
    // @ts-expect-error: no such method
    ref.call("nope").catch(() => {});
  });
});
