// The store of a daemon over its socket: what holds for a server, holds for it too.
import { afterAll, beforeEach, expect, test } from "vitest";
import type { DaemonTarget } from "../../src/config/store-target.ts";
import { socketPath } from "../../src/control/socket-path.ts";
import { RemoteDatabase, type RemoteEvents } from "../../src/store/remote-database.ts";
import { SurrealStore } from "../../src/store/surreal-store.ts";
import { startDaemon } from "../support/daemon.ts";
import { killRunning, type Running } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const PATIENCE = { first: 20_000, away: 40_000, connect: 10_000, call: 20_000 };

let state: string;
let daemon: Running;
let told: string[];

beforeEach(async () => {
  state = scratchFolder();
  daemon = await startDaemon(state);
  told = [];
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const events: RemoteEvents = {
  away: (location) => told.push(`away ${location}`),
  back: (location) => told.push(`back ${location}`),
};

function open(away = PATIENCE.away): Promise<RemoteDatabase> {
  const target: DaemonTarget = { kind: "daemon", socket: socketPath(state), dir: `${state}/store` };
  return RemoteDatabase.open(target, events, new AbortController().signal, { ...PATIENCE, away });
}

test("is the owner's, told by its own place, and knows riffd's tables", async () => {
  const database = await open();
  expect([database.location, database.limits.mayDeny]).toEqual([`rocksdb://${state}/store`, false]);
  expect(await new SurrealStore(database).sessionIds()).toEqual([]);
  await database.run("DEFINE TABLE mine; CREATE mine:1");
  expect(await database.run("SELECT VALUE id.id() FROM mine")).toEqual([[1]]);
  await database.close();
});

test("is waited for while the daemon is away, and told so once, and once that it is back", async () => {
  const database = await open();
  await database.run("DEFINE TABLE mine; CREATE mine:1");
  daemon.child.kill("SIGKILL");
  await daemon.ended;
  const asked = database.run("SELECT VALUE id.id() FROM mine");
  await expect.poll(() => told).toEqual([`away rocksdb://${state}/store`]);
  await startDaemon(state);
  expect(await asked).toEqual([[1]]);
  expect(told).toEqual([`away rocksdb://${state}/store`, `back rocksdb://${state}/store`]);
  await database.close();
});

test("is given up when patience ends, with what to do", async () => {
  const database = await open(100);
  daemon.child.kill("SIGKILL");
  await daemon.ended;
  await expect(database.run("RETURN 1")).rejects.toMatchObject({
    code: "RIFF_STORE_UNREACHABLE",
    message: expect.stringContaining(`rocksdb://${state}/store`),
    hint: expect.stringContaining("riffd start"),
  });
  await expect(open()).rejects.toMatchObject({ code: "RIFF_STORE_UNREACHABLE" }); // and at once, where nobody was met
});
