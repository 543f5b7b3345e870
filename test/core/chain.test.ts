import { describe, expect, test } from "vitest";
import { CHAIN_START, commitHash, eventsDigest, RowsDigest } from "../../src/core/chain.ts";
import { sha256Hex } from "../../src/core/hash.ts";

const commit = { n: 1, kind: "import", time: new Date("2025-06-01T12:00:00.007Z"), previous: CHAIN_START, hash: "" };

describe("commitHash", () => {
  test("is SHA-256 over the canonical commit without its own hash, times as ISO 8601", () => {
    const text = `{"kind":"import","n":1,"previous":"${CHAIN_START}","session_id":"s","time":"2025-06-01T12:00:00.007Z"}`;
    expect(commitHash("s", commit)).toBe(sha256Hex(text));
  });

  test("does not depend on the order of columns, nor on the hash that stands in the row", () => {
    const shuffled = Object.fromEntries(Object.entries({ ...commit, hash: "ab" }).reverse());
    expect(commitHash("s", shuffled)).toBe(commitHash("s", commit));
  });

  test.each<[string, object]>([
    ["its number", { n: 2 }],
    ["its time by a millisecond", { time: new Date("2025-06-01T12:00:00.008Z") }],
    ["the hash of the one before", { previous: CHAIN_START.replace("0", "1") }],
    ["a column more", { operator: "mallory" }],
  ])("changes with %s", (_, change) => {
    expect(commitHash("s", { ...commit, ...change })).not.toBe(commitHash("s", commit));
  });
});

test("a chain cannot stand for another session", () => {
  expect(commitHash("other", commit)).not.toBe(commitHash("s", commit));
});

describe("eventsDigest", () => {
  const first = { n: 1, event_type: "message_added", timestamp: new Date(0), old_value: null };
  const second = { n: 2, event_type: "message_removed", timestamp: new Date(0), old_value: "ab" };

  test("is empty without events", () => {
    expect(eventsDigest([])).toBe("");
  });

  test("is SHA-256 over the canonical events, one a line", () => {
    const lines = [
      '{"event_type":"message_added","n":1,"old_value":null,"timestamp":"1970-01-01T00:00:00.000Z"}',
      '{"event_type":"message_removed","n":2,"old_value":"ab","timestamp":"1970-01-01T00:00:00.000Z"}',
    ];
    expect(eventsDigest([first, second])).toBe(sha256Hex(lines.join("\n")));
  });

  test("covers every event, in order", () => {
    const digests = [[first], [second], [first, second], [second, first], [{ ...first, old_value: "x" }]].map(
      eventsDigest,
    );
    expect(new Set(digests).size).toBe(digests.length);
    for (const digest of digests) expect(digest).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("RowsDigest", () => {
  test("is empty where nothing was added", () => {
    const digest = new RowsDigest();
    expect(digest.count).toBe(0);
    expect(digest.finish()).toBe("");
  });

  test("is SHA-256 over one line for each row", () => {
    const digest = new RowsDigest();
    digest.add("message", 0, 10, "aa");
    digest.add("record", 11, 20, "bb");
    expect(digest.count).toBe(2);
    expect(digest.finish()).toBe(sha256Hex("message 0 10 aa\nrecord 11 20 bb\n"));
  });
});
