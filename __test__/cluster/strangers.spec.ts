/**
 * Strangers at the ports of a cluster: they are never in, nobody is ever down for them, and what they take is bounded.
 *
 * Four nodes in processes of their own call each other all the time. Between `b` and the others is a recorder, so that
 * strangers have what a listener on the network has: every byte that was sent to `b`. They come from other loopback
 * addresses than the nodes, which is why this runs on Linux only. The seed of what is random is printed.
 */

import type { Socket } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createSystem, deriveKeys, loggerConfig, type System } from "libeam";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Dice } from "../support/dice.js";
import { GuardedNode, type GuardedReport } from "../support/guarded.js";
import { freePort, Recorder } from "../support/recorder.js";
import { printedSeed } from "../support/seed.js";
import { crowd, dial, knock, mutated, over, pythonWithZmq, say, shout, type ZmqKnock } from "../support/strangers.js";

const COOKIE = "what the members know and nobody else";
const HOME = "127.0.0.1";
const RECORDER = "127.0.0.2";
const STRANGER = "127.0.0.3";
const MALFORMED = 10_000;
const IDLE = 1_000;
const LORIS = 100;
/** How much a node may grow while all of this happens to it: far below what was sent, far above what is noise. */
const RSS_GROWTH_MAX = 160 * 2 ** 20;
/** What a server says before it knows a client: its greeting (64 bytes) and CURVE's WELCOME (2 + 168 bytes). */
const BEFORE_KEYS = 64 + 2 + 168;
const PATIENCE_MS = 120_000;

const seed = printedSeed();
const dice = new Dice(seed);
const python = pythonWithZmq();
const loopbacks = process.platform === "linux";
if (!loopbacks) console.log("strangers: skipped, this system has one loopback address only");
if (python === undefined) console.log("strangers: no python3 with pyzmq here, so its clients are left out");

/** The greeting of a session and a batch with a cast, as a node would send them. */
function sessionFrames(cluster: string, node: string): string[] {
  const name = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  const number = Buffer.alloc(8, 1);
  const hello = Buffer.concat([Buffer.from("lbsn\x01\x01"), name(cluster), name(node), number, name(""), number]);
  return [hello.toString("hex"), "00000000"];
}

