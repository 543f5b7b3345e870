import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, compactJson } from "../../src/core/canonical.ts";
import { canonicalJson as referenceJson } from "../model/model.ts";

const valueArb = fc.jsonValue({ maxDepth: 4, stringUnit: "binary" });

/** The same value with the keys of every object the other way round. */
function reordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reordered);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reordered(member)]),
  );
}

function nested(depth: number): unknown {
  let value: unknown = [];
  for (let i = 1; i < depth; i++) value = i % 2 === 0 ? [value] : { in: value };
  return value;
}

describe("canonicalJson", () => {
  test("agrees with the reference", () => {
    fc.assert(
      fc.property(valueArb, (value) => {
        expect(canonicalJson(value)).toBe(referenceJson(value));
      }),
    );
  });

  test("is the same for a value that was written with other keys' order, spaces and escapes", () => {
    fc.assert(
      fc.property(valueArb, (value) => {
        const spelled = JSON.stringify(reordered(value), null, 2).replace(
          /[^\n -~]/g,
          (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
        );
        expect(canonicalJson(JSON.parse(spelled))).toBe(canonicalJson(JSON.parse(JSON.stringify(value))));
      }),
    );
  });

  test("is JSON of the value, with lone surrogates replaced", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test.each<[string, unknown, string]>([
    [
      "sorts keys by UTF-16 code units",
      { "\uff5e": 1, "😀": 2, b: 3, B: 4, "10": 5, "9": 6 },
      '{"10":5,"9":6,"B":4,"b":3,"😀":2,"\uff5e":1}',
    ],
    ["writes no spaces", JSON.parse('{ "a" : [ 1 , 2 ] }'), '{"a":[1,2]}'],
    ["writes numbers as JavaScript prints them", JSON.parse("[1.0, 1e21, 1E3, -0, 0.1e-6]"), "[1,1e+21,1000,0,1e-7]"],
    ["replaces lone surrogates in values and keys", { "\ud83d": "\ude00x" }, '{"\ufffd":"\ufffdx"}'],
    ["keeps surrogate pairs", "🦊", '"🦊"'],
    ["escapes what JSON must escape", 'a"\\\u0000\n', '"a\\"\\\\\\u0000\\n"'],
    ["leaves members out that are undefined", { a: undefined, b: 1 }, '{"b":1}'],
    ["writes empty containers", { a: {}, b: [] }, '{"a":{},"b":[]}'],
    [
      "writes a key named __proto__ like any other",
      JSON.parse('{"__proto__":{"z":1},"a":2}'),
      '{"__proto__":{"z":1},"a":2}',
    ],
  ])("%s", (_, value, expected) => {
    expect(canonicalJson(value)).toBe(expected);
  });

  test("omits the named key at the top and nowhere below", () => {
    const value = { parentUuid: "p", a: { parentUuid: "q" } };
    expect(canonicalJson(value, "parentUuid")).toBe('{"a":{"parentUuid":"q"}}');
    expect(canonicalJson({ parentUuid: "p" }, "parentUuid")).toBe("{}");
  });

  test("does not overflow the stack on 100,000 levels", () => {
    const deep = nested(100_000);
    const text = canonicalJson(deep);
    expect(text.length).toBe(50_000 * '{"in":}'.length + 50_000 * "[]".length);
    expect(text.startsWith('{"in":[{"in":[')).toBe(true);
    expect(text.endsWith("]}]}")).toBe(true);
  });
});

describe("compactJson", () => {
  test("is what JSON.stringify writes, keys in their own order", () => {
    fc.assert(
      fc.property(valueArb, (value) => {
        expect(compactJson(value)).toBe(JSON.stringify(value));
      }),
    );
  });

  test("does not overflow the stack on 100,000 levels", () => {
    expect(compactJson({ b: nested(100_000), a: 1 }).startsWith('{"b":{"in":[')).toBe(true);
  });

  test("is empty for undefined", () => {
    expect(compactJson(undefined)).toBe("");
  });
});
