// What riffd makes of a database's schema: with and without the rights to change it, by its own way and by an import.

import { readFileSync } from "node:fs";
import type { Surreal } from "surrealdb";
import { afterAll, describe, expect, test } from "vitest";
import { sha256Hex } from "../../src/core/hash.ts";
import { EmbeddedDatabase } from "../../src/store/embedded-database.ts";
import {
  applyMigrations,
  importableSchema,
  type Migration,
  readMigrations,
  schemaFault,
  schemaStatus,
} from "../../src/store/schema.ts";
import { chain, jsonl, SESSION, uuid } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { verifyAll } from "../support/verifying.ts";
import { emptyDatabase, removeScratch, signedIn, testEngine, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const SCHEMA = readMigrations();

function migration(version: number, name: string, text: string): Migration {
  return { version, name, text, sha256: sha256Hex(text) };
}

const FIRST = migration(1, "gears", "DEFINE TABLE gear SCHEMAFULL");
const SECOND = migration(2, "teeth", "DEFINE FIELD teeth ON gear TYPE int");

/** A connection of the engine as riffd uses it. */
function queries(db: Surreal): EmbeddedDatabase {
  return new EmbeddedDatabase(db, "test");
}

async function tables(db: Surreal): Promise<string[]> {
  const [info] = await db.query<[{ tables: Record<string, string> }]>("INFO FOR DB").collect();
  return Object.keys(info.tables);
}

describe("schemaStatus", () => {
  test("tells a database without a schema, and what it lacks", async () => {
    const { db } = await emptyDatabase();
    const status = await schemaStatus(queries(db), [FIRST, SECOND]);
    expect(status).toEqual({ state: "fresh", applied: [], missing: [FIRST, SECOND] });
    expect(schemaFault(status)).toMatchObject({ code: "RIFF_SCHEMA_MISSING", hint: expect.stringContaining("apply") });
    expect(await tables(db)).toEqual([]);
  });

  test("tells an older schema by the files that it lacks", async () => {
    const { db } = await emptyDatabase();
    await makeVersionTable(db);
    await applyMigrations(queries(db), [FIRST]);
    const status = await schemaStatus(queries(db), [FIRST, SECOND]);
    expect(status).toMatchObject({ state: "older", applied: [{ version: 1, name: "gears" }], missing: [SECOND] });
    expect(schemaFault(status)).toMatchObject({
      code: "RIFF_SCHEMA_MISSING",
      message: expect.stringContaining("0002-teeth"),
    });
  });

  test("tells a newer one, and one whose text was another", async () => {
    const { db } = await emptyDatabase();
    await makeVersionTable(db);
    await applyMigrations(queries(db), [FIRST, SECOND]);
    const newer = await schemaStatus(queries(db), [FIRST]);
    expect([newer.state, schemaFault(newer)?.code]).toEqual(["newer", "RIFF_SCHEMA_NEWER"]);
    const changed = await schemaStatus(queries(db), [migration(1, "gears", "DEFINE TABLE gear"), SECOND]);
    expect([changed.state, schemaFault(changed)?.code]).toEqual(["changed", "RIFF_SCHEMA_CHANGED"]);
  });
});

describe("applyMigrations", () => {
  test("applies what is missing, in order, says what it did, and does nothing the second time", async () => {
    const { db } = await emptyDatabase();
    await makeVersionTable(db);
    expect(await applyMigrations(queries(db), [FIRST])).toEqual([FIRST]);
    expect(await applyMigrations(queries(db), [FIRST, SECOND])).toEqual([SECOND]);
    expect(await applyMigrations(queries(db), [FIRST, SECOND])).toEqual([]);
    const status = await schemaStatus(queries(db), [FIRST, SECOND]);
    expect(status.state).toBe("current");
    expect(status.applied.map(({ version, sha256 }) => [version, sha256])).toEqual([
      [1, FIRST.sha256],
      [2, SECOND.sha256],
    ]);
    expect(schemaFault(status)).toBeNull();
  });

  test("leaves nothing of a file that fails in the middle", async () => {
    const { db } = await emptyDatabase();
    const broken = migration(1, "broken", "DEFINE TABLE half; THROW 'no more'");
    await expect(applyMigrations(queries(db), [broken])).rejects.toThrow("no more");
    expect(await tables(db)).toEqual([]);
  });

  test("touches nothing where the schema is newer or changed", async () => {
    const { db } = await emptyDatabase();
    await makeVersionTable(db);
    await applyMigrations(queries(db), [FIRST]);
    const other = [migration(1, "gears", "DEFINE TABLE wheel"), SECOND];
    await expect(applyMigrations(queries(db), other)).rejects.toMatchObject({ code: "RIFF_SCHEMA_CHANGED" });
    await expect(applyMigrations(queries(db), [])).rejects.toMatchObject({ code: "RIFF_SCHEMA_NEWER" });
    expect(await tables(db)).toEqual(["gear", "schema_version"]);
  });

  test("applies each file once when several are at it at the same time", async () => {
    const shared = await emptyDatabase();
    const sessions = await Promise.all([1, 2, 3, 4].map(() => signedIn(shared, "OWNER")));
    const applied = await Promise.all(sessions.map((session) => applyMigrations(queries(session), SCHEMA)));
    expect(applied.flat()).toEqual(SCHEMA);
    expect((await schemaStatus(queries(shared.db), SCHEMA)).state).toBe("current");
  });

  test("refuses a database with tables of the same names that are not riffd's, and changes nothing", async () => {
    const { db } = await emptyDatabase();
    await db.query("DEFINE TABLE session SCHEMALESS; CREATE session:old SET message_count = 3").collect();
    await expect(applyMigrations(queries(db), SCHEMA)).rejects.toMatchObject({
      code: "RIFF_SCHEMA_CHANGED",
      message: expect.stringContaining("The table 'session' already exists"),
    });
    expect(await tables(db)).toEqual(["session"]);
  });
});

describe("users with and without rights", () => {
  test.each(["EDITOR", "OWNER"] as const)("an %s of the database may apply the schema", async (role) => {
    const shared = await emptyDatabase();
    expect(await applyMigrations(queries(await signedIn(shared, role)), SCHEMA)).toEqual(SCHEMA);
  });

  test("a VIEWER may read the status, is told who is to apply it, and changes nothing", async () => {
    const shared = await emptyDatabase();
    const viewer = await signedIn(shared, "VIEWER");
    expect((await schemaStatus(queries(viewer), SCHEMA)).state).toBe("fresh");
    await expect(applyMigrations(queries(viewer), SCHEMA)).rejects.toMatchObject({
      code: "RIFF_PERMISSION_DENIED",
      hint: expect.stringContaining("riffd schema apply"),
    });
    expect(await tables(shared.db)).toEqual([]);
    await applyMigrations(queries(shared.db), SCHEMA);
    expect((await schemaStatus(queries(viewer), SCHEMA)).state).toBe("current");
    expect(await applyMigrations(queries(viewer), SCHEMA)).toEqual([]);
  });

  test("an owner of another database is told that this one is closed to him, not that it is empty", async () => {
    const [mine, theirs] = [await emptyDatabase(), await emptyDatabase()];
    await applyMigrations(queries(theirs.db), SCHEMA);
    const stranger = await signedIn(mine, "OWNER");
    await stranger.use({ database: theirs.database });
    await expect(schemaStatus(queries(stranger), SCHEMA)).rejects.toMatchObject({ code: "RIFF_PERMISSION_DENIED" });
    await expect(applyMigrations(queries(stranger), SCHEMA)).rejects.toMatchObject({ code: "RIFF_PERMISSION_DENIED" });
  });
});

describe("schema/riffd.surql", () => {
  const file = readFileSync(new URL("../../schema/riffd.surql", import.meta.url), "utf8");

  test("is what `npm run schema` makes of the numbered files", () => {
    expect(file).toBe(importableSchema(SCHEMA));
    expect(file.split("\n").find((line) => !line.startsWith("--"))).toBe("OPTION IMPORT;");
  });

  const byQuery = async (text: string) => {
    const made = await emptyDatabase();
    await made.db.query(text).collect();
    return made;
  };
  const byImport = async (text: string) => {
    const made = await emptyDatabase();
    const connection = await testEngine();
    await connection.use({ database: made.database });
    await connection.import(text);
    return made;
  };

  test.each([
    ["as a query", byQuery],
    ["by the SDK's import", byImport],
  ])("imported %s gives the database that riffd makes itself", async (_, importFile) => {
    const imported = await importFile(file);
    expect((await schemaStatus(queries(imported.db), SCHEMA)).state).toBe("current");
    expect(await applyMigrations(queries(imported.db), SCHEMA)).toEqual([]);
    const own = await emptyDatabase();
    await applyMigrations(queries(own.db), SCHEMA);
    expect(await definitions(imported.db)).toEqual(await definitions(own.db));
  });

  test("an imported database takes a sync that verifies, with its log append-only", async () => {
    const bench = Workbench.on(await byImport(file));
    bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(4)));
    await bench.sync();
    bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(5)));
    await bench.sync();
    expect((await verifyAll(bench)).problems).toEqual([]);
    const columns = { commit: "operator", repair_event: "operator", source_segment: "hash" };
    for (const [table, column] of Object.entries(columns)) {
      for (const change of [`UPDATE ${table} SET ${column} = 'mallory'`, `DELETE ${table}`]) {
        await expect(bench.store.db.query(change).collect()).rejects.toThrow(`${table} is append-only`);
      }
    }
  });

  test("imported again over a store in use, it changes nothing", async () => {
    const bench = await Workbench.create();
    bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(6)));
    await bench.sync();
    const { db } = bench.store;
    const before = [await dumpStore(bench.store), await schemaStatus(queries(db), SCHEMA), await definitions(db)];
    await db.query(file).collect();
    await db.query(file).collect();
    expect([await dumpStore(bench.store), await schemaStatus(queries(db), SCHEMA), await definitions(db)]).toEqual(
      before,
    );
    expect((await bench.store.findMessages([uuid(3)])).map(({ session_id }) => session_id)).toEqual([SESSION]);
    expect((await verifyAll(bench)).problems).toEqual([]);
  });
});

/** As riffd's first migration makes it. */
async function makeVersionTable(db: Surreal): Promise<void> {
  await db.query("DEFINE TABLE schema_version").collect();
}

/** Everything that is defined in a database, as text. */
async function definitions(db: Surreal): Promise<unknown[]> {
  const [info] = await db.query<[{ tables: Record<string, string> }]>("INFO FOR DB").collect();
  const all: unknown[] = [{ ...info, users: {} }];
  for (const name of Object.keys(info.tables)) all.push(...(await db.query(`INFO FOR TABLE ${name}`).collect()));
  return all;
}
