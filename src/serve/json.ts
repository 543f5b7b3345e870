// SurrealDB's JSON: what CBOR keeps apart becomes text, NONE becomes null, numbers keep all their digits.
import { DateTime, Duration, RecordId, Uuid, Value } from "surrealdb";

/** Writes a decoded value as SurrealDB's server does. */
export function toJson(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.toWellFormed());
    case "number":
      return Number.isFinite(value) ? String(value) : "null";
    case "bigint":
    case "boolean":
      return String(value);
    case "object":
      return value === null ? "null" : objectToJson(value);
    default:
      return "null";
  }
}

function objectToJson(value: object): string {
  if (Array.isArray(value) || value instanceof Set) return listToJson(value);
  if (value instanceof ArrayBuffer) return listToJson(new Uint8Array(value));
  if (ArrayBuffer.isView(value)) return listToJson(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  if (value instanceof RecordId || value instanceof Uuid || value instanceof Duration) {
    return JSON.stringify(value.toString());
  }
  if (value instanceof DateTime) return JSON.stringify(value.toString().replace(/\.000Z$/, "Z"));
  if (value instanceof Value) return toJson(value.toJSON());
  const entries = Object.entries(value).map(([key, held]) => `${toJson(key)}:${toJson(held)}`);
  return `{${entries.join(",")}}`;
}

function listToJson(list: Iterable<unknown>): string {
  return `[${Array.from(list, toJson).join(",")}]`;
}
