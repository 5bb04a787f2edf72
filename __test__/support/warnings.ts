/**
 * Warnings of the process, such as Node's of too many listeners.
 */

import { afterEach, beforeEach, expect } from "vitest";
import { turns } from "./time.js";

/** Has each test of a file fail that makes the process warn. */
export function refuseWarnings(): void {
  let warnings: Error[] = [];
  const onWarning = (warning: Error): void => {
    warnings.push(warning);
  };
  beforeEach(() => {
    warnings = [];
    process.on("warning", onWarning);
  });
  afterEach(async () => {
    await turns();
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });
}
