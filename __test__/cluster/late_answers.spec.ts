/**
 * Answers for which the queue of their node has no room.
 */

import { loggerConfig } from "libeam";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type LateAnswer, LateAnswers } from "../../lib/cluster/late_answers.js";
import { makeTransport } from "../support/loopback_transports.js";
import { makeProbe } from "../support/probe.js";
import { wayTo } from "../support/ways.js";

const MIB = 1 << 20;
/** What the queue of a node holds, and what may wait for room in it. */
const QUEUE_MIB = 64;
const WAITING_MIB = 64;

beforeEach(() => loggerConfig.configure({ level: "none" }));

it("answers come when there is room, though the queue is too small for them", async () => {
  const [near, far] = [makeTransport("near"), makeTransport("far")];
  await Promise.all([near.connect(), far.connect()]);
  const way = await wayTo(near.address as string, "blocked");
  near.updatePeers([["far", `tcp://${far.address}`]]);
  far.updatePeers([["near", way.address]]);
  const count = QUEUE_MIB + WAITING_MIB - 4;
  const served = makeProbe<number>();
  far.onRequest((n: number) => {
    served.push(n);
    return Buffer.alloc(MIB, n);
  });
  const answers = Promise.all(Array.from({ length: count }, (_, n) => near.request("far", n, 60_000)));
  await served.atLeast(count);
  way.open();
  expect((await answers).map(([first]) => first)).toEqual(Array.from({ length: count }, (_, n) => n));
});

describe("what waits", () => {
  const refuse = (error: any) => ({ kind: 2, number: 0, payload: Buffer.from(error.context.reason) });
  const answer = (number: number, bytes: number) => ({ kind: 1, number, payload: Buffer.alloc(bytes) });

  it("is 64 MiB for a node, then refusals, and goes in order when there is room", async () => {
    const gone: LateAnswer[] = [];
    let hasRoom = false;
    const late = new LateAnswers((_node, each) => hasRoom && gone.push(each) > 0);
    for (let n = 0; n < WAITING_MIB + 2; n++) expect(late.keep("near", answer(n, MIB), refuse)).toBe(true);
    expect(late.keep("other", answer(100, MIB), refuse)).toBe(true);
    expect([late.isEmptyFor("near"), late.isEmptyFor("stranger")]).toEqual([false, true]);
    hasRoom = true;
    await vi.waitFor(() => expect([late.isEmptyFor("near"), late.isEmptyFor("other")]).toEqual([true, true]));
    const [answers, refusals] = [gone.filter(({ kind }) => kind === 1), gone.filter(({ kind }) => kind === 2)];
    const numbers = answers.map(({ number }) => number);
    expect(numbers.filter((number) => number < 100)).toEqual(Array.from({ length: WAITING_MIB }, (_, n) => n));
    expect(numbers).toHaveLength(WAITING_MIB + 1);
    expect(refusals.map(({ payload }) => String(payload))).toEqual(["queue_full", "queue_full"]);
    hasRoom = false;
    expect(late.keep("near", answer(0, WAITING_MIB * MIB), refuse)).toBe(true); // What has gone counts no more.
    late.clear();
  });

  it("is forgotten with its node", () => {
    const offer = vi.fn(() => false);
    const late = new LateAnswers(offer);
    late.keep("near", answer(0, 1), refuse);
    late.forget("near");
    expect(late.isEmptyFor("near")).toBe(true);
  });

  it("is refused where too many refusals wait already", () => {
    const late = new LateAnswers(() => false);
    const waiting = Array.from({ length: 65_536 }, (_, n) =>
      late.keep("near", answer(n, n === 0 ? WAITING_MIB * MIB : 1), refuse),
    );
    expect(waiting.every((kept) => kept)).toBe(true);
    expect(late.keep("near", answer(0, 1), refuse)).toBe(false);
    late.clear();
  });
});

it("D18: a node that ends sends the answers first that wait for room", async () => {
  const [near, far] = [makeTransport("near"), makeTransport("far")];
  await Promise.all([near.connect(), far.connect()]);
  near.updatePeers([["far", `tcp://${far.address}`]]);
  far.updatePeers([["near", `tcp://${near.address}`]]);
  far.onRequest(() => "hello");
  await near.request("far", 1, 10_000);
  const isEmptyFor = vi.spyOn(LateAnswers.prototype, "isEmptyFor").mockReturnValueOnce(false);
  onTestFinished(() => isEmptyFor.mockRestore());
  await far.flush(10_000);
  expect(isEmptyFor.mock.results.map(({ value }) => value)).toEqual([false, true]);
});
