// Which sessions new files are, while others are being read: an id is given once, also where nothing is in the store yet.
import type { ReadingContext } from "./context.ts";
import type { Files } from "./files.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { type Plan, planTranscripts } from "./plan.ts";
import type { SourceRow } from "./store.ts";
import type { Target } from "./sync-file.ts";
import type { Transcript } from "./transcript.ts";

export class Naming {
  readonly #files: Files;
  readonly #named = new Map<string, Target>();
  /** Paths by ids. */
  readonly #claims = new Map<string, string>();
  readonly #lock = new KeyedLock();

  constructor(files: Files) {
    this.#files = files;
  }

  /** How many files have a name, and nothing of them in the store. */
  get size(): number {
    return this.#named.size;
  }

  /** What a new file was named as, until it is released. */
  find(path: string): Target | undefined {
    return this.#named.get(path);
  }

  /** Names files in their order; `source` is the checkpoint of a single one. */
  plan(context: ReadingContext, transcripts: readonly Transcript[], source: SourceRow | null): Promise<Plan> {
    const paths = new Set(transcripts.map(({ path }) => path));
    return this.#lock.run("", async () => {
      const plan = await planTranscripts(context, this.#files, transcripts, {
        findSource: () => source,
        findGone: async (_, file) => {
          if (file === undefined || file[0] !== context.host || paths.has(file[1])) return null;
          return (await this.#files.findFacts(file[1])) === null ? context.store.findSource(file) : null;
        },
        isTaken: (id) => this.#claims.has(id) && !paths.has(this.#claims.get(id)!),
      });
      for (const target of plan.targets) {
        if (target.source !== null) continue;
        this.#named.set(target.path, target);
        this.#claims.set(target.sessionId, target.path);
      }
      return plan;
    });
  }

  /** The store knows the file now, or it is to be named again. */
  release(path: string): void {
    const target = this.#named.get(path);
    if (target === undefined) return;
    this.#named.delete(path);
    if (this.#claims.get(target.sessionId) === path) this.#claims.delete(target.sessionId);
  }
}
