// What was opened is closed: in reverse, each once, and none of it for ever.
import { setTimeout as sleep } from "node:timers/promises";
import { RiffError, toError } from "../errors.ts";
import type { Logger } from "../sync/logger.ts";

/** How long closing one resource may take. */
const DEADLINE_MS = 5_000;

interface Release {
  readonly name: string;
  readonly deadlineMs: number;
  run(): void | Promise<void>;
}

export class Releases {
  readonly #logger: Logger;
  readonly #open: Release[] = [];
  #releasing: Promise<void> | null = null;
  #firstError: Error | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** To be called as soon as a resource is open. What opens while the others are being released is released at once. */
  add(name: string, run: () => void | Promise<void>, deadlineMs: number = DEADLINE_MS): void {
    this.#open.push({ name, run, deadlineMs });
    if (this.#releasing !== null) this.#releasing = this.#releasing.then(() => this.#releaseAll());
  }

  /**
   * Releases all, the latest first, whatever fails or takes longer than it may; that is logged. Idempotent. Rejects with
   * the first error when all is done; one that was overdue is RIFF_DAEMON_UNRESPONSIVE.
   */
  async release(): Promise<void> {
    this.#releasing ??= this.#releaseAll();
    await this.#releasing;
    if (this.#firstError !== null) throw this.#firstError;
  }

  async #releaseAll(): Promise<void> {
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      try {
        await inTime(next);
        this.#logger.debug({ resource: next.name }, "closed");
      } catch (thrown) {
        const error = toError(thrown);
        this.#firstError ??= error;
        this.#logger.error({ resource: next.name, error }, "could not be closed");
      }
    }
  }
}

async function inTime({ name, run, deadlineMs }: Release): Promise<void> {
  const done = new AbortController();
  const overdue = sleep(deadlineMs, undefined, { signal: done.signal }).then(() => {
    throw new RiffError(
      "RIFF_DAEMON_UNRESPONSIVE",
      `Closing ${name} took longer than ${deadlineMs / 1000} s.`,
      "What was committed is safe; the next start goes on from there.",
    );
  });
  try {
    await Promise.race([overdue, run()]);
  } finally {
    done.abort();
    overdue.catch(() => {});
  }
}
