/**
 * Messages of a node that has the keys and no manners: whatever it sends, nothing is thrown where nobody catches it, and
 * a good message behind it is handled. It sits directly on a native link, so its frames pass no code of the sender's.
 */

import { createActor, createSystem, deriveKeys, type LogEntry, loggerConfig, type System } from "libeam";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Codec } from "../../lib/cluster/codec.js";
import { Inbox } from "../../lib/cluster/inbox.js";
import type { ZeroMQTransport } from "../../lib/cluster/zeromq_transport.js";
import { type NativeLink, startLink } from "../../lib/kernel/native.js";
import { CALL, CANCEL, CAST, type CallMessage, MARK } from "../../lib/stdlib/remote/protocol.js";
import { Dice } from "../support/dice.js";
import { makeProbe } from "../support/probe.js";
import { printedSeed } from "../support/seed.js";
import { mutated } from "../support/strangers.js";

const COOKIE = "a cookie that the liar has, too";
const MESSAGES = 20_000;
const [REQUEST, ANSWER, REFUSAL, MESSAGE, PUBLICATION] = [0, 1, 2, 3, 4];

const seed = printedSeed();
const stray: unknown[] = [];
let refused = 0;
const onStray = (error: unknown) => void stray.push(error);
let victim: System;
let liar: NativeLink;
const answers = makeProbe<any[]>();
const unreadable: unknown[] = [];
const codec = new Codec();

beforeEach(async () => {
  const handler = ({ message }: LogEntry) => {
    if (message.startsWith("A message of another node could not be handled")) refused++;
  };
  loggerConfig.configure({ level: "error", handler });
  process.on("unhandledRejection", onStray).on("uncaughtException", onStray);
  victim = await createSystem({
    type: "distributed",
    nodeId: "victim",
    port: 0,
    bindAddress: "127.0.0.1",
    cookie: COOKIE,
    seedNodes: [],
  });
  const link = {
    nodeId: "liar",
    epoch: 1,
    cluster: "libeam",
    bind: "127.0.0.1:0",
    keys: { ...deriveKeys(COOKIE).curveKeyPair, accepted: [] },
  };
  const inbox = new Inbox(
    (_from, kind, number, bytes, start, end) => {
      try {
        answers.push([kind, number, codec.decode(bytes, start, end)]);
      } catch (error) {
        unreadable.push(error);
      }
    },
    () => {},
  );
  liar = startLink(link, () => inbox.read());
  inbox.open(liar);
  const transport = victim.transport as unknown as ZeroMQTransport;
  transport.updatePeers([["liar", `tcp://${liar.address}`]]);
  liar.connect("victim", transport.address as string);
});

afterEach(async () => {
  liar.stop();
  await victim.shutdown({ timeout: 200, drainMailboxes: false });
  process.off("unhandledRejection", onStray).off("uncaughtException", onStray);
});

const Worker = createActor("Worker", (_ctx, self) =>
  self
    .onCall("echo", (value: unknown) => value)
    .onCast("note", () => {})
    .onInfo("down", () => {}),
);

