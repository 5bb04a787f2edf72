/** Every suite, in the order in which it runs and is printed. */
import { calls } from "./cases/calls.js";
import { casts } from "./cases/casts.js";
import { chain } from "./cases/chain.js";
import { cluster } from "./cases/cluster.js";
import { contention } from "./cases/contention.js";
import { fairness } from "./cases/fairness.js";
import { floor } from "./cases/floor.js";
import { genStage } from "./cases/gen_stage.js";
import { lifecycle } from "./cases/lifecycle.js";
import { membership } from "./cases/membership.js";
import { memory } from "./cases/memory.js";
import { mixed } from "./cases/mixed.js";
import { telemetry } from "./cases/telemetry.js";
import type { Suite } from "./suite.js";

export const suites: readonly Suite[] = [
  floor,
  calls,
  contention,
  chain,
  casts,
  mixed,
  lifecycle,
  genStage,
  cluster,
  membership,
  telemetry,
  fairness,
  memory,
];
