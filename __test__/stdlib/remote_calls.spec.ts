/**
 * Calls to another node by way of transports that take waiters, and of those that do not.
 */

import { expect, it, vi } from "vitest";
import { CallAbortedError, NodeDownError, TimeoutError, TransportError } from "../../lib/errors.js";
import { ActorId } from "../../lib/kernel/actor_id.js";
import type { Transport, Waiter } from "../../lib/kernel/collaborators.js";
import type { Kernel } from "../../lib/kernel/kernel.js";
import { type CallTerms, DEFAULT_TERMS } from "../../lib/kernel/slots.js";
import { RemoteCalls } from "../../lib/stdlib/remote/calls.js";
import { rejection } from "../support/time.js";

const to = new ActorId("far", "0f8fad5b-d9cb-469f-a165-70867728950e");

/** The calls of a node whose transport is as given, and does nothing else. */
function callsBy(transport: Partial<Transport>): RemoteCalls {
  const host = {
    id: "near",
    transport: { post: () => {}, ...transport } as Transport,
    kernel: { callTimeoutMs: 5_000 } as Kernel,
  };
  return new RemoteCalls(
    host,
    () => undefined,
    (_to, error) => error,
    () => true,
  );
}

/** A transport that takes waiters and keeps them. */
function waitingRoom() {
  const waiters: Waiter[] = [];
  const forget = vi.fn<(number: number) => void>();
  const ask = (waiter: Waiter): number => 100 + waiters.push(waiter);
  return { waiters, forget, calls: callsBy({ ask, forget }) };
}

const call = (calls: RemoteCalls, terms: Partial<CallTerms> = {}): Promise<any> =>
  calls.call(to, "get", [], { ...DEFAULT_TERMS, ...terms });

it("wait once, as waiters, and are answered once", async () => {
  const { waiters, forget, calls } = waitingRoom();
  const [well, badly, strangely] = [call(calls), call(calls), call(calls)];
  expect(waiters.map(({ node }) => node)).toEqual(["far", "far", "far"]);
  waiters[0]?.answered([true, "a"]);
  waiters[0]?.refused(new Error("too late"));
  waiters[1]?.answered([false, new RangeError("b")]);
  waiters[2]?.answered("no reply");
  expect(await well).toBe("a");
  expect(await rejection(badly)).toBeInstanceOf(RangeError);
  expect(await rejection(strangely)).toBeInstanceOf(TransportError);
  expect(forget).not.toHaveBeenCalled();
});

it("are forgotten by the transport when nobody waits for them any more", async () => {
  const { forget, calls } = waitingRoom();
  const controller = new AbortController();
  const late = rejection(call(calls, { timeoutMs: 1 }));
  const aborted = rejection(call(calls, { signal: controller.signal }));
  const lost = rejection(call(calls));
  expect(await late).toBeInstanceOf(TimeoutError);
  expect(forget.mock.calls).toEqual([[101]]);
  controller.abort();
  expect(await aborted).toBeInstanceOf(CallAbortedError);
  calls.nodeLost("far");
  expect(await lost).toBeInstanceOf(NodeDownError);
  expect(forget.mock.calls).toEqual([[101], [102], [103]]);
});

it("keep no process up when a transport has answered at once", async () => {
  const made = vi.spyOn(globalThis, "setTimeout");
  try {
    const ask = (waiter: Waiter): number => {
      waiter.answered([true, "at once"]);
      return 1;
    };
    expect(await call(callsBy({ ask, forget: () => {} }))).toBe("at once");
    expect(made.mock.results.map(({ value }) => value.hasRef())).toEqual([false]);
  } finally {
    made.mockRestore();
  }
});

it("are refused when they cannot be handed over", async () => {
  const failing = (error: Error) => () => {
    throw error;
  };
  for (const error of [new TransportError("queue full", "far"), new Error("of the user's own transport")]) {
    expect(await rejection(call(callsBy({ ask: failing(error), forget: () => {} })))).toBe(error);
    expect(await rejection(call(callsBy({ request: failing(error) })))).toBe(error);
    expect(await rejection(call(callsBy({ request: () => Promise.reject(error) })))).toBe(error);
  }
});

it("give a transport that takes no waiters somewhat more time than they have", async () => {
  const request = vi.fn<Transport["request"]>(async () => [true, "a"]);
  expect(await call(callsBy({ request }), { timeoutMs: 200 })).toBe("a");
  expect(request).toHaveBeenCalledWith("far", expect.anything(), 1_200);
});
