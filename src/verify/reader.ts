// The queries of `verify`: rows as they are, with their record ids, wherever they stand. Nothing is taken on trust: an
// id may have any form and a column any type.
import { RecordId } from "surrealdb";
import { readRowsBetween, readStrayIds } from "../store/placed-rows.ts";
import { type DbRow, sessionRecord, sourceRecord } from "../store/rows.ts";
import { SurrealStore } from "../store/surreal-store.ts";
import { type PlacedTable, placeOf } from "../sync/proof/difference.ts";
import type { EntryTable, Forgotten, SourceKey } from "../sync/store.ts";

/** Rows read at a time. */
const PAGE = 1000;
/** Bytes whose segments are read at a time: the engine holds them, though they are not asked for. */
const SEGMENT_REACH = 4 * 1024 * 1024;
/** Gaps between sessions looked into at a time. */
const GAPS = 100;

/** Tables whose rows belong to a session by the first part of their id. */
export const SESSION_TABLES = [
  "message",
  "record",
  "quarantine",
  "commit",
  "repair_event",
  "source_segment",
  "forgotten",
] as const;
export type SessionTable = (typeof SESSION_TABLES)[number];

interface FeedState {
  /** The last place that was given out, as it is told. */
  readonly last: unknown;
  /** One row before the first place, and one behind the last, if there are any. */
  readonly beyond: readonly RecordId[];
  /** Those of commits without a place, in the order of their keys. */
  readonly waiting: readonly RecordId[];
  /** How many commits each session says it has. */
  readonly chains: ReadonlyMap<unknown, number>;
}

type FoundFeed = Omit<FeedState, "chains"> & { sessions: readonly { id: RecordId; chain: number }[] };

export class VerifyReader {
  readonly store: SurrealStore;
  #forgotten: Promise<Forgotten> | null = null;

  constructor(store: SurrealStore) {
    this.store = store;
  }

  /** What `read` gives, whose reader sees the store as it is at one moment; it may run again. */
  atOneMoment<T>(read: (reader: VerifyReader) => Promise<T>): Promise<T> {
    return this.store.database.atOneMoment((moment) => read(new VerifyReader(new SurrealStore(moment))));
  }

  /** Record ids of all sessions, in the order of their keys. */
  async sessionKeys(): Promise<unknown[]> {
    const [ids] = await this.read<[RecordId[]]>("SELECT VALUE id FROM session");
    return ids.map((id) => id.id);
  }

  async session(sessionId: string): Promise<DbRow | null> {
    const [row] = await this.read<[DbRow | undefined]>("SELECT * FROM ONLY $id", { id: sessionRecord(sessionId) });
    return row ?? null;
  }

  async source(key: SourceKey): Promise<DbRow | null> {
    const [row] = await this.read<[DbRow | undefined]>("SELECT * FROM ONLY $id", { id: sourceRecord(key) });
    return row ?? null;
  }

  /** All checkpoints: where they stand and which session they name. */
  async sources(): Promise<DbRow[]> {
    const [rows] = await this.read<[DbRow[]]>("SELECT id, session_id FROM source");
    return rows;
  }

  /** Commits or events of a session, whatever their number is, in pages. Stops after a row without a number. */
  async *numbered(table: "commit" | "repair_event", sessionId: string): AsyncGenerator<DbRow[]> {
    const [below] = await this.read<[DbRow[]]>(`SELECT * FROM ${table}:[$s, NONE]..[$s, 1]`, { s: sessionId });
    if (below.length > 0) yield below;
    for (let from = 1; ; ) {
      const range = { s: sessionId, from, to: from + PAGE };
      const [rows] = await this.read<[DbRow[]]>(`SELECT * FROM ${table}:[$s, $from]..[$s, $to]`, range);
      if (rows.length > 0) yield rows;
      from = range.to;
      if (rows.length > 0) continue;
      const [rest] = await this.read<[DbRow[]]>(`SELECT * FROM ${table}:[$s, $from]..[$s, ..] LIMIT 1`, range);
      const next = rest[0] && keyOf(rest[0])[1];
      if (next === undefined) return;
      if (typeof next !== "number") {
        yield rest;
        return;
      }
      from = next;
    }
  }

