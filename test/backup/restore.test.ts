import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { Surreal } from "surrealdb";
import { afterAll, describe, expect, test } from "vitest";
import { backupOf, untilStill } from "../../src/backup/backup.ts";
import { BackupFile, encodeBackup } from "../../src/backup/format.ts";
import { proveBackup, restoreBackup } from "../../src/backup/restore.ts";
import { NAMESPACE } from "../../src/config/store-target.ts";
import { sha256Hex } from "../../src/core/hash.ts";
import { decodeBatch } from "../../src/store/batch-codec.ts";
import type { Database } from "../../src/store/database.ts";
import { EmbeddedDatabase } from "../../src/store/embedded-database.ts";
import { applyMigrations, type Migration, readMigrations } from "../../src/store/schema.ts";
import { Snapshot, SnapshotMoved } from "../../src/store/snapshot.ts";
import { SurrealStore } from "../../src/store/surreal-store.ts";
import { run } from "../../src/store/transaction.ts";
import { FEED_START } from "../../src/sync/feed.ts";
import type { Store } from "../../src/sync/store.ts";
import { historyArb } from "../support/arbitraries.ts";
import { chain, type Json, jsonl, userMessage, uuid } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { deathsArb, dyingStore } from "../support/dying-store.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, scratchFolder, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

/** Raise it for a longer search: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=500 npx vitest run test/backup/restore.test.ts */
const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 12);

const never = new AbortController().signal;

/** Writes the backup of a snapshot, closes it, and returns the file's path. */
async function save(snapshot: Snapshot, onRows?: () => Promise<void>): Promise<string> {
  const path = join(scratchFolder(), "store.riffd-backup");
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of backupOf(snapshot, { riffd: "1.2.3", created: "now", store: "here", signal: never })) {
      chunks.push(chunk);
      await onRows?.();
    }
  } finally {
    await snapshot.close();
  }
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

async function backUp(bench: Workbench): Promise<string> {
  return await save(await Snapshot.take(bench.store.db, readMigrations()));
}

let databases = 0;

async function emptyDatabase(bench: Workbench): Promise<Database> {
  const db = (await bench.store.db.forkSession()) as Surreal;
  const database = `restored${++databases}`;
  await db.query(`DEFINE DATABASE ${database}`).collect();
  await db.use({ namespace: NAMESPACE, database });
  return new EmbeddedDatabase(db, database);
}

async function restore(path: string, into: Database, known = readMigrations()): Promise<SurrealStore> {
  await restoreBackup(await proveBackup(path, { signal: never }), into, known, { signal: never });
  return new SurrealStore(into);
}

/** All rows of a backup by table, exactly. */
async function rowsOf(path: string): Promise<Map<string, unknown[]>> {
  const file = await BackupFile.open(path);
  const tables = new Map<string, unknown[]>();
  for await (const payload of file.payloads()) {
    const { table, rows } = decodeBatch(payload)!;
    tables.set(table, [...(tables.get(table) ?? []), ...rows]);
  }
  await file.close();
  return tables;
}

/** What a store holds; the archived bytes by their hash. */
async function dumped(store: SurrealStore) {
  return (await dumpStore(store)).map(({ archived, ...session }) => ({ ...session, archived: sha256Hex(archived) }));
}

const messages = (count: number, from: number, text: string): Json[] =>
  Array.from({ length: count }, (_, i) =>
    userMessage({ uuid: uuid(from + i), parent: i === 0 ? null : uuid(from + i - 1), text: `${i} ${text}` }),
  );

/** Sessions with all that there can be in a store; more of it than fits on one page. */
async function fullBench(): Promise<Workbench> {
  const bench = await Workbench.create();
  const broken = [...chain(3, { from: 30 }), userMessage({ uuid: uuid(39), parent: uuid(999) })];
  bench.write("-p/gear.jsonl", jsonl(...chain(6)));
  bench.write("-p/broken.jsonl", Buffer.concat([jsonl(...broken, "{torn", "\0\0"), Buffer.from('{"type":"us')]));
  bench.write("-p/large.jsonl", jsonl(...messages(1500, 1000, "cog ".repeat(150))));
  bench.write(
    "-p/huge.jsonl",
    jsonl(...messages(2, 5000, "ünlikely ".repeat(300_000)), { type: "summary", summary: "s" }),
  );
  bench.write("-p/gear/subagents/agent-a1.jsonl", jsonl(userMessage({ uuid: uuid(60), parent: uuid(5), agent: "a1" })));
  await bench.sync();
  bench.write("-p/gear.jsonl", jsonl(...chain(8)));
  await bench.sync();
  const [first, , third, ...others] = chain(9);
  bench.write("-p/gear.jsonl", jsonl(first!, { ...third!, parentUuid: uuid(1), isMeta: true }, ...others));
  bench.write("-p/broken.jsonl", jsonl(...chain(4, { from: 30 })));
  await bench.sync();
  bench.write("-p/gear.jsonl", jsonl(...messages(700, 8000, "spoke")));
  await bench.sync();
  bench.write("-p/gear.jsonl", jsonl(...messages(1300, 8000, "spoke")));
  await bench.sync();
  return bench;
}

