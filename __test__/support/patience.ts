/**
 * How long specs wait for a fact with `vi.waitFor`. Loaded before every spec file.
 *
 * Vitest gives up after a second, which a busy machine can take for any step of a test. A wait is no measurement: what
 * comes ends it at once, and only what never comes takes this long.
 */

import { vi } from "vitest";

/** The least; a test may ask for more. */
const PATIENCE_MS = 30_000;

type WaitFor = typeof vi.waitFor;

const { waitFor } = vi;
vi.waitFor = ((callback, options = {}) => {
  const asked = typeof options === "number" ? { timeout: options } : options;
  return waitFor(callback, { ...asked, timeout: Math.max(PATIENCE_MS, asked.timeout ?? 0) });
}) satisfies WaitFor;
