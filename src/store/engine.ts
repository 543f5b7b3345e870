// Opens the embedded engine (RocksDB in this process) behind the SurrealDB SDK.
// The engine keeps its lock until the process ends, hangs when it cannot connect, and reports why only as an event;
// this file turns that into a connection or a clear error.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DriverContext, Surreal, SurrealEngine } from "surrealdb";
import { DATABASE, NAMESPACE } from "../config/store-target.ts";
import { RiffError, toError } from "../errors.ts";
import { createPrivateFolder } from "../private-folder.ts";
import { refuseHeadless } from "./engine-files.ts";
import type { RpcPeer } from "./rpc-engine.ts";

/** How long another command's lock is waited for. */
const LOCK_WAIT_MS = 5_000;
const LOCK_RETRY_MS = 200;
const CONNECT_DEADLINE_MS = 60_000;

/**
 * Read by the native library when it loads. Without them its block cache takes half of the machine's memory; with
 * them it levels off whatever the size of the store. They win over the environment: with a cache no larger
 * than a write buffer the engine stops for ever in the middle of an import.
 */
const ENGINE_SETTINGS = {
  SURREAL_ROCKSDB_WRITE_BUFFER_SIZE: "8mib",
  SURREAL_ROCKSDB_MAX_WRITE_BUFFER_NUMBER: "2",
  SURREAL_ROCKSDB_BLOCK_CACHE_SIZE: "48mib",
};

const peers = new Map<string, RpcPeer>();

/** The RPC side of the engine that `openEngine` has opened in `dir`. */
export function rpcPeer(dir: string): RpcPeer {
  const peer = peers.get(dir);
  if (peer === undefined) throw new Error(`no engine was opened in ${dir}`);
  return peer;
}

/**
 * Opens (or creates) the store in `dir`. Waits a few seconds for another process's lock. Throws RIFF_STORE_LOCKED,
 * RIFF_STORE_IO, RIFF_STORE_DAMAGED or RIFF_STORE_UNREACHABLE. One process can open a folder once.
 */
export async function openEngine(dir: string, lockWaitMs = LOCK_WAIT_MS): Promise<Surreal> {
  if (dir.includes("?")) {
    throw new RiffError(
      "RIFF_STORE_UNREACHABLE",
      `The store's folder has a "?" in its path, which the engine cannot open: ${dir}`,
      "Choose another folder with RIFFD_STORE_DIR.",
    );
  }
  for (const [name, value] of Object.entries(ENGINE_SETTINGS)) process.env[name] = value;
  createPrivateFolder(dir);
  refuseHeadless(dir);
  const deadline = Date.now() + lockWaitMs;
  for (;;) {
    try {
      return await connect(dir);
    } catch (thrown) {
      const error = toError(thrown);
      if (!isLocked(error)) throw openFailure(dir, error);
      if (Date.now() >= deadline) throw lockedError(dir);
      await sleep(LOCK_RETRY_MS);
    }
  }
}

async function connect(dir: string): Promise<Surreal> {
  const [{ Surreal }, { RpcEngine }] = await Promise.all([import("surrealdb"), import("./rpc-engine.ts")]);
  let failed: (error: Error) => void = () => {};
  const failure = new Promise<never>((_, reject) => {
    failed = reject;
  });
  const db = new Surreal({
    engines: {
      rocksdb: (context: DriverContext) => {
        const engine = new RpcEngine(context, `rocksdb://${dir}`);
        engine.subscribe("error", (error) => failed(toError(error.cause ?? error)));
        peers.set(dir, engine);
        // The two packages declare the same class of features twice; at run time it is one.
        return engine as unknown as SurrealEngine;
      },
    },
  });
  const timeout = new AbortController();
  try {
    await Promise.race([
      db.connect("rocksdb://store"),
      failure,
      sleep(CONNECT_DEADLINE_MS, undefined, { signal: timeout.signal }).then(() => {
        throw new Error(`no answer from the engine within ${CONNECT_DEADLINE_MS / 1000} s`);
      }),
    ]);
  } finally {
    timeout.abort();
  }
  writeFileSync(ownerFile(dir), `${process.pid} ${new Date().toISOString()}\n`, { mode: 0o600 });
  await db.query("DEFINE NAMESPACE IF NOT EXISTS nabi").collect();
  await db.use({ namespace: NAMESPACE });
  await db.query("DEFINE DATABASE IF NOT EXISTS conversations").collect();
  await db.use({ namespace: NAMESPACE, database: DATABASE });
  return db;
}

function isLocked(error: Error): boolean {
  return /lock file|LOCK: |lock hold by current process/i.test(error.message);
}

export function lockedError(dir: string): RiffError {
  const owner = readOwner(dir);
  const who = owner === null ? "another process" : `process ${owner.pid} (since ${owner.since})`;
  return new RiffError(
    "RIFF_STORE_LOCKED",
    `The store ${dir} is in use by ${who}.`,
    "Wait until that command has finished, or stop it, and run this one again.",
  );
}

function readOwner(dir: string): { pid: string; since: string } | null {
  try {
    const [pid, since] = readFileSync(ownerFile(dir), "utf8").trim().split(" ");
    return pid !== undefined && since !== undefined ? { pid, since } : null;
  } catch {
    return null;
  }
}

/** Beside the store's folder, not in it: the engine owns what is inside. */
function ownerFile(dir: string): string {
  return join(dir, "..", ".store-owner");
}

function openFailure(dir: string, error: Error): RiffError {
  if (/Corruption|corrupt|checksum|bad magic|WAL/i.test(error.message)) {
    return new RiffError(
      "RIFF_STORE_DAMAGED",
      `The store ${dir} is damaged: ${error.message}`,
      "Restore it from a backup, or move the folder away and run `riffd sync --all` to read all files again.",
      error,
    );
  }
  return new RiffError(
    isDiskFull(error) ? "RIFF_DISK_FULL" : isStorageError(error) ? "RIFF_STORE_IO" : "RIFF_STORE_UNREACHABLE",
    `Cannot open the store ${dir}: ${error.message}`,
    "Check the folder's rights and the free space of its disk, and run the command again.",
    error,
  );
}

/** The disk below the embedded engine has no room left. */
export function isDiskFull(error: Error): boolean {
  return /No space left|ENOSPC|disk quota exceeded|EDQUOT/i.test(error.message);
}

/** A failure of the disk below the embedded engine, from which it does not recover in this process. */
export function isStorageError(error: Error): boolean {
  return (
    isDiskFull(error) || /IO error|Input\/output error|EIO|Read-only file system|Permission denied/i.test(error.message)
  );
}
