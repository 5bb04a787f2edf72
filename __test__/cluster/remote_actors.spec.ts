/**
 * Actors of another node: two systems over a pair of in-memory transports.
 */

import {
  Actor,
  ActorClassNotRegisteredError,
  ActorId,
  ActorNotFoundError,
  type ActorRef,
  type ActorSystem,
  CallAbortedError,
  createActor,
  type DownMessage,
  type ExitMessage,
  InMemoryTransport,
  NodeDownError,
  PeerNotFoundError,
  type SupervisionConfig,
  TelemetryEvents,
  TimeoutError,
  TransportError,
  telemetry,
} from "libeam";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type PairOptions, startPair } from "../support/in_memory_pair.js";
import { makeProbe } from "../support/probe.js";
import { gate, rejection, turns } from "../support/time.js";

/** A transport whose queue is full when a test says so. */
class NarrowTransport extends InMemoryTransport {
  isFull = false;
  /** What it had no room for. */
  readonly refused = makeProbe<unknown>();

  post(node: string, message: unknown): void {
    this.#admit(node, message);
    super.send(node, message).catch(() => {});
  }

  override async send(node: string, message: unknown): Promise<void> {
    this.#admit(node, message);
    await super.send(node, message);
  }

  override async request(node: string, message: any, timeout: number): Promise<any> {
    this.#admit(node, message);
    return super.request(node, message, timeout);
  }

  #admit(node: string, message: unknown): void {
    if (!this.isFull) return;
    this.refused.push(message);
    throw new TransportError("too much waits for it already", node, undefined, "queue_full");
  }
}

async function pair(options?: PairOptions) {
  const nodes = await startPair((node) => new NarrowTransport(node), options);
  /** A ref to an actor of `two` as `one` sees it. */
  const fromOne = (ref: ActorRef) => nodes.one.getRef(ref.id) as any;
  return { ...nodes, fromOne };
}

const Counter = createActor("Counter", (ctx, self, start: number) => {
  let count = start;
  return self
    .onCall("add", (n: number) => {
      count += n;
      return count;
    })
    .onCall("fail", () => {
      throw new RangeError("no such thing");
    })
    .onCall("leave", () => ctx.exit())
    .onCast("set", (n: number) => {
      count = n;
    })
    .onCast("crash", (error: Error) => {
      throw error;
    });
});

class Echo extends Actor {
  override handleCall(message: unknown) {
    return { echo: message };
  }
}

/** An actor that notes what the system tells it. */
function listener(system: ActorSystem, trap = false) {
  const heard = makeProbe<any>();
  const Listener = createActor("Listener", (ctx, self) => {
    ctx.setTrapExit(trap);
    let watchRef: any;
    let linkRef: any;
    return self
      .onCall("watch", (ref: ActorRef) => {
        watchRef = ctx.watch(ref);
        return watchRef;
      })
      .onCall("unwatch", () => ctx.unwatch(watchRef))
      .onCall("ping", () => "alive")
      .onCall("link", (ref: ActorRef) => {
        linkRef = ctx.link(ref);
      })
      .onCall("unlink", () => ctx.unlink(linkRef))
      .onCast("crash", (error: Error) => {
        throw error;
      })
      .onCast("exit", (reason: unknown, to?: ActorRef) => (to === undefined ? ctx.exit(reason) : ctx.exit(to, reason)))
      .onInfo("down", (message) => void heard.push(message))
      .onInfo("exit", (message) => void heard.push(message));
  });
  return { ref: system.spawn(Listener) as any, heard };
}

