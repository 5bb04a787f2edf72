/**
 * CookieAuthenticator and NullAuthenticator: seals, tampering, replay, and secrets that nobody prints.
 */

import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  type AuthenticatedGossipMessage,
  CookieAuthenticator,
  deriveKeys,
  type GossipMessage,
  InvalidArgumentError,
  InvalidCookieError,
  InvalidOptionError,
  type LogEntry,
  loggerConfig,
  NullAuthenticator,
} from "../../lib/index.js";
import { Dice } from "../support/dice.js";
import { gossipMessageOf, tamperedWith } from "../support/gossip_messages.js";
import { thrown } from "../support/time.js";

/** 256 bits in base64, so that nothing is warned about. */
const COOKIE = "kX2v9QmZ0wL7rT4yB8nC1dF6hJ3sG5pA+eU/iOxVqNM=";
const OTHER_COOKIE = "Zt7Qw1Xc9Vb3Nm5Lk8Jh2Gf6Ds4Ap0Oi+Uy/TrEeWqR=";

const message: GossipMessage = {
  senderId: "a",
  peers: [
    {
      id: "a",
      address: "tcp://127.0.0.1:1",
      heartbeat: 1,
      generation: 2,
      gossipAddress: "127.0.0.1:3",
      lastUpdated: 4,
      metadata: { zone: "north" },
    },
  ],
};

/** What arrives when a message is sent as JSON. */
const received = (sealed: AuthenticatedGossipMessage): AuthenticatedGossipMessage => JSON.parse(JSON.stringify(sealed));

let entries: LogEntry[];
beforeEach(() => {
  entries = [];
  loggerConfig.configure({ handler: (entry) => entries.push(entry), level: "warn" });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a cookie", () => {
  it.each([[""], ["0123456789abcde"], [undefined], [7]])("%j is refused", (cookie) => {
    expect(() => new CookieAuthenticator(cookie as string)).toThrow(InvalidCookieError);
  });

  it("of 16 characters is taken, with one warning when it could be guessed", () => {
    new CookieAuthenticator("short but taken!");
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ level: "warn", context: { component: "cookie" } });
    expect(entries[0]?.message).toMatch(/bits of entropy/);
    expect(JSON.stringify(entries)).not.toContain("short but taken!");
  });

  it("that was generated is taken in silence", () => {
    new CookieAuthenticator(COOKIE);
    expect(entries).toEqual([]);
  });
});

describe("options", () => {
  it.each([
    ["nonceTtlMs", 0],
    ["nonceTtlMs", -1],
    ["nonceTtlMs", Number.NaN],
    ["nonceTtlMs", "10"],
    ["nonceCacheMaxSize", 0],
    ["nonceCacheMaxSize", 1.5],
    ["nonceCacheMaxSize", Number.POSITIVE_INFINITY],
    ["salt", ""],
    ["salt", 1],
  ])("%s %j is refused", (option, value) => {
    const error = thrown(() => new CookieAuthenticator(COOKIE, { [option]: value }));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error.context.option).toBe(option);
  });

  it("have to be an object", () => {
    expect(() => new CookieAuthenticator(COOKIE, "libeam-v2" as never)).toThrow(InvalidOptionError);
  });
});

describe("the key pair", () => {
  it("is the one that follows from cookie and salt", () => {
    expect(new CookieAuthenticator(COOKIE).curveKeyPair).toEqual(deriveKeys(COOKIE).curveKeyPair);
    const salted = new CookieAuthenticator(COOKIE, { salt: "another" });
    expect(salted.curveKeyPair).toEqual(deriveKeys(COOKIE, "another").curveKeyPair);
  });

  it("cannot be changed, and no secret is printed", () => {
    const auth = new CookieAuthenticator(COOKIE);
    const { secretKey } = auth.curveKeyPair;
    expect(Object.isFrozen(auth.curveKeyPair)).toBe(true);
    for (const shown of [inspect(auth, { depth: 9, showHidden: true }), JSON.stringify({ auth }), String(auth)]) {
      expect(shown).not.toContain(secretKey);
      expect(shown).not.toContain(COOKIE);
    }
  });
});

