import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readRecord } from "../../src/core/message.ts";
import { fillerAt, type Replacement, replaceIn, skeletonAt } from "../../src/core/skeleton.ts";
import { fileArb, lineArb, recordArb } from "../support/arbitraries.ts";
import { type Json, lineOf, userMessage, uuid } from "../support/builders.ts";
import { itemsOfFile } from "../support/reading.ts";

const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 500);

function skeletonOf(value: Json | string): string {
  const bytes = lineOf(value);
  return replaceIn(bytes, 0, [skeletonAt(0, bytes)]).toString();
}

describe("the skeleton of a value", () => {
  test("keeps who it is and where it hangs, and nothing that was said", () => {
    const record = userMessage({ uuid: uuid(2), parent: uuid(1), text: "the key is hunter2", session: "s" });
    const skeleton = skeletonOf(record);
    expect(skeleton).toHaveLength(lineOf(record).length);
    expect(JSON.parse(skeleton)).toEqual({
      type: "user",
      uuid: uuid(2),
      parentUuid: uuid(1),
      sessionId: "s",
      isSidechain: false,
      timestamp: record.timestamp,
      message: { role: "user" },
      forgotten: true,
    });
    expect(skeleton).toMatch(/^\{"[^ ]+ +\}$/);
  });

  test("says that it is one only where there is room for it", () => {
    expect(skeletonOf('{"a":"hunter2"}')).toBe("{             }");
    expect(skeletonOf('{"a":"hunter2..."}')).toBe('{"forgotten":true}');
    expect(skeletonOf("{}")).toBe("{}");
  });

  test("holds nothing of a structural member that is not what it should be", () => {
    const odd = '{"uuid":7331,"parentUuid":{"hunter2":1},"type":["hunter2"],"timestamp":"hunter2","message":"hunter2"}';
    expect(JSON.parse(skeletonOf(odd))).toEqual({ parentUuid: {}, forgotten: true });
    expect(JSON.parse(skeletonOf('{"parentUuid":["hunter2"],"isSidechain":"hunter2"}'))).toEqual({
      parentUuid: [],
      forgotten: true,
    });
    expect(JSON.parse(skeletonOf('{"parentUuid":7331}'))).toEqual({ parentUuid: 0 });
  });

  test("goes by the last of a key that stands twice, and by keys however they are spelled", () => {
    expect(JSON.parse(skeletonOf(`{"\\u0075uid":"hunter2","text":"${"x".repeat(20)}","uuid":"b"}`))).toEqual({
      uuid: "b",
      forgotten: true,
    });
  });
});

test("whatever is forgotten of a line, what is read of it stays in its place, of its kind, with its links", () => {
  const lineOfAnyKind = fc.oneof(lineArb, recordArb.map(lineOf), fileArb);
  fc.assert(
    fc.property(lineOfAnyKind, fc.infiniteStream(fc.boolean()), (bytes, chosen) => {
      const items = itemsOfFile(bytes);
      const replacements: Replacement[] = [];
      for (const item of items) {
        const { kind, offset, length } = item;
        // NUL bytes say nothing, and a value behind them need not be a record.
        if (chosen.next().value !== true || (kind === "piece" && item.reason === "nul")) continue;
        if (kind === "piece") replacements.push(fillerAt(offset, length));
        else replacements.push(skeletonAt(offset, bytes.subarray(offset, offset + length)));
      }
      const after = replaceIn(bytes, 0, replacements);
      expect(after.length).toBe(bytes.length);
      const forgotten = new Set(replacements.map(({ offset }) => offset));
      const placeOf = ({ json: _, ...place }: (typeof items)[number] & { json?: unknown }) => place;
      const again = itemsOfFile(after);
      expect(again.map(placeOf)).toEqual(items.map(placeOf));
      for (const [i, item] of items.entries()) {
        const now = again[i]!;
        if (item.kind === "value" && now.kind === "value") {
          const range = [item.offset, item.offset + item.length] as const;
          const { digest: _, content, claims, ...was } = readRecord(item, bytes.subarray(...range));
          const { digest: __, content: left, claims: claimed, ...is } = readRecord(now, after.subarray(...range));
          expect(is).toEqual(was);
          if (!forgotten.has(item.offset)) expect([left, claimed]).toEqual([content, claims]);
          else expect([left.text, claimed]).toEqual(["", { sessionId: claims.sessionId, cwd: null, title: null }]);
        }
      }
    }),
    { numRuns: RUNS },
  );
});

test("what was forgotten stays what it is when it is forgotten again, and in any part that is read", () => {
  fc.assert(
    fc.property(recordArb.map(lineOf), fc.nat(), fc.nat(), (bytes, a, b) => {
      const once = replaceIn(bytes, 0, [skeletonAt(0, bytes)]);
      expect(replaceIn(once, 0, [skeletonAt(0, once)]).equals(once)).toBe(true);
      const [from, to] = [a % (bytes.length + 1), b % (bytes.length + 1)].sort((x, y) => x - y) as [number, number];
      const part = replaceIn(bytes.subarray(from, to), from, [skeletonAt(0, bytes)]);
      expect(part.equals(once.subarray(from, to))).toBe(true);
    }),
    { numRuns: RUNS },
  );
});
