// Rows of the database ↔ rows of the domain: NONE is `undefined` there and null here, datetimes are `Date`s here, and
// array ids are taken apart. What comes from the database is trusted to have the schema's types, and no more.
import { DateTime, RecordId } from "surrealdb";
import type {
  CommitRow,
  EventRow,
  FoundMessage,
  MessageRow,
  QuarantineRow,
  RecordRow,
  SegmentRow,
  SessionRow,
  SessionSummary,
  SourceKey,
  SourceRow,
  Stored,
  Tombstone,
  UnresolvedRow,
} from "../sync/store.ts";

/** A row as the SDK gives it. */
export type DbRow = Readonly<Record<string, unknown>>;

/** Domain → database: null becomes NONE, a Date a datetime. One level deep, as the rows are. */
export function toDb(row: object): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const key in row) {
    const value = (row as DbRow)[key];
    if (value === null) continue;
    out[key] = value instanceof Date ? new DateTime(value) : value;
  }
  return out;
}

/** Database → domain. `keys` names the optional columns, which the database leaves out where they are NONE. */
function fromDb(row: DbRow, optional: readonly string[]): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const key of optional) out[key] = null;
  for (const key in row) {
    const value = row[key] ?? null; // a column that was asked for by its name comes also where it is NONE
    out[key] = value instanceof DateTime ? value.toDate() : value;
  }
  return out;
}

/** The parts of a row's array id. */
function idParts(row: DbRow): readonly unknown[] {
  return (row.id as RecordId).id as unknown as readonly unknown[];
}

/** Where a row stands in its generation. */
export function offsetOf(row: DbRow): number {
  return Number(idParts(row)[2]);
}

export function sessionRecord(sessionId: string): RecordId {
  return new RecordId("session", sessionId);
}

export function sourceRecord([host, path]: SourceKey): RecordId {
  return new RecordId("source", [host, path]);
}

export function sourceFromDb(row: DbRow): SourceRow {
  const { id: _, ...columns } = fromDb(row, []);
  return columns as unknown as SourceRow;
}

export function sessionToDb(session: SessionRow): Record<string, unknown> {
  return { ...toDb(session), source: sourceRecord(session.source), faults: session.faults.map(toDb) };
}

export function sessionFromDb(row: DbRow): SessionRow {
  const { id: _, ...columns } = fromDb(row, [
    "cwd",
    "title",
    "parent_session",
    "damage_before",
    "first_message_at",
    "last_message_at",
    "forgotten_count",
    "forgotten_at",
  ]);
  const faults = (row.faults as DbRow[]).map((fault) =>
    fromDb(fault, ["message_uuid", "parent_uuid", "found_in", "reason"]),
  );
  const source = (row.source as RecordId).id as unknown as SourceKey;
  return { ...columns, source, faults } as unknown as SessionRow;
}

export function summaryFromDb(row: DbRow): SessionSummary {
  return { ...row, source: (row.source as RecordId).id as unknown as SourceKey } as unknown as SessionSummary;
}

/** A row that lies in byte order under its session and generation. */
export function placed(
  row: { readonly offset: number },
  sessionId: string,
  generation: number,
): Record<string, unknown> {
  const { offset, ...columns } = toDb(row) as { offset: number };
  return { ...columns, id: [sessionId, generation, offset], session_id: sessionId };
}

/** Rows of one step share their time; it is converted once. */
function sharedTime(): (time: Date) => DateTime {
  let last: { time: Date; value: DateTime } | null = null;
  return (time) => {
    if (last?.time !== time) last = { time, value: new DateTime(time) };
    return last.value;
  };
}

/** Messages as `INSERT` takes them. Written out, as it is the hot path of an import: one object for each row. */
export function messagesToDb(rows: readonly MessageRow[], sessionId: string, generation: number): object[] {
  const created = sharedTime();
  return rows.map((row) => ({
    id: [sessionId, generation, row.offset],
    session_id: sessionId,
    message_uuid: row.message_uuid,
    parent_uuid: row.parent_uuid ?? undefined,
    parent_state: row.parent_state,
    message_type: row.message_type,
    subtype: row.subtype ?? undefined,
    role: row.role ?? undefined,
    content: row.content,
    content_kind: row.content_kind,
    content_parts: row.content_parts ?? undefined,
    content_hash: row.content_hash ?? undefined,
    timestamp: row.timestamp === null ? undefined : new DateTime(row.timestamp),
    is_orphaned: row.is_orphaned,
    corruption_score: row.corruption_score,
    occurrence: row.occurrence,
    length: row.length,
    digest: row.digest,
    root_offset: row.root_offset,
    created_at: created(row.created_at),
    removed_at: row.removed_at === null ? undefined : new DateTime(row.removed_at),
  }));
}

const CONTENT_OPTIONS = ["content_parts", "content_hash", "timestamp"];

