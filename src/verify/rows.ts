// The rows of one generation, compared with what its archived bytes say, batch by batch in lock-step: no row altered,
// none missing, none too many. Verdicts follow from the whole graph, so they are noted here and compared afterwards.
import type { Added } from "../core/graph.ts";
import type { DbRow } from "../store/rows.ts";
import { messageFromDb, quarantineFromDb, recordFromDb, type StoredMessage } from "../store/rows.ts";
import { compareRows, Difference, differs, type PlacedTable, placeOf } from "../sync/proof/difference.ts";
import { type LargeContents, messageRow, recordRow, withoutVerdict } from "../sync/rows.ts";
import type { Entry } from "../sync/steps.ts";
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
    const large: LargeContents = [];
    if (entry.kind === "record") {
      const { generation: _, ...found } = recordFromDb(row);
      compareRows(what, recordRow(entry, expected.createdAt!, large), found);
    } else {
      const stored = messageFromDb(row);
      const wanted = { ...messageRow(entry, added!, expected.createdAt!, large), removed_at: expected.removedAt };
      const { generation: _, ...found } = stored;
      compareRows(what, withoutVerdict(wanted), withoutVerdict(found));
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

/** A row where the bytes have none. */
export function surplus(table: Table, row: DbRow): Difference {
  return new Difference(`${placeOfRow(table, row)} is one too many: no archived bytes say so`);
}

function tableOf(entry: Entry): Table {
  return entry.kind === "piece" ? "quarantine" : entry.kind;
}
