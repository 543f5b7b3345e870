// Reading long ranges in bounded ones: every row once, in order, whatever gaps there are.
import fc from "fast-check";
import { expect, test } from "vitest";
import { pagesOf } from "../../src/store/windows.ts";

const FIRST = 8;
const WIDEST = 64;

test("gives every key once and in order, and no page that is empty, whatever the gaps", async () => {
  const keysArb = fc.uniqueArray(fc.oneof(fc.nat(50), fc.nat(5_000), fc.nat(1_000_000_000)), { maxLength: 400 });
  await fc.assert(
    fc.asyncProperty(keysArb, async (some) => {
      const keys = [...some].sort((a, b) => a - b);
      let widest = 0;
      const pages = pagesOf({
        read: async (from, to) => {
          widest = Math.max(widest, to - from);
          return keys.filter((key) => key >= from && key < to);
        },
        next: async (from) => keys.find((key) => key >= from) ?? null,
        first: FIRST,
        widest: WIDEST,
      });
      const found: number[] = [];
      for await (const page of pages) {
        expect(page.length).toBeGreaterThan(0);
        found.push(...page);
      }
      expect(found).toEqual(keys);
      expect(widest).toBeLessThanOrEqual(WIDEST);
    }),
  );
});
