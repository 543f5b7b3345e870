// The rows of a session and its checkpoint, as far as each must have the right types.
import { RecordId } from "surrealdb";
import { type DbRow, sessionFromDb, sourceFromDb } from "../store/rows.ts";
import { isNot } from "../sync/proof/difference.ts";
import type { SessionRow, SourceRow } from "../sync/store.ts";

const SESSION_TYPES = {
  session_id: "text",
  generation: "number",
  faults: "list",
  source: "record",
  spared: "flag",
} as const;

const SOURCE_TYPES = {
  session_id: "text",
  generation: "number",
  archived: "number",
  complete: "flag",
  prior_incomplete: "flag",
  superseded: "flag",
  verified_size: "number",
} as const;

const IS = {
  text: (value: unknown) => typeof value === "string",
  number: (value: unknown) => typeof value === "number",
  flag: (value: unknown) => typeof value === "boolean",
  list: (value: unknown) => Array.isArray(value),
  record: (value: unknown) => value instanceof RecordId && Array.isArray(value.id),
} as const;

/** Throws a Difference for a column of another type that the other proofs rely on. */
export function readSession(row: DbRow): SessionRow {
  requireTypes("the session's row", row, SESSION_TYPES);
  return sessionFromDb(row);
}

/** The same. */
export function readSource(row: DbRow): SourceRow {
  requireTypes("the checkpoint", row, SOURCE_TYPES);
  return sourceFromDb(row);
}

function requireTypes(what: string, row: DbRow, types: Readonly<Record<string, keyof typeof IS>>): void {
  for (const [column, type] of Object.entries(types)) {
    if (!IS[type](row[column])) throw isNot(what, column, `a ${type}`, row[column]);
  }
}
