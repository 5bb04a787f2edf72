/**
 * A blocked event loop: who is named, with what, and what it leaves alone.
 */

import {
  Actor,
  createActor,
  createSystem,
  InvalidOptionError,
  type LogEntry,
  loggerConfig,
  TelemetryEvents,
  telemetry,
} from "libeam";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeProbe, type Probe } from "../support/probe.js";
import { block, rejection, thrown, turn } from "../support/time.js";

const BUSY_MS = 40;
const HUNG_MS = 4_000;
/** How long is waited for a watch that does not notice. */
const PATIENCE_MS = 10_000;

interface Told {
  numbers: Record<string, number>;
  facts: Record<string, any>;
}

let told: Probe<Told>;
let logged: Probe<LogEntry>;
const { level, handler } = loggerConfig;

beforeEach(() => {
  told = makeProbe();
  logged = makeProbe();
  loggerConfig.configure({ level: "debug", handler: (entry) => void logged.push(entry) });
  telemetry.attach(
    "spec",
    [TelemetryEvents.system.loop],
    (_name, numbers, facts) => void told.push({ numbers, facts }),
  );
});

afterEach(() => {
  telemetry.reset();
  loggerConfig.configure({ level, handler });
});

const makeSystem = () => createSystem({ nodeId: "n1", limits: { loopBusyMs: BUSY_MS, loopHungMs: HUNG_MS } });

/** What was told of a handler. A machine that is slow itself may cause blocks without one. */
const ofHandler = (name: string): Promise<Told> => told.find(({ facts }) => facts.handler === name);

/** Keeps the loop until the watch has noticed: then the handler that runs is the one that is named. */
function blockUntilNoticed(system: unknown): void {
  const { overdue } = (system as any).system.kernel;
  for (let n = 0; n < PATIENCE_MS && overdue[0] === 0; n++) block(1);
}

const Worker = createActor("Worker", (ctx, self, system: any) => {
  const hold = (): void => blockUntilNoticed(system);
  return self
    .onCall("compute", hold)
    .onCall("fail", () => {
      hold();
      throw new Error("too hard");
    })
    .onCall("later", async () => {
      await turn();
      hold();
    })
    .onCall("ask", (other: any) => other.call("compute"))
    .onCast("reindex", hold)
    .onInfo("timeout", () => {
      self.setIdleTimeout(0);
      hold();
    })
    .onCall("rest", () => self.setIdleTimeout(1))
    .onCall("spawn", () => void ctx.spawn(createActor("Child", hold)))
    .onTerminate(() => system.blocksAtEnd && hold());
});

class Reporter extends Actor {
  private system: any;
  override init(system: any): void {
    this.system = system;
  }
  override handleCast(): void {
    blockUntilNoticed(this.system);
  }
}

describe("a handler that blocks the event loop", () => {
  it.each([
    ["a call", "compute", (ref: any) => ref.call("compute")],
    ["a call that throws", "fail", (ref: any) => rejection(ref.call("fail"))],
    [
      "a call with options, out of the mailbox",
      "compute",
      (ref: any) => [ref.cast("x"), ref.call("compute", { timeout: 9_000 })],
    ],
    ["a cast", "reindex", (ref: any) => ref.cast("reindex")],
    ["an info message", "handleInfo", (ref: any) => ref.call("rest")],
  ])("is named with its actor: %s", async (_what, name, run) => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: [system] });
    await run(ref);
    const { numbers, facts } = await ofHandler(name);
    expect(numbers.blocked_ms).toBeGreaterThanOrEqual(BUSY_MS);
    const { id } = ref.id;
    expect(facts).toEqual({
      node_id: "n1",
      loop: "busy",
      actor_id: id,
      actor_class: "Worker",
      handler: name,
      continued: false,
    });
    const warning = await logged.find((entry) => entry.level === "warn");
    expect(warning.message).toContain(`in handler "${name}" of actor ${id} (Worker)`);
    expect(warning.context).toMatchObject({ nodeId: "n1", actorId: id, handler: name, blockedMs: numbers.blocked_ms });
    await system.shutdown();
  });

  it("is named by its message if it takes whole ones", async () => {
    const system = makeSystem();
    system.spawn(Reporter, { args: [system] }).cast({ type: "report" } as never);
    expect((await ofHandler("handleCast(report)")).facts).toMatchObject({ actor_class: "Reporter" });
    await system.shutdown();
  });

  it("is told apart from what it did after an await", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: [system] });
    await ref.call("later");
    expect((await ofHandler("later")).facts).toMatchObject({ actor_id: ref.id.id, continued: true });
    expect((await logged.find((entry) => entry.level === "warn")).message).toContain(
      'after an await in handler "later"',
    );
    await system.shutdown();
  });

  it("names its caller if that waits on the same stack", async () => {
    const system = makeSystem();
    const [asks, computes] = [1, 2].map(() => system.spawn(Worker, { args: [system] })) as [any, any];
    await asks.call("ask", computes);
    expect((await ofHandler("compute")).facts).toMatchObject({ actor_id: computes.id.id, caller_id: asks.id.id });
    await system.shutdown();
  });

  it("may be init or terminate", async () => {
    const system: any = makeSystem();
    const ref = system.spawn(Worker, { args: [system] });
    await ref.call("spawn");
    expect((await ofHandler("init")).facts).toMatchObject({ actor_class: "Child", caller_id: ref.id.id });
    system.blocksAtEnd = true;
    await system.stop(ref);
    expect((await ofHandler("terminate")).facts).toMatchObject({ actor_id: ref.id.id });
    await system.shutdown();
  });
});

describe("a blocked event loop", () => {
  it("without a handler is told without a name, and is no warning unless it hangs", async () => {
    const system = makeSystem();
    blockUntilNoticed(system);
    expect((await told.find(({ facts }) => !("handler" in facts))).facts).toEqual({ node_id: "n1", loop: "busy" });
    expect((await logged.find(({ context }) => context.component === "EventLoop")).level).toBe("debug");
    await system.shutdown();
    const other = createSystem({ limits: { loopBusyMs: 20, loopHungMs: 20 } });
    blockUntilNoticed(other);
    const entry = await logged.find(({ level, context }) => level === "warn" && context.state === "hung");
    expect(entry.message).toContain("no handler of an actor ended meanwhile");
    await other.shutdown();
  });

  it("is noticed again, and again", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { args: [system] });
    for (let n = 1; n <= 3; n++) {
      await ref.call("compute");
      await ofHandler("compute");
      told.clear();
    }
    await system.shutdown();
  });

  it("is nobody's business after the shutdown, or if it is not watched", async () => {
    const unwatched: any = createSystem({ limits: { loopBusyMs: Number.POSITIVE_INFINITY } });
    const ended: any = makeSystem();
    await ended.shutdown();
    told.clear();
    block(BUSY_MS * 3);
    await turn();
    expect([unwatched, ended].map(({ system }) => [system.kernel.overdue[0], system.kernel.loop.watch])).toEqual([
      [0, undefined],
      [0, undefined],
    ]);
    expect(told.events).toEqual([]);
    await unwatched.shutdown();
  });
});

it.each([{ loopBusyMs: 0 }, { loopBusyMs: "1" }, { loopBusyMs: 100, loopHungMs: 99 }, { loopHungMs: Number.NaN }])(
  "limits that make no sense are refused: %j",
  (limits) => {
    expect(thrown(() => createSystem({ limits: limits as never }))).toBeInstanceOf(InvalidOptionError);
  },
);
