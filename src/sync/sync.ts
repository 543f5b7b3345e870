// One pass over many files: names their sessions, puts one job per session on a queue, marks what is gone, and settles
// verdicts at the end. One bad session never stops the others.
import PQueue from "p-queue";
import { toError } from "../errors.ts";
import type { ReadingContext, SyncContext } from "./context.ts";
import type { Files } from "./files.ts";
import { forgetAgain } from "./forget-again.ts";
import { inScan, markGone } from "./gone.ts";
import { removeLeftovers } from "./leftovers.ts";
import { interrupted } from "./look.ts";
import { planTranscripts } from "./plan.ts";
import { settle, verdictsAreDue } from "./settle.ts";
import { stopsEverything } from "./stopping.ts";
import type { EventType, SessionRow, SourceRow } from "./store.ts";
import { type FileReport, healWithoutFile, type SyncStatus, syncFile, type Target } from "./sync-file.ts";
import { Trackers } from "./trackers.ts";
import type { Transcript } from "./transcript.ts";

/** What became of one session. */
export interface SessionReport {
  readonly sessionId: string;
  readonly path: string;
  /** `forgotten`: it is not read, because it was. */
  readonly status: SyncStatus | "gone" | "failed" | "forgotten";
  /** As it was found; null: it was new, or nothing of it was read. */
  readonly before: SessionRow | null;
  /** As of the end of its job; null where nothing was read or it failed. */
  readonly session: SessionRow | null;
  readonly events: Readonly<Record<EventType, number>>;
  readonly error: Error | null;
  /** Rows that were not what the archived bytes say, and were written again or removed. */
  readonly healedRows: number;
  readonly durationMs: number;
}

/** A file that is to be read, or a session that is to be healed without one. */
export type Planned = Pick<Target, "path" | "sessionId" | "source">;

export interface PassOptions {
  /** Read everything again, whatever the gates say. */
  readonly force: boolean;
  /** Sessions to read again whatever the gates say: the store is behind on them. */
  readonly forceSessions: ReadonlySet<string>;
  /** Files to read; null: all of `transcripts`. */
  readonly only: ReadonlySet<string> | null;
  /** Called once for each session, as its job ends; for sessions whose verdicts changed afterwards, again. */
  readonly onReport: (report: SessionReport) => void;
  readonly onPlanned?: (planned: readonly Planned[]) => void;
  /**
   * Runs the job of the file at a path, once nothing else works on that file, and resolves when it has ended; a job never
   * rejects. Left out: the pass has a queue of its own.
   */
  readonly runJob?: (path: string, work: () => Promise<void>) => Promise<void>;
}

/** All transcripts that exist, and the folders that were read to find them. */
export interface Scan {
  readonly transcripts: readonly Transcript[];
  readonly folders: ReadonlySet<string>;
  /** Folders that were not to be read: what is below them is left as it is. */
  readonly skipped?: ReadonlySet<string>;
}

const NO_EVENTS: Readonly<Record<EventType, number>> = {
  message_added: 0,
  parent_repaired: 0,
  content_updated: 0,
  corruption_fixed: 0,
  message_removed: 0,
};

export const NOTHING_READ_REPORT = { before: null, session: null, events: NO_EVENTS, error: null, healedRows: 0 };

