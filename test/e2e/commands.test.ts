// Every command works while the daemon has the store: test/commands says what each of them does.
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chain, jsonl, userMessage, uuid } from "../support/builders.ts";
import { asked, LiveDaemon } from "../support/live-daemon.ts";
import { type Ended, killRunning, riffd, startRiffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const projects = scratchFolder();
const stateDir = scratchFolder();
const exported = scratchFolder();
let daemon: LiveDaemon;

beforeAll(async () => {
  write("gear", jsonl(...chain(6)));
  write("other", jsonl(...chain(4, { from: 50 })));
  // It hears nothing for an hour: what is read meanwhile is read because a command asks for it.
  const env = { RIFFD_SETTLE_S: "1", RIFFD_POLL_MS: "600000", RIFFD_RESCAN_S: "3600" };
  daemon = await LiveDaemon.start(stateDir, projects, { args: ["--poll"], env });
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

function write(name: string, bytes: Buffer): string {
  mkdirSync(join(projects, "-p"), { recursive: true });
  const path = join(projects, "-p", `${name}.jsonl`);
  appendFileSync(path, bytes);
  return path;
}

async function run(...args: string[]): Promise<Ended> {
  const ended = await riffd(stateDir, args);
  expect([args, ended.code, ended.stderr]).toEqual([args, 0, expect.not.stringContaining("Error")]);
  return ended;
}

test("riffd sync is done by the daemon, which says what it did", async () => {
  const path = write("gear", jsonl(userMessage({ uuid: uuid(7), parent: uuid(6) })));
  const { stdout } = await run("sync", "--all", "--projects", projects, "--json");
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toContainEqual(expect.objectContaining({ session_id: "gear", status: "appended" }));
  const { changes, pid } = await daemon.status();
  expect([changes[0], pid]).toEqual([expect.objectContaining({ session_id: "gear", messages: 1 }), daemon.pid]);
  expect(daemon.said(/^grew: 1 message$/)).toMatchObject([{ session: "gear", messages: 1 }]);
  const metrics = await daemon.metrics();
  expect(metrics.get("riffd_messages_total")).toBe(11);
  expect(metrics.get('riffd_events_total{type="message_added"}')).toBe(1);
  expect(metrics.get('riffd_sync_duration_seconds_count{status="appended"}')).toBe(1);
  expect((await run("export", "gear")).stdout).toBe(readFileSync(path, "utf8"));
  // Once more, and there is nothing to do.
  expect((await run("sync", "gear", "--projects", projects)).stdout).toMatch(/Up to date/);
});

test("riffd query, verify and export read the store that the daemon has open", async () => {
  expect(await asked(stateDir, "RETURN count(SELECT id FROM message)")).toBe(11);
  expect((await run("verify", "--all")).stdout).toMatch(/verified/);
  const to = join(exported, "other.jsonl");
  await run("export", "other", "-o", to);
  expect(readFileSync(to, "utf8")).toBe(readFileSync(join(projects, "-p", "other.jsonl"), "utf8"));
});

test("riffd backup writes a file that restores to the same store, while the daemon goes on", async () => {
  const file = join(mkdtempSync(join(exported, "backup-")), "store.riffd");
  await run("backup", file);
  const copy = scratchFolder();
  expect(await riffd(copy, ["restore-store", file])).toMatchObject({ code: 0 });
  const { stdout } = await riffd(copy, ["export", "gear"]);
  expect(stdout).toBe(readFileSync(join(projects, "-p", "gear.jsonl"), "utf8"));
});

test("riffd events tells what was logged, and follows what comes", async () => {
  const { stdout } = await run("events", "gear", "--json");
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events).toMatchObject([{ event_type: "message_added", message_uuid: uuid(7) }]);
  const following = startRiffd(stateDir, ["events", "gear", "--follow", "--since", "1h", "--json"]);
  await following.told(new RegExp(uuid(7)));
  write("gear", jsonl(userMessage({ uuid: uuid(8), parent: uuid(7) })));
  await run("sync", "gear", "--projects", projects);
  await following.told(new RegExp(uuid(8)));
  following.child.kill("SIGINT");
  await following.ended;
});

test("what riffd forget destroys, the daemon does not take in again", async () => {
  const { stdout } = await run("forget", "other", "--reason", "a leaked key", "--yes");
  expect(stdout).toMatch(/other/);
  write("other", jsonl(userMessage({ uuid: uuid(54), parent: uuid(53), text: "once more" })));
  await run("sync", "--all", "--projects", projects);
  expect(await asked(stateDir, "SELECT VALUE content FROM message WHERE session_id = 'other'")).toEqual([
    "",
    "",
    "",
    "",
  ]);
  expect((await run("verify", "--all")).stdout).toMatch(/verified/);
});

test("riffd stop ends it when all is done, and the next command opens the store itself", async () => {
  writeFileSync(join(projects, "-p", "late.jsonl"), jsonl(...chain(2, { from: 90 })));
  expect((await run("stop")).stdout).toContain("The daemon has stopped");
  expect(await daemon.running.ended).toMatchObject({ code: 0, stderr: "" });
  expect((await riffd(stateDir, ["status"])).code).toBe(27);
  await run("sync", "--all", "--projects", projects);
  expect((await run("verify", "--all")).stdout).toMatch(/verified/);
});
