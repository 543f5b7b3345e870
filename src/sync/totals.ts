// The counts of a session that only ever grow while a generation is read, and what its records claim about it.
import { EMPTY_HASH, extendSessionHash } from "../core/hash.ts";
import type { Entry } from "./steps.ts";
import type { SessionRow } from "./store.ts";

type Columns = Pick<
  SessionRow,
  | "message_count"
  | "record_count"
  | "conversation_count"
  | "unreadable_count"
  | "session_hash"
  | "first_message_at"
  | "last_message_at"
  | "cwd"
  | "title"
>;

const NOTHING: Columns = {
  message_count: 0,
  record_count: 0,
  conversation_count: 0,
  unreadable_count: 0,
  session_hash: EMPTY_HASH,
  first_message_at: null,
  last_message_at: null,
  cwd: null,
  title: null,
};

export class Totals {
  #columns: { -readonly [K in keyof Columns]: Columns[K] };

  /** Goes on from a session's row, or from nothing. */
  constructor(from: Columns = NOTHING) {
    const { message_count, record_count, conversation_count, unreadable_count, session_hash } = from;
    const { first_message_at, last_message_at, cwd, title } = from;
    this.#columns = {
      message_count,
      record_count,
      conversation_count,
      unreadable_count,
      session_hash,
      first_message_at,
      last_message_at,
      cwd,
      title,
    };
  }

  get columns(): Columns {
    return { ...this.#columns };
  }

  /** Counts the next entry in byte order. */
  add(entry: Entry): void {
    const columns = this.#columns;
    if (entry.kind === "piece") {
      columns.unreadable_count++;
      return;
    }
    columns.cwd ??= entry.claims.cwd;
    columns.title = entry.claims.title ?? columns.title;
    if (entry.kind === "record") {
      columns.record_count++;
      return;
    }
    columns.message_count++;
    if (entry.conversation) columns.conversation_count++;
    columns.session_hash = extendSessionHash(columns.session_hash, entry.uuid, entry.parent, entry.digest);
    const { timestamp } = entry;
    if (timestamp === null) return;
    if (columns.first_message_at === null || timestamp < columns.first_message_at) columns.first_message_at = timestamp;
    if (columns.last_message_at === null || timestamp > columns.last_message_at) columns.last_message_at = timestamp;
  }

  /** A provisional piece is read again. */
  removePiece(): void {
    this.#columns.unreadable_count--;
  }
}
