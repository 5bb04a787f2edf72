/**
 * Measuring in a process of its own: a script that sends one report and ends.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { WorkLostError } from "./harness.js";

/**
 * Runs a script with this process's options, --expose-gc among them, and gives its report.
 *
 * @throws WorkLostError if it ends without one.
 */
export function reportOf<T>(script: URL, ...args: string[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const running = fork(fileURLToPath(script), args);
    let report: T | undefined;
    running.once("message", (message) => {
      report = message as T;
    });
    running.once("exit", (code) => {
      if (report) resolve(report);
      else reject(new WorkLostError(`a process for ${args.join(" ")}, exit code ${code}`, 0, 1));
    });
  });
}
