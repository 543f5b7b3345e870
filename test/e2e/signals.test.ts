// What the daemon does when it is told to end, to end at once, or to read its configuration again.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { assistantMessage, chain, jsonl, userMessage, uuid } from "../support/builders.ts";
import { eventually, LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, riffd, startWithStore } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

function write(projects: string, name: string, bytes: Buffer): string {
  mkdirSync(join(projects, "-p"), { recursive: true });
  const path = join(projects, "-p", `${name}.jsonl`);
  appendFileSync(path, bytes);
  return path;
}

/** Many sessions, of which some are large: more than is read while a signal is on its way. */
function largeProjects(): { projects: string; paths: string[] } {
  const projects = scratchFolder();
  const text = "The tide comes in twice a day and so do we. ".repeat(40);
  const paths = Array.from({ length: 6 }, (_, i) => {
    const from = i * 10_000;
    const records = Array.from({ length: 500 }, (_, n) => {
      const place = { uuid: uuid(from + n), parent: n === 0 ? null : uuid(from + n - 1), text };
      return n % 2 === 0 ? userMessage(place) : assistantMessage(place);
    });
    return write(projects, `large${i}`, jsonl(...records));
  });
  return { projects, paths };
}

async function expectWhole(stateDir: string, paths: readonly string[]): Promise<void> {
  expect(await riffd(stateDir, ["verify", "--all"])).toMatchObject({ code: 0 });
  for (const path of paths) {
    const exported = join(stateDir, "exported");
    expect((await riffd(stateDir, ["export", path, "-o", exported, "--force"])).code).toBe(0);
    expect(readFileSync(exported).equals(readFileSync(path))).toBe(true);
  }
}

test("SIGTERM under load ends it in time and well; the next start goes on where it stopped", async () => {
  const { projects, paths } = largeProjects();
  const stateDir = scratchFolder();
  const loaded = LiveDaemon.launch(stateDir, projects, { env: { RIFFD_DRAIN_S: "60" } });
  await loaded.until(({ pipeline }) => pipeline.backlog.syncing > 0 && pipeline.backlog.queued > 0);
  const { code, stderr } = await loaded.stop();
  expect([code, stderr]).toEqual([0, ""]);
  expect(loaded.said(/stopping: it was sent SIGTERM/)).toHaveLength(1);
  expect(loaded.said(/caught up|still in work/)).toEqual([]);

  const next = await LiveDaemon.start(stateDir, projects);
  await next.settled();
  expect(await next.stop()).toMatchObject({ code: 0, stderr: "" });
  await expectWhole(stateDir, paths.slice(0, 3));
});

test("a drain deadline that passes ends jobs after their step, and nothing is lost", async () => {
  const projects = scratchFolder();
  const stateDir = scratchFolder();
  const path = write(projects, "huge", jsonl(...chain(14_000))); // more than a second's work
  const loaded = LiveDaemon.launch(stateDir, projects, { env: { RIFFD_DRAIN_S: "1" } });
  await loaded.until(({ pipeline }) => pipeline.backlog.syncing > 0);
  expect(await loaded.stop()).toMatchObject({ code: 0, stderr: "" });
  expect(loaded.said(/still in work; they end after their step/)).toHaveLength(1);
  const next = await LiveDaemon.start(stateDir, projects);
  expect(await next.stop()).toMatchObject({ code: 0, stderr: "" });
  await expectWhole(stateDir, [path]);
});

test("a second SIGTERM ends it at once, and what was committed is whole", async () => {
  const { projects, paths } = largeProjects();
  const stateDir = scratchFolder();
  const loaded = LiveDaemon.launch(stateDir, projects, { env: { RIFFD_DRAIN_S: "3600" } });
  await loaded.until(({ pipeline }) => pipeline.backlog.syncing > 0);
  loaded.running.child.kill("SIGTERM");
  await loaded.says(/stopping: it was sent SIGTERM/);
  loaded.running.child.kill("SIGTERM");
  const { code } = await loaded.running.ended;
  expect(code).toBe(143);
  expect((await riffd(stateDir, ["verify", "--all"])).code).toBe(0);
  const next = await LiveDaemon.start(stateDir, projects);
  expect(await next.stop()).toMatchObject({ code: 0, stderr: "" });
  await expectWhole(stateDir, paths.slice(0, 2));
});

