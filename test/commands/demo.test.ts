// riffd demo as a real process: what it finds, and that nothing of it is left, however it ends.
import { spawnSync } from "node:child_process";
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { readLock } from "../../src/control/instance-lock.ts";
import { socketPath } from "../../src/control/socket-path.ts";
import { DAMAGED, WHOLE } from "../../src/demo/script.ts";
import { EXIT_CODES } from "../../src/errors.ts";
import { killRunning, type Running, riffd, startNode, startRiffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

const isRoot = process.getuid?.() === 0;

/** Folders that a demo could write to, and must leave empty. */
let home: string;
let state: string;
let temporary: string;
let env: Record<string, string>;
beforeEach(() => {
  home = scratchFolder();
  state = scratchFolder();
  temporary = scratchFolder();
  env = { HOME: home, TMPDIR: temporary };
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

function leftovers(): string[] {
  return [home, state, temporary].flatMap((folder) => readdirSync(folder, { recursive: true }) as string[]);
}

/** The folder of the demo that runs. */
function itsFolder(): string {
  const [name] = readdirSync(temporary).filter((entry) => entry.startsWith("riffd-demo-"));
  return join(temporary, name!);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until the daemon is in the middle of its work. Returns its process. */
async function midway(demo: Running): Promise<number> {
  await demo.told(/A line is torn/);
  return readLock(join(itsFolder(), "state"))!.pid;
}

describe("riffd demo", () => {
  test("finds in the store what must be there, and leaves nothing behind", async () => {
    const { code, stdout, stderr } = await riffd(state, ["demo", "--fast", "--json"], { env });
    expect([code, stderr]).toEqual([0, ""]);
    const facts = JSON.parse(stdout);
    expect(facts).toMatchObject({
      ok: true,
      wrong: [],
      live: {
        sessions: [
          { session_id: WHOLE.id, messages: 20, prompt: expect.stringMatching(/^tide\.test\.ts fails/) },
          { session_id: DAMAGED.id, messages: 10 },
        ],
        messages: 30,
        message_added: 29,
        median_ms: expect.any(Number),
      },
      torn: { messages: 20, unreadable: 1, unreadable_bytes: 495, corruption_score: 1 / 18 },
      completed: { title: "The flaky tide test", messages: 22, unreadable: 0, score_before: 1 / 18, score_after: 0 },
      broken: { generation: 2, cut_off: 9, conversation: 18, corruption_score: 0.5 },
      repaired: { generation: 3, parent_before: WHOLE.missing, parent_after: WHOLE.parent, score_after: 0 },
      killed: { messages: 19, distinct: 19, cut_off: 5, unreadable: 1, corruption_score: 6 / 14 },
      deleted: { state: "gone" },
      proved: {
        proof: { ok: true, sessions: 2, messages: 41, events: 44 },
        events: { message_added: 40, parent_repaired: 2, corruption_fixed: 2 },
      },
      kept: null,
    });
    expect(facts.killed.pid).not.toBe(facts.killed.pid_before);
    const lines = readFileSync(join(PACKAGE, "examples/projects", WHOLE.project, `${WHOLE.id}.jsonl`));
    expect(facts.deleted.given_back.bytes).toBe(lines.length); // timestamps are as long as they were
    expect(facts.deleted.earlier.sha256).not.toBe(facts.deleted.given_back.sha256);
    expect(leftovers()).toEqual([]);
  });

  test("tells it in lines that fit a terminal; --keep leaves the store, which is as it should be", async () => {
    const { code, stdout, stderr } = await riffd(state, ["demo", "--fast", "--keep"], { env });
    const folder = itsFolder();
    const howTo = expect.stringContaining(`Kept: ${folder}\nLook at its store: RIFFD_STATE_DIR=${folder}/state `);
    expect([code, stderr]).toEqual([0, howTo]);
    expect(stdout).not.toContain("\x1b");
    const lines = stdout.split("\n");
    expect(lines.filter((line) => line.length > 80 && !line.includes(folder))).toEqual([]);
    for (const line of [
      "  ✓ 22 messages · corruption_fixed 5.56% → 0.00%",
      "  ! 9 of 18 records cut off · corruption 50.00%",
      "  ✓ parent_repaired 00000000 → 6ede2954",
      "  ✓ started again: 19 messages, none missing, none twice",
      "  ! 5 of 13 records cut off, 1 unreadable piece · corruption 42.86%",
    ]) {
      expect(lines).toContain(line);
    }
    const verified = await riffd(join(folder, "state"), ["verify", "--all"], { env });
    expect([verified.code, verified.stdout]).toEqual([
      0,
      expect.stringMatching(/^✓ 2 sessions verified: 41 messages/m),
    ]);
  });

  test("knows nothing of its user's settings and stores, and of the service that it may run in", async () => {
    const config = join(home, "config.json");
    writeFileSync(config, "no JSON");
    const foreign = {
      RIFFD_CONFIG: config,
      RIFFD_STORE_DIR: join(home, "store"),
      RIFFD_PROJECTS: join(home, "projects"),
      RIFFD_EXCLUDE: "*",
      SURREALDB_URL: "ws://127.0.0.1:1",
      CLAUDE_CONFIG_DIR: join(home, "claude"),
      XDG_STATE_HOME: join(home, "state"),
      XDG_DATA_HOME: join(home, "data"),
      STATE_DIRECTORY: join(home, "service"),
      NOTIFY_SOCKET: join(home, "notify"),
    };
    // Below a path that is too long for a socket.
    const TMPDIR = join(temporary, "x".repeat(100));
    mkdirSync(TMPDIR);
    const demo = startRiffd(state, ["demo", "--fast"], { env: { ...env, ...foreign, TMPDIR } });
    await demo.told(/A line is torn/);
    const [name] = readdirSync(TMPDIR);
    const socket = socketPath(join(TMPDIR, name!, "state"));
    expect([existsSync(socket), socket.startsWith(TMPDIR)]).toEqual([true, false]);
    const { code, stderr } = await demo.ended;
    expect([code, stderr]).toEqual([0, ""]);
    expect(leftovers()).toEqual(["config.json", "x".repeat(100)]);
    expect(existsSync(join(socket, ".."))).toBe(false);
  });
});

describe("however it ends, riffd demo leaves nothing behind", () => {
  test("after Ctrl-C", async () => {
    const demo = startRiffd(state, ["demo"], { env });
    const daemon = await midway(demo);
    expect(isRunning(daemon)).toBe(true);
    demo.child.kill("SIGINT");
    const { code, stderr } = await demo.ended;
    expect([code, stderr]).toEqual([
      EXIT_CODES.RIFF_INTERRUPTED,
      "Error: Interrupted. The demo has ended what it had started.\nTry: Run it again: it begins anew.\n",
    ]);
    expect([isRunning(daemon), leftovers()]).toEqual([false, []]);
  });

  test.each(["SIGHUP", "SIGTERM"] as const)("after %s, and a second signal at once", async (signal) => {
    const demo = startRiffd(state, ["demo"], { env });
    const daemon = await midway(demo);
    demo.child.kill(signal);
    demo.child.kill("SIGTERM");
    const { code } = await demo.ended;
    expect([EXIT_CODES.RIFF_INTERRUPTED, 143]).toContain(code);
    await expect.poll(() => isRunning(daemon), { timeout: 20_000 }).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test("after kill -9 but for its folder, which the next one removes: the daemon ends with it", async () => {
    const demo = startRiffd(state, ["demo"], { env });
    const daemon = await midway(demo);
    const folder = itsFolder();
    demo.child.kill("SIGKILL");
    await demo.ended;
    await expect.poll(() => isRunning(daemon), { timeout: 20_000 }).toBe(false);
    expect(existsSync(folder)).toBe(true);
    const { code } = await riffd(state, ["demo", "--fast"], { env });
    expect([code, leftovers()]).toEqual([0, []]);
  });

  test("but what others have: a demo that runs, and folders that were kept, are links, or are another user's", async () => {
    const running = startRiffd(state, ["demo"], { env });
    await midway(running);
    for (const name of ["kept12", "999999997-stale1"]) mkdirSync(join(temporary, `riffd-demo-${name}`));
    symlinkSync(home, join(temporary, "riffd-demo-999999998-linked"));
    const others = isRoot ? ["riffd-demo-999999999-others"] : [];
    for (const name of others) {
      mkdirSync(join(temporary, name));
      chownSync(join(temporary, name), 65_534, 65_534);
    }
    writeFileSync(join(home, "notes"), "");
    expect((await riffd(state, ["demo", "--fast"], { env })).code).toBe(0);
    expect((await running.ended).code).toBe(0);
    const left = ["riffd-demo-999999998-linked", ...others, "riffd-demo-kept12"];
    expect([readdirSync(temporary).sort(), readdirSync(home)]).toEqual([left, ["notes"]]);
  });

  test("after its daemon was killed by somebody else, which it tells", async () => {
    const demo = startRiffd(state, ["demo"], { env });
    process.kill(await midway(demo), "SIGKILL");
    const { code, stderr } = await demo.ended;
    expect(code).toBe(EXIT_CODES.RIFF_DAEMON_UNRESPONSIVE);
    expect(stderr).toMatch(/^Error: The demo's (daemon|riffd \w+) ended with .*\nTry: /);
    expect(leftovers()).toEqual([]);
  });

  test("after it could not begin", async () => {
    const { code, stdout, stderr } = await riffd(state, ["demo", "--fast"], {
      env: { ...env, TMPDIR: join(temporary, "none") },
    });
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_STATE_UNWRITABLE, ""]);
    expect(stderr).toMatch(/^Error: Cannot create a folder for the demo below .*none: .*\nTry: .* TMPDIR\.\n$/);
    expect(leftovers()).toEqual([]);
  });
});

describe("riffd demo from an installed package", () => {
  /** As npm installs it: what runs, without the sources. */
  function install(): string {
    const folder = realpathSync(scratchFolder());
    for (const part of ["dist", "schema", "examples", "package.json"]) {
      cpSync(join(PACKAGE, part), join(folder, part), { recursive: true });
    }
    symlinkSync(join(PACKAGE, "node_modules"), join(folder, "node_modules"));
    return folder;
  }

  function runDemo(folder: string, ...options: string[]): Running {
    return startNode([join(folder, "dist", "cli.js"), "demo", "--fast", ...options], state, { env });
  }

  test("says what is not as it must be, and fails", async () => {
    const folder = install();
    const example = join(folder, "examples/projects", DAMAGED.project, `${DAMAGED.id}.jsonl`);
    const lines = readFileSync(example, "utf8").split("\n");
    writeFileSync(example, lines.with(1, "{}").join("\n"));
    const { code, stdout, stderr } = await runDemo(folder).ended;
    expect([code, stderr]).toEqual([1, ""]);
    expect(stdout.trimEnd().split("\n").slice(-2)).toEqual([
      "  ✗ messages of the second session: 9, and must be 10",
      "  ✗ events message_added: 28, and must be 29",
    ]);
    expect(leftovers()).toEqual([]);
  });

  test("without its examples says so before it begins", async () => {
    const folder = install();
    rmSync(join(folder, "examples"), { recursive: true });
    const { code, stdout, stderr } = await runDemo(folder).ended;
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_FILE_UNREADABLE, ""]);
    expect(stderr).toMatch(/^Error: The example session .* cannot be read: .*\nTry: .*install riffd again/);
    expect(leftovers()).toEqual([]);
  });
});

const disk = scratchFolder();
const canMount = isRoot && spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]).status === 0;
if (!canMount) console.warn("skipped: a demo on a full disk (only root can mount a small one)");
afterAll(() => {
  if (canMount) spawnSync("umount", [disk]);
});

test.skipIf(!canMount)("a step that fails is told with its own exit code: a disk that is full", async () => {
  const { code, stderr } = await riffd(state, ["demo", "--fast"], { env: { ...env, TMPDIR: disk } });
  expect([EXIT_CODES.RIFF_DISK_FULL, EXIT_CODES.RIFF_STORE_IO, EXIT_CODES.RIFF_STORE_UNREACHABLE]).toContain(code);
  expect(stderr).toMatch(/^Error: The demo's daemon ended with \d+: .*\nTry: /);
  expect(readdirSync(disk)).toEqual([]);
});