describe("a backup", () => {
  test("restores every row exactly, of whatever kind", async () => {
    const bench = await fullBench();
    const kinds = new Set((await dumped(bench.store)).flatMap(({ events }) => events.map((one) => one.event_type)));
    expect([...kinds].sort()).toEqual([
      "content_updated",
      "corruption_fixed",
      "message_added",
      "message_removed",
      "parent_repaired",
    ]);
    const path = await backUp(bench);
    const original = await rowsOf(path);
    for (const table of ["session", "message", "record", "content_part", "repair_event", "commit", "source_segment"]) {
      expect([table, (original.get(table)?.length ?? 0) > 0]).toEqual([table, true]);
    }
    expect(original.get("message")!.length).toBeGreaterThan(1500);
    const into = await emptyDatabase(bench);
    const store = await restore(path, into);
    expect(await dumped(store)).toEqual(await dumped(bench.store));
    const again = await save(await Snapshot.take(into.surreal, readMigrations()));
    expect(await rowsOf(again)).toEqual(original);
  });

  test("brings the feed along: cursors stay valid, what waited for a place gets one, and later commits come behind", async () => {
    const bench = await Workbench.create();
    bench.write("-p/gear.jsonl", jsonl(...messages(1200, 1000, "cog")));
    bench.stepLimits = { bytes: 100_000, rows: 2 };
    await bench.sync();
    const fed = await bench.store.feed.read(FEED_START, 1000);
    expect(fed.length).toBeGreaterThan(500);
    const cursor = fed[300]!.cursor;
    bench.write("-p/spoke.jsonl", jsonl(...chain(3)));
    await bench.sync();
    const into = await emptyDatabase(bench);
    const restored = Workbench.over(into, bench.root);
    await restore(await backUp(bench), into);
    const whole = await bench.store.feed.read(FEED_START, 2000);
    expect(whole.slice(0, fed.length)).toEqual(fed);
    expect(await restored.store.feed.read(cursor, 2000)).toEqual(whole.slice(301));
    bench.write("-p/spoke.jsonl", jsonl(...chain(4)));
    await restored.sync();
    expect(await restored.store.feed.read(whole.at(-1)!.cursor, 10)).toMatchObject([{ session_id: "spoke", n: 3 }]);
    expect((await verifyAll(restored)).problems).toEqual([]);
  });

  test("shows the store as it was at one moment, while a sync goes on writing to it", async () => {
    const bench = await Workbench.create();
    for (let i = 0; i < 6; i++) bench.write(`-p/s${i}.jsonl`, jsonl(...messages(40, 1000 * (i + 1), "cog")));
    bench.stepLimits = { bytes: 100_000, rows: 10 };
    const AT = 9;
    let commits = 0;
    let then: unknown;
    let saved: Promise<string> | null = null;
    bench.faults = (store) =>
      new Proxy<Store>(store, {
        get(target, name) {
          if (name !== "commit") {
            const value: unknown = Reflect.get(target, name);
            return typeof value === "function" ? value.bind(target) : value;
          }
          return async (step: Parameters<Store["commit"]>[0]) => {
            // One step is held back while the snapshot is taken; the reading goes on beside all others.
            if (++commits === AT) {
              const own = new SurrealStore(
                new EmbeddedDatabase((await store.db.forkSession()) as Surreal, store.location),
              );
              const snapshot = await Snapshot.take(own.db, readMigrations());
              then = await dumped(own);
              saved = save(snapshot);
            }
            return await target.commit(step);
          };
        },
      });
    // One file after the other, so that nothing else is committed while that step is held back.
    for (let i = 0; i < 6; i++) await bench.sync({ only: new Set([join(bench.root, `-p/s${i}.jsonl`)]) });
    const store = await restore(await saved!, await emptyDatabase(bench));
    const restored = await dumped(store);
    expect(restored).toEqual(then);
    expect((await verifyAll({ store, heads: new Map(), context: bench.context })).problems).toEqual([]);
    expect(commits).toBeGreaterThan(AT + 5);
    expect((await dumped(bench.store)).length).toBeGreaterThan(restored.length);
  });

  test("restores and verifies, whatever the files did and wherever a pass died", async () => {
    await fc.assert(
      fc.asyncProperty(historyArb, deathsArb, async (history, deaths) => {
        const bench = await Workbench.create();
        bench.stepLimits = { bytes: 400, rows: 3 };
        for (const [i, snapshot] of history.entries()) {
          bench.lay(snapshot);
          for (const death of deaths[i] ?? []) {
            bench.faults = dyingStore(death);
            await bench.sync().catch((error: Error) => expect(error.message).toBe("died"));
          }
        }
        const path = await backUp(bench);
        const into = await emptyDatabase(bench);
        const store = await restore(path, into);
        expect((await verifyAll({ store, heads: bench.heads, context: bench.context })).problems).toEqual([]);
        const again = await save(await Snapshot.take(into.surreal, readMigrations()));
        expect(await rowsOf(again)).toEqual(await rowsOf(path));
      }),
      { numRuns: RUNS },
    );
  });

  test("of an empty store restores an empty store", async () => {
    const bench = await Workbench.create();
    const store = await restore(await backUp(bench), await emptyDatabase(bench));
    expect(await dumped(store)).toEqual([]);
  });

  test("names the tables that are not riffd's, and leaves them and what is transient out", async () => {
    const bench = await Workbench.create();
    await run(bench.store.db, "DEFINE TABLE theirs SCHEMALESS; CREATE theirs:1");
    const snapshot = await Snapshot.take(bench.store.db, [
      ...readMigrations(),
      migration("DEFINE TABLE staged SCHEMALESS;"),
    ]);
    expect([snapshot.foreign, snapshot.counts.has("theirs"), snapshot.counts.has("staged")]).toEqual([
      ["theirs"],
      false,
      false,
    ]);
    await snapshot.close();
  });

  test("takes along the rows of tables of later versions", async () => {
    const bench = await Workbench.create();
    const later = [...readMigrations(), migration("DEFINE TABLE later SCHEMALESS;")];
    await applyMigrations(bench.store.database, later);
    await run(bench.store.db, "FOR $i IN 1..1001 { CREATE later SET n = $i }");
    const path = await save(await Snapshot.take(bench.store.db, later));
    const into = await emptyDatabase(bench);
    await restore(path, into, later);
    const [ns] = await run<[(number | null)[]]>(into.surreal, "SELECT VALUE n FROM later ORDER BY n");
    expect(ns).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
  });
});

