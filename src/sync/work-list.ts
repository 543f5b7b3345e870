// The files with something to do: what was seen of each, and where it stands. Paths and a few numbers, never rows: the files
// themselves are the spool, however long the store is away.
import type { WorkState } from "./pipeline-status.ts";

/**
 * The moves: debouncing → queued when it has been quiet, or was written to for long enough; queued → syncing;
 * syncing → debouncing when it changed meanwhile; syncing → backing-off after a failure, and back to queued;
 * backing-off → quarantined after too many; quarantined → debouncing when it changes.
 */
export interface Work {
  readonly path: string;
  state: WorkState;
  /** Before files that nobody writes to. */
  isUrgent: boolean;
  /** When the first change was seen that is not in the store, and the last; milliseconds. */
  firstSeen: number;
  lastSeen: number;
  /** It has changed since its job began. */
  isStale: boolean;
  /** Read all again, whatever the gates say. */
  force: boolean;
  /** Size of the file when it was last looked at. */
  size: number;
  /** Changes since it was, that are being looked at. */
  unmeasured: number;
  attempts: number;
  error: Error | null;
  /** When that was; milliseconds. */
  failedAt: number | null;
  /** What the file system said of it when it failed. */
  failedAs: string | null;
  /** Prevents what waits for a time. */
  cancel: () => void;
}

export class WorkList {
  readonly #works = new Map<string, Work>();

  find(path: string): Work | undefined {
    return this.#works.get(path);
  }

  add(path: string, state: WorkState, now: number): Work {
    const work: Work = {
      path,
      state,
      isUrgent: false,
      firstSeen: now,
      lastSeen: now,
      isStale: false,
      force: false,
      size: 0,
      unmeasured: 0,
      attempts: 0,
      error: null,
      failedAt: null,
      failedAs: null,
      cancel: () => {},
    };
    this.#works.set(path, work);
    return work;
  }

  remove(work: Work): void {
    work.cancel();
    if (this.#works.get(work.path) === work) this.#works.delete(work.path);
  }

  get all(): IterableIterator<Work> {
    return this.#works.values();
  }

  count(): Record<WorkState, number> {
    const counts = { debouncing: 0, queued: 0, syncing: 0, "backing-off": 0, quarantined: 0 };
    for (const { state } of this.#works.values()) counts[state]++;
    return counts;
  }

  /** Whether something is to be done without anything else having to happen first. */
  get isBusy(): boolean {
    for (const { state } of this.#works.values()) if (state !== "quarantined" && state !== "backing-off") return true;
    return false;
  }
}
