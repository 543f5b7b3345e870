// What every part of the sync is given: the store, this machine, who asked, and the time.
import type { StepLimits } from "./steps.ts";
import type { Forgotten, Step, Store } from "./store.ts";

/** Remembers the heads of chains outside the store. */
export interface HeadKeeper {
  /** After a commit: the session's chain has this number and hash. */
  advance(sessionId: string, chain: number, head: string): void;
}

export interface SyncContext {
  readonly store: Store;
  readonly heads: HeadKeeper;
  /** Random id of this machine's state folder. */
  readonly host: string;
  /** Stands on every event and commit. */
  readonly operator: string;
  /** A file is quiet when it was last written at least this long ago. */
  readonly quietMs: number;
  readonly stepLimits: StepLimits;
  /** Sessions in work at a time. */
  readonly concurrency: number;
  now(): Date;
  /** Steps are not written, and their rows cannot be read back. */
  readonly isRehearsal?: boolean;
  /** Told of each step that was written. */
  readonly onCommit?: (step: Step) => void;
  /** Aborted: begin nothing new. */
  readonly signal: AbortSignal;
}

/** The context of a pass, with what reading must leave out. */
export interface ReadingContext extends SyncContext {
  readonly forgotten: Forgotten;
}

/** Prefixes up to this size are compared with the archive whenever a file falls quiet after growing. */
export const SMALL_PREFIX_BYTES = 16 * 1024 * 1024;
/** Larger ones: when they have grown by this factor since … */
export const PREFIX_GROWTH = 1.1;
/** … or this long ago. */
export const PREFIX_AGE_MS = 60 * 60 * 1000;
