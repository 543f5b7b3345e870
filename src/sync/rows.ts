// The rows of a file's entries, as they are written when they are read: of messages, before their verdicts are known.
import type { Content } from "../core/content.ts";
import type { Added } from "../core/graph.ts";
import { sha256Hex } from "../core/hash.ts";
import type { Piece } from "../core/line.ts";
import type { Message, SideRecord } from "../core/message.ts";
import {
  type ContentColumns,
  MAX_CONTENT_CHARS,
  type MessageRow,
  type QuarantineRow,
  type RecordRow,
} from "./store.ts";

/** Contents that are too long for their rows. */
export type LargeContents = { readonly hash: string; readonly text: string }[];

/** A message's row; what is too long for it goes into `large`. */
export function messageRow(message: Message, added: Added, created_at: Date, large: LargeContents): MessageRow {
  const { content, content_kind, content_parts, content_hash } = contentColumns(message.content, large);
  return {
    offset: message.offset,
    length: message.length,
    digest: message.digest,
    timestamp: message.timestamp,
    message_uuid: message.uuid,
    parent_uuid: message.parent,
    parent_state: added.state,
    message_type: message.type,
    subtype: message.subtype,
    role: message.role,
    is_orphaned: false,
    corruption_score: 0,
    occurrence: added.occurrence,
    root_offset: added.rootOffset,
    content,
    content_kind,
    content_parts,
    content_hash,
    created_at,
    removed_at: null,
  };
}

/** What the bytes of a message alone tell of its row. */
export function withoutVerdict(row: MessageRow) {
  const { parent_state: _, is_orphaned: __, corruption_score: ___, ...columns } = row;
  return columns;
}

/** The row of a record without uuid; `large` as above. */
export function recordRow(record: SideRecord, created_at: Date, large: LargeContents): RecordRow {
  const { offset, length, digest, timestamp, type } = record;
  return {
    offset,
    length,
    digest,
    timestamp,
    record_type: type,
    ...contentColumns(record.content, large),
    created_at,
  };
}

export function quarantineRow({ offset, length, reason }: Piece, created_at: Date): QuarantineRow {
  return { offset, length, reason, created_at };
}

function contentColumns(content: Content, large: LargeContents): ContentColumns {
  const { text, parts } = content;
  const kind = parts[0]?.kind ?? "none";
  const mixed = parts.some((part) => part.kind !== kind);
  const what: Pick<ContentColumns, "content_kind" | "content_parts"> = mixed
    ? { content_kind: "mixed", content_parts: parts }
    : { content_kind: kind, content_parts: null };
  if (text.length <= MAX_CONTENT_CHARS) return { content: text, ...what, content_hash: null };
  const hash = sha256Hex(text);
  large.push({ hash, text });
  return { content: "", ...what, content_hash: hash };
}
