// Where a table is cut into pages. A page is a bounded range of ids, as the engine reads a range to its end whatever its
// LIMIT; together the pages cover all keys there can be, so no row is missed, wherever it stands.

/** A place in a table: pages end before it and begin at it. */
export type Cut = unknown;

/** Rows on a page, and bytes of transcript whose rows are. */
const PAGE = { rows: 500, bytes: 512 * 1024 };

/** Cuts of a table whose ids are numbered from 1 for each session: `[session, n]`. */
export class NumberedCuts {
  readonly cuts: Cut[] = [];
  #rows = 0;

  /** Sessions come in the order of their keys. */
  add(session: unknown, count: number): void {
    for (let n = 0; n < count; ) {
      if (this.#rows === PAGE.rows) {
        this.cuts.push([session, n + 1]);
        this.#rows = 0;
      }
      const taken = Math.min(count - n, PAGE.rows - this.#rows);
      this.#rows += taken;
      n += taken;
    }
  }
}

/** What a commit says of the rows it wrote. */
export interface WrittenRows {
  readonly generation: number;
  /** Before this offset lie its rows, behind that of the commit before. */
  readonly end: number;
  readonly bytes: number;
  readonly rows: number;
}

/** Cuts of the tables whose ids are places in a transcript: `[session, generation, offset]`. */
export class PlacedCuts {
  readonly cuts: Cut[] = [];
  #last: { session: unknown; generation: number; end: number } | null = null;
  #rows = 0;
  #bytes = 0;

  /** Sessions come in the order of their keys, their commits in that of their numbers. */
  add(session: unknown, { generation, end, bytes, rows }: WrittenRows): void {
    this.#rows += rows;
    this.#bytes += bytes;
    if (this.#rows < PAGE.rows && this.#bytes < PAGE.bytes) return;
    const last = this.#last;
    const isBehind =
      last === null ||
      last.session !== session ||
      generation > last.generation ||
      (generation === last.generation && end > last.end);
    if (!isBehind) return;
    this.cuts.push([session, generation, end]);
    this.#last = { session, generation, end };
    this.#rows = 0;
    this.#bytes = 0;
  }
}

/** Cuts of the feed, whose ids are `[1]` to `[count]`. */
export function feedCuts(count: number): Cut[] {
  return Array.from({ length: Math.floor(Math.max(0, count - 1) / PAGE.rows) }, (_, i) => [(i + 1) * PAGE.rows + 1]);
}
