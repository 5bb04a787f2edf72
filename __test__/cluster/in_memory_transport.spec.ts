/**
 * InMemoryTransport: requests, messages, topics, order, failure, and that no timer is left behind.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { InMemoryTransport } from "../../lib/cluster/in_memory_transport.js";
import { InvalidOptionError, TimeoutError, TransportError } from "../../lib/errors.js";
import { consoleLogHandler, type LogEntry, loggerConfig } from "../../lib/kernel/logger.js";

let one: InMemoryTransport;
let two: InMemoryTransport;
let logged: LogEntry[];

beforeEach(() => {
  vi.useFakeTimers();
  logged = [];
  loggerConfig.handler = (entry) => logged.push(entry);
  one = new InMemoryTransport("n1");
  two = new InMemoryTransport("n2");
  one.setPeer("n2", two);
  two.setPeer("n1", one);
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  loggerConfig.handler = consoleLogHandler;
  vi.useRealTimers();
});

/** Lets all deliveries that were handed over take place. */
const delivered = (): Promise<number> => vi.advanceTimersByTimeAsync(0).then(() => vi.getTimerCount());

describe("request", () => {
  it("answers with the handler's value, by reference both ways", async () => {
    const message = { items: new Map([["a", 1]]) };
    const answer = { ok: true };
    const seen: unknown[] = [];
    two.onRequest(async (received) => {
      seen.push(received);
      return answer;
    });
    expect(await one.request("n2", message, 1_000)).toBe(answer);
    expect(seen[0]).toBe(message);
  });

  it("takes the last handler, and one that answers at once", async () => {
    two.onRequest(() => "old");
    two.onRequest((message) => message + 1);
    expect(await one.request("n2", 1, 1_000)).toBe(2);
  });

  it("passes the handler's error on as it is", async () => {
    const error = new Error("boom");
    two.onRequest(() => {
      throw error;
    });
    await expect(one.request("n2", 1, 1_000)).rejects.toBe(error);
    two.onRequest(() => Promise.reject(error));
    await expect(one.request("n2", 1, 1_000)).rejects.toBe(error);
  });

  it("says which peer is missing, and which has no handler", async () => {
    await expect(one.request("n9", 1, 1_000)).rejects.toThrow("No peer found for node n9");
    await expect(one.request("n2", 1, 1_000)).rejects.toThrow("No request handler on peer n2");
    await expect(one.request("n2", 1, 1_000)).rejects.toBeInstanceOf(TransportError);
  });

  it("gives up after its timeout, with an error that is no TimeoutError", async () => {
    two.onRequest(() => new Promise(() => {}));
    const failure = one.request("n2", 1, 50).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(49);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    const error = (await failure) as Error;
    expect(error.message).toBe("Request timeout after 50ms");
    expect(error).not.toBeInstanceOf(TimeoutError);
  });

  it("ignores an answer that comes too late", async () => {
    let answer = (_value: unknown): void => {};
    two.onRequest(() => new Promise((resolve) => (answer = resolve)));
    const failure = expect(one.request("n2", 1, 50)).rejects.toThrow("Request timeout");
    await vi.advanceTimersByTimeAsync(50);
    answer("late");
    await failure;
  });

  it("sets no timer for Infinity", async () => {
    let answer = (_value: unknown): void => {};
    two.onRequest(() => new Promise((resolve) => (answer = resolve)));
    const reply = one.request("n2", 1, Number.POSITIVE_INFINITY);
    expect(await delivered()).toBe(0);
    answer("done");
    expect(await reply).toBe("done");
  });

  it.each([Number.NaN, -1, undefined])("refuses %s as a timeout and sends nothing", async (timeout) => {
    const handler = vi.fn();
    two.onRequest(handler);
    await expect(one.request("n2", 1, timeout as number)).rejects.toThrow(InvalidOptionError);
    await delivered();
    expect(handler).not.toHaveBeenCalled();
  });
});

