/**
 * What a program may get wrong: each is an error of a stated class, or does nothing, and leaves the system usable.
 */

import { describe, expect, it } from "vitest";
import {
  Actor,
  ActorId,
  ActorLimitError,
  ActorNotFoundError,
  ActorRef,
  ActorSystem,
  createActor,
  createSystem,
  InMemoryTransport,
  InvalidArgumentError,
  InvalidOptionError,
  LibeamError,
  LocalCluster,
  LocalRegistry,
  SystemShuttingDownError,
} from "../../lib/index.js";
import { Echo } from "../support/actors.js";
import { makeProbe } from "../support/probe.js";
import { empty, leakFree, makeSystem } from "../support/system.js";
import { rejection, thrown } from "../support/time.js";

const cyclic: any = { strategy: "one-for-one" };
cyclic.self = cyclic;
const NOT_FUNCTIONS = [undefined, null, "handler", 5, {}, []];

const Ping = createActor("Ping", (_ctx, self) => self.onCall("ping", () => "pong"));

/** The system still works and holds nothing of what went wrong. */
async function usable(system: ReturnType<typeof makeSystem>): Promise<void> {
  const ref = system.spawn(Ping);
  expect(await ref.call("ping")).toBe("pong");
  await system.stop(ref);
  await leakFree(system);
}

describe("createSystem", () => {
  it.each([
    [null],
    ["local"],
    [5],
    [[]],
    [{ type: "remote" }],
    [{ supervision: { strategy: "one-for-one" } }],
    [{ supervision: { maxRestarts: -1 } }],
    [{ supervision: { maxRestarts: Number.NaN } }],
    [{ supervision: { periodMs: "5s" } }],
    [{ supervision: 5 }],
    [{ mailbox: { maxSize: 0 } }],
    [{ mailbox: { overflowStrategy: "burst" } }],
    [{ mailbox: "big" }],
    [{ timeouts: { defaultCallTimeout: -1 } }],
    [{ timeouts: { defaultCallTimeout: Number.NaN } }],
    [{ timeouts: 5 }],
    [{ timeouts: null }],
    [{ timeouts: { defaultCallTimeout: null } }],
    [{ timeouts: { remoteOperationTimeout: "5s" } }],
    [{ timeouts: { migrationRollbackTimeout: Number.NaN } }],
    [{ seedNodes: ["127.0.0.1:5002"] }],
    [{ limits: { actorsMax: 0 } }],
    [{ limits: { stashMessagesMax: Number.NaN } }],
    [{ limits: { stopTimeoutMs: -5 } }],
    [{ limits: null }],
  ])("refuses %j", (config) => {
    expect(thrown(() => createSystem(config as any))).toBeInstanceOf(InvalidOptionError);
  });

  it.each(["actorsMax", "timersPerActorMax", "stashMessagesMax"])("says how much limits.%s may be at most", (name) => {
    const most = 16_777_216;
    const message = `Invalid option "limits.${name}": expected a whole number from 1 to ${most}, got ${most + 1}`;
    expect(() => createSystem({ limits: { [name]: most + 1 } })).toThrow(message);
    expect(() => makeSystem({ limits: { [name]: most } })).not.toThrow();
  });

  it("takes its defaults for what is there and undefined", async () => {
    const nothing = { nodeId: undefined, supervision: undefined, mailbox: undefined, timeouts: undefined } as any;
    const absent = {
      supervision: { strategy: undefined, maxRestarts: undefined, backoff: undefined },
      mailbox: { maxSize: undefined },
      timeouts: { defaultCallTimeout: undefined },
      limits: { actorsMax: undefined, stopTimeoutMs: undefined },
    } as any;
    for (const config of [nothing, absent]) await usable(makeSystem(config));
  });

  it("is local if it is told so, whatever else is there", async () => {
    await usable(makeSystem({ type: "local", seedNodes: ["127.0.0.1:5002"], port: 5_000 } as any));
  });

  it.each(["", "x".repeat(256), "\ud800", 5, null])("refuses the node id %j", (nodeId) => {
    expect(thrown(() => createSystem({ nodeId } as any))).toBeInstanceOf(InvalidArgumentError);
  });

  it.each([undefined, null, {}, { nodeId: 5 }, "n1"])("as a constructor refuses the cluster %j", (cluster) => {
    const make = () => new ActorSystem(cluster as any, new InMemoryTransport("n1"), new LocalRegistry());
    expect(thrown(make)).toBeInstanceOf(InvalidArgumentError);
  });

  it.each([undefined, null, 5])("as a constructor refuses the transport or registry %j", (part) => {
    const cluster = new LocalCluster("n1");
    const parts = [
      () => new ActorSystem(cluster, part as any, new LocalRegistry()),
      () => new ActorSystem(cluster, new InMemoryTransport("n1"), part as any),
    ];
    for (const make of parts) expect(thrown(make)).toBeInstanceOf(InvalidArgumentError);
  });
});