/** Brings the store up to date with a scan. Throws only what stops everything: the store's failures, an interrupt. */
export async function syncPass(given: SyncContext, files: Files, scan: Scan, options: PassOptions): Promise<void> {
  const context: ReadingContext = { ...given, forgotten: await given.store.forgotten() };
  await forgetAgain(context);
  const sources = new Map((await context.store.sources(context.host)).map((source) => [source.path, source]));
  await removeLeftovers(context, sources);
  const gone = await findGone(files, scan, sources.values());
  const plan = await planTranscripts(context, files, scan.transcripts, {
    findSource: (path) => sources.get(path) ?? null,
    findGone: async (id) => gone.get(id) ?? null,
    isTaken: () => false,
  });
  for (const { takesOver } of plan.targets) if (takesOver !== null) gone.delete(takesOver.session_id);
  const targets = plan.targets.filter((target) => options.only === null || options.only.has(target.path));
  const forced = (id: string) => options.force || options.forceSessions.has(id);
  const forgotten = plan.forgotten.filter(({ path }) => options.only === null || options.only.has(path));
  const archived = [
    ...(options.only === null ? gone.values() : []),
    ...forgotten.flatMap(({ source }) => source ?? []),
  ].filter((source) => forced(source.session_id));
  options.onPlanned?.([
    ...targets,
    ...archived.map((source) => ({ path: source.path, sessionId: source.session_id, source })),
  ]);
  for (const { path, sessionId } of forgotten) {
    options.onReport({ sessionId, path, ...NOTHING_READ_REPORT, status: "forgotten", durationMs: 0 });
  }

  const queue = new PQueue({ concurrency: context.concurrency });
  const runJob = options.runJob ?? ((_, work) => queue.add(work));
  const changed = new Map<string, SessionReport["status"]>();
  const unread = new Set<string>(); // projects with a file that could not be read
  const trackers = new Trackers();
  let newcomers: Set<string> | null = options.force || verdictsAreDue(sources.values()) ? null : new Set();
  let fatal: Error | null = null;
  const due = new Set([...sources.values()].filter((source) => source.verdicts_due).map((source) => source.path));

  const job = async (
    { sessionId, path, project }: Pick<Target, "sessionId" | "path" | "project">,
    sync: () => Promise<FileReport | null>,
  ) => {
    if (fatal !== null || context.signal.aborted) return;
    const started = performance.now();
    const base = { sessionId, path };
    const durationMs = () => performance.now() - started;
    try {
      const report = await sync();
      if (report === null) {
        if (context.forgotten.sessions.has(sessionId)) return; // it has been told that nothing is read of it
        options.onReport({ ...base, ...NOTHING_READ_REPORT, status: "unchanged", durationMs: durationMs() });
        return;
      }
      const { status, before, session, events, healedRows } = report;
      base.sessionId = session.session_id;
      if (status !== "unchanged") {
        changed.set(session.session_id, status);
        due.add(path);
        if (report.tracker !== null) trackers.keep(session, report.tracker);
        if (newcomers !== null && report.newcomers !== null) for (const uuid of report.newcomers) newcomers.add(uuid);
        else newcomers = null;
      }
      options.onReport({ ...base, status, before, session, events, error: null, healedRows, durationMs: durationMs() });
    } catch (thrown) {
      const error = toError(thrown);
      unread.add(project);
      if (stopsEverything(error)) {
        fatal ??= error;
        return;
      }
      options.onReport({ ...base, ...NOTHING_READ_REPORT, status: "failed", error, durationMs: durationMs() });
    }
  };
  const reads = targets.map((target) =>
    runJob(target.path, () => job(target, () => syncFile(context, files, target, forced(target.sessionId)))),
  );
  const healings = archived.map((source) =>
    runJob(source.path, () => job({ ...source, sessionId: source.session_id }, () => healWithoutFile(context, source))),
  );
  await Promise.all([...reads, ...healings]);
  if (fatal !== null) throw fatal;
  if (context.signal.aborted) throw interrupted();

  for (const source of [...gone.values()].filter((one) => !one.gone && inScan(one, scan))) {
    const session = await markGone(context, source);
    if (session === null) continue;
    changed.set(session.session_id, "gone");
    due.add(source.path);
    options.onReport({
      ...NOTHING_READ_REPORT,
      sessionId: session.session_id,
      path: source.path,
      status: "gone",
      session,
      durationMs: 0,
    });
  }

  if (changed.size === 0 && due.size === 0 && !options.force) return;
  await forgetAgain(context);
  const now = await context.store.sources(context.host);
  const known = new Set(now.filter((row) => row.complete).map((row) => row.path));
  for (const { path } of plan.forgotten) known.add(path);
  const incomplete = new Set(scan.transcripts.filter(({ path }) => !known.has(path)).map(({ project }) => project));
  const projectIsRead = (project: string) => !incomplete.has(project) && !unread.has(project);
  const scope = { sessions: new Set(changed.keys()), newcomers, trackers: trackers.bySession };
  const pathOf = new Map(plan.targets.map((target) => [target.sessionId, target.path]));
  const failures: Error[] = [];
  const onFailed = ({ source: [, path] }: SessionRow, error: Error) => {
    failures.push(error);
    due.delete(path);
  };
  for await (const { before, session, events } of settle(context, scope, projectIsRead, onFailed)) {
    const path = pathOf.get(session.session_id) ?? session.source[1];
    const status = changed.get(session.session_id) ?? "settled";
    options.onReport({
      sessionId: session.session_id,
      path,
      status,
      before,
      session,
      events,
      error: null,
      healedRows: 0,
      durationMs: 0,
    });
    if (context.signal.aborted) throw interrupted();
  }
  await context.store.clearVerdictsDue(now.filter((row) => row.verdicts_due && due.has(row.path)));
  if (failures[0] !== undefined) throw failures[0];
}

/** The checkpoints of files that are not there, by their sessions. */
async function findGone(files: Files, scan: Scan, sources: Iterable<SourceRow>): Promise<Map<string, SourceRow>> {
  const existing = new Set(scan.transcripts.map(({ path }) => path));
  const gone = new Map<string, SourceRow>();
  for (const source of sources) {
    if (existing.has(source.path) || (await files.findFacts(source.path)) !== null) continue;
    gone.set(source.session_id, source);
  }
  return gone;
}
