// Requests of one session run side by side, but a request that changes who the session is runs alone: one that was
// admitted with a user's rights must not reach the engine after they are gone.

export class Gate {
  /** The last exclusive work that was asked for. */
  #barrier: Promise<unknown> = Promise.resolve();
  readonly #running = new Set<Promise<unknown>>();

  /** Runs `work` once all exclusive work that was asked for before has ended, beside other shared work. */
  shared<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#barrier.then(work);
    const forget = () => {
      this.#running.delete(ended);
    };
    const ended: Promise<void> = done.then(forget, forget);
    this.#running.add(ended);
    return done;
  }

  /** Runs `work` once everything that was asked for before has ended; what is asked for later waits for it. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = Promise.all([this.#barrier, ...this.#running]).then(work);
    this.#barrier = done.catch(() => {});
    return done;
  }
}
