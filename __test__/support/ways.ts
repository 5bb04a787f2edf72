/**
 * Ways between transports, on which a spec has traffic stand still: TCP connections that are accepted, and not read from.
 */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A way to an address. */
export interface Way {
  /** Where it begins, as transports are told. */
  readonly address: string;
  /** Lets traffic through. */
  open(): void;
  /** Has all traffic stand still. */
  block(): void;
}

/** Lays a way to `ip:port`; it is gone after the test. */
export async function wayTo(address: string, state: "open" | "blocked" = "open"): Promise<Way> {
  const [host, port] = address.split(":");
  let isOpen = state === "open";
  const sockets = new Set<Socket>();
  const carry = (from: Socket, to: Socket): void => {
    from.on("data", (bytes) => to.write(bytes));
    from.on("error", () => {});
    from.on("close", () => to.destroy());
    if (!isOpen) from.pause();
    sockets.add(from);
  };
  const server = createServer((near) => {
    const far = connect(Number(port), host);
    carry(near, far);
    carry(far, near);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const all = (does: (socket: Socket) => void, open: boolean): void => {
    isOpen = open;
    for (const socket of sockets) does(socket);
  };
  return {
    address: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open: () => all((socket) => socket.resume(), true),
    block: () => all((socket) => socket.pause(), false),
  };
}
