// riffd doctor as people run it, on machines that are well and on such that are not.
import { chmodSync, cpSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import type { Check } from "../../src/doctor/check.ts";
import { EXIT_CODES } from "../../src/errors.ts";
import { startDaemon } from "../support/daemon.ts";
import { killRunning, type RunOptions, riffd, startRiffd, startWithStore } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples/projects/", import.meta.url));

afterAll(async () => {
  killRunning();
  await removeScratch();
});

/** A machine with the sample in its store, in folders of its own. */
async function machine(): Promise<{ state: string; env: Record<string, string> }> {
  const [state, home] = [scratchFolder(), scratchFolder()];
  cpSync(EXAMPLES, join(home, "projects"), { recursive: true });
  const env = { CLAUDE_CONFIG_DIR: home };
  const { code, stderr } = await riffd(state, ["sync", "--all", "--quiet"], { env });
  expect([code, stderr]).toEqual([0, ""]);
  return { state, env };
}

async function examined(state: string, env: Record<string, string>, options: RunOptions = {}) {
  const { code, stdout, stderr } = await riffd(state, ["doctor", "--json"], { ...options, env });
  const told = JSON.parse(stdout) as {
    version: string;
    ok: number;
    warnings: number;
    problems: number;
    checks: Check[];
  };
  expect(stderr).toBe("");
  const problems = told.checks.filter(({ state }) => state === "problem");
  expect(told).toMatchObject({ problems: problems.length });
  expect(told.ok + told.warnings + told.problems).toBe(told.checks.length);
  expect(code).toBe(problems.length === 0 ? 0 : EXIT_CODES.RIFF_DOCTOR_PROBLEMS);
  return { ...told, problems, find: (id: string) => told.checks.filter((check) => check.id === id) };
}

/** Names, sizes and times of all files. */
function facts(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true }) as string[];
  return names.sort().map((name) => {
    const { mode, size, mtimeMs } = statSync(join(folder, name));
    return [name, mode, size, mtimeMs].join(" ");
  });
}

