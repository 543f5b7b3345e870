// A log file that is bounded: when it is full it becomes `<file>.1`, what was that becomes `<file>.2`, and the oldest goes.
// The process does this itself, since launchd holds the files it is given open, and machines without logrotate are many.
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { isAbsent } from "../absent.ts";
import { RiffError, toError } from "../errors.ts";

/** 50 MB all together. */
const MOST_BYTES = 10_000_000;
const FILES = 5;

const NEWLINE = 0x0a;

export interface LogFileOptions {
  /** What one file holds at most, but for a line that is longer. */
  readonly mostBytes?: number;
  /** How many there are, with the one that is written to. */
  readonly files?: number;
}

export class LogFile {
  readonly #path: string;
  readonly #mostBytes: number;
  readonly #files: number;
  #fd: number;
  #size: number;
  /** Whether it ends in the middle of a line, which is not torn over two files. */
  #isTorn = false;

  private constructor(path: string, { mostBytes = MOST_BYTES, files = FILES }: LogFileOptions) {
    this.#path = path;
    this.#mostBytes = mostBytes;
    this.#files = files;
    this.#fd = openSync(path, "a", 0o600);
    this.#size = fstatSync(this.#fd).size;
  }

  /** Goes on with a file that is there. For its owner alone, and so is a folder that is made. Throws RIFF_STATE_UNWRITABLE. */
  static open(path: string, options: LogFileOptions = {}): LogFile {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      return new LogFile(path, options);
    } catch (thrown) {
      throw new RiffError(
        "RIFF_STATE_UNWRITABLE",
        `The log cannot be written to ${path}: ${toError(thrown).message}`,
        "Check who owns the folder, or choose another file with `log_file` or RIFFD_LOG_FILE.",
        thrown,
      );
    }
  }

  /** Writes as much as the disk takes, and returns how much that was. Throws as `writeSync` does. */
  write(bytes: Uint8Array): number {
    if (!this.#isTorn && this.#size > 0 && this.#size + bytes.length > this.#mostBytes) this.#rotate();
    const written = writeSync(this.#fd, bytes);
    this.#size += written;
    if (written > 0) this.#isTorn = bytes[written - 1] !== NEWLINE;
    return written;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Each file gets its new name in one step, the oldest first, so that a death on the way loses none but the oldest. */
  #rotate(): void {
    try {
      for (let age = this.#files - 1; age > 0; age--) rename(this.#nameOf(age - 1), this.#nameOf(age));
      const fresh = openSync(this.#path, "a", 0o600);
      closeSync(this.#fd);
      this.#fd = fresh;
    } catch {
      // The folder lets nothing be renamed or made: better too long a log than none. It is tried again when as much was written.
    }
    this.#size = 0;
  }

  #nameOf(age: number): string {
    return age === 0 ? this.#path : `${this.#path}.${age}`;
  }
}

/** What is not there needs no other name. */
function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (thrown) {
    if (!isAbsent(thrown)) throw thrown;
  }
}
