import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

/** Specs that take minutes; `npm run test:long` runs them, and nothing else does. */
const LONG = "__test__/**/*.long.spec.ts";

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
      : { include: ["__test__/**/*.spec.ts"], exclude: [...configDefaults.exclude, LONG], testTimeout: 20_000 }),
    pool: "forks",
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
