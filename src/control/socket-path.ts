// Where the control socket is: in the state folder, or, where that has too long a path for a socket's address, in a
// folder of this user's below the system's folder for temporary files. Daemon and commands find the same place whatever
// TMPDIR says to each of them.
import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { RiffError, toError } from "../errors.ts";

/** Bytes of an address on macOS, without the final zero; Linux has 107. */
const MAX_PATH_BYTES = 103;
const SOCKET = "riffd.sock";
const TEMPORARY = "/tmp";

/**
 * The path of the control socket of a state folder: the one that was chosen (null: none), else its own. Makes nothing.
 * Throws RIFF_STATE_UNWRITABLE where somebody else has the folder where it would be.
 */
export function socketPath(stateDir: string, chosen: string | null = null): string {
  if (chosen !== null) return chosen;
  const path = join(stateDir, SOCKET);
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path;
  const folder = join(TEMPORARY, `riffd-${process.getuid!()}-${nameOf(stateDir)}`);
  if (exists(folder)) check(folder, lstatSync(folder), 0o022);
  return join(folder, SOCKET);
}

/**
 * Makes the folder of a socket, which only this user can enter; one that was chosen must be so, and is left as it is.
 * Throws RIFF_STATE_UNWRITABLE.
 */
export function createSocketFolder(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw refused(folder, toError(thrown).message, thrown);
  }
  // Anybody may make links and folders in the folder for temporary files; the others are where their owner put them.
  const isTemporary = dirname(folder) === TEMPORARY && basename(folder).startsWith("riffd-");
  if (isTemporary) {
    check(folder, lstatSync(folder), 0o022);
    chmodSync(folder, 0o700);
  } else check(folder, statSync(folder), 0o077);
}

/** The same for every way to the folder. */
function nameOf(stateDir: string): string {
  const real = exists(stateDir) ? realpathSync(stateDir) : stateDir;
  return createHash("sha256").update(real).digest("hex").slice(0, 16);
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** It must be this user's, and others must have none of the rights `forbidden`. */
function check(folder: string, stats: Stats, forbidden: number): void {
  if (!stats.isDirectory()) throw refused(folder, "it is no folder");
  if (stats.uid !== process.getuid!()) throw refused(folder, "it belongs to another user");
  if ((stats.mode & forbidden) !== 0) throw refused(folder, "others have rights to it");
}

function refused(folder: string, why: string, cause?: unknown): RiffError {
  return new RiffError(
    "RIFF_STATE_UNWRITABLE",
    `The control socket cannot be in ${folder}: ${why}.`,
    "Remove it, or choose a state folder with a shorter path with RIFFD_STATE_DIR.",
    cause,
  );
}
