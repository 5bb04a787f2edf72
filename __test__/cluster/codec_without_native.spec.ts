/**
 * The same facts of the codec where there is no native part of msgpackr for the platform.
 */

import { isNativeAccelerationEnabled } from "msgpackr";
import { expect, it, vi } from "vitest";

vi.hoisted(() => {
  process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED = "true";
});

it("strings are read in JavaScript", () => {
  expect(isNativeAccelerationEnabled).toBe(false);
});

await import("./codec.spec.js");
