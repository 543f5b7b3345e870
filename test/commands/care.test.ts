// What riffd leaves on the disk is for its owner alone, also while it works; and it does as it is configured.
import { chmodSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl } from "../support/builders.ts";
import { killRunning, query, riffd, startRiffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

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
  return file;
}

/** Everything below a folder that its group or others may use, and how many entries there are. */
function look(folder: string): { open: string[]; entries: number } {
  const open: string[] = [];
  let entries = 0;
  for (const name of [".", ...(readdirSync(folder, { recursive: true }) as string[])]) {
    const path = join(folder, name);
    try {
      const stat = lstatSync(path);
      entries++;
      if ((stat.mode & 0o077) !== 0) open.push(`${path} ${(stat.mode & 0o777).toString(8)}`);
    } catch {
      // the engine removes files of its own while it works
    }
  }
  return { open, entries };
}

test("no file or folder is ever open to others, whatever the umask", async () => {
  for (let i = 0; i < 20; i++) write(`-p/5e5510${10 + i}.jsonl`, jsonl(...chain(300, { from: 1000 * i })));
  chmodSync(state, 0o777);
  const home = join(state, "riffd");
  const dirs = { RIFFD_STATE_DIR: join(home, "state"), RIFFD_STORE_DIR: join(home, "data/store") };
  const umask = process.umask(0);
  const running = startRiffd(state, ["sync", "--all", "--projects", projects], { env: dirs });
  process.umask(umask);
  const open = new Set<string>();
  let looks = 0;
  let done = false;
  const ended = running.ended.finally(() => {
    done = true;
  });
  while (!done) {
    try {
      const seen = look(home);
      for (const path of seen.open) open.add(path);
      if (seen.entries > 8) looks++;
    } catch {
      // not there yet
    }
    await setImmediate();
  }
  expect(await ended).toMatchObject({ code: 0, stderr: "" });
  expect(looks).toBeGreaterThan(0);
  expect([...open]).toEqual([]);
  const after = look(home);
  expect(after.entries).toBeGreaterThan(10);
  expect(after.open).toEqual([]);
});

test("an exported transcript is for its owner alone", async () => {
  write("-p/5e551001.jsonl", jsonl(...chain(2)));
  await riffd(state, ["sync", "--all", "--projects", projects]);
  const umask = process.umask(0);
  const running = startRiffd(state, ["export", "5e551001", "-o", join(state, "out.jsonl")]);
  process.umask(umask);
  expect((await running.ended).code).toBe(0);
  expect(lstatSync(join(state, "out.jsonl")).mode & 0o777).toBe(0o600);
});

describe("the config file", () => {
  const configure = (config: object) => {
    const file = join(state, "config.json");
    writeFileSync(file, JSON.stringify(config));
    return { env: { RIFFD_CONFIG: file } };
  };

  test("names projects, patterns and the operator", async () => {
    write("-open/5e551001.jsonl", jsonl(...chain(2)));
    write("-secret/5e551002.jsonl", jsonl(...chain(3, { from: 20 })));
    const options = configure({ projects: [projects], exclude: ["-sec*"], operator: "mira" });
    const first = await riffd(state, ["sync", "--all"], options);
    expect(first.stdout).toContain("✓ imported: 1 session, 2 messages");
    expect(first.stderr).toContain("Not read: 1 project (include, exclude).");
    expect(await query(state, "SELECT VALUE operator FROM commit")).toEqual(["mira"]);

    const second = await riffd(state, ["sync", "--all", "--exclude", "-open"], options);
    expect(second.stdout).toContain("✓ imported: 1 session, 3 messages");
    expect(await query(state, "SELECT session_id, state FROM session ORDER BY session_id")).toEqual([
      { session_id: "5e551001", state: "live" },
      { session_id: "5e551002", state: "live" },
    ]);
  });

  test("does not keep back a transcript that is named by its path", async () => {
    const file = write("-secret/5e551002.jsonl", jsonl(...chain(3, { from: 20 })));
    const { stdout, code } = await riffd(state, ["sync", file, "--projects", projects, "--exclude", "*"]);
    expect([code, stdout]).toEqual([0, expect.stringContaining("Initial import")]);
  });

  test("says that all was excluded, and not that there is nothing", async () => {
    write("-secret/5e551002.jsonl", jsonl(...chain(3)));
    const { code, stderr } = await riffd(state, ["sync", "--all", "--projects", projects, "--include", "-other"]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^Not read: 1 project \(include, exclude\)\.\n/)]);
  });

  test("is told to be wrong before anything is done, by every command that opens a store", async () => {
    const options = configure({ operators: "x", projects: "here" });
    for (const args of [["sync", "--all"], ["verify"], ["query", "RETURN 1"], ["schema", "status"], ["export", "x"]]) {
      const { code, stderr, stdout } = await riffd(state, args, options);
      expect([args, code, stdout]).toEqual([args, EXIT_CODES.RIFF_CONFIG_INVALID, ""]);
      expect(stderr).toContain("Error: The configuration has 2 problems:\n  operators (");
    }
    expect(readdirSync(state)).toEqual(["config.json"]);
  });
});
