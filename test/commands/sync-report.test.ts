// What riffd sync tells of one session, and of many, as a real process.
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { styleFor } from "../../src/commands/style.ts";
import { type ReportRun, SyncReport } from "../../src/commands/sync-report.ts";
import type { Outcome } from "../../src/commands/sync-results.ts";
import { type ErrorCode, EXIT_CODES, RiffError } from "../../src/errors.ts";
import type { SessionRow } from "../../src/sync/store.ts";
import { chain, jsonl, SESSION, summary, userMessage, uuid } from "../support/builders.ts";
import { killRunning, query, riffd, startWithStore } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const NOBODY = 65534;
const OTHER = "5e55ffff-0000-4000-8000-000000000002";

let projects: string;
let state: string;
beforeEach(() => {
  projects = scratchFolder();
  state = scratchFolder();
});

function write(path: string, bytes: Buffer, hoursAgo = 1): string {
  const file = join(projects, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  const then = Date.now() / 1000 - hoursAgo * 3600;
  utimesSync(file, then, then);
  return file;
}

const sync = (...args: readonly string[]) => riffd(state, ["sync", ...args, "--projects", projects]);

/** With hashes and sizes, which tests of the reader know better, as dots. */
const readable = (text: string) => text.replaceAll(/\b[0-9a-f]{16}\b/g, "…").replaceAll(/\d+(\.\d)? (B|KB)\b/g, "… $2");

describe("the report on one session", () => {
  test("tells the seven steps of an import", async () => {
    const file = write(
      `-p/${SESSION}.jsonl`,
      jsonl(...chain(3), summary({ leaf: uuid(3) }), userMessage({ uuid: uuid(9), parent: uuid(8) })),
    );
    const { code, stdout, stderr } = await sync(SESSION.slice(0, 8), "--operator", "ada");
    expect([code, stderr]).toEqual([0, ""]);
    const [report] = readable(stdout).split("\nNext Steps");
    expect(report).toBe(`Syncing session: ${SESSION}
Source: ${file}

Step 1: Loading from JSONL...
  ✓ Loaded 4 messages and 1 other record
  ✓ Session hash: …
Step 2: Connecting to SurrealDB...
  ✓ Connected to rocksdb://${join(state, "store")}
Step 3: Checking existing session...
  • New session (not in SurrealDB)
Step 4: Analyzing session structure...
  • Messages: 4
  • Threads: 2
  • Corruption: 25.00% (1 record cut off)
        1 from ${uuid(9)} on: its parent is missing
Step 5: Initial import (no changes to detect)
Step 6: Writing to SurrealDB...
  ✓ Synced session record
  ✓ Logged 0 repair events
  ✓ Synced 4 messages and 1 other record
  ✓ Archived … KB, byte for byte

✓ Sync Complete

Session Status
  Title:        The second gear
  Messages:     4 in 2 threads
  Corruption:   25.00%
  Last message: 2025-06-01T12:00:03.000Z
  Session hash: …

Changes Logged
  Events:       none
  Operator:     ada
`);
  });

  test("tells the changes of a session that is known, with its hash and score before", async () => {
    const file = write(`-p/${SESSION}.jsonl`, jsonl(...chain(3), userMessage({ uuid: uuid(9), parent: uuid(8) })));
    const first = await sync(SESSION);
    write(
      `-p/${SESSION}.jsonl`,
      jsonl(...chain(3), userMessage({ uuid: uuid(9), parent: uuid(3) }), ...chain(2, { from: 20, parent: uuid(9) })),
    );
    const { stdout } = await sync(SESSION);
    const hash = /Session hash: (\w+)/.exec(first.stdout)![1];
    expect(stdout).toContain(`  • Found existing session (hash: ${hash})\n`);
    expect(stdout).toContain(`Step 5: Detecting changes...
  ✓ Found 4 changes
      2 message_added
      1 parent_repaired
      1 corruption_fixed
`);
    expect(stdout).toContain("  ✓ Logged 4 repair events\n  ✓ Synced 6 messages\n");
    expect(stdout).toContain("  Corruption:   25.00% → 0.00%\n");
    expect(stdout).toContain("  Events:       2 message_added, 1 parent_repaired, 1 corruption_fixed\n");

    const moved = join(projects, `-q/${SESSION}.jsonl`);
    mkdirSync(dirname(moved));
    renameSync(file, moved);
    const followed = (await sync(moved)).stdout;
    expect(followed).toContain(`  • Its file was ${file}\n`);
    expect(followed).toContain("  ✓ No message changed\n");
  });

  test("is short where nothing is new", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    await sync(SESSION);
    const { code, stdout } = await sync(SESSION);
    expect(code).toBe(0);
    expect(readable(stdout)).toContain("  • Nothing new since it was last synced\n");
    expect(stdout).toMatch(/\n✓ Up to date\n$/);
    expect(stdout).not.toContain("Step 6");
    expect((await sync(SESSION, "--dry-run")).stdout).toMatch(
      /✓ Up to date\n\nDRY RUN - No changes written\n {2}Would log 0 repair events\n {2}Would sync 0 messages\n$/,
    );
  });

  test("says that a rewrite without another word changed no message, and what is not decided yet", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    await sync(SESSION);
    const reversed = jsonl(...chain(3).map((message) => Object.fromEntries(Object.entries(message).reverse())));
    write(`-p/${SESSION}.jsonl`, reversed, 0);
    const { stdout } = await sync(SESSION);
    expect(stdout).toContain("  ✓ The file was rewritten, but no message changed\n");
    expect(stdout).toContain("  • Written a moment ago: missing parents are judged once the file is quiet\n");
  });

  test.each([
    { id: SESSION, also: null, named: SESSION.slice(0, 8) },
    { id: "it's ⟨odd⟩ $HOME\\", also: null, named: "'it'\\''s ⟨odd⟩ $HOME\\'" },
    { id: "-x", also: null, named: "-- -x" },
    { id: "twice", also: "twice@-p", named: null }, // the id alone may mean both
  ])("tells next steps that work when they are pasted, for $id", async ({ id, also, named }) => {
    const bytes = jsonl(...chain(3));
    const file = write(`-p/${id}.jsonl`, bytes);
    if (also !== null) write(`-q/${also}.jsonl`, jsonl(...chain(1, { from: 50 })));
    await sync("--all");
    write(`-p/${id}.jsonl`, jsonl(...chain(4)));
    const cwd = scratchFolder();
    const { stdout } = await riffd(state, ["sync", file, "--projects", projects], { cwd });
    const command = (label: string) => new RegExp(`^  ${label}: +(.*)$`, "m").exec(stdout)![1]!;
    const paste = (text: string) =>
      execFileSync("sh", ["-c", text], {
        cwd,
        env: { ...process.env, RIFFD_STATE_DIR: state },
        encoding: "utf8",
        stdio: "pipe",
      });
    expect(command("Prove it")).toMatch(/^(riffd|node .*cli\.js) verify /);
    expect(command("Prove it").endsWith(` verify ${named ?? file}`)).toBe(true);
    expect(paste(command("Prove it"))).toContain("1 session");
    paste(command("Get it back"));
    expect(readFileSync(join(cwd, `${id.replace(/^-/, "")}.jsonl`))).toEqual(jsonl(...chain(4)));
    const [, surrealql] = command("Query it").split(" query ");
    const rows = await query<{ session_id: string }[]>(state, paste(`printf %s ${surrealql}`));
    expect(rows.map(({ session_id }) => session_id)).toEqual([id]);
  });

  test("tells that other sessions' parents are judged by what came", async () => {
    write(`-p/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50, parent: uuid(2) })));
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    await sync(OTHER);
    const dry = (await sync(SESSION, "--dry-run")).stdout;
    expect(dry).toContain("  • It would also judge the parents in 1 other session\n");
    expect((await sync(SESSION)).stdout).toContain("  ✓ Judged the parents in 1 other session\n");
  });

  test("tells which step failed: the file cannot be read", async () => {
    const file = write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    chmodSync(file, 0o000);
    const isRoot = process.getuid?.() === 0; // may read everything, so that it has to be somebody else
    if (isRoot) {
      for (const folder of [projects, join(projects, "-p")]) chmodSync(folder, 0o755);
      chownSync(state, NOBODY, NOBODY);
    }
    const asOther = isRoot ? { uid: NOBODY } : {};
    const { code, stdout, stderr } = await riffd(state, ["sync", SESSION, "--projects", projects], asOther);
    expect(code).toBe(EXIT_CODES.RIFF_FILE_UNREADABLE);
    expect(stdout).toMatch(/Step 1: Loading from JSONL\.\.\.\n {2}✗ Not loaded\n\n$/);
    expect(stderr).toMatch(/^Error: Cannot read .*\nTry: /);
    expect(stderr).toContain(file);
  });

  test("tells which step failed: the store is in use", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    const holder = startWithStore(state, "");
    await vi.waitUntil(() => holder.stdout().includes("ready"), { timeout: 20_000 });
    const { code, stdout, stderr } = await sync(SESSION);
    expect(code).toBe(EXIT_CODES.RIFF_STORE_LOCKED);
    expect(stdout).toContain(`Syncing session: ${SESSION}\n`);
    expect(stdout).toMatch(/Step 2: Connecting to SurrealDB\.\.\.\n {2}✗ Not connected\n\n$/);
    expect(stderr).toContain(`process ${holder.child.pid}`);
    holder.child.stdin?.end();
    await holder.ended;
  });

  test("is told by its old name too, and in colour where that is asked for", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    const args = ["sync:surrealdb", SESSION, "--projects", projects];
    const { stdout } = await riffd(state, args, { env: { FORCE_COLOR: "1" } });
    expect(stdout).toContain("\u001b[32m✓ Sync Complete\u001b[39m");
    expect((await riffd(state, args)).stdout).not.toContain("\u001b");
  });
});

describe("the lines of a report", () => {
  const session = {
    session_id: "s",
    session_hash: "ab",
    source: ["host", "/p/s.jsonl"],
    state: "live",
    message_count: 1,
    record_count: 0,
    thread_count: 1,
    corruption_score: 0,
    cut_off_count: 0,
    unreadable_count: 0,
    faults: [],
    fault_count: 0,
    title: null,
    last_message_at: null,
  } as unknown as SessionRow;
  const outcome: Outcome = {
    sessionId: "s",
    path: "/p/s.jsonl",
    status: "imported",
    before: session,
    session,
    events: { message_added: 0, parent_repaired: 0, content_updated: 0, corruption_fixed: 0, message_removed: 0 },
    error: null,
    healedRows: 0,
    durationMs: 1,
    written: { commits: 1, messages: 1, records: 0, bytes: 1 },
  };
  const run: ReportRun = {
    dryRun: false,
    location: "rocksdb:///store",
    storeExists: true,
    operator: "cli",
    resumes: false,
    isLive: false,
    others: [],
    program: "riffd",
    storeOptions: " --surrealdb-url ws://host:8000",
    name: "s",
  };

  function told(tell: (report: SyncReport) => void): string[] {
    const lines: string[] = [];
    tell(new SyncReport({ line: (text) => lines.push(text), note: (text) => lines.push(text) }, styleFor({}, {})));
    return lines;
  }

  test("say that an import goes on which was interrupted, and that a file is back", () => {
    const lines = told((report) => report.outcome(outcome, session, { ...run, resumes: true }));
    expect(lines).toContain("  • Its import was interrupted, and goes on");
    expect(lines).toContain("  ✓ None: what is read is still the initial import");
    const back = { ...outcome, status: "back", before: { ...session, state: "gone" } } as const;
    expect(told((report) => report.outcome(back, session, run))).toContain("  • Its file was gone, and is back");
  });

  test("take the same store for the next steps", () => {
    const lines = told((report) => report.outcome(outcome, session, run));
    expect(lines.filter((line) => line.includes("riffd "))).toEqual([
      "  Prove it:     riffd verify --surrealdb-url ws://host:8000 s",
      "  Get it back:  riffd export --surrealdb-url ws://host:8000 -o s.jsonl s",
      "  Query it:     riffd query --surrealdb-url ws://host:8000 'SELECT * FROM session:⟨s⟩'",
    ]);
  });

  test("name the step in which the store failed, and none where the user stopped it", () => {
    const stopped = (code: ErrorCode) => told((report) => report.stopped(new RiffError(code, "m", "h"), run));
    expect(stopped("RIFF_STORE_IO").slice(-3)).toEqual([
      "Step 6: Writing to SurrealDB...",
      "  ✗ Not written to the end; what was committed is complete in itself",
      "",
    ]);
    expect(stopped("RIFF_INTERRUPTED")).toEqual([]);
  });
});

describe("a session whose file is gone", () => {
  test("is told as kept in the store, with the command that gives it back", async () => {
    const file = write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    await sync("--all");
    rmSync(file);
    for (const args of [[SESSION], [SESSION.slice(0, 6)], [SESSION, "--dry-run"]]) {
      const { code, stdout, stderr } = await sync(...args);
      expect([code, stdout]).toEqual([EXIT_CODES.RIFF_SESSION_NOT_FOUND, ""]);
      expect(stderr).toContain(`${file} is gone.`);
      expect(stderr).toContain(`The store has session ${SESSION} (3 messages)`);
      expect(stderr).toContain(`riffd export ${SESSION} -o FILE`);
    }
  });

  test("is told with its path where the file lies outside of the folders that were searched", async () => {
    const file = write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    await sync("--all");
    const empty = scratchFolder();
    const { code, stderr } = await riffd(state, ["sync", SESSION, "--projects", empty]);
    expect(code).toBe(EXIT_CODES.RIFF_SESSION_NOT_FOUND);
    expect(stderr).toContain(`There is no session "${SESSION}" in ${empty}.`);
    expect(stderr).toContain(`from ${file}.`);
    expect(stderr).toContain("--projects DIR");
  });
});

describe("--since and --until", () => {
  const statuses = async (...args: string[]) => {
    const { code, stdout } = await sync(...args, "--json");
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    return { ids: lines.slice(0, -1).map(({ session_id }) => session_id), left_out: lines.at(-1).left_out };
  };

  test("choose by when a transcript was last written; the others are neither read nor taken for gone", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)), 30);
    write(`-p/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50 })), 2);
    expect(await statuses("--all", "--since", "1d")).toEqual({ ids: [OTHER], left_out: 1 });
    expect(await statuses("--all", "--until", "1d")).toEqual({ ids: [SESSION], left_out: 1 });
    expect(await statuses("--all", "--since", "2d", "--until", "90m")).toEqual({ ids: [SESSION, OTHER], left_out: 0 });
    expect(await statuses(SESSION, OTHER, "--since", "1d")).toEqual({ ids: [OTHER], left_out: 1 });
    const states = await query<{ state: string }[]>(state, "SELECT session_id, state FROM session");
    expect(states.map((row) => row.state)).toEqual(["live", "live"]);
  });

  test("tell how many they left out, also where that is all", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)), 30);
    const none = await sync(SESSION, "--since", "1d");
    expect([none.code, none.stderr]).toEqual([0, ""]);
    expect(none.stdout).toMatch(/^• left out: 1 session, last written before \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n/);
    expect((await sync("--all", "--since", "1d")).stdout).toContain("• left out: 1 session");
    expect((await sync("--all", "--since", "2d")).stdout).not.toContain("left out");
  });

  test("refuse what is no point in time (and --operator no name) before anything is opened", async () => {
    const nowhere = join(state, "nowhere");
    for (const args of [
      ["--since", "soon"],
      ["--until", "2026-02-30"],
      ["--since", "1h", "--until", "2h"],
    ]) {
      const { code, stdout, stderr } = await riffd(nowhere, ["sync", "--all", ...args, "--projects", projects]);
      expect([args, code, stdout]).toEqual([args, EXIT_CODES.RIFF_USAGE, ""]);
      expect(stderr).toMatch(/^Error: --.*\nTry: /);
    }
  });
});