function migration(text: string): Migration {
  return { version: 9000, name: "later", text, sha256: sha256Hex(text) };
}

describe("a server without transactions", () => {
  const take = (bench: Workbench) => Snapshot.take(bench.store.db, readMigrations(), false);

  test("is backed up as well while nobody writes to it", async () => {
    const bench = await Workbench.create();
    bench.write("-p/gear.jsonl", jsonl(...chain(6)));
    await bench.sync();
    expect(await rowsOf(await save(await take(bench)))).toEqual(await rowsOf(await backUp(bench)));
  });

  test("is read again when something was written meanwhile, but not for ever", async () => {
    const bench = await Workbench.create();
    bench.write("-p/gear.jsonl", jsonl(...chain(2)));
    await bench.sync();
    let length = 2;
    const append = async () => {
      bench.write("-p/gear.jsonl", jsonl(...chain(++length)));
      await bench.sync();
    };
    let readings = 0;
    const path = await untilStill(async () => {
      const isFirst = ++readings === 1;
      const snapshot = await take(bench);
      if (isFirst) await append();
      return await save(snapshot);
    });
    expect([readings, (await rowsOf(path)).get("message")?.length]).toEqual([2, 3]);
    const endless = untilStill(async () => {
      readings++;
      return await save(await take(bench), append);
    });
    await expect(endless).rejects.toThrow(SnapshotMoved);
    expect(readings).toBe(5);
  });
});

