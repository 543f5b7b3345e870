// One transcript on disk: its facts, and its bytes by range.
import { type FileHandle, open, stat } from "node:fs/promises";
import { isAbsent } from "../absent.ts";
import { RiffError, toError } from "../errors.ts";
import type { FileFacts, Files, OpenTranscript } from "../sync/files.ts";

async function findFacts(path: string): Promise<FileFacts | null> {
  try {
    return factsOf(await stat(path, { bigint: true }));
  } catch (thrown) {
    if (isAbsent(thrown)) return null;
    throw unreadable(path, thrown);
  }
}

function factsOf(stats: { dev: bigint; ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }): FileFacts {
  return {
    dev: String(stats.dev),
    ino: String(stats.ino),
    size: Number(stats.size),
    mtime_ns: String(stats.mtimeNs),
    ctime_ns: String(stats.ctimeNs),
    mtimeMs: Number(stats.mtimeNs / 1_000_000n),
  };
}

/** The files of this machine. */
export const localFiles: Files = { findFacts, open: (path) => TranscriptFile.open(path) };

class TranscriptFile implements OpenTranscript {
  readonly path: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  static async open(path: string): Promise<TranscriptFile> {
    try {
      return new TranscriptFile(path, await open(path, "r"));
    } catch (thrown) {
      throw unreadable(path, thrown);
    }
  }

  async facts(): Promise<FileFacts> {
    return factsOf(await this.#handle.stat({ bigint: true }));
  }

  async read(from: number, to: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(Math.max(0, to - from));
    let filled = 0;
    try {
      while (filled < buffer.length) {
        const { bytesRead } = await this.#handle.read(buffer, filled, buffer.length - filled, from + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
    } catch (thrown) {
      throw unreadable(this.path, thrown);
    }
    return filled === buffer.length ? buffer : buffer.subarray(0, filled);
  }

  async lastLineEnd(from: number, to: number): Promise<number> {
    const block = 64 * 1024;
    for (let end = to; end > from; end -= block) {
      const start = Math.max(from, end - block);
      const at = (await this.read(start, end)).lastIndexOf(0x0a);
      if (at >= 0) return start + at + 1;
    }
    return from;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function unreadable(path: string, thrown: unknown): RiffError {
  return new RiffError(
    "RIFF_FILE_UNREADABLE",
    `Cannot read ${path}: ${toError(thrown).message}`,
    "Check the file's owner and rights.",
    thrown,
  );
}
