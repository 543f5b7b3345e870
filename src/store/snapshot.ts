// All rows of a store as they were at one moment, in batches, while others go on writing to it.
import { createHash } from "node:crypto";
import { BoundExcluded, BoundIncluded, RecordId, RecordIdRange, type Surreal, Table } from "surrealdb";
import { RiffError, toError } from "../errors.ts";
import { type Cut, feedCuts, NumberedCuts, PlacedCuts } from "./cuts.ts";
import { beginTransaction } from "./moment.ts";
import type { DbRow } from "./rows.ts";
import { type Migration, tablesOf } from "./schema.ts";
import { run } from "./transaction.ts";

/** Rows of one table that fit into one call. */
export interface Batch {
  readonly table: string;
  readonly rows: readonly DbRow[];
}

/** One batch holds at most this, or a single row. */
const BATCH = { rows: 500, bytes: 1024 * 1024 };

/** Of no use without the process that wrote them. */
const TRANSIENT: readonly string[] = ["staged"];
/** Written by the migrations themselves. */
const OWN = "schema_version";

/** Its ids are numbers without gaps. */
const FEED = "feed";
const NUMBERED = { commit: "chain", repair_event: "event_count" } as const;
const PLACED: readonly string[] = ["message", "record", "quarantine", "source_segment"];

/** Rows on a page of the tables that are cut by a list of their ids. */
const LISTED_PAGE: Readonly<Record<string, number>> = { content_part: 4, session: 50 };
const DEFAULT_PAGE = 200;

/** A session as its row says. */
interface SessionChain {
  readonly id: RecordId;
  readonly chain: number;
  readonly head: string;
  readonly event_count: number;
  readonly message_count: number;
}

/** Something was written while it was read, and the server has no transactions to keep that out. */
export class SnapshotMoved extends RiffError {
  constructor() {
    super(
      "RIFF_BACKUP_FAILED",
      "The store was written to while it was read, and its server cannot show it as it was at one moment.",
      "Use a ws:// or wss:// address of a SurrealDB 3 server, or stop what writes to it for as long as this takes.",
    );
  }
}

type Reader = Pick<Surreal, "query"> & { cancel?(): Promise<void> };

export class Snapshot {
  readonly schema: readonly Pick<Migration, "version" | "name" | "sha256">[];
  /** Tables of the database that are not riffd's, and are left out. */
  readonly foreign: readonly string[];
  /** Rows of each table. */
  readonly counts: ReadonlyMap<string, number>;
  readonly sessions: readonly SessionChain[];
  readonly #reader: SnapshotReader;
  readonly #placed = new PlacedCuts();
  readonly #checkpoint: string | null;

  private constructor(reader: SnapshotReader, found: Found, checkpoint: string | null) {
    this.#reader = reader;
    this.schema = found.schema;
    this.foreign = found.foreign;
    this.counts = found.counts;
    this.sessions = found.sessions;
    this.#checkpoint = checkpoint;
  }

  /**
   * Takes the snapshot; close it in the end. Without transactions (SurrealDB before 3.0, or HTTP) it is none: then
   * `batches` throws SnapshotMoved at its end if something was written meanwhile.
   */
  static async take(db: Surreal, migrations: readonly Migration[], transactions = true): Promise<Snapshot> {
    const transaction = transactions ? await beginTransaction(db) : null;
    const reader = new SnapshotReader(transaction ?? db);
    try {
      const checkpoint = transaction === null ? await reader.checkpoint() : null;
      return new Snapshot(reader, await lookAround(reader, migrations), checkpoint);
    } catch (thrown) {
      await reader.close();
      throw thrown;
    }
  }

  /** Every row of every table, each once. May be called once. Throws RIFF_BACKUP_FAILED or SnapshotMoved. */
  async *batches(): AsyncGenerator<Batch> {
    for (const [table, count] of this.counts) {
      let read = 0;
      for await (const rows of this.#reader.pages(table, await this.#cuts(table))) {
        if (table === "commit") this.#noteCommits(rows);
        read += rows.length;
        for (const batch of batchesOf(rows)) yield { table, rows: batch };
      }
      if (this.#checkpoint === null && read !== count) throw incomplete(table, count, read);
    }
    if (this.#checkpoint !== null && (await this.#reader.checkpoint()) !== this.#checkpoint) throw new SnapshotMoved();
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  async #cuts(table: string): Promise<readonly Cut[]> {
    if (PLACED.includes(table)) return this.#placed.cuts;
    if (table === FEED) return feedCuts(this.counts.get(FEED) ?? 0);
    if (table !== "commit" && table !== "repair_event") {
      return await this.#reader.listedCuts(table, LISTED_PAGE[table] ?? DEFAULT_PAGE);
    }
    const numbered = new NumberedCuts();
    const count = this.counts.get(table) ?? 0;
    for (const session of this.sessions) numbered.add(session.id.id, Math.min(session[NUMBERED[table]], count));
    return numbered.cuts;
  }

  #noteCommits(rows: readonly DbRow[]): void {
    for (const { id, generation, from, to, parsed_to, rows: written } of rows) {
      this.#placed.add(keyOf(id)[0], {
        generation: Number(generation),
        end: Number(parsed_to),
        bytes: Number(to) - Number(from),
        rows: Number(written),
      });
    }
  }
}