describe("an interrupted restore", () => {
  test("is taken for a store by nobody, and goes on where it stopped", async () => {
    const bench = await fullBench();
    const path = await backUp(bench);
    const backup = await proveBackup(path, { signal: never });
    const into = await emptyDatabase(bench);
    const interruptions = [1, Math.floor(backup.batches / 2), backup.batches - 1];
    let done = 0;
    for (const until of interruptions) {
      const interrupt = new AbortController();
      let seen = 0;
      const resumed: number[] = [];
      const restoring = restoreBackup(backup, into, readMigrations(), {
        signal: interrupt.signal,
        onResume: (batches) => resumed.push(batches),
        onBatch: () => {
          if (++seen === until) interrupt.abort();
        },
      });
      await expect(restoring).rejects.toMatchObject({ code: "RIFF_INTERRUPTED" });
      expect(resumed).toEqual(done === 0 ? [] : [done]);
      done = until;
      await expect(applyMigrations(into, readMigrations())).rejects.toMatchObject({
        code: "RIFF_BACKUP_FAILED",
        message: "The store holds a part of a backup: its restore has not ended.",
      });
    }
    const other = await Workbench.create();
    await expect(restore(await backUp(other), into)).rejects.toThrow(/holds a part of another backup/);
    const store = await restore(path, into);
    expect(await dumped(store)).toEqual(await dumped(bench.store));
    await applyMigrations(into, readMigrations());
  });

  test("writes no row twice when two go on with it at once", async () => {
    const bench = await Workbench.create();
    for (let i = 0; i < 4; i++) bench.write(`-p/s${i}.jsonl`, jsonl(...messages(600, 1000 * (i + 1), "cog")));
    await bench.sync();
    const backup = await proveBackup(await backUp(bench), { signal: never });
    const into = await emptyDatabase(bench);
    const interrupt = new AbortController();
    const goOn = (signal = never, onBatch = () => {}) =>
      restoreBackup(backup, into, readMigrations(), { signal, onBatch });
    await expect(goOn(interrupt.signal, () => interrupt.abort())).rejects.toMatchObject({ code: "RIFF_INTERRUPTED" });
    const outcomes = await Promise.allSettled([goOn(), goOn()]);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "RIFF_BACKUP_FAILED" });
    }
    if (outcomes.every(({ status }) => status === "rejected")) await goOn();
    expect(await dumped(new SurrealStore(into))).toEqual(await dumped(bench.store));
  });
});

describe("a restore", () => {
  test("brings a backup of an older schema to the newest", async () => {
    const bench = await Workbench.create();
    bench.write("-p/gear.jsonl", jsonl(...chain(6)));
    await bench.sync();
    const path = await backUp(bench);
    const into = await emptyDatabase(bench);
    const later = "DEFINE TABLE later SCHEMALESS; INSERT INTO later (SELECT VALUE {id: session_id} FROM session);";
    await restore(path, into, [...readMigrations(), migration(later)]);
    const [ids] = await run<[unknown[]]>(into.surreal, "SELECT VALUE record::id(id) FROM later");
    expect(ids).toEqual(["gear"]);
  });

  test("refuses what a newer schema, or another text of one, was made with", async () => {
    const bench = await Workbench.create();
    const path = await backUp(bench);
    const into = await emptyDatabase(bench);
    await expect(restore(path, into, [])).rejects.toMatchObject({ code: "RIFF_SCHEMA_NEWER" });
    const changed = readMigrations().map((one) => ({ ...one, sha256: "00" }));
    await expect(restore(path, into, changed)).rejects.toMatchObject({ code: "RIFF_SCHEMA_CHANGED" });
    const [info] = await run<[{ tables: object }]>(into.surreal, "INFO FOR DB");
    expect(info.tables).toEqual({});
  });

  test("refuses a store that holds anything, or has a newer schema", async () => {
    const bench = await Workbench.create();
    const path = await backUp(bench);
    bench.write("-p/gear.jsonl", jsonl(...chain(2)));
    await bench.sync();
    const full = new EmbeddedDatabase(bench.store.db, "full");
    await expect(restore(path, full)).rejects.toThrow(/^The store full is not empty: it has rows of source\. Nothing/);
    const newer = await emptyDatabase(bench);
    const known = [...readMigrations(), migration("DEFINE TABLE later SCHEMALESS;")];
    await applyMigrations(newer, known);
    await expect(restore(path, newer, known)).rejects.toThrow(/was made with a newer schema than the backup's/);
  });

  test("takes a store that was only opened", async () => {
    const bench = await Workbench.create();
    bench.write("-p/gear.jsonl", jsonl(...chain(2)));
    await run(bench.store.db, "CREATE host:a SET name = 'a', first_seen = time::now()");
    await bench.sync();
    const path = await backUp(bench);
    const opened = await Workbench.create();
    await run(opened.store.db, "CREATE host:a SET name = 'b', first_seen = time::now()");
    const store = await restore(path, opened.store.database);
    expect((await dumped(store)).map(({ session_id }) => session_id)).toEqual(["gear"]);
    expect((await run<[string[]]>(store.db, "SELECT VALUE name FROM host"))[0]).toEqual(["a"]);
  });

  test("refuses a file whose rows are not those it counts, before it writes anything", async () => {
    const bench = await Workbench.create();
    const path = await backUp(bench);
    const { header, end } = await proveBackup(path, { signal: never });
    const chunks: Buffer[] = [];
    async function* nothing() {}
    for await (const chunk of encodeBackup(header, nothing(), () => ({ ...end, tables: { message: 1 } }))) {
      chunks.push(chunk);
    }
    writeFileSync(path, Buffer.concat(chunks));
    await expect(proveBackup(path, { signal: never })).rejects.toThrow(
      /it has 0 rows of message, and says that they are 1/,
    );
  });
});