/** With `generation`, since a removed message's row stands under an older one. */
export type StoredMessage = MessageRow & { readonly generation: number };

export function messageFromDb(row: DbRow): StoredMessage {
  const {
    id: _,
    session_id: __,
    ...columns
  } = fromDb(row, [...CONTENT_OPTIONS, "parent_uuid", "subtype", "role", "removed_at"]);
  return { ...columns, offset: offsetOf(row), generation: Number(idParts(row)[1]) } as unknown as StoredMessage;
}

export function recordFromDb(row: DbRow): RecordRow & { readonly generation: number } {
  const { id: _, session_id: __, ...columns } = fromDb(row, CONTENT_OPTIONS);
  return { ...columns, offset: offsetOf(row), generation: Number(idParts(row)[1]) } as unknown as RecordRow & {
    generation: number;
  };
}

export function quarantineFromDb(row: DbRow): QuarantineRow & { readonly generation: number } {
  const { id: _, session_id: __, ...columns } = fromDb(row, []);
  return { ...columns, offset: offsetOf(row), generation: Number(idParts(row)[1]) } as unknown as QuarantineRow & {
    generation: number;
  };
}

export function unresolvedToDb(row: UnresolvedRow): Record<string, unknown> {
  const { parent_uuid, generation, offset, ...columns } = row;
  return { ...toDb(columns), id: [parent_uuid, row.session_id, generation, offset] };
}

export function unresolvedFromDb(row: DbRow): UnresolvedRow {
  const { id: _, ...columns } = fromDb(row, ["found_in"]);
  const [parent_uuid, , generation, offset] = idParts(row);
  return {
    ...columns,
    parent_uuid,
    generation: Number(generation),
    offset: Number(offset),
  } as unknown as UnresolvedRow;
}

/** A row as it stands there, with its whole id; `convert` gives its columns. */
export function storedFromDb<T>(row: DbRow, convert: (row: DbRow) => T): Stored<T> {
  return { key: idParts(row), sessionId: row.session_id, columns: convert(row) };
}

/** The same for a row that lies under its generation, which its id tells. */
export function storedEntryFromDb<T extends object>(
  row: DbRow,
  convert: (row: DbRow) => T & { readonly generation: number },
): Stored<Omit<T, "generation">> {
  const { generation: _, ...columns } = convert(row);
  return { key: idParts(row), sessionId: row.session_id, columns };
}

export function segmentToDb(segment: SegmentRow, sessionId: string, generation: number): Record<string, unknown> {
  const { session_id: _, ...row } = placed(segment, sessionId, generation);
  return row;
}

export function segmentFromDb(row: DbRow): SegmentRow {
  const { id: _, ...columns } = fromDb(row, ["data", "shared_with", "stored_hash"]);
  const data = columns.data;
  return {
    ...columns,
    data: data instanceof ArrayBuffer ? new Uint8Array(data) : data,
    offset: offsetOf(row),
  } as unknown as SegmentRow;
}

export function eventToDb(event: EventRow, sessionId: string): Record<string, unknown> {
  const { n, ...columns } = event;
  return { ...toDb(columns), id: [sessionId, n], session_id: sessionId };
}

export function eventFromDb(row: DbRow): EventRow {
  const {
    id: _,
    session_id: __,
    ...columns
  } = fromDb(row, ["message_uuid", "old_value", "new_value", "before", "after"]);
  return { ...columns, n: Number(idParts(row)[1]) } as unknown as EventRow;
}

export function commitToDb(commit: CommitRow, sessionId: string): Record<string, unknown> {
  return { ...toDb(commit), id: [sessionId, commit.n], session_id: sessionId };
}

export function commitFromDb(row: DbRow): CommitRow {
  const { id: _, session_id: __, ...columns } = fromDb(row, []);
  return columns as unknown as CommitRow;
}

export function tombstoneToDb(tombstone: Tombstone, sessionId: string, commit: number): Record<string, unknown> {
  const { generation, offset, ...columns } = tombstone;
  return { ...toDb(columns), id: [sessionId, generation, offset], session_id: sessionId, commit };
}

/** With `commit`, the number of the one that wrote it. */
export function tombstoneFromDb(row: DbRow): Tombstone & { readonly commit: number } {
  const { id: _, session_id: __, ...columns } = fromDb(row, ["message_uuid"]);
  return {
    ...columns,
    generation: Number(idParts(row)[1]),
    offset: offsetOf(row),
  } as unknown as Tombstone & { commit: number };
}

export function foundFromDb(row: DbRow): FoundMessage {
  const [session_id, generation, offset] = idParts(row);
  return {
    session_id: String(session_id),
    generation: Number(generation),
    offset: Number(offset),
    message_uuid: String(row.message_uuid),
    occurrence: Number(row.occurrence),
    root_offset: Number(row.root_offset),
  };
}
