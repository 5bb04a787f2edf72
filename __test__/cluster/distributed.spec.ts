/**
 * Systems that are nodes of a cluster: several in this process, and some in processes that are killed.
 */

import { once } from "node:events";
import {
  Actor,
  ActorClassNotRegisteredError,
  ActorRef,
  Consumer,
  createActor,
  createSystem,
  type DistributedConfig,
  InvalidOptionError,
  loggerConfig,
  NodeDownError,
  Producer,
  type System,
  TimeoutError,
  TransportError,
} from "libeam";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { COOKIE, forkNode, found, gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeProbe } from "../support/probe.js";
import { rejection } from "../support/time.js";

/** Less than a node that ends waits for another one; what comes later than that is not promised. */
const HELD_UP_MS = 300;

beforeEach(() => loggerConfig.configure({ level: "none" }));

/** Nodes of this process that all see each other. */
async function cluster(ids: string[], more: Partial<DistributedConfig> = {}): Promise<System[]> {
  const first = await startNode(ids[0] as string, [], more);
  const others = await Promise.all(ids.slice(1).map((id) => startNode(id, [gossipOf(first)], more)));
  const all = [first, ...others];
  await Promise.all(all.map((system) => system.waitForCluster({ nodes: ids })));
  return all;
}

const Counter = createActor("Counter", (_ctx, self, start: number) => {
  let count = start;
  return self
    .onCall("add", (n: number) => {
      count += n;
      return count;
    })
    .onCall("fail", () => {
      throw new RangeError("too much");
    })
    .onCast("set", (n: number) => {
      count = n;
    });
});

class Echo extends Actor {
  override handleCall(message: any) {
    return message;
  }
}

