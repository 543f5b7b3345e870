/** One piece of work for a key at a time, in the order in which they were asked for. */
export class KeyedLock {
  readonly #last = new Map<string, Promise<void>>();

  /** Gives what the work gives, or throws; either way the next goes on. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#last.get(key) ?? Promise.resolve()).then(work);
    const ended = mine.then(
      () => {},
      () => {},
    );
    this.#last.set(key, ended);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === ended) this.#last.delete(key);
    }
  }
}
