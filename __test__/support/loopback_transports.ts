/**
 * Transports of this process that listen at the loopback address. Importing this module disconnects, after each test, those
 * that the test has made.
 */

import { afterEach } from "vitest";
import { ZeroMQTransport, type ZeroMQTransportOptions } from "../../lib/index.js";

const transports: ZeroMQTransport[] = [];

afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport.disconnect()));
});

/** A transport at any free port; it does not listen yet. */
export function makeTransport(nodeId: string, more: Partial<ZeroMQTransportOptions> = {}): ZeroMQTransport {
  const transport = new ZeroMQTransport({ nodeId, rpcPort: 0, bindAddress: "127.0.0.1", ...more });
  transports.push(transport);
  return transport;
}
