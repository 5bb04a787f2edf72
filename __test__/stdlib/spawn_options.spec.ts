/**
 * What `spawn` takes: arguments, names, placement, roles, bounds; and collaborators that users write themselves.
 */

import { describe, expect, it, vi } from "vitest";
import {
  Actor,
  ActorSystem,
  type Cluster,
  createActor,
  InMemoryTransport,
  LocalCluster,
  LocalRegistry,
  MailboxFullError,
  NoRoleMatchError,
  type Registry,
  type Transport,
} from "../../lib/index.js";
import { loggedErrors, makeSystem } from "../support/system.js";
import { gate, rejection, thrown, turns } from "../support/time.js";

const Args = createActor((_ctx, self, ...args: any[]) => self.onCall("args", () => args));

class ClassArgs extends Actor {
  private args: any[] = [];
  override init(...args: any[]): void {
    this.args = args;
  }
  override handleCall(): any {
    return this.args;
  }
}

/** A cluster as the README's smallest one: no roles, no events. */
class TwoNodes implements Cluster {
  readonly nodeId = "n1";
  getMembers(): string[] {
    return ["n1", "n2"];
  }
}

class Roles extends TwoNodes {
  getMembersByRole(role: string): string[] {
    return role === "db" ? ["n2"] : role === "web" ? ["n1"] : [];
  }
}

function systemOn(parts: { cluster?: Cluster; transport?: Transport; registry?: Registry }): ActorSystem {
  const {
    cluster = new LocalCluster("n1"),
    transport = new InMemoryTransport("n1"),
    registry = new LocalRegistry(),
  } = parts;
  const system = new ActorSystem(cluster, transport, registry);
  void system.start();
  return system;
}

describe("args", () => {
  it.each([
    ["a functional actor", Args],
    ["a class", ClassArgs],
  ])("reach %s as they are", async (_, definition) => {
    const system = makeSystem();
    const values = [1, "two", { three: 3 }, undefined, null, Symbol.for("six")];
    const given = await system.spawn(definition as any, { args: values }).call({ method: "args" });
    expect(given).toEqual(values);
    expect(given[2]).toBe(values[2]);
    for (const options of [undefined, {}, { args: undefined }, { args: [] }]) {
      expect(await system.spawn(definition as any, options).call({ method: "args" })).toEqual([]);
    }
  });

  it("are given again to the next incarnation", async () => {
    const system = makeSystem();
    const seen: unknown[][] = [];
    const Fragile = createActor((_ctx, self, ...args: [number, { a: number }]) => {
      seen.push(args);
      return self
        .onCast("crash", () => {
          throw new Error("crash");
        })
        .onCall("ping", () => 1);
    });
    const options = { a: 1 };
    const ref = system.spawn(Fragile, { args: [7, options] });
    ref.cast("crash");
    await ref.call("ping");
    expect(seen).toEqual([
      [7, options],
      [7, options],
    ]);
    expect(seen[1]?.[1]).toBe(options);
  });

  it("are those of the spawn, whatever the array is used for later", async () => {
    const system = makeSystem();
    const Fragile = createActor((_ctx, self, ...args: unknown[]) => {
      self
        .onCast("crash", () => {
          throw new Error("crash");
        })
        .onCall("args", () => args);
    });
    const args: unknown[] = [];
    const spawned = [[{ n: 1 }], [1, 2], [undefined], []].map((given) => {
      args.splice(0, args.length, ...given);
      return { given, ref: system.spawn(Fragile, { args }) as any };
    });
    args.splice(0, args.length, "another's");
    for (const { given, ref } of spawned) {
      ref.cast("crash");
      expect(await ref.call("args")).toEqual(given);
    }
  });
});

