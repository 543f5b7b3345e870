// The schema folder against a database: which of its numbered files the database has, and applying those it lacks.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DateTime } from "surrealdb";
import { Backoff } from "../backoff.ts";
import { sha256Hex } from "../core/hash.ts";
import { RiffError, toError } from "../errors.ts";
import type { Database } from "./database.ts";
import { RESTORING, unfinishedRestore } from "./restore-mark.ts";
import { isConflict, isDenied } from "./transaction.ts";

/** What the schema needs of a database. */
type Queries = Pick<Database, "run">;

/** One file of the schema folder. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly text: string;
  readonly sha256: string;
}

/** A migration that a database has. */
export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly sha256: string;
  readonly appliedAt: Date;
}

/**
 * `fresh`: no schema of riffd's. `older`: files are missing. `newer`: the database has a version that is not known.
 * `changed`: a version was applied with another text. `at`: the version that is newer or changed.
 */
export type SchemaStatus = {
  readonly applied: readonly AppliedMigration[];
  /** Those to apply, in order; they are only to be applied where the status is `fresh` or `older`. */
  readonly missing: readonly Migration[];
} & ({ readonly state: "fresh" | "older" | "current" } | { readonly state: "newer" | "changed"; readonly at: number });

const SCHEMA_FOLDER = fileURLToPath(new URL("../../schema/", import.meta.url));

/** The migrations this riffd knows, in order. */
export function readMigrations(folder: string = SCHEMA_FOLDER): Migration[] {
  return readdirSync(folder)
    .filter((file) => /^\d{4}-.+\.surql$/.test(file))
    .sort()
    .map((file) => {
      const text = readFileSync(join(folder, file), "utf8");
      return { version: Number(file.slice(0, 4)), name: file.slice(5, -6), text, sha256: sha256Hex(text) };
    });
}

/** The tables that migrations define, in order. */
export function tablesOf(migrations: readonly Migration[]): string[] {
  const names = migrations.flatMap(({ text }) =>
    [...text.matchAll(/^\s*DEFINE TABLE (?:OVERWRITE |IF NOT EXISTS )?(\w+)/gm)].map((match) => match[1]!),
  );
  return [...new Set(names)];
}

/** Which of `migrations` a database has. Writes nothing. Throws RIFF_PERMISSION_DENIED, or RIFF_BACKUP_FAILED for a part of a backup. */
export async function schemaStatus(db: Queries, migrations: readonly Migration[]): Promise<SchemaStatus> {
  const applied = await appliedVersions(db);
  const known = new Map(migrations.map((migration) => [migration.version, migration]));
  const missing = migrations.filter(({ version }) => !applied.some((done) => done.version === version));
  for (const { version, sha256 } of applied) {
    if (version === RESTORING) throw unfinishedRestore();
    const state = version > (migrations.at(-1)?.version ?? 0) ? "newer" : "changed";
    if (known.get(version)?.sha256 !== sha256) return { state, at: version, applied, missing };
  }
  return { state: applied.length === 0 ? "fresh" : missing.length > 0 ? "older" : "current", applied, missing };
}

/** What keeps this riffd from working with a database of that status; null where it is current. */
export function schemaFault(status: SchemaStatus): RiffError | null {
  switch (status.state) {
    case "current":
      return null;
    case "fresh":
    case "older":
      return new RiffError(
        "RIFF_SCHEMA_MISSING",
        status.state === "fresh"
          ? "The database has no riffd schema."
          : `The database has an older riffd schema: ${status.missing.map(label).join(", ")} missing.`,
        "Run `riffd schema apply` as a user who may define tables (the role EDITOR or OWNER).",
      );
    case "newer":
      return new RiffError(
        "RIFF_SCHEMA_NEWER",
        `The store has schema version ${status.at}, which this riffd does not know.`,
        "Update riffd: a newer version has written this store. Or restore a backup from before into another folder (RIFFD_STORE_DIR).",
      );
    case "changed":
      return new RiffError(
        "RIFF_SCHEMA_CHANGED",
        `The store was made with another text of schema version ${status.at} than this riffd has.`,
        "Install a released riffd; released schema files are never edited.",
      );
  }
}

/** "0001-core" */
export function label({ version, name }: Pick<Migration, "version" | "name">): string {
  return `${String(version).padStart(4, "0")}-${name}`;
}

