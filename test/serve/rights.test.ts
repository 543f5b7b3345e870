// The security boundary: a session of the embedded engine is the owner of everything until somebody signs in, so no
// client may ever be in one that nobody has signed in to.
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import type { Surreal } from "surrealdb";
import { Uuid } from "surrealdb";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { RpcServer } from "../../src/serve/rpc-server.ts";
import type { RpcPeer } from "../../src/store/rpc-engine.ts";
import {
  codec,
  credentials,
  EDITOR,
  inDatabase,
  OWNER,
  openServedEngine,
  RawClient,
  ROOT,
  Serving,
  VIEWER,
} from "../support/serving.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

let owner: Surreal;
let peer: RpcPeer;
let serving: Serving;

beforeAll(async () => {
  ({ owner, peer } = await openServedEngine());
  await owner
    .query("DEFINE USER brief ON DATABASE PASSWORD 'b' ROLES EDITOR DURATION FOR TOKEN 1s, FOR SESSION 1s")
    .collect();
  serving = await Serving.start(peer);
});

afterEach(async () => {
  await owner.query("DELETE thing WHERE id != thing:1").collect();
});

afterAll(async () => {
  await serving.close();
  await removeScratch();
});

const NOT_SIGNED_IN = expect.objectContaining({ error: expect.objectContaining({ code: -32002, kind: "NotAllowed" }) });
const SERVES_WITHOUT_RIGHTS = [
  "ping",
  "health",
  "version",
  "sessions",
  "use",
  "let",
  "set",
  "unset",
  "attach",
  "detach",
];

/** Everything that the protocol has, with parameters that would work for an owner. */
const CALLS: [method: string, params: unknown[]][] = [
  ["query", ["CREATE thing:2"]],
  ["query", ["INFO FOR ROOT"]],
  ["query", ["RETURN 1"]],
  ["info", []],
  ["live", ["thing"]],
  ["kill", [Uuid.v4()]],
  ["select", ["thing"]],
  ["insert", ["thing", { n: 2 }]],
  ["insert_relation", ["thing", { n: 2 }]],
  ["create", ["thing", { n: 2 }]],
  ["upsert", ["thing", { n: 2 }]],
  ["update", ["thing", { n: 2 }]],
  ["merge", ["thing", { n: 2 }]],
  ["patch", ["thing", []]],
  ["delete", ["thing"]],
  ["relate", ["thing:1", "thing", "thing:1"]],
  ["run", ["time::now"]],
  ["begin", []],
  ["commit", [Uuid.v4()]],
  ["cancel", [Uuid.v4()]],
  ["revoke", [{ access: "a", refresh: "b" }]],
];

/** Nothing works, and nothing has changed. */
async function expectNoRights(client: RawClient, more: Record<string, unknown> = {}): Promise<void> {
  for (const [method, params] of CALLS) {
    expect([method, await client.call(method, params, more)]).toEqual([method, NOT_SIGNED_IN]);
  }
  const [things] = await owner.query<[unknown[]]>("SELECT VALUE n FROM thing").collect();
  expect(things).toEqual([1]);
}

async function signIn(client: RawClient, user: Parameters<typeof credentials>[0], more = {}): Promise<string> {
  const reply = await client.call("signin", [credentials(user)], more);
  expect(reply).toEqual({ id: expect.anything(), ...more, result: expect.any(String) });
  return reply.result as string;
}

async function mayRead(client: RawClient, more: Record<string, unknown> = {}): Promise<boolean> {
  const { result, error } = await client.call("query", ["SELECT VALUE n FROM thing:1"], more);
  if (error) return false;
  expect(result).toEqual([expect.objectContaining({ status: "OK", result: [1] })]);
  return true;
}