describe("nodes of a cluster", () => {
  it("call and cast by name, in both directions", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    a.spawn(Counter, { name: "at-a", args: [1] });
    b.spawn(Counter, { name: "at-b", args: [10] });
    const [atB, atA] = await Promise.all([found(a, "at-b"), found(b, "at-a")]);
    atB.cast("set", 100);
    expect(await atB.call("add", 1)).toBe(101);
    expect(await atA.call("add", 1)).toBe(2);
    const error = await rejection(atB.call("fail"));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.stack).toContain("distributed.spec");
  });

  it("deliver 50,000 casts of one tick, in order, before the call behind them", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    const seen: number[] = [];
    const Log = createActor((_ctx, self) =>
      self.onCast("log", (n: number) => void seen.push(n)).onCall("count", () => seen.length),
    );
    b.spawn(Log, { name: "log" });
    const log = await found(a, "log");
    for (let n = 0; n < 50_000; n++) log.cast("log", n);
    expect(await log.call("count", { timeout: 20_000 })).toBe(50_000);
    expect(seen.every((n, i) => n === i)).toBe(true);
  });

  it("answer 512 calls in flight", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    b.spawn(Echo, { name: "echo" });
    const echo = await found(a, "echo");
    const answers = await Promise.all(Array.from({ length: 512 }, (_, n) => echo.call({ n })));
    expect(answers.map(({ n }) => n)).toEqual(Array.from({ length: 512 }, (_, n) => n));
  });

  it("keep the types of values, and refs work on arrival", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    b.spawn(Echo, { name: "echo" });
    const echo = await found(a, "echo");
    const value: any = { map: new Map([[1, new Set([2n])]]), date: new Date(5), u: undefined, bytes: Buffer.from("x") };
    value.self = value;
    const back = await echo.call(value);
    expect(back.map).toEqual(value.map);
    expect([back.date, back.u, back.bytes, back.self]).toEqual([value.date, undefined, value.bytes, back]);
    const counter = a.spawn(Counter, { args: [1] });
    const { ref } = await echo.call({ ref: counter });
    expect(ref).toBeInstanceOf(ActorRef);
    expect(await ref.call("add", 1)).toBe(2);
    const Caller = createActor((_ctx, self) => self.onCall("use", (to: any) => to.call("add", 5)));
    b.spawn(Caller, { name: "caller" });
    expect(await (await found(a, "caller")).call("use", counter)).toBe(7);
  });

  it.each([64 * 1024, 1024 * 1024, 15 * 1024 * 1024])("send %i bytes", async (length) => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    b.spawn(Echo, { name: "echo" });
    const bytes = Buffer.alloc(length, 7);
    const back = await (await found(a, "echo")).call(bytes, { timeout: 20_000 });
    expect(Buffer.compare(back, bytes)).toBe(0);
  });

  it("refuse what is longer than a frame, and what cannot be sent at all", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    b.spawn(Echo, { name: "echo" });
    const echo = await found(a, "echo");
    expect(await rejection(echo.call(Buffer.alloc(17 * 1024 * 1024)))).toBeInstanceOf(TransportError);
    expect(await rejection(echo.call({ fn: () => 1 }))).toBeInstanceOf(TransportError);
    expect(await echo.call("still there")).toBe("still there");
  });

  it("run stages: demand goes to the other node, events come from there", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    const made: number[] = [];
    Producer.start(
      a,
      {
        init: () => 0,
        handleDemand: (demand, from: number) => {
          const count = Math.min(demand, 5_000 - from);
          made.push(count);
          const events = Array.from({ length: count }, (_, i) => from + i);
          return from + count === 5_000 ? [events, from + count, "done"] : [events, from + count];
        },
      },
      {},
      { name: "numbers" },
    );
    const seen: number[] = [];
    const ended = makeProbe<string>();
    const consumer = Consumer.start(b, {
      handleEvents: (events: number[]) => void seen.push(...events),
      handleCancel: ({ type }) => void ended.push(type),
    });
    await consumer.subscribe(await found(b, "numbers"), { maxDemand: 100 });
    expect(await ended.next()).toBe("done");
    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
    expect(Math.max(...made)).toBeLessThanOrEqual(100);
  });

  it("spawn by role, and say what is not registered", async () => {
    const first = await startNode("gateway", [], { roles: ["gateway"] });
    const second = await startNode("worker", [gossipOf(first)], { roles: ["worker"] });
    second.register(Counter);
    await first.waitForCluster(); // The other one may not know of this one yet.
    const ref = first.spawn(Counter, { strategy: "round-robin", role: "worker", args: [5] });
    expect(ref.id.systemId).toBe("worker");
    expect(await ref.call("add", 0)).toBe(5);
    const Unknown = createActor("Unknown", (_ctx, self) => self.onCall("x", () => 1));
    const lost = first.spawn(Unknown, { strategy: "round-robin", role: "worker" });
    await vi.waitFor(async () => expect(await rejection(lost.call("x"))).toBeInstanceOf(ActorClassNotRegisteredError));
  });

  it("agree on one of two actors with a name, and stop the younger one", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    const older = a.spawn(Counter, { name: "leader", args: [1] });
    await new Promise((resolve) => setImmediate(resolve));
    await found(b, "leader");
    const { now } = Date;
    Date.now = () => now() + 10;
    const younger = b.spawn(Counter, { name: "leader", args: [2] });
    Date.now = now;
    await vi.waitFor(async () => expect((await rejection(younger.call("add", 0))).code).toBe("ACTOR_NOT_FOUND"));
    await vi.waitFor(async () => expect((await b.getActorByName("leader"))?.id.systemId).toBe("a"));
    expect(await older.call("add", 0)).toBe(1);
  });

  it("give a name that is asked for at its home to one of three, and stop nobody", async () => {
    const nodes = await cluster(["a", "b", "c"]);
    const names = Array.from({ length: 30 }, (_, n) => `unique-${n}`);
    const refs = nodes.map((node) => node.spawn(Counter, { args: [1] }));
    const asked = names.flatMap((name) =>
      nodes.map((node, i) =>
        node.registerName(name, refs[i] as ActorRef, { consistency: "home" }).then(
          () => name,
          (error) => error.code as string,
        ),
      ),
    );
    const answers = await Promise.all(asked);
    expect(answers.filter((answer) => answer !== "NAME_ALREADY_REGISTERED").sort()).toEqual([...names].sort());
    for (const name of names) {
      const seen = await Promise.all(nodes.map((node) => found(node, name)));
      expect(new Set(seen.map(({ id }) => id.id)).size).toBe(1);
    }
    expect(await Promise.all(refs.map((ref) => ref.call("add", 0)))).toEqual([1, 1, 1]);
  });

  it("do not let a node with another cookie in, and go on", async () => {
    const [a, b] = (await cluster(["a", "b"])) as [System, System];
    const stranger = await startNode("stranger", [gossipOf(a)], { cookie: "quite another cookie, same length" });
    b.spawn(Echo, { name: "echo" });
    const echo = await found(a, "echo");
    for (let i = 0; i < 20; i++) expect(await echo.call(i)).toBe(i);
    expect(stranger.cluster.getMembers()).toEqual(["stranger"]);
    expect(a.cluster.getMembers().sort()).toEqual(["a", "b"]);
  });

  it("change their cookie under load without a failed call, and then let only the new one in", async () => {
    const nodes = (await cluster(["a", "b", "c"])) as [System, System, System];
    const [a, b, c] = nodes;
    for (const node of [b, c]) node.spawn(Echo, { name: `echo@${node.nodeId}` });
    const echoes = await Promise.all(["echo@b", "echo@c"].map((name) => found(a, name)));
    let [rotating, answered] = [true, 0];
    const callers = Array.from({ length: 8 }, async (_, i) => {
      for (let n = 0; rotating; n++) {
        expect(await echoes[i % 2].call(n)).toBe(n);
        answered++;
      }
    });
    const progress = async () => {
      const from = answered;
      await vi.waitFor(() => expect(answered).toBeGreaterThan(from + 200), 10_000);
    };
    const before = a.keyring?.list()[0];
    for (const step of [
      (node: System) => node.keyring?.install("the next cookie of this cluster"),
      (node: System) => node.keyring?.use(),
      (node: System) => node.keyring?.remove(),
    ]) {
      for (const node of nodes) {
        await step(node);
        await progress();
      }
    }
    rotating = false;
    await Promise.all(callers);
    expect(a.keyring?.list()).toEqual(b.keyring?.list());
    expect(a.keyring?.list()).not.toContain(before);
    const late = await startNode("late", [gossipOf(a)], { cookie: "the next cookie of this cluster" });
    await late.waitForCluster({ nodes: ["a", "b", "c"], timeout: 10_000 });
    expect(await (await found(late, "echo@b")).call("hello")).toBe("hello");
    const outdated = await startNode("outdated", [gossipOf(a)]);
    expect(await rejection(outdated.waitForCluster({ timeout: 300 }))).toBeInstanceOf(TimeoutError);
  });

  it("reject bad settings, and a cluster that is not ready in time", async () => {
    const config: DistributedConfig = {
      type: "distributed",
      seedNodes: [],
      port: 0,
      bindAddress: "127.0.0.1",
      cookie: COOKIE,
    };
    expect(await rejection(createSystem({ ...config, seedNodes: "x" as never }))).toBeInstanceOf(InvalidOptionError);
    expect((await rejection(createSystem({ ...config, cookie: "short" }))).code).toBe("INVALID_COOKIE");
    const error = await rejection(createSystem({ ...config, ready: { minMembers: 2, timeout: 30 } }));
    expect(error).toBeInstanceOf(TimeoutError);
  });
});

