/** Transcripts written as Claude Code writes them: appended through one open handle, in bursts with pauses between them. */
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

export interface ReplayOptions {
  /** The longest pause, in milliseconds. */
  readonly pauseMs: number;
  /** The next of a row of numbers in [0, 1). */
  random(): number;
}

/** One file that is being written, line by line; half of the lines arrive in two pieces, cut anywhere. */
export class Replay {
  readonly path: string;
  readonly #handle: number;
  readonly #strokes: readonly Buffer[];
  readonly #options: ReplayOptions;
  #written = 0;

  constructor(path: string, lines: readonly Buffer[], options: ReplayOptions) {
    this.path = path;
    this.#options = options;
    this.#strokes = lines.flatMap((line) => this.#torn(line));
    mkdirSync(dirname(path), { recursive: true });
    this.#handle = openSync(path, "a");
  }

  /** Writes on until `share` (0 to 1) of the whole is there. */
  async play(share: number): Promise<void> {
    const { random, pauseMs } = this.#options;
    const end = Math.round(this.#strokes.length * share);
    while (this.#written < end) {
      writeSync(this.#handle, this.#strokes[this.#written++]!);
      if (random() < 0.5) await pause(random() * pauseMs);
    }
  }

  /** All that is in the file. */
  bytes(): Buffer {
    return readFileSync(this.path);
  }

  close(): void {
    closeSync(this.#handle);
  }

  #torn(line: Buffer): Buffer[] {
    const { random } = this.#options;
    if (line.length < 2 || random() < 0.5) return [line];
    const cut = 1 + Math.floor(random() * (line.length - 1));
    return [line.subarray(0, cut), line.subarray(cut)];
  }
}

/** Cuts a file's bytes behind each 0x0A; the last line may have none. */
export function linesOfFile(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, from);
    const to = newline === -1 ? bytes.length : newline + 1;
    lines.push(bytes.subarray(from, to));
    from = to;
  }
  return lines;
}
