// A backup file → an empty store: the file is read twice, first to prove all of it, then to write it.
import { RiffError } from "../errors.ts";
import { decodeBatch } from "../store/batch-codec.ts";
import type { Database } from "../store/database.ts";
import { RestoreTarget } from "../store/restore-target.ts";
import { applyMigrations, type Migration, tablesOf } from "../store/schema.ts";
import type { Batch } from "../store/snapshot.ts";
import { interrupted } from "../sync/look.ts";
import type { ChainHead } from "../sync/store.ts";
import { type BackupEnd, BackupFile, type BackupHeader } from "./format.ts";

/** A backup that is whole. */
export interface ProvenBackup {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly header: BackupHeader;
  readonly end: BackupEnd;
  readonly batches: number;
}

/** How a backup is read. */
export interface Reading {
  readonly signal: AbortSignal;
  /** Told of each batch: the bytes of the file up to its end. */
  onBatch?(read: number): void;
}

/** Reads all of a backup without writing anything. Throws RIFF_BACKUP_FAILED and says what is wrong with it. */
export async function proveBackup(path: string, { signal, onBatch }: Reading): Promise<ProvenBackup> {
  const file = await BackupFile.open(path);
  try {
    const counts = new Map<string, number>();
    let batches = 0;
    for await (const payload of file.payloads()) {
      if (signal.aborted) throw interrupted();
      const { table, rows } = decoded(path, payload);
      counts.set(table, (counts.get(table) ?? 0) + rows.length);
      batches++;
      onBatch?.(file.position);
    }
    const { size, header, end, sha256 } = file;
    for (const table of new Set([...counts.keys(), ...Object.keys(end.tables)])) {
      const count = counts.get(table) ?? 0;
      const told = end.tables[table] ?? 0;
      if (count !== told) throw unreadable(path, `it has ${count} rows of ${table}, and says that they are ${told}`);
    }
    return { path, size, sha256, header, end, batches };
  } finally {
    await file.close();
  }
}

/** The migrations that the backup's store had. Throws RIFF_SCHEMA_NEWER or RIFF_SCHEMA_CHANGED if they are not among `known`. */
export function migrationsOf({ path, header, end }: ProvenBackup, known: readonly Migration[]): Migration[] {
  const migrations = header.schema.map(({ version, sha256 }) => {
    const migration = known.find((one) => one.version === version);
    if (migration?.sha256 === sha256) return migration;
    const isNewer = migration === undefined && version > (known.at(-1)?.version ?? 0);
    throw new RiffError(
      isNewer ? "RIFF_SCHEMA_NEWER" : "RIFF_SCHEMA_CHANGED",
      isNewer
        ? `The backup ${path} is of a store with schema version ${version}, which this riffd does not know.`
        : `The backup ${path} is of a store with another text of schema version ${version} than this riffd has.`,
      isNewer ? `Update riffd: version ${header.riffd} has written it.` : "Install a released riffd.",
    );
  });
  const tables = tablesOf(migrations);
  const unknown = Object.keys(end.tables).find((table) => !tables.includes(table));
  if (unknown !== undefined) throw unreadable(path, `its schema has no table ${unknown}`);
  return migrations;
}

export interface RestoreOptions extends Reading {
  /** Told once, how many of the batches an earlier run has written. */
  onResume?(batches: number): void;
}

/** Writes a proven backup into an empty database and brings that to the newest of `known`. Throws RiffError. */
export async function restoreBackup(
  backup: ProvenBackup,
  database: Database,
  known: readonly Migration[],
  { signal, onResume, onBatch }: RestoreOptions,
): Promise<void> {
  const target = await RestoreTarget.prepare(database, migrationsOf(backup, known), backup.sha256);
  if (target.written > 0) onResume?.(target.written);
  const file = await BackupFile.open(backup.path);
  try {
    let n = 0;
    for await (const payload of file.payloads()) {
      if (signal.aborted) throw interrupted();
      if (n++ === target.written) await target.write(decoded(backup.path, payload));
      onBatch?.(file.position);
    }
    if (file.sha256 !== backup.sha256) throw unreadable(backup.path, "it was changed while it was restored");
  } finally {
    await file.close();
  }
  await target.prove(backup.end.tables, headsOf(backup));
  await target.finish();
  await applyMigrations(database, known);
}

/** The heads of the chains that a backup holds. */
export function headsOf({ end }: ProvenBackup): ChainHead[] {
  return end.heads.map(([session_id, chain, head]) => ({ session_id, chain, head }));
}

function decoded(path: string, payload: Uint8Array): Batch {
  return decodeBatch(payload) ?? fail(unreadable(path, "a block holds no rows"));
}

function unreadable(path: string, why: string): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `The backup ${path} cannot be restored: ${why}.`,
    "Use another copy of it, or another backup.",
  );
}

function fail(error: Error): never {
  throw error;
}
