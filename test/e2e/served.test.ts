// Others read the daemon's store while it writes: SurrealDB's own clients, on TCP where they sign in, and told of what comes.
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Surreal, Table } from "surrealdb";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { DATABASE, NAMESPACE } from "../../src/config/store-target.ts";
import { chain, jsonl, SESSION, userMessage, uuid } from "../support/builders.ts";
import { eventually, LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const USER = { username: "reader", password: "only for this test" };

const projects = scratchFolder();
const stateDir = scratchFolder();
const path = join(projects, "-p", `${SESSION}.jsonl`);
const clients: Surreal[] = [];
let daemon: LiveDaemon;

beforeAll(async () => {
  mkdirSync(join(projects, "-p"));
  writeFileSync(path, jsonl(...chain(3)));
  const made = await riffd(stateDir, ["serve", "--no-listen", "--user", USER.username, "--role", "viewer"], {
    env: { RIFFD_SERVE_PASS: USER.password },
  });
  expect(made.code).toBe(0);
  daemon = await LiveDaemon.start(stateDir, projects, { args: ["--rpc-listen", "127.0.0.1:0"] });
});

afterAll(async () => {
  for (const client of clients) await client.close();
  await daemon?.closeClients();
  killRunning();
  await removeScratch();
});

/** The official SDK on TCP, as somebody or nobody. */
async function onTcp(authentication?: typeof USER): Promise<Surreal> {
  const client = new Surreal({ websocketImpl: WebSocket as unknown as typeof globalThis.WebSocket });
  clients.push(client);
  const [url] = (await daemon.status()).rpc;
  const place = { namespace: NAMESPACE, database: DATABASE };
  await client.connect(url!, {
    ...place,
    reconnect: false,
    ...(authentication && { authentication: { ...place, ...authentication } }),
  });
  return client;
}

const COUNT = "RETURN count(SELECT id FROM message)";

test("on TCP, who signs in reads, and may not do more than its role", async () => {
  const reader = await onTcp(USER);
  expect(await reader.query(COUNT)).toEqual([3]);
  await reader.query("UPDATE message SET content = 'mine'").catch(() => {}); // a denial may be silent
  expect(await reader.query("RETURN count(SELECT id FROM message WHERE content = 'mine')")).toEqual([0]);
  appendFileSync(path, jsonl(userMessage({ uuid: uuid(4), parent: uuid(3) })));
  await eventually(async () => expect(await reader.query(COUNT)).toEqual([4]));
});

test("on TCP, nobody reads who has not signed in, or not with the right password", async () => {
  const nobody = await onTcp();
  await expect(nobody.query(COUNT)).rejects.toThrow();
  await expect(onTcp({ ...USER, password: "another" })).rejects.toThrow();
});

test("a live query over the socket tells of messages as they come", async () => {
  const foreign = await daemon.foreign();
  const told: unknown[] = [];
  const live = await foreign.live(new Table("message"));
  live.subscribe(({ action, value }) => told.push([action, (value as { message_uuid?: string }).message_uuid]));
  appendFileSync(path, jsonl(userMessage({ uuid: uuid(5), parent: uuid(4) })));
  await eventually(() => expect(told).toContainEqual(["CREATE", uuid(5)]));
  await live.kill();
});

test("clients that stay connected do not keep the daemon from ending", async () => {
  await onTcp(USER);
  await daemon.foreign();
  daemon.running.child.kill("SIGTERM");
  expect(await daemon.running.ended).toMatchObject({ code: 0, stderr: "" });
});
