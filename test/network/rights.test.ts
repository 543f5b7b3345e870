// A server denies what a user may not do, often without a word: riffd says it, and nothing is half written.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NAMESPACE } from "../../src/config/store-target.ts";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl, SESSION } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { PASSWORD, TestServer, USER } from "../support/server.ts";
import { removeScratch, scratchFolder, Workbench } from "../support/workbench.ts";

let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start(scratchFolder());
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

/** A store with one session that was synced by its owner and has grown since, and what was in it. */
async function grownStore() {
  const name = await server.newDatabase();
  const bench = Workbench.over(await server.open(name));
  bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(5)));
  await bench.sync();
  await bench.store.database.run(
    `DEFINE USER reader ON DATABASE PASSWORD 'reads' ROLES VIEWER;
     DEFINE USER editor ON DATABASE PASSWORD 'writes' ROLES EDITOR;
     DEFINE ACCESS visitors ON DATABASE TYPE RECORD
       SIGNUP (CREATE visitor SET name = $name) SIGNIN (SELECT * FROM visitor WHERE name = $name);
     DEFINE TABLE visitor PERMISSIONS FULL;`,
  );
  bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(9)));
  const state = async () => [
    await dumpStore(bench.store),
    await bench.store.database.run(
      "SELECT * FROM source; SELECT * FROM commit; SELECT * FROM staged; SELECT * FROM feed_waiting",
    ),
  ];
  return { name, bench, state, before: await state() };
}

function sync(bench: Workbench, database: string, user: string, password: string, level = "database") {
  return riffd(scratchFolder(), ["sync", "--all", "--projects", bench.root], {
    env: {
      SURREALDB_URL: `ws://127.0.0.1:${server.port}`,
      SURREALDB_USER: user,
      SURREALDB_PASS: password,
      SURREALDB_DB: database,
      SURREALDB_AUTH_LEVEL: level,
    },
  });
}

describe("riffd sync as", () => {
  test("somebody who may only read says so and writes nothing", async () => {
    const { name, bench, state, before } = await grownStore();
    const run = await sync(bench, name, "reader", "reads");
    expect(run.code).toBe(EXIT_CODES.RIFF_PERMISSION_DENIED);
    expect(run.stderr).toContain("EDITOR");
    expect(await state()).toEqual(before);
  });

  test("somebody who may only read verifies, exports and asks", async () => {
    const { name } = await grownStore();
    const env = {
      SURREALDB_URL: `ws://127.0.0.1:${server.port}`,
      SURREALDB_USER: "reader",
      SURREALDB_PASS: "reads",
      SURREALDB_DB: name,
    };
    const state = scratchFolder();
    expect(await riffd(state, ["verify", "--all"], { env })).toMatchObject({ code: 0, stderr: "" });
    expect(await riffd(state, ["export", SESSION], { env })).toMatchObject({ code: 0, stderr: "" });
    expect(await riffd(state, ["query", "SELECT * FROM session"], { env })).toMatchObject({ code: 0, stderr: "" });
  });

  test("an editor of the database works", async () => {
    const { name, bench, before, state } = await grownStore();
    expect(await sync(bench, name, "editor", "writes")).toMatchObject({ code: 0, stderr: "" });
    expect(await state()).not.toEqual(before);
  });

  test("the user of another database is refused", async () => {
    const { bench, name, before, state } = await grownStore();
    const other = await grownStore();
    await other.bench.store.database.run("DEFINE USER stranger ON DATABASE PASSWORD 'else' ROLES OWNER");
    const run = await sync(bench, name, "stranger", "else");
    expect(run.code).toBe(EXIT_CODES.RIFF_CREDENTIALS_REFUSED);
    expect(await state()).toEqual(before);
  });
});

describe("a commit by", () => {
  test("somebody who may only read is refused, and nothing of it is written", async () => {
    const { name, bench, state, before } = await grownStore();
    await expectDenied(bench, await signedIn(name, { username: "reader", password: "reads" }));
    expect(await state()).toEqual(before);
  });

  test("a stranger, whom the server denies everything without a word, is refused", async () => {
    const { name, bench, state, before } = await grownStore();
    const visitor = await server.open(name);
    await visitor.surreal.signup({
      namespace: NAMESPACE,
      database: name,
      access: "visitors",
      variables: { name: "eve" },
    });
    expect(await visitor.run("CREATE message:x SET length = 1")).toEqual([[]]);
    await expectDenied(bench, visitor);
    expect(await state()).toEqual(before);
  });

  async function signedIn(database: string, user: { username: string; password: string }) {
    const connection = await server.open(database);
    await connection.surreal.signin({ namespace: NAMESPACE, database, ...user });
    return connection;
  }

  /** The pass of a workbench whose store is used by another user. */
  async function expectDenied(bench: Workbench, database: Awaited<ReturnType<TestServer["open"]>>) {
    const theirs = Workbench.over(database, bench.root);
    await expect(theirs.sync()).rejects.toMatchObject({ code: "RIFF_PERMISSION_DENIED" });
    await database.close();
  }
});

describe("the schema of a database on a server", () => {
  test("is set up by whoever may, the first time, and is its owner's from then on", async () => {
    const name = "fresh";
    const empty = await server.open(name);
    await empty.run("DEFINE USER reader ON DATABASE PASSWORD 'reads' ROLES VIEWER");
    const bench = Workbench.over(empty);
    bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(5)));

    const refused = await sync(bench, name, "reader", "reads");
    expect(refused.code).toBe(EXIT_CODES.RIFF_PERMISSION_DENIED);
    expect(refused.stderr).toContain("riffd schema apply");

    expect((await sync(bench, name, USER, PASSWORD, "root")).code).toBe(0);
    await empty.run("DELETE schema_version WHERE version > 1");
    const older = await sync(bench, name, USER, PASSWORD, "root");
    expect(older.code).toBe(EXIT_CODES.RIFF_SCHEMA_MISSING);
    expect(older.stderr).toContain("riffd schema apply");
  });
});
