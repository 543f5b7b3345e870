// riffd schema: what the database has of riffd's schema, setting it up, and one file of it for `surreal import`.
import { olderDaemon } from "../store/open.ts";
import {
  type AppliedMigration,
  applyMigrations,
  importableSchema,
  label,
  type Migration,
  readMigrations,
  type SchemaStatus,
  schemaFault,
  schemaStatus,
} from "../store/schema.ts";
import { type Output, plural } from "./output.ts";
import { choiceOf, openChosenDatabase, type StoreOptions } from "./store.ts";
import { wayTo } from "./store-way.ts";

export interface SchemaOptions extends StoreOptions {
  readonly json: boolean;
}

/** Applies what is missing. Returns the exit code. Throws RiffError. */
export async function schemaApply(options: SchemaOptions, output: Output, signal: AbortSignal): Promise<number> {
  const database = await openChosenDatabase(options, output, signal);
  const { location } = database;
  try {
    const migrations = readMigrations();
    const { state } = await schemaStatus(database, migrations);
    if (state === "older" && (await wayTo(choiceOf(options))).target.kind === "daemon") throw olderDaemon(location);
    const applied = await applyMigrations(database, migrations);
    if (options.json) {
      output.line(JSON.stringify({ store: location, applied: applied.map(fileLine) }));
    } else {
      for (const migration of applied) output.line(`✓ applied ${label(migration)}`);
      if (applied.length === 0) output.line("✓ nothing to apply: the schema is this riffd's");
      output.line(`Store: ${location}`);
    }
    return 0;
  } finally {
    await database.close();
  }
}

/** Tells what is applied and what is missing. Throws RIFF_SCHEMA_MISSING, _NEWER or _CHANGED where it is not current. */
export async function schemaShow(options: SchemaOptions, output: Output, signal: AbortSignal): Promise<number> {
  const database = await openChosenDatabase(options, output, signal);
  const { location } = database;
  try {
    const status = await schemaStatus(database, readMigrations());
    if (options.json) output.line(JSON.stringify(statusLine(location, status)));
    else for (const line of statusText(location, status)) output.line(line);
    const fault = schemaFault(status);
    if (fault !== null) throw fault;
    return 0;
  } finally {
    await database.close();
  }
}

/** Prints the file for `surreal import`. */
export function schemaPrint(output: Output): number {
  output.line(importableSchema(readMigrations()).trimEnd());
  return 0;
}

/** `--json` of `riffd schema status`; part of riffd's contract. */
function statusLine(location: string, { state, applied, missing }: SchemaStatus) {
  return {
    store: location,
    state,
    applied: applied.map((row) => ({ ...fileLine(row), applied_at: row.appliedAt.toISOString() })),
    missing: missing.map(fileLine),
  };
}

function fileLine({ version, name, sha256 }: Migration | AppliedMigration) {
  return { version, name, sha256 };
}

function statusText(location: string, { state, applied, missing }: SchemaStatus): string[] {
  const width = Math.max(0, ...[...applied, ...missing].map((row) => label(row).length));
  const line = (mark: string, row: Migration | AppliedMigration, what: string) =>
    `${mark} ${label(row).padEnd(width)}  ${row.sha256.slice(0, 12)}  ${what}`;
  return [
    ...applied.map((row) => line("✓", row, `applied ${row.appliedAt.toISOString()}`)),
    ...missing.map((row) => line("•", row, "missing")),
    `Schema: ${state}, ${plural(applied.length, "version")} applied, ${missing.length} missing`,
    `Store: ${location}`,
  ];
}
