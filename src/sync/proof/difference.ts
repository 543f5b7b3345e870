// The first thing in which the store is not what it should be, and where: what `verify` tells, and what cannot be healed.
// A Difference is thrown where it is found and caught once for each session.
import { canonicalJson } from "../../core/canonical.ts";

/** Something in the store is not what the rest of it proves it should be. The message is for people. */
export class Difference extends Error {}

/** Whether two values of rows are the same; dates by their moment, objects and arrays by what they hold. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (a instanceof Date || b instanceof Date) {
    return a instanceof Date && b instanceof Date && a.getTime() === b.getTime();
  }
  return text(a) === text(b);
}

/** The first column in which two rows differ, or null. Columns that only one row has count as different. */
export function differentColumn(expected: object, found: object): string | null {
  const left = expected as Readonly<Record<string, unknown>>;
  const right = found as Readonly<Record<string, unknown>>;
  for (const column in left) if (!isSame(left[column], right[column])) return column;
  for (const column in right) if (!(column in left) && right[column] !== undefined) return column;
  return null;
}

/** Throws a Difference that names the first column that differs. Columns that only one row has count as different. */
export function compareRows(what: string, expected: object, found: object): void {
  const column = differentColumn(expected, found);
  if (column === null) return;
  const valueIn = (row: object) => (row as Readonly<Record<string, unknown>>)[column];
  throw differs(what, column, valueIn(expected), valueIn(found));
}

/** The same for those columns alone that are expected. */
export function compareColumns(what: string, expected: object, found: object): void {
  const right = found as Readonly<Record<string, unknown>>;
  for (const [column, value] of Object.entries(expected)) {
    if (!isSame(value, right[column])) throw differs(what, column, value, right[column]);
  }
}

/** The difference of one column; of long texts, from where on. */
export function differs(what: string, column: string, expected: unknown, found: unknown): Difference {
  if (typeof expected === "string" && typeof found === "string") {
    const at = firstDifferentUnit(expected, found);
    if (at > CONTEXT) {
      const from = at - CONTEXT;
      return new Difference(
        `${what}: ${column} differs from character ${at} on: expected …${show(expected.slice(from))}, found …${show(found.slice(from))}`,
      );
    }
  }
  return isNot(what, column, show(expected), found);
}

/** The same for a value that is told by its kind. */
export function isNot(what: string, column: string, wanted: string, found: unknown): Difference {
  return new Difference(`${what}: ${column} should be ${wanted}, but is ${show(found)}`);
}

/** Code units shown before the first that differs. */
const CONTEXT = 12;
/** Code units of a value that are shown. */
const MAX_SHOWN = 80;

/** A value for people, cut short. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  const whole =
    value instanceof Date ? dateText(value) : typeof value === "string" ? JSON.stringify(value) : text(value);
  return whole.length <= MAX_SHOWN ? whole : `${whole.slice(0, MAX_SHOWN).toWellFormed()}…`;
}

/** The beginning of a hash, as people compare them. */
export function showHash(hash: unknown): string {
  return typeof hash === "string" && hash.length > 16 ? `${hash.slice(0, 12)}…` : show(hash);
}

function firstDifferentUnit(a: string, b: string): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  return at;
}

function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? "an invalid date" : date.toISOString();
}

/** Never throws: what stands in the store may be anything. */
function text(value: unknown): string {
  try {
    return canonicalJson(withDates(value));
  } catch {
    return String(value);
  }
}

function withDates(value: unknown): unknown {
  if (value instanceof Date) return dateText(value);
  if (Array.isArray(value)) return value.map(withDates);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withDates(item)]));
}

/** Tables whose rows lie in byte order under their session and generation. */
export type PlacedTable = "message" | "record" | "quarantine" | "source_segment" | "forgotten";

const NAMES: Readonly<Record<PlacedTable, string>> = {
  message: "the message",
  record: "the record",
  quarantine: "the unreadable piece",
  source_segment: "the segment",
  forgotten: "the tombstone",
};

/** Where a row stands, for people. */
export function placeOf(table: PlacedTable, generation: unknown, offset: unknown): string {
  return `${NAMES[table]} at offset ${show(offset)} of generation ${show(generation)}`;
}
