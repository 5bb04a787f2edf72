/**
 * The one door to the native addon. Nothing else in lib/ imports the loader.
 */

import type { NativeKernel } from "../../index.js";
import native from "../../index.js";

export type { NativeKernel, NativeKernelOptions } from "../../index.js";

/** Makes a kernel; `onBell` runs when another thread has something for it. */
export const createKernel: typeof native.createKernel = native.createKernel;

/** Names of the counters, in the order in which a kernel lists them. */
export const counterNames: readonly string[] = native.counterNames();

/** What a kernel's functions look like; for tests that stand in for one. */
export type { NativeKernel as KernelFunctions };
