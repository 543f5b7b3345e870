import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { INCOMPLETE, INVALID, scannedBytes, scanObject } from "../../src/core/json-scan.ts";
import { jsonObjectAt } from "../model/json-prefix.ts";
import { mutatedArb } from "../support/mutations.ts";

/** JSON objects with odd spacing, escapes and numbers. */
const objectTextArb: fc.Arbitrary<string> = fc
  .record({
    value: fc.dictionary(fc.string({ unit: "binary", maxLength: 4 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }),
    indent: fc.constantFrom(0, 1, "\t"),
    spelled: fc.boolean(),
  })
  .map(({ value, indent, spelled }) => {
    const text = JSON.stringify(value, null, indent).replaceAll("\n", "\r");
    return spelled
      ? text.replace(/[^ -~\r\t]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      : text;
  });

const objectArb = objectTextArb.map((text) => Buffer.from(text));

/** Tokens of JSON and beginnings of them, in any order. */
const soupArb: fc.Arbitrary<Buffer> = fc
  .array(
    fc.constantFrom(
      ...'{|}|[|]|"|:|,|"a"|"a":|"\\|"\\u|"\\u00|"\\u00e|"\\u00e9"|"\\x"|"\t"|0|-|01|1.|1.5|1.5e|1e+|1e9|t|tru|true|nul|null|falsy| |\r'.split(
        "|",
      ),
      "\n",
      "\0",
      "é",
    ),
    { maxLength: 9 },
  )
  .map((tokens) => Buffer.from(`{${tokens.join("")}`));

const bytesArb = fc.oneof(objectArb, mutatedArb(objectArb), soupArb, mutatedArb(soupArb));

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether some bytes make a whole object of `text`: every way to end the token it breaks off in, then all brackets. */
function canBeCompleted(text: string): boolean {
  if (text === "") return true;
  if (!text.startsWith("{")) return false;
  const open: string[] = [];
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (inString) {
      if (char === "\\") i++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") open.push(char === "{" ? "}" : "]");
    else if (char === "}" || char === "]") open.pop();
  }
  const close = open.reverse().join("");
  const words = ["true", "false", "null"].flatMap((word) => [1, 2, 3, 4, 5].map((n) => word.slice(n)));
  const tokenEnds = ["", "0", '"', 'n"', '0"', '00"', '000"', '0000"', '""', "}", "]", ...words];
  const followers = ["", ":0", "0"];
  return tokenEnds.some((end) => followers.some((follower) => parses(text + end + follower + close)));
}

describe("scanObject", () => {
  test("finds the end of exactly what JSON.parse accepts", () => {
    fc.assert(
      fc.property(bytesArb, (bytes) => {
        const end = scanObject(bytes, 0, bytes.length);
        if (end > 0) expect(parses(bytes.toString("utf8", 0, end))).toBe(true);
        if (bytes[0] === 0x7b && bytes[bytes.length - 1] === 0x7d && parses(bytes.toString()))
          expect(end).toBe(bytes.length);
      }),
      { numRuns: 2000 },
    );
  });

  test("tells INCOMPLETE exactly where more bytes could make the object whole", () => {
    fc.assert(
      fc.property(bytesArb, (bytes) => {
        const result = scanObject(bytes, 0, bytes.length);
        if (result > 0) return;
        expect(result).toBe(canBeCompleted(bytes.toString()) ? INCOMPLETE : INVALID);
      }),
      { numRuns: 2000 },
    );
  });

  test("tells the same as the reference, wherever the object stands", () => {
    fc.assert(
      fc.property(
        bytesArb,
        fc.uint8Array({ maxLength: 3 }),
        fc.uint8Array({ maxLength: 3 }),
        (bytes, before, after) => {
          const buffer = Buffer.concat([before, bytes, after]);
          const end = before.length + bytes.length;
          const expected = jsonObjectAt(buffer, before.length, end);
          const told = scanObject(buffer, before.length, end);
          expect(told === INVALID ? "invalid" : told === INCOMPLETE ? "incomplete" : { end: told }).toEqual(expected);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("tells INCOMPLETE for every proper beginning of a whole object", () => {
    fc.assert(
      fc.property(objectArb, (bytes) => {
        for (let end = 1; end < bytes.length; end++) expect(scanObject(bytes, 0, end)).toBe(INCOMPLETE);
      }),
    );
  });

  test.each<[string, string | Buffer, number]>([
    ["an empty range could still become an object", "", INCOMPLETE],
    ["a list is no object", "[1]", INVALID],
    ["whitespace is not skipped before an object", " {}", INVALID],
    ["what follows the object is not looked at", "{}{", 2],
    ["a trailing comma is refused", '{"a":1,}', INVALID],
    ["a key without quotes is refused", "{a:1}", INVALID],
    ["a leading zero is refused", '{"a":01}', INVALID],
    ["a number may end at the end of the range", '{"a":1', INCOMPLETE],
    ["a tab inside a string is refused", '{"a":"\t"}', INVALID],
    ["DEL inside a string is accepted", '{"a":"\x7f"}', 9],
    ["bytes that are not UTF-8 are accepted inside a string", Buffer.from('{"a":"\xff\xc3"}', "latin1"), 10],
    ["a character cut by the end of a string does not swallow the quote", Buffer.from('{"\xf0\x9f":1}', "latin1"), 8],
    ["bytes that are not UTF-8 are refused outside of strings", Buffer.from('{\xff"a":1}', "latin1"), INVALID],
    ["a lone surrogate escape is accepted", '{"a":"\\ud83d"}', 14],
    ["NUL is refused outside of strings", '{"a":\x001}', INVALID],
    ["a bracket of the other kind is refused", '{"a":[}', INVALID],
  ])("%s", (_, text, expected) => {
    const bytes = Buffer.from(text as string);
    expect(scanObject(bytes, 0, bytes.length)).toBe(expected);
  });

  test("follows nesting of any depth without the call stack", () => {
    const depth = 300_000;
    const bytes = Buffer.from(`${'{"a":['.repeat(depth)}${"]}".repeat(depth)}`);
    expect(scanObject(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(scanObject(bytes, 0, bytes.length - 1)).toBe(INCOMPLETE);
  });

  test("looks at no byte twice, and at none outside the range", () => {
    fc.assert(
      fc.property(bytesArb, (bytes) => {
        const result = scanObject(bytes, 0, bytes.length);
        expect(scannedBytes).toBeGreaterThan(0);
        expect(scannedBytes).toBeLessThanOrEqual(bytes.length + 1);
        if (result > 0) expect(scannedBytes).toBeGreaterThanOrEqual(result);
      }),
    );
  });
});
