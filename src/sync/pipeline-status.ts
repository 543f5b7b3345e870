// How far the pipeline is, for people, metrics and readiness.

/** starting → catching-up → live → draining → stopped; catching-up and live may alternate only once. */
export type PipelineState = "starting" | "catching-up" | "live" | "draining" | "stopped";

/**
 * A file with something to do: changed a moment ago, waiting for its turn, in work, waiting after a failure, or set aside
 * until it changes. Files that are up to date are in none of them.
 */
export type WorkState = "debouncing" | "queued" | "syncing" | "backing-off" | "quarantined";

/** One file with something to do, or that was written to so lately that it is not settled. */
export interface LiveFile {
  readonly path: string;
  /** null: it has none yet. */
  readonly session_id: string | null;
  /** null: up to date, but not settled. */
  readonly state: WorkState | null;
  /** Bytes that were seen and are not archived. */
  readonly lag_bytes: number;
  readonly changed_at: Date;
  /** Failures one after the other, and the last. */
  readonly attempts: number;
  /** When the first of them was. */
  readonly failed_at: Date | null;
  readonly error: { readonly code: string | null; readonly message: string; readonly hint: string | null } | null;
}

export interface PipelineStatus {
  readonly state: PipelineState;
  /** Transcripts that are known. */
  readonly files: number;
  readonly backlog: Readonly<Record<WorkState, number>>;
  /** All bytes that were seen and are not archived, and for how long the oldest of these changes has waited; files that are set aside too. */
  readonly lag: { readonly bytes: number; readonly seconds: number };
  /** Those being written to or worked on, the latest change first; at most a hundred. */
  readonly live: readonly LiveFile[];
  readonly last_scan: {
    readonly at: Date;
    readonly duration_ms: number;
    /** Transcripts that were found, and those of them that had something new. */
    readonly files: number;
    readonly changed: number;
  } | null;
}
