// riffd sync while the daemon has the store: the daemon does it, and nobody can tell from what is said.
import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl, SESSION, userMessage, uuid } from "../support/builders.ts";
import { startDaemon } from "../support/daemon.ts";
import { type Ended, killRunning, notedCommits, type Running, riffd, startRiffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const GROWING = "5e55ffff-0000-4000-8000-000000000002";
const TWIN = "5e55ffff-0000-4000-8000-000000000003";
const DAMAGED = "5e55dddd-0000-4000-8000-000000000004";

const projects = scratchFolder();
/** One store is synced by the command itself, the other by the daemon. */
const alone = scratchFolder();
const served = scratchFolder();

beforeAll(async () => {
  await startDaemon(served);
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

function write(path: string, bytes: Buffer): string {
  const file = join(projects, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(file, hourAgo, hourAgo);
  return file;
}

/** What was said, but for where the state is and how long it took; sessions end in any order. */
function said({ code, stdout, stderr }: Ended, state: string) {
  const text = (stream: string) =>
    stream
      .replaceAll(state, "STATE")
      .replaceAll(/\d+\.\d s\b/g, "… s")
      .replaceAll(/"duration_ms":\d+/g, '"duration_ms":0');
  const lines = text(stdout).split("\n");
  return { code, stdout: stdout.startsWith("{") ? lines.sort() : lines, stderr: text(stderr) };
}

/** Runs the same sync on both stores, and expects the same of both. */
async function expectSame(...args: readonly string[]): Promise<Ended> {
  const command = ["sync", ...args, "--projects", projects];
  const [here, there] = await Promise.all([riffd(alone, command), riffd(served, command)]);
  expect(said(there, served)).toEqual(said(here, alone));
  return there;
}

async function commits(): Promise<{ operator: string; session_id: string }[]> {
  const { stdout } = await riffd(served, ["query", "--json", "SELECT session_id, operator FROM commit"]);
  return (JSON.parse(stdout) as [{ result: { operator: string; session_id: string }[] }])[0].result;
}

describe("a sync that is handed to the daemon says what one without a daemon says", () => {
  test("of new sessions, and stands in the log under the operator's name", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(4), userMessage({ uuid: uuid(9), parent: uuid(8) })));
    const { code, stdout } = await expectSame(SESSION.slice(0, 12), "--operator", "ada");
    expect([code, stdout]).toEqual([0, expect.stringContaining("✓ Sync Complete")]);
    expect(await commits()).toContainEqual({ session_id: SESSION, operator: "ada" });
  });

  test("of all of them, for people and as JSON", async () => {
    write(`-p/${GROWING}.jsonl`, jsonl(...chain(3, { from: 50 })));
    write(`-p/${DAMAGED}.jsonl`, jsonl(...chain(3, { from: 150 })));
    expect((await expectSame("--all")).stdout).toContain("✓ imported: 2 sessions, 6 messages");
    write(`-q/another.jsonl`, jsonl(...chain(3, { from: 250 })));
    expect((await expectSame("--all", "--json")).stdout).toContain('"statuses":{"unchanged":3,"imported":1}');
  });

  test("of sessions that did not change, were appended to, rewritten, or are gone", async () => {
    expect((await expectSame(SESSION)).stdout).toContain("✓ Up to date");
    const file = write(`-p/${GROWING}.jsonl`, jsonl(...chain(5, { from: 50 })));
    expect((await expectSame(GROWING)).stdout).toContain("2 message_added");
    const [first, , third] = chain(3, { from: 50 });
    write(`-p/${GROWING}.jsonl`, jsonl(first!, third!));
    const rewritten = await expectSame("--all", "--json");
    expect(rewritten.stdout).toMatch(/"message_removed":3.*/);
    rmSync(file);
    expect((await expectSame("--all")).stdout).toContain("✓ gone: 1 session");
  });

  test("of sessions chosen by time, by project, by path, and read again by force", async () => {
    expect((await expectSame("--all", "--since", "1d", "--json")).stdout).toContain('"left_out":0');
    expect((await expectSame("--all", "--until", "2020-01-01")).stdout).toContain("left out: 3 sessions");
    expect((await expectSame("--all", "--exclude", "-q")).stderr).toContain("Not read: 1 project");
    expect((await expectSame("--all", "--force", "--json")).stdout).toContain('"healed_rows":0');
    const elsewhere = join(scratchFolder(), "-r", "elsewhere.jsonl");
    mkdirSync(dirname(elsewhere));
    writeFileSync(elsewhere, jsonl(...chain(2, { from: 350 })));
    expect((await expectSame(elsewhere)).stdout).toContain(elsewhere);
    expect((await expectSame("--all", "--quiet")).stdout).toBe("");
  });

  test("of names that mean nothing or several sessions", async () => {
    expect((await expectSame("nonsense")).code).toBe(EXIT_CODES.RIFF_SESSION_NOT_FOUND);
    write(`-p/${TWIN}.jsonl`, jsonl(...chain(1, { from: 450 })));
    write(`-p/${GROWING}.jsonl`, jsonl(...chain(2, { from: 50 })));
    expect((await expectSame("5e55ffff")).code).toBe(EXIT_CODES.RIFF_SESSION_AMBIGUOUS);
    expect((await expectSame()).code).toBe(EXIT_CODES.RIFF_USAGE);
  });

  test("of a session that fails, alone and among others", async () => {
    const damage = `REMOVE EVENT append_only ON source_segment; DELETE source_segment:['${DAMAGED}', NONE]..['${DAMAGED}', ..]`;
    for (const state of [alone, served]) expect((await riffd(state, ["query", "--write", damage])).code).toBe(0);
    write(`-p/${DAMAGED}.jsonl`, jsonl(...chain(4, { from: 150 })));
    const one = await expectSame(DAMAGED);
    expect([one.code, one.stdout]).toEqual([EXIT_CODES.RIFF_STORE_DAMAGED, expect.stringContaining("Step 3")]);
    const all = await expectSame("--all", "--json");
    expect(all.code).toBe(EXIT_CODES.RIFF_SESSIONS_FAILED);
    expect(all.stdout).toContain('"error":{"code":"RIFF_STORE_DAMAGED"');
    rmSync(join(projects, `-p/${DAMAGED}.jsonl`));
  });
});

describe("in the middle of a sync", () => {
  const large = scratchFolder();
  const SYNC = ["sync", "--all", "--json", "--projects", large];
  const MESSAGES = 30_000;
  let state: string;
  let working: Running;
  let syncing: Running;

  beforeAll(() => {
    mkdirSync(join(large, "-p"));
    writeFileSync(join(large, `-p/${SESSION}.jsonl`), jsonl(...chain(MESSAGES)));
  });

  beforeEach(async () => {
    state = scratchFolder();
    working = await startDaemon(state);
    syncing = startRiffd(state, SYNC);
    await vi.waitUntil(() => notedCommits(state).length >= 2, { timeout: 50_000, interval: 5 });
  });

  test("Ctrl-C ends the daemon's pass too, and the next one goes on where it stopped", async () => {
    syncing.child.kill("SIGINT");
    const interrupted = await syncing.ended;
    expect(interrupted).toMatchObject({ code: EXIT_CODES.RIFF_INTERRUPTED, signal: null, stdout: "" });
    expect(interrupted.stderr).toMatch(/^Error: Interrupted\./);
    await working.told(/sync failed RIFF_INTERRUPTED/);
    expect(await count(state)).toBeLessThan(MESSAGES);
    expect((await riffd(state, SYNC)).stdout).toContain(`"messages":${MESSAGES}`);
    expect(await count(state)).toBe(MESSAGES);
  });

  test("the daemon's death is told as a store that is away, and a sync without it completes the work", async () => {
    working.child.kill("SIGKILL");
    const left = await syncing.ended;
    expect([left.code, left.stdout]).toEqual([EXIT_CODES.RIFF_STORE_UNREACHABLE, ""]);
    expect(left.stderr).toMatch(
      /^Error: The daemon went away in the middle of the sync: .*\nTry: Run the same command/m,
    );
    expect((await riffd(state, SYNC)).stdout).toContain(`"messages":${MESSAGES}`);
    expect((await riffd(state, ["verify"])).code).toBe(0);
  });

  test("riffd stop ends it after the step in flight", async () => {
    const stopped = await riffd(state, ["stop"]);
    expect([stopped.code, stopped.stdout]).toEqual([
      0,
      expect.stringMatching(/^✓ The daemon has stopped · \d+\.\d s\n$/),
    ]);
    expect((await working.ended).code).toBe(0);
    expect((await syncing.ended).code).toBe(EXIT_CODES.RIFF_STORE_UNREACHABLE);
    expect((await riffd(state, ["verify"])).code).toBe(0);
  });
});

/** Messages of the store, asked as anybody does. */
async function count(state: string): Promise<number> {
  const { stdout } = await riffd(state, ["query", "SELECT VALUE math::sum(message_count) FROM session GROUP ALL"]);
  return Number.parseInt(stdout, 10);
}
