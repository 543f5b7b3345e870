// Every command that uses the store, while the daemon has it open: each works by way of the daemon, or says what to do.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { startDaemon } from "../support/daemon.ts";
import { type Ended, killRunning, type Running, riffd } from "../support/riffd.ts";
import { PASSWORD, TestServer, USER } from "../support/server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const SAMPLE = fileURLToPath(new URL("../../examples/projects/", import.meta.url));
const TEAPOT = "f92beda8-4559-4dbd-bf46-9ea1d5fcbb23";

let state: string;
let daemon: Running;

beforeAll(async () => {
  state = scratchFolder();
  daemon = await startDaemon(state);
  expect((await run("sync", "--all", "--projects", SAMPLE)).code).toBe(0);
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const run = (...args: readonly string[]): Promise<Ended> => riffd(state, args);

/** A line of what it tells, and that it went well. */
async function told(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

describe("while the daemon has the store", () => {
  test("query reads it, and writes with --write", async () => {
    expect(await told("query", `RETURN session:⟨${TEAPOT}⟩.message_count`)).toBe("19\n");
    const refused = await run("query", "DELETE session");
    expect([refused.code, refused.stderr]).toEqual([
      EXIT_CODES.RIFF_QUERY_FAILED,
      expect.stringContaining("The query writes"),
    ]);
    expect(await told("query", "--write", `UPDATE session:⟨${TEAPOT}⟩ SET title = 'Tea' RETURN VALUE title`)).toContain(
      "Tea",
    );
    expect(await told("query", `RETURN session:⟨${TEAPOT}⟩.title`)).toBe("Tea\n");
    await told("sync", TEAPOT, "--force", "--projects", SAMPLE);
    expect(await told("query", `RETURN session:⟨${TEAPOT}⟩.title`)).toBe("A teapot that refuses coffee\n");
  });

  test("export gives back the bytes", async () => {
    const file = join(scratchFolder(), "out.jsonl");
    expect((await run("export", TEAPOT.slice(0, 8), "-o", file)).code).toBe(0);
    expect(readFileSync(file)).toEqual(readFileSync(join(SAMPLE, `-home-mira-code-teapot/${TEAPOT}.jsonl`)));
  });

  test("verify proves it, against what this machine has noted", async () => {
    expect(await told("verify")).toMatch(/^✓ 4 sessions verified: 61 messages/);
    expect(JSON.parse((await told("verify", TEAPOT, "--json")).split("\n")[0]!)).toMatchObject({ ok: true });
  });

  test("backup writes all of it, and restore-store wants a place of its own", async () => {
    const file = join(scratchFolder(), "a.riffd-backup");
    expect(await told("backup", file)).toMatch(/^✓ 4 sessions, 61 messages → /);
    expect(await told("restore-store", file, "--check")).toContain("is whole");
    const refused = await run("restore-store", file);
    expect([refused.code, refused.stdout]).toEqual([EXIT_CODES.RIFF_DAEMON_RUNNING, ""]);
    expect(refused.stderr).toMatch(/\nTry: Stop the daemon with `riffd stop`/);
    const env = { RIFFD_STORE_DIR: join(scratchFolder(), "store") };
    expect((await riffd(state, ["restore-store", file], { env })).code).toBe(0);
    const sessions = "RETURN count(SELECT id FROM session)";
    expect((await riffd(state, ["query", sessions], { env })).stdout).toBe("4\n");
  });

  test("schema tells its version, and has nothing to apply", async () => {
    expect(await told("schema", "status")).toContain("Schema: current");
    expect(await told("schema", "apply")).toBe(
      `✓ nothing to apply: the schema is this riffd's\nStore: rocksdb://${join(state, "store")}\n`,
    );
  });

  test("a dry run reads by way of the daemon, makes no copy, and writes nothing", async () => {
    const temporary = scratchFolder();
    const commits = await told("query", "SELECT VALUE id FROM commit");
    const args = ["sync", "--all", "--dry-run", "--projects", SAMPLE];
    const { code, stdout, stderr } = await riffd(state, args, { env: { TMPDIR: join(temporary, "none") } });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("• unchanged: 4 sessions, 61 messages");
    expect(stdout).toContain("DRY RUN");
    expect(await told("query", "SELECT VALUE id FROM commit")).toBe(commits);
  });

  test("forget destroys and notes it, and the daemon's next sync leaves it out", async () => {
    const uuid = (await told("query", "SELECT VALUE message_uuid FROM message WHERE role = 'user' LIMIT 1")).split(
      "\n",
    )[0]!;
    const { code, stdout } = await run("forget", uuid, "--reason", "a test", "--yes");
    expect([code, stdout]).toEqual([0, expect.stringContaining(`✓ The message ${uuid} is forgotten`)]);
    expect(await told("sync", "--all", "--force", "--projects", SAMPLE)).not.toContain("failed");
    expect(await told("query", `SELECT VALUE content FROM message WHERE message_uuid = '${uuid}'`)).toBe(
      "\n(1 value)\n",
    );
    expect((await run("verify")).code).toBe(0);
  });

  test("serve leaves it to the daemon, but makes users", async () => {
    const refused = await run("serve", "--listen", "0");
    expect([refused.code, refused.stdout]).toEqual([EXIT_CODES.RIFF_DAEMON_RUNNING, ""]);
    expect(refused.stderr).toMatch(/the daemon has it open\.\nTry: .*--rpc-listen.*riffd stop/);
    const made = await riffd(state, ["serve", "--no-listen", "--user", "ada"], { env: { RIFFD_SERVE_PASS: "x" } });
    expect([made.code, made.stderr]).toEqual([0, "ada may sign in as editor at the level database.\n"]);
    expect(await told("query", "RETURN (INFO FOR DB).users.ada != NONE")).toBe("true\n");
  });

  test("another store that is named is opened as ever", async () => {
    const dir = join(scratchFolder(), "store");
    const { code, stdout } = await riffd(state, ["sync", "--all", "--projects", SAMPLE], {
      env: { RIFFD_STORE_DIR: dir },
    });
    expect([code, stdout]).toEqual([0, expect.stringContaining(`Store: rocksdb://${dir}`)]);
  });

  test("no command has opened the store beside it", () => {
    expect(daemon.child.exitCode).toBeNull();
    expect(readFileSync(join(state, ".store-owner"), "utf8")).toMatch(new RegExp(`^${daemon.child.pid} `));
  });
});

describe("while the daemon works on a server's store", () => {
  let server: TestServer;
  let own: string;
  let working: Running;
  let env: Record<string, string>;
  let location: string;

  beforeAll(async () => {
    server = await TestServer.start(scratchFolder());
    own = scratchFolder();
    const target = server.target(await server.newDatabase());
    working = await startDaemon(own, { server: target });
    env = {
      SURREALDB_URL: target.url,
      SURREALDB_USER: USER,
      SURREALDB_PASS: PASSWORD,
      SURREALDB_DB: target.database,
    };
    location = `${target.url} (${target.namespace}/${target.database})`;
  });

  test.each([
    ["query", "RETURN 1"],
    ["verify"],
    ["export", TEAPOT],
    ["sync", "--all", "--projects", SAMPLE],
    ["sync", "--all", "--dry-run", "--projects", SAMPLE],
  ])("%s without the way to it names it, and opens no empty store", async (...args) => {
    const { code, stdout, stderr } = await riffd(own, args);
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_STORE_UNREACHABLE, ""]);
    expect(stderr).toContain(`Error: The daemon works on the store at ${location}`);
    expect(stderr).toMatch(/\nTry: .*--surrealdb-url/);
    expect(existsSync(join(own, "store"))).toBe(false);
  });

  test("with the way to it the daemon syncs, and the command reads the server", async () => {
    const synced = await riffd(own, ["sync", "--all", "--projects", SAMPLE], { env });
    expect([synced.code, synced.stdout]).toEqual([0, expect.stringContaining("✓ imported: 4 sessions, 61 messages")]);
    expect(working.stdout()).toContain("sync done");
    expect((await riffd(own, ["verify"], { env })).stdout).toMatch(/^✓ 4 sessions verified/);
  });

  test("another database of the server is synced without it", async () => {
    const before = working.stdout();
    const other = { ...env, SURREALDB_DB: await server.newDatabase() };
    const synced = await riffd(own, ["sync", "--all", "--projects", SAMPLE], { env: other });
    expect([synced.code, synced.stdout]).toEqual([0, expect.stringContaining("✓ imported: 4 sessions, 61 messages")]);
    expect(working.stdout()).toBe(before);
  });
});
