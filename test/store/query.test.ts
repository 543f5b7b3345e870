// Read-only queries: whatever they try, the database is afterwards what it was before.
import { Features, type Surreal, UnsupportedFeatureError } from "surrealdb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { queryAndWrite, queryReadOnly } from "../../src/store/query.ts";
import { toSurrealQl } from "../../src/store/values.ts";
import { chain, jsonl, SESSION } from "../support/builders.ts";
import { removeScratch, signedIn, testEngine, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

let bench: Workbench;
let db: Surreal;

beforeAll(async () => {
  bench = await Workbench.create();
  bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(6)));
  await bench.sync();
  db = bench.store.db;
  // What somebody may have left in the database: functions that write, and things that live outside of transactions.
  await db
    .query(
      `DEFINE FUNCTION fn::vandal() { DELETE message; UPDATE session SET title = 'gone'; CREATE host:x SET name = 'x', first_seen = time::now(); RETURN 'done' };
       DEFINE FUNCTION fn::wrecker() { REMOVE TABLE record; DEFINE TABLE wreck; CREATE wreck:1; RETURN 'wrecked' };
       DEFINE EVENT gossip ON host WHEN $value.name = 'x' THEN { CREATE host SET name = 'gossip', first_seen = time::now() };`,
    )
    .collect();
});

/** Everything that is defined, and every row. */
async function everything(): Promise<string[]> {
  const session = (await (await testEngine()).newSession()) as Surreal;
  const found: string[] = [];
  const [root] = await session.query<[{ namespaces: object; users: object }]>("INFO FOR ROOT").collect();
  found.push(toSurrealQl([root.namespaces, root.users]));
  for (const namespace of Object.keys(root.namespaces)) {
    await session.use({ namespace });
    const [{ databases }] = await session.query<[{ databases: object }]>("INFO FOR NS").collect();
    for (const database of Object.keys(databases)) {
      await session.use({ namespace, database });
      const [info] = await session.query<[{ tables: object }]>("INFO FOR DB").collect();
      found.push(namespace + database + toSurrealQl(info));
      for (const table of Object.keys(info.tables)) {
        found.push(toSurrealQl(await session.query(`INFO FOR TABLE ${table}; SELECT * FROM ${table}`).collect()));
      }
    }
  }
  return found;
}

const PASSING_THE_GUARD = [
  "fn::vandal()",
  "RETURN fn::vandal(); RETURN fn::vandal(); SELECT * FROM host",
  "SELECT fn::vandal() FROM session",
  "fn::wrecker(); SELECT * FROM wreck",
  "USE NS elsewhere DB other; SELECT 1 FROM 1",
  "USE NS elsewhere; USE DB other; RETURN fn::vandal()",
  "RETURN fn::vandal(); THROW 'and out'",
];

const STOPPED_BY_IT = [
  "CREATE host:y SET name = 'y', first_seen = time::now()",
  "SELECT 1; COMMIT; DELETE message; COMMIT",
  "COMMIT",
  "CANCEL; DELETE session; BEGIN",
  "SELECT 1; BEGIN; DELETE session; COMMIT",
  "OPTION IMPORT; DELETE commit",
  "SELECT * FROM (DELETE session RETURN BEFORE)",
  "REMOVE DATABASE conversations; REMOVE NAMESPACE nabi",
  "DEFINE USER mallory ON ROOT PASSWORD 'x' ROLES OWNER",
  "DEFINE INDEX i ON message FIELDS role CONCURRENTLY",
  "LIVE SELECT * FROM session",
  "RETURN 'x'; --\r DELETE session",
];

