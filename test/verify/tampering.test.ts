import { DateTime, RecordId } from "surrealdb";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { commitHash, eventsDigest } from "../../src/core/chain.ts";
import { sha256Hex, xxh64Hex } from "../../src/core/hash.ts";
import { commitToDb, type DbRow } from "../../src/store/rows.ts";
import { run } from "../../src/store/transaction.ts";
import { encodeSegment } from "../../src/sync/segment-codec.ts";
import { type CommitRow, type EventRow, MAX_CONTENT_CHARS } from "../../src/sync/store.ts";
import { SESSION_TABLES } from "../../src/verify/reader.ts";
import { assistantMessage, chain, type Json, jsonl, summary, userMessage, uuid } from "../support/builders.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const FIRST = chain(6);
/** Offset of the value with this number, counted from 0, in a file of one value a line. */
const offsetIn = (values: readonly Json[], index: number) => jsonl(...values.slice(0, index)).length;

const FEED_TABLES = ["feed", "feed_head", "feed_waiting"];

let bench: Workbench;
let path: string;
/** All rows, by table, as they were before a test. */
let untouched: Map<string, DbRow[]>;

/**
 * `gear`: six messages imported, then two appended at once (events 1 and 2, commit 2), then one (event 3, commit 3).
 * `spoke`: rewritten without its second message, so it has a second generation and a row of what vanished.
 * `torn`: a side record, unreadable bytes, and a message whose parent is nowhere.
 */
beforeAll(async () => {
  bench = await Workbench.create();
  path = bench.write("-p/gear.jsonl", jsonl(...FIRST));
  bench.write("-p/spoke.jsonl", jsonl(...chain(3, { from: 50 })));
  const [head, orphan] = [
    userMessage({ uuid: uuid(80) }),
    assistantMessage({ uuid: uuid(81), parent: "b0000000-0000-4000-8000-000000000000" }),
  ];
  bench.write("-p/torn.jsonl", jsonl(head, summary({ leaf: uuid(80) }), '{"torn', orphan));
  await bench.sync();
  bench.write("-p/gear.jsonl", jsonl(...chain(8)));
  const [kept, , changed] = chain(3, { from: 50 });
  bench.write("-p/spoke.jsonl", jsonl(kept!, { ...changed!, parentUuid: uuid(50) }));
  await bench.sync();
  bench.write("-p/gear.jsonl", jsonl(...chain(9)));
  await bench.store.feed.latest();
  await bench.sync();
  untouched = await readTables();
});

afterEach(async () => {
  for (const [table, rows] of untouched) await alter(`DELETE ${table}; INSERT INTO ${table} $rows`, { rows });
});

test("a store that nobody touched is what riffd wrote", async () => {
  const verified = await verifyAll(bench);
  expect(verified).toMatchObject({ problems: [], notes: [] });
  expect(
    verified.verdicts.map(({ sessionId, commits, events, messages }) => [sessionId, commits, events, messages]),
  ).toEqual([
    ["gear", 3, 3, 9],
    ["spoke", 4, 2, 2],
    ["torn", 2, 0, 2],
  ]);
});

const problems = async () => (await verifyAll(bench)).problems;

/** Writes past the events and the types of the schema. */
async function alter(text: string, parameters: Record<string, unknown> = {}): Promise<void> {
  await run(bench.store.db, `OPTION IMPORT; ${text}`, parameters);
}

async function readTables(): Promise<Map<string, DbRow[]>> {
  const tables = new Map<string, DbRow[]>();
  for (const table of [...SESSION_TABLES, "session", "source", "unresolved", "content_part", ...FEED_TABLES]) {
    const [rows] = await run<[DbRow[]]>(bench.store.db, `SELECT * FROM ${table}`);
    tables.set(table, rows);
  }
  return tables;
}

async function rowOf(id: RecordId): Promise<DbRow> {
  const [row] = await run<[DbRow]>(bench.store.db, "SELECT * FROM ONLY $id", { id });
  return row;
}

async function all<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const rows: T[] = [];
  for await (const page of pages) rows.push(...page);
  return rows;
}

const message = (session: string, generation: number, offset: number) =>
  new RecordId("message", [session, generation, offset]);

