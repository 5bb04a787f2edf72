/**
 * KeyringAuthenticator: each step of a rotation, steps in the wrong order, and a cluster that rotates without losing
 * a message.
 */

import { inspect } from "node:util";
import { beforeEach, describe, expect, it } from "vitest";
import {
  CookieAuthenticator,
  CookieRotationError,
  deriveKeys,
  fingerprint,
  type GossipMessage,
  InvalidCookieError,
  InvalidOptionError,
  KeyringAuthenticator,
  type LogEntry,
  loggerConfig,
} from "../../lib/index.js";
import { Dice } from "../support/dice.js";
import { thrown } from "../support/time.js";

const OLD = "kX2v9QmZ0wL7rT4yB8nC1dF6hJ3sG5pA+eU/iOxVqNM=";
const NEW = "Zt7Qw1Xc9Vb3Nm5Lk8Jh2Gf6Ds4Ap0Oi+Uy/TrEeWqR=";
const LATER = "pL0oK9iJ8uH7yG6tF5rD4eS3wA2qZ1xC+vB/nMmNbVcX=";

const message: GossipMessage = { senderId: "a", peers: [] };
const shown = (cookie: string, salt?: string) => fingerprint(deriveKeys(cookie, salt).curveKeyPair.publicKey);
const pair = (cookie: string) => deriveKeys(cookie).curveKeyPair;
/** Whether a ring believes somebody who has one cookie only. */
const believes = (ring: KeyringAuthenticator, cookie: string) =>
  ring.verifyGossip(new CookieAuthenticator(cookie).signGossip(message));
/** Whether somebody who has one cookie only believes a ring. */
const isBelievedBy = (ring: KeyringAuthenticator, cookie: string) =>
  new CookieAuthenticator(cookie).verifyGossip(ring.signGossip(message));

let entries: LogEntry[];
beforeEach(() => {
  entries = [];
  loggerConfig.configure({ handler: (entry) => entries.push(entry), level: "warn" });
});

describe("a keyring", () => {
  it("begins with one cookie and does what a CookieAuthenticator does", () => {
    const ring = new KeyringAuthenticator(OLD);
    expect(ring.list()).toEqual([shown(OLD)]);
    expect(ring.curveKeyPair).toEqual(pair(OLD));
    expect([believes(ring, OLD), believes(ring, NEW)]).toEqual([true, false]);
    expect([isBelievedBy(ring, OLD), isBelievedBy(ring, NEW)]).toEqual([true, false]);
  });

  it("checks its arguments", () => {
    expect(() => new KeyringAuthenticator("too short")).toThrow(InvalidCookieError);
    expect(() => new KeyringAuthenticator(OLD, { salt: "" })).toThrow(InvalidOptionError);
    expect(() => new KeyringAuthenticator(OLD, { nonceTtlMs: 0 })).toThrow(InvalidOptionError);
  });

  it("uses its salt for every cookie", () => {
    const ring = new KeyringAuthenticator(OLD, { salt: "another" });
    ring.install(NEW);
    expect(ring.list()).toEqual([shown(OLD, "another"), shown(NEW, "another")]);
  });

  it("shows fingerprints and no secret", () => {
    const ring = new KeyringAuthenticator(OLD);
    ring.install(NEW);
    for (const each of ring.list()) expect(each).toMatch(/^[0-9a-f]{64}$/);
    const text = inspect(ring, { depth: 9, showHidden: true }) + JSON.stringify(ring) + ring.list().join();
    for (const secret of [OLD, NEW, pair(OLD).secretKey, pair(NEW).secretKey]) expect(text).not.toContain(secret);
  });

  it("warns once of each cookie that could be guessed", () => {
    const ring = new KeyringAuthenticator("short but taken!");
    expect(entries).toHaveLength(1);
    ring.install("also not so long");
    expect(entries).toHaveLength(2);
    ring.activate();
    ring.remove();
    for (let round = 0; round < 3; round++) believes(ring, OLD);
    expect(entries).toHaveLength(2);
  });
});