describe("riffd doctor", () => {
  test("finds a machine well, without a daemon, and touches nothing", async () => {
    const { state, env } = await machine();
    const before = facts(state);
    const { problems, find, checks } = await examined(state, env);
    expect(problems).toEqual([]);
    expect(find("store")[0]?.message).toMatch(/: 4 sessions, 61 messages, 50\.2 KB archived, [\d.]+ KB on disk$/);
    expect(find("store.heads")[0]?.message).toMatch(/^4 chains end/);
    expect(find("daemon")).toMatchObject([{ state: "warning" }]);
    for (const id of [
      "node",
      "engine",
      "config",
      "state",
      "projects",
      "disk",
      "watches",
      "clock.files",
      "clock.store",
    ]) {
      expect([id, find(id).map((check) => check.state)]).toEqual([id, ["ok"]]);
    }
    expect(checks.every(({ state, hint }) => (state === "ok") === (hint === null))).toBe(true);
    expect(facts(state)).toEqual(before);
  });

  test("makes nothing where riffd was never run", async () => {
    const state = join(scratchFolder(), "never");
    const { problems, find } = await examined(state, { CLAUDE_CONFIG_DIR: scratchFolder() });
    expect(problems).toEqual([]);
    expect(find("store")[0]?.message).toContain("is not there yet");
    expect(() => statSync(state)).toThrow(/ENOENT/);
  });

  test("asks the daemon for the store that it has open", async () => {
    const { state, env } = await machine();
    const daemon = startRiffd(state, ["start", "--log-format", "json"], { env });
    await expect
      .poll(async () => (await riffd(state, ["status", "--json"], { env })).stdout, { timeout: 60_000 })
      .toContain('"ready":true');
    const { problems, find, version } = await examined(state, env);
    expect(problems).toEqual([]);
    expect(find("daemon")).toMatchObject([
      { state: "ok", message: `process ${daemon.child.pid} answers, riffd ${version}` },
    ]);
    expect(find("store")[0]?.message).toContain("(asked by way of the daemon)");
    daemon.child.kill("SIGTERM");
    await daemon.ended;
    expect((await examined(state, env)).find("daemon")).toMatchObject([{ state: "warning" }]);
  });

  test("looks at the store also while another command has it open", async () => {
    const { state, env } = await machine();
    const holder = startWithStore(state, "");
    await holder.told(/ready/);
    expect((await examined(state, env)).find("store.heads")).toMatchObject([{ state: "ok" }]);
    holder.child.stdin?.end();
    await holder.ended;
  });

  test("tells a daemon that does not answer, and what is left of one that was killed", async () => {
    const { state, env } = await machine();
    const daemon = await startDaemon(state);
    daemon.child.kill("SIGSTOP");
    const { problems } = await examined(state, env);
    expect(problems).toMatchObject([
      { id: "daemon", message: expect.stringContaining(`Process ${daemon.child.pid} has the lock`) },
    ]);
    daemon.child.kill("SIGKILL");
    await daemon.ended;
    const { find, problems: left } = await examined(state, env);
    expect(left).toEqual([]);
    expect(find("daemon.lock")).toMatchObject([{ state: "ok", message: expect.stringContaining("riffd.lock") }]);
  });

  test("tells a store that was lost, and one that is damaged", async () => {
    const { state, env } = await machine();
    const manifest = readdirSync(join(state, "store")).find((name) => name.startsWith("MANIFEST"))!;
    rmSync(join(state, "store", manifest));
    expect((await examined(state, env)).problems).toMatchObject([{ id: "store" }]);
    rmSync(join(state, "store"), { recursive: true });
    expect((await examined(state, env)).problems).toMatchObject([
      { id: "store", message: expect.stringContaining("has written 4 sessions to it") },
    ]);
    await riffd(state, ["schema", "apply"], { env });
    expect((await examined(state, env)).problems).toMatchObject([
      { id: "store.heads", message: expect.stringContaining("for 4 sessions") },
    ]);
  });

  test("tells all that is wrong at once, and what to do", async () => {
    const { state, env } = await machine();
    chmodSync(state, 0o755);
    const wrong = { ...env, RIFFD_POLL_MS: "3", RIFFD_LOG_LEVEL: "loud" };
    const { problems, find } = await examined(state, wrong);
    expect(problems.map(({ id }) => id)).toEqual(["config", "config", "state"]);
    expect(find("store")).toMatchObject([{ state: "warning", message: expect.stringContaining("Not looked at") }]);
    const { code, stdout } = await riffd(state, ["doctor"], { env: wrong });
    expect(code).toBe(EXIT_CODES.RIFF_DOCTOR_PROBLEMS);
    expect(stdout).toMatch(/^✗ config +poll_ms \(RIFFD_POLL_MS\) is "3"; it is 100 to 600,000 ms\n +Try: /m);
    expect(stdout).toMatch(/\n\n✗ 3 problems, \d+ warnings?, \d+ checks ok\n$/);
  });

  test("tells a state folder that cannot be used once, and what was not looked at for it", async () => {
    const file = join(scratchFolder(), "file");
    writeFileSync(file, "");
    const { problems, find, checks } = await examined(file, {
      CLAUDE_CONFIG_DIR: scratchFolder(),
      XDG_CONFIG_HOME: "",
    });
    expect(problems).toMatchObject([{ id: "state", message: `${file} is no folder.` }]);
    for (const id of ["store.folder", "daemon", "store", "disk"]) {
      expect([id, find(id)]).toMatchObject([
        id,
        [{ state: "warning", message: expect.stringContaining("Not looked at") }],
      ]);
    }
    expect(JSON.stringify(checks)).not.toContain("report it");
  });

  /** Root may read everything. */
  const NOBODY = process.getuid?.() === 0 ? { uid: 65534 } : {};

  test("tells transcripts and folders of projects that riffd may not read, and reads none", async () => {
    const home = scratchFolder();
    const state = join(home, "state");
    cpSync(EXAMPLES, join(home, "projects"), { recursive: true });
    chmodSync(home, 0o777);
    const env = { CLAUDE_CONFIG_DIR: home, HOME: home };
    const before = await examined(state, env, NOBODY);
    expect([before.problems, before.find("transcripts")]).toMatchObject([[], [{ state: "ok" }]]);
    const [one, other] = readdirSync(join(home, "projects"));
    const [folder, project] = [join(home, "projects", one!), join(home, "projects", other!)];
    const file = join(project, readdirSync(project).find((name) => name.endsWith(".jsonl"))!);
    chmodSync(folder, 0);
    chmodSync(file, 0);
    const { problems } = await examined(state, env, NOBODY);
    chmodSync(folder, 0o700);
    expect(problems).toMatchObject([{ id: "transcripts", message: `riffd may not read ${folder}, ${file}.` }]);
  });

  test("tells a state folder that cannot be made", async () => {
    const around = scratchFolder();
    chmodSync(around, 0o555);
    const env = { CLAUDE_CONFIG_DIR: around, HOME: around };
    const { problems } = await examined(join(around, "nope"), env, NOBODY);
    expect(problems).toMatchObject([{ id: "state", message: expect.stringContaining(`may not write to ${around}`) }]);
  });

  test("tells transcripts and a projects folder that are not as they should be", async () => {
    const { state, env } = await machine();
    writeFileSync(join(env.CLAUDE_CONFIG_DIR!, "settings.json"), '{"cleanupPeriodDays": 0}');
    const { find } = await examined(state, { ...env, RIFFD_PROJECTS: join(state, "nowhere") });
    expect(find("projects")).toMatchObject([{ state: "warning" }]);
    expect(find("claude.cleanup")).toMatchObject([{ state: "warning" }]);
  });
});