describe("a message", () => {
  test("whose text was altered is named with its place and both texts", async () => {
    await alter("UPDATE $id SET content = 'prompt 4'", { id: message("gear", 1, offsetIn(FIRST, 2)) });
    expect(await problems()).toEqual([
      `gear: the message at offset ${offsetIn(FIRST, 2)} of generation 1: content should be "prompt 3", but is "prompt 4"`,
    ]);
  });

  test("whose long text was altered is named with the place within the text", async () => {
    const text = `${"cog ".repeat(1000)}end`;
    bench.write("-p/long.jsonl", jsonl(userMessage({ uuid: uuid(90), text })));
    await bench.sync();
    await alter("UPDATE message:['long', 1, 0] SET content = string::replace(content, 'end', 'END')");
    const [problem] = await problems();
    expect(problem).toContain("long: the message at offset 0 of generation 1: content differs from character 4000 on");
  });

  test("whose text is kept in parts is read part by part", async () => {
    const text = "cog ".repeat(MAX_CONTENT_CHARS / 2);
    bench.write("-p/long.jsonl", jsonl(userMessage({ uuid: uuid(90), text })));
    await bench.sync();
    expect(await problems()).toEqual([]);
    const [parts] = await run<[RecordId[]]>(bench.store.db, "SELECT VALUE id FROM content_part");
    expect(parts.length).toBeGreaterThan(1);
    await alter("UPDATE $id SET text = string::replace(text, 'cog', 'dog')", { id: parts[1] });
    const [problem] = await problems();
    expect(problem).toContain(`content (in parts) differs from character ${MAX_CONTENT_CHARS} on`);
  });

  test("that was altered together with its segment is named by the commit that wrote the bytes", async () => {
    const raw = Buffer.from(
      jsonl(...FIRST)
        .toString()
        .replace("prompt 3", "prompt X"),
    );
    const at = offsetIn(FIRST, 2);
    const line = raw.subarray(at, raw.indexOf(0x0a, at));
    const { offset: _, ...segment } = encodeSegment(0, raw, Buffer.alloc(0), 0);
    await alter("UPDATE source_segment:['gear', 1, 0] MERGE $segment", {
      segment: { ...segment, shared_with: undefined, stored_hash: undefined },
    });
    await alter("UPDATE $id SET content = 'prompt X', digest = $digest", {
      id: message("gear", 1, at),
      digest: xxh64Hex(line),
    });
    expect(await problems()).toEqual([
      `gear: the bytes 0 to ${raw.length} of generation 1 are not what commit 1 wrote: the SHA-256 is another`,
    ]);
  });

  test("that was deleted is named as missing", async () => {
    await alter("DELETE $id", { id: message("gear", 1, offsetIn(FIRST, 4)) });
    expect(await problems()).toEqual([`gear: the message at offset ${offsetIn(FIRST, 4)} of generation 1 is missing`]);
  });

  test("that no bytes hold is named as one too many, wherever it stands", async () => {
    const { id: _, ...row } = await rowOf(message("gear", 1, 0));
    const end = jsonl(...chain(9)).length;
    for (const [key, place] of [
      [["gear", 1, 7], "offset 7 of generation 1"],
      [["gear", 1, 7.5], "offset 7.5 of generation 1"],
      [["gear", 1, end + 5], `offset ${end + 5} of generation 1`],
      [["gear", 2, 0], "offset 0 of generation 2"],
      [["gear", 0, 0], "offset 0 of generation 0"],
      [["gear", 1, "x"], 'offset "x" of generation 1'],
      [["gear", 1, 0, 0], "offset [0,0] of generation 1"],
    ] as const) {
      const forged = new RecordId("message", [...key]);
      await alter("CREATE $forged CONTENT $row", { forged, row });
      expect(await problems()).toEqual([`gear: the message at ${place} is one too many: no archived bytes say so`]);
      await alter("DELETE $forged", { forged });
    }
  });

  test("with another verdict than the graph's is named", async () => {
    await alter("UPDATE $id SET parent_state = 'phantom'", { id: message("gear", 1, offsetIn(FIRST, 3)) });
    expect((await problems())[0]).toContain(
      `offset ${offsetIn(FIRST, 3)} of generation 1: parent_state should be "resolved", but is "phantom"`,
    );
  });

  test("with another score than the graph's is named", async () => {
    await alter("UPDATE message SET corruption_score = 0 WHERE corruption_score = 1");
    expect((await problems())[0]).toContain("of generation 1: corruption_score should be 1, but is 0");
  });

  test("that vanished from its file keeps its row, and what was done to that is named", async () => {
    const place = `the message at offset ${offsetIn(chain(3, { from: 50 }), 1)} of generation 1`;
    const id = message("spoke", 1, offsetIn(chain(3, { from: 50 }), 1));
    await alter("UPDATE $id SET content = 'x'", { id });
    expect((await problems())[0]).toContain(`spoke: ${place}: content should be`);
    await alter("DELETE $id", { id });
    expect((await problems())[0]).toContain(`spoke: ${place} is missing`);
  });
});

