import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { serviceLogs, serviceRestart, serviceStart, serviceStatus, serviceStop } from "../../src/commands/service.ts";
import { type InstallOptions, serviceInstall, serviceUninstall } from "../../src/commands/service-install.ts";
import { acquireLock } from "../../src/control/instance-lock.ts";
import { ServicePrograms } from "../support/service-programs.ts";
import { Session } from "../support/service-session.ts";
import { removeScratch } from "../support/workbench.ts";

afterAll(removeScratch);

let programs: ServicePrograms;
const sessions: Session[] = [];

beforeEach(() => {
  programs = new ServicePrograms();
  programs.answers("systemctl --version", { stdout: "systemd 257 (257.1)" });
  programs.answers("systemctl --user show --property=UnitPath", {
    stdout: `UnitPath=${programs.home}/.config/systemd/user.control ${programs.home}/.config/systemd/user /etc/systemd/user`,
  });
  systemdSays({ ActiveState: "inactive", SubState: "dead" });
  programs.answers(
    "systemctl --user start",
    {},
    becomes({ ActiveState: "active", SubState: "running", MainPID: "99" }),
  );
  programs.answers("systemctl --user stop", {}, becomes({ ActiveState: "inactive", SubState: "dead" }));
  programs.answers("loginctl show-user", { stdout: "Linger=yes" });
});
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
});

function begin(env: Record<string, string> = {}, uid = 1234): Session {
  const session = new Session(programs, "linux", { env, uid, systemUnits: join(programs.home, "etc") });
  sessions.push(session);
  return session;
}

const SHOW = "systemctl --user show riffd.service";
const RUNNING = { ActiveState: "active", SubState: "running", MainPID: "99", UnitFileState: "enabled", NRestarts: "0" };

function textOf(told: Readonly<Record<string, string>>): string {
  return Object.entries(told)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");
}

function systemdSays(told: Readonly<Record<string, string>>, call = SHOW): void {
  programs.answers(call, { stdout: textOf(told) });
}

/** Shell that has systemd say something else from then on. */
function becomes(told: Readonly<Record<string, string>>): string {
  const file = join(programs.folder, `${SHOW.replaceAll(" ", "_")}.sh`);
  return `cat > '${file}' <<'OUTER'\ncat <<'INNER'\n${textOf(told)}\nINNER\nreturn 0\nOUTER`;
}

const INSTALL: InstallOptions = { system: false, print: false, timeout: "30" };
const MINE = { system: false, timeout: "30" };

const unitFile = () => join(programs.home, ".config/systemd/user/riffd.service");
const unit = () => readFileSync(unitFile(), "utf8");
const environment = () => unit().match(/^Environment=.*$/gm);

async function install(env: Record<string, string> = {}, options: Partial<InstallOptions> = {}): Promise<Session> {
  const session = begin(env);
  await session.listen(session.place.env.RIFFD_STATE_DIR || undefined);
  expect(await serviceInstall({ ...INSTALL, ...options }, session.output, session.signal, session.place)).toBe(0);
  return session;
}

