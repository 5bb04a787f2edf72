/**
 * Keys from a cookie, their text, and where the cookie comes from.
 */

import { createHash, createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertCookie, estimatedBits, resolveCookie } from "../../lib/cluster/cookie.js";
import {
  deriveKeys,
  fingerprint,
  InvalidArgumentError,
  InvalidCookieError,
  InvalidOptionError,
  LibeamError,
  z85Decode,
  z85Encode,
} from "../../lib/index.js";
import { Dice } from "../support/dice.js";
import { thrown } from "../support/time.js";

const COOKIE = "correct horse battery staple";

describe("deriveKeys", () => {
  it("gives equal keys for equal arguments", () => {
    expect(deriveKeys(COOKIE)).toEqual(deriveKeys(COOKIE));
    expect(deriveKeys(COOKIE)).toEqual(deriveKeys(COOKIE, "libeam-v2"));
  });

  it("gives other keys for another cookie and for another salt", () => {
    const one = deriveKeys(COOKIE);
    for (const other of [deriveKeys(`${COOKIE}!`), deriveKeys(COOKIE, "another")]) {
      expect(other.hmacKey.equals(one.hmacKey)).toBe(false);
      expect(other.curveKeyPair.publicKey).not.toBe(one.curveKeyPair.publicKey);
      expect(other.curveKeyPair.secretKey).not.toBe(one.curveKeyPair.secretKey);
    }
  });

  it("gives a Buffer and two keys of 40 characters, each of its own", () => {
    const { hmacKey, curveKeyPair } = deriveKeys(COOKIE);
    expect(Buffer.isBuffer(hmacKey)).toBe(true);
    expect(hmacKey).toHaveLength(32);
    expect(curveKeyPair.publicKey).toHaveLength(40);
    expect(curveKeyPair.secretKey).toHaveLength(40);
    expect(z85Decode(curveKeyPair.secretKey).equals(hmacKey)).toBe(false);
  });

  it("agrees with Node's own cryptography", () => {
    const { hmacKey, curveKeyPair } = deriveKeys("größer als 16 Zeichen 😀", "salt");
    const hkdf = (info: string) => Buffer.from(hkdfSync("sha256", "größer als 16 Zeichen 😀", "salt", info, 32));
    expect(hmacKey).toEqual(hkdf("libeam/gossip hmac/1"));
    const secret = hkdf("libeam/curve secret/1");
    expect(z85Decode(curveKeyPair.secretKey)).toEqual(secret);
    const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), secret]);
    const publicKey = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
    expect(z85Decode(curveKeyPair.publicKey)).toEqual(publicKey.export({ format: "der", type: "spki" }).subarray(-32));
  });

  it.each([[""], [null], [7], ["x".repeat(256)], ["\ud800"]])("refuses the salt %j", (salt) => {
    expect(thrown(() => deriveKeys(COOKIE, salt as string))).toBeInstanceOf(InvalidOptionError);
  });

  it.each([[""], [undefined], [7], [`secret secret secret \ud800`]])(
    "refuses the cookie %j without quoting it",
    (bad) => {
      const error = thrown(() => deriveKeys(bad as string));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error.message).not.toContain("secret secret");
    },
  );
});

describe("z85", () => {
  it("comes back, whatever the bytes", () => {
    const dice = new Dice(85);
    for (let round = 0; round < 200; round++) {
      const data = Buffer.from(Array.from({ length: dice.below(20) * 4 }, () => dice.below(256)));
      const text = z85Encode(data);
      expect(text).toHaveLength((data.length / 4) * 5);
      expect(z85Decode(text)).toEqual(data);
    }
  });

  it("takes a Uint8Array, and a part of a longer one", () => {
    const hello = [0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b];
    expect(z85Encode(new Uint8Array(hello))).toBe("HelloWorld");
    expect(z85Encode(new Uint8Array([1, ...hello, 2]).subarray(1, 9))).toBe("HelloWorld");
  });

  it.each([
    ["Z85 encode: data length must be a multiple of 4", () => z85Encode(Buffer.alloc(3))],
    ["Z85 decode: string length must be a multiple of 5", () => z85Decode("abcd")],
    ["Z85 decode: byte 4 is not in the alphabet", () => z85Decode("abcd~")],
    ["Z85 decode: the group at byte 0 stands for no four bytes", () => z85Decode("#####")],
    ["a public key has 40 characters", () => fingerprint("HelloWorld")],
  ])("says: %s", (message, run) => {
    const error = thrown(run);
    expect(error).toBeInstanceOf(LibeamError);
    expect([error.message, error.code]).toEqual([message, "INVALID_Z85"]);
  });

  it("refuses what is no bytes and no text", () => {
    for (const run of [() => z85Encode("x" as never), () => z85Decode(5 as never), () => fingerprint(null as never)]) {
      expect(run).toThrow(InvalidArgumentError);
    }
  });
});

it("a fingerprint is the SHA-256 of the public key", () => {
  const { publicKey } = deriveKeys(COOKIE).curveKeyPair;
  expect(fingerprint(publicKey)).toMatch(/^[0-9a-f]{64}$/);
  expect(fingerprint(publicKey)).toBe(createHash("sha256").update(z85Decode(publicKey)).digest("hex"));
});

