/** Starts stage_thread.ts in a worker thread: the TypeScript loader of the main thread does not reach workers on Node 20. */

import { register } from "tsx/esm/api";

register();
await import("./stage_thread.ts");