describe("before signin", () => {
  test("nothing is allowed but what has no rights", async () => {
    await expectNoRights(await serving.raw());
    await expectNoRights(await serving.raw("json"));
  });

  test("no method is let through that is not meant to be", async () => {
    const client = await serving.raw();
    // All that SurrealDB 3 has, and some that it has not.
    const methods = new Set([...CALLS.map(([method]) => method), ...SERVES_WITHOUT_RIGHTS]);
    for (const method of ["graphql", "import_ml", "export_ml", "unknown", "QUERY", "query ", "", "constructor"]) {
      expect(methods.has(method)).toBe(false);
      expect((await client.call(method, ["RETURN 1"])).error).toMatchObject({ code: -32601, kind: "NotFound" });
    }
  });

  test("a chosen namespace and database give no rights, and are not made", async () => {
    const client = await serving.raw();
    expect((await client.call("use", ["elsewhere", "nowhere"])).result).toEqual({
      namespace: "elsewhere",
      database: "nowhere",
    });
    await expectNoRights(client);
    await client.call("use", ["nabi", "conversations"]);
    await expectNoRights(client);
    const [info] = await owner.query<[{ namespaces: object }]>("INFO FOR ROOT").collect();
    expect(Object.keys(info.namespaces)).not.toContain("elsewhere");
  });

  test("variables give no rights", async () => {
    const client = await serving.raw();
    for (const name of ["auth", "token", "session", "access", "x"]) await client.call("let", [name, { id: 1 }]);
    await expectNoRights(client);
  });

  test("an attached session has no more rights than the first", async () => {
    const client = await serving.raw();
    const session = Uuid.v4();
    expect((await client.call("attach", [], { session })).error).toBeUndefined();
    await expectNoRights(client, { session });
    await signIn(client, VIEWER);
    await expectNoRights(client, { session });
    await client.call("detach", [], { session });
    expect((await client.call("query", ["RETURN 1"], { session })).error?.message).toContain("Session not found");
    await client.call("attach", [], { session });
    await expectNoRights(client, { session });
  });

  test.each([
    ["a wrong password", "signin", [credentials({ username: "owner", password: "x" })]],
    ["an unknown user", "signin", [credentials({ username: "nobody", password: "o" })]],
    ["another level", "signin", [{ user: "owner", pass: "o" }]],
    ["another database", "signin", [{ user: "owner", pass: "o", ns: "nabi", db: "other" }]],
    ["no credentials", "signin", [{}]],
    ["nothing", "signin", []],
    ["numbers", "signin", [{ user: 1, pass: 2 }]],
    ["an access method that is not there", "signin", [{ ac: "a", ns: "nabi", db: "conversations", key: "k" }]],
    ["an access method that is not there, to sign up", "signup", [{ ac: "a", ns: "nabi", db: "conversations" }]],
    ["no token", "authenticate", []],
    ["a token that is none", "authenticate", ["a.b.c"]],
    [
      "a token without a signature",
      "authenticate",
      ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJOUyI6Im5hYmkiLCJEQiI6ImNvbnZlcnNhdGlvbnMiLCJJRCI6Im93bmVyIn0."],
    ],
    ["a refresh token that is none", "refresh", [{ access: "a", refresh: "b" }]],
  ])("%s opens nothing", async (_, method, params) => {
    const client = await serving.raw();
    await client.call("use", ["nabi", "conversations"]);
    expect((await client.call(method, params)).error).toBeDefined();
    await expectNoRights(client);
  });

  test("the engine's own session, and those of other connections, cannot be named", async () => {
    const [other, client] = [await serving.raw(), await serving.raw()];
    const session = Uuid.v4();
    await other.call("attach", [], { session });
    await signIn(other, OWNER, { session });
    expect((await client.call("query", ["RETURN 1"], { session })).error?.message).toContain("Session not found");
    expect((await client.call("sessions")).result).toEqual([]);
    expect((await other.call("sessions")).result).toEqual([session]);
    const engineSessions = codec.decode(await peer.execute(codec.encode({ method: "sessions" }))) as Uuid[];
    expect(engineSessions.length).toBeGreaterThan(0);
    for (const engineSession of engineSessions) {
      expect((await client.call("query", ["RETURN 1"], { session: engineSession })).error?.kind).toBe("NotFound");
    }
    // The same uuid on two connections is two sessions.
    expect((await client.call("attach", [], { session })).error).toBeUndefined();
    await expectNoRights(client, { session });
    await client.call("detach", [], { session });
    expect(await mayRead(other, { session })).toBe(true);
  });
});

