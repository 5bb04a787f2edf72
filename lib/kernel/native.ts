/**
 * The one door to the native addon. Nothing else in lib/ imports the loader.
 */

import type { NativeKernel } from "../../index.js";
import native from "../../index.js";

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
