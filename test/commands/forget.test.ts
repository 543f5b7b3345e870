import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, type Json, jsonl, userMessage, uuid } from "../support/builders.ts";
import { killRunning, notedCommits, query, riffd } from "../support/riffd.ts";
import { hasTerminal, riffdOnTerminal } from "../support/terminal.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const SECRET = "hunter2-hunter2";
const LEAK = userMessage({ uuid: uuid(5), parent: uuid(4), text: `the key is ${SECRET}` });
const HISTORY: Json[] = chain(9).with(4, LEAK);

let state: string;
let projects: string;
const place = (name: string) => join(projects, "-p", `${name}.jsonl`);

beforeEach(async () => {
  state = join(scratchFolder(), "state");
  projects = join(scratchFolder(), "projects");
  write("gear", HISTORY);
  write("fork", [...HISTORY.slice(0, 6), ...chain(2, { from: 50, parent: uuid(6) })]);
  await sync();
});

function write(name: string, values: readonly Json[]): void {
  mkdirSync(dirname(place(name)), { recursive: true });
  writeFileSync(place(name), jsonl(...values));
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(place(name), hourAgo, hourAgo);
}

async function sync(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await riffd(state, ["sync", "--all", "--projects", projects, ...args]);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("Error")]);
  return stdout;
}

const forget = (...args: string[]) => riffd(state, ["forget", ...args]);
const why = ["--reason", "a leaked key"];

async function expectClean(): Promise<string> {
  const { code, stdout } = await riffd(state, ["verify", "--all"]);
  expect([code, stdout]).toEqual([0, expect.stringContaining("verified")]);
  return stdout;
}

/** Names of the store's files that hold the secret as it is. */
function filesWithSecret(): string[] {
  const store = join(state, "store");
  return (readdirSync(store, { recursive: true }) as string[]).filter((name) => {
    const path = join(store, name);
    return statSync(path).isFile() && readFileSync(path).includes(SECRET);
  });
}

describe("riffd forget <message>", () => {
  test("destroys it in every session, in the rows, the archive and the files of the store", async () => {
    expect(filesWithSecret()).not.toEqual([]);
    const { code, stdout, stderr } = await forget(uuid(5), ...why, "--yes", "--operator", "ada");
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^✓ The message .* is forgotten: 2 messages, .* in 2 sessions\n$/),
    ]);
    expect(stderr).toContain(`its file is not touched: ${place("gear")}`);
    expect(filesWithSecret()).toEqual([]);
    expect(readFileSync(place("gear")).includes(SECRET)).toBe(true);
    for (const name of ["gear", "fork"]) {
      const exported = await riffd(state, ["export", name]);
      const file = readFileSync(place(name), "utf8");
      expect(exported.stdout.length).toBe(file.length);
      expect(exported.stdout).not.toContain(SECRET);
      expect(exported.stdout.split("\n").filter((line, i) => line !== file.split("\n")[i])).toHaveLength(1);
    }
    expect(await expectClean()).toMatch(/• gear: 1 of its messages forgotten by ada at .*: a leaked key/);
    const rows = await query<unknown[]>(
      state,
      "SELECT VALUE [content, content_kind] FROM message WHERE content_kind = 'none'",
    );
    expect(rows).toEqual([
      ["", "none"],
      ["", "none"],
    ]);
  });

  test("is never taken in again, and no change of it is logged", async () => {
    await forget(uuid(5), ...why, "--yes");
    write("gear", HISTORY.toSpliced(1, 0, { type: "summary", summary: "moved" }));
    write("later", HISTORY.slice(2));
    await sync();
    expect(filesWithSecret()).toEqual([]);
    await expectClean();
    expect(await query(state, "SELECT VALUE event_type FROM repair_event")).toEqual([]);
  });

  test("twice is already forgotten, and writes nothing", async () => {
    await forget(uuid(5), ...why, "--yes");
    const noted = notedCommits(state);
    const { code, stdout, stderr } = await forget(uuid(5), ...why, "--yes");
    expect([code, stdout, stderr]).toEqual([0, "", expect.stringContaining("already forgotten")]);
    expect(notedCommits(state)).toEqual(noted);
  });
});

