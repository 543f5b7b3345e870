// Several riffd processes write into one server at the same time.
import { appendFileSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SurrealStore } from "../../src/store/surreal-store.ts";
import type { ModelSession } from "../model/model.ts";
import { chain, jsonl } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { PASSWORD, TestServer, USER } from "../support/server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const FILES = 6;
let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start(scratchFolder());
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

/** Transcripts of many commits each, and some of one. */
function tree(): { projects: string; files: string[] } {
  const projects = scratchFolder();
  mkdirSync(join(projects, "-p"));
  const files = Array.from({ length: FILES }, (_, n) => join(projects, "-p", `session${n}.jsonl`));
  for (const [n, file] of files.entries()) {
    writeFileSync(file, jsonl(...chain(n % 2 === 0 ? 1200 : 20, { from: n * 10_000 })));
    rest(file);
  }
  return { projects, files };
}

function rest(file: string): void {
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(file, hourAgo, hourAgo);
}

function environment(database: string) {
  return {
    env: {
      SURREALDB_URL: `ws://127.0.0.1:${server.port}`,
      SURREALDB_USER: USER,
      SURREALDB_PASS: PASSWORD,
      SURREALDB_DB: database,
    },
  };
}

async function syncAtOnce(states: readonly string[], projects: string, database: string): Promise<void> {
  const args = ["sync", "--all", "--json", "--projects", projects];
  const runs = await Promise.all(states.map((state) => riffd(state, args, environment(database))));
  expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual(states.map(() => [0, ""]));
}

async function dump(database: string): Promise<ModelSession[]> {
  const connection = await server.open(database);
  try {
    return await dumpStore(new SurrealStore(connection));
  } finally {
    await connection.close();
  }
}

test("of one machine: each message, event and commit is written exactly once", async () => {
  const { projects, files } = tree();
  const state = scratchFolder();
  await syncAtOnce([state, state], projects, "one");
  for (const [n, file] of files.entries()) {
    appendFileSync(file, jsonl(...chain(600, { from: n * 10_000 + 5_000 })));
    rest(file);
  }
  writeFileSync(files[0]!, readFileSync(files[0]!, "latin1").replace('"prompt 0"', '"prompt zero"'), "latin1");
  rest(files[0]!);
  await syncAtOnce([state, state, state], projects, "one");

  expect(await riffd(state, ["verify", "--all"], environment("one"))).toMatchObject({ code: 0, stderr: "" });
  const found = await dump("one");
  expect(found.map((session) => session.archived.toString("latin1"))).toEqual(
    files.map((file) => readFileSync(file, "latin1")),
  );
  const alone = scratchFolder();
  await riffd(alone, ["sync", "--all", "--projects", projects], environment("alone"));
  expect(found.map(readable)).toEqual((await dump("alone")).map(readable));
  expect(found.map(({ events }) => events.length)).toEqual(files.map((_, n) => (n === 0 ? 601 : 600)));
}, 180_000);

test("of two machines that see the same files: each has sessions of its own, whole", async () => {
  const { projects, files } = tree();
  const states = [scratchFolder(), scratchFolder()];
  await syncAtOnce(states, projects, "two");
  await syncAtOnce(states, projects, "two");
  for (const state of states) {
    expect(await riffd(state, ["verify", "--all"], environment("two"))).toMatchObject({ code: 0, stderr: "" });
  }
  const found = await dump("two");
  expect(found).toHaveLength(2 * FILES);
  for (const file of files) {
    expect(found.filter(({ archived }) => archived.equals(readFileSync(file)))).toHaveLength(2);
  }
  const hosts = states.map((state) => readFileSync(join(state, "host-id"), "utf8").slice(0, 8));
  for (const { session_id } of found) {
    expect(session_id).toMatch(new RegExp(`^session\\d(@(${hosts.join("|")}))?$`));
  }
}, 180_000);

/** All but the way it came to be. */
function readable({ events: _, generation: __, archived, ...session }: ModelSession) {
  return { ...session, archived: archived.toString("latin1") };
}
