/**
 * Keyring: changes the cookie of a running cluster without losing a message.
 *
 * Each step is done on all nodes before the next one is begun on any: `install` the new cookie, `use` it, `remove` the old
 * one. The authenticator owns the keys; after each step gossip and transport are given those that hold now. Connections
 * stay; new ones are made with the active keys, and a node that has not come as far is still understood.
 */

import type { GossipProtocol } from "./gossip.js";
import type { KeyringAuthenticator } from "./keyring.js";
import type { ZeroMQTransport } from "./zeromq_transport.js";

/** Rotation of the cookie of one node. */
export interface Keyring {
  /** Accepts a further cookie. @throws CookieRotationError, InvalidCookieError */
  install(cookie: string): void;
  /** Seals with the cookie that was installed; the one before is still accepted. @throws CookieRotationError */
  use(): Promise<void>;
  /** Accepts the active cookie only. */
  remove(): void;
  /** Fingerprints of the cookies that are accepted, the active one first. */
  list(): string[];
}

/** See the module's header. */
export class ClusterKeyring implements Keyring {
  constructor(
    private readonly authenticator: KeyringAuthenticator,
    private readonly gossip: GossipProtocol,
    private readonly transport: ZeroMQTransport,
  ) {}

  install(cookie: string): void {
    this.authenticator.install(cookie);
    this.spread();
  }

  async use(): Promise<void> {
    this.authenticator.activate();
    this.spread();
  }

  remove(): void {
    this.authenticator.remove();
    this.spread();
  }

  list(): string[] {
    return this.authenticator.list();
  }

  private spread(): void {
    this.gossip._useKeys();
    this.transport.rotateCurveKeys(this.authenticator.curveKeyPair, this.authenticator._acceptedKeys());
  }
}
