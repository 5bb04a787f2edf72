/**
 * Owner logs: one writer per table, copies that follow, loss that is noticed, lives that end.
 */

import { EventEmitter } from "node:events";
import { InMemoryTransport, LibeamError, loggerConfig } from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OwnerLog } from "../../lib/stdlib/remote/owner_log.js";
import { thrown, turns } from "../support/time.js";

type Entry = number;

interface LogNode {
  id: string;
  transport: InMemoryTransport;
  members: EventEmitter;
  log: OwnerLog<Entry>;
  /** What its log has told. */
  told: unknown[];
}

const nodes: LogNode[] = [];
beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(async () => {
  await Promise.all(nodes.splice(0).map(({ log }) => log.disconnect()));
});

function make(id: string): LogNode {
  const transport = new InMemoryTransport(id);
  const members = new EventEmitter();
  const told: unknown[] = [];
  const log = new OwnerLog<Entry>({
    topic: "test",
    nodeId: id,
    transport,
    cluster: members,
    isEntry: (value) => typeof value === "number",
    changed: (owner, key, entry) => told.push([owner, key, entry]),
    replaced: (owner, entries) => told.push([owner, Object.fromEntries(entries)]),
    lostBy: (node) => told.push(`lost by ${node}`),
  });
  const node = { id, transport, members, log, told };
  nodes.push(node);
  return node;
}

function wire(a: LogNode, b: LogNode): void {
  a.transport.setPeer(b.id, b.transport);
  b.transport.setPeer(a.id, a.transport);
}

async function pair(): Promise<[LogNode, LogNode]> {
  const [a, b] = [make("a"), make("b")];
  wire(a, b);
  await Promise.all([a.log.connect(), b.log.connect()]);
  await turns();
  return [a, b];
}

const seenBy = (node: LogNode, owner: string) => Object.fromEntries(node.log.entriesOf(owner) ?? []);

/** What a node sends meanwhile is lost. */
async function deaf(node: LogNode, during: () => void): Promise<void> {
  const lost = [
    vi.spyOn(node.transport, "publish").mockResolvedValue(),
    vi.spyOn(node.transport, "publishTo").mockResolvedValue(),
  ];
  during();
  await turns();
  for (const spy of lost) spy.mockRestore();
}

it("the table of a life that began earlier by its clock than the one that was given up is taken", async () => {
  const [a, b] = await pair();
  b.log.set("x", 1);
  await turns();
  a.members.emit("member_leave", "b");
  const clock = vi.spyOn(performance, "now").mockReturnValue(performance.now() - 60_000);
  const next = make("b");
  clock.mockRestore();
  wire(a, next);
  await next.log.connect();
  next.log.set("y", 2);
  a.members.emit("member_join", "b");
  next.members.emit("member_join", "a");
  await turns();
  expect(seenBy(a, "b")).toEqual({ y: 2 });
});

it("a transport that throws where it must not costs nobody who sets or joins anything", async () => {
  const [a, b] = await pair();
  const publish = vi.spyOn(a.transport, "publish").mockImplementation(() => {
    throw new Error("broken wire");
  });
  const publishTo = vi.spyOn(a.transport, "publishTo").mockReturnValue(undefined as never);
  a.log.set("x", 1);
  a.members.emit("member_join", "b");
  publish.mockRestore();
  publishTo.mockRestore();
  a.log.set("y", 2);
  await turns();
  expect(seenBy(b, "a")).toEqual({ x: 1, y: 2 });
});