test("a signal while the store is being opened ends it just as well", async () => {
  const { projects } = largeProjects();
  const stateDir = scratchFolder();
  const daemon = LiveDaemon.launch(stateDir, projects);
  await daemon.says(/riffd starts/);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("SIGHUP takes a good configuration at once; a bad one changes nothing, and says why", async () => {
  const [projects, other, stateDir] = [scratchFolder(), scratchFolder(), scratchFolder()];
  const file = join(stateDir, "riffd", "config.json");
  const configure = (settings: object | string) => {
    mkdirSync(join(stateDir, "riffd"), { recursive: true });
    writeFileSync(file, typeof settings === "string" ? settings : JSON.stringify(settings));
  };
  configure({ projects: [projects] });
  const daemon = LiveDaemon.bare(stateDir, []);
  await daemon.ready();
  write(projects, "before", jsonl(...chain(2, { from: 100 })));
  write(other, "elsewhere", jsonl(...chain(2, { from: 200 })));
  await daemon.until(({ store }) => store.sessions === 1);

  configure({ projects: [projects, "relative/"], debounce_ms: "soon", nonsense: 1 });
  daemon.running.child.kill("SIGHUP");
  const refused = await daemon.says(/configuration is not taken; nothing has changed/);
  expect(refused).toMatchObject({ level: "error", error: { code: "RIFF_CONFIG_INVALID" } });
  expect(JSON.stringify(refused)).toMatch(/debounce_ms.*nonsense|nonsense.*debounce_ms/);
  expect((await daemon.status()).watch.roots.map(({ path }) => path)).toEqual([projects]);
  write(projects, "between", jsonl(...chain(2, { from: 300 })));
  await daemon.until(({ changes }) => changes.some(({ session_id }) => session_id === "between"));

  configure({ projects: [projects, other], exclude: ["-no"], log_level: "debug", poll: true });
  daemon.running.child.kill("SIGHUP");
  expect(await daemon.says(/new settings are taken/)).toMatchObject({
    fields: expect.arrayContaining(["projects", "exclude", "log_level"]),
  });
  expect(await daemon.says(/taken at the next start/)).toMatchObject({ fields: ["poll"] });
  await daemon.until(({ changes }) => changes.some(({ session_id }) => session_id === "elsewhere"));
  write(other, "elsewhere", jsonl(userMessage({ uuid: uuid(202), parent: uuid(201) })));
  await daemon.until(({ changes }) => changes[0]?.session_id === "elsewhere" && changes[0].status === "appended");
  await eventually(() => expect(daemon.log().some(({ level }) => level === "debug")).toBe(true));
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("SIGHUP tells what waits for a start as long as it does, and not when it is as it runs again", async () => {
  const [projects, stateDir] = [scratchFolder(), scratchFolder()];
  const daemon = await LiveDaemon.start(stateDir, projects);
  mkdirSync(join(stateDir, "riffd"), { recursive: true });
  const reload = (settings: object) => {
    writeFileSync(join(stateDir, "riffd", "config.json"), JSON.stringify(settings));
    daemon.running.child.kill("SIGHUP");
  };
  const waits = (times: number) => eventually(() => expect(daemon.said(/taken at the next start/)).toHaveLength(times));
  reload({ poll: true });
  await waits(1);
  reload({ poll: true, log_level: "debug" });
  await waits(2);
  expect(daemon.said(/no setting has changed/)).toEqual([]);
  reload({ log_level: "debug" });
  await daemon.says(/no setting has changed/);
  expect(daemon.said(/taken at the next start/).map(({ fields }) => fields)).toEqual([["poll"], ["poll"]]);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("SIGHUP while the store is waited for takes the projects, which are then watched once", async () => {
  const [projects, other, stateDir] = [scratchFolder(), scratchFolder(), scratchFolder()];
  const holder = startWithStore(stateDir, "");
  await holder.told(/ready/);
  const configure = (folder: string) => {
    mkdirSync(join(stateDir, "riffd"), { recursive: true });
    writeFileSync(join(stateDir, "riffd", "config.json"), JSON.stringify({ projects: [folder] }));
  };
  configure(projects);
  const daemon = LiveDaemon.bare(stateDir, []);
  await daemon.says(/store is in use/);
  configure(other);
  daemon.running.child.kill("SIGHUP");
  await daemon.says(/new settings are taken/);
  holder.child.stdin?.end();
  await daemon.ready();
  write(other, "elsewhere", jsonl(...chain(2)));
  await daemon.until(({ changes }) => changes.some(({ session_id }) => session_id === "elsewhere"));
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});