describe("createActor", () => {
  it.each(NOT_FUNCTIONS)("refuses the factory %j", (factory) => {
    expect(thrown(() => createActor("Name", factory as any))).toBeInstanceOf(InvalidArgumentError);
    if (typeof factory !== "string")
      expect(thrown(() => createActor(factory as any))).toBeInstanceOf(InvalidArgumentError);
  });

  it.each(["", "x".repeat(256), "\udfff"])("refuses the name %j", (name) => {
    expect(thrown(() => createActor(name, () => {}))).toBeInstanceOf(InvalidArgumentError);
  });

  it("refuses handlers that are no functions, out of spawn", async () => {
    const system = makeSystem();
    for (const value of NOT_FUNCTIONS) {
      for (const method of ["onCall", "onCast", "onInfo"]) {
        const Bad = createActor((_ctx, self: any) => self[method]("name", value));
        expect(thrown(() => system.spawn(Bad))).toBeInstanceOf(InvalidArgumentError);
      }
      for (const method of ["onTerminate", "onContinue", "preRestart", "postRestart", "migratable"]) {
        const Bad = createActor((_ctx, self: any) => self[method](value));
        expect(thrown(() => system.spawn(Bad))).toBeInstanceOf(InvalidArgumentError);
      }
    }
    await empty(system);
  });

  it.each([undefined, null, 5, {}, Symbol("s")])("refuses handler names that are no text: %s", (name) => {
    const system = makeSystem();
    for (const method of ["onCall", "onCast", "onInfo"]) {
      const Bad = createActor((_ctx, self: any) => self[method](name, () => {}));
      expect(thrown(() => system.spawn(Bad))).toBeInstanceOf(InvalidArgumentError);
    }
  });

  it.each([
    [null],
    ["one-for-one"],
    [{ strategy: "all-for-one" }],
    [{ maxRestarts: 1.5 }],
    [{ periodMs: -1 }],
    [{ backoff: { initialMs: -1 } }],
  ])("refuses the supervision options %j", (options) => {
    const Bad = createActor((_ctx, self) => self.childSupervision(options as any));
    expect(thrown(() => makeSystem().spawn(Bad))).toBeInstanceOf(InvalidOptionError);
  });

  it("takes by default what a class gives wrongly, cyclic supervision options among it", async () => {
    const system = makeSystem();
    const Child = createActor((_ctx, self) =>
      self
        .onCast("crash", () => {
          throw new Error("crash");
        })
        .onCall("ping", () => "pong"),
    );
    class Wrong extends Actor {
      private child: any;
      override init(): void {
        this.child = this.spawn(Child);
      }
      override childSupervision(): any {
        return { strategy: "sometimes", maxRestarts: cyclic };
      }
      override handleCall(): any {
        return this.child;
      }
    }
    class Cyclic extends Wrong {
      override childSupervision(): any {
        return cyclic;
      }
    }
    class Throwing extends Wrong {
      override childSupervision(): any {
        throw new Error("no idea");
      }
    }
    expect(thrown(() => system.spawn(createActor((_ctx, self) => self.childSupervision(cyclic))))).toBeInstanceOf(
      InvalidOptionError,
    );
    for (const parent of [system.spawn(Cyclic), system.spawn(Wrong), system.spawn(Throwing)] as ActorRef[]) {
      const child = await parent.call({ method: "child" });
      child.cast("crash");
      expect(await child.call("ping")).toBe("pong");
    }
  });
});

