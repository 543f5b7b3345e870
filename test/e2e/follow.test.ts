// Somebody follows the commits over the control socket, goes away and comes back, and so does the daemon: each commit is
// told once, and none is missing.
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { type Answer, ask } from "../../src/control/exchange.ts";
import { ROUTES } from "../../src/control/protocol.ts";
import { FEED_START, type FedCommit } from "../../src/sync/feed.ts";
import { jsonl, userMessage, uuid } from "../support/builders.ts";
import { asked, eventually, LiveDaemon } from "../support/live-daemon.ts";
import { killRunning } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

/** Writes a line to one of some sessions, again and again. */
class Writer {
  readonly projects = scratchFolder();
  #written = 0;

  constructor() {
    mkdirSync(join(this.projects, "-p"));
  }

  write(sessions = 4): void {
    const n = this.#written++;
    const session = n % sessions;
    const parent = n < sessions ? null : uuid(n - sessions);
    appendFileSync(join(this.projects, "-p", `s${session}.jsonl`), jsonl(userMessage({ uuid: uuid(n), parent })));
  }

  /** Writes until it is stopped, a line in every turn that the condition is not met. */
  async until(condition: () => boolean): Promise<void> {
    await eventually(() => {
      if (condition()) return;
      this.write();
      throw new Error("what is waited for has not come");
    });
  }
}

function keyOf({ session_id, n }: Pick<FedCommit, "session_id" | "n">): string {
  return `${session_id} ${n}`;
}

/** All commits of the store, as its rows tell. */
async function commitRows(stateDir: string): Promise<string[]> {
  const rows = await asked<{ session_id: string; n: number }[]>(stateDir, "SELECT session_id, n FROM commit");
  return rows.map(keyOf);
}

/** Takes commits until as many of them are there as the store has, and compares. */
async function expectEachOnce(daemon: LiveDaemon, followed: readonly FedCommit[]): Promise<void> {
  await daemon.settled();
  const rows = await commitRows(daemon.stateDir);
  await eventually(() => expect(followed.length).toBeGreaterThanOrEqual(rows.length));
  expect(followed.map(keyOf).sort()).toEqual(rows.sort());
  for (const session of new Set(followed.map(({ session_id }) => session_id))) {
    const numbers = followed.filter(({ session_id }) => session_id === session).map(({ n }) => n);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1)); // those of a session in their order
  }
}

test("a follower that stays sees every commit once, across kills and restarts of the daemon", async () => {
  const writer = new Writer();
  const stateDir = scratchFolder();
  const options = { env: { RIFFD_SETTLE_S: "1" } };
  writer.write();
  let daemon = await LiveDaemon.start(stateDir, writer.projects, options);
  const followed: FedCommit[] = [];
  const told: string[] = [];
  const end = new AbortController();
  const following = (async () => {
    const way = { cursor: FEED_START, away: () => told.push("away"), back: () => told.push("back") };
    for await (const commit of daemon.client.follow(way, end.signal)) followed.push(commit);
  })();
  await writer.until(() => followed.length >= 10);
  for (const restart of ["kill", "stop", "kill"] as const) {
    await daemon[restart]();
    writer.write();
    const before = followed.length;
    daemon = await LiveDaemon.start(stateDir, writer.projects, options);
    await writer.until(() => followed.length >= before + 8);
  }
  await expectEachOnce(daemon, followed);
  expect(told).toEqual(["away", "back", "away", "back", "away", "back"]);
  end.abort();
  await following;
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a follower that comes back with its cursor goes on behind it, wherever its connection was cut", async () => {
  const writer = new Writer();
  const stateDir = scratchFolder();
  const daemon = await LiveDaemon.start(stateDir, writer.projects, { env: { RIFFD_SETTLE_S: "1" } });
  const followed: FedCommit[] = [];
  let cursor = FEED_START;
  for (let connection = 0; connection < 8; connection++) {
    const wanted = followed.length + 1 + (connection % 3);
    const cut = new AbortController();
    const taken = (async () => {
      for await (const commit of daemon.client.follow({ cursor }, cut.signal)) {
        followed.push(commit);
        cursor = commit.cursor;
        if (followed.length >= wanted) break;
      }
    })();
    await writer.until(() => followed.length >= wanted);
    cut.abort();
    await taken;
    writer.write(); // while nobody follows
  }
  const end = new AbortController();
  const rest = (async () => {
    for await (const commit of daemon.client.follow({ cursor }, end.signal)) followed.push(commit);
  })();
  await expectEachOnce(daemon, followed);
  end.abort();
  await rest;
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a stream of commits says from where it goes on, and a session's alone tells of no other", async () => {
  const writer = new Writer();
  const stateDir = scratchFolder();
  for (let i = 0; i < 8; i++) writer.write();
  const daemon = await LiveDaemon.start(stateDir, writer.projects);
  const stream = (query: string): Promise<Answer> =>
    ask({ socketPath: daemon.socket, method: "GET", path: `${ROUTES.commits}?${query}`, silenceMs: 20_000 });
  const { status, text } = await stream(`cursor=${FEED_START}&session=s1`);
  expect(status).toBe(200);
  let told = "";
  while (!told.includes("event: commit")) told += (await text.next()).value as string;
  await text.return();
  expect(told).toMatch(/^id: 0\nevent: position\ndata: \{\}\n\n/);
  const commits = [...told.matchAll(/^event: commit\ndata: (.*)$/gm)].map(([, json]) => JSON.parse(json!) as FedCommit);
  expect(commits.map(({ session_id }) => session_id)).toEqual(commits.map(() => "s1"));
  const last = [...told.matchAll(/^id: (\S+)$/gm)].at(-1)![1]!;
  const back = await stream(`cursor=${last}&session=s1`);
  expect((await back.text.next()).value).toContain(`id: ${last}\nevent: position`);
  await back.text.return();

  for (const wrong of ["cursor=never%20given", "cursor=zzzz"]) expect((await stream(wrong)).status).toBe(400);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});
