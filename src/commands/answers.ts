// What queries gave, printed: one JSON document for programs, tables and records for people.
import type { Answer } from "../store/query.ts";
import { toJson, toPlainText, toSurrealQl } from "../store/values.ts";
import { plural } from "./output.ts";

/**
 * One JSON document: an array with an object for each statement, in the form of SurrealDB's own HTTP answers. Rows come
 * a line each, so that no line holds a whole result.
 */
export function* jsonLines(answers: readonly Answer[]): Iterable<string> {
  yield "[";
  for (const [i, answer] of answers.entries()) {
    const end = i === answers.length - 1 ? "}" : "},";
    if (!answer.ok) yield `{"status":"ERR","result":${JSON.stringify(answer.message)}${end}`;
    else if (!Array.isArray(answer.value))
      yield `{"status":"OK","result":${JSON.stringify(toJson(answer.value))}${end}`;
    else {
      yield '{"status":"OK","result":[';
      const last = answer.value.length - 1;
      for (const [n, row] of answer.value.entries()) yield JSON.stringify(toJson(row)) + (n === last ? "" : ",");
      yield `]${end}`;
    }
  }
  yield "]";
}

/** For people: statements that give nothing (`LET`) are left out, unless all do. Failures are told by the caller. */
export function* textLines(answers: readonly Answer[], columns: number): Iterable<string> {
  const given = answers.flatMap((answer) => (answer.ok ? [answer.value] : []));
  const told = given.filter((value) => value !== undefined);
  for (const [i, value] of (told.length > 0 ? told : given.slice(0, 1)).entries()) {
    if (i > 0) yield "";
    if (isRows(value)) {
      yield* rowLines(value, columns);
      yield `(${plural(value.length, "row")})`;
    } else if (Array.isArray(value)) {
      for (const item of value) yield toPlainText(item);
      yield `(${plural(value.length, "value")})`;
    } else if (isRow(value)) yield* recordLines(value);
    else yield toPlainText(value);
  }
}

type Row = Readonly<Record<string, unknown>>;

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isRows(value: unknown): value is Row[] {
  return Array.isArray(value) && value.length > 0 && value.every(isRow);
}

/** Cells longer than this make a table unreadable; then each row gets lines of its own. */
const MAX_CELL = 60;

/** A table where it fits, else one record after the other. Nothing is cut. */
function* rowLines(rows: readonly Row[], columns: number): Iterable<string> {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const widths = names.map((name) => name.length);
  let fits = true;
  for (const row of rows) {
    for (const [i, name] of names.entries()) widths[i] = Math.max(widths[i]!, cell(row[name]).length);
    fits = Math.max(...widths) <= MAX_CELL && widths.reduce((sum, width) => sum + width + 2, 0) <= columns;
    if (!fits) break;
  }
  if (fits) {
    const line = (cells: readonly string[]) =>
      cells
        .map((text, i) => text.padEnd(widths[i]!))
        .join("  ")
        .trimEnd();
    yield line(names);
    yield line(widths.map((width) => "─".repeat(width)));
    for (const row of rows) yield line(names.map((name) => cell(row[name])));
    return;
  }
  for (const [i, row] of rows.entries()) {
    yield `── ${i + 1} ──`;
    yield* recordLines(row);
  }
}

/** A text with several lines is quoted, so that a row stays on one. */
function cell(value: unknown): string {
  if (value === undefined) return "";
  return typeof value === "string" && /[\n\t]/.test(value) ? toSurrealQl(value) : toPlainText(value);
}

function* recordLines(row: Row): Iterable<string> {
  const width = Math.max(0, ...Object.keys(row).map((name) => name.length));
  for (const [name, value] of Object.entries(row)) {
    if (value === undefined) continue;
    const [first, ...others] = toPlainText(value).split("\n");
    yield `${name.padEnd(width)}  ${first}`.trimEnd();
    for (const line of others) yield `${" ".repeat(width)}  ${line}`.trimEnd();
  }
}