describe("messages to another node", () => {
  it("reach functional and class-based actors, and bring the answer back", async () => {
    const { two, fromOne } = await pair();
    const counter = fromOne(two.spawn(Counter, { args: [10] }));
    const echo = fromOne(two.spawn(Echo));
    expect(await counter.call("add", 5)).toBe(15);
    expect(await counter.call({ method: "add", args: [1] })).toBe(16);
    expect(await echo.call({ any: "thing" })).toEqual({ echo: { any: "thing" } });
    expect(await echo.call("text")).toEqual({ echo: "text" });
  });

  it("arrive in the order in which they were sent, casts before the call behind them", async () => {
    const { two, fromOne } = await pair();
    const seen: number[] = [];
    const Log = createActor((_ctx, self) =>
      self.onCast("log", (n: number) => void seen.push(n)).onCall("count", () => seen.length),
    );
    const log = fromOne(two.spawn(Log));
    for (let n = 0; n < 5_000; n++) log.cast("log", n);
    expect(await log.call("count")).toBe(5_000);
    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  });

  it("run one at a time, whatever comes at once", async () => {
    const { two, fromOne } = await pair();
    let [running, most, count] = [0, 0, 0];
    const Slow = createActor((_ctx, self) =>
      self.onCall("increment", async () => {
        most = Math.max(most, ++running);
        const read = count;
        await turns(1);
        count = read + 1;
        running--;
      }),
    );
    const slow = fromOne(two.spawn(Slow));
    await Promise.all(Array.from({ length: 50 }, () => slow.call("increment")));
    expect([count, most]).toEqual([50, 1]);
  });

  it("reject with what the handler threw, which is no crash", async () => {
    const { two, fromOne } = await pair();
    const local = two.spawn(Counter, { args: [1] });
    expect(await rejection(fromOne(local).call("fail"))).toBeInstanceOf(RangeError);
    expect(await local.call("add", 1)).toBe(2);
  });

  it("to an actor that is gone reject, and casts are dropped", async () => {
    const { two, fromOne } = await pair();
    const local = two.spawn(Counter, { args: [1] });
    const remote = fromOne(local);
    await two.stop(local);
    expect(await rejection(remote.call("add", 1))).toBeInstanceOf(ActorNotFoundError);
    expect(() => remote.cast("set", 1)).not.toThrow();
  });

  it("to a node that nobody knows reject with TransportError, and casts never throw", async () => {
    const { one } = await pair();
    const nowhere = one.getRef(new ActorId("three", "6a3e0b0e-0000-4000-8000-000000000000"));
    expect(await rejection(nowhere.call("x"))).toBeInstanceOf(TransportError);
    expect(() => nowhere.cast("x")).not.toThrow();
  });

  it("follow a name whose id means nothing any more", async () => {
    const { one, two } = await pair();
    const first = two.spawn(Counter, { name: "counter", args: [1] });
    const byName = (await one.getActorByName("counter")) as any;
    expect(await byName.call("add", 1)).toBe(2);
    await two.stop(first);
    two.spawn(Counter, { name: "counter", args: [100] });
    expect(await byName.call("add", 1)).toBe(101);
  });

  it("survive a restart of the actor", async () => {
    const { two, fromOne } = await pair();
    const remote = fromOne(two.spawn(Counter, { args: [7] }));
    remote.cast("crash", new Error("once"));
    expect(await remote.call("add", 1)).toBe(8);
  });
});

describe("a call to another node ends early", () => {
  const Stuck = (entered: () => void, door: Promise<void>) =>
    createActor((_ctx, self) =>
      self.onCall("wait", () => {
        entered();
        return door;
      }),
    );

  it("at its timeout, and one that waits there is never handled", async () => {
    const { two, fromOne } = await pair();
    const door = gate();
    const entered = makeProbe<void>();
    const stuck = fromOne(two.spawn(Stuck(entered.push, door.promise)));
    const first = stuck.call("wait");
    await entered.next();
    expect(await rejection(stuck.call("wait", { timeout: 20 }))).toBeInstanceOf(TimeoutError);
    door.open();
    await first;
    await turns();
    expect(entered.events).toHaveLength(1);
  });

  it("at its signal, and one that waits there is withdrawn", async () => {
    const { two, fromOne } = await pair();
    const door = gate();
    const entered = makeProbe<void>();
    const stuck = fromOne(two.spawn(Stuck(entered.push, door.promise)));
    const first = stuck.call("wait");
    await entered.next();
    const controller = new AbortController();
    const second = stuck.call("wait", { signal: controller.signal });
    controller.abort(new Error("changed my mind"));
    const error = await rejection(second);
    expect(error).toBeInstanceOf(CallAbortedError);
    expect(error.cause.message).toBe("changed my mind");
    await turns();
    door.open();
    await first;
    await turns();
    expect(entered.events).toHaveLength(1);
  });

  it("with NodeDownError when its node was lost and has no address any more", async () => {
    const { one, two, fromOne, transports } = await pair();
    const counter = fromOne(two.spawn(Counter, { args: [1] }));
    vi.spyOn(transports[0], "request").mockImplementation(async (node) => {
      throw new PeerNotFoundError(node);
    });
    expect(await rejection(counter.call("add", 1))).toBeInstanceOf(PeerNotFoundError);
    one.handleNodeFailure("two");
    const error = await rejection(counter.call("add", 1));
    expect([error.code, error.cause]).toEqual(["NODE_DOWN", expect.any(PeerNotFoundError)]);
  });

  it("at once when its node is lost", async () => {
    const { one, two, fromOne } = await pair();
    const stuck = fromOne(two.spawn(Stuck(() => {}, new Promise(() => {}))));
    const call = stuck.call("wait", { timeout: Number.POSITIVE_INFINITY });
    await turns();
    one.handleNodeFailure("two");
    expect(await rejection(call)).toBeInstanceOf(NodeDownError);
  });
});

