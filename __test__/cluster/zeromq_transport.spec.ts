/**
 * What is of a ZeroMQTransport alone: requests that nobody answers.
 */

import {
  deriveKeys,
  InvalidArgumentError,
  loggerConfig,
  PeerNotFoundError,
  TimeoutError,
  TransportError,
  type ZeroMQTransport,
} from "libeam";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { makeTransport } from "../support/loopback_transports.js";
import { makeProbe } from "../support/probe.js";
import { freePort } from "../support/recorder.js";
import { nodeTimer, rejection, thrown } from "../support/time.js";
import { wayTo } from "../support/ways.js";

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(() => vi.restoreAllMocks());

async function listen(nodeId: string, cookie: string): Promise<ZeroMQTransport> {
  const { curveKeyPair } = deriveKeys(cookie);
  const transport = makeTransport(nodeId, { curveKeyPair });
  await transport.connect();
  transport.onRequest(() => new Promise(() => {}));
  return transport;
}

it.each([
  ["its cookie is another one", "another cookie for transports"],
  ["its handler does not answer", "one cookie for all transports"],
])("a request to a node rejects with TimeoutError if %s", async (_why, cookie) => {
  const near = await listen("near", "one cookie for all transports");
  const far = await listen("far", cookie);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  const error = await rejection(near.request("far", 1, 100));
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error.message).toBe("Operation timed out after 100ms: request to far");
  expect(error.context).toEqual({ operation: "request to far", timeoutMs: 100 });
});

it("a request that its transport does not wait for any longer rejects with TransportError", async () => {
  const near = await listen("near", "one cookie for all transports");
  near.updatePeers([["far", "tcp://127.0.0.1:9"]]);
  const answer = rejection(near.request("far", 1, 60_000));
  await near.disconnect();
  expect(await answer).toBeInstanceOf(TransportError);
});

it.each([null, "far", [["far"]], [["far", 1]], [null]])(
  "refuses %j as a list of peers, and takes nothing from it",
  async (peers) => {
    const near = await listen("near", "one cookie for all transports");
    expect(() => near.updatePeers(peers as never)).toThrow(InvalidArgumentError);
    expect(await rejection(near.request("far", 1, 100))).toBeInstanceOf(PeerNotFoundError);
  },
);

it("answers to a node that is gone are no warnings, however many were under way", async () => {
  const [near, far] = [makeTransport("near"), makeTransport("far")];
  await Promise.all([near.connect(), far.connect()]);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  far.updatePeers([["near", `tcp://${near.address}`]]);
  const asked = makeProbe<(answer: string) => void>();
  near.onRequest(() => new Promise((resolve) => asked.push(resolve)));
  const requests = Array.from({ length: 100 }, () => rejection(far.request("near", 1, 60_000)));
  await asked.find(() => asked.events.length === requests.length);
  const warnings: string[] = [];
  loggerConfig.configure({ level: "warn", handler: ({ message }) => warnings.push(message) });
  near.removePeer("far");
  for (const answer of asked.events) answer("late");
  await far.disconnect();
  for (const error of await Promise.all(requests)) expect(error).toBeInstanceOf(TransportError);
  expect(warnings).toEqual([]);
});

it("ends without holding up the event loop, though a node takes nothing of what waits for it", async () => {
  const [near, far] = [makeTransport("near"), makeTransport("far")];
  await Promise.all([near.connect(), far.connect()]);
  const way = await wayTo(far.address as string);
  near.updatePeers([["far", way.address]]);
  far.updatePeers([["near", `tcp://${near.address}`]]);
  far.onRequest(() => "hello");
  await near.request("far", 1, 10_000);
  way.block();
  for (let n = 0; n < 4; n++) near.post("far", Buffer.alloc(8 << 20));
  let isOver = false;
  const ended = Promise.all([near.disconnect(), near.disconnect()]).then(() => {
    isOver = true;
  });
  let turns = 0;
  for (; !isOver; turns++) await nodeTimer(10);
  await ended;
  expect(turns).toBeGreaterThan(10);
  await near.connect();
  expect(near.address).toBeDefined();
});

it("a transport that listens again is heard, although its clock was set back", async () => {
  const rpcPort = await freePort("127.0.0.1");
  const [near, far] = [makeTransport("near", { rpcPort }), makeTransport("far")];
  await Promise.all([near.connect(), far.connect()]);
  for (const transport of [near, far]) transport.onRequest((message) => message);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  far.updatePeers([["near", `tcp://${near.address}`]]);
  expect(await Promise.all([near.request("far", 1, 10_000), far.request("near", 2, 10_000)])).toEqual([1, 2]);
  await near.disconnect();
  const { now } = Date;
  vi.spyOn(Date, "now").mockImplementation(() => now() - 3_600_000);
  await near.connect();
  expect(await near.request("far", 3, 10_000)).toBe(3);
  await vi.waitFor(async () => expect(await far.request("near", 4, 1_000)).toBe(4), 10_000);
});

it("a transport that is closed refuses a publication, whether it knows peers or not", async () => {
  const [near, far] = [makeTransport("near"), makeTransport("far")];
  expect(await rejection(near.publish("topic", 1))).toBeInstanceOf(TransportError);
  await Promise.all([near.connect(), far.connect()]);
  await near.publish("topic", 1);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  await near.disconnect();
  expect(await rejection(near.publish("topic", 1))).toBeInstanceOf(TransportError);
});

it("the last words of a node that was removed are heard, and nothing that is said to it waits for its return", async () => {
  const [near, far] = [makeTransport("near"), makeTransport("far")];
  await Promise.all([near.connect(), far.connect()]);
  const heard = makeProbe<unknown>();
  near.onMessage(heard.push);
  far.updatePeers([["near", `tcp://${near.address}`]]);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  await far.send("near", "first");
  await heard.find((message) => message === "first");
  near.removePeer("far");
  await far.send("near", "last");
  await heard.find((message) => message === "last");
  expect(await rejection(near.request("far", 1, Number.POSITIVE_INFINITY))).toBeInstanceOf(PeerNotFoundError);
  await far.disconnect();
  await far.connect();
  far.onRequest(() => "back");
  await far.send("near", "next");
  await heard.find((message) => message === "next");
  const answer = near.request("far", 2, Number.POSITIVE_INFINITY);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  expect(await answer).toBe("back");
});

it("a name that greetings have no room for is refused before anything listens", () => {
  for (const name of [5, null, "", "é".repeat(128)] as any[]) {
    expect(
      thrown(() => makeTransport(name)),
      `node ${name}`,
    ).toBeInstanceOf(InvalidArgumentError);
    expect(
      thrown(() => makeTransport("near", { cluster: name })),
      `cluster ${name}`,
    ).toBeInstanceOf(InvalidArgumentError);
  }
  makeTransport("é".repeat(127), { cluster: "é".repeat(127) });
});