describe("a seal", () => {
  it("adds nonce and hmac, and leaves the message alone", () => {
    const sealed = new CookieAuthenticator(COOKIE).signGossip(message);
    expect(sealed).toEqual({
      ...message,
      nonce: expect.stringMatching(/^[0-9a-f]{32}$/),
      hmac: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Object.keys(message)).toEqual(["senderId", "peers"]);
  });

  it("is believed by whoever has the cookie", () => {
    const auth = new CookieAuthenticator(COOKIE);
    expect(auth.verifyGossip(auth.signGossip(message))).toBe(true);
    expect(new CookieAuthenticator(COOKIE).verifyGossip(received(auth.signGossip(message)))).toBe(true);
  });

  it("is not believed by another cookie or another salt", () => {
    const sealed = new CookieAuthenticator(COOKIE).signGossip(message);
    expect(new CookieAuthenticator(OTHER_COOKIE).verifyGossip(sealed)).toBe(false);
    expect(new CookieAuthenticator(COOKIE, { salt: "another" }).verifyGossip(sealed)).toBe(false);
  });

  it("is a new one each time, also over a sealed message", () => {
    const auth = new CookieAuthenticator(COOKIE);
    const [one, two] = [auth.signGossip(message), auth.signGossip(message)];
    expect(two.nonce).not.toBe(one.nonce);
    const again = auth.signGossip(one);
    expect(again.nonce).not.toBe(one.nonce);
    expect([auth.verifyGossip(one), auth.verifyGossip(two), auth.verifyGossip(again)]).toEqual([true, true, true]);
  });

  it("survives the order of keys and fields that are undefined", () => {
    const auth = new CookieAuthenticator(COOKIE);
    const sealed = auth.signGossip({ ...message, version: undefined });
    const turned = Object.fromEntries(Object.entries(received(sealed)).reverse());
    expect(auth.verifyGossip(turned as never)).toBe(true);
  });

  it.each(["nonce", "hmac"] as const)("without %s is not believed", (field) => {
    const auth = new CookieAuthenticator(COOKIE);
    const { [field]: _, ...rest } = auth.signGossip(message);
    expect(auth.verifyGossip(rest as AuthenticatedGossipMessage)).toBe(false);
  });

  it("is believed after any way through JSON, and never after any change", () => {
    for (let seed = 0; seed < 40; seed++) {
      const dice = new Dice(seed);
      const auth = new CookieAuthenticator(COOKIE);
      const sealed = received(auth.signGossip(gossipMessageOf(dice)));
      for (const tampered of tamperedWith(sealed)) {
        const verdict = auth.verifyGossip(tampered as AuthenticatedGossipMessage);
        if (verdict) throw new Error(`seed ${seed}: ${JSON.stringify(tampered)} passed for ${JSON.stringify(sealed)}`);
      }
      expect(auth.verifyGossip(sealed), `seed ${seed}`).toBe(true);
    }
  });

  it("is not believed with any byte of its JSON changed", () => {
    const auth = new CookieAuthenticator(COOKIE);
    const sealed = auth.signGossip(message);
    const json = JSON.stringify(sealed);
    for (let at = 0; at < json.length; at++) {
      const bytes = Buffer.from(json);
      bytes[at] = (bytes[at] as number) ^ 1;
      let tampered: AuthenticatedGossipMessage;
      try {
        tampered = JSON.parse(bytes.toString());
      } catch {
        continue;
      }
      expect(auth.verifyGossip(tampered), `byte ${at}: ${bytes}`).toBe(false);
    }
    expect(auth.verifyGossip(sealed)).toBe(true);
  });

  it.each(["nonce", "hmac"] as const)("has one spelling of its %s", (field) => {
    const auth = new CookieAuthenticator(COOKIE);
    const sealed = auth.signGossip(message);
    for (const other of [`${sealed[field]}00`, ` ${sealed[field]}`, `${sealed[field]}\n`, "", 7, null, ["0"]]) {
      expect(auth.verifyGossip({ ...sealed, [field]: other } as never)).toBe(false);
    }
    const upper = sealed.hmac?.toUpperCase();
    if (upper !== sealed.hmac) expect(auth.verifyGossip({ ...sealed, hmac: upper })).toBe(false);
  });
});

describe("what is no message", () => {
  const nested = JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`);
  const cyclic: Record<string, unknown> = { nonce: "0".repeat(32), hmac: "0".repeat(64) };
  cyclic.peers = cyclic;

  it.each([
    ["null", null],
    ["undefined", undefined],
    ["a number", 7],
    ["a text", "x"],
    ["an array", []],
    ["a deep array", { nonce: "0".repeat(32), hmac: "0".repeat(64), peers: nested }],
    ["a cycle", cyclic],
    ["a bigint", { nonce: "0".repeat(32), hmac: "0".repeat(64), peers: 1n }],
  ])("is not believed, and harms nobody: %s", (_, value) => {
    expect(new CookieAuthenticator(COOKIE).verifyGossip(value as never)).toBe(false);
  });

  it.each([
    ["null", null],
    ["an array", []],
    ["a cycle", cyclic],
    ["a bigint", { senderId: "a", peers: [1n] }],
  ])("is not sealed: %s", (_, value) => {
    expect(() => new CookieAuthenticator(COOKIE).signGossip(value as never)).toThrow(InvalidArgumentError);
  });
});

describe("replay", () => {
  const sealer = new CookieAuthenticator(COOKIE);

  it("is refused", () => {
    const auth = new CookieAuthenticator(COOKIE);
    const sealed = sealer.signGossip(message);
    expect([1, 2, 3].map(() => auth.verifyGossip(sealed))).toEqual([true, false, false]);
    expect(auth.verifyGossip(received(sealed))).toBe(false);
  });

  it("is refused until the time of the first copy is over", () => {
    vi.useFakeTimers();
    const auth = new CookieAuthenticator(COOKIE, { nonceTtlMs: 50 });
    const sealed = sealer.signGossip(message);
    expect(auth.verifyGossip(sealed)).toBe(true);
    vi.advanceTimersByTime(49);
    expect(auth.verifyGossip(sealed)).toBe(false);
    vi.advanceTimersByTime(1);
    expect(auth.verifyGossip(sealed)).toBe(true);
    expect(auth.verifyGossip(sealed)).toBe(false);
  });

  it("is refused for 10 seconds by default, and for ever with Infinity", () => {
    vi.useFakeTimers();
    const usual = new CookieAuthenticator(COOKIE);
    const strict = new CookieAuthenticator(COOKIE, { nonceTtlMs: Number.POSITIVE_INFINITY });
    const sealed = sealer.signGossip(message);
    expect([usual.verifyGossip(sealed), strict.verifyGossip(sealed)]).toEqual([true, true]);
    vi.advanceTimersByTime(9_999);
    expect([usual.verifyGossip(sealed), strict.verifyGossip(sealed)]).toEqual([false, false]);
    vi.advanceTimersByTime(1);
    expect([usual.verifyGossip(sealed), strict.verifyGossip(sealed)]).toEqual([true, false]);
    vi.advanceTimersByTime(10 ** 9);
    expect(strict.verifyGossip(sealed)).toBe(false);
  });

  it("is not eased by a clock that is set", () => {
    vi.useFakeTimers();
    const auth = new CookieAuthenticator(COOKIE);
    const sealed = sealer.signGossip(message);
    auth.verifyGossip(sealed);
    vi.setSystemTime(Date.now() + 10 ** 9);
    expect(auth.verifyGossip(sealed)).toBe(false);
  });

  it("is accepted when more messages have come than are remembered", () => {
    const auth = new CookieAuthenticator(COOKIE, { nonceCacheMaxSize: 3 });
    const sealed = Array.from({ length: 4 }, () => sealer.signGossip(message));
    for (const each of sealed) expect(auth.verifyGossip(each)).toBe(true);
    expect(auth.verifyGossip(sealed[1] as never)).toBe(false);
    expect(auth.verifyGossip(sealed[3] as never)).toBe(false);
    expect(auth.verifyGossip(sealed[0] as never)).toBe(true);
    expect(auth.verifyGossip(sealed[1] as never)).toBe(true);
  });

  it("remembers 10 000 messages by default", () => {
    const auth = new CookieAuthenticator(COOKIE);
    const first = sealer.signGossip(message);
    expect(auth.verifyGossip(first)).toBe(true);
    const short: GossipMessage = { senderId: "a", peers: [] };
    for (let count = 1; count < 10_000; count++) auth.verifyGossip(sealer.signGossip(short));
    expect(auth.verifyGossip(first)).toBe(false);
    auth.verifyGossip(sealer.signGossip(short));
    expect(auth.verifyGossip(first)).toBe(true);
  });

  it("memory is not spent on messages of strangers", () => {
    const auth = new CookieAuthenticator(COOKIE, { nonceCacheMaxSize: 1 });
    const stranger = new CookieAuthenticator(OTHER_COOKIE);
    const sealed = sealer.signGossip(message);
    expect(auth.verifyGossip(sealed)).toBe(true);
    for (let count = 0; count < 10; count++) expect(auth.verifyGossip(stranger.signGossip(message))).toBe(false);
    expect(auth.verifyGossip(sealed)).toBe(false);
  });
});

describe("what native membership gets", () => {
  it("is the key, with a number that all nodes agree on", () => {
    const [key] = new CookieAuthenticator(COOKIE)._gossipKeys();
    expect(Buffer.from(key?.secret ?? [])).toEqual(deriveKeys(COOKIE).hmacKey);
    expect(key?.id).toBeGreaterThanOrEqual(1);
    expect(key?.id).toBeLessThanOrEqual(255);
    expect(new CookieAuthenticator(COOKIE)._gossipKeys()).toEqual([key]);
  });

  it("is no key from a NullAuthenticator", () => {
    expect(new NullAuthenticator()._gossipKeys()).toEqual([]);
  });
});

it("a NullAuthenticator passes everything as it is", () => {
  const auth = new NullAuthenticator();
  expect(auth.signGossip(message)).toBe(message);
  expect([1, 2].map(() => auth.verifyGossip(message))).toEqual([true, true]);
  expect(auth.verifyGossip({ ...message, nonce: "x", hmac: "y" })).toBe(true);
});
