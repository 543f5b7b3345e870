// The store behind the SurrealDB SDK: reads rows, and writes a step as one guarded transaction.
// Queries are constant text; every value is a parameter.
import { DateTime, RecordId, type Surreal } from "surrealdb";
import { RiffError, toError } from "../errors.ts";
import { DICTIONARY_BYTES, decodeSegment } from "../sync/segment-codec.ts";
import { STEP_LIMITS } from "../sync/steps.ts";
import type {
  ChainHead,
  CommitOutcome,
  CommitRow,
  EventRow,
  FoundMessage,
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
  UnresolvedRow,
} from "../sync/store.ts";
import { isStorageError } from "./engine.ts";
import {
  commitFromDb,
  commitToDb,
  type DbRow,
  eventFromDb,
  eventToDb,
  foundFromDb,
  messageFromDb,
  messagesToDb,
  placed,
  quarantineFromDb,
  recordFromDb,
  type StoredMessage,
  segmentFromDb,
  segmentToDb,
  sessionFromDb,
  sessionRecord,
  sessionToDb,
  sourceFromDb,
  sourceRecord,
  summaryFromDb,
  toDb,
  unresolvedFromDb,
  unresolvedToDb,
} from "./rows.ts";
import { run } from "./transaction.ts";

/** Rows read at a time. */
const PAGE = 1000;
/** Segments read at a time; each holds up to 512 KiB. */
const SEGMENT_PAGE = 16;
/** How far before an offset the segment that holds it can begin. */
const SEGMENT_REACH = STEP_LIMITS.bytes;
/** Uuids looked up at a time. */
const LOOKUP_BATCH = 500;
/** UTF-16 code units of one part of a large content: at most 1 MiB as UTF-8. */
const CONTENT_PART_CHARS = 256 * 1024;
const CONTENT_PARTS_PER_CALL = 4;

export class SurrealStore implements Store {
  readonly location: string;
  readonly #db: Surreal;

  constructor(db: Surreal, location: string) {
    this.#db = db;
    this.location = location;
  }

  /** The connection, for the few readers with queries of their own (`verify`, tests). */
  get db(): Surreal {
    return this.#db;
  }

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

