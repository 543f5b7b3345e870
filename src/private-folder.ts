// Folders that only their owner can enter: the state folder, the store's, and the control socket's.
import { chmodSync, existsSync, mkdirSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { RiffError, toError } from "./errors.ts";

const EVERYBODYS = [tmpdir(), "/tmp", "/var/tmp", "/dev/shm"].filter(existsSync).map((dir) => realpathSync(dir));

/**
 * Makes a folder that only its owner can enter, and its parents; an existing one is closed to others. Throws
 * RIFF_STATE_UNWRITABLE, also for the system's folders for everybody's temporary files, which it leaves as they are.
 */
export function createPrivateFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (EVERYBODYS.includes(realpathSync(dir))) throw new Error("it is for all users");
    chmodSync(dir, 0o700);
  } catch (thrown) {
    throw new RiffError(
      "RIFF_STATE_UNWRITABLE",
      `Cannot create the folder ${dir}: ${toError(thrown).message}`,
      "Check who owns it, or choose another with RIFFD_STATE_DIR or RIFFD_STORE_DIR.",
      thrown,
    );
  }
}
