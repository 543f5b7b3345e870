// The client of the control socket: against the real server, and against whatever else may be at the other end.

import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname, join, resolve } from "node:path";
import { afterAll, afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import { isDaemonRunning } from "../../src/control/probe.ts";
import type { SyncMessage } from "../../src/control/protocol.ts";
import type { ControlServer } from "../../src/control/server.ts";
import { fromWireReport, toWireReport } from "../../src/control/wire.ts";
import { RiffError } from "../../src/errors.ts";
import type { FedCommit } from "../../src/sync/feed.ts";
import type { SessionRow } from "../../src/sync/store.ts";
import type { SessionReport } from "../../src/sync/sync.ts";
import { REQUEST, STATUS, startControl as start, TestDaemon } from "../support/controlling.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const WAIT = { timeout: 60_000 };
const NOT_RUNNING = { code: "RIFF_DAEMON_NOT_RUNNING", exitCode: 27 };
const UNRESPONSIVE = { code: "RIFF_DAEMON_UNRESPONSIVE", exitCode: 28 };
const servers: { close(): unknown }[] = [];

async function startControl(...given: Parameters<typeof start>) {
  const control = await start(...given);
  servers.push(control.server);
  return { ...control, client: new ControlClient(control.path) };
}

/** A client of something that takes connections and does with them what it likes. */
async function strange(behave: (socket: Socket) => void): Promise<ControlClient> {
  const path = join(scratchFolder(), "riffd.sock");
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket.on("error", () => {}));
    behave(socket);
  });
  await once(server.listen(path), "listening");
  servers.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return new ControlClient(path, { answerMs: 300, silenceMs: 300 });
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
afterAll(removeScratch);

const SESSION = {
  session_id: "a",
  first_message_at: new Date("2025-01-01T00:00:00.123Z"),
  last_message_at: null,
  created_at: new Date("2025-01-02T00:00:00Z"),
  last_updated: new Date("2025-01-03T00:00:00Z"),
  forgotten_at: new Date("2025-01-04T00:00:00Z"),
  title: "2025-01-01T00:00:00.000Z",
} as SessionRow;

const REPORT: SessionReport = {
  sessionId: "a",
  path: "/p/-x/a.jsonl",
  status: "failed",
  before: null,
  session: SESSION,
  events: { message_added: 1, parent_repaired: 0, content_updated: 0, corruption_fixed: 0, message_removed: 0 },
  error: new RiffError("RIFF_COMMIT_FAILED", "m", "h"),
  healedRows: 0,
  durationMs: 1.5,
};

describe("a daemon that answers", () => {
  test("tells its status with all of its dates", async () => {
    const { client } = await startControl();
    expect(await client.status()).toEqual(STATUS);
  });

  test("tells whether it is ready, also when it is not", async () => {
    const { client, daemon } = await startControl();
    expect(await client.readiness()).toEqual({ ready: true, reasons: [] });
    daemon.ready = { ready: false, reasons: ["opening the store"] };
    expect(await client.readiness()).toEqual(daemon.ready);
  });

  test("is told to stop", async () => {
    const { client, daemon } = await startControl();
    await client.stop();
    expect(daemon.stops).toBe(1);
  });

  test("refuses with its own code and hint", async () => {
    const { client, daemon } = await startControl();
    daemon.status = () => Promise.reject(new RiffError("RIFF_STORE_UNREACHABLE", "away", "wait"));
    await expect(client.status()).rejects.toMatchObject({
      code: "RIFF_STORE_UNREACHABLE",
      message: "away",
      hint: "wait",
    });
    daemon.status = () => Promise.reject(new TypeError("a bug"));
    const bug = await client.status().catch((thrown: unknown) => thrown);
    expect(bug).not.toBeInstanceOf(RiffError);
    expect(bug).toMatchObject({ message: expect.stringContaining("TypeError: a bug") });
  });

  test("tells a sync as it goes, with reports as they were", async () => {
    const { client, daemon } = await startControl({ heartbeatMs: 5 });
    let isPlanned = false;
    const messages: SyncMessage[] = [
      { kind: "planned", targets: [{ path: "/p/a", session_id: "a", archived: 7 }] },
      { kind: "wrote", session_id: "a", messages: 1, records: 2, bytes: 3 },
      { kind: "report", report: toWireReport(REPORT) },
      { kind: "done" },
    ];
    daemon.syncing = async (tell) => {
      tell(messages[0]!);
      await expect.poll(() => isPlanned, WAIT).toBe(true);
      for (const message of messages.slice(1)) tell(message);
    };
    const told: SyncMessage[] = [];
    await client.sync(REQUEST, (message) => {
      told.push(message);
      isPlanned = true;
    });
    expect(told).toEqual(messages);
    expect(daemon.requests).toEqual([REQUEST]);
    const report = told.flatMap((message) => (message.kind === "report" ? [fromWireReport(message.report)] : []));
    expect(report).toEqual([REPORT]);
    expect(report[0]?.error).toMatchObject({ code: "RIFF_COMMIT_FAILED", hint: "h" });
    expect(report[0]?.session?.first_message_at).toEqual(SESSION.first_message_at);
  });

  test("tells what a sync failed with, and refuses one that it does not know", async () => {
    const { client, daemon } = await startControl();
    daemon.syncing = async (tell) =>
      tell({ kind: "failed", error: { code: "RIFF_DISK_FULL", message: "m", hint: "h" } });
    await expect(client.sync(REQUEST, () => {})).rejects.toMatchObject({ code: "RIFF_DISK_FULL", hint: "h" });
    await expect(client.sync({ ...REQUEST, operator: "" }, () => {})).rejects.toMatchObject({ code: "RIFF_USAGE" });
    const large = { ...REQUEST, operator: "x".repeat(20_000_000) };
    await expect(client.sync(large, () => {})).rejects.toMatchObject({ code: "RIFF_USAGE" });
  });

  test("begins nothing new when a sync is interrupted", async () => {
    const { client, daemon } = await startControl();
    daemon.syncing = async (tell, signal) => {
      tell({ kind: "planned", targets: [] });
      await once(signal, "abort");
    };
    const interrupt = new AbortController();
    await expect(client.sync(REQUEST, () => interrupt.abort(), interrupt.signal)).rejects.toMatchObject({
      code: "RIFF_INTERRUPTED",
    });
    await expect.poll(() => daemon.signals.map(({ aborted }) => aborted), WAIT).toEqual([true]);
    await expect(client.sync(REQUEST, () => {}, AbortSignal.abort())).rejects.toMatchObject({
      code: "RIFF_INTERRUPTED",
    });
    expect(daemon.requests).toHaveLength(1);
  });
});

