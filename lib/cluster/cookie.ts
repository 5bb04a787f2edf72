/**
 * The cookie: the secret that the nodes of a cluster share, where it comes from and what is asked of it.
 *
 * It is looked for in the `cookie` option, then in LIBEAM_COOKIE, then in the file that LIBEAM_COOKIE_FILE names; the
 * first one that is there is it, good or bad. An environment variable that is empty counts as absent, as it does for
 * shells and container files; an empty option and an empty file are errors, because the alternative is an open cluster
 * that nobody asked for. Only what comes from a file is trimmed.
 *
 * No message and no log entry quotes a cookie.
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import { InvalidCookieError } from "../errors.js";
import { createLogger } from "../kernel/logger.js";

/** Fewest UTF-16 units of a cookie. */
const COOKIE_CHARS_MIN = 16;
/** Below this estimate a cookie is warned about: somebody who recorded a packet can try cookies without being seen. */
const WEAK_BELOW_BITS = 128;

/** A stretch that long is no chance but a repetition or a sequence. */
const PREDICTABLE_CHARS_MIN = 6;
/** What comes after is not looked at; every cookie of that length without a pattern is strong. */
const EXAMINED_CHARS_MAX = 256;

/** Refuses what is no text: different bytes would all become the same replacement character. */
const UTF_8 = new TextDecoder("utf-8", { fatal: true });

const log = createLogger("cookie");

/**
 * Accepts well-formed text of at least 16 characters: lone surrogates would all become the same bytes.
 *
 * @throws InvalidCookieError
 */
export function assertCookie(cookie: unknown): asserts cookie is string {
  if (typeof cookie !== "string") throw new InvalidCookieError("Cookie must be a string.");
  if (cookie.length < COOKIE_CHARS_MIN) {
    throw new InvalidCookieError(
      `Cookie must be at least ${COOKIE_CHARS_MIN} characters for secure key derivation.`,
      cookie.length,
    );
  }
  if (!cookie.isWellFormed()) throw new InvalidCookieError("Cookie must be well-formed Unicode.");
}

/**
 * The cookie that a node is to use; undefined if it has none.
 *
 * @throws InvalidCookieError if the option or the file is empty or the file cannot be read. The length is checked by
 *   whoever derives keys.
 */
export function resolveCookie(
  config: { readonly cookie?: string | undefined },
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  const { cookie } = config;
  if (cookie === "") {
    throw new InvalidCookieError("cookie must not be empty. Leave it out to use LIBEAM_COOKIE or to have none.", 0);
  }
  if (cookie !== undefined) return cookie;
  if (env.LIBEAM_COOKIE) return env.LIBEAM_COOKIE;
  return env.LIBEAM_COOKIE_FILE ? readCookie(env.LIBEAM_COOKIE_FILE) : undefined;
}

function readCookie(path: string): string {
  let text: string;
  try {
    text = UTF_8.decode(readFileSync(path));
  } catch (error) {
    const why = error instanceof TypeError ? "it is no UTF-8" : (error as Error).message;
    throw new InvalidCookieError(`The cookie file "${path}" of LIBEAM_COOKIE_FILE cannot be read: ${why}`, undefined, {
      cause: error,
    });
  }
  const cookie = text.trim();
  if (cookie === "") throw new InvalidCookieError(`The cookie file "${path}" of LIBEAM_COOKIE_FILE is empty.`, 0);
  return cookie;
}

/** Warns of a cookie that somebody could guess. Called once for each cookie that an authenticator is given. */
export function warnIfWeak(cookie: string): void {
  const bits = Math.floor(estimatedBits(cookie));
  if (bits >= WEAK_BELOW_BITS) return;
  log.warn(
    `The cluster's cookie has an estimated ${bits} bits of entropy at most, and ${WEAK_BELOW_BITS} are safe: ` +
      "whoever records a packet can try cookies offline. Make one with: openssl rand -base64 32",
    { estimatedBits: bits },
  );
}

/**
 * How many bits of entropy a cookie has at most: its length times what a character of its alphabet says, where a
 * repetition or a sequence counts as one character. A generated cookie gets what it has; one that a person made up has
 * less than this says, because words are not recognized.
 */
export function estimatedBits(cookie: string): number {
  const text = significant(cookie).slice(0, EXAMINED_CHARS_MAX);
  const bitsPerChar = Math.log2(alphabetSize(text));
  let chars = 0;
  for (let at = 0; at < text.length; chars++) {
    const stretch = Math.max(repetitionAt(text, at), sequenceAt(text, at));
    at += stretch >= PREDICTABLE_CHARS_MIN ? stretch : 1;
  }
  return chars * bitsPerChar;
}

/** Without what is no choice: the padding of base64, the hyphens of a UUID. */
function significant(cookie: string): string {
  const text = cookie.trim().replace(/={1,2}$/, "");
  return /^[0-9a-f-]+$/i.test(text) ? text.replaceAll("-", "") : text;
}

/** Size of the smallest usual alphabet that a text can have been written in. */
function alphabetSize(text: string): number {
  if (/^\d*$/.test(text)) return 10;
  if (/^([0-9a-f]+|[0-9A-F]+)$/.test(text)) return 16;
  const [lower, upper] = [/[a-z]/.test(text), /[A-Z]/.test(text)];
  let size = (lower ? 26 : 0) + (upper ? 26 : 0);
  // Short texts in base64 may have no digit by chance.
  if ((lower && upper) || /\d/.test(text)) size += 10;
  if (/[^\p{ASCII}]/u.test(text)) size += 100;
  if (/[!-*,.:-@[-^`{-~]/.test(text)) return size + 33;
  return /[_+/ -]/.test(text) ? size + 2 : size;
}

/** Length of the longest stretch from `at` on that began before as well. */
function repetitionAt(text: string, at: number): number {
  let longest = 0;
  for (let from = 0; from < at; from++) {
    let length = 0;
    while (at + length < text.length && text[from + length] === text[at + length]) length++;
    longest = Math.max(longest, length);
  }
  return longest;
}

/** Length of the stretch from `at` on in which each character is the next, the one before, or the same again. */
function sequenceAt(text: string, at: number): number {
  const step = text.charCodeAt(at + 1) - text.charCodeAt(at);
  if (!(Math.abs(step) <= 1)) return 1;
  let length = 2;
  while (text.charCodeAt(at + length) - text.charCodeAt(at + length - 1) === step) length++;
  return length;
}
