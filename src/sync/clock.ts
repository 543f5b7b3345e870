// Time, as an argument.

export interface Clock {
  now(): Date;
  /** Calls `run` once, not before `ms` milliseconds have passed. Returns what prevents it. */
  after(ms: number, run: () => void): () => void;
}
