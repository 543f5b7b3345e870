// A database as the store needs it, wherever it runs: in this process, or on a server.
import type { Surreal } from "surrealdb";
import type { StepLimits } from "../sync/steps.ts";

/** What one call may carry. */
export interface CallLimits {
  /** Sessions that are best written at a time: each waits for the answer to its commit. */
  readonly sessions: number;
  /** Steps of this size stay below what the protocol takes. */
  readonly step: StepLimits;
  /** Longer lists of a commit are written ahead in parts, and tied in by it. */
  readonly listRows: number;
  /** It may leave out rows that a user has no right to write, and say nothing. */
  readonly mayDeny: boolean;
}

export interface Database {
  /** Where it is, for people; never holds a password. */
  readonly location: string;
  readonly limits: CallLimits;
  /** The SDK's connection as it is now, for the few with queries of their own. It may be another one later. */
  readonly surreal: Surreal;

  /**
   * Runs statements that may run twice: reads, and writes that leave the same state when they are repeated. Returns
   * their results; throws the error of the one that failed first, or what stops everything: RIFF_STORE_IO,
   * RIFF_DISK_FULL, RIFF_STORE_UNREACHABLE.
   */
  run<T extends unknown[]>(text: string, parameters?: Readonly<Record<string, unknown>>): Promise<T>;
  /** The same for statements that are sent once. Throws Unanswered where it is not known whether they ran. */
  runOnce<T extends unknown[]>(text: string, parameters?: Readonly<Record<string, unknown>>): Promise<T>;

  /**
   * What `read` gives, which sees the database as it is at one moment, whoever writes meanwhile; over HTTP, or on a server
   * before version 3, as it is. `read` writes nothing, and may run again where the connection was lost.
   */
  atOneMoment<T>(read: (moment: Database) => Promise<T>): Promise<T>;

  /** May be called once. */
  close(): Promise<void>;
}

/** No answer came: the statements may have run, may run yet, or never will. */
export class Unanswered extends Error {}
