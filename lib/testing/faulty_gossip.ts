/**
 * FaultyGossipUDP: the gossip sockets of a node, with cuts. A handle of the block list that the native driver has.
 *
 * A cut loses everything to and from the other node, datagrams and streams alike, whichever end makes it. Give it to
 * GossipProtocol in place of the GossipUDP that it wraps; cuts made before the start hold from the start.
 */

import { isIP } from "node:net";
import { type GossipSockets, GossipUDP } from "../cluster/gossip.js";
import { InvalidArgumentError } from "../errors.js";
import { assertName } from "../kernel/validate.js";

/** See the module's header. */
export class FaultyGossipUDP implements GossipSockets {
  /** @internal */
  readonly _udp: GossipUDP;
  readonly #cut = new Set<string>();

  /** @throws InvalidArgumentError */
  constructor(inner: GossipUDP) {
    if (!(inner instanceof GossipUDP)) throw new InvalidArgumentError("inner", "a GossipUDP", inner);
    this._udp = inner;
  }

  /**
   * Cuts this node off from another one.
   *
   * @param address `ip:port` of its gossip, as in its peer state.
   * @throws InvalidArgumentError
   */
  partition(nodeId: string, address: string): void {
    assertName("node id", nodeId);
    const [, host = "", port] = /^\[?(.*?)\]?:(\d{1,5})$/.exec(address) ?? [];
    if (isIP(host) === 0 || Number(port) > 65_535) throw new InvalidArgumentError("address", "ip:port", address);
    this._udp._block(nodeId, address);
    this.#cut.add(nodeId);
  }

  /** Ends a cut. */
  heal(nodeId: string, _address?: string): void {
    this._udp._unblock(nodeId);
    this.#cut.delete(nodeId);
  }

  /** Ends all cuts. */
  healAll(): void {
    this._udp._unblock();
    this.#cut.clear();
  }

  /** Whether this node is cut off from another. */
  isPartitioned(nodeId: string): boolean {
    return this.#cut.has(nodeId);
  }
}