describe("side records and unreadable pieces", () => {
  test("are compared with their bytes", async () => {
    const at = jsonl(userMessage({ uuid: uuid(80) })).length;
    await alter("UPDATE record SET content = 'x'");
    expect((await problems())[0]).toContain(`torn: the record at offset ${at} of generation 1: content should be`);
    await alter("DELETE record");
    expect((await problems())[0]).toContain(`torn: the record at offset ${at} of generation 1 is missing`);
  });

  test("that are missing or too many are named", async () => {
    await alter("UPDATE quarantine SET reason = 'nul'");
    expect((await problems())[0]).toContain('reason should be "invalid", but is "nul"');
    await alter("CREATE quarantine:['gear', 1, 3] CONTENT { session_id: 'gear', length: 1, reason: 'nul' }");
    expect((await problems())[0]).toContain("gear: the unreadable piece at offset 3 of generation 1 is one too many");
  });

  test("are not taken from the list of unresolved parents unnoticed", async () => {
    await alter("DELETE unresolved");
    expect((await problems())[0]).toContain("torn: the unresolved parent of the message at offset");
    await alter(
      "CREATE unresolved:['x', 'gear', 1, 0] CONTENT { session_id: 'gear', is_head: true, state: 'phantom' }",
    );
    expect((await problems())[0]).toContain('gear: the unresolved parent "x" of the message at offset 0');
  });
});

describe("an event", () => {
  test("that was altered in the middle of the log is named with its commit", async () => {
    await alter("UPDATE repair_event:['gear', 1] SET new_value = '0000000000000000'");
    expect(await problems()).toEqual(["gear: events 1 to 2 are not what commit 2 wrote: the digest is another"]);
  });

  test("by another operator than its commit's is named", async () => {
    await alter("UPDATE repair_event:['gear', 2] SET operator = 'nobody'");
    expect(await problems()).toEqual(['gear: event 2: operator should be "test", but is "nobody"']);
  });

  test("that was altered at the end of the log is named", async () => {
    await alter("UPDATE repair_event:['gear', 3] SET reason = 'for no reason'");
    expect(await problems()).toEqual(["gear: event 3 is not what commit 3 wrote: the digest is another"]);
  });

  test("that was deleted at the end, and the count with it, is named as missing", async () => {
    await alter("DELETE repair_event:['gear', 3]; UPDATE session:gear SET event_count = 2");
    expect(await problems()).toEqual(["gear: event 3 is missing: commit 3 wrote it"]);
  });

  test("that was deleted in the middle is named as missing", async () => {
    await alter("DELETE repair_event:['gear', 2]");
    expect(await problems()).toEqual(["gear: event 2 is missing: the next one is 3"]);
  });

  test("that no commit wrote is named", async () => {
    const { id: _, ...row } = await rowOf(new RecordId("repair_event", ["gear", 3]));
    await alter("CREATE repair_event:['gear', 4] CONTENT $row; UPDATE session:gear SET event_count = 4", { row });
    expect(await problems()).toEqual(["gear: event 4 was written by no commit"]);
  });
});

describe("a segment", () => {
  test("with an altered byte is named with its offset", async () => {
    const row = await rowOf(new RecordId("source_segment", ["gear", 1, 0]));
    const data = Buffer.from(row.data as ArrayBuffer);
    data[data.length >> 1]! ^= 1;
    await alter("UPDATE source_segment:['gear', 1, 0] SET data = $data", { data });
    const found = await problems();
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^gear: The archived bytes of session gear, generation 1, at offset 0 .*the segment /);
  });

  test("that was deleted is named as missing", async () => {
    const offset = jsonl(...FIRST).length;
    await alter("DELETE $id", { id: new RecordId("source_segment", ["gear", 1, offset]) });
    expect(await problems()).toEqual([`gear: the segment at offset ${offset} of generation 1 is missing`]);
  });

  test("that no commit wrote is named", async () => {
    const { id: _, ...row } = await rowOf(new RecordId("source_segment", ["gear", 1, 0]));
    const end = jsonl(...chain(9)).length;
    await alter("CREATE $id CONTENT $row", { id: new RecordId("source_segment", ["gear", 1, end]), row });
    expect(await problems()).toEqual([`gear: the segment at offset ${end} of generation 1 was written by no commit`]);
    await alter("DELETE $id; CREATE source_segment:['gear', 7, 0] CONTENT $row", {
      id: new RecordId("source_segment", ["gear", 1, end]),
      row,
    });
    expect(await problems()).toEqual(["gear: the segment at offset 0 of generation 7 was written by no commit"]);
  });
});

