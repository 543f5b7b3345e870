// The control socket: what it answers, what it refuses, and what clients of any kind cannot do to it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { ROUTES } from "../../src/control/protocol.ts";
import type { ControlServer } from "../../src/control/server.ts";
import { RiffError } from "../../src/errors.ts";
import {
  ask,
  converse,
  open as openStream,
  REQUEST,
  STATUS,
  startControl as start,
  TestDaemon,
} from "../support/controlling.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const PATIENT = { timeout: 30_000, interval: 10 };
const open: ControlServer[] = [];

async function startControl(...given: Parameters<typeof start>) {
  const control = await start(...given);
  open.push(control.server);
  return control;
}

afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});
afterAll(removeScratch);

const USAGE = (text: string) => ({
  code: "RIFF_USAGE",
  message: expect.stringContaining(text),
  hint: expect.any(String),
});
const post = (body: string | Buffer, headers = {}) => ({ method: "POST", body, headers });

describe("what is asked", () => {
  test("liveness, status and metrics are answered", async () => {
    const { path } = await startControl();
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
    const status = await ask(path, ROUTES.status);
    expect(status.status).toBe(200);
    expect(status.headers["content-type"]).toMatch(/^application\/json/);
    expect(status.text).toBe(JSON.stringify(STATUS));
    expect(JSON.parse(status.text)).toMatchObject({ started_at: "2026-01-02T03:04:05.678Z" });
    const metrics = await ask(path, ROUTES.metrics);
    expect(metrics).toMatchObject({ status: 200, text: "riffd_up 1\n" });
    expect(metrics.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  test("readiness is 200 or 503, and says why", async () => {
    const { path, daemon } = await startControl();
    expect(await ask(path, ROUTES.ready)).toMatchObject({ status: 200, text: '{"ready":true,"reasons":[]}' });
    daemon.ready = { ready: false, reasons: ["catching up"] };
    expect(await ask(path, ROUTES.ready)).toMatchObject({ status: 503, text: JSON.stringify(daemon.ready) });
  });

  test("a request to stop is answered at once", async () => {
    const { path, daemon } = await startControl();
    expect(await ask(path, ROUTES.stop, { method: "POST" })).toMatchObject({ status: 202 });
    expect(daemon.stops).toBe(1);
  });

  test("what is not there, and what is not asked for so, is refused with what is right", async () => {
    const { path, daemon } = await startControl();
    const missing = await ask(path, "/v1/nothing");
    expect([missing.status, JSON.parse(missing.text)]).toEqual([404, { error: USAGE("/v1/nothing") }]);
    for (const [route, method, allowed] of [
      [ROUTES.status, "POST", "GET"],
      [ROUTES.status, "DELETE", "GET"],
      [ROUTES.commits, "PUT", "GET"],
      [ROUTES.live, "POST", "GET"],
      [ROUTES.stop, "GET", "POST"],
      [ROUTES.sync, "GET", "POST"],
    ] as const) {
      const { status, headers, text } = await ask(path, route, { method });
      expect([status, headers.allow, JSON.parse(text)]).toEqual([405, allowed, { error: USAGE(method) }]);
    }
    expect(daemon.stops).toBe(0);
    expect(await ask(path, ROUTES.status, { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    expect(await ask(path, ROUTES.commits, { method: "HEAD" })).toMatchObject({ status: 405, text: "" });
    expect(daemon.feed!.reads).toBe(0);
  });

  test("whatever comes from a web page is refused", async () => {
    const { path, daemon } = await startControl();
    const headers = { Origin: "http://localhost:3000" };
    for (const [route, method] of [
      [ROUTES.status, "GET"],
      [ROUTES.stop, "POST"],
      [ROUTES.rpc, "POST"],
      ["/v1/nothing", "GET"],
    ] as const) {
      const { status, text } = await ask(path, route, { method, headers });
      expect([status, JSON.parse(text)]).toEqual([403, { error: USAGE("Web pages") }]);
    }
    expect(daemon.stops).toBe(0);
  });

  test("a failure of the daemon is told as what it is, and ends nothing", async () => {
    const { path, daemon } = await startControl();
    daemon.status = () => Promise.reject(new RiffError("RIFF_STORE_UNREACHABLE", "away", "wait"));
    const away = await ask(path, ROUTES.status);
    expect([away.status, JSON.parse(away.text)]).toEqual([
      503,
      { error: { code: "RIFF_STORE_UNREACHABLE", message: "away", hint: "wait" } },
    ]);
    daemon.status = () => Promise.reject(new TypeError("a bug"));
    const bug = await ask(path, ROUTES.status);
    expect([bug.status, JSON.parse(bug.text)]).toEqual([
      500,
      { error: { code: null, message: expect.stringContaining("TypeError: a bug\n    at "), hint: null } },
    ]);
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
  });

  test("without a store, /rpc and upgrades say so; upgrades anywhere else are refused", async () => {
    const { path } = await startControl();
    const { status, text } = await ask(path, ROUTES.rpc, post("{}"));
    expect([status, JSON.parse(text)]).toEqual([
      503,
      { error: expect.objectContaining({ code: "RIFF_STORE_UNREACHABLE" }) },
    ]);
    const upgrade = (target: string, more = "") =>
      converse(path, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n${more}\r\n`)
        .said;
    expect(await upgrade("/rpc")).toMatch(/^HTTP\/1.1 503 /);
    expect(await upgrade("/rpc", "Origin: http://x\r\n")).toMatch(/^HTTP\/1.1 403 /);
    expect(await upgrade(ROUTES.status)).toMatch(/^HTTP\/1.1 404 /);
  });
});

describe("a request to sync", () => {
  test("is checked field by field, and all that is wrong is told", async () => {
    const { path, daemon } = await startControl();
    const problems = async (body: unknown) => {
      const { status, text } = await ask(
        path,
        ROUTES.sync,
        post(typeof body === "string" ? body : JSON.stringify(body)),
      );
      expect(status).toBe(400);
      return (JSON.parse(text) as { error: { message: string } }).error.message;
    };
    expect(await problems("{")).toContain("it is no JSON");
    expect(await problems("")).toContain("it is no JSON");
    for (const body of ["null", "[]", "1"]) expect(await problems(body)).toContain("it is no object");
    const all = await problems({});
    for (const field of Object.keys(REQUEST)) expect(all).toContain(`${field} is missing`);
    for (const [field, value, problem] of [
      ["roots", "/p", "roots is no list of texts"],
      ["roots", ["p"], "roots has a path that is not absolute"],
      ["include", [1], "include is no list of texts"],
      ["exclude", [""], "exclude is no list of texts"],
      ["outside", ["a\0b"], "outside is no list of texts"],
      ["outside", null, "outside is no list of texts"],
      ["only", ["../x"], "only has a path that is not absolute"],
      ["only", undefined, "only is missing"],
      ["force", 1, "force is not true or false"],
      ["force_sessions", {}, "force_sessions is no list of texts"],
      ["operator", "", "operator is no text"],
    ] as const) {
      expect(await problems({ ...REQUEST, [field]: value })).toContain(problem);
    }
    expect(await problems({ ...REQUEST, roots: 1, force: 1 })).toMatch(/roots is no list of texts; force is not/);
    expect(daemon.requests).toEqual([]);
    const { status } = await ask(path, ROUTES.sync, post(JSON.stringify({ ...REQUEST, only: ["/p/x"], newer: 1 })));
    expect([status, daemon.requests]).toEqual([200, [{ ...REQUEST, only: ["/p/x"] }]]);
  });

  test("may be a megabyte, however it is sent, and no larger", async () => {
    const { path, daemon } = await startControl();
    const body = (bytes: number) => {
      const empty = JSON.stringify({ ...REQUEST, operator: "" });
      return JSON.stringify({ ...REQUEST, operator: "x".repeat(bytes - empty.length) });
    };
    const most = 16 * 1024 * 1024;
    for (const headers of [{}, { "Transfer-Encoding": "chunked" }]) {
      expect(await ask(path, ROUTES.sync, post(body(most), headers))).toMatchObject({ status: 200 });
      const { status, text } = await ask(path, ROUTES.sync, post(body(most + 1), headers));
      expect([status, JSON.parse(text)]).toEqual([413, { error: USAGE("16 MiB") }]);
    }
    expect(daemon.requests).toHaveLength(2);
  });

  test("a body without an end is cut off, and nothing of it is kept", async () => {
    const { path, daemon } = await startControl();
    const { socket, said } = converse(
      path,
      `POST ${ROUTES.sync} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    let isClosed = false;
    void said.then(() => {
      isClosed = true;
    });
    while (!isClosed) {
      if (!socket.write(chunk)) await Promise.race([once(socket, "drain").catch(() => said), said]);
    }
    expect(await said).toMatch(/^HTTP\/1.1 413 /);
    expect(daemon.requests).toEqual([]);
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
  });

  test.each([
    ["headers that do not end", "GET /v1/live HTTP/1.1\r\nHost: x\r\nX-Slow: "],
    ["a body that does not come", `POST ${ROUTES.sync} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"roots":`],
  ])("%s are waited for only so long", async (_, words) => {
    const { path } = await startControl({ requestMs: 400, headersMs: 200 });
    expect(await converse(path, words).said).toMatch(/^(HTTP\/1.1 408 |$)/);
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
  });

  test("what is no HTTP is answered or cut, and harms nobody", async () => {
    const { path } = await startControl();
    for (const words of [
      "\0\0\0\0\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "GET /v1/live HTTP/1.1\r\n\r\n",
      "x".repeat(100_000),
    ]) {
      expect(await converse(path, words).said).toMatch(/^(HTTP\/1.1 4\d\d |$)/);
    }
    const bad = converse(path, "GET //[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(await bad.said).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
  });
});

describe("the socket", () => {
  test("is closed to others from the moment it appears, and answers from then on", async () => {
    for (let round = 0; round < 5; round++) {
      const path = join(scratchFolder(), "state", "riffd.sock");
      const script = `
        const { lstatSync } = require("node:fs");
        process.stdout.write("looking\\n");
        for (;;) {
          const found = lstatSync(process.argv[1], { throwIfNoEntry: false });
          if (found === undefined) continue;
          const socket = require("node:net").connect(process.argv[1]);
          socket.on("connect", () => { console.log((found.mode & 0o7777).toString(8), "connected"); process.exit(); });
          socket.on("error", (error) => { console.log((found.mode & 0o7777).toString(8), error.code); process.exit(); });
          break;
        }`;
      const watcher = spawn(process.execPath, ["-e", script, path], { stdio: ["ignore", "pipe", "inherit"] });
      let told = "";
      watcher.stdout.on("data", (piece: Buffer) => {
        told += piece.toString();
      });
      await once(watcher.stdout, "data");
      const umask = process.umask(0);
      try {
        await startControl({}, () => null, new TestDaemon(), path);
        expect(process.umask()).toBe(0);
      } finally {
        process.umask(umask);
      }
      await once(watcher, "close");
      expect(told).toBe("looking\n600 connected\n");
      expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
    }
  });

  test.skipIf(process.getuid?.() !== 0)("lets no other user connect, be its folder open or not", async () => {
    const { path } = await startControl();
    const reach = async () => {
      const script = `require("node:net").connect(process.argv[1]).on("connect", () => { console.log("connected"); process.exit(); })
        .on("error", (error) => console.log(error.code))`;
      const options = { uid: 65_534, gid: 65_534, cwd: "/" };
      return (await promisify(execFile)(process.execPath, ["-e", script, path], options)).stdout.trim();
    };
    expect(await reach()).toBe("EACCES");
    chmodSync(join(path, ".."), 0o755);
    expect(await reach()).toBe("EACCES");
    chmodSync(path, 0o666);
    expect(await reach()).toBe("connected");
  });

  test("takes the place of a dead one", async () => {
    const path = join(scratchFolder(), "riffd.sock");
    const script = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    await once(spawn(process.execPath, ["-e", script, path]), "close");
    expect(lstatSync(path).isSocket()).toBe(true);
    await startControl({}, () => null, new TestDaemon(), path);
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
  });

  test.each(["riffd.sock", "riffd.soc~"])("never takes the place of what is no socket (%s)", async (name) => {
    const folder = scratchFolder();
    writeFileSync(join(folder, name), "precious");
    const refused = startControl({}, () => null, new TestDaemon(), join(folder, "riffd.sock"));
    await expect(refused).rejects.toMatchObject({
      code: "RIFF_STATE_UNWRITABLE",
      message: expect.stringContaining(`${join(folder, name)} is there, and is no socket`),
    });
    expect(readFileSync(join(folder, name), "utf8")).toBe("precious");
  });

  test("where it cannot be, that is said", async () => {
    const folder = join(scratchFolder(), "x".repeat(100));
    mkdirSync(folder);
    const daemon = new TestDaemon();
    await expect(startControl({}, () => null, daemon, join(folder, "riffd.sock"))).rejects.toMatchObject({
      code: "RIFF_STATE_UNWRITABLE",
    });
    expect(daemon.listeners.size).toBe(0);
  });

  test("is gone after closing, which may be done twice; that of another is left alone", async () => {
    const { path, server, daemon } = await startControl();
    await Promise.all([server.close(), server.close()]);
    await server.close();
    expect(existsSync(path)).toBe(false);
    expect(daemon.listeners.size).toBe(0);
    const other = createServer().listen(path);
    const first = await start({}, () => null, daemon, join(path, "..", "second.sock"));
    await once(other.close(), "close");
    const second = await start({}, () => null, daemon, first.path);
    await first.server.close();
    expect(await ask(second.path, ROUTES.live)).toMatchObject({ status: 200 });
    await second.server.close();
    expect(existsSync(second.path)).toBe(false);
  });
});

describe("the socket's name", () => {
  async function watched() {
    const told: string[] = [];
    const events = { restored: () => told.push("restored"), lost: (error: Error) => told.push(error.message) };
    const control = await startControl({ nameMs: 20 }, undefined, undefined, undefined, events);
    return { ...control, told };
  }

  test("that was removed is taken again, with its rights; who is connected stays so", async () => {
    const { path, daemon, told } = await watched();
    const following = await openStream(path, ROUTES.commits);
    const pieces = following.setEncoding("utf8")[Symbol.asyncIterator]();
    await pieces.next(); // its position
    rmSync(path);
    await vi.waitFor(async () => expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 }), PATIENT);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    daemon.commit("s");
    expect((await pieces.next()).value).toContain("event: commit");
    following.destroy();
    expect(told).toEqual(["restored"]);
  });

  test("that a dead one's socket has is taken again, and so is one whose folder was removed", async () => {
    const { path, told } = await watched();
    const dead = join(scratchFolder(), "dead.sock");
    const server = createServer().listen(dead);
    await once(server, "listening");
    renameSync(dead, path);
    server.close();
    await vi.waitFor(() => expect(told).toEqual(["restored"]), PATIENT);
    rmSync(dirname(path), { recursive: true });
    await vi.waitFor(() => expect(told).toEqual(["restored", "restored"]), PATIENT);
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  });

  test("that somebody has who listens is left alone; that is told once, and the name taken when it is free", async () => {
    const { path, told } = await watched();
    const other = join(scratchFolder(), "other.sock");
    let asked = 0;
    const server = createServer(() => asked++).listen(other);
    await once(server, "listening");
    renameSync(other, path);
    await vi.waitFor(() => expect(asked).toBeGreaterThan(3), PATIENT);
    expect(told).toEqual([`Another process listens at ${path}.`]);
    server.close();
    await vi.waitFor(() => expect(told).toHaveLength(2), PATIENT);
    expect(told[1]).toBe("restored");
  });
});

describe("closing", () => {
  test("lets a request in work end", async () => {
    const { path, daemon, server } = await startControl();
    let answer: () => void = () => {};
    let isAsked: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    daemon.status = () => {
      isAsked();
      return new Promise((resolve) => {
        answer = () => resolve(STATUS);
      });
    };
    const status = ask(path, ROUTES.status, { headers: { Connection: "keep-alive" } });
    await asked;
    const closed = server.close();
    answer();
    expect(await status).toMatchObject({ status: 200 });
    await closed;
  });

  test("does not wait for ever for one that does not end, nor for half a request or an idle connection", async () => {
    const { path, daemon, server } = await startControl({ drainMs: 100 });
    daemon.status = () => new Promise(() => {});
    const stuck = converse(path, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
    const half = converse(path, "GET /v1/sta");
    const idle = converse(path, "GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n");
    const silent = converse(path, "");
    await expect.poll(idle.soFar, { timeout: 30_000 }).toMatch(/^HTTP\/1.1 200 /);
    await server.close();
    for (const { said } of [stuck, half, silent]) expect(await said).toBe("");
    await idle.said;
  });
});
