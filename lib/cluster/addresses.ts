/**
 * Addresses of nodes as text. A program gives IP addresses; one of IPv6 may be in brackets, as it is before a port.
 */

import { isIP } from "node:net";
import { InvalidOptionError } from "../errors.js";

const IPV6 = 6;

/**
 * The IP address that an option has, without brackets. Names are refused: every node would have to find out by itself what
 * they mean. So are zones, which mean something on one machine only.
 *
 * @throws InvalidOptionError
 */
export function ipOf(option: string, value: unknown): string {
  const text = typeof value === "string" ? value : "";
  const inBrackets = /^\[(.*)\]$/.exec(text)?.[1];
  const ip = inBrackets ?? text;
  const isUsable = inBrackets === undefined ? isIP(ip) !== 0 : isIP(ip) === IPV6;
  if (!isUsable || ip.includes("%")) throw new InvalidOptionError(option, value, "an IP address");
  return ip;
}

/** An IP address and a port as `ip:port`, or `[ip]:port` for IPv6. */
export function withPort(ip: string, port: number): string {
  return isIP(ip) === IPV6 ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** The port of an `ip:port`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