describe("queryReadOnly", () => {
  const users = {
    "the embedded engine's own session": async () => db,
    "an EDITOR": async () => await signedIn({ db, database: bench.store.location }, "EDITOR"),
    "an OWNER": async () => await signedIn({ db, database: bench.store.location }, "OWNER"),
  };

  test.each(Object.entries(users))("leaves nothing behind, asked by %s", async (_, signIn) => {
    const user = await signIn();
    const before = await everything();
    expect(before.length).toBeGreaterThan(10);
    for (const text of PASSING_THE_GUARD) {
      await queryReadOnly(user, text);
      await user.use({ namespace: "nabi", database: bench.store.location });
      expect([text, await everything()]).toEqual([text, before]);
    }
    for (const text of STOPPED_BY_IT) {
      await expect(queryReadOnly(user, text)).rejects.toMatchObject({ code: "RIFF_QUERY_FAILED" });
      expect([text, await everything()]).toEqual([text, before]);
    }
  });

  test("ran what it rolled back: the functions do write, when they may", async () => {
    expect(await queryReadOnly(db, "fn::vandal(); SELECT VALUE title FROM session; SELECT * FROM message")).toEqual([
      { ok: true, value: "done" },
      { ok: true, value: ["gone"] },
      { ok: true, value: [] },
    ]);
    expect(await queryReadOnly(db, "SELECT VALUE title FROM session; SELECT count() FROM message GROUP ALL")).toEqual([
      { ok: true, value: [undefined] },
      { ok: true, value: [{ count: 6 }] },
    ]);
  });

  test("a VIEWER may ask, too", async () => {
    const viewer = await signedIn({ db, database: bench.store.location }, "VIEWER");
    expect(await queryReadOnly(viewer, "SELECT VALUE session_id FROM session")).toEqual([
      { ok: true, value: [SESSION] },
    ]);
  });

  test("does not hold up a writer, nor does it see half of what he writes", async () => {
    bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(9)));
    const [answers] = await Promise.all([
      queryReadOnly(db, "SELECT VALUE message_count FROM session; SLEEP 300ms; SELECT count() FROM message GROUP ALL"),
      bench.sync(),
    ]);
    const [counted, , found] = answers.map((answer) => (answer.ok ? answer.value : answer));
    expect(found).toEqual([{ count: (counted as number[])[0] }]);
    expect((await bench.store.findSession(SESSION))?.message_count).toBe(9);
  });

  test("gives the answers of the statements that worked, and says of the others why not", async () => {
    expect(await queryReadOnly(db, "RETURN 1; SELECT * FROM nowhere; RETURN 1 + 'x'; RETURN 4")).toEqual([
      { ok: true, value: 1 },
      { ok: false, message: "The table 'nowhere' does not exist" },
      { ok: false, message: expect.stringContaining("Cannot perform addition") },
      { ok: true, value: 4 },
    ]);
  });

  test("tells where a text is no SurrealQL", async () => {
    await expect(queryReadOnly(db, "SELECT *\nFRM session")).rejects.toMatchObject({
      code: "RIFF_QUERY_FAILED",
      message: expect.stringMatching(/expected FROM\n --> \[2:1\]/),
    });
  });

  test("refuses a connection that has no transactions", async () => {
    const refusal = new UnsupportedFeatureError(Features.Transactions);
    const http = Object.create(db, { beginTransaction: { value: () => Promise.reject(refusal) } }) as Surreal;
    await expect(queryReadOnly(http, "SELECT 1 FROM 1")).rejects.toMatchObject({
      code: "RIFF_QUERY_FAILED",
      hint: expect.stringContaining("ws://"),
    });
  });
});

describe("queryAndWrite", () => {
  test("writes, but not what is append-only", async () => {
    expect(await queryAndWrite(db, `UPDATE session SET title = 'Gears' RETURN VALUE title`)).toEqual([
      { ok: true, value: ["Gears"] },
    ]);
    expect((await bench.store.findSession(SESSION))?.title).toBe("Gears");
    const refused = await queryAndWrite(
      db,
      "DELETE commit; DELETE source_segment; UPDATE repair_event SET operator = 'x'",
    );
    expect(refused.map((answer) => (answer.ok ? "" : answer.message))).toEqual([
      expect.stringMatching(/commit is append-only$/),
      expect.stringMatching(/source_segment is append-only$/),
      expect.stringMatching(/repair_event is append-only$/),
    ]);
  });
});
