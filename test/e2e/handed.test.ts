// A sync that is handed to the daemon at times when it has other things to do.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import type { SyncRequest } from "../../src/control/protocol.ts";
import { chain, jsonl, SESSION } from "../support/builders.ts";
import { asked, eventually, LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, notedCommits, startRiffd } from "../support/riffd.ts";
import { StoreServer } from "../support/store-server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

function projectsWith(messages: number, name = SESSION): string {
  const projects = scratchFolder();
  mkdirSync(join(projects, "-p"));
  appendFileSync(join(projects, "-p", `${name}.jsonl`), jsonl(...chain(messages)));
  return projects;
}

function everything(projects: string): SyncRequest {
  const none = { include: [], exclude: [], outside: [], force_sessions: [] };
  return { roots: [projects], ...none, only: null, force: false, operator: "ada" };
}

test("a daemon that opens its store has it wait until that is open", async () => {
  const [projects, stateDir] = [projectsWith(3), scratchFolder()];
  const server = await StoreServer.create(scratchFolder());
  await server.start();
  server.freeze();
  const daemon = LiveDaemon.launch(stateDir, scratchFolder(), { env: server.env });
  await daemon.says(/riffd starts/);
  const told: string[] = [];
  const synced = daemon.client.sync(everything(projects), ({ kind }) => told.push(kind));
  synced.catch(() => {}); // it is awaited below
  for (let n = 0; n < 5; n++) expect(await daemon.status()).toMatchObject({ store: { state: "opening" } });
  expect(told).toEqual([]);
  server.thaw();
  await synced;
  expect(told).toEqual(expect.arrayContaining(["planned", "wrote", "report", "done"]));
  expect(await asked(stateDir, "RETURN count(SELECT id FROM message)", server.env)).toBe(3);
});

test("systemd hears of the daemon while it catches up, and while it works for others", async () => {
  const [elsewhere, stateDir, programs] = [projectsWith(30_000), scratchFolder(), scratchFolder()];
  const heard = join(programs, "heard");
  const script = `#!/bin/sh\necho "$@" >> '${heard}'\n`;
  writeFileSync(join(programs, "systemd-notify"), script, { mode: 0o755 });
  const env = {
    PATH: `${programs}:${process.env.PATH}`,
    NOTIFY_SOCKET: join(programs, "socket"),
    WATCHDOG_USEC: "300000",
    WATCHDOG_PID: "",
  };
  const pings = () => (existsSync(heard) ? readFileSync(heard, "utf8").split("WATCHDOG=1").length - 1 : 0);
  const daemon = await LiveDaemon.start(stateDir, projectsWith(3, "own"), { env });
  await eventually(() => expect(readFileSync(heard, "utf8")).toMatch(/^STATUS=reading 1 transcript$/m));
  const syncing = startRiffd(stateDir, ["sync", "--all", "--projects", elsewhere]);
  let hasEnded = false;
  void syncing.ended.finally(() => {
    hasEnded = true;
  });
  await eventually(() => expect(notedCommits(stateDir).length).toBeGreaterThan(0));
  const before = pings();
  await eventually(() => expect(pings()).toBeGreaterThan(before + 1));
  expect(hasEnded).toBe(false);
  expect(await syncing.ended).toMatchObject({ code: 0 });
  expect(await daemon.stop()).toMatchObject({ code: 0 });
});