describe("a cookie", () => {
  it("has at least 16 characters", () => {
    assertCookie("0123456789abcdef");
    const error = thrown(() => assertCookie("0123456789abcde"));
    expect(error).toBeInstanceOf(InvalidCookieError);
    expect(error.code).toBe("INVALID_COOKIE");
    expect(error.message).toBe("Cookie must be at least 16 characters for secure key derivation.");
  });

  it.each([[undefined], [null], [1234567890123456], [Buffer.alloc(32)], [`${"x".repeat(20)}\udc00`]])(
    "is well-formed text, and not %s",
    (cookie) => {
      expect(() => assertCookie(cookie)).toThrow(InvalidCookieError);
    },
  );
});

describe("resolveCookie", () => {
  let folder: string;
  const file = (content: string): string => {
    const path = join(folder, "cookie");
    writeFileSync(path, content);
    return path;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "libeam-cookie-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it("takes the option, then the variable, then the file", () => {
    const LIBEAM_COOKIE_FILE = file("from file");
    expect(resolveCookie({ cookie: "from option" }, { LIBEAM_COOKIE: "from variable", LIBEAM_COOKIE_FILE })).toBe(
      "from option",
    );
    expect(resolveCookie({}, { LIBEAM_COOKIE: "from variable", LIBEAM_COOKIE_FILE })).toBe("from variable");
    expect(resolveCookie({}, { LIBEAM_COOKIE_FILE })).toBe("from file");
    expect(resolveCookie({}, {})).toBeUndefined();
  });

  it("does not open the file when it is not asked for", () => {
    expect(resolveCookie({ cookie: "from option" }, { LIBEAM_COOKIE_FILE: join(folder, "none") })).toBe("from option");
  });

  it("trims a file and nothing else", () => {
    expect(resolveCookie({}, { LIBEAM_COOKIE_FILE: file("\ufeff  from file \r\n\n") })).toBe("from file");
    expect(resolveCookie({ cookie: " option " }, {})).toBe(" option ");
    expect(resolveCookie({}, { LIBEAM_COOKIE: " variable " })).toBe(" variable ");
  });

  it("takes empty variables for absent ones", () => {
    expect(resolveCookie({}, { LIBEAM_COOKIE: "", LIBEAM_COOKIE_FILE: "" })).toBeUndefined();
    expect(resolveCookie({}, { LIBEAM_COOKIE: "", LIBEAM_COOKIE_FILE: file("from file") })).toBe("from file");
  });

  it("refuses an empty option and an empty file", () => {
    expect(() => resolveCookie({ cookie: "" }, { LIBEAM_COOKIE: "from variable" })).toThrow(/cookie must not be empty/);
    const error = thrown(() => resolveCookie({}, { LIBEAM_COOKIE_FILE: file(" \n") }));
    expect(error).toBeInstanceOf(InvalidCookieError);
    expect(error.message).toContain("is empty");
  });

  it("refuses a file that is no text: other bytes would give the same cookie", () => {
    const path = join(folder, "bytes");
    writeFileSync(path, Buffer.from([...Buffer.from("sixteen characters"), 0xc3, 0x28, 0xff]));
    const error = thrown(() => resolveCookie({}, { LIBEAM_COOKIE_FILE: path }));
    expect(error).toBeInstanceOf(InvalidCookieError);
    for (const part of [path, "LIBEAM_COOKIE_FILE", "UTF-8"]) expect(error.message).toContain(part);
  });

  it("says which file cannot be read, and why", () => {
    for (const [path, why] of [
      [join(folder, "none"), "ENOENT"],
      [folder, "EISDIR"],
    ] as const) {
      const error = thrown(() => resolveCookie({}, { LIBEAM_COOKIE_FILE: path }));
      expect(error).toBeInstanceOf(InvalidCookieError);
      for (const part of [path, "LIBEAM_COOKIE_FILE", why]) expect(error.message).toContain(part);
      expect(error.cause).toMatchObject({ code: why });
    }
  });
});

describe("estimatedBits", () => {
  const random = (dice: Dice, bytes: number) => Buffer.from(Array.from({ length: bytes }, () => dice.below(256)));
  const base32 = (data: Buffer) => [...data].map((byte) => "abcdefghijklmnopqrstuvwxyz234567"[byte % 32]).join("");

  it.each([
    ["hexadecimal", (dice: Dice) => random(dice, 16).toString("hex")],
    ["hexadecimal, upper case", (dice: Dice) => random(dice, 16).toString("hex").toUpperCase()],
    ["base64", (dice: Dice) => random(dice, 16).toString("base64")],
    ["base64url", (dice: Dice) => random(dice, 16).toString("base64url")],
    ["base32", (dice: Dice) => base32(random(dice, 26))],
    ["Z85", (dice: Dice) => z85Encode(random(dice, 20))],
  ])("finds 128 bits in generated cookies: %s", (_, make) => {
    const dice = new Dice(128);
    for (let round = 0; round < 200; round++) {
      const cookie = make(dice);
      expect(estimatedBits(cookie), cookie).toBeGreaterThanOrEqual(128);
    }
  });

  it.each([
    ["a".repeat(200), 10],
    ["0123456789abcdef", 20],
    ["passwordpassword", 60],
    ["abc".repeat(100), 30],
    ["my-cluster-secret", 100],
    ["a".repeat(10_000), 10],
    ["", 0],
  ])("finds no more in %.20s than %d", (cookie, bits) => {
    expect(estimatedBits(cookie)).toBeLessThanOrEqual(bits);
  });

  it("grows with what is appended by chance", () => {
    const dice = new Dice(7);
    let cookie = "";
    let before = 0;
    for (let round = 0; round < 20; round++) {
      cookie += random(dice, 3).toString("base64url");
      const bits = estimatedBits(cookie);
      expect(bits).toBeGreaterThan(before);
      before = bits;
    }
  });
});
