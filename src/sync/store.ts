// What the sync needs of a store, and the rows it exchanges with it. The store decides nothing: it reads rows and
// writes whole steps, each in one transaction.
import type { ContentKind } from "../core/content.ts";
import type { Fault, ParentState } from "../core/graph.ts";
import type { PieceReason } from "../core/line.ts";

/** One file: its checkpoint and the facts that gate the next look. Times of files are nanoseconds, as decimal text. */
export interface SourceRow {
  readonly host: string;
  /** Absolute. */
  readonly path: string;
  readonly session_id: string;
  readonly project: string;
  readonly dev: string;
  readonly ino: string;
  readonly size: number;
  readonly mtime_ns: string;
  readonly ctime_ns: string;
  /** The generation being read; readers follow the session's, which turns to it when it is complete. */
  readonly generation: number;
  /** Bytes of this generation that are in segments. */
  readonly archived: number;
  /** Where reading goes on: every item before it is final. Not behind the start of a provisional piece. */
  readonly parsed: number;
  /** A quarantined piece stands at `parsed` that may yet be completed. */
  readonly provisional: boolean;
  /** The bytes before it, read as those of a quiet file, give exactly the entries that were taken. */
  readonly read_to: number;
  /** Size at the generation's first look: what lies below is import, what comes after is change. */
  readonly baseline: number;
  /** While a new generation is being read: `read_to` of the one that readers see. */
  readonly visible_end: number;
  /** Chain over the hashes of the archived segments. */
  readonly fingerprint: string;
  readonly head_length: number;
  readonly head_hash: string;
  readonly tail_length: number;
  readonly tail_hash: string;
  /** Offset of the last segment that can be decoded without the one before it. */
  readonly keyframe: number;
  /** The last look was read to its end. */
  readonly complete: boolean;
  /** The last look was at a quiet file: its tail is archived and its parents are decided. */
  readonly settled: boolean;
  /** The generation before was not read to its end when this one began. */
  readonly prior_incomplete: boolean;
  /** Rows of an older generation wait to be removed. */
  readonly superseded: boolean;
  /** Verdicts of this or other sessions may follow from what was read and are not written yet. */
  readonly verdicts_due: boolean;
  /** The file was not there at the last pass over its folder. */
  readonly gone: boolean;
  /** Bytes that were last compared with the archive from the first to the last, and when. */
  readonly verified_size: number;
  readonly verified_at: Date;
}

export interface SessionRow {
  readonly session_id: string;
  readonly project: string;
  readonly cwd: string | null;
  readonly title: string | null;
  readonly kind: "main" | "agent";
  readonly parent_session: string | null;
  readonly source: SourceKey;
  readonly generation: number;
  readonly message_count: number;
  readonly record_count: number;
  readonly conversation_count: number;
  readonly thread_count: number;
  readonly orphan_count: number;
  readonly unresolved_count: number;
  readonly forward_links: number;
  readonly unreadable_count: number;
  readonly cut_off_count: number;
  readonly corruption_score: number;
  /** The first MAX_LISTED_FAULTS faults and notes in byte order; `fault_count` counts all. */
  readonly faults: readonly Fault[];
  readonly fault_count: number;
  /** Phantom parents are notes: a service agent whose parent session is not known. */
  readonly spared: boolean;
  /** Rows of messages that vanished and did not come back. */
  readonly removed_count: number;
  /** Damage and score before a new generation whose verdicts are still due. */
  readonly damage_before: { readonly damage: number; readonly score: number } | null;
  readonly session_hash: string;
  readonly first_message_at: Date | null;
  readonly last_message_at: Date | null;
  readonly created_at: Date;
  readonly last_updated: Date;
  readonly state: "live" | "gone";
  /** Number and hash of the last commit. */
  readonly chain: number;
  readonly head: string;
  readonly event_count: number;
  /** How many of its values and pieces, in all generations, were forgotten; null: none. */
  readonly forgotten_count: number | null;
  /** When the whole session was forgotten: its file is not read any more. */
  readonly forgotten_at: Date | null;
}