describe("send", () => {
  it("delivers by reference, after the sender's call", async () => {
    const seen: unknown[] = [];
    const message = { a: 1 };
    two.onMessage((received) => seen.push(received));
    const sent = one.send("n2", message);
    expect(seen).toEqual([]);
    await sent;
    await delivered();
    expect(seen).toHaveLength(1);
    expect(seen[0]).toBe(message);
  });

  it("rejects for an unknown peer and drops what nobody handles", async () => {
    await expect(one.send("n9", 1)).rejects.toThrow("No peer found for node n9");
    await expect(one.send("n2", 1)).resolves.toBeUndefined();
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("boom");
      },
    ],
    ["rejects", () => Promise.reject(new Error("boom"))],
  ])("is not the sender's trouble when the handler %s", async (_, handler) => {
    two.onMessage(handler);
    await expect(one.send("n2", 1)).resolves.toBeUndefined();
    await delivered();
    expect(logged.map((entry) => [entry.level, entry.context.nodeId, entry.error?.message])).toEqual([
      ["error", "n2", "boom"],
    ]);
  });

  it("keeps the order of requests, messages and publications", async () => {
    const seen: unknown[] = [];
    const record = (message: unknown): void => void seen.push(message);
    two.onMessage(record);
    two.onRequest(record);
    await two.subscribe("t", record);
    const expected = Array.from({ length: 99 }, (_, i) => i);
    const sent = expected.map((i) => [one.send("n2", i), one.request("n2", i, 100), one.publish("t", i)]);
    void sent;
    await delivered();
    expect(seen).toEqual(expected.flatMap((i) => [i, i, i]));
  });
});

describe("publish", () => {
  it("reaches all subscribers of the topic on peers, and nobody else", async () => {
    const seen: string[] = [];
    const three = new InMemoryTransport("n3");
    one.setPeer("n3", three);
    await two.subscribe("t", (message) => seen.push(`two ${message}`));
    await two.subscribe("t", (message) => seen.push(`two again ${message}`));
    await two.subscribe("other", (message) => seen.push(`other ${message}`));
    await three.subscribe("t", (message) => seen.push(`three ${message}`));
    await one.subscribe("t", (message) => seen.push(`self ${message}`));
    await one.publish("t", "x");
    await delivered();
    expect(seen).toEqual(["two x", "two again x", "three x"]);
  });

  it("does not reach who unsubscribed; the other subscription of the same function stays", async () => {
    const handler = vi.fn();
    const first = await two.subscribe("t", handler);
    await two.subscribe("t", handler);
    await first.unsubscribe();
    await first.unsubscribe();
    await one.publish("t", "x");
    await delivered();
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it("survives a stale unsubscribe after the topic was taken up again", async () => {
    const handler = vi.fn();
    const first = await two.subscribe("t", () => {});
    await first.unsubscribe();
    await two.subscribe("t", handler);
    await first.unsubscribe();
    await one.publish("t", "x");
    await delivered();
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it("goes on to the other subscribers when one throws", async () => {
    const handler = vi.fn();
    await two.subscribe("t", () => {
      throw new Error("boom");
    });
    await two.subscribe("t", handler);
    await one.publish("t", "x");
    await delivered();
    expect(handler).toHaveBeenCalledTimes(1);
    expect(logged).toHaveLength(1);
  });
});

describe("disconnect", () => {
  it.each(["the asker", "the peer"])("of %s ends waiting requests at once", async (who) => {
    two.onRequest(() => new Promise(() => {}));
    const failure = expect(one.request("n2", 1, 60_000)).rejects.toThrow("Transport disconnected");
    await delivered();
    await (who === "the peer" ? two : one).disconnect();
    await failure;
  });

  it("keeps a request that was not delivered yet from running", async () => {
    const handler = vi.fn();
    two.onRequest(handler);
    const failure = expect(one.request("n2", 1, 60_000)).rejects.toBeInstanceOf(TransportError);
    void two.disconnect();
    await failure;
    await delivered();
    expect(handler).not.toHaveBeenCalled();
  });

  it("closes both directions until connect", async () => {
    two.onRequest(() => "ok");
    await two.disconnect();
    await expect(one.request("n2", 1, 100)).rejects.toThrow("No request handler on peer n2");
    await expect(two.send("n1", 1)).rejects.toThrow("Transport disconnected");
    await expect(two.publish("t", 1)).rejects.toThrow("Transport disconnected");
    await two.connect();
    expect(await one.request("n2", 1, 100)).toBe("ok");
  });
});

describe("peers", () => {
  it("stay whatever addresses updatePeers brings", async () => {
    two.onRequest(() => "ok");
    one.updatePeers([["n3", ""]]);
    one.updatePeers([]);
    expect(await one.request("n2", 1, 100)).toBe("ok");
    expect(one.getNodeId()).toBe("n1");
  });

  it("are known in one direction only", async () => {
    const three = new InMemoryTransport("n3");
    three.setPeer("n1", one);
    one.onRequest(() => "ok");
    expect(await three.request("n1", 1, 100)).toBe("ok");
    await expect(one.request("n3", 1, 100)).rejects.toThrow("No peer found for node n3");
  });
});
