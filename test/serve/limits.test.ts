// What a client cannot do to the server, and to the others on it.
import { request } from "node:http";
import { connect } from "node:net";
import { Uuid } from "surrealdb";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import type { Limits } from "../../src/serve/limits.ts";
import type { RpcPeer } from "../../src/store/rpc-engine.ts";
import { codec, credentials, EDITOR, inDatabase, openServedEngine, Serving, VIEWER } from "../support/serving.ts";
import { removeScratch } from "../support/workbench.ts";

let peer: RpcPeer;
const servings: Serving[] = [];

beforeAll(async () => {
  ({ peer } = await openServedEngine());
});

afterEach(async () => {
  for (const serving of servings.splice(0)) await serving.close();
});

afterAll(removeScratch);

async function serve(limits: Partial<Limits> = {}, allowedOrigins: string[] = []): Promise<Serving> {
  const serving = await Serving.start(peer, { limits, allowedOrigins });
  servings.push(serving);
  return serving;
}

/** The status with which a connection is refused. */
function refusal(url: string, options: WebSocket.ClientOptions = {}): Promise<number | undefined> {
  const socket = new WebSocket(url, "cbor", options);
  socket.on("error", () => {});
  return new Promise((resolve, reject) => {
    socket.on("unexpected-response", (_, response) => {
      resolve(response.statusCode);
      socket.terminate();
    });
    socket.on("open", () => reject(new Error("it was let in")));
  });
}