describe("no daemon", () => {
  test("is told from one that does not answer, whatever is at the socket's place", async () => {
    const folder = scratchFolder();
    const stale = join(folder, "stale");
    const { server } = await start({}, () => null, new TestDaemon(), stale);
    await server.close();
    writeFileSync(join(folder, "file"), "");
    for (const name of ["stale", "file", "none", "no/folder"]) {
      const path = join(folder, name);
      const client = new ControlClient(path);
      await expect(client.status()).rejects.toMatchObject(NOT_RUNNING);
      await expect(client.stop()).rejects.toMatchObject(NOT_RUNNING);
      await expect(client.sync(REQUEST, () => {})).rejects.toMatchObject(NOT_RUNNING);
      await expect(client.follow({ cursor: "1" }).next()).rejects.toMatchObject(NOT_RUNNING);
      expect(await isDaemonRunning(path)).toBe(false);
    }
  });

  test("is found out by a probe that leaves a running one in peace", async () => {
    const { path, client } = await startControl();
    expect(await Promise.all(Array.from({ length: 300 }, () => isDaemonRunning(path)))).toEqual(Array(300).fill(true));
    expect(await client.status()).toEqual(STATUS);
  });

  test("is asked for without the libraries of the server and the engine", () => {
    const loaded = new Set<string>();
    const load = (file: string) => {
      if (loaded.has(file)) return;
      loaded.add(file);
      for (const [, from] of readFileSync(file, "utf8").matchAll(
        /^(?:import|export) (?!type )[^;]*?from "([^"]+)";/gm,
      )) {
        if (from!.startsWith(".")) load(resolve(dirname(file), from!));
        else loaded.add(from!);
      }
    };
    const libraries = (entry: string) => {
      loaded.clear();
      load(resolve("src/control", entry));
      return [...loaded].filter((name) => !name.startsWith("/")).sort();
    };
    expect(libraries("probe.ts")).toEqual(["node:fs", "node:net"]);
    expect(libraries("client.ts")).toEqual(["eventsource-parser", "node:fs", "node:http", "node:timers/promises"]);
    expect(libraries("server.ts")).toContain("hono");
  });
});

