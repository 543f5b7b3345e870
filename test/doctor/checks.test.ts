// The single checks, where what they look at can be laid out: folders, files, limits, what the system's programs say.
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { examineSettings } from "../../src/config/config.ts";
import type { Environment } from "../../src/config/paths.ts";
import { type Check, ok } from "../../src/doctor/check.ts";
import { checkClaude } from "../../src/doctor/claude.ts";
import { checkClock } from "../../src/doctor/clock.ts";
import { checkDaemon } from "../../src/doctor/daemon.ts";
import { checkRoom } from "../../src/doctor/disk.ts";
import { examine } from "../../src/doctor/examine.ts";
import { checkFolders } from "../../src/doctor/folders.ts";
import { Patient, type PatientOptions, type ServiceFacts } from "../../src/doctor/patient.ts";
import { checkEngine, checkNode } from "../../src/doctor/runtime.ts";
import { checkService } from "../../src/doctor/service.ts";
import { checkInotify } from "../../src/doctor/watching.ts";
import { RiffError } from "../../src/errors.ts";
import { startControl } from "../support/controlling.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

const DAY_MS = 24 * 60 * 60 * 1000;

/** Of a machine of its own: state, store, projects and Claude's settings in a new folder. */
function patient(given: Environment = {}, more: Partial<PatientOptions> = {}): Patient & { readonly home: string } {
  const home = scratchFolder();
  const env = {
    CLAUDE_CONFIG_DIR: home,
    RIFFD_STATE_DIR: join(home, "state"),
    RIFFD_CONFIG: "",
    XDG_CONFIG_HOME: home,
    ...given,
  };
  const { settings, problems } = examineSettings({}, env);
  const { signal } = new AbortController();
  const made = new Patient({
    version: "1.2.3",
    env,
    platform: "linux",
    now: new Date(),
    settings,
    configProblems: problems,
    signal,
    ...more,
  });
  return Object.assign(made, { home });
}

function transcript(home: string, name: string, written: Date): void {
  mkdirSync(join(home, "projects/-x"), { recursive: true });
  const file = join(home, "projects/-x", `${name}.jsonl`);
  writeFileSync(file, "{}\n");
  utimesSync(file, written, written);
}

const states = (checks: readonly Check[]) => checks.map(({ id, state }) => [id, state]);

describe("Node.js", () => {
  test.each([
    ["20.18.3", "problem"],
    ["18.20.0", "problem"],
    ["20.19.0", "ok"],
    ["22.1.0", "ok"],
    ["24.0.0", "ok"],
    ["23.5.0", "warning"],
    ["26.0.0", "warning"],
  ])("%s is %s", (version, state) => {
    expect(checkNode(version).state).toBe(state);
  });

  test("finds the engine's build for this machine, and misses that for another", () => {
    expect(checkEngine(process.platform, process.arch).state).toBe("ok");
    expect(checkEngine("linux", "riscv64")).toMatchObject({
      state: "problem",
      message: expect.stringContaining("riscv64"),
    });
  });
});

describe("folders", () => {
  test("that are not there yet are no problem; a projects folder is missed", () => {
    expect(states(checkFolders(patient()))).toEqual([
      ["state", "ok"],
      ["store.folder", "ok"],
      ["projects", "warning"],
    ]);
  });

  test("that others can enter are a problem, with what closes them", () => {
    const one = patient();
    mkdirSync(join(one.home, "projects"));
    mkdirSync(join(one.home, "state"), { mode: 0o755 });
    chmodSync(join(one.home, "state"), 0o755);
    const [state] = checkFolders(one);
    expect(state).toMatchObject({ id: "state", state: "problem", hint: expect.stringContaining("chmod -R go= ") });
    chmodSync(join(one.home, "state"), 0o700);
    expect(states(checkFolders(one)).map(([, told]) => told)).toEqual(["ok", "ok", "ok"]);
  });

  test("that are behind a file are a problem", () => {
    const file = join(scratchFolder(), "file");
    writeFileSync(file, "");
    const one = patient({ RIFFD_STATE_DIR: join(file, "riffd") });
    expect(checkFolders(one).slice(0, 2)).toMatchObject([
      { id: "state", state: "problem", message: expect.stringContaining("cannot be made") },
      { id: "store.folder", state: "warning", message: expect.stringContaining("Not looked at") },
    ]);
  });

  test("that are files are a problem", () => {
    const one = patient();
    writeFileSync(join(one.home, "projects"), "");
    writeFileSync(join(one.home, "state"), "");
    expect(states(checkFolders(one))).toEqual([
      ["state", "problem"],
      ["store.folder", "warning"],
      ["projects", "problem"],
    ]);
  });
});