describe("riffd service install", () => {
  test("writes the unit, has systemd read and start it, and says when the daemon is ready", async () => {
    const { lines } = await install();
    expect(programs.changes()).toEqual([
      "systemctl --user daemon-reload",
      "systemctl --user reenable riffd.service",
      "systemctl --user reset-failed riffd.service",
      "systemctl --user start --no-block riffd.service",
    ]);
    expect(unit()).toContain("\nExecStart=/opt/node/bin/node /opt/riffd/dist/cli.js start\n");
    expect(statSync(unitFile()).mode & 0o777).toBe(0o644);
    expect(lines[0]).toBe(`✓ installed: ${unitFile()}`);
    expect(lines.at(-1)).toMatch(/^✓ ready: 7 transcripts · \d+\.\d s$/);
  });

  test("with --print only shows what it would write", async () => {
    const session = begin();
    expect(await serviceInstall({ ...INSTALL, print: true }, session.output, session.signal, session.place)).toBe(0);
    expect(session.lines.join("\n")).toContain("Type=notify");
    expect(existsSync(unitFile())).toBe(false);
    expect(programs.changes()).toEqual([]);
    const { lines } = session;
    await install();
    expect(`${lines.join("\n")}\n`).toBe(unit());
  });

  test.each([
    ["no systemctl", null],
    ["no bus", "Failed to connect to bus: No medium found"],
  ])("with --print shows it also where there is %s, and says what it does not know", async (_, said) => {
    if (said === null) programs = new ServicePrograms([]);
    else programs.answers("systemctl --user show --property=UnitPath", { stderr: said, code: 1 });
    const session = begin({ PATH: programs.folder });
    const place =
      said === null
        ? session.place
        : { ...session.place, env: { ...session.place.env, PATH: `${programs.folder}:/usr/bin:/bin` } };
    expect(await serviceInstall({ ...INSTALL, print: true }, session.output, session.signal, place)).toBe(0);
    expect(session.lines.join("\n")).toContain("\nRestartSteps=8\n");
    expect(session.notes.join("\n")).toMatch(/Its version and its folders are not known/);
    expect(session.notes.at(-1)).toBe(`Nothing was written. It would be ${unitFile()}`);
  });

  test("with --print shows it to root too, without a user that there need be", async () => {
    programs.answers("id -u", { code: 1 });
    for (const options of [{ system: false }, { system: true, user: "nobody-yet" }]) {
      const session = begin({}, 0);
      expect(
        await serviceInstall({ ...INSTALL, ...options, print: true }, session.output, session.signal, session.place),
      ).toBe(0);
      expect(session.lines.join("\n")).toContain("Type=notify");
    }
    expect(programs.changes()).toEqual([]);
  });

  test("stops an older one first, replaces it, and keeps the variables that it had", async () => {
    const state = join(programs.home, "elsewhere");
    await install({ RIFFD_STATE_DIR: state, RIFFD_POLL: "true", RIFFD_EXCLUDE: "secret*" });
    writeFileSync(unitFile(), unit().replace("UMask=0077\n", ""));
    const before = programs.changes().length;
    for (const session of sessions.splice(0)) await session.close();
    const daemon = begin({ RIFFD_STATE_DIR: state });
    await daemon.listen();
    const session = begin({ RIFFD_POLL: "", RIFFD_EXCLUDE: "private*" });
    const { RIFFD_STATE_DIR: _, ...env } = session.place.env;
    expect(await serviceInstall(INSTALL, session.output, session.signal, { ...session.place, env })).toBe(0);
    expect(programs.changes()[before]).toBe("systemctl --user stop riffd.service");
    expect(unit()).toContain("\nUMask=0077\n");
    expect(environment()).toEqual([
      "Environment=MALLOC_ARENA_MAX=2",
      `Environment=RIFFD_CONFIG=${programs.home}/config.json`,
      "Environment=RIFFD_EXCLUDE=private*",
      `Environment=RIFFD_STATE_DIR=${state}`,
    ]);
    expect(session.lines).toContain("  has from this shell: RIFFD_CONFIG, RIFFD_EXCLUDE");
    expect(session.lines).toContain("  has as before: RIFFD_STATE_DIR");
  });

  test("carries over what matters, with absolute paths, and no password", async () => {
    const pass = join(programs.home, "pass");
    writeFileSync(pass, "s3cret\n", { mode: 0o600 });
    await install({
      RIFFD_PROJECTS: "some/where:/else",
      CLAUDE_CONFIG_DIR: "claude",
      SURREALDB_URL: "wss://db.example.org",
      SURREALDB_USER: "ada",
      SURREALDB_PASS_FILE: pass,
      RIFFD_SERVE_PASS: "hunter2",
      RIFFD_OPERATOR: "ada",
      XDG_DATA_HOME: "relative",
      EDITOR: "vi",
    });
    expect(environment()).toEqual([
      `Environment=CLAUDE_CONFIG_DIR=${process.cwd()}/claude`,
      "Environment=MALLOC_ARENA_MAX=2",
      `Environment=RIFFD_CONFIG=${programs.home}/config.json`,
      `Environment=RIFFD_PROJECTS=${process.cwd()}/some/where:/else`,
      `Environment=RIFFD_STATE_DIR=${programs.home}/state`,
      `Environment=SURREALDB_PASS_FILE=${pass}`,
      "Environment=SURREALDB_URL=wss://db.example.org",
      "Environment=SURREALDB_USER=ada",
    ]);
    expect(unit()).not.toMatch(/s3cret|hunter2/);
  });

  test("says how to go on after logout, only where that is to be said", async () => {
    expect((await install()).notes.join("\n")).not.toContain("linger");
    programs.answers("loginctl show-user", { stdout: "Linger=no" });
    for (const session of sessions.splice(0)) await session.close();
    expect((await install()).notes.at(-1)).toContain("loginctl enable-linger");
    expect(programs.calls()).toContain("loginctl show-user 1234 --property=Linger");
  });

  test("says what the daemon still does when the time is up", async () => {
    const session = begin();
    session.daemon.ready = { ready: false, reasons: ["What has changed since the last time is being read."] };
    await session.listen();
    const options = { ...INSTALL, timeout: "0.1" };
    expect(await serviceInstall(options, session.output, session.signal, session.place)).toBe(0);
    expect(session.lines.at(-1)).toBe(
      "✓ running, and not ready yet: What has changed since the last time is being read.",
    );
  });

  test("does not wait where no time is given to it", async () => {
    const session = begin();
    expect(await serviceInstall({ ...INSTALL, timeout: "0" }, session.output, session.signal, session.place)).toBe(0);
    expect(session.lines.at(-1)).toBe("✓ starting; `riffd service status` tells how it goes on");
    expect(programs.changes().at(-1)).toBe("systemctl --user start --no-block riffd.service");
  });

  test("has patience with a systemd that has something else to do first", async () => {
    programs.answers("systemctl --user start", {});
    const looks = join(programs.folder, "looks");
    const started = becomes({ ActiveState: "active", SubState: "running", MainPID: "99" });
    const later = `echo >> '${looks}'; if [ "$(wc -l < '${looks}')" -gt 3 ]; then ${started}\nfi`;
    programs.answers(SHOW, { stdout: textOf({ ActiveState: "inactive", SubState: "dead" }) }, later);
    const { lines } = await install();
    expect(lines.at(-1)).toMatch(/^✓ ready/);
    expect(readFileSync(looks, "utf8").length).toBeGreaterThan(3);
  });

  test("of the system runs as the user it is for, and asks systemd alone whether it is ready", async () => {
    systemdSays(RUNNING, "systemctl --system show riffd.service");
    const session = begin({ SUDO_USER: "ada" }, 0);
    const options = { ...INSTALL, system: true };
    expect(await serviceInstall(options, session.output, session.signal, session.place)).toBe(0);
    const text = readFileSync(join(programs.home, "etc/riffd.service"), "utf8");
    expect(text).toContain("\nUser=ada\n");
    expect(programs.changes().every((call) => call.startsWith("systemctl --system "))).toBe(true);
    expect(session.lines.at(-1)).toMatch(/^✓ ready · /);
    expect(programs.calls().some((call) => call.startsWith("loginctl"))).toBe(false);
  });
});

