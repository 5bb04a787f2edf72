/**
 * Arguments that parts of the public surface cannot use: each is refused with a libeam error that says what was expected,
 * where it is given, and not later by whoever stumbles over it.
 */

import { beforeEach, describe, expect, it } from "vitest";
import {
  BoundedMailbox,
  combineHealthStatus,
  DistributedRegistry,
  HealthAggregator,
  HeartbeatManager,
  InMemoryTransport,
  InvalidArgumentError,
  InvalidOptionError,
  IterableConsumer,
  isClusterReady,
  LocalCluster,
  PlacementEngine,
  ProcessGroupManager,
  Producer,
  pipeline,
  RegistrySync,
  type System,
  telemetry,
  VectorClock,
  ZeroMQTransport,
} from "../../lib/index.js";
import { makeSystem } from "../support/system.js";
import { thrown } from "../support/time.js";

const cluster = new LocalCluster("n1");
const transport = new InMemoryTransport("n1");
const clock = new VectorClock(new Map([["a", 1]]));
const health = { getHealth: () => ({ name: "part", status: "healthy" as const }) };
const source = { init: () => 0, handleDemand: () => [[], 0] as [number[], number] };
const keys = { publicKey: "p".repeat(40), secretKey: "s".repeat(40) };

describe("an argument is refused by", () => {
  it.each<[what: string, use: (value: any) => unknown, values: unknown[]]>([
    ["VectorClock", (counts) => new VectorClock(counts), [null, 5, {}, new Map([["a", -1]]), new Map([[5, 1]])]],
    ["VectorClock.increment", (id) => new VectorClock().increment(id), [undefined, 5, "", Symbol("id")]],
    ["VectorClock.merge", (other) => clock.merge(other), [undefined, null, {}, new Map()]],
    ["VectorClock.compare", (other) => clock.compare(other), [undefined, null, {}, { get: () => 1 }]],
    ["VectorClock.isLessThan", (other) => clock.isLessThan(other), [undefined, {}]],
    ["VectorClock.isGreaterThan", (other) => clock.isGreaterThan(other), [undefined, {}]],
    ["VectorClock.isConcurrent", (other) => clock.isConcurrent(other), [undefined, {}]],
    ["combineHealthStatus", combineHealthStatus, [undefined, null, "healthy", ["sick"], [undefined]]],
    ["HealthAggregator", (id) => new HealthAggregator(id), [undefined, 5, ""]],
    [
      "HealthAggregator.register",
      (name) => new HealthAggregator("n1").register(name, health),
      [undefined, 5, Symbol("s")],
    ],
    ["telemetry.span", (fn) => telemetry.span(["app", "work"], {}, fn), [undefined, null, 5, {}]],
    ["isClusterReady", (members) => isClusterReady(members), [undefined, null, "n1"]],
    ["InMemoryTransport", (id) => new InMemoryTransport(id), [undefined, 5, ""]],
    ["InMemoryTransport.setPeer", (peer) => transport.setPeer("n2", peer), [undefined, null, {}, "n2"]],
    ["InMemoryTransport.onRequest", (handler) => transport.onRequest(handler), [undefined, 5, {}]],
    ["InMemoryTransport.onMessage", (handler) => transport.onMessage(handler), [undefined, 5, {}]],
    ["PlacementEngine", (given) => new PlacementEngine(given), [undefined, null, {}, "n1"]],
    ["BoundedMailbox.replaceWith", (all) => new BoundedMailbox({}).replaceWith(all), [undefined, 5, {}]],
    [
      "ProcessGroupManager.join",
      (member) => new ProcessGroupManager("n1", transport, cluster).join("g", member),
      [null, 5],
    ],
    [
      "HeartbeatManager.handlePing",
      (ping) => new HeartbeatManager("n1", transport, cluster).handlePing(ping),
      [null, 5],
    ],
    ["DistributedRegistry", (sync) => new DistributedRegistry("n1", sync), [undefined, {}, transport]],
    [
      "DistributedRegistry.onConflict",
      (handler) => new DistributedRegistry("n1", new RegistrySync("n1", transport, cluster)).onConflict(handler),
      [undefined, {}],
    ],
    ["IterableConsumer.start", (system) => IterableConsumer.start(system), [undefined, {}]],
    ["Producer.start", (system) => Producer.start(system, source), [undefined, {}]],
    ["Producer.from", (system) => Producer.from(system, [1]), [undefined, {}]],
    ["register", (definition) => makeSystem().register(definition), [undefined, null, 5, "Echo", {}, () => {}]],
    ["pipeline", (system) => pipeline(system, [1]), [undefined, {}]],
    [
      "ZeroMQTransport.rotateCurveKeys",
      (accepted) => new ZeroMQTransport({ nodeId: "n1", rpcPort: 0 }).rotateCurveKeys(keys, accepted),
      [null, "key", [5]],
    ],
    [
      "ZeroMQTransport.rotateCurveKeys, for the pair",
      (pair) => new ZeroMQTransport({ nodeId: "n1", rpcPort: 0 }).rotateCurveKeys(pair),
      [undefined, {}, { publicKey: "p" }],
    ],
  ])("%s", (_, use, values) => {
    for (const value of values)
      expect(
        thrown(() => use(value)),
        String(value),
      ).toBeInstanceOf(InvalidArgumentError);
  });

  it("InMemoryTransport.subscribe", async () => {
    for (const handler of [undefined, 5, {}] as any[]) {
      await expect(transport.subscribe("topic", handler)).rejects.toBeInstanceOf(InvalidArgumentError);
    }
  });

  describe("readings of stages:", () => {
    let system: System;
    beforeEach(() => {
      system = makeSystem();
    });

    it.each([
      ["Pipeline.batches", (options: any) => pipeline(system, [1]).batches(options)],
      ["IterableConsumer.start", (options: any) => IterableConsumer.start(system, options)],
      ["isClusterReady", (options: any) => isClusterReady(["n1"], options)],
      ["Producer.from", (options: any) => Producer.from(system, [1], options)],
      ["Producer.from, for the spawn", (options: any) => Producer.from(system, [1], {}, options)],
      ["Producer.toReadable", (options: any) => Producer.start(system, source).toReadable(options)],
      ["Producer.toNodeStream", (options: any) => Producer.start(system, source).toNodeStream(options)],
      ["Pipeline.toReadable", (options: any) => pipeline(system, [1]).toReadable(options)],
      ["Pipeline.toNodeStream", (options: any) => pipeline(system, [1]).toNodeStream(options)],
    ])("%s", (_, read) => {
      for (const options of [null, 5, { misspelt: 1 }]) {
        expect(thrown(() => read(options))).toBeInstanceOf(InvalidOptionError);
      }
    });
  });
});
