// An empty database that the rows of a backup are written into, batch by batch, each with the number of those before it:
// so a batch is written once, however often it is sent, and an interrupted restore goes on where it stopped.
import { Table } from "surrealdb";
import { RiffError, toError } from "../errors.ts";
import type { ChainHead } from "../sync/store.ts";
import { type Database, Unanswered } from "./database.ts";
import { RESTORE_MARK, RESTORING } from "./restore-mark.ts";
import { applyMigrations, type Migration, tablesOf } from "./schema.ts";
import type { Batch } from "./snapshot.ts";

export class RestoreTarget {
  readonly #db: Database;
  #written: number;

  private constructor(db: Database, written: number) {
    this.#db = db;
    this.#written = written;
  }

  /**
   * Makes a database ready to take the backup with this SHA-256, whose store had these migrations. Throws
   * RIFF_BACKUP_FAILED if it holds anything but a part of the same backup.
   */
  static async prepare(db: Database, migrations: readonly Migration[], sha256: string): Promise<RestoreTarget> {
    const { location } = db;
    const [info] = await db.run<[{ tables: Record<string, unknown> }]>("INFO FOR DB");
    const tables = Object.keys(info.tables);
    const versions = tables.includes("schema_version") ? await readVersions(db) : [];
    const mark = versions.find(({ version }) => version === RESTORING);
    if (mark !== undefined) {
      if (mark.sha256 !== sha256) throw otherBackup(location);
      return new RestoreTarget(db, Number(mark.name));
    }
    if (versions.some(({ version }) => version > migrations.at(-1)!.version)) throw newerTarget(location);
    for (const table of tablesOf(migrations).filter((name) => tables.includes(name) && !IGNORED.includes(name))) {
      const [rows] = await db.run<[unknown[]]>("SELECT VALUE id FROM $table LIMIT 1", { table: new Table(table) });
      if (rows.length > 0) throw notEmpty(location, table);
    }
    await applyMigrations(db, migrations);
    await db.run(
      `BEGIN;
       DELETE host;
       INSERT INTO schema_version {id: $mark, version: $version, name: '0', sha256: $sha256, applied_at: time::now()};
       COMMIT;`,
      { mark: RESTORE_MARK, version: RESTORING, sha256 },
    );
    return new RestoreTarget(db, 0);
  }

  /** Batches that are written; the next one to write has this number. */
  get written(): number {
    return this.#written;
  }

  /** Writes the next batch. Throws RIFF_BACKUP_FAILED, or what stops everything. */
  async write({ table, rows }: Batch): Promise<void> {
    const before = String(this.#written);
    const after = String(this.#written + 1);
    const parameters = { mark: RESTORE_MARK, before, after, table: new Table(table), rows };
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#db.runOnce(WRITE, parameters);
        break;
      } catch (thrown) {
        if (thrown instanceof RiffError) throw thrown;
        const error = toError(thrown);
        const now = await this.#progress();
        if (now === after) break;
        // Unanswered and not there: it may be sent again, for the mark lets it in only once.
        if (now !== before || !(error instanceof Unanswered) || attempt === MAX_ATTEMPTS) {
          throw refused(this.#db.location, table, error);
        }
      }
    }
    this.#written++;
  }

  /** Compares what was written with what the backup says of itself. Throws RIFF_BACKUP_FAILED. */
  async prove(tables: Readonly<Record<string, number>>, heads: readonly ChainHead[]): Promise<void> {
    for (const [table, expected] of Object.entries(tables)) {
      const [rows] = await this.#db.run<[{ count: number }[]]>("SELECT count() FROM $table GROUP ALL", {
        table: new Table(table),
      });
      const count = rows[0]?.count ?? 0;
      if (count !== expected) throw differs(this.#db.location, `${count} rows of ${table} instead of ${expected}`);
    }
    const [found] = await this.#db.run<[ChainHead[]]>("SELECT session_id, chain, head FROM session");
    const chains = new Map(found.map((row) => [row.session_id, row]));
    for (const { session_id, chain, head } of heads) {
      const row = chains.get(session_id);
      if (row?.chain !== chain || row.head !== head) throw differs(this.#db.location, `another chain of ${session_id}`);
    }
  }

  /** From now on it is a store. */
  async finish(): Promise<void> {
    await this.#db.run("DELETE $mark", { mark: RESTORE_MARK });
  }

  async #progress(): Promise<string | null> {
    const [name] = await this.#db.run<[string | null | undefined]>("SELECT VALUE name FROM ONLY $mark", {
      mark: RESTORE_MARK,
    });
    return name ?? null;
  }
}

/** The mark is written by every batch, so that of two restores at once one fails; rows are counted, as a denied write is silent. */
const WRITE = `BEGIN;
  IF (SELECT VALUE name FROM ONLY $mark) != $before { THROW 'another restore is writing to it' };
  IF array::len(INSERT INTO $table $rows RETURN VALUE id) != array::len($rows) { THROW 'it may not be written to' };
  IF array::len(UPDATE $mark SET name = $after RETURN VALUE name) != 1 { THROW 'it may not be written to' };
  COMMIT;`;

/** Times that a batch is sent, at most. */
const MAX_ATTEMPTS = 10;

/** A store that was only opened has these, and still holds nothing. */
const IGNORED: readonly string[] = ["schema_version", "host", "staged"];

interface Version {
  readonly version: number;
  readonly name: string;
  readonly sha256: string;
}

async function readVersions(db: Database): Promise<Version[]> {
  const [rows] = await db.run<[Version[]]>("SELECT version, name, sha256 FROM schema_version");
  return rows;
}

const ANOTHER_FOLDER =
  "Restore into a new folder with RIFFD_STORE_DIR=…, or into a state of its own with RIFFD_STATE_DIR=….";

function notEmpty(location: string, table: string): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `The store ${location} is not empty: it has rows of ${table}. Nothing was changed.`,
    ANOTHER_FOLDER,
  );
}

function otherBackup(location: string): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `The store ${location} holds a part of another backup, whose restore has not ended. Nothing was changed.`,
    `Give that backup again, and it goes on where it stopped; or remove the store. ${ANOTHER_FOLDER}`,
  );
}

function newerTarget(location: string): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `The store ${location} was made with a newer schema than the backup's. Nothing was changed.`,
    ANOTHER_FOLDER,
  );
}

function refused(location: string, table: string, error: Error): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `The store ${location} did not take rows of ${table}: ${error.message}`,
    "Check the free space and the rights, and run the command again: it goes on where it stopped.",
    error,
  );
}

function differs(location: string, what: string): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `What was restored into ${location} is not what the backup holds: ${what}.`,
    "Remove the store, and restore it again.",
  );
}