describe("riffd doctor, of a server", () => {
  const SECRET = "a secret of the server";

  test("tells that all is well, that it refuses the user, that it lets nobody write, or that it cannot be reached", async () => {
    const served = scratchFolder();
    for (const [user, role] of [
      ["ada", "owner"],
      ["eve", "viewer"],
    ] as const) {
      const made = await riffd(served, ["serve", "--no-listen", "--user", user, "--role", role], {
        env: { RIFFD_SERVE_PASS: SECRET },
      });
      expect(made.code).toBe(0);
    }
    const server = startRiffd(served, ["serve", "--listen", "127.0.0.1:0"]);
    const [, port] = await server.told(/ws:\/\/127\.0\.0\.1:(\d+)/);
    const { state, env: local } = await machine();
    const env = { ...local, SURREALDB_URL: `ws://127.0.0.1:${port}`, SURREALDB_USER: "ada", SURREALDB_PASS: SECRET };

    const well = await examined(state, env);
    expect(well.problems).toEqual([]);
    for (const id of ["server", "server.signin", "server.rights", "store.schema", "store"]) {
      expect([id, well.find(id).map((check) => check.state)]).toEqual([id, ["ok"]]);
    }
    expect(JSON.stringify(well)).not.toContain(SECRET);
    expect((await riffd(state, ["query", "SELECT VALUE id FROM host"], { env })).stdout).not.toContain("doctor");

    expect((await examined(state, { ...env, SURREALDB_PASS: "guessed" })).problems).toMatchObject([
      { id: "server.signin" },
    ]);
    expect((await examined(state, { ...env, SURREALDB_USER: "eve" })).problems).toMatchObject([
      { id: "server.rights" },
    ]);
    server.child.kill("SIGTERM");
    await server.ended;
    expect((await examined(state, env)).problems).toMatchObject([{ id: "server", hint: expect.any(String) }]);
  });
});