/** Everything that nodes say to each other, about one actor. */
function vocabulary(id: string): [kind: number, payload: unknown][] {
  const to = { id, name: "worker" };
  const link = `liar/x victim/${id}`;
  const table = { owner: "liar", life: 1, version: 1 };
  const entry = { actorId: "x", since: 5 };
  const requests = [
    { kind: "spawn", as: "x1", className: "Worker", args: [1], name: "spawned", mailbox: { maxSize: 5 } },
    { kind: "stop", to: { id: "nobody" } },
    { kind: "watch", to },
    { kind: "adopt", parent: { id: "x" }, as: "x2", className: "Worker", args: [1] },
    { kind: "adopt", parent: { id: "x" }, as: "x3", instead: "x2", className: "Worker", args: [1] },
    ...["revive", "halt"].map((kind) => ({ kind, child: "x2" })),
    ...["dismiss", "ended"].map((kind) => ({ kind, child: "x2", reason: { type: "normal" } })),
    { kind: "crashed", child: "x2", error: new Error("x") },
  ];
  const messages = [
    { kind: "exit", to: { id: "nobody" }, from: { id: "x" }, reason: { type: "error", error: new Error("x") } },
    { kind: "down", of: "x", reason: { type: "normal" } },
    { kind: "link", link, to },
    { kind: "unlink", link },
    { kind: "severed", link, reason: { type: "killed" } },
    ...["join", "leave"].map((kind) => ({ kind, group: "all", to })),
    { kind: "broadcast", group: "all", value: { method: "note", args: [1] } },
    { kind: "family", children: ["x2"] },
    { kind: "guests", children: ["x2"] },
    { kind: "follow" },
    { kind: "load", actors: 5 },
  ];
  const names = [
    { kind: "table", ...table, entries: [["spawned", entry]] },
    { kind: "change", ...table, version: 2, name: "other", entry },
    { kind: "change", ...table, version: 3, name: "other", entry: null },
    { kind: "want", owner: "victim" },
  ];
  const envelope = (body: unknown) => ({ libeam: 1, from: "liar", body });
  return [
    ...["echo", "nothing", undefined].flatMap((method): [number, unknown][] => [
      [REQUEST, [MARK, CALL, "liar", 1, id, "worker", method, [1], 1_000]],
      [MESSAGE, [MARK, CAST, id, "worker", method, [1]]],
    ]),
    [MESSAGE, [MARK, CANCEL, "liar", 1]],
    ...requests.map((body): [number, unknown] => [REQUEST, envelope(body)]),
    ...messages.map((body): [number, unknown] => [MESSAGE, envelope(body)]),
    ...names.map((message): [number, unknown] => [PUBLICATION, ["libeam.names", message]]),
    [ANSWER, [true, 1]],
    [REFUSAL, new RangeError("no")],
  ];
}

const JUNK: unknown[] = [
  undefined,
  null,
  true,
  -1,
  Number.NaN,
  2 ** 53,
  10n ** 30n,
  "",
  "worker",
  "\n",
  "x".repeat(5_000),
  [],
  [[]],
  {},
  { type: "error" },
  { type: "exit" },
  new Map([[{}, new Set()]]),
  new Date(Number.NaN),
  new Error("junk"),
  new Uint8Array(9),
  /junk/,
];

/** A message as the link carries it. */
function message(kind: number, number: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(5, kind);
  header.writeUInt32LE(number, 1);
  return Buffer.concat([header, payload]);
}

/** A copy of a value with something else at a random place. */
function withJunk(value: any, dice: Dice): any {
  const keys = value !== null && typeof value === "object" ? Object.keys(value) : [];
  if (keys.length === 0 || dice.chance(0.15)) return dice.pick(JUNK);
  const key = dice.pick(keys);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  if (dice.chance(0.1)) delete copy[key];
  else copy[key] = withJunk(value[key], dice);
  return copy;
}

it(`${MESSAGES} messages that were changed on the way do no harm, and a good one behind them is answered`, async () => {
  const dice = new Dice(seed);
  const hint = `LIBEAM_SEED=${seed}`;
  victim.register(Worker);
  const worker = victim.spawn(Worker, { name: "worker" });
  const words = vocabulary(worker.id.id);
  const good = (number: number, id: string) => {
    const call: CallMessage = [MARK, CALL, "liar", number, id, undefined, "echo", ["good"], 10_000];
    return message(REQUEST, number, codec.encode(call));
  };
  const answered = (number: number) => answers.find(([kind, of]) => kind === ANSWER && of === number);
  expect(liar.send("victim", good(1_000_000, worker.id.id))).toBeGreaterThan(0);
  expect((await answered(1_000_000))[2]).toEqual([true, "good"]);
  for (let sent = 0; sent < MESSAGES; sent++) {
    const [kind, payload] = dice.pick(words);
    const number = dice.below(50);
    const bytes = dice.chance(0.5)
      ? message(kind, number, codec.encode(withJunk(payload, dice)))
      : mutated(message(kind, number, codec.encode(payload)), dice);
    expect(liar.send("victim", bytes), hint).toBeGreaterThan(0);
    if (sent % 2_000 === 1_999) {
      // Some changes make good orders, and those are obeyed: the actor may be gone, and another one serves as well.
      const { id } = victim.spawn(Worker).id;
      expect(liar.send("victim", good(2_000_000 + sent, id))).toBeGreaterThan(0);
      expect((await answered(2_000_000 + sent))[2], hint).toEqual([true, "good"]);
    }
  }
  expect(stray, hint).toEqual([]);
  expect(unreadable, hint).toEqual([]);
  expect(refused, "many of them make no sense").toBeGreaterThan(MESSAGES / 10);
  expect(await victim.spawn(Worker).call("echo", "still here")).toBe("still here");
}, 120_000);
