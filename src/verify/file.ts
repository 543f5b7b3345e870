// A transcript on disk against the archive: the bytes that were archived stand at its beginning, unless it has changed
// since the last sync.
import { toError } from "../errors.ts";
import type { FileFacts, Files, OpenTranscript } from "../sync/files.ts";
import { Difference } from "../sync/proof/difference.ts";
import type { SessionRow, SourceRow, Tombstone } from "../sync/store.ts";

export class FileProof {
  readonly #file: OpenTranscript;
  readonly #source: SourceRow;
  readonly #size: number;
  /** The file system says that nothing was written since the last sync. */
  readonly #isUntouched: boolean;
  readonly #notes: string[];
  #firstDifference = -1;
  #failed = false;

  private constructor(file: OpenTranscript, facts: FileFacts, source: SourceRow, notes: string[]) {
    this.#file = file;
    this.#size = facts.size;
    this.#source = source;
    const { dev, ino, size, mtime_ns, ctime_ns } = source;
    this.#isUntouched =
      dev === facts.dev &&
      ino === facts.ino &&
      size === facts.size &&
      mtime_ns === facts.mtime_ns &&
      ctime_ns === facts.ctime_ns;
    this.#notes = notes;
  }

  /** null where there is no file to compare with; `notes` are told why, if that is news. */
  static async open(
    { files, host }: { readonly files: Files; readonly host: string },
    source: SourceRow,
    session: SessionRow,
    notes: string[],
  ): Promise<FileProof | null> {
    if (source.host !== host || session.forgotten_at !== null) return null;
    try {
      if ((await files.findFacts(source.path)) === null) {
        if (session.state === "live") notes.push(`its file is gone since the last sync: ${source.path}`);
        return null;
      }
      const file = await files.open(source.path);
      try {
        return new FileProof(file, await file.facts(), source, notes);
      } catch (thrown) {
        await file.close();
        throw thrown;
      }
    } catch (thrown) {
      notes.push(`its file was not compared: ${toError(thrown).message}`);
      return null;
    }
  }

  /** Compares archived bytes with the file's at the same offset, but for what was forgotten of them. */
  async compare(archived: Buffer, offset: number, forgotten: readonly Tombstone[]): Promise<void> {
    if (this.#firstDifference >= 0 || this.#failed) return;
    let bytes: Buffer;
    try {
      bytes = await this.#file.read(offset, offset + archived.length);
    } catch (thrown) {
      this.#failed = true;
      this.#notes.push(`its file was not compared from offset ${offset} on: ${toError(thrown).message}`);
      return;
    }
    for (const tombstone of forgotten) {
      const from = Math.max(0, tombstone.offset - offset);
      const to = Math.min(bytes.length, tombstone.offset + tombstone.length - offset);
      if (from < to) archived.copy(bytes, from, from, to);
    }
    if (bytes.equals(archived)) return;
    let at = 0;
    while (at < bytes.length && bytes[at] === archived[at]) at++;
    this.#firstDifference = offset + at;
  }

  /** Says what was found: throws a Difference for an untouched file, and notes what has changed in another. */
  tell(): void {
    const { path, archived, size, verified_size } = this.#source;
    if (this.#firstDifference >= 0) {
      const where = `other bytes than the archive from offset ${this.#firstDifference} on`;
      if (!this.#isUntouched) {
        this.#notes.push(`its file has changed since the last sync (${where}); \`riffd sync\` reads it`);
      } else if (verified_size < archived) {
        this.#notes.push(
          `its file has ${where}: it was rewritten before it grew, which a later sync finds; \`riffd sync --force\` reads it now`,
        );
      } else {
        throw new Difference(
          `the file ${path} has ${where}, though nothing says that it was written since the last sync; \`riffd sync --force\` reads it again`,
        );
      }
    } else if (!this.#isUntouched && this.#size > Math.max(archived, size)) {
      this.#notes.push(`its file has ${this.#size - size} bytes more than at the last sync; \`riffd sync\` reads them`);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
