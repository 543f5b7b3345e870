// riffd sync --dry-run as a real process: it writes nothing anywhere, and says what the sync would do.
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl, SESSION, summary, userMessage, uuid } from "../support/builders.ts";
import { listing } from "../support/listing.ts";
import { killRunning, riffd, startRiffd, startWithStore } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const GROWN = "5e55ffff-0000-4000-8000-000000000002";
const EDITED = "5e55eeee-0000-4000-8000-000000000003";
const NEW = "5e55dddd-0000-4000-8000-000000000004";

let projects: string;
let state: string;
let temporary: string;
beforeEach(() => {
  projects = scratchFolder();
  state = join(scratchFolder(), "state");
  temporary = scratchFolder();
});

function write(id: string, bytes: Buffer): string {
  const file = join(projects, `-p/${id}.jsonl`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(file, hourAgo, hourAgo);
  return file;
}

/** With a folder for temporary files of its own. */
function sync(...args: readonly string[]) {
  return riffd(state, ["sync", ...args, "--projects", projects], { env: { TMPDIR: temporary } });
}

/** A store with three sessions, of which one then grows, one is edited, and a fourth comes. */
async function withHistory(): Promise<void> {
  write(SESSION, jsonl(...chain(4)));
  write(GROWN, jsonl(...chain(3, { from: 50 })));
  write(EDITED, jsonl(...chain(3, { from: 70 })));
  expect((await sync("--all")).code).toBe(0);
  write(GROWN, jsonl(...chain(5, { from: 50 })));
  const [first, , third] = chain(3, { from: 70 });
  write(EDITED, jsonl(userMessage({ uuid: uuid(70), parent: null, text: "another" }), third!));
  expect(first!.uuid).toBe(uuid(70));
  write(NEW, jsonl(...chain(2, { from: 90 }), summary({ leaf: uuid(91) })));
}

const told = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

/** What a line says of a session, but for how long it took. */
const lasting = ({ duration_ms: _, dry_run: __, would_write: ___, ...line }: Record<string, unknown>) => line;

describe("a dry run", () => {
  test("leaves every file of the store and of the state folder as it is, and nothing behind", async () => {
    await withHistory();
    // So many that a command that may write would compact them.
    const heads = readdirSync(state).find((name) => name.startsWith("heads-"))!;
    appendFileSync(join(state, heads), readFileSync(join(state, heads), "utf8").repeat(60));
    const before = listing(state);
    for (const args of [
      ["--all"],
      ["--all", "--json"],
      ["--all", "--force"],
      [GROWN],
      [EDITED.slice(0, 8)],
      ["nothing"],
    ]) {
      const { code } = await sync(...args, "--dry-run");
      expect([args, code]).toEqual([args, args[0] === "nothing" ? EXIT_CODES.RIFF_SESSION_NOT_FOUND : 0]);
      expect(listing(state)).toEqual(before);
      expect(readdirSync(temporary)).toEqual([]);
    }
  });

  test("makes no store and no folder where there is none: all is new", async () => {
    write(SESSION, jsonl(...chain(4)));
    const { code, stdout } = await sync("--all", "--dry-run");
    expect(code).toBe(0);
    expect(stdout).toContain("• would import: 1 session, 4 messages");
    expect(stdout).toContain(`Store: rocksdb://${join(state, "store")} (not there yet)`);
    expect(stdout).toContain("DRY RUN - No changes written\n  Would log 0 repair events\n  Would sync 4 messages");
    expect(existsSync(state)).toBe(false);
    mkdirSync(join(state, "store"), { recursive: true });
    const before = listing(state);
    expect((await sync(SESSION, "--dry-run")).stdout).toContain("• New session (not in SurrealDB)");
    expect(listing(state)).toEqual(before);
  });

  test("tells with --json what the sync then does, line by line", async () => {
    await withHistory();
    const dry = told((await sync("--all", "--dry-run", "--json")).stdout);
    const real = told((await sync("--all", "--json")).stdout);
    const byId = (lines: typeof dry) =>
      lines.map(lasting).sort((a, b) => (String(a.session_id) < String(b.session_id) ? -1 : 1));
    expect(byId(dry)).toEqual(byId(real));
    expect(dry.map(({ dry_run }) => dry_run)).toEqual(dry.map(() => true));
    expect(real.some((line) => "dry_run" in line)).toBe(false);
    expect(dry.find((line) => line.session_id === NEW)).toMatchObject({
      status: "imported",
      would_write: { messages: 2, records: 1, bytes: expect.any(Number) },
    });
    expect(dry.at(-1)).toMatchObject({
      statuses: { imported: 1, appended: 1, rewritten: 1, unchanged: 1 },
      events: { message_added: 2, content_updated: 1, message_removed: 1, parent_repaired: 0, corruption_fixed: 0 },
      would_write: { messages: 2 + 2 + 2, records: 1 },
    });
  });

  test("tells people what would be done, and what would be logged, by type of event", async () => {
    await withHistory();
    const { code, stdout, stderr } = await sync("--all", "--dry-run");
    expect([code, stderr]).toEqual([0, ""]);
    for (const line of [
      "• would import: 1 session, 2 messages",
      "• would append: 1 session, 2 new messages",
      "• would store rewritten: 1 session, 2 messages",
      "• unchanged: 1 session, 4 messages",
      `     50.00%  ${EDITED}  1 record cut off`,
    ]) {
      expect(stdout.split("\n")).toContain(line);
    }
    expect(stdout).toMatch(
      new RegExp(
        [
          "^DRY RUN - No changes written",
          "  Would log 4 repair events: 2 message_added, 1 content_updated, 1 message_removed",
          "  Would sync 6 messages, 1 other record, \\d.\\d KB of transcripts\n$",
        ].join("\n"),
        "m",
      ),
    );
  });

  test("reads a store that another process has open, with all that was committed to it", async () => {
    await withHistory();
    const holder = startWithStore(state, "");
    await vi.waitUntil(() => holder.stdout().includes("ready"), { timeout: 20_000 });
    const { code, stdout } = await sync("--all", "--dry-run", "--json");
    expect(code).toBe(0);
    expect(told(stdout).at(-1)).toMatchObject({ statuses: { imported: 1, appended: 1, rewritten: 1, unchanged: 1 } });
    holder.child.stdin?.end();
    await holder.ended;
  });

  test("takes its copy of the store away when it is interrupted", async () => {
    write(SESSION, jsonl(...chain(10)));
    await sync("--all");
    write(NEW, jsonl(...chain(30_000, { from: 1000 })));
    const before = listing(state);
    const args = ["sync", "--all", "--dry-run", "--projects", projects];
    const running = startRiffd(state, args, { env: { TMPDIR: temporary } });
    await vi.waitUntil(() => readdirSync(temporary).length > 0, { timeout: 20_000, interval: 2 });
    running.child.kill("SIGINT");
    const { code, stdout } = await running.ended;
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_INTERRUPTED, ""]);
    expect(readdirSync(temporary)).toEqual([]);
    expect(listing(state)).toEqual(before);
  });

  test("warns of a store that was rolled back, and would read again what it misses", async () => {
    write(SESSION, jsonl(...chain(2)));
    await sync("--all");
    const heads = readdirSync(state).find((name) => name.startsWith("heads-"))!;
    appendFileSync(join(state, heads), `${JSON.stringify([SESSION, 9, "0".repeat(64)])}\n`);
    const before = listing(state);
    const { stderr, stdout } = await sync("--all", "--dry-run");
    expect(stderr).toContain("Warning: the store is behind");
    expect(stdout).toContain("• unchanged: 1 session");
    expect(listing(state)).toEqual(before);
  });
});
