// SurrealDB's official JavaScript client, unchanged, and the raw protocol in both its formats.
import { DateTime, Decimal, Duration, RecordId, Surreal, Table, Uuid } from "surrealdb";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import WebSocket from "ws";
import type { RpcPeer } from "../../src/store/rpc-engine.ts";
import {
  codec,
  credentials,
  EDITOR,
  inDatabase,
  OWNER,
  openServedEngine,
  ROOT,
  Serving,
  VIEWER,
} from "../support/serving.ts";
import { removeScratch } from "../support/workbench.ts";

let owner: Surreal;
let peer: RpcPeer;
let serving: Serving;

beforeAll(async () => {
  ({ owner, peer } = await openServedEngine());
  serving = await Serving.start(peer);
});

afterEach(async () => {
  await serving.closeClients();
  await owner.query("DELETE thing WHERE id != thing:1").collect();
});

afterAll(async () => {
  await serving.close();
  await removeScratch();
});

const VALUES = {
  text: "ünï\u0000 😀 \"'`⟩",
  int: 42,
  largest: 9_223_372_036_854_775_807n,
  smallest: -9_223_372_036_854_775_808n,
  float: 1.5,
  decimal: new Decimal("12.345678901234567890"),
  bool: true,
  nothing: null,
  date: new DateTime("2026-01-02T03:04:05.123456789Z"),
  duration: new Duration("1w2d3h"),
  uuid: Uuid.v7(),
  id: new RecordId("thing", ["a", 1, { b: 2 }]),
  table: new Table("thing"),
  list: [1, ["two"], { three: 3 }],
  bytes: new Uint8Array([0, 255, 128]).buffer,
  deep: Array.from({ length: 100 }).reduce<unknown>((inner) => [inner], 1),
};