describe("the disk", () => {
  test.each([
    [50e6, 0, "problem"],
    [500e6, 0, "warning"],
    [5e9, 6e9, "warning"],
    [7e9, 6e9, "ok"],
  ])("with %d bytes free and a store of %d is %s", (free, size, state) => {
    expect(checkRoom("/s", free, size).state).toBe(state);
  });
});

describe("watches", () => {
  test.each([
    [10, 8_192, 128, [["watches", "ok"]]],
    [5_000, 8_192, 128, [["watches", "warning"]]],
    [9_000, 8_192, 128, [["watches", "problem"]]],
    [
      10,
      8_192,
      8,
      [
        ["watches", "ok"],
        ["watches.instances", "warning"],
      ],
    ],
    [10, null, null, [["watches", "ok"]]],
  ])("for %d folders of %d, by %d programs", (folders, watches, instances, expected) => {
    expect(states(checkInotify(folders, watches, instances))).toEqual(expected);
  });

  test("say how many are needed", () => {
    expect(checkInotify(200_000, 8_192, 128)[0]?.hint).toContain("max_user_watches=800000");
  });
});

describe("the service", () => {
  const systemd =
    (unit: string | null, linger: string | null, system = "") =>
    async (program: string, args: readonly string[]) => {
      if (program !== "systemctl") return linger;
      return args[0] === "--system" ? system : unit;
    };
  const unit = (load: string, file: string, active: string, result = "success") =>
    `LoadState=${load}\nUnitFileState=${file}\nActiveState=${active}\nSubState=x\nResult=${result}\n`;

  test.each([
    [unit("loaded", "enabled", "active"), "yes\n", ["ok", "ok"]],
    [unit("loaded", "enabled", "active"), "no\n", ["ok", "warning"]],
    [unit("loaded", "disabled", "active"), "yes\n", ["ok", "warning", "ok"]],
    [unit("loaded", "enabled", "failed", "exit-code"), null, ["warning"]],
    [unit("not-found", "", "inactive"), "yes\n", ["warning"]],
  ])("as systemd tells it: %j", async (told, linger, expected) => {
    const checks = await checkService(patient(), systemd(told, linger));
    expect(checks.map(({ state }) => state)).toEqual(expected);
    expect(checks.every(({ state, hint }) => (state === "ok") === (hint === null))).toBe(true);
  });

  test("is not missed where a unit of the system's runs riffd for this user, nor where a daemon runs already", async () => {
    const { username } = userInfo();
    const not = "LoadState=not-found\nActiveState=inactive\n";
    const ofSystem = (user: string) =>
      `Id=riffd.service\n${not}\nId=riffd@${user}.service\nUser=${user}\n${unit("loaded", "enabled", "active")}`;
    for (const own of [not, null]) {
      expect(await checkService(patient(), systemd(own, null, ofSystem(username)))).toEqual([
        ok("service", `riffd@${username}.service of the system is installed, and runs`),
      ]);
    }
    expect(states(await checkService(patient(), systemd(not, null, ofSystem("eve"))))).toEqual([
      ["service", "warning"],
    ]);
    const one = patient();
    const { server } = await startControl({}, undefined, undefined, one.socket);
    expect(states(await checkService(one, systemd(not, null)))).toEqual([["service", "ok"]]);
    await server.close();
  });

  const served = async (facts: Partial<ServiceFacts>) => {
    const one = patient({}, { findService: async () => ({ ...usual, ...facts }) });
    const usual = {
      file: "/u",
      isCurrent: true,
      missing: [],
      variables: one.env as ServiceFacts["variables"],
      settings: one.settings,
    };
    return (await checkService(one, systemd(unit("loaded", "enabled", "active"), null))).slice(1);
  };

  test("is a problem where what it runs has gone, and told where its file is another's", async () => {
    expect(await served({})).toEqual([]);
    expect(await served({ isCurrent: false, missing: ["/opt/gone/node"] })).toMatchObject([
      { id: "service.program", state: "problem", message: expect.stringMatching(/^\/opt\/gone\/node is not there/) },
    ]);
    expect(await served({ isCurrent: false })).toMatchObject([
      { id: "service.program", state: "warning", message: "/u is not as this riffd writes it." },
    ]);
  });

  test("is told from what commands of this shell are about, by the variables that differ", async () => {
    const other = patient();
    const [check, ...more] = await served({
      settings: other.settings,
      variables: { RIFFD_STATE_DIR: `${other.home}/state` },
    });
    expect(check).toMatchObject({ id: "service.variables", state: "warning" });
    expect(check!.message).toContain(`its state folder is ${other.home}/state`);
    expect(check!.message).toMatch(/They differ in .*RIFFD_STATE_DIR/);
    expect(more).toEqual([]);
    const lone = patient({}, { findService: async () => ({ ...(await facts()), settings: other.settings }) });
    const facts = async () => ({ file: "/u", isCurrent: true, missing: [], variables: {}, settings: other.settings });
    expect((await checkDaemon(lone))[0]!.hint).toContain("for another state folder");
  });

  test("says why it failed", async () => {
    const [check] = await checkService(patient(), systemd(unit("loaded", "enabled", "failed", "exit-code"), null));
    expect(check?.message).toContain("(exit-code)");
  });

  test("is no fault where there is no systemd of the user's, or no such thing at all", async () => {
    for (const platform of ["linux", "freebsd"] as const) {
      expect(states(await checkService(patient({}, { platform }), async () => null))).toEqual([["service", "ok"]]);
    }
  });

  test.each([
    ["  state = running\n", "ok"],
    ["  state = not running\n", "warning"],
    [null, "warning"],
  ])("as launchd tells it: %j", async (told, state) => {
    expect(states(await checkService(patient({}, { platform: "darwin" }), async () => told))).toEqual([
      ["service", state],
    ]);
  });
});

