import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_LINE_BYTES } from "../../src/core/line.ts";
import { itemsOf, type Line, LineSplitter } from "../../src/core/line-splitter.ts";
import { fileArb, splitsArb } from "../support/arbitraries.ts";
import { linesOf } from "../support/reading.ts";

const anyFileArb = fc.oneof(
  fileArb,
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.array(fc.constantFrom("\n", "a", "\r\n", "\u2028"), { maxLength: 20 }).map((parts) => Buffer.from(parts.join(""))),
);

/** A line as its place in the file and its text. */
function told({ bytes, from, to, base }: Line): unknown {
  return { offset: base + from, text: bytes.toString("latin1", from, to) };
}

describe("LineSplitter", () => {
  test("cuts at 0x0A and nowhere else, and gives every byte back", () => {
    fc.assert(
      fc.property(anyFileArb, (bytes) => {
        const { lines, rest } = linesOf([bytes]);
        const text = [...lines, rest].map((line) => line.bytes.toString("latin1", line.from, line.to)).join("\n");
        expect(text).toBe(bytes.toString("latin1"));
      }),
    );
  });

  test("gives the same lines however the bytes are cut into chunks", () => {
    fc.assert(
      fc.property(
        anyFileArb.chain((bytes) => fc.tuple(fc.constant(bytes), splitsArb(bytes), fc.nat(1000))),
        ([bytes, chunks, start]) => {
          const whole = linesOf([bytes], start);
          const cut = linesOf(chunks, start);
          expect(cut.lines.map(told)).toEqual(whole.lines.map(told));
          expect(told(cut.rest)).toEqual(told(whole.rest));
        },
      ),
    );
  });

  test("tells where the line begins that is not finished", () => {
    const splitter = new LineSplitter(100);
    expect(splitter.lineStart).toBe(100);
    const chunk = Buffer.from("ab\ncd");
    expect(splitter.take(chunk, 0)?.next).toBe(3);
    expect(splitter.lineStart).toBe(103);
    expect(splitter.take(chunk, 3)).toBeNull();
    expect(splitter.lineStart).toBe(103);
    splitter.take(Buffer.from("e\n"), 0);
    expect(splitter.lineStart).toBe(107);
  });

  test("does not copy a line that lies within one chunk", () => {
    const chunk = Buffer.from("one\ntwo\n");
    const { lines } = linesOf([chunk]);
    expect(lines.map((line) => line.bytes === chunk)).toEqual([true, true]);
  });

  test("keeps only the length of a line of more than 64 MiB, and goes on behind it", () => {
    const splitter = new LineSplitter(0);
    const chunk = Buffer.alloc(16 * 1024 * 1024, "x");
    for (let i = 0; i < 4; i++) expect(splitter.take(chunk, 0)).toBeNull();
    const end = Buffer.from('yz\n{"a":1}\n');
    const long = splitter.take(end, 0)!;
    expect(long.line.bytes.length).toBeLessThan(1024);
    expect(itemsOf(long.line, false)).toEqual([
      { kind: "piece", offset: 0, length: MAX_LINE_BYTES + 2, reason: "too_long" },
    ]);
    const next = splitter.take(end, long.next)!;
    expect(itemsOf(next.line, false)).toMatchObject([{ kind: "value", offset: MAX_LINE_BYTES + 3, length: 7 }]);
  });
});
