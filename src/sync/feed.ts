// The commits of a store as followers read them, one after the other.
import type { CommitKind } from "./store.ts";

/** A commit as followers are told of it. */
export interface FedCommit {
  /** Where to go on after it: opaque, and valid as long as the store. */
  readonly cursor: string;
  readonly session_id: string;
  /** Number in its session's chain. */
  readonly n: number;
  readonly kind: CommitKind;
  readonly host: string;
  readonly path: string;
  readonly generation: number;
  /** Bytes of the transcript that it archived. */
  readonly bytes: number;
  readonly rows: number;
  readonly first_event: number;
  /** How many, from `first_event` on. */
  readonly events: number;
  readonly operator: string;
  readonly time: Date;
}

/** Where a follower begins who wants all commits that the store has. */
export const FEED_START = "0";

/**
 * All commits of a store in one order that never changes, whoever wrote them: no clock is asked. Those of a session come
 * in the order of their numbers; those of different sessions in that in which they were found, once they were visible.
 */
export interface Feed {
  /** Where a follower begins who wants what comes from now on. */
  latest(): Promise<string>;
  /**
   * The commits behind a cursor, oldest first, at most `limit`; each carries the cursor behind it. Fewer than `limit`:
   * there are no more. A commit comes exactly once to whoever goes on from the last cursor. Throws RIFF_USAGE where it is
   * no cursor of this store, and RIFF_STORE_DAMAGED. Reading gives commits their places, which are written; a user who may
   * not write sees those that others have given.
   */
  read(cursor: string, limit: number): Promise<readonly FedCommit[]>;
}
