// One whole JSON value of a transcript → a message (it has a uuid, so it is a node of the graph) or a side record.
import { type Content, contentOf } from "./content.ts";
import { xxh64Hex } from "./hash.ts";
import type { Value } from "./line.ts";

/** A record with a uuid, of whatever type. Strings are well-formed Unicode. */
export interface Message {
  readonly kind: "message";
  readonly offset: number;
  readonly length: number;
  /** xxh64 of the value's bytes, 16 hex digits. */
  readonly digest: string;
  readonly uuid: string;
  readonly parent: string | null;
  readonly type: string;
  readonly subtype: string | null;
  readonly role: string | null;
  readonly timestamp: Date | null;
  readonly content: Content;
  /** A user or assistant record: what counts when something is cut off. */
  readonly conversation: boolean;
  readonly claims: Claims;
  /** Its content was destroyed; `digest` is that of the bytes as they were. */
  readonly forgotten: boolean;
}

/** A record without uuid: summaries, titles, snapshots, queue operations, and what later versions will write. */
export interface SideRecord {
  readonly kind: "record";
  readonly offset: number;
  readonly length: number;
  readonly digest: string;
  readonly type: string;
  readonly timestamp: Date | null;
  readonly content: Content;
  readonly claims: Claims;
  readonly forgotten: boolean;
}

/** What a record says about its session; kept, but not trusted. */
interface Claims {
  readonly sessionId: string | null;
  readonly cwd: string | null;
  readonly title: string | null;
}

/** Reads a value; `bytes` are exactly the value's. Never throws: a field of the wrong type counts as absent. */
export function readRecord(value: Value, bytes: Uint8Array): Message | SideRecord {
  const { json, offset, length } = value;
  const type = text(json.type) ?? "unknown";
  const digest = xxh64Hex(bytes);
  const content = contentOf(json);
  const claims = claimsOf(json, type);
  const uuid = text(json.uuid);
  if (uuid === null) {
    return {
      kind: "record",
      offset,
      length,
      digest,
      type,
      timestamp: timestampOf(json.timestamp),
      content,
      claims,
      forgotten: false,
    };
  }
  const message = typeof json.message === "object" && json.message !== null ? json.message : {};
  return {
    kind: "message",
    offset,
    length,
    digest,
    type,
    timestamp: timestampOf(json.timestamp),
    content,
    claims,
    uuid,
    parent: text(json.parentUuid),
    subtype: text(json.subtype),
    role: "role" in message ? text(message.role) : null,
    conversation: type === "user" || type === "assistant",
    forgotten: false,
  };
}

function claimsOf(json: Value["json"], type: string): Claims {
  return {
    sessionId: text(json.sessionId),
    cwd: text(json.cwd),
    title: text(json.customTitle) ?? text(json.aiTitle) ?? (type === "summary" ? text(json.summary) : null),
  };
}

/** A non-empty string, made well-formed; anything else is absent. */
function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value.toWellFormed() : null;
}

const ISO_DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

/** The moment that a `timestamp` names, if it is one. */
export function timestampOf(value: unknown): Date | null {
  if (typeof value !== "string" || !ISO_DATE_TIME.test(value)) return null;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? null : date;
}
