// The store is a server that goes away and comes back: the daemon waits, says so once, and loses nothing.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import { ROUTES } from "../../src/control/protocol.ts";
import { chain, jsonl, userMessage, uuid } from "../support/builders.ts";
import { asked, eventually, LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, riffd, startScript } from "../support/riffd.ts";
import { StoreServer } from "../support/store-server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

interface Scene {
  readonly projects: string;
  readonly stateDir: string;
  readonly server: StoreServer;
  readonly paths: string[];
}

async function scene(): Promise<Scene> {
  const projects = scratchFolder();
  mkdirSync(join(projects, "-p"));
  const paths = [1, 2, 3].map((i) => {
    const path = join(projects, "-p", `s${i}.jsonl`);
    writeFileSync(path, jsonl(...chain(3, { from: i * 1_000 })));
    return path;
  });
  return { projects, stateDir: scratchFolder(), server: await StoreServer.create(scratchFolder()), paths };
}

/** One more line for each transcript. */
function grow({ paths }: Scene, n: number): void {
  for (const [i, path] of paths.entries()) {
    const from = (i + 1) * 1_000;
    appendFileSync(path, jsonl(userMessage({ uuid: uuid(from + n), parent: uuid(from + n - 1) })));
  }
}

function bytesOf({ paths }: Scene): number {
  return paths.reduce((sum, path) => sum + readFileSync(path).length, 0);
}

/** What the server's store holds is what the files hold, and it is proved. */
async function expectAllThere(scene: Scene, messages: number): Promise<void> {
  const { stateDir, server, paths } = scene;
  const { env } = server;
  expect(await asked(stateDir, "RETURN count(SELECT id FROM message)", env)).toBe(messages);
  expect(await riffd(stateDir, ["verify", "--all"], { env })).toMatchObject({ code: 0 });
  const exported = await riffd(stateDir, ["export", "s1"], { env });
  expect(exported.stdout).toBe(readFileSync(paths[0]!, "utf8"));
}

