// Waiting longer and longer between attempts, each time for a random part of it, so that many do not come back at once
// ("full jitter": M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015).
import { setTimeout as sleep } from "node:timers/promises";

export interface BackoffOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds. */
  readonly first?: number;
  readonly longest?: number;
}

export class Backoff {
  readonly #signal: AbortSignal | undefined;
  readonly #longest: number;
  #next: number;

  constructor({ signal, first = 100, longest = 5_000 }: BackoffOptions = {}) {
    this.#signal = signal;
    this.#next = first;
    this.#longest = longest;
  }

  /** Waits, but not for more than `most` milliseconds; ends early, without an error, when the signal is aborted. */
  async wait(most: number = Number.POSITIVE_INFINITY): Promise<void> {
    const delay = Math.min(most, Math.random() * this.#next);
    this.#next = Math.min(this.#longest, this.#next * 2);
    await sleep(Math.max(0, delay), undefined, { ...(this.#signal ? { signal: this.#signal } : {}) }).catch(() => {});
  }
}