/**
 * Brings a database to the newest of `migrations` and returns those it applied. A database without any gets all of them in
 * one transaction, an older one each in its own; an interrupted one is applied again, and of two writers that are at it
 * at once one applies it. Throws RIFF_SCHEMA_NEWER, RIFF_SCHEMA_CHANGED or RIFF_PERMISSION_DENIED.
 */
export async function applyMigrations(db: Queries, migrations: readonly Migration[]): Promise<Migration[]> {
  const done: Migration[] = [];
  const backoff = new Backoff();
  for (let attempt = 1; ; attempt++) {
    const status = await schemaStatus(db, migrations);
    if (status.state === "newer" || status.state === "changed") throw schemaFault(status)!;
    const next = status.state === "fresh" ? status.missing : status.missing.slice(0, 1);
    if (next.length === 0) return done;
    try {
      await db.run(
        `BEGIN; ${next.map(({ text }) => text).join(";\n")}; FOR $one IN $rows { ${RECORD_VERSION} }; COMMIT;`,
        { rows: next.map(({ version, name, sha256 }) => ({ version, name, sha256 })) },
      );
      done.push(...next);
    } catch (thrown) {
      const applied = await appliedVersions(db);
      const appliedByOther = applied.some(({ version }) => version === next[0]!.version);
      const error = toError(thrown);
      if (!appliedByOther && (!isConflict(error) || attempt >= MAX_ATTEMPTS)) throw applyFailure(next[0]!, error);
      await backoff.wait();
    }
  }
}

/** Times that a file is applied while others are at it, at most. */
const MAX_ATTEMPTS = 10;

const RECORD_VERSION = `INSERT INTO schema_version {id: $one.version, version: $one.version, name: $one.name,
  sha256: $one.sha256, applied_at: time::now()} RETURN NONE;`;

/**
 * All migrations as one file for `surreal import`, which sets up a database that riffd takes for current. Importing it
 * again changes nothing.
 */
export function importableSchema(migrations: readonly Migration[]): string {
  return [
    `-- The schema of riffd as one file, generated by \`npm run schema\` from the numbered files beside it.
--   surreal import --endpoint URL --namespace nabi --database conversations schema/riffd.surql
-- \`riffd schema apply\` does the same, and is the way from an older version to this one.
OPTION IMPORT;`,
    ...migrations.map(
      ({ version, name, sha256, text }) => `${text.trimEnd()}

INSERT IGNORE INTO schema_version
  {id: ${version}, version: ${version}, name: '${name}', sha256: '${sha256}', applied_at: time::now()};`,
    ),
  ]
    .join("\n\n")
    .concat("\n");
}

async function appliedVersions(db: Queries): Promise<AppliedMigration[]> {
  try {
    // Tells those who may not read the database; a SELECT would just find nothing.
    const [info] = await db.run<[{ tables: Record<string, string> }]>("INFO FOR DB");
    if (!("schema_version" in info.tables)) return [];
    const [rows] = await db.run<[(Omit<AppliedMigration, "appliedAt"> & { applied_at: DateTime })[]]>(
      "SELECT version, name, sha256, applied_at FROM schema_version ORDER BY version",
    );
    return rows.map(({ applied_at, ...row }) => ({ ...row, appliedAt: applied_at.toDate() }));
  } catch (thrown) {
    const error = toError(thrown);
    if (!isDenied(error)) throw error;
    throw new RiffError(
      "RIFF_PERMISSION_DENIED",
      "The user may not read this database's schema.",
      "Use a user with the role VIEWER, EDITOR or OWNER in this database.",
      error,
    );
  }
}

function applyFailure(migration: Migration, error: Error): Error {
  if (isDenied(error)) {
    return new RiffError(
      "RIFF_PERMISSION_DENIED",
      `The user may not define tables here: ${label(migration)} was not applied.`,
      "Have whoever owns the database run `riffd schema apply`, as a user with the role EDITOR or OWNER.",
      error,
    );
  }
  if ("kind" in error && error.kind === "AlreadyExists") {
    return new RiffError(
      "RIFF_SCHEMA_CHANGED",
      `The database already has something that riffd did not make: ${error.message}. Nothing was changed.`,
      "Choose another database, which is empty or riffd's own.",
      error,
    );
  }
  return error;
}
