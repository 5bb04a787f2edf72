/**
 * Requests that are made again until they are answered.
 */

import { NodeDownError, TransportError } from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Transport } from "../../lib/kernel/collaborators.js";
import { Peers } from "../../lib/stdlib/remote/peers.js";
import { rejection } from "../support/time.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Peers whose transport refuses so many requests for that reason before it brings an answer, and how often it was asked. */
function refusing(times: number, reason: "queue_full" | undefined, isMember = true) {
  const request = vi.fn(async () => {
    if (request.mock.calls.length <= times) throw new TransportError("not now", "far", undefined, reason);
    return [true, "answer"];
  });
  const transport = { request: request as Transport["request"] } as Transport;
  const tag = () => undefined as never;
  const peers = new Peers(
    "near",
    transport,
    tag,
    () => undefined,
    () => isMember,
  );
  return { request, peers };
}

describe("requests that must not be lost", () => {
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
});

describe("requests that may be late and may be done twice", () => {
  const watch = { kind: "watch", to: { id: "x" } } as const;

  it.each([
    ["there is no room for them", 1_000, "queue_full"],
    ["a connection is lost before they are answered", 60, undefined],
  ] as const)("are made again when %s", async (_why, times, reason) => {
    const { request, peers } = refusing(times, reason);
    const answer = peers.orderInTime("far", watch);
    await vi.runAllTimersAsync();
    expect(await answer).toBe("answer");
    expect(request).toHaveBeenCalledTimes(times + 1);
  });

  it("are given up at once when the other one is no member", async () => {
    const { request, peers } = refusing(1, undefined, false);
    expect(await rejection(peers.orderInTime("far", watch))).toBeInstanceOf(TransportError);
    expect(request).toHaveBeenCalledTimes(1);
  });

  it("are given up when their node is lost", async () => {
    const { peers } = refusing(1_000, undefined);
    const answer = rejection(peers.orderInTime("far", watch));
    await vi.advanceTimersByTimeAsync(100);
    peers.lost("far");
    expect(await answer).toBeInstanceOf(NodeDownError);
  });
});