describe("a daemon that does not answer as it should", () => {
  const head = (type: string, more = "") =>
    `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${more}Transfer-Encoding: chunked\r\n\r\n`;
  const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

  test.each<[string, (socket: Socket) => void]>([
    ["says nothing", () => {}],
    ["hangs up", (socket) => socket.destroy()],
    ["speaks another language", (socket) => socket.end("SSH-2.0-OpenSSH\r\n")],
    ["answers with what is no JSON", (socket) => socket.end(head("text/html") + chunk("<html>") + chunk(""))],
    ["answers with half of it", (socket) => socket.write(head("application/json") + chunk('{"version":'))],
    ["breaks off", (socket) => socket.end(head("application/json") + chunk('{"version":'))],
    [
      "tells a time that is none",
      (socket) => socket.end(head("application/json") + chunk('{"started_at":"x"}') + chunk("")),
    ],
    ["answers with a number", (socket) => socket.end(head("application/json") + chunk("1") + chunk(""))],
    ["fails without a word", (socket) => socket.end("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")],
  ])("which %s is unresponsive, and waited for only so long", async (_, behave) => {
    const client = await strange((socket) => socket.once("data", () => behave(socket)));
    await expect(client.status()).rejects.toMatchObject(UNRESPONSIVE);
    await expect(client.stop()).rejects.toMatchObject(UNRESPONSIVE);
    await expect(client.sync(REQUEST, () => {})).rejects.toMatchObject(UNRESPONSIVE);
    await expect(client.follow().next()).rejects.toMatchObject(UNRESPONSIVE);
  });

  test("which breaks off in the middle of a sync is, after what it told", async () => {
    for (const end of ["", chunk("")]) {
      const client = await strange((socket) =>
        socket.once("data", () =>
          socket.end(head("x") + chunk('{"kind":"planned",') + chunk('"targets":[]}\n{"ki') + end),
        ),
      );
      const told: SyncMessage[] = [];
      await expect(client.sync(REQUEST, (message) => told.push(message))).rejects.toMatchObject(UNRESPONSIVE);
      expect(told).toEqual([{ kind: "planned", targets: [] }]);
    }
  });

  test("which goes away in the middle of the commits is told so in words", async () => {
    const client = await strange((socket) =>
      socket.once("data", () => {
        socket.write(head("text/event-stream") + chunk("event: position\nid: 0\ndata:\n\n"));
        setImmediate(() => socket.destroy());
      }),
    );
    const interrupt = new AbortController();
    const away = await new Promise<RiffError>((resolve) => {
      void client.follow({ away: resolve }, interrupt.signal).next();
    });
    interrupt.abort();
    expect(away.message).toBe("The daemon does not answer as it should: it broke off.");
  });
});

describe("following", () => {
  test("gives the commits as they were, each once, for as long as it is wanted", async () => {
    const { client, daemon } = await startControl();
    const interrupt = new AbortController();
    daemon.commit("before");
    const commits = client.follow({}, interrupt.signal);
    const first = commits.next();
    await expect.poll(() => daemon.feed!.reads, WAIT).toBeGreaterThan(0);
    const commit = daemon.commit("a");
    expect(await first).toEqual({ done: false, value: commit });
    expectTypeOf(commit.time).toEqualTypeOf<Date>();
    const next = commits.next();
    interrupt.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test("takes what comes behind a cursor, of a session, and ends where its reader does", async () => {
    const { client, daemon } = await startControl();
    for (const id of ["a", "b", "a", "b", "a"]) daemon.commit(id);
    const taken: string[] = [];
    for await (const { cursor } of client.follow({ cursor: "1", session: "a" })) {
      taken.push(cursor);
      if (cursor === "5") break;
    }
    expect(taken).toEqual(["3", "5"]);
    await expect(client.follow({ cursor: "none" }).next()).rejects.toMatchObject({ code: "RIFF_USAGE" });
  });

  test("goes on where it was when the daemon comes back, and tells that it was away", async () => {
    const { path, daemon, client, server } = await startControl();
    const told: string[] = [];
    const interrupt = new AbortController();
    const taken: FedCommit[] = [];
    const options = { away: ({ code }: RiffError) => told.push(code), back: () => told.push("back") };
    const following = (async () => {
      for await (const commit of client.follow(options, interrupt.signal)) taken.push(commit);
    })();
    await expect.poll(() => daemon.feed!.reads, WAIT).toBeGreaterThan(0);
    let running: ControlServer = server;
    for (let round = 0; round < 3; round++) {
      // The first time nothing was told to it yet but where it began.
      if (round > 0) daemon.commit("while it runs");
      await expect.poll(() => taken, WAIT).toEqual(daemon.feed!.commits);
      await running.close();
      await expect.poll(() => told.length, WAIT).toBe(2 * round + 1);
      for (let n = 0; n < 300; n++) daemon.commit("while it is away");
      ({ server: running } = await start({}, () => null, daemon, path));
      servers.push(running);
      await expect.poll(() => taken.length, WAIT).toBe(daemon.feed!.commits.length);
      await expect.poll(() => told.length, WAIT).toBe(2 * round + 2);
    }
    expect(taken).toEqual(daemon.feed!.commits);
    expect(told.filter((_, at) => at % 2 === 1)).toEqual(["back", "back", "back"]);
    interrupt.abort();
    await following;
  });

  test("ends at once when it is no longer wanted while the daemon is away", async () => {
    const { client, daemon, server } = await startControl();
    const interrupt = new AbortController();
    const isAway = new Promise<void>((away) => {
      void client
        .follow({ away: () => away() }, interrupt.signal)
        .next()
        .then(() => ended());
    });
    let ended: () => void = () => {};
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    await expect.poll(() => daemon.feed!.reads, WAIT).toBeGreaterThan(0);
    await server.close();
    await isAway;
    interrupt.abort();
    await end;
  });

  test("gives up a stream on which nothing comes, and comes back", async () => {
    let connections = 0;
    const client = await strange((socket) => {
      connections++;
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\nevent: position\ndata: {}\n\n");
      });
    });
    const interrupt = new AbortController();
    const next = client.follow({}, interrupt.signal).next();
    await expect.poll(() => connections, WAIT).toBeGreaterThan(2);
    interrupt.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
