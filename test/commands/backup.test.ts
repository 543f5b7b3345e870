import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sha256Hex } from "../../src/core/hash.ts";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, type Json, jsonl, userMessage, uuid } from "../support/builders.ts";
import { killRunning, notedCommits, query, type RunOptions, riffd, startRiffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const FAILED = EXIT_CODES.RIFF_BACKUP_FAILED;

/** A machine: its projects, its state, and a store that can be elsewhere. */
class Machine {
  readonly projects = join(scratchFolder(), "projects");
  readonly state = join(scratchFolder(), "state");

  write(name: string, ...values: readonly (Json | string)[]): void {
    const path = this.place(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, jsonl(...values));
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(path, hourAgo, hourAgo);
  }

  place(name: string): string {
    return join(this.projects, "-p", `${name}.jsonl`);
  }

  run(args: readonly string[], env: RunOptions["env"] = {}) {
    return riffd(this.state, args, { env });
  }

  async sync(env: RunOptions["env"] = {}): Promise<Record<string, string>> {
    const { code, stdout, stderr } = await this.run(["sync", "--all", "--json", "--projects", this.projects], env);
    expect([code, stderr]).toEqual([0, expect.not.stringContaining("failed")]);
    const lines = stdout.trim().split("\n").slice(0, -1);
    return Object.fromEntries(
      lines.map((line) => JSON.parse(line)).map(({ session_id, status }) => [session_id, status]),
    );
  }

  /** Backs up into a new file, and returns its path. */
  async backUp(): Promise<string> {
    const file = join(scratchFolder(), "store.riffd-backup");
    expect(await this.run(["backup", file])).toMatchObject({ code: 0, stderr: "" });
    return file;
  }
}

/** Sessions that were imported, added to, rewritten, damaged and repaired. */
async function eventful(): Promise<Machine> {
  const machine = new Machine();
  machine.write("gear", ...chain(6));
  machine.write(
    "broken",
    ...chain(3, { from: 30 }),
    userMessage({ uuid: uuid(39), parent: uuid(999) }),
    "{torn",
    "\0\0",
  );
  const text = "cog ".repeat(300);
  machine.write(
    "large",
    ...Array.from({ length: 1500 }, (_, i) =>
      userMessage({ uuid: uuid(1000 + i), parent: i === 0 ? null : uuid(999 + i), text: `${i} ${text}` }),
    ),
  );
  machine.write("huge", userMessage({ uuid: uuid(60), text: "ünlikely ".repeat(400_000) }));
  machine.write("gear/subagents/agent-a1", userMessage({ uuid: uuid(70), parent: uuid(5), agent: "a1" }));
  await machine.sync();
  const [first, , third, ...others] = chain(9);
  machine.write("gear", first!, { ...third!, parentUuid: uuid(1), isMeta: true }, ...others);
  machine.write("broken", ...chain(3, { from: 30 }), "{torn");
  await machine.sync();
  machine.write("gear", ...chain(12));
  await machine.sync();
  return machine;
}

describe("a store that was backed up", () => {
  let machine: Machine;
  let file: string;

  beforeAll(async () => {
    machine = await eventful();
    file = await machine.backUp();
  }, 120_000);

  test("is restored whole: it verifies, exports the same bytes, and goes on with the same files", async () => {
    const elsewhere = { RIFFD_STORE_DIR: join(scratchFolder(), "store") };
    const restored = await machine.run(["restore-store", file], elsewhere);
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    expect(restored.stdout).toMatch(/^✓ 5 sessions, 1,5\d\d messages as of 20.*Z → rocksdb:\/\/.*store · [\d.]+ s\n$/);
    expect(await machine.run(["verify", "--all"], elsewhere)).toMatchObject({ code: 0, stderr: "" });
    for (const session of ["gear", "broken", "huge", "gear/agent-a1"]) {
      const path = join(scratchFolder(), "exported");
      expect((await machine.run(["export", session, "-o", path], elsewhere)).code).toBe(0);
      const own = session === "gear/agent-a1" ? "gear/subagents/agent-a1" : session;
      expect([session, readFileSync(path).equals(readFileSync(machine.place(own)))]).toEqual([session, true]);
    }
    const first = ["export", "gear", "--generation", "1"];
    expect((await machine.run(first, elsewhere)).stdout).toBe((await machine.run(first)).stdout);
    const before = notedCommits(machine.state);
    expect([...new Set(Object.values(await machine.sync(elsewhere)))]).toEqual(["unchanged"]);
    expect(notedCommits(machine.state)).toEqual(before);
    machine.write("broken", ...chain(5, { from: 30 }));
    expect(Object.entries(await machine.sync(elsewhere)).filter(([, status]) => status !== "unchanged")).toEqual([
      ["broken", "rewritten"],
    ]);
    expect(notedCommits(machine.state).length).toBeGreaterThan(before.length);
    expect(await machine.run(["verify", "--all"], elsewhere)).toMatchObject({ code: 0, stderr: "" });
  }, 120_000);

  test("has the heads of its chains on the machine it is restored on", async () => {
    const other = new Machine();
    expect(await other.run(["restore-store", file])).toMatchObject({ code: 0, stderr: "" });
    expect(notedCommits(other.state).length).toBe(5);
    await query(other.state, "DELETE session:gear RETURN BEFORE");
    const { stderr } = await other.run(["export", "broken", "-o", join(scratchFolder(), "x")]);
    expect(stderr).toContain("the store is behind what this machine last wrote to it, for 1 session");
  });

  test("is restored by going on where a killed restore stopped", async () => {
    const other = new Machine();
    const begun = performance.now();
    expect((await machine.run(["restore-store", "--check", file])).code).toBe(0);
    let wait = performance.now() - begun;
    for (let killed = true; killed; wait *= 1.15) {
      const running = startRiffd(other.state, ["restore-store", file]);
      const timer = setTimeout(() => running.child.kill("SIGKILL"), wait);
      const { code, signal, stderr } = await running.ended;
      clearTimeout(timer);
      killed = signal === "SIGKILL";
      if (!killed) expect([code === 0 || stderr.includes("is not empty"), stderr]).toEqual([true, stderr]);
    }
    expect(await other.run(["verify", "--all"])).toMatchObject({ code: 0 });
  }, 180_000);

  test("is not restored over anything", async () => {
    const { code, stderr } = await machine.run(["restore-store", file]);
    expect(stderr).toMatch(
      /^Error: The store rocksdb:.* is not empty: it has rows of source\. Nothing was changed\.\n/,
    );
    expect(stderr).toContain("RIFFD_STORE_DIR=");
    expect(code).toBe(FAILED);
  });

  test("is proved without being restored", async () => {
    const other = new Machine();
    const { code, stdout } = await other.run(["restore-store", "--check", file]);
    expect(stdout).toMatch(/^✓ .*store\.riffd-backup is whole \([\d.]+ KB\): 5 sessions, 1,5\d\d messages as of 20/);
    expect([code, existsSync(other.state)]).toEqual([0, false]);
  });

  test("is told to programs as JSON", async () => {
    const folder = scratchFolder();
    const { stdout } = await machine.run(["backup", folder, "--json"]);
    const [name] = readdirSync(folder);
    const bytes = statSync(join(folder, name!)).size;
    expect(JSON.parse(stdout)).toMatchObject({ file: join(folder, name!), sessions: 5, bytes });
    const other = new Machine();
    const { stdout: restored } = await other.run(["restore-store", join(folder, name!), "--json"]);
    expect(JSON.parse(restored)).toMatchObject({ store: `rocksdb://${other.state}/store`, sessions: 5, bytes });
  });
});

describe("a store that was rolled back to a backup", () => {
  test("is told to be behind, and healed by reading the files again", async () => {
    const machine = new Machine();
    machine.write("gear", ...chain(4));
    machine.write("spoke", ...chain(4, { from: 50 }));
    await machine.sync();
    const file = await machine.backUp();
    machine.write("gear", ...chain(6));
    machine.write("wheel", ...chain(2, { from: 80 }));
    await machine.sync();
    rmSync(join(machine.state, "store"), { recursive: true });
    const restored = await machine.run(["restore-store", file]);
    expect(restored.stderr).toContain("the store is behind what this machine last wrote to it, for 2 sessions");
    expect(restored.code).toBe(0);
    expect(await machine.sync()).toEqual({ gear: "appended", spoke: "unchanged", wheel: "imported" });
    expect(await machine.run(["verify", "--all"])).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("riffd backup", () => {
  let machine: Machine;

  beforeAll(async () => {
    machine = new Machine();
    machine.write("gear", ...chain(300));
    await machine.sync();
  });

  test("names the file by the time in a folder, for its owner alone", async () => {
    const folder = scratchFolder();
    const { code, stdout, stderr } = await machine.run(["backup", `${folder}/`]);
    const names = readdirSync(folder);
    expect(names).toEqual([expect.stringMatching(/^riffd-20\d{6}T\d{6}Z\.riffd-backup$/)]);
    expect(statSync(join(folder, names[0]!)).mode & 0o777).toBe(0o600);
    expect(stdout).toMatch(/^✓ 1 session, 300 messages → .*\.riffd-backup \([\d.]+ KB\) · [\d.]+ s\n$/);
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("replaces a file only when told to", async () => {
    const file = join(scratchFolder(), "mine");
    writeFileSync(file, "mine");
    const { code, stderr } = await machine.run(["backup", file]);
    expect(stderr).toBe(
      `Error: There is already a file ${file}.\nTry: Choose another name, or replace it with --force.\n`,
    );
    expect([code, readFileSync(file, "utf8")]).toEqual([FAILED, "mine"]);
    expect((await machine.run(["backup", file, "--force"])).code).toBe(0);
    expect((await machine.run(["restore-store", "--check", file])).code).toBe(0);
  });

  test("says so when the folder is not there", async () => {
    const folder = join(scratchFolder(), "no");
    const asFolder = await machine.run(["backup", `${folder}/`]);
    expect([asFolder.code, asFolder.stderr]).toEqual([
      FAILED,
      expect.stringContaining(`There is no folder ${folder}.`),
    ]);
    const asFile = await machine.run(["backup", join(folder, "file")]);
    expect([asFile.code, asFile.stderr]).toEqual([FAILED, expect.stringMatching(/Cannot write .*ENOENT/)]);
  });
});

describe("a full disk", () => {
  let full: Machine;

  beforeAll(async () => {
    full = new Machine();
    // Nothing that compresses: hashes of numbers.
    const noise = (n: number) => Array.from({ length: 400 }, (_, i) => sha256Hex(`${n} ${i}`)).join("");
    const values = Array.from({ length: 200 }, (_, n) => userMessage({ uuid: uuid(n), text: noise(n) }));
    for (let i = 0; i < 5; i++) full.write(`gear${i}`, ...values.slice(40 * i, 40 * i + 40));
    await full.sync();
    await full.run(["verify"]); // the engine moves what it has written when it is opened again
  });

  /** Runs riffd where no file may grow beyond `kib`. */
  async function cramped(state: string, kib: number, ...args: string[]): Promise<{ code: unknown; stderr: string }> {
    const child = spawn(
      "bash",
      ["-c", `trap '' XFSZ; ulimit -f ${kib}; exec "$0" "$@"`, process.execPath, CLI, ...args],
      { env: { ...process.env, RIFFD_STATE_DIR: state }, stdio: ["ignore", "ignore", "pipe"] },
    );
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    return { code: await new Promise((resolve) => child.on("close", resolve)), stderr };
  }

  test("leaves no part of a backup", async () => {
    const folder = scratchFolder();
    const { code, stderr } = await cramped(full.state, 1024, "backup", folder);
    expect([code, stderr]).toEqual([FAILED, expect.stringMatching(/Cannot write .*EFBIG.*\nTry: Check .*free space/s)]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("ends a restore, which goes on when there is space again", async () => {
    const file = await full.backUp();
    const other = new Machine();
    const { code, stderr } = await cramped(other.state, 2048, "restore-store", file);
    expect([code, stderr]).toEqual([EXIT_CODES.RIFF_STORE_IO, expect.stringContaining("run the command again")]);
    const refused = await other.run(["verify"]);
    expect([refused.code, refused.stderr]).toEqual([FAILED, expect.stringContaining("a part of a backup")]);
    expect((await other.run(["restore-store", file])).stderr).toMatch(/^Going on after part \d+/);
    expect(await other.run(["verify", "--all"])).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("riffd restore-store", () => {
  test("touches nothing when the file is damaged, and says where", async () => {
    const machine = new Machine();
    machine.write("gear", ...chain(20));
    await machine.sync();
    const file = await machine.backUp();
    const bytes = readFileSync(file);
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    writeFileSync(file, bytes);
    const other = new Machine();
    const { code, stderr } = await other.run(["restore-store", file]);
    expect(stderr).toMatch(/^Error: The backup .* is damaged at byte \d+: .*\nTry: Use another copy of it/);
    expect([code, existsSync(other.state)]).toEqual([FAILED, false]);
  });

  test("knows a file that is no backup, and one that is not there", async () => {
    const machine = new Machine();
    machine.write("gear", ...chain(2));
    for (const [path, told] of [
      [machine.place("gear"), "is no backup that riffd has written"],
      [machine.place("missing"), "Cannot read the backup"],
      [machine.projects, "is not a regular file"],
    ] as const) {
      const { code, stderr } = await machine.run(["restore-store", path]);
      expect([code, stderr]).toEqual([FAILED, expect.stringContaining(told)]);
    }
  });
});