describe("after signin", () => {
  test("a viewer reads, and cannot write, define, see users of other levels, or make others", async () => {
    const client = await serving.client(inDatabase(VIEWER));
    expect(await client.query("SELECT VALUE n FROM thing").collect()).toEqual([[1]]);
    expect(await client.query("CREATE thing:2").collect()).toEqual([[]]);
    expect(await client.query("UPDATE thing:1 SET n = 2").collect()).toEqual([[]]);
    expect(await client.query("DELETE thing").collect()).toEqual([[]]);
    for (const text of [
      "DEFINE TABLE mine",
      "REMOVE TABLE thing",
      "DEFINE USER me ON DATABASE PASSWORD 'x' ROLES OWNER",
      "INFO FOR ROOT",
      "INFO FOR NS",
      "USE NS main DB main; INFO FOR DB",
    ]) {
      const responses = await client.query(text).responses();
      expect([text, responses.at(-1)?.success]).toEqual([text, false]);
    }
    expect((await owner.query("SELECT VALUE n FROM thing").collect())[0]).toEqual([1]);
  });

  test("an editor writes, and cannot make users", async () => {
    const client = await serving.client(inDatabase(EDITOR));
    expect(await client.query("CREATE thing:2 SET n = 2 RETURN VALUE n").collect()).toEqual([[2]]);
    await expect(client.query("DEFINE USER me ON DATABASE PASSWORD 'x' ROLES OWNER").collect()).rejects.toThrow(
      /Not enough permissions/,
    );
    await expect(client.query("INFO FOR ROOT").collect()).rejects.toThrow(/Not enough permissions/);
  });

  test("owners of the database and of everything have what is theirs", async () => {
    const [ofDatabase, ofAll] = [await serving.client(inDatabase(OWNER)), await serving.client(ROOT)];
    await ofDatabase.query("DEFINE USER other ON DATABASE PASSWORD 'x' ROLES VIEWER; REMOVE USER other ON DATABASE");
    await expect(ofDatabase.query("INFO FOR ROOT").collect()).rejects.toThrow(/Not enough permissions/);
    const [info] = await ofAll.query<[{ users: object }]>("INFO FOR ROOT").collect();
    expect(Object.keys(info.users)).toEqual(["root"]);
  });

  test("another namespace and database give no rights there", async () => {
    const client = await serving.raw();
    await signIn(client, OWNER);
    await client.call("use", ["main", "main"]);
    const { result } = await client.call("query", ["DEFINE TABLE t; INFO FOR DB"]);
    expect(result).toEqual([expect.objectContaining({ status: "ERR" }), expect.objectContaining({ status: "ERR" })]);
  });

  test.each(["invalidate", "reset"])("%s takes all rights away", async (method) => {
    const client = await serving.raw();
    await signIn(client, OWNER);
    expect(await mayRead(client)).toBe(true);
    expect((await client.call(method)).error).toBeUndefined();
    await expectNoRights(client);
    await client.call("use", ["nabi", "conversations"]);
    await expectNoRights(client);
    await signIn(client, VIEWER);
    expect(await mayRead(client)).toBe(true);
    expect((await client.call("query", ["CREATE thing:2"])).result).toMatchObject([{ result: [] }]);
  });

  test.each([
    ["signin", [credentials({ username: "viewer", password: "x" })]],
    ["signin", [{ user: 1 }]],
    ["signup", [{ ac: "a", ns: "nabi", db: "conversations" }]],
    ["authenticate", ["a.b.c"]],
    ["refresh", [{ access: "a", refresh: "b" }]],
    ["refresh", []],
  ])("a refused %s takes all rights away", async (method, params) => {
    const client = await serving.raw();
    await signIn(client, OWNER);
    expect((await client.call(method, params)).error).toBeDefined();
    await expectNoRights(client);
  });

  test("a session that has expired has no rights, whatever is done to it", async () => {
    const client = await serving.raw();
    const token = await signIn(client, { username: "brief", password: "b" });
    await expect.poll(() => mayRead(client), { timeout: 20_000 }).toBe(false);
    const { error } = await client.call("query", ["CREATE thing:2"]);
    expect(error).toMatchObject({ message: "The session has expired" });
    for (const method of ["create", "insert", "upsert"]) {
      expect((await client.call(method, ["thing", {}])).error).toBeDefined();
    }
    expect((await client.call("authenticate", [token])).error).toBeDefined();
    await expectNoRights(client);
    await client.call("reset");
    await expectNoRights(client);
    await signIn(client, VIEWER);
    expect(await mayRead(client)).toBe(true);
  });

  test("a token gives the rights of its user, and no others", async () => {
    const [first, second] = [await serving.raw(), await serving.raw()];
    const token = await signIn(first, VIEWER);
    expect((await second.call("authenticate", [token])).error).toBeUndefined();
    expect(await mayRead(second)).toBe(true);
    expect((await second.call("query", ["CREATE thing:2"])).result).toMatchObject([{ result: [] }]);
  });

  test("signing in as somebody else leaves nothing of the former rights", async () => {
    const client = await serving.raw();
    await signIn(client, OWNER);
    await signIn(client, VIEWER);
    expect((await client.call("query", ["CREATE thing:2"])).result).toMatchObject([{ result: [] }]);
    const { result } = await client.call("query", ["DEFINE TABLE mine"]);
    expect(result).toMatchObject([{ status: "ERR" }]);
  });

  test("requests that were sent before the rights end are done before, those after are not", async () => {
    const client = await serving.raw();
    await signIn(client, VIEWER);
    // None waits for an answer. Were a write to reach the engine after the session is nobody's, it would be the owner's.
    const rounds = 30;
    for (let i = 0; i < rounds; i++) {
      client.send({ id: i, method: "query", params: ["CREATE thing"] });
      client.send({ id: i, method: i % 2 === 0 ? "invalidate" : "reset" });
      client.send({ id: i, method: "query", params: ["CREATE thing"] });
      client.send({ id: i, method: "signin", params: [credentials(VIEWER)] });
      client.send({ id: i, method: "query", params: ["CREATE thing"] });
    }
    for (let i = 0; i < rounds * 5; i++) await client.next();
    const [things] = await owner.query<[unknown[]]>("SELECT VALUE n FROM thing").collect();
    expect(things).toEqual([1]);
  });

  test("a transaction belongs to the session that began it", async () => {
    const [mine, other] = [await serving.raw(), await serving.raw()];
    await signIn(mine, EDITOR);
    await signIn(other, OWNER);
    const txn = (await mine.call("begin")).result;
    await mine.call("query", ["CREATE thing:2"], { txn });
    for (const reply of [
      await other.call("query", ["SELECT * FROM thing"], { txn }),
      await other.call("commit", [txn]),
      await other.call("cancel", [txn]),
    ]) {
      expect(reply.error?.message).toBe("Transaction not found");
    }
    await mine.call("reset");
    await signIn(mine, EDITOR);
    expect((await mine.call("commit", [txn])).error?.message).toBe("Transaction not found");
    expect((await owner.query("SELECT VALUE n FROM thing").collect())[0]).toEqual([1]);
  });
});

