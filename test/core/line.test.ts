import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Item, MAX_LINE_BYTES, readLine } from "../../src/core/line.ts";
import { readContents } from "../model/model.ts";
import { fileArb, lineArb, recordArb, splitsArb } from "../support/arbitraries.ts";
import { jsonl, lineOf, summary, userMessage, uuid } from "../support/builders.ts";
import { mutatedArb } from "../support/mutations.ts";
import { itemsOfFile, LookedReader } from "../support/reading.ts";

const anyLineArb = fc.oneof(lineArb, mutatedArb(lineArb), mutatedArb(recordArb.map(lineOf)));

/** What the reference reads in `bytes`, in the reader's terms. */
function expectedItems(bytes: Buffer): Item[] {
  const { values, pieces } = readContents(bytes);
  return [
    ...values.map((value): Item => ({ kind: "value", ...value })),
    ...pieces.map((piece): Item => ({ kind: "piece", ...piece })),
  ].sort((a, b) => a.offset - b.offset);
}

function ended(line: Buffer): Buffer {
  return Buffer.concat([line, Buffer.from("\n")]);
}

describe("readLine", () => {
  test("reads a finished line as the reference does", () => {
    fc.assert(
      fc.property(anyLineArb, (line) => {
        expect(readLine(line, 0, line.length, 0, false)).toEqual(expectedItems(ended(line)));
      }),
      { numRuns: 3000 },
    );
  });

  test("reads the unfinished last line of a quiet file as the reference does", () => {
    fc.assert(
      fc.property(anyLineArb, (line) => {
        expect(readLine(line, 0, line.length, 0, true)).toEqual(expectedItems(line));
      }),
      { numRuns: 3000 },
    );
  });

  test("reads a line the same wherever it stands in its buffer and its file", () => {
    fc.assert(
      fc.property(anyLineArb, fc.boolean(), fc.nat(20), fc.nat(20), (line, open, before, after) => {
        const buffer = Buffer.concat([Buffer.alloc(before, "{"), line, Buffer.alloc(after, "}")]);
        const base = 1000;
        const moved = readLine(buffer, before, before + line.length, base, open);
        const there = readLine(line, 0, line.length, base + before, open);
        expect(moved).toEqual(there);
      }),
      { numRuns: 1000 },
    );
  });

  test("never loses or invents a byte: items do not overlap, and only whitespace lies between them", () => {
    fc.assert(
      fc.property(anyLineArb, fc.boolean(), (line, open) => {
        let at = 0;
        const gaps: number[] = [];
        for (const { offset, length } of readLine(line, 0, line.length, 1, open)) {
          expect(offset - 1).toBeGreaterThanOrEqual(at);
          expect(length).toBeGreaterThan(0);
          gaps.push(...line.subarray(at, offset - 1));
          at = offset - 1 + length;
        }
        gaps.push(...line.subarray(at));
        expect(gaps.filter((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  test("comes to the same items, however the file came together while it was quiet in between", () => {
    fc.assert(
      fc.property(
        fc
          .oneof(fileArb, anyLineArb, anyLineArb.map(ended), mutatedArb(fileArb))
          .chain((bytes) => fc.tuple(fc.constant(bytes), splitsArb(bytes))),
        ([bytes, parts]) => {
          const reader = new LookedReader();
          for (const part of parts) reader.append(part);
          expect(reader.items).toEqual(expectedItems(bytes));
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("takes a whole record behind a torn one, and quarantines the torn one by its bytes", () => {
    const whole = lineOf(userMessage({ uuid: uuid(2), parent: uuid(1) }));
    const torn = lineOf(userMessage({ uuid: uuid(1), text: "Is {this} a brace?" })).subarray(0, -30);
    const line = Buffer.concat([torn, whole]);
    expect(readLine(line, 0, line.length, 500, false)).toMatchObject([
      { kind: "piece", offset: 500, length: torn.length, reason: "invalid" },
      { kind: "value", offset: 500 + torn.length, length: whole.length, json: { uuid: uuid(2) } },
    ]);
  });

  test("takes two whole records without a newline between them", () => {
    const first = lineOf(userMessage({ uuid: uuid(1) }));
    const second = lineOf(summary({ leaf: uuid(1) }));
    expect(itemsOfFile(jsonl(Buffer.concat([first, second])))).toMatchObject([
      { kind: "value", offset: 0, length: first.length },
      { kind: "value", offset: first.length, length: second.length },
    ]);
  });

  test("does not take a record from a quoted transcript inside a whole record", () => {
    const quoted = JSON.stringify(userMessage({ uuid: uuid(7) }));
    const line = lineOf(userMessage({ uuid: uuid(1), text: quoted }));
    expect(readLine(line, 0, line.length, 0, false)).toMatchObject([{ kind: "value", offset: 0, length: line.length }]);
  });

  test("strips a byte order mark at the start of the file only", () => {
    const marked = Buffer.from('\ufeff{"a":1}');
    expect(readLine(marked, 0, marked.length, 0, false)).toMatchObject([{ kind: "value", offset: 3, length: 7 }]);
    expect(readLine(marked, 0, marked.length, 5, false)).toMatchObject([{ kind: "piece", offset: 5, length: 10 }]);
  });

  test("takes a line of more than 64 MiB for one piece, and one of exactly 64 MiB for a value", () => {
    const record = Buffer.from('{"type":"user","sessionId":"s"}');
    const line = Buffer.alloc(MAX_LINE_BYTES + 1, " ");
    line.set(record, 10);
    expect(readLine(line, 0, line.length, 0, false)).toEqual([
      { kind: "piece", offset: 0, length: line.length, reason: "too_long" },
    ]);
    expect(readLine(line, 0, MAX_LINE_BYTES, 0, false)).toMatchObject([{ kind: "value", offset: 10, length: 31 }]);
  });

  describe("keeps its work in proportion to the line", () => {
    const record = '{"type":"user","sessionId":"s"}';

    test.each([
      ["objects opened and never closed", '{"a":'],
      ["lists opened and never closed", '{"a":['],
      ["plain objects nested and never closed", '{"a":{},"b":'],
    ])("%s: a record behind few of them is found, behind very many it is given up", (_, opening) => {
      const few = Buffer.from(opening.repeat(100) + record);
      const many = Buffer.from(opening.repeat(400_000) + record);
      const found = readLine(few, 0, few.length, 0, false);
      expect(found.at(-1)).toMatchObject({ kind: "value", length: record.length });
      expect(readLine(many, 0, many.length, 0, false)).toMatchObject([{ kind: "piece", length: many.length }]);
    });

    test("whole objects that are no records, each inside the other, are given up as well", () => {
      const depth = 100_000;
      const text = `x${'{"a":'.repeat(depth)}1${"}".repeat(depth)}${record}`;
      const line = Buffer.from(text);
      expect(readLine(line, 0, line.length, 0, false)).toMatchObject([{ kind: "piece", length: line.length }]);
    });

    test("50,000 records on one line are all taken, for their work is paid once", () => {
      const count = 50_000;
      const line = Buffer.from(`x${record.repeat(count)}`);
      const items = readLine(line, 0, line.length, 0, false);
      expect(items).toHaveLength(1 + count);
    });
  });
});
