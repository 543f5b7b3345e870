// The folders of demos, below the system's folder for temporary files. One that is to be removed has its process in its
// name: when that was killed before it could, the next demo does it.
import { lstatSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { birthOf } from "../control/process-birth.ts";
import { socketPath } from "../control/socket-path.ts";

const PREFIX = "riffd-demo-";
const OF_PROCESS = /^riffd-demo-(\d+)-\w+$/;

/** Makes a folder that only its owner can enter; no demo removes one that is kept. */
export function createFolder(isKept: boolean): string {
  return realpathSync(mkdtempSync(join(tmpdir(), isKept ? PREFIX : `${PREFIX}${process.pid}-`)));
}

/** Removes it, and what it has elsewhere. May be called again. */
export function removeFolder(folder: string): void {
  // Where the folder's path is too long for a socket's address, the socket has a folder of its own.
  const socket = socketPath(join(folder, "state"));
  if (!socket.startsWith(folder)) rmSync(dirname(socket), { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Removes what this user's demos have left whose processes have ended. What cannot be looked at or removed stays. */
export function removeLeftovers(): void {
  for (const name of leniently(() => readdirSync(tmpdir())) ?? []) {
    const pid = OF_PROCESS.exec(name)?.[1];
    if (pid === undefined) continue;
    const folder = join(tmpdir(), name);
    leniently(() => {
      if (isOwn(folder) && birthOf(Number(pid)) === null) removeFolder(realpathSync(folder));
    });
  }
}

/** A link is nobody's. */
function isOwn(path: string): boolean {
  const stats = lstatSync(path);
  return stats.isDirectory() && stats.uid === process.getuid?.();
}

function leniently<Result>(work: () => Result): Result | null {
  try {
    return work();
  } catch {
    return null;
  }
}
