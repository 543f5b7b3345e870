// riffd sync: brings the store up to date with transcripts, once.

import { realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Presets, SingleBar } from "cli-progress";
import { resolveProjects } from "../config/paths.ts";
import { EXIT_CODES, RiffError } from "../errors.ts";
import { discover, transcriptAt } from "../source/discover.ts";
import { localFiles } from "../source/transcript-file.ts";
import type { OpenStore } from "../store/open.ts";
import type { SyncContext } from "../sync/context.ts";
import type { EventType, SessionRow, SessionSummary } from "../sync/store.ts";
import { type SessionReport, syncPass } from "../sync/sync.ts";
import { sessionIdOf, type Transcript } from "../sync/transcript.ts";
import { formatCount, formatError, formatScore, type Output, plural } from "./output.ts";
import { resolveSession } from "./resolve.ts";
import { openChosenStore, type StoreOptions } from "./store.ts";

export interface SyncOptions extends StoreOptions {
  readonly all: boolean;
  readonly force: boolean;
  readonly operator: string;
  readonly projects: readonly string[];
  readonly json: boolean;
}

/** How long a file must not have been written to count as quiet. */
const QUIET_MS = 5_000;

/** Runs the command; returns its exit code. Throws RiffError. */
export async function syncCommand(
  queries: readonly string[],
  options: SyncOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  if (queries.length === 0 && !options.all) {
    throw new RiffError(
      "RIFF_USAGE",
      "riffd sync needs to know what to sync.",
      "Name sessions (`riffd sync 1f2e3d4c`), or sync everything with `riffd sync --all`.",
    );
  }
  const started = performance.now();
  const roots = resolveProjects(options.projects, process.env);
  const scan = await discover(roots);
  const [fatal] = scan.problems.filter((problem) => problem.code === "RIFF_PROJECTS_MISSING");
  if (scan.transcripts.length === 0 && fatal !== undefined && options.projects.length > 0) throw fatal;
  const outside = queries.map(transcriptOutside(scan.transcripts)).filter((one) => one !== null);
  const transcripts = [...scan.transcripts, ...outside];
  if (transcripts.length === 0 && queries.length === 0) {
    if (options.json) output.line(JSON.stringify(summaryLine([], 0, started)));
    output.note(`There are no transcripts in ${roots.join(", ")}.`);
    output.note("Claude Code writes them there. To see riffd at work on a sample, run:");
    output.note(`  ${sampleCommand()}`);
    return 0;
  }
  for (const problem of scan.problems) if (problem !== fatal) output.note(formatError(problem));

  const opened = await openChosenStore(options, output, signal);
  try {
    const only = queries.length === 0 ? null : await select(queries, transcripts, opened, roots);
    const context: SyncContext = {
      store: opened.store,
      heads: opened.heads,
      host: opened.host,
      operator: options.operator,
      quietMs: QUIET_MS,
      stepLimits: opened.store.stepLimits,
      now: () => new Date(),
      signal,
    };
    const results = new Results();
    const progress = options.json || !process.stderr.isTTY ? null : progressBar();
    try {
      await syncPass(
        context,
        localFiles,
        { transcripts, folders: only === null ? scan.folders : new Set() },
        {
          force: options.force,
          forceSessions: new Set(opened.setbacks.map((setback) => setback.sessionId)),
          only,
          onPlanned: (jobs) => progress?.start(jobs, 0, { messages: "0" }),
          onReport: (report) => {
            const isNew = results.add(report);
            if (isNew && report.status !== "gone") {
              progress?.increment({ messages: formatCount(results.messages) });
            }
          },
        },
      );
    } finally {
      progress?.stop();
    }
    await adoptHeads(opened, results);
    const summaries = new Map((await opened.store.summaries()).map((row) => [row.session_id, row]));
    if (options.json) printJson(results, summaries, started, output);
    else printReport(results, summaries, opened, started, output);
    return results.failed.length > 0 || scan.problems.some((problem) => problem !== fatal)
      ? EXIT_CODES.RIFF_SESSIONS_FAILED
      : 0;
  } finally {
    await opened.close();
  }
}