describe("riffd service install refuses", () => {
  const installing = (env: Record<string, string> = {}, options: Partial<InstallOptions> = {}, uid = 1234) => {
    const session = begin(env, uid);
    return serviceInstall({ ...INSTALL, ...options }, session.output, session.signal, session.place);
  };
  const nothingChanged = () => expect([programs.changes(), existsSync(unitFile())]).toEqual([[], false]);

  test.each([
    ["SURREALDB_PASS", { SURREALDB_URL: "ws://db", SURREALDB_PASS: "s3cret" }],
    ["SURREALDB_URL", { SURREALDB_URL: "ws://ada:s3cret@db" }],
  ])("to write a password down that is in %s", async (name, env) => {
    const refused = await installing(env).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "RIFF_USAGE", hint: expect.stringContaining("SURREALDB_PASS_FILE") });
    expect(String(refused)).toContain(name);
    expect(String(refused)).not.toContain("s3cret");
    nothingChanged();
  });

  test("root, without --system", async () => {
    await expect(installing({}, {}, 0)).rejects.toMatchObject({
      code: "RIFF_USAGE",
      hint: expect.stringContaining("--system"),
    });
    nothingChanged();
  });

  test("a service of the system for nobody, or for no name", async () => {
    await expect(installing({}, { system: true }, 0)).rejects.toMatchObject({
      hint: expect.stringContaining("--user"),
    });
    await expect(installing({}, { system: true, user: "ada\nExecStartPre=/x" }, 0)).rejects.toMatchObject({
      code: "RIFF_USAGE",
    });
    await expect(installing({}, { user: "ada" })).rejects.toMatchObject({ code: "RIFF_USAGE" });
    nothingChanged();
  });

  test("a service of the system, for who is not root", async () => {
    const asked = installing({}, { system: true, user: "ada" });
    await expect(asked).rejects.toMatchObject({ code: "RIFF_USAGE", hint: expect.stringContaining("sudo") });
    nothingChanged();
  });

  test("a service of the system for a user that there is not", async () => {
    programs.answers("id -u", { stderr: "id: 'nosuch': no such user", code: 1 });
    await expect(installing({}, { system: true, user: "nosuch" }, 0)).rejects.toMatchObject({
      code: "RIFF_USAGE",
      message: "There is no user nosuch on this machine.",
    });
    nothingChanged();
  });

  test("a configuration that is not valid", async () => {
    await expect(installing({ RIFFD_POLL: "maybe" })).rejects.toMatchObject({ code: "RIFF_CONFIG_INVALID" });
    nothingChanged();
  });

  test("beside a daemon that somebody has started by hand", async () => {
    const lock = acquireLock(join(programs.home, "state"));
    try {
      await expect(installing()).rejects.toMatchObject({ code: "RIFF_DAEMON_RUNNING" });
      nothingChanged();
      systemdSays({ ...RUNNING, MainPID: `${process.pid}` });
      await install();
    } finally {
      lock.release();
    }
  });

  test("what npx keeps for a while", async () => {
    const session = begin();
    const place = { ...session.place, riffd: "/home/ada/.npm/_npx/0a1b/node_modules/riffd/dist/cli.js" };
    const refused = serviceInstall(INSTALL, session.output, session.signal, place);
    await expect(refused).rejects.toMatchObject({
      code: "RIFF_SERVICE_FAILED",
      hint: expect.stringContaining("npm install"),
    });
    nothingChanged();
  });

  test.each([
    ["there is no systemctl", null, "riffd start"],
    [
      "systemd does not run the machine",
      "System has not been booted with systemd as init system (PID 1). Can't operate.",
      "container",
    ],
    ["the user has no bus", "Failed to connect to bus: No medium found", "enable-linger"],
    [
      "the user's bus is not named",
      "Failed to connect to user scope bus via local transport: $DBUS_SESSION_BUS_ADDRESS and $XDG_RUNTIME_DIR not defined",
      "XDG_RUNTIME_DIR",
    ],
  ])("where %s, and says what to do", async (_, said, hint) => {
    if (said === null) programs = new ServicePrograms(["loginctl"]);
    else programs.answers("systemctl --user show --property=UnitPath", { stderr: said, code: 1 });
    const session = begin({ PATH: programs.folder });
    const place =
      said === null
        ? session.place
        : { ...session.place, env: { ...session.place.env, PATH: `${programs.folder}:/usr/bin:/bin` } };
    const refused = serviceInstall(INSTALL, session.output, session.signal, place);
    await expect(refused).rejects.toMatchObject({ code: "RIFF_SERVICE_FAILED", hint: expect.stringContaining(hint) });
    nothingChanged();
  });

  test("to call it done when systemd does not enable it, or the daemon does not stay up", async () => {
    programs.answers("systemctl --user reenable", { stderr: "Failed to enable unit: File exists", code: 1 });
    await expect(installing()).rejects.toThrow(/reenable riffd\.service` failed: Failed to enable unit: File exists/);
    programs.answers("systemctl --user reenable", {});
    const ended = { ActiveState: "failed", SubState: "failed", ExecMainCode: "1", ExecMainStatus: "14" };
    programs.answers("systemctl --user start", {}, becomes(ended));
    await expect(installing()).rejects.toThrow(
      "The daemon was started, and ended with exit code 14 (RIFF_SCHEMA_NEWER).",
    );
    programs.answers(
      "systemctl --user start",
      {},
      becomes({ ...ended, ActiveState: "activating", SubState: "auto-restart" }),
    );
    await expect(installing()).rejects.toThrow("It is started again and again.");
  });
});

describe("the installed service", () => {
  beforeEach(async () => {
    await install();
    for (const session of sessions.splice(0)) await session.close();
  });

  const changesOf = async (run: (session: Session) => Promise<unknown>) => {
    const before = programs.changes().length;
    const session = begin();
    await session.listen();
    await run(session);
    return { calls: programs.changes().slice(before), session };
  };

  test("is started, stopped and restarted by systemd", async () => {
    const START = ["systemctl --user reset-failed riffd.service", "systemctl --user start --no-block riffd.service"];
    const STOP = "systemctl --user stop riffd.service";
    const stopped = await changesOf(({ output, place }) => serviceStop(MINE, output, place));
    expect(stopped.calls).toEqual([STOP]);
    await stopped.session.close();
    const started = await changesOf(({ output, signal, place }) => serviceStart(MINE, output, signal, place));
    expect(started.calls).toEqual(START);
    expect(started.session.lines).toEqual([expect.stringMatching(/^✓ ready/)]);
    await started.session.close();
    const again = await changesOf(({ output, signal, place }) => serviceRestart(MINE, output, signal, place));
    expect(again.calls).toEqual([STOP, ...START]);
  });

  test("is not stopped where it could not start again", async () => {
    writeFileSync(join(programs.home, "config.json"), '{"poll_ms": 3}');
    const restart = ({ output, signal, place }: Session) => serviceRestart(MINE, output, signal, place);
    const refusing = (code: string) => (session: Session) => expect(restart(session)).rejects.toMatchObject({ code });
    expect((await changesOf(refusing("RIFF_CONFIG_INVALID"))).calls).toEqual([]);
    for (const session of sessions.splice(0)) await session.close();
    writeFileSync(join(programs.home, "config.json"), "{}");
    const lock = acquireLock(join(programs.home, "state"));
    try {
      expect((await changesOf(refusing("RIFF_DAEMON_RUNNING"))).calls).toEqual([]);
    } finally {
      lock.release();
    }
  });

  test("is told from one that was never started, when it ended before", async () => {
    systemdSays({ ActiveState: "inactive", SubState: "dead", ExecMainCode: "1", ExecMainStatus: "0" });
    programs.answers("systemctl --user start", {});
    const { output, signal, place } = begin();
    await expect(serviceStart({ ...MINE, timeout: "0.3" }, output, signal, place)).rejects.toMatchObject({
      code: "RIFF_SERVICE_FAILED",
      message:
        "The daemon was to be started, and no start of it was seen within 0.3 s. The last time it ended with exit code 0.",
    });
  });

  test("is uninstalled without its data, which is told", async () => {
    const { calls, session } = await changesOf(({ output, place }) => serviceUninstall(MINE, output, place));
    expect(calls.slice(0, 2)).toEqual([
      "systemctl --user disable --now riffd.service",
      "systemctl --user daemon-reload",
    ]);
    expect(existsSync(unitFile())).toBe(false);
    expect(existsSync(join(programs.home, "state"))).toBe(true);
    expect(session.lines).toEqual([
      `✓ uninstalled: ${unitFile()}`,
      "All data stays where it is:",
      `  store   ${programs.home}/state/store`,
      `  state   ${programs.home}/state`,
      `  config  ${programs.home}/config.json`,
    ]);
  });

  test("is uninstalled also where its configuration is not valid", async () => {
    writeFileSync(join(programs.home, "config.json"), "{");
    const { session } = await changesOf(({ output, place }) => serviceUninstall(MINE, output, place));
    expect(existsSync(unitFile())).toBe(false);
    expect(session.lines).toContain(`  state   ${programs.home}/state`);
    expect(session.lines.at(-1)).toContain("riffd config check");
  });

  test("leaves what is no data of its own, and tells what will count again", async () => {
    rmSync(join(programs.home, "config.json"));
    const dropIn = `${unitFile()}.d/sandbox.conf`;
    mkdirSync(dirname(dropIn));
    writeFileSync(dropIn, "[Service]\n");
    writeFileSync(unitFile(), unit().replace(/^Environment=RIFFD_.*\n/gm, ""));
    const session = begin({
      RIFFD_STATE_DIR: "",
      RIFFD_CONFIG: "",
      XDG_STATE_HOME: "/s",
      XDG_DATA_HOME: "/d",
      XDG_CONFIG_HOME: "/c",
    });
    await serviceUninstall(MINE, session.output, session.place);
    expect(session.lines.slice(2)).toEqual([
      "  store   /d/riffd",
      "  state   /s/riffd",
      `  drop-in ${dropIn}: it will count for the next service too`,
    ]);
    expect(existsSync(dropIn)).toBe(true);
  });

  const statusOf = async (told: Readonly<Record<string, string>>, json = false) => {
    systemdSays(told);
    const session = begin();
    const code = await serviceStatus({ system: false, json }, session.output, session.place);
    return { code, text: session.lines.join("\n") };
  };

  test("tells how it is, and by its exit code whether it runs", async () => {
    expect(await statusOf(RUNNING)).toEqual({ code: 0, text: `running (process 99)\n  ${unitFile()}` });
    const failed = { ActiveState: "failed", SubState: "failed", MainPID: "0", ExecMainCode: "1", ExecMainStatus: "78" };
    const { code, text } = await statusOf({ ...failed, UnitFileState: "disabled", NRestarts: "3" });
    expect(code).toBe(27);
    expect(text).toContain("it ended with exit code 78 (RIFF_CONFIG_INVALID)");
    expect(text).toContain("started again after a failure: 3 times");
    expect(text).toContain("not started by itself");
    expect(JSON.parse((await statusOf(RUNNING, true)).text)).toEqual({
      state: "running",
      pid: 99,
      exit_code: null,
      restarts: 0,
      enabled: true,
      lingers: true,
      file: unitFile(),
      current: true,
    });
  });

  test("tells that its file is not what this riffd writes, and works with a bad configuration", async () => {
    writeFileSync(unitFile(), unit().replace("/opt/node/", "/opt/older-node/"));
    expect((await statusOf(RUNNING)).text).toContain("not as this riffd writes it");
    writeFileSync(join(programs.home, "config.json"), "{");
    expect((await statusOf(RUNNING)).code).toBe(0);
  });

  test("shows what the journal has of it", async () => {
    const { output, place, signal } = begin();
    expect(await serviceLogs({ system: false, follow: true, lines: "20" }, output, signal, place, {})).toBe(0);
    expect(programs.calls().at(-1)).toBe("journalctl --user --unit riffd.service --lines 20 --no-pager --follow");
    await expect(
      serviceLogs({ system: false, follow: false, lines: "-1" }, output, signal, place),
    ).rejects.toMatchObject({
      code: "RIFF_USAGE",
    });
  });
});

test("its log is for people on a terminal, with what systemd says of it", async () => {
  await install();
  const lines = [
    "Starting riffd.service…",
    '{"level":"warn","time":"2026-01-02T03:04:05.678Z","msg":"it rains","path":"/a b"}',
    "{",
  ];
  programs.answers("journalctl --user", { stdout: lines.join("\n") });
  const { output, lines: told, signal, place } = begin({ NO_COLOR: "1" });
  const options = { system: false, follow: false, lines: "3" };
  expect(await serviceLogs(options, output, signal, place, { isTTY: true })).toBe(0);
  expect(programs.calls().at(-1)).toMatch(/ --output cat$/);
  expect(told).toEqual([
    "Starting riffd.service…",
    expect.stringMatching(/^\[?[\d:]+\]? WARN.*: it rains {2}path="\/a b"$/),
    "{",
  ]);
});

test("what is not installed can only be installed", async () => {
  const { output, signal, place } = begin();
  mkdirSync(join(programs.home, ".config"), { recursive: true });
  for (const attempt of [
    () => serviceStart(MINE, output, signal, place),
    () => serviceStop(MINE, output, place),
    () => serviceRestart(MINE, output, signal, place),
    () => serviceStatus({ system: false, json: false }, output, place),
    () => serviceLogs({ system: false, follow: false, lines: "1" }, output, signal, place),
    () => serviceUninstall(MINE, output, place),
  ]) {
    await expect(attempt()).rejects.toMatchObject({ code: "RIFF_SERVICE_FAILED", hint: "`riffd service install`." });
  }
  expect(programs.changes()).toEqual([]);
});