describe.runIf(loopbacks)("D14: strangers at a cluster", { timeout: PATIENCE_MS }, () => {
  const nodes = new Map<string, GuardedNode>();
  const addresses = new Map<string, { gossip: string; link: string }>();
  const baseline = new Map<string, number>();
  const highest = new Map<string, number>();
  /** Of this process, where the recorder is: what passes through it waits for its event loop. */
  const turns = monitorEventLoopDelay();
  let recorder: Recorder;
  let ports: { rpc: number; gossip: number };

  const node = (id: string) => nodes.get(id) as GuardedNode;
  const address = (id: string) => addresses.get(id) as { gossip: string; link: string };
  const ids = () => [...nodes.keys()];

  async function start(id: string, seeds: string[], more: object = {}): Promise<GuardedNode> {
    const started = new GuardedNode({ nodeId: id, port: 0, cookie: COOKIE, seedNodes: seeds, ...more });
    nodes.set(id, started);
    const { gossip, link } = await started.ready();
    // The recorder is for members; strangers who are not recorded go to the node itself.
    addresses.set(id, { gossip: gossip.replace(RECORDER, HOME), link: link.replace(RECORDER, HOME) });
    return started;
  }

  const startRecorded = (seeds: string[]) => start("b", seeds, { port: undefined, ports, advertiseAddress: RECORDER });

  async function allSeeAll(): Promise<void> {
    const expected = ids().sort().join();
    await Promise.all(ids().map((id) => node(id).until("view", ({ members }) => members.join() === expected)));
  }

  async function reportOf(id: string): Promise<GuardedReport> {
    const report = await node(id).report();
    highest.set(id, Math.max(highest.get(id) ?? 0, report.rssBytes));
    return report;
  }

  /** What an assertion about a node says when it fails: all that the node has seen. */
  const told = (report: object) =>
    `${JSON.stringify(report)}; the recorder paused for up to ${Math.round(turns.max / 1e6)} ms, LIBEAM_SEED=${seed}`;

  /** All members see all, have never lost anybody, and answer each other from now on as they did before. */
  async function nobodyIsHarmed(): Promise<void> {
    const expected = ids().sort();
    for (const id of expected) {
      const { answered } = await reportOf(id);
      const report = await node(id).until("further answers", (now) => now.answered > answered + 10);
      expect(report, `${id}: ${told(report)}`).toMatchObject({
        members: expected,
        joins: expected.length - 1,
        left: [],
        failed: [],
        stray: [],
        marks: expected.length - 1,
      });
      const growth = report.rssBytes - (baseline.get(id) ?? report.rssBytes);
      expect(growth, `${id}: ${told(report)}`).toBeLessThan(RSS_GROWTH_MAX);
    }
  }

  beforeAll(async () => {
    turns.enable();
    ports = { rpc: await freePort(HOME), gossip: await freePort(HOME) };
    recorder = await Recorder.start({ node: HOME, proxy: RECORDER, gossipPort: ports.gossip, linkPort: ports.rpc });
    await start("a", []);
    await startRecorded([address("a").gossip]);
    await start("c", [`${RECORDER}:${ports.gossip}`]);
    await allSeeAll();
    await Promise.all(ids().map((id) => node(id).converse(ids().filter((peer) => peer !== id))));
    for (const id of ids()) {
      const report = await node(id).until("conversation", ({ answered, marks }) => answered > 200 && marks === 2);
      baseline.set(id, report.rssBytes);
    }
  }, PATIENCE_MS);

  afterAll(async () => {
    const growth = ids().map((id) => (highest.get(id) ?? 0) - (baseline.get(id) ?? 0));
    console.log(`strangers: nodes grew by up to ${Math.round(Math.max(...growth) / 2 ** 20)} MiB`);
    await Promise.all([...nodes.values()].map((running) => running.end()));
    recorder?.close();
    turns.disable();
  });

  const { publicKey: serverKey, secretKey } = deriveKeys(COOKIE).curveKeyPair;
  const others = deriveKeys("what the members of another one know").curveKeyPair;
  const frames = sessionFrames("libeam", "stranger");
  let clients = 1;
  it.runIf(python).each<[string, Omit<ZmqKnock, "address" | "from">]>([
    ["no cookie", { mechanism: "null", frames }],
    ["a password", { mechanism: "plain", frames }],
    ["random keys", { mechanism: "curve", frames }],
    ["the keys of another cookie", { mechanism: "curve", serverKey: others.publicKey, ...others, frames }],
    ["the right public key and a key of its own", { mechanism: "curve", serverKey, frames }],
    ["the right public key and the keys of another cookie", { mechanism: "curve", serverKey, ...others, frames }],
    [
      "the right public key and a secret key that does not fit it",
      { mechanism: "curve", serverKey, publicKey: serverKey, secretKey: others.secretKey, frames },
    ],
  ])("a foreign client with %s is sent away, and is told of", async (what, how) => {
    // An address of its own for each of them: what is told is told once per address.
    const from = `127.0.1.${clients++}`;
    for (let times = 0; times < 3; times++) {
      const visit = await knock(python as string, { ...how, address: address("a").link, from });
      const seen = `${what}, visit ${times + 1}: ${JSON.stringify(visit)}`;
      expect(visit.events, seen).not.toContain("HANDSHAKE_SUCCEEDED");
      expect(visit.events, seen).not.toContain("NOTHING");
      expect(visit.received, seen).toEqual([]);
    }
    const ofClient = ({ refused }: GuardedReport) => refused.filter((peer) => peer.startsWith(`${from}:`));
    await node("a").until("log entry", (report) => ofClient(report).length > 0);
    await nobodyIsHarmed();
    // Once for connections that ended without a word, once for one with a reason.
    const report = await reportOf("a");
    expect(ofClient(report).length, `a: ${told(report)}`).toBeLessThanOrEqual(2);
  });

  it.runIf(python)("that client would get in with the right keys, so it is the keys that keep it out", async () => {
    const visit = await knock(python as string, {
      address: address("a").link,
      from: STRANGER,
      mechanism: "curve",
      serverKey,
      publicKey: serverKey,
      secretKey,
      frames: sessionFrames("another cluster", "stranger"),
    });
    expect(visit.events, JSON.stringify(visit)).toContain("HANDSHAKE_SUCCEEDED");
    // It is a member's key, and another cluster's greeting: refused, with the reason.
    expect(visit.received, JSON.stringify(visit)).toEqual([Buffer.from("lbsn\x01\x03\x03").toString("hex")]);
    await nobodyIsHarmed();
  });

  it.each([
    ["another cookie", "what the members of another one know"],
    ["no cookie", undefined],
  ])("a whole node with %s stays alone, and is counted", async (_what, cookie) => {
    loggerConfig.configure({ level: "none" });
    const before = await Promise.all(ids().map(reportOf));
    const stranger: System = await createSystem({
      type: "distributed",
      nodeId: "stranger",
      port: 0,
      bindAddress: STRANGER,
      advertiseAddress: STRANGER,
      seedNodes: ids().map((id) => address(id).gossip),
      ...(cookie === undefined ? {} : { cookie }),
    });
    try {
      const counts = before.map(({ rejected }) => rejected);
      await node("a").until("count", ({ rejected }) => rejected > (counts[0] as number));
      await node("c").until("count", ({ rejected }) => rejected > (counts[2] as number));
      await nobodyIsHarmed();
      expect(stranger.cluster.getMembers()).toEqual(["stranger"]);
    } finally {
      await stranger.shutdown({ timeout: 0 });
    }
  });

  it("D15: recordings of datagrams, streams and sessions do nothing to the life that they were made of", async () => {
    const { rejected, members } = await reportOf("b");
    expect(members).toContain("c");
    const datagrams = recorder.datagrams.slice();
    expect(datagrams.length).toBeGreaterThan(10);
    await shout(address("b").gossip, STRANGER, datagrams, (sent) =>
      node("b").until("rejections", (report) => report.rejected >= rejected + sent),
    );
    for (const stream of recorder.streams.slice()) {
      const answer = await say(address("b").gossip, STRANGER, Buffer.concat(stream));
      // Somebody who joined asked who is there; anybody may know. No answer has a table.
      expect(answer.includes("tcp://127.0.0.1")).toBe(false);
    }
    const sessions = recorder.sessions.map((parts) => Buffer.concat(parts));
    expect(sessions.filter(({ length }) => length > 1_000)).not.toEqual([]);
    for (const session of sessions) {
      expect((await say(address("b").link, STRANGER, session)).length).toBeLessThanOrEqual(BEFORE_KEYS);
    }
    await nobodyIsHarmed();
  });

  it(
    `${MALFORMED} malformed datagrams are counted and change nothing`,
    async () => {
      const originals = recorder.datagrams.slice();
      const datagrams = Array.from({ length: MALFORMED }, () => mutated(dice.pick(originals), dice));
      const third = Math.ceil(MALFORMED / ids().length);
      await Promise.all(
        ids().map(async (id, i) => {
          const { rejected } = await reportOf(id);
          await shout(address(id).gossip, STRANGER, datagrams.slice(i * third, (i + 1) * third), (sent) =>
            node(id).until("rejections", (report) => report.rejected >= rejected + sent),
          );
        }),
      );
      await nobodyIsHarmed();
    },
    PATIENCE_MS,
  );

  it(
    `${MALFORMED} malformed streams and sessions change nothing`,
    async () => {
      const kinds = ids().flatMap((id) => [
        { to: address(id).gossip, originals: recorder.streams },
        { to: address(id).link, originals: recorder.sessions },
      ]);
      await crowd(MALFORMED, 40, async (index) => {
        const { to, originals } = kinds[index % kinds.length] as (typeof kinds)[number];
        const original = Buffer.concat(dice.pick(originals)).subarray(0, 2_000);
        await say(to, STRANGER, mutated(original.length > 0 ? original : Buffer.from("?"), dice)).catch(() => {});
      });
      await nobodyIsHarmed();
    },
    PATIENCE_MS,
  );

  it(
    "whoever says half a sentence, and drop by drop, is cut off; requests share a bounded memory",
    async () => {
      const greeting = Buffer.concat(recorder.sessions[0] as Buffer[]).subarray(0, 100);
      const announcement = Buffer.alloc(4);
      announcement.writeUInt32LE(8 << 20);
      // A good greeting, and a command of the handshake that is longer than any (ZMTP 3: flags, 64-bit length).
      const command = Buffer.concat([greeting.subarray(0, 64), Buffer.from([6, 0, 0, 0, 0, 1, 0, 0, 0])]);
      const open = async (to: string, first: Uint8Array): Promise<Socket> => {
        const socket = await dial(to, STRANGER);
        socket.write(first);
        return socket;
      };
      const sockets: Socket[] = [];
      for (let i = 0; i < LORIS; i++) {
        sockets.push(await open(address("a").link, greeting.subarray(0, dice.below(greeting.length))));
        sockets.push(await open(address("a").gossip, announcement.subarray(0, 1 + dice.below(4))));
      }
      for (let i = 0; i < LORIS; i++) {
        sockets.push(await open(address("a").gossip, Buffer.concat([announcement, Buffer.alloc(7 << 20)])));
        sockets.push(await open(address("a").link, Buffer.concat([command, Buffer.alloc(15 << 20)])));
        await reportOf("a");
      }
      while (sockets.some(({ closed }) => !closed)) {
        for (const socket of sockets) if (socket.writable && socket.writableLength === 0) socket.write("x");
        await reportOf("a");
      }
      const growth = (highest.get("a") as number) - (baseline.get("a") as number);
      expect(growth, told(await reportOf("a"))).toBeLessThan(RSS_GROWTH_MAX);
      await nobodyIsHarmed();
    },
    PATIENCE_MS,
  );

  it(
    `${IDLE} idle connections are cut off; a node that joins meanwhile is let in`,
    async () => {
      const idle: Socket[] = [];
      await crowd(2 * IDLE, 50, async (index) => {
        idle.push(await dial(index % 2 === 0 ? address("a").link : address("a").gossip, STRANGER));
      });
      const joining = await start("d", [address("a").gossip]);
      await allSeeAll();
      await joining.converse(["a", "b", "c"]);
      await Promise.all(["a", "b", "c"].map((id) => node(id).converse(["d"])));
      await Promise.all(ids().map((id) => node(id).until("conversation", ({ marks }) => marks === 3)));
      await Promise.all(idle.map(over));
      await nobodyIsHarmed();
    },
    PATIENCE_MS,
  );

  it(
    "recordings do nothing to the next life of a node, even if it knows nobody",
    async () => {
      await Promise.all(ids().map((id) => node(id).end()));
      nodes.clear();
      const recorded = {
        datagrams: recorder.datagrams.slice(),
        streams: recorder.streams.map((parts) => Buffer.concat(parts)),
        sessions: recorder.sessions.map((parts) => Buffer.concat(parts)),
      };
      await startRecorded([]);
      await shout(address("b").gossip, STRANGER, recorded.datagrams, (sent) =>
        node("b").until("rejections", ({ rejected }) => rejected >= sent),
      );
      for (const stream of recorded.streams) await say(address("b").gossip, STRANGER, stream);
      for (const session of recorded.sessions) {
        expect((await say(address("b").link, STRANGER, session)).length).toBeLessThanOrEqual(BEFORE_KEYS);
      }
      const report = await reportOf("b");
      expect(report, told(report)).toMatchObject({ members: ["b"], joins: 0, left: [], marks: 0, stray: [] });
    },
    PATIENCE_MS,
  );
});