describe("install", () => {
  it("believes both and seals with the old one", () => {
    const ring = new KeyringAuthenticator(OLD);
    ring.install(NEW);
    expect(ring.list()).toEqual([shown(OLD), shown(NEW)]);
    expect(ring.curveKeyPair).toEqual(pair(OLD));
    expect([believes(ring, OLD), believes(ring, NEW), believes(ring, LATER)]).toEqual([true, true, false]);
    expect([isBelievedBy(ring, OLD), isBelievedBy(ring, NEW)]).toEqual([true, false]);
  });

  it("refuses a second cookie while one is pending", () => {
    const ring = new KeyringAuthenticator(OLD);
    ring.install(NEW);
    for (const cookie of [LATER, NEW]) {
      const error = thrown(() => ring.install(cookie));
      expect(error).toBeInstanceOf(CookieRotationError);
      expect(error.message).toBe(
        "Cookie rotation error: A pending cookie is already installed. Call activate() or remove() first.",
      );
    }
    expect(ring.list()).toEqual([shown(OLD), shown(NEW)]);
  });

  it("refuses a further cookie while the previous one is believed", () => {
    const ring = new KeyringAuthenticator(OLD);
    ring.install(NEW);
    ring.activate();
    expect(() => ring.install(LATER)).toThrow(CookieRotationError);
    expect(ring.list()).toEqual([shown(NEW), shown(OLD)]);
  });

  it("refuses the active cookie, and one that is too short", () => {
    const ring = new KeyringAuthenticator(OLD);
    expect(() => ring.install(OLD)).toThrow(CookieRotationError);
    expect(() => ring.install("too short")).toThrow(InvalidCookieError);
    expect(ring.list()).toEqual([shown(OLD)]);
  });

  it("refuses a cookie whose key packets could not tell from the active one", () => {
    const ring = new KeyringAuthenticator(OLD);
    const id = ring._gossipKeys()[0]?.id;
    const candidates = Array.from({ length: 20_000 }, (_, at) => `${NEW}${at}`);
    const twin = candidates.find((cookie) => new CookieAuthenticator(cookie)._gossipKeys()[0]?.id === id);
    const error = thrown(() => ring.install(twin ?? ""));
    expect(error).toBeInstanceOf(CookieRotationError);
    expect(error.message).toContain("Choose another cookie");
    expect(ring.list()).toEqual([shown(OLD)]);
  });
});

describe("activate", () => {
  it("seals with the new one and believes both", () => {
    const ring = new KeyringAuthenticator(OLD);
    ring.install(NEW);
    expect(ring.activate()).toEqual(pair(NEW));
    expect(ring.list()).toEqual([shown(NEW), shown(OLD)]);
    expect(ring.curveKeyPair).toEqual(pair(NEW));
    expect([believes(ring, OLD), believes(ring, NEW)]).toEqual([true, true]);
    expect([isBelievedBy(ring, OLD), isBelievedBy(ring, NEW)]).toEqual([false, true]);
  });

  it("throws when nothing is pending, and does not go back", () => {
    const ring = new KeyringAuthenticator(OLD);
    const error = thrown(() => ring.activate());
    expect(error).toBeInstanceOf(CookieRotationError);
    expect(error.message).toBe("Cookie rotation error: No pending cookie installed. Call install() first.");
    ring.install(NEW);
    ring.activate();
    expect(() => ring.activate()).toThrow(CookieRotationError);
    expect(ring.list()).toEqual([shown(NEW), shown(OLD)]);
  });
});

