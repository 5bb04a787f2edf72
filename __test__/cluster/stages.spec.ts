/**
 * Stages of different nodes: sentence G10 of docs/SEMANTICS.md. Nothing between them is lost, comes twice or out of order,
 * whatever the transport does.
 */

import { InMemoryTransport, Producer, ProducerConsumer, type System, TransportError } from "libeam";
import { describe, expect, it } from "vitest";
import { Codec, type MakeRef } from "../../lib/cluster/codec.js";
import { Dice } from "../support/dice.js";
import { startPair } from "../support/in_memory_pair.js";
import { gossipOf, startNode } from "../support/loopback_nodes.js";
import { makeProbe } from "../support/probe.js";
import { printedSeed } from "../support/seed.js";
import { collect, countUp, eventually, range, silent } from "../support/stages.js";
import { rejection } from "../support/time.js";

/** What becomes of a request. */
type Fate = "served" | "refused" | "lost" | "answer lost" | "impossible";

/** Requests are copied, as between processes. */
class RoughTransport extends InMemoryTransport {
  readonly codec = new Codec();
  fate: () => Fate = () => "served";
  /** The request whose fate is asked for. */
  last: any;
  /** What was not served, or not answered. */
  readonly failed = makeProbe<Fate>();

  makeRefs(makeRef: MakeRef): void {
    this.codec.makeRef = makeRef;
  }

  override onRequest(handler: (message: unknown) => unknown): void {
    super.onRequest((bytes) => handler(this.codec.decode(bytes)));
  }

  override async request(node: string, message: unknown, timeout: number): Promise<unknown> {
    const bytes = this.codec.encode(message);
    this.last = message;
    const fate = this.fate();
    if (fate === "served") return super.request(node, bytes, timeout);
    this.failed.push(fate);
    if (fate === "refused") throw new TransportError("too much waits for it already", node, undefined, "queue_full");
    if (fate === "impossible") throw new TypeError("such requests are none of mine");
    if (fate === "answer lost") await super.request(node, bytes, timeout);
    throw new TransportError("the connection was lost before it answered", node);
  }
}

/** Two nodes of this process, and the transport of each. */
async function roughPair() {
  const { one, two, transports } = await startPair((node) => new RoughTransport(node));
  const [a, b] = transports;
  return { one: one as any, two: two as any, a, b };
}

/** Whether a request is to watch an actor. */
function isWatch(request: any): boolean {
  return request.body?.kind === "watch";
}

/** A stage of one node as another node sees it. */
function seenFrom(system: any, stage: { getRef(): { id: any } }) {
  return system.getRef(stage.getRef().id);
}

