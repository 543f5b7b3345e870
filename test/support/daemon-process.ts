// Stands for the daemon in tests of the commands, in a process of its own: the real store behind the real control server,
// with the real sync and SurrealDB's protocol. It watches nothing. Arguments: the state folder, and DaemonOptions as JSON.
import type { StoreTarget } from "../../src/config/store-target.ts";
import { acquireLock } from "../../src/control/instance-lock.ts";
import type { Controlled, DaemonStatus } from "../../src/control/protocol.ts";
import { runSyncRequest } from "../../src/control/run-sync.ts";
import { ControlServer } from "../../src/control/server.ts";
import { socketPath } from "../../src/control/socket-path.ts";
import { RpcServer } from "../../src/serve/rpc-server.ts";
import { scanProjects } from "../../src/source/scan.ts";
import { localFiles } from "../../src/source/transcript-file.ts";
import { rpcPeer } from "../../src/store/engine.ts";
import { openStore } from "../../src/store/open.ts";
import type { DaemonOptions } from "./daemon.ts";
import { daemonStatus } from "./daemon-status.ts";

const [stateDir = "", options = "{}"] = process.argv.slice(2);
const { server: remote = null, lingers = false } = JSON.parse(options) as DaemonOptions;
const dir = `${stateDir}/store`;
const target: StoreTarget = remote ?? { kind: "embedded", dir };

const lock = acquireLock(stateDir);
const { store, heads, host, close } = await openStore(target, { stateDir });
const rpc = remote === null ? await RpcServer.create(rpcPeer(dir), { signin: "open" }) : null;
const { stepLimits, concurrency } = store;
const context = { store, heads, host, stepLimits, concurrency, quietMs: 5_000, now: () => new Date() };
const place = { context, files: localFiles, scan: scanProjects };
const draining = new AbortController();

async function stop(): Promise<void> {
  await rpc?.close();
  await control.close();
  await close();
  lock.release();
  process.exit(0);
}

function status(): DaemonStatus {
  const shown = daemonStatus({ pid: process.pid });
  return {
    ...shown,
    store: { ...shown.store, kind: remote === null ? "embedded" : "remote", location: store.location },
  };
}

const controlled: Controlled = {
  status: async () => status(),
  readiness: () => ({ ready: true, reasons: [] }),
  metrics: async () => ({ contentType: "text/plain", text: "" }),
  sync: (request, tell, signal) =>
    runSyncRequest(
      request,
      place,
      (message) => {
        tell(message);
        if (message.kind === "done") process.stdout.write("sync done\n");
        if (message.kind === "failed") process.stdout.write(`sync failed ${message.error.code}\n`);
      },
      AbortSignal.any([signal, draining.signal]),
    ),
  feed: null,
  onCommit: () => () => {},
  stop() {
    draining.abort();
    if (!lingers) void stop();
  },
};

const control = await ControlServer.listen(socketPath(stateDir), controlled, () => rpc);
process.stdout.write("ready\n");
