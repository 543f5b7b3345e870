// One daemon for a state folder, and nobody else's: the lock, the socket and their rights.
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { readLock } from "../../src/control/instance-lock.ts";
import { chain, jsonl, SESSION } from "../support/builders.ts";
import { asked, LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

/** A projects folder with one session. */
function projectsFolder(): string {
  const projects = scratchFolder();
  mkdirSync(join(projects, "-p"));
  writeFileSync(join(projects, "-p", `${SESSION}.jsonl`), jsonl(...chain(3)));
  return projects;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

test("a second daemon says who runs and since when, and leaves the first alone", async () => {
  const [projects, stateDir] = [projectsFolder(), scratchFolder()];
  const daemon = await LiveDaemon.start(stateDir, projects);
  const { started_at } = await daemon.status();
  const second = await LiveDaemon.launch(stateDir, projects).running.ended;
  expect(second).toMatchObject({ code: 26, stdout: "" });
  const since = readLock(stateDir)!.since;
  expect(second.stderr).toContain(`process ${daemon.pid}, since ${since.toISOString()}`);
  expect(second.stderr).toContain("riffd stop");
  expect(Math.abs(since.getTime() - started_at.getTime())).toBeLessThan(60_000);
  expect(await daemon.status()).toMatchObject({ pid: daemon.pid, ready: true });
  expect(await daemon.stop()).toMatchObject({ code: 0 });
});

test("of many daemons that start at once over what a dead one left, exactly one runs", async () => {
  const [projects, stateDir] = [projectsFolder(), scratchFolder()];
  const dead = await LiveDaemon.start(stateDir, projects);
  await dead.kill();
  const starters = Array.from({ length: 5 }, () => LiveDaemon.launch(stateDir, projects));
  const codes: (number | null)[] = [];
  for (const { running } of starters) void running.ended.then(({ code }) => codes.push(code));
  await expect.poll(() => codes.length, { timeout: 60_000 }).toBe(starters.length - 1);
  expect(new Set(codes)).toEqual(new Set([26]));
  const [runs] = starters.filter(({ running }) => running.child.exitCode === null);
  await runs!.ready();
  expect(await runs!.status()).toMatchObject({ pid: runs!.pid, store: { sessions: 1 } });
  expect(await runs!.stop()).toMatchObject({ code: 0 });
});

test("a killed daemon's lock and socket are in nobody's way", async () => {
  const [projects, stateDir] = [projectsFolder(), scratchFolder()];
  const killed = await LiveDaemon.start(stateDir, projects);
  await killed.kill();
  expect(existsSync(killed.socket)).toBe(true);
  // Commands see that nobody is there, and open the store themselves.
  expect(await asked(stateDir, "RETURN count(SELECT id FROM message)")).toBe(3);
  expect(await riffd(stateDir, ["status"])).toMatchObject({ code: 27 });
  const daemon = await LiveDaemon.start(stateDir, projects);
  expect(readLock(stateDir)?.pid).toBe(daemon.pid);
  expect(await daemon.stop()).toMatchObject({ code: 0 });
  expect([existsSync(daemon.socket), readLock(stateDir)]).toEqual([false, null]);
});

test("only the daemon's user can reach its socket, whatever the folder was before", async () => {
  const [projects, stateDir] = [projectsFolder(), scratchFolder()];
  chmodSync(stateDir, 0o755);
  const daemon = await LiveDaemon.start(stateDir, projects);
  expect([modeOf(daemon.socket), modeOf(dirname(daemon.socket))]).toEqual(["600", "700"]);
  expect(statSync(daemon.socket).isSocket()).toBe(true);
  await daemon.stop();
});

test("what stands where the socket should be and is none is left alone, and named", async () => {
  const [projects, stateDir] = [projectsFolder(), scratchFolder()];
  writeFileSync(join(stateDir, "riffd.sock"), "somebody's notes");
  const { code, stderr } = await LiveDaemon.launch(stateDir, projects).running.ended;
  expect([code, stderr]).toEqual([17, expect.stringContaining("riffd.sock")]);
  expect(statSync(join(stateDir, "riffd.sock")).size).toBe("somebody's notes".length);
});