type Found = Pick<Snapshot, "schema" | "foreign" | "counts" | "sessions">;

async function lookAround(reader: SnapshotReader, migrations: readonly Migration[]): Promise<Found> {
  const [info] = await reader.read<[{ tables: Record<string, unknown> }]>("INFO FOR DB");
  const [schema] = await reader.read<[Found["schema"]]>(
    "SELECT version, name, sha256 FROM schema_version ORDER BY version",
  );
  const own = tablesOf(migrations);
  const counts = new Map<string, number>();
  for (const table of inOrder(own.filter((name) => name in info.tables))) {
    counts.set(table, await countRows(reader, table));
  }
  const [sessions] = await reader.read<[SessionChain[]]>(
    "SELECT id, chain, head, event_count, message_count FROM session",
  );
  return { schema, foreign: Object.keys(info.tables).filter((name) => !own.includes(name)), counts, sessions };
}

/** Commits come before the tables whose pages follow from them. */
function inOrder(tables: readonly string[]): string[] {
  const kept = tables.filter((table) => table !== OWN && !TRANSIENT.includes(table));
  return [...kept.filter((table) => !PLACED.includes(table)), ...kept.filter((table) => PLACED.includes(table))];
}

async function countRows(reader: SnapshotReader, table: string): Promise<number> {
  const [rows] = await reader.read<[{ count: number }[]]>("SELECT count() FROM $table GROUP ALL", {
    table: new Table(table),
  });
  return rows[0]?.count ?? 0;
}

/** The queries of a snapshot, in its transaction if there is one. */
class SnapshotReader {
  readonly #queries: Reader;

  constructor(queries: Reader) {
    this.#queries = queries;
  }

  async read<T extends unknown[]>(text: string, parameters: Record<string, unknown> = {}): Promise<T> {
    try {
      return await run<T>(this.#queries as Surreal, text, parameters);
    } catch (thrown) {
      throw new RiffError(
        "RIFF_BACKUP_FAILED",
        `The store could not be read to its end: ${toError(thrown).message}`,
        "Run the command again; if it fails again, `riffd verify --all` tells what is wrong with the store.",
        thrown,
      );
    }
  }

  /** Every k-th id of a table. */
  async listedCuts(table: string, k: number): Promise<Cut[]> {
    const [ids] = await this.read<[RecordId[]]>("SELECT VALUE id FROM $table", { table: new Table(table) });
    return ids.filter((_, i) => i > 0 && i % k === 0).map((id) => id.id);
  }

  /** All rows of a table between its cuts. The next page is read while one is being used. */
  async *pages(table: string, cuts: readonly Cut[]): AsyncGenerator<DbRow[]> {
    const page = async (i: number): Promise<DbRow[]> => {
      const begin = i === 0 ? undefined : new BoundIncluded(cuts[i - 1]);
      const end = i === cuts.length ? undefined : new BoundExcluded(cuts[i]);
      const range = new RecordIdRange(table, begin as never, end as never);
      const [rows] = await this.read<[DbRow[]]>("SELECT * FROM $range", { range });
      return rows;
    };
    let next = page(0);
    try {
      for (let i = 0; i <= cuts.length; i++) {
        const rows = await next;
        if (i < cuts.length) next = page(i + 1);
        yield rows;
      }
    } finally {
      await next.catch(() => {}); // told already, or of no interest any more
    }
  }

  /** Changes with every commit and every checkpoint, and when commits are given places in the feed. */
  async checkpoint(): Promise<string> {
    const found = await this.read<[DbRow[], DbRow[], DbRow[]]>(
      "SELECT id, chain, head FROM session; SELECT * FROM source; SELECT last FROM feed_head;",
    );
    return createHash("sha256").update(JSON.stringify(found)).digest("hex");
  }

  async close(): Promise<void> {
    await this.#queries.cancel?.().catch(() => {}); // it wrote nothing, and a lost one has ended
  }
}

function batchesOf(rows: readonly DbRow[]): DbRow[][] {
  const batches: DbRow[][] = [];
  let batch: DbRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = sizeOf(row);
    if (batch.length === BATCH.rows || (batch.length > 0 && bytes + size > BATCH.bytes)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(row);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** About how many bytes a value takes. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (value instanceof ArrayBuffer || value instanceof Uint8Array) return value.byteLength;
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + sizeOf(one), 8);
  if (value instanceof RecordId) return sizeOf(value.id) + 16;
  if (typeof value !== "object" || value === null) return 8;
  let sum = 8;
  for (const key in value) sum += key.length + sizeOf((value as DbRow)[key]);
  return sum;
}

function keyOf(id: unknown): readonly unknown[] {
  const key: unknown = id instanceof RecordId ? id.id : null;
  return Array.isArray(key) ? key : [key];
}

function incomplete(table: string, count: number, read: number): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `The table ${table} has ${count} rows, but ${read} could be read.`,
    "`riffd verify --all` tells what is wrong with the store.",
  );
}
