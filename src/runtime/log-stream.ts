// Where log lines go: a descriptor, written at once, so that the last lines before an exit are there. A reader that is slow
// holds nobody up and one that has gone ends nothing: lines are kept for it, up to a bound, then counted.
import { writeSync } from "node:fs";
import { systemCode } from "../errors.ts";

/** What is kept for a slow reader. */
const MOST_BYTES = 1024 * 1024;
const RETRY_MS = 50;
/** How long the end of the process waits for a slow reader to take the last lines. */
const PATIENCE_MS = 1_000;

export interface LogStreamOptions {
  /** Called when there is somebody again who could be told that so many lines were lost. */
  onLost(count: number): void;
  /** Writes what it can of it, and returns how much; throws as `writeSync` does. */
  readonly write?: (fd: number, bytes: Uint8Array) => number;
}

export class LogStream {
  readonly #fd: number;
  readonly #onLost: (count: number) => void;
  readonly #write: (fd: number, bytes: Uint8Array) => number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  /** Whether the last thing written is the beginning of a line that was lost. */
  #isTorn = false;
  #isGone = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(fd: number, { onLost, write = writeSync }: LogStreamOptions) {
    this.#fd = fd;
    this.#onLost = onLost;
    this.#write = write;
  }

  /** Takes one whole line. Never throws. */
  write(line: string): void {
    if (this.#isGone) return;
    const bytes = Buffer.from(this.#isTorn && this.#waiting.length === 0 ? `\n${line}` : line);
    if (this.#waitingBytes + bytes.length > MOST_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    // While a reader is slow its timer looks after it.
    if (this.#timer === null) this.#flush();
  }

  #flush(): void {
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        const written = this.#write(this.#fd, next);
        this.#waitingBytes -= written;
        this.#isTorn = written < next.length;
        if (this.#isTorn) this.#waiting[0] = next.subarray(written);
        else this.#waiting.shift();
      }
    } catch (thrown) {
      this.#failed(systemCode(thrown));
      return;
    }
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.#onLost(lost);
  }

  #failed(code: string | undefined): void {
    if (code === "EAGAIN") {
      if (this.#timer === null) this.#retryLater();
      return;
    }
    this.#lost += this.#waiting.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
    // A full disk may have space again; a reader that has gone does not come back.
    this.#isGone = code === "EPIPE" || code === "EBADF" || code === "EIO";
  }

  #retryLater(): void {
    const retry = () => {
      process.off("exit", atExit);
      this.#timer = null;
      this.#flush();
    };
    const atExit = () => this.#flushPatiently();
    process.on("exit", atExit);
    this.#timer = setTimeout(retry, RETRY_MS).unref();
  }

  /** Holds up the process, which has nothing else to do any more. */
  #flushPatiently(): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let waited = 0; waited < PATIENCE_MS && this.#waiting.length > 0; waited += 5) {
      Atomics.wait(pause, 0, 0, 5);
      this.#flush();
    }
  }
}
