// Changes that nobody tells of are found all the same: watching only makes it fast.
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { chain, jsonl, userMessage, uuid } from "../support/builders.ts";
import { LiveDaemon } from "../support/live-daemon.ts";
import { killRunning } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

const SCANS = { RIFFD_RESCAN_S: "1" };

function write(projects: string, name: string, bytes: Buffer, project = "-p"): void {
  mkdirSync(join(projects, project), { recursive: true });
  appendFileSync(join(projects, project, `${name}.jsonl`), bytes);
}

function nextLine(n: number): Buffer {
  return jsonl(userMessage({ uuid: uuid(n), parent: uuid(n - 1) }));
}

/** Waits until the store holds so many messages. */
async function holds(daemon: LiveDaemon, messages: number): Promise<void> {
  await daemon.until(({ store }) => store.messages === messages);
}

test("where the system watches nothing more, that is said once with what to do, and scans find all changes", async () => {
  const projects = scratchFolder();
  write(projects, "a", jsonl(...chain(2, { from: 100 })));
  const silenced = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(WATCH_NOTHING)}` };
  const daemon = await LiveDaemon.start(scratchFolder(), projects, { env: { ...SCANS, ...silenced } });
  const { watch, problems } = await daemon.until((status) => status.watch.troubles.length > 0);
  expect(watch).toMatchObject({ mode: "scanning", troubles: [{ kind: "limit", path: null }] });
  expect(problems).toMatchObject([{ hint: expect.stringContaining("sysctl fs.inotify") }]);
  write(projects, "a", nextLine(102));
  write(projects, "b", jsonl(...chain(2, { from: 200 })), "-new");
  await holds(daemon, 5);
  renameSync(join(projects, "-p/a.jsonl"), join(projects, "-new/a.jsonl"));
  await daemon.until(({ changes }) => changes.some(({ status }) => status === "moved"));
  rmSync(join(projects, "-new/b.jsonl"));
  await daemon.until(({ changes }) => changes.some(({ status }) => status === "gone"));
  expect(daemon.said(/lets riffd watch no more folders/)).toHaveLength(1);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

/** inotify as it is when a user's watches are used up. */
const WATCH_NOTHING = `
  import fs from "node:fs";
  import { syncBuiltinESMExports } from "node:module";
  fs.watch = () => { throw Object.assign(new Error("ENOSPC: System limit for number of file watchers reached"), { code: "ENOSPC" }); };
  syncBuiltinESMExports();`;

test("with --poll the files are looked at, and nothing is watched", async () => {
  const projects = scratchFolder();
  write(projects, "a", jsonl(...chain(2, { from: 100 })));
  const env = { RIFFD_POLL_MS: "100", RIFFD_RESCAN_S: "3600" };
  const daemon = await LiveDaemon.start(scratchFolder(), projects, { args: ["--poll"], env });
  expect((await daemon.status()).watch).toMatchObject({ mode: "polling", folders: 0, troubles: [] });
  write(projects, "a", nextLine(102));
  write(projects, "b", jsonl(...chain(2, { from: 200 })), "-new");
  await holds(daemon, 5);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a projects folder that is made later is taken up, and that it was missing is said once", async () => {
  const projects = join(scratchFolder(), "later", "projects");
  const daemon = await LiveDaemon.start(scratchFolder(), projects, { env: { RIFFD_RESCAN_S: "3600" } });
  const { watch, problems } = await daemon.status();
  expect(watch.roots).toEqual([{ path: projects, present: false }]);
  expect(problems).toMatchObject([{ message: expect.stringContaining(projects) }]);
  write(projects, "a", jsonl(...chain(2, { from: 100 })));
  await holds(daemon, 2);
  write(projects, "a", nextLine(102));
  await holds(daemon, 3);
  expect((await daemon.status()).problems).toEqual([]);
  expect(daemon.said(/There is no projects folder/)).toHaveLength(1);
  expect(daemon.said(/The projects folder .* can be read/)).toHaveLength(1);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a projects folder that is deleted and made again is watched again; its sessions are gone, and come back", async () => {
  const projects = join(scratchFolder(), "projects");
  write(projects, "a", jsonl(...chain(2, { from: 100 })));
  write(projects, "b", jsonl(...chain(2, { from: 200 })));
  const daemon = await LiveDaemon.start(scratchFolder(), projects, { env: { RIFFD_RESCAN_S: "3600" } });
  await holds(daemon, 4);
  const removed = Date.now();
  rmSync(projects, { recursive: true });
  const { problems } = await daemon.until(({ watch }) => watch.roots.every(({ present }) => !present));
  expect(problems).toHaveLength(1);
  expect(problems[0]!.since.getTime()).toBeGreaterThanOrEqual(removed);
  write(projects, "a", jsonl(...chain(2, { from: 100 })));
  write(projects, "a", nextLine(102));
  await holds(daemon, 5);
  write(projects, "a", nextLine(103));
  await holds(daemon, 6);
  expect((await daemon.status()).watch.roots).toEqual([{ path: projects, present: true }]);
  await daemon.until(({ changes }) =>
    changes.some(({ session_id, status }) => session_id === "b" && status === "gone"),
  );
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a projects folder that is replaced by another is followed, though its path was there at every look", async () => {
  const folder = scratchFolder();
  const [projects, other] = [join(folder, "projects"), join(folder, "other")];
  write(projects, "a", jsonl(...chain(2, { from: 100 })));
  write(other, "a", jsonl(...chain(3, { from: 100 })));
  const daemon = await LiveDaemon.start(scratchFolder(), projects, { env: { RIFFD_RESCAN_S: "3600" } });
  await holds(daemon, 2);
  renameSync(projects, join(folder, "away"));
  renameSync(other, projects);
  await holds(daemon, 3);
  write(projects, "a", nextLine(103));
  await holds(daemon, 4);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a transcript whose watch is dead is found by the rescan", async () => {
  const projects = scratchFolder();
  const path = join(projects, "-p", "a.jsonl");
  write(projects, "a", jsonl(...chain(2, { from: 100 })));
  const deaf = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(HEAR_NOTHING)}` };
  const daemon = await LiveDaemon.start(scratchFolder(), projects, { env: { ...SCANS, ...deaf } });
  expect((await daemon.status()).watch).toMatchObject({ mode: "watching", troubles: [] });
  writeFileSync(path, nextLine(102), { flag: "a" });
  write(projects, "b", jsonl(...chain(2, { from: 200 })), "-new");
  await holds(daemon, 5);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

/** inotify as it is when the kernel's queue overflows: everything seems to be watched, and nothing is told. */
const HEAR_NOTHING = `
  import fs from "node:fs";
  import { syncBuiltinESMExports } from "node:module";
  import { EventEmitter } from "node:events";
  fs.watch = () => Object.assign(new EventEmitter(), { close() {}, ref() {}, unref() {} });
  syncBuiltinESMExports();`;
