import { setTimeout as sleep } from "node:timers/promises";

/**
 * Does a job again and again, never twice at a time, `pauseMs()` after the last time has ended. What it gives back ends
 * that, and resolves when nothing is under way; it may be called again.
 */
export function every(pauseMs: () => number, job: () => unknown): () => Promise<void> {
  const stopped = new AbortController();
  const { signal } = stopped;
  const run = async () => {
    for (;;) {
      await sleep(pauseMs(), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await job();
    }
  };
  const running = run();
  return () => {
    stopped.abort();
    return running;
  };
}
