/**
 * Requests that are repeated until they are answered.
 */

import { NodeDownError, TransportError } from "libeam";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Transport } from "../../lib/kernel/collaborators.js";
import { Peers } from "../../lib/stdlib/remote/peers.js";
import { rejection } from "../support/time.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Peers whose transport refuses so many requests for that reason before it brings an answer, and how often it was asked. */
function refusing(times: number, reason: "queue_full" | undefined) {
  const request = vi.fn(async () => {
    if (request.mock.calls.length <= times) throw new TransportError("not now", "far", undefined, reason);
    return [true, "answer"];
  });
  const transport = { request: request as Transport["request"] } as Transport;
  const tag = () => undefined as never;
  return { request, peers: new Peers("near", transport, tag, () => undefined) };
}

it("are repeated for as long as there is no room for them", async () => {
  const { request, peers } = refusing(1_000, "queue_full");
  const answer = peers.insist("far", { kind: "lost" });
  await vi.runAllTimersAsync();
  expect(await answer).toBe("answer");
  expect(request).toHaveBeenCalledTimes(1_001);
});

it("are given up when they are refused for other reasons, one after the other", async () => {
  const { request, peers } = refusing(1_000, undefined);
  const answer = rejection(peers.insist("far", { kind: "lost" }));
  await vi.runAllTimersAsync();
  expect(await answer).toBeInstanceOf(NodeDownError);
  expect(request).toHaveBeenCalledTimes(61);
});
