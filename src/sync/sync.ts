// One pass over many files: names their sessions, puts one job per session on a queue, marks what is gone, and settles
// verdicts at the end. One bad session never stops the others.
import PQueue from "p-queue";
import { itemsOf, LineSplitter } from "../core/line-splitter.ts";
import { RiffError, toError } from "../errors.ts";
import type { ReadingContext, SyncContext } from "./context.ts";
import type { Files, OpenTranscript } from "./files.ts";
import { forgetIn } from "./forget.ts";
import { interrupted, LostRace, SessionLog } from "./look.ts";
import { settle, verdictsAreDue, type WrittenGraph } from "./settle.ts";
import type { EventType, SessionRow, SourceRow } from "./store.ts";
import { type FileReport, healWithoutFile, isSameFile, type SyncStatus, syncFile, type Target } from "./sync-file.ts";
import type { GraphTracker } from "./tracker.ts";
import { candidateIds, sessionIdOf, type Transcript } from "./transcript.ts";

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
}

/** All transcripts that exist, and the folders that were read to find them. */
export interface Scan {
  readonly transcripts: readonly Transcript[];
  readonly folders: ReadonlySet<string>;
  /** Folders that were not to be read: what is below them is left as it is. */
  readonly skipped?: ReadonlySet<string>;
}

/** Messages of the graphs that a pass keeps in memory, at most; about 5 MB. */
const MAX_TRACKED_MESSAGES = 100_000;

const NO_EVENTS: Readonly<Record<EventType, number>> = {
  message_added: 0,
  parent_repaired: 0,
  content_updated: 0,
  corruption_fixed: 0,
  message_removed: 0,
};

const NOTHING_READ = { before: null, session: null, events: NO_EVENTS, error: null, healedRows: 0 };

