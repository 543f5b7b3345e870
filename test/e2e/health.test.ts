// What the daemon says of itself is true, at each stage of its life.
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { ROUTES } from "../../src/control/protocol.ts";
import { assistantMessage, chain, jsonl, queueOperation, userMessage, uuid } from "../support/builders.ts";
import { eventually, LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { StoreServer } from "../support/store-server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

function projectsFolder(): string {
  const projects = scratchFolder();
  mkdirSync(join(projects, "-p"));
  return projects;
}

const STATES = ["starting", "catching-up", "live", "draining", "stopped"] as const;

/** The states of the pipeline that its metrics say it is in. */
async function statesOf(daemon: LiveDaemon): Promise<string[]> {
  const metrics = await daemon.metrics();
  return STATES.filter((state) => metrics.get(`riffd_pipeline_state{state="${state}"}`) === 1);
}

test("it is alive from the start, and ready only when what had changed is read", async () => {
  const projects = projectsFolder();
  for (let session = 0; session < 3; session++) {
    const from = session * 10_000;
    const text = "The tide comes in twice a day and so do we. ".repeat(40);
    const records = Array.from({ length: 1_500 }, (_, n) =>
      assistantMessage({ uuid: uuid(from + n), parent: n === 0 ? null : uuid(from + n - 1), text }),
    );
    writeFileSync(join(projects, "-p", `s${session}.jsonl`), jsonl(...records));
  }
  const server = await StoreServer.create(scratchFolder());
  const stateDir = scratchFolder();
  const daemon = LiveDaemon.launch(stateDir, projects, { env: server.env });
  await daemon.says(/riffd starts/);

  // starting: the store is not open
  const starting = await daemon.until(({ problems }) => problems.length === 1);
  expect(starting).toMatchObject({ ready: false, pipeline: { state: "starting" }, store: { state: "opening" } });
  expect(await statesOf(daemon)).toEqual(["starting"]);
  expect((await daemon.get(ROUTES.live)).status).toBe(200);
  expect((await daemon.get(ROUTES.ready)).status).toBe(503);
  expect((await riffd(stateDir, ["sync", "--all", "--projects", projects], { env: server.env })).code).toBe(11);

  // catching up: some is read, some is not
  await server.start();
  const reading = await daemon.until(({ pipeline }) => pipeline.state === "catching-up" && pipeline.lag.bytes > 0);
  expect(reading).toMatchObject({ ready: false, store: { state: "open" }, pipeline: { files: 3 } });
  expect(reading.reasons.length).toBeGreaterThan(0);
  expect(reading.pipeline.backlog.queued + reading.pipeline.backlog.syncing).toBeGreaterThan(0);
  expect((await daemon.get(ROUTES.live)).status).toBe(200);

  // live: all of it is there
  await daemon.ready();
  expect((await daemon.get(ROUTES.ready)).text).toBe(JSON.stringify({ ready: true, reasons: [] }));
  expect(await statesOf(daemon)).toEqual(["live"]);
  const live = await daemon.until(({ store }) => store.messages === 4_500);
  expect(live).toMatchObject({ ready: true, reasons: [], problems: [], store: { sessions: 3 } });
  expect(live.pipeline.lag).toEqual({ bytes: 0, seconds: 0 });

  // draining: what is in work waits for its store, and the socket still answers
  server.freeze();
  appendFileSync(join(projects, "-p", "s0.jsonl"), jsonl(userMessage({ uuid: uuid(90_000), parent: uuid(1_499) })));
  await daemon.until(({ pipeline }) => pipeline.backlog.syncing === 1);
  daemon.running.child.kill("SIGTERM");
  const draining = await daemon.until(({ pipeline }) => pipeline.state === "draining");
  expect(draining).toMatchObject({ ready: false, reasons: expect.arrayContaining(["It is stopping."]) });
  expect(await statesOf(daemon)).toEqual(["draining"]);
  expect((await daemon.get(ROUTES.ready)).status).toBe(503);
  server.thaw();
  expect(await daemon.running.ended).toMatchObject({ code: 0, stderr: "" });
});

test("its metrics count what was done: messages, records, bytes, events, failures", async () => {
  const projects = projectsFolder();
  const path = join(projects, "-p", "counted.jsonl");
  const imported = jsonl(...chain(5, { from: 1 }), queueOperation());
  writeFileSync(path, imported);
  const daemon = await LiveDaemon.start(scratchFolder(), projects, { env: { RIFFD_SETTLE_S: "1" } });
  await daemon.settled();
  const metric = async (name: string) => (await daemon.metrics()).get(name);
  expect(await metric("riffd_messages_total")).toBe(5);
  expect(await metric("riffd_records_total")).toBe(1);
  expect(await metric("riffd_archived_bytes_total")).toBe(imported.length);
  expect(await metric('riffd_events_total{type="message_added"}')).toBe(0); // what was there at first is import

  const appended = jsonl(userMessage({ uuid: uuid(6), parent: uuid(5) }), queueOperation());
  appendFileSync(path, appended);
  await eventually(async () => expect(await metric("riffd_messages_total")).toBe(6));
  await daemon.settled();
  expect(await metric("riffd_records_total")).toBe(2);
  expect(await metric("riffd_archived_bytes_total")).toBe(imported.length + appended.length);
  expect(await metric('riffd_events_total{type="message_added"}')).toBe(1);
  expect(await metric('riffd_sync_duration_seconds_count{status="imported"}')).toBe(1);
  expect(await metric('riffd_sync_duration_seconds_count{status="appended"}')).toBe(1);
  expect(await metric("riffd_transcripts")).toBe(1);
  expect(await metric("riffd_ready")).toBe(1);
  expect(await metric("riffd_problems")).toBe(0);
  expect(await metric('riffd_watch_mode{mode="watching"}')).toBe(1);
  expect(await metric("riffd_watched_folders")).toBeGreaterThanOrEqual(2);
  await eventually(async () => expect(await metric("riffd_store_messages")).toBe(6));
  expect(await metric("riffd_store_archive_bytes")).toBe(imported.length + appended.length);
  expect(await metric("riffd_store_size_bytes")).toBeGreaterThan(0);

  const again = jsonl(...chain(5, { from: 1 }));
  writeFileSync(`${path}.tmp`, again);
  renameSync(`${path}.tmp`, path);
  await eventually(async () => expect(await metric('riffd_events_total{type="message_removed"}')).toBe(1));
  expect(await metric('riffd_sync_duration_seconds_count{status="rewritten"}')).toBe(1);
  const failures = [...(await daemon.metrics())].filter(([name]) => name.startsWith("riffd_sync_failures_total"));
  expect(failures.filter(([, count]) => count > 0)).toEqual([]);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});
