// The embedded engine as a database. A failure of the disk below it ends its use: it does not recover in this process.
import { statfsSync } from "node:fs";
import type { Surreal } from "surrealdb";
import { RiffError, toError } from "../errors.ts";
import { STEP_LIMITS } from "../sync/steps.ts";
import type { CallLimits, Database } from "./database.ts";
import { isDiskFull, isStorageError } from "./engine.ts";
import { beginTransaction, Moment } from "./moment.ts";
import { despiteConflicts, run } from "./transaction.ts";

export class EmbeddedDatabase implements Database {
  readonly location: string;
  readonly limits: CallLimits = { sessions: 2, step: STEP_LIMITS, listRows: Number.POSITIVE_INFINITY, mayDeny: false };
  readonly surreal: Surreal;
  readonly #calls = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(surreal: Surreal, location: string) {
    this.surreal = surreal;
    this.location = location;
  }

  run<T extends unknown[]>(text: string, parameters?: Readonly<Record<string, unknown>>): Promise<T> {
    return despiteConflicts(() => this.runOnce<T>(text, parameters));
  }

  async runOnce<T extends unknown[]>(text: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return this.#told(() => run<T>(this.surreal, text, parameters));
  }

  async atOneMoment<T>(read: (moment: Database) => Promise<T>): Promise<T> {
    const transaction = await beginTransaction(this.surreal);
    if (transaction === null) return read(this);
    try {
      return await read(
        new Moment(this, (text, parameters) => this.#told(() => run(transaction, text, { ...parameters }))),
      );
    } finally {
      await transaction.cancel();
    }
  }

  async #told<T>(call: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw closed(this.location);
    const calling = call();
    this.#calls.add(calling);
    try {
      return await calling;
    } catch (thrown) {
      const error = toError(thrown);
      throw isStorageError(error) ? storageFailure(this.location, error) : error;
    } finally {
      this.#calls.delete(calling);
    }
  }

  /** Waits for the calls in flight: the engine panics where it is asked once it is closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#calls);
    await this.surreal.close();
  }
}

function closed(location: string): RiffError {
  return new RiffError(
    "RIFF_STORE_UNREACHABLE",
    `The store ${location} is closed.`,
    "Ask again when the daemon has been started again.",
  );
}

function storageFailure(location: string, error: Error): RiffError {
  // Calls in flight at that moment may only be told that another one has failed.
  const full = isDiskFull(error) || hasNoRoom(location);
  return new RiffError(
    full ? "RIFF_DISK_FULL" : "RIFF_STORE_IO",
    full
      ? `The disk below the store ${location} is full: ${error.message}`
      : `The store ${location} cannot be written or read any more: ${error.message}`,
    full
      ? "Free some space and run the command again. What was committed is safe."
      : "Check the health of its disk and who owns the folder, and run the command again. What was committed is safe.",
    error,
  );
}

/** Less free space than this, in bytes, is none: the engine writes as much at a time (its write buffer). */
const NO_ROOM = 8 * 1024 * 1024;

function hasNoRoom(location: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(location.replace(/^rocksdb:\/\//, ""));
    return bavail * bsize < NO_ROOM;
  } catch {
    return false; // there is no such folder any more
  }
}
