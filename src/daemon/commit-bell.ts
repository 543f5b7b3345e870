// Rings for those who follow the commits, and sees to it that commits get their places in the feed soon, also where nobody
// follows: whoever may only read finds them there.
import { toError } from "../errors.ts";
import type { Clock } from "../sync/clock.ts";
import type { Feed } from "../sync/feed.ts";
import type { Logger } from "../sync/logger.ts";

/** From a commit to its place, at most. */
const PLACE_MS = 1_000;

export class CommitBell {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<() => void>();
  readonly #feed: () => Feed | null;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, logger: Logger, feed: () => Feed | null) {
    this.#clock = clock;
    this.#logger = logger;
    this.#feed = feed;
  }

  /** Returns what ends it. */
  onRing(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A step was committed. */
  ring(): void {
    for (const listener of this.#listeners) listener();
    this.#cancel ??= this.#clock.after(PLACE_MS, () => void this.#place());
  }

  /** Gives no more places; what waits gets its own at the next start. */
  close(): void {
    this.#cancel?.();
  }

  async #place(): Promise<void> {
    this.#cancel = null;
    try {
      await this.#feed()?.latest(); // reading the feed gives places
    } catch (thrown) {
      this.#logger.debug({ error: toError(thrown) }, "commits wait for their places in the feed");
    }
  }
}
