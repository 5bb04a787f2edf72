/**
 * KeyringAuthenticator: changes the cookie of a running cluster.
 *
 * ```text
 *              install(new)             activate()               remove()
 *   active: old ────────> active: old ────────────> active: new ────────> active: new
 *                         pending: new              previous: old
 *                               └── remove() drops the pending one
 * ```
 * The active key seals, all keys that are shown are believed. So each step is done on every node before the next one is
 * begun on any: after `install` everybody believes the new key, after `activate` nobody seals with the old one.
 *
 * The memory for replays belongs to the ring and outlives its keys. A step in the wrong order throws and changes
 * nothing; `activate` twice does not go back, so a step that is repeated after a failure does no harm.
 */

import { CookieRotationError } from "../errors.js";
import type { NativeKey } from "../kernel/native.js";
import {
  type AuthenticatedGossipMessage,
  type Authenticator,
  type CookieAuthenticatorOptions,
  type GossipMessage,
  nativeKey,
  nonceCacheOf,
} from "./auth.js";
import type { GossipKeys } from "./gossip.js";
import { isSealedWith, type NonceCache, seal } from "./gossip_seal.js";
import { type ClusterKey, type CurveKeyPair, clusterKey } from "./key_material.js";

/** See the module's header. */
export class KeyringAuthenticator implements Authenticator, GossipKeys {
  readonly #nonces: NonceCache;
  readonly #salt: string | undefined;
  #active: ClusterKey;
  #pending: ClusterKey | undefined;
  #previous: ClusterKey | undefined;

  /** @throws InvalidCookieError for fewer than 16 characters, InvalidOptionError */
  constructor(cookie: string, options: CookieAuthenticatorOptions = {}) {
    this.#nonces = nonceCacheOf(options);
    this.#salt = options.salt;
    this.#active = clusterKey(cookie, this.#salt);
  }

  /** Keys of the transport that belong to the active cookie. */
  get curveKeyPair(): CurveKeyPair {
    return this.#active.curveKeyPair;
  }

  /**
   * Believes a further cookie from now on.
   *
   * @throws CookieRotationError if a rotation is under way, or the cookie cannot be told from the active one;
   *   InvalidCookieError for fewer than 16 characters
   */
  install(cookie: string): void {
    if (this.#pending !== undefined) {
      throw new CookieRotationError("A pending cookie is already installed. Call activate() or remove() first.");
    }
    if (this.#previous !== undefined) {
      throw new CookieRotationError("The previous cookie is still accepted. Call remove() first.");
    }
    const key = clusterKey(cookie, this.#salt);
    if (key.fingerprint === this.#active.fingerprint) {
      throw new CookieRotationError("This cookie is the active one already. Nothing was installed.");
    }
    // Packets name their key by this number; it follows from the cookie, so every node refuses the same cookies.
    if (key.id === this.#active.id) {
      throw new CookieRotationError(
        `The key of this cookie has the same number (${key.id}) as the active one, which happens once in 255 times. ` +
          "Nothing was installed. Choose another cookie.",
      );
    }
    this.#pending = key;
  }

  /**
   * Seals with the pending cookie from now on; the one before is still believed.
   *
   * @returns the keys of the transport that are valid now
   * @throws CookieRotationError if none is pending
   */
  activate(): CurveKeyPair {
    if (this.#pending === undefined) {
      throw new CookieRotationError("No pending cookie installed. Call install() first.");
    }
    this.#previous = this.#active;
    this.#active = this.#pending;
    this.#pending = undefined;
    return this.#active.curveKeyPair;
  }

  /** Believes the active cookie only: drops the previous one, or the pending one. Does nothing if there is neither. */
  remove(): void {
    this.#pending = undefined;
    this.#previous = undefined;
  }

  /** Fingerprints of the cookies that are believed, the active one first. */
  list(): string[] {
    return this.#keys().map((key) => key.fingerprint);
  }

  signGossip(message: GossipMessage): AuthenticatedGossipMessage {
    return seal(this.#active.hmacKey, message);
  }

  verifyGossip(message: AuthenticatedGossipMessage): boolean {
    for (const { hmacKey } of this.#keys()) {
      if (isSealedWith(hmacKey, message)) return this.#nonces.admit(message.nonce);
    }
    return false;
  }

  /** @internal */
  _gossipKeys(): NativeKey[] {
    return this.#keys().map(nativeKey);
  }

  /** @internal Public keys of the transport that are accepted. */
  _acceptedKeys(): string[] {
    return this.#keys().map((key) => key.curveKeyPair.publicKey);
  }

  #keys(): ClusterKey[] {
    return [this.#active, this.#pending, this.#previous].filter((key) => key !== undefined);
  }
}
