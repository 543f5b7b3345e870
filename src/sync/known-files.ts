// The files that the store has checkpoints of, as this process last saw them: what the gates go by until a job reads them
// again. And those that are not read to their end, for whose sake no verdict of their project is final.
import type { SourceRow } from "./store.ts";

export class KnownFiles {
  readonly #sources = new Map<string, SourceRow>();
  readonly #unread = new Map<string, string>();
  readonly #onProjectRead: () => void;

  /** `onProjectRead` is called when the last file of some project was read. */
  constructor(onProjectRead: () => void) {
    this.#onProjectRead = onProjectRead;
  }

  get all(): IterableIterator<SourceRow> {
    return this.#sources.values();
  }

  /** Files that are there. */
  get count(): number {
    let count = 0;
    for (const { gone } of this.#sources.values()) if (!gone) count++;
    return count;
  }

  find(path: string): SourceRow | undefined {
    return this.#sources.get(path);
  }

  put(source: SourceRow): void {
    this.#sources.set(source.path, source);
    if (source.complete) this.isRead(source.path);
    else this.isUnread(source.path, source.project);
  }

  /** The file has another place now. */
  remove(path: string): void {
    this.#sources.delete(path);
    this.isRead(path);
  }

  /** What is in the file is not all in the store. */
  isUnread(path: string, project: string): void {
    this.#unread.set(path, project);
  }

  /** All of it is, or none of it is to be. */
  isRead(path: string): void {
    const project = this.#unread.get(path);
    if (project === undefined) return;
    this.#unread.delete(path);
    for (const other of this.#unread.values()) if (other === project) return;
    this.#onProjectRead();
  }

  /** Projects with a file that is not read to its end. */
  get unreadProjects(): Set<string> {
    return new Set(this.#unread.values());
  }
}
