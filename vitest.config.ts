import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Specs that take minutes; `npm run test:long` runs them, and nothing else does. */
const LONG = "__test__/**/*.long.spec.ts";

/** A test that takes so long hangs. Generous: other files and their processes have the same cores. */
const HUNG_AFTER_MS = 60_000;

/** Specs that mostly wait for processes, the longest first: started last, one of them would be waited for alone. */
const WAITING = [
  "cluster/endurance",
  "cluster/partitions",
  "cluster/membership",
  "examples",
  "cluster/strangers",
  "docs/snippets",
  "cluster/remote_children_processes",
  "cluster/hostile_messages",
  "stress/random_scripts",
  "cluster/distributed",
  "testing/test_cluster",
  "testing/faulty_gossip",
  "cluster/blocked",
];

/** Vitest's order, but `WAITING` first: a fresh clone has no durations of earlier runs to sort by. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const index = WAITING.findIndex((name) => moduleId.endsWith(`/__test__/${name}.spec.ts`));
      return index < 0 ? WAITING.length : index;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig(({ mode }) => ({
  resolve: {
    // Specs say "libeam" as users do and get the sources, never a stale dist/.
    alias: [
      { find: /^libeam$/, replacement: fileURLToPath(new URL("lib/index.ts", import.meta.url)) },
      { find: /^libeam\/testing$/, replacement: fileURLToPath(new URL("lib/testing/index.ts", import.meta.url)) },
    ],
  },
  test: {
    ...(mode === "long"
      ? { include: [LONG], testTimeout: 600_000, fileParallelism: false }
      : { include: ["__test__/**/*.spec.ts"], exclude: [...configDefaults.exclude, LONG], testTimeout: HUNG_AFTER_MS }),
    pool: "forks",
    setupFiles: ["__test__/support/patience.ts"],
    expect: { poll: { timeout: HUNG_AFTER_MS / 2 } },
    // More than cores: what takes long here waits for processes. Vitest's own choice for two cores is one file at a time.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    sequence: { sequencer: LongestFirst },
    typecheck: {
      enabled: mode !== "long",
      include: ["__test__/types/**/*.test-d.ts"],
      tsconfig: "tsconfig.json",
    },
    coverage: {
      provider: "v8",
      include: ["lib/**/*.ts"],
      reporter: ["text-summary", "html"],
    },
  },
}));
