// `riffd serve` as people run it: a process of its own, a real port, SurrealDB's own client.
import { createServer } from "node:net";
import { Surreal } from "surrealdb";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { EXIT_CODES } from "../../src/errors.ts";
import { killRunning, query, type Running, riffd, startRiffd } from "../support/riffd.ts";
import { hasTerminal, riffdOnTerminal } from "../support/terminal.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

let state: string;
const clients: Surreal[] = [];

beforeEach(() => {
  state = scratchFolder();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const PASSWORD = "pass ⟨\"'`\\ wörd";

/** A running server, and where it says that it is. */
async function serve(...args: string[]): Promise<Running & { url: string }> {
  const running = startRiffd(state, ["serve", "--listen", "127.0.0.1:0", ...args], {
    env: { RIFFD_SERVE_PASS: PASSWORD },
  });
  await Promise.race([
    expect.poll(() => running.stdout(), { timeout: 30_000 }).toContain("\n"),
    running.ended.then(({ stderr }) => {
      throw new Error(`it has ended: ${stderr}`);
    }),
  ]);
  return { ...running, url: /ws:\/\/[^\s"]+/.exec(running.stdout())![0] };
}

async function client(url: string, user: Record<string, string> | null): Promise<Surreal> {
  const surreal = new Surreal({ websocketImpl: WebSocket as never });
  clients.push(surreal);
  await surreal.connect(url, { namespace: "nabi", database: "conversations", reconnect: false });
  if (user !== null) await surreal.signin(user as never);
  return surreal;
}

const inDatabase = { namespace: "nabi", database: "conversations", password: PASSWORD };

describe("riffd serve", () => {
  test("makes the user, says where it serves, and serves the store with its schema until it is stopped", async () => {
    const running = await serve("--user", "wé'ird user");
    expect(running.stdout()).toBe(
      `Serving rocksdb://${state}/store at ${running.url} (namespace nabi, database conversations)\n`,
    );
    const surreal = await client(running.url, { ...inDatabase, username: "wé'ird user" });
    const [info] = await surreal.query<[{ tables: object }]>("INFO FOR DB").collect();
    expect(Object.keys(info.tables)).toContain("session");
    await surreal.query("CREATE host:mine SET name = 'mine', first_seen = time::now()");
    const version = await fetch(running.url.replace("ws:", "http:").replace("/rpc", "/version"));
    expect(await version.text()).toMatch(/^surrealdb-3/);

    running.child.kill("SIGTERM");
    const { code, signal, stderr } = await running.ended;
    expect([code, signal]).toEqual([0, null]);
    expect(stderr).toBe("wé'ird user may sign in as editor at the level database.\nStopping …\n");
    expect(await query(state, "SELECT VALUE name FROM host:mine")).toEqual(["mine"]);
  });

  test("keeps users, changes their passwords and roles, and makes them at every level", async () => {
    const only = (...args: string[]) =>
      riffd(state, ["serve", "--no-listen", ...args], { env: { RIFFD_SERVE_PASS: "first" } });
    expect((await only("--user", "me", "--role", "owner")).code).toBe(0);
    expect((await only("--user", "ns", "--level", "namespace", "--role", "viewer")).code).toBe(0);
    expect((await only("--user", "all", "--level", "root")).code).toBe(0);
    const { url, child, ended } = await serve("--user", "me", "--role", "viewer", "--json");
    await expect(client(url, { ...inDatabase, username: "me", password: "first" })).rejects.toThrow(/authentication/);
    const me = await client(url, { ...inDatabase, username: "me" });
    await expect(me.query("DEFINE TABLE mine").collect()).rejects.toThrow(/permissions/);
    const ns = await client(url, { namespace: "nabi", username: "ns", password: "first" });
    expect(await ns.query("RETURN 1").collect()).toEqual([1]);
    const all = await client(url, { username: "all", password: "first" });
    expect(await all.query("SELECT * FROM session").collect()).toEqual([[]]);
    child.kill("SIGINT");
    expect((await ended).code).toBe(0);
  });

  test("refuses to serve a store that nobody could sign in to", async () => {
    const { code, stdout, stderr } = await riffd(state, ["serve", "--listen", "0"]);
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_SERVE_FAILED, ""]);
    expect(stderr).toMatch(/^Error: .*no users.*\nTry: .*riffd serve --user NAME/);
  });

  test("refuses to make a user without a password", async () => {
    const { code, stderr } = await riffd(state, ["serve", "--no-listen", "--user", "me"]);
    expect([code, stderr]).toEqual([EXIT_CODES.RIFF_SERVE_FAILED, expect.stringContaining("RIFFD_SERVE_PASS")]);
  });

  test("says so when the port is taken, and when another process has the store", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const env = { RIFFD_SERVE_PASS: PASSWORD };
    const refused = await riffd(state, ["serve", "--user", "me", "--listen", `127.0.0.1:${port}`], { env });
    taken.close();
    expect([refused.code, refused.stdout]).toEqual([EXIT_CODES.RIFF_SERVE_FAILED, ""]);
    expect(refused.stderr).toContain(`Cannot listen at 127.0.0.1:${port}: it is in use.`);
    const running = await serve();
    expect((await riffd(state, ["verify"])).code).toBe(EXIT_CODES.RIFF_STORE_LOCKED);
    running.child.kill("SIGTERM");
    await running.ended;
  });

  test("warns of an address that other machines can reach", async () => {
    const running = startRiffd(state, ["serve", "--listen", "0.0.0.0:0", "--user", "me"], {
      env: { RIFFD_SERVE_PASS: PASSWORD },
    });
    await expect.poll(() => running.stdout(), { timeout: 30_000 }).toContain("\n");
    running.child.kill("SIGTERM");
    expect((await running.ended).stderr).toMatch(/Warning: 0\.0\.0\.0 can be reached from other machines.*TLS/);
  });

  test.each([
    ["--listen", "nowhere"],
    ["--listen", "127.0.0.1:70000"],
    ["--listen", "0", "--user", "me", "--role", "king"],
    ["--listen", "0", "--user", "me", "--level", "world"],
    ["--listen", "0", "--user", "a⟩"],
    ["--no-listen"],
  ])("does not understand %s %s %s %s", async (...args) => {
    const { code, stderr } = await riffd(state, ["serve", ...args]);
    expect([code, stderr]).toEqual([EXIT_CODES.RIFF_USAGE, expect.stringContaining("riffd serve --help")]);
  });

  test("takes no user whose name has a control character in it", async () => {
    const { code, stderr } = await riffd(state, ["serve", "--listen", "0", "--user", "a\nb"]);
    expect([code, stderr]).toEqual([EXIT_CODES.RIFF_CONFIG_INVALID, expect.stringContaining("serve_user (--user)")]);
  });
});

test.skipIf(!hasTerminal)("asks for the password on a terminal, twice, without showing it", async () => {
  const ended = await riffdOnTerminal(
    state,
    ["serve", "--no-listen", "--user", "me"],
    [
      ["Password for me: ", "geheimX\u007f1\r"],
      ["Once more: ", "geheim1\r"],
    ],
  );
  expect(ended.output).toContain("me may sign in as editor");
  expect(ended.output).not.toContain("geheim");
  const { url, child } = await serve();
  const surreal = await client(url, { ...inDatabase, username: "me", password: "geheim1" });
  expect(await surreal.query("RETURN 1").collect()).toEqual([1]);
  child.kill("SIGTERM");
});