export type SourceKey = readonly [host: string, path: string];

/** Faults beyond this many are counted, not listed. */
export const MAX_LISTED_FAULTS = 1000;

export interface ContentColumns {
  readonly content: string;
  /** What the text is; `mixed` where `content_parts` tell, `none` where there is no text. */
  readonly content_kind: ContentKind | "mixed" | "none";
  /** The parts of a mixed content, one newline between them; lengths in code points. */
  readonly content_parts: readonly { readonly kind: ContentKind; readonly length: number }[] | null;
  /** SHA-256 of a content over MAX_CONTENT_CHARS, which stands in `content_part`; then `content` is empty. */
  readonly content_hash: string | null;
}

export interface MessageRow extends ContentColumns {
  readonly offset: number;
  readonly message_uuid: string;
  readonly parent_uuid: string | null;
  readonly parent_state: ParentState;
  readonly message_type: string;
  readonly subtype: string | null;
  readonly role: string | null;
  readonly timestamp: Date | null;
  readonly is_orphaned: boolean;
  readonly corruption_score: number;
  readonly occurrence: number;
  readonly length: number;
  readonly digest: string;
  readonly root_offset: number;
  readonly created_at: Date;
  /** When it vanished from the file; null: it did not. */
  readonly removed_at: Date | null;
}

export interface RecordRow extends ContentColumns {
  readonly offset: number;
  readonly record_type: string;
  readonly timestamp: Date | null;
  readonly length: number;
  readonly digest: string;
  readonly created_at: Date;
}

export interface QuarantineRow {
  readonly offset: number;
  readonly length: number;
  readonly reason: PieceReason;
  readonly created_at: Date;
}

export interface UnresolvedRow {
  readonly parent_uuid: string;
  readonly session_id: string;
  readonly generation: number;
  readonly offset: number;
  readonly message_uuid: string;
  readonly is_head: boolean;
  readonly state: "pending" | "external" | "phantom";
  readonly found_in: string | null;
}

export interface SegmentRow {
  readonly offset: number;
  /** Raw bytes. */
  readonly length: number;
  /** xxh64 of the raw bytes, as the file held them. */
  readonly hash: string;
  /** xxh64 of the raw bytes as they are stored, where something of them was forgotten. */
  readonly stored_hash: string | null;
  readonly codec: "raw" | "brotli" | "deflate" | "shared";
  /** How many raw bytes before `offset` the codec needs as its dictionary. */
  readonly dictionary: number;
  readonly keyframe: number;
  readonly data: Uint8Array | null;
  /** With codec `shared`: the generation that holds the bytes, at the same offset. */
  readonly shared_with: number | null;
}