describe("a commit", () => {
  test("with an altered column is named", async () => {
    await alter("UPDATE commit:['gear', 2] SET operator = 'nobody'");
    expect((await problems())[0]).toMatch(/^gear: commit 2: its hash is .{12}…, but that of its columns is another$/);
  });

  test("that was deleted is named as missing", async () => {
    await alter("DELETE commit:['gear', 2]");
    expect(await problems()).toEqual(["gear: commit 2 is missing: the next one is 3"]);
  });

  test("that does not belong to the chain is named", async () => {
    const { id: _, ...row } = await rowOf(new RecordId("commit", ["gear", 3]));
    await alter("CREATE commit:['gear', 4] CONTENT $row", { row: { ...row, n: 4 } });
    expect((await problems())[0]).toContain("gear: commit 4: previous should be");
  });

  test("that was cut off, with all it wrote, is missed by the heads of this machine", async () => {
    const [, second] = await all(bench.store.commits("gear"));
    const cut = offsetIn(chain(9), 8);
    const session = { ...(await bench.store.findSession("gear"))! };
    await alter(
      `DELETE commit:['gear', 3]; DELETE repair_event:['gear', 3];
       DELETE message:['gear', 1, $cut]..; DELETE source_segment:['gear', 1, $cut]..;
       UPDATE session:gear SET chain = 2, head = $head, event_count = 2, message_count = 8, conversation_count = 8,
         last_updated = $time;`,
      { cut, head: second!.hash, time: (await rowOf(new RecordId("commit", ["gear", 2]))).time },
    );
    expect(session.chain).toBe(3);
    expect((await problems())[0]).toBe("gear: the chain ends with commit 2, but this machine wrote commit 3");
  });

  test("may say anything once the whole chain is hashed anew, but not against the heads of this machine", async () => {
    const events = await all(bench.store.events("gear"));
    const commits = await all(bench.store.commits("gear"));
    const [first, , third] = events;
    await alter("UPDATE repair_event:['gear', 1] SET reason = 'for no reason'");
    const forged: EventRow[] = [{ ...first!, reason: "for no reason" }, events[1]!];
    await replaceCommits(commits, (commit) =>
      commit.n === 2 ? { ...commit, events_sha256: eventsDigest(forged) } : commit,
    );
    expect(third!.n).toBe(3);
    expect((await verifyAll(bench, new Map())).problems).toEqual([]);
    expect((await problems())[0]).toMatch(/^gear: commit 3: its hash is .{12}…, but this machine wrote .{12}…$/);
  });

  test("is covered from its bytes to its head: the archive can be forged whole, but not against the heads", async () => {
    const raw = Buffer.from(
      jsonl(...FIRST)
        .toString()
        .replace("prompt 3", "prompt X"),
    );
    const { offset: _, ...segment } = encodeSegment(0, raw, Buffer.alloc(0), 0);
    await alter("UPDATE source_segment:['gear', 1, 0] MERGE $segment", {
      segment: { ...segment, shared_with: undefined, stored_hash: undefined },
    });
    await replaceCommits(await all(bench.store.commits("gear")), (commit) =>
      commit.n === 1 ? { ...commit, segment_sha256: sha256Hex(raw) } : commit,
    );
    expect((await verifyAll(bench, new Map())).problems[0]).toContain("gear: the checkpoint: fingerprint");
    expect((await problems())[0]).toContain("gear: commit 3: its hash is");
  });

  test("one that wrote rows, and says that it healed them, is named", async () => {
    await replaceCommits(await all(bench.store.commits("gear")), (commit) =>
      commit.n === 2 ? { ...commit, kind: "healed" } : commit,
    );
    expect((await verifyAll(bench, new Map())).problems).toEqual([
      "gear: commit 2: it healed rows, but tells of bytes that it read",
    ]);
  });

  /** Writes a session's chain again, with hashes that fit. */
  async function replaceCommits(commits: readonly CommitRow[], change: (commit: CommitRow) => CommitRow) {
    let previous = commits[0]!.previous;
    for (const commit of commits) {
      const unhashed = { ...change(commit), previous, hash: "" };
      const row = { ...unhashed, hash: commitHash("gear", unhashed) };
      previous = row.hash;
      const { id: _, ...columns } = commitToDb(row, "gear");
      await alter("UPDATE $id CONTENT $columns", { id: new RecordId("commit", ["gear", commit.n]), columns });
    }
    await alter("UPDATE session:gear SET head = $head", { head: previous });
  }
});