describe("a watch across nodes", () => {
  async function watched(supervision?: SupervisionConfig) {
    const nodes = await pair({ supervision });
    const target = nodes.two.spawn(Counter, { args: [1] });
    const { ref, heard } = listener(nodes.one);
    const watchRef = await ref.call("watch", nodes.fromOne(target));
    await turns();
    return { ...nodes, target, ref, heard, watchRef };
  }

  it("tells a stop, once, with the ref that was watched", async () => {
    const { two, target, heard, watchRef, ref } = await watched();
    await two.stop(target);
    const down: DownMessage = await heard.next();
    expect(down).toMatchObject({ type: "down", reason: { type: "normal" } });
    expect(down.watchRef).toBe(watchRef);
    expect(down.actorRef.id.id).toBe(target.id.id);
    expect([watchRef.watcherId.id, watchRef.watchedId.id]).toEqual([ref.id.id, target.id.id]);
    await turns();
    expect(heard.events).toHaveLength(1);
  });

  it("tells a crash that is not repaired, with its error", async () => {
    const { target, heard } = await watched({ strategy: "Stop" });
    target.cast("crash", new RangeError("broken"));
    const { reason } = await heard.next();
    expect(reason).toMatchObject({ type: "error", error: { name: "RangeError", message: "broken" } });
  });

  it("tells killed past the restarts, and nothing of a repaired crash", async () => {
    const { target, heard } = await watched({ strategy: "Restart", maxRestarts: 1, periodMs: 60_000 });
    target.cast("crash", new Error("first"));
    expect(await target.call("add", 1)).toBe(2);
    await turns();
    expect(heard.events).toEqual([]);
    target.cast("crash", new Error("second"));
    expect((await heard.next()).reason).toEqual({ type: "killed" });
  });

  it("of an actor that is gone already tells normal", async () => {
    const { one, two, fromOne } = await pair();
    const target = two.spawn(Counter, { args: [1] });
    const remote = fromOne(target);
    await two.stop(target);
    const { ref, heard } = listener(one);
    await ref.call("watch", remote);
    expect((await heard.next()).reason).toEqual({ type: "normal" });
  });

  it("tells killed when the node is lost", async () => {
    const { one, heard } = await watched();
    one.handleNodeFailure("two");
    expect((await heard.next()).reason).toEqual({ type: "killed" });
  });

  it("can be ended", async () => {
    const { two, target, ref, heard } = await watched();
    await ref.call("unwatch");
    await two.stop(target);
    await turns();
    expect(heard.events).toEqual([]);
  });

  it("works for several watchers, and in both directions", async () => {
    const { one, two, fromOne } = await pair();
    const [a, b, c] = [listener(one), listener(one), listener(two)];
    const target = two.spawn(Counter, { args: [1] });
    await Promise.all([a.ref.call("watch", fromOne(target)), b.ref.call("watch", fromOne(target))]);
    const other = one.spawn(Counter, { args: [1] });
    await c.ref.call("watch", two.getRef(other.id));
    await turns();
    await Promise.all([two.stop(target), one.stop(other)]);
    for (const { heard } of [a, b, c]) expect((await heard.next()).reason).toEqual({ type: "normal" });
  });
});

