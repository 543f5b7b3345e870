// The store behind the SurrealDB SDK: reads rows, and writes a step as one guarded transaction.
// Queries are constant text; every value is a parameter.
import { RecordId, type Surreal } from "surrealdb";
import { Backoff } from "../backoff.ts";
import { RiffError, toError } from "../errors.ts";
import type { Feed } from "../sync/feed.ts";
import { decodeSegment, tailOf } from "../sync/segment-codec.ts";
import { STEP_LIMITS, type StepLimits } from "../sync/steps.ts";
import type {
  ChainHead,
  CommitOutcome,
  CommitRow,
  ContentColumns,
  Destroyed,
  EntryTable,
  EventRow,
  Forgotten,
  FoundMessage,
  MessageRow,
  QuarantineRow,
  RecordRow,
  RemovedMessage,
  SegmentRow,
  SessionRow,
  SessionSummary,
  SourceKey,
  SourceRow,
  Step,
  Store,
  Stored,
  StoredRows,
  StoredSegment,
  Tombstone,
  UnresolvedRow,
} from "../sync/store.ts";
import { type Database, Unanswered } from "./database.ts";
import { SurrealFeed } from "./feed.ts";
import {
  compactEngine,
  type Run,
  readForgotten,
  readNotForgotten,
  readSessionsWithMessage,
  readSharers,
  readUnsharedContents,
  takeBackContents,
} from "./forgetting.ts";
import { readRowsBetween, readStrayIds } from "./placed-rows.ts";
import {
  commitFromDb,
  type DbRow,
  eventFromDb,
  foundFromDb,
  messageFromDb,
  quarantineFromDb,
  recordFromDb,
  type StoredMessage,
  segmentFromDb,
  sessionFromDb,
  sessionRecord,
  sourceFromDb,
  sourceRecord,
  storedEntryFromDb,
  storedFromDb,
  summaryFromDb,
  toDb,
  tombstoneFromDb,
  unresolvedFromDb,
} from "./rows.ts";
import { stepQuery } from "./step-query.ts";
import { isConflict, isDenied } from "./transaction.ts";
import { pagesOf } from "./windows.ts";

/** Rows read at a time. */
const PAGE = 1000;
/** Bytes of a file whose rows are read at a time, and where there are few. */
const WINDOW_BYTES = 512 * 1024;
const WIDEST_WINDOW_BYTES = 16 * 1024 * 1024;
/** How far before an offset the segment that holds it can begin. */
const SEGMENT_REACH = STEP_LIMITS.bytes;
/** Uuids looked up at a time. */
const LOOKUP_BATCH = 500;
/** UTF-16 code units of one part of a large content: at most 1 MiB as UTF-8. */
const CONTENT_PART_CHARS = 256 * 1024;
const CONTENT_PARTS_PER_CALL = 4;
/** Times that a commit is sent, at most. */
const MAX_ATTEMPTS = 10;

export class SurrealStore implements Store {
  /** For the few readers with queries of their own. */
  readonly database: Database;
  /** All commits, for those who follow them. */
  readonly feed: Feed;

  constructor(database: Database) {
    this.database = database;
    this.feed = new SurrealFeed(database);
  }

  get location(): string {
    return this.database.location;
  }

  get concurrency(): number {
    return this.database.limits.sessions;
  }

  get stepLimits(): StepLimits {
    return this.database.limits.step;
  }

  /** The SDK's connection as it is now. */
  get db(): Surreal {
    return this.database.surreal;
  }

  readonly #run: Run = (text, parameters) => this.#read(text, parameters);

  async sources(host: string): Promise<SourceRow[]> {
    const [rows] = await this.#read<[DbRow[]]>("SELECT * FROM source:[$host, NONE]..[$host, ..]", { host });
    return rows.map(sourceFromDb);
  }

  async findSource(key: SourceKey): Promise<SourceRow | null> {
    const [row] = await this.#read<[DbRow | undefined]>("SELECT * FROM ONLY $id", { id: sourceRecord(key) });
    return row ? sourceFromDb(row) : null;
  }

  async findSession(sessionId: string): Promise<SessionRow | null> {
    const [row] = await this.#read<[DbRow | undefined]>("SELECT * FROM ONLY $id", { id: sessionRecord(sessionId) });
    return row ? sessionFromDb(row) : null;
  }

