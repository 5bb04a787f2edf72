/**
 * Errors that cannot be sent to another node as they were thrown: whoever is to be told of an end, or of a start that has
 * failed, is told all the same, with a substitute.
 */

import { type ActorRef, createActor, type DistributedSystem, loggerConfig } from "libeam";
import { beforeEach, describe, expect, it } from "vitest";
import { gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeProbe, type Probe } from "../support/probe.js";
import { rejection } from "../support/time.js";

const TOO_LONG = 17 << 20;

/** What a crash may throw, by name; a function is called for it. */
const THROWN: Record<string, () => unknown> = {
  "a function in its cause": () => new RangeError("crash", { cause: { retry() {} } }),
  "a function in its context": () => Object.assign(new RangeError("crash"), { context: { retry() {} } }),
  "a symbol as its code": () => Object.assign(new RangeError("crash"), { code: Symbol("code") }),
};

const substituteOf = (error: any): unknown => [error.name, error.message, error.cause?.code, error.cause?.message];
const SUBSTITUTE = ["RangeError", "crash", "TRANSPORT_ERROR", expect.stringMatching(/^The error could not be sent/)];

let a: DistributedSystem;
let b: DistributedSystem;
/** What the witness hears, as `[type of the message, reason]`. */
let heard: Probe<[string, any]>;

const Victim = createActor("Victim", (ctx, self) =>
  self
    .onCast("crash", (what: string) => {
      throw THROWN[what]?.();
    })
    .onCast("throw", (kind: "function" | "long") => {
      throw kind === "function" ? () => 1 : new RangeError("x".repeat(TOO_LONG));
    })
    .onCast("exit", () => ctx.exit(() => 1))
    .onCall("fail", (what: string) => {
      throw THROWN[what]?.();
    })
    .onCall("result", () => ({ failure: { error: "none" }, retry() {} }))
    .onCall("ping", () => "pong"),
);

const Failing = createActor("Failing", (_ctx, self, what: string) => {
  if (what !== undefined) throw THROWN[what]?.();
  return self.onCall("ping", () => "pong");
});

const Witness = createActor("Witness", (ctx, self) => {
  ctx.setTrapExit(true);
  return self
    .childSupervision({ strategy: "Stop" })
    .onCall("tie", (ref: ActorRef) => {
      ctx.watch(ref);
      ctx.link(ref);
    })
    .onCall("spawn", (failure?: string) => {
      const strategy = { node: "b" };
      const ref =
        failure === undefined ? ctx.spawn(Victim, { strategy }) : ctx.spawn(Failing, { strategy, args: [failure] });
      ctx.watch(ref);
      return ref;
    })
    .onInfo("down", ({ reason }) => heard.push(["down", reason]))
    .onInfo("exit", ({ reason }) => heard.push(["exit", reason]));
});

beforeEach(async () => {
  loggerConfig.configure({ level: "none" });
  heard = makeProbe();
  a = await startNode("a");
  b = await startNode("b", [gossipOf(a)], { supervision: { strategy: "Stop" } });
  for (const node of [a, b]) for (const actor of [Victim, Failing]) node.register(actor);
  await Promise.all([a, b].map((node) => node.waitForCluster({ nodes: ["a", "b"], timeout: 10_000 })));
});

/** An actor of `b`, watched and linked from `a`. */
async function tied(): Promise<any> {
  const victim = a.system.getRef(b.spawn(Victim).id) as any;
  await a.spawn(Witness).call("tie", victim);
  await victim.call("ping"); // Behind the watch and the link.
  return victim;
}

describe("D19: a watch and a link end when the actor crashes with an error that has", () => {
  it.each(Object.keys(THROWN))("%s", async (what) => {
    (await tied()).cast("crash", what);
    const told = await heard.take(2);
    expect(told.map(([type]) => type).sort()).toEqual(["down", "exit"]);
    for (const [, { type, error }] of told) expect([type, substituteOf(error)]).toEqual(["error", SUBSTITUTE]);
  });
});

describe("a watch and a link end when the actor", () => {
  it("throws what is no error", async () => {
    (await tied()).cast("throw", "function");
    for (const [, { error }] of await heard.take(2)) expect(error.message).toBe("() => 1");
  });

  it("crashes with an error longer than a message may be, which is cut", async () => {
    (await tied()).cast("throw", "long");
    for (const [, { error }] of await heard.take(2)) {
      expect([error.name, error.message.length < TOO_LONG]).toEqual(["RangeError", true]);
      expect(error.message).toMatch(/^x{1000,}…$/);
      expect(error.cause.message).toMatch(/longer than a frame may be/);
    }
  });

  it("leaves with a reason of its own that cannot be sent", async () => {
    (await tied()).cast("exit");
    for (const [, { type, reason }] of await heard.take(2)) {
      expect([type, reason.message]).toEqual(["exit", "() => 1"]);
    }
  });
});

it("an exit signal with a reason that cannot be sent takes the actor down, with a substitute for the reason", async () => {
  a.system.sendExit(a.spawn(Witness), await tied(), () => 1);
  for (const [, { type, reason }] of await heard.take(2)) expect([type, reason.message]).toEqual(["exit", "() => 1"]);
});

it("D19: calls to an actor that could not be spawned reject with a substitute of what its init has thrown", async () => {
  const ref = a.spawn(Failing, { strategy: { node: "b" }, args: ["a function in its cause"] });
  expect(substituteOf(await rejection(ref.call("ping")))).toEqual(SUBSTITUTE);
});

it("D19: a call whose handler throws such an error rejects with a substitute", async () => {
  const ref = a.system.getRef(b.spawn(Victim).id) as any;
  expect(substituteOf(await rejection(ref.call("fail", "a symbol as its code")))).toEqual(SUBSTITUTE);
});

it("a child on another node that crashes with such an error ends as its parent's strategy says", async () => {
  const child = (await a.spawn(Witness).call("spawn")) as any;
  expect(await child.call("ping")).toBe("pong");
  child.cast("crash", "a function in its cause");
  const [[, { type, error }]] = (await heard.take(1)) as [[string, any]];
  expect([type, substituteOf(error)]).toEqual(["error", SUBSTITUTE]);
});

it("a child on another node whose init throws such an error has crashed with a substitute", async () => {
  await a.spawn(Witness).call("spawn", "a function in its context");
  const [[, { type, error }]] = (await heard.take(1)) as [[string, any]];
  expect([type, substituteOf(error)]).toEqual(["error", SUBSTITUTE]);
});

it("a result that cannot be sent rejects the call and says so, whatever it looks like", async () => {
  const ref = a.system.getRef(b.spawn(Victim).id) as any;
  expect(await rejection(ref.call("result"))).toMatchObject({
    code: "TRANSPORT_ERROR",
    context: { reason: "unsendable" },
  });
});