  /** Segments at `[0, end)` of a generation in order, without their bytes; `held`: there are any. */
  async *segments(sessionId: string, generation: number, end: number): AsyncGenerator<DbRow[]> {
    for (let from = 0; from < end; from += SEGMENT_REACH) {
      const [rows] = await this.read<[DbRow[]]>(
        `SELECT id, length, hash, stored_hash, codec, dictionary, keyframe, shared_with, data IS NOT NONE AS held
           FROM source_segment:[$s, $g, $from]..[$s, $g, $to]`,
        { s: sessionId, g: generation, from, to: Math.min(end, from + SEGMENT_REACH) },
      );
      yield rows;
    }
  }

  /** Tombstones of a session in the order of their places, in pages. Stops after a row without a place. */
  async *tombstones(sessionId: string): AsyncGenerator<DbRow[]> {
    let query = "SELECT * FROM forgotten:[$s, NONE]..[$s, ..] LIMIT $limit";
    for (let from: unknown[] = []; ; query = "SELECT * FROM forgotten:[$s, $g, $from]..[$s, ..] LIMIT $limit") {
      const [rows] = await this.read<[DbRow[]]>(query, { s: sessionId, g: from[1], from: from[2], limit: PAGE });
      if (rows.length === 0) return;
      yield rows;
      const [, generation, offset] = keyOf(rows.at(-1)!);
      if (typeof generation !== "number" || typeof offset !== "number") return;
      from = [sessionId, generation, offset + 1];
    }
  }

  /** What is not to be taken in again. */
  async forgotten(): Promise<Forgotten> {
    this.#forgotten ??= this.store.forgotten();
    return this.#forgotten;
  }

  /** Those of these messages of which there is no tombstone. */
  async withoutTombstone(uuids: readonly string[]): Promise<string[]> {
    const missing: string[] = [];
    for (let i = 0; i < uuids.length; i += GAPS) {
      const batch = uuids.slice(i, i + GAPS);
      const [found] = await this.read<[unknown[][]]>(
        `RETURN $uuids.map(|$uuid| (SELECT VALUE length FROM forgotten
           WHERE message_uuid = $uuid AND scope = 'message' LIMIT 1))`,
        { uuids: batch },
      );
      missing.push(...batch.filter((_, at) => found[at]?.length === 0));
    }
    return missing;
  }

  /** Ids of sessions that say they were forgotten. */
  async forgottenSessions(): Promise<string[]> {
    const [ids] = await this.read<[string[]]>("SELECT VALUE session_id FROM session WHERE forgotten_at IS NOT NONE");
    return ids;
  }

  /** The feed as it is at one moment, but for its rows up to its head, which never change. */
  async feedState(): Promise<FeedState> {
    const [{ last, beyond, waiting, sessions }] = await this.read<[FoundFeed]>(
      `RETURN {
         LET $last = (SELECT VALUE last FROM ONLY feed_head:feed) ?? 0;
         RETURN {
           last: $last,
           beyond: array::concat(
             (SELECT VALUE id FROM feed:..[1] LIMIT 1), (SELECT VALUE id FROM feed:[$last, ..].. LIMIT 1)),
           waiting: (SELECT VALUE id FROM feed_waiting),
           sessions: (SELECT id, chain FROM session)
         }
       }`,
    );
    return { last, beyond, waiting, chains: new Map(sessions.map(({ id, chain }) => [id.id, chain])) };
  }

  /** The rows of the feed from its first place to `last`, in pages. */
  async *feed(last: number): AsyncGenerator<DbRow[]> {
    for (let from = 1; from <= last; from += PAGE) {
      const to = Math.min(last, from + PAGE - 1);
      const [rows] = await this.read<[DbRow[]]>("SELECT * FROM feed:[$from]..=[$to]", { from, to });
      yield rows;
    }
  }