describe("the SDK over a WebSocket", () => {
  test("connects, signs in, and uses all of its methods", async () => {
    const client = await serving.client(null);
    expect(await client.version()).toEqual({ version: serving.server.version });
    await client.health();
    await expect(client.query("RETURN 1").collect()).rejects.toThrow(/Sign in first/);
    await client.signin(ROOT);
    const id = new RecordId("thing", "made");
    expect(await client.create(id).content({ n: 2 })).toEqual({ id, n: 2 });
    expect(await client.update(id).merge({ m: 3 })).toEqual({ id, n: 2, m: 3 });
    expect(await client.upsert(id).content({ n: 4 })).toEqual({ id, n: 4 });
    expect(await client.insert(new Table("thing"), { id: new RecordId("thing", 9), n: 9 })).toHaveLength(1);
    expect(await client.select(id)).toEqual({ id, n: 4 });
    expect(await client.run("math::abs", [-3])).toBe(3);
    expect(await client.delete(id)).toEqual({ id, n: 4 });
    await client.set("x", 5);
    expect(await client.query("RETURN $x").collect()).toEqual([5]);
    await client.unset("x");
    expect(await client.query("RETURN $x").collect()).toEqual([undefined]);
    await client.invalidate();
    await expect(client.query("RETURN 1").collect()).rejects.toThrow(/Sign in first/);
  });

  test("gives every value back as it was", async () => {
    const client = await serving.client(inDatabase(EDITOR));
    const [value] = await client.query("RETURN $value", { value: VALUES }).collect();
    expect(value).toEqual(VALUES);
    await client.query("CREATE thing:values SET value = $value", { value: VALUES });
    expect((await owner.query<[typeof VALUES]>("SELECT VALUE value FROM ONLY thing:values").collect())[0]).toEqual(
      VALUES,
    );
  });

  test("keeps apart what JavaScript cannot: 1.0 stays a float on its way there and back", async () => {
    const client = await serving.raw();
    await client.call("signin", [credentials(EDITOR)]);
    const one = Uint8Array.from([0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
    const request = codec.encode({ id: 1, method: "query", params: ["RETURN [type::is_float($v), $v]", { v: null }] });
    const frame = new Promise<Buffer>((resolve) => client.socket.once("message", resolve));
    client.socket.send(Buffer.concat([request.subarray(0, -1), one]));
    expect((await client.next()).result).toMatchObject([{ result: [true, 1] }]);
    // Half a float is enough for it.
    expect((await frame).includes(Buffer.from([0xf9, 0x3c, 0x00]))).toBe(true);
  });

  test("tells the engine's errors as they are", async () => {
    const client = await serving.client(inDatabase(EDITOR));
    await expect(client.query("SELECT FROM").collect()).rejects.toThrow(/Parse error/);
    await expect(client.query("THROW 'mine'").collect()).rejects.toThrow("mine");
    const responses = await client.query("RETURN 1; SELECT * FROM missing; RETURN 2").responses();
    expect(responses.map(({ success }) => success)).toEqual([true, false, true]);
  });

  test("carries a megabyte each way", async () => {
    const client = await serving.client(inDatabase(EDITOR));
    const rows = Array.from({ length: 1000 }, (_, i) => ({
      id: new RecordId("thing", ["bulk", i]),
      text: "x".repeat(1000),
    }));
    expect(await client.query("INSERT INTO thing $rows RETURN NONE", { rows }).collect()).toEqual([[]]);
    const [read] = await client.query<[unknown[]]>("SELECT * FROM thing:['bulk', NONE]..['bulk', ..]").collect();
    expect(read).toEqual(rows);
  });

  test("has sessions of its own with rights and variables of their own", async () => {
    const client = await serving.client(inDatabase(OWNER));
    const viewer = await client.newSession();
    await viewer.signin(inDatabase(VIEWER));
    await viewer.set("who", "viewer");
    const fork = await client.forkSession();
    expect(await viewer.query("CREATE thing:2; RETURN $who").collect()).toEqual([[], "viewer"]);
    expect(await client.query("CREATE thing:2 SET n = 2 RETURN VALUE n; RETURN $who").collect()).toEqual([
      [2],
      undefined,
    ]);
    expect(await fork.query("RETURN [session::ns(), session::db()]").collect()).toEqual([["nabi", "conversations"]]);
    await viewer.closeSession();
    expect(await client.query("RETURN 1").collect()).toEqual([1]);
  });

  test("has transactions that nobody sees before they are committed", async () => {
    const client = await serving.client(inDatabase(EDITOR));
    const count = async () => (await owner.query<[number[]]>("SELECT VALUE n FROM thing").collect())[0].length;
    const committed = await client.beginTransaction();
    await committed.query("CREATE thing:2 SET n = 2");
    expect(await count()).toBe(1);
    await committed.commit();
    expect(await count()).toBe(2);
    const cancelled = await client.beginTransaction();
    await cancelled.query("CREATE thing:3 SET n = 3");
    await cancelled.cancel();
    expect(await count()).toBe(2);
  });

  test("keeps its place and its variables when it signs in afterwards, and when it signs out and in", async () => {
    const client = new Surreal({ websocketImpl: WebSocket as never });
    try {
      await client.connect(serving.url, { reconnect: false });
      await client.use({ namespace: "nabi", database: "conversations" });
      await client.set("x", 7);
      await client.signin(ROOT);
      const where = "RETURN [session::ns(), session::db(), $x]";
      expect(await client.query(where).collect()).toEqual([["nabi", "conversations", 7]]);
      await client.invalidate();
      await client.signin(ROOT);
      expect(await client.query(where).collect()).toEqual([["nabi", "conversations", 7]]);
    } finally {
      await client.close();
    }
  });
});

describe("live queries", () => {
  beforeEach(() => expect.poll(lives).toBe(0));

  const lives = async () => {
    const [info] = await owner.query<[{ lives: object }]>("INFO FOR TABLE thing").collect();
    return Object.keys(info.lives).length;
  };

  test("tell their own client what changes, and nobody else", async () => {
    const [watcher, writer] = [await serving.client(inDatabase(VIEWER)), await serving.client(inDatabase(EDITOR))];
    const bystander = await serving.raw();
    await bystander.call("signin", [credentials(OWNER)]);
    const subscription = await watcher.live(new Table("thing"));
    const messages = subscription[Symbol.asyncIterator]();
    const id = new RecordId("thing", "seen");
    await writer.create(id).content({ n: 1.5 });
    await writer.delete(id);
    expect((await messages.next()).value).toMatchObject({ action: "CREATE", recordId: id, value: { id, n: 1.5 } });
    expect((await messages.next()).value).toMatchObject({ action: "DELETE", recordId: id });
    expect((await bystander.call("ping")).id).toBe(2);
    expect(await lives()).toBe(1);
    await subscription.kill();
    await expect.poll(lives).toBe(0);
  });

  test("that stand in a query with others are found", async () => {
    const client = await serving.raw();
    await client.call("signin", [credentials(EDITOR)]);
    const { result } = await client.call("query", ["RETURN 1; live SELECT n FROM thing; RETURN 'LIVE'"]);
    const [, live] = result as { result: Uuid }[];
    client.send({ id: "write", method: "create", params: [new RecordId("thing", 2), { n: 2 }] });
    expect((await client.next()).id).toBe("write");
    expect(await client.notification()).toMatchObject({
      result: { id: live!.result, action: "CREATE", record: new RecordId("thing", 2), result: { n: 2 } },
    });
  });

  test("end with their session, and with their connection", async () => {
    const client = await serving.raw();
    await client.call("signin", [credentials(VIEWER)]);
    const session = Uuid.v4();
    await client.call("attach", [], { session });
    await client.call("signin", [credentials(VIEWER)], { session });
    await client.call("live", ["thing"]);
    await client.call("live", ["thing"], { session });
    expect(await lives()).toBe(2);
    await client.call("detach", [], { session });
    expect(await lives()).toBe(1);
    await client.call("reset");
    expect(await lives()).toBe(0);
    await client.call("signin", [credentials(VIEWER)]);
    await client.call("live", ["thing"]);
    client.socket.terminate();
    await expect.poll(lives).toBe(0);
  });

  test("are not told where somebody signs in again", async () => {
    const client = await serving.client(inDatabase(VIEWER));
    const messages = (await client.live(new Table("thing")))[Symbol.asyncIterator]();
    await client.signin(inDatabase(VIEWER));
    await owner.query("CREATE thing:2");
    expect((await messages.next()).value).toMatchObject({ action: "CREATE" });
  });
});

describe("the SDK over HTTP", () => {
  test("signs in and queries", async () => {
    const client = await serving.client(null, serving.httpUrl);
    await expect(client.query("RETURN 1").collect()).rejects.toThrow(/Sign in first/);
    await client.signin(inDatabase(EDITOR));
    expect(await client.query("RETURN $value", { value: VALUES }).collect()).toEqual([VALUES]);
    expect(await client.create(new RecordId("thing", 2)).content({ n: 2 })).toMatchObject({ n: 2 });
    expect(await client.query("SELECT VALUE n FROM thing ORDER BY n").collect()).toEqual([[1, 2]]);
    await client.invalidate();
    await expect(client.query("RETURN 1").collect()).rejects.toThrow(/Sign in first/);
  });

  test("is told what is not served", async () => {
    const client = await serving.client(ROOT, serving.httpUrl);
    await expect(client.export()).rejects.toMatchObject({ status: 501 });
    await expect(client.import("OPTION IMPORT;")).rejects.toMatchObject({ status: 501 });
  });
});

describe("the protocol in JSON", () => {
  test.each(["json" as const, null])("is spoken with the subprotocol %s", async (protocol) => {
    const client = await serving.raw(protocol);
    expect(await client.call("ping")).toEqual({ id: 1, result: null });
    await client.call("signin", [credentials(EDITOR)]);
    expect(await client.call("use", ["nabi", null])).toEqual({ id: 3, result: { namespace: "nabi", database: null } });
    await client.call("use", [null, null]);
    await client.call("use", ["nabi", "conversations"]);
    expect(await client.call("create", ["thing", { id: 2, n: 2.5 }])).toMatchObject({
      result: { id: "thing:2", n: 2.5 },
    });
    expect(await client.call("query", ["SELECT FROM"])).toMatchObject({ error: { kind: "Validation" } });
    const { result } = await client.call("query", ["LIVE SELECT * FROM thing"]);
    const [{ result: liveId }] = result as [{ result: string }];
    await owner.query("CREATE thing:3");
    expect(await client.notification()).toMatchObject({ result: { id: liveId, action: "CREATE", record: "thing:3" } });
    expect((await client.call("kill", [liveId])).error).toBeUndefined();
    const begun = await client.call("begin");
    expect(begun).toEqual({ id: 10, result: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect((await client.call("commit", [begun.result])).error).toBeUndefined();
  });

  test("writes values as SurrealDB does", async () => {
    const client = await serving.raw("json");
    await client.call("signin", [credentials(EDITOR)]);
    const frame = new Promise<string>((resolve) => client.socket.once("message", (data) => resolve(data.toString())));
    client.send({
      id: "a",
      method: "query",
      params: [
        `RETURN [9223372036854775807, 1.5, 2dec, NONE, NULL, thing:⟨a b⟩, d'2026-01-02T03:04:05Z', 1h30m,
           u'018d3f2c-0000-7000-8000-000000000000', <bytes>"ab", (1, 2), {"k": 'v'}, "\\u0000\\""]`,
      ],
    });
    expect(await frame).toContain(
      `"result":[9223372036854775807,1.5,"2",null,null,"thing:⟨a b⟩","2026-01-02T03:04:05Z","1h30m",` +
        `"018d3f2c-0000-7000-8000-000000000000",[97,98],{"type":"Point","coordinates":[1,2]},{"k":"v"},"\\u0000\\""]`,
    );
  });
});

test("a value that JSON has no place for ends nothing", async () => {
  const client = await serving.raw("json");
  await client.call("signin", [credentials(EDITOR)]);
  await client.call("query", ["LIVE SELECT * FROM thing"]);
  for (const value of ["d'+262000-01-01T00:00:00Z'", "duration::max", "math::inf", "1..2", "/a/", "b'00'"]) {
    const reply = await client.call("query", [`CREATE thing:far SET v = ${value}; DELETE thing:far; RETURN ${value}`]);
    expect([value, reply.result !== undefined || reply.error !== undefined]).toEqual([value, true]);
  }
  await client.call("query", ["CREATE thing:near"]);
  for (;;) {
    const { result } = await client.notification();
    if ((result as { record: string }).record === "thing:near") break;
  }
});

describe("what stands beside the protocol", () => {
  test.each([
    ["GET", "/health", 200, ""],
    ["GET", "/status", 200, ""],
    ["GET", "/version", 200, /^surrealdb-3\./],
    ["GET", "/", 200, /riffd/],
    ["GET", "/rpc", 426, /WebSocket/],
    ["PUT", "/rpc", 405, /POST/],
    ["GET", "/export", 501, /riffd/],
    ["POST", "/sql", 501, /riffd/],
    ["GET", "/nothing", 404, /nothing/],
    ["DELETE", "/health", 405, /rpc/],
  ])("%s %s answers %d", async (method, path, status, body) => {
    const response = await fetch(`${serving.httpUrl}${path}`, { method });
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(body);
  });
});
