// The command line against a store behind a network: what people see when it is there, wrong, away or gone.
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl, SESSION } from "../support/builders.ts";
import { FaultyProxy } from "../support/faulty-proxy.ts";
import { killRunning, type RunOptions, riffd, startRiffd } from "../support/riffd.ts";
import { PASSWORD, TestServer, USER } from "../support/server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

let server: TestServer;
let databases = 0;
const projects = scratchFolder();
const file = join(projects, "-p", `${SESSION}.jsonl`);

beforeAll(async () => {
  mkdirSync(join(projects, "-p"));
  writeFileSync(file, jsonl(...chain(50)));
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(file, hourAgo, hourAgo);
  server = await TestServer.start(scratchFolder());
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

/** The environment of somebody who knows the way to a database of their own. */
function environment(overrides: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    SURREALDB_URL: `ws://127.0.0.1:${server.port}`,
    SURREALDB_USER: USER,
    SURREALDB_PASS: PASSWORD,
    SURREALDB_DB: `cli${++databases}`,
    ...overrides,
  };
}

const SYNC = ["sync", "--all", "--projects", projects];

describe.each(["ws", "http"])("over %s", (scheme) => {
  test("a session is synced, verified and given back, and a second sync writes nothing", async () => {
    const options: RunOptions = { env: environment({ SURREALDB_URL: `${scheme}://127.0.0.1:${server.port}` }) };
    const state = scratchFolder();
    const first = await riffd(state, [...SYNC, "--json"], options);
    expect([first.code, first.stderr]).toEqual([0, ""]);
    expect(first.stdout).toContain('"statuses":{"imported":1}');
    expect((await riffd(state, [...SYNC, "--json"], options)).stdout).toContain('"statuses":{"unchanged":1}');
    expect(await riffd(state, ["verify", "--all"], options)).toMatchObject({ code: 0, stderr: "" });
    const out = join(state, "out.jsonl");
    expect((await riffd(state, ["export", SESSION, "-o", out], options)).code).toBe(0);
    expect(readFileSync(out)).toEqual(readFileSync(file));
  });
});

describe("a dry run", () => {
  test("reads the store over the network, says what would be written, and writes nothing", async () => {
    const options: RunOptions = { env: environment() };
    const state = scratchFolder();
    const fresh = await riffd(state, [...SYNC, "--dry-run", "--json"], options);
    expect([fresh.code, fresh.stderr]).toEqual([0, ""]);
    expect(fresh.stdout).toContain('"statuses":{"imported":1}');
    expect((await riffd(state, ["schema", "status"], options)).code).toBe(EXIT_CODES.RIFF_SCHEMA_MISSING);

    await riffd(state, SYNC, options);
    const count = ["query", "SELECT count() FROM commit GROUP ALL", "--json"];
    const before = (await riffd(state, count, options)).stdout;
    const grown = scratchFolder();
    mkdirSync(join(grown, "-p"));
    writeFileSync(join(grown, "-p", "another.jsonl"), jsonl(...chain(3, { from: 500 })));
    const more = await riffd(state, ["sync", "--all", "--projects", grown, "--dry-run", "--json"], options);
    expect(more.stdout).toContain('"statuses":{"imported":1}');
    expect((await riffd(state, count, options)).stdout).toBe(before);
  });
});

describe("the URL", () => {
  test("of the command line wins over the environment's, and its user and password are used but never told", async () => {
    const env = environment({ SURREALDB_URL: "ws://127.0.0.1:1", SURREALDB_USER: "", SURREALDB_PASS: "" });
    const url = `ws://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}/rpc`;
    const run = await riffd(scratchFolder(), [...SYNC, "--surrealdb-url", url], { env });
    expect([run.code, run.stderr]).toEqual([0, ""]);
    expect(run.stdout).toContain(`Store: ws://127.0.0.1:${server.port} (nabi/cli`);
    expect(run.stdout).not.toContain("only");
  });

  test.each([
    ["localhost:8000", "no way to a SurrealDB server"],
    ["mysql://localhost", "no way to a SurrealDB server"],
    ["ws://", "is not a URL"],
    ["ws://u:secret@localhost?x=1", 'has a part after "?"'],
  ])("%s is refused without its password", async (url, message) => {
    const run = await riffd(scratchFolder(), [...SYNC, "--surrealdb-url", url]);
    expect(run.code).toBe(EXIT_CODES.RIFF_CONFIG_INVALID);
    expect(run.stderr).toContain(message);
    expect(run.stderr).not.toContain("secret");
  });
});

describe("a server that", () => {
  test("is not there is told as unreachable, with the way to start one", async () => {
    const env = environment({ SURREALDB_URL: `ws://u:hidden@127.0.0.1:1` });
    const run = await riffd(scratchFolder(), SYNC, { env });
    expect(run.code).toBe(EXIT_CODES.RIFF_STORE_UNREACHABLE);
    expect(run.stderr).toMatch(/^Error: The store at ws:\/\/127\.0\.0\.1:1 .*ECONNREFUSED/);
    expect(run.stderr).toContain("Try: ");
    expect(run.stderr).toContain("riffd serve");
    expect(run.stderr).not.toContain("hidden");
  });

  test.each(["ws", "http"])("refuses the password is told so over %s, without the password", async (scheme) => {
    const env = environment({ SURREALDB_URL: `${scheme}://127.0.0.1:${server.port}`, SURREALDB_PASS: "hidden" });
    const run = await riffd(scratchFolder(), SYNC, { env });
    expect(run.code).toBe(EXIT_CODES.RIFF_CREDENTIALS_REFUSED);
    expect(run.stderr).toContain(`does not accept the user "${USER}"`);
    expect(run.stderr).not.toContain("hidden");
  });

  test("wants a user is told so where none is given", async () => {
    const run = await riffd(scratchFolder(), SYNC, { env: environment({ SURREALDB_USER: "", SURREALDB_PASS: "" }) });
    expect(run.code).toBe(EXIT_CODES.RIFF_CREDENTIALS_REFUSED);
    expect(run.stderr).toContain("SURREALDB_USER");
  });

  test("is unplugged in the middle and comes back is told once each, and the sync goes on", async () => {
    const big = scratchFolder();
    for (let n = 0; n < 40; n++) {
      mkdirSync(join(big, "-p"), { recursive: true });
      writeFileSync(join(big, "-p", `s${n}.jsonl`), jsonl(...chain(200, { from: n * 1000 })));
    }
    const proxy = await FaultyProxy.listen(server.port);
    proxy.delayMs = 5; // so that it takes a while
    const state = scratchFolder();
    const env = environment({ SURREALDB_URL: `ws://127.0.0.1:${proxy.port}` });
    const running = startRiffd(state, ["sync", "--all", "--json", "--projects", big], { env });
    await proxy.passed(300_000);
    proxy.refusing = true;
    proxy.cut();
    await running.told(/is away/);
    proxy.refusing = false;
    const { code, stderr, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stderr.match(/is away/g)).toHaveLength(1);
    expect(stderr.match(/is back/g)).toHaveLength(1);
    expect(stdout).toContain('"sessions":40,"statuses":{"imported":40}');
    await proxy.close();
    const direct = { env: { ...env, SURREALDB_URL: `ws://127.0.0.1:${server.port}` } };
    expect(await riffd(state, ["verify", "--all"], direct)).toMatchObject({ code: 0, stderr: "" });
  });
});

test("an interrupt ends the wait for a store that is away", async () => {
  const proxy = await FaultyProxy.listen(server.port);
  proxy.stalled = true;
  const env = environment({ SURREALDB_URL: `ws://127.0.0.1:${proxy.port}` });
  const running = startRiffd(scratchFolder(), SYNC, { env });
  await proxy.joined();
  running.child.kill("SIGINT");
  expect((await running.ended).code).toBe(EXIT_CODES.RIFF_INTERRUPTED);
  await proxy.close();
});
