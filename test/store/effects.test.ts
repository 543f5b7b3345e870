// What counts as more than reading, and that nothing the engine would run is hidden from that judgement.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { findEffect } from "../../src/store/effects.ts";
import { emptyDatabase, removeScratch } from "../support/workbench.ts";

afterAll(removeScratch);

const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 500);

describe("findEffect", () => {
  test.each([
    "SELECT * FROM session",
    "SELECT * FROM commit:['s', NONE]..['s', ..] ORDER BY n; RETURN commit:1",
    "SELECT * FROM message WHERE content CONTAINS 'DELETE me' -- UPDATE later\n AND created_at > d'2026-01-01T00:00:00Z'",
    'SELECT "it\\"s; DELETE session" AS x FROM session # DEFINE\n',
    "SELECT `delete`, ⟨create⟩ FROM session /* REMOVE TABLE session; ' */",
    "RETURN { update: 1, delete: { create : 2 } }.update",
    "RETURN array::remove([1, 2], 0); RETURN [1].insert(2, 0); RETURN array::insert([1], 2)",
    "LET $create = 1; RETURN $create",
    "SELECT updated_at, created, deletes, option, live, access, use, begin FROM session",
    "RETURN cut_off_count / conversation_count",
    "USE DB other; SELECT * FROM session; LET $x = 1; INFO FOR DB; SLEEP 1ms; THROW 'x'",
    "RETURN fn::content(message:1)",
    "",
  ])("takes %s for reading", (text) => {
    expect(findEffect(text)).toBeNull();
  });

  test("takes every documented query for reading", () => {
    const page = readFileSync(new URL("../../docs/querying.md", import.meta.url), "utf8");
    for (const [, text] of page.matchAll(/```surql\n([^`]+)\n```/g))
      expect([text, findEffect(text!)]).toEqual([text, null]);
  });

  test.each([
    ["writes (CREATE)", "CREATE host:1"],
    ["writes (DELETE)", "SELECT 1; delete session"],
    ["writes (UPDATE)", "SELECT * FROM (UPDATE session SET title = 'x')"],
    ["writes (UPSERT)", "RETURN UpSeRt session:1"],
    ["writes (INSERT)", "LET $x = INSERT INTO host {}"],
    ["writes (RELATE)", "RELATE host:1->knows->host:2"],
    ["writes (DEFINE)", "RETURN 1..DEFINE INDEX i ON message FIELDS role CONCURRENTLY"],
    ["writes (REBUILD)", "IF true THEN REBUILD INDEX message_uuid_idx ON message END"],
    ["writes (REMOVE)", "/* ' */ REMOVE TABLE message /* ' */"],
    ["writes (REMOVE)", "/* /* */ REMOVE TABLE message"],
    ["writes (ALTER)", "-- '\u2028 ALTER SYSTEM COMPACT -- '"],
    ["writes (DEFINE)", "RETURN 'a' = /'/; DEFINE INDEX i ON message FIELDS role; RETURN /'/"],
    ["writes (DEFINE)", "RETURN /--/; DEFINE INDEX i ON message FIELDS role"],
    ["writes (DEFINE)", "RETURN 'a\\\\'; DEFINE TABLE b; RETURN '\\\\'"],
    ["writes (DELETE)", "RETURN `a\\``; DELETE session; RETURN ``"],
    ["calls sequence::, whose effects cannot be undone", "RETURN sequence::nextval('s')"],
    ["calls sequence::, whose effects cannot be undone", "RETURN Sequence /* */ :: `nextval`('s')"],
    ["calls sequence::, whose effects cannot be undone", "RETURN `sequence`::nextval('s')"],
    ["calls http::, whose effects cannot be undone", "RETURN http::post('https://example.org', {})"],
    ["runs a script", "RETURN function() { return '}'; }"],
    ["has a statement COMMIT", "SELECT 1; COMMIT; SELECT 2"],
    ["has a statement BEGIN", "BEGIN TRANSACTION; SELECT 1"],
    ["has a statement CANCEL", " /* */ CANCEL"],
    ["has a statement OPTION", "OPTION IMPORT; SELECT 1"],
    ["has a statement LIVE", "LIVE SELECT * FROM message"],
  ])("tells that it %s: %s", (effect, text) => {
    expect(findEffect(text)).toBe(effect);
  });

  test("takes a text of any size, in time linear in it", () => {
    const long = `RETURN '${"it\\'s ".repeat(500_000)}' /* ${"*".repeat(1_000_000)} */`;
    expect(findEffect(long)).toBeNull();
    expect(findEffect(`${long}; DELETE session`)).toBe("writes (DELETE)");
    expect(findEffect(`RETURN '${"\\'".repeat(1_000_000)}`)).toBeNull();
  });

  test("misses no definition that the engine would make, however it is wrapped", async () => {
    const { db } = await emptyDatabase();
    const define = "DEFINE TABLE IF NOT EXISTS marker";
    // Every way to write something that is no code, around pieces that would begin or end another: whoever mistakes one
    // for the other takes the definition between them for a text, a name or a comment.
    const piece = fc.constantFrom(..."' ' \" ` ⟨ ⟩ \\' \\' \\\\ -- /* */ / x".split(" "));
    const end = fc.constantFrom("\n", "\r", "\u2028", "\u2029", "\u0085", "\v\n");
    const wraps = [
      "RETURN 'A';",
      'RETURN "A";',
      "RETURN `A`;",
      "LET $⟨A⟩ = 1;",
      "RETURN 'x' = /A/;",
      "/* A */",
      "/*A/*/",
    ];
    const wrapped = fc
      .record({
        wrap: fc.constantFrom(...wraps, "--A\n", "# A\n", "//A\n"),
        pieces: fc.array(piece, { minLength: 1, maxLength: 2 }),
        end,
      })
      .map(({ wrap, pieces, end }) => wrap.replace("A", () => pieces.join("")).replace("\n", end));
    const around = fc.array(wrapped, { maxLength: 2 });
    let defined = 0;
    await fc.assert(
      fc.asyncProperty(around, around, async (before, after) => {
        const text = [...before, `${define};`, ...after].join(" ");
        const transaction = await db.beginTransaction();
        try {
          await transaction.query(text).responses();
          const [info] = await transaction.query<[{ tables: object }]>("INFO FOR DB").collect();
          if (!("marker" in info.tables)) return;
          defined++;
          expect(findEffect(text)).not.toBeNull();
        } catch (error) {
          if (error instanceof Error && error.name === "AssertionError") throw error;
        } finally {
          await transaction.cancel();
        }
      }),
      { numRuns: RUNS },
    );
    expect(defined).toBeGreaterThan(RUNS / 4);
  });
});
