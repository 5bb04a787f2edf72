/**
 * Programs that are none of ours and reach a node's ports: raw sockets, and what pyzmq can do.
 */

import { execFile, execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Dice } from "./dice.js";

const script = fileURLToPath(new URL("scripts/stranger.py", import.meta.url));
/** Where `.ci/run` puts pyzmq; elsewhere it may be anywhere that python3 finds it. */
const installed = fileURLToPath(new URL("../../target/python/bin/python3", import.meta.url));

/** A Python that has pyzmq; undefined if there is none. */
export function pythonWithZmq(): string | undefined {
  return [installed, "python3"].find((python) => {
    if (python === installed && !existsSync(installed)) return false;
    try {
      execFileSync(python, ["-c", "import zmq; assert zmq.has('curve')"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

/** What a pyzmq client has found. */
export interface ZmqVisit {
  /** What its monitor told; `NOT_SENT` if it was over before all was sent, `NOTHING` if it was not over in time. */
  events: string[];
  /** Frames that it was sent, as hex. */
  received: string[];
}

/** How a pyzmq client knocks. Keys are Z85. */
export interface ZmqKnock {
  address: string;
  /** Where it comes from. */
  from: string;
  mechanism: "null" | "plain" | "curve";
  serverKey?: string;
  publicKey?: string;
  secretKey?: string;
  /** Frames that it sends, as hex. */
  frames: string[];
}

/** Has a pyzmq client knock, until it is sent away or answered. */
export async function knock(python: string, how: ZmqKnock): Promise<ZmqVisit> {
  const { stdout } = await promisify(execFile)(python, [script, JSON.stringify(how)], { timeout: 60_000 });
  return JSON.parse(stdout);
}

function parse(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}

/** Connects from an address of this machine; resolves when that has been accepted by the kernel. */
export function dial(address: string, localAddress: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...parse(address), localAddress });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.on("error", () => {}); // Being cut off is what is expected.
      socket.resume();
      resolve(socket);
    });
  });
}

/** Resolves when a connection is over. */
export function over(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}

/** Says something over a connection of its own; resolves with what came back, when the node has closed it. */
export async function say(address: string, localAddress: string, bytes: Uint8Array, end = true): Promise<Buffer> {
  const socket = await dial(address, localAddress);
  const answer: Buffer[] = [];
  socket.on("data", (part) => answer.push(part));
  if (end) socket.end(bytes);
  else socket.write(bytes);
  await over(socket);
  return Buffer.concat(answer);
}

/** Sends datagrams from one socket, in portions that a node is given time for: `pause` after each. */
export async function shout(
  address: string,
  localAddress: string,
  datagrams: readonly Uint8Array[],
  pause: (sent: number) => Promise<unknown>,
): Promise<void> {
  const PORTION = 50; // What a socket's buffer takes for certain.
  const { host, port } = parse(address);
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, localAddress, resolve));
  try {
    for (let from = 0; from < datagrams.length; from += PORTION) {
      const portion = datagrams.slice(from, from + PORTION);
      await Promise.all(
        portion.map((bytes) => new Promise<void>((sent) => socket.send(bytes, port, host, () => sent()))),
      );
      await pause(from + portion.length);
    }
  } finally {
    socket.close();
  }
}

/** Does something many times, a few at once. */
export async function crowd(count: number, atOnce: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** A random change of a valid message: bits, bytes, cuts, insertions, repetitions, lengths; or bytes from nowhere. */
export function mutated(original: Uint8Array, dice: Dice): Buffer {
  const bytes = Buffer.from(original);
  const at = dice.below(bytes.length);
  switch (dice.below(8)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << dice.below(8));
      return bytes;
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), noise(1 + dice.below(40), dice), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([bytes, bytes.subarray(at), noise(1, dice)]);
    case 4:
      bytes.fill(255, at, Math.min(bytes.length, at + 1 + dice.below(8)));
      bytes[0] = (bytes[0] as number) ^ 255;
      return bytes;
    case 5:
      return Buffer.concat([bytes.subarray(0, at), noise(bytes.length - at, dice), noise(1, dice)]);
    case 6:
      return Buffer.concat([bytes.subarray(0, 4), noise(dice.below(64), dice)]);
    default:
      return noise(dice.below(1_500), dice);
  }
}

function noise(length: number, dice: Dice): Buffer {
  return Buffer.from(Uint8Array.from({ length }, () => dice.below(256)));
}
