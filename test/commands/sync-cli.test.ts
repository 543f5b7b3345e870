// riffd sync as a real process: what it prints, how it exits, and what happens when it is disturbed.

import { execFile } from "node:child_process";
import { chmodSync, chownSync, cpSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl, progress, SESSION, summary, userMessage, uuid } from "../support/builders.ts";
import { type Ended, killRunning, notedCommits, query, riffd, startRiffd, startWithStore } from "../support/riffd.ts";
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

function write(path: string, bytes: Buffer): string {
  const file = join(projects, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(file, hourAgo, hourAgo);
  return file;
}

function sync(...args: readonly string[]): Promise<Ended> {
  return riffd(state, ["sync", ...args, "--projects", projects]);
}

interface SessionLine {
  readonly session_id: string;
  readonly status: string;
  readonly messages: number;
  readonly session_hash: string;
  readonly events: Readonly<Record<string, number>>;
  readonly error?: { readonly code: string };
}

interface SummaryLine {
  readonly summary: true;
  readonly sessions: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly messages: number;
  readonly events: Readonly<Record<string, number>>;
}

/** The lines of `--json`: one for each session, sorted by its id, and the summary, which is the last. */
function parsed({ stdout }: Ended): { sessions: SessionLine[]; summary: SummaryLine } {
  expect(stdout.endsWith("\n")).toBe(true);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  const sessions = lines.slice(0, -1) as SessionLine[];
  sessions.sort((a, b) => (a.session_id < b.session_id ? -1 : 1));
  return { sessions, summary: lines.at(-1) as SummaryLine };
}

const NO_EVENTS = {
  message_added: 0,
  parent_repaired: 0,
  content_updated: 0,
  corruption_fixed: 0,
  message_removed: 0,
};

describe("riffd sync --json", () => {
  test("tells each session on a line of its own and sums up on the last", async () => {
    const file = write(`-p/${SESSION}.jsonl`, jsonl(...chain(4), summary({ leaf: uuid(4) })));
    const broken = write(
      `-p/${OTHER}.jsonl`,
      jsonl(
        ...chain(2, { from: 50 }),
        "{torn",
        progress({ uuid: uuid(60), parent: uuid(59) }),
        ...chain(1, { from: 61, parent: uuid(60) }),
      ),
    );
    const ended = await sync("--all", "--json");
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const { sessions, summary: sums } = parsed(ended);
    expect(sessions).toEqual([
      {
        session_id: SESSION,
        source: file,
        status: "imported",
        messages: 4,
        threads: 1,
        corruption_score: 0,
        session_hash: expect.stringMatching(/^[0-9a-f]{16}$/),
        events: NO_EVENTS,
        healed_rows: 0,
        quarantined: 0,
        duration_ms: expect.any(Number),
      },
      {
        session_id: OTHER,
        source: broken,
        status: "imported",
        messages: 4,
        threads: 2,
        corruption_score: 2 / 4,
        session_hash: expect.stringMatching(/^[0-9a-f]{16}$/),
        events: NO_EVENTS,
        healed_rows: 0,
        quarantined: 1,
        duration_ms: expect.any(Number),
      },
    ]);
    expect(Object.keys(sessions[0]!)).toEqual([
      "session_id",
      "source",
      "status",
      "messages",
      "threads",
      "corruption_score",
      "session_hash",
      "events",
      "healed_rows",
      "quarantined",
      "duration_ms",
    ]);
    expect(sums).toEqual({
      summary: true,
      sessions: 2,
      statuses: { imported: 2 },
      messages: 8,
      events: NO_EVENTS,
      healed_rows: 0,
      duration_ms: expect.any(Number),
    });
  });

  test("tells what was added since, and writes nothing when nothing was", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(4)));
    write(`-p/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50 })));
    const first = parsed(await sync("--all", "--json"));
    const commits = notedCommits(state);
    expect(commits.length).toBeGreaterThanOrEqual(2);

    const second = parsed(await sync("--all", "--json"));
    expect(second.summary).toMatchObject({ statuses: { unchanged: 2 }, messages: 6, events: NO_EVENTS });
    expect(second.sessions.map(({ session_hash }) => session_hash)).toEqual(
      first.sessions.map(({ session_hash }) => session_hash),
    );
    expect(notedCommits(state)).toEqual(commits);

    write(`-p/${SESSION}.jsonl`, jsonl(...chain(6)));
    const third = parsed(await sync("--all", "--json"));
    expect(third.sessions[0]).toMatchObject({ status: "appended", messages: 6, events: { message_added: 2 } });
    expect(third.sessions[1]).toMatchObject({ status: "unchanged" });
    expect(third.summary.events).toEqual({ ...NO_EVENTS, message_added: 2 });
    const count = await query<{ count: number }[]>(state, "SELECT count() FROM commit GROUP ALL");
    expect(count[0]?.count).toBe(notedCommits(state).length);
  });

  test("syncs only what is named, by a beginning of its id or by its path", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(4)));
    const other = write(`-p/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50 })));
    const byId = parsed(await sync(SESSION.slice(0, 6), "--json"));
    expect(byId.sessions).toMatchObject([{ session_id: SESSION, status: "imported" }]);
    const byPath = parsed(await sync(other, "--json"));
    expect(byPath.sessions).toMatchObject([{ session_id: OTHER, status: "imported" }]);
  });

  test("takes a file that lies outside of the projects folders by its path", async () => {
    const elsewhere = scratchFolder();
    mkdirSync(join(elsewhere, "-old"));
    const file = join(elsewhere, `-old/${SESSION}.jsonl`);
    writeFileSync(file, jsonl(...chain(3)));
    const { sessions } = parsed(await sync(file, "--json"));
    expect(sessions).toMatchObject([{ session_id: SESSION, source: file, status: "imported", messages: 3 }]);
    const rows = await query<{ project: string }[]>(state, "SELECT project FROM session");
    expect(rows).toEqual([{ project: "-old" }]);
  });

  test("reads everything again with --force, and writes nothing if it is as it was", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(4)));
    await sync("--all");
    const commits = notedCommits(state);
    const { sessions } = parsed(await sync("--all", "--force", "--json"));
    expect(sessions).toMatchObject([{ status: "unchanged", messages: 4 }]);
    expect(notedCommits(state)).toEqual(commits);
  });

  test("puts the operator's name on commits and events", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(1)));
    await sync("--all", "--operator", "ada");
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)));
    await sync("--all", "--operator", "grace");
    const commits = await query(state, "SELECT n, operator FROM commit ORDER BY n");
    expect(commits).toEqual([
      { n: 1, operator: "ada" },
      { n: 2, operator: "grace" },
    ]);
    expect(await query(state, "SELECT VALUE operator FROM repair_event")).toEqual(["grace"]);
  });
});