describe("a log", () => {
  it("shows what other nodes set, change and remove, and keeps places", async () => {
    const [a, b] = await pair();
    a.log.set("x", 1);
    a.log.set("y", 2);
    a.log.set("x", 3);
    await turns();
    expect([...(b.log.entriesOf("a") ?? [])]).toEqual([
      ["x", 3],
      ["y", 2],
    ]);
    a.log.delete("x");
    a.log.delete("unknown");
    await turns();
    expect(seenBy(b, "a")).toEqual({ y: 2 });
    expect(b.told).toEqual([
      ["a", "x", 1],
      ["a", "y", 2],
      ["a", "x", 3],
      ["a", "x", undefined],
    ]);
  });

  it("asks for the table when a change was lost, and once for many", async () => {
    const [a, b] = await pair();
    a.log.set("x", 1);
    await deaf(a, () => a.log.set("lost", 2));
    const asked = vi.spyOn(b.transport, "publishTo");
    for (let n = 0; n < 50; n++) a.log.set(`k${n}`, n);
    await turns();
    expect([...(b.log.entriesOf("a")?.keys() ?? [])]).toEqual([...a.log.entries.keys()]);
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it("learns of a lost last change by an exchange", async () => {
    const [a, b] = await pair();
    a.log.set("x", 1);
    await turns();
    await deaf(a, () => a.log.delete("x"));
    expect(seenBy(b, "a")).toEqual({ x: 1 });
    a.log.exchange();
    await turns();
    expect(seenBy(b, "a")).toEqual({});
  });

  it("exchanges by itself", async () => {
    const [a, b] = await pair();
    a.log.set("x", 1);
    await deaf(a, () => a.log.set("y", 2));
    await vi.waitFor(() => expect(seenBy(b, "a")).toEqual({ x: 1, y: 2 }), 10_000);
  });

  it("asks again when its question or the answer was lost", async () => {
    const [a, b] = await pair();
    await deaf(a, () => a.log.set("x", 1));
    await deaf(b, () => a.log.exchange());
    expect(seenBy(b, "a")).toEqual({});
    for (let round = 0; round < 2; round++) {
      a.log.exchange();
      await turns();
    }
    expect(seenBy(b, "a")).toEqual({ x: 1 });
  });

  it("sends a long table in parts, to the one that asked", async () => {
    const [a, b] = await pair();
    const c = make("c");
    for (let n = 0; n < 10_000; n++) a.log.set(`k${n}`, n);
    await turns();
    wire(a, c);
    wire(b, c);
    const [all, one] = [vi.spyOn(a.transport, "publish"), vi.spyOn(a.transport, "publishTo")];
    await c.log.connect();
    await turns();
    expect(c.log.entriesOf("a")?.size).toBe(10_000);
    expect([...(c.log.entriesOf("a")?.keys() ?? [])]).toEqual([...a.log.entries.keys()]);
    const parts = one.mock.calls.filter(([, , { kind }]) => kind === "table");
    expect(parts.map(([node, , { entries }]) => [node, entries.length])).toEqual([
      ["c", 4_096],
      ["c", 4_096],
      ["c", 1_808],
    ]);
    expect(all.mock.calls.filter(([, { kind }]) => kind === "table")).toEqual([]);
  });

  it("takes no table of which a part is missing, and gets it later", async () => {
    const [a, b] = await pair();
    await deaf(a, () => {
      for (let n = 0; n < 10_000; n++) a.log.set(`k${n}`, n);
    });
    const { publishTo } = a.transport;
    a.transport.publishTo = async (node, topic, message) => {
      if (message.part !== 1) await publishTo.call(a.transport, node, topic, message);
    };
    a.log.exchange();
    await turns();
    expect(b.log.entriesOf("a")?.size).toBe(0);
    a.transport.publishTo = publishTo;
    for (let round = 0; round < 2; round++) {
      a.log.exchange();
      await turns();
    }
    expect(b.log.entriesOf("a")?.size).toBe(10_000);
  });

  it("never mixes the parts of two tables", async () => {
    const [a, b] = await pair();
    const part = (version: number, part: number) => {
      const entries = [[`v${version}`, part]];
      return a.transport.publish("test", { kind: "table", owner: "c", life: 1, version, part, parts: 3, entries });
    };
    for (const [version, number] of [
      [1, 0],
      [1, 1],
      [2, 1],
      [2, 2],
      [1, 2],
    ] as const) {
      await part(version, number);
    }
    await turns();
    expect(seenBy(b, "c")).toEqual({ v1: 2 });
    for (const [version, number] of [
      [3, 0],
      [3, 1],
      [4, 1],
      [4, 2],
    ] as const) {
      await part(version, number);
    }
    await turns();
    expect(seenBy(b, "c")).toEqual({ v1: 2 });
  });

  it("works over a transport that can only publish to all", async () => {
    const [a, b] = [make("a"), make("b")];
    for (const { transport } of [a, b]) Object.assign(transport, { publishTo: undefined });
    wire(a, b);
    a.log.set("x", 1);
    await Promise.all([a.log.connect(), b.log.connect()]);
    await turns();
    expect(seenBy(b, "a")).toEqual({ x: 1 });
  });

  it("knows what was there before it connected, and forgets it when it disconnects", async () => {
    const [a, b] = [make("a"), make("b")];
    wire(a, b);
    a.log.set("x", 1);
    await a.log.connect();
    await turns();
    await b.log.connect();
    await turns();
    expect(seenBy(b, "a")).toEqual({ x: 1 });
    await b.log.disconnect();
    expect(b.log.entriesOf("a")).toBeUndefined();
    expect(b.told.at(-1)).toEqual(["a", {}]);
    a.log.set("y", 2);
    await turns();
    expect(b.log.entriesOf("a")).toBeUndefined();
    await b.log.connect();
    await turns();
    expect(seenBy(b, "a")).toEqual({ x: 1, y: 2 });
  });
});

describe("the copy of a node's table", () => {
  it("goes with the node, and late words of it change nothing until it joins again", async () => {
    const [a, b] = await pair();
    a.log.set("x", 1);
    await turns();
    b.members.emit("member_leave", "a");
    expect(b.told.at(-1)).toEqual(["a", {}]);
    a.log.set("y", 2);
    a.log.exchange();
    await turns();
    expect(b.log.entriesOf("a")).toBeUndefined();
    b.members.emit("member_join", "a");
    await turns();
    expect(seenBy(b, "a")).toEqual({ x: 1, y: 2 });
  });

  it("goes when the node begins another life, even if nobody saw it end", async () => {
    const [a, b] = await pair();
    a.log.set("x", 1);
    await turns();
    await a.transport.disconnect();
    const again = make("a");
    wire(again, b);
    await again.log.connect();
    await turns();
    expect(seenBy(b, "a")).toEqual({});
    again.log.set("z", 1);
    await turns();
    expect(seenBy(b, "a")).toEqual({ z: 1 });
    await a.transport.connect(); // A message of the earlier life was on its way.
    a.log.set("y", 2);
    a.log.exchange();
    await turns();
    expect(seenBy(b, "a")).toEqual({ z: 1 });
  });

  it("is not touched by messages that make no sense", async () => {
    const [a, b] = await pair();
    a.log.set("x", 1);
    await turns();
    const life = Number.MAX_SAFE_INTEGER;
    for (const message of [
      null,
      undefined,
      "text",
      {},
      { kind: "change", owner: "a" },
      { kind: "change", owner: "a", life, version: -1, key: "x", entry: 2 },
      { kind: "change", owner: "a", life: 0, version: 9, key: "x", entry: 2 },
      { kind: "table", owner: "a", life, version: 1, part: 0, parts: 1, entries: "no" },
      { kind: "table", owner: "a", life, version: 1, part: 0, parts: 1, entries: [["x"]] },
      { kind: "version", owner: 5, life, version: 1 },
      { kind: "want", owner: "b" },
      { kind: "other", owner: "a", life, version: 1 },
    ]) {
      await a.transport.publish("test", message);
    }
    await turns();
    expect(seenBy(b, "a")).toEqual({ x: 1 });
    await a.transport.publish("test", { kind: "change", owner: "c", life: 1, version: 1, key: "x", entry: "bad" });
    await turns();
    expect(seenBy(b, "c")).toEqual({});
  });
});

it("an own table has a limit, and refuses at it", () => {
  const { log } = make("a");
  for (let n = 0; n < 1_048_576; n++) log.set(`${n}`, n);
  const error = thrown(() => log.set("one more", 1));
  expect(error).toBeInstanceOf(LibeamError);
  expect(error.code).toBe("ENTRY_LIMIT");
  log.set("5", 6);
  log.delete("0");
  log.set("one more", 1);
  expect(log.entries.size).toBe(1_048_576);
});
