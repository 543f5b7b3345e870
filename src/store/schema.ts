// Applies schema/NNNN-name.surql once each, in order, and refuses a store that a newer riffd has written.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Surreal } from "surrealdb";
import { sha256Hex } from "../core/hash.ts";
import { RiffError } from "../errors.ts";
import { run } from "./transaction.ts";

/** One file of the schema folder. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly text: string;
  readonly sha256: string;
}

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

/**
 * Brings a store to the newest of `migrations`. Each is one transaction, so an interrupted one is applied again. Throws
 * RIFF_SCHEMA_NEWER, or RIFF_SCHEMA_CHANGED when a file differs from what the store was made with.
 */
export async function applyMigrations(db: Surreal, migrations: readonly Migration[]): Promise<void> {
  const applied = await appliedVersions(db);
  const newest = migrations.at(-1)?.version ?? 0;
  for (const { version, sha256 } of applied) {
    if (version > newest) {
      throw new RiffError(
        "RIFF_SCHEMA_NEWER",
        `The store has schema version ${version}; this riffd knows versions up to ${newest}.`,
        "Update riffd: a newer version has written this store.",
      );
    }
    const known = migrations.find((migration) => migration.version === version);
    if (known?.sha256 !== sha256) {
      throw new RiffError(
        "RIFF_SCHEMA_CHANGED",
        `The store was made with another text of schema version ${version} than this riffd has.`,
        "Install a released riffd; released schema files are never edited.",
      );
    }
  }
  for (const { version, name, text, sha256 } of migrations) {
    if (applied.some((done) => done.version === version)) continue;
    await run(
      db,
      `BEGIN; ${text}; INSERT INTO schema_version
         {id: $version, version: $version, name: $name, sha256: $sha256, applied_at: time::now()}; COMMIT;`,
      { version, name, sha256 },
    );
  }
}

async function appliedVersions(db: Surreal): Promise<{ version: number; sha256: string }[]> {
  const [info] = await run<[{ tables: Record<string, string> }]>(db, "INFO FOR DB");
  if (!("schema_version" in info.tables)) return [];
  const [rows] = await run<[{ version: number; sha256: string }[]]>(
    db,
    "SELECT version, sha256 FROM schema_version ORDER BY version",
  );
  return rows;
}