test("a server that is away is waited for: told once, red and alive meanwhile, and then everything is there", async () => {
  const here = await scene();
  const { projects, stateDir, server } = here;
  await server.start();
  const daemon = await LiveDaemon.start(stateDir, projects, { args: ["--surrealdb-url", server.url], env: server.env });
  const location = `ws://127.0.0.1:${server.port} (nabi/conversations)`;
  expect((await daemon.status()).store).toMatchObject({ kind: "remote", state: "open", location });
  const sizeBefore = bytesOf(here);

  await server.kill();
  const away = await daemon.until(({ store }) => store.state === "away");
  expect(away.reasons.join()).toContain(location);
  expect(away.problems).toMatchObject([{ message: expect.stringContaining(location), hint: expect.any(String) }]);
  for (const n of [3, 4, 5]) grow(here, n);
  const waiting = await daemon.until(({ pipeline }) => pipeline.lag.bytes === bytesOf(here) - sizeBefore);
  expect(waiting).toMatchObject({ ready: false, pipeline: { state: "live" } });
  expect((await daemon.get(ROUTES.ready)).status).toBe(503);
  expect(await daemon.get(ROUTES.live)).toMatchObject({ status: 200 });
  const metrics = await daemon.metrics();
  expect(metrics.get("riffd_store_up")).toBe(0);
  expect(metrics.get("riffd_ready")).toBe(0);
  expect(metrics.get("riffd_lag_bytes")).toBe(bytesOf(here) - sizeBefore);
  const told = (await riffd(stateDir, ["status"])).stdout;
  expect(told).toContain("away");

  await server.start();
  await daemon.until(({ store, pipeline }) => store.state === "open" && pipeline.lag.bytes === 0);
  await daemon.ready();
  expect(daemon.said(/store is away/)).toHaveLength(1);
  expect(daemon.said(/store is back/)).toHaveLength(1);
  expect(daemon.log().filter(({ level }) => level === "error" || level === "fatal")).toEqual([]);
  expect((await daemon.metrics()).get("riffd_store_up")).toBe(1);
  await expectAllThere(here, 18);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a server that freezes in the middle is waited for, and what it was asked before is not done twice", async () => {
  const here = await scene();
  const { projects, stateDir, server } = here;
  await server.start();
  const daemon = await LiveDaemon.start(stateDir, projects, { env: server.env });
  const sizeBefore = bytesOf(here);
  server.freeze();
  for (let n = 3; n < 10; n++) grow(here, n);
  await daemon.until(({ pipeline }) => pipeline.backlog.syncing > 0);
  for (let n = 10; n < 20; n++) grow(here, n);
  await daemon.until(({ pipeline }) => pipeline.lag.bytes === bytesOf(here) - sizeBefore);
  expect((await daemon.get(ROUTES.live)).status).toBe(200);
  await daemon.until(({ pipeline }) => pipeline.lag.seconds > 2);
  server.thaw();
  await daemon.until(({ pipeline }) => pipeline.lag.bytes === 0);
  await daemon.ready();
  await expectAllThere(here, 60);
  const added = "RETURN count(SELECT id FROM repair_event WHERE event_type = 'message_added')";
  expect(await asked(stateDir, added, server.env)).toBe(51);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a daemon that starts while the server is down is alive, not ready, and begins when it is there", async () => {
  const here = await scene();
  const { projects, stateDir, server } = here;
  const daemon = LiveDaemon.launch(stateDir, projects, { env: server.env });
  await daemon.says(/store is away/);
  const status = await daemon.until(({ problems }) => problems.length > 0);
  expect(status).toMatchObject({ ready: false, store: { state: "opening", sessions: null } });
  expect(status.problems[0]?.message).toContain(`ws://127.0.0.1:${server.port}`);
  expect((await daemon.get(ROUTES.live)).status).toBe(200);
  grow(here, 3);
  await server.start();
  await daemon.ready();
  await daemon.until(({ store }) => store.archive_bytes === bytesOf(here));
  expect(daemon.said(/store is back/)).toHaveLength(1);
  await expectAllThere(here, 12);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a daemon whose server stays away ends at once and well when it is told to", async () => {
  const { projects, stateDir, server } = await scene();
  const never = LiveDaemon.launch(stateDir, projects, { env: server.env });
  await never.says(/store is away/);
  expect(await never.stop()).toMatchObject({ code: 0, stderr: "" });

  await server.start();
  const daemon = await LiveDaemon.start(stateDir, projects, { env: { ...server.env, RIFFD_DRAIN_S: "3600" } });
  await server.kill();
  writeFileSync(join(projects, "-p", "new.jsonl"), jsonl(...chain(3, { from: 9_000 })));
  await daemon.until(({ store, pipeline }) => store.state === "away" && pipeline.lag.bytes > 0);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
  await server.start();
  const next = await LiveDaemon.start(stateDir, projects, { env: server.env });
  await eventually(async () => expect((await next.status()).store.sessions).toBe(4));
  expect(await next.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a daemon whose server is frozen gives up what is in work when its time to drain is over, and ends well", async () => {
  const here = await scene();
  const { projects, stateDir, server } = here;
  await server.start();
  const daemon = await LiveDaemon.start(stateDir, projects, { env: { ...server.env, RIFFD_DRAIN_S: "1" } });
  server.freeze();
  grow(here, 3);
  await daemon.until(({ pipeline }) => pipeline.backlog.syncing > 0);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
  server.thaw();
  const next = await LiveDaemon.start(stateDir, projects, { env: server.env });
  await expectAllThere(here, 12);
  expect(await next.stop()).toMatchObject({ code: 0, stderr: "" });
});

test("a server that was away is noticed to be back though nothing is to be written", async () => {
  const { projects, stateDir, server } = await scene();
  await server.start();
  const env = { ...server.env, RIFFD_RESCAN_S: "3600" };
  const daemon = await LiveDaemon.start(stateDir, projects, { env });
  await daemon.settled();
  await server.kill();
  await daemon.until(({ store }) => store.state === "away");
  await server.start();
  await daemon.ready();
  expect(daemon.said(/store is back/)).toHaveLength(1);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
});

/** The daemon, which notices sooner than usual that its server says nothing. */
const SOON = `
  const { runDaemon } = await load("daemon.js");
  const { resolveSettings } = await load("config/config.js");
  const { createLogger } = await load("runtime/logger.js");
  const { Signals } = await load("runtime/signals.js");
  const { ENDLESS_PATIENCE } = await load("store/remote-database.js");
  const settings = resolveSettings({}, process.env);
  const signals = new Signals({ drain() {}, abort() {} }, (code) => process.exit(code));
  signals.start();
  process.exitCode = await runDaemon({
    settings,
    version: "0",
    env: process.env,
    logger: createLogger({ level: "info", format: "json", colour: false, secrets: [] }),
    signals,
    chosen: null,
    view: null,
    patience: { ...ENDLESS_PATIENCE, health: { silence: 300, answer: 5_000 } },
    reread: () => settings,
  });`;

test("a server that freezes while nothing is to be done is away, until it goes on; each is said once", async () => {
  const { projects, stateDir, server } = await scene();
  await server.start();
  const env = { ...server.env, RIFFD_PROJECTS: projects, RIFFD_RESCAN_S: "3600" };
  const daemon = startScript(stateDir, SOON, { env });
  const client = new ControlClient(join(stateDir, "riffd.sock"));
  const turns = (ready: boolean) =>
    eventually(async () => expect((await client.readiness()).ready, daemon.stdout()).toBe(ready));
  await turns(true);
  await eventually(async () => expect((await client.status()).pipeline.live).toEqual([]));

  server.freeze();
  await turns(false);
  const status = await client.status();
  expect(status.store.state).toBe("away");
  expect(status.problems).toMatchObject([{ message: expect.stringContaining("no answer within 5 s") }]);
  server.thaw();
  await turns(true);
  expect((await client.status()).problems).toEqual([]);
  daemon.child.kill("SIGTERM");
  const { code, stdout } = await daemon.ended;
  expect(code).toBe(0);
  expect(stdout.match(/the store is away/g)).toHaveLength(1);
  expect(stdout.match(/the store is back/g)).toHaveLength(1);
});