describe("riffd sync, for people", () => {
  test("says what it did, what is damaged, and where the store is", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(3), userMessage({ uuid: uuid(9), parent: uuid(8) })));
    const { code, stdout, stderr } = await sync("--all");
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toContain("✓ imported: 1 session, 4 messages");
    expect(stdout).toContain("• damaged: 1 session");
    expect(stdout).toContain(`25.00%  ${SESSION}  1 record cut off`);
    expect(stdout).toContain(`rocksdb://${join(state, "store")}`);
  });

  test("says so where there are no transcripts, and how to see a sample", async () => {
    const ended = await sync("--all");
    expect(ended).toMatchObject({ code: 0, stdout: "" });
    expect(ended.stderr).toContain(`There are no transcripts in ${projects}.`);
    expect(ended.stderr).toContain("examples/projects");
    const { summary: sums, sessions } = parsed(await sync("--all", "--json"));
    expect(sessions).toEqual([]);
    expect(sums).toMatchObject({ summary: true, sessions: 0, statuses: {}, messages: 0, events: {} });
  });
});

describe("riffd sync fails with", () => {
  const failure = (ended: Ended) => [ended.code, ended.stdout] as const;

  test("RIFF_USAGE without anything to sync, with an unknown option, and with an unknown command", async () => {
    for (const args of [["sync"], ["sync", "--all", "--fast"], ["sink"], ["sync", "--all", "--projects"]]) {
      const ended = await riffd(state, args);
      expect([args, ended.code]).toEqual([args, EXIT_CODES.RIFF_USAGE]);
      expect(ended.stderr).not.toBe("");
      expect(ended.stdout).toBe("");
    }
  });

  test("RIFF_SESSION_NOT_FOUND for an id that is not there, naming what comes near", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(1)));
    const ended = await sync(`${SESSION.slice(0, 10)}zzz`);
    expect(failure(ended)).toEqual([EXIT_CODES.RIFF_SESSION_NOT_FOUND, ""]);
    expect(ended.stderr).toContain("Coming near:");
    expect(ended.stderr).toContain(SESSION);
    expect(ended.stderr).toMatch(/^Error: /);
    expect(ended.stderr).toMatch(/^Try: /m);
  });

  test("RIFF_SESSION_AMBIGUOUS for a beginning that two ids share, naming both with their files", async () => {
    const one = write(`-p/${SESSION}.jsonl`, jsonl(...chain(1)));
    const two = write(`-p/${OTHER}.jsonl`, jsonl(...chain(1, { from: 50 })));
    const ended = await sync("5e55");
    expect(failure(ended)).toEqual([EXIT_CODES.RIFF_SESSION_AMBIGUOUS, ""]);
    for (const text of [SESSION, OTHER, one, two]) expect(ended.stderr).toContain(text);
  });

  test("RIFF_PROJECTS_MISSING for a projects folder that is not there", async () => {
    const ended = await riffd(state, ["sync", "--all", "--projects", join(projects, "nowhere")]);
    expect(failure(ended)).toEqual([EXIT_CODES.RIFF_PROJECTS_MISSING, ""]);
    expect(ended.stderr).toContain(join(projects, "nowhere"));
  });

  test("RIFF_SESSIONS_FAILED when a file cannot be read; the others are there all the same", async () => {
    const bad = write(`-p/${SESSION}.jsonl`, jsonl(...chain(4)));
    write(`-p/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50 })));
    chmodSync(bad, 0o000);
    const isRoot = process.getuid?.() === 0; // may read everything, so that it has to be somebody else
    if (isRoot) {
      for (const folder of [projects, join(projects, "-p")]) chmodSync(folder, 0o755);
      chownSync(state, NOBODY, NOBODY);
    }
    const asOther = isRoot ? { uid: NOBODY } : {};
    const ended = await riffd(state, ["sync", "--all", "--json", "--projects", projects], asOther);
    expect(ended.code).toBe(EXIT_CODES.RIFF_SESSIONS_FAILED);
    const { sessions, summary: sums } = parsed(ended);
    expect(sessions[0]).toMatchObject({
      session_id: SESSION,
      status: "failed",
      error: { code: "RIFF_FILE_UNREADABLE" },
    });
    expect(sessions[1]).toMatchObject({ session_id: OTHER, status: "imported", messages: 2 });
    expect(sums.statuses).toEqual({ failed: 1, imported: 1 });
  });

  test("RIFF_STATE_UNWRITABLE when its state folder cannot be made", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(1)));
    const file = join(state, "file");
    writeFileSync(file, "");
    const ended = await riffd(join(file, "state"), ["sync", "--all", "--projects", projects]);
    expect(failure(ended)).toEqual([EXIT_CODES.RIFF_STATE_UNWRITABLE, ""]);
    expect(ended.stderr).toContain(join(file, "state"));
  });

  test.each([
    [
      "RIFF_SCHEMA_NEWER",
      "CREATE schema_version:9999 SET version = 9999, name = 'x', sha256 = 'x', applied_at = time::now()",
    ],
    ["RIFF_SCHEMA_CHANGED", "UPDATE schema_version SET sha256 = 'x' WHERE version = 1"],
  ] as const)("%s for a store that another riffd has written, and leaves it alone", async (code, change) => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(1)));
    await sync("--all");
    await query(state, change);
    const commits = notedCommits(state);
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)));
    expect(failure(await sync("--all"))).toEqual([EXIT_CODES[code], ""]);
    expect(notedCommits(state)).toEqual(commits);
  });
});

describe("riffd sync and the processes beside it", () => {
  test("stops at Ctrl-C after the step in flight with 130, and the next run completes the import", async () => {
    const messages = 20_000;
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(messages)));
    const running = startRiffd(state, ["sync", "--all", "--json", "--projects", projects]);
    await vi.waitUntil(() => notedCommits(state).length >= 2, { timeout: 50_000, interval: 5 });
    running.child.kill("SIGINT");
    const interrupted = await running.ended;
    expect(interrupted).toMatchObject({ code: EXIT_CODES.RIFF_INTERRUPTED, signal: null, stdout: "" });
    expect(interrupted.stderr).toContain("Interrupted.");
    const before = await query<{ message_count: number }[]>(state, "SELECT message_count FROM session");
    expect(before[0]?.message_count).toBeLessThan(messages);

    const { sessions } = parsed(await sync("--all", "--json"));
    expect(sessions).toMatchObject([{ status: "imported", messages, corruption_score: 0, events: NO_EVENTS }]);
    const count = await query<{ count: number }[]>(state, "SELECT count() FROM message GROUP ALL");
    expect(count).toEqual([{ count: messages }]);
  });

  test("waits for the store while another process holds it, then gives up and says who does", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)));
    const holder = startWithStore(state, "");
    await vi.waitUntil(() => holder.stdout().includes("ready"), { timeout: 20_000 });
    const refused = await sync("--all");
    expect([refused.code, refused.stdout]).toEqual([EXIT_CODES.RIFF_STORE_LOCKED, ""]);
    expect(refused.stderr).toContain(`process ${holder.child.pid}`);
    expect(refused.stderr).toContain(join(state, "store"));

    const waiting = startRiffd(state, ["sync", "--all", "--json", "--projects", projects]);
    holder.child.stdin?.end(); // it lets go while the other one starts
    expect(parsed(await waiting.ended).sessions).toMatchObject([{ status: "imported", messages: 2 }]);
    expect((await holder.ended).code).toBe(0);
  });

  test("opens the store at once after its holder was killed", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)));
    const holder = startWithStore(state, "");
    await vi.waitUntil(() => holder.stdout().includes("ready"), { timeout: 20_000 });
    holder.child.kill("SIGKILL");
    await holder.ended;
    expect(parsed(await sync("--all", "--json")).sessions).toMatchObject([{ status: "imported", messages: 2 }]);
  });

  test("says that a store was rolled back, and reads again what it misses", async () => {
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(2)));
    await sync("--all");
    const copy = scratchFolder();
    cpSync(join(state, "store"), copy, { recursive: true });
    write(`-p/${SESSION}.jsonl`, jsonl(...chain(4)));
    await sync("--all");
    rmSync(join(state, "store"), { recursive: true });
    cpSync(copy, join(state, "store"), { recursive: true });

    const ended = await sync("--all", "--json");
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain("Warning: the store is behind");
    expect(ended.stderr).toContain(SESSION);
    expect(parsed(ended).sessions).toMatchObject([{ messages: 4 }]);
    const after = await sync("--all", "--json");
    expect(after.stderr).toBe("");
    expect(parsed(after).sessions).toMatchObject([{ status: "unchanged", messages: 4 }]);
  });
});

test("all of its output reaches a reader that is slower than riffd", async () => {
  // More than a pipe holds (64 KiB), so that what was written is still waiting when the work is done.
  for (let i = 0; i < 400; i++) {
    write(`-home-ada/s${i}.jsonl`, jsonl(summary({ leaf: uuid(i), text: "a summary" })));
  }
  const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
  const slowly = `"$0" "${cli}" sync --all --json --projects "${projects}" | { read -r first; sleep 1; tail -n 1; }`;
  const env = { ...process.env, RIFFD_STATE_DIR: state };
  const { stdout } = await promisify(execFile)("sh", ["-c", slowly, process.execPath], { env });
  expect(JSON.parse(stdout)).toMatchObject({ summary: true, sessions: 400 });
});