describe("a session's row", () => {
  for (const [change, named] of [
    ["message_count = 8", "message_count should be 9, but is 8"],
    ["title = 'x'", 'title should be nothing, but is "x"'],
    ["corruption_score = 0.5", "corruption_score should be 0, but is 0.5"],
    ["session_hash = 'x'", 'session_hash should be "'],
    ["chain = 2", "chain should be 3, but is 2"],
    ["event_count = 2", "event_count should be 3, but is 2"],
    ["generation = 2", "generation should be 1, but is 2"],
    ["state = 'gone'", 'state should be "live", but is "gone"'],
    ["cwd = NONE", 'cwd should be "/home/ada/engine", but is nothing'],
    ["created_at = time::now()", "created_at should be 2"],
    ["faults = NONE", "faults should be a list, but is nothing"],
    ["source = NONE", "source should be a record, but is nothing"],
    ["message_count = [1]", "message_count should be 9, but is [1]"],
  ] as const) {
    test(`that says ${change} is named`, async () => {
      await alter(`UPDATE session:gear SET ${change}`);
      expect((await problems())[0]).toContain(`gear: the session's row: ${named}`);
    });
  }

  test("of a damaged session is computed anew, with its faults", async () => {
    await alter("UPDATE session:torn SET faults[1].cut_off = 0");
    expect((await problems())[0]).toContain("torn: the session's row: faults should be");
  });
});

describe("a checkpoint", () => {
  for (const column of ["archived", "parsed", "fingerprint", "head_hash", "tail_hash", "keyframe", "project"]) {
    test(`with another ${column} is named`, async () => {
      await alter(`UPDATE source SET ${column} = 7 WHERE session_id = 'gear'`);
      expect((await problems())[0]).toContain(`gear: the checkpoint: ${column} should be`);
    });
  }

  test("that is missing is named", async () => {
    await alter("DELETE source WHERE session_id = 'gear'");
    expect((await problems())[0]).toBe(`gear: there is no checkpoint for its file ${path}`);
  });
});

describe("the feed", () => {
  const last = 8;

  test("names a place that was deleted, or taken by another commit", async () => {
    await alter("DELETE feed:[3]");
    expect(await problems()).toEqual(["place 3 of the feed is missing: [4] follows"]);
    await alter("INSERT INTO feed { id: [3], session_id: 'gear', n: 1 }");
    expect(await problems()).toEqual(['place 3 of the feed: commit 3 of the session "gear" is due, not 1']);
  });

  test("names a row outside of it, and a head that is not its last place", async () => {
    await alter("INSERT INTO feed { id: [0], session_id: 'gear', n: 1 }");
    expect(await problems()).toEqual([`feed:[0] stands outside of the feed, which ends with place ${last}`]);
    await alter("DELETE feed:[0]; UPDATE feed_head SET last = $less", { less: last - 1 });
    expect(await problems()).toEqual([`feed:[${last}] stands outside of the feed, which ends with place ${last - 1}`]);
    await alter("UPDATE feed_head SET last = $more", { more: last + 1 });
    expect(await problems()).toEqual([`place ${last + 1} of the feed is missing: the last one is ${last + 1}`]);
    await alter("DELETE feed_head");
    expect(await problems()).toEqual(["feed:[1] stands outside of the feed, which ends with place 0"]);
  });

  test("names a commit that was taken from it, and one that is not there", async () => {
    await alter("DELETE feed_waiting");
    expect(await problems()).toEqual(['commit 3 of the session "gear" has no place in the feed, and waits for none']);
    await alter("INSERT INTO feed_waiting [{ id: ['gear', 3] }, { id: ['gear', 4] }]");
    expect(await problems()).toEqual([
      'feed_waiting:["gear",4] waits for a place in the feed: the session "gear" has no commit 4',
    ]);
    await alter("DELETE feed_waiting:['gear', 4]; INSERT INTO feed_waiting { id: ['lost', 1] }");
    expect(await problems()).toEqual([
      'feed_waiting:["lost",1] waits for a place in the feed: the session "lost" has no commit 1',
    ]);
  });
});