it("D18: a node that ends has said everything before its goodbye: casts, the answer, why its actors have ended", async () => {
  const [a, b] = (await cluster(["a", "b"])) as [System, System];
  const heard = makeProbe<number | string>();
  const Listener = createActor((ctx, self) =>
    self
      .onCall("watch", (ref: ActorRef) => void ctx.watch(ref))
      .onCast("take", ({ length }: Buffer) => heard.push(length))
      .onInfo("down", ({ reason }) => heard.push(reason.type)),
  );
  const Speaker = createActor((_ctx, self) =>
    self.onCall("last", (to: ActorRef, load: Buffer) => {
      for (let casts = 0; casts < 8; casts++) to.cast({ method: "take", args: [load] });
      setImmediate(() => void b.shutdown());
      return "answer";
    }),
  );
  const listener = a.spawn(Listener, { name: "listener" });
  b.spawn(Speaker, { name: "speaker" });
  const speaker = await found(a, "speaker");
  await listener.call("watch", speaker);
  const LENGTH = 4 << 20;
  expect(await speaker.call("last", listener, Buffer.alloc(LENGTH), { timeout: 30_000 })).toBe("answer");
  await heard.find((event) => typeof event === "string");
  expect(heard.events).toEqual([...Array(8).fill(LENGTH), "normal"]);
  await vi.waitFor(() => expect(a.cluster.getMembers()).toEqual(["a"]), 5_000);
});

