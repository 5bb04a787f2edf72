/**
 * Nodes that cannot be started: whatever was begun is ended.
 */

import { type DistributedConfig, GossipProtocol, LibeamError, loggerConfig, ZeroMQTransport } from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { nodeConfig, startNode } from "../support/loopback_nodes.js";
import { runScript } from "../support/run_script.js";
import { failingStarts } from "../support/scripts/failing_starts.js";
import { rejection } from "../support/time.js";

beforeEach(() => loggerConfig.configure({ level: "none" }));
afterEach(() => {
  vi.restoreAllMocks();
});

/** Where the transports and gossips that were started meanwhile still listen. */
function listening(): () => (string | undefined)[] {
  const transports = vi.spyOn(ZeroMQTransport.prototype, "connect").mock.contexts;
  const gossips = vi.spyOn(GossipProtocol.prototype, "start").mock.contexts;
  return () => [...transports, ...gossips].map((part) => (part as ZeroMQTransport | GossipProtocol).address);
}

describe("a node that cannot be started", () => {
  it.each(Object.entries(failingStarts))("listens no more after its %s was refused", async (_what, more) => {
    const addresses = listening();
    const error = await rejection(startNode("a", [], more as Partial<DistributedConfig>));
    expect(error).toBeInstanceOf(LibeamError);
    expect(addresses().filter((address) => address !== undefined)).toEqual([]);
  });

  it("because its gossip cannot listen listens no more", async () => {
    const a = await startNode("a");
    const addresses = listening();
    const gossip = Number(a.cluster.getPeerState("a")?.gossipAddress.split(":")[1]);
    const error = await rejection(startNode("b", [], { port: undefined, ports: { rpc: 0, gossip } }));
    expect(error).toMatchObject({ code: "GOSSIP_START" });
    expect(addresses()).toEqual([undefined, undefined]);
  });

  it("because of what it should wait for has joined nobody", async () => {
    const start = vi.spyOn(GossipProtocol.prototype, "start");
    for (const ready of [null, 5, { minMember: 2 }, { nodes: "a" }, { timeout: -1 }]) {
      const error = await rejection(startNode("a", [], { ready } as never));
      expect(error).toMatchObject({ code: "INVALID_OPTION" });
    }
    expect(start).not.toHaveBeenCalled();
  });

  it("says which of its ports cannot be used", async () => {
    const port = await rejection(startNode("a", [], { port: 65_534 }));
    expect(port.context).toMatchObject({ option: "port", got: "65534" });
    const ports = { rpc: 0 } as never;
    expect((await rejection(startNode("a", [], { port: undefined, ports }))).context.option).toBe("ports.gossip");
  });

  it("lets its process end", async () => {
    const { code, lines, errors } = await runScript("failing_starts", [JSON.stringify(nodeConfig("a", []))]);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(lines).toEqual(Object.keys(failingStarts));
  });
});