describe("name", () => {
  it("is registered before spawn returns to the event loop", async () => {
    const system = makeSystem();
    const ref = system.spawn(Args, { name: "args" });
    const lookup = system.registry.lookup("args");
    expect(await lookup).toEqual({ nodeId: system.nodeId, actorId: ref.id.id });
    expect(await system.registry.getNodeActors(system.nodeId)).toEqual(["args"]);
  });

  it("may be any text, also one that objects know", async () => {
    const system = makeSystem();
    for (const name of ["__proto__", "constructor", "toString", "a/b", " ", "名前", "🚀", "x".repeat(255)]) {
      const ref = system.spawn(Args, { name, args: [name] });
      expect(ref.id.name).toBe(name);
      expect(await (await system.getActorByName(name))?.call({ method: "args" })).toEqual([name]);
    }
    expect(system.system.getActors()).toHaveLength(8);
  });

  it("may be a child's as well", async () => {
    const system = makeSystem();
    const Parent = createActor((ctx) => void ctx.spawn(Args, { name: "child", args: ["c"] }));
    const parent = system.spawn(Parent);
    expect(await (await system.getActorByName("child"))?.call({ method: "args" })).toEqual(["c"]);
    await system.stop(parent);
    expect(await system.getActorByName("child")).toBeNull();
  });
});

describe("mailbox", () => {
  /** How many of ten casts an actor keeps. */
  async function kept(system: ReturnType<typeof makeSystem>, mailbox?: any): Promise<number> {
    const door = gate();
    let count = 0;
    const Busy = createActor((_ctx, self) => self.onCall("block", () => door.promise).onCast("n", () => void count++));
    const ref = system.spawn(Busy, mailbox === undefined ? {} : { mailbox });
    const blocked = ref.call("block");
    for (let n = 0; n < 10; n++) ref.cast("n");
    const pending = system.system.getPendingMessages(ref.id.id).length;
    door.open();
    await blocked;
    await vi.waitFor(() => expect(count).toBe(pending));
    return count;
  }

  it("is unbounded, or the system's, or the actor's own", async () => {
    expect(await kept(makeSystem())).toBe(10);
    expect(await kept(makeSystem(), { maxSize: 3 })).toBe(3);
    const bounded = makeSystem({ mailbox: { maxSize: 2 } });
    expect(await kept(bounded)).toBe(2);
    expect(await kept(bounded, { maxSize: 4 })).toBe(4);
    expect(await kept(bounded, { maxSize: Number.POSITIVE_INFINITY })).toBe(10);
    expect(await kept(bounded, { overflowStrategy: "error" })).toBe(2);
    expect(await kept(bounded, { maxSize: undefined, overflowStrategy: undefined })).toBe(2);
  });

  it("bounds children too", async () => {
    const system = makeSystem({ mailbox: { maxSize: 1 } });
    const door = gate();
    const Child = createActor((_ctx, self) => self.onCall("block", () => door.promise));
    const Parent = createActor((ctx, self) => self.onCall("child", () => ctx.spawn(Child)));
    const child = await system.spawn(Parent).call("child");
    const first = child.call("block");
    const second = child.call("block");
    expect(await rejection(child.call("block"))).toBeInstanceOf(MailboxFullError);
    door.open();
    await Promise.all([first, second]);
  });
});

describe("placement", () => {
  it("of a local system ignores roles and has one place", () => {
    const system = makeSystem();
    for (const options of [{ strategy: "local" }, { strategy: "round-robin" }, { role: "any" }] as const) {
      expect(system.spawn(Args, options).id.systemId).toBe(system.nodeId);
    }
    expect(system.system.getActors()).toHaveLength(3);
  });

  it("throws from spawn when no node has the role", () => {
    const system = systemOn({ cluster: new Roles() });
    const local = thrown(() => system.spawn(Args, { role: "db" }));
    expect(local).toBeInstanceOf(NoRoleMatchError);
    expect(local.message).toBe('Local node "n1" does not have role "db"');
    const anywhere = thrown(() => system.spawn(Args, { strategy: "round-robin", role: "gpu" }));
    expect(anywhere).toBeInstanceOf(NoRoleMatchError);
    expect(anywhere.message).toBe('No nodes in the cluster have role "gpu"');
    expect(system.getActors()).toEqual([]);
    expect(system.spawn(Args, { role: "web" }).id.systemId).toBe("n1");
    expect(system.spawn(Args, { role: "web", strategy: "round-robin" }).id.systemId).toBe("n1");
    return system.shutdown();
  });

  it("takes turns from the first member on, with a cluster that has only nodeId and getMembers", async () => {
    const system = systemOn({ cluster: new TwoNodes() });
    const first = system.spawn(Args, { strategy: "round-robin", args: [1] });
    expect(first.id.systemId).toBe("n1");
    expect(await first.call("args")).toEqual([1]);
    expect(system.spawn(Args, { role: "ignored" }).id.systemId).toBe("n1");
    await system.shutdown();
  });

  it("of children is here unless they name a strategy", async () => {
    const system = systemOn({ cluster: new TwoNodes() });
    const Parent = createActor((ctx, self) =>
      self.onCall("spawn", () => [1, 2, 3].map(() => ctx.spawn(Args).id.systemId)),
    );
    expect(await system.spawn(Parent).call("spawn")).toEqual(["n1", "n1", "n1"]);
    await system.shutdown();
  });

  it("of an unknown strategy throws", () => {
    const system = makeSystem();
    expect(() => system.spawn(Args, { strategy: "nearest" as any })).toThrow("Unknown placement strategy: nearest");
    expect(system.system.getActors()).toEqual([]);
  });
});

