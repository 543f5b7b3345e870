// Deadlines for calls that may never be answered.
import { setTimeout as sleep } from "node:timers/promises";

export class DeadlineExceeded extends Error {}

/** Waits for `work`, but not for longer than `ms`. The work itself goes on, and its failure is nobody's then. */
export async function withDeadline<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  const timer = new AbortController();
  try {
    return await Promise.race([
      work,
      sleep(ms, undefined, { signal: timer.signal }).then((): never => {
        throw new DeadlineExceeded(`${what} within ${ms < 1000 ? `${ms} ms` : `${Math.round(ms / 1000)} s`}`);
      }),
    ]);
  } finally {
    timer.abort();
    work.catch(() => {});
  }
}
