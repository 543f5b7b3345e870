import fc from "fast-check";
import { expect, test } from "vitest";
import { feedCuts, NumberedCuts, PlacedCuts } from "../../src/store/cuts.ts";

/** The engine's order of keys, for those that there are here. */
function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1;
}

/** How many of the keys, given in order, lie between the cuts. */
function pagesOf(keys: readonly (string | number)[][], cuts: readonly unknown[]): number[] {
  const ends = cuts as (string | number)[][];
  const pages = new Array<number>(ends.length + 1).fill(0);
  let page = 0;
  for (const key of keys) {
    while (page < ends.length && compare(key, ends[page]!) >= 0) page++;
    pages[page]!++;
  }
  return pages;
}

const isSorted = (cuts: readonly unknown[]) =>
  cuts.every((cut, i) => i === 0 || compare(cuts[i - 1] as string[], cut as string[]) < 0);

test("the feed is cut into full pages", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3000 }), (count) => {
      const keys = Array.from({ length: count }, (_, i) => [i + 1]);
      const pages = pagesOf(keys, feedCuts(count));
      expect(pages.slice(0, -1).every((rows) => rows === 500)).toBe(true);
      expect(pages.at(-1)).toBeLessThanOrEqual(500);
    }),
  );
});

test("numbered rows are cut into full pages, over the borders of sessions", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 6 }), (counts) => {
      const numbered = new NumberedCuts();
      const keys = counts.flatMap((count, s) => Array.from({ length: count }, (_, i) => [`s${s}`, i + 1]));
      counts.forEach((count, s) => {
        numbered.add(`s${s}`, count);
      });
      const pages = pagesOf(keys, numbered.cuts);
      expect(isSorted(numbered.cuts)).toBe(true);
      expect(pages.slice(0, -1).every((rows) => rows === 500)).toBe(true);
      expect(pages.at(-1)! <= 500).toBe(true);
    }),
  );
});

test("placed rows are cut behind commits, so that no page holds many more than a commit does", () => {
  const commitArb = fc.record({ rows: fc.integer({ min: 0, max: 500 }), rewritten: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fc.array(commitArb, { maxLength: 8 }), { maxLength: 4 }), (sessions) => {
      const placed = new PlacedCuts();
      const keys: (string | number)[][] = [];
      sessions.forEach((commits, s) => {
        let generation = 1;
        let end = 0;
        for (const { rows, rewritten } of commits) {
          if (rewritten) {
            generation++;
            end = 0;
          }
          for (let i = 0; i < rows; i++) keys.push([`s${s}`, generation, end + i]);
          end += rows;
          placed.add(`s${s}`, { generation, end, bytes: 100 * rows, rows });
        }
      });
      expect(isSorted(placed.cuts)).toBe(true);
      expect(Math.max(...pagesOf(keys, placed.cuts))).toBeLessThan(1000);
    }),
  );
});

test("bytes without rows are cut as well, and a commit that takes back its place makes no cut", () => {
  const placed = new PlacedCuts();
  const MIB = 1024 * 1024;
  placed.add("s", { generation: 1, end: MIB, bytes: MIB, rows: 0 });
  placed.add("s", { generation: 1, end: MIB, bytes: MIB, rows: 0 });
  placed.add("s", { generation: 1, end: 3 * MIB, bytes: 0, rows: 0 });
  expect(placed.cuts).toEqual([
    ["s", 1, MIB],
    ["s", 1, 3 * MIB],
  ]);
});
