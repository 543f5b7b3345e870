// What the sync needs of the file system; implemented by source/.

/** What the file system says of a file. Nanoseconds as decimal text: numbers would lose digits. */
export interface FileFacts {
  readonly dev: string;
  readonly ino: string;
  readonly size: number;
  readonly mtime_ns: string;
  readonly ctime_ns: string;
  readonly mtimeMs: number;
}

/** A transcript that is open for reading. */
export interface OpenTranscript {
  readonly path: string;
  facts(): Promise<FileFacts>;
  /** The bytes `[from, to)`; fewer only where the file ends earlier. The buffer is the caller's. */
  read(from: number, to: number): Promise<Buffer>;
  /** The offset just past the last 0x0A in `[from, to)`, or `from` if there is none. */
  lastLineEnd(from: number, to: number): Promise<number>;
  /** May be called once. */
  close(): Promise<void>;
}

export interface Files {
  /** The facts of a file, or null if there is none. Throws RIFF_FILE_UNREADABLE. */
  findFacts(path: string): Promise<FileFacts | null>;
  /** Throws RIFF_FILE_UNREADABLE. */
  open(path: string): Promise<OpenTranscript>;
}