describe("remove", () => {
  it("ends the rotation: only the new one is believed", () => {
    const ring = new KeyringAuthenticator(OLD);
    ring.install(NEW);
    ring.activate();
    ring.remove();
    expect(ring.list()).toEqual([shown(NEW)]);
    expect([believes(ring, OLD), believes(ring, NEW)]).toEqual([false, true]);
  });

  it("before activate drops the pending one", () => {
    const ring = new KeyringAuthenticator(OLD);
    ring.install(NEW);
    ring.remove();
    expect(ring.list()).toEqual([shown(OLD)]);
    expect(ring.curveKeyPair).toEqual(pair(OLD));
    expect([believes(ring, OLD), believes(ring, NEW)]).toEqual([true, false]);
    expect(() => ring.activate()).toThrow(CookieRotationError);
  });

  it("does nothing when there is nothing to remove, as often as it is called", () => {
    const ring = new KeyringAuthenticator(OLD);
    for (let round = 0; round < 3; round++) ring.remove();
    expect(ring.list()).toEqual([shown(OLD)]);
    ring.install(NEW);
    ring.activate();
    for (let round = 0; round < 3; round++) ring.remove();
    expect(ring.list()).toEqual([shown(NEW)]);
  });

  it("makes room for the next rotation", () => {
    const ring = new KeyringAuthenticator(OLD);
    for (const cookie of [NEW, LATER, OLD]) {
      ring.install(cookie);
      ring.activate();
      ring.remove();
      expect(ring.list()).toEqual([shown(cookie)]);
    }
  });
});

describe("replay", () => {
  it("is refused on both sides of each step", () => {
    const ring = new KeyringAuthenticator(OLD);
    const old = new CookieAuthenticator(OLD).signGossip(message);
    expect([ring.verifyGossip(old), ring.verifyGossip(old)]).toEqual([true, false]);
    ring.install(NEW);
    const fresh = new CookieAuthenticator(NEW).signGossip(message);
    expect([ring.verifyGossip(old), ring.verifyGossip(fresh)]).toEqual([false, true]);
    ring.activate();
    expect([ring.verifyGossip(old), ring.verifyGossip(fresh)]).toEqual([false, false]);
  });

  it("is refused after a cookie has been removed and installed again", () => {
    const ring = new KeyringAuthenticator(OLD);
    ring.install(NEW);
    const sealed = new CookieAuthenticator(NEW).signGossip(message);
    expect(ring.verifyGossip(sealed)).toBe(true);
    ring.remove();
    ring.install(NEW);
    expect(ring.verifyGossip(sealed)).toBe(false);
  });
});

describe("native membership", () => {
  it("gets the keys in the order of the list, each with its own number", () => {
    const ring = new KeyringAuthenticator(OLD);
    const [old] = ring._gossipKeys();
    ring.install(NEW);
    const [, fresh] = ring._gossipKeys();
    expect(ring._gossipKeys()).toEqual([old, fresh]);
    expect(old?.id).not.toBe(fresh?.id);
    ring.activate();
    expect(ring._gossipKeys()).toEqual([fresh, old]);
    ring.remove();
    expect(ring._gossipKeys()).toEqual([fresh]);
    expect(new KeyringAuthenticator(NEW)._gossipKeys()).toEqual([fresh]);
  });
});

describe("a cluster", () => {
  type Step = (ring: KeyringAuthenticator) => void;
  const rotation: Step[] = [(ring) => ring.install(NEW), (ring) => void ring.activate(), (ring) => ring.remove()];

  it("loses no message while each step is done everywhere before the next, whatever the order of nodes", () => {
    for (let seed = 0; seed < 50; seed++) {
      const dice = new Dice(seed);
      const rings = Array.from({ length: 4 }, () => new KeyringAuthenticator(OLD));
      const exchange = () => {
        const [from, to] = [dice.pick(rings), dice.pick(rings)];
        expect(to.verifyGossip(from.signGossip(message)), `seed ${seed}`).toBe(true);
      };
      for (const step of rotation) {
        const waiting = [...rings];
        while (waiting.length > 0) {
          exchange();
          step(waiting.splice(dice.below(waiting.length), 1)[0] as KeyringAuthenticator);
          exchange();
        }
      }
      for (const ring of rings) expect(ring.list()).toEqual([shown(NEW)]);
    }
  });
});