/** Reads the sample that comes with riffd into a store of its own. */
function sampleCommand(): string {
  const home = fileURLToPath(new URL("../../", import.meta.url));
  const sample = relative(process.cwd(), join(home, "examples", "projects"));
  const program = relative(process.cwd(), home) === "" ? "npx ." : "riffd";
  return `RIFFD_STATE_DIR=${join(tmpdir(), "riffd-sample")} ${program} sync --all --projects ${sample}`;
}

/**
 * Where a store that was rolled back has been brought up to date from the files, its chains are what this machine knows
 * from now on. A chain that is as long as it was but another one was not rolled back: that stays told.
 */
async function adoptHeads({ store, heads, setbacks }: OpenStore, results: Results): Promise<void> {
  const read = new Set(results.all.filter(({ session }) => session !== null).map(({ sessionId }) => sessionId));
  const healed = setbacks.filter(
    ({ sessionId, expected, found }) => found !== null && found.chain < expected.chain && read.has(sessionId),
  );
  if (healed.length === 0) return;
  const chains = new Map((await store.chainHeads()).map((row) => [row.session_id, row]));
  for (const { sessionId } of healed) {
    const now = chains.get(sessionId);
    if (now !== undefined && now.head !== heads.find(sessionId)?.head) heads.advance(sessionId, now.chain, now.head);
  }
}

/** A path that was named, but lies in none of the projects folders. */
function transcriptOutside(known: readonly Transcript[]) {
  return (query: string): Transcript | null => {
    let path: string;
    try {
      path = realpathSync(query);
    } catch {
      return null;
    }
    if (known.some((transcript) => transcript.path === path)) return null;
    return transcriptAt(dirname(dirname(path)), path);
  };
}

async function select(
  queries: readonly string[],
  transcripts: readonly Transcript[],
  opened: OpenStore,
  roots: readonly string[],
): Promise<Set<string>> {
  const sources = new Map((await opened.store.sources(opened.host)).map((source) => [source.path, source]));
  const candidates = transcripts.map((transcript) => ({
    path: transcript.path,
    sessionId: sources.get(transcript.path)?.session_id ?? sessionIdOf(transcript, transcript.parentSession),
  }));
  return new Set(queries.map((query) => resolveSession(query, candidates, roots.join(", ")).path));
}

/** What became of each session, in the order in which they were first told. */
class Results {
  readonly #bySession = new Map<string, SessionReport>();

  /** True for the first report of a session. A later one (verdicts) adds to it. */
  add(report: SessionReport): boolean {
    const before = this.#bySession.get(report.sessionId);
    if (before === undefined || before.status === "unchanged") {
      this.#bySession.set(report.sessionId, report);
      return before === undefined;
    }
    const events = Object.fromEntries(
      Object.entries(report.events).map(([type, count]) => [type, count + before.events[type as EventType]]),
    ) as Record<EventType, number>;
    this.#bySession.set(report.sessionId, { ...before, session: report.session ?? before.session, events });
    return false;
  }

