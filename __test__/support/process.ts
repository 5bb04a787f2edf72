/**
 * Programs in processes of their own, for facts about the process: that it ends, what it prints, with which code.
 */

import { execFile } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { COMPILED_FLAGS, compiled } from "./compiled.js";

const repository = fileURLToPath(new URL("../..", import.meta.url));
/** A program that has not ended by then hangs. */
const HUNG_AFTER_MS = 45_000;

/** How a program ended. */
export interface Ended {
  /** Exit code; null if it hung and was killed. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs an ES module given as text, in which `libeam` is what `lib/index.ts` exports. */
export function runProgram(text: string): Promise<Ended> {
  const code = `import * as libeam from "${pathToFileURL(compiled("lib/index.ts"))}";\n${text}`;
  const args = [...COMPILED_FLAGS, "--input-type=module", "--eval", code];
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      args,
      { cwd: repository, timeout: HUNG_AFTER_MS, killSignal: "SIGKILL" },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}
