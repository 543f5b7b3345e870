import fc from "fast-check";
import type { Surreal } from "surrealdb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toJson, toPlainText, toSurrealQl } from "../../src/store/values.ts";
import { emptyDatabase, removeScratch } from "../support/workbench.ts";

afterAll(removeScratch);

let db: Surreal;
beforeAll(async () => {
  ({ db } = await emptyDatabase());
});

async function value(expression: string): Promise<unknown> {
  const [result] = await db.query(`RETURN ${expression}`).collect();
  return result;
}

describe("a value of the database", () => {
  test.each<[string, unknown, string]>([
    ["NONE", null, "NONE"],
    ["NULL", null, "NULL"],
    ["true", true, "true"],
    ["1.5", 1.5, "1.5"],
    ["9007199254740993", "9007199254740993", "9007199254740993"],
    ["0f/0", "NaN", "NaN"],
    ["1.25dec", "1.25", "1.25dec"],
    ['"it\'s"', "it's", "'it\\'s'"],
    ["'a\\nb\\\\c'", "a\nb\\c", "'a\\nb\\\\c'"],
    ["session:⟨5e55-1⟩", "session:⟨5e55-1⟩", "session:⟨5e55-1⟩"],
    ["session:plain", "session:plain", "session:plain"],
    ["message:['5e55-1', 2, 84]", "message:['5e55-1', 2, 84]", "message:['5e55-1', 2, 84]"],
    ["host:{ a: [1] }", "host:{ a: [1] }", "host:{ a: [1] }"],
    ["d'2026-01-02T03:04:05.123456789Z'", "2026-01-02T03:04:05.123456789Z", 'd"2026-01-02T03:04:05.123456789Z"'],
    ["1h30m", "1h30m", "1h30m"],
    [
      "u'018f8b3a-1c1d-7e6a-8f0a-1234567890ab'",
      "018f8b3a-1c1d-7e6a-8f0a-1234567890ab",
      'u"018f8b3a-1c1d-7e6a-8f0a-1234567890ab"',
    ],
    ["<bytes>'gear'", "Z2Vhcg==", 'b"67656172"'],
    ["[1, NONE, 'x']", [1, null, "x"], "[1, NONE, 'x']"],
    ["{ a: NONE, b: { 'c d': session:x } }", { b: { "c d": "session:x" } }, "{ a: NONE, b: { 'c d': session:x } }"],
    ["{}", {}, "{}"],
    ["(1.5, 2)", { type: "Point", coordinates: [1.5, 2] }, "{ type: 'Point', coordinates: [1.5, 2] }"],
    ["1..5", "1..5", "1..5"],
    ["{1, 2}", [1, 2], "[1, 2]"],
  ])("%s is readable as JSON and as SurrealQL", async (expression, json, surrealQl) => {
    const got = await value(expression);
    expect(JSON.parse(JSON.stringify(toJson(got)))).toEqual(json);
    if (expression.startsWith("(")) return; // a geometry is written as the engine does
    expect(toSurrealQl(got)).toBe(surrealQl);
  });

  test("as SurrealQL is that value again", async () => {
    const leaf = fc.oneof(
      fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
    );
    const tree = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: "small" }, leaf, fc.array(tie("value"), { maxLength: 3 }), tie("object")),
      object: fc.dictionary(
        fc.string({ maxLength: 5 }).filter((key) => key !== "" && key !== "__proto__"),
        tie("value"),
        { maxKeys: 3 },
      ),
    })).value;
    await fc.assert(
      fc.asyncProperty(tree, async (given) => {
        expect(toJson(await value(toSurrealQl(given)))).toEqual(toJson(given));
      }),
      { numRuns: 200 },
    );
  });
});

describe("for people", () => {
  test("a text has no quotes and keeps its lines, but a terminal takes no command from it", () => {
    expect(toPlainText("a\n\tb")).toBe("a\n\tb");
    expect(toPlainText("\u001b[2J\u0007\u009b31m")).toBe("\\u{1b}[2J\\u{7}\\u{9b}31m");
    expect(toPlainText({ text: "\u001b]0;x" })).toBe("{ text: '\\u{1b}]0;x' }");
  });

  test("times and ids stand as they are, and can be copied", async () => {
    expect(toPlainText(await value("d'2026-01-02T03:04:05Z'"))).toBe("2026-01-02T03:04:05.000Z");
    expect(toPlainText(await value("session:⟨a-b⟩"))).toBe("session:⟨a-b⟩");
    expect(toPlainText(await value("<bytes>'gear'"))).toBe('b"67656172"');
    expect(toPlainText(undefined)).toBe("NONE");
  });
});