describe("a link across nodes", () => {
  async function linked(trap = false) {
    const nodes = await pair({ supervision: { strategy: "Stop" } });
    const [a, b] = [listener(nodes.one, trap), listener(nodes.two)];
    const observer = listener(nodes.one);
    await observer.ref.call("watch", a.ref);
    const observer2 = listener(nodes.two);
    await observer2.ref.call("watch", b.ref);
    await a.ref.call("link", nodes.one.getRef(b.ref.id));
    await turns();
    return { ...nodes, a, b, downOfA: observer.heard, downOfB: observer2.heard };
  }

  it("takes the local side down when the other one crashes", async () => {
    const { b, downOfA } = await linked();
    b.ref.cast("crash", new Error("over there"));
    expect((await downOfA.next()).reason).toMatchObject({ type: "error" });
  });

  it("takes the other side down when the local one crashes", async () => {
    const { a, downOfB } = await linked();
    a.ref.cast("crash", new Error("over here"));
    expect((await downOfB.next()).reason).toMatchObject({ type: "error" });
  });

  it("tells an actor that traps exits, with the reason and the ref", async () => {
    const { a, b } = await linked(true);
    b.ref.cast("crash", new RangeError("over there"));
    const message: ExitMessage = await a.heard.next();
    expect(message).toMatchObject({ type: "exit", reason: { type: "error", error: { message: "over there" } } });
    expect(message.actorRef.id.id).toBe(b.ref.id.id);
  });

  it("names the actor that has made it to the one at the other side", async () => {
    const nodes = await pair({ supervision: { strategy: "Stop" } });
    const [a, b] = [listener(nodes.one), listener(nodes.two, true)];
    await a.ref.call("link", nodes.one.getRef(b.ref.id));
    await turns();
    a.ref.cast("crash", new RangeError("over here"));
    const { actorRef, linkRef }: ExitMessage = await b.heard.next();
    expect([actorRef.id.systemId, actorRef.id.id]).toEqual(["one", a.ref.id.id]);
    expect([linkRef?.actor1Id, linkRef?.actor2Id]).toEqual([b.ref.id, a.ref.id]);
  });

  it("names it in the error that takes the other one down", async () => {
    const { a, downOfB } = await linked();
    const { id } = a.ref.id;
    a.ref.cast("crash", new RangeError("over here"));
    expect((await downOfB.next()).reason.error.message).toBe(`Linked actor ${id} terminated: error`);
  });

  describe.each([
    ["leaves by itself", (_nodes: unknown, b: any) => b.cast("exit", "custom")],
    [
      "is sent an exit signal by the actor that it is linked to",
      ({ one }: { one: ActorSystem }, b: any, a: any) => a.cast("exit", "custom", one.getRef(b.id)),
    ],
    [
      "is sent an exit signal by a third one",
      ({ one }: { one: ActorSystem }, b: ActorRef) => listener(one).ref.cast("exit", "custom", one.getRef(b.id)),
    ],
  ])("with a reason of its own, when the other side %s,", (_how, end) => {
    it("tells an actor that traps exits", async () => {
      const { a, b, ...nodes } = await linked(true);
      end(nodes, b.ref, a.ref);
      const message: ExitMessage = await a.heard.next();
      expect(message.reason).toEqual({ type: "exit", reason: "custom" });
      expect(message.actorRef.id.id).toBe(b.ref.id.id);
      expect((await nodes.downOfB.next()).reason).toEqual({ type: "exit", reason: "custom" });
      await turns();
      expect(a.heard.events).toHaveLength(1);
    });

    it("takes an actor down that does not trap exits, as it does on one node", async () => {
      const { a, b, ...nodes } = await linked();
      end(nodes, b.ref, a.ref);
      const { reason } = await nodes.downOfA.next();
      expect(reason).toMatchObject({
        type: "error",
        error: { message: `Linked actor ${b.ref.id.id} terminated: exit` },
      });
    });
  });

  it("takes the other side down when the local one leaves with a reason of its own", async () => {
    const { a, downOfB } = await linked();
    a.ref.cast("exit", "custom");
    const { reason } = await downOfB.next();
    expect(reason).toMatchObject({
      type: "error",
      error: { message: expect.stringMatching(/^Linked actor .* exit$/) },
    });
  });

  it("takes nobody down at a normal end", async () => {
    const { two, a, b, downOfA } = await linked();
    await two.stop(b.ref);
    await turns();
    expect(await a.ref.call("ping")).toBe("alive");
    expect(downOfA.events).toEqual([]);
  });

  it("breaks at once when the actor waits for its next incarnation, as it throws within one node", async () => {
    const backoff = { initialMs: 60_000, maxMs: 60_000 };
    const { one, two } = await pair({ supervision: { strategy: "Restart", backoff } });
    const [a, b] = [listener(one, true), listener(two)];
    b.ref.cast("crash", new Error("over there"));
    await turns();
    await a.ref.call("link", one.getRef(b.ref.id));
    const { actorRef, reason } = await a.heard.next();
    expect([actorRef.id.id, reason.error]).toEqual([b.ref.id.id, expect.any(ActorNotFoundError)]);
    expect([one, two].map((system) => system._counters().links)).toEqual([0, 0]);
  });

  it("breaks when the node is lost", async () => {
    const { one, downOfA } = await linked();
    one.handleNodeFailure("two");
    expect((await downOfA.next()).reason).toMatchObject({ type: "error" });
  });

  it("can be undone", async () => {
    const { a, b, downOfA, downOfB } = await linked();
    await a.ref.call("unlink");
    await turns();
    b.ref.cast("crash", new Error("alone"));
    await downOfB.next();
    await turns();
    expect(downOfA.events).toEqual([]);
  });

  it("that one side undoes is no news for the other", async () => {
    const { one, two } = await pair();
    const [a, b] = [listener(one, true), listener(two, true)];
    await a.ref.call("link", one.getRef(b.ref.id));
    await turns();
    await a.ref.call("unlink");
    await turns();
    expect([...a.heard.events, ...b.heard.events]).toEqual([]);
    expect([one, two].map((system) => system._counters().links)).toEqual([0, 0]);
  });

  describe.each([
    ["one after the other", "a", "", ["b", "b"]],
    ["one after the other", "b", "", ["a", "a"]],
    ["at the same time", "a", "", ["b", "b"]],
    ["at the same time", "b", "", ["a", "a"]],
    ["one after the other", "a", "a", ["b"]],
    ["one after the other", "a", "b", ["b"]],
    ["at the same time", "b", "a", ["a"]],
    ["at the same time", "b", "b", ["a"]],
  ])("that both make %s, when %s ends and %j has undone its own,", (when, ends, undone, told) => {
    it.each(["one node", "two nodes"])("is two links on %s, and nothing is left of them", async (where) => {
      const { one, two } = await pair();
      const there = where === "one node" ? one : two;
      const [a, b] = [listener(one, true), listener(there, true)];
      const both = { a, b };
      const links = [() => a.ref.call("link", one.getRef(b.ref.id)), () => b.ref.call("link", there.getRef(a.ref.id))];
      if (when === "at the same time") await Promise.all(links.map((link) => link()));
      else for (const link of links) await link().then(turns);
      await turns();
      if (undone !== "") await both[undone as "a" | "b"].ref.call("unlink");
      await turns();
      await (ends === "a" ? one.stop(a.ref) : there.stop(b.ref));
      await turns();
      expect([...a.heard.events.map(() => "a"), ...b.heard.events.map(() => "b")]).toEqual(told);
      await vi.waitFor(() => {
        expect([one, two].map((system) => system._counters().links)).toEqual([0, 0]);
        expect(one._counters().actors + two._counters().actors).toBe(1);
      });
    });
  });

  it("leaves nothing behind, whatever other links there are", async () => {
    const { one, two } = await pair();
    const [a, b] = [listener(one, true), listener(two, true)];
    await a.ref.call("link", one.getRef(b.ref.id));
    await turns();
    const before = [one, two].map((system) => system._counters().actors);
    for (const ending of [0, 1]) {
      const [c, d] = [listener(one, true), listener(two, true)];
      await Promise.all([c.ref.call("link", one.getRef(d.ref.id)), d.ref.call("link", two.getRef(c.ref.id))]);
      await turns();
      await Promise.all([one.stop(c.ref), ending === 0 ? undefined : two.stop(d.ref)]);
      await two.stop(d.ref);
    }
    await vi.waitFor(() => expect([one, two].map((system) => system._counters().actors)).toEqual(before));
  });
});