/** Brings the store up to date with a scan. Throws only what stops everything: the store's failures, an interrupt. */
export async function syncPass(given: SyncContext, files: Files, scan: Scan, options: PassOptions): Promise<void> {
  const context: ReadingContext = { ...given, forgotten: await given.store.forgotten() };
  await forgetAgain(context);
  const sources = new Map((await context.store.sources(context.host)).map((source) => [source.path, source]));
  await removeLeftovers(context, sources);
  const plan = await planPass(context, files, scan, sources);
  const targets = plan.targets.filter((target) => options.only === null || options.only.has(target.path));
  const forced = (id: string) => options.force || options.forceSessions.has(id);
  const forgotten = plan.forgotten.filter(({ path }) => options.only === null || options.only.has(path));
  const archived = [
    ...(options.only === null ? plan.missing : []),
    ...forgotten.flatMap(({ source }) => source ?? []),
  ].filter((source) => forced(source.session_id));
  options.onPlanned?.([
    ...targets,
    ...archived.map((source) => ({ path: source.path, sessionId: source.session_id, source })),
  ]);
  for (const { path, sessionId } of forgotten) {
    options.onReport({ sessionId, path, ...NOTHING_READ, status: "forgotten", durationMs: 0 });
  }

  const queue = new PQueue({ concurrency: context.concurrency });
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
        options.onReport({ ...base, ...NOTHING_READ, status: "unchanged", durationMs: durationMs() });
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
      options.onReport({ ...base, ...NOTHING_READ, status: "failed", error, durationMs: durationMs() });
    }
  };
  const reads = targets.map(
    (target) => () => job(target, () => syncFile(context, files, target, forced(target.sessionId))),
  );
  const healings = archived.map(
    (source) => () => job({ ...source, sessionId: source.session_id }, () => healWithoutFile(context, source)),
  );
  await Promise.all([...reads, ...healings].map((work) => queue.add(work)));
  if (fatal !== null) throw fatal;
  if (context.signal.aborted) throw interrupted();

  for (const source of plan.gone) {
    const session = await markGone(context, source);
    if (session === null) continue;
    changed.set(session.session_id, "gone");
    due.add(source.path);
    options.onReport({
      sessionId: session.session_id,
      path: source.path,
      status: "gone",
      before: null,
      session,
      events: NO_EVENTS,
      error: null,
      healedRows: 0,
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
  for await (const { before, session, events } of settle(context, scope, projectIsRead)) {
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
}

/** Graphs that are kept until the verdicts are written, so that they need not be read again from the archive. */
class Trackers {
  readonly bySession = new Map<string, WrittenGraph>();
  #room = MAX_TRACKED_MESSAGES;

  keep({ session_id, chain }: SessionRow, tracker: GraphTracker): void {
    if (tracker.graph.size > this.#room) return;
    this.#room -= tracker.graph.size;
    this.bySession.set(session_id, { tracker, chain });
  }
}

const STOPPING = new Set([
  "RIFF_STORE_IO",
  "RIFF_DISK_FULL",
  "RIFF_STORE_UNREACHABLE",
  "RIFF_CREDENTIALS_REFUSED",
  "RIFF_PERMISSION_DENIED",
  "RIFF_STATE_UNWRITABLE",
  "RIFF_INTERRUPTED",
]);

/** Failures of the store or of this machine, and interrupts: no other session would fare better. */
function stopsEverything(error: Error): boolean {
  if (!(error instanceof RiffError)) return false;
  return STOPPING.has(error.code);
}

/** Rows of older generations that a pass before was too short-lived to remove. */
async function removeLeftovers(context: SyncContext, sources: Map<string, SourceRow>): Promise<void> {
  for (const source of [...sources.values()].filter((row) => row.superseded)) {
    const session = await context.store.findSession(source.session_id);
    if (session === null) continue;
    await context.store.removeSuperseded(session.session_id, session.generation);
    const clean = { ...source, superseded: false };
    if (await context.store.updateSource(clean, source)) sources.set(source.path, clean);
  }
}

/**
 * Destroys what is stored of messages that were forgotten: bytes that had been archived before their line was whole,
 * and what another writer brought.
 */
async function forgetAgain(context: ReadingContext): Promise<void> {
  const { messages } = context.forgotten;
  if (messages.size === 0) return;
  const sessions = new Map<string, Set<string>>();
  for (const { uuid, session_id } of await context.store.notForgotten([...messages])) {
    sessions.set(session_id, (sessions.get(session_id) ?? new Set()).add(uuid));
  }
  for (const [id, uuids] of sessions) await forgetIn(context, id, { messages: uuids, reason: "it came again" });
}

/** With its checkpoint, if it was read before. */
interface ForgottenFile {
  readonly path: string;
  readonly sessionId: string;
  readonly source: SourceRow | null;
}

interface Plan {
  readonly targets: readonly Target[];
  /** Files of sessions that were forgotten. */
  readonly forgotten: readonly ForgottenFile[];
  /** Checkpoints of files that are not there. */
  readonly missing: readonly SourceRow[];
  /** Files that were read before and are no longer there. */
  readonly gone: readonly SourceRow[];
}

/** Names the session of every file, in the order of their paths, so that the names do not depend on the queue. */
async function planPass(
  context: ReadingContext,
  files: Files,
  scan: Scan,
  sources: ReadonlyMap<string, SourceRow>,
): Promise<Plan> {
  const existing = new Set(scan.transcripts.map(({ path }) => path));
  const missing = [...sources.values()].filter((source) => !existing.has(source.path));
  const gone = new Map<string, SourceRow>();
  for (const source of missing) if ((await files.findFacts(source.path)) === null) gone.set(source.session_id, source);
  const newcomers: { transcript: Transcript; parentSession: string | null; plainId: string }[] = [];
  const targets: Target[] = [];
  const forgotten: ForgottenFile[] = [];
  const isForgotten = (id: string | null) => id !== null && context.forgotten.sessions.has(id);
  for (const transcript of scan.transcripts) {
    const { path, project, kind } = transcript;
    const source = sources.get(path) ?? null;
    if (source !== null) {
      const { session_id: sessionId } = source;
      if (isForgotten(sessionId)) {
        forgotten.push({ path, sessionId, source });
        continue;
      }
      const { parentSession } = transcript;
      targets.push({ path, project, kind, parentSession, sessionId, plainId: sessionId, source, takesOver: null });
      continue;
    }
    const parentSession = transcript.parentIsClaimed ? await readClaim(files, path) : transcript.parentSession;
    const plainId = sessionIdOf(transcript, parentSession);
    if (isForgotten(parentSession)) forgotten.push({ path, sessionId: plainId, source: null });
    else newcomers.push({ transcript, parentSession, plainId });
  }
  const owners = await context.store.owners(newcomers.map(({ plainId }) => plainId));
  const named = newcomers.map((newcomer) => ({
    ...newcomer,
    ids: candidateIds(newcomer.plainId, newcomer.transcript, context.host, owners.get(newcomer.plainId)),
  }));
  const holders = await context.store.owners(named.flatMap(({ ids }) => ids));
  const taken = new Set(holders.keys());
  // Its checkpoint is not in the store.
  const isOwn = (id: string, path: string) => isSameFile(holders.get(id), { host: context.host, path });
  for (const { transcript, parentSession, plainId, ids } of named) {
    const { path, project, kind } = transcript;
    for (const sessionId of ids) {
      const takesOver = gone.get(sessionId) ?? null;
      if (takesOver === null && taken.has(sessionId) && !isOwn(sessionId, path)) continue;
      if (isForgotten(sessionId)) {
        forgotten.push({ path, sessionId, source: null });
        break;
      }
      gone.delete(sessionId);
      taken.add(sessionId);
      targets.push({ path, project, kind, parentSession, sessionId, plainId, source: null, takesOver });
      break;
    }
  }
  targets.sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    targets,
    forgotten,
    missing: [...gone.values()],
    gone: [...gone.values()].filter((source) => !source.gone && inScan(source, scan)),
  };
}

/** Whether a missing file's folder was read, or is missing below a folder that was. */
function inScan(source: SourceRow, scan: Scan): boolean {
  for (let folder = parentOf(source.path); folder !== ""; folder = parentOf(folder)) {
    if (scan.skipped?.has(folder)) return false;
    if (scan.folders.has(folder)) return true;
  }
  return false;
}

function parentOf(path: string): string {
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return at < 0 ? "" : path.slice(0, at);
}

/** Bytes of a subagent's file in the old layout in which its parent session is looked for. */
const CLAIM_BYTES = 1024 * 1024;

/** The first `sessionId` in a file. */
async function readClaim(files: Files, path: string): Promise<string | null> {
  let file: OpenTranscript;
  try {
    file = await files.open(path);
  } catch {
    return null; // its own job will say why it cannot be read
  }
  try {
    const splitter = new LineSplitter(0);
    const head = await file.read(0, CLAIM_BYTES);
    for (let at = 0; at < head.length; ) {
      const taken = splitter.take(head, at);
      if (taken === null) break;
      at = taken.next;
      for (const item of itemsOf(taken.line, false)) {
        if (item.kind === "value" && typeof item.json.sessionId === "string" && item.json.sessionId !== "") {
          return item.json.sessionId;
        }
      }
    }
    return null;
  } finally {
    await file.close();
  }
}

/** Marks a session whose file is gone; all rows stay. null: another writer was faster, or there is none. */
async function markGone(context: SyncContext, planned: SourceRow): Promise<SessionRow | null> {
  const session = await context.store.findSession(planned.session_id);
  const source = await context.store.findSource([planned.host, planned.path]); // it may have been healed since
  if (session === null || source === null) return null;
  const log = new SessionLog(context, session, source);
  const step = log.prepare({
    kind: "gone",
    time: context.now(),
    session: { ...session, state: "gone" },
    source: { ...source, gone: true, settled: true, verdicts_due: true },
    events: [],
  });
  try {
    await log.write(step);
  } catch (thrown) {
    if (thrown instanceof LostRace) return null; // a later pass looks again
    throw thrown;
  }
  return log.session;
}