describe("the daemon", () => {
  test("that is of another version, and has something to tell, is told so", async () => {
    const one = patient();
    const { server } = await startControl({}, undefined, undefined, one.socket);
    expect(await checkDaemon(one)).toMatchObject([
      { id: "daemon", state: "ok", message: "process 4711 answers, riffd 1.2.3" },
      { id: "daemon.ready", state: "ok", message: "15 files in work, 600 bytes behind" },
      { id: "daemon.told", state: "warning", message: "m (since 2026-01-02T03:06:00.000Z)", hint: "h" },
    ]);
    const older = Object.assign(patient({ RIFFD_SOCKET: one.socket }), { version: "2.0.0" });
    expect((await checkDaemon(older))[0]).toMatchObject({
      state: "warning",
      message: "process 4711 answers, but it is riffd 1.2.3, and this is 2.0.0.",
    });
    await server.close();
  });
});

describe("what is in the daemon's way", () => {
  test.each(["riffd.sock", "riffd.lock"])("is a problem: %s that is a file", async (name) => {
    const one = patient();
    mkdirSync(join(one.home, "state"), { mode: 0o700 });
    writeFileSync(join(one.home, "state", name), "");
    expect(await checkDaemon(one)).toMatchObject([{ state: "problem", message: expect.stringContaining(name) }]);
  });
});

describe("the clock", () => {
  test("is doubted where transcripts are of a time yet to come", async () => {
    const one = patient();
    transcript(one.home, "a", new Date());
    expect(states(await checkClock(one))).toEqual([["clock.files", "ok"]]);
    const other = patient();
    transcript(other.home, "a", new Date());
    transcript(other.home, "b", new Date(Date.now() + DAY_MS));
    expect(await checkClock(other)).toMatchObject([
      { state: "warning", message: expect.stringContaining("1 transcript of a time yet to come") },
    ]);
  });
});

describe("what Claude Code deletes", () => {
  const withSettings = (text: string | null, ages: readonly number[]) => {
    const one = patient();
    if (text !== null) writeFileSync(join(one.home, "settings.json"), text);
    for (const [i, days] of ages.entries()) transcript(one.home, `t${i}`, new Date(Date.now() - days * DAY_MS));
    return checkClaude(one);
  };

  test.each([
    [null, [1, 26], "ok"],
    [null, [1, 28], "warning"],
    ['{"cleanupPeriodDays": 7}', [1, 2], "ok"],
    ['{"cleanupPeriodDays": 7}', [1, 5], "warning"],
    ['{"cleanupPeriodDays": 99999}', [500], "ok"],
    ['{"cleanupPeriodDays": 0}', [], "warning"],
    ['{"cleanupPeriodDays": "soon"}', [], "warning"],
    ["{", [], "warning"],
  ])("with the settings %s and transcripts %j days old is %s", async (text, ages, state) => {
    expect(states(await withSettings(text, ages))).toEqual([["claude.cleanup", state]]);
  });

  test("is counted", async () => {
    const [check] = await withSettings(null, [1, 28, 29, 40]);
    expect(check?.message).toContain("3 transcripts are due within 3 days");
  });
});

describe("an examination", () => {
  test("goes on where a check fails, which is a problem of its own", async () => {
    const checks: Check[] = [];
    const groups = {
      first: () => {
        throw new Error("no such luck");
      },
      second: () => Promise.reject(new RiffError("RIFF_STORE_IO", "It creaks.", "Oil it.")),
      third: () => [ok("third", "fine")],
    };
    for await (const check of examine(patient(), groups)) checks.push(check);
    expect(checks).toEqual([
      { id: "first", state: "problem", message: expect.stringContaining("no such luck"), hint: expect.any(String) },
      { id: "second", state: "problem", message: expect.stringContaining("It creaks."), hint: "Oil it." },
      ok("third", "fine"),
    ]);
  });
});
