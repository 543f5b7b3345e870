// Heals the rows of one generation in lock-step with its entries, batch by batch: what differs is written again, what
// is missing is written, what is one too many goes. Verdicts follow from the whole graph, and are left to heal.ts.
import type { Added } from "../core/graph.ts";
import type { HealLog } from "./heal-log.ts";
import { differentColumn } from "./proof/difference.ts";
import { isVerdict } from "./proof/verdicts.ts";
import { type LargeContents, messageRow, quarantineRow, recordRow, withoutVerdict } from "./rows.ts";
import type { Entry } from "./steps.ts";
import type { EntryTable, MessageRow, QuarantineRow, RecordRow, Store, Stored, StoredRows } from "./store.ts";

/** An entry that has a row. */
export interface Due {
  readonly entry: Entry;
  /** What the graph said when it was added; null for all but messages. */
  readonly added: Added | null;
  /** When the commit was made that wrote it; null: not known, as for a piece that may yet be completed. */
  readonly createdAt: Date | null;
  /** When it vanished; null: it did not. */
  readonly removedAt: Date | null;
}

/** Told of each message's row as it now is; `isLost`: the verdict it had was not to be seen any more. */
type OnMessage = (row: MessageRow, isLost: boolean) => void;

/** Rows read at a time beyond those that are due: how many too many are removed in one go. */
const SURPLUS = 100;

const TABLES = ["message", "record", "quarantine"] as const satisfies readonly EntryTable[];

export class RowsHealer {
  readonly #store: Store;
  readonly #log: HealLog;
  readonly #sessionId: string;
  readonly #generation: number;
  /** When rows were made of which it is not known. */
  readonly #lastTime: Date;
  readonly #onMessage: OnMessage;
  #from = 0;

  constructor(
    store: Store,
    log: HealLog,
    place: { readonly sessionId: string; readonly generation: number; readonly lastTime: Date },
    onMessage: OnMessage,
  ) {
    this.#store = store;
    this.#log = log;
    this.#sessionId = place.sessionId;
    this.#generation = place.generation;
    this.#lastTime = place.lastTime;
    this.#onMessage = onMessage;
  }

  /** Heals the rows before offset `to`; `due` are all that there should be since the last call, in byte order. */
  async heal(due: readonly Due[], to: number): Promise<void> {
    if (to <= this.#from) return;
    await this.#log.enter(this.#generation);
    const rows = await this.#readWithoutSurplus(due, to);
    this.#from = to;
    const found = {
      message: byOffset(rows.message),
      record: byOffset(rows.record),
      quarantine: byOffset(rows.quarantine),
    };
    for (const one of due) {
      const { entry } = one;
      if (entry.kind === "piece") this.#healPiece(one, found.quarantine.get(entry.offset));
      else if (entry.kind === "record") await this.#healRecord(one, found.record.get(entry.offset));
      else await this.#healMessage(one, found.message.get(entry.offset));
      await this.#log.flushIfFull();
    }
  }

  /** The rows up to `to` that are due; all others are removed, page by page until none is left. */
  async #readWithoutSurplus(due: readonly Due[], to: number): Promise<StoredRows> {
    const offsets: Record<EntryTable, Set<unknown>> = { message: new Set(), record: new Set(), quarantine: new Set() };
    for (const { entry } of due) offsets[tableOf(entry)].add(entry.offset);
    const limitOf = (table: EntryTable) => offsets[table].size + SURPLUS;
    const limits = { message: limitOf("message"), record: limitOf("record"), quarantine: limitOf("quarantine") };
    for (;;) {
      const rows = await this.#store.rowsBetween(this.#sessionId, this.#generation, this.#from, to, limits);
      let isCut = false;
      for (const table of TABLES) {
        for (const { key } of rows[table]) {
          if (key.length !== 3 || !offsets[table].has(key[2])) this.#log.remove({ table, key });
        }
        isCut ||= rows[table].length === limits[table];
      }
      if (!isCut) return rows;
      await this.#log.flush();
    }
  }

  async #healMessage({ entry, added, createdAt, removedAt }: Due, stored: Stored<MessageRow> | undefined) {
    if (entry.kind !== "message") return;
    const large: LargeContents = [];
    const read = messageRow(entry, added!, createdAt ?? this.#lastTime, large);
    const wanted = { ...read, removed_at: removedAt };
    const held = stored?.columns;
    const isLost = held === undefined || !isVerdict({ ...held, parent_uuid: wanted.parent_uuid });
    const row = isLost ? wanted : { ...wanted, ...verdictOf(held) };
    const broken = await this.#brokenContents(large);
    const isWhole = !isLost && this.#isOwn(stored) && isSame(withoutVerdict(wanted), withoutVerdict(held));
    if (!isWhole || broken.length > 0) this.#log.write("message", row, broken);
    this.#onMessage(row, isLost);
  }

  async #healRecord({ entry, createdAt }: Due, stored: Stored<RecordRow> | undefined): Promise<void> {
    if (entry.kind !== "record") return;
    const large: LargeContents = [];
    const wanted = recordRow(entry, createdAt ?? this.#lastTime, large);
    const broken = await this.#brokenContents(large);
    const isWhole = this.#isOwn(stored) && isSame(wanted, stored!.columns);
    if (!isWhole || broken.length > 0) this.#log.write("record", wanted, broken);
  }

  #healPiece({ entry, createdAt }: Due, stored: Stored<QuarantineRow> | undefined): void {
    if (entry.kind !== "piece") return;
    const wanted = quarantineRow(entry, createdAt ?? stored?.columns.created_at ?? this.#lastTime);
    if (!this.#isOwn(stored) || !isSame(wanted, stored!.columns)) this.#log.write("quarantine", wanted, []);
  }

  #isOwn(stored: Stored<unknown> | undefined): boolean {
    return stored !== undefined && stored.sessionId === this.#sessionId;
  }

  /** Those contents whose parts do not give them. */
  async #brokenContents(large: LargeContents): Promise<LargeContents> {
    const broken: LargeContents = [];
    for (const one of large) {
      const text = await this.#store.content({ content: "", content_hash: one.hash });
      if (text !== one.text) broken.push(one);
    }
    return broken;
  }
}

function verdictOf({ parent_state, is_orphaned, corruption_score }: MessageRow) {
  return { parent_state, is_orphaned, corruption_score };
}

function isSame(wanted: object, found: object): boolean {
  return differentColumn(wanted, found) === null;
}

function byOffset<T>(rows: readonly Stored<T>[]): Map<unknown, Stored<T>> {
  return new Map(rows.filter(({ key }) => key.length === 3).map((row) => [row.key[2], row]));
}

function tableOf(entry: Entry): EntryTable {
  return entry.kind === "piece" ? "quarantine" : entry.kind;
}
