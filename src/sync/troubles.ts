// Failures that come again and again: told once, then now and then with how many there were, and once when they are over.
import type { LogFields, Logger } from "./logger.ts";

export interface TroublesOptions {
  /** How long a trouble that goes on is not told again. */
  readonly everyMs?: number;
  /** Milliseconds of a clock that only goes forward. */
  now?(): number;
}

interface Trouble {
  readonly since: number;
  failures: number;
  toldAt: number;
  toldFailures: number;
}

/** The troubles of one process, by kind: a word such as `store`, or whatever fails and recovers as one. */
export class Troubles {
  readonly #everyMs: number;
  readonly #now: () => number;
  readonly #open = new Map<string, Trouble>();

  constructor({ everyMs = 60_000, now = () => performance.now() }: TroublesOptions = {}) {
    this.#everyMs = everyMs;
    this.#now = now;
  }

  /** Warns of the first failure of a kind; of a later one only when it is time, with how many came since it was told. */
  failed(kind: string, logger: Logger, fields: LogFields, message: string): void {
    const now = this.#now();
    const trouble = this.#open.get(kind);
    if (trouble === undefined) {
      this.#open.set(kind, { since: now, failures: 1, toldAt: now, toldFailures: 1 });
      logger.warn(fields, message);
      return;
    }
    trouble.failures++;
    if (now - trouble.toldAt < this.#everyMs) return;
    const times = trouble.failures - trouble.toldFailures;
    logger.warn({ ...fields, times, for_seconds: secondsBetween(trouble.since, now) }, message);
    trouble.toldAt = now;
    trouble.toldFailures = trouble.failures;
  }

  /** Says that a trouble is over; nothing where there was none, so that every success may call it. */
  recovered(kind: string, logger: Logger, fields: LogFields, message: string): void {
    const trouble = this.#open.get(kind);
    if (trouble === undefined) return;
    this.#open.delete(kind);
    const { since, failures } = trouble;
    logger.info({ ...fields, failures, after_seconds: secondsBetween(since, this.#now()) }, message);
  }

  /** Whether a kind has failed and not recovered. */
  has(kind: string): boolean {
    return this.#open.has(kind);
  }
}

function secondsBetween(from: number, to: number): number {
  return Math.round((to - from) / 1000);
}