  async findSessions(ids: readonly string[]): Promise<{ session: SessionRow; source: SourceRow | null }[]> {
    const found: { session: SessionRow; source: SourceRow | null }[] = [];
    for (let i = 0; i < ids.length; i += LOOKUP_BATCH) {
      const [sessions, sources] = await this.#read<[unknown, (DbRow | undefined)[], (DbRow | undefined)[]]>(
        `LET $rows = $ids.map(|$id| (SELECT * FROM ONLY $id));
         RETURN $rows;
         RETURN $rows.map(|$row| IF $row IS NONE OR $row IS NULL { NONE } ELSE { (SELECT * FROM ONLY $row.source) });`,
        { ids: ids.slice(i, i + LOOKUP_BATCH).map(sessionRecord) },
      ).then(([, rows, files]) => [rows, files] as const);
      sessions.forEach((row, at) => {
        const source = sources[at];
        if (row) found.push({ session: sessionFromDb(row), source: source ? sourceFromDb(source) : null });
      });
    }
    return found;
  }

  async sessionIds(): Promise<string[]> {
    const [ids] = await this.#read<[string[]]>("SELECT VALUE session_id FROM session");
    return ids.sort();
  }

  async owners(ids: readonly string[]): Promise<Map<string, SourceKey>> {
    const owners = new Map<string, SourceKey>();
    for (let i = 0; i < ids.length; i += LOOKUP_BATCH) {
      const [rows] = await this.#read<[({ session_id?: string; source?: RecordId } | undefined)[]]>(
        "RETURN $ids.{session_id, source}",
        { ids: ids.slice(i, i + LOOKUP_BATCH).map(sessionRecord) },
      );
      for (const row of rows) {
        if (row?.session_id && row.source) owners.set(row.session_id, row.source.id as unknown as SourceKey);
      }
    }
    return owners;
  }

  async chainHeads(): Promise<ChainHead[]> {
    const [rows] = await this.#read<[ChainHead[]]>("SELECT session_id, chain, head FROM session");
    return rows;
  }

  async summaries(): Promise<SessionSummary[]> {
    const [rows] = await this.#read<[DbRow[]]>(
      `SELECT session_id, source, state, message_count, thread_count, corruption_score, cut_off_count,
         unreadable_count, session_hash FROM session ORDER BY session_id`,
    );
    return rows.map(summaryFromDb);
  }

  async findMessages(uuids: readonly string[]): Promise<FoundMessage[]> {
    const found: FoundMessage[] = [];
    for (let i = 0; i < uuids.length; i += LOOKUP_BATCH) {
      // One indexed look-up for each: from 33 values on, `IN` reads the whole table (engine 3.0.2).
      const [pages] = await this.#read<[DbRow[][]]>(
        `RETURN $uuids.map(|$uuid| (SELECT id, message_uuid, occurrence, root_offset FROM message
           WHERE message_uuid = $uuid AND removed_at IS NONE))`,
        { uuids: uuids.slice(i, i + LOOKUP_BATCH) },
      );
      found.push(...pages.flat().map(foundFromDb));
    }
    const visible = await this.#visibleGenerations(found.map((row) => row.session_id));
    return found.filter((row) => visible.get(row.session_id) === row.generation);
  }

  async #visibleGenerations(sessionIds: readonly string[]): Promise<Map<string, number>> {
    const ids = [...new Set(sessionIds)];
    const generations = new Map<string, number>();
    for (let i = 0; i < ids.length; i += LOOKUP_BATCH) {
      const [rows] = await this.#read<[{ session_id: string; generation: number }[]]>(
        "RETURN $ids.{session_id, generation}",
        { ids: ids.slice(i, i + LOOKUP_BATCH).map(sessionRecord) },
      );
      for (const row of rows) if (row?.session_id) generations.set(row.session_id, row.generation);
    }
    return generations;
  }

  async scoredOffsets(sessionId: string, generation: number): Promise<number[]> {
    const [ids] = await this.#read<[RecordId[]]>(
      "SELECT VALUE id FROM message:[$s, $g, NONE]..[$s, $g, ..] WHERE corruption_score > 0",
      { s: sessionId, g: generation },
    );
    return ids.map((id) => Number((id.id as unknown as unknown[])[2]));
  }

  async unresolvedOf(sessionId: string): Promise<UnresolvedRow[]> {
    const [rows] = await this.#read<[DbRow[]]>("SELECT * FROM unresolved WHERE session_id = $s", { s: sessionId });
    return rows.map(unresolvedFromDb).sort((a, b) => a.generation - b.generation || a.offset - b.offset);
  }

  async unresolvedWaitingFor(uuids: readonly string[]): Promise<UnresolvedRow[]> {
    const [pages] = await this.#read<[DbRow[][]]>(
      "RETURN $uuids.map(|$uuid| (SELECT * FROM unresolved:[$uuid, NONE]..[$uuid, ..]))",
      { uuids },
    );
    return pages.flat().map(unresolvedFromDb);
  }

  async allUnresolved(): Promise<UnresolvedRow[]> {
    const [rows] = await this.#read<[DbRow[]]>("SELECT * FROM unresolved");
    return rows.map(unresolvedFromDb);
  }

  async sessionsToSettle(): Promise<string[]> {
    const [ids] = await this.#read<[string[]]>(
      `SELECT VALUE session_id FROM session
         WHERE damage_before IS NOT NONE OR (kind = 'agent' AND unresolved_count > 0)`,
    );
    return ids;
  }

  async storedUnresolved(sessionId: string): Promise<Stored<UnresolvedRow>[]> {
    const [rows] = await this.#read<[DbRow[]]>("SELECT * FROM unresolved WHERE session_id = $s", { s: sessionId });
    return rows.map((row) => storedFromDb(row, unresolvedFromDb));
  }

  async removedMessages(sessionId: string): Promise<RemovedMessage[]> {
    const [rows] = await this.#read<[DbRow[]]>(
      `SELECT id, message_uuid, occurrence FROM message:[$s, NONE]..[$s, ..]
         WHERE removed_at IS NOT NONE`,
      { s: sessionId },
    );
    return rows.map((row) => ({
      ...(({ generation, offset }) => ({ generation, offset }))(foundFromDb({ ...row, root_offset: 0 })),
      message_uuid: String(row.message_uuid),
      occurrence: Number(row.occurrence),
    }));
  }

  /** Messages of a generation in byte order, in pages; removed ones of it included. */
  messages(sessionId: string, generation: number): AsyncIterable<StoredMessage[]> {
    return this.#pages("message", sessionId, generation, messageFromDb);
  }

  records(sessionId: string, generation: number): AsyncIterable<RecordRow[]> {
    return this.#pages("record", sessionId, generation, recordFromDb);
  }

  quarantine(sessionId: string, generation: number): AsyncIterable<QuarantineRow[]> {
    return this.#pages("quarantine", sessionId, generation, quarantineFromDb);
  }

  /** The uuids of a generation's messages in byte order, in pages. */
  messageUuids(sessionId: string, generation: number): AsyncIterable<string[]> {
    return this.#placed("message", sessionId, generation, "id, message_uuid", (row) => String(row.message_uuid));
  }

  async rowsBetween(
    sessionId: string,
    generation: number,
    from: number,
    to: number,
    limits: Readonly<Record<EntryTable, number>>,
  ): Promise<StoredRows> {
    const range = { s: sessionId, g: generation, from, to };
    const { message, record, quarantine } = await readRowsBetween(this.#run, range, limits);
    return {
      message: message.map((row) => storedEntryFromDb<MessageRow>(row, messageFromDb)),
      record: record.map((row) => storedEntryFromDb<RecordRow>(row, recordFromDb)),
      quarantine: quarantine.map((row) => storedEntryFromDb<QuarantineRow>(row, quarantineFromDb)),
    };
  }

  async strayRows(
    table: EntryTable | "source_segment",
    sessionId: string,
    generations: readonly { readonly generation: number; readonly end: number }[],
    limit: number,
  ): Promise<(readonly unknown[])[]> {
    const ids = await readStrayIds(this.#run, table, sessionId, generations, limit);
    return ids.map((id) => id.id as unknown as readonly unknown[]);
  }

  async content(row: Pick<ContentColumns, "content" | "content_hash">): Promise<string> {
    if (row.content_hash === null) return row.content;
    const [parts] = await this.#read<[string[]]>("SELECT VALUE text FROM content_part:[$h, NONE]..[$h, ..]", {
      h: row.content_hash,
    });
    return parts.join("");
  }

  commits(sessionId: string): AsyncIterable<CommitRow[]> {
    return this.#numbered("commit", sessionId, commitFromDb);
  }

  events(sessionId: string): AsyncIterable<EventRow[]> {
    return this.#numbered("repair_event", sessionId, eventFromDb);
  }

  /** The generations of a session, in order, and how many bytes of each are archived. */
  async generations(sessionId: string): Promise<{ generation: number; archived: number }[]> {
    const [rows] = await this.#read<[{ generation: number; archived: number }[]]>(
      "SELECT generation, math::max(to) AS archived FROM commit:[$s, NONE]..[$s, ..] GROUP BY generation",
      { s: sessionId },
    );
    return rows.sort((a, b) => a.generation - b.generation);
  }

  async forgotten(): Promise<Forgotten> {
    return readForgotten(this.#run);
  }

  tombstones(sessionId: string, generation: number): AsyncIterable<Tombstone[]> {
    return this.#pages("forgotten", sessionId, generation, tombstoneFromDb);
  }

  async sharersOf(
    sessionId: string,
    holder: number,
    generations: readonly number[],
    offsets: readonly number[],
  ): Promise<{ generation: number; offset: number }[]> {
    return readSharers(this.#run, sessionId, holder, generations, offsets);
  }

  async contentsOnlyIn(sessionId: string, ranges: Destroyed["emptied"], hashes: readonly string[]) {
    return readUnsharedContents(this.#run, sessionId, ranges, hashes);
  }

  /** Sessions that have a row of a message with this uuid, live or vanished, in order. */
  async sessionsHolding(uuid: string): Promise<string[]> {
    const [ids] = await this.#read<[string[]]>("SELECT VALUE session_id FROM message WHERE message_uuid = $uuid", {
      uuid,
    });
    return [...new Set(ids)].sort();
  }

  /** The same, and those that may hold it in a generation that no row tells of any more. */
  async sessionsWithMessage(uuid: string): Promise<string[]> {
    return readSessionsWithMessage(this.#run, uuid);
  }

  async notForgotten(uuids: readonly string[]) {
    return readNotForgotten(this.#run, uuids);
  }

  /** Makes the engine give up the old versions of what was changed. Returns whether it did. */
  async compact(): Promise<boolean> {
    return compactEngine(this.#run);
  }

  segments(sessionId: string, generation: number): AsyncIterable<SegmentRow[]> {
    const columns = "id, length, hash, stored_hash, codec, dictionary, keyframe, shared_with";
    return this.#placed("source_segment", sessionId, generation, columns, segmentFromDb);
  }

  async *readArchive(sessionId: string, generation: number, from: number, to: number): AsyncIterable<Buffer> {
    if (from >= to) return;
    for await (const { segment, raw } of this.storedSegments(sessionId, generation, from, to)) {
      const start = Math.max(from, segment.offset) - segment.offset;
      const end = Math.min(to, segment.offset + segment.length) - segment.offset;
      if (start < end) yield raw.subarray(start, end);
    }
  }

  /** With `to`: those that begin before it. Throws RIFF_STORE_DAMAGED where one is missing. */
  async *storedSegments(
    sessionId: string,
    generation: number,
    from: number,
    to: number = Number.POSITIVE_INFINITY,
  ): AsyncIterable<StoredSegment> {
    const where = `of session ${sessionId}, generation ${generation},`;
    let next = await this.#decodeStart(sessionId, generation, from);
    let before: Buffer = Buffer.alloc(0);
    while (next < to) {
      const end = Math.min(to, next + SEGMENT_REACH);
      const rows = await this.#segmentPage(sessionId, generation, next, end);
      if (rows.length === 0 && to === Number.POSITIVE_INFINITY) return;
      if (rows.length === 0 || rows[0]!.offset !== next) throw missingBytes(where, next);
      const held = await this.#fetchShared(sessionId, rows);
      for (const [i, segment] of rows.entries()) {
        if (segment.offset !== next) throw missingBytes(where, next);
        const raw = decodeSegment(held[i]!, before, where);
        yield { segment, raw };
        next = segment.offset + segment.length;
        before = tailOf(before, raw);
        if (next >= to) return;
      }
    }
  }

  /** Offset of the segment with which decoding must begin, to get at the byte at `from`. */
  async #decodeStart(sessionId: string, generation: number, from: number): Promise<number> {
    if (from === 0) return 0;
    const [rows] = await this.#read<[DbRow[]]>(
      `SELECT id, length, keyframe FROM source_segment:[$s, $g, $low]..=[$s, $g, $from]`,
      { s: sessionId, g: generation, low: Math.max(0, from - SEGMENT_REACH), from },
    );
    const holder = rows.at(-1);
    return holder === undefined ? 0 : Number(holder.keyframe);
  }

  async #segmentPage(sessionId: string, generation: number, from: number, before: number): Promise<SegmentRow[]> {
    const [rows] = await this.#read<[DbRow[]]>("SELECT * FROM source_segment:[$s, $g, $from]..[$s, $g, $before]", {
      s: sessionId,
      g: generation,
      from,
      before,
    });
    return rows.map(segmentFromDb);
  }

  /** Segments with the bytes that an earlier generation holds for them. */
  async #fetchShared(sessionId: string, rows: readonly SegmentRow[]): Promise<SegmentRow[]> {
    const shared = rows.filter((row) => row.codec === "shared");
    if (shared.length === 0) return [...rows];
    const [held] = await this.#read<[(DbRow | null | undefined)[]]>("RETURN $ids.map(|$id| (SELECT * FROM ONLY $id))", {
      ids: shared.map((row) => new RecordId("source_segment", [sessionId, row.shared_with, row.offset])),
    });
    const byOffset = new Map(held.flatMap((row) => (row ? [segmentFromDb(row)] : [])).map((row) => [row.offset, row]));
    return rows.map((row) => (row.codec === "shared" ? { ...(byOffset.get(row.offset) ?? row) } : row));
  }

  async commit(step: Step): Promise<CommitOutcome> {
    for (const { hash, text } of step.largeContents) {
      if (step.healing !== null) await this.#read("DELETE content_part:[$h, NONE]..[$h, ..] RETURN NONE", { h: hash });
      await this.#writeLargeContent(hash, text);
    }
    const { text, parameters, ahead } = stepQuery(step, this.database.limits);
    for (const part of ahead) await this.#read("INSERT IGNORE INTO staged $part RETURN NONE", { part });
    const backoff = new Backoff();
    for (let attempt = 1; ; attempt++) {
      try {
        await this.database.runOnce(text, parameters);
        return "committed";
      } catch (thrown) {
        if (thrown instanceof RiffError) throw thrown;
        const error = toError(thrown);
        const settled = await this.#settle(step, error);
        if (settled === "lost-race") {
          const hashes = step.largeContents.map(({ hash }) => hash);
          await takeBackContents(this.#run, step.session.session_id, step.commit.n, hashes);
        }
        if (settled !== null) return settled;
        if (attempt >= MAX_ATTEMPTS) throw refused(step, error);
      }
      await backoff.wait();
    }
  }

  /**
   * What became of a commit that failed or was not answered: the commit row tells, not the error. null: it is not there,
   * and may be sent again, for its guards let it in only once.
   */
  async #settle(step: Step, error: Error): Promise<CommitOutcome | null> {
    const { session_id } = step.session;
    const committed = await this.#commitRow(session_id, step.commit.n);
    if (committed?.step_id === step.commit.step_id) return "committed";
    if (committed !== null || /riffd: (chain|checkpoint)/.test(error.message)) return "lost-race";
    if (error instanceof Unanswered || isConflict(error)) return null;
    throw refused(step, error);
  }

  async #commitRow(sessionId: string, n: number): Promise<CommitRow | null> {
    const [row] = await this.#read<[DbRow | undefined]>("SELECT * FROM ONLY $id", {
      id: new RecordId("commit", [sessionId, n]),
    });
    return row ? commitFromDb(row) : null;
  }

  async #writeLargeContent(hash: string, text: string): Promise<void> {
    let parts: { id: [string, number]; text: string }[] = [];
    let n = 0;
    for (let at = 0; at < text.length; n++) {
      let end = Math.min(at + CONTENT_PART_CHARS, text.length);
      const last = text.charCodeAt(end - 1);
      if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--; // a surrogate pair stays together
      parts.push({ id: [hash, n], text: text.slice(at, end) });
      at = end;
      if (parts.length === CONTENT_PARTS_PER_CALL || at === text.length) {
        await this.#read("INSERT IGNORE INTO content_part $parts RETURN NONE", { parts });
        parts = [];
      }
    }
  }

  async updateSource(source: SourceRow, expected: SourceRow): Promise<boolean> {
    const [rows] = await this.#read<[unknown[]]>(
      `UPDATE $id CONTENT $row
         WHERE generation = $generation AND archived = $archived AND parsed = $parsed RETURN VALUE archived`,
      {
        id: sourceRecord([source.host, source.path]),
        row: toDb(source),
        generation: expected.generation,
        archived: expected.archived,
        parsed: expected.parsed,
      },
    );
    return rows.length === 1;
  }

  async clearVerdictsDue(sources: readonly SourceRow[]): Promise<void> {
    for (let i = 0; i < sources.length; i += LOOKUP_BATCH) {
      await this.#read(
        `FOR $one IN $sources {
           UPDATE $one.id SET verdicts_due = false
             WHERE [generation, archived, parsed] = $one.at RETURN NONE }`,
        {
          sources: sources.slice(i, i + LOOKUP_BATCH).map((source) => ({
            id: sourceRecord([source.host, source.path]),
            at: [source.generation, source.archived, source.parsed],
          })),
        },
      );
    }
  }

  async removeSuperseded(sessionId: string, visibleGeneration: number): Promise<void> {
    for (let generation = 1; generation < visibleGeneration; generation++) {
      const live = (row: DbRow) => row.id as RecordId;
      for await (const ids of this.#placed("message", sessionId, generation, "id", live)) {
        await this.#read("DELETE $ids WHERE removed_at IS NONE RETURN NONE", { ids });
      }
      await this.#read(
        `DELETE record:[$s, $g, NONE]..[$s, $g, ..] RETURN NONE;
         DELETE quarantine:[$s, $g, NONE]..[$s, $g, ..] RETURN NONE;`,
        { s: sessionId, g: generation },
      );
    }
    await this.#read("DELETE unresolved WHERE session_id = $s AND record::id(id)[2] < $g RETURN NONE", {
      s: sessionId,
      g: visibleGeneration,
    });
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  #pages<T>(
    table: "message" | "record" | "quarantine" | "forgotten",
    sessionId: string,
    generation: number,
    convert: (row: DbRow) => T,
  ): AsyncIterable<T[]> {
    return this.#placed(table, sessionId, generation, "*", convert);
  }

  /** The rows of a generation in byte order, in pages. */
  #placed<T>(
    table: "message" | "record" | "quarantine" | "forgotten" | "source_segment",
    sessionId: string,
    generation: number,
    columns: string,
    convert: (row: DbRow) => T,
  ): AsyncIterable<T[]> {
    const place = { s: sessionId, g: generation };
    return pagesOf({
      read: async (from, to) => {
        const query = `SELECT ${columns} FROM ${table}:[$s, $g, $from]..[$s, $g, $to]`;
        const [rows] = await this.#read<[DbRow[]]>(query, { ...place, from, to });
        return rows.map(convert);
      },
      next: async (from) => {
        const query = `SELECT VALUE record::id(id)[2] FROM ${table}:[$s, $g, $from]..[$s, $g, ..] LIMIT 1`;
        const [[first]] = await this.#read<[number[]]>(query, { ...place, from });
        return first ?? null;
      },
      first: WINDOW_BYTES,
      widest: WIDEST_WINDOW_BYTES,
    });
  }

  /** The rows of a session that are numbered, in order, in pages. */
  #numbered<T>(table: "commit" | "repair_event", sessionId: string, convert: (row: DbRow) => T): AsyncIterable<T[]> {
    return pagesOf({
      read: async (from, to) => {
        const [rows] = await this.#read<[DbRow[]]>(`SELECT * FROM ${table}:[$s, $from]..[$s, $to]`, {
          s: sessionId,
          from,
          to,
        });
        return rows.map(convert);
      },
      next: async (from) => {
        const query = `SELECT VALUE record::id(id)[1] FROM ${table}:[$s, $from]..[$s, ..] LIMIT 1`;
        const [[first]] = await this.#read<[number[]]>(query, { s: sessionId, from });
        return first ?? null;
      },
      first: PAGE,
      widest: PAGE,
    });
  }

  #read<T extends unknown[]>(text: string, parameters: Record<string, unknown> = {}): Promise<T> {
    return this.database.run<T>(text, parameters);
  }
}

/** The store has said no, and would say it again. */
function refused({ session, commit }: Step, error: Error): RiffError {
  if (isDenied(error)) {
    return new RiffError(
      "RIFF_PERMISSION_DENIED",
      `The store's user may not write commit ${commit.n} of session ${session.session_id}: ${error.message}. Nothing of it was written.`,
      "Use a user with the role EDITOR or OWNER in this database (SURREALDB_USER, SURREALDB_PASS).",
      error,
    );
  }
  return new RiffError(
    "RIFF_COMMIT_FAILED",
    `The store did not take commit ${commit.n} of session ${session.session_id}: ${error.message}`,
    "Nothing of this step was written. Run the command again; if it fails again, please report it.",
    error,
  );
}

function missingBytes(where: string, at: number): RiffError {
  return new RiffError(
    "RIFF_STORE_DAMAGED",
    `The archived bytes ${where} are missing from offset ${at} on.`,
    "Run `riffd verify` to see all that is damaged, and restore the store from a backup.",
  );
}