describe("a frame that is no request", () => {
  test.each([
    ["nothing", []],
    ["half a map", [0xa2, 0x62, 0x69, 0x64, 0x01]],
    ["a break", [0xff]],
    ["an array that claims to be huge", [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ["a text that claims to be huge", [0xa1, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ["a map that is followed by something", [0xa0, 0x00]],
    ["an unknown simple value", [0xa1, 0x61, 0x61, 0xe0]],
    ["text that is not UTF-8", [0xa1, 0x62, 0xc3, 0x28, 0x01]],
    ["a hundred thousand arrays in each other", [0xa1, 0x61, 0x61, ...Array<number>(100_000).fill(0x81), 0x01]],
  ])("is answered and cut: %s", async (_, bytes) => {
    const client = await (await serve()).raw();
    client.socket.send(Uint8Array.from(bytes));
    expect(await client.next()).toEqual({ error: expect.objectContaining({ code: -32700, kind: "Validation" }) });
    expect((await client.closed).code).toBe(1007);
  });

  test("is answered and cut in JSON too, and where the kinds of frames are mixed up", async () => {
    const serving = await serve();
    for (const [protocol, frame] of [
      ["json", "{"],
      ["json", Buffer.from("{}")],
      ["cbor", "{}"],
    ] as const) {
      const client = await serving.raw(protocol);
      client.socket.send(frame);
      expect((await client.next()).error?.code).toBe(-32700);
      expect((await client.closed).code).toBe(1007);
    }
  });

  test("is answered where it is readable, and the connection stays", async () => {
    const serving = await serve();
    for (const protocol of ["cbor", "json"] as const) {
      const client = await serving.raw(protocol);
      for (const frame of [1, "text", [], null, {}, { id: 1 }, { method: 1 }, { method: "ping", session: "x" }]) {
        client.send(frame);
        expect([frame, (await client.next()).error?.code]).toEqual([frame, -32600]);
      }
      expect((await client.call("nothing")).error?.code).toBe(-32601);
      expect((await client.call("ping")).error).toBeUndefined();
    }
  });

  test("reaches nobody else", async () => {
    const serving = await serve();
    const other = await serving.client(inDatabase(EDITOR));
    const client = await serving.raw();
    client.socket.send(Uint8Array.of(0xff));
    await client.closed;
    expect(await other.query("RETURN 1").collect()).toEqual([1]);
  });
});

describe("a value at which the engine would panic, and the process end", () => {
  const raw = (...bytes: number[]) => Buffer.from(bytes);
  const deep = codec.encode(`a:${"[".repeat(50_000)}${"]".repeat(50_000)}`);
  const frame = (value: Uint8Array) =>
    Buffer.concat([
      raw(0xa3),
      ...["id", 7, "method", "query", "params"].map((part) => codec.encode(part)),
      raw(0x82),
      codec.encode("RETURN $v"),
      raw(0xa1),
      codec.encode("v"),
      value,
    ]);

  test.each([
    [
      "a duration beyond what 64 bits hold",
      raw(0xce, 0x82, 0x1b, ...Array(8).fill(0xff), 0x1a, ...Array(4).fill(0xff)),
    ],
    ["a duration without a length", raw(0xce, 0x9f, 0x01, 0x01, 0xff)],
    ["a record id of brackets", Buffer.concat([raw(0xc8), deep])],
    ["a record id of brackets, in chunks", Buffer.concat([raw(0xc8, 0x7f), deep, raw(0xff)])],
  ])("is refused: %s", async (_, value) => {
    const client = await (await serve()).raw();
    await client.call("signin", [credentials(VIEWER)]);
    client.socket.send(frame(value));
    expect(await client.next()).toEqual({ id: 7, error: expect.objectContaining({ code: -32603 }) });
    expect((await client.call("query", ["RETURN 1"])).result).toMatchObject([{ result: 1 }]);
  });

  test("is refused: a database without a namespace", async () => {
    const client = await (await serve()).raw();
    for (const params of [
      [undefined, "x"],
      [null, "x"],
    ]) {
      expect((await client.call("use", params)).error?.code).toBe(-32603);
    }
    await client.call("signin", [{ user: "root", pass: "r" }]);
    for (const params of [[undefined, "x"], [null, "x"], [1, "x"], ["nabi", 1], []]) {
      await client.call("use", params);
      expect((await client.call("ping")).error).toBeUndefined();
    }
    await client.call("use", ["nabi", "conversations"]);
    expect((await client.call("use", [undefined, "other"])).result).toMatchObject({
      namespace: "nabi",
      database: "other",
    });
    await client.call("use", [null, null]);
    expect((await client.call("use", [undefined, "other"])).error?.code).toBe(-32603);
  });

  test("is told where the engine cannot make a value of it", async () => {
    const client = await (await serve()).raw();
    await client.call("signin", [credentials(VIEWER)]);
    client.socket.send(frame(raw(0xd8, 0x63, 0x01)));
    expect(await client.next()).toMatchObject({
      id: 7,
      error: { code: -32603, message: expect.stringContaining("tag") },
    });
    expect((await client.call("ping")).error).toBeUndefined();
  });
});

describe("too much", () => {
  test("in one message cuts the connection", async () => {
    const client = await (await serve({ messageBytes: 10_000 })).raw();
    client.socket.send(Buffer.alloc(10_001));
    expect((await client.closed).code).toBe(1009);
  });

  test("before signin cuts the connection before the message is there", async () => {
    const serving = await serve({ anonymousBytes: 10_000 });
    const client = await serving.raw();
    client.socket.send(Buffer.alloc(1_000_000));
    expect((await client.closed).code).toBe(1006);
    const signedIn = await serving.raw();
    await signedIn.call("signin", [credentials(VIEWER)]);
    expect((await signedIn.call("query", ["RETURN string::len($x)", { x: "x".repeat(1e6) }])).result).toMatchObject([
      { result: 1e6 },
    ]);
  });

  test("of connections is refused, until one has gone", async () => {
    const serving = await serve({ connections: 2 });
    const first = await serving.raw();
    await serving.raw();
    expect(await refusal(serving.url)).toBe(503);
    first.socket.close();
    await expect
      .poll(() =>
        serving.raw().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  });

  test("of requests at a time waits, and all are answered", async () => {
    const client = await (await serve({ inFlight: 2, unreadBytes: 1000 })).raw();
    await client.call("signin", [credentials(VIEWER)]);
    for (let i = 0; i < 200; i++) client.send({ id: `r${i}`, method: "query", params: ["RETURN $i", { i }] });
    const answers = new Map<unknown, unknown>();
    for (let i = 0; i < 200; i++) {
      const { id, result } = await client.next();
      answers.set(id, (result as { result: unknown }[])[0]?.result);
    }
    expect([...answers].sort(([, a], [, b]) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 200 }, (_, i) => [`r${i}`, i]),
    );
  });

  test("of sessions, transactions and variables on one connection is refused", async () => {
    const client = await (await serve()).raw();
    const attach = async () => (await client.call("attach", [], { session: Uuid.v4() })).error;
    for (let i = 1; i < 64; i++) expect(await attach()).toBeUndefined();
    expect(await attach()).toMatchObject({ message: expect.stringContaining("Too many sessions") });
    expect((await client.call("let", ["x", "x".repeat(300_000)])).error?.message).toContain("Too many variables");
    await client.call("signin", [credentials(EDITOR)]);
    for (let i = 0; i < 32; i++) expect((await client.call("begin")).error).toBeUndefined();
    expect((await client.call("begin")).error?.message).toContain("Too many open transactions");
  });

  test("over HTTP is refused", async () => {
    const serving = await serve({ bodyBytes: 1000 });
    const url = `${serving.httpUrl}/rpc`;
    const headers = { "Content-Type": "application/json" };
    expect((await fetch(url, { method: "POST", headers, body: "x".repeat(1001) })).status).toBe(413);
    expect((await fetch(url, { method: "POST", headers, body: "{" })).status).toBe(400);
    expect((await fetch(url, { method: "POST", body: "{}", headers: { "Content-Type": "text/x" } })).status).toBe(415);
    // Without a length that tells it beforehand.
    const status = new Promise((resolve, reject) => {
      const chunked = request(url, { method: "POST", headers }, (response) => resolve(response.resume().statusCode));
      chunked.on("error", reject);
      chunked.write("x".repeat(600));
      chunked.end("x".repeat(600));
    });
    expect(await status).toBe(413);
  });
});

describe("a client", () => {
  test("on whose connection nobody signs in is cut", async () => {
    const serving = await serve({ signinMs: 2_000 });
    const silent = await serving.raw();
    const talking = await serving.raw();
    await talking.call("ping");
    const signedOut = await serving.raw();
    await signedOut.call("signin", [credentials(VIEWER)]);
    for (const client of [silent, talking]) expect((await client.closed).code).toBe(1008);
    expect((await signedOut.call("query", ["RETURN 1"])).error).toBeUndefined();
    await signedOut.call("invalidate");
    expect((await signedOut.closed).code).toBe(1008);
  });

  test("that guesses passwords is cut", async () => {
    const client = await (await serve({ refusedSignins: 3 })).raw();
    for (let i = 0; i < 3; i++) {
      expect(
        (await client.call("signin", [credentials({ username: "viewer", password: `${i}` })])).error,
      ).toBeDefined();
    }
    expect((await client.closed).code).toBe(1008);
  });

  test("that has gone without a word is noticed", async () => {
    const serving = await serve({ keepAliveMs: 1_000, signinMs: 60_000, connections: 1 });
    const dead = await serving.raw("cbor", { autoPong: false });
    expect((await dead.closed).code).toBe(1006);
    const living = await serving.raw();
    for (let i = 0; i < 2; i++) await new Promise((resolve) => living.socket.once("ping", resolve));
    expect((await living.call("ping")).error).toBeUndefined();
  });

  test("that does not read what it is told is cut", async () => {
    const serving = await serve({ maxUnreadBytes: 100_000, unreadBytes: 1e9, inFlight: 1000, connections: 1 });
    const client = await serving.raw();
    await client.call("signin", [credentials(VIEWER)]);
    client.socket.pause();
    // More than what the system holds for it.
    const params = ["RETURN string::repeat('x', 1000000)"];
    for (let i = 0; i < 60; i++) client.send({ id: i, method: "query", params });
    const letIn = () =>
      serving
        .raw()
        .then(() => true)
        .catch(() => false);
    await expect.poll(letIn, { timeout: 30_000 }).toBe(true);
  });

  test("that is no WebSocket at all does no harm", async () => {
    const serving = await serve();
    for (const text of [
      "GARBAGE\r\n\r\n",
      "GET // HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET //%zz HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
      "GET /rpc HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ]) {
      const socket = connect(serving.port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      socket.end(text);
      await new Promise((resolve) => socket.on("close", resolve));
    }
    expect((await fetch(`${serving.httpUrl}/health`)).status).toBe(200);
  });
});

describe("a web page", () => {
  const origins = [
    "https://evil.example",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "null",
    "",
  ];

  test.each(origins)("from %s cannot connect", async (origin) => {
    const serving = await serve();
    expect(await refusal(serving.url, { headers: { origin } })).toBe(403);
    const response = await fetch(`${serving.httpUrl}/rpc`, { method: "POST", headers: { origin }, body: "{}" });
    expect(response.status).toBe(403);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test.each([
    "http://localhost:5173",
    "http://127.0.0.1",
    "http://[::1]:80",
    "tauri://localhost",
    "https://one.example",
  ])("from %s can", async (origin) => {
    const serving = await serve({}, ["https://one.example"]);
    const client = await serving.raw("cbor", { headers: { origin } });
    expect((await client.call("ping")).error).toBeUndefined();
    const preflight = await fetch(`${serving.httpUrl}/rpc`, { method: "OPTIONS", headers: { origin } });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origin);
  });
});

test("closing the server answers what is in work, tells all clients, and ends", async () => {
  const serving = await serve();
  const clients = [await serving.raw(), await serving.raw("json")];
  await clients[0]!.call("signin", [credentials(VIEWER)]);
  clients[0]!.send({ id: "slow", method: "query", params: ["RETURN sleep(300ms)"] });
  // The reply to what was sent after it shows that it has arrived.
  await clients[0]!.call("ping");
  await serving.server.close();
  expect(await clients[0]!.next()).toMatchObject({ id: "slow", result: [{ status: "OK" }] });
  for (const client of clients) expect((await client.closed).code).toBe(1001);
  expect(await refusal(serving.url)).toBe(503);
});

test("closing the server does not wait for a request without an end", async () => {
  const serving = await serve({ drainMs: 200 });
  const client = await serving.raw();
  await client.call("signin", [credentials(VIEWER)]);
  client.send({ id: "endless", method: "query", params: ["RETURN sleep(20s)"] });
  await client.call("ping");
  await serving.server.close();
  expect((await client.closed).code).toBe(1006);
});