  /** The content of a row, put together if it is stored in parts. */
  async content(row: { readonly content: string; readonly content_hash: string | null }): Promise<string> {
    if (row.content_hash === null) return row.content;
    const [parts] = await this.#read<[string[]]>("SELECT VALUE text FROM content_part:[$h, NONE]..[$h, ..]", {
      h: row.content_hash,
    });
    return parts.join("");
  }

  commits(sessionId: string): AsyncIterable<CommitRow[]> {
    return this.#numbered("commit", sessionId, commitFromDb, (row) => row.n);
  }

  events(sessionId: string): AsyncIterable<EventRow[]> {
    return this.#numbered("repair_event", sessionId, eventFromDb, (row) => row.n);
  }

  /** The generations of a session, in order, and how many bytes of each are archived. */
  async generations(sessionId: string): Promise<{ generation: number; archived: number }[]> {
    const [rows] = await this.#read<[{ generation: number; archived: number }[]]>(
      "SELECT generation, math::max(to) AS archived FROM commit:[$s, NONE]..[$s, ..] GROUP BY generation",
      { s: sessionId },
    );
    return rows.sort((a, b) => a.generation - b.generation);
  }

  async *segments(sessionId: string, generation: number): AsyncIterable<SegmentRow[]> {
    for (let from = 0; ; ) {
      const rows = await this.#segmentPage(sessionId, generation, from, Number.MAX_SAFE_INTEGER, SEGMENT_PAGE);
      if (rows.length === 0) return;
      yield rows;
      from = rows.at(-1)!.offset + 1;
    }
  }

  async *readArchive(sessionId: string, generation: number, from: number, to: number): AsyncIterable<Buffer> {
    if (from >= to) return;
    const where = `of session ${sessionId}, generation ${generation},`;
    let next = await this.#decodeStart(sessionId, generation, from);
    let before: Buffer = Buffer.alloc(0);
    while (next < to) {
      const end = Math.min(to, next + SEGMENT_REACH);
      const rows = await this.#segmentPage(sessionId, generation, next, end, SEGMENT_PAGE);
      if (rows.length === 0 || rows[0]!.offset !== next) throw missingBytes(where, next);
      for (const row of await this.#fetchShared(sessionId, rows)) {
        if (row.offset !== next) throw missingBytes(where, next);
        const raw = decodeSegment(row, before, where);
        const start = Math.max(from, row.offset) - row.offset;
        const end = Math.min(to, row.offset + row.length) - row.offset;
        if (start < end) yield raw.subarray(start, end);
        next = row.offset + row.length;
        before = raw.length >= DICTIONARY_BYTES ? raw : Buffer.concat([before, raw]).subarray(-DICTIONARY_BYTES);
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

  async #segmentPage(
    sessionId: string,
    generation: number,
    from: number,
    before: number,
    limit: number,
  ): Promise<SegmentRow[]> {
    const [rows] = await this.#read<[DbRow[]]>(
      "SELECT * FROM source_segment:[$s, $g, $from]..[$s, $g, $before] LIMIT $limit",
      { s: sessionId, g: generation, from, before, limit },
    );
    return rows.map(segmentFromDb);
  }

  /** Segments with the bytes that an earlier generation holds for them. */
  async #fetchShared(sessionId: string, rows: readonly SegmentRow[]): Promise<SegmentRow[]> {
    const shared = rows.filter((row) => row.codec === "shared");
    if (shared.length === 0) return [...rows];
    const [held] = await this.#read<[DbRow[]]>("SELECT * FROM source_segment WHERE id IN $ids", {
      ids: shared.map((row) => new RecordId("source_segment", [sessionId, row.shared_with, row.offset])),
    });
    const byOffset = new Map(held.map(segmentFromDb).map((row) => [row.offset, row]));
    return rows.map((row) => (row.codec === "shared" ? { ...(byOffset.get(row.offset) ?? row) } : row));
  }

  async commit(step: Step): Promise<CommitOutcome> {
    for (const large of step.largeContents) await this.#writeLargeContent(large.hash, large.text);
    const { text, parameters } = transactionOf(step);
    try {
      await run(this.#db, text, parameters);
      return "committed";
    } catch (thrown) {
      const error = toError(thrown);
      if (isStorageError(error)) throw storageFailure(this.location, error);
      const committed = await this.#commitRow(step.session.session_id, step.commit.n);
      if (committed?.step_id === step.commit.step_id) return "committed";
      if (committed !== null || /riffd: (chain|checkpoint)/.test(error.message)) return "lost-race";
      throw new RiffError(
        "RIFF_COMMIT_FAILED",
        `The store did not take commit ${step.commit.n} of session ${step.session.session_id}: ${error.message}`,
        "Nothing of this step was written. Run the command again; if it fails again, please report it.",
        error,
      );
    }
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

  async clearVerdictsDue(keys: readonly SourceKey[]): Promise<void> {
    if (keys.length === 0) return;
    await this.#read("FOR $id IN $ids { UPDATE $id SET verdicts_due = false RETURN NONE }", {
      ids: keys.map(sourceRecord),
    });
  }

  async removeSuperseded(sessionId: string, visibleGeneration: number): Promise<void> {
    for (let generation = 1; generation < visibleGeneration; generation++) {
      const range = { s: sessionId, g: generation };
      for (;;) {
        const [gone] = await this.#read<[unknown[]]>(
          `DELETE (SELECT VALUE id FROM message:[$s, $g, NONE]..[$s, $g, ..] WHERE removed_at IS NONE LIMIT $page)
             RETURN VALUE 1`,
          { ...range, page: PAGE },
        );
        if (gone.length < PAGE) break;
      }
      await this.#read(
        `DELETE record:[$s, $g, NONE]..[$s, $g, ..] RETURN NONE;
         DELETE quarantine:[$s, $g, NONE]..[$s, $g, ..] RETURN NONE;`,
        range,
      );
    }
    await this.#read("DELETE unresolved WHERE session_id = $s AND record::id(id)[2] < $g RETURN NONE", {
      s: sessionId,
      g: visibleGeneration,
    });
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  async *#pages<T extends { readonly offset: number }>(
    table: "message" | "record" | "quarantine",
    sessionId: string,
    generation: number,
    convert: (row: DbRow) => T,
  ): AsyncIterable<T[]> {
    const query = {
      message: "SELECT * FROM message:[$s, $g, $from]..[$s, $g, ..] LIMIT $limit",
      record: "SELECT * FROM record:[$s, $g, $from]..[$s, $g, ..] LIMIT $limit",
      quarantine: "SELECT * FROM quarantine:[$s, $g, $from]..[$s, $g, ..] LIMIT $limit",
    }[table];
    for (let from = 0; ; ) {
      const [rows] = await this.#read<[DbRow[]]>(query, { s: sessionId, g: generation, from, limit: PAGE });
      if (rows.length === 0) return;
      const page = rows.map(convert);
      yield page;
      from = page.at(-1)!.offset + 1;
    }
  }

  async *#numbered<T>(
    table: "commit" | "repair_event",
    sessionId: string,
    convert: (row: DbRow) => T,
    numberOf: (row: T) => number,
  ): AsyncIterable<T[]> {
    const query =
      table === "commit"
        ? "SELECT * FROM commit:[$s, $from]..[$s, ..] LIMIT $limit"
        : "SELECT * FROM repair_event:[$s, $from]..[$s, ..] LIMIT $limit";
    for (let from = 0; ; ) {
      const [rows] = await this.#read<[DbRow[]]>(query, { s: sessionId, from, limit: PAGE });
      if (rows.length === 0) return;
      const page = rows.map(convert);
      yield page;
      from = numberOf(page.at(-1)!) + 1;
    }
  }

  async #read<T extends unknown[]>(text: string, parameters: Record<string, unknown> = {}): Promise<T> {
    try {
      return await run<T>(this.#db, text, parameters);
    } catch (thrown) {
      const error = toError(thrown);
      throw isStorageError(error) ? storageFailure(this.location, error) : error;
    }
  }
}

