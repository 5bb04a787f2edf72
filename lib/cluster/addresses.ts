/**
 * Addresses of nodes: ports, and IP addresses as text. A program gives IP addresses; one of IPv6 may be in brackets, as it is
 * before a port.
 */

import { isIP } from "node:net";
import { InvalidOptionError } from "../errors.js";

/** The highest port. */
export const PORT_MAX = 65_535;

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

/** Whether an IP address means all addresses of a machine, which is where to listen and no place to connect to. */
export function isUnspecified(ip: string): boolean {
  return /^[0:.]+$/.test(ip);
}

/** A port; 0 is any free one. @throws InvalidOptionError */
export function checkedPort(option: string, port: unknown, max: number = PORT_MAX): number {
  if (Number.isInteger(port) && (port as number) >= 0 && (port as number) <= max) return port as number;
  throw new InvalidOptionError(option, port, `a whole number from 0 to ${max}`);
}

/** An IP address and a port as `ip:port`, or `[ip]:port` for IPv6. */
export function withPort(ip: string, port: number): string {
  return isIP(ip) === IPV6 ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Whether something is `host:port`, where the host is a name or an IP address and the port is one to connect to. */
export function isHostAndPort(text: string): boolean {
  const [, host = "", port] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  if (!(Number(port) >= 1 && Number(port) <= PORT_MAX)) return false;
  const inBrackets = /^\[(.+)\]$/.exec(host)?.[1];
  if (inBrackets !== undefined) return isIP(inBrackets) === IPV6;
  return isIP(host) !== 0 || /^[^\s:/[\]]+$/.test(host);
}

/** The port of an `ip:port`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
