/**
 * The one door to the native addon. Nothing else in lib/ imports the loader.
 */

import type { NativeKernel } from "../../index.js";
import native from "../../index.js";
import { LibeamError } from "../errors.js";
import * as protocol from "./protocol.js";

export type {
  NativeCurveKeys,
  NativeGossip,
  NativeGossipOptions,
  NativeKernel,
  NativeKernelOptions,
  NativeKey,
  NativeKeys,
  NativeLink,
  NativeLinkEvent,
  NativeLinkOptions,
  NativeLoopWatch,
  NativeMember,
  NativeMemberEvent,
} from "../../index.js";

/**
 * Checks that an addon has the numbers of protocol.ts. The two halves share memory: one that is older than the other
 * (a clone that was updated and not built again) would misread it.
 *
 * @throws LibeamError (NATIVE_ADDON_MISMATCH) naming the first number that differs.
 */
export function assertSameProtocol(table: Readonly<Record<string, number>>): void {
  const expected: Readonly<Record<string, number>> = protocol;
  for (const name of new Set([...Object.keys(expected), ...Object.keys(table)])) {
    if (expected[name] === table[name]) continue;
    throw new LibeamError(
      `The native addon was built from other sources than this JavaScript: ${name} is ${table[name]} there and ` +
        `${expected[name]} here. In a clone, build both again with \`npm install\`; elsewhere install libeam again.`,
      "NATIVE_ADDON_MISMATCH",
      { name, addon: table[name], expected: expected[name] },
    );
  }
}

assertSameProtocol(native.protocolTable());

/** Makes a kernel; `onBell` runs when another thread has something for it. */
export const createKernel: typeof native.createKernel = native.createKernel;

/** Starts a node's membership. */
export const startGossip: typeof native.startGossip = native.startGossip;

/** Starts a node's connections. */
export const startLink: typeof native.startLink = native.startLink;

/** Starts to ask the event loop whether it turns; `onAsk` has to call `answer`. */
export const startLoopWatch: typeof native.startLoopWatch = native.startLoopWatch;

/** Derives the keys of a cluster from its cookie and salt. */
export const deriveKeys: typeof native.deriveKeys = native.deriveKeys;

/** Writes bytes as Z85. */
export const z85Encode: typeof native.z85Encode = native.z85Encode;

/** Reads Z85. */
export const z85Decode: typeof native.z85Decode = native.z85Decode;

/** SHA-256 of a public key in Z85, in hexadecimal. */
export const fingerprint: typeof native.fingerprint = native.fingerprint;

/** Names of the counters, in the order in which a kernel lists them. */
export const counterNames: readonly string[] = native.counterNames();

/** What a kernel's functions look like; for tests that stand in for one. */
export type { NativeKernel as KernelFunctions };
