import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  EMPTY_HASH,
  extendFingerprint,
  extendSessionHash,
  hashString,
  lowHalf,
  sha256Hex,
  xxh64Hex,
} from "../../src/core/hash.ts";

const linkArb = fc.record({
  uuid: fc.string({ unit: "binary", minLength: 1, maxLength: 50 }).map((text) => text.toWellFormed()),
  parent: fc.option(fc.string({ unit: "grapheme", minLength: 1, maxLength: 50 })),
  digest: fc.stringMatching(/^[0-9a-f]{16}$/),
});

describe("xxh64Hex", () => {
  test.each([
    ["", "ef46db3751d8e999"],
    ["a", "d24ec4f1a98c6e5b"],
    ["abc", "44bc2cf5ad770999"],
  ])("of %j is the published value", (text, expected) => {
    expect(xxh64Hex(Buffer.from(text))).toBe(expected);
  });

  test("always has 16 digits", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(xxh64Hex(bytes)).toMatch(/^[0-9a-f]{16}$/);
      }),
    );
  });
});

describe("sha256Hex", () => {
  test("is the same for a text and for its UTF-8", () => {
    expect(sha256Hex("歯")).toBe(sha256Hex(Buffer.from("歯")));
    expect(sha256Hex("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });
});

describe("extendSessionHash", () => {
  test("is built as written down: hash before, uuid, 0, parent, 0, digest", () => {
    fc.assert(
      fc.property(fc.array(linkArb, { maxLength: 6 }), (links) => {
        let expected = EMPTY_HASH;
        let extended = EMPTY_HASH;
        for (const { uuid, parent, digest } of links) {
          expected = xxh64Hex(
            Buffer.concat([Buffer.from(expected, "hex"), Buffer.from(`${uuid}\0${parent ?? ""}\0${digest}`)]),
          );
          extended = extendSessionHash(extended, uuid, parent, digest);
        }
        expect(extended).toBe(expected);
      }),
    );
  });

  test("of an append is that of all from scratch", () => {
    fc.assert(
      fc.property(fc.array(linkArb, { maxLength: 8 }), fc.nat(8), (links, cut) => {
        const over = (hash: string, part: typeof links) =>
          part.reduce((h, { uuid, parent, digest }) => extendSessionHash(h, uuid, parent, digest), hash);
        expect(over(over(EMPTY_HASH, links.slice(0, cut)), links.slice(cut))).toBe(over(EMPTY_HASH, links));
      }),
    );
  });

  test("tells order, parents and contents apart", () => {
    const a = extendSessionHash(EMPTY_HASH, "a", null, "0".repeat(16));
    const hashes = [
      a,
      extendSessionHash(EMPTY_HASH, "a", "b", "0".repeat(16)),
      extendSessionHash(EMPTY_HASH, "a", null, "1".repeat(16)),
      extendSessionHash(EMPTY_HASH, "ab", null, "0".repeat(16)),
      extendSessionHash(a, "b", "a", "0".repeat(16)),
      extendSessionHash(extendSessionHash(EMPTY_HASH, "b", "a", "0".repeat(16)), "a", null, "0".repeat(16)),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test("takes uuids longer than its buffer", () => {
    const long = "é".repeat(5000);
    const expected = xxh64Hex(Buffer.concat([Buffer.alloc(8), Buffer.from(`${long}\0${long}\0${"a".repeat(16)}`)]));
    expect(extendSessionHash(EMPTY_HASH, long, long, "a".repeat(16))).toBe(expected);
  });
});

describe("extendFingerprint", () => {
  test("chains the segments' hashes in order", () => {
    const one = xxh64Hex(Buffer.from("one"));
    const two = xxh64Hex(Buffer.from("two"));
    const chained = extendFingerprint(extendFingerprint(EMPTY_HASH, one), two);
    expect(chained).toBe(xxh64Hex(Buffer.from(xxh64Hex(Buffer.from(EMPTY_HASH + one, "hex")) + two, "hex")));
    expect(chained).not.toBe(extendFingerprint(extendFingerprint(EMPTY_HASH, two), one));
  });
});

describe("hashString", () => {
  test("has no collision among 200,000 uuids that differ in little", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 200_000; i++) {
      const high = hashString(`a0000000-0000-4000-8000-${i.toString(16).padStart(12, "0")}`);
      seen.add(`${high} ${lowHalf()}`);
    }
    expect(seen.size).toBe(200_000);
  });
});