describe("D20: while too much waits for a node already", () => {
  it("the ends that it has to know of wait, and come in order when there is room", async () => {
    const { one, two, fromOne, transports } = await pair({ supervision: { strategy: "Stop" } });
    const { ref, heard } = listener(one, true);
    const targets = [0, 1, 2].map((n) => two.spawn(Counter, { args: [n] }));
    for (const target of targets) {
      await ref.call("watch", fromOne(target));
      await ref.call("link", fromOne(target));
    }
    await turns();
    const [, crowded] = transports;
    crowded.isFull = true;
    for (const target of targets) {
      await two.stop(target);
      await turns();
    }
    await crowded.refused.atLeast(3); // It is tried again.
    expect(heard.events).toEqual([]);
    crowded.isFull = false;
    const told = (await heard.take(6)).map(({ type, actorRef }) => `${type} ${actorRef.id.id}`);
    expect(told).toEqual(targets.flatMap(({ id }) => [`exit ${id.id}`, `down ${id.id}`]));
  });

  it("a call rejects with TransportError, and a cast is a dead letter", async () => {
    const { two, fromOne, transports } = await pair();
    const counter = fromOne(two.spawn(Counter, { args: [1] }));
    const lost = makeProbe<any>();
    telemetry.attach("lost", [TelemetryEvents.actor.deadLetter], (_event, _numbers, facts) => lost.push(facts));
    onTestFinished(() => void telemetry.detach("lost"));
    transports[0].isFull = true;
    const error = await rejection(counter.call("add", 1));
    expect([error.code, error.context.reason]).toEqual(["TRANSPORT_ERROR", "queue_full"]);
    counter.cast("set", 5);
    expect(lost.events).toMatchObject([{ message_type: "cast", reason: "not_sent" }]);
    transports[0].isFull = false;
    expect(await counter.call("add", 1)).toBe(2);
  });

  it("exit signals wait, and what is sent after them does not come before", async () => {
    const { one, two, fromOne, transports } = await pair();
    const [{ ref }, target] = [listener(one), listener(two, true)];
    const remote = fromOne(target.ref);
    transports[0].isFull = true;
    ref.cast("exit", "first", remote);
    ref.cast("exit", "second", remote);
    await ref.call("ping");
    expect(await rejection(remote.call("ping"))).toMatchObject({ context: { reason: "queue_full" } });
    transports[0].isFull = false;
    expect(await remote.call("ping")).toBe("alive");
    expect(target.heard.events.map(({ reason }) => reason.reason)).toEqual(["first", "second"]);
  });

  it("so many exit signals wait and no more, and those that do not are dead letters", async () => {
    const { one, two, fromOne, transports } = await pair();
    const [{ ref }, target] = [listener(one), listener(two, true)];
    const remote = fromOne(target.ref);
    const lost = makeProbe<any>();
    telemetry.attach("lost", [TelemetryEvents.actor.deadLetter], (_event, _numbers, facts) => lost.push(facts));
    onTestFinished(() => void telemetry.detach("lost"));
    transports[0].isFull = true;
    for (let n = 0; n < 10_003; n++) ref.cast("exit", n, remote);
    await ref.call("ping");
    transports[0].isFull = false;
    await target.heard.atLeast(10_000);
    await remote.call("ping");
    expect(target.heard.events).toHaveLength(10_000);
    const letter = { actor_id: undefined, message_type: "exit", reason: "not_sent" };
    expect(lost.events).toEqual([letter, letter, letter]);
  });

  it("groups that its actors are to join or to leave wait", async () => {
    const { one, two, fromOne, transports } = await pair({ hasGroups: true });
    const target = two.spawn(Counter, { args: [1] });
    two.joinGroup("old", target);
    transports[0].isFull = true;
    one.joinGroup("new", fromOne(target));
    one.leaveGroup("old", fromOne(target));
    await transports[0].refused.atLeast(2);
    transports[0].isFull = false;
    expect(await fromOne(target).call("add", 1)).toBe(2); // Behind what was waiting.
    expect(["old", "new"].map((group) => two.getGroup(group).map(({ id }) => id.id))).toEqual([[], [target.id.id]]);
  });

  it("a broadcast to a group does not come before an exit signal that waits", async () => {
    const { one, two, fromOne, transports } = await pair({ hasGroups: true });
    const [{ ref }, target] = [listener(one), listener(two, true)];
    two.joinGroup("crowd", target.ref);
    await vi.waitFor(() => expect(one.getGroup("crowd")).toHaveLength(1));
    transports[0].isFull = true;
    ref.cast("exit", "first", fromOne(target.ref));
    await ref.call("ping");
    transports[0].isFull = false;
    one.broadcast("crowd", { method: "exit", args: ["said to all", target.ref] });
    await target.heard.atLeast(2);
    expect(target.heard.events.map(({ reason }) => reason.reason)).toEqual(["first", "said to all"]);
  });

  it("a watch of its actors and a stop wait, and are not taken for ends", async () => {
    const { one, two, fromOne, transports } = await pair();
    const { ref, heard } = listener(one);
    const target = two.spawn(Counter, { args: [1] });
    transports[0].isFull = true;
    await ref.call("watch", fromOne(target));
    await transports[0].refused.atLeast(2);
    expect(heard.events).toEqual([]);
    let isStopped = false;
    const stopped = one.stop(fromOne(target)).then(() => {
      isStopped = true;
    });
    await transports[0].refused.atLeast(6);
    expect([isStopped, await two.getRef(target.id).call("add", 1)]).toEqual([false, 2]);
    transports[0].isFull = false;
    await stopped;
    expect((await heard.next()).reason).toEqual({ type: "normal" });
    await expect(two.getRef(target.id).call("add", 1)).rejects.toThrow(ActorNotFoundError);
  });

  it("a link that is made behind one that is undone does not come before", async () => {
    const { one, two, transports } = await pair({ supervision: { strategy: "Stop" } });
    const [a, b] = [listener(one, true), listener(two)];
    await a.ref.call("link", one.getRef(b.ref.id));
    await turns();
    const [crowded] = transports;
    crowded.isFull = true;
    await a.ref.call("unlink");
    await a.ref.call("link", one.getRef(b.ref.id));
    await turns();
    crowded.isFull = false;
    // Behind both.
    await vi.waitFor(async () => expect(await (one.getRef(b.ref.id) as any).call("ping")).toBe("alive"));
    b.ref.cast("crash", new Error("over there"));
    expect((await a.heard.next()).reason).toMatchObject({ type: "error", error: { message: "over there" } });
    await vi.waitFor(() => expect([one, two].map((system) => system._counters().links)).toEqual([0, 0]));
  });

  it("a node that shuts down waits for room, and says how its actors have ended", async () => {
    const { one, two, fromOne, transports } = await pair();
    const { ref, heard } = listener(one);
    await ref.call("watch", fromOne(two.spawn(Counter, { args: [1] })));
    await turns();
    transports[1].isFull = true;
    const down = two.shutdown();
    await transports[1].refused.next();
    transports[1].isFull = false;
    await down;
    await turns();
    one.handleNodeFailure("two");
    expect((await heard.next()).reason).toEqual({ type: "normal" });
  });

  it("what waits for it goes when it is given up", async () => {
    const { one, two, fromOne, transports } = await pair();
    const { ref, heard } = listener(one);
    const target = two.spawn(Counter, { args: [1] });
    await ref.call("watch", fromOne(target));
    await turns();
    transports[1].isFull = true;
    await two.stop(target);
    await transports[1].refused.next();
    const { backlogs } = (two as any).remote.peers;
    expect(backlogs.size).toBe(1);
    two.handleNodeFailure("one");
    expect(backlogs.size).toBe(0);
    one.handleNodeFailure("two");
    expect((await heard.next()).reason).toEqual({ type: "killed" });
  });
});

