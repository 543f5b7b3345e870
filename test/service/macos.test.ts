import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { serviceLogs, serviceStart, serviceStatus, serviceStop } from "../../src/commands/service.ts";
import { serviceInstall, serviceUninstall } from "../../src/commands/service-install.ts";
import { ServicePrograms } from "../support/service-programs.ts";
import { Session } from "../support/service-session.ts";
import { removeScratch } from "../support/workbench.ts";

afterAll(removeScratch);

const TARGET = "gui/1234/local.riffd.daemon";
const INSTALL = { system: false, print: false, timeout: "30" };
const MINE = { system: false, timeout: "30" };

let programs: ServicePrograms;
let session: Session;

/** The file that holds what launchd says of the agent; without it, it knows none. */
const known = () => join(programs.folder, "known");
const agentFile = () => join(programs.home, "Library/LaunchAgents/local.riffd.daemon.plist");
const say = (told: string) => writeFileSync(known(), `${told}\n`);
const RUNNING = "  state = running\n  pid = 99\n  last exit code = (never exited)";
const ENDED = "  state = spawn scheduled\n  last exit code = 21";
const STOPPED = "  state = not running\n  last exit code = 0";

beforeEach(async () => {
  programs = new ServicePrograms();
  programs.answers("launchctl print", {}, `cat '${known()}' 2>&1; return $?`);
  const starts = `printf '%s\\n' '${RUNNING}' > '${known()}'`;
  programs.answers("launchctl bootstrap", {}, starts);
  programs.answers("launchctl kickstart", {}, starts);
  programs.answers("launchctl kill", {}, `printf '%s\\n' '${STOPPED}' > '${known()}'`);
  programs.answers("launchctl bootout", { stderr: "Boot-out failed: 36: in progress", code: 36 }, `rm -f '${known()}'`);
  session = new Session(programs, "darwin");
  await session.listen();
});
afterEach(() => session.close());

const install = () => serviceInstall(INSTALL, session.output, session.signal, session.place);

test("install writes the agent, with a log of its own, and has launchd start it", async () => {
  expect(await install()).toBe(0);
  expect(programs.changes()).toEqual([`launchctl enable ${TARGET}`, `launchctl bootstrap gui/1234 ${agentFile()}`]);
  const agent = readFileSync(agentFile(), "utf8");
  expect(agent).toContain(`<string>${programs.home}/Library/Logs/riffd/riffd.log</string>`);
  expect(existsSync(join(programs.home, "Library/Logs/riffd"))).toBe(true);
  expect(session.lines.at(-1)).toMatch(/^✓ ready: 7 transcripts/);
});

test("install takes an older one out of launchd before it writes the new one", async () => {
  await install();
  const before = programs.changes().length;
  expect(await install()).toBe(0);
  expect(programs.changes().slice(before)).toEqual([
    `launchctl bootout ${TARGET}`,
    `launchctl enable ${TARGET}`,
    `launchctl bootstrap gui/1234 ${agentFile()}`,
  ]);
});

test("stop ends it so that launchd does not start it again, and start starts it", async () => {
  await install();
  const before = programs.changes().length;
  expect(await serviceStop(MINE, session.output, session.place)).toBe(0);
  expect(await serviceStop(MINE, session.output, session.place)).toBe(0);
  expect(await serviceStart(MINE, session.output, session.signal, session.place)).toBe(0);
  expect(programs.changes().slice(before)).toEqual([
    `launchctl kill SIGTERM ${TARGET}`,
    `launchctl enable ${TARGET}`,
    `launchctl kickstart ${TARGET}`,
  ]);
});

test("start takes the end of the time before for no end of this one", async () => {
  await install();
  say(ENDED);
  const looks = join(programs.folder, "looks");
  programs.answers("launchctl kickstart", {}, `: > '${looks}'`);
  const starts = `if [ -f '${looks}' ]; then echo >> '${looks}'; fi
if [ "$(cat '${looks}' 2>/dev/null | wc -l)" -gt 2 ]; then printf '%s\\n' '${RUNNING}' > '${known()}'; fi`;
  programs.answers("launchctl print", {}, `${starts}\ncat '${known()}' 2>&1; return $?`);
  const from = session.lines.length;
  expect(await serviceStart(MINE, session.output, session.signal, session.place)).toBe(0);
  expect(session.lines.slice(from)).toEqual([expect.stringMatching(/^✓ ready/)]);
  say(ENDED);
  programs.answers("launchctl kickstart", {}, `printf '%s\\n' '${ENDED.replace("21", "14")}' > '${known()}'`);
  programs.answers("launchctl print", {}, `cat '${known()}' 2>&1; return $?`);
  await expect(serviceStart(MINE, session.output, session.signal, session.place)).rejects.toThrow(
    "The daemon was started, and ended with exit code 14 (RIFF_SCHEMA_NEWER). It is started again and again.",
  );
});

test("status tells how it ended", async () => {
  await install();
  expect(await serviceStatus({ system: false, json: false }, session.output, session.place)).toBe(0);
  say(ENDED);
  const from = session.lines.length;
  expect(await serviceStatus({ system: false, json: false }, session.output, session.place)).toBe(27);
  expect(session.lines.slice(from, from + 2)).toEqual([
    "ended, and will be started again",
    "  it ended with exit code 21 (RIFF_DISK_FULL); `riffd service logs`",
  ]);
});

test("logs follow the file, whichever it is, when it was full", async () => {
  await install();
  await serviceLogs({ system: false, follow: true, lines: "5" }, session.output, session.signal, session.place);
  expect(programs.calls().at(-1)).toBe(`tail -n 5 -F ${programs.home}/Library/Logs/riffd/riffd.log`);
});

test("uninstall removes the agent, keeps the data, and says where it is", async () => {
  await install();
  expect(await serviceUninstall(MINE, session.output, session.place)).toBe(0);
  expect(existsSync(agentFile())).toBe(false);
  expect(programs.changes().at(-1)).toBe(`launchctl bootout ${TARGET}`);
  expect(session.lines.join("\n")).toContain(`log     ${programs.home}/Library/Logs/riffd/riffd.log`);
});

test("without a session at the screen it says where to run it", async () => {
  const stderr = "Bootstrap failed: 125: Domain does not support specified action";
  programs.answers("launchctl bootstrap", { stderr, code: 125 });
  await expect(install()).rejects.toMatchObject({
    code: "RIFF_SERVICE_FAILED",
    hint: expect.stringContaining("Log in at the screen"),
  });
});

test("sudo and --system are refused", async () => {
  const { output, signal, place } = session;
  await expect(serviceInstall(INSTALL, output, signal, { ...place, uid: 0 })).rejects.toMatchObject({
    code: "RIFF_USAGE",
  });
  await expect(serviceInstall({ ...INSTALL, system: true }, output, signal, place)).rejects.toMatchObject({
    code: "RIFF_USAGE",
  });
  expect(programs.changes()).toEqual([]);
});