export const EVENT_TYPES = [
  "message_added",
  "parent_repaired",
  "content_updated",
  "corruption_fixed",
  "message_removed",
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Where the bytes of a value are in the archive. */
export interface ByteRange {
  readonly generation: number;
  readonly offset: number;
  readonly length: number;
}

export interface EventRow {
  readonly n: number;
  readonly message_uuid: string | null;
  readonly event_type: EventType;
  readonly operator: string;
  readonly timestamp: Date;
  readonly reason: string;
  readonly old_value: string | number | null;
  readonly new_value: string | number | null;
  readonly before: ByteRange | null;
  readonly after: ByteRange | null;
}

/** Whether a message was to be forgotten, or a whole session. */
export type ForgetScope = "message" | "session";

/** What stays of a value or piece that was forgotten. */
export interface Tombstone {
  readonly generation: number;
  readonly offset: number;
  readonly length: number;
  readonly kind: "message" | "record" | "piece";
  /** xxh64 of the bytes as they were: what all proofs go by. */
  readonly digest: string;
  readonly message_uuid: string | null;
  readonly scope: ForgetScope;
}

/** What a commit says of what was forgotten with it; part of what it hashes. */
export interface Forgetting {
  readonly scope: ForgetScope;
  readonly reason: string;
  readonly tombstones: number;
  readonly tombstones_sha256: string;
  /** The SHA-256 of the bytes of earlier commits as they are from now on. */
  readonly redacted: readonly { readonly n: number; readonly sha256: string }[];
}

/**
 * `import`, `append`: bytes were read. `turn`: a new generation became visible. `forgotten`: bytes were destroyed.
 * `healed`: rows that were not what the bytes say were written again. The others change no bytes.
 */
export type CommitKind =
  | "import"
  | "append"
  | "rewrite"
  | "turn"
  | "verdicts"
  | "moved"
  | "gone"
  | "back"
  | "forgotten"
  | "healed";

export interface CommitRow {
  readonly n: number;
  /** Random; tells a lost reply from a lost race. */
  readonly step_id: string;
  readonly kind: CommitKind;
  readonly host: string;
  readonly path: string;
  readonly generation: number;
  /** The generation that readers see after this commit. */
  readonly visible_generation: number;
  /** Bytes archived by this commit, and their SHA-256 (empty text: none). */
  readonly from: number;
  readonly to: number;
  readonly segment_sha256: string;
  readonly parsed_from: number;
  readonly parsed_to: number;
  /** As the checkpoint's: reading the bytes before it again gives the state after this commit. */
  readonly read_to: number;
  readonly settled: boolean;
  readonly rows: number;
  readonly rows_sha256: string;
  readonly first_event: number;
  readonly events: number;
  readonly events_sha256: string;
  readonly operator: string;
  readonly time: Date;
  /** Only where something was forgotten. */
  readonly forgetting?: Forgetting;
  readonly previous: string;
  readonly hash: string;
}

/** Changes of a row that was written before: a message's verdict. */
export interface VerdictUpdate {
  readonly offset: number;
  readonly parent_state: ParentState;
  readonly is_orphaned: boolean;
  readonly corruption_score: number;
}

/** One step: all of it is written, or none. */
export interface Step {
  readonly session: SessionRow;
  /** null: the step does not touch the checkpoint. */
  readonly source: SourceRow | null;
  readonly commit: CommitRow;
  /** The checkpoint as the step found it; null: there was none. Not compared when `source` is null. */
  readonly expectedSource: SourceRow | null;
  readonly messages: readonly MessageRow[];
  readonly records: readonly RecordRow[];
  readonly quarantine: readonly QuarantineRow[];
  readonly segments: readonly SegmentRow[];
  readonly events: readonly EventRow[];
  readonly verdicts: readonly VerdictUpdate[];
  /** New ones, and those whose verdict changed. */
  readonly unresolvedSet: readonly UnresolvedRow[];
  readonly unresolvedRemoved: readonly UnresolvedRow[];
  /** Offset of a provisional piece that was read again. */
  readonly pieceRemoved: number | null;
  /** Messages of an older generation that vanished, and rows that came back. */
  readonly removed: readonly RemovedMessage[];
  readonly restored: readonly RemovedMessage[];
  /** A source this one takes over from. */
  readonly sourceRemoved: SourceKey | null;
  /** Contents over the limit, written ahead of the transaction under their hash. */
  readonly largeContents: readonly { readonly hash: string; readonly text: string }[];
  /** In the order of their places. */
  readonly tombstones: readonly Tombstone[];
  readonly destroyed: Destroyed | null;
  /** null in all steps but those that heal. */
  readonly healing: Healing | null;
}

/** What a commit of kind `forgotten` changes of what was written before. */
export interface Destroyed {
  /** Segments with other bytes, or the same bytes in another form: a neighbour or the holder of shared ones changes. */
  readonly segments: readonly (Pick<SegmentRow, "offset" | "codec" | "data" | "stored_hash"> & {
    readonly generation: number;
  })[];
  /** Rows of messages and records at `from <= offset <= to` lose their content. */
  readonly emptied: readonly { readonly generation: number; readonly from: number; readonly to: number }[];
  /** Hashes of large contents that no other row refers to. */
  readonly largeContents: readonly string[];
  /** Messages by their uuids and sessions by their ids that are not taken in again. */
  readonly notAgain: readonly (readonly [ForgetScope, id: string])[];
}

/** What reading must leave out. */
export interface Forgotten {
  readonly messages: ReadonlySet<string>;
  readonly sessions: ReadonlySet<string>;
}

/** A segment as it is stored, with its bytes. */
export interface StoredSegment {
  readonly segment: SegmentRow;
  readonly raw: Buffer;
}

/** What a step that heals does besides: rows may stand in its way, and be anything. */
interface Healing {
  /** The generation of the step's rows and verdicts. */
  readonly generation: number;
  /** Rows that go before others are written: those that are one too many, and those that are written again. */
  readonly cleared: readonly RowId[];
  /** The chain number that the session's row holds, right or wrong; null: there is no such row. */
  readonly storedChain: number | null;
}

/** Tables whose rows lie in byte order under their session and generation, and follow from the bytes. */
export type EntryTable = "message" | "record" | "quarantine";

export interface RowId {
  readonly table: EntryTable | "unresolved";
  readonly key: readonly unknown[];
}

/** A row as it stands in the store, whoever wrote it. */
export interface Stored<T> {
  /** All parts of its id. */
  readonly key: readonly unknown[];
  readonly sessionId: unknown;
  readonly columns: T;
}

export interface StoredRows {
  readonly message: Stored<MessageRow>[];
  readonly record: Stored<RecordRow>[];
  readonly quarantine: Stored<QuarantineRow>[];
}

/** Contents longer than this (UTF-16 code units) are stored in parts. */
export const MAX_CONTENT_CHARS = 256 * 1024;

/** A live message that has a uuid that was looked up. */
export interface FoundMessage {
  readonly session_id: string;
  readonly message_uuid: string;
  readonly generation: number;
  readonly offset: number;
  readonly occurrence: number;
  readonly root_offset: number;
}

/** The row of a message that vanished, under the generation that last had it. */
export interface RemovedMessage {
  readonly generation: number;
  readonly offset: number;
  readonly message_uuid: string;
  readonly occurrence: number;
}

/** Head of a session's chain, as read when a store is opened. */
export interface ChainHead {
  readonly session_id: string;
  readonly chain: number;
  readonly head: string;
}

/** The columns of a session that reports show. */
export type SessionSummary = Pick<
  SessionRow,
  | "session_id"
  | "source"
  | "state"
  | "message_count"
  | "thread_count"
  | "corruption_score"
  | "cut_off_count"
  | "unreadable_count"
  | "session_hash"
>;

export type CommitOutcome = "committed" | "lost-race";

export interface Store {
  /** Where the store is, for people; never holds a password. */
  readonly location: string;

  sources(host: string): Promise<SourceRow[]>;
  findSource(key: SourceKey): Promise<SourceRow | null>;
  findSession(sessionId: string): Promise<SessionRow | null>;
  /** Those of the sessions that there are, with the checkpoints of their files. */
  findSessions(ids: readonly string[]): Promise<{ session: SessionRow; source: SourceRow | null }[]>;
  /** Ids of all sessions, in order. */
  sessionIds(): Promise<string[]>;
  /** The files of those of the sessions that there are, by id. */
  owners(ids: readonly string[]): Promise<Map<string, SourceKey>>;
  chainHeads(): Promise<ChainHead[]>;
  /** What reports say of sessions, for all of them. */
  summaries(): Promise<SessionSummary[]>;

  /** Live messages (visible generation, not removed) with any of these uuids, in any session. */
  findMessages(uuids: readonly string[]): Promise<FoundMessage[]>;
  /** Offsets of the messages of a generation whose own score is above 0. */
  scoredOffsets(sessionId: string, generation: number): Promise<number[]>;
  unresolvedOf(sessionId: string): Promise<UnresolvedRow[]>;
  unresolvedWaitingFor(uuids: readonly string[]): Promise<UnresolvedRow[]>;
  allUnresolved(): Promise<UnresolvedRow[]>;
  /** Agents with unresolved parents, and sessions whose damage is to be compared after their verdicts. */
  sessionsToSettle(): Promise<string[]>;
  /** The rows of messages that vanished. Reads the whole session. */
  removedMessages(sessionId: string): Promise<RemovedMessage[]>;

  /** Commits, and events, of a session in order, as they stand there. */
  commits(sessionId: string): AsyncIterable<CommitRow[]>;
  events(sessionId: string): AsyncIterable<EventRow[]>;
  /** Rows of a generation with `from <= offset < to`, as they stand there, in order; at most `limits` of each table. */
  rowsBetween(
    sessionId: string,
    generation: number,
    from: number,
    to: number,
    limits: Readonly<Record<EntryTable, number>>,
  ): Promise<StoredRows>;
  /**
   * Keys of rows that stand in none of the generations (each `[0, end)`, in order of their numbers), at most `limit` of
   * each gap: places that bytes cannot have given them.
   */
  strayRows(
    table: EntryTable | "source_segment",
    sessionId: string,
    generations: readonly { readonly generation: number; readonly end: number }[],
    limit: number,
  ): Promise<(readonly unknown[])[]>;
  /** Unresolved parents that name this session as theirs, as they stand there. */
  storedUnresolved(sessionId: string): Promise<Stored<UnresolvedRow>[]>;
  /** The content of a row, put together if it is stored in parts. */
  content(row: Pick<ContentColumns, "content" | "content_hash">): Promise<string>;

  /** Segments of a generation in order, without their bytes. */
  segments(sessionId: string, generation: number): AsyncIterable<SegmentRow[]>;
  /** Archived bytes of a generation from `from` (any offset) to `to`, in order, in chunks. Throws RIFF_STORE_DAMAGED. */
  readArchive(sessionId: string, generation: number, from: number, to: number): AsyncIterable<Buffer>;

  /** The segments of a generation with their bytes, from one at or before `from` on to the last. */
  storedSegments(sessionId: string, generation: number, from: number): AsyncIterable<StoredSegment>;

  forgotten(): Promise<Forgotten>;
  /** Tombstones of a generation in byte order, in pages. */
  tombstones(sessionId: string, generation: number): AsyncIterable<Tombstone[]>;
  /** Segments of the given generations that hold no bytes but refer to those of `holder` at these offsets. */
  sharersOf(
    sessionId: string,
    holder: number,
    generations: readonly number[],
    offsets: readonly number[],
  ): Promise<{ readonly generation: number; readonly offset: number }[]>;
  /** Those of these large contents that only rows within the given ranges of a session refer to, or none. */
  contentsOnlyIn(sessionId: string, ranges: Destroyed["emptied"], hashes: readonly string[]): Promise<string[]>;
  /** Those of these messages that a row says are stored as they were, and in which sessions. */
  notForgotten(uuids: readonly string[]): Promise<{ readonly uuid: string; readonly session_id: string }[]>;

  /**
   * Writes a step in one transaction, guarded by the session's chain number and the checkpoint. `lost-race`: another
   * writer was first and nothing was written. A reply that was lost is settled by reading the commit row back.
   */
  commit(step: Step): Promise<CommitOutcome>;
  /** Writes a checkpoint that changes nothing but its bookkeeping, if it still is as `expected`. */
  updateSource(source: SourceRow, expected: SourceRow): Promise<boolean>;
  /** Marks the verdicts of these sources as written, where they were not read further since. */
  clearVerdictsDue(sources: readonly SourceRow[]): Promise<void>;
  /** Removes the rows of a session's older generations, but for messages that vanished. May be called again. */
  removeSuperseded(sessionId: string, visibleGeneration: number): Promise<void>;

  close(): Promise<void>;
}
