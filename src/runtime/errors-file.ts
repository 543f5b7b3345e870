// The file that launchd has stderr in. It has that open for as long as the process lives, so it cannot be renamed away: it is
// copied, and emptied.
import { copyFileSync, fstatSync, ftruncateSync, statSync } from "node:fs";

/** Beyond this the file begins anew: some thousand failures to start. */
const MOST_BYTES = 1_000_000;

/**
 * Begins `path` anew where it is long and this process has it as `fd`, which need not append; what was in it is in
 * `<path>.1` then. To be called before anything is written. Never throws: better too long a file than no daemon.
 */
export function shortenErrors(path: string, fd = 2): void {
  try {
    const [mine, found] = [fstatSync(fd), statSync(path)];
    const isMine = mine.dev === found.dev && mine.ino === found.ino && mine.isFile();
    if (!isMine || mine.size <= MOST_BYTES) return;
    copyFileSync(path, `${path}.1`);
    ftruncateSync(fd);
  } catch {
    // Most machines have no such file, and a full disk takes no copy.
  }
}