describe("over HTTP", () => {
  async function post(method: string, params: unknown[], headers: Record<string, string> = {}) {
    const response = await fetch(`${serving.httpUrl}/rpc`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Surreal-NS": "nabi", "Surreal-DB": "conversations", ...headers },
      body: JSON.stringify({ id: 1, method, params }),
    });
    return { status: response.status, body: await response.text() };
  }

  const basic = (user: string, pass: string) => `Basic ${Buffer.from(`${user}:${pass}`).toString("base64")}`;

  test("nothing is allowed without credentials, also after a request with them", async () => {
    for (const [method, params] of CALLS) {
      const { body } = await post(method, params);
      expect([method, JSON.parse(body)]).toEqual([method, NOT_SIGNED_IN]);
    }
    expect(JSON.parse((await post("signin", [credentials(OWNER)])).body)).toEqual({
      id: 1,
      result: expect.any(String),
    });
    expect(JSON.parse((await post("query", ["CREATE thing:2"])).body)).toEqual(NOT_SIGNED_IN);
  });

  test("wrong credentials are refused", async () => {
    const database = { "Surreal-Auth-NS": "nabi", "Surreal-Auth-DB": "conversations" };
    for (const headers of [
      { Authorization: basic("owner", "x"), ...database },
      { Authorization: basic("owner", "o") },
      { Authorization: "Bearer a.b.c" },
      { Authorization: "Bearer" },
      { Authorization: "Basic" },
    ]) {
      expect((await post("query", ["CREATE thing:2"], headers)).status).toBe(401);
    }
    expect((await owner.query("SELECT VALUE n FROM thing").collect())[0]).toEqual([1]);
  });

  test("a user has the rights that are the user's", async () => {
    const { body } = await post("query", ["CREATE thing:2; SELECT VALUE n FROM thing"], {
      Authorization: basic("viewer", "v"),
      "Surreal-Auth-NS": "nabi",
      "Surreal-Auth-DB": "conversations",
    });
    expect(JSON.parse(body).result).toMatchObject([{ result: [] }, { result: [1] }]);
    const root = await post("query", ["CREATE thing:2 SET n = 2 RETURN VALUE n"], {
      Authorization: basic("root", "r"),
    });
    expect(JSON.parse(root.body).result).toMatchObject([{ result: [2] }]);
  });
});

