/**
 * The nodes of TestClusters run compiled sources. Imported first: it has to know before anything loads lib/testing, which
 * lib/index.ts does.
 */

import { pathToFileURL } from "node:url";
import { vi } from "vitest";
import { compiled } from "./compiled.js";

// What a TestCluster does with TypeScript is for its own spec.
vi.mock("../../lib/testing/type_script.js", async (original) => ({
  ...(await original<object>()),
  workerEntry: () => pathToFileURL(compiled("lib/testing/node_worker.ts")).href,
}));
