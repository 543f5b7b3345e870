import { DateTime, RecordId } from "surrealdb";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { xxh64Hex } from "../../src/core/hash.ts";
import { replaceIn, skeletonAt } from "../../src/core/skeleton.ts";
import type { DbRow } from "../../src/store/rows.ts";
import { run } from "../../src/store/transaction.ts";
import { forgetIn } from "../../src/sync/forget.ts";
import { encodeSegment } from "../../src/sync/segment-codec.ts";
import { SESSION_TABLES } from "../../src/verify/reader.ts";
import { chain, jsonl, uuid } from "../support/builders.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const FIRST = chain(6);
const offsetIn = (index: number) => jsonl(...chain(index)).length;
/** The third message was forgotten. */
const GONE = offsetIn(2);

let bench: Workbench;
/** The first segment, as it was before something of it was destroyed. */
let before: DbRow;
let untouched: Map<string, DbRow[]>;

/** `gear`: six messages, then two more; one of them was forgotten. `spoke`: forgotten as a whole. */
beforeAll(async () => {
  bench = await Workbench.create();
  bench.write("-p/gear.jsonl", jsonl(...FIRST));
  bench.write("-p/spoke.jsonl", jsonl(...chain(3, { from: 50 }), "{torn"));
  await bench.sync();
  bench.write("-p/gear.jsonl", jsonl(...chain(8)));
  await bench.sync();
  before = await rowOf(new RecordId("source_segment", ["gear", 1, 0]));
  await forgetIn(bench.context, "gear", { messages: new Set([uuid(3)]), reason: "a leak" });
  await forgetIn(bench.context, "spoke", { messages: null, reason: "a wish" });
  untouched = await readTables();
});

afterEach(async () => {
  for (const [table, rows] of untouched) await alter(`DELETE ${table}; INSERT INTO ${table} $rows`, { rows });
});

const problems = async () => (await verifyAll(bench)).problems;

/** Writes past the events and the types of the schema. */
async function alter(text: string, parameters: Record<string, unknown> = {}): Promise<void> {
  await run(bench.store.db, `OPTION IMPORT; ${text}`, parameters);
}

async function readTables(): Promise<Map<string, DbRow[]>> {
  const tables = new Map<string, DbRow[]>();
  for (const table of [...SESSION_TABLES, "not_again", "session", "source"]) {
    const [rows] = await run<[DbRow[]]>(bench.store.db, `SELECT * FROM ${table}`);
    tables.set(table, rows);
  }
  return tables;
}

async function rowOf(id: RecordId): Promise<DbRow> {
  const [row] = await run<[DbRow]>(bench.store.db, "SELECT * FROM ONLY $id", { id });
  return row;
}

async function archived(): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of bench.store.readArchive("gear", 1, 0, jsonl(...FIRST).length)) parts.push(chunk);
  return Buffer.concat(parts);
}

test("a store in which something was forgotten is what riffd wrote, and says who forgot what and why", async () => {
  const { problems: found, notes } = await verifyAll(bench);
  expect(found).toEqual([]);
  expect(notes).toEqual([
    expect.stringMatching(/^1 of its messages forgotten by test at 2.*Z: a leak$/),
    expect.stringMatching(/^the whole session forgotten by test at 2.*Z: a wish$/),
  ]);
});

describe("a tombstone", () => {
  const at = new RecordId("forgotten", ["gear", 1, GONE]);

  test("that was taken away is missed by the commit that wrote it", async () => {
    await alter("DELETE $id", { id: at });
    expect((await problems())[0]).toContain("gear: commit 3: its tombstones should be 1, but is 0");
  });

  test("that was added is one too many", async () => {
    const { id: _, ...row } = await rowOf(at);
    await alter("CREATE $id CONTENT $row", { id: new RecordId("forgotten", ["gear", 1, 0]), row });
    expect((await problems())[0]).toContain("gear: commit 3: its tombstones should be 1, but is 2");
    await alter("UPDATE $id SET commit = 2", { id: new RecordId("forgotten", ["gear", 1, 0]) });
    expect((await problems())[0]).toContain("gear: the tombstone at offset 0 of generation 1 was written by no commit");
  });

  test("of a session that is not in the store is told", async () => {
    await alter("INSERT INTO forgotten { id: ['lost', 1, 0] }");
    expect(await problems()).toEqual(['forgotten:["lost",1,0] belongs to no session in the store']);
  });

  for (const [column, value] of [
    ["length", 7],
    ["kind", "record"],
    ["digest", "0123456789abcdef"],
    ["message_uuid", uuid(4)],
    ["scope", "session"],
    ["session_id", "spoke"],
    ["commit", 1],
  ] as const) {
    test(`with another ${column} is named`, async () => {
      await alter(`UPDATE $id SET ${column} = $value`, { id: at, value });
      expect((await problems())[0]).toMatch(/^gear: .*tombstone/);
    });
  }
});

