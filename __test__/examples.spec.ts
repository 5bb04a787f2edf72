/**
 * Every file in examples/ runs to its end as `node --import tsx examples/<file>`, prints something and exits with 0.
 */

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const EXAMPLE_TIMEOUT_MS = 60_000;

const run = promisify(execFile);
const repository = fileURLToPath(new URL("..", import.meta.url));
const folder = join(repository, "examples");
const examples = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".ts")) : [];

let input: string;

beforeAll(() => {
  input = mkdtempSync(join(tmpdir(), "libeam-examples-"));
  writeFileSync(join(input, "first.txt"), "the quick brown fox jumps over the lazy dog\n");
  writeFileSync(join(input, "second.txt"), "the end\n");
});

afterAll(() => {
  rmSync(input, { recursive: true });
});

/** What an example is given on its command line. */
function argumentsOf(example: string): string[] {
  if (example === "word_count.ts") return [join(input, "first.txt"), join(input, "second.txt")];
  if (example === "word_count_cluster.ts") return ["--quick"];
  if (example === "log_pipeline.ts") return [join(repository, "node_modules", "@types", "node", "fs.d.ts")];
  return [];
}

describe.runIf(examples.length > 0)("examples", () => {
  test.each(examples)(
    "%s",
    async (example) => {
      const args = ["--import", "tsx", join("examples", example), ...argumentsOf(example)];
      // A non-zero exit code, a signal or the time limit rejects, with both outputs in the error.
      const { stdout } = await run(process.execPath, args, { cwd: repository, timeout: EXAMPLE_TIMEOUT_MS });
      expect(stdout.trim()).not.toBe("");
    },
    EXAMPLE_TIMEOUT_MS + 5_000,
  );

  test.each(["word_count.ts", "log_pipeline.ts", "word_count_cluster.ts"])(
    "%s refuses what it cannot read",
    async (demo) => {
      for (const [name, why] of [
        ["nowhere.txt", 'cannot read "nowhere.txt": ENOENT'],
        ["lib", '"lib" is a folder'],
      ] as const) {
        const refused = await refusal([demo, join(repository, "README.md"), name]);
        expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(why) });
      }
    },
  );

  test.each(["word_count.ts", "log_pipeline.ts"])("%s refuses a SEED that is none", async (demo) => {
    const refused = await refusal([demo], { SEED: "abc" });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('SEED is "abc"') });
  });
});

/** How an example that is expected to fail has ended. */
function refusal([demo, ...args]: string[], env = {}): Promise<{ code: number; stderr: string }> {
  const command = ["--import", "tsx", join("examples", demo as string), ...args];
  return run(process.execPath, command, { cwd: repository, env: { ...process.env, ...env } }).then(
    ({ stdout }) => Promise.reject(new Error(`it ended well: ${stdout}`)),
    (error) => error,
  );
}