  /** Rows of a generation with `from <= offset < to`, at most `limits` of each table. */
  async rowsBetween(
    sessionId: string,
    generation: number,
    from: number,
    to: number,
    limits: Readonly<Record<EntryTable, number>>,
  ): Promise<Record<EntryTable, DbRow[]>> {
    return readRowsBetween((text, of) => this.read(text, of), { s: sessionId, g: generation, from, to }, limits);
  }

  /**
   * The id of one row that stands in none of the generations (each `[0, end)`, in order of their numbers), or null: a place that
   * bytes cannot have given it.
   */
  async strayRow(
    table: PlacedTable,
    sessionId: string,
    generations: readonly { readonly generation: number; readonly end: number }[],
  ): Promise<DbRow | null> {
    const [id] = await readStrayIds((text, of) => this.read(text, of), table, sessionId, generations, 1);
    return id === undefined ? null : { id };
  }

  /** The paths of all sessions' files, by session. */
  async paths(): Promise<Map<string, string>> {
    const [rows] = await this.read<[DbRow[]]>("SELECT id, source FROM session");
    return new Map(rows.map(({ id, source }) => [String((id as RecordId).id), pathOf(source)]));
  }

  async unresolved(sessionId: string): Promise<DbRow[]> {
    const [rows] = await this.read<[DbRow[]]>("SELECT * FROM unresolved WHERE session_id = $s", { s: sessionId });
    return rows;
  }

  /** Ids of sessions that unresolved rows name. */
  async sessionsOfUnresolved(): Promise<unknown[]> {
    const [rows] = await this.read<[DbRow[]]>("SELECT session_id FROM unresolved GROUP BY session_id");
    return rows.map((row) => row.session_id);
  }

  /** Ids of one row of each gap between the sessions, given in the order of their keys, in which there is any. */
  async strayIds(table: SessionTable, sessionIds: readonly string[]): Promise<RecordId[]> {
    const first = sessionIds[0];
    const last = sessionIds.at(-1);
    if (first === undefined || last === undefined) {
      const [ids] = await this.read<[RecordId[]]>(`SELECT VALUE id FROM ${table} LIMIT 1`);
      return ids;
    }
    const [before, after] = await this.read<[RecordId[], RecordId[]]>(
      `SELECT VALUE id FROM ${table}:..[$first] LIMIT 1; SELECT VALUE id FROM ${table}:[$last, ..].. LIMIT 1`,
      { first, last },
    );
    const found = [...before, ...after];
    for (let i = 1; i < sessionIds.length; i += GAPS) {
      const gaps = sessionIds.slice(i, i + GAPS).map((id, at) => [sessionIds[i + at - 1], id]);
      const [between] = await this.read<[RecordId[][]]>(
        `RETURN $gaps.map(|$gap| (SELECT VALUE id FROM ${table}:[$gap[0], ..]..[$gap[1]] LIMIT 1))`,
        { gaps },
      );
      found.push(...between.flat());
    }
    return found;
  }

  read<T extends unknown[]>(text: string, parameters: Record<string, unknown> = {}): Promise<T> {
    return this.store.database.run<T>(text, parameters);
  }
}

function pathOf(source: unknown): string {
  const key: unknown = source instanceof RecordId ? source.id : null;
  return Array.isArray(key) ? String(key[1]) : "";
}

/** The parts of a row's id; an id that is no array is its only part. */
export function keyOf(row: DbRow): readonly unknown[] {
  const id = row.id instanceof RecordId ? (row.id.id as unknown) : row.id;
  return Array.isArray(id) ? id : [id];
}

/** Where a row of such a table stands, by its id, for people. */
export function placeOfRow(table: PlacedTable, row: DbRow): string {
  const [, generation, offset, ...rest] = keyOf(row);
  return placeOf(table, generation, rest.length > 0 ? [offset, ...rest] : offset);
}