describe("spawn", () => {
  it.each([undefined, null, "Echo", 5, {}, () => {}, class NotAnActor {}, Array])("refuses %s", async (what) => {
    const system = makeSystem();
    expect(thrown(() => system.spawn(what as any))).toBeInstanceOf(InvalidArgumentError);
    expect(system.system.getActors()).toEqual([]);
    await usable(system);
  });

  it.each([
    [null],
    [5],
    ["name"],
    [[]],
    [{ args: "abc" }],
    [{ args: { length: 1 } }],
    [{ args: null }],
    [{ mailbox: null }],
    [{ mailbox: { maxSize: -1 } }],
    [{ mailbox: { maxSize: Number.NaN } }],
    [{ mailbox: { overflowStrategy: "drop" } }],
  ])("refuses the options %j", async (options) => {
    const system = makeSystem();
    expect(thrown(() => system.spawn(Echo, options as any))).toBeInstanceOf(InvalidOptionError);
    expect(system.system.getActors()).toEqual([]);
    await usable(system);
  });

  it.each(["", "x".repeat(256), "\ud800", 5, null, {}])("refuses the name %j", (name) => {
    const system = makeSystem();
    expect(thrown(() => system.spawn(Echo, { name } as any))).toBeInstanceOf(InvalidArgumentError);
    expect(system.system.getActors()).toEqual([]);
  });

  it.each(["", 5, null, {}, ["worker"]])("refuses the role %j, where roles do not matter as well", (role) => {
    const system = makeSystem();
    for (const strategy of ["local", "round-robin"] as const) {
      expect(thrown(() => system.spawn(Echo, { role, strategy } as any))).toBeInstanceOf(InvalidArgumentError);
    }
    expect(system.system.getActors()).toEqual([]);
  });

  it.each([undefined, null, "parent", {}])("of a child refuses the parent %j", (parent: any) => {
    const { system } = makeSystem();
    expect(thrown(() => system.spawnChild(parent, Echo))).toBeInstanceOf(InvalidArgumentError);
  });

  it("of a child refuses a parent that another system has, whose place here is somebody else's", async () => {
    const [system, other] = [makeSystem(), makeSystem()];
    const [own, foreign] = [system.spawn(Ping), other.spawn(Ping)];
    const elsewhere = system.system.getRef({ systemId: "another", id: foreign.id.id } as never);
    for (const parent of [foreign, elsewhere]) {
      const error = thrown(() => system.system.spawnChild(parent, Echo));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error.message).toContain(`an actor of node ${system.nodeId}, got "${parent.id}"`);
    }
    expect(system.system.getActors().map(({ actorId, childCount }) => [actorId, childCount])).toEqual([[own.id.id, 0]]);
  });

  it("beyond the limit of actors throws ActorLimitError, and works again after a stop", async () => {
    const system = makeSystem({ limits: { actorsMax: 3 } });
    const refs = [1, 2, 3].map(() => system.spawn(Ping));
    const error = thrown(() => system.spawn(Ping));
    expect(error).toBeInstanceOf(ActorLimitError);
    expect(error).toMatchObject({ code: "ACTOR_LIMIT", context: { max: 3 } });
    await system.stop(refs[0] as ActorRef);
    expect(await system.spawn(Ping).call("ping")).toBe("pong");
  });

  it("after shutdown and inside terminate throws SystemShuttingDownError", async () => {
    const system = makeSystem();
    const probe = makeProbe();
    const Late = createActor((ctx, self) =>
      self.onTerminate(() => probe.push(thrown(() => ctx.spawn(Ping)))).onCall("ctx", () => ctx),
    );
    const ref = system.spawn(Late);
    const ctx = await ref.call("ctx");
    await system.stop(ref);
    expect(await probe.next()).toBeInstanceOf(SystemShuttingDownError);
    expect(thrown(() => ctx.spawn(Ping))).toBeInstanceOf(SystemShuttingDownError);
    await empty(system);
    await system.shutdown();
    expect(thrown(() => system.spawn(Ping))).toBeInstanceOf(SystemShuttingDownError);
    expect(thrown(() => system.spawn(Ping, { name: "p" }))).toBeInstanceOf(SystemShuttingDownError);
  });
});

describe("an actor object that does not run", () => {
  class Eager extends Actor {
    readonly tick = this.sendInterval("tick", 1_000);
  }
  class Curious extends Actor {
    readonly parent: unknown;
    constructor() {
      super();
      this.parent = this.context.parent;
    }
  }

  it.each([Eager, Curious])("has nothing to act on before init: %o", async (Early) => {
    const system = makeSystem();
    const errors = [thrown(() => system.spawn(Early as any)), thrown(() => new (Early as any)())];
    for (const error of errors) {
      expect(error).toBeInstanceOf(LibeamError);
      expect(error.code).toBe("NOT_STARTED");
      expect(error.message).toContain(Early.name);
    }
    await usable(system);
  });
});

