// SurrealDB's own clients on the control socket, which belongs to whoever can reach it: no signin is asked for.

import { Surreal } from "surrealdb";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { isDaemonRunning } from "../../src/control/probe.ts";
import { ROUTES } from "../../src/control/protocol.ts";
import { RpcServer } from "../../src/serve/rpc-server.ts";
import { ask, converse, STATUS, startControl } from "../support/controlling.ts";
import { openServedEngine } from "../support/serving.ts";
import { removeScratch } from "../support/workbench.ts";

const PLACE = { namespace: "nabi", database: "conversations" };
let rpc: RpcServer;
let control: Awaited<ReturnType<typeof startControl>>;
let isOpen = true;
const clients: Surreal[] = [];

beforeAll(async () => {
  const { peer } = await openServedEngine();
  rpc = await RpcServer.create(peer, { signin: "open" });
  control = await startControl({ drainMs: 60_000 }, () => (isOpen ? rpc : null));
});

afterAll(async () => {
  for (const client of clients) await client.close();
  await rpc.close();
  await control.server.close();
  await removeScratch();
});

/** The official SDK, over the socket. */
async function connect(): Promise<Surreal> {
  const address = `ws+unix:${control.path}:${ROUTES.rpc}`;
  const client = new Surreal({
    websocketImpl: class extends WebSocket {
      constructor(_: string, protocols: string[]) {
        super(address, protocols);
      }
    } as never,
  });
  clients.push(client);
  await client.connect("ws://riffd/rpc", { ...PLACE, reconnect: false });
  return client;
}

test("the SDK queries, writes and watches over the socket as the store's owner", async () => {
  const [client, other] = [await connect(), await connect()];
  expect(await client.query("SELECT VALUE n FROM thing:1").collect()).toEqual([[1]]);
  const live = await client.query<[never]>("LIVE SELECT * FROM thing").collect();
  expect(live).toHaveLength(1);
  await other.query("CREATE thing:2 SET n = $n", { n: 2 }).collect();
  expect(await client.query("SELECT VALUE n FROM thing ORDER BY n").collect()).toEqual([[1, 2]]);
});

test("requests over plain HTTP are answered beside the control routes", async () => {
  const { status, text } = await ask(control.path, ROUTES.rpc, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Surreal-NS": "nabi", "Surreal-DB": "conversations" },
    body: JSON.stringify({ id: 1, method: "query", params: ["RETURN 40 + 2"] }),
  });
  expect([status, JSON.parse(text)]).toMatchObject([200, { id: 1, result: [{ status: "OK", result: 42 }] }]);
  expect(JSON.parse((await ask(control.path, ROUTES.status)).text)).toEqual(JSON.parse(JSON.stringify(STATUS)));
});

test("a web page may not connect, wherever it is from", async () => {
  for (const origin of ["http://evil.example", "http://localhost:3000", "null"]) {
    const socket = new WebSocket(`ws+unix:${control.path}:${ROUTES.rpc}`, "cbor", { origin });
    await expect(new Promise((_, reject) => socket.on("error", reject))).rejects.toThrow("403");
  }
});

test("a store that is closed for a while is said to be, and open again afterwards", async () => {
  isOpen = false;
  const words = `GET ${ROUTES.rpc} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n`;
  expect(await converse(control.path, words).said).toMatch(/^HTTP\/1.1 503 /);
  isOpen = true;
  expect(await (await connect()).query("RETURN 1").collect()).toEqual([1]);
});

test("clients that are connected hold up the end only until the RPC server has closed them", async () => {
  const client = await connect();
  expect(await client.query("RETURN 1").collect()).toEqual([1]);
  const closed = control.server.close();
  await rpc.close();
  await closed;
  expect(await isDaemonRunning(control.path)).toBe(false);
});
