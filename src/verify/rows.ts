// The rows of one generation, compared with what its archived bytes say, batch by batch in lock-step: no row altered,
// none missing, none too many. Verdicts follow from the whole graph, so they are noted here and compared afterwards.
import { RowsDigest } from "../core/chain.ts";
import type { Added } from "../core/graph.ts";
import type { Message } from "../core/message.ts";
import type { DbRow } from "../store/rows.ts";
import { messageFromDb, quarantineFromDb, recordFromDb, type StoredMessage } from "../store/rows.ts";
import { contentColumns } from "../sync/look.ts";
import type { Entry } from "../sync/steps.ts";
import type { Link } from "./chain.ts";
import { compareRows, Difference, differs, type PlacedTable, placeOf } from "./difference.ts";
import { keyOf, placeOfRow, type VerifyReader } from "./reader.ts";

/** An entry that the bytes hold, and what of its row does not follow from itself. */
export interface Expected {
  readonly entry: Entry;
  /** What the graph said when it was added; null for all but messages. */
  readonly added: Added | null;
  /** When the commit was made that wrote it; null: not known. */
  readonly createdAt: Date | null;
  /** `maybe`: it waits to be removed, or the whole history tells. */
  readonly presence: "row" | "maybe" | "none";
  /** When it vanished; null: it did not. */
  readonly removedAt: Date | null;
}

/** Told of each message row that was found to be what its bytes say, but for its verdict. */
export type OnMessage = (expected: Expected, row: StoredMessage) => void;

type Table = Exclude<PlacedTable, "source_segment" | "forgotten">;

export class RowsProof {
  readonly #reader: VerifyReader;
  readonly #sessionId: string;
  readonly #generation: number;
  readonly #onMessage: OnMessage;
  #from = 0;

  constructor(reader: VerifyReader, sessionId: string, generation: number, onMessage: OnMessage) {
    this.#reader = reader;
    this.#sessionId = sessionId;
    this.#generation = generation;
    this.#onMessage = onMessage;
  }

  /** Compares the next entries, which are all there are before offset `to`. Throws a Difference. */
  async compare(entries: readonly Expected[], to: number): Promise<void> {
    const expected: Record<Table, Expected[]> = { message: [], record: [], quarantine: [] };
    for (const one of entries) expected[tableOf(one.entry)].push(one);
    const rows = await this.#reader.rowsBetween(this.#sessionId, this.#generation, this.#from, to, {
      message: expected.message.length + 1,
      record: expected.record.length + 1,
      quarantine: expected.quarantine.length + 1,
    });
    this.#from = to;
    for (const table of ["message", "record", "quarantine"] as const) {
      await this.#merge(table, expected[table], rows[table]);
    }
  }

  async #merge(table: Table, entries: readonly Expected[], rows: readonly DbRow[]): Promise<void> {
    let next = 0;
    for (const expected of entries) {
      const row = rows[next];
      const key = row === undefined ? [] : keyOf(row);
      if (row !== undefined && key[2] === expected.entry.offset && key.length === 3) {
        next++;
        await this.#compareRow(table, expected, row);
      } else if (row !== undefined && !(Number(key[2]) > expected.entry.offset)) {
        throw surplus(table, row);
      } else if (expected.presence === "row") {
        throw new Difference(`${this.#place(table, expected.entry.offset)} is missing`);
      }
    }
    if (next < rows.length) throw surplus(table, rows[next]!);
  }

  async #compareRow(table: Table, expected: Expected, row: DbRow): Promise<void> {
    const { entry, added, presence } = expected;
    if (presence === "none") throw surplus(table, row);
    const what = this.#place(table, entry.offset);
    if (row.session_id !== this.#sessionId) throw differs(what, "session_id", this.#sessionId, row.session_id);
    const { offset, length } = entry;
    if (entry.kind === "piece") {
      const { generation: _, ...found } = quarantineFromDb(row);
      const created_at = expected.createdAt ?? found.created_at;
      compareRows(what, { offset, length, reason: entry.reason, created_at }, found);
      return;
    }
    const large: { hash: string; text: string }[] = [];
    const { digest, timestamp, type } = entry;
    const shared = { offset, length, digest, timestamp, created_at: expected.createdAt };
    const content = contentColumns(entry.content, large);
    if (entry.kind === "record") {
      const { generation: _, ...found } = recordFromDb(row);
      compareRows(what, { ...shared, record_type: type, ...content }, found);
    } else {
      const stored = messageFromDb(row);
      const { generation: _, parent_state: __, is_orphaned: ___, corruption_score: ____, ...found } = stored;
      compareRows(
        what,
        { ...messageColumns(entry, added!), ...shared, ...content, removed_at: expected.removedAt },
        found,
      );
      this.#onMessage(expected, stored);
    }
    for (const { hash, text } of large) {
      const stored = await this.#reader.store.content({ content: "", content_hash: hash });
      if (stored !== text) throw differs(what, "content (in parts)", text, stored);
    }
  }

  #place(table: Table, offset: number): string {
    return placeOf(table, this.#generation, offset);
  }
}

function messageColumns({ uuid, parent, type, subtype, role }: Message, { occurrence, rootOffset }: Added) {
  return {
    message_uuid: uuid,
    parent_uuid: parent,
    message_type: type,
    subtype,
    role,
    occurrence,
    root_offset: rootOffset,
  };
}

/** A row where the bytes have none. */
export function surplus(table: Table, row: DbRow): Difference {
  return new Difference(`${placeOfRow(table, row)} is one too many: no archived bytes say so`);
}

function tableOf(entry: Entry): Table {
  return entry.kind === "piece" ? "quarantine" : entry.kind;
}

/** Each commit's digest of the rows it wrote. */
export class DigestProof {
  readonly #links: readonly Link[];
  #at = 0;
  #digest = new RowsDigest();

  constructor(links: readonly Link[]) {
    this.#links = links;
  }

  /**
   * Takes the next entry in byte order; returns when the commit was made that wrote it, or null for a piece that may yet
   * be completed, which several commits may have written. Throws a Difference.
   */
  add(entry: Entry): Date | null {
    let link = this.#links[this.#at];
    for (; link !== undefined && entry.offset >= link.parsed_to; link = this.#links[this.#at]) this.#close(link);
    if (entry.kind === "piece") return link?.time ?? null;
    if (link === undefined) throw new Difference(`no commit wrote the ${entry.kind} at offset ${entry.offset}`);
    this.#digest.add(entry.kind, entry.offset, entry.length, entry.digest);
    return link.time;
  }

  finish(): void {
    for (let link = this.#links[this.#at]; link !== undefined; link = this.#links[this.#at]) this.#close(link);
  }

  #close(link: Link): void {
    const { count } = this.#digest;
    const found = this.#digest.finish();
    this.#digest = new RowsDigest();
    this.#at++;
    if (count !== link.rows) throw differs(`commit ${link.n}`, "rows", count, link.rows);
    if (found !== link.rows_sha256) {
      throw new Difference(`commit ${link.n}: the digest of its ${count} rows is another by the archived bytes`);
    }
  }
}