  get all(): SessionReport[] {
    return [...this.#bySession.values()];
  }

  get failed(): SessionReport[] {
    return this.all.filter((report) => report.status === "failed");
  }

  /** Messages of the sessions that were read. */
  get messages(): number {
    return this.all.reduce((sum, { session }) => sum + (session?.message_count ?? 0), 0);
  }
}

function progressBar(): SingleBar {
  return new SingleBar(
    {
      format: "{bar} {value}/{total} sessions · {messages} messages · {duration_formatted}",
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  );
}

type Summaries = ReadonlyMap<string, SessionSummary>;

/** One line of `--json` for a session; part of riffd's contract. */
function sessionLine(report: SessionReport, summary: SessionRow | SessionSummary | undefined) {
  return {
    session_id: report.sessionId,
    source: report.path,
    status: report.status,
    messages: summary?.message_count ?? null,
    threads: summary?.thread_count ?? null,
    corruption_score: summary?.corruption_score ?? null,
    session_hash: summary?.session_hash ?? null,
    events: report.events,
    quarantined: summary?.unreadable_count ?? null,
    duration_ms: Math.round(report.durationMs),
    ...(report.error === null ? {} : { error: errorLine(report.error) }),
  };
}

function errorLine(error: Error) {
  return error instanceof RiffError
    ? { code: error.code, message: error.message, hint: error.hint }
    : { code: null, message: error.message };
}

/** The last line of `--json`. */
function summaryLine(results: readonly SessionReport[], messages: number, started: number) {
  const statuses: Record<string, number> = {};
  for (const { status } of results) statuses[status] = (statuses[status] ?? 0) + 1;
  const events: Record<string, number> = {};
  for (const report of results) {
    for (const [type, count] of Object.entries(report.events)) events[type] = (events[type] ?? 0) + count;
  }
  return {
    summary: true,
    sessions: results.length,
    statuses,
    messages,
    events,
    duration_ms: Math.round(performance.now() - started),
  };
}

function printJson(results: Results, summaries: Summaries, started: number, output: Output): void {
  let messages = 0;
  for (const report of results.all) {
    const summary = summaries.get(report.sessionId);
    messages += summary?.message_count ?? 0;
    output.line(JSON.stringify(sessionLine(report, summary)));
  }
  output.line(JSON.stringify(summaryLine(results.all, messages, started)));
}

/** Failed or damaged sessions told by name. */
const MAX_TOLD = 10;

function printReport(results: Results, summaries: Summaries, opened: OpenStore, started: number, output: Output): void {
  for (const { sessionId, path, error } of results.failed.slice(0, MAX_TOLD)) {
    output.line(`✗ ${sessionId}  ${path}`);
    output.line(error instanceof RiffError ? indent(formatError(error)) : `  ${error?.stack}`);
  }
  if (results.failed.length > MAX_TOLD) output.line(`✗ … and ${results.failed.length - MAX_TOLD} more that failed`);
  const byStatus = new Map<string, SessionReport[]>();
  for (const report of results.all) byStatus.set(report.status, [...(byStatus.get(report.status) ?? []), report]);
  for (const [status, reports] of byStatus) {
    const messages = reports.reduce((sum, { sessionId }) => sum + (summaries.get(sessionId)?.message_count ?? 0), 0);
    const counted = status === "failed" ? "" : `, ${plural(messages, "message")}`;
    output.line(`${status === "failed" ? "✗" : "✓"} ${status}: ${plural(reports.length, "session")}${counted}`);
  }
  const events = Object.entries(summaryLine(results.all, 0, started).events).filter(([, count]) => count > 0);
  if (events.length > 0) {
    output.line(`✓ logged: ${events.map(([type, count]) => `${formatCount(count)} ${type}`).join(", ")}`);
  }
  const damaged = results.all
    .map(({ sessionId }) => summaries.get(sessionId))
    .filter((summary) => summary !== undefined)
    .filter((summary) => summary.corruption_score > 0)
    .sort((a, b) => b.cut_off_count + b.unreadable_count - (a.cut_off_count + a.unreadable_count));
  if (damaged.length > 0) {
    output.line(`• damaged: ${plural(damaged.length, "session")}`);
    for (const { session_id, corruption_score, cut_off_count, unreadable_count } of damaged.slice(0, MAX_TOLD)) {
      const what = [
        cut_off_count > 0 ? `${plural(cut_off_count, "record")} cut off` : "",
        unreadable_count > 0 ? plural(unreadable_count, "unreadable piece") : "",
      ].filter(Boolean);
      output.line(`    ${formatScore(corruption_score).padStart(7)}  ${session_id}  ${what.join(", ")}`);
    }
    if (damaged.length > MAX_TOLD) output.line(`    … and ${damaged.length - MAX_TOLD} more`);
  }
  const total = [...summaries.values()].reduce((sum, summary) => sum + summary.message_count, 0);
  output.line(`Store: ${opened.store.location}`);
  output.line(
    `       ${plural(summaries.size, "session")}, ${plural(total, "message")} · ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
