// Values of the database, as JSON for programs and as SurrealQL for people.
import { escapeIdent, Geometry, RecordId, toSurqlString } from "surrealdb";

/**
 * What `JSON.stringify` may be given for a value of the database: record ids, times, durations, uuids and decimals as
 * text, bytes as base64, whole numbers that JSON's readers would round as text, NONE as null (in an object: left out).
 */
export function toJson(value: unknown): unknown {
  switch (typeof value) {
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "string":
    case "boolean":
      return value;
    case "object":
      break;
    default:
      return null;
  }
  if (value === null) return null;
  const bytes = bytesOf(value);
  if (bytes !== null) return bytes.toString("base64");
  if (Array.isArray(value) || value instanceof Set) return Array.from(value as Iterable<unknown>, toJson);
  if (isPlain(value)) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return Object.fromEntries(members.map(([key, member]) => [key, toJson(member)]));
  }
  if (value instanceof Geometry) return value.toJSON();
  return value instanceof RecordId ? recordId(value) : String(value);
}

/** A value as SurrealQL, on one line; can be pasted into a query. */
export function toSurrealQl(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value !== "object" || value === null) return toSurqlString(value);
  const bytes = bytesOf(value);
  if (bytes !== null) return `b"${bytes.toString("hex").toUpperCase()}"`;
  if (Array.isArray(value) || value instanceof Set) {
    return `[${Array.from(value as Iterable<unknown>, toSurrealQl).join(", ")}]`;
  }
  if (value instanceof RecordId) return recordId(value);
  if (!isPlain(value)) return toSurqlString(value);
  const members = Object.entries(value).map(([key, member]) => `${keyOf(key)}: ${toSurrealQl(member)}`);
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

/** A value as people read it: texts, times and the like without quotes; may have several lines, but no control codes. */
export function toPlainText(value: unknown): string {
  const isText = typeof value === "string" || (typeof value === "object" && value !== null && isSimple(value));
  return (isText ? String(value) : toSurrealQl(value)).replaceAll(CONTROL_CODES, escapeControl);
}

function keyOf(key: string): string {
  return /^[A-Za-z_]\w*$/.test(key) ? key : quote(key);
}

function recordId(value: RecordId): string {
  const { id } = value;
  if (typeof id !== "object" || id === null || !(Array.isArray(id) || isPlain(id))) return String(value);
  return `${escapeIdent(value.table.name)}:${toSurrealQl(id)}`;
}

/** Times, durations, uuids, …: everything with a text of its own that is not made of other values. */
function isSimple(value: object): boolean {
  const isMadeOfOthers = Array.isArray(value) || value instanceof Set || value instanceof RecordId || isPlain(value);
  return !isMadeOfOthers && bytesOf(value) === null;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function bytesOf(value: object): Buffer | null {
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : null;
}

function quote(text: string): string {
  const escaped = text
    .replaceAll(/[\\']/g, "\\$&")
    .replaceAll("\n", "\\n")
    .replaceAll("\t", "\\t")
    .replaceAll(CONTROL_CODES, escapeControl);
  return `'${escaped}'`;
}

/** What a terminal would take for a command to it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL_CODES = /[\0-\x08\x0b-\x1f\x7f-\x9f]/g;

function escapeControl(code: string): string {
  return `\\u{${code.charCodeAt(0).toString(16)}}`;
}
