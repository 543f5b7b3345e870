// A copy of the embedded store to read in: opening a store writes to its files, so what must leave them as they are
// opens a copy. The engine's large files never change and are linked, not copied; the copy is gone with the process.
import {
  constants,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RiffError, systemCode, toError } from "../errors.ts";
import { lockedError } from "./engine.ts";
import { refuseHeadless } from "./engine-files.ts";

/** How long is waited for a moment in which another process writes nothing to the store. */
const QUIET_WAIT_MS = 5_000;
const QUIET_RETRY_MS = 50;

export interface StoreCopy {
  readonly dir: string;
  /** Removes it; may be called again. It is removed at the latest when the process ends. */
  remove(): void;
}

/**
 * Copies the store in `dir` as it is at one moment, also while another process has it open; what that process has been
 * told is committed is in the copy. Throws RIFF_STORE_LOCKED when it is never left alone for that long, RIFF_STORE_IO,
 * RIFF_STORE_DAMAGED.
 */
export async function copyStore(dir: string, waitMs = QUIET_WAIT_MS): Promise<StoreCopy> {
  refuseHeadless(dir);
  const place = privateFolder(dir);
  const remove = () => {
    try {
      rmSync(place, { recursive: true, force: true, maxRetries: 3 });
      process.off("exit", remove);
    } catch {
      // The engine may still write to it: it is removed when the process ends, at the latest by a copy a day later.
    }
  };
  process.on("exit", remove);
  try {
    // A folder deeper, so that what the engine is said to leave beside a store is removed with the copy.
    const copy = join(place, "store");
    const deadline = Date.now() + waitMs;
    while (!tryCopy(dir, copy)) {
      if (Date.now() >= deadline) throw lockedError(dir);
      await sleep(QUIET_RETRY_MS);
    }
    return { dir: copy, remove };
  } catch (thrown) {
    remove();
    if (thrown instanceof RiffError) throw thrown;
    throw new RiffError(
      "RIFF_STORE_IO",
      `Cannot copy the store ${dir} to read in it: ${toError(thrown).message}`,
      "Check the rights and the free space of the folder for temporary files (TMPDIR), and run the command again.",
      thrown,
    );
  }
}

const COPY_PREFIX = ".riffd-copy-";
/** A copy this old was left behind by a process that was killed. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/** A new folder that only its owner can enter: where links to the store's files are possible, if there is such a place. */
function privateFolder(dir: string): string {
  const device = statSync(dir).dev;
  const places = [tmpdir(), dirname(dir)].filter((place) => statSync(place, { throwIfNoEntry: false })?.dev === device);
  for (const place of [...places, tmpdir()]) {
    try {
      removeAbandoned(place);
      return mkdtempSync(join(place, COPY_PREFIX));
    } catch {
      // the next one
    }
  }
  throw new RiffError(
    "RIFF_STORE_IO",
    `There is no folder to copy the store ${dir} to: neither ${tmpdir()} nor the one beside it can be written.`,
    "Set TMPDIR to a folder that can be written.",
  );
}

function removeAbandoned(place: string): void {
  for (const name of readdirSync(place).filter((name) => name.startsWith(COPY_PREFIX))) {
    const folder = join(place, name);
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined || stats.uid !== process.getuid?.() || Date.now() - stats.mtimeMs < ABANDONED_MS) continue;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** False: the store was written to meanwhile, and nothing of the copy may be used. */
function tryCopy(dir: string, copy: string): boolean {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { mode: 0o700 });
  try {
    const before = stateOf(dir);
    for (const name of filesOf(dir)) takeFile(join(dir, name), join(copy, name));
    return stateOf(dir) === before;
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return false; // a file was dropped or replaced
    throw thrown;
  }
}

/** What the engine needs to open a store: not its lock, and not the log of its own doings. */
function filesOf(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "LOCK" && !entry.name.startsWith("LOG"))
    .map((entry) => entry.name)
    .sort();
}

/** Equal as long as nothing is written: the engine appends to its files, or makes new ones. */
function stateOf(dir: string): string {
  const facts = filesOf(dir).map((name) => {
    const { ino, size, mtimeNs } = statSync(join(dir, name), { bigint: true });
    return `${name} ${ino} ${size} ${mtimeNs}`;
  });
  return `${facts.join("\n")}\n${readFileSync(join(dir, "CURRENT"), "utf8")}`;
}

/** A copy shares blocks with the file if the file system can. */
function takeFile(from: string, to: string): void {
  if (!linkTable(from, to)) copyFileSync(from, to, constants.COPYFILE_FICLONE);
}

/** Tables of rows are never changed once written, so a link to them will do. */
function linkTable(from: string, to: string): boolean {
  if (!/\.(sst|blob)$/.test(from)) return false;
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") throw thrown;
    return false; // another file system, or one without links
  }
}
