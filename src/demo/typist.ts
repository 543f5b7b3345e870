// Writes a transcript as Claude does: each line appended through one handle that stays open. And what others do to it.
import { mkdirSync } from "node:fs";
import { type FileHandle, open, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sha256Hex } from "../core/hash.ts";

export class Typist {
  readonly path: string;
  readonly #lines: readonly string[];
  readonly #pauseMs: number;
  readonly #signal: AbortSignal;
  readonly #sha256s: string[] = [];
  #file: FileHandle | null = null;
  #rest = "";
  #next = 0;

  /** Between two lines there is a pause. */
  constructor(path: string, lines: readonly string[], pauseMs: number, signal: AbortSignal) {
    this.path = path;
    this.#lines = lines;
    this.#pauseMs = pauseMs;
    this.#signal = signal;
  }

  /** Of the file before each time that it was rewritten or deleted. */
  get sha256s(): readonly string[] {
    return this.#sha256s;
  }

  /** Writes on, up to and with the line of this number; without it, all. Each is of the moment it is written. */
  async type(last = this.#lines.length): Promise<void> {
    for (; this.#next < last; this.#next++) {
      if (this.#pauseMs > 0) await sleep(this.#pauseMs, undefined, { signal: this.#signal });
      await this.#append(`${this.#line()}\n`);
    }
  }

  /** Writes the first half of the next line. Returns how many bytes that is. */
  async tear(): Promise<number> {
    const line = this.#line();
    const half = line.slice(0, line.length / 2);
    this.#rest = `${line.slice(half.length)}\n`;
    this.#next++;
    await this.#append(half);
    return Buffer.byteLength(half);
  }

  /** Writes the rest of a line that was torn. */
  async complete(): Promise<void> {
    await this.#append(this.#rest);
  }

  /** Gives the message with this parent another one, as tools do: with a new file under the same name. */
  async replaceParent(from: string, to: string): Promise<void> {
    const text = (await this.#leave()).toString();
    const edited = `${this.path}.edited`;
    await writeFile(edited, text.replace(`"parentUuid":"${from}"`, `"parentUuid":"${to}"`));
    await rename(edited, this.path);
  }

  async delete(): Promise<void> {
    await this.#leave();
    await unlink(this.path);
  }

  async size(): Promise<number> {
    return (await stat(this.path)).size;
  }

  /** Claude has ended. May be called again. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  /** What it leaves behind. */
  async #leave(): Promise<Buffer> {
    await this.close();
    const bytes = await readFile(this.path);
    this.#sha256s.push(sha256Hex(bytes));
    return bytes;
  }

  /** The next line, of this moment. Its length stays. */
  #line(): string {
    const now = new Date().toISOString();
    return this.#lines[this.#next]!.replaceAll(/(?<="timestamp":")\d{4}-\d\d-\d\dT[\d:.]{12}Z(?=")/g, now);
  }

  async #append(text: string): Promise<void> {
    if (this.#file === null) {
      mkdirSync(dirname(this.path), { recursive: true });
      this.#file = await open(this.path, "a");
    }
    await this.#file.appendFile(text);
  }
}