describe("what is left of forgotten bytes", () => {
  test("cannot be undone by putting the old segment back", async () => {
    const { id, ...row } = before;
    await alter("UPDATE $id CONTENT $row", { id, row });
    expect(await problems()).toEqual([
      expect.stringMatching(
        /^gear: the bytes 0 to \d+ of generation 1 are not what commit 1 wrote: the SHA-256 is another/,
      ),
    ]);
  });

  test("cannot be altered, though the segment's hash fits", async () => {
    const bytes = Buffer.from((await archived()).toString().replace('"forgotten":true', '"forgotten":null'));
    await replaceFirst(bytes);
    expect((await problems())[0]).toContain("are not what commit 1 wrote: the SHA-256 is another");
  });

  test("cannot grow: another value made a skeleton is not what the commits say", async () => {
    const bytes = await archived();
    const [from, to] = [offsetIn(3), offsetIn(4) - 1];
    await replaceFirst(replaceIn(bytes, 0, [skeletonAt(from, bytes.subarray(from, to))]));
    await alter("UPDATE $id SET content = '', content_kind = 'none'", {
      id: new RecordId("message", ["gear", 1, from]),
    });
    expect((await problems())[0]).toContain("are not what commit 1 wrote: the SHA-256 is another");
  });

  test("and a row that says more than they do is named", async () => {
    await alter("UPDATE $id SET content = 'prompt 3'", { id: new RecordId("message", ["gear", 1, GONE]) });
    expect(await problems()).toEqual([
      `gear: the message at offset ${GONE} of generation 1: content should be "", but is "prompt 3"`,
    ]);
  });

  test("and a segment whose hash of what is stored was altered or removed is named", async () => {
    for (const value of ["0123456789abcdef", undefined]) {
      await alter("UPDATE source_segment:['gear', 1, 0] SET stored_hash = $value", { value });
      expect((await problems())[0]).toContain("at offset 0 (");
    }
  });

  /** The first segment with other bytes, which fit its hash. */
  async function replaceFirst(bytes: Buffer): Promise<void> {
    const { data, codec } = encodeSegment(0, bytes, Buffer.alloc(0), 0);
    await alter("UPDATE source_segment:['gear', 1, 0] SET data = $data, codec = $codec, stored_hash = $hash", {
      data,
      codec,
      hash: xxh64Hex(bytes),
    });
  }
});

describe("that it is not taken in again", () => {
  test("cannot be taken back", async () => {
    await alter("DELETE not_again:['message', $uuid]", { uuid: uuid(3) });
    expect((await problems())[0]).toContain("was forgotten, but would be taken in again");
    await alter("DELETE not_again");
    expect((await problems())[1]).toBe("spoke: the session was forgotten, but its file would be read again");
  });

  test("cannot be said of what nobody forgot", async () => {
    await alter("INSERT INTO not_again { id: ['message', $uuid] }; INSERT INTO not_again { id: ['session', 'gear'] }", {
      uuid: uuid(4),
    });
    expect(await problems()).toEqual([
      `the message "${uuid(4)}" is not taken in again, but no tombstone says that it was forgotten`,
      'the session "gear" is not read again, but was not forgotten',
    ]);
  });
});

describe("the session's row", () => {
  for (const [session, change] of [
    ["spoke", "forgotten_at = NONE"],
    ["spoke", "forgotten_count = 3"],
    ["spoke", "title = 'x'"],
    ["gear", "forgotten_at = $time"],
    ["gear", "forgotten_count = NONE"],
  ]) {
    test(`of ${session} with ${change} is named`, async () => {
      await alter(`UPDATE session:${session} SET ${change}`, { time: new DateTime() });
      expect((await problems())[0]).toContain(`${session}: the session's row: ${change!.split(" ")[0]} should be`);
    });
  }
});

describe("a commit that forgot", () => {
  test("hashes why, and what it left", async () => {
    await alter("UPDATE commit:['gear', 3] SET forgetting.reason = 'no reason'");
    expect((await problems())[0]).toContain("gear: commit 3: its hash is");
  });
});

describe("segments", () => {
  for (const [name, statement] of [
    ["a change", "UPDATE source_segment:['gear', 1, 0] SET data = <bytes>''"],
    ["a deletion", "DELETE source_segment:['gear', 1, 0]"],
    [
      "a change in a transaction that commits something else",
      "BEGIN; CREATE commit:['gear', 4] CONTENT $other; UPDATE source_segment:['gear', 1, 0] SET data = <bytes>''; COMMIT",
    ],
    [
      "a change of what the file held, even in one that forgets",
      "BEGIN; CREATE commit:['gear', 4] CONTENT $forgets; UPDATE source_segment:['gear', 1, 0] SET hash = 'x'; COMMIT",
    ],
    [
      "a deletion, even in one that forgets",
      "BEGIN; CREATE commit:['gear', 4] CONTENT $forgets; DELETE source_segment:['gear', 1, 0]; COMMIT",
    ],
  ] as const) {
    test(`refuse ${name}`, async () => {
      const { id: _, ...forgets } = await rowOf(new RecordId("commit", ["gear", 3]));
      const other = { ...forgets, kind: "verdicts" };
      await expect(run(bench.store.db, statement, { forgets, other })).rejects.toThrow("source_segment is append-only");
    });
  }
});

describe("the file", () => {
  test("is compared but for what was forgotten", async () => {
    const bytes = jsonl(...chain(8));
    const at = bytes.indexOf("answer 2");
    bytes[at] = "A".charCodeAt(0);
    bench.write("-p/gear.jsonl", bytes);
    const { problems: found, notes } = await verifyAll(bench);
    expect(found).toEqual([]);
    expect(notes[1]).toContain(`other bytes than the archive from offset ${at} on`);
    bench.write("-p/gear.jsonl", jsonl(...chain(8)));
  });

  test("of a session that was forgotten is not compared at all", async () => {
    bench.write("-p/spoke.jsonl", jsonl(...chain(1)));
    expect((await verifyAll(bench)).notes).toHaveLength(2);
  });
});
