/**
 * Authenticators: who seals gossip messages and who believes them.
 *
 * `CookieAuthenticator` has the key of one cookie for its life; `KeyringAuthenticator` (keyring.ts) changes it without a
 * pause; `NullAuthenticator` believes everybody. The form of a seal and the memory for replays are in gossip_seal.ts, what
 * all of this protects against and what not in docs/design/security.md.
 *
 * An authenticator owns its keys and the nonces that it has accepted. Two authenticators with one cookie have one key
 * and two memories. Verifying answers, it never throws.
 */

import { InvalidOptionError } from "../errors.js";
import type { PeerState } from "../kernel/collaborators.js";
import type { NativeKey } from "../kernel/native.js";
import type { OptionNames, SomeOf } from "../kernel/options.js";
import { assertOptions, assertTimeoutMs } from "../kernel/validate.js";
import type { GossipKeys } from "./gossip.js";
import { type GossipSeal, isSealedWith, NonceCache, seal } from "./gossip_seal.js";
import { type ClusterKey, type CurveKeyPair, clusterKey } from "./key_material.js";

/** The version that gossip messages have. Packets of GossipProtocol are not these messages, and have one of their own. */
export const GOSSIP_PROTOCOL_VERSION = 1;

/** What one node tells another about the nodes it knows. */
export interface GossipMessage {
  senderId: string;
  peers: PeerState[];
  /** {@link GOSSIP_PROTOCOL_VERSION}; absent means any. */
  version?: number | undefined;
}

/** A gossip message with its seal; without it if it comes from a node that does not seal. */
export interface AuthenticatedGossipMessage extends GossipMessage, SomeOf<GossipSeal> {}

/** Seals gossip messages and checks the seals of others. */
export interface Authenticator {
  /** A copy of the message that `verifyGossip` of another node of the cluster accepts. */
  signGossip(message: GossipMessage): AuthenticatedGossipMessage;
  /** Whether a message comes from the cluster, is unchanged and was not accepted before. */
  verifyGossip(message: AuthenticatedGossipMessage): boolean;
}

/** How an authenticator remembers messages, and which keys it derives. */
export interface CookieAuthenticatorOptions {
  /** Milliseconds for which a copy of a message is recognized; default 10 000, `Infinity` for no end. */
  nonceTtlMs?: number | undefined;
  /** Messages that are remembered at most, from 1 to 2^24; the oldest are forgotten first. Default 10 000. */
  nonceCacheMaxSize?: number | undefined;
  /** Salt of the keys; default "libeam-v2". */
  salt?: string | undefined;
}

const NAMES: OptionNames<CookieAuthenticatorOptions> = { nonceTtlMs: true, nonceCacheMaxSize: true, salt: true };

const NONCE_TTL_MS = 10_000;
const NONCES_MAX = 10_000;
/** As many entries as a Map can have. */
const NONCES_LIMIT = 2 ** 24;

/** The nonce cache that options ask for. @throws InvalidOptionError */
export function nonceCacheOf(options: CookieAuthenticatorOptions): NonceCache {
  assertOptions("authenticator options", options, NAMES);
  const { nonceTtlMs = NONCE_TTL_MS, nonceCacheMaxSize = NONCES_MAX } = options as CookieAuthenticatorOptions;
  assertTimeoutMs("nonceTtlMs", nonceTtlMs);
  if (nonceTtlMs === 0) throw new InvalidOptionError("nonceTtlMs", nonceTtlMs, "more than 0 milliseconds");
  if (!Number.isInteger(nonceCacheMaxSize) || nonceCacheMaxSize < 1 || nonceCacheMaxSize > NONCES_LIMIT) {
    throw new InvalidOptionError("nonceCacheMaxSize", nonceCacheMaxSize, `a whole number from 1 to ${NONCES_LIMIT}`);
  }
  return new NonceCache(nonceTtlMs, nonceCacheMaxSize);
}

/** A key as native membership takes it. */
export function nativeKey({ id, hmacKey }: ClusterKey): NativeKey {
  return { id, secret: Buffer.from(hmacKey) };
}

/**
 * Authenticates with the key of one cookie.
 *
 * @example
 * const auth = new CookieAuthenticator(cookie);
 * auth.verifyGossip(auth.signGossip({ senderId: "a", peers: [] })); // true, and false the second time
 */
export class CookieAuthenticator implements Authenticator, GossipKeys {
  readonly #key: ClusterKey;
  readonly #nonces: NonceCache;

  /** @throws InvalidCookieError for fewer than 16 characters, InvalidOptionError */
  constructor(cookie: string, options: CookieAuthenticatorOptions = {}) {
    this.#nonces = nonceCacheOf(options);
    this.#key = clusterKey(cookie, options.salt);
  }

  /** Keys of the transport. */
  get curveKeyPair(): CurveKeyPair {
    return this.#key.curveKeyPair;
  }

  signGossip(message: GossipMessage): AuthenticatedGossipMessage {
    return seal(this.#key.hmacKey, message);
  }

  verifyGossip(message: AuthenticatedGossipMessage): boolean {
    return isSealedWith(this.#key.hmacKey, message) && this.#nonces.admit(message.nonce);
  }

  /** @internal */
  _gossipKeys(): NativeKey[] {
    return [nativeKey(this.#key)];
  }
}

/** Seals nothing and believes everybody. For tests, and for networks that only the cluster can reach. */
export class NullAuthenticator implements Authenticator, GossipKeys {
  signGossip(message: GossipMessage): AuthenticatedGossipMessage {
    return message;
  }

  verifyGossip(_message: AuthenticatedGossipMessage): boolean {
    return true;
  }

  /** @internal */
  _gossipKeys(): NativeKey[] {
    return [];
  }
}
