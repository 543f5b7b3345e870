import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, type Json, jsonl, lineOf } from "../support/builders.ts";
import { listing } from "../support/listing.ts";
import { killRunning, query, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

let state: string;
let projects: string;
const store = () => join(state, "store");
const place = (name: string) => join(projects, "-p", `${name}.jsonl`);

beforeEach(async () => {
  state = join(scratchFolder(), "state");
  projects = join(scratchFolder(), "projects");
  write("gear", chain(6));
  write("spoke", chain(4, { from: 50 }));
  await sync();
});

function write(name: string, values: readonly Json[]): void {
  mkdirSync(dirname(place(name)), { recursive: true });
  writeFileSync(place(name), jsonl(...values));
  settle(name);
}

/** Makes a file one that was last written an hour ago. */
function settle(name: string): void {
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(place(name), hourAgo, hourAgo);
}

async function sync(): Promise<string> {
  const { code, stderr } = await riffd(state, ["sync", "--all", "--projects", projects]);
  expect([code, stderr.includes("riffd has failed")]).toEqual([0, false]);
  return stderr;
}

const verify = (...args: string[]) => riffd(state, ["verify", ...args]);

/** The store as it is now, to be put back by `putBack`. Its process has ended. */
function keepCopy(): string {
  const copy = join(scratchFolder(), "copy");
  cpSync(store(), copy, { recursive: true });
  return copy;
}

function putBack(copy: string): void {
  rmSync(store(), { recursive: true });
  cpSync(copy, store(), { recursive: true });
}

describe("riffd verify", () => {
  test("tells what it has proved", async () => {
    const { code, stdout, stderr } = await verify("--all");
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^✓ 2 sessions verified: 10 messages, .* KB, 2 commits, 0 events · [\d.]+ s\n$/);
    expect(code).toBe(0);
  });

  test("tells programs of each session, then of all", async () => {
    const { code, stdout } = await verify("gea", "--json");
    const bytes = jsonl(...chain(6)).length;
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { session_id: "gear", ok: true, problem: null, notes: [], commits: 1, events: 0, messages: 6, bytes },
      expect.objectContaining({ summary: true, ok: true, sessions: 1, failed: 0, messages: 6, bytes, problems: [] }),
    ]);
    expect(code).toBe(0);
  });

  test("takes a session's file for the session, also one that is gone", async () => {
    rmSync(place("spoke"));
    const { code, stdout } = await verify(place("spoke"));
    expect(stdout).toContain("• spoke: its file is gone since the last sync");
    expect(stdout).toContain("✓ 1 session verified: 4 messages");
    expect(code).toBe(0);
  });

  test("does not know sessions that are not there", async () => {
    const { code, stderr } = await verify("wheel");
    expect(stderr).toContain('There is no session "wheel" in the store');
    expect(code).toBe(EXIT_CODES.RIFF_SESSION_NOT_FOUND);
  });

  test("names the session that is not what riffd wrote, and ends with an exit code of its own", async () => {
    await query(state, "UPDATE message SET content = 'x' WHERE content = 'prompt 3'");
    const { code, stdout } = await verify();
    expect(stdout).toMatch(
      /^✗ gear: the message at offset \d+ of generation 1: content should be "prompt 3", but is "x"\n✗ .*1 of 2 sessions/,
    );
    expect(code).toBe(EXIT_CODES.RIFF_VERIFY_FAILED);
    expect((await verify("spoke")).code).toBe(0);
  });

  test("has nothing to say against an empty store", async () => {
    state = join(scratchFolder(), "state");
    const { code, stdout } = await verify();
    expect(stdout).toContain("✓ 0 sessions verified");
    expect(code).toBe(0);
  });
});