describe("the store as a whole", () => {
  test("is told of rows that belong to no session", async () => {
    for (const [id, shown] of [
      [new RecordId("message", ["aaa", 1, 0]), 'message:["aaa",1,0]'],
      [new RecordId("message", ["lost", 1, 0]), 'message:["lost",1,0]'],
      [new RecordId("message", ["zzz", 1, 0]), 'message:["zzz",1,0]'],
      [new RecordId("message", "plain"), 'message:"plain"'],
      [new RecordId("repair_event", ["lost", 1]), 'repair_event:["lost",1]'],
      [new RecordId("commit", ["lost", 1]), 'commit:["lost",1]'],
      [new RecordId("source_segment", ["lost", 1, 0]), 'source_segment:["lost",1,0]'],
    ] as const) {
      await alter("INSERT INTO $table { id: $key }", { table: id.table, key: id.id });
      expect(await problems()).toEqual([`${shown} belongs to no session in the store`]);
      await alter("DELETE $id", { id });
    }
  });

  test("is told of a session whose row was deleted, by what it left", async () => {
    await alter("DELETE session:gear");
    const found = await problems();
    expect(found).toContain('message:["gear",1,0] belongs to no session in the store');
    expect(found).toContain(
      `the checkpoint of the file ${JSON.stringify(path)} belongs to "gear", which is no session in the store`,
    );
  });

  test("goes on behind a session that it cannot read, and names it", async () => {
    await alter("UPDATE commit:['gear', 1] SET time = NONE, generation = 'x'; UPDATE session:gear SET faults = 7");
    await alter("UPDATE message:['torn', 1, 0] SET content = NONE, created_at = [], occurrence = 'x'");
    const { verdicts } = await verifyAll(bench);
    expect(verdicts.map(({ sessionId, problem }) => [sessionId, problem === null])).toEqual([
      ["gear", false],
      ["spoke", true],
      ["torn", false],
    ]);
    expect(verdicts[2]!.problem).toContain("the message at offset 0 of generation 1: ");
  });
});

/** Columns that nothing else in the store tells of: what was seen of the file, and what the next look goes by. */
const UNPROVED = [
  ...["dev", "ino", "size", "mtime_ns", "ctime_ns", "baseline", "settled", "verified_size", "verified_at"],
  ...["verdicts_due", "superseded", "prior_incomplete", "visible_end"],
].map((column) => `source.${column}`);

test("every column of every table is proved, but for what a checkpoint notes of its file and for the next look", async () => {
  const unnoticed: string[] = [];
  for (const [table, rows] of untouched) {
    const [row] = rows
      .filter(({ removed_at }) => removed_at === undefined) // what vanished keeps the verdict it had
      .sort((a, b) => Object.keys(b).length - Object.keys(a).length);
    if (row === undefined) continue;
    for (const [column, value] of Object.entries(row)) {
      if (column === "id") continue;
      await alter(`UPDATE $id SET ${column} = $other`, { id: row.id, other: another(value) });
      const { problems: found, notes } = await verifyAll(bench);
      if (found.length === 0 && notes.length === 0) unnoticed.push(`${table}.${column}`);
      await alter("UPDATE $id CONTENT $row", { id: row.id, row });
    }
  }
  expect(await problems()).toEqual([]);
  expect(unnoticed.filter((column) => !UNPROVED.includes(column))).toEqual([]);
});

/** Another value of the same type. */
function another(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "string") return `${value}x`;
  if (typeof value === "boolean") return !value;
  if (value instanceof DateTime) return new DateTime(new Date(0));
  if (value instanceof ArrayBuffer) return Buffer.from(value).subarray(1);
  if (value instanceof RecordId) return new RecordId(value.table, ["host", "nowhere"]);
  return Array.isArray(value) ? [...value, {}] : { ...(value as object), offset: -1 };
}
