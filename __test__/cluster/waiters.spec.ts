/**
 * Requests of a ZeroMQTransport on behalf of somebody who looks at the time himself.
 */

import { beforeEach, expect, it } from "vitest";
import type { ZeroMQTransport } from "../../lib/cluster/zeromq_transport.js";
import { PeerNotFoundError, TransportError } from "../../lib/errors.js";
import { makeTransport } from "../support/loopback_transports.js";
import { gate } from "../support/time.js";

let near: ZeroMQTransport;
let far: ZeroMQTransport;

beforeEach(async () => {
  [near, far] = [makeTransport("near"), makeTransport("far")];
  await Promise.all([near.connect(), far.connect()]);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  far.updatePeers([["near", `tcp://${near.address}`]]);
  far.onRequest((message: any) => (message === "fail" ? Promise.reject(new RangeError("far too far")) : message));
  await near.request("far", "hello", 10_000);
});

/** A waiter, and what it is told. */
function waiterFor(node: string) {
  const told = gate<["answered" | "refused", unknown]>();
  const waiter = {
    node,
    answered: (answer: unknown) => void told.open(["answered", answer]),
    refused: (error: unknown) => void told.open(["refused", error]),
  };
  return { waiter, told: told.promise };
}

/** A waiter that keeps all that it is told: what it throws would only be logged. */
function recorderFor(node: string) {
  const told: unknown[] = [];
  const keep = (what: unknown): void => void told.push(what);
  return { waiter: { node, answered: keep, refused: keep }, told };
}

it("are answered, or refused with what the handler threw", async () => {
  const [well, badly] = [waiterFor("far"), waiterFor("far")];
  near.ask(well.waiter, ["a", 1]);
  near.ask(badly.waiter, "fail");
  expect(await well.told).toEqual(["answered", ["a", 1]]);
  expect(await badly.told).toEqual(["refused", expect.any(RangeError)]);
});

it("tell nothing to who does not wait any more, and everything to who asks next", async () => {
  const { waiter, told } = recorderFor("far");
  const number = near.ask(waiter, "late");
  near.forget(number);
  const next = waiterFor("far");
  near.ask(next.waiter, "next");
  expect(await next.told).toEqual(["answered", "next"]);
  near.forget(number);
  expect(told).toEqual([]);
});

it("are refused when the node is removed and when the transport closes", async () => {
  far.onRequest(() => new Promise(() => {}));
  for (const end of [() => near.removePeer("far"), () => near.disconnect()]) {
    const { waiter, told } = waiterFor("far");
    near.updatePeers([["far", `tcp://${far.address}`]]);
    near.ask(waiter, "anything");
    await end();
    expect(await told).toEqual(["refused", expect.any(TransportError)]);
  }
});

it("are answered by a node that has come back within the turn in which it was removed", async () => {
  near.removePeer("far");
  near.updatePeers([["far", `tcp://${far.address}`]]);
  const { waiter, told } = waiterFor("far");
  near.ask(waiter, "again");
  expect(await told).toEqual(["answered", "again"]);
  expect(near.getHealth().details?.connected).toEqual(["far"]);
});

it("fail at once when they cannot be handed over, and tell nothing later", async () => {
  const [unknown, unsendable] = [recorderFor("nowhere"), recorderFor("far")];
  expect(() => near.ask(unknown.waiter, 1)).toThrow(PeerNotFoundError);
  expect(() => near.ask(unsendable.waiter, () => {})).toThrow(TransportError);
  await near.disconnect();
  expect([unknown.told, unsendable.told]).toEqual([[], []]);
});