describe("refs and classes for the system", () => {
  it.each([undefined, "worker", 5, {}])("%j sends no exit signal", (sender: any) => {
    const { system } = makeSystem();
    const ref = system.spawn(Ping);
    expect(thrown(() => system.sendExit(sender, ref, "because"))).toBeInstanceOf(InvalidArgumentError);
  });

  it.each([undefined, null, 5, {}, "Ping"])("%j is no list of classes", (list: any) => {
    expect(thrown(() => makeSystem().system.registerActorClasses(list))).toBeInstanceOf(InvalidArgumentError);
  });
});

describe("shutdown", () => {
  it.each([[null], [5], [{ timeout: -1 }], [{ timeout: "1s" }], [{ drainMailboxes: "no" }], [{ drainMailboxes: 0 }]])(
    "rejects with the options %j, and has not begun",
    async (options: any) => {
      const { system } = makeSystem();
      expect(await rejection(system.shutdown(options))).toBeInstanceOf(InvalidOptionError);
      expect(system.isRunning()).toBe(true);
    },
  );
});

describe("other names and ids", () => {
  it.each(["", 5, null, undefined, {}])("%j is no name to look up or to join", async (name) => {
    const system = makeSystem();
    const ref = system.spawn(Ping);
    expect(await rejection(system.getActorByName(name as any))).toBeInstanceOf(InvalidArgumentError);
    expect(thrown(() => system.joinGroup(name as any, ref))).toBeInstanceOf(InvalidArgumentError);
  });

  it.each([5, null, undefined, {}, cyclic])("an id that is %s reaches nobody", async (id) => {
    const { system } = makeSystem();
    const ref = new ActorRef(new ActorId(system.id, id as any), system);
    expect(await rejection(ref.call("x"))).toBeInstanceOf(ActorNotFoundError);
    expect([system.getActor(id as any), system.pauseMailbox(id as any)]).toEqual([undefined, false]);
  });

  it.each([null, undefined, "x", 5])("a ref from %j is refused", (id) => {
    const { system } = makeSystem();
    expect(thrown(() => system.getRef(id as any))).toBeInstanceOf(InvalidArgumentError);
    expect(thrown(() => new ActorRef(id as any, system))).toBeInstanceOf(InvalidArgumentError);
  });

  it("a ref made with something that is no system is refused", () => {
    const id = new ActorId("n", "x");
    for (const owner of [null, undefined, {}]) {
      expect(thrown(() => new ActorRef(id, owner as any))).toBeInstanceOf(InvalidArgumentError);
    }
  });
});

describe("timers that are none", () => {
  it.each([undefined, null, 5, "timer", {}])("%j cannot be cancelled", async (timer: any) => {
    const system = makeSystem();
    const Timed = createActor((_ctx, self) =>
      self.onCall("cancel", (): unknown => thrown(() => self.cancelTimer(timer))),
    );
    const ref = system.spawn(Timed);
    expect(await ref.call("cancel")).toBeInstanceOf(InvalidArgumentError);
    expect(thrown(() => system.system.cancelActorTimer(ref, timer))).toBeInstanceOf(InvalidArgumentError);
  });
});

describe("watches and links that are none", () => {
  it.each([undefined, null, 5, "watch", {}])("%j cannot be ended", async (relation: any) => {
    const system = makeSystem();
    const Watcher = createActor((ctx, self) =>
      self.onCall("end", () => [thrown(() => ctx.unwatch(relation)), thrown(() => ctx.unlink(relation))]),
    );
    const { system: actors } = system;
    const outside = [thrown(() => actors.unwatch(relation)), thrown(() => actors.unlink(relation))];
    for (const error of [...(await system.spawn(Watcher).call("end")), ...outside])
      expect(error).toBeInstanceOf(InvalidArgumentError);
  });

  it("a ref of an actor is none", async () => {
    const system = makeSystem();
    const Watcher = createActor((ctx, self) => self.onCall("end", (ref: any) => thrown(() => ctx.unwatch(ref))));
    const ref = system.spawn(Watcher);
    expect(await ref.call("end", ref)).toBeInstanceOf(InvalidArgumentError);
  });
});

describe("timers with bad times", () => {
  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "5", null, undefined])("%s are refused", async (ms) => {
    const system = makeSystem();
    const Timed = createActor((_ctx, self: any) =>
      self.onCall("try", () =>
        ["sendAfter", "sendInterval", "setIdleTimeout"].map((method) =>
          thrown(() => (method === "setIdleTimeout" ? self[method](ms) : self[method]("tick", ms))),
        ),
      ),
    );
    for (const error of await (system.spawn(Timed) as any).call("try"))
      expect(error).toBeInstanceOf(InvalidOptionError);
    await leakFree(system);
  });
});
