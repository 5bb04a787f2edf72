/**
 * The keys that follow from a cookie, and the text in which they are written (Z85, ZeroMQ RFC 32).
 *
 * The derivation is `crates/libeam-core/src/security/`; this is its face with checked arguments. Keys are secrets: no
 * error quotes one, and what holds one keeps it in a private field or behind a getter, where no inspection prints it.
 */

import { InvalidArgumentError, InvalidOptionError, LibeamError } from "../errors.js";
import * as native from "../kernel/native.js";
import { assertCookie, warnIfWeak } from "./cookie.js";

/** The salt of clusters that name none. */
export const DEFAULT_SALT = "libeam-v2";
const SALT_CHARS_MAX = 255;

/** Keys of the transport (Curve25519), each of 40 characters in Z85. */
export interface CurveKeyPair {
  readonly publicKey: string;
  readonly secretKey: string;
}

/** Accepts 1 to 255 characters of well-formed Unicode. @throws InvalidOptionError */
function assertSalt(salt: unknown): asserts salt is string {
  const valid = typeof salt === "string" && salt !== "" && salt.length <= SALT_CHARS_MAX && salt.isWellFormed();
  if (!valid) {
    throw new InvalidOptionError(
      "salt",
      salt,
      `a non-empty, well-formed string of at most ${SALT_CHARS_MAX} characters`,
    );
  }
}

/**
 * Derives the keys of the cluster that has this cookie and this salt. Says nothing about the quality of the cookie: it
 * need not have the length that an authenticator asks for.
 *
 * @param salt Not secret. Clusters with one cookie and two salts have unrelated keys. Default "libeam-v2".
 * @throws InvalidArgumentError, InvalidOptionError
 */
export function deriveKeys(
  cookie: string,
  salt: string = DEFAULT_SALT,
): { hmacKey: Buffer; curveKeyPair: CurveKeyPair } {
  if (typeof cookie !== "string" || cookie === "" || !cookie.isWellFormed()) {
    // Not the value: a cookie with a fault is still almost the cookie.
    throw new InvalidArgumentError("cookie", "a non-empty, well-formed string", typeof cookie);
  }
  assertSalt(salt);
  const { hmacKey, publicKey, secretKey } = native.deriveKeys(cookie, salt);
  return { hmacKey, curveKeyPair: Object.freeze({ publicKey, secretKey }) };
}

/** Runs what the addon may refuse. */
function z85<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new LibeamError((error as Error).message, "INVALID_Z85", undefined, { cause: error });
  }
}

/** Writes bytes as Z85. @throws LibeamError INVALID_Z85 if their number is no multiple of 4 */
export function z85Encode(data: Uint8Array): string {
  if (!(data instanceof Uint8Array)) throw new InvalidArgumentError("data", "a Buffer or Uint8Array", typeof data);
  return z85(() => native.z85Encode(data));
}

/** Reads Z85. @throws LibeamError INVALID_Z85 for every text that `z85Encode` does not write */
export function z85Decode(text: string): Buffer {
  if (typeof text !== "string") throw new InvalidArgumentError("text", "a string", typeof text);
  return z85(() => native.z85Decode(text));
}

/**
 * What may be shown of a key pair: SHA-256 of the public key's 32 bytes, as 64 hexadecimal digits.
 *
 * @throws LibeamError INVALID_Z85 if the argument is no public key in Z85
 */
export function fingerprint(publicKey: string): string {
  if (typeof publicKey !== "string") throw new InvalidArgumentError("publicKey", "a string", typeof publicKey);
  return z85(() => native.fingerprint(publicKey));
}

/** What an authenticator keeps of a cookie. */
export interface ClusterKey {
  /** Tells keys of one cluster apart on the wire, 1 to 255; the same on every node. */
  readonly id: number;
  readonly hmacKey: Buffer;
  readonly curveKeyPair: CurveKeyPair;
  readonly fingerprint: string;
}

/** The key of a cookie from a user. Warns if it is weak. @throws InvalidCookieError, InvalidOptionError */
export function clusterKey(cookie: string, salt?: string): ClusterKey {
  assertCookie(cookie);
  const { hmacKey, curveKeyPair } = deriveKeys(cookie, salt);
  warnIfWeak(cookie);
  const shown = fingerprint(curveKeyPair.publicKey);
  return { id: 1 + (Number.parseInt(shown.slice(0, 8), 16) % 255), hmacKey, curveKeyPair, fingerprint: shown };
}
