// One daemon for a state folder. The lock is a folder that holds its holder's file. It is taken by renaming a prepared
// folder to its name, which the system does only while that is absent or an empty folder. What a dead holder left is
// removed by its own name, which no other holder's file ever has. So of any number of starters that find the same dead
// holder at the same moment exactly one gets the lock, and none can remove what another has just taken.
import { randomUUID } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { isAbsent } from "../absent.ts";
import { RiffError, systemCode, toError } from "../errors.ts";
import { createPrivateFolder } from "../private-folder.ts";
import { birthOf } from "./process-birth.ts";

const LOCK = "riffd.lock";

/** Who has the lock. */
export interface Holder {
  readonly pid: number;
  readonly since: Date;
}

export interface InstanceLock {
  /** Idempotent. A process that ends without it leaves a lock that counts for nothing. */
  release(): void;
}

/**
 * Takes the lock of a state folder, which is made if it is not there; never waits. Throws RIFF_DAEMON_RUNNING where
 * another process has it, or this one, and RIFF_STATE_UNWRITABLE.
 */
export function acquireLock(stateDir: string, now: () => Date = () => new Date()): InstanceLock {
  createPrivateFolder(stateDir);
  const lock = join(stateDir, LOCK);
  const mine = randomUUID();
  const prepared = join(stateDir, `${LOCK}.${process.pid}.${mine}`);
  try {
    sweep(stateDir);
    prepare(prepared, mine, now());
    while (!moveInto(prepared, lock)) {
      const holder = clear(lock);
      if (holder !== null) throw alreadyRunning(stateDir, holder);
    }
  } catch (thrown) {
    throw thrown instanceof RiffError ? thrown : unwritable(stateDir, toError(thrown));
  } finally {
    rmSync(prepared, { recursive: true, force: true });
  }
  return { release: () => release(lock, mine) };
}

/** The live process that has the lock of a state folder, or null. Changes nothing. */
export function readLock(stateDir: string): Holder | null {
  const lock = join(stateDir, LOCK);
  for (const name of entries(lock)) {
    const holder = liveHolder(join(lock, name));
    if (holder !== null) return holder;
  }
  return null;
}

function prepare(folder: string, name: string, since: Date): void {
  mkdirSync(folder, { mode: 0o700 });
  const handle = openSync(join(folder, name), "wx", 0o600);
  try {
    const { pid } = process;
    writeSync(handle, `${JSON.stringify({ pid, birth: birthOf(pid), since })}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Whether the lock was free. */
function moveInto(prepared: string, lock: string): boolean {
  try {
    renameSync(prepared, lock);
    return true;
  } catch (thrown) {
    if (["ENOTEMPTY", "EEXIST"].includes(systemCode(thrown) ?? "")) return false;
    throw thrown;
  }
}

/** Removes what dead holders left. Returns the live one. */
function clear(lock: string): Holder | null {
  for (const name of entries(lock)) {
    const file = join(lock, name);
    const holder = liveHolder(file);
    if (holder !== null) return holder;
    rmSync(file, { force: true });
  }
  return null;
}

function release(lock: string, mine: string): void {
  rmSync(join(lock, mine), { force: true });
  try {
    rmdirSync(lock);
  } catch {
    // The next holder is in it already. An empty folder that stays is as good as none.
  }
}

/** Removes what starters prepared that were killed while they did. */
function sweep(stateDir: string): void {
  for (const name of readdirSync(stateDir)) {
    const [, pid] = /^riffd\.lock\.(\d+)\./.exec(name) ?? [];
    if (pid !== undefined && birthOf(Number(pid)) === null) {
      rmSync(join(stateDir, name), { recursive: true, force: true });
    }
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (thrown) {
    if (isAbsent(thrown)) return [];
    throw thrown;
  }
}

/** null: it has ended, or the file says nothing, which only a power failure or a hand does to it. */
function liveHolder(file: string): Holder | null {
  try {
    const { pid, birth, since } = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    if (typeof pid !== "number" || typeof birth !== "string" || typeof since !== "string") return null;
    return birthOf(pid) === birth ? { pid, since: new Date(since) } : null;
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof TypeError || isAbsent(thrown)) return null;
    throw thrown;
  }
}

function alreadyRunning(stateDir: string, { pid, since }: Holder): RiffError {
  return new RiffError(
    "RIFF_DAEMON_RUNNING",
    `A daemon is running for ${stateDir}: process ${pid}, since ${since.toISOString()}.`,
    "`riffd status` tells what it does; `riffd stop` ends it.",
  );
}

function unwritable(stateDir: string, error: Error): RiffError {
  return new RiffError(
    "RIFF_STATE_UNWRITABLE",
    `Cannot take the lock in ${stateDir}: ${error.message}`,
    "Check who owns the folder and the free space of its disk, or choose another with RIFFD_STATE_DIR.",
    error,
  );
}
