/** Waits that end at a time, whatever becomes of what is waited for. */

/** Pause between two looks, in milliseconds. */
const POLL_MS = 5;

/** Looks again and again whether something is done, until the deadline of `performance.now()`. */
export async function until(isDone: () => boolean, deadline: number): Promise<void> {
  while (!isDone() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Waits for a promise, but not longer than `ms`. */
export async function withTimeout(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