test("on a socket that only the owner can reach, whoever connects may be the owner, and stays it", async () => {
  const open = await RpcServer.create(peer, { signin: "open" });
  const path = join(scratchFolder(), "socket");
  const http = createServer((request, response) => open.request(request, response));
  http.on("upgrade", (request, stream, head) => open.upgrade(request, stream, head));
  await new Promise<void>((resolve) => http.listen(path, resolve));
  const client = new RawClient(new WebSocket(`ws+unix:${path}:/rpc`, "cbor"));
  try {
    await once(client.socket, "open");
    for (const end of ["invalidate", "reset"]) {
      await client.call("use", ["nabi", "conversations"]);
      const { result } = await client.call("query", ["INFO FOR ROOT; SELECT VALUE n FROM thing"]);
      expect(result).toMatchObject([{ status: "OK" }, { result: [1] }]);
      await client.call(end);
    }
  } finally {
    client.socket.close();
    await open.close();
    http.close();
  }
});

test("sessions of the engine end with what they were for", async () => {
  const engineSessions = async () =>
    (codec.decode(await peer.execute(codec.encode({ method: "sessions" }))) as Uuid[]).length;
  const alone = await RpcServer.create(peer, { signin: "required" });
  await alone.close();
  await serving.close();
  expect(await engineSessions()).toBe(0);
  serving = await Serving.start(peer);
  const client = await serving.raw();
  await client.call("signin", [credentials({ username: "owner", password: "x" })]);
  expect(await engineSessions()).toBe(0);
  await signIn(client, OWNER);
  expect(await engineSessions()).toBe(1);
  client.socket.terminate();
  await expect.poll(engineSessions).toBe(0);
});