describe("a registry of the user's own", () => {
  class Broken extends LocalRegistry {
    constructor(private readonly how: "throw" | "reject") {
      super();
    }
    private fail(): Promise<any> {
      if (this.how === "throw") throw new Error("registry is down");
      return Promise.reject(new Error("registry is down"));
    }
    override register = (): Promise<void> => this.fail();
    override unregister = (): Promise<void> => this.fail();
    override lookup = (): Promise<any> => this.fail();
  }

  it.each(["throw", "reject"] as const)("that fails by %s disturbs no local actor", async (how) => {
    const system = systemOn({ registry: new Broken(how) });
    const ref = system.spawn(Args, { name: "args", args: [1] });
    expect(await ref.call("args")).toEqual([1]);
    expect(await (await system.getActorByName("args"))?.call({ method: "args" })).toEqual([1]);
    const error = await rejection(system.getActorByName("elsewhere"));
    expect(error.message).toBe("registry is down");
    expect(() => system.spawn(Args, { name: "args" })).toThrow(/held by a live actor/);
    await system.stop(ref);
    system.spawn(Args, { name: "args" });
    await turns();
    expect(new Set(loggedErrors())).toEqual(new Set(["The registry failed"]));
    await system.shutdown();
  });

  it("is told of names, restarts and ends", async () => {
    const calls: unknown[][] = [];
    class Recording extends LocalRegistry {
      override async register(...args: [string, string, string]): Promise<void> {
        calls.push(["register", ...args]);
      }
      override async unregister(name: string): Promise<void> {
        calls.push(["unregister", name]);
      }
    }
    const system = systemOn({ registry: new Recording() });
    const Fragile = createActor((ctx, self) =>
      self
        .onCast("crash", () => {
          throw new Error("crash");
        })
        .onCall("id", () => ctx.self.id.id),
    );
    const ref = system.spawn(Fragile, { name: "f" });
    ref.cast("crash");
    const second = await ref.call("id");
    await system.stop(ref);
    system.spawn(Fragile);
    expect(calls).toEqual([
      ["register", "f", "n1", ref.id.id],
      ["register", "f", "n1", second],
      ["unregister", "f"],
    ]);
    await system.shutdown();
  });

  it("that never answers does not hold up spawn, stop or shutdown", async () => {
    class Silent extends LocalRegistry {
      override register = (): Promise<void> => new Promise(() => {});
      override unregister = (): Promise<void> => new Promise(() => {});
    }
    const system = systemOn({ registry: new Silent() });
    const ref = system.spawn(Args, { name: "args" });
    await system.stop(ref);
    await system.shutdown();
    expect(system.getActors()).toEqual([]);
  });
});

describe("a transport of the user's own", () => {
  it("gets its handlers when the system starts, and is not asked for local messages", async () => {
    const asked: string[] = [];
    const note =
      (what: string): any =>
      async () =>
        void asked.push(what);
    const transport: Transport = {
      getNodeId: () => "n1",
      request: note("request"),
      send: note("send"),
      publish: note("publish"),
      subscribe: note("subscribe"),
      onRequest: () => void asked.push("onRequest"),
      onMessage: () => void asked.push("onMessage"),
      updatePeers: () => {},
      connect: note("connect"),
      disconnect: note("disconnect"),
    };
    const system = systemOn({ transport });
    const ref = system.spawn(Args, { name: "args", args: [1] });
    ref.cast("nothing" as never);
    expect(await ref.call("args")).toEqual([1]);
    await system.stop(ref);
    await system.shutdown();
    expect(asked.sort()).toEqual(["onMessage", "onRequest"]);
  });
});