/**
 * The transaction of a step. The guard rows are written by every commit, so that of two racing commits one fails; rows
 * are counted inside, because a store that denies a write does so silently.
 */
function transactionOf(step: Step): { text: string; parameters: Record<string, unknown> } {
  const { session, source, commit, expectedSource } = step;
  const id = session.session_id;
  const parameters: Record<string, unknown> = {
    held: sessionRecord(id),
    s: id,
    g: commit.generation,
    chain: commit.n - 1,
    row: sessionToDb(session),
    log: commitToDb(commit, id),
  };
  const parts = [
    `BEGIN;
     IF ((SELECT VALUE chain FROM ONLY $held) ?? 0) != $chain { THROW 'riffd: chain' };`,
  ];
  if (source !== null) {
    parameters.file = sourceRecord([source.host, source.path]);
    parameters.checkpoint = toDb(source);
    parameters.at =
      expectedSource === null ? [] : [expectedSource.generation, expectedSource.archived, expectedSource.parsed];
    parts.push(
      `LET $now = (SELECT generation, archived, parsed FROM ONLY $file);
       IF (IF $now IS NONE OR $now IS NULL { [] } ELSE { [$now.generation, $now.archived, $now.parsed] }) != $at
         { THROW 'riffd: checkpoint' };
       UPSERT $file CONTENT $checkpoint RETURN NONE;`,
    );
  }
  const insert = (table: keyof typeof INSERTS, rows: readonly object[]) => {
    if (rows.length === 0) return;
    parameters[table] = rows;
    parts.push(INSERTS[table]);
  };
  const { generation } = commit;
  insert("message", messagesToDb(step.messages, id, generation));
  insert(
    "record",
    step.records.map((row) => placed(row, id, generation)),
  );
  if (step.pieceRemoved !== null) {
    parameters.piece = new RecordId("quarantine", [id, generation, step.pieceRemoved]);
    parts.push("DELETE $piece RETURN NONE;");
  }
  insert(
    "quarantine",
    step.quarantine.map((row) => placed(row, id, generation)),
  );
  insert(
    "source_segment",
    step.segments.map((row) => segmentToDb(row, id, generation)),
  );
  insert(
    "repair_event",
    step.events.map((row) => eventToDb(row, id)),
  );
  insert("unresolved", step.unresolvedSet.map(unresolvedToDb));
  if (step.unresolvedRemoved.length > 0) {
    parameters.gone = step.unresolvedRemoved.map(
      (row) => new RecordId("unresolved", [row.parent_uuid, row.session_id, row.generation, row.offset]),
    );
    parts.push("FOR $id IN $gone { DELETE $id RETURN NONE };");
  }
  if (step.verdicts.length > 0) {
    parameters.verdicts = step.verdicts;
    parts.push(
      `FOR $v IN $verdicts {
         UPDATE type::record('message', [$s, $g, $v.offset]) SET parent_state = $v.parent_state,
           is_orphaned = $v.is_orphaned, corruption_score = $v.corruption_score RETURN NONE };`,
    );
  }
  if (step.removed.length > 0) {
    parameters.removed = step.removed;
    parameters.time = new DateTime(commit.time);
    parts.push(
      `FOR $r IN $removed {
         UPDATE type::record('message', [$s, $r.generation, $r.offset]) SET removed_at = $time RETURN NONE };`,
    );
  }
  if (step.restored.length > 0) {
    parameters.restored = step.restored;
    parts.push("FOR $r IN $restored { DELETE type::record('message', [$s, $r.generation, $r.offset]) RETURN NONE };");
  }
  if (step.sourceRemoved !== null) {
    parameters.left = sourceRecord(step.sourceRemoved);
    parts.push("DELETE $left RETURN NONE;");
  }
  parts.push(
    `IF array::len(INSERT INTO commit $log RETURN VALUE n) != 1 { THROW 'riffd: denied commit' };
     IF array::len(UPSERT $held CONTENT $row RETURN VALUE chain) != 1 { THROW 'riffd: denied session' };
     COMMIT;`,
  );
  return { text: parts.join("\n"), parameters };
}

const counted = (table: string, column: string) =>
  `IF array::len(INSERT INTO ${table} $${table} RETURN VALUE ${column}) != array::len($${table})
     { THROW 'riffd: denied ${table}' };`;

const INSERTS = {
  message: counted("message", "length"),
  record: counted("record", "length"),
  quarantine: counted("quarantine", "length"),
  source_segment: counted("source_segment", "length"),
  repair_event: counted("repair_event", "event_type"),
  unresolved: `INSERT INTO unresolved $unresolved
     ON DUPLICATE KEY UPDATE state = $input.state, found_in = $input.found_in RETURN NONE;`,
} as const;

function missingBytes(where: string, at: number): RiffError {
  return new RiffError(
    "RIFF_STORE_DAMAGED",
    `The archived bytes ${where} are missing from offset ${at} on.`,
    "Run `riffd verify` to see all that is damaged, and restore the store from a backup.",
  );
}

function storageFailure(location: string, error: Error): RiffError {
  return new RiffError(
    "RIFF_STORE_IO",
    `The store ${location} cannot be written or read any more: ${error.message}`,
    "Check the free space and the health of its disk, and run the command again. What was committed is safe.",
    error,
  );
}