describe("over a transport that refuses, and loses requests and answers,", () => {
  it("G10: every event arrives once and in order, and the end behind them", async () => {
    const dice = new Dice(printedSeed());
    const { one, two, a, b } = await roughPair();
    const { producer } = countUp(one, { end: 1_000, done: true });
    const middle = ProducerConsumer.start(two, { handleEvents: (events: number[], _from, state) => [events, state] });
    const { consumer, seen, ends } = collect(one);
    await middle.subscribe(seenFrom(two, producer), { maxDemand: 100 });
    await consumer.subscribe(seenFrom(one, middle), { maxDemand: 60 });
    const fate = (): Fate => (dice.chance(0.8) ? "served" : dice.pick(["refused", "lost", "answer lost"]));
    Object.assign(a, { fate });
    Object.assign(b, { fate });
    expect((await ends.next()).reason.type).toBe("done");
    expect(seen.events).toEqual(range(0, 1_000));
    expect(a.failed.events.length + b.failed.events.length).toBeGreaterThan(0);
  });

  it("the demand of a consumer waits, and so do the events of its producer", async () => {
    const { one, two, a, b } = await roughPair();
    const { producer } = silent(one);
    const { consumer, seen } = collect(two);
    await consumer.subscribe(seenFrom(two, producer), { maxDemand: 10 });
    b.fate = () => "refused";
    await b.failed.next();
    expect(await producer.getDemand()).toBe(0);
    a.fate = () => "refused";
    b.fate = () => "served";
    await eventually(async () => (await producer.getDemand()) === 10);
    for (const event of range(0, 10)) producer.emit([event]);
    await a.failed.next();
    a.fate = () => "served";
    expect(await seen.take(10)).toEqual(range(0, 10));
  });

  it("a cancellation arrives, and nobody is held back", async () => {
    const { one, two, b } = await roughPair();
    const { producer } = countUp(one, { dispatcher: { type: "broadcast" }, demand: "accumulate", end: 100 });
    const [far, near] = [collect(two), collect(one)];
    const subscription = await far.consumer.subscribe(seenFrom(two, producer), { maxDemand: 10 });
    await near.consumer.subscribe(producer, { maxDemand: 10 });
    await eventually(async () => (await producer.getDemand()) === 20);
    b.fate = () => "lost";
    far.consumer.cancel(subscription);
    await b.failed.next();
    producer.demand("forward");
    b.fate = () => "served";
    expect(await near.seen.take(100)).toEqual(range(0, 100));
  });

  it("a subscription that was made and not confirmed is taken back", async () => {
    const { one, two, b } = await roughPair();
    const { producer } = silent(one, { dispatcher: { type: "partition", partitions: 1 } });
    const { consumer } = collect(two);
    b.fate = () => "answer lost";
    const refused = rejection(consumer.subscribe(seenFrom(two, producer), { partition: 0 }));
    await b.failed.next();
    b.fate = () => "served";
    expect(await refused).toBeInstanceOf(TransportError);
    await eventually(async () => (await producer.stats()).downstream.length === 0);
    await consumer.subscribe(seenFrom(two, producer), { partition: 0 });
  });

  it.each(["producer", "consumer"])(
    "a subscription whose %s cannot watch the other side ends on both",
    async (side) => {
      const { one, two, a, b } = await roughPair();
      const { producer } = countUp(one, { dispatcher: { type: "broadcast" }, end: 100, demand: "accumulate" });
      const [far, near] = [collect(two), collect(one)];
      await near.consumer.subscribe(producer, { maxDemand: 10 });
      const transport = side === "producer" ? a : b;
      transport.fate = () => (isWatch(transport.last) ? "impossible" : "served");
      await far.consumer.subscribe(seenFrom(two, producer), { maxDemand: 10 });
      expect((await far.ends.next()).reason.type).toBe("killed");
      await eventually(async () => (await producer.stats()).downstream.length === 1);
      expect((await far.consumer.stats()).upstream).toEqual([]);
      producer.demand("forward");
      expect(await near.seen.take(100)).toEqual(range(0, 100));
    },
  );

  it("a subscription outlives connections that are lost before both sides watch each other", async () => {
    const { one, two, a, b } = await roughPair();
    const { producer } = countUp(one, { end: 100 });
    const { consumer, seen, ends } = collect(two);
    for (const transport of [a, b]) {
      let losses = 3;
      transport.fate = () => (isWatch(transport.last) && losses-- > 0 ? "lost" : "served");
    }
    await consumer.subscribe(seenFrom(two, producer), { maxDemand: 10 });
    expect(await seen.take(100)).toEqual(range(0, 100));
    await Promise.all([a, b].map(({ failed }) => failed.atLeast(3)));
    expect(ends.events).toEqual([]);
  });

  it("a producer that is done stays until its consumers have heard of it", async () => {
    const { one, two, a } = await roughPair();
    const { producer } = countUp(one, { end: 5, done: true, demand: "accumulate" });
    const { consumer, seen, ends } = collect(two);
    await consumer.subscribe(seenFrom(two, producer), { maxDemand: 10 });
    await eventually(async () => (await producer.getDemand()) === 10);
    a.fate = () => "refused";
    producer.demand("forward");
    await a.failed.take(3);
    expect((await producer.stats()).dispatched).toBe(5);
    a.fate = () => "served";
    expect((await ends.next()).reason.type).toBe("done");
    expect(seen.events).toEqual(range(0, 5));
    await eventually(() =>
      producer.stats().then(
        () => false,
        ({ code }) => code === "ACTOR_NOT_FOUND",
      ),
    );
  });
});

describe("events that a message between nodes cannot hold", () => {
  async function cluster(): Promise<[System, System]> {
    const a = await startNode("a");
    const b = await startNode("b", [gossipOf(a)]);
    await Promise.all([a, b].map((node) => node.waitForCluster({ nodes: ["a", "b"] })));
    return [a, b];
  }

  it("together are sent in parts", async () => {
    const [a, b] = await cluster();
    const producer = Producer.from(
      a,
      range(0, 40).map((n) => ({ n, payload: Buffer.alloc(1 << 20, n) })),
    );
    const { consumer, seen, ends } = collect<{ n: number; payload: Buffer }>(b);
    await consumer.subscribe(seenFrom(b.system, producer));
    expect((await ends.next()).reason.type).toBe("done");
    expect(seen.events.map(({ n }) => n)).toEqual(range(0, 40));
  });

  it("G10: each, or not at all, are discarded and counted, and others take their place", async () => {
    const [a, b] = await cluster();
    const make = (n: number) => (n % 10 === 3 ? () => n : n === 17 ? Buffer.alloc(17 << 20) : n);
    const { producer } = silent(a);
    const { consumer, seen } = collect(b);
    await consumer.subscribe(seenFrom(b.system, producer), { maxDemand: 4, minDemand: 0 });
    producer.emit(range(0, 40).map(make) as number[]);
    expect(await seen.take(35)).toEqual(range(0, 40).filter((n) => n % 10 !== 3 && n !== 17));
    expect(await producer.stats()).toMatchObject({ discarded: 5, dispatched: 35, buffered: 0 });
    expect((await consumer.stats()).upstream).toMatchObject([{ pending: 4 - (35 % 4), events: 35 }]);
  });

  it("keep nobody else from them", async () => {
    const [a, b] = await cluster();
    const { producer } = silent(a, { dispatcher: { type: "broadcast" } });
    const [far, near] = [collect(b), collect<any>(a)];
    await far.consumer.subscribe(seenFrom(b.system, producer), { maxDemand: 2, minDemand: 0 });
    await near.consumer.subscribe(producer, { maxDemand: 2, minDemand: 0 });
    producer.emit([0, () => 1, 2, 3, 4] as any[]);
    expect(await far.seen.take(4)).toEqual([0, 2, 3, 4]);
    expect((await near.seen.take(5)).map((event) => typeof event)).toEqual([
      "number",
      "function",
      "number",
      "number",
      "number",
    ]);
  });
});