describe("an older copy of the store in its place", () => {
  test("is told on opening and by verify, and healed by reading the files again", async () => {
    const copy = keepCopy();
    write("gear", chain(7));
    await sync();
    write("gear", chain(8));
    write("wheel", chain(2, { from: 90 }));
    await sync();
    putBack(copy);

    const told = await verify("--all");
    expect(told.stderr).toContain("Warning: the store is behind what this machine last wrote to it, for 2 sessions");
    expect(told.stdout).toContain("✗ gear: the chain ends with commit 1, but this machine wrote commit 3");
    expect(told.stdout).toContain("✗ wheel: the session is not in the store, but this machine wrote its commit 1");
    expect(told.stdout).toContain("2 of 3 sessions");
    expect(told.code).toBe(EXIT_CODES.RIFF_VERIFY_FAILED);
    expect((await verify("wheel")).code).toBe(EXIT_CODES.RIFF_VERIFY_FAILED);

    expect(await sync()).toContain("Warning: the store is behind");
    const healed = await verify("--all");
    expect(healed.stderr).toBe("");
    expect(healed.stdout).toMatch(/^✓ 3 sessions verified: 14 messages/);
    expect(healed.code).toBe(0);
  });

  test("is healed also where its files give nothing new to write", async () => {
    const copy = keepCopy();
    rmSync(place("gear"));
    await sync();
    write("gear", chain(6));
    await sync();
    putBack(copy);
    expect((await verify()).stdout).toContain("✗ gear: the chain ends with commit 1, but this machine wrote commit 3");
    await sync();
    expect(await verify()).toMatchObject({ code: 0, stderr: "" });
  });

  test("stays told where its chain is as long, but not the one that was written", async () => {
    const copy = keepCopy();
    const [heads] = readdirSync(state).filter((name) => name.startsWith("heads-"));
    const remembered = readFileSync(join(state, heads!));
    write("gear", chain(7));
    await sync();
    const written = readFileSync(join(state, heads!));
    // Another machine's idea of what happened: the same copy, and another second commit.
    putBack(copy);
    writeFileSync(join(state, heads!), remembered);
    write("gear", chain(8));
    await sync();
    writeFileSync(join(state, heads!), written);

    const { code, stdout } = await verify();
    expect(stdout).toMatch(/^✗ gear: commit 2: its hash is .{12}…, but this machine wrote .{12}…$/m);
    expect(code).toBe(EXIT_CODES.RIFF_VERIFY_FAILED);
    expect(await sync()).toContain("commit 2 is not the one that was written");
    expect((await verify()).code).toBe(EXIT_CODES.RIFF_VERIFY_FAILED);
  });
});

describe("a byte of the write-ahead log that was flipped", () => {
  test("is found, or does no harm: nothing is lost in silence", async () => {
    for (let n = 7; n <= 9; n++) {
      write("gear", chain(n));
      await sync();
    }
    appendFileSync(place("gear"), lineOf(chain(10)[9]!));
    settle("gear");
    await sync();
    const copy = keepCopy();
    const logs = readdirSync(copy).filter((name) => name.endsWith(".log"));
    expect(logs.length).toBeGreaterThan(0);
    const outcomes: string[] = [];
    for (const part of [0.02, 0.2, 0.4, 0.55, 0.7, 0.85, 0.99]) {
      putBack(copy);
      for (const log of logs) {
        const bytes = readFileSync(join(copy, log));
        if (bytes.length === 0) continue;
        bytes[Math.floor(bytes.length * part)]! ^= 0x10;
        writeFileSync(join(store(), log), bytes);
      }
      const { code, stdout } = await verify("--all");
      outcomes.push(`${part}: ${code}`);
      if (code === EXIT_CODES.RIFF_VERIFY_FAILED) expect(stdout).toMatch(/^✗ (gear|spoke): /m);
      else if (code === 0) expect(stdout).toMatch(/^✓ 2 sessions verified: 14 messages, .*, 6 commits, 4 events/);
      else expect(code).toBe(EXIT_CODES.RIFF_STORE_DAMAGED);
    }
    // Most of the log holds commits, so most flips must have been found.
    expect(outcomes.filter((outcome) => !outcome.endsWith(": 0")).length, outcomes.join(", ")).toBeGreaterThan(3);
  });
});

describe("a store without the file that leads to its data", () => {
  test("is refused by every command before the engine can make a new one in its place", async () => {
    const kept = keepCopy();
    rmSync(join(store(), "CURRENT"));
    const before = listing(store());
    for (const args of [
      ["verify", "--all"],
      ["export", "gear"],
      ["events"],
      ["query", "SELECT * FROM session"],
      ["schema", "status"],
      ["backup", join(state, "never")],
      ["forget", "gear", "--reason", "none", "--yes"],
      ["sync", "--all", "--projects", projects],
      ["sync", "--all", "--dry-run", "--projects", projects],
      ["serve", "--no-listen", "--user", "me"],
      ["start", "--projects", projects, "--log-format", "json"],
    ]) {
      const { code, stderr } = await riffd(state, args, { env: { RIFFD_SERVE_PASS: "correct-horse" } });
      expect([...args, code]).toEqual([...args, EXIT_CODES.RIFF_STORE_DAMAGED]);
      expect(stderr).toContain("its file CURRENT is missing, so the engine cannot find its data. Nothing was touched.");
    }
    expect(listing(store())).toEqual(before);
    const { stdout } = await riffd(state, ["doctor", "--json"]);
    const { checks } = JSON.parse(stdout) as { checks: { id: string }[] };
    expect(checks.find(({ id }) => id === "store")).toMatchObject({
      state: "problem",
      message: expect.stringContaining("CURRENT is missing"),
    });

    cpSync(join(kept, "CURRENT"), join(store(), "CURRENT"));
    expect((await verify("--all")).stdout).toMatch(/^✓ 2 sessions verified: 10 messages/);
  });
});
