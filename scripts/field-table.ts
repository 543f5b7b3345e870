// The table of docs/configuration.md, from the fields that there are.
import { FIELD_NAMES, FIELDS, type Field, type FieldName } from "../src/config/fields.ts";
import { rangeOf } from "../src/config/problems.ts";

const BEGIN = "<!-- fields: written by `npm run docs` -->";
const END = "<!-- /fields -->";

/** The page, with the table between its marks as it is to be. Throws where the marks are missing. */
export function withFieldTable(page: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`The page has no table between ${BEGIN} and ${END}.`);
  return `${before}${BEGIN}\n${fieldTable()}\n${END}${after}`;
}

function fieldTable(): string {
  const rows = [["field", "variable", "option", "default", "live", "what it is"], ...FIELD_NAMES.map(rowOf)];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n");
}

function rowOf(name: FieldName): string[] {
  const field: Field = FIELDS[name];
  return [
    field.inFile ? code(name) : "",
    code(field.env),
    field.flag === null ? "" : code(field.flag),
    field.otherwise ?? (field.default === undefined ? "" : code(String(field.default))),
    field.reload ? "yes" : "",
    field.about + takes(field),
  ];
}

/** What it takes, where that does not go without saying. */
function takes(field: Field): string {
  if (field.kind === "integer") return ` (${rangeOf(field)})`;
  if (field.kind === "choice") return ` (${field.choices.map(code).join(", ")})`;
  return "";
}

function code(text: string): string {
  return `\`${text}\``;
}
