// Transcripts looked at by stat, where the system does not tell of their changes: those that changed lately in each hot
// round, all of them in slower rounds.
import { discover, isBelow } from "./discover.ts";
import type { ProjectFilter } from "./project-filter.ts";
import { localFiles } from "./transcript-file.ts";

export interface PolledFilesOptions {
  readonly wanted: ProjectFilter;
  /** A file is hot for this long after it has changed. */
  readonly hotForMs: number;
  /** No more are hot at a time: those that changed last. */
  readonly maxHot: number;
  /** Told of a transcript that has appeared, changed or vanished. */
  changed(path: string): void;
}

/** Files looked at side by side: enough to keep the system's threads busy. */
const AT_ONCE = 16;

export class PolledFiles {
  readonly #options: PolledFilesOptions;
  /** Path → what was seen there last. */
  readonly #known = new Map<string, string>();
  /** Path → since when; those that became hot last are last. */
  readonly #hot = new Map<string, number>();

  constructor(options: PolledFilesOptions) {
    this.#options = options;
  }

  /** Takes down what there is without telling of it; files that changed lately are hot. */
  async begin(roots: readonly string[]): Promise<void> {
    const { transcripts } = await discover(roots, this.#options.wanted);
    const lately = Date.now() - this.#options.hotForMs;
    const hot: { path: string; mtimeMs: number }[] = [];
    await sideBySide(transcripts, async ({ path }) => {
      const seen = await findSeen(path);
      if (!seen) return;
      this.#known.set(path, seen.print);
      if (seen.mtimeMs > lately) hot.push({ path, mtimeMs: seen.mtimeMs });
    });
    hot.sort((a, b) => a.mtimeMs - b.mtimeMs);
    for (const { path, mtimeMs } of hot) this.heat(path, mtimeMs);
  }

  /** From now on the file is looked at in each hot round. */
  heat(path: string, since = Date.now()): void {
    this.#hot.delete(path);
    this.#hot.set(path, since);
    if (this.#hot.size > this.#options.maxHot) this.#hot.delete(this.#hot.keys().next().value!);
  }

  async lookAtHot(): Promise<void> {
    const lately = Date.now() - this.#options.hotForMs;
    for (const [path, since] of this.#hot) if (since < lately) this.#hot.delete(path);
    await sideBySide([...this.#hot.keys()], (path) => this.#look(path));
  }

  /** Of what is below a root that cannot be read nothing is told. */
  async lookAtAll(roots: readonly string[]): Promise<void> {
    const { transcripts, folders } = await discover(roots, this.#options.wanted);
    const found = new Set(transcripts.map(({ path }) => path));
    const readable = roots.filter((root) => folders.has(root));
    const missing = [...this.#known.keys()].filter(
      (path) => !found.has(path) && readable.some((root) => isBelow(root, path)),
    );
    await sideBySide([...found, ...missing], (path) => this.#look(path));
  }

  async #look(path: string): Promise<void> {
    const seen = await findSeen(path);
    if (seen === undefined || seen?.print === this.#known.get(path)) return;
    if (seen === null) {
      this.#known.delete(path);
      this.#hot.delete(path);
    } else {
      this.#known.set(path, seen.print);
      this.heat(path);
    }
    this.#options.changed(path);
  }
}

/** Null: there is no such file; undefined: that cannot be told now. */
async function findSeen(path: string): Promise<{ print: string; mtimeMs: number } | null | undefined> {
  const facts = await localFiles.findFacts(path).catch(() => undefined);
  if (!facts) return facts;
  // Without the device: its number changes where a folder is mounted again.
  return { print: `${facts.ino}:${facts.size}:${facts.mtime_ns}:${facts.ctime_ns}`, mtimeMs: facts.mtimeMs };
}

async function sideBySide<T>(items: readonly T[], look: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const takeTurns = async () => {
    while (next < items.length) await look(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, takeTurns));
}
