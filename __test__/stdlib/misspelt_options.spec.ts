/**
 * An option that there is not is misspelt, and what was meant would have its default: no cookie, no bound, no limit. So
 * it is refused wherever options are taken, and nothing has begun then.
 */

import { beforeEach, describe, expect, it } from "vitest";
import {
  Agent,
  BoundedMailbox,
  Consumer,
  ConsumerSupervisor,
  CookieAuthenticator,
  createActor,
  createSystem,
  DynamicSupervisor,
  GossipProtocol,
  GossipUDP,
  HeartbeatManager,
  InMemoryTransport,
  InvalidOptionError,
  KeyringAuthenticator,
  LocalCluster,
  loggerConfig,
  Producer,
  ProducerConsumer,
  pipeline,
  type System,
  TestCluster,
  waitForCluster,
  ZeroMQTransport,
} from "../../lib/index.js";
import { makeSystem } from "../support/system.js";

const COOKIE = "at least sixteen characters";
const Echo = createActor("Echo", (_ctx, self) => self.onCall("echo", () => "echo"));
const node = (options: object) => createSystem({ type: "distributed", seedNodes: [], port: 0, ...options } as never);
const source = { init: () => 0, handleDemand: () => [[], 0] as [number[], number] };

/** What was refused, or undefined. What was started in spite of it is stopped. */
async function refused(take: (options: never) => unknown, options: object): Promise<unknown> {
  try {
    const taken: any = await take(options as never);
    await (taken?.shutdown ?? taken?.teardown)?.call(taken);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionError);
    return (error as InvalidOptionError).context?.got;
  }
}

describe("a misspelt option is refused by", () => {
  let system: System;
  beforeEach(() => {
    system = makeSystem();
  });
  const cluster = new LocalCluster("n1");
  const transport = new InMemoryTransport("n1");

  it.each<[what: string, take: (options: never) => unknown]>([
    ["createSystem", (options) => createSystem({ type: "local", ...(options as object) })],
    ["createSystem of a node", node],
    ["ports", (options) => node({ ports: { rpc: 0, gossip: 0, ...(options as object) } })],
    ["gossip", (gossip) => node({ gossip })],
    ["ready", (ready) => node({ ready })],
    ["supervision", (supervision) => createSystem({ supervision })],
    ["backoff", (backoff) => createSystem({ supervision: { backoff } })],
    ["mailbox", (mailbox) => createSystem({ mailbox })],
    ["timeouts", (timeouts) => createSystem({ timeouts })],
    ["limits", (limits) => createSystem({ limits })],
    ["spawn", (options) => system.spawn(Echo, options)],
    ["a behaviour's spawn", (options) => Agent.start(system, 0, options)],
    ["call", (options) => system.spawn(Echo).call({ method: "echo" }, options)],
    ["drain", (options) => system.system.drain(options)],
    ["shutdown", (options) => system.shutdown(options)],
    ["registerName", (options) => system.registerName("echo", system.spawn(Echo), options)],
    ["waitForCluster", (options) => waitForCluster(cluster, options)],
    ["DynamicSupervisor", (options) => DynamicSupervisor.start(system, options)],
    ["Producer", (options) => Producer.start(system, source, options)],
    ["Producer.from", (options) => Producer.from(system, [1], options)],
    [
      "dispatcher",
      (options) => Producer.start(system, source, { dispatcher: { type: "demand", ...(options as object) } }),
    ],
    ["ProducerConsumer", (options) => ProducerConsumer.start(system, { handleEvents: (e, _f, s) => [e, s] }, options)],
    ["batches", (options) => Producer.start(system, source).batches(options)],
    ["toReadable", (options) => Producer.start(system, source).toReadable(options)],
    ["child spec", (options) => ConsumerSupervisor.start(system, { actorClass: Echo, ...(options as object) })],
    [
      "spawn options of workers",
      (spawnOptions) => ConsumerSupervisor.start(system, { actorClass: Echo, spawnOptions }),
    ],
    ["become", (options) => system.spawn(createActor((ctx) => ctx.become(() => {}, options)))],
    ["ConsumerSupervisor", (options) => ConsumerSupervisor.start(system, { actorClass: Echo }, options)],
    ["pipeline", (options) => pipeline(system, [1], options)],
    ["run", (options) => pipeline(system, [1]).run(() => {}, options)],
    ["BoundedMailbox", (options) => new BoundedMailbox(options)],
    ["HeartbeatManager", (options) => new HeartbeatManager("n1", transport, cluster, options)],
    ["CookieAuthenticator", (options) => new CookieAuthenticator(COOKIE, options)],
    ["KeyringAuthenticator", (options) => new KeyringAuthenticator(COOKIE, options)],
    ["ZeroMQTransport", (options) => new ZeroMQTransport({ nodeId: "n1", rpcPort: 0, ...(options as object) })],
    ["GossipUDP", (options) => new GossipUDP({ port: 0, ...(options as object) })],
    [
      "GossipProtocol",
      (options) => new GossipProtocol("n1", "tcp://127.0.0.1:5", "127.0.0.1:5", new GossipUDP(0), options),
    ],
    ["TestCluster", (options) => TestCluster.create({ size: 0, ...(options as object) })],
    ["loggerConfig", (options) => loggerConfig.configure(options)],
  ])("%s", async (_, take) => {
    expect(await refused(take, { misspelt: "a secret" })).toBe('"misspelt"');
  });

  it("subscribe", async () => {
    const producer = Producer.start(system, source);
    const consumer = Consumer.start(system, { handleEvents: () => {} });
    expect(await refused((options) => consumer.subscribe(producer, options), { minDemnad: 1 })).toBe('"minDemnad"');
  });

  it("createSystem without a type, which would be local", async () => {
    expect(await refused(createSystem, { typ: "distributed" })).toBe('"typ"');
    expect(() => createSystem({ cookie: COOKIE } as never)).toThrow(
      'expected "distributed", or "local" beside "cookie"',
    );
  });
});

it("an option without a name of its own is what it was: absent, when it is undefined", async () => {
  const system = makeSystem({ misspelt: undefined, port: undefined } as never);
  expect(await system.spawn(Echo, { misspelt: undefined } as never).call("echo")).toBe("echo");
});