describe("--quiet", () => {
  test("says nothing where nothing failed", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)));
    for (const args of [["--all"], [SESSION], ["--all", "--dry-run"], ["--all", "--since", "1m"]]) {
      expect(await sync(...args, "--quiet")).toMatchObject({ code: 0, stdout: "", stderr: "" });
    }
    expect(await riffd(state, ["sync", "--all", "--quiet", "--projects", scratchFolder()])).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect((await sync("--all", "--quiet", "--json")).stdout).toContain('"summary":true');
  });

  test("tells what failed, first of all and on stderr", async () => {
    const file = write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)));
    write(`-p/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50 })));
    await sync("--all");
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(3)));
    // Damage to the store that only this session has, and that no healing mends.
    await query(
      state,
      `RETURN 1; REMOVE EVENT append_only ON source_segment; DELETE source_segment:['${SESSION}', NONE]..['${SESSION}', ..]`,
    );
    const quiet = await sync("--all", "--quiet");
    expect([quiet.code, quiet.stdout]).toEqual([EXIT_CODES.RIFF_SESSIONS_FAILED, ""]);
    expect(quiet.stderr).toContain(`✗ failed: 1 session\n    ${SESSION}  ${file}\n      Error: The archived bytes`);
    const told = await sync("--all");
    expect(told.stdout).toMatch(/^✗ failed: 1 session\n/);
    expect(told.stdout).toContain("• unchanged: 1 session, 2 messages\n");
    const single = await sync(SESSION);
    expect(single.stdout).toMatch(/✗ [^\n]+\n\n$/);
    expect(single.stderr).toContain("Error: The archived bytes");
  });
});