it("D18: a node that ends tells of each of many idle actors that it has ended normally, watched or linked", async () => {
  const [a, b] = (await cluster(["a", "b"])) as [System, System];
  const ACTORS = 200;
  const Idle = createActor((_ctx, self) => self.onCall("ping", () => "pong"));
  const heard = makeProbe<string>();
  const Witness = createActor((ctx, self) => {
    ctx.setTrapExit(true);
    const tie = (ref: ActorRef): void => {
      ctx.watch(ref);
      ctx.link(ref);
    };
    return self
      .onCall("tie", (refs: ActorRef[]) => refs.forEach(tie))
      .onInfo("down", ({ reason }) => heard.push(`down ${reason.type}`))
      .onInfo("exit", ({ reason }) => heard.push(`exit ${reason.type}`));
  });
  const idle = Array.from({ length: ACTORS }, () => a.system.getRef(b.spawn(Idle).id) as any);
  await a.spawn(Witness).call("tie", idle);
  await Promise.all(idle.map((ref) => ref.call("ping"))); // Behind the watches and links.
  await b.shutdown();
  const reasons = await heard.atLeast(2 * ACTORS);
  expect(reasons.sort()).toEqual([...Array(ACTORS).fill("down normal"), ...Array(ACTORS).fill("exit normal")]);
});

describe("a node in a process of its own", () => {
  it("is killed: calls to it reject, watches tell, its names are free; it comes back with a new one", async () => {
    const home = await startNode("home");
    const { child: victim } = await forkNode("victim", [gossipOf(home)]);
    const worker = await found(home, "worker@victim");
    expect(await worker.call("where")).toBe("victim");
    const heard = makeProbe<any>();
    const Watcher = createActor((ctx, self) => {
      ctx.watch(worker);
      return self.onInfo("down", (message) => void heard.push(message.reason));
    });
    home.spawn(Watcher);
    const stuck = worker.call("stuck", { timeout: Number.POSITIVE_INFINITY });
    victim.kill("SIGKILL");
    expect(["NODE_DOWN", "TRANSPORT_ERROR"]).toContain((await rejection(stuck)).code);
    expect(await heard.next()).toEqual({ type: "killed" });
    expect(heard.events).toHaveLength(1);
    await vi.waitFor(async () => expect(await home.getActorByName("worker@victim")).toBeNull(), 10_000);
    await forkNode("victim", [gossipOf(home)]);
    const again = await found(home, "worker@victim");
    expect(await again.call("add", 5, { timeout: 10_000 })).toBe(5);
  });

  it("says goodbye and ends by itself", async () => {
    const home = await startNode("home");
    const { child: other } = await forkNode("other", [gossipOf(home)]);
    await found(home, "worker@other");
    const ended = once(other, "exit");
    other.send("shutdown");
    expect((await ended)[0]).toBe(0);
    await vi.waitFor(() => expect(home.cluster.getMembers()).toEqual(["home"]), 5_000);
  });

  it("has its last answers heard by one that was held up and finds the goodbye as well", async () => {
    const home = await startNode("home");
    const { child: other } = await forkNode("other", [gossipOf(home)]);
    const worker = await found(home, "worker@other");
    const ended = once(other, "exit");
    // More than is read at once.
    const calls = [...Array.from({ length: 8 }, () => worker.call("load", 1 << 20)), worker.call("last")];
    await new Promise(setImmediate); // They are under way.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HELD_UP_MS);
    expect((await Promise.all(calls)).at(-1)).toBe("said");
    await ended;
  });
});

it("a call that waits for a node that is lost is refused with NodeDownError", async () => {
  const [a, b] = (await cluster(["a", "b"])) as [System, System];
  const Stuck = createActor((_ctx, self) => self.onCall("wait", () => new Promise<void>(() => {})));
  b.spawn(Stuck, { name: "stuck" });
  const call = (await found(a, "stuck")).call("wait", { timeout: 60_000 });
  a.system.handleNodeFailure("b");
  expect(await rejection(call)).toBeInstanceOf(NodeDownError);
});
