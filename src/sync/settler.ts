// Verdicts on parents in other files, while files come and go: what looks have found is gathered, and settled at once where
// one file changed, together where many are being read.
import type { ReadingContext } from "./context.ts";
import { forgetAgain } from "./forget-again.ts";
import { type Settled, settle } from "./settle.ts";
import type { SessionRow, SourceRow } from "./store.ts";
import type { FileReport } from "./sync-file.ts";
import { Trackers } from "./trackers.ts";

/** More checkpoints than this are read all at once. */
const MAX_SINGLE_READS = 100;

export interface SettlerListener {
  settled(settled: Settled): void;
  /** Of this session nothing was written. */
  failed(session: SessionRow, error: Error): void;
}

export class Settler {
  #sessions = new Set<string>();
  /** null: all unresolved parents are looked at. */
  #newcomers: Set<string> | null = new Set();
  #trackers = new Trackers();
  /** Paths of files that may have verdicts due. */
  #due = new Set<string>();

  /** Whether anything was noted since it last ran. */
  get isDue(): boolean {
    return this.#newcomers === null || this.#sessions.size > 0 || this.#due.size > 0;
  }

  /** Takes over what a process before has left undone. */
  begin(sources: Iterable<SourceRow>): void {
    for (const { path, verdicts_due } of sources) if (verdicts_due) this.#due.add(path);
    if (this.#due.size > 0) this.noteAll();
  }

  /** A look has written something. */
  note(path: string, { session, newcomers, tracker }: FileReport): void {
    this.#due.add(path);
    this.#sessions.add(session.session_id);
    if (tracker !== null) this.#trackers.keep(session, tracker);
    if (newcomers === null) this.noteAll();
    else for (const uuid of newcomers) this.#newcomers?.add(uuid);
  }

  /** A session was changed without a look. */
  noteSession(path: string, sessionId: string): void {
    this.#due.add(path);
    this.#sessions.add(sessionId);
  }

  noteAll(): void {
    this.#newcomers = null;
  }

  /** Settles what was noted before; where it fails, all of that is noted again. Not to be called while it runs. */
  async run(
    context: ReadingContext,
    projectIsRead: (project: string) => boolean,
    tell: SettlerListener,
  ): Promise<void> {
    const scope = { sessions: this.#sessions, newcomers: this.#newcomers, trackers: this.#trackers.bySession };
    const due = this.#due;
    this.#sessions = new Set();
    this.#newcomers = new Set();
    this.#trackers = new Trackers();
    this.#due = new Set();
    try {
      await forgetAgain(context);
      const before = await checkpoints(context, due);
      const failed = new Set<string>();
      const onFailed = (session: SessionRow, error: Error) => {
        failed.add(session.session_id);
        tell.failed(session, error);
      };
      for await (const settled of settle(context, scope, projectIsRead, onFailed)) {
        tell.settled(settled);
        if (context.signal.aborted) break;
      }
      if (!context.signal.aborted)
        await context.store.clearVerdictsDue(before.filter((row) => !failed.has(row.session_id)));
    } catch (thrown) {
      for (const id of scope.sessions) this.#sessions.add(id);
      for (const path of due) this.#due.add(path);
      this.noteAll();
      throw thrown;
    }
  }
}

async function checkpoints({ store, host }: ReadingContext, paths: ReadonlySet<string>): Promise<SourceRow[]> {
  const rows: (SourceRow | null)[] = [];
  if (paths.size > MAX_SINGLE_READS) rows.push(...(await store.sources(host)).filter(({ path }) => paths.has(path)));
  else for (const path of paths) rows.push(await store.findSource([host, path]));
  return rows.filter((row) => row !== null).filter((row) => row.verdicts_due);
}
