import { inspect } from "node:util";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { RiffError } from "../../src/errors.ts";
import { Redaction } from "../../src/runtime/redaction.ts";
import { LOG_LEVELS } from "../../src/sync/logger.ts";
import { openLog } from "../support/log.ts";
import { removeScratch } from "../support/workbench.ts";

afterAll(removeScratch);

const SECRET = "Xq7-planted/s3cret%";
const SPEECH = "planted words that somebody said to Claude";

/** Each a way in which somebody may log what is not to be logged. */
const SLIPS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["a field", { password: SECRET }],
  ["a field with a prefix", { surrealdb_pass: SECRET, accessToken: SECRET, apiKey: SECRET, client_secret: SECRET }],
  ["headers", { headers: { Authorization: `Bearer ${SECRET}`, Cookie: SECRET } }],
  ["settings", { settings: { surrealdb: { user: "u", pass: SECRET } } }],
  ["a list of fields", { users: [{ name: "u", password: SECRET }] }],
  ["a map", { users: new Map([["pass", SECRET]]) }],
  ["a URL's password", { url: `wss://riffd:${encodeURIComponent(SECRET)}@store.example.org/rpc` }],
  ["an error's message", { error: new Error(`cannot reach ws://u:${encodeURIComponent(SECRET)}@h: refused`) }],
  ["an error's cause", { error: new Error("failed", { cause: new Error(`password=${SECRET}`) }) }],
  ["a RiffError's cause", { error: new RiffError("RIFF_STORE_IO", "m", "h", new Error(SECRET)) }],
  ["an error's members", { error: Object.assign(new Error("failed"), { config: { pass: SECRET }, query: SECRET }) }],
  ["a message's body", { message: { content: SPEECH, content_parts: [{ text: SPEECH }] } }],
  [
    "a line of a transcript",
    { line: JSON.stringify({ message: { content: SPEECH } }), raw: SPEECH, record: { SPEECH } },
  ],
  ["bytes", { bytes: Buffer.from(SPEECH), view: new TextEncoder().encode(SPEECH) }],
  ["an event's values", { event: { old_value: SPEECH, new_value: SPEECH } }],
];

describe.each(["json", "pretty"] as const)("a %s log at trace level", (format) => {
  test.each(SLIPS)("does not give away a secret in %s", (_, fields) => {
    const { logger, text } = openLog({ format });
    for (const level of LOG_LEVELS) logger[level](fields, "slipped");
    logger.child(fields).info({}, "slipped");
    expect(text().match(/slipped/g)).toHaveLength(LOG_LEVELS.length + 1);
    for (const planted of [SECRET, encodeURIComponent(SECRET), SPEECH]) {
      expect(text()).not.toContain(planted);
      expect(text()).not.toContain(JSON.stringify(planted).slice(1, -1));
      expect(text()).not.toContain(inspect([...Buffer.from(planted)].slice(0, 4)).slice(2, -2));
    }
  });

  test("does not give away a password that it knows, wherever it appears", () => {
    const { logger, text } = openLog({ format, secrets: [SECRET] });
    logger.info({ path: `/home/${SECRET}/x`, [SECRET]: 1, error: new Error(SECRET) }, `said ${SECRET} aloud`);
    logger.child({ about: encodeURIComponent(SECRET) }).info({}, "m");
    expect(text()).not.toContain(SECRET);
    expect(text()).not.toContain(encodeURIComponent(SECRET));
    expect(text()).toContain("aloud");
  });
});

describe("Redaction", () => {
  const redaction = new Redaction([]);

  test.each([
    ["wss://u:p%40ss@h:8000/rpc refused", "wss://[hidden]@h:8000/rpc refused"],
    ["https://u@h and http://a:b@c/d", "https://[hidden]@h and http://[hidden]@c/d"],
    ["Authorization: Bearer abcdef123456.xyz", "Authorization: Bearer [hidden]"],
    ["token eyJhbGciOi.eyJzdWIi.c2ln came", "token [hidden] came"],
    ["key sk-ant-REDACTED was used", "key [hidden] was used"],
    ["POST /rpc?token=abc123&x=1", "POST /rpc?token=[hidden]&x=1"],
    ['{"password":"abc"}', '{"password":"[hidden]"}'],
  ])("cleans %s", (text, expected) => {
    expect(redaction.text(text)).toBe(expected);
  });

  test.each([
    "/home/me/.claude/projects/-home-me-a/1b2c.jsonl",
    "rocksdb:///home/me/.local/share/riffd/store",
    "ws://127.0.0.1:8000/rpc",
    "3 sessions read, 2 tokens short; mail me@example.org",
  ])("leaves %s as it is", (text) => {
    expect(redaction.text(text)).toBe(text);
  });

  test("leaves numbers and truth, whatever their names", () => {
    const fields = { tokens: 12, record: 3, line: 7, password: null, isSecret: true, value: 0.5 };
    expect(redaction.fields(fields)).toEqual(fields);
  });

  test("leaves words that are too short to be told from others", () => {
    expect(new Redaction(["root", ""]).text("/root/.claude")).toBe("/root/.claude");
  });

  test("hides a known secret whole, also where another is the beginning of it", () => {
    const both = new Redaction(["secret-one", "secret-one-and-more"]);
    expect(both.text("a secret-one-and-more b secret-one")).toBe("a [hidden] b [hidden]");
  });

  test("cuts what is long, many or deep, and says that it did", () => {
    expect(redaction.text("x".repeat(5000))).toMatch(/^x{1000}… \(5000 characters\)$/);
    expect((redaction.fields({ list: Array(500).fill(1) }).list as unknown[]).at(-1)).toBe("… 450 more");
    const deep = JSON.parse(`${'{"a":'.repeat(200)}1${"}".repeat(200)}`);
    expect(JSON.stringify(redaction.fields(deep)).length).toBeLessThan(100);
  });

  test("shows no half of a secret where a text is cut", () => {
    const secret = "planted-secret-of-some-length";
    const known = new Redaction([secret]);
    for (let before = 900; before < 3100; before += 7) {
      expect(known.text(`${"x".repeat(before)}${secret}${"y".repeat(5000)}`)).not.toContain("planted");
      // What is hidden makes a text shorter, and so brings the place of the cut nearer.
      expect(known.text(`${secret.repeat(90)}${"x".repeat(before % 100)}${secret.repeat(900)}`)).not.toContain(
        "planted",
      );
    }
  });

  test("gives whatever it is given as JSON that is small and holds no known secret", () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string(),
          fc.anything({ withDate: true, withMap: true, withSet: true, withBigInt: true, withTypedArray: true }),
        ),
        fc.stringMatching(/^[A-Za-z]{8,20}$/),
        (fields, secret) => {
          const json = JSON.stringify(
            new Redaction([secret]).fields({ ...fields, a: { b: [`x${secret}y`] }, [secret]: 1 }),
          );
          expect(json).not.toContain(secret);
        },
      ),
    );
  });
});