describe("riffd forget <session>", () => {
  test("destroys all that it said, tells where copies stay, and its file is not read any more", async () => {
    const { code, stdout, stderr } = await forget("gear", ...why, "--yes", "--json");
    expect(code).toBe(0);
    expect(stderr).toContain("Copies of its messages stay in 1 other session: fork");
    const [session, summary] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(session).toMatchObject({ session_id: "gear", source: place("gear"), status: "forgotten", messages: 9 });
    expect(summary).toMatchObject({ summary: true, sessions: 1, messages: 9, compacted: true });
    expect((await riffd(state, ["export", "gear"])).stdout).not.toMatch(/prompt|answer|hunter2/);
    expect((await riffd(state, ["export", "fork"])).stdout).toContain(SECRET);
    write("gear", [...HISTORY, userMessage({ uuid: uuid(60), parent: uuid(9), text: "more" })]);
    expect(await sync("--force")).toContain("forgotten, and not read: 1 session");
    await expectClean();
    expect((await riffd(state, ["export", "gear"])).stdout).not.toContain("more");
  });

  test("is named by the path of its file, and by the beginning of its id", async () => {
    expect((await forget(place("gear"), ...why, "--yes")).code).toBe(0);
    expect((await forget("for", ...why, "--yes")).code).toBe(0);
    expect(filesWithSecret()).toEqual([]);
    await expectClean();
  });
});

describe("riffd forget asks first", () => {
  test("where nobody can be asked nothing is destroyed", async () => {
    const noted = notedCommits(state);
    const { code, stdout, stderr } = await forget("gear", ...why);
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_NOT_CONFIRMED, ""]);
    expect(stderr).toContain("gear: 9 messages");
    expect(stderr).toContain("Try: Answer with yes, or give --yes");
    expect(notedCommits(state)).toEqual(noted);
  });

  test.skipIf(!hasTerminal)("on a terminal it goes on only with yes", async () => {
    const answering = (answer: string) =>
      riffdOnTerminal(state, ["forget", "gear", ...why], [['Type "yes"', `${answer}\n`]]);
    expect((await answering("no")).code).toBe(EXIT_CODES.RIFF_NOT_CONFIRMED);
    expect(await answering("yes")).toEqual({
      code: 0,
      output: expect.stringContaining("✓ The session gear is forgotten"),
    });
    await expectClean();
  });
});

describe("riffd forget does not guess", () => {
  test("what is neither a session nor a message is not found", async () => {
    const { code, stderr } = await forget("geaz", ...why, "--yes");
    expect(code).toBe(EXIT_CODES.RIFF_SESSION_NOT_FOUND);
    expect(stderr).toContain('There is no session and no message "geaz"');
    expect(stderr).toContain("Coming near:\n  gear");
    expect((await forget("message:gear", ...why, "--yes")).code).toBe(EXIT_CODES.RIFF_SESSION_NOT_FOUND);
  });

  test("what is both is told, and the two can be named", async () => {
    write(uuid(5), chain(2, { from: 70 }));
    await sync();
    const { code, stderr } = await forget(uuid(5), ...why, "--yes");
    expect(code).toBe(EXIT_CODES.RIFF_SESSION_AMBIGUOUS);
    expect(stderr).toContain(`session:${uuid(5)} or message:${uuid(5)}`);
    expect((await forget(`message:${uuid(5)}`, ...why, "--yes")).stdout).toContain("✓ The message");
    expect((await forget(`session:${uuid(5)}`, ...why, "--yes")).stdout).toContain("✓ The session");
    await expectClean();
  });

  test("without a reason it is wrong usage", async () => {
    expect((await forget("gear", "--yes")).code).toBe(EXIT_CODES.RIFF_USAGE);
    expect((await forget("gear", "--yes", "--reason", " ")).code).toBe(EXIT_CODES.RIFF_USAGE);
  });
});
