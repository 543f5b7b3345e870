// A database as it was at one moment, for whoever reads several things that must fit together while others write.
import { type Surreal, type SurrealTransaction, UnavailableFeatureError, UnsupportedFeatureError } from "surrealdb";
import type { CallLimits, Database } from "./database.ts";

type Run = Database["run"];

/** Only reads; everything it is asked is answered from the same moment. */
export class Moment implements Database {
  readonly #base: Database;
  readonly run: Run;
  readonly runOnce: Run;

  /** `run`: runs statements in the transaction of the moment. */
  constructor(base: Database, run: Run) {
    this.#base = base;
    this.run = run;
    this.runOnce = run;
  }

  get location(): string {
    return this.#base.location;
  }

  get limits(): CallLimits {
    return this.#base.limits;
  }

  /** Outside of the moment. */
  get surreal(): Surreal {
    return this.#base.surreal;
  }

  atOneMoment<T>(read: (moment: Database) => Promise<T>): Promise<T> {
    return read(this);
  }

  /** It ends when `atOneMoment` does. */
  async close(): Promise<void> {}
}

/** null where there are no transactions over several queries. */
export async function beginTransaction(db: Surreal): Promise<SurrealTransaction | null> {
  try {
    return await db.beginTransaction();
  } catch (thrown) {
    if (thrown instanceof UnsupportedFeatureError || thrown instanceof UnavailableFeatureError) return null;
    throw thrown;
  }
}
