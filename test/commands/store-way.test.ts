// How a command finds the way to its store, with real daemons' sockets and without.
import { mkdirSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Choice, reached, type Way, wayTo } from "../../src/commands/store-way.ts";
import { NAMESPACE, type RemoteTarget } from "../../src/config/store-target.ts";
import type { DaemonStatus } from "../../src/control/protocol.ts";
import { ControlServer } from "../../src/control/server.ts";
import { socketPath } from "../../src/control/socket-path.ts";
import { RiffError } from "../../src/errors.ts";
import { daemonStatus } from "../support/daemon-status.ts";
import { killRunning, startNode } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

let stateDir: string;
let dir: string;
const servers: ControlServer[] = [];

beforeEach(() => {
  stateDir = scratchFolder();
  dir = join(stateDir, "store");
  mkdirSync(dir);
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const SERVER: RemoteTarget = {
  kind: "remote",
  url: "wss://db.example.org/",
  credentials: { username: "ada", password: "secret" },
  level: null,
  namespace: NAMESPACE,
  database: "conversations",
};
const SERVER_LOCATION = "wss://db.example.org (nabi/conversations)";

/** A control server that says it works on this store. */
async function daemonOn(kind: DaemonStatus["store"]["kind"], location: string): Promise<ControlServer> {
  const { store } = daemonStatus();
  const server = await ControlServer.listen(
    socketPath(stateDir),
    {
      status: async () => daemonStatus({ store: { ...store, kind, location } }),
      readiness: () => ({ ready: true, reasons: [] }),
      metrics: async () => ({ contentType: "text/plain", text: "" }),
      sync: async () => {},
      feed: null,
      onCommit: () => () => {},
      stop: () => {},
    },
    () => null,
  );
  servers.push(server);
  return server;
}

const embedded = (isNamed = false): Choice => ({
  socket: socketPath(stateDir),
  target: { kind: "embedded", dir },
  isNamed,
});
const remote = (): Choice => ({ socket: socketPath(stateDir), target: SERVER, isNamed: false });

describe("the way to a store", () => {
  test("is itself where no daemon runs, also where a dead one has left its socket", async () => {
    expect(await wayTo(embedded())).toEqual({ target: { kind: "embedded", dir }, daemon: null });
    const path = socketPath(stateDir);
    const dead = startNode(
      ["-e", `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("ready"))`],
      stateDir,
    );
    await dead.told(/ready/);
    dead.child.kill("SIGKILL");
    await dead.ended;
    expect(await wayTo(embedded())).toEqual({ target: { kind: "embedded", dir }, daemon: null });
  });

  test("is the socket of the daemon that has it, whatever links lead there", async () => {
    await daemonOn("embedded", `rocksdb://${dir}`);
    const target = { kind: "daemon", socket: socketPath(stateDir), dir };
    expect(await wayTo(embedded())).toMatchObject({ target, daemon: expect.anything() });
    const link = join(scratchFolder(), "link");
    symlinkSync(dir, link);
    const linked: Choice = { socket: socketPath(stateDir), target: { kind: "embedded", dir: link }, isNamed: true };
    expect((await wayTo(linked)).target).toEqual({ ...target, dir: link });
  });

  test("is itself where the daemon has another one", async () => {
    await daemonOn("embedded", "rocksdb:///elsewhere");
    expect(await wayTo(embedded())).toEqual({ target: { kind: "embedded", dir }, daemon: null });
  });

  test("is refused where the daemon's is a server's and nobody named the embedded one", async () => {
    await daemonOn("remote", SERVER_LOCATION);
    await expect(wayTo(embedded())).rejects.toMatchObject({
      code: "RIFF_STORE_UNREACHABLE",
      message: expect.stringContaining(SERVER_LOCATION),
      hint: expect.stringContaining("--surrealdb-url"),
    });
    expect(await wayTo(embedded(true))).toEqual({ target: { kind: "embedded", dir }, daemon: null });
  });

  test("is the server's own where one is named, with the daemon if that works on it too", async () => {
    await daemonOn("remote", SERVER_LOCATION);
    expect(await wayTo(remote())).toMatchObject({ target: SERVER, daemon: expect.anything() });
    const other = { ...SERVER, database: "other" };
    expect(await wayTo({ ...remote(), target: other })).toEqual({ target: other, daemon: null });
  });
});

describe("a store that is opened", () => {
  const locked = new RiffError("RIFF_STORE_LOCKED", "locked", "wait");
  const gone = new RiffError("RIFF_STORE_UNREACHABLE", "gone", "start it");

  test("is reached by way of a daemon that came while its lock was waited for", async () => {
    const tried: string[] = [];
    const open = async ({ target }: Way) => {
      tried.push(target.kind);
      if (target.kind === "daemon") return "opened";
      await daemonOn("embedded", `rocksdb://${dir}`);
      throw locked;
    };
    expect(await reached(embedded(), open)).toBe("opened");
    expect(tried).toEqual(["embedded", "daemon"]);
  });

  test("is reached itself where the daemon has gone, once that has let go of it", async () => {
    const server = await daemonOn("embedded", `rocksdb://${dir}`);
    const tried: string[] = [];
    const open = async ({ target }: Way) => {
      tried.push(target.kind);
      if (target.kind === "daemon") {
        await server.close();
        throw gone;
      }
      if (tried.length === 2) throw locked;
      return "opened";
    };
    expect(await reached(embedded(), open)).toBe("opened");
    expect(tried).toEqual(["daemon", "embedded", "embedded"]);
  });

  test("is given up where the daemon is there and does not let anybody in", async () => {
    await daemonOn("embedded", `rocksdb://${dir}`);
    await expect(
      reached(embedded(), async () => {
        throw gone;
      }),
    ).rejects.toBe(gone);
  });
});

test("a daemon that takes connections and says nothing is told as unresponsive", async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(socketPath(stateDir), resolve));
  await expect(wayTo(embedded())).rejects.toMatchObject({ code: "RIFF_DAEMON_UNRESPONSIVE" });
  silent.close();
});
