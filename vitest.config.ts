import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    // Specs say "libeam" as users do and get the sources, never a stale dist/.
    alias: [
      { find: /^libeam$/, replacement: fileURLToPath(new URL("lib/index.ts", import.meta.url)) },
      { find: /^libeam\/testing$/, replacement: fileURLToPath(new URL("lib/testing/index.ts", import.meta.url)) },
    ],
  },
  test: {
    include: ["__test__/**/*.spec.ts"],
    pool: "forks",
    testTimeout: 20_000,
    typecheck: {
      enabled: true,
      include: ["__test__/types/**/*.test-d.ts"],
      tsconfig: "tsconfig.json",
    },
    coverage: {
      provider: "v8",
      include: ["lib/**/*.ts"],
      reporter: ["text-summary", "html"],
    },
  },
});
