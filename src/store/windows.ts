// Reading a long range page by page. The engine reads a range to its end, whatever its LIMIT (3.0.2: 20 ms for a thousand
// rows of a range that ends behind them, 500 ms where 59,000 others follow), so every page is a range with two ends.

/** A range of keys, read in bounded ones. */
export interface Windowed<T> {
  /** The rows with `from <= key < to`, in order. */
  readonly read: (from: number, to: number) => Promise<T[]>;
  /** The first key at or behind `from`, or null. Costs what lies behind it. */
  readonly next: (from: number) => Promise<number | null>;
  /** Keys in the first window. */
  readonly first: number;
  /** Keys in a window, at most; it grows where there is little. */
  readonly widest: number;
}

/** Rows in a window from which on the next is not made wider. */
const MANY = 250;

/** All rows in order, in pages that are never empty. Gaps of any size are found out. */
export async function* pagesOf<T>({ read, next, first, widest }: Windowed<T>): AsyncGenerator<T[]> {
  let width = first;
  for (let from: number | null = 0; from !== null; ) {
    const rows = await read(from, from + width);
    if (rows.length > 0) yield rows;
    from = rows.length > 0 ? from + width : await next(from + width);
    if (rows.length < MANY) width = Math.min(widest, width * 2);
    else if (rows.length > 4 * MANY) width = Math.max(first, width / 2);
  }
}
