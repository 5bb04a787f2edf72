/**
 * allocatePorts: three consecutive ports per node, free and different.
 */

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { allocatePorts } from "libeam/testing";
import { describe, expect, it } from "vitest";
import { rejection } from "../support/time.js";

describe("allocatePorts", () => {
  it("finds consecutive ports that nobody else was given", async () => {
    const nodes = await allocatePorts(8);
    for (const { rpc, pub, gossip } of nodes) expect([pub, gossip]).toEqual([rpc + 1, rpc + 2]);
    expect(new Set(nodes.flatMap((ports) => Object.values(ports))).size).toBe(24);
  });

  it("leaves them free, for TCP and UDP", async () => {
    const [ports] = await allocatePorts(1);
    const server = createServer().listen(ports.gossip, "127.0.0.1");
    const socket = createSocket("udp4");
    socket.bind(ports.gossip, "127.0.0.1");
    await Promise.all([once(server, "listening"), once(socket, "listening")]);
    server.close();
    socket.close();
  });

  it("gives none for 0, and refuses what is no count", async () => {
    expect(await allocatePorts(0)).toEqual([]);
    for (const bad of [-1, 1.5, Number.NaN, "2", undefined]) {
      expect((await rejection(allocatePorts(bad as number))).code).toBe("INVALID_ARGUMENT");
    }
  });
});