describe("a node that shuts down", () => {
  it("tells those who watch its actors or are linked to them that each has ended as it has: normally", async () => {
    const { one, two, fromOne } = await pair();
    const ACTORS = 200;
    const [witness, linked] = [listener(one, true), listener(one)];
    for (let n = 0; n < ACTORS; n++) {
      const target = fromOne(two.spawn(Counter, { args: [n] }));
      await witness.ref.call("watch", target);
      await witness.ref.call("link", target);
      await linked.ref.call("link", target);
    }
    await turns();
    await two.shutdown();
    await turns();
    one.handleNodeFailure("two");
    const reasons = (await witness.heard.atLeast(2 * ACTORS)).map(({ type, reason }) => `${type} ${reason.type}`);
    expect(reasons.sort()).toEqual([...Array(ACTORS).fill("down normal"), ...Array(ACTORS).fill("exit normal")]);
    expect(await linked.ref.call("ping")).toBe("alive");
  });
});

describe("from afar", () => {
  it("an actor can be stopped", async () => {
    const { one, two, fromOne } = await pair();
    const target = two.spawn(Counter, { args: [1] });
    await one.stop(fromOne(target));
    expect(two.getActors()).toEqual([]);
  });

  it("an exit signal with a reason of its own arrives intact", async () => {
    const { one, two } = await pair();
    const target = listener(two, true);
    const Sender = createActor((ctx, self) => self.onCast("send", (to: ActorRef) => ctx.exit(to, { code: 7 })));
    const sender = one.spawn(Sender);
    sender.cast("send", one.getRef(target.ref.id));
    const message: ExitMessage = await target.heard.next();
    expect(message.reason).toEqual({ type: "exit", reason: { code: 7 } });
    expect(message.actorRef.id.id).toBe(sender.id.id);
  });

  it("an actor can be spawned, and its ref works at once", async () => {
    const { one, two } = await pair();
    for (const system of [one, two]) system.registerActorClasses([Counter, Echo]);
    const refs = [0, 1].map((i) => one.spawn(Counter, { strategy: "round-robin", args: [i * 10] }));
    for (const ref of refs) ref.cast("set", 5);
    expect(await Promise.all(refs.map((ref) => ref.call("add", 1)))).toEqual([6, 6]);
    expect(refs.map(({ id }) => id.systemId)).toEqual(["one", "two"]);
    expect([one.getActors().length, two.getActors().length]).toEqual([1, 1]);
    expect(await one.spawn(Echo, { strategy: "round-robin" }).call("here")).toEqual({ echo: "here" });
  });

  it("a spawn of what is not registered there rejects its calls", async () => {
    const { one } = await pair();
    one.spawn(Counter, { strategy: "round-robin", args: [0] });
    const ref = one.spawn(Counter, { strategy: "round-robin", args: [0] });
    expect(ref.id.systemId).toBe("two");
    await vi.waitFor(async () => {
      expect(await rejection(ref.call("add", 1))).toBeInstanceOf(ActorClassNotRegisteredError);
    });
  });

  it("a ref that a spawn has given means that actor and none that takes its name later", async () => {
    const { one, two } = await pair();
    two.registerActorClasses([Counter]);
    one.spawn(Counter, { strategy: { node: "one" }, args: [0] });
    const ref = one.spawn(Counter, { strategy: { node: "two" }, name: "counter", args: [1] });
    expect([await ref.call("add", 1), ref.id.name, `${ref}`]).toEqual([2, "counter", "two/counter"]);
    const byName = (await one.getActorByName("counter")) as any;
    const local = (await two.getActorByName("counter")) as any;
    await one.stop(ref);
    expect(await rejection(byName.call("add", 1))).toBeInstanceOf(ActorNotFoundError);
    two.spawn(Counter, { name: "counter", args: [100] });
    ref.cast("set", -1);
    const watcher = listener(one);
    await watcher.ref.call("watch", ref);
    expect((await watcher.heard.next()).reason).toEqual({ type: "normal" });
    await one.stop(ref);
    expect(await rejection(ref.call("add", 1))).toBeInstanceOf(ActorNotFoundError);
    // By the same id from elsewhere, as a ref that was sent on has it.
    expect(await rejection(one.getRef(ref.id).call("add", 1))).toBeInstanceOf(ActorNotFoundError);
    expect(await rejection(local.call("add", 1))).toBeInstanceOf(ActorNotFoundError);
    expect(await byName.call("add", 1)).toBe(101);
  });

  it("a link with an actor that has not got its name breaks, and leaves the one that has it alone", async () => {
    const { one, two } = await pair();
    two.registerActorClasses([Counter]);
    const owner = two.spawn(Counter, { name: "counter", args: [1] });
    const ref = one.spawn(Counter, { strategy: { node: "two" }, name: "counter", args: [2] });
    const linked = listener(one, true);
    await linked.ref.call("link", ref);
    expect((await linked.heard.next()).reason.error).toBeInstanceOf(ActorNotFoundError);
    linked.ref.cast("crash", new Error("that nobody is linked with"));
    await linked.ref.call("ping");
    await turns();
    expect(await owner.call("add", 1)).toBe(2);
  });

  it("nothing of the runtime's own is listed among the actors, and nothing is left when all is over", async () => {
    const { one, two, fromOne } = await pair();
    const target = two.spawn(Counter, { args: [1] });
    const { ref } = listener(one);
    await ref.call("watch", fromOne(target));
    await ref.call("link", fromOne(target));
    await turns();
    expect(one.getActors().map(({ className }) => className)).toEqual(["Listener"]);
    expect(two.getActors().map(({ className }) => className)).toEqual(["Counter"]);
    await two.stop(target);
    await one.stop(ref);
    for (const system of [one, two]) {
      await vi.waitFor(() => {
        const held = Object.entries(system._counters()).filter(([, number]) => number !== 0);
        expect(Object.fromEntries(held)).toEqual({});
      });
    }
  });
});
